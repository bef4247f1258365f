//! Volumes that are wrong, write-protected, missing or full: each is named, in Amanda's log and in words, the next one is tried, and nothing
//! is lost. By itself, since it starts programs: locks of other tests would go with them.

mod shelf;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use amanda::header::Start;
use shelf::{Conf, DAY, KIB, Mounted, NOW, World, kinds, temporary};

/// Fills a file system to its last byte.
fn fill(path: &Path) {
    let mut filler = fs::File::create(path.join("filler")).expect("made");
    while filler.write_all(&[7; 4096]).is_ok() {}
}

/// Names the config of a flush that this program does when it is called again.
const SITE: &str = "EMBEDDED_TAPER_FAULTS_SITE";

#[test]
fn a_wrong_label_is_named_and_the_next_slot_is_looked_into() {
    for (case, wrong, words) in [
        ("of another config", "daily-001", "Slot 1 with label daily-001 do not match labelstr"),
        ("not in the tapelist", "ifh77", "Slot 1 with label ifh77 is not in the tapelist"),
    ] {
        let keep = temporary();
        let world = World::make(keep.path(), Conf::default(), &["/etc"]).label(3);
        let volume = world.site.changer().volume(1);
        volume.relabel(&Start { datestamp: "20200101000000".to_owned(), label: wrong.to_owned() }).expect("labelled");
        fs::write(volume.directory().join("00001.somebody.else.0"), "theirs").expect("written");
        world.dump("/etc", NOW, 0, 20_000);
        let (flushed, notes) = world.flush(NOW + 60);
        assert_eq!((flushed.dumps, flushed.left, world.written()), (1, 0, vec!["ifh02".to_owned()]), "{case}: {}", notes.all());
        assert!(notes.all().contains(words), "{case}: {}", notes.all());
        assert!(world.log(&flushed).contains(&format!("INFO taper {words}")), "{case}");
        assert_eq!(fs::read(volume.directory().join("00001.somebody.else.0")).expect("there"), b"theirs", "{case}: it is left alone");
        // The right one is back: it is taken in its turn.
        volume.relabel(&Start { datestamp: "X".to_owned(), label: "ifh01".to_owned() }).expect("labelled");
        world.dump("/etc", NOW + DAY, 0, 20_000);
        let (flushed, _) = world.flush(NOW + DAY + 60);
        assert_eq!((flushed.dumps, world.are_whole()), (1, 2), "{case}");
    }
}

#[test]
fn a_label_that_is_there_twice_is_named() {
    let keep = temporary();
    let world = World::make(keep.path(), Conf { tapecycle: 2, ..Conf::default() }, &["/etc"]).label(3);
    let volume = world.site.changer().volume(3);
    volume.relabel(&Start { datestamp: "X".to_owned(), label: "ifh01".to_owned() }).expect("labelled");
    world.dump("/etc", NOW, 0, 20_000);
    let (flushed, notes) = world.flush(NOW + 60);
    assert_eq!(flushed.dumps, 1, "{}", notes.all());
    assert!(notes.all().contains("slots 1 and 3 have both a volume ifh01"), "{}", notes.all());
}

/// Three nights on three volumes; a fourth one is labelled.
fn three_nights(keep: &Path) -> World {
    let world = World::make(keep, Conf::default(), &["/etc"]).label(4);
    for day in 0..3 {
        world.dump("/etc", NOW + day * DAY, 0, 20_000);
        world.flush(NOW + day * DAY + 60);
    }
    assert_eq!(world.written(), ["ifh01", "ifh02", "ifh03"]);
    world.dump("/etc", NOW + 3 * DAY, 0, 20_000);
    world
}

#[test]
fn a_write_protected_volume_is_named_and_the_next_one_is_taken() {
    let keep = temporary();
    let world = three_nights(keep.path());
    let Some(mounted) = Mounted::read_only(&world.vtapes().join("slot1")) else { return };
    let (flushed, notes) = world.flush(NOW + 3 * DAY + 60);
    assert_eq!((flushed.dumps, flushed.left), (1, 0), "{}", notes.all());
    assert!(notes.all().contains("the volume ifh01 in slot 1 cannot be written") && notes.all().contains("Read-only"), "{}", notes.all());
    let log = world.log(&flushed);
    assert!(log.contains("INFO taper while labeling new volume:") && !log.contains("ERROR"), "{log}");
    assert_eq!(world.written(), ["ifh01", "ifh02", "ifh03", "ifh04"], "it keeps its date");
    assert_eq!(world.are_whole(), 4, "and what it has");
    // With no other one left the dump waits, and the volume has its turn when it can be written again.
    world.dump("/etc", NOW + 4 * DAY, 0, 20_000);
    let second = Mounted::read_only(&world.vtapes().join("slot2"));
    let (flushed, notes) = world.flush(NOW + 4 * DAY + 60);
    assert_eq!((flushed.dumps, flushed.left), (0, 1), "{}", notes.all());
    assert!(world.log(&flushed).contains("ERROR taper no-tape error [No acceptable volumes found]"));
    drop((mounted, second));
    let (flushed, notes) = world.flush(NOW + 5 * DAY);
    assert_eq!((flushed.dumps, world.written().last().map(String::as_str)), (1, Some("ifh01")), "{}", notes.all());
}

#[test]
fn a_volume_that_is_missing_is_named_and_another_one_is_taken() {
    let keep = temporary();
    let world = three_nights(keep.path());
    let (slot, away) = (world.vtapes().join("slot1"), keep.path().join("away"));
    fs::rename(&slot, &away).expect("moved");
    let (flushed, notes) = world.flush(NOW + 3 * DAY + 60);
    assert!(notes.all().contains("Label 'ifh01' not found"), "{}", notes.all());
    assert!(world.log(&flushed).contains("INFO taper Label 'ifh01' not found"));
    assert_eq!((flushed.dumps, world.written().last().map(String::as_str)), (1, Some("ifh04")), "{}", notes.all());
    fs::rename(&away, &slot).expect("moved back");
    world.dump("/etc", NOW + 4 * DAY, 0, 20_000);
    let (flushed, notes) = world.flush(NOW + 4 * DAY + 60);
    assert_eq!((flushed.dumps, world.held()), (1, 0), "{}", notes.all());
    assert_eq!(world.written().last().map(String::as_str), Some("ifh01"));
    assert_eq!(world.are_whole(), 4);
}

#[test]
fn a_part_ends_where_the_file_system_is_full() {
    let (keep, small) = (temporary(), tempfile::tempdir().expect("directory"));
    let Some(_mounted) = Mounted::small(small.path(), 2_048) else { return };
    let conf = Conf { runtapes: 3, length: 100_000, vtapes: Some(small.path().to_owned()), ..Conf::default() };
    let world = World::make(keep.path(), conf, &["/etc", "/home"]).label(3);
    world.dump("/etc", NOW, 0, 1_200 * KIB);
    world.dump("/home", NOW, 0, 900 * KIB);
    let (flushed, notes) = world.flush(NOW + 60);
    assert_eq!((flushed.dumps, flushed.left), (1, 1), "{}", notes.all());
    let log = world.log(&flushed);
    assert!(kinds(&log).get("PARTIAL taper") == Some(&1), "{log}");
    assert!(notes.all().contains("stays on the holding disk"), "{}", notes.all());
    assert_eq!((world.are_whole(), world.held()), (2, 1));
    // The volumes come round, and there is room again.
    fs::remove_file(&world.catalog().held().next().expect("one").path).expect("removed");
    world.dump("/etc", NOW + DAY, 0, 10 * KIB);
    world.dump("/home", NOW + DAY, 0, 10 * KIB);
    let (flushed, notes) = world.flush(NOW + DAY + 60);
    assert_eq!((flushed.dumps + flushed.left, world.held()), (2, flushed.left), "{}", notes.all());
    world.are_whole();
}

#[test]
fn a_volume_is_taken_again_where_nothing_can_be_written_any_more() {
    let (keep, small) = (temporary(), tempfile::tempdir().expect("directory"));
    let Some(_mounted) = Mounted::small(small.path(), 2_048) else { return };
    let conf = Conf { vtapes: Some(small.path().to_owned()), ..Conf::default() };
    let world = World::make(keep.path(), conf, &["/etc"]).label(3);
    for day in 0..3 {
        world.dump("/etc", NOW + day * DAY, 0, 400 * KIB);
        world.flush(NOW + day * DAY + 60);
    }
    fill(small.path());
    world.dump("/etc", NOW + 3 * DAY, 0, 200 * KIB);
    let (flushed, notes) = world.flush(NOW + 3 * DAY + 60);
    assert_eq!((flushed.dumps, world.written().last().map(String::as_str)), (1, Some("ifh01")), "{}", notes.all());
    assert_eq!(world.are_whole(), 3);
}

#[test]
fn one_flush_for_those_who_limit_it() {
    let Some(site) = std::env::var_os(SITE) else { return };
    let world = World { directory: site.clone().into(), conf: Conf::default(), site: World::open(Path::new(&site), "ifh") };
    let (flushed, notes) = world.flush(NOW + 60);
    assert_eq!((flushed.dumps, flushed.left), (2, 0), "{}", notes.all());
    assert!(notes.all().contains("the volume ifh01 takes no more"), "{}", notes.all());
}

#[test]
fn a_part_that_cannot_be_written_to_its_end_ends_where_that_was() {
    let keep = temporary();
    let conf = Conf { runtapes: 3, length: 100_000, ..Conf::default() };
    let world = World::make(keep.path(), conf, &["/etc", "/home"]).label(4);
    // In chunks, so that it has to be copied. No file may be longer than 600 KiB, which nobody can tell beforehand.
    let etc = world.dump_to(&world.directory.join("hd1"), "/etc", NOW, 0, 1_300 * KIB, 400 * KIB);
    let home = world.dump_to(&world.directory.join("hd1"), "/home", NOW, 0, 100 * KIB, 64 * KIB);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 1200; exec \"$0\" \"$@\""]).arg(std::env::current_exe().expect("this program"));
    command.args(["--exact", "one_flush_for_those_who_limit_it", "--nocapture"]).env(SITE, &world.directory);
    let output = command.output().expect("started");
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(world.places(&etc, NOW), ["ifh01:1", "ifh02:1", "ifh03:1"]);
    assert_eq!(world.places(&home, NOW), ["ifh03:2"]);
    assert_eq!((world.are_whole(), world.held()), (2, 0));
}
