//! The way between laptop and server goes away in the middle of a dump, at many points of it: by a reset, by silence, with the laptop
//! coming back from elsewhere. The others of the batch finish, nothing half is left, nothing builds on what was lost, and the next
//! trigger succeeds.

use std::fs;
use std::time::Duration;

use asyncamanda_tests::basis::Basis;
use asyncamanda_tests::laptop::{PATIENCE, assert_backed_up, receipts};
use asyncamanda_tests::relay::{Cut, Relay};
use asyncamanda_tests::wait::until_true;
use asyncamanda_tests::{Background, Host, Laptop, Plan, World};

const MINUTE: Duration = Duration::from_secs(60);
/// Tenths of a percent of what a whole dump sends.
const POINTS: [u64; 10] = [8, 15, 60, 150, 300, 450, 600, 750, 880, 930];

struct Cuttable {
    laptop: Laptop,
    relay: Relay,
}

impl Cuttable {
    fn of(world: &World, index: usize) -> Self {
        let mut laptop = world.laptop(index);
        let relay = Relay::open(laptop.cable.as_ref().expect("planned").server, world.door.port);
        laptop.call_through(relay.port);
        Self { laptop, relay }
    }
}

/// Changes the big file, so that the next dump is as long as a full one, and makes one that only this dump would have.
fn change(host: &Host, word: &str) {
    let bulk = host.tree.join("bulk");
    let mut bytes = fs::read(&bulk).expect("it is there");
    bytes.iter_mut().for_each(|byte| *byte = byte.wrapping_mul(31).wrapping_add(7));
    fs::write(bulk, bytes).expect("a tree of our own");
    fs::write(host.tree.join(word), word).expect("a tree of our own");
}

/// Backs everybody up in one run, and says that all went well, at this level.
#[track_caller]
fn all_back_up(world: &World, laptops: &[&Laptop], level: u8) {
    let triggers: Vec<Background> = laptops.iter().map(|laptop| laptop.trigger()).collect();
    for (trigger, host) in triggers.into_iter().zip(&world.hosts) {
        let receipts = receipts(&trigger.wait(PATIENCE).expect_code(0));
        assert_backed_up(&receipts, host);
        assert_eq!(receipts[0].level, Some(level), "{receipts:#?}");
    }
}

#[test]
fn a_link_that_is_cut_at_ten_points_of_a_dump_costs_that_dump_and_nothing_else() {
    let hosts = POINTS.len() + 2;
    let world = World::new(Plan {
        hosts,
        far_away: (0..hosts).collect(),
        compress: "none",
        // Guesses for twelve disks without history would not fit on the holding disk.
        estimate: "client",
        bulk: 1_500_000,
        gather: "3 s",
        inparallel: 16,
        ..Plan::default()
    });
    let cuttable: Vec<Cuttable> = (0..POINTS.len()).map(|index| Cuttable::of(&world, index)).collect();
    let others = [world.laptop(hosts - 2), world.laptop(hosts - 1)];
    let all: Vec<&Laptop> = cuttable.iter().map(|one| &one.laptop).chain(&others).collect();
    // Whether it can be restored shows at the end, when the incremental dumps need it.
    all_back_up(&world, &all, 0);
    let runs = world.amanda.run_logs().len();

    let before: Vec<Basis> = all.iter().map(|laptop| laptop.basis()).collect();
    assert!(before.iter().all(|basis| !basis.is_empty()), "{before:#?}");
    world.hosts.iter().for_each(|host| change(host, "in the dump that is cut"));
    for (n, (one, point)) in cuttable.iter().zip(POINTS).enumerate() {
        let how = if n % 2 == 0 { Cut::Reset } else { Cut::Silence };
        one.relay.cut_after(one.relay.carried() * point / 1000, how);
    }
    let triggers: Vec<Background> = all.iter().map(|laptop| laptop.trigger()).collect();
    for (n, trigger) in triggers.into_iter().enumerate() {
        let ended = trigger.wait(PATIENCE);
        if n < POINTS.len() {
            assert_ne!(ended.code, Some(0), "cut at {} per mille: {ended}", POINTS[n]);
            assert_eq!(cuttable[n].relay.cuts(), 1);
        } else {
            assert_backed_up(&receipts(&ended.expect_code(0)), &world.hosts[n]);
        }
    }
    world.assert_at_rest();
    world.assert_tunnels_are_gone();
    assert_eq!(world.amanda.run_logs().len(), runs + 1, "runs of amdump");
    for (n, host) in world.hosts[..POINTS.len()].iter().enumerate() {
        let at = POINTS[n];
        let receipt = world.last_receipt(host);
        assert!(receipt.as_ref().is_some_and(|receipt| !receipt.is_backup() && !receipt.reason.is_empty()), "cut at {at}: {receipt:#?}");
        let failed = world.amanda.words_on(host).into_iter().any(|word| matches!(word.what.as_str(), "FAIL" | "PARTIAL"));
        assert!(failed, "Amanda's log does not name the failure of {}, cut at {at}", host.name);
        assert_eq!(all[n].basis(), before[n], "the incremental state or amandates moved, though the dump was cut at {at}");
    }

    world.hosts.iter().for_each(|host| change(host, "afterwards"));
    all_back_up(&world, &all, 1);
    world.hosts.iter().for_each(|host| world.assert_restores(&world.name, host));
    world.assert_at_rest();
    world.assert_tunnels_are_gone();
}

#[test]
fn a_laptop_whose_packets_are_lost_and_that_comes_back_from_elsewhere_is_served_meanwhile() {
    let world = World::new(Plan { hosts: 3, far_away: vec![0, 1, 2], gated: vec![0, 1], gather: "2 s", ..Plan::default() });
    let laptops = [0, 1, 2].map(|index| world.laptop(index));
    let watch = world.watch();
    let gates = [0, 1].map(|index: usize| world.hosts[index].gate.as_ref().expect("planned"));
    gates.iter().for_each(|gate| gate.close_after(1 << 18));
    let mut triggers = [0, 1, 2].map(|index: usize| laptops[index].trigger());
    for index in [0, 1] {
        watch.until_dumping(&world.hosts[index].tree, &mut triggers[index]);
    }
    // One cable carries nothing any more, and nobody is told; the other laptop has another address from one moment to the next.
    let cable = |index: usize| world.hosts[index].cable.as_ref().expect("planned");
    cable(0).fall_silent();
    cable(1).move_away();
    let [silent, moved, third] = triggers;
    assert_backed_up(&receipts(&third.wait(PATIENCE).expect_code(0)), &world.hosts[2]);
    // The old session of the one that moved is not over yet.
    gates[1].open();
    fs::write(world.hosts[1].tree.join("after the move"), "new\n").expect("a tree of our own");
    let mut again = laptops[1].trigger();
    until_true("the session from elsewhere to own the tunnel", MINUTE, || {
        assert!(again.is_running(), "it has ended: {:?}", again.so_far());
        world.door.log().contains(&format!("Connection from {} ", cable(1).elsewhere))
    });
    let (again, moved, silent) = (again.wait(PATIENCE), moved.wait(PATIENCE), silent.wait(PATIENCE));
    for lost in [&moved, &silent] {
        assert!(matches!(lost.code, Some(1 | 75)), "{lost}");
    }
    // It may have joined the run that was lost; then it hears so, and comes again.
    if again.code != Some(0) {
        assert_backed_up(&laptops[1].back_up(), &world.hosts[1]);
    }
    world.assert_restores(&world.name, &world.hosts[1]);

    cable(0).speak_again();
    gates[0].open();
    assert_backed_up(&laptops[0].back_up(), &world.hosts[0]);
    world.hosts.iter().for_each(|host| world.assert_restores(&world.name, host));
    watch.assert_no_clash();
    world.assert_at_rest();
    world.assert_tunnels_are_gone();
}
