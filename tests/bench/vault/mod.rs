//! A home directory into a local vault, beside what else there is.

pub mod contenders;
pub mod meter;
pub mod tree;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use asyncamanda_tests::{Plan, World, child};

use super::Measured;
use super::table::{Table, ratio};
use contenders::Contender;
use meter::{Cost, Meter};
use tree::Size;

const ROUNDS: usize = 3;
/// Decides what is in the trees.
pub const SEED: u64 = 4;
const SMALL: Size = Size { files: 10_000, bytes: 200_000_000 };
/// As a home directory may be.
pub const LARGE: Size = Size { files: 100_000, bytes: 1_000_000_000 };
/// Most memory of one of our processes, at 10,000 files, in KiB; at 100,000 files so much more.
const MEMORY: [u64; 2] = [64 * 1024, 80 * 1024];

/// What one contender came to: the medians.
struct Result {
    full: Cost,
    again: Cost,
    stored: u64,
    memory: BTreeMap<String, u64>,
}

/// Measures 10,000 files, 200 MB.
pub fn small(table: &mut Table) -> Measured {
    measure(table, SMALL, "10,000 files", MEMORY[0])
}

/// Measures 100,000 files, 1 GB.
pub fn large(table: &mut Table) -> Measured {
    measure(table, LARGE, "100,000 files", MEMORY[1])
}

fn measure(table: &mut Table, size: Size, what: &str, memory: u64) -> Measured {
    let dir = tempfile::Builder::new().prefix("aa-bench-").tempdir_in("/var/tmp")?;
    fs::create_dir(dir.path().join("home"))?;
    eprintln!("bench: {what}, seed {SEED}");
    let world = world()?;
    // In the world, since Amanda's dump user has to come to it.
    let tree = world.hosts[0].tree.clone();
    fs::remove_dir_all(&tree)?;
    tree::plant(&tree, size, SEED)?;
    let own = std::env::current_exe()?;
    let ours = own.parent().map(|dir| dir.join("asyncamanda")).filter(|path| path.exists()).ok_or("asyncamanda is not built")?;
    // The sshd that is there all the time is nobody else's. It ends before its group does.
    let meters = [Meter::new("local")?, Meter::new("sshd")?];
    let server = server(&tree)?;
    let laptop = server.laptop(0);
    let mut all = contenders::contenders(dir.path(), &tree, &ours);
    all.push(contenders::amdump(&world, dir.path()));
    meters[1].take(server.door.pid().ok_or("no sshd")?)?;
    all.insert(1, contenders::over_sshd(&server, &laptop, dir.path()));
    let results = take_turns(&meters, &all)?;
    print!("{}", overview(what, &all, &results));
    aims(table, what, memory, &all, &results);
    Ok(())
}

/// Returns an Amanda with room for it all.
pub fn world() -> std::result::Result<World, Box<dyn Error>> {
    let world = World::new(Plan { engine: "none", bulk: 1000, ..Plan::default() });
    make_room(&world);
    Ok(world)
}

/// Returns a server with the embedded engine, and a laptop whose disk is that tree.
pub fn server(tree: &Path) -> std::result::Result<World, Box<dyn Error>> {
    let compress = "client custom\n client_custom_compress \"/usr/bin/zstd\"";
    let world = World::new(Plan { engine: "embedded", far_away: vec![0], compress, bulk: 1000, gather: "0 s", ..Plan::default() });
    make_room(&world);
    world.edit_shim_toml("[limits]\n", "[limits]\nruns_per_day = 1000000\n");
    // The same files, and no second copy of them.
    let mut mount = child::program("mount");
    mount.arg("--bind").arg(tree).arg(&world.hosts[0].tree);
    child::must(mount);
    Ok(world)
}

fn make_room(world: &World) {
    for (from, to) in [("use 500 Mb", "use 20 Gb"), ("chunksize 1 Mb", "chunksize 1 Gb"), ("length 200 mbytes", "length 200 gbytes")] {
        world.amanda.edit(from, to);
    }
}

fn take_turns(meters: &[Meter; 2], all: &[Contender]) -> std::result::Result<Vec<Result>, Box<dyn Error>> {
    let mut costs: Vec<[Vec<Cost>; 2]> = all.iter().map(|_| [Vec::new(), Vec::new()]).collect();
    let mut stored = vec![0; all.len()];
    let mut memory = vec![BTreeMap::new(); all.len()];
    // The first round warms the caches, and looks at the memory.
    for round in 0..=ROUNDS {
        for (at, contender) in all.iter().enumerate() {
            eprintln!("bench: round {round}: {}", contender.name);
            let meter = &meters[usize::from(contender.name.ends_with("sshd"))];
            quiet((contender.fresh)())?;
            if round == 0 {
                memory[at] = meter.watch((contender.full)())?;
                continue;
            }
            costs[at][0].push(meter.run(settled((contender.full)())?)?);
            stored[at] = bytes_of(&contender.stored)?;
            costs[at][1].push(meter.run(settled((contender.again)())?)?);
        }
    }
    let results = costs.into_iter().zip(stored).zip(memory);
    Ok(results.map(|(([full, again], stored), memory)| Result { full: middle(full), again: middle(again), stored, memory }).collect())
}

/// Waits until what others wrote is on the disk.
pub fn settled(command: Command) -> std::result::Result<Command, Box<dyn Error>> {
    quiet(child::program("sync"))?;
    Ok(command)
}

/// Runs what is not measured.
pub fn quiet(mut command: Command) -> Measured {
    let output = command.output()?;
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into()) }
}

/// Returns the medians.
pub fn middle(mut costs: Vec<Cost>) -> Cost {
    let mut of = |value: fn(&Cost) -> f64| {
        costs.sort_by(|one, other| value(one).total_cmp(&value(other)));
        value(&costs[costs.len() / 2])
    };
    Cost { wall: of(|cost| cost.wall), cpu: of(|cost| cost.cpu) }
}

fn bytes_of(paths: &[PathBuf]) -> std::result::Result<u64, Box<dyn Error>> {
    let mut du = child::program("du");
    du.arg("-scb").args(paths);
    let said = child::must(du);
    let last = said.lines().last().and_then(|line| line.split_ascii_whitespace().next());
    Ok(last.ok_or("du says nothing")?.parse()?)
}

/// Returns everything that was measured.
fn overview(what: &str, all: &[Contender], results: &[Result]) -> String {
    let mut text = format!(
        "{:26} {:>9} {:>9} {:>10} {:>9} {:>10}  most memory of each program in round 0\n",
        what, "full s", "cpu s", "no change", "cpu s", "stored MB"
    );
    for (contender, result) in all.iter().zip(results) {
        let memory: Vec<String> = result.memory.iter().map(|(name, kib)| format!("{name} {:.0}M", *kib as f64 / 1024.0)).collect();
        text.push_str(&format!(
            "{:26} {:9.2} {:9.2} {:10.3} {:9.3} {:10.1}  {}\n",
            contender.name,
            result.full.wall,
            result.full.cpu,
            result.again.wall,
            result.again.cpu,
            result.stored as f64 / 1e6,
            memory.join(", ")
        ));
    }
    text + "\n"
}

/// Adds what is aimed at.
fn aims(table: &mut Table, what: &str, memory: u64, all: &[Contender], results: &[Result]) {
    let of = |name: &str| all.iter().position(|contender| contender.name.starts_with(name)).map(|at| &results[at]);
    let Some(ours) = of("asyncamanda, local vault") else { return };
    let mut row = |what: String, value: f64, beside: &str, other: f64, times: f64, unit: &str| {
        let met = value <= other * times;
        let aim = format!("{times} x{}", if met { "" } else { ", MISSED" });
        table.row(what, format!("{value:.3} {unit}"), beside.to_owned(), format!("{other:.3} {unit}"), ratio(value, other), &aim);
    };
    for (name, full, again) in
        [("tar", 1.25, 1.5), ("restic", 0.65, 0.125), ("bupstash", 0.65, 1.0), ("amdump", 0.2, 0.125), ("borg", 1.0, 1.0)]
    {
        if let Some(other) = of(name) {
            row(format!("a full backup, {what}"), ours.full.wall, name, other.full.wall, full, "s");
            row(format!("no change, {what}"), ours.again.wall, name, other.again.wall, again, "s");
        }
    }
    if let Some(tar) = of("tar") {
        row(format!("stored, {what}"), ours.stored as f64 / 1e6, "tar | zstd -3", tar.stored as f64 / 1e6, 1.02, "MB");
    }
    for (name, kib) in &ours.memory {
        let aim = format!("< {} MiB{}", memory / 1024, if *kib <= memory { "" } else { ", MISSED" });
        table.row(format!("memory of {name}, {what}"), super::table::kib(*kib), String::new(), String::new(), String::new(), &aim);
    }
}
