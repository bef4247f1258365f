//! What breaks on the laptop, or on the server beside it, while a dump goes through the tunnel: the agent and tar are killed, files cannot
//! be read, the holding disk is full. Amanda names the failure, the receipt is true, and the next trigger makes it good.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::time::Duration;

use asyncamanda_tests::basis::Basis;
use asyncamanda_tests::laptop::{PATIENCE, assert_backed_up, receipts};
use asyncamanda_tests::mount::Mount;
use asyncamanda_tests::procs::Process;
use asyncamanda_tests::wait::until_true;
use asyncamanda_tests::{Background, Finished, Host, Laptop, Plan, World, until};
use wire::Outcome;

const MINUTE: Duration = Duration::from_secs(60);

/// Who is killed in the middle of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    /// The agent, and with it the way to the laptop.
    Agent,
    Tar,
    /// The program that compresses.
    Filter,
}

impl Victim {
    /// Returns the process on the laptop, or none for the agent, which the test has started itself.
    fn of(self, host: &Host) -> Option<Process> {
        let (cable, gate) = (host.cable.as_ref().expect("planned"), host.gate.as_ref().expect("planned"));
        let gate = gate.program().to_string_lossy().into_owned();
        let is = move |process: &Process| match self {
            Self::Agent => false,
            Self::Tar => process.name == "tar" && process.args.iter().any(|arg| arg == "--create"),
            Self::Filter => process.name.starts_with("compress-") && process.mentions(&gate),
        };
        (self != Self::Agent).then(|| until("a process of the laptop", MINUTE, || cable.processes().into_iter().find(&is)))
    }
}

/// Backs all laptops up at the same time, and says that each has its receipt at this level or a higher one, and that all restores.
#[track_caller]
fn all_back_up(world: &World, laptops: &[Laptop], level: u8) {
    back_up_each(world, laptops, |_| level);
}

fn back_up_each(world: &World, laptops: &[Laptop], level: impl Fn(usize) -> u8) {
    let triggers: Vec<Background> = laptops.iter().map(Laptop::trigger).collect();
    for (trigger, host) in triggers.into_iter().zip(&world.hosts) {
        let receipts = receipts(&trigger.wait(PATIENCE).expect_code(0));
        assert_backed_up(&receipts, host);
        let level = level(host.index);
        assert!(receipts[0].level >= Some(level) && (receipts[0].level > Some(0)) == (level > 0), "{receipts:#?}");
    }
    world.hosts.iter().for_each(|host| world.assert_restores(&world.name, host));
}

/// Several laptops in one run, each in the middle of an incremental dump when something of it is killed, and one to whom nothing happens.
fn killed_in_mid_dump(client: &'static str, victims: &[Victim]) {
    let (lost, hosts) = (victims.len(), victims.len() + 1);
    let world =
        World::new(Plan { hosts, far_away: (0..hosts).collect(), gated: (0..lost).collect(), gather: "3 s", client, ..Plan::default() });
    let laptops: Vec<Laptop> = (0..hosts).map(|index| world.laptop(index)).collect();
    all_back_up(&world, &laptops, 0);
    let watch = world.watch();
    let before: Vec<Basis> = laptops.iter().map(Laptop::basis).collect();
    assert!(before.iter().all(|basis| !basis.is_empty()), "{before:#?}");
    let gates: Vec<_> = world.hosts[..lost].iter().map(|host| host.gate.as_ref().expect("planned")).collect();
    for (host, gate) in world.hosts.iter().zip(&gates) {
        fs::write(host.tree.join("bulk"), vec![7; 3 << 20]).expect("a tree of our own");
        fs::write(host.tree.join("in the dump that is lost"), "x").expect("a tree of our own");
        gate.close_after(1 << 18);
    }
    let runs = world.amanda.run_logs().len();
    let mut triggers: Vec<Background> = laptops.iter().map(Laptop::trigger).collect();
    for (host, trigger) in world.hosts[..lost].iter().zip(&mut triggers) {
        watch.until_dumping(&host.tree, trigger);
        until_true("bytes of it on the holding disk", MINUTE, || {
            world.holding_files().iter().any(|name| name.contains(&host.name) && name.ends_with(".1.tmp"))
        });
    }
    for ((victim, host), trigger) in victims.iter().zip(&world.hosts).zip(&triggers) {
        victim.of(host).map_or_else(|| trigger.kill_9(), |process| process.kill_9());
    }
    // What went through the gate before may go, and what the driver tries again. Behind an agent that is dead nothing has to be let go.
    for (_, gate) in victims.iter().zip(&gates).filter(|(victim, _)| **victim != Victim::Agent) {
        gate.open();
    }

    let ended: Vec<Finished> = triggers.into_iter().map(|trigger| trigger.wait(PATIENCE)).collect();
    assert_backed_up(&receipts(&ended[lost]), &world.hosts[lost]);
    world.assert_at_rest();
    world.assert_tunnels_are_gone();
    gates.iter().for_each(|gate| gate.open());
    assert_eq!(world.amanda.run_logs().len(), runs + 1, "runs of amdump");
    for (n, victim) in victims.iter().enumerate() {
        let (host, ended) = (&world.hosts[n], &ended[n]);
        let receipt = world.last_receipt(host).expect("a receipt");
        let words = world.amanda.words_on(host);
        assert!(words.iter().any(|word| matches!(word.what.as_str(), "FAIL" | "PARTIAL")), "{victim:?}: {words:?}");
        assert_eq!(receipt.level, Some(1), "{victim:?}: {receipt:#?}");
        // Amanda's driver tries once more in the same run: with the session still there it may make the dump good.
        assert!(!receipt.is_backup() || *victim != Victim::Agent, "{receipt:#?}");
        assert_eq!(ended.code == Some(0), receipt.is_backup(), "{victim:?}: {ended}\n{receipt:#?}");
        let now = laptops[n].basis();
        if receipt.is_backup() {
            assert_ne!(now, before[n], "{victim:?}: the next dump would not build on this one");
        } else {
            assert!(!receipt.reason.is_empty(), "{victim:?}: {receipt:#?}");
            assert_eq!(now, before[n], "{victim:?}: the incremental state or amandates moved");
        }
    }
    world.hosts.iter().for_each(|host| fs::write(host.tree.join("afterwards"), "x").expect("a tree of our own"));
    // Of amandad's own state not all can be put back, so nothing builds on what failed; the client in this program goes on.
    let failed: Vec<usize> =
        (0..lost).filter(|n| world.last_receipt(&world.hosts[*n]).is_none_or(|receipt| !receipt.is_backup())).collect();
    let full = |index: usize| client == "amandad" && failed.contains(&index);
    back_up_each(&world, &laptops, |index| u8::from(!full(index)));
    watch.assert_no_clash();
    world.assert_at_rest();
    world.assert_tunnels_are_gone();
}

#[test]
fn the_agent_tar_or_the_program_that_compresses_is_killed() {
    killed_in_mid_dump("native", &[Victim::Agent, Victim::Tar, Victim::Filter]);
}

#[test]
fn so_they_are_below_amandas_own_client() {
    killed_in_mid_dump("amandad", &[Victim::Agent, Victim::Tar, Victim::Filter]);
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

    // Nothing of the files themselves tells the next dump that the last one is without them.
    laptop.read_everything();
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
    let before = laptop.basis();
    hold.remount("size=4600k");
    let failed = laptop.ask(&["now", "--json"]);
    assert_eq!(failed.code, Some(1), "{failed}");
    let [receipt] = &receipts(&failed)[..] else { panic!("one receipt was expected: {failed}") };
    assert!(!receipt.is_backup() && !receipt.reason.is_empty(), "{receipt:#?}");
    assert_eq!(laptop.basis(), before, "the incremental state or amandates moved");
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
