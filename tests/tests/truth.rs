//! A receipt is the only proof, so it must be true: what Amanda, the client or the holding disk say is not enough, and no later
//! run may build on a dump that the server does not have.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use asyncamanda_tests::laptop::{PATIENCE, assert_backed_up, receipts};
use asyncamanda_tests::wait::until_true;
use asyncamanda_tests::{Finished, Host, Laptop, Plan, World, child};
use wire::{Outcome, Receipt};

const MINUTE: Duration = Duration::from_secs(60);

/// A laptop whose messages to the server pass the proxy that can lie.
fn behind_the_proxy() -> World {
    World::new(Plan { over_ssh: vec![0], ..Plan::default() })
}

/// Backs up now, and says that it failed and that the receipt says so.
#[track_caller]
fn fail_to_back_up(laptop: &Laptop) -> Receipt {
    not_a_backup(&laptop.ask(&["now", "--json"]))
}

#[track_caller]
fn not_a_backup(ended: &Finished) -> Receipt {
    assert_eq!(ended.code, Some(1), "{ended}");
    let [receipt] = &receipts(ended)[..] else { panic!("one receipt was expected: {ended}") };
    assert!(!receipt.is_backup(), "{receipt:#?}");
    assert!(!receipt.reason.is_empty(), "{receipt:#?}");
    receipt.clone()
}

fn plant(host: &Host, name: &str) {
    fs::write(host.disk.join(name), format!("{name}\n")).expect("a tree of our own");
}

/// Makes the next dump of a disk a full one, as an administrator would.
fn force(world: &World, host: &Host) {
    let mut force = world.amanda.command("amadmin");
    force.args([world.name.as_str(), "force"]).arg(&host.name).arg(&host.disk);
    child::must(force);
}

#[test]
fn a_full_dump_that_failed_after_the_clients_ok_is_not_built_on() {
    let world = behind_the_proxy();
    let (host, laptop) = (&world.hosts[0], world.laptop(0));
    assert_backed_up(&laptop.back_up(), host);
    plant(host, "between the two full dumps");
    force(&world, host);
    world.lie("cut-at-end");
    let failed = fail_to_back_up(&laptop);
    assert!(matches!(failed.outcome, Outcome::Failed | Outcome::Partial), "{failed:#?}");
    let believes = fs::read_to_string(&laptop.amandates).expect("Amanda's client writes it");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let dated: u64 = believes.trim().rsplit(' ').next().and_then(|epoch| epoch.parse().ok()).expect("disk, level, time");
    assert!(now - dated < 60, "the client does not believe in the dump that failed, so this proves nothing: {believes}");

    world.lie("");
    plant(host, "after the one that failed");
    // Amandates and Amanda's own history say that a level 1 will do.
    assert_backed_up(&laptop.back_up(), host);
    world.assert_restores(&world.name, host);
    world.assert_at_rest();
}

#[test]
fn a_first_backup_that_failed_on_the_server_leaves_the_laptop_due() {
    let world = behind_the_proxy();
    let (host, laptop) = (&world.hosts[0], world.laptop(0));
    world.lie("cut-at-end");
    // What a scheduler calls: it says that a person should know.
    let failed = laptop.ask(&["run"]).expect_code(1);
    assert!(failed.stderr.contains("not backed up"), "{failed}");
    assert!(
        fs::read_to_string(&laptop.amandates).expect("Amanda's client writes it").contains("home0"),
        "the client does not believe in it"
    );

    world.lie("");
    plant(host, "made since");
    let connections = world.door.connections();
    let again = laptop.ask(&["run"]).expect_code(0);
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("", ""));
    assert!(world.door.connections() > connections, "the client's own belief made the laptop fresh");
    world.assert_restores(&world.name, host);
    assert_eq!(laptop.ask(&["run"]).expect_code(0).stderr, "");
    assert_eq!(world.amanda.good_dumps(host), 1);
    world.assert_at_rest();
}

#[test]
fn a_false_checksum_is_no_backup_and_the_next_run_is_a_full_dump() {
    let world = behind_the_proxy();
    let (host, laptop) = (&world.hosts[0], world.laptop(0));
    world.lie("false-crc");
    let failed = fail_to_back_up(&laptop);
    assert_eq!(failed.outcome, Outcome::Failed);
    assert!(failed.reason.contains("other bytes"), "{failed:#?}");
    assert!(world.amanda.words_on(host).iter().any(|word| word.what == "SUCCESS"), "Amanda minded, so this proves nothing");

    world.lie("");
    plant(host, "made since");
    let next = laptop.back_up();
    assert_backed_up(&next, host);
    assert_eq!((next[0].level, next[0].chain.len()), (Some(0), 1), "{next:#?}");
    world.assert_restores(&world.name, host);
    world.assert_at_rest();
}

#[test]
fn a_failure_that_the_driver_made_good_in_the_same_run_is_a_backup() {
    let world = behind_the_proxy();
    let (host, laptop) = (&world.hosts[0], world.laptop(0));
    world.lie("cut-once");
    let receipts = laptop.back_up();
    assert_backed_up(&receipts, host);
    assert!(!world.lies(), "nothing was cut, so this proves nothing");
    let words = world.amanda.words_on(host);
    assert!(words.iter().any(|word| word.what == "FAIL" || word.what == "PARTIAL"), "nothing failed: {words:?}");
    assert_eq!((world.amanda.run_logs().len(), world.amanda.good_dumps(host)), (1, 1));
    world.assert_restores(&world.name, host);

    plant(host, "made since");
    assert_backed_up(&laptop.back_up(), host);
    world.assert_restores(&world.name, host);
    world.assert_at_rest();
}

#[test]
fn a_disk_whose_base_has_vanished_gets_a_full_dump() {
    let world = World::new(Plan::default());
    let (host, laptop) = (&world.hosts[0], world.laptop(0));
    assert_backed_up(&laptop.back_up(), host);
    make_room(&world);
    plant(host, "made since");
    let next = laptop.back_up();
    assert_backed_up(&next, host);
    assert_eq!((next[0].level, next[0].chain.len()), (Some(0), 1), "{next:#?}");
    world.assert_restores(&world.name, host);
}

#[test]
fn an_incremental_dump_whose_base_vanishes_meanwhile_is_no_backup_and_the_next_one_is_full() {
    let world = World::new(Plan { gated: vec![0], ..Plan::default() });
    let (host, laptop, watch) = (&world.hosts[0], world.laptop(0), world.watch());
    let gate = host.gate.as_ref().expect("planned");
    assert_backed_up(&laptop.back_up(), host);
    let full = watch.dumps_of(&host.disk);
    // More than the pipes between tar and the gate hold.
    fs::write(host.disk.join("made since"), vec![7; 1 << 20]).expect("a tree of our own");
    gate.close();
    let mut incremental = laptop.trigger();
    until_true("the incremental dump", MINUTE, || {
        assert!(incremental.is_running(), "it has ended: {:?}", incremental.so_far());
        watch.dumps_of(&host.disk) > full && world.holding_files().iter().any(|name| name.ends_with(".tmp"))
    });
    make_room(&world);
    gate.open();
    let failed = not_a_backup(&incremental.wait(PATIENCE));
    assert_eq!(failed.level, Some(1), "it builds on nothing, so this proves nothing: {failed:#?}");
    assert!(failed.reason.contains("gone"), "{failed:#?}");

    let next = laptop.back_up();
    assert_backed_up(&next, host);
    assert_eq!(next[0].level, Some(0), "{next:#?}");
    world.assert_restores(&world.name, host);
    world.assert_at_rest();
}

/// Removes every dump that is done from the holding disk, behind Amanda's back, as somebody does who needs the room.
fn make_room(world: &World) {
    let done: Vec<_> = world.holding_files().into_iter().filter(|name| !name.ends_with(".tmp") && !name.ends_with("/pid")).collect();
    assert!(!done.is_empty(), "nothing is there");
    for name in done {
        fs::remove_file(world.amanda.root.join("hold").join(name)).expect("root may");
    }
}

#[test]
fn a_dump_in_many_chunks_is_whole_though_other_runs_begin_and_end_beside_it() {
    let world = World::new(Plan { hosts: 3, gated: vec![0], second_run_after: "1 s", ..Plan::default() });
    let watch = world.watch();
    world.amanda.edit("chunksize 1 Mb", "chunksize 256 Kb");
    let host = &world.hosts[0];
    let gate = host.gate.as_ref().expect("planned");
    gate.close_after(1 << 20);
    let laptops: Vec<_> = (0..3).map(|index| world.laptop(index)).collect();
    let mut long = laptops[0].trigger();
    watch.until_dumping(&host.disk, &mut long);
    let chunks = || world.holding_files().into_iter().filter(|name| name.contains("home0")).collect::<Vec<_>>();
    until_true("several chunks", MINUTE, || chunks().len() > 3);

    // Amanda's programs take away each other's proof that somebody works on the holding disk, and the next one tidies up.
    for index in [1, 2] {
        assert_backed_up(&laptops[index].back_up(), &world.hosts[index]);
    }
    assert!(long.is_running(), "it was over before the others");
    gate.open();
    let long = receipts(&long.wait(PATIENCE).expect_code(0));
    assert_backed_up(&long, host);
    assert!(chunks().len() > 6, "there were not many chunks: {:?}", chunks());
    for host in &world.hosts {
        world.assert_restores(&world.name, host);
    }
    world.assert_at_rest();
    watch.assert_no_clash();
}
