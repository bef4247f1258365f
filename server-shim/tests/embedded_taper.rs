//! Volumes that come round: which is begun, what goes to it in how many parts, and what stays on the holding disk.

mod shelf;

use std::fs;
use std::io::Read as _;
use std::process::Command;

use amanda::dle::Dle;
use asyncamanda_shim::engine::embedded::holding::runs;
use asyncamanda_shim::engine::embedded::label::{Ask, label};
use asyncamanda_shim::engine::embedded::stamp;
use asyncamanda_shim::engine::embedded::verify::verify;
use asyncamanda_shim::restore::Embedded;
use asyncamanda_shim::restore::loose::from;
use asyncamanda_shim::restore::source::{Data, Source as _};
use shelf::{Conf, DAY, KIB, NOW, Notes, World, kinds, temporary};
use wire::restore::DumpId;

#[test]
fn twelve_volumes_come_round_in_a_month_of_nights() {
    let keep = temporary();
    let world = World::make(keep.path(), Conf { tapecycle: 12, ..Conf::default() }, &["/etc", "/home"]).label(12);
    for day in 0..30 {
        let at = NOW + day * DAY;
        // The full dump that the oldest of ten states builds on is on the twelfth volume at most.
        world.dump("/etc", at, u8::from(day % 3 != 0), 20_000);
        world.dump("/home", at, u8::from(day % 3 != 1), 30_000);
        let (flushed, notes) = world.flush(at + 60);
        assert_eq!((flushed.dumps, flushed.left), (2, 0), "day {day}: {}", notes.all());
        let label = format!("ifh{:02}", day % 12 + 1);
        assert_eq!(world.written().last(), Some(&label), "day {day}");
        assert_eq!(world.places(&Dle::new("amandahost", "/etc"), at), [format!("{label}:1")]);
    }
    let catalog = world.catalog();
    assert_eq!(catalog.dumps.len(), 24, "two of each of the last twelve nights");
    assert_eq!((catalog.lost.len(), catalog.gone.len(), world.held()), (0, 0, 0));
    world.are_whole();
    // Any of the last ten states can be restored.
    for dumps in catalog.chains.values() {
        assert!(dumps.iter().rev().take(10).all(|dump| dump.is_certain()), "{dumps:?}");
    }
    assert_eq!(verify(&world.site, &Notes::default()).expect("verified"), []);
}

#[test]
fn what_a_restore_needs_is_not_overwritten_and_new_dumps_wait() {
    let keep = temporary();
    let world = World::make(keep.path(), Conf { tapecycle: 2, ..Conf::default() }, &["/etc", "/home", "/var"]).label(2);
    let etc = world.dump("/etc", NOW, 0, 20_000);
    world.flush(NOW + 60);
    for (day, disk) in [(1, "/home"), (2, "/var")] {
        world.dump(disk, NOW + day * DAY, 0, 20_000);
        let (flushed, notes) = world.flush(NOW + day * DAY + 60);
        // There are two volumes: one has the only dump of /etc, the other one that of /home.
        let expected = if day == 1 { (1, 0) } else { (0, 1) };
        assert_eq!((flushed.dumps, flushed.left), expected, "day {day}: {}", notes.all());
        if day == 2 {
            assert!(notes.all().contains("needed for the newest state of amandahost:/etc"), "{}", notes.all());
            let log = world.log(&flushed);
            assert!(log.contains("ERROR taper no-tape error [No acceptable volumes found]"), "{log}");
            assert!(!log.contains("FAIL taper"), "as for Amanda, no dump is to blame: {log}");
            assert!(notes.all().contains("/var of 2026") && notes.all().contains("stays on the holding disk"), "{}", notes.all());
        }
    }
    assert_eq!(world.places(&etc, NOW), ["ifh01:1"]);
    // A newer dump of it sets the volume free, and what waited is taken along.
    world.dump("/etc", NOW + 3 * DAY, 0, 20_000);
    let (flushed, notes) = world.flush(NOW + 3 * DAY + 60);
    assert_eq!((flushed.dumps, flushed.left, world.held()), (2, 0, 0), "{}", notes.all());
    assert_eq!(world.written().last().map(String::as_str), Some("ifh01"));
    assert_eq!(world.are_whole(), 3);
}

#[test]
fn a_dump_goes_on_to_the_next_volume_in_parts() {
    // Of a volume of 1024 KiB, 832 KiB are for a first part: a label, a header, and four blocks that stay free.
    for (case, part, kib, expected) in [
        ("it fits", None, 832, vec!["ifh01:1"]),
        ("two volumes", None, 900, vec!["ifh01:1", "ifh02:1"]),
        ("three volumes", None, 2_000, vec!["ifh01:1", "ifh02:1", "ifh03:1"]),
        ("in parts", Some(320), 600, vec!["ifh01:1", "ifh01:2"]),
        ("in parts, on two", Some(320), 1_300, vec!["ifh01:1", "ifh01:2", "ifh01:3", "ifh02:1", "ifh02:2"]),
        ("in parts, on three", Some(512), 2_100, vec!["ifh01:1", "ifh01:2", "ifh02:1", "ifh02:2", "ifh03:1"]),
    ] {
        let keep = temporary();
        let world = World::make(keep.path(), Conf { runtapes: 3, part, ..Conf::default() }, &["/etc", "/home"]).label(4);
        let etc = world.dump("/etc", NOW, 0, kib * KIB);
        let (flushed, notes) = world.flush(NOW + 60);
        assert_eq!((flushed.dumps, flushed.left), (1, 0), "{case}: {}", notes.all());
        assert_eq!(world.places(&etc, NOW), expected, "{case}");
        assert_eq!((world.are_whole(), world.held()), (1, 0), "{case}");
        assert_eq!(verify(&world.site, &Notes::default()).expect("verified"), [], "{case}");
        let kinds = kinds(&world.log(&flushed));
        assert_eq!((kinds.get("PART taper"), kinds.get("DONE taper")), (Some(&expected.len()), Some(&1)), "{case}");
        for volume in world.catalog().volumes {
            assert!(volume.bytes <= 1024 * KIB as u64, "{case}: slot {} has {}", volume.slot, volume.bytes);
        }
        // The next run begins a volume of its own, and a further dump finds its room behind the last part.
        world.dump("/home", NOW + DAY, 0, 10_000);
        world.flush(NOW + DAY + 60);
        assert_eq!(world.are_whole(), 2, "{case}");
    }
}

#[test]
fn what_runtapes_does_not_allow_stays_whole_on_the_holding_disk() {
    let keep = temporary();
    let world = World::make(keep.path(), Conf { tapecycle: 4, ..Conf::default() }, &["/etc", "/home"]).label(4);
    let etc = world.dump("/etc", NOW, 0, 900 * KIB);
    let home = world.dump("/home", NOW, 0, 300 * KIB);
    let (flushed, notes) = world.flush(NOW + 60);
    assert_eq!((flushed.dumps, flushed.left, flushed.stuck), (0, 2, true), "{}", notes.all());
    let log = world.log(&flushed);
    assert!(log.contains("ERROR taper no-tape config [1 tapes filled; runtapes=1 does not allow additional tapes]"), "{log}");
    assert!(log.contains("PARTIAL taper \"ST:ifh\" \"POOL:ifh\" amandahost /etc"), "{log}");
    assert!(!log.contains("FAIL taper"), "{log}");
    assert!(notes.all().contains("/home of 2026"), "{}", notes.all());
    assert_eq!((world.held(), world.are_whole()), (2, 2), "both are there");
    // With two volumes in a run the next one begins it anew, in parts of its own.
    let text = fs::read_to_string(world.directory.join("amanda.conf")).expect("read").replace("runtapes 1", "runtapes 2");
    fs::write(world.directory.join("amanda.conf"), text).expect("written");
    let world = World { site: World::open(&world.directory, "ifh"), ..world };
    let (flushed, notes) = world.flush(NOW + DAY);
    assert_eq!((flushed.dumps, flushed.left, world.held()), (2, 0, 0), "{}", notes.all());
    assert_eq!(world.places(&etc, NOW), ["ifh02:1", "ifh03:1"]);
    assert_eq!(world.places(&home, NOW), ["ifh03:2"]);
    assert_eq!(world.are_whole(), 2);
}

#[test]
fn a_dump_that_may_not_be_split_is_not_begun_where_it_does_not_fit() {
    let keep = temporary();
    let conf = Conf { runtapes: 3, part: Some(128), dumptype: "allow-split no\n", tapecycle: 4, ..Conf::default() };
    let world = World::make(keep.path(), conf, &["/a", "/b", "/c"]).label(4);
    let (first, second) = (world.dump("/a", NOW, 0, 600 * KIB), world.dump("/b", NOW, 0, 600 * KIB));
    world.dump("/c", NOW, 0, 900 * KIB);
    let (flushed, notes) = world.flush(NOW + 60);
    assert_eq!((flushed.dumps, flushed.left), (2, 1), "{}", notes.all());
    assert_eq!((world.places(&first, NOW), world.places(&second, NOW)), (vec!["ifh01:1".to_owned()], vec!["ifh02:1".to_owned()]));
    assert!(notes.all().contains("/c") && notes.all().contains("may not be split"), "{}", notes.all());
    assert_eq!(world.written().len(), 2, "no volume was begun for it");
}

#[test]
fn dumps_in_chunks_on_several_holding_disks_go_to_volumes_and_nothing_stays() {
    let (keep, other) = (temporary(), tempfile::tempdir().expect("directory"));
    let conf = Conf { runtapes: 3, holding: vec![other.path().to_owned()], ..Conf::default() };
    let world = World::make(keep.path(), conf, &["/etc", "/home", "/srv"]).label(3);
    let etc = world.dump_to(other.path(), "/etc", NOW, 0, 300 * KIB, 0);
    let home = world.dump_to(other.path(), "/home", NOW, 0, 700 * KIB, 100 * KIB);
    let srv = world.dump_to(&world.directory.join("hd1"), "/srv", NOW + 5, 0, 400 * KIB, 96 * KIB);
    assert_eq!((world.held(), world.are_whole()), (3, 3), "they are read where they are");
    let (flushed, notes) = world.flush(NOW + 60);
    assert_eq!((flushed.dumps, flushed.left), (3, 0), "{}", notes.all());
    assert_eq!(world.are_whole(), 3);
    for (dle, at) in [(&etc, NOW), (&home, NOW), (&srv, NOW + 5)] {
        assert!(world.places(dle, at)[0].starts_with("ifh0"), "{:?}", world.places(dle, at));
    }
    let left = runs(&[world.directory.join("hd1"), other.path().to_owned()]).expect("listed");
    assert_eq!(left, [], "nothing is left on the holding disks");
}

#[test]
fn less_than_taperflush_waits_for_more() {
    let keep = temporary();
    let conf = Conf { more: "flush-threshold-dumped 50\nflush-threshold-scheduled 50\ntaperflush 50\n", ..Conf::default() };
    let world = World::make(keep.path(), conf, &["/etc"]).label(3);
    world.dump("/etc", NOW, 0, 300 * KIB);
    let (flushed, notes) = world.flush(NOW + 60);
    assert_eq!((flushed.dumps, flushed.left, world.written().len()), (0, 1, 0), "{}", notes.all());
    assert!(!flushed.stuck, "nothing is wrong");
    assert!(notes.all().contains("taperflush criteria not met"), "{}", notes.all());
    let log = world.log(&flushed);
    assert!(!log.contains("ERROR taper") && !log.contains("FAIL taper"), "it is no fault: {log}");
    world.dump("/etc", NOW + DAY, 1, 300 * KIB);
    let (flushed, notes) = world.flush(NOW + DAY + 60);
    assert_eq!((flushed.dumps, world.held(), world.written()), (2, 0, vec!["ifh01".to_owned()]), "{}", notes.all());
}

#[test]
fn a_dump_that_is_not_what_its_header_says_stays_where_it_is() {
    let keep = temporary();
    let world = World::make(keep.path(), Conf { runtapes: 2, ..Conf::default() }, &["/etc", "/home"]).label(3);
    world.dump("/etc", NOW, 0, 900 * KIB);
    world.dump("/home", NOW, 0, 10 * KIB);
    let path = world.catalog().held().next().expect("a dump").path.clone();
    let mut bytes = fs::read(&path).expect("read");
    bytes[500 * KIB] ^= 1;
    fs::write(&path, bytes).expect("written");
    let (flushed, notes) = world.flush(NOW + 60);
    assert_eq!((flushed.dumps, flushed.left), (1, 1), "{}", notes.all());
    assert!(flushed.stuck, "somebody must look at it");
    let log = world.log(&flushed);
    assert!(log.contains("PARTIAL taper \"ST:ifh\" \"POOL:ifh\" amandahost /etc") && log.contains("input server crc"), "{log}");
    assert_eq!(world.held(), 1);
}

#[test]
fn labels_are_given_as_amlabel_gives_them() {
    let keep = temporary();
    let world = World::make(keep.path(), Conf::default(), &["/etc"]).label(2);
    let tapelist = fs::read_to_string(world.directory.join("tapelist")).expect("read");
    assert_eq!(
        tapelist,
        "0 ifh01 reuse BLOCKSIZE:32 POOL:ifh STORAGE:ifh CONFIG:ifh\n0 ifh02 reuse BLOCKSIZE:32 POOL:ifh STORAGE:ifh CONFIG:ifh\n"
    );
    let try_to = |name: &str, slot: u32, force: bool| {
        let ask = Ask { label: name.to_owned(), slot: Some(slot), force };
        label(&world.site, &ask, &Notes::default(), NOW).map_err(|trouble| trouble.message)
    };
    assert!(try_to("daily-1", 3, true).expect_err("foreign").contains("doesn't match labelstr"));
    assert!(try_to("ifh01", 3, false).expect_err("in use").contains("the volume in slot 1 has it"));
    assert!(try_to("ifh03", 1, false).expect_err("labelled").contains("'ifh01', which is active"));
    assert!(!world.vtapes().join("slot3").exists(), "nothing was made");
    world.dump("/etc", NOW, 0, 10 * KIB);
    world.flush(NOW + 60);
    assert_eq!(try_to("ifh03", 1, true), Ok(1));
    let catalog = world.catalog();
    assert_eq!((catalog.dumps.len(), catalog.tapelist.get("ifh01"), catalog.gone.len()), (0, None, 0));
    let label = world.site.changer().volume(1).label().expect("read").expect("a label");
    assert_eq!((label.label.as_str(), label.datestamp.as_str()), ("ifh03", "X"));
    assert_eq!(stamp::of(NOW).len(), 14);
}

#[test]
fn an_empty_slot_gets_the_label_that_autolabel_makes() {
    let keep = temporary();
    let conf = Conf { tapecycle: 4, more: "autolabel \"ifh%%\" empty\n", ..Conf::default() };
    let world = World::make(keep.path(), conf, &["/etc"]).label(1);
    world.dump("/etc", NOW, 0, 10 * KIB);
    assert_eq!(world.flush(NOW + 60).0.dumps, 1);
    world.dump("/etc", NOW + DAY, 0, 10 * KIB);
    let (flushed, notes) = world.flush(NOW + DAY + 60);
    assert_eq!((flushed.dumps, flushed.left), (0, 1), "no slot is made: {}", notes.all());
    fs::create_dir(world.vtapes().join("slot7")).expect("made");
    let (flushed, notes) = world.flush(NOW + DAY + 120);
    assert_eq!((flushed.dumps, world.written()), (1, vec!["ifh01".to_owned(), "ifh02".to_owned()]), "{}", notes.all());
    let tapelist = fs::read_to_string(world.directory.join("tapelist")).expect("read");
    assert!(
        tapelist.starts_with(&format!("{} ifh02 reuse BLOCKSIZE:32 POOL:ifh STORAGE:ifh CONFIG:ifh\n", stamp::of(NOW + DAY + 120))),
        "{tapelist}"
    );
    assert_eq!(world.site.changer().find("ifh02").expect("listed").map(|(slot, _)| slot), Some(7));
}

#[test]
fn what_was_dumped_to_no_holding_disk_goes_to_a_volume_from_beside_it() {
    let keep = temporary();
    let world = World::make(keep.path(), Conf { runtapes: 2, ..Conf::default() }, &["/etc"]).label(2);
    let etc = world.dump_to(&world.site.straight(), "/etc", NOW, 0, 900 * KIB, 0);
    assert_eq!((world.held(), world.are_whole()), (1, 1));
    let (flushed, notes) = world.flush(NOW + 60);
    assert_eq!((flushed.dumps, world.places(&etc, NOW)), (1, vec!["ifh01:1".to_owned(), "ifh02:1".to_owned()]), "{}", notes.all());
    assert_eq!((world.are_whole(), world.held()), (1, 0));
    assert_eq!(fs::read_dir(world.site.straight()).expect("list").count(), 0);
}

/// What a restore reads of a dump.
fn restored(world: &World, dle: &Dle, at: i64) -> Vec<u8> {
    let (host, disk) = (dle.host.parse().expect("a host"), wire::DiskName::new(dle.disk.clone()).expect("a disk"));
    let stored = Embedded::new(&world.site).stored(&DumpId { host, disk, datestamp: stamp::of(at), level: 0 }).expect("stored");
    let mut bytes = Vec::new();
    match stored.data {
        Data::Files(mut parts) => parts.read_to_end(&mut bytes).expect("read"),
        Data::Stream(mut stream) => stream.read_to_end(&mut bytes).expect("read"),
    };
    bytes
}

#[test]
fn a_restore_reads_chunks_and_parts_with_and_without_a_catalog() {
    let keep = temporary();
    let world = World::make(keep.path(), Conf { tapecycle: 4, part: Some(320), ..Conf::default() }, &["/etc"]).label(4);
    let tree = keep.path().join("tree");
    fs::create_dir(&tree).expect("made");
    fs::write(tree.join("file"), shelf::body(&Dle::new("h", "/d"), "x", 0, 1_300 * KIB)).expect("written");
    let output = Command::new("tar").args(["-c", "-f", "-", "-C"]).arg(&tree).arg(".").output().expect("tar");
    let etc = Dle::new("amandahost", "/etc");
    world.put(&world.directory.join("hd1"), &etc, NOW, 0, &output.stdout, 200 * KIB);
    assert!(restored(&world, &etc, NOW) == output.stdout, "from chunks");
    // Half of it on one volume, for want of another; then all of it, in parts that begin anew.
    let (flushed, _) = world.flush(NOW + 60);
    assert_eq!((flushed.left, world.log(&flushed).matches("PART taper").count()), (1, 3));
    assert!(restored(&world, &etc, NOW) == output.stdout, "still from chunks");
    let text = fs::read_to_string(world.directory.join("amanda.conf")).expect("read");
    let text = text.replace("runtapes 1", "runtapes 2").replace("part-size 320", "part-size 512");
    fs::write(world.directory.join("amanda.conf"), text).expect("written");
    let world = World { site: World::open(&world.directory, "ifh"), ..world };
    let (flushed, notes) = world.flush(NOW + DAY);
    assert_eq!((flushed.dumps, world.held()), (1, 0), "{}", notes.all());
    assert_eq!(world.places(&etc, NOW), ["ifh02:1", "ifh02:2", "ifh03:1"]);
    assert!(restored(&world, &etc, NOW) == output.stdout, "from parts");
    let to = keep.path().join("to");
    let order = from::Order {
        from: vec![world.vtapes()],
        disk: Some("amandahost:/etc".to_owned()),
        to: Some(to.clone()),
        ..from::Order::default()
    };
    let (exit, lines) = from::command(&order).unwrap_or_else(|words| panic!("{words:?}"));
    assert_eq!(exit, wire::Exit::Done, "{lines:?}");
    assert!(fs::read(to.join("file")).expect("restored") == fs::read(tree.join("file")).expect("read"), "without a catalog");
}
