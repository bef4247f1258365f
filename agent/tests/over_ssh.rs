//! The main way, over a real sshd: overdue, asked, queued, backed up, and a receipt is stored. And everything that a
//! server can do instead.

mod world;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;

use world::{Sshd, World, keygen, now, pin};

/// A server that has nothing yet and backs /home up.
const GOOD: &str =
    "hello\nexpect say=query\nstanding\nend\nexpect say=trigger\nqueued\nprogress\nreceipt disk=/home\nend ticket=t1\nwait-eof\n";
/// The beginning of it.
const ASKED: &str = "hello\nexpect say=query\nstanding\nend\nexpect say=trigger\n";

fn with(script: &str, disks: &[&str]) -> (World, Sshd) {
    let world = World::new();
    let sshd = Sshd::with_shim(&world, script);
    world.configure(sshd.port, "", disks);
    (world, sshd)
}

#[test]
fn an_overdue_laptop_is_backed_up_and_the_next_run_is_silent_and_opens_no_connection() {
    let (world, sshd) = with(GOOD, &["/home"]);
    world.run(&["run"]).is_silent(0);
    assert_eq!(world.read("server/commands"), "asyncamanda-agent 1\n");
    assert!(world.read("server/heard").contains("\"disks\": [\"/home\"], \"say\": \"trigger\""), "{}", world.read("server/heard"));
    assert_eq!(world.records().len(), 1);
    let before = sshd.connections(&world);
    world.run(&["run"]).is_silent(0);
    assert_eq!((before, sshd.connections(&world)), (1, 1));
    let status = world.run(&["status"]);
    assert!(status.out.contains("/home") && status.out.contains("OK"), "{}", status.out);
}

#[test]
fn an_old_record_is_due_and_the_new_receipt_replaces_it() {
    let (world, sshd) = with(GOOD, &["/home"]);
    world.run(&["run"]).is_silent(0);
    let record = world.records().remove(0);
    let mut value: serde_json::Value = serde_json::from_slice(&fs::read(&record).expect("there")).expect("JSON");
    for receipt in ["last", "last_backup"] {
        value[receipt]["started"] = (now() - 100_000).into();
        value[receipt]["finished"] = (now() - 99_000).into();
        value[receipt]["run"] = "old".into();
    }
    fs::write(&record, value.to_string()).expect("written");
    world.run(&["run"]).is_silent(0);
    world.run(&["run"]).is_silent(0);
    assert_eq!(sshd.logins(&world), 2);
}

#[test]
fn a_corrupt_record_makes_its_disk_due_names_the_file_and_is_mended_by_the_next_receipt() {
    let (world, sshd) = with(GOOD, &["/home"]);
    world.run(&["run"]).is_silent(0);
    let record = world.records().remove(0);
    for text in ["", "{\"last\":", "\u{0}\u{1b}"] {
        fs::write(&record, text).expect("written");
        let why = world.run(&["why"]);
        why.says(0, &["warning: the record", &record.display().to_string(), "counts as due"]);
        assert!(why.out.starts_with("A backup is due"), "{}", why.out);
        world.run(&["run"]).says(0, &["warning: the record"]);
        world.run(&["run"]).is_silent(0);
    }
    assert_eq!(sshd.logins(&world), 4);
}

#[test]
fn an_interrupted_wait_ends_with_75_and_leaves_no_master_behind() {
    let (world, _sshd) = with(&format!("{ASKED}queued position=7\nwait-eof\n"), &["/home"]);
    let mut child =
        world.command(&["now"]).env("XDG_RUNTIME_DIR", world.path("bin")).stderr(std::process::Stdio::piped()).spawn().expect("starts");
    let mut err = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    err.read_line(&mut line).expect("a line");
    assert_eq!(line, "asyncamanda: queued, place 7\n");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("sent");
    assert_eq!(child.wait().expect("ends").code(), Some(75));
    line.clear();
    err.read_to_string(&mut line).expect("text");
    assert!(line.contains("the ticket is safe at the server"), "{line}");
    assert_eq!(fs::read_dir(world.path("bin")).expect("there").count(), 0, "the control directory is gone");
}

#[test]
fn a_killed_agent_hangs_up() {
    let (world, _sshd) = with(&format!("{ASKED}queued position=7\nwait-eof\n"), &["/home"]);
    let mut child = world.command(&["now"]).stderr(std::process::Stdio::piped()).spawn().expect("starts");
    let mut line = String::new();
    BufReader::new(child.stderr.take().expect("piped")).read_line(&mut line).expect("a line");
    child.kill().expect("killed");
    child.wait().expect("ends");
    world.wait_for("the server hears the end of the laptop", || world.read("server/heard").ends_with("EOF\n"));
}

#[test]
fn without_a_disk_list_the_servers_disklist_decides() {
    let script = GOOD.replace("receipt disk=/home", "receipt disk=/home\nreceipt disk=/etc");
    let (world, sshd) = with(&script, &[]);
    world.run(&["run"]).is_silent(0);
    assert!(world.read("server/heard").contains("\"disks\": [], \"say\": \"trigger\""));
    assert_eq!(world.records().len(), 2);
    world.run(&["run"]).is_silent(0);
    assert_eq!(sshd.logins(&world), 1);
}

#[test]
fn a_disk_that_left_the_servers_disklist_is_forgotten() {
    let (world, _sshd) = with(&GOOD.replace("receipt disk=/home", "receipt disk=/home\nreceipt disk=/etc age=90000"), &[]);
    world.run(&["run"]).is_silent(0);
    world.write("server/script", GOOD);
    world.run(&["run"]).is_silent(0);
    assert_eq!(world.records().len(), 1);
    world.run(&["run"]).is_silent(0);
    assert_eq!(world.read("server/commands").lines().count(), 2);
}

#[test]
fn a_receipt_that_got_lost_on_the_way_is_asked_for_before_anything_is_decided() {
    let (world, _sshd) = with("hello\nexpect say=query\nreceipt disk=/home age=600\nstanding\nend\nwait-eof\n", &["/home"]);
    world.run(&["run"]).is_silent(0);
    assert!(!world.read("server/heard").contains("trigger"));
    world.run(&["run"]).is_silent(0);
    assert_eq!(world.read("server/commands").lines().count(), 1);
}

#[test]
fn a_cut_connection_is_later_and_nothing_has_moved() {
    for after in [0, 1, 4, 5, 6, 100] {
        let (world, _sshd) = with(&format!("{ASKED}queued\ncut after={after}\n"), &["/home"]);
        world.write("amandates", format!("/home 0 {}\n", now() - 100_000));
        let before = world.read("amandates");
        // One interval old: later will do, so nobody is told.
        world.run(&["run"]).is_silent(75);
        world.run(&["run", "-v"]).says(75, &["the connection to", "was lost", "the ticket is safe at the server", "next contact"]);
        assert_eq!((world.records().len(), world.read("amandates")), (0, before), "cut after {after}");
    }
}

#[test]
fn what_lasts_three_intervals_is_told() {
    let (world, _sshd) = with(&format!("{ASKED}queued\ncut after=7\n"), &["/home"]);
    world.write("amandates", format!("/home 0 {}\n", now() - 4 * 86_400));
    world.run(&["run"]).says(75, &["was lost"]);
    world.write("server/script", "hello\nabort code=later message=the_queue_is_full\n");
    world.run(&["run"]).says(75, &["cannot do it now", "because: the queue is full"]);
    world.write("amandates", format!("/home 0 {}\n", now() - 2 * 86_400));
    world.run(&["run"]).is_silent(75);
}

#[test]
fn a_refusal_keeps_the_servers_words_status_and_hint() {
    for (code, status, words) in [
        ("refused", 77, "refused this laptop"),
        ("config", 78, "is not set up"),
        ("protocol", 76, "does not understand"),
        ("failed", 1, "failed"),
    ] {
        let script = format!("hello\nexpect say=query\nabort code={code} message=no_host_rule_\u{1b}[2J hint=ask_the_operator\n");
        let (world, _sshd) = with(&script, &["/home"]);
        let ran = world.run(&["run"]);
        ran.says(status, &[words, "because: no host rule \\x1b[2J", "hint: ask the operator"]);
        assert!(!ran.err.contains('\u{1b}'));
    }
}

#[test]
fn what_is_no_shim_or_another_version_is_status_76() {
    for (case, script, parts) in [
        ("another version", "hello version=2\nwait-eof\n", &["speaks another version", "update asyncamanda on this laptop"][..]),
        ("garbage", "raw hex=48656c6c6f21\nwait-eof\n", &["no asyncamanda-shim answers", "Hello!"]),
        ("an oversize frame", "hello\nraw hex=ffffffff00\nwait-eof\n", &["cannot be understood", "4294967295 bytes"]),
        ("an unknown channel", "hello\nraw hex=0000000109ff\nwait-eof\n", &["channel 9"]),
        ("a stream that nobody opened", "hello\nraw hex=0000000107ff\nwait-eof\n", &["a stream's bytes out of turn"]),
        ("no JSON", "hello\nraw hex=00000001007b\nwait-eof\n", &["cannot be understood"]),
        (
            "nothing, with a status",
            "stderr text=no_such_thing\nexit status=3\n",
            &["no asyncamanda-shim answers", "the server says: no such thing"],
        ),
        ("no such command", "exit status=127\n", &["no asyncamanda-shim answers", "install asyncamanda-shim"]),
    ] {
        let (world, _sshd) = with(script, &["/home"]);
        world.write("amandates", format!("/home 0 {}\n", now() - 100_000));
        let ran = world.run(&["run"]);
        assert_eq!(ran.status, 76, "{case}: {}", ran.err);
        ran.says(76, parts);
        assert!(world.records().is_empty(), "{case}");
    }
}

#[test]
fn a_receipt_that_is_no_backup_is_told_and_the_disk_stays_due() {
    let script =
        format!("{ASKED}queued\nreceipt disk=/home\nreceipt disk=/etc outcome=FAILED reason=disk_\u{7}full\nend ticket=t1\nwait-eof\n");
    let (world, _sshd) = with(&script, &["/home", "/etc"]);
    world.run(&["run"]).says(1, &["1 of 2 disks not backed up", "/etc: FAILED, disk \\x07full"]);
    let why = world.run(&["why"]);
    assert!(why.out.starts_with("A backup is due") && why.out.contains("/etc") && why.out.contains("FAILED"), "{}", why.out);
    assert!(!why.out.contains('\u{7}'));
    let json = world.run(&["run", "--json"]).json();
    assert_eq!((&json["exit"], &json["result"], json["receipts"].as_array().map(Vec::len)), (&1.into(), &"failed".into(), Some(2)));
}

#[test]
fn receipts_for_others_are_ignored_with_a_warning() {
    let script = format!(
        "{ASKED}receipt disk=/home host=laptop2\nreceipt disk=/home config=other\nreceipt disk=/root\nreceipt disk=/etc\nend ticket=t1\nwait-eof\n"
    );
    let (world, _sshd) = with(&script, &["/home", "/etc"]);
    world.run(&["run"]).says(
        1,
        &[
            "another host (laptop2) was ignored",
            "another config (other) was ignored",
            "not asked for was ignored: /root",
            "/home: the server's disklist has no such disk",
        ],
    );
    assert_eq!(world.records().len(), 1);
}

#[test]
fn a_key_of_another_host_is_a_fault_of_the_configuration() {
    let (world, sshd) = with(&GOOD.replace("hello\n", "hello host=laptop2\n"), &["/home"]);
    world.configure(sshd.port, "host = \"laptop1\"", &["/home"]);
    world.run(&["run"]).says(78, &["the server knows this key as \"laptop2\"", "the configuration says \"laptop1\""]);
    assert!(!world.read("server/heard").contains("trigger"));
}

#[test]
fn a_changed_an_unknown_and_a_missing_host_key_are_refused_with_the_way_to_mend_it() {
    let (world, sshd) = with(GOOD, &["/home"]);
    keygen(&world.path("other"));
    pin(&world, sshd.port, "other.pub");
    world.run(&["run"]).says(77, &["is not the server that was pinned", "ask the operator", "ssh-keygen -f", "ssh-keyscan -p"]);
    world.write("known_hosts", "");
    world.run(&["run"]).says(77, &["is not pinned yet", "ssh-keyscan -p"]);
    fs::remove_file(world.path("known_hosts")).expect("there");
    world.run(&["run"]).says(77, &["is not pinned yet"]);
    assert_eq!(sshd.logins(&world), 0);
}

#[test]
fn a_wrong_key_is_refused_and_an_unusable_one_is_found_before_connecting() {
    let (world, sshd) = with(GOOD, &["/home"]);
    fs::rename(world.path("id"), world.path("good")).expect("there");
    world.run(&["run"]).says(78, &["the key", "does not exist", "ssh-keygen -t ed25519"]);
    fs::copy(world.path("good"), world.path("id")).expect("copied");
    fs::set_permissions(world.path("id"), fs::Permissions::from_mode(0o644)).expect("set");
    world.run(&["run"]).says(78, &["can be read by others (mode 0644)", "chmod 600"]);
    assert_eq!(sshd.connections(&world), 0);
    fs::remove_file(world.path("id")).expect("there");
    keygen(&world.path("id"));
    world.run(&["run"]).says(77, &["does not accept this laptop's key", "Permission denied (publickey", "id.pub"]);
    assert_eq!(sshd.logins(&world), 0);
}

#[test]
fn now_backs_up_though_nothing_is_due_and_shows_places_phases_and_receipts() {
    let script = format!(
        "{ASKED}queued position=2 waits_for=a_run\nqueued position=1\nprogress phase=dumping\nprogress phase=dumping\nreceipt disk=/home\nend ticket=t1\nwait-eof\n"
    );
    let (world, _sshd) = with(&script, &["/home"]);
    world.write("amandates", format!("/home 0 {}\n", now()));
    world.run(&["run"]).is_silent(0);
    let ran = world.run(&["now"]);
    ran.says(0, &["queued, place 2; waits for a run\n", "queued, place 1\n", "asyncamanda: dumping\n"]);
    assert_eq!(ran.err.matches("dumping").count(), 1);
    for part in ["disk", "/home", "OK", "1.18 MiB", "laptops-1:3"] {
        assert!(ran.out.contains(part), "{part} is not in {}", ran.out);
    }
    let json = world.run(&["now", "--json"]);
    assert_eq!((json.err.as_str(), &json.json()["result"]), ("", &"backed-up".into()));
}

#[test]
fn now_with_a_disk_that_the_server_does_not_have_names_it() {
    let (world, _sshd) = with(&format!("{ASKED}queued\nend ticket=t1\nwait-eof\n"), &["/home"]);
    world.run(&["now", "/srv"]).says(1, &["/srv was not backed up", "/srv: the server's disklist has no such disk"]);
    assert!(world.read("server/heard").contains("\"disks\": [\"/srv\"]"));
}

#[test]
fn check_tells_who_answers_and_what_run_would_do_and_does_nothing() {
    let script = "hello\nexpect say=query\nreceipt disk=/home\nstanding\nend\nexpect say=check\nchecked ok=yes line=0_problems_found\nend\nwait-eof\n";
    let (world, sshd) = with(script, &["/home"]);
    let ran = world.run(&["check"]);
    ran.says(0, &[]);
    for part in [
        "ok   client: the one in this program, with /",
        "ok   key",
        "fake 1",
        "knows this laptop as laptop1 in config laptops",
        "`asyncamanda run` would do nothing",
    ] {
        assert!(ran.out.contains(part), "{part} is not in {}", ran.out);
    }
    assert!(world.records().is_empty() && !world.path("state/receipts").exists());
    let json = world.run(&["check", "--json"]).json();
    assert_eq!((&json["exit"], &json["server"]["host"], &json["due"]), (&0.into(), &"laptop1".into(), &false.into()));
    world.write("server/script", "hello\nabort code=refused message=no_rule\n");
    world.run(&["check"]).says(77, &[]);
    world.configure(sshd.port, "client = \"amandad\"\namandad = \"/none/amandad\"\n", &[]);
    let broken = world.run(&["check"]);
    broken.says(78, &[]);
    assert!(
        broken.out.contains("BAD  client: /none/amandad cannot be run") && broken.out.contains("will find no disk served"),
        "{}",
        broken.out
    );
    world.configure(sshd.port, "", &["/home"]);
    fs::remove_file(world.path("id")).expect("there");
    let broken = world.run(&["check"]);
    broken.says(78, &[]);
    assert!(broken.out.contains("BAD  key") && broken.out.contains("hint: make it with ssh-keygen"), "{}", broken.out);
}

#[test]
fn a_state_that_cannot_be_written_is_found_before_a_backup_is_asked_for() {
    let (world, sshd) = with(GOOD, &["/home"]);
    fs::remove_dir(world.path("state")).expect("empty");
    world.write("state", "a file");
    world.run(&["run"]).says(78, &["cannot write", "name another directory with `state`"]);
    assert_eq!(sshd.connections(&world), 0);
}

#[test]
fn a_closed_standard_output_is_no_panic() {
    let (world, _sshd) = with(GOOD, &["/home"]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut child = world.command(&["now"]).stdout(writer).stderr(std::process::Stdio::piped()).spawn().expect("starts");
    assert_eq!(child.wait().expect("ends").code(), Some(0));
}
