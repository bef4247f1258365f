//! A long dump must not starve the others, and a config of one's own must not cost its dumps a place on the shared tapes.

use std::time::Duration;

use asyncamanda_tests::laptop::{PATIENCE, assert_backed_up, receipts};
use asyncamanda_tests::wait::until_true;
use asyncamanda_tests::{Caller, Plan, World, child};
use wire::request;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn others_that_trigger_during_a_long_dump_are_served_by_a_second_run_and_finish_first() {
    let world = World::new(Plan { hosts: 4, gated: vec![0], second_run_after: "2 s", ..Plan::default() });
    let watch = world.watch();
    let laptops: Vec<_> = (0..4).map(|index| world.laptop(index)).collect();
    let gate = world.hosts[0].gate.as_ref().expect("planned");
    gate.close();
    let mut long = laptops[0].trigger();
    watch.until_dumping(&world.hosts[0].disk, &mut long);
    let others: Vec<_> = laptops[1..].iter().map(asyncamanda_tests::Laptop::trigger).collect();
    let others: Vec<_> = others.into_iter().map(|other| receipts(&other.wait(PATIENCE).expect_code(0))).collect();
    assert!(long.is_running(), "the long one has ended before the others");
    assert_eq!(world.amanda.good_dumps(&world.hosts[0]), 0);
    gate.open();
    let long = receipts(&long.wait(PATIENCE).expect_code(0));

    assert_backed_up(&long, &world.hosts[0]);
    for (receipts, host) in others.iter().zip(&world.hosts[1..]) {
        assert_backed_up(receipts, host);
        assert_ne!(receipts[0].run, long[0].run);
        assert!(receipts[0].finished <= long[0].finished);
    }
    assert_eq!(watch.most_runs(), 2, "runs at once");
    assert!(world.amanda.run_logs().len() <= 3, "three hosts that ask together wait for each other: {}", world.amanda.run_logs().len());
    watch.assert_no_clash();
    for host in &world.hosts {
        assert_eq!(world.amanda.good_dumps(host), 1);
        world.assert_restores(&world.name, host);
    }
    world.assert_at_rest();
}

#[test]
fn a_run_that_is_young_is_waited_for_and_the_one_that_waits_is_served_next() {
    let world = World::new(Plan { hosts: 2, gated: vec![0], second_run_after: "10 min", ..Plan::default() });
    let watch = world.watch();
    let (first, second) = (world.laptop(0), world.laptop(1));
    let gate = world.hosts[0].gate.as_ref().expect("planned");
    gate.close();
    let mut running = first.trigger();
    watch.until_dumping(&world.hosts[0].disk, &mut running);
    let mut waiting = Caller::call(second.ssh(Some(request::AGENT)));
    let (ticket, joined) = waiting.trigger(&second.disk, MINUTE).expect("it waits");
    assert!(!joined);
    let queue = world.status()["queue"].clone();
    assert_eq!(asyncamanda_tests::shim::column(&queue, "ticket"), [ticket.as_str()], "{queue:#}");
    assert_eq!(asyncamanda_tests::shim::column(&queue, "host"), [world.hosts[1].name.as_str()], "{queue:#}");
    assert_eq!(watch.most_runs(), 1);
    gate.open();
    let first = receipts(&running.wait(PATIENCE).expect_code(0));
    let second = waiting.receipts(PATIENCE);
    assert_backed_up(&first, &world.hosts[0]);
    assert_backed_up(&second, &world.hosts[1]);
    assert!(second[0].started >= first[0].finished, "it began while the young run went on:\n{first:#?}\n{second:#?}");
    assert_eq!(watch.most_runs(), 1);
    world.assert_at_rest();
}

#[test]
fn there_are_never_more_runs_at_once_than_the_limit() {
    let world = World::new(Plan { hosts: 4, gated: vec![0, 1, 2], second_run_after: "1 s", parallel_runs: 2, ..Plan::default() });
    let watch = world.watch();
    let laptops: Vec<_> = (0..4).map(|index| world.laptop(index)).collect();
    let gates: Vec<_> = world.hosts.iter().filter_map(|host| host.gate.as_ref()).collect();
    gates.iter().for_each(|gate| gate.close());
    let mut triggers = Vec::new();
    for (laptop, host) in laptops.iter().zip(&world.hosts).take(2) {
        let mut trigger = laptop.trigger();
        watch.until_dumping(&host.disk, &mut trigger);
        triggers.push(trigger);
    }
    // Both places are taken now; the third has to wait for one of them.
    let mut third = Caller::call(laptops[2].ssh(Some(request::AGENT)));
    let (ticket, _new) = third.trigger(&laptops[2].disk, MINUTE).expect("it waits");
    until_true("the third to be seen in the queue", MINUTE, || {
        asyncamanda_tests::shim::column(&world.status()["queue"], "ticket").contains(&ticket)
    });
    gates[0].open();
    let first = receipts(&triggers.remove(0).wait(PATIENCE).expect_code(0));
    assert_backed_up(&first, &world.hosts[0]);
    until_true("the third dump to begin", MINUTE, || watch.dumps_of(&world.hosts[2].disk) > 0);
    gates.iter().for_each(|gate| gate.open());
    assert_backed_up(&third.receipts(PATIENCE), &world.hosts[2]);
    assert_backed_up(&receipts(&triggers.remove(0).wait(PATIENCE).expect_code(0)), &world.hosts[1]);
    assert_eq!(watch.most_runs(), 2, "runs at once");
    watch.assert_no_clash();
}

#[test]
fn overlay_and_shared_config_run_side_by_side_and_one_flush_keeps_both_restorable_for_good() {
    let world = World::new(Plan { hosts: 3, gated: vec![0], overlay: vec![1, 2], over_ssh: vec![2], ..Plan::default() });
    let watch = world.watch();
    let laptops: Vec<_> = (0..3).map(|index| world.laptop(index)).collect();
    let gate = world.hosts[0].gate.as_ref().expect("planned");
    gate.close();
    let mut shared = laptops[0].trigger();
    watch.until_dumping(&world.hosts[0].disk, &mut shared);
    let own: Vec<_> = [1, 2].map(|index| laptops[index].trigger()).into_iter().collect();
    for (own, host) in own.into_iter().zip(&world.hosts[1..]) {
        assert_backed_up(&receipts(&own.wait(PATIENCE).expect_code(0)), host);
    }
    assert!(shared.is_running(), "they were not side by side");
    gate.open();
    assert_backed_up(&receipts(&shared.wait(PATIENCE).expect_code(0)), &world.hosts[0]);

    child::run(world.shim(&["flush", &world.name]), PATIENCE).expect_code(0);
    assert_eq!(world.holding_files().iter().filter(|name| name.contains("127.0.0.")).count(), 0, "{:?}", world.holding_files());
    for host in &world.hosts {
        let listed = world.amanda.find(&world.name, host);
        assert!(listed.iter().any(|dump| dump.status == "OK" && dump.place.starts_with(&world.name)), "{}: {listed:?}", host.name);
    }

    // A log that nobody needs has to go: otherwise nothing was tidied, and this would prove nothing.
    let before = world.amanda.logs().len();
    assert!(!world.restore(&world.name, &world.hosts[0]).as_os_str().is_empty());
    world.age_and_tidy(&[&world.name, &world.amanda.overlay]);
    let put_away = std::fs::read_dir(world.amanda.root.join("log/oldlog")).expect("amtrmlog makes it").count();
    assert!(put_away > 0, "amtrmlog put nothing away of {before} logs and the restore's own");
    for host in &world.hosts {
        let names = world.browse(&world.name, host);
        assert!(names.iter().any(|name| name == "bulk"), "{} cannot be browsed: {names:?}", host.name);
        world.assert_restores(&world.name, host);
    }
    world.assert_at_rest();
}

#[test]
fn a_config_with_a_catalog_of_its_own_is_not_flushed_into_the_shared_one() {
    let world = World::new(Plan { hosts: 2, overlay: vec![1], ..Plan::default() });
    // The overlay turns into what loses data: its own logs and indexes beside the shared tapes.
    let conf = world.amanda.dir(&world.amanda.overlay).join("amanda.conf");
    let mut text = std::fs::read_to_string(&conf).expect("we wrote it");
    for part in ["log", "index"] {
        let dir = world.amanda.root.join(format!("own-{part}"));
        asyncamanda_tests::system::directory(&dir, "backup", "backup", 0o750);
        text.push_str(&format!("{part}dir \"{}\"\n", dir.display()));
    }
    std::fs::write(&conf, text).expect("we wrote it");
    let refused = world.laptop(1).ask(&["now", "--json"]);
    assert_eq!(refused.code, Some(78), "{refused}");
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(said.contains("logdir") || said.contains("indexdir") || said.contains("catalog"), "{said}");
    assert_eq!(world.amanda.good_dumps(&world.hosts[1]), 0);
    // The others are none the worse for it.
    assert_backed_up(&world.laptop(0).back_up(), &world.hosts[0]);
}
