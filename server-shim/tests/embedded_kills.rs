//! Runs that are killed at each of their system calls that change something, under strace; what they leave is mended by the next.
//!
//! The program is this test itself, called again for one run. It does nothing where there is no strace.

mod vault;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicI64;

use amanda::dle::Dle;
use asyncamanda_shim::engine::embedded::catalog;
use asyncamanda_shim::engine::embedded::make::{Plan, make};
use asyncamanda_shim::engine::embedded::run::run_with;
use asyncamanda_shim::engine::embedded::site::Site;
use asyncamanda_shim::engine::embedded::verify::verify;
use vault::{DAY, Ears, Fake, FakeAt, NOW, Next, World, all, check, dle, is_whole};

/// Everything that changes a file system, and what makes it durable. strace counts the calls of each name by themselves.
const CALLS: [&str; 11] =
    ["rename", "unlink", "unlinkat", "rmdir", "mkdir", "write", "pwrite64", "ftruncate", "symlink", "fsync", "fdatasync"];

const VAULT: &str = "EMBEDDED_KILLS_VAULT";

#[test]
fn one_run_for_those_who_kill_it() {
    let (Some(vault), Some(now)) = (env::var_os(VAULT), env::var("EMBEDDED_KILLS_NOW").ok()) else { return };
    if env::var_os("EMBEDDED_KILLS_MAKE").is_some() {
        let plan = plan();
        let mut site = if Site::is_vault(Path::new(&vault)) {
            Site::open(Path::new(&vault), None).expect("opened")
        } else {
            make(Path::new(&vault), &plan).expect("made")
        };
        site.add_disk(&dle("/home"), None).expect("added");
        return;
    }
    let site = Site::open(Path::new(&vault), None).expect("opened");
    let fake = Fake::default();
    fake.set(&dle("/home"), Next::Bytes(300_000));
    fake.set(&dle("/srv"), Next::Bytes(5_000));
    let now: i64 = now.parse().expect("a number");
    let receipts = run_with(&site, "run", &[all()], &FakeAt(&fake, site.indexdir()), &Ears::default(), &|| now).expect("a run");
    // Printed before it ends: what is claimed from here on.
    for receipt in receipts.iter().filter(|receipt| receipt.is_backup()) {
        let disk = receipt.disk.as_os_str().to_string_lossy();
        let line = format!("CLAIMED {disk} {} {}\n", receipt.datestamp, receipt.level.unwrap_or(99));
        std::io::stdout().write_all(line.as_bytes()).expect("printed");
    }
}

fn plan() -> Plan {
    Plan { dumpcycle: 3, retention_days: 6, volume_kb: Some(1024), ..Plan::default() }
}

/// Runs this program once; killed at the n-th of the calls when `kill` is given. Returns whether it came to its end, and what it
/// printed.
fn once(vault: &Path, now: i64, kill: Option<(&str, usize)>, making: bool) -> (bool, String) {
    let this = env::current_exe().expect("this program");
    let mut command = match kill {
        Some((call, at)) => {
            let mut command = Command::new("strace");
            command.args(["-f", "-qq", "-o", "/dev/null"]);
            command.args(["-e", &format!("trace={call}"), "-e", &format!("inject={call}:signal=KILL:when={at}")]);
            command.arg(this);
            command
        }
        None => Command::new(this),
    };
    command.args(["--exact", "one_run_for_those_who_kill_it", "--nocapture", "--test-threads=1"]);
    command.env(VAULT, vault).env("EMBEDDED_KILLS_NOW", now.to_string()).env_remove("EMBEDDED_KILLS_MAKE");
    if making {
        command.env("EMBEDDED_KILLS_MAKE", "1");
    }
    let output = command.stdin(Stdio::null()).output().expect("started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if kill.is_none() {
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    (output.status.success(), text)
}

/// Lists every call that a run on this vault makes. The run is made on a copy.
fn kills_of(vault: &Path, now: i64, making: bool) -> Vec<(&'static str, usize)> {
    let keep = vault::temporary();
    let copy = keep.path().join("copy");
    if !making {
        copied(vault, &copy);
        Site::open(&copy, None).and_then(|site| site.for_writing()).expect("moved");
    }
    let mut kills = Vec::new();
    let trace = keep.path().join("trace");
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-o"])
        .arg(&trace)
        .args(["-e", &format!("trace={}", CALLS.join(","))])
        .arg(env::current_exe().expect("this"));
    command.args(["--exact", "one_run_for_those_who_kill_it", "--nocapture", "--test-threads=1"]);
    command.env(VAULT, &copy).env("EMBEDDED_KILLS_NOW", now.to_string());
    if making {
        command.env("EMBEDDED_KILLS_MAKE", "1");
    }
    assert!(command.stdout(Stdio::null()).status().expect("started").success());
    let text = fs::read_to_string(trace).expect("a trace");
    for call in CALLS {
        let count =
            text.lines().filter(|line| line.split_whitespace().nth(1).is_some_and(|word| word.starts_with(&format!("{call}(")))).count();
        kills.extend((1..=count).map(|at| (call, at)));
    }
    kills
}

fn has_strace() -> bool {
    let there = Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    if !there {
        assert!(std::env::var_os("CI").is_none(), "CI has strace");
        eprintln!("nothing is killed: it takes strace");
    }
    there
}

type Claim = (Dle, String, u8);

fn claims(text: &str) -> BTreeSet<Claim> {
    let lines = text.lines().filter_map(|line| line.split("CLAIMED ").nth(1));
    lines
        .map(|line| {
            let words: Vec<_> = line.split(' ').collect();
            (dle(words[0]), words[1].to_owned(), words[2].parse().expect("a level"))
        })
        .collect()
}

/// A copy of a vault at another place is the same vault, moved.
fn copied(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp");
    assert!(status.success());
}

/// What was claimed and is younger than the retention, or the last of its disk, is there and whole; nothing half is listed.
fn keeps(site: &Site, claimed: &BTreeSet<Claim>, now: i64, case: &str) {
    let catalog = catalog::load(site).expect("a catalog");
    for (dle, stamp, level) in claimed {
        let is_young = asyncamanda_shim::engine::embedded::stamp::seconds(stamp).expect("a stamp") + 6 * DAY > now;
        let is_last = claimed.iter().filter(|(other, ..)| other == dle).all(|(_, other, _)| other <= stamp);
        if !is_young && !is_last {
            continue;
        }
        let dump = catalog.of(dle).iter().find(|dump| dump.datestamp == *stamp && dump.level == *level);
        assert!(dump.is_some_and(|dump| is_whole(&catalog, dle, dump)), "{case}: {dle} {stamp} {level} was claimed and is lost");
    }
    for (dle, dumps) in &catalog.chains {
        for dump in dumps.iter().filter(|dump| dump.is_certain()) {
            assert!(is_whole(&catalog, dle, dump), "{case}: {dle} {} is listed and is not whole", dump.datestamp);
        }
    }
}

#[test]
fn whatever_call_a_run_is_killed_at_nothing_is_lost_and_the_next_run_mends_it() {
    if !has_strace() {
        return;
    }
    let keep = vault::temporary();
    let first = keep.path().join("first");
    let mut site = make(&first, &plan()).expect("made");
    for disk in ["/home", "/srv"] {
        site.add_disk(&dle(disk), None).expect("added");
    }
    let (mut kills, mut erased) = (0, false);
    let mut claimed = BTreeSet::new();
    let vault = first;
    // The first run; one that adds to a volume; one that erases one.
    for day in 0..16 {
        let now = NOW + day * DAY;
        if matches!(day, 0 | 1 | 13) {
            let before = catalog::load(&Site::open(&vault, None).expect("opened")).expect("a catalog").dumps.len();
            for kill in kills_of(&vault, now, false) {
                let case = format!("day {day}, {kill:?}");
                let copy = keep.path().join("copy");
                copied(&vault, &copy);
                // Paths are written anew before, so that this is no part of it.
                Site::open(&copy, None).and_then(|site| site.for_writing()).expect("moved");
                let (ended, text) = once(&copy, now, Some(kill), false);
                let site = Site::open(&copy, None).expect("opened");
                let mut all = claimed.clone();
                all.extend(claims(&text));
                keeps(&site, &all, now, &case);
                let (_, text) = once(&copy, now + 60, None, false);
                let new = claims(&text);
                assert_eq!(new.len(), 2, "{case}: {text}");
                erased |= catalog::load(&site).expect("a catalog").dumps.len() < before;
                all.extend(new);
                keeps(&site, &all, now + 60, &case);
                check(&site);
                assert_eq!(verify(&site, &Ears::default()).expect("verified"), [], "{case}");
                fs::remove_dir_all(&copy).expect("removed");
                kills += usize::from(!ended);
            }
        }
        let (_, text) = once(&vault, now, None, false);
        claimed.extend(claims(&text));
    }
    eprintln!("{kills} kills");
    assert!(kills > 100 && erased, "{kills}");
}

#[test]
fn a_run_that_is_killed_twice_is_mended_all_the_same() {
    if !has_strace() {
        return;
    }
    let keep = vault::temporary();
    let first = keep.path().join("first");
    let mut site = make(&first, &plan()).expect("made");
    site.add_disk(&dle("/home"), None).expect("added");
    let (_, text) = once(&first, NOW, None, false);
    let claimed = claims(&text);
    let mut kills = 0;
    for (round, kill) in kills_of(&first, NOW + DAY, false).into_iter().step_by(5).enumerate() {
        let copy = keep.path().join("copy");
        copied(&first, &copy);
        Site::open(&copy, None).and_then(|site| site.for_writing()).expect("moved");
        once(&copy, NOW + DAY, Some(kill), false);
        for (again, call) in ["rename", "fsync", "unlink", "write"].into_iter().enumerate() {
            let (_, text) = once(&copy, NOW + DAY, Some((call, 1 + (again + round) % 5)), false);
            let site = Site::open(&copy, None).expect("opened");
            keeps(&site, &claimed.iter().cloned().chain(claims(&text)).collect(), NOW + DAY, &format!("{kill:?}, {call}"));
            kills += 1;
        }
        once(&copy, NOW + DAY + 60, None, false);
        check(&Site::open(&copy, None).expect("opened"));
        fs::remove_dir_all(&copy).expect("removed");
    }
    assert!(kills > 20, "{kills}");
}

#[test]
fn whatever_call_the_making_of_a_vault_is_killed_at_the_next_makes_it() {
    if !has_strace() {
        return;
    }
    let keep = vault::temporary();
    let kills = kills_of(&keep.path().join("vault"), NOW, true);
    assert!(kills.len() > 20, "{kills:?}");
    for (at, kill) in kills.into_iter().enumerate() {
        let vault = keep.path().join(format!("vault-{at}"));
        once(&vault, NOW, Some(kill), true);
        once(&vault, NOW, None, true);
        let site = Site::open(&vault, None).expect("opened");
        assert_eq!(site.disks().len(), 1, "{kill:?}");
        let world = World { keep: vault::temporary(), site, fake: Fake::default(), now: AtomicI64::new(NOW) };
        let (receipts, _) = world.run();
        assert!(receipts.len() == 1 && receipts[0].is_backup(), "{kill:?}: {receipts:?}");
        check(&world.site);
    }
}
