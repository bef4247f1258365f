//! The main job: an overdue laptop calls over a real sshd, a real Amanda dumps it, a receipt comes back and is kept, and what
//! was dumped is what was there.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use asyncamanda_tests::laptop::{PATIENCE, assert_backed_up, receipts};
use asyncamanda_tests::{Plan, World, child, system, tree};

/// A line of amandates as Amanda's client writes it, that many hours old.
fn dated(disk: &Path, hours: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    format!("{} 0 {}\n", disk.display(), now - hours * 3600)
}

#[test]
fn an_overdue_laptop_backs_itself_up_and_the_second_run_is_silent_and_opens_no_connection() {
    let world = World::new(Plan::default());
    let host = &world.hosts[0];
    let laptop = world.laptop(0);
    fs::write(&laptop.amandates, dated(&laptop.disk, 8 * 24)).expect("the file is there");

    let first = laptop.ask(&["run"]).expect_code(0);
    assert_eq!(first.stdout, "", "run has nothing to print for a program");
    assert_eq!(world.amanda.good_dumps(host), 1);
    let [dump] = &world.chain(&world.name, host)[..] else { panic!("one dump was expected: {}", world.told()) };
    assert!(Path::new(&dump.place).starts_with(world.amanda.root.join("hold")), "it went to the holding disk: {dump:?}");
    assert!(tree::contains(&laptop.state(), dump.datestamp.as_bytes()), "no receipt of {dump:?} below {}", laptop.state().display());
    world.assert_restores(&world.name, host);
    world.assert_at_rest();

    let connections = world.door.connections();
    assert!(connections > 0);
    // The hint grows old again; the receipt outranks it.
    fs::write(&laptop.amandates, dated(&laptop.disk, 8 * 24)).expect("the file is there");
    let second = laptop.ask(&["run"]).expect_code(0);
    assert_eq!((second.stdout.as_str(), second.stderr.as_str()), ("", ""));
    assert_eq!(world.door.connections(), connections, "a laptop that is not due called the server");
    assert_eq!(world.amanda.good_dumps(host), 1);
}

#[test]
fn a_laptop_whose_last_backup_was_made_an_hour_ago_by_the_perl_script_stays_silent() {
    let world = World::new(Plan::default());
    let laptop = world.laptop(0);
    fs::write(&laptop.amandates, dated(&laptop.disk, 1)).expect("the file is there");
    let connections = world.door.connections();
    let run = laptop.ask(&["run"]).expect_code(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    assert_eq!(world.door.connections(), connections);
}

#[test]
fn a_laptop_that_was_never_backed_up_is_due() {
    let world = World::new(Plan::default());
    let laptop = world.laptop(0);
    assert_eq!(fs::read_to_string(&laptop.amandates).expect("the file is there"), "");
    laptop.ask(&["run"]).expect_code(0);
    world.assert_restores(&world.name, &world.hosts[0]);
}

#[test]
fn the_receipt_says_what_amanda_has_and_the_next_one_builds_on_it() {
    let world = World::new(Plan { hosts: 2, ..Plan::default() });
    // The second host's disk has a space in its name.
    let (host, laptop) = (&world.hosts[1], world.laptop(1));
    let full = laptop.back_up();
    assert_backed_up(&full, host);
    let receipt = &full[0];
    let [dump] = &world.chain(&world.name, host)[..] else { panic!("one dump was expected: {}", world.told()) };
    assert_eq!((receipt.level, &receipt.datestamp), (Some(0), &dump.datestamp));
    // SUCCESS chunker HOST DISK DATESTAMP LEVEL CRC:BYTES […]: the server's own count.
    let proof = format!("{}:{}", receipt.crc32c.as_deref().expect("a checksum"), receipt.bytes.expect("a size"));
    let logs = world.amanda.logs();
    let chunker = logs.iter().flat_map(|(_, log)| log.lines()).find(|line| line.starts_with("SUCCESS chunker ")).expect("it says so");
    assert!(chunker.contains(&proof), "{proof} does not stand in {chunker}");
    assert_eq!(receipt.chain.len(), 1);
    assert!(receipt.chain[0].places.iter().any(|place| place == &dump.place), "{receipt:#?} does not name {dump:?}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    assert!(
        receipt.started <= receipt.finished && u64::try_from(receipt.finished).is_ok_and(|end| end.abs_diff(now) < 600),
        "{receipt:#?}"
    );

    fs::write(host.disk.join("docs/new"), "made between the two\n").expect("a tree of our own");
    fs::remove_dir_all(host.disk.join("mail")).expect("it is there");
    let next = laptop.back_up();
    assert_backed_up(&next, host);
    assert_eq!(next[0].level, Some(1));
    assert_eq!(next[0].chain.iter().map(|base| base.level).collect::<Vec<_>>(), [0, 1]);
    assert_ne!(next[0].run, receipt.run);
    world.assert_restores(&world.name, host);
    assert_eq!(world.amanda.good_dumps(&world.hosts[0]), 0, "a host that did not ask was dumped");
    world.assert_at_rest();
}

#[test]
fn an_old_clients_bare_amdump_line_becomes_its_own_trigger() {
    let world = World::new(Plan { hosts: 2, ..Plan::default() });
    let laptop = world.laptop(0);
    let old = format!("/usr/sbin/amdump {}", world.name);
    child::run(laptop.ssh(Some(&old)), PATIENCE).expect_code(0);
    assert_eq!(world.amanda.good_dumps(&world.hosts[0]), 1);
    assert_eq!(world.amanda.good_dumps(&world.hosts[1]), 0, "the line says nothing of hosts, the key does");
    world.assert_restores(&world.name, &world.hosts[0]);
    world.assert_at_rest();
}

#[test]
fn a_shim_that_is_roots_becomes_the_dump_user_by_itself_and_amanda_runs_as_the_dump_user() {
    let world = World::new(Plan::default());
    world.edit_shim_toml("door = \"sudo\"", "door = \"self\"");
    // The nightly run without --from-client leaves `dump-limit same-host` alone.
    world.amanda.edit(" dump-limit same-host\n", "");
    child::run(world.shim(&["run", &world.name]), PATIENCE).expect_code(0);
    assert_eq!(world.amanda.good_dumps(&world.hosts[0]), 1, "{}", world.told());
    for (name, _) in world.amanda.run_logs() {
        let owner = fs::metadata(world.amanda.root.join("log").join(&name)).expect("it is there");
        assert_eq!(owner.uid(), system::account(system::DUMP_USER).expect("it is there").uid.as_raw(), "{name}");
    }
}

#[test]
fn a_busy_minute_of_calls_costs_one_dump() {
    // A scheduler may call as often as it likes: the one that is due backs up, those after it find nothing to do.
    let world = World::new(Plan::default());
    let laptop = world.laptop(0);
    for _ in 0..5 {
        laptop.ask(&["run"]).expect_code(0);
    }
    assert_eq!(world.amanda.good_dumps(&world.hosts[0]), 1);
    let again = child::run(laptop.agent(&["now", "--json"]), Duration::from_secs(120)).expect_code(0);
    assert_backed_up(&receipts(&again), &world.hosts[0]);
    assert_eq!(world.amanda.good_dumps(&world.hosts[0]), 2, "now means now");
}
