//! Whatever is wrong with a volume: the report names it in words, says what to do, and agrees with the log.

mod shelf;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use amanda::header::Start;
use asyncamanda_shim::office::place::Place;
use asyncamanda_shim::office::{self, Wish};
use nix::unistd::{User, geteuid};
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
fn the_report_of_a_flush_that_was_ordered_comes_by_mail() {
    let keep = temporary();
    let world = World::make(keep.path(), Conf::default(), &["/etc"]).label(2);
    world.dump("/etc", NOW, 0, 20_000);
    let (sent, mailer) = (keep.path().join("sent"), keep.path().join("mailer"));
    fs::write(&mailer, format!("#!/bin/sh\n{{ printf '%s\\n' \"$@\"; cat; }} >{}\n", sent.display())).expect("written");
    fs::set_permissions(&mailer, fs::Permissions::from_mode(0o755)).expect("mode");
    let conf = world.directory.join("amanda.conf");
    let text = fs::read_to_string(&conf).expect("read").replace("mailto \"\"", &format!("mailto \"ada\"\nmailer \"{}\"", mailer.display()));
    fs::write(&conf, text).expect("written");
    let user = User::from_uid(geteuid()).expect("looked up").expect("there").name;
    let (toml, dir) = (keep.path().join("shim.toml"), keep.path().display());
    let text = format!(
        "engine = \"embedded\"\nstate = \"{dir}/state\"\nruntime = \"{dir}/run\"\nconfig_dir = \"{dir}\"\ndump_user = \"{user}\"\n[host.amandahost]\nconfig = \"ifh\"\n"
    );
    fs::write(&toml, text).expect("written");
    for path in ["state/queue", "state/runner", "run/locks"] {
        fs::create_dir_all(keep.path().join(path)).expect("made");
    }
    let mut shim = Command::new(env!("CARGO_BIN_EXE_asyncamanda-shim"));
    let output = shim.arg("--config").arg(&toml).args(["flush", "ifh"]).output().expect("run");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("The report was mailed to ada."), "{said}");
    let sent = fs::read_to_string(sent).expect("a mail");
    assert!(sent.starts_with("-s\nifh AMFLUSH MAIL REPORT FOR "), "{sent}");
    has(&sent, &["\nada\n1 earlier dump was put on volumes in ", "Nothing is wrong.\n", "\nDUMP SUMMARY:\n"]);
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
