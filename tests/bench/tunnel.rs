//! A dump through the tunnel, beside what somebody would type who has nothing but tar and ssh.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use asyncamanda_tests::child::{self, Background};
use asyncamanda_tests::laptop::PATIENCE;
use asyncamanda_tests::{Laptop, Plan, World, procs, sshd, system};

use super::Measured;
use super::table::{Table, kib, ratio};

/// Bytes of the tree.
const BYTES: u64 = 2_000_000_000;
const ROUNDS: usize = 3;
const MINUTE: Duration = Duration::from_secs(60);
/// Clock ticks of /proc/PID/stat in a second.
const TICKS: f64 = 100.0;

/// One way of getting the tree to the server.
#[derive(Debug, Clone, Copy)]
struct Trip {
    /// From the first byte to the last.
    seconds: f64,
    /// Processor seconds of everything on the way, Amanda's own programs apart.
    cpu: f64,
    /// The most memory of the agent and of the shim, in KiB.
    memory: [u64; 2],
}

/// Measures.
pub fn tunnel(table: &mut Table) -> Measured {
    let world = World::new(Plan { far_away: vec![0], compress: "none", estimate: "server", ..Plan::default() });
    for (from, to) in [("use 500 Mb", "use 20 Gb"), ("chunksize 1 Mb", "chunksize 1 Gb"), ("length 200 mbytes", "length 200 gbytes")] {
        world.amanda.edit(from, to);
    }
    let (host, laptop) = (&world.hosts[0], world.laptop(0));
    plant(&host.tree)?;
    world.door.allow_anything(system::CLIENT_LOGIN, &sshd::public_key(&laptop.dir.join("key")));
    let (mut dumps, mut copies) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let copied = copy(&world, &laptop)?;
        let dumped = dump(&world, &laptop)?;
        // The first round warms the caches.
        if round > 0 {
            copies.push(copied);
            dumps.push(dumped);
        }
    }
    let middle = |trips: &[Trip], value: fn(&Trip) -> f64| {
        let mut values: Vec<f64> = trips.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let size = bytes_of(&host.tree)?;
    let beside = "tar | ssh 'cat > file'";
    let rates = [&dumps, &copies].map(|trips| size as f64 / 1e6 / middle(trips, |trip| trip.seconds));
    let met = |met: bool, aim: &str| if met { aim.to_owned() } else { format!("{aim}, MISSED") };
    let [ours, theirs] = rates;
    let aim = met(ours >= 0.9 * theirs, "0.9 x");
    let row = format!("a dump of {} MB through the tunnel, its rate", size / 1_000_000);
    table.row(row, format!("{ours:.0} MB/s"), beside.to_owned(), format!("{theirs:.0} MB/s"), ratio(ours, theirs), &aim);
    let [ours, theirs] = [&dumps, &copies].map(|trips| middle(trips, |trip| trip.cpu) / (size as f64 / 1e9));
    let aim = met(ours <= 1.3 * theirs, "1.3 x");
    let row = "a dump through the tunnel, processor per GB".to_owned();
    table.row(row, format!("{ours:.2} s"), beside.to_owned(), format!("{theirs:.2} s"), ratio(ours, theirs), &aim);
    for (at, who) in ["agent", "shim"].into_iter().enumerate() {
        let most = dumps.iter().map(|trip| trip.memory[at]).max().unwrap_or(0);
        table.row(
            format!("memory of the {who} at most"),
            kib(most),
            String::new(),
            String::new(),
            String::new(),
            &met(most < 32 * 1024, "< 32 MiB"),
        );
    }
    Ok(())
}

/// Makes a tree of files as they lie in a home: most of them small, some large; nothing in them can be compressed.
fn plant(tree: &Path) -> Result<(), Box<dyn Error>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let noise: Vec<u8> = (0..(1 << 17)).flat_map(|_| next().to_le_bytes()).collect();
    let (mut made, mut number) = (0, 0);
    while made < BYTES {
        let size = match next() % 100 {
            0..90 => 1_000 + next() % 19_000,
            90..99 => 20_000 + next() % 1_980_000,
            _ => 8_000_000 + next() % 56_000_000,
        };
        let directory = tree.join(format!("many/{:03}", number / 200));
        fs::create_dir_all(&directory)?;
        let mut file = File::create(directory.join(format!("{number}")))?;
        let mut left = usize::try_from(size)?;
        while left > 0 {
            let from = usize::try_from(next() % 1000)?;
            let piece = &noise[from..(from + left).min(noise.len())];
            file.write_all(piece)?;
            left -= piece.len();
        }
        made += size;
        number += 1;
    }
    Ok(())
}

fn bytes_of(tree: &Path) -> Result<u64, Box<dyn Error>> {
    let mut du = child::program("du");
    du.args(["-sb"]).arg(tree);
    Ok(child::must(du).split_ascii_whitespace().next().ok_or("du says nothing")?.parse()?)
}

fn copy(world: &World, laptop: &Laptop) -> Result<Trip, Box<dyn Error>> {
    let file = world.dir.join("copy");
    fs::create_dir_all(&file)?;
    system::give(&file, system::CLIENT_LOGIN, system::DUMP_USER);
    let mut shell = laptop.here("sh");
    let address = world.hosts[0].cable.as_ref().ok_or("planned")?.server;
    shell.arg("-c").arg(format!(
        "tar -C '{}' -cf - . | ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o UserKnownHostsFile='{}' -i '{}' -p {} -l {} {address} 'cat > {}/out'",
        world.hosts[0].tree.display(),
        laptop.known_hosts().display(),
        laptop.dir.join("key").display(),
        world.door.port,
        system::CLIENT_LOGIN,
        file.display(),
    ));
    let begin = Instant::now();
    let (finished, trip) = watched(world, Background::start(shell), None);
    finished.expect_code(0);
    let seconds = begin.elapsed().as_secs_f64();
    fs::remove_dir_all(&file)?;
    Ok(Trip { seconds, ..trip })
}

fn dump(world: &World, laptop: &Laptop) -> Result<Trip, Box<dyn Error>> {
    let host = &world.hosts[0];
    let mut force = world.amanda.command("amadmin");
    force.args([world.name.as_str(), "force"]).arg(&host.name).arg(&host.disk);
    child::run(force, MINUTE);
    let amandas = nix::unistd::User::from_name(system::DUMP_USER)?.map(|user| user.uid.as_raw());
    let (finished, trip) = watched(world, laptop.trigger(), amandas);
    finished.expect_code(0);
    // The dumper's own seconds: Amanda waits for some before it begins, whoever its client is.
    let (_, log) = world.amanda.run_logs().pop().ok_or("no run log")?;
    let line = log.lines().find(|line| line.starts_with("SUCCESS dumper")).ok_or("no dump")?;
    let seconds = line.split("[sec ").nth(1).and_then(|rest| rest.split(' ').next()).ok_or("no seconds")?.parse()?;
    for held in world.holding_files() {
        let _ = fs::remove_file(world.amanda.root.join("hold").join(&held));
    }
    Ok(Trip { seconds, ..trip })
}

/// Follows a command and what the world's sshd has started until the command ends. The programs of one account do not count:
/// of Amanda's own there are none beside tar and ssh.
fn watched(world: &World, mut running: Background, without: Option<u32>) -> (asyncamanda_tests::Finished, Trip) {
    let mut ticks: BTreeMap<i32, u64> = BTreeMap::new();
    let mut memory = [0, 0];
    let before: BTreeMap<i32, u64> = procs::all().iter().filter_map(|process| Some((process.pid, cpu(process.pid)?))).collect();
    while running.is_running() {
        let table = procs::all();
        let ours = world.hosts[0].cable.as_ref().map(|cable| cable.processes()).unwrap_or_default();
        let door: Vec<i32> = world.door.pid().into_iter().collect();
        for process in ours.into_iter().chain(procs::with_descendants(&table, &door)) {
            let owner = fs::metadata(format!("/proc/{}", process.pid)).map(|meta| std::os::unix::fs::MetadataExt::uid(&meta)).ok();
            if without.is_some() && owner == without {
                continue;
            }
            if let Some(now) = cpu(process.pid) {
                ticks.insert(process.pid, now - before.get(&process.pid).copied().unwrap_or(0).min(now));
            }
            let program = process.args.first().map(String::as_str).unwrap_or_default();
            let who = [
                program.ends_with("/asyncamanda"),
                program.ends_with("/asyncamanda-shim") && process.args.iter().any(|arg| arg == "serve"),
            ];
            for (who, most) in who.into_iter().zip(&mut memory) {
                if who {
                    *most = (*most).max(procs::most_memory_kib(process.pid).unwrap_or(0));
                }
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let cpu = ticks.values().sum::<u64>() as f64 / TICKS;
    (running.wait(PATIENCE), Trip { seconds: 0.0, cpu, memory })
}

/// Returns the clock ticks that a process has used, its own and none of its children.
fn cpu(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let words: Vec<&str> = stat.rsplit(')').next()?.split_ascii_whitespace().collect();
    Some(words.get(11)?.parse::<u64>().ok()? + words.get(12)?.parse::<u64>().ok()?)
}
