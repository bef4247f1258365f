//! Many at once: what made seven of eight fail before. No disk is ever in two runs, few runs serve all, and everybody gets
//! a receipt of his own.

use std::collections::BTreeSet;
use std::time::Duration;

use asyncamanda_tests::laptop::{PATIENCE, assert_backed_up, receipts};
use asyncamanda_tests::wait::until_true;
use asyncamanda_tests::{Caller, Plan, World, tree};
use wire::request;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn eight_hosts_in_the_same_second_get_eight_receipts_out_of_three_runs_at_most() {
    let world = World::new(Plan { hosts: 8, over_ssh: vec![5, 7], ..Plan::default() });
    let watch = world.watch();
    let laptops: Vec<_> = (0..8).map(|index| world.laptop(index)).collect();
    let triggers: Vec<_> = laptops.iter().map(asyncamanda_tests::Laptop::trigger).collect();
    let mut runs = BTreeSet::new();
    for (trigger, host) in triggers.into_iter().zip(&world.hosts) {
        let receipts = receipts(&trigger.wait(PATIENCE).expect_code(0));
        assert_backed_up(&receipts, host);
        runs.insert(receipts[0].run.clone());
    }
    assert!(runs.len() <= 3, "runs named by the receipts: {runs:?}");
    assert!(world.amanda.run_logs().len() <= 3, "runs of amdump: {}", world.amanda.run_logs().len());
    assert!(watch.most_runs() <= 2, "{} runs at once", watch.most_runs());
    watch.assert_no_clash();
    assert!(world.far.as_ref().expect("planned").sessions() >= 2, "auth ssh was not used");

    for host in &world.hosts {
        let words = world.amanda.words_on(host);
        assert!(words.iter().all(|word| word.what == "SUCCESS"), "{}: {words:?}", host.name);
        assert_eq!(words.iter().filter(|word| word.who == "chunker").count(), 1, "{}: {words:?}", host.name);
        world.assert_restores(&world.name, host);
    }
    // The comparison above compares each with its own source; that the sources differ is what makes it say "its own".
    assert!(!tree::differences(&world.hosts[0].disk, &world.hosts[2].disk).is_empty());
    world.assert_at_rest();
}

#[test]
fn the_same_host_twice_at_once_is_one_dump_and_two_answers() {
    let world = World::new(Plan { gated: vec![0], ..Plan::default() });
    let (host, laptop) = (&world.hosts[0], world.laptop(0));
    let gate = host.gate.as_ref().expect("planned");
    let watch = world.watch();
    gate.close();
    let mut first = laptop.trigger();
    let mut second = Caller::call(laptop.ssh(Some(request::AGENT)));
    let queued = second.trigger(&host.disk, MINUTE);
    watch.until_dumping(&host.disk, &mut first);
    // A third one, in mid-run, joins too.
    let mut third = Caller::call(laptop.ssh(Some(request::AGENT)));
    if let Some((ticket, joined)) = third.trigger(&host.disk, MINUTE) {
        assert!(joined && queued.is_none_or(|(first, _)| first == ticket));
    }
    gate.open();

    let first = receipts(&first.wait(PATIENCE).expect_code(0));
    let (second, third) = (second.receipts(PATIENCE), third.receipts(PATIENCE));
    assert_backed_up(&first, host);
    assert_eq!(first, second);
    assert_eq!(first, third);
    assert_eq!((world.amanda.run_logs().len(), world.amanda.good_dumps(host), watch.dumps_of(&host.disk)), (1, 1, 1));
    world.assert_restores(&world.name, host);
    world.assert_at_rest();
}

#[test]
fn two_agents_of_one_laptop_started_together_share_one_run() {
    let world = World::new(Plan { gated: vec![0], ..Plan::default() });
    let (host, laptop) = (&world.hosts[0], world.laptop(0));
    let gate = host.gate.as_ref().expect("planned");
    let watch = world.watch();
    gate.close();
    let mut both = [laptop.trigger(), laptop.trigger()];
    watch.until_dumping(&host.disk, &mut both[0]);
    until_true("both sessions", MINUTE, || world.door.sessions() >= 2);
    // Both have been heard when a third who triggers after them has: sessions are served side by side, so ask for each.
    until_true("both shims to wait for the run", MINUTE, || {
        let shims = world
            .processes()
            .into_iter()
            .filter(|process| process.args.iter().any(|arg| arg == "serve") && process.name.starts_with("asyncamanda"));
        shims.count() >= 2
    });
    gate.open();
    let answers = both.map(|trigger| receipts(&trigger.wait(PATIENCE).expect_code(0)));
    for receipts in &answers {
        assert_backed_up(receipts, host);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(world.amanda.good_dumps(host), 1);
    watch.assert_no_clash();
}

#[test]
fn a_host_that_fails_leaves_the_others_of_its_batch_alone() {
    let world = World::new(Plan { hosts: 3, ..Plan::default() });
    // Its disk is gone: a laptop whose disk was unplugged.
    std::fs::rename(&world.hosts[1].disk, world.dir.join("unplugged")).expect("a world of our own");
    let laptops: Vec<_> = (0..3).map(|index| world.laptop(index)).collect();
    let triggers: Vec<_> = laptops.iter().map(asyncamanda_tests::Laptop::trigger).collect();
    let ends: Vec<_> = triggers.into_iter().map(|trigger| trigger.wait(PATIENCE)).collect();
    for index in [0, 2] {
        assert_eq!(ends[index].code, Some(0), "{}", ends[index]);
        assert_backed_up(&receipts(&ends[index]), &world.hosts[index]);
        world.assert_restores(&world.name, &world.hosts[index]);
    }
    assert_eq!(ends[1].code, Some(1), "{}", ends[1]);
    let [failed] = &receipts(&ends[1])[..] else { panic!("one receipt was expected: {}", ends[1]) };
    assert!(!failed.is_backup() && !failed.reason.is_empty(), "{failed:#?}");
    world.assert_at_rest();
}
