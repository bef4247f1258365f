//! A server that has never seen an Amanda (`engine = "embedded"`): laptops call, are dumped through their sessions, get receipts,
//! and what is on the volumes comes back with `zstd` and GNU tar.

use std::collections::BTreeSet;
use std::time::Duration;

use asyncamanda_tests::laptop::{PATIENCE, assert_backed_up, receipts};
use asyncamanda_tests::procs::{self, Process};
use asyncamanda_tests::wait::{until, until_true};
use asyncamanda_tests::{Laptop, Plan, World, child, life};

const MINUTE: Duration = Duration::from_secs(60);

fn office(hosts: usize, plan: Plan) -> World {
    World::new(Plan { hosts, office: true, far_away: (0..hosts).collect(), ..plan })
}

/// Says that nothing goes on and nothing half is left, and that no Amanda was there to help.
#[track_caller]
fn assert_at_rest(world: &World) {
    world.assert_at_rest();
    assert!(world.dumpers().is_empty());
    assert_eq!(world.vault().unfinished(), Vec::<std::path::PathBuf>::new());
    let amdump = child::run(world.in_the_office("/usr/sbin/amdump"), MINUTE);
    assert!(!matches!(amdump.code, Some(0..=1)), "an amdump can be run there: {amdump}");
    let mut list = world.in_the_office("sh");
    list.args(["-c", "ls -A /etc/amanda /usr/lib/amanda /usr/lib/*/amanda /usr/share/perl5/Amanda | grep -v : | grep . | wc -l"]);
    assert_eq!(child::must(list).trim(), "0", "something of Amanda's is there");
}

#[test]
fn eight_laptops_at_once_are_backed_up_twice_where_there_is_no_amanda() {
    // The first one's tree would be the whole one.
    let world = office(8, Plan { torture: (1..4).collect(), gather: "3 s", ..Plan::default() });
    let laptops: Vec<Laptop> = (0..8).map(|index| world.laptop(index)).collect();
    for level in [0, 1] {
        let triggers: Vec<_> = laptops.iter().map(Laptop::trigger).collect();
        let mut runs = BTreeSet::new();
        for (trigger, host) in triggers.into_iter().zip(&world.hosts) {
            let receipts = receipts(&trigger.wait(PATIENCE).expect_code(0));
            assert_backed_up(&receipts, host);
            assert_eq!(receipts[0].level, Some(level), "{receipts:#?}");
            runs.insert(receipts[0].run.clone());
        }
        assert!(runs.len() <= 3, "runs named by the receipts: {runs:?}");
        for host in &world.hosts {
            world.assert_vault_restores(host);
            if world.plan.torture.contains(&host.index) {
                life::go_on(&host.tree, u32::from(level) + 1);
            } else {
                std::fs::write(host.tree.join("made since"), format!("{level}\n")).expect("a tree of our own");
                let _only_once = std::fs::remove_file(host.tree.join("whose"));
            }
        }
    }
    assert_at_rest(&world);
    world.assert_tunnels_are_gone();
}

#[test]
fn a_laptop_asks_whether_it_would_work_and_is_told_what_would_not() {
    let world = office(2, Plan::default());
    let laptop = world.laptop(0);
    let check = laptop.ask(&["check"]).expect_code(0);
    assert!(check.stdout.contains("0 problems found"), "{check}");
    // The disklist has another disk for the other one.
    let disklist = world.amanda.root.join("disklist");
    let text = std::fs::read_to_string(&disklist).expect("it has one");
    std::fs::write(&disklist, text.replace(&world.hosts[1].tree.display().to_string(), "/nowhere")).expect("root may");
    let check = world.laptop(1).ask(&["check"]);
    assert_eq!(check.code, Some(1), "{check}");
    assert!(check.stdout.contains("/nowhere is not served here"), "{check}");
    assert_at_rest(&world);
}

#[test]
fn the_administrator_is_told_what_is_missing() {
    let world = office(1, Plan::default());
    child::must(world.shim(&["check"]));
    // The laptop's dumptype keeps it out of a nightly run, and its dumps wait for nothing.
    for order in [&["run"][..], &["flush"]] {
        let idle = child::run(world.shim(&[order, &[world.name.as_str()]].concat()), MINUTE).expect_code(0);
        assert_eq!((idle.stdout.as_str(), idle.stderr.as_str()), ("", ""), "{idle}");
    }
    let say = |code: i32| {
        let check = child::run(world.shim(&["check"]), MINUTE);
        assert_eq!(check.code, Some(code), "{check}");
        check.stdout
    };
    let disklist = world.amanda.root.join("disklist");
    let text = std::fs::read_to_string(&disklist).expect("it has one");
    std::fs::write(&disklist, "").expect("root may");
    assert!(say(78).contains(&format!("asyncamanda-shim vault {} --disk {}:/home", world.name, world.hosts[0].name)));
    std::fs::write(&disklist, text).expect("root may");
    let told = say(0);
    assert!(
        told.contains("as it is understood here") && told.contains("kept for 30 days") && told.contains(&world.hosts[0].name),
        "{told}"
    );
    std::os::unix::fs::chown(&world.amanda.root, Some(0), None).expect("root may");
    assert!(say(78).contains("belongs to root"));
    std::fs::rename(&world.amanda.root, world.dir.join("elsewhere")).expect("root may");
    assert!(say(78).contains(&format!("asyncamanda-shim vault {}", world.name)));
    // Nor does a laptop wait for it.
    let refused = world.laptop(0).ask(&["now"]);
    assert_eq!(refused.code, Some(78), "{refused}");
}

/// Returns the runner.
fn runner(world: &World) -> Process {
    let pid = world.status()["runner"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    pid.and_then(procs::read).expect("it follows the run")
}

/// Waits until a dumper works on the first laptop's gated dump.
fn gated(world: &World, laptop: &Laptop) -> (asyncamanda_tests::Background, Process) {
    world.hosts[0].gate.as_ref().expect("planned").close();
    let mut trigger = laptop.trigger();
    world.watch().until_dumping(&world.hosts[0].tree, &mut trigger);
    let dumper = until("a dumper", MINUTE, || world.dumpers().pop());
    (trigger, dumper)
}

#[test]
fn a_laptop_that_is_cut_in_mid_dump_is_backed_up_with_its_next_call() {
    let world = office(2, Plan { gated: vec![0], ..Plan::default() });
    let laptop = world.laptop(0);
    let (trigger, _) = gated(&world, &laptop);
    trigger.kill_9();
    let receipt = until("a word on its dump", MINUTE, || world.last_receipt(&world.hosts[0]));
    assert!(!receipt.is_backup() && receipt.reason.contains("the session of"), "{receipt:#?}");
    world.hosts[0].gate.as_ref().expect("planned").open();
    assert_backed_up(&laptop.back_up(), &world.hosts[0]);
    world.assert_vault_restores(&world.hosts[0]);
    assert_at_rest(&world);
    world.assert_tunnels_are_gone();
}

#[test]
fn a_killed_dumper_costs_nobody_a_word() {
    let world = office(1, Plan { gated: vec![0], ..Plan::default() });
    let laptop = world.laptop(0);
    let (trigger, dumper) = gated(&world, &laptop);
    dumper.kill_9();
    world.hosts[0].gate.as_ref().expect("planned").open();
    // A run that was cut off is made once more, unasked.
    assert_backed_up(&receipts(&trigger.wait(PATIENCE).expect_code(0)), &world.hosts[0]);
    world.assert_vault_restores(&world.hosts[0]);
    assert_at_rest(&world);
}

#[test]
fn a_killed_runner_is_followed_by_one_that_finds_its_dumper() {
    let world = office(1, Plan { gated: vec![0], ..Plan::default() });
    let laptop = world.laptop(0);
    let (trigger, dumper) = gated(&world, &laptop);
    let runner = runner(&world);
    runner.kill_9();
    until_true("another runner", MINUTE, || world.status()["runner"]["pid"].as_i64().is_some_and(|pid| pid != i64::from(runner.pid)));
    assert!(dumper.is_alive());
    world.hosts[0].gate.as_ref().expect("planned").open();
    let receipts = receipts(&trigger.wait(PATIENCE).expect_code(0));
    assert_backed_up(&receipts, &world.hosts[0]);
    world.assert_vault_restores(&world.hosts[0]);
    assert_at_rest(&world);
}

#[test]
fn both_killed_is_no_more_than_that() {
    let world = office(1, Plan { gated: vec![0], ..Plan::default() });
    let laptop = world.laptop(0);
    let (trigger, dumper) = gated(&world, &laptop);
    let runner = runner(&world);
    runner.kill_9();
    dumper.kill_9();
    world.hosts[0].gate.as_ref().expect("planned").open();
    assert_backed_up(&receipts(&trigger.wait(PATIENCE).expect_code(0)), &world.hosts[0]);
    world.assert_vault_restores(&world.hosts[0]);
    assert_at_rest(&world);
}

#[test]
fn a_long_dump_keeps_no_other_laptop_waiting() {
    let world = office(2, Plan { gated: vec![0], second_run_after: "0 s", ..Plan::default() });
    let (first, second) = (world.laptop(0), world.laptop(1));
    let (trigger, _) = gated(&world, &first);
    assert_backed_up(&second.back_up(), &world.hosts[1]);
    assert_eq!(world.dumpers().len(), 1, "the long one goes on");
    world.hosts[0].gate.as_ref().expect("planned").open();
    assert_backed_up(&receipts(&trigger.wait(PATIENCE).expect_code(0)), &world.hosts[0]);
    world.hosts.iter().for_each(|host| world.assert_vault_restores(host));
    assert_at_rest(&world);
}

#[test]
fn a_backup_that_is_gone_from_its_volume_is_made_anew_in_full() {
    let world = office(2, Plan::default());
    let laptops = [world.laptop(0), world.laptop(1)];
    for (laptop, host) in laptops.iter().zip(&world.hosts) {
        assert_backed_up(&laptop.back_up(), host);
    }
    let chain = world.vault().chain_of(Some(&world.hosts[0].name), &world.hosts[0].disk, None);
    std::fs::remove_file(&chain[0].path).expect("root may");
    // Another laptop's run is enough for the server to notice.
    assert_backed_up(&laptops[1].back_up(), &world.hosts[1]);
    until_true("the runner to end", MINUTE, || world.status()["runner"]["alive"] == serde_json::Value::Bool(false));
    let known = world.published(&world.hosts[0]);
    assert!(!known[0].is_backup() && known[0].reason.contains("nothing of it is left"), "{known:#?}");
    let anew = laptops[0].back_up();
    assert_backed_up(&anew, &world.hosts[0]);
    assert_eq!(anew[0].level, Some(0), "{anew:#?}");
    world.assert_vault_restores(&world.hosts[0]);
    assert_at_rest(&world);
}

#[test]
fn a_vault_is_made_once_and_gets_disks_later() {
    let world = office(1, Plan::default());
    let vault = |args: &[&str]| child::run(world.shim(&[&["vault", &world.name], args].concat()), MINUTE);
    let disklist = || std::fs::read_to_string(world.amanda.root.join("disklist")).expect("it has one");
    let before = disklist();
    let conf = std::fs::read(world.amanda.root.join("amanda.conf")).expect("it has one");
    let host = &world.hosts[0];
    let again = vault(&["--disk", &format!("{}:{}", host.name, host.disk.display())]).expect_code(0);
    assert!(again.stdout.contains("Nothing had to be done."), "{again}");
    assert_eq!(disklist(), before);
    let more = vault(&["--disk", "laptop9:/home", "--disk", "laptop9:pictures=/srv/pictures"]).expect_code(0);
    assert!(more.stdout.contains("[host.laptop9]") && more.stdout.matches("is in its disklist").count() == 2, "{more}");
    assert!(disklist().contains("laptop9 pictures /srv/pictures laptop\n"), "{}", disklist());
    let usage = vault(&["--retention", "7"]).expect_code(2);
    assert!(usage.stderr.contains("retention-days"), "{usage}");
    let conflict = vault(&["--disk", "laptop9:pictures=/elsewhere"]).expect_code(78);
    assert!(conflict.stderr.contains("stands in the disklist already"), "{conflict}");
    vault(&["--disk", "laptop9"]).expect_code(2);
    assert_eq!(std::fs::read(world.amanda.root.join("amanda.conf")).expect("it has one"), conf);
    let stranger = child::run(
        {
            let mut command = child::program_as(asyncamanda_tests::system::LOGIN, world.program("asyncamanda-shim"));
            command.arg("--config").arg(world.shim_toml()).args(["vault", "mine"]);
            command
        },
        MINUTE,
    );
    assert_eq!(stranger.code, Some(77), "{stranger}");
}

#[test]
fn the_office_gets_an_amanda_and_its_laptops_go_on_with_the_next_level() {
    let mut world = office(2, Plan::default());
    let laptops = [world.laptop(0), world.laptop(1)];
    std::fs::write(world.hosts[0].tree.join("bulk"), vec![7; 400_000]).expect("a tree of our own");
    for (laptop, host) in laptops.iter().zip(&world.hosts) {
        assert_backed_up(&laptop.back_up(), host);
    }
    let said = world.outgrow();
    assert!(said.contains("2 dumps are in its catalog") && said.contains("engine = \"amanda\""), "{said}");
    for level in [1, 1] {
        let host = &world.hosts[0];
        std::fs::write(host.tree.join("made since"), format!("{level}\n")).expect("a tree of our own");
        let receipts = laptops[0].back_up();
        assert_backed_up(&receipts, host);
        assert_eq!(receipts[0].level, Some(level), "{receipts:#?}");
        assert!(receipts[0].bytes < Some(100_000), "{receipts:#?}");
        assert_eq!(receipts[0].chain.len(), 2, "{receipts:#?}");
        world.assert_restores(&world.name, host);
    }
    // The volumes that the embedded engine has begun are Amanda's to go on with.
    child::must(world.shim(&["flush", &world.name]));
    world.hosts.iter().for_each(|host| world.assert_restores(&world.name, host));
    world.assert_at_rest();
}

#[test]
fn a_flipped_bit_is_found_and_named_and_mended_by_the_next_backup() {
    let world = office(1, Plan::default());
    let (laptop, host) = (world.laptop(0), &world.hosts[0]);
    assert_backed_up(&laptop.back_up(), host);
    let verify = || child::run(world.shim(&["verify", &world.name]), MINUTE);
    verify().expect_code(0);
    let dump = world.vault().chain_of(Some(&host.name), &host.disk, None).remove(0);
    let mut bytes = std::fs::read(&dump.path).expect("root may");
    *bytes.last_mut().expect("a dump") ^= 1;
    std::fs::write(&dump.path, bytes).expect("root may");
    let found = verify().expect_code(1);
    assert!(
        found.stdout.contains(&host.name) && found.stdout.contains("level 0") && found.stdout.contains("next dump is a full one"),
        "{found}"
    );
    // The laptop is told with its next call.
    assert!(!world.published(host)[0].is_backup());
    let anew = laptop.back_up();
    assert_backed_up(&anew, host);
    assert_eq!(anew[0].level, Some(0), "{anew:#?}");
    world.assert_vault_restores(host);
    assert_at_rest(&world);
}
