//! What the administrator runs beside the laptops: the nightly run for the machines that are always there, and the flush that
//! feeds the tapes. Neither is in a laptop's way, and neither gets into the other's.

use std::time::Duration;

use asyncamanda_tests::laptop::{PATIENCE, assert_backed_up, receipts};
use asyncamanda_tests::procs::{self, Process};
use asyncamanda_tests::shim::column;
use asyncamanda_tests::wait::until_true;
use asyncamanda_tests::{Background, Caller, Host, Plan, World, child, until};
use serde_json::Value;
use wire::{FromShim, request};

const MINUTE: Duration = Duration::from_secs(60);

/// Takes a host's disk out of the laptops' runs, as that of a machine that is always there.
fn always_on(world: &World, host: &Host) {
    let dumptype = format!("define dumptype laptop-{} {{\n laptop\n", host.index);
    world.amanda.edit(&dumptype, &format!("{dumptype} dump-limit server\n"));
}

fn on_tape(world: &World, host: &Host) -> usize {
    world.amanda.find(&world.name, host).iter().filter(|dump| dump.status == "OK" && dump.place.starts_with(&world.name)).count()
}

/// Returns how many dumps of a disk ended well: to the holding disk or, where that has no room, to a tape at once.
fn dumps_of(world: &World, host: &Host) -> usize {
    world.amanda.words_on(host).iter().filter(|word| word.what == "SUCCESS" && word.who == "dumper").count()
}

/// Returns the dumps that wait on the holding disk for a tape.
fn held(world: &World) -> Vec<String> {
    world.holding_files().into_iter().filter(|name| name.contains("127.0.0.")).collect()
}

/// Returns the logs of the flushes that found something to do.
fn flush_logs(world: &World) -> Vec<String> {
    world.amanda.logs().into_iter().map(|(_, log)| log).filter(|log| log.contains("INFO amflush amflush pid ")).collect()
}

/// Waits for the taper of a flush, which is held at the changer.
fn taper(world: &World) -> Process {
    until("the taper", MINUTE, || world.amanda.part("taper"))
}

fn runs_of(status: &Value, kind: &str) -> usize {
    column(&status["runs"], "kind").iter().filter(|other| *other == kind).count()
}

#[test]
fn the_nightly_run_goes_beside_the_laptops_and_leaves_theirs_alone() {
    let world = World::new(Plan { hosts: 3, gated: vec![2], ..Plan::default() });
    let watch = world.watch();
    let [caller, absent, server] = &world.hosts[..] else { panic!("three were planned") };
    always_on(&world, server);
    let gate = server.gate.as_ref().expect("planned");
    gate.close();
    let mut nightly = Background::start(world.shim(&["run", &world.name]));
    watch.until_dumping(&server.disk, &mut nightly);

    // A laptop that calls meanwhile does not wait for it.
    let laptop = world.laptop(0);
    assert_backed_up(&laptop.back_up(), caller);
    assert!(nightly.is_running(), "the nightly run was over before the laptop's");
    assert_eq!(watch.most_runs(), 2, "runs at once");
    gate.open();
    let nightly = nightly.wait(PATIENCE).expect_code(0);
    assert!(nightly.stdout.contains(&server.name) && nightly.stdout.contains("OK"), "{nightly}");
    assert_eq!(nightly.stderr, "", "{nightly}");

    assert_eq!([caller, absent, server].map(|host| world.amanda.good_dumps(host)), [1, 0, 1]);
    assert_eq!([caller, absent, server].map(|host| on_tape(&world, host)), [0, 0, 1]);
    assert!(held(&world).iter().all(|name| name.contains(&caller.name)), "the nightly run left something: {:?}", held(&world));
    for (name, log) in world.amanda.run_logs() {
        let speaks_of = |host: &Host| log.lines().any(|line| line.contains(&format!(" {} ", host.name)) && line.starts_with("SUCCESS"));
        assert!(speaks_of(caller) != speaks_of(server), "{name} is not one or the other:\n{log}");
    }
    watch.assert_no_clash();
    for host in [caller, server] {
        world.assert_restores(&world.name, host);
    }
    world.assert_at_rest();
}

#[test]
fn a_laptop_that_runs_does_not_hold_up_the_nightly_run_which_says_how_it_went() {
    let world = World::new(Plan { hosts: 2, gated: vec![0], ..Plan::default() });
    let watch = world.watch();
    let [laptop, server] = &world.hosts[..] else { panic!("two were planned") };
    always_on(&world, server);
    let gate = laptop.gate.as_ref().expect("planned");
    gate.close();
    let mut running = world.laptop(0).trigger();
    watch.until_dumping(&laptop.disk, &mut running);

    // As the dump user's crontab has it. The first night the disk is not there.
    let unplugged = world.dir.join("unplugged");
    std::fs::rename(&server.disk, &unplugged).expect("a world of our own");
    let failed = child::run(world.shim_as_dump_user(&["run", &world.name]), PATIENCE).expect_code(1);
    assert!(failed.stdout.contains(&server.name) && failed.stdout.contains("FAILED"), "{failed}");
    std::fs::rename(&unplugged, &server.disk).expect("a world of our own");
    let nightly = child::run(world.shim_as_dump_user(&["run", &world.name]), PATIENCE).expect_code(0);
    assert!(nightly.stdout.contains(&server.name) && nightly.stdout.contains("OK"), "{nightly}");
    assert!(running.is_running(), "it was over before the nightly run: {:?}", running.so_far());
    assert_eq!((on_tape(&world, server), dumps_of(&world, server)), (1, 1));

    gate.open();
    assert_backed_up(&receipts(&running.wait(PATIENCE).expect_code(0)), laptop);
    assert_eq!(world.amanda.good_dumps(laptop), 1);
    watch.assert_no_clash();
    for host in &world.hosts {
        world.assert_restores(&world.name, host);
    }
    world.assert_at_rest();
}

#[test]
fn a_flush_that_finds_nothing_is_no_failure_and_says_so() {
    let world = World::new(Plan::default());
    let nothing = child::run(world.shim(&["flush", &world.name]), MINUTE).expect_code(0);
    assert!(!nothing.stdout.trim().is_empty(), "without a word");
    world.assert_at_rest();
}

#[test]
fn a_flush_writes_everything_to_the_volumes_and_the_next_receipt_names_them() {
    let world = World::new(Plan { hosts: 2, ..Plan::default() });
    let laptops = [world.laptop(0), world.laptop(1)];
    let triggers = laptops.each_ref().map(asyncamanda_tests::Laptop::trigger);
    for (trigger, host) in triggers.into_iter().zip(&world.hosts) {
        assert_backed_up(&receipts(&trigger.wait(PATIENCE).expect_code(0)), host);
    }
    let flush = child::run(world.shim_as_dump_user(&["flush", &world.name]), PATIENCE).expect_code(0);
    for host in &world.hosts {
        assert!(flush.stdout.contains(&host.name) && flush.stdout.contains("OK"), "{flush}");
        assert_eq!(on_tape(&world, host), 1);
        world.assert_restores(&world.name, host);
    }
    assert_eq!(held(&world), Vec::<String>::new());

    std::fs::write(world.hosts[0].disk.join("made since"), "x").expect("a tree of our own");
    let next = laptops[0].back_up();
    assert_backed_up(&next, &world.hosts[0]);
    let chain = &next[0].chain;
    assert_eq!(chain.iter().map(|base| base.level).collect::<Vec<_>>(), [0, 1]);
    assert!(chain[0].places.iter().all(|place| place.starts_with(&format!("{}-", world.name))), "{chain:#?}");
    assert!(!chain[0].places.is_empty() && chain[1].places.iter().all(|place| place.starts_with('/')), "{chain:#?}");
    world.assert_restores(&world.name, &world.hosts[0]);
    world.assert_at_rest();
}

#[test]
fn two_flushes_at_once_go_one_after_the_other_and_a_laptop_waits_for_neither() {
    let world = World::new(Plan { hosts: 2, ..Plan::default() });
    let laptops = [world.laptop(0), world.laptop(1)];
    assert_backed_up(&laptops[0].back_up(), &world.hosts[0]);
    let changer = world.amanda.hold_changer();
    let first = Background::start(world.shim(&["flush", &world.name]));
    let taper = taper(&world);
    let mut second = Background::start(world.shim(&["flush", &world.name]));
    let orders = || std::fs::read_dir(world.dir.join("state/runner/orders")).map_or(0, Iterator::count);
    until_true("both orders", MINUTE, || orders() == 2);

    assert_backed_up(&laptops[1].back_up(), &world.hosts[1]);
    assert!(taper.is_alive() && second.is_running(), "{:?}", second.so_far());
    let status = world.status();
    assert_eq!(runs_of(&status, "flush"), 1, "{status:#}");
    let tape: Vec<&Value> = status["locks"].as_array().into_iter().flatten().filter(|lock| lock["held"] == true).collect();
    assert!(tape.iter().any(|lock| lock["name"].as_str().is_some_and(|name| name.contains("tape"))), "{status:#}");
    assert_eq!(amflushes(&world).len(), 1, "{}", world.told());

    drop(changer);
    let ends = [first, second].map(|flush| flush.wait(PATIENCE).expect_code(0));
    // The second one finds what came meanwhile.
    assert!(ends[0].stdout.contains(&world.hosts[0].name) && ends[1].stdout.contains(&world.hosts[1].name), "{ends:#?}");
    assert_eq!(held(&world), Vec::<String>::new());
    for host in &world.hosts {
        assert_eq!(on_tape(&world, host), 1);
        world.assert_restores(&world.name, host);
    }
    world.assert_at_rest();
}

/// Returns the amflush processes of a world: not what they start, nor a copy of one that is about to start something.
fn amflushes(world: &World) -> Vec<Process> {
    let is_one = |process: &Process| process.args.iter().take(2).any(|arg| arg.ends_with("/amflush")) && process.mentions(&world.name);
    let all: Vec<Process> = procs::all().into_iter().filter(is_one).collect();
    all.iter().filter(|process| all.iter().all(|other| other.pid != process.parent)).cloned().collect()
}

#[test]
fn enough_bytes_flush_themselves_after_the_run_and_out_of_the_laptops_wait() {
    let world = World::new(Plan { flush: Some("after = \"1 MB\""), bulk: 700_000, ..Plan::default() });
    let (host, laptop) = (&world.hosts[0], world.laptop(0));
    assert_backed_up(&laptop.back_up(), host);
    assert_eq!((held(&world).len(), flush_logs(&world).len()), (1, 0), "not enough to flush yet");
    std::fs::write(host.disk.join("much"), noise(700_000)).expect("a tree of our own");
    let changer = world.amanda.hold_changer();
    let mut second = laptop.trigger();
    // The flush is held in its middle, and the laptop has its receipt all the same.
    let taper = taper(&world);
    until_true("the laptop to have its receipt", MINUTE, || !second.is_running());
    assert!(taper.is_alive() && !held(&world).is_empty(), "the flush is over");
    let second = receipts(&second.wait(MINUTE).expect_code(0));
    assert_backed_up(&second, host);
    assert!(second[0].chain.iter().all(|base| base.places.iter().all(|place| place.starts_with('/'))), "{second:#?}");
    drop(changer);
    until_true("the holding disk to be empty", PATIENCE, || held(&world).is_empty());
    assert_eq!(on_tape(&world, host), 2);
    world.assert_restores(&world.name, host);
    world.assert_at_rest();
    assert_eq!(flush_logs(&world).len(), 1);
}

/// Returns bytes that do not compress.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn a_flush_that_was_killed_is_made_good_by_the_next_one() {
    let world = World::new(Plan::default());
    let host = &world.hosts[0];
    assert_backed_up(&world.laptop(0).back_up(), host);
    let changer = world.amanda.hold_changer();
    let flush = Background::start(world.shim(&["flush", &world.name]));
    let taper = taper(&world);
    let amflush = amflushes(&world);
    assert_eq!(amflush.len(), 1, "{}", world.told());
    amflush[0].kill_9();
    // It was not done, and it says so.
    let killed = flush.wait(PATIENCE);
    drop(changer);
    assert_eq!(killed.code, Some(1), "{killed}");
    assert!(!format!("{}{}", killed.stdout, killed.stderr).trim().is_empty(), "without a word");
    assert!(!taper.is_alive(), "its taper lives on");
    assert_eq!((on_tape(&world, host), held(&world).len()), (0, 1));

    child::run(world.shim(&["flush", &world.name]), PATIENCE).expect_code(0);
    assert_eq!((on_tape(&world, host), held(&world).len()), (1, 0));
    world.assert_restores(&world.name, host);
    world.assert_at_rest();
}

#[test]
fn an_amdump_that_was_typed_by_hand_is_shown_and_waited_for() {
    let world = World::new(Plan { gated: vec![0], ..Plan::default() });
    let (host, laptop, watch) = (&world.hosts[0], world.laptop(0), world.watch());
    let gate = host.gate.as_ref().expect("planned");
    gate.close();
    let mut by_hand = Background::start(world.amanda.amdump(&world.name, &[host]));
    watch.until_dumping(&host.disk, &mut by_hand);
    let amdump = world.amanda.part("amdump").expect("it runs").pid.to_string();

    let mut caller = Caller::call(laptop.ssh(Some(request::AGENT)));
    let (ticket, joined) = caller.trigger(&host.disk, MINUTE).expect("it waits");
    assert!(!joined);
    let words = caller.hear("what it waits for", MINUTE, |message| match message {
        FromShim::Queued { waits_for, .. } if !waits_for.is_empty() => Some(waits_for.clone()),
        _ => None,
    });
    assert!(words.contains("by hand") && words.contains(&amdump) && words.contains(&world.name), "{words}");
    let status = world.status();
    let shown = status["runs"].as_array().into_iter().flatten().find(|run| run["config"] == world.name.as_str());
    let shown = shown.unwrap_or_else(|| panic!("it is not shown: {status:#}"));
    assert_eq!((shown["foreign"].as_bool(), shown["pid"].to_string()), (Some(true), amdump), "{shown:#}");
    assert_eq!(column(&status["queue"], "ticket"), [ticket.as_str()], "{status:#}");
    assert_eq!(watch.most_runs(), 1);

    gate.open();
    by_hand.wait(PATIENCE).expect_code(0);
    assert_backed_up(&caller.receipts(PATIENCE), host);
    assert_eq!((world.amanda.run_logs().len(), watch.most_runs()), (2, 1));
    watch.assert_no_clash();
    world.assert_restores(&world.name, host);
    world.assert_at_rest();
}
