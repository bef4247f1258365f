//! Random sequences of runs, and of everything that can go wrong between them; what has to hold, holds after each run.

mod vault;

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::Ordering;

use amanda::dle::Dle;
use amanda::holding;
use asyncamanda_shim::engine::embedded::make::Plan;
use asyncamanda_shim::engine::embedded::run::{Dumper as _, Task};
use asyncamanda_shim::engine::embedded::{stamp, verify};
use proptest::prelude::*;
use vault::{DAY, Ears, FakeAt, Next, World, check, dle, host, is_whole, world_of};

/// Something that happens to a vault.
#[derive(Debug, Clone)]
enum Event {
    /// A run whose dumps have so many bytes, so many hours after the one before.
    Run(usize, i64),
    /// A run in which one disk fails.
    Fails(u8),
    /// Local time goes back by so many hours.
    Back(i64),
    /// A run was killed in the middle of a dump.
    Half,
    /// A run was killed when its dump was whole.
    Whole,
    /// A file system that lost it: a log, the history, the tapelist, all of them.
    Lost(u8),
    /// An older tapelist comes back.
    Old,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (1usize..60_000, 1i64..80).prop_map(|(bytes, hours)| Event::Run(bytes, hours)),
        1 => (0u8..2).prop_map(Event::Fails),
        1 => (1i64..12).prop_map(Event::Back),
        1 => Just(Event::Half),
        1 => Just(Event::Whole),
        1 => (0u8..4).prop_map(Event::Lost),
        1 => Just(Event::Old),
    ]
}

const RETENTION: i64 = 12;

struct Past {
    claimed: BTreeSet<(Dle, String, u8)>,
    tapelists: Vec<Vec<u8>>,
}

fn happens(world: &World, past: &mut Past, event: &Event) {
    let now = world.now.load(Ordering::Relaxed);
    match event {
        Event::Run(bytes, hours) => {
            world.later(hours * 3600);
            world.fake.set(&dle("/a"), Next::Bytes(*bytes));
            world.fake.set(&dle("/b"), Next::Bytes(bytes / 3 + 1));
            run(world, past, 2);
        }
        Event::Fails(which) => {
            let disk = dle(if *which == 0 { "/a" } else { "/b" });
            world.fake.set(&disk, Next::Fails("no".to_owned()));
            world.later(3600);
            run(world, past, 1);
            world.fake.set(&disk, Next::Bytes(100));
        }
        Event::Back(hours) => world.later(-hours * 3600),
        Event::Half | Event::Whole => {
            let at = stamp::of(now + 7);
            let directory = world.site.holding().join(&at);
            if world.catalog().newest(now).is_some_and(|newest| newest >= at.as_str()) || fs::create_dir(&directory).is_err() {
                return;
            }
            fs::write(directory.join("pid"), "1").expect("written");
            let disk = world.site.disk(&dle("/b")).expect("listed");
            let task = Task { host: &host(), disk, level: 0, stamp: &at, directory: &directory };
            FakeAt(&world.fake, world.site.indexdir()).dump(&task, &|_| {}).unwrap_or_else(|no| panic!("{}", no.why));
            let name = holding::file_name(&disk.dle, 0);
            if matches!(event, Event::Half) {
                fs::rename(directory.join(&name), directory.join(holding::unfinished(&name))).expect("renamed");
            }
        }
        Event::Lost(what) => {
            if *what == 0 || *what == 3 {
                for entry in fs::read_dir(world.path("log")).expect("list").flatten() {
                    fs::remove_file(entry.path()).expect("removed");
                }
            }
            if *what == 1 || *what == 3 {
                let _ = fs::remove_dir_all(world.path("curinfo"));
            }
            if *what == 2 || *what == 3 {
                fs::write(world.path("tapelist"), "").expect("written");
            }
        }
        Event::Old => {
            if let Some(old) = past.tapelists.get(past.tapelists.len() / 2) {
                fs::write(world.path("tapelist"), old).expect("written");
            }
        }
    }
}

fn run(world: &World, past: &mut Past, good: usize) {
    let (receipts, ears) = world.run();
    let now = world.now.load(Ordering::Relaxed);
    assert_eq!(receipts.iter().filter(|receipt| receipt.is_backup()).count(), good, "{receipts:?} {:?}", ears.notes);
    for receipt in receipts.iter().filter(|receipt| receipt.is_backup()) {
        let dle = Dle::new(receipt.host.as_str(), receipt.disk.as_os_str().to_owned());
        past.claimed.insert((dle, receipt.datestamp.clone(), receipt.level.expect("a level")));
    }
    check(&world.site);
    let catalog = world.catalog();
    for (dle, stamp, level) in &past.claimed {
        let is_young = stamp::seconds(stamp).expect("a stamp") + RETENTION * DAY > now;
        let dump = catalog.of(dle).iter().find(|dump| dump.datestamp == *stamp && dump.level == *level);
        assert!(!is_young || dump.is_some_and(|dump| is_whole(&catalog, dle, dump)), "{dle} {stamp} {level} is lost");
    }
    for (dle, dumps) in &catalog.chains {
        assert!(dumps.iter().filter(|dump| dump.is_certain()).all(|dump| is_whole(&catalog, dle, dump)), "{dle}");
    }
    past.tapelists.push(fs::read(world.path("tapelist")).expect("read"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn nothing_claimed_is_lost_and_nothing_half_is_listed(events in prop::collection::vec(event(), 1..30)) {
        let plan = Plan { dumpcycle: 4, retention_days: 12, volume_kb: Some(1024), ..Plan::default() };
        let world = world_of(&["/a", "/b"], &plan);
        let mut past = Past { claimed: BTreeSet::new(), tapelists: Vec::new() };
        for event in &events {
            happens(&world, &mut past, event);
        }
        world.later(3600);
        world.fake.set(&dle("/a"), Next::Bytes(10));
        run(&world, &mut past, 2);
        prop_assert_eq!(verify::verify(&world.site, &Ears::default()).expect("verified"), []);
    }
}
