//! What is gone from a vault, and clocks that were ahead: nothing else takes the place of what a dump builds on.

mod vault;

use std::fs;
use std::sync::atomic::Ordering;

use amanda::chains::Bases;
use amanda::curinfo::{FORCE_FULL, Info};
use asyncamanda_shim::engine::embedded::make::Plan;
use asyncamanda_shim::engine::embedded::restate::restate;
use asyncamanda_shim::engine::embedded::verify::verify;
use vault::{DAY, Ears, World, check, dle, host, world, world_of};
use wire::Outcome;

fn force_full(world: &World, disk: &str) {
    let path = world.site.config().infofile().join(amanda::curinfo::path(&dle(disk)));
    let mut info = Info::parse(&fs::read(&path).expect("read")).expect("parsed");
    info.command = FORCE_FULL;
    fs::write(&path, info.print()).expect("written");
}

fn levels_of(world: &World, disk: &str) -> Vec<(u8, bool)> {
    world.catalog().of(&dle(disk)).iter().map(|dump| (dump.level, dump.is_certain())).collect()
}

#[test]
fn no_older_full_dump_takes_the_place_of_one_that_is_lost() {
    for noted in [true, false] {
        for cut in [true, false] {
            let world = world(&["/home"]);
            world.run();
            world.later(3 * DAY);
            force_full(&world, "/home");
            let (second, _) = world.run();
            assert_eq!(second[0].level, Some(0));
            world.later(DAY);
            let (third, _) = world.run();
            assert_eq!(third[0].chain[0].datestamp, second[0].datestamp);
            if !noted {
                fs::remove_file(world.path(".asyncamanda/bases")).expect("there were notes");
            }
            let file = world.catalog().dumps[&(dle("/home"), second[0].datestamp.clone(), 0)].files[0].clone();
            if cut {
                fs::OpenOptions::new().write(true).open(&file).and_then(|file| file.set_len(33_000)).expect("cut");
            } else {
                fs::remove_file(&file).expect("removed");
            }
            assert_eq!(levels_of(&world, "/home"), [(0, true), (1, false)], "noted {noted}, cut {cut}");
            assert_eq!(verify(&world.site, &Ears::default()).expect("verified").len(), 1);
            assert_eq!(restate(&world.site, &host(), world.now.load(Ordering::Relaxed)).expect("restated")[0].outcome, Outcome::Failed);
            world.later(DAY);
            let (_, ears) = world.run();
            assert_eq!(ears.levels(), [0], "{:?}", ears.planned);
            // The log has been written anew by now.
            assert_eq!(levels_of(&world, "/home"), [(0, true), (1, false), (0, true)], "noted {noted}, cut {cut}");
            assert_eq!(
                verify(&world.site, &Ears::default()).expect("verified").len(),
                usize::from(cut),
                "a file that is cut is still named"
            );
        }
    }
}

#[test]
fn rotation_moves_no_dump_to_another_base() {
    let plan = Plan { dumpcycle: 5, retention_days: 10, volume_kb: Some(1024), ..Plan::default() };
    for noted in [true, false] {
        let world = world_of(&["/home", "/srv"], &plan);
        world.fake.set(&dle("/home"), vault::Next::Bytes(200_000));
        world.fake.set(&dle("/srv"), vault::Next::Bytes(90_000));
        let mut chains = std::collections::BTreeMap::new();
        for day in 0..50 {
            if day % 7 == 3 {
                force_full(&world, "/home");
            }
            if !noted {
                // As if Amanda had made them; what was taken away is still remembered.
                let path = world.path(".asyncamanda/bases");
                let text = fs::read_to_string(&path).unwrap_or_default();
                let gone: String = text.lines().filter(|line| line.contains("\"on\":null")).map(|line| format!("{line}\n")).collect();
                fs::write(&path, gone).expect("written");
            }
            world.run();
            check(&world.site);
            let catalog = world.catalog();
            for disk in ["/home", "/srv"] {
                for dump in catalog.of(&dle(disk)) {
                    let Bases::Complete(bases) = &dump.bases else { continue };
                    let was = chains.entry((disk, dump.datestamp.clone())).or_insert_with(|| bases.clone());
                    assert_eq!(was, bases, "{} of {disk}, day {day}, noted {noted}", dump.datestamp);
                }
            }
            world.later(DAY);
        }
        assert!(world.now.load(Ordering::Relaxed) > 0 && world.catalog().dumps.len() < 100, "some were erased");
    }
}

#[test]
fn notes_of_bases_do_not_grow_without_bound() {
    let world = world_of(&["/home"], &Plan { dumpcycle: 2, retention_days: 2, volume_kb: Some(1024), ..Plan::default() });
    world.fake.set(&dle("/home"), vault::Next::Bytes(300_000));
    for _ in 0..400 {
        world.run();
        world.later(DAY / 4);
    }
    let text = fs::read_to_string(world.path(".asyncamanda/bases")).expect("notes");
    assert!(text.lines().count() < 300, "{}", text.lines().count());
    assert!(world.catalog().dumps.len() < 100);
}

#[test]
fn a_run_by_a_clock_that_was_ahead_is_not_the_last_word() {
    let world = world(&["/home"]);
    world.run();
    world.later(300 * DAY);
    let (ahead, _) = world.run();
    let now = || world.now.load(Ordering::Relaxed);
    world.later(-299 * DAY);
    let first = restate(&world.site, &host(), now()).expect("restated");
    assert_eq!((first.len(), first[0].outcome), (1, Outcome::Ok));
    assert!(first[0].datestamp < ahead[0].datestamp, "{first:?}");
    for _ in 0..3 {
        let (given, _) = world.run();
        assert!(given[0].is_backup() && given[0].datestamp < ahead[0].datestamp);
        let restated = restate(&world.site, &host(), now()).expect("restated");
        assert_eq!(restated, given);
        world.later(DAY);
    }
    check(&world.site);
}

#[test]
fn one_run_with_a_clock_ahead_or_after_a_pause_erases_nothing() {
    let world = world(&["/home"]);
    world.run();
    world.later(DAY);
    world.run();
    world.later(60 * DAY);
    let (receipts, _) = world.run();
    assert!(receipts[0].is_backup());
    assert_eq!(world.catalog().dumps.len(), 3);
    assert_eq!(world.catalog().volumes.len(), 2);
    check(&world.site);
    world.later(-60 * DAY + 3600);
    let (receipts, _) = world.run();
    assert!(receipts[0].is_backup());
    assert_eq!(world.catalog().dumps.len(), 4);
}

#[test]
fn a_disk_whose_dumps_are_all_damaged_keeps_the_newest() {
    let world = world_of(&["/home", "/srv"], &Plan { dumpcycle: 5, retention_days: 10, volume_kb: Some(1024), ..Plan::default() });
    world.run_of(&[asyncamanda_shim::engine::embedded::Order { host: host(), disks: vec![wire::DiskName::new("/home").expect("name")] }]);
    let key = world.catalog().dumps.keys().next().expect("a dump").clone();
    let path = world.catalog().dumps[&key].files[0].clone();
    let mut bytes = fs::read(&path).expect("read");
    bytes[33_000] ^= 1;
    fs::write(&path, &bytes).expect("written");
    assert_eq!(verify(&world.site, &Ears::default()).expect("verified").len(), 1);
    world.fake.set(&dle("/srv"), vault::Next::Bytes(700_000));
    world.fake.set(&dle("/home"), vault::Next::Fails("no".to_owned()));
    for _ in 0..40 {
        world.later(DAY);
        world.run();
    }
    assert!(world.catalog().dumps.contains_key(&key), "it is all that there is of /home");
    assert!(world.catalog().dumps.len() < 30, "others were erased");
}

#[test]
fn one_thing_that_cannot_be_handled_stops_nothing_else() {
    use std::os::unix::fs::symlink;
    let world = world(&["/home", "/srv"]);
    world.run();
    let slot = world.site.changer().volume(1).directory().to_owned();
    symlink("00007.x", slot.join("00007.x")).expect("a loop");
    fs::create_dir_all(world.site.holding().join("20200101000000/a file.tmp")).expect("made");
    fs::create_dir_all(world.site.holding().join("20200101000001/pid")).expect("made");
    fs::write(world.path(".asyncamanda/damaged.json"), "{").expect("written");
    let history = world.site.config().infofile().join(amanda::curinfo::path(&dle("/srv")));
    fs::remove_file(&history).expect("removed");
    fs::create_dir(&history).expect("made");
    for number in [8, 10] {
        world.later(DAY);
        let (receipts, ears) = world.run();
        assert_eq!((receipts[0].outcome, receipts[1].outcome), (Outcome::Ok, Outcome::Failed), "{receipts:?}");
        assert!(receipts[0].chain[1].places[0].ends_with(&format!(":{number}")) || number == 10, "{receipts:?}");
        let notes = ears.notes.lock().expect("lock").join("\n");
        for word in ["a file.tmp", "00007.x", "damaged"] {
            assert!(notes.contains(word), "{word}: {notes}");
        }
    }
    assert_eq!(verify(&world.site, &Ears::default()).expect("verified"), []);
    assert_eq!(fs::read_to_string(world.path(".asyncamanda/damaged.json")).expect("read").trim(), "[]");
}

#[test]
fn a_dump_that_no_volume_takes_waits_and_the_others_go_on() {
    let long = format!("/{}", "x".repeat(255 - vault::HOST.len() - ".".len() - ".0.tmp".len() - 1));
    let world = world(&["/home", &long]);
    let (receipts, _) = world.run();
    assert!(receipts.iter().all(wire::Receipt::is_backup), "a long name is cut: {receipts:?}");
    check(&world.site);
    // A directory has the name that the next dump would get.
    let slot = world.site.changer().volume(1).directory().to_owned();
    let taken = slot.join(amanda::vtape::name::part(3, &dle("/home"), 1));
    fs::create_dir_all(taken.join("x")).expect("made");
    world.later(DAY);
    let (receipts, ears) = world.run();
    assert!(receipts.iter().all(wire::Receipt::is_backup), "one waits on the holding disk: {receipts:?}");
    assert!(ears.notes.lock().expect("lock").iter().any(|note| note.contains("stays on the holding disk")), "{:?}", ears.notes);
    fs::remove_dir_all(taken).expect("removed");
    world.later(DAY);
    world.run();
    check(&world.site);
}

#[test]
fn indexes_of_a_volume_that_cannot_be_looked_at_stay() {
    let plan = Plan { dumpcycle: 5, retention_days: 10, volume_kb: Some(1024), ..Plan::default() };
    let world = world_of(&["/home"], &plan);
    world.fake.set(&dle("/home"), vault::Next::Bytes(300_000));
    let days = |days| (0..days).for_each(|_| (world.run(), world.later(DAY)).1);
    days(12);
    let volume = world.catalog().volumes[1].clone();
    let other = volume.volume.directory().join("00000.other");
    fs::write(&other, "x").expect("written");
    let before = world.catalog().dumps.len();
    days(30);
    fs::remove_file(&other).expect("removed");
    let catalog = world.catalog();
    assert!(before + 20 > catalog.dumps.len(), "others were erased");
    let directory = world.site.indexdir().join(amanda::index::directory(&dle("/home")));
    for key in &volume.dumps {
        assert!(catalog.dumps.contains_key(key));
        assert!(directory.join(amanda::index::header_name(&key.1, key.2)).exists(), "{key:?}");
    }
}

#[test]
fn where_nobody_can_tell_what_dumps_build_on_full_ones_are_made() {
    let world = world(&["/home"]);
    world.run();
    world.later(DAY);
    world.run();
    let path = world.path(".asyncamanda/bases");
    let text = fs::read(&path).expect("notes");
    fs::remove_file(&path).expect("removed");
    fs::create_dir(&path).expect("made");
    assert_eq!(levels_of(&world, "/home"), [(0, true), (1, false)]);
    for _ in 0..2 {
        world.later(DAY);
        let (receipts, ears) = world.run();
        assert_eq!((ears.levels(), receipts[0].is_backup()), (vec![0], true), "{:?}", ears.planned);
        world.later(DAY);
        fs::remove_dir(&path).expect("removed");
        // A line that a crash cut off is passed over.
        fs::write(&path, [&text[..], b"\n{\"host\":\"lap"].concat()).expect("written");
        let (_, ears) = world.run();
        assert_eq!(ears.levels(), [1], "{:?}", ears.planned);
        assert_eq!(levels_of(&world, "/home").iter().filter(|(_, is_certain)| !is_certain).count(), 0);
        fs::remove_file(&path).expect("removed");
        fs::create_dir(&path).expect("made");
    }
}
