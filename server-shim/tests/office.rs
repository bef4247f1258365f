//! What an administrator types, as a whole program: on a vault by its path, and on a config of a server of its own.

mod shelf;
mod vault;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use asyncamanda_shim::office::place::Place;
use asyncamanda_shim::office::tape;
use nix::unistd::{User, geteuid};
use serde_json::Value;
use vault::{Next, World, dle, world};

/// Runs the program; returns its exit status and what it printed.
fn shim(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_asyncamanda-shim")).args(arguments).env("TZ", "UTC").output().expect("run");
    (output.status.code().expect("a status"), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn on(world: &World, command: &str, more: &[&str]) -> (i32, String) {
    let path = world.site.directory().display().to_string();
    shim(&[&[command, &path], more].concat())
}

fn json(world: &World, command: &str) -> Value {
    let (code, text) = on(world, command, &["--json"]);
    assert_eq!(code, 0, "{text}");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn a_vault_is_asked_for_its_report_its_dumps_its_volumes_and_its_history() {
    let world = world(&["/home", "/etc\u{1b}[2J"]);
    assert!(on(&world, "report", &[]).1.contains("there is nothing to report"));
    world.run();
    let (code, plain) = on(&world, "report", &["--plain"]);
    assert_eq!(code, 0, "{plain}");
    assert!(plain.starts_with("All 2 disks were backed up in ") && plain.ends_with("Nothing is wrong.\n"), "{plain}");
    let (_, text) = on(&world, "report", &[]);
    assert!(text.starts_with(plain.trim_end()) && text.contains("\nSTATISTICS:\n") && text.contains("\nUSAGE BY TAPE:\n"), "{text}");
    let report = json(&world, "report");
    assert_eq!((&report["ending"]["finished"], &report["dumps"][1]["host"]), (&Value::Bool(true), &Value::from("laptop1")));
    assert_eq!(report["plain"][1], "Nothing is wrong.");

    let (code, found) = on(&world, "find", &["laptop1", "/home"]);
    assert_eq!((code, found.lines().count()), (0, 2), "{found}");
    assert_eq!(json(&world, "find").as_array().map(Vec::len), Some(2));
    let (_, tape) = on(&world, "tape", &[]);
    assert!(tape.starts_with("Nothing has to be put in") && tape.contains("may be overwritten"), "{tape}");
    assert!(json(&world, "tape")["volumes"].as_array().is_some_and(|volumes| !volumes.is_empty()));
    let (_, history) = on(&world, "history", &["laptop1"]);
    assert!(history.contains("laptop1:/home\n") && history.contains("Last full dumps: "), "{history}");
    assert_eq!(json(&world, "history")[0]["history"][0]["level"], 0);
    assert!(on(&world, "history", &["nobody"]).1.contains("there is no such disk"));
    for command in ["report", "find", "tape", "history"] {
        let (_, text) = on(&world, command, &[]);
        assert!(!text.contains('\u{1b}'), "{command} is for a terminal: {text:?}");
    }

    world.later(vault::DAY);
    world.fake.set(&dle("/home"), Next::Fails("data timeout".to_owned()));
    world.run();
    let (code, plain) = on(&world, "report", &["--plain"]);
    assert_eq!(code, 1, "{plain}");
    assert!(
        plain.starts_with("1 of 2 disks was NOT backed up.\n  laptop1:/home: the machine began to send and stopped (data timeout).\n"),
        "{plain}"
    );
    assert!(on(&world, "report", &["--plain", "--date", "20261123"]).1.starts_with("All 2 disks"));
    assert!(on(&world, "report", &["--date", "19990101"]).1.contains("has no log of 19990101"));
    let none = shim(&["report", "/no/such"]);
    assert!(none.0 == 78 && none.1.contains("there is no such directory"), "{}", none.1);
}

/// A server with one config whose volumes go round, and a mailer that keeps what it gets.
struct Server {
    dir: tempfile::TempDir,
}

impl Server {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let server = Self { dir };
        for path in ["state", "run", "etc/daily/log", "etc/daily/holding", "etc/daily/curinfo", "etc/daily/index", "etc/daily/vtapes/slot1"]
        {
            fs::create_dir_all(server.path(path)).expect("made");
        }
        fs::write(server.path("mailer"), format!("#!/bin/sh\n{{ printf '%s\\n' \"$@\"; cat; }} >{}\n", server.path("sent").display()))
            .expect("written");
        fs::set_permissions(server.path("mailer"), fs::Permissions::from_mode(0o755)).expect("mode");
        let user = User::from_uid(geteuid()).expect("looked up").expect("there").name;
        let (etc, at) = (server.path("etc").display().to_string(), |name: &str| server.path(name).display().to_string());
        let toml = format!(
            "engine = \"embedded\"\nstate = \"{}\"\nruntime = \"{}\"\nconfig_dir = \"{etc}\"\ndump_user = \"{user}\"\n[host.laptop1]\nconfig = \"daily\"\n",
            at("state"),
            at("run")
        );
        fs::write(server.path("shim.toml"), toml).expect("written");
        let base = format!("{etc}/daily");
        let conf = format!(
            "org \"office\"\nmailto \"ada\"\nmailer \"{}\"\ndumpuser \"{user}\"\ntapecycle 2\nruntapes 1\n\
             infofile \"{base}/curinfo\"\nlogdir \"{base}/log\"\nindexdir \"{base}/index\"\ntapelist \"{base}/tapelist\"\n\
             tpchanger \"chg-disk:{base}/vtapes\"\nlabelstr \"^daily-[0-9]+$\"\ntapetype V\ndefine tapetype V {{\n  length 100 mbytes\n}}\n\
             holdingdisk hd {{\n  directory \"{base}/holding\"\n  use 100 mbytes\n}}\n\
             define dumptype laptop {{\n  program \"GNUTAR\"\n  compress none\n  auth \"ssh\"\n}}\n",
            at("mailer")
        );
        fs::write(server.path("etc/daily/amanda.conf"), conf).expect("written");
        fs::write(server.path("etc/daily/disklist"), "laptop1 /home laptop\n").expect("written");
        server
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.dir.path()).join(name)
    }

    fn shim(&self, arguments: &[&str]) -> (i32, String) {
        let toml = self.path("shim.toml").display().to_string();
        shim(&[&["--config", &toml], arguments].concat())
    }
}

#[test]
fn a_volume_is_labelled_by_hand_and_the_next_run_wants_it() {
    let server = Server::new();
    let (code, text) = server.shim(&["tape", "daily"]);
    assert!(code == 0 && text.starts_with("For the next run put in a new volume, and label it"), "{text}");
    let (code, text) = server.shim(&["label", "daily", "weekly-1", "--slot", "1"]);
    assert!(code == 77 && text.contains("doesn't match labelstr '^daily-[0-9]+$'"), "{code} {text}");
    let (code, text) = server.shim(&["label", "daily", "daily-1", "--slot", "1"]);
    assert_eq!((code, text.as_str()), (0, "The volume in slot 1 is daily-1 now.\n"));
    let (_, text) = server.shim(&["tape", "daily"]);
    assert!(text.starts_with("The next run writes to daily-1 (slot 1).\n") && text.contains("daily-1  never    1     new"), "{text}");
    let (code, text) = server.shim(&["label", "daily", "daily-2", "--slot", "1"]);
    assert!(code == 77 && text.contains("the slot has the volume 'daily-1'") && text.contains("--force"), "{text}");
    assert_eq!(server.shim(&["label", "daily", "daily-2", "--slot", "1", "--force"]).0, 0);
    let tapelist = fs::read_to_string(server.path("etc/daily/tapelist")).expect("a list");
    assert!(tapelist.starts_with("0 daily-2 reuse") && tapelist.lines().count() == 1, "{tapelist}");
}

#[test]
fn what_must_be_mended_before_the_night_comes_by_mail() {
    let server = Server::new();
    let missing = "the next run wants a new volume, and there is none that it may label";
    let (code, text) = server.shim(&["check", "-m"]);
    assert!(code == 78 && text.contains(missing) && text.ends_with("This was mailed to ada.\n"), "{text}");
    let sent = fs::read_to_string(server.path("sent")).expect("a mail");
    assert!(sent.starts_with("-s\noffice AMANDA PROBLEM: FIX BEFORE RUN, IF POSSIBLE\nada\n") && sent.contains(missing), "{sent}");
    // A mailer that is not there is an error in words.
    fs::remove_file(server.path("mailer")).expect("removed");
    let (code, text) = server.shim(&["check", "-m"]);
    assert!(code == 1 && text.contains("cannot be started (mailer in amanda.conf)") && text.contains("hint: install a mailer"), "{text}");
}

#[test]
fn what_a_run_would_refuse_is_not_promised() {
    use shelf::{Conf, DAY, NOW, World, temporary};
    let dir = temporary();
    let world = World::make(dir.path(), Conf { tapecycle: 2, ..Conf::default() }, &["/home", "/etc"]).label(2);
    for (disk, at) in [("/home", NOW), ("/etc", NOW + DAY)] {
        world.dump(disk, at, 0, 1000);
        world.flush(at + 1);
    }
    let place = Place::of(World::open(&world.directory, "ifh"));
    let volumes = tape::look(&place, NOW + 2 * DAY).expect("looked");
    let found = volumes.findings();
    assert!(
        found.len() == 1 && found[0].serious && found[0].what.contains("Volume ifh01 is not overwritten: it is needed for"),
        "{found:?}"
    );
    assert_eq!(volumes.next(), ["For the next run put in a new volume, and label it: asyncamanda-shim label CONFIG LABEL."]);
    let (_, text) = tape::command(&place, false, NOW + 2 * DAY).expect("told");
    assert!(text.contains("Look at the volumes: ") && text.contains("when the newest state of no disk needs it"), "{text}");
    let (_, text) = asyncamanda_shim::office::report(&place, &asyncamanda_shim::office::Wish::default(), NOW + 2 * DAY).expect("a report");
    assert!(
        text.contains("Look at the volumes: there is no volume that the next run may write to") && !text.contains("writes to ifh01"),
        "{text}"
    );

    // A newer full dump that waits lets it go.
    world.dump("/home", NOW + 2 * DAY, 0, 1000);
    let volumes = tape::look(&place, NOW + 3 * DAY).expect("looked");
    assert_eq!((volumes.next(), volumes.findings()), (vec!["The next run writes to ifh01 (slot 1).".to_owned()], Vec::new()));
    let (flushed, _) = world.flush(NOW + 3 * DAY);
    assert!(world.log(&flushed).contains("label ifh01"), "it does");
}

#[test]
fn a_lost_tapelist_is_made_again_from_the_volumes() {
    use shelf::{Conf, NOW, World, temporary};
    let dir = temporary();
    let world = World::make(dir.path(), Conf::default(), &["/home"]).label(2);
    world.dump("/home", NOW, 0, 1000);
    world.flush(NOW + 1);
    let place = Place::of(World::open(&world.directory, "ifh"));
    let list = fs::read(world.directory.join("tapelist")).expect("a list");
    for lost in [false, true] {
        if lost {
            fs::remove_file(world.directory.join("tapelist")).expect("removed");
        } else {
            fs::write(world.directory.join("tapelist"), "").expect("emptied");
        }
        let found = tape::look(&place, NOW + 2).expect("looked").findings();
        assert!(found.len() == 1 && found[0].serious && found[0].mend.starts_with("asyncamanda-shim reindex CONFIG"), "{found:?}");
        let (_, text) = tape::command(&place, false, NOW + 2).expect("told");
        assert!(text.starts_with("Look at the volumes: the tapelist is lost") && !text.contains("--force"), "{text}");
    }
    let user = User::from_uid(geteuid()).expect("looked up").expect("there").name;
    let here = dir.path().display();
    let toml =
        format!("engine = \"embedded\"\nstate = \"{here}/s\"\nruntime = \"{here}/r\"\nconfig_dir = \"{here}\"\ndump_user = \"{user}\"\n");
    fs::write(dir.path().join("shim.toml"), toml).expect("written");
    let (code, text) = shim(&["--config", &format!("{here}/shim.toml"), "reindex", "ifh"]);
    assert_eq!(code, 0, "what is advised helps: {text}");
    let mended = tape::look(&place, NOW + 2).expect("looked");
    assert_eq!((mended.next(), mended.findings()), (vec!["The next run writes to ifh02 (slot 2).".to_owned()], Vec::new()));
    // One that is missing in the list has its dumps all the same.
    let text = String::from_utf8(list).expect("text");
    let others: String = text.lines().filter(|line| !line.contains(" ifh01 ")).map(|line| format!("{line}\n")).collect();
    fs::write(world.directory.join("tapelist"), others).expect("written");
    let found = tape::look(&place, NOW + 2).expect("looked").findings();
    assert!(
        found.iter().any(|finding| finding.what.contains("ifh01") && finding.mend.contains("reindex CONFIG if it is yours")),
        "{found:?}"
    );
    assert!(found.iter().all(|finding| !finding.mend.contains("--force")), "{found:?}");
}

#[test]
fn what_waits_beside_the_volumes_is_counted() {
    use shelf::{Conf, NOW, World, temporary};
    let dir = temporary();
    let world = World::make(dir.path(), Conf::default(), &["/home", "/etc"]);
    let held_kb = || Place::of(World::open(&world.directory, "ifh")).held_kb().expect("counted");
    world.dump("/home", NOW, 0, 10 * shelf::KIB);
    assert_eq!(held_kb(), 10);
    world.dump_to(&world.site.straight(), "/etc", NOW, 0, 5 * shelf::KIB, 0);
    assert_eq!(held_kb(), 15);
}

#[test]
fn laptops_whose_dumps_nothing_puts_on_volumes_are_found() {
    let server = Server::new();
    let found = || server.shim(&["check"]).1.contains("dumps of laptops wait on the holding disk of daily until somebody calls a flush");
    assert!(found());
    let toml = fs::read_to_string(server.path("shim.toml")).expect("read");
    let conf = fs::read_to_string(server.path("etc/daily/amanda.conf")).expect("read");
    let shim = |more: &str| fs::write(server.path("shim.toml"), format!("{toml}{more}")).expect("written");
    let amanda = |more: &str| fs::write(server.path("etc/daily/amanda.conf"), format!("{conf}{more}")).expect("written");
    shim("[flush]\nconfig = \"daily\"\n");
    assert!(found(), "this one is never due");
    shim("[flush]\nconfig = \"daily\"\nat = \"03:30\"\n");
    assert!(!found());
    shim("");
    amanda("autoflush yes\n");
    assert!(!found());
    amanda("");
    shim("reach = \"local\"\n");
    assert!(!found(), "what the nightly run dumps it puts on volumes");
}
