//! What breaks on the laptop, or on the server beside it, while a dump goes through the tunnel: the agent and tar are killed, files cannot
//! be read, the holding disk is full. Amanda names the failure, the receipt is true, and the next trigger makes it good.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::time::Duration;

use asyncamanda_tests::laptop::{PATIENCE, assert_backed_up, receipts};
use asyncamanda_tests::mount::Mount;
use asyncamanda_tests::procs::Process;
use asyncamanda_tests::wait::until_true;
use asyncamanda_tests::watch::Watch;
use asyncamanda_tests::{Background, Laptop, Plan, World, until};
use wire::Outcome;

const MINUTE: Duration = Duration::from_secs(60);

/// An incremental dump in its middle, held at its gate, and a second laptop in the same run.
struct Scene {
    first: Background,
    second: Background,
    laptops: [Laptop; 2],
    amandates: String,
    watch: Watch,
    world: World,
}

impl Scene {
    fn in_mid_dump(client: &'static str) -> Self {
        let world = World::new(Plan { hosts: 2, far_away: vec![0, 1], gated: vec![0], gather: "2 s", client, ..Plan::default() });
        let laptops = [world.laptop(0), world.laptop(1)];
        assert_backed_up(&laptops[0].back_up(), &world.hosts[0]);
        let (host, watch) = (&world.hosts[0], world.watch());
        fs::write(host.tree.join("bulk"), vec![7; 3 << 20]).expect("a tree of our own");
        fs::write(host.tree.join("in the dump that is lost"), "x").expect("a tree of our own");
        let amandates = fs::read_to_string(&laptops[0].amandates).expect("the client writes it");
        host.gate.as_ref().expect("planned").close_after(1 << 18);
        let mut first = laptops[0].trigger();
        let second = laptops[1].trigger();
        watch.until_dumping(&host.tree, &mut first);
        until_true("bytes of it on the holding disk", MINUTE, || {
            world.holding_files().iter().any(|name| name.contains("home0") && name.contains(".1.") && name.ends_with(".tmp"))
                || world.holding_files().iter().any(|name| name.ends_with(".tmp") && name.contains("home0"))
        });
        Self { first, second, laptops, amandates, watch, world }
    }

    /// Returns a process of the laptop.
    fn process(&self, is: impl Fn(&Process) -> bool) -> Process {
        let cable = self.world.hosts[0].cable.as_ref().expect("planned");
        until("a process of the laptop", MINUTE, || cable.processes().into_iter().find(&is))
    }

    /// What must be so after the first laptop's dump was lost, and the trigger that makes it good.
    fn ends_well(self) {
        let Self { first, second, laptops, amandates, watch, world } = self;
        let host = &world.hosts[0];
        let lost = first.wait(PATIENCE);
        assert_backed_up(&receipts(&second.wait(PATIENCE).expect_code(0)), &world.hosts[1]);
        host.gate.as_ref().expect("planned").open();
        world.assert_at_rest();
        world.assert_tunnels_are_gone();
        let receipt = world.last_receipt(host).expect("a receipt");
        // Amanda's driver tries once more in the same run; with the session still there it may succeed.
        assert_eq!(lost.code == Some(0), receipt.is_backup(), "{lost}\n{receipt:#?}");
        assert!(receipt.is_backup() || !receipt.reason.is_empty(), "{receipt:#?}");
        assert_eq!(receipt.level, Some(1), "the incremental state moved: {receipt:#?}");
        let words = world.amanda.words_on(host);
        assert!(words.iter().any(|word| matches!(word.what.as_str(), "FAIL" | "PARTIAL")), "{words:?}");
        let dates = fs::read_to_string(&laptops[0].amandates).expect("it is there");
        if world.plan.client == "native" && !receipt.is_backup() {
            assert_eq!(dates, amandates, "amandates moved");
        }
        fs::write(host.tree.join("afterwards"), "x").expect("a tree of our own");
        assert_backed_up(&laptops[0].back_up(), host);
        world.hosts.iter().for_each(|host| world.assert_restores(&world.name, host));
        watch.assert_no_clash();
        world.assert_at_rest();
        world.assert_tunnels_are_gone();
    }
}

#[test]
fn the_agent_is_killed_and_nothing_of_it_lives_on() {
    for client in ["native", "amandad"] {
        let scene = Scene::in_mid_dump(client);
        scene.first.kill_9();
        scene.ends_well();
    }
}

#[test]
fn tar_is_killed() {
    for client in ["native", "amandad"] {
        let scene = Scene::in_mid_dump(client);
        scene.process(|process| process.name == "tar" && process.args.iter().any(|arg| arg == "--create")).kill_9();
        // What tar had said already may go.
        scene.world.hosts[0].gate.as_ref().expect("planned").open();
        scene.ends_well();
    }
}

#[test]
fn the_program_that_compresses_is_killed() {
    let scene = Scene::in_mid_dump("native");
    let gate = scene.world.hosts[0].gate.as_ref().expect("planned").program().to_string_lossy().into_owned();
    scene.process(|process| process.mentions(&gate)).kill_9();
    scene.ends_well();
}

#[test]
fn what_cannot_be_read_is_named_and_in_the_next_dump_once_it_can() {
    let world = World::new(Plan { far_away: vec![0], ..Plan::default() });
    let (host, mut laptop) = (&world.hosts[0], world.laptop(0));
    let (file, dir) = (host.tree.join("not for you"), host.tree.join("nor this"));
    fs::write(&file, "secret\n").and_then(|()| fs::create_dir(&dir)).and_then(|()| fs::write(dir.join("in"), "secret\n")).expect("our own");
    // Everything else of the tree that is not root's own may be read by all.
    for (path, mode) in [("docs/nothing", 0o644), ("mail", 0o755), ("mail/cur", 0o755)] {
        fs::set_permissions(host.tree.join(path), fs::Permissions::from_mode(mode)).expect("there");
    }
    for (path, mode) in [(&file, 0o600), (&dir, 0o700)] {
        lchown(path, Some(12345), None).and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode))).expect("root may");
    }
    // Somebody's agent that is not root: as root, without root's right to read everything.
    laptop.read_only_its_own();
    let partly = laptop.ask(&["now", "--json"]);
    let [receipt] = &receipts(&partly)[..] else { panic!("one receipt was expected: {partly}") };
    assert!(matches!(receipt.outcome, Outcome::Strange | Outcome::Failed), "{receipt:#?}");
    let log: String = world.amanda.run_logs().into_iter().map(|(_, text)| text).collect();
    for name in ["not for you", "nor this"] {
        assert!(log.lines().any(|line| line.contains(name) && line.contains("Permission denied")), "{name} is not named:\n{log}");
    }
    // A person hears of it as well.
    assert!(format!("{}{}", partly.stdout, partly.stderr).to_uppercase().contains(&receipt.outcome.to_string()), "{partly}");

    for (path, mode) in [(&file, 0o644), (&dir, 0o755)] {
        lchown(path, Some(0), None).and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode))).expect("root may");
    }
    assert_backed_up(&laptop.back_up(), host);
    world.assert_restores(&world.name, host);
    world.assert_at_rest();
    world.assert_tunnels_are_gone();
}

#[test]
fn a_holding_disk_that_is_full_fails_the_dump_and_the_incremental_state_stays() {
    let world = World::new(Plan { far_away: vec![0], compress: "none", estimate: "client", bulk: 3_000_000, ..Plan::default() });
    let (host, laptop) = (&world.hosts[0], world.laptop(0));
    let hold = Mount::over(&world.amanda.root.join("hold"), 64 * 1024);
    assert_backed_up(&laptop.back_up(), host);
    fs::write(host.tree.join("bulk"), vec![9; 3_000_000]).expect("a tree of our own");
    fs::write(host.tree.join("in the dump that is lost"), "x").expect("a tree of our own");
    let before = fs::read_to_string(&laptop.amandates).expect("the client writes it");
    hold.remount("size=4600k");
    let failed = laptop.ask(&["now", "--json"]);
    assert_eq!(failed.code, Some(1), "{failed}");
    let [receipt] = &receipts(&failed)[..] else { panic!("one receipt was expected: {failed}") };
    assert!(!receipt.is_backup() && !receipt.reason.is_empty(), "{receipt:#?}");
    assert_eq!(fs::read_to_string(&laptop.amandates).expect("it is there"), before, "amandates moved");
    world.assert_at_rest();
    hold.remount("size=64m");
    fs::write(host.tree.join("afterwards"), "x").expect("a tree of our own");
    let next = laptop.back_up();
    assert_backed_up(&next, host);
    assert_eq!(next[0].level, Some(1), "{next:#?}");
    world.assert_restores(&world.name, host);
    world.assert_at_rest();
    world.assert_tunnels_are_gone();
}
