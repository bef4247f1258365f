//! Runs of the embedded engine on real files, with dumps that are made without a client.

mod vault;

use std::fs;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Instant;

use amanda::run_log::{Outcome as Said, RunLog};
use asyncamanda_shim::engine::embedded::make::Plan;
use asyncamanda_shim::engine::embedded::restate::restate;
use asyncamanda_shim::engine::embedded::verify::verify;
use asyncamanda_shim::engine::embedded::{Order, mend, stamp};
use vault::{DAY, Ears, HOST, NOW, Next, all, check, dle, host, is_whole, world, world_of};
use wire::{DiskName, Outcome};

fn disk(name: &str) -> DiskName {
    DiskName::new(name).expect("name")
}

#[test]
fn a_full_dump_and_an_incremental_one_are_proven_and_restated() {
    let world = world(&["/home", "/srv/my docs"]);
    let (receipts, ears) = world.run();
    assert_eq!(ears.levels(), [0, 0]);
    assert!(receipts.iter().all(|receipt| receipt.outcome == Outcome::Ok && receipt.is_backup()), "{receipts:?}");
    let first = &receipts[0];
    assert_eq!((first.level, first.run.as_str(), first.started), (Some(0), "run-1", NOW));
    assert_eq!(first.datestamp, stamp::of(NOW));
    assert_eq!((first.bytes, first.sent_crc32c.clone()), (Some(10_000), first.crc32c.clone()));
    assert_eq!(first.chain[0].places, [format!("{}-001:1", world.site.name())]);
    check(&world.site);
    world.later(DAY);
    let (receipts, ears) = world.run();
    assert_eq!(ears.levels(), [1, 1]);
    assert_eq!(receipts[1].chain.iter().map(|base| base.level).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(receipts[1].chain[1].places, [format!("{}-001:4", world.site.name())]);
    check(&world.site);
    let restated = restate(&world.site, &host(), world.now.load(Ordering::Relaxed)).expect("restated");
    assert_eq!(restated, receipts);
    let other = "other".parse().expect("name");
    assert_eq!(restate(&world.site, &other, world.now.load(Ordering::Relaxed)).expect("restated"), []);
    // Without the receipts that were given out, the volumes know it.
    fs::remove_dir_all(world.path(".asyncamanda/latest")).expect("removed");
    let again = restate(&world.site, &host(), world.now.load(Ordering::Relaxed)).expect("restated");
    assert_eq!((again[0].run.as_str(), again[0].started), (receipts[0].datestamp.as_str(), NOW + DAY));
    assert_eq!((&again[0].chain, &again[0].sent_crc32c, again[0].bytes), (&receipts[0].chain, &receipts[0].sent_crc32c, receipts[0].bytes));
}

#[test]
fn the_log_is_in_amandas_words() {
    let world = world(&["/home", "/srv", "/etc"]);
    world.fake.set(&dle("/srv"), Next::Strange(5_000, "? tar: ./x: file changed as we read it".to_owned()));
    world.fake.set(&dle("/etc"), Next::Fails("the client says: no".to_owned()));
    let (receipts, _) = world.run_of(&[all(), Order { host: host(), disks: vec![disk("/nowhere"), disk("/home")] }]);
    let outcomes: Vec<_> = receipts.iter().map(|receipt| receipt.outcome).collect();
    assert_eq!(outcomes, [Outcome::Ok, Outcome::Strange, Outcome::Failed, Outcome::Failed]);
    assert!(receipts[1].is_backup() && receipts[1].reason.contains("file changed"), "{:?}", receipts[1]);
    assert!(receipts[3].reason.contains("no such disk"), "{}", receipts[3].reason);
    let log = fs::read(world.path(&format!("log/log.{}.0", receipts[0].datestamp))).expect("a log");
    let run = RunLog::parse(&log);
    let text = String::from_utf8(log).expect("text");
    assert!(run.planner_finished && run.driver_finished && run.amdump_done(), "{text}");
    let word = |name: &str| run.last_word(&dle(name)).map(|word| word.outcome);
    assert_eq!((word("/home"), word("/srv"), word("/etc")), (Some(Said::Ok), Some(Said::Strange), Some(Said::Failed)), "{text}");
    assert!(text.contains("INFO planner laptop1:/home level 0: there is no dump of it yet"), "{text}");
    assert!(text.contains("FAIL dumper laptop1 /etc") && text.contains("[the client says: no]"), "{text}");
    check(&world.site);
    // A strange dump is restated as one.
    assert_eq!(restate(&world.site, &host(), world.now.load(Ordering::Relaxed)).expect("restated")[1].outcome, Outcome::Strange);
    fs::remove_dir_all(world.path(".asyncamanda/latest")).expect("removed");
    let again = restate(&world.site, &host(), world.now.load(Ordering::Relaxed)).expect("restated");
    assert_eq!((again[1].outcome, again.len()), (Outcome::Strange, 2));
}

#[test]
fn a_disk_that_fails_stops_no_other_and_is_dumped_the_next_time() {
    let world = world(&["/a", "/b", "/c"]);
    world.run();
    world.later(DAY);
    world.fake.set(&dle("/b"), Next::Panics);
    let (receipts, _) = world.run();
    assert_eq!(receipts.iter().map(|receipt| receipt.outcome).collect::<Vec<_>>(), [Outcome::Ok, Outcome::Failed, Outcome::Ok]);
    // What was never finished is a killed dump's.
    let _ = world.run();
    world.fake.set(&dle("/b"), Next::Bytes(10));
    world.later(DAY);
    let (receipts, ears) = world.run();
    assert_eq!((receipts[1].outcome, ears.levels()), (Outcome::Ok, vec![1, 1, 1]));
    check(&world.site);
}

#[test]
fn many_runs_in_a_day_evict_nothing_and_leave_no_heap_of_logs() {
    // A run reads all of the day's again; without optimisation that is slow.
    let runs = if cfg!(debug_assertions) { 300 } else { 1_000 };
    let world = world_of(&["/home"], &Plan { volume_kb: Some(100 * 1024), ..Plan::default() });
    world.fake.set(&dle("/home"), Next::Bytes(100));
    for _ in 0..runs {
        let (receipts, _) = world.run();
        assert!(receipts[0].is_backup(), "{receipts:?}");
        world.later(80);
    }
    check(&world.site);
    assert_eq!(world.catalog().dumps.len(), runs);
    assert!(fs::read_dir(world.path("log")).expect("list").count() < 40);
    let begun = Instant::now();
    let catalog = world.catalog();
    let took = begun.elapsed();
    assert_eq!(catalog.of(&dle("/home")).len(), runs);
    eprintln!("{runs} dumps are read in {took:?}");
}

#[test]
fn a_month_rotates_and_keeps_what_it_has_to() {
    let plan = Plan { dumpcycle: 7, retention_days: 10, volume_kb: Some(1024), ..Plan::default() };
    let mut world = world_of(&["/home", "/srv"], &plan);
    let most = "tapecycle 999";
    let text = fs::read_to_string(world.path("amanda.conf")).expect("read");
    let line = text.lines().find(|line| line.starts_with("tapecycle")).unwrap_or(most).to_owned();
    world.edit(&line, "tapecycle 20 tapes");
    world.fake.set(&dle("/home"), Next::Bytes(120_000));
    world.fake.set(&dle("/srv"), Next::Bytes(300_000));
    let mut made = Vec::new();
    let mut erased = 0;
    for day in 0..45 {
        let before = world.catalog();
        let (receipts, ears) = world.run();
        assert!(receipts.iter().all(wire::Receipt::is_backup), "day {day}: {receipts:?}");
        made.push(receipts[0].datestamp.clone());
        check(&world.site);
        let after = world.catalog();
        let now = world.now.load(Ordering::Relaxed);
        for key in before.dumps.keys().filter(|key| !after.dumps.contains_key(*key)) {
            erased += 1;
            assert!(stamp::seconds(&key.1).expect("a stamp") + 10 * DAY <= now, "{key:?} was erased on day {day}");
        }
        // Every state of the last ten days can be restored.
        for disk in ["/home", "/srv"] {
            let young: Vec<_> = made.iter().filter(|stamp| stamp::seconds(stamp).expect("a stamp") + 10 * DAY > now).collect();
            for stamp in young {
                let dump = after.of(&dle(disk)).iter().find(|dump| dump.datestamp == *stamp).expect("still listed");
                assert!(is_whole(&after, &dle(disk), dump), "{stamp} of {disk} on day {day}");
            }
        }
        assert!(ears.levels().iter().all(|level| (*level == 0) == (day % 7 == 0)), "day {day}: {:?}", ears.levels());
        world.later(DAY);
    }
    assert!(erased > 10, "volumes are used again");
    assert!(world.catalog().volumes.len() <= 20);
    assert_eq!(verify(&world.site, &Ears::default()).expect("verified"), []);
}

#[test]
fn a_clock_that_goes_back_makes_a_full_dump_and_erases_nothing() {
    let world = world(&["/home"]);
    world.run();
    world.later(20 * DAY);
    world.run();
    world.later(-19 * DAY);
    let (receipts, ears) = world.run();
    assert_eq!((ears.levels(), receipts[0].is_backup()), (vec![0], true));
    world.later(DAY);
    let (_, ears) = world.run();
    assert_eq!(ears.levels(), [1], "{:?}", ears.planned);
    assert_eq!(world.catalog().dumps.len(), 4);
    check(&world.site);
}

#[test]
fn local_time_that_goes_back_by_an_hour_changes_nothing() {
    let world = world(&["/home"]);
    let (first, _) = world.run();
    world.later(-30);
    let (second, ears) = world.run();
    assert_eq!(ears.levels(), [1], "{:?}", ears.planned);
    assert!(second[0].datestamp > first[0].datestamp);
    assert_eq!(second[0].chain.len(), 2);
}

#[test]
fn a_flipped_bit_is_found_and_named_and_the_next_dump_is_full() {
    let world = world(&["/home", "/srv"]);
    world.run();
    world.later(DAY);
    let (given, _) = world.run();
    let path = world.catalog().dumps[&(dle("/home"), given[0].datestamp.clone(), 1)].files[0].clone();
    let mut bytes = fs::read(&path).expect("read");
    bytes[40_000] ^= 4;
    fs::write(&path, &bytes).expect("written");
    let findings = verify(&world.site, &Ears::default()).expect("verified");
    assert_eq!(findings.len(), 1);
    assert_eq!((&findings[0].dle, findings[0].level, &findings[0].path), (&dle("/home"), 1, &path));
    assert!(findings[0].what.contains("was stored"), "{}", findings[0].what);
    let restated = restate(&world.site, &host(), world.now.load(Ordering::Relaxed)).expect("restated");
    let of_home: Vec<_> = restated.iter().filter(|receipt| receipt.disk == disk("/home")).collect();
    assert_eq!((of_home[0].outcome, of_home[0].run.as_str()), (Outcome::Failed, "run-1"));
    assert_eq!((of_home[1].outcome, of_home[1].level), (Outcome::Ok, Some(0)));
    world.later(DAY);
    let (receipts, ears) = world.run();
    assert_eq!(ears.levels(), [0, 1], "{:?}", ears.planned);
    assert!(receipts[0].is_backup());
    assert_eq!(verify(&world.site, &Ears::default()).expect("verified").len(), 1, "it is still there");
    bytes[40_000] ^= 4;
    fs::write(&path, &bytes).expect("written");
    assert_eq!(verify(&world.site, &Ears::default()).expect("verified"), []);
    assert!(fs::read_to_string(world.path(".asyncamanda/damaged.json")).expect("marks").trim() == "[]");
}

#[test]
fn a_file_that_is_cut_or_gone_is_listed_no_more_and_named() {
    for cut in [true, false] {
        let world = world(&["/home"]);
        world.run();
        world.later(DAY);
        let (given, _) = world.run();
        let path = world.catalog().dumps[&(dle("/home"), given[0].datestamp.clone(), 1)].files[0].clone();
        if cut {
            fs::OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(33_000)).expect("cut");
        } else {
            fs::remove_file(&path).expect("removed");
        }
        assert_eq!(world.certain("/home").len(), 1);
        let findings = verify(&world.site, &Ears::default()).expect("verified");
        assert_eq!((findings.len(), &findings[0].path, findings[0].level), (1, &path, 1));
        world.later(DAY);
        let (receipts, ears) = world.run();
        assert_eq!(ears.levels(), [0], "{:?}", ears.planned);
        assert!(receipts[0].is_backup() && ears.notes.lock().expect("lock").iter().any(|note| note.contains("level 1")));
        let text = fs::read_to_string(world.path(&format!("log/log.{}.0", receipts[0].datestamp))).expect("a log");
        assert!(!text.contains(&format!("{} 1/-1", given[0].datestamp)), "{text}");
    }
}

#[test]
fn a_volume_that_is_gone_is_found_and_what_is_left_is_named() {
    let plan = Plan { volume_kb: Some(1024), ..Plan::default() };
    let world = world_of(&["/home"], &plan);
    world.fake.set(&dle("/home"), Next::Bytes(600_000));
    world.run();
    world.later(DAY);
    let (given, _) = world.run();
    let catalog = world.catalog();
    let of = |level| catalog.dumps.iter().find(|(key, _)| key.2 == level).expect("there").1.files[0].clone();
    assert_ne!(of(0).parent(), of(1).parent(), "two volumes");
    let said = || {
        let shim = Command::new(env!("CARGO_BIN_EXE_asyncamanda-shim")).arg("verify").arg(world.site.directory()).output().expect("run");
        (shim.status.code(), String::from_utf8_lossy(&[shim.stdout, shim.stderr].concat()).into_owned())
    };
    let (code, text) = said();
    assert!(code == Some(0) && text.contains("2 dumps of 1200000 bytes"), "{text}");
    fs::remove_dir_all(of(1).parent().expect("a slot")).expect("removed");
    let findings = verify(&world.site, &Ears::default()).expect("verified");
    assert_eq!((findings.len(), findings[0].level, &findings[0].datestamp), (1, 1, &given[0].datestamp));
    let (code, text) = said();
    for part in ["-002 is gone: 1 dump;", "its newest state that can be restored is the one of", "1 dump of 600000 bytes was read back"] {
        assert!(code == Some(1) && text.contains(part), "{part:?} is not in {text}");
    }
    fs::remove_dir_all(of(0).parent().expect("a slot")).expect("removed");
    let (code, text) = said();
    for part in ["-001 is gone: 1 dump;", "-002 is gone: 1 dump;", "nothing of it can be restored any more", "0 dumps of 0 bytes"] {
        assert!(code == Some(1) && text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn a_full_file_system_is_told_in_a_sentence_and_older_volumes_make_room() {
    let plan = Plan { dumpcycle: 5, retention_days: 10, volume_kb: Some(1024), ..Plan::default() };
    let world = world_of(&["/home"], &plan);
    world.fake.set(&dle("/home"), Next::Full(50_000, 9));
    let (receipts, _) = world.run();
    let reason = &receipts[0].reason;
    assert!(reason.contains("no room for it") && reason.contains("50 kB") && reason.contains("kept for 10 days"), "{reason}");
    world.fake.set(&dle("/home"), Next::Bytes(600_000));
    for _ in 0..14 {
        world.run();
        world.later(DAY);
    }
    world.later(20 * DAY);
    let before = world.catalog().dumps.len();
    world.fake.set(&dle("/home"), Next::Full(600_000, 1));
    let (receipts, ears) = world.run();
    assert!(receipts[0].is_backup(), "{receipts:?} {:?}", ears.notes);
    assert!(world.catalog().dumps.len() < before, "older dumps were erased");
    check(&world.site);
}

#[test]
fn a_disk_is_never_in_two_runs() {
    let world = world(&["/home", "/srv"]);
    let lock = world.path(".asyncamanda/disks");
    fs::create_dir_all(&lock).expect("made");
    let held = asyncamanda_shim::lock::try_take(&lock.join("laptop1._home.lock"), "", 0).expect("lock").expect("free");
    let (receipts, _) = world.run();
    assert_eq!(receipts.iter().map(|receipt| receipt.outcome).collect::<Vec<_>>(), [Outcome::Failed, Outcome::Ok]);
    assert!(receipts[0].reason.contains("another run"), "{}", receipts[0].reason);
    drop(held);
    let (receipts, ears) = world.run();
    assert_eq!((receipts[0].outcome, ears.levels()), (Outcome::Ok, vec![0, 1]));
    check(&world.site);
}

#[test]
fn hosts_are_dumped_side_by_side_and_one_vault_has_them_all() {
    let mut world = world(&[]);
    let hosts: Vec<String> = (0..8).map(|number| format!("host{number}")).collect();
    for host in &hosts {
        for disk in ["/home", "/etc"] {
            world.site.add_disk(&amanda::dle::Dle::new(host.as_str(), disk), None).expect("added");
        }
    }
    let orders: Vec<_> = hosts.iter().map(|host| Order { host: host.parse().expect("name"), disks: Vec::new() }).collect();
    for _ in 0..3 {
        std::thread::scope(|scope| {
            for order in &orders {
                scope.spawn(|| {
                    let (receipts, _) = world.run_of(std::slice::from_ref(order));
                    assert!(receipts.len() == 2 && receipts.iter().all(wire::Receipt::is_backup), "{receipts:?}");
                });
            }
        });
        let (receipts, _) = world.run_of(&orders);
        assert!(receipts.len() == 16 && receipts.iter().all(wire::Receipt::is_backup), "{receipts:?}");
        check(&world.site);
        world.later(DAY);
    }
    let catalog = world.catalog();
    assert_eq!(catalog.dumps.len(), 6 * 16);
    let mut stamps: Vec<_> = catalog.dumps.keys().filter(|key| key.0.disk == "/etc").map(|key| key.1.clone()).collect();
    stamps.sort();
    stamps.dedup();
    assert_eq!(stamps.len(), 3 * 9, "each run has a datestamp of its own");
}

#[test]
fn a_disk_that_left_the_disklist_goes_with_its_retention() {
    let plan = Plan { retention_days: 10, dumpcycle: 7, volume_kb: Some(1024), ..Plan::default() };
    let mut world = world_of(&["/home", "/old"], &plan);
    world.fake.set(&dle("/old"), Next::Bytes(700_000));
    world.run();
    let text = fs::read_to_string(world.path("disklist")).expect("read");
    fs::write(world.path("disklist"), text.lines().filter(|line| !line.contains("/old")).collect::<Vec<_>>().join("\n") + "\n")
        .expect("written");
    world.edit("# A vault", "# A vault");
    let volumes = world.catalog().volumes.len();
    for day in 0..40 {
        world.fake.set(&dle("/home"), Next::Bytes(400_000 + day));
        let (receipts, _) = world.run();
        assert!(receipts[0].is_backup());
        world.later(DAY);
    }
    assert!(world.catalog().volumes.len() > volumes);
    assert!(world.catalog().of(&dle("/old")).is_empty(), "it has expired");
    assert!(!world.path("curinfo/laptop1/_old/info").exists() && !world.path("index/laptop1/_old").exists());
    assert!(!world.certain("/home").is_empty());
    check(&world.site);
}

#[test]
fn no_volume_is_taken_that_somebody_keeps() {
    let plan = Plan { retention_days: 2, dumpcycle: 2, volume_kb: Some(1024), ..Plan::default() };
    let world = world_of(&["/home"], &plan);
    world.run();
    let path = world.path("tapelist");
    let text = fs::read_to_string(&path).expect("read");
    fs::write(&path, text.replace(" reuse ", " no-reuse ")).expect("written");
    for _ in 0..20 {
        world.later(DAY);
        world.run();
    }
    let text = fs::read_to_string(&path).expect("read");
    assert_eq!(text.matches(" no-reuse ").count(), 1, "{text}");
    assert!(world.catalog().dumps.contains_key(&(dle("/home"), stamp::of(NOW), 0)));
}

#[test]
fn a_history_that_is_gone_is_made_again() {
    let world = world(&["/home"]);
    world.run();
    world.later(DAY);
    world.run();
    let path = world.path("curinfo/laptop1/_home/info");
    let before = fs::read(&path).expect("read");
    for text in [&b""[..], b"version: 0\ncomm", &before] {
        fs::write(&path, text).expect("written");
        world.later(DAY);
        let (_, ears) = world.run();
        assert_eq!(ears.levels(), [1], "{:?}", ears.planned);
        check(&world.site);
    }
    let info = amanda::curinfo::Info::parse(&fs::read(&path).expect("read")).expect("parsed");
    assert_eq!((info.last_level, info.stats.len()), (1, 2));
    assert!(info.history.len() >= 4, "{info:?}");
}

#[test]
fn a_full_dump_that_was_asked_for_is_made_once() {
    let world = world(&["/home"]);
    world.run();
    let path = world.path("curinfo/laptop1/_home/info");
    let mut info = amanda::curinfo::Info::parse(&fs::read(&path).expect("read")).expect("parsed");
    info.command = amanda::curinfo::FORCE_FULL;
    fs::write(&path, info.print()).expect("written");
    for expected in [0, 1] {
        world.later(DAY);
        let (_, ears) = world.run();
        assert_eq!(ears.levels(), [expected], "{:?}", ears.planned);
    }
}

#[test]
fn mending_what_is_well_changes_nothing() {
    let world = world(&["/home"]);
    world.run();
    let look = || {
        let mut files = Vec::new();
        let mut directories = vec![world.site.directory().to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).expect("list") {
                let entry = entry.expect("entry");
                match entry.file_type().expect("type").is_dir() {
                    true => directories.push(entry.path()),
                    false => files.push((entry.path(), entry.metadata().expect("metadata").modified().expect("time"))),
                }
            }
        }
        files.sort();
        files
    };
    mend::mend(&world.site, &Ears::default(), NOW + 5).expect("mended");
    let before = look();
    mend::mend(&world.site, &Ears::default(), NOW + 9).expect("mended");
    assert_eq!(look(), before);
}

#[test]
fn a_dump_that_is_longer_than_a_volume_gets_one_of_its_own() {
    let world = world_of(&["/home", "/big"], &Plan { volume_kb: Some(1024), ..Plan::default() });
    world.fake.set(&dle("/big"), Next::Bytes(3_000_000));
    for _ in 0..3 {
        let (receipts, _) = world.run();
        assert!(receipts.iter().all(wire::Receipt::is_backup), "{receipts:?}");
        world.later(DAY);
    }
    let catalog = world.catalog();
    let big: Vec<_> = catalog.volumes.iter().filter(|volume| volume.dumps.iter().any(|key| key.0 == dle("/big"))).collect();
    assert!(big.len() == 3 && big.iter().all(|volume| volume.dumps.len() == 1), "{:?}", catalog.volumes);
    check(&world.site);
}

#[test]
fn a_vault_that_is_not_there_any_more_is_no_empty_one() {
    let world = world(&["/home"]);
    world.run();
    fs::rename(world.site.directory(), world.keep.path().join("pulled out")).expect("moved");
    fs::create_dir(world.site.directory()).expect("a mount point");
    assert!(restate(&world.site, &host(), world.now.load(Ordering::Relaxed)).is_err());
    assert!(mend::mend(&world.site, &Ears::default(), NOW).is_err());
    assert!(fs::read_dir(world.site.directory()).expect("list").all(|entry| entry.expect("entry").path().is_dir()));
}

#[test]
fn a_vault_knows_its_host() {
    assert_eq!(world(&["/home"]).site.disks()[0].dle.host, HOST);
}

#[test]
fn no_number_that_a_file_says_is_too_large_to_be_reckoned_with() {
    let world = world(&["/home"]);
    world.run();
    world.later(DAY);
    let mut header = amanda::header::Header::new(dle("/other"), "20200101000000", 0);
    header.server = Some(amanda::crc::Crc { crc: 1, bytes: u64::MAX });
    header.orig_kb = Some(u64::MAX);
    let run = world.site.holding().join("20200101000000");
    fs::create_dir(&run).expect("made");
    fs::write(run.join("other"), header.print().expect("a header")).expect("written");
    let slot = world.site.changer().volume(1);
    let part = header.as_part(1).print().expect("a header");
    fs::write(slot.directory().join("00002.laptop1._other.0"), part).expect("written");
    let path = world.site.config().infofile().join(amanda::curinfo::path(&dle("/home")));
    let text = fs::read(&path).expect("read");
    for extreme in [i64::MAX, i64::MIN] {
        let mut info = amanda::curinfo::Info::parse(&text).expect("curinfo");
        for dump in &mut info.history {
            (dump.date, dump.kb, dump.orig_kb) = (extreme, extreme, extreme);
        }
        for stats in info.stats.values_mut() {
            (stats.date, stats.kb, stats.orig_kb) = (extreme, extreme, extreme);
        }
        fs::write(&path, info.print()).expect("written");
        let (receipts, _) = world.run();
        // There is no room for as much as the greatest number says.
        let expected = if extreme > 0 { Outcome::Failed } else { Outcome::Ok };
        assert_eq!(receipts[0].outcome, expected, "{receipts:?}");
        world.later(DAY);
    }
}
