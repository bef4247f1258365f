//! Whatever is wrong with a volume: the report names it in words, says what to do, and agrees with the log.

mod shelf;

use std::fs;

use amanda::header::Start;
use asyncamanda_shim::office::place::Place;
use asyncamanda_shim::office::{self, Wish};
use shelf::{Conf, DAY, KIB, Mounted, NOW, World, temporary};

/// The plain words of the newest run.
fn plain(world: &World) -> String {
    let wish = Wish { plain: true, ..Wish::default() };
    office::report(&Place::of(world.site.clone()), &wish, NOW + 5 * DAY).expect("a report").1
}

fn relabel(world: &World, slot: u32, label: &str) {
    let start = Start { datestamp: "X".to_owned(), label: label.to_owned() };
    world.site.changer().volume(slot).relabel(&start).expect("labelled");
}

/// Three nights on three volumes; a fourth one is labelled, and a dump waits.
fn three_nights(keep: &std::path::Path) -> World {
    let world = World::make(keep, Conf::default(), &["/etc"]).label(4);
    for day in 0..3 {
        world.dump("/etc", NOW + day * DAY, 0, 20_000);
        world.flush(NOW + day * DAY + 60);
    }
    world.dump("/etc", NOW + 3 * DAY, 0, 20_000);
    world
}

fn has(words: &str, parts: &[&str]) {
    for part in parts {
        assert!(words.contains(part), "{part:?} is not in:\n{words}");
    }
}

#[test]
fn a_good_flush_is_told_in_a_sentence() {
    let keep = temporary();
    let world = World::make(keep.path(), Conf::default(), &["/etc"]).label(2);
    world.dump("/etc", NOW, 0, 20_000);
    world.flush(NOW + 60);
    has(
        &plain(&world),
        &["1 earlier dump was put on volumes in ", "; 19 kB went to ifh01.\nNothing is wrong.\nThe next run writes to ifh02 (slot 2).\n"],
    );
}

#[test]
fn a_volume_with_a_wrong_label_is_told() {
    let keep = temporary();
    let world = World::make(keep.path(), Conf::default(), &["/etc"]).label(3);
    relabel(&world, 1, "daily-001");
    world.dump("/etc", NOW, 0, 20_000);
    world.flush(NOW + 60);
    let words = plain(&world);
    has(
        &words,
        &[
            "went to ifh02",
            "A volume is in a slot that is not one of this config's (Slot 1 with label daily-001 do not match labelstr).",
            "What to do: take it out",
        ],
    );
    assert!(!words.contains("Nothing is wrong"), "{words}");
}

#[test]
fn a_label_that_is_there_twice_is_told() {
    let keep = temporary();
    let world = World::make(keep.path(), Conf { tapecycle: 2, ..Conf::default() }, &["/etc"]).label(3);
    relabel(&world, 3, "ifh01");
    world.dump("/etc", NOW, 0, 20_000);
    world.flush(NOW + 60);
    has(&plain(&world), &["Look at the volumes: slots 1 and 3 have both a volume ifh01.", "find out which is the right one"]);
}

#[test]
fn a_volume_that_is_missing_is_told() {
    let keep = temporary();
    let world = three_nights(keep.path());
    fs::rename(world.vtapes().join("slot1"), keep.path().join("away")).expect("moved");
    world.flush(NOW + 3 * DAY + 60);
    has(&plain(&world), &["went to ifh04", "The volume whose turn it is is in no slot (Label 'ifh01' not found)."]);
}

#[test]
fn a_volume_that_is_write_protected_is_told_and_so_is_that_there_is_no_other() {
    let keep = temporary();
    let world = three_nights(keep.path());
    let Some(_first) = Mounted::read_only(&world.vtapes().join("slot1")) else { return };
    world.flush(NOW + 3 * DAY + 60);
    has(&plain(&world), &["went to ifh04", "A volume cannot be written to (", "Read-only"]);
    world.dump("/etc", NOW + 4 * DAY, 0, 20_000);
    let Some(_second) = Mounted::read_only(&world.vtapes().join("slot2")) else { return };
    world.flush(NOW + 4 * DAY + 60);
    let words = plain(&world);
    has(
        &words,
        &[
            "NO VOLUME could be written to.",
            "A volume cannot be written to (",
            "waits on the holding disk; `asyncamanda-shim flush CONFIG`",
        ],
    );
}

#[test]
fn a_file_system_that_is_full_is_told() {
    let (keep, small) = (temporary(), tempfile::tempdir().expect("directory"));
    let Some(_mounted) = Mounted::small(small.path(), 2_048) else { return };
    let conf = Conf { runtapes: 3, length: 100_000, vtapes: Some(small.path().to_owned()), ..Conf::default() };
    let world = World::make(keep.path(), conf, &["/etc", "/home"]).label(3);
    world.dump("/etc", NOW, 0, 1_200 * KIB);
    world.dump("/home", NOW, 0, 900 * KIB);
    world.flush(NOW + 60);
    let words = plain(&world);
    has(
        &words,
        &[
            "1 earlier dump did not go to a volume and stays on the holding disk.",
            "No more than 1.8 MB fit on volumes that should hold 307 MB: the file system that they are on may be full.",
            "waits on the holding disk",
        ],
    );
}
