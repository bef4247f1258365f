//! A local vault from the first call on: real files, GNU tar, zstd, and nothing else. What is stored comes back by the commands that the
//! program prints.
#![cfg(feature = "embedded")]

mod vault_world;
mod world;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vault_world::{Vaults, names};

#[test]
fn the_first_call_makes_a_vault_and_says_how_a_file_comes_back() {
    let vaults = Vaults::new();
    let ran = vaults.now("vault", &["docs"]);
    let lines: Vec<&str> = ran.out.lines().rev().take(4).collect();
    let [without, back, go_on, made] = lines[..] else { panic!("{}", ran.out) };
    assert!(made.starts_with(&format!("Made {}: a vault", vaults.path("vault").display())), "{made}");
    assert!(go_on.contains(&format!("now --to {}`", vaults.path("vault").display())), "{go_on}");
    vaults.shell(without.strip_prefix(vault_world::WITHOUT).expect("a command"));
    assert_eq!(vaults.tree("back"), vaults.tree("docs"));
    fs::remove_dir_all(vaults.path("back")).expect("removed");
    vaults.shell(&format!("{} >said 2>&1", back.strip_prefix("Get back: ").expect("a command")));
    assert_eq!(vaults.tree("back/docs"), vaults.tree("docs"));
    // It is Amanda's: its header says how the file is restored, too.
    let receipts = vaults.receipts("vault");
    assert!(receipts["/docs"]["level"] == 0 && receipts["/docs"]["outcome"] == "OK", "{receipts:?}");
}

#[test]
fn the_next_call_takes_what_has_changed_and_deletions_come_back_as_deletions() {
    let vaults = Vaults::new();
    vaults.now("vault", &["docs"]);
    fs::write(vaults.path("docs/new"), "new\n").expect("written");
    fs::remove_file(vaults.path("docs/deep/three")).expect("removed");
    fs::rename(vaults.path("docs/one"), vaults.path("docs/deep/renamed")).expect("renamed");
    let ran = vaults.ran(&["now", "--to", &vaults.name("vault")]);
    ran.says(0, &[]);
    assert!(!ran.out.contains("Made "), "{}", ran.out);
    let (level, chain) = vaults.chain("vault", "docs");
    assert_eq!((level, chain.len()), (1, 2));
    vaults.restore("vault", "docs", "back");
    assert_eq!(vaults.tree("back"), vaults.tree("docs"));
    assert!(fs::metadata(&chain[1]).expect("there").len() < fs::metadata(&chain[0]).expect("there").len());
}

#[test]
fn new_directories_are_added_and_without_one_all_are_taken() {
    let vaults = Vaults::new();
    vaults.now("vault", &["docs"]);
    vaults.now("vault", &["pictures"]);
    fs::write(vaults.path("docs/new"), "new\n").expect("written");
    fs::write(vaults.path("pictures/new"), "new\n").expect("written");
    vaults.now("vault", &[]);
    for disk in ["docs", "pictures"] {
        vaults.restore("vault", disk, &format!("back-{disk}"));
        assert_eq!(vaults.tree(&format!("back-{disk}")), vaults.tree(disk));
    }
    let nothing = vaults.ran(&["now", "--to", &vaults.name("other")]);
    nothing.says(2, &["nothing is named", "now DIR"]);
    assert!(!vaults.path("other").exists());
}

#[test]
fn a_directory_that_is_not_a_vault_is_refused_and_not_filled() {
    let vaults = Vaults::new();
    let before = names(&vaults.path("pictures"));
    let refused = vaults.ran(&["now", &vaults.name("docs"), "--to", &vaults.name("pictures")]);
    refused.says(77, &["pictures is not a vault", "never touched"]);
    vaults.ran(&["now", &vaults.name("docs"), "--to", &vaults.name("docs/one")]).says(77, &["not even a directory"]);
    assert_eq!(names(&vaults.path("pictures")), before);
    vaults
        .ran(&["now", &vaults.name("docs"), "--to", &vaults.name("none/vault")])
        .says(78, &["there is no directory", "plug the drive in"]);
    assert!(!vaults.path("none").exists());
    vaults.ran(&["now", &vaults.name("none"), "--to", &vaults.name("vault")]).says(2, &["cannot be backed up", "No such file"]);
    assert!(!vaults.path("vault").exists());
    vaults.now("vault", &["docs"]);
    vaults.ran(&["now", &vaults.name("vault/holding"), "--to", &vaults.name("vault")]).says(2, &["lies in the vault"]);
}

#[test]
fn a_drive_that_is_not_plugged_in_is_later_and_nothing_is_made_in_its_place() {
    let vaults = Vaults::new();
    fs::create_dir(vaults.path("mnt")).expect("made");
    vaults.configure("mnt/vault", &["docs"]);
    // Nobody has asked for it yet, and a scheduler makes nothing.
    vaults.ran(&["run"]).says(78, &["there is no vault", "asyncamanda now"]);
    vaults.ran(&["now"]).says(0, &[]);
    vaults.ran(&["run"]).is_silent(0);
    vaults.unplug("mnt", "away");
    vaults.make_due();
    for empty in [false, true] {
        if empty {
            fs::create_dir_all(vaults.path("mnt/vault")).expect("an empty mount point");
        }
        vaults.ran(&["run"]).is_silent(75);
        vaults.ran(&["now"]).says(75, &["not plugged in"]);
        vaults.ran(&["now", &vaults.name("docs"), "--to", &vaults.name("mnt/vault")]).says(75, &["not plugged in"]);
        assert_eq!(names(&vaults.path("mnt")), if empty { vec!["vault"] } else { vec![] });
        let status = vaults.ran(&["status"]);
        assert!(status.status == 0 && status.out.contains("(not there now)") && status.out.contains("docs"), "{}", status.out);
    }
    fs::remove_dir_all(vaults.path("mnt")).expect("removed");
    fs::rename(vaults.path("away"), vaults.path("mnt")).expect("plugged in");
    // What the vault has is younger than this laptop thought.
    vaults.ran(&["run"]).is_silent(0);
    assert_eq!(vaults.chain("mnt/vault", "docs").0, 0);
    vaults.ran(&["now"]).says(0, &[]);
    assert_eq!(vaults.chain("mnt/vault", "docs").0, 1);
}

#[test]
fn a_vault_that_was_removed_is_made_anew_by_a_person_and_by_no_scheduler() {
    let vaults = Vaults::new();
    vaults.configure("vault", &["docs"]);
    vaults.ran(&["now"]).says(0, &[]);
    vaults.ran(&["run"]).is_silent(0);
    fs::remove_dir_all(vaults.path("vault")).expect("removed");
    // Not due by the record, but a person must know at once: nothing holds what the record speaks of.
    vaults.ran(&["run"]).says(78, &["there is no vault", "asyncamanda now"]);
    let again = vaults.ran(&["now"]);
    assert!(again.status == 0 && again.out.contains("Made "), "{}{}", again.out, again.err);
    assert_eq!(vaults.chain("vault", "docs").0, 0, "it builds on nothing that is gone");
    vaults.restore("vault", "docs", "back");
    assert_eq!(vaults.tree("back"), vaults.tree("docs"));
    vaults.ran(&["run"]).is_silent(0);
}

#[test]
fn a_second_call_waits_and_says_its_place() {
    let vaults = Vaults::new();
    vaults.gated_tar("vault", &["docs", "pictures"]);
    vaults.close_gate();
    let mut first = vaults.world.command(&["now"]).stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("starts");
    vaults.world.wait_for("the first one dumps", || vaults.at_gate());
    let place = vaults.path("said");
    let said = fs::File::create(&place).expect("made");
    let mut second = vaults.world.command(&["now"]).stderr(said).stdout(Stdio::null()).spawn().expect("starts");
    let queued = || fs::read_to_string(&place).expect("there").contains("queued, place 1; waits for the backup of");
    vaults.world.wait_for("the second one says its place", queued);
    assert!(names(&vaults.path("vault/.asyncamanda/queue")).contains(&"00000002".to_owned()));
    vaults.open_gate();
    assert!(first.wait().expect("ends").success());
    assert!(second.wait().expect("ends").success(), "{}", fs::read_to_string(&place).expect("there"));
    assert_eq!(vaults.chain("vault", "docs").0, 1);
    assert!(!names(&vaults.path("vault/.asyncamanda/queue")).iter().any(|name| name.starts_with('0')));
}

#[test]
fn an_interrupted_call_keeps_nothing_half_and_the_next_one_succeeds() {
    let vaults = Vaults::new();
    vaults.gated_tar("vault", &["docs"]);
    vaults.ran(&["now"]).says(0, &[]);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        vaults.close_gate();
        let mut child = vaults.world.command(&["now"]).stderr(Stdio::piped()).spawn().expect("starts");
        vaults.world.wait_for("it dumps", || vaults.at_gate());
        kill(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), signal).expect("sent");
        let status = child.wait().expect("ends");
        assert_eq!(status.code(), Some(75), "{signal}");
        assert!(!vaults.path("gate-pid").exists() || !vaults.gate_lives(), "its tar has ended");
        vaults.open_gate();
        let left = vaults.files("vault/holding").into_iter().filter(|path| path.to_string_lossy().contains(".tmp")).count();
        assert_eq!(left, 0);
    }
    vaults.close_gate();
    let mut child = vaults.world.command(&["now"]).stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("starts");
    vaults.world.wait_for("it dumps", || vaults.at_gate());
    child.kill().expect("killed");
    child.wait().expect("ends");
    vaults.open_gate();
    fs::write(vaults.path("docs/new"), "new\n").expect("written");
    vaults.ran(&["now"]).says(0, &[]);
    vaults.restore("vault", "docs", "back");
    assert_eq!(vaults.tree("back"), vaults.tree("docs"));
    assert_eq!(vaults.files("vault/holding").len(), 0, "{:?}", vaults.files("vault/holding"));
}

#[test]
fn a_vault_in_the_tree_and_the_state_beside_it_are_not_in_their_own_backup() {
    let vaults = Vaults::new();
    fs::create_dir(vaults.path("docs/odd [name]*")).expect("made");
    fs::create_dir(vaults.path("docs/odd [name]x")).expect("made");
    fs::write(vaults.path("docs/odd [name]x/vault"), "no vault\n").expect("written");
    let state = vaults.name("docs/state");
    let arguments = ["now", &vaults.name("docs"), "--to", &vaults.name("docs/odd [name]*/vault"), "--state", &state, "-v"];
    let ran = vaults.ran(&arguments);
    ran.says(0, &["the vault itself is left out", "what asyncamanda keeps about it is left out"]);
    let back = ran.out.lines().rev().find_map(|line| line.strip_prefix(vault_world::WITHOUT)).expect("a command");
    vaults.shell(back);
    assert_eq!(names(&vaults.path("back/odd [name]*")), [""; 0]);
    assert_eq!(names(&vaults.path("back/odd [name]x")), ["vault"]);
    assert!(!vaults.path("back/state").exists() && vaults.path("back/one").exists());
}

#[test]
fn two_vaults_in_turn_are_two_chains_also_at_one_path() {
    let vaults = Vaults::new();
    let change = |number: u32| fs::write(vaults.path(&format!("docs/change-{number}")), number.to_string()).expect("written");
    vaults.now("one", &["docs"]);
    change(1);
    vaults.now("two", &["docs"]);
    change(2);
    vaults.now("one", &[]);
    change(3);
    vaults.now("two", &[]);
    assert_eq!((vaults.chain("one", "docs").0, vaults.chain("two", "docs").0), (1, 1));
    for (vault, has) in [("one", 2), ("two", 3)] {
        let back = format!("back-{vault}");
        vaults.restore(vault, "docs", &back);
        let changes: Vec<String> = names(&vaults.path(&back)).into_iter().filter(|name| name.starts_with("change")).collect();
        assert_eq!(changes.len(), has, "{vault}: {changes:?}");
    }
    // The other drive is plugged in where the first one was.
    fs::rename(vaults.path("one"), vaults.path("away")).expect("renamed");
    fs::rename(vaults.path("two"), vaults.path("one")).expect("renamed");
    let status = vaults.ran(&["status", "--destination", &vaults.name("one")]);
    assert!(status.out.contains("another one than the last backup went to"), "{}", status.out);
    change(4);
    vaults.now("one", &[]);
    assert_eq!(vaults.chain("one", "docs").1.len(), 2, "it goes on with its own chain");
    vaults.restore("one", "docs", "back");
    assert_eq!(vaults.tree("back"), vaults.tree("docs"));
}

#[test]
fn a_vault_that_is_mounted_elsewhere_goes_on() {
    let vaults = Vaults::new();
    vaults.now("vault", &["docs"]);
    fs::create_dir(vaults.path("mnt")).expect("made");
    fs::rename(vaults.path("vault"), vaults.path("mnt/elsewhere")).expect("moved");
    fs::write(vaults.path("docs/new"), "new\n").expect("written");
    vaults.now("mnt/elsewhere", &[]);
    assert_eq!(vaults.chain("mnt/elsewhere", "docs").0, 1);
    vaults.restore("mnt/elsewhere", "docs", "back");
    assert_eq!(vaults.tree("back"), vaults.tree("docs"));
}

#[test]
fn one_disk_that_is_gone_fails_and_stops_no_other() {
    let vaults = Vaults::new();
    vaults.now("vault", &["docs", "pictures"]);
    fs::remove_dir_all(vaults.path("pictures")).expect("removed");
    fs::write(vaults.path("docs/new"), "new\n").expect("written");
    let ran = vaults.ran(&["now", "--to", &vaults.name("vault")]);
    ran.says(1, &["1 of 2 disks not backed up", "pictures", "asyncamanda check"]);
    assert_eq!(vaults.receipts("vault")["/pictures"]["outcome"], "FAILED");
    vaults.restore("vault", "docs", "back");
    assert_eq!(vaults.tree("back"), vaults.tree("docs"));
}

#[test]
fn agent_toml_leaves_out_of_a_directory_what_it_leaves_out_of_its_disk() {
    let vaults = Vaults::new();
    let docs = vaults.name("docs");
    vaults.world.write(
        "agent.toml",
        format!("state = \"state\"\n[server]\ndestination = \"me@server\"\n[[disk]]\npath = \"home\"\ndevice = \"{docs}\"\nexclude = [\"./deep\"]\n"),
    );
    let ran = vaults.now("vault", &["docs"]);
    vaults.shell(ran.out.lines().rev().find_map(|line| line.strip_prefix(vault_world::WITHOUT)).expect("a command"));
    assert!(vaults.path("back/one").exists() && !vaults.path("back/deep").exists());
    // Without a directory it is what agent.toml lists, by its name there.
    vaults.ran(&["now", "--to", &vaults.name("other")]).says(0, &[]);
    assert!(fs::read_to_string(vaults.path("other/disklist")).expect("there").contains(&format!(" home {docs} ")));
}

#[test]
fn an_ordinary_user_has_a_vault_and_what_cannot_be_read_is_named() {
    let vaults = Vaults::as_nobody();
    vaults.now("vault", &["docs"]);
    fs::write(vaults.path("docs/secret"), "secret\n").expect("written");
    fs::set_permissions(vaults.path("docs/secret"), fs::Permissions::from_mode(0o000)).expect("set");
    fs::write(vaults.path("docs/open"), "open\n").expect("written");
    let ran = vaults.ran(&["now", "--to", &vaults.name("vault")]);
    assert!(ran.status == 0 && ran.out.contains("STRANGE") && ran.err.contains("secret"), "{} {}", ran.out, ran.err);
    // It lies below this one: tar does not try it again, and it is in no backup all the same.
    vaults.now("other", &["docs"]);
    let ran = vaults.ran(&["now", "--to", &vaults.name("other")]);
    assert!(ran.out.contains("STRANGE") && ran.err.contains("want of permission"), "{} {}", ran.out, ran.err);
    let status = vaults.ran(&["status", "--destination", &vaults.name("other")]);
    assert!(status.out.contains("STRANGE"), "{}", status.out);
    // Another user's vault is not written to.
    let other = vaults.as_root(&["now", "--to", &vaults.name("vault")]);
    assert!(other.status == 77 && other.err.contains("belongs to"), "{}", other.err);
    let other = vaults.as_root(&["now", &vaults.name("docs"), "--to", &vaults.name("vault")]);
    assert!(other.status == 77 && other.err.contains("belongs to"), "{}", other.err);
}

#[test]
fn what_programs_read_says_the_same() {
    let vaults = Vaults::new();
    vaults.configure("vault", &["docs"]);
    let none = vaults.ran(&["status", "--json"]).json();
    assert!(none["vault"]["present"] == false && none["due"] == true, "{none}");
    let now = vaults.ran(&["now", "--json"]).json();
    assert!(now["result"] == "backed-up" && now["receipts"][0]["level"] == 0, "{now}");
    let status = vaults.ran(&["status", "--json"]).json();
    assert!(status["vault"]["present"] == true && status["vault"]["used"].as_u64() > Some(0), "{status}");
    assert!(status["vault"]["free"].as_u64() > Some(0) && status["due"] == false, "{status}");
    assert_eq!(status["vault"]["name"], status["peer"]["config"]);
    let check = vaults.ran(&["check", "--json"]).json();
    assert!(check["exit"] == 0, "{check}");
    let run = vaults.ran(&["run", "--json"]).json();
    assert!(run["result"] == "not-due", "{run}");
    let why = vaults.ran(&["why", "--json"]).json();
    assert!(why["due"] == false, "{why}");
    vaults.unplug("vault", "away");
    let check = vaults.ran(&["check", "--json"]).json();
    assert!(check["exit"] == 75, "{check}");
    let now = vaults.ran(&["now", "--json"]).json();
    assert!(now["exit"] == 75 && now["problem"]["because"].as_str().is_some_and(|because| because.contains("not plugged in")), "{now}");
}

#[test]
fn check_and_why_speak_of_the_vault() {
    let vaults = Vaults::new();
    vaults.configure("vault", &["docs"]);
    vaults.ran(&["check"]).says(78, &[]);
    vaults.ran(&["now"]).says(0, &[]);
    let check = vaults.ran(&["check"]);
    for part in ["ok   vault: ", "ok   room: ", "ok   disks: 1 can be read", "would do nothing"] {
        assert!(check.status == 0 && check.out.contains(part), "{part}: {}", check.out);
    }
    assert!(!check.out.contains("key") && !check.out.contains("amcheck"), "{}", check.out);
    let why = vaults.ran(&["why"]);
    assert!(why.out.starts_with("No backup is due") && !why.out.contains("connection"), "{}", why.out);
    fs::remove_dir_all(vaults.path("docs")).expect("removed");
    let check = vaults.ran(&["check"]);
    assert!(check.status == 1 && check.out.contains("BAD  disks: ") && check.out.contains("docs"), "{}", check.out);
    let config = vaults.ran(&["show-config"]);
    assert!(
        config.out.contains(&format!("server.destination = \"{}\"", vaults.name("vault"))) && !config.out.contains("identity"),
        "{}",
        config.out
    );
}

#[test]
fn a_vault_that_cannot_be_read_is_an_error_with_file_and_line() {
    let vaults = Vaults::new();
    vaults.now("vault", &["docs"]);
    let conf = vaults.path("vault/amanda.conf");
    let text = fs::read_to_string(&conf).expect("there");
    fs::write(&conf, text.replace("dumpcycle 14 days", "dumpcycle \"fourteen\" days")).expect("written");
    let ran = vaults.ran(&["now", "--to", &vaults.name("vault")]);
    ran.says(78, &["amanda.conf:9:11: ", "write a whole number"]);
}

#[test]
fn what_was_lost_or_damaged_in_the_vault_makes_its_disk_due() {
    let vaults = Vaults::new();
    vaults.configure("vault", &["docs", "pictures"]);
    vaults.ran(&["now"]).says(0, &[]);
    vaults.ran(&["run"]).is_silent(0);
    assert!(vaults.ran(&["why"]).out.starts_with("No backup is due"));
    fs::remove_file(&vaults.chain("vault", "docs").1[0]).expect("removed");
    let why = vaults.ran(&["why"]);
    assert!(why.out.starts_with("A backup is due") && why.out.contains("nothing of it is left"), "{}", why.out);
    let status = vaults.ran(&["status"]);
    assert!(status.out.contains("FAILED"), "{}", status.out);
    vaults.ran(&["run"]).is_silent(0);
    assert!(vaults.ran(&["why"]).out.starts_with("No backup is due"));
    vaults.restore("vault", "docs", "back");
    assert_eq!(vaults.tree("back"), vaults.tree("docs"));
}

#[test]
fn each_disk_has_a_way_back_and_later_ones_are_told_by_status() {
    let vaults = Vaults::new();
    let ran = vaults.now("vault", &["docs", "pictures"]);
    let back = |said: &str| -> Vec<String> {
        said.lines()
            .filter(|line| line.starts_with("Without asyncamanda, "))
            .map(|line| line.split_once(": ").expect("a command").1.to_owned())
            .collect()
    };
    let comes_back = |commands: Vec<String>| {
        assert_eq!(commands.len(), 2, "{commands:?}");
        commands.iter().for_each(|command| vaults.shell(command));
        for disk in ["docs", "pictures"] {
            assert_eq!(vaults.tree(&format!("back-{disk}")), vaults.tree(disk));
            fs::remove_dir_all(vaults.path(&format!("back-{disk}"))).expect("removed");
        }
    };
    comes_back(back(&ran.out));
    fs::write(vaults.path("docs/new"), "new\n").expect("written");
    fs::remove_file(vaults.path("docs/deep/three")).expect("removed");
    let ran = vaults.now("vault", &[]);
    let pointer = ran.out.lines().last().expect("a line");
    assert!(pointer.contains(&format!("restore PATH --to DIR --from {}`", vaults.name("vault"))), "{pointer}");
    let status = vaults.ran(&["status", "-v", "--destination", &vaults.name("vault")]);
    comes_back(back(&status.out));
}

#[test]
fn a_disk_that_is_no_directory_is_refused_before_a_vault_is_made() {
    let vaults = Vaults::new();
    let vault = vaults.name("vault");
    vaults.world.write("agent.toml", format!("state = \"state\"\n[server]\ndestination = \"{vault}\"\n[[disk]]\npath = \"docs\"\n"));
    for words in [&["now"][..], &["run"], &["check"]] {
        vaults.ran(words).says(78, &["agent.toml:5", "\"docs\" is no directory", "device"]);
    }
    assert!(!vaults.path("vault").exists());
}

#[test]
fn the_line_of_a_directory_that_is_gone_is_named() {
    let vaults = Vaults::new();
    vaults.now("vault", &["docs", "pictures"]);
    fs::remove_dir_all(vaults.path("pictures")).expect("removed");
    let vault = vaults.name("vault");
    let disklist = fs::read_to_string(vaults.path("vault/disklist")).expect("there");
    let line = 1 + disklist.lines().position(|line| line.contains("pictures")).expect("its line");
    vaults.ran(&["now", "--to", &vault]).says(1, &[&format!("take its line out of {vault}/disklist: line {line}")]);
    // The one disk that was asked for is no "1 of 1 disks".
    let alone = vaults.ran(&["now", &vaults.name("pictures"), "--to", &vault]);
    alone.says(1, &["pictures was not backed up", "take its line out"]);
}

#[test]
fn check_finds_what_would_stop_a_backup() {
    let vaults = Vaults::as_nobody();
    vaults.now("vault", &["docs"]);
    let vault = vaults.name("vault");
    let check = || vaults.ran(&["check", "--destination", &vault]);
    assert!(check().status == 0, "{}", check().out);
    fs::set_permissions(vaults.path("vault"), fs::Permissions::from_mode(0o500)).expect("set");
    assert!(check().status != 0 && check().out.contains("BAD  vault: "), "{}", check().out);
    assert_eq!(check().status, vaults.ran(&["now", "--to", &vault]).status);
    fs::set_permissions(vaults.path("vault"), fs::Permissions::from_mode(0o700)).expect("set");
    fs::write(vaults.path("vault/.asyncamanda/adopted"), "documents\nwhole\n").expect("written");
    let adopted = check();
    assert!(adopted.status == 77 && adopted.out.contains("BAD  vault: ") && adopted.out.contains("documents"), "{}", adopted.out);
    assert_eq!(vaults.ran(&["now", "--to", &vault]).status, 77);
}

#[test]
fn without_gnu_tar_no_vault_is_made_and_check_says_so_too() {
    let vaults = Vaults::new();
    let (vault, docs) = (vaults.name("vault"), vaults.name("docs"));
    vaults.world.write(
        "agent.toml",
        format!("state = \"state\"\nprograms = [\"/usr/bin/gzip\"]\n[server]\ndestination = \"{vault}\"\n[[disk]]\npath = \"{docs}\"\n"),
    );
    vaults.ran(&["now"]).says(78, &["GNU tar is not installed"]);
    assert!(!vaults.path("vault").exists());
    let check = vaults.ran(&["check"]);
    assert!(check.status == 78 && check.out.contains("BAD  client: GNU tar is not installed"), "{}", check.out);
    assert!(!check.out.contains("server"), "{}", check.out);
}

#[test]
fn why_says_what_run_would_do_when_the_vault_is_away_or_removed() {
    let vaults = Vaults::new();
    fs::create_dir(vaults.path("mnt")).expect("made");
    vaults.configure("mnt/vault", &["docs"]);
    let says = |part: &str| {
        let why = vaults.ran(&["why"]);
        assert!(why.status == 0 && why.out.contains(part) && !why.out.contains("would back"), "{part:?}: {}", why.out);
    };
    says("`asyncamanda run` would end with status 78: there is no vault");
    vaults.ran(&["now"]).says(0, &[]);
    fs::rename(vaults.path("mnt/vault"), vaults.path("elsewhere")).expect("moved");
    says("`asyncamanda run` would end with status 78: there is no vault");
    vaults.ran(&["run"]).says(78, &[]);
    fs::rename(vaults.path("elsewhere"), vaults.path("mnt/vault")).expect("moved");
    vaults.unplug("mnt", "away");
    vaults.make_due();
    says("`asyncamanda run` would end with status 75, which is \"later\": the vault");
    vaults.ran(&["run"]).is_silent(75);
}

#[test]
fn a_vault_has_one_name_whichever_way_it_is_called() {
    let vaults = Vaults::new();
    let odd = vaults.name("docs/../vault");
    let ran = vaults.ran(&["now", &vaults.name("docs"), &vaults.name("docs"), "--to", &odd]);
    ran.says(0, &[]);
    assert!(ran.out.contains(&format!("Made {}:", vaults.name("vault"))) && !ran.out.contains(".."), "{}", ran.out);
    assert_eq!(ran.out.matches(" OK ").count(), 1, "{}", ran.out);
    let status = vaults.ran(&["status", "--destination", &vaults.name("vault")]);
    assert!(status.out.contains("docs") && !status.out.contains("  never"), "{}", status.out);
}

#[test]
fn a_vault_without_its_amanda_conf_is_not_called_unplugged() {
    let vaults = Vaults::new();
    vaults.now("vault", &["docs"]);
    fs::remove_file(vaults.path("vault/amanda.conf")).expect("removed");
    vaults.ran(&["now", "--to", &vaults.name("vault")]).says(78, &["its amanda.conf is gone"]);
    vaults.ran(&["now", &vaults.name("docs"), "--to", &vaults.name("vault")]).says(78, &["its amanda.conf is gone"]);
}

#[test]
fn what_was_meant_otherwise_is_told_in_the_hint() {
    let vaults = Vaults::new();
    vaults.ran(&["status"]).says(78, &["there is no configuration file", "now DIR --to VAULT", "status --destination VAULT"]);
    let docs = vaults.name("docs");
    for to in ["user@host:x", "host:x", "me@host:/srv/vault"] {
        vaults.ran(&["now", &docs, "--to", to]).says(2, &["is no directory", &format!("write ./{to}")]);
    }
    vaults.ran(&["now", "", "--to", &vaults.name("vault")]).says(2, &["an empty name is no directory"]);
    assert!(!vaults.path("vault").exists());
    vaults.now("vault", &["docs"]);
    fs::remove_dir_all(vaults.path("vault")).expect("removed");
    vaults
        .ran(&["now", "--to", &vaults.name("vault")])
        .says(2, &["the vault that was at", "is gone", "to make another: asyncamanda now DIR"]);
}

#[test]
fn a_directory_that_is_called_like_a_server_is_pointed_to() {
    let vaults = Vaults::new();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_asyncamanda"));
    command.args(["run", "--destination", "pictures", "--state", &vaults.name("state")]).current_dir(vaults.path(""));
    let ran = world::Ran::of(command.env("HOME", vaults.path("home")).env_remove("XDG_CONFIG_HOME").output().expect("it starts"));
    assert!(ran.status != 0 && ran.err.contains("for the directory write ./pictures"), "{}", ran.err);
}

#[test]
fn a_drive_does_not_decide_what_is_read() {
    let vaults = Vaults::new();
    vaults.now("vault", &["docs"]);
    // Somebody else has had the drive: one more disk, and another directory under a name that is known.
    let disklist = vaults.path("vault/disklist");
    let text = fs::read_to_string(&disklist).expect("there");
    let line = text.lines().find(|line| line.contains("/docs")).expect("a disk").to_owned();
    let more = line.replace(&vaults.name("docs"), &vaults.name("pictures"));
    fs::write(&disklist, format!("{text}{more}\n")).expect("written");
    let ran = vaults.ran(&["now", "--to", &vaults.name("vault")]);
    ran.says(0, &["pictures: the vault lists it", "name it once"]);
    assert!(!vaults.receipts("vault").keys().any(|disk| disk.ends_with("/pictures")));
    // The machine's record is lost.
    let lost = ["--state", &vaults.name("new-state")];
    let (docs, vault) = (vaults.name("docs"), vaults.name("vault"));
    for command in [vec!["now", "--to", &vault], vec!["run", "--destination", &vault]] {
        let ran = vaults.ran(&[&command[..], &lost].concat());
        ran.says(2, &["no record", &format!("now {docs} {} --to {vault}", vaults.name("pictures"))]);
    }
    let status = vaults.ran(&[&["status", "--destination", &vault][..], &lost].concat());
    assert!(status.status == 0 && status.out.contains("docs"), "{}", status.out);
    vaults.ran(&[&["now", &docs, "--to", &vault][..], &lost].concat()).says(0, &[]);
    vaults.ran(&[&["now", "--to", &vault][..], &lost].concat()).says(0, &["pictures: the vault lists it"]);
    // Under a name that is known.
    fs::write(&disklist, text.replace(&format!("{docs} vault"), &format!("{docs} {} vault", vaults.name("pictures")))).expect("written");
    assert_ne!(fs::read_to_string(&disklist).expect("there"), text);
    let ran = vaults.ran(&["now", &docs, "--to", &vault]);
    ran.says(1, &["the server wants to read"]);
    vaults.ran(&["now", "--to", &vault]).says(2, &["no record"]);
}

#[test]
fn two_machines_of_one_name_do_not_share_their_backups() {
    let vaults = Vaults::new();
    vaults.now("vault", &["docs"]);
    let [name] = &names(&vaults.path("vault/.asyncamanda/hosts"))[..] else { panic!("one host") };
    let file = vaults.path("vault/.asyncamanda/hosts").join(name);
    let ours = fs::read_to_string(&file).expect("there");
    fs::write(&file, "another\n").expect("written");
    let (docs, vault) = (vaults.name("docs"), vaults.name("vault"));
    for command in [vec!["now", &docs, "--to", &vault], vec!["run", "--destination", &vault]] {
        vaults.make_due();
        vaults.ran(&command).says(77, &["another machine has the name", "agent.toml", name]);
    }
    assert_eq!(vaults.chain("vault", "docs").1.len(), 1);
    // This one replaces the other.
    fs::remove_file(&file).expect("removed");
    vaults.now("vault", &["docs"]);
    assert_eq!(fs::read_to_string(&file).expect("there"), ours);
}

#[test]
fn a_full_file_system_is_told_as_such_and_room_helps() {
    let vaults = Vaults::new();
    fs::create_dir(vaults.path("mnt")).expect("made");
    let mount = |words: &[&str]| Command::new(words[0]).args(&words[1..]).arg(vaults.path("mnt")).status().is_ok_and(|it| it.success());
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=8m", "none"]) {
        assert!(std::env::var_os("CI").is_none(), "no file system can be mounted");
        return;
    }
    let first = vaults.ran(&["now", &vaults.name("docs"), "--to", &vaults.name("mnt/vault")]);
    let fill = || {
        while fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(vaults.path("mnt/filler"))
            .and_then(|mut file| file.write_all(&[7; 4096]))
            .is_ok()
        {}
    };
    fill();
    let full = vaults.ran(&["now", "--to", &vaults.name("mnt/vault")]);
    fill();
    let still_full = vaults.ran(&["now", "--to", &vaults.name("mnt/vault")]);
    fs::remove_file(vaults.path("mnt/filler")).expect("removed");
    let room = vaults.ran(&["now", "--to", &vaults.name("mnt/vault")]);
    assert!(mount(&["umount", "-l"]));
    assert_eq!(first.status, 0, "{}", first.err);
    for ran in [full, still_full] {
        ran.says(1, &["make room on"]);
    }
    assert_eq!(room.status, 0, "{}", room.err);
}
