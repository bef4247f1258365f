//! Ratios, measured in one run on one machine, for people to look at: nothing is asserted here.
//!
//! `cargo build --release --workspace --bins && target/release/bench [dry|trigger|waiting|eight|tunnel|vault|restore|planner …]`, as root. Things that are
//! compared take turns (A B A B), and medians are shown, so that a busy moment hits both.

mod planner;
mod restore;
mod table;
mod tunnel;
mod vault;

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use asyncamanda_tests::child::{self, Background};
use asyncamanda_tests::laptop::PATIENCE;
use asyncamanda_tests::procs::{self, Process};
use asyncamanda_tests::wait::until_true;
use asyncamanda_tests::{Caller, Laptop, Plan, World, sshd, system};
use table::{Aim, Table, kib, ratio};
use wire::request;

const MINUTE: Duration = Duration::from_secs(60);
const ROUNDS: usize = 31;
const MANY: usize = 200;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let missing = system::missing();
    if !nix::unistd::geteuid().is_root() || !missing.is_empty() {
        eprintln!("bench: this needs root and the packages that tests/run installs; missing: {}", missing.join(" "));
        return ExitCode::FAILURE;
    }
    if cfg!(debug_assertions) {
        eprintln!("bench: this is a debug build; its numbers say nothing about a release");
    }
    let mut table = Table::default();
    let parts = [
        ("dry", dry as fn(&mut Table) -> Measured),
        ("trigger", trigger),
        ("waiting", waiting),
        ("eight", eight),
        ("tunnel", tunnel::tunnel),
        ("vault-small", vault::small),
        ("vault-large", vault::large),
        ("restore", restore::restore),
        ("planner", planner::planner),
    ];
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|want| name == want || name.starts_with(&format!("{want}-"))) {
            eprintln!("bench: {name} …");
            if let Err(error) = part(&mut table) {
                eprintln!("bench: {name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    print!("{}", table.text());
    ExitCode::SUCCESS
}

type Measured = Result<(), Box<dyn Error>>;

// ---- a call that finds nothing to do

fn dry(table: &mut Table) -> Measured {
    let world = World::new(Plan { engine: "none", ..Plan::default() });
    let mut laptop = world.laptop(0);
    for lines in [10, 1_000_000] {
        let dates = world.dir.join("amandates-long");
        fs::write(&dates, amandates(&laptop.disk, lines)?)?;
        laptop.use_amandates(&dates);
        let run = || laptop.agent(&["run"]);
        let wc = || {
            let mut wc = child::program("wc");
            wc.arg("-l").arg(&dates);
            wc
        };
        let [ours, nothing, counted] = in_turns(if lines > 10 { 15 } else { ROUNDS }, [&run, &|| child::program("/bin/true"), &wc])?;
        table.time(
            &format!("run, not due, {lines} lines"),
            ours,
            "/bin/true",
            nothing,
            if lines > 10 { Aim::None } else { Aim::Within(Duration::from_millis(3)) },
        );
        table.time(&format!("run, not due, {lines} lines"), ours, "wc -l", counted, if lines > 10 { Aim::Times(3.0) } else { Aim::None });
    }
    Ok(())
}

/// Returns an amandates of so many lines, in which a disk was backed up an hour ago.
fn amandates(disk: &Path, lines: usize) -> Result<String, Box<dyn Error>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut text = String::new();
    for n in 0..lines - 1 {
        writeln!(text, "/srv/data/of/somebody/else{n:07} {} {}", n % 3, now - 3600 - n as u64 % 80_000)?;
    }
    writeln!(text, "{} 0 {}", disk.display(), now - 3600)?;
    Ok(text)
}

// ---- there and back

fn trigger(table: &mut Table) -> Measured {
    let world = World::new(Plan { engine: "none", gather: "0 s", ..Plan::default() });
    world.edit_shim_toml("[limits]\n", "[limits]\nruns_per_day = 1000000\n");
    let laptop = world.laptop(0);
    let rule = format!("[host.\"{}\"]\n", world.hosts[0].name);
    world.edit_shim_toml(&rule, &format!("{rule}disks = [\"{}\"]\n", laptop.disk.display()));
    world.door.allow_anything(system::CLIENT_LOGIN, &sshd::public_key(&laptop.dir.join("key")));
    let bare = || {
        let mut ssh = child::program("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o"]);
        ssh.arg(format!("UserKnownHostsFile={}", laptop.known_hosts().display())).arg("-i").arg(laptop.dir.join("key"));
        ssh.args(["-p", &world.door.port.to_string(), "-l", system::CLIENT_LOGIN, "127.0.0.1", "true"]);
        ssh
    };
    let first = child::run(laptop.agent(&["now"]), MINUTE);
    // The engine makes no dumps, and the agent says so; any other ending would measure something else.
    if first.code != Some(1) || !first.stderr.contains("makes no dumps") {
        return Err(format!("a trigger went wrong: {first}").into());
    }
    let [ours, ssh] = in_turns(ROUNDS, [&|| laptop.agent(&["now"]), &bare])?;
    table.time("a trigger, engine \"none\"", ours, "ssh host true", ssh, Aim::Times(1.05));
    let [look, ssh] = in_turns(ROUNDS, [&|| laptop.agent(&["check"]), &bare])?;
    table.time("check (hello, query)", look, "ssh host true", ssh, Aim::None);
    Ok(())
}

// ---- many wait

fn waiting(table: &mut Table) -> Measured {
    let world = World::new(Plan { gated: vec![0], second_run_after: "10 h", ..Plan::default() });
    let names: Vec<String> = (0..MANY).map(|n| format!("h{n:03}")).collect();
    world.add_hosts(&names);
    let (host, laptop) = (&world.hosts[0], world.laptop(0));
    let gate = host.gate.as_ref().ok_or("planned")?;
    gate.close();
    let watch = world.watch();
    let mut running = laptop.trigger();
    watch.until_dumping(&host.disk, &mut running);
    drop(watch);
    let mut sessions: Vec<Caller> = Vec::new();
    for name in &names {
        sessions.push(Caller::call(own_key(&world, &laptop, name)?));
        let _ticket = sessions.last_mut().map(|session| session.trigger(&host.disk, MINUTE));
    }
    let all = procs::all();
    let of = |is: &dyn Fn(&Process) -> bool| all.iter().filter(|process| is(process)).map(|process| process.pid).collect::<Vec<_>>();
    let shims = of(&|process| {
        process.name.starts_with("asyncamanda-shi")
            && process.mentions("serve")
            && process.mentions(&world.dir.to_string_lossy())
            && process.name != "sh"
    });
    let listener = all
        .iter()
        .find(|process| process.name == "sshd" && process.mentions(&world.dir.to_string_lossy()))
        .map_or(0, |process| process.pid);
    let family = procs::with_descendants(&all, &[listener]);
    let sshds: Vec<i32> =
        family.iter().filter(|process| process.name == "sshd" && process.pid != listener).map(|process| process.pid).collect();
    let own = |pids: &[i32]| pids.iter().filter_map(|pid| procs::own_memory_kib(*pid)).collect::<Vec<u64>>();
    let sum = |values: &[u64]| values.iter().sum::<u64>();
    let (shim_own, sshd_own) = (own(&shims), own(&sshds));
    let sshd_rss: Vec<u64> = sshds.iter().filter_map(|pid| rss_kib(*pid)).collect();
    table.row(
        format!("{} shims wait, own memory", shims.len()),
        kib(middle(&shim_own)),
        "the largest".into(),
        kib(shim_own.iter().copied().max().unwrap_or(0)),
        String::new(),
        "< 2 MiB",
    );
    table.row(
        format!("{} shims together", shims.len()),
        kib(sum(&shim_own)),
        format!("{} sshd's own", sshds.len()),
        kib(sum(&sshd_own)),
        ratio(sum(&shim_own) as f64, sum(&sshd_own) as f64),
        "",
    );
    table.row(
        "one session: its shim, own".into(),
        kib(middle(&shim_own)),
        "its sshd's, resident".into(),
        kib(sum(&sshd_rss) / MANY as u64),
        String::new(),
        "",
    );
    for (what, args) in [("status --json", &["status", "--json"][..]), ("status", &["status"])] {
        let [took] = in_turns(ROUNDS, [&|| world.shim(args)])?;
        table.time(&format!("{what}, {MANY} wait"), took, "", Duration::ZERO, Aim::Below(Duration::from_millis(100)));
    }
    drop(sessions);
    drop(running);
    drop(world);

    // The same behind an amdump that was typed by hand.
    let world = World::new(Plan { gated: vec![0], second_run_after: "10 h", ..Plan::default() });
    world.add_hosts(&names);
    let host = &world.hosts[0];
    host.gate.as_ref().ok_or("planned")?.close();
    let watch = world.watch();
    let mut typed = Background::start(world.amanda.amdump(&world.name, &[host]));
    watch.until_dumping(&host.disk, &mut typed);
    drop(watch);
    let mut sessions: Vec<Caller> = Vec::new();
    for name in &names {
        sessions.push(Caller::call(world.serve(name, Some(request::AGENT))));
        let _ticket = sessions.last_mut().map(|session| session.trigger(&host.disk, MINUTE));
    }
    let [took] = in_turns(ROUNDS, [&|| world.shim(&["status", "--json"])])?;
    table.time("the same behind an amdump by hand", took, "", Duration::ZERO, Aim::Below(Duration::from_millis(100)));
    Ok(())
}

/// Returns an ssh call with a key of its own, which stands for that host.
fn own_key(world: &World, laptop: &Laptop, name: &str) -> Result<Command, Box<dyn Error>> {
    let key = laptop.dir.join(format!("key-{name}"));
    sshd::keypair(&key);
    world.door.allow(system::LOGIN, &sshd::public_key(&key), &world.forced_command(name));
    let like = laptop.ssh(Some(request::AGENT));
    let mut ssh = child::program("ssh");
    let arguments: Vec<_> = like
        .get_args()
        .map(|arg| if Path::new(arg) == laptop.dir.join("key") { key.clone().into_os_string() } else { arg.to_owned() })
        .collect();
    ssh.args(arguments);
    Ok(ssh)
}

fn rss_kib(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

// ---- eight at once

fn eight(table: &mut Table) -> Measured {
    let world = World::new(Plan { hosts: 8, ..Plan::default() });
    let laptops: Vec<Laptop> = (0..8).map(|index| world.laptop(index)).collect();
    let (mut one, mut all) = (Vec::new(), Vec::new());
    let backed_up = |triggers: Vec<Background>| -> Result<Duration, Box<dyn Error>> {
        let begin = Instant::now();
        for trigger in triggers {
            let finished = trigger.wait(PATIENCE);
            if finished.code != Some(0) {
                return Err(format!("a trigger failed: {finished}").into());
            }
        }
        Ok(begin.elapsed())
    };
    // Of a disk without history Amanda's planner guesses that it has a quarter of a tape.
    backed_up(laptops.iter().map(Laptop::trigger).collect())?;
    for _ in 0..3 {
        one.push(backed_up(vec![laptops[0].trigger()])?);
        all.push(backed_up(laptops.iter().map(Laptop::trigger).collect())?);
        until_true("the runner to end", MINUTE, || world.status()["runner"]["alive"] == false);
    }
    one.sort();
    all.sort();
    table.time("eight triggers at once", all[1], "one trigger", one[1], Aim::Times(1.3));
    Ok(())
}

// ---- measuring and showing

/// Runs commands in turns and returns the median of each.
fn in_turns<const N: usize>(rounds: usize, commands: [&dyn Fn() -> Command; N]) -> Result<[Duration; N], Box<dyn Error>> {
    let mut times: [Vec<Duration>; N] = std::array::from_fn(|_| Vec::new());
    // The first round warms caches and is not counted.
    for round in 0..=rounds {
        for (command, times) in commands.iter().zip(&mut times) {
            let mut command = command();
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let begin = Instant::now();
            command.status()?;
            let took = begin.elapsed();
            if round > 0 {
                times.push(took);
            }
        }
    }
    Ok(times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    }))
}

fn middle(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}
