//! The Perl script's own line as a drop-in: with a shim at the other end and without, over a real sshd.

mod world;

use std::fs;

use world::{Sshd, World, callers_ssh, closed_port, now};

const GOOD: &str =
    "hello\nexpect say=query\nstanding\nend\nexpect say=trigger\nqueued\nreceipt disk=/home\nreceipt disk=/etc\nend ticket=t1\nwait-eof\n";

fn without_shim() -> (World, Sshd) {
    let world = World::new();
    callers_ssh(&world);
    let sshd = Sshd::start(&world, None);
    (world, sshd)
}

/// A command that leaves a line for each time it ran.
fn command(world: &World, ending: &str) -> String {
    let script = world.write("server/amdump", format!("#!/bin/sh\necho ran \"$@\" >> {}\n{ending}\n", world.path("server/ran").display()));
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
    format!("{} daily", script.display())
}

#[test]
fn without_a_shim_the_command_runs_once_as_given_and_its_output_and_status_are_passed_on() {
    let (world, sshd) = without_shim();
    for (ending, status, out, err) in [
        ("exit 0", 0, "", ""),
        ("echo some words; echo more >&2; exit 4", 4, "some words\n", "more\n"),
        ("exit 255", 255, "", ""),
        ("printf 'no newline'; exit 75", 75, "no newline", ""),
        ("exec >&- 2>&-; exit 3", 3, "", ""),
    ] {
        let _ = fs::remove_file(world.path("server/ran"));
        let line = world.perl_line(sshd.port, &command(&world, ending));
        let ran = world.perl(&line);
        ran.says(status, &[err, "no receipt: no asyncamanda-shim answers at"]);
        assert_eq!((ran.out.as_str(), world.read("server/ran").as_str()), (out, "ran daily\n"), "{ending}");
        assert_eq!(ran.err.lines().filter(|line| line.starts_with("asyncamanda:")).count(), 1, "{}", ran.err);
    }
    assert!(world.records().is_empty());
}

#[test]
fn a_command_that_no_comment_fits_behind_runs_once_too() {
    let (world, sshd) = without_shim();
    let line = world.perl_line(sshd.port, &format!("{} 'two words'; cat", command(&world, "exit 0")));
    world.perl(&line).says(0, &["no receipt"]);
    assert_eq!(world.read("server/ran"), "ran daily two words\n");
}

#[test]
fn a_command_that_the_server_does_not_have_is_127_with_a_sentence() {
    let (world, sshd) = without_shim();
    world.perl(&world.perl_line(sshd.port, "/usr/sbin/no-such-amdump daily")).says(127, &["has no such command", "give -c the full path"]);
}

#[test]
fn a_lost_connection_is_75() {
    let (world, sshd) = without_shim();
    // Kills its own sshd session: ssh loses the connection in the middle of the command.
    let line = world.perl_line(sshd.port, &command(&world, "kill -9 $PPID"));
    world.perl(&line).says(75, &["the connection to", "was lost"]);
    assert_eq!(world.read("server/ran"), "ran daily\n");
}

#[test]
fn a_shim_answers_with_receipts_and_is_not_asked_again_before_they_are_old() {
    let world = World::new();
    callers_ssh(&world);
    let sshd = Sshd::with_shim(&world, GOOD);
    let line = world.perl_line(sshd.port, "/usr/sbin/amdump daily");
    world.perl(&line).is_silent(0);
    assert_eq!(world.read("server/commands"), "/usr/sbin/amdump daily # asyncamanda-agent 1\n");
    assert!(world.read("server/heard").starts_with("{\"program\""), "{}", world.read("server/heard"));
    assert_eq!(world.records().len(), 2);
    // An old disk in amandates, which the server no longer has, changes nothing.
    world.write("amandates", "/gone 0 1000\n");
    world.perl(&line).is_silent(0);
    assert_eq!(sshd.logins(&world), 1);
}

#[test]
fn a_shims_no_and_a_bad_receipt_are_told() {
    let world = World::new();
    callers_ssh(&world);
    let sshd = Sshd::with_shim(&world, "hello\nexpect say=query\nabort code=refused message=not_your_config hint=ask\n");
    let line = world.perl_line(sshd.port, "/usr/sbin/amdump daily");
    world.perl(&line).says(77, &["refused this laptop", "because: not your config", "hint: ask"]);
    world.write("server/script", GOOD.replace("disk=/etc", "disk=/etc outcome=PARTIAL reason=cut"));
    world.perl(&line).says(1, &["/etc: PARTIAL, cut"]);
    world.write("server/script", "hello\nexpect say=query\nstanding\nend\nexpect say=trigger\nqueued\ncut after=9\n");
    world.perl(&line).says(75, &["the ticket is safe at the server"]);
}

#[test]
fn what_is_not_due_is_silent_and_opens_no_connection() {
    let world = World::new();
    let line = world.perl_line(closed_port(), "/usr/sbin/amdump daily");
    world.write("amandates", format!("/home 0 {}\n\"/my home\" 1 {}\n", now() - 3600, now() - 60));
    world.perl(&line).is_silent(0);
    world.write("amandates", format!("/home 0 {}\n/etc 0 {}\n", now() - 60, now() - 100_000));
    world.perl(&line).says(69, &["cannot be reached"]);
    world.write("amandates", format!("/home 0 {}\n", now() + 100));
    assert_eq!(world.perl(&line).status, 69, "the future is due");
}

#[test]
fn its_intervals_are_hours_or_words() {
    let world = World::new();
    world.write("amandates", format!("/home 0 {}\n", now() - 30 * 3600));
    for (interval, status) in [("24", 69), ("48", 0), ("1 day", 69), ("2 days", 0), ("1 week", 0), ("soon", 2), ("", 2), ("-5", 2)] {
        let mut line = world.perl_line(closed_port(), "/usr/sbin/amdump daily");
        line[1] = interval.to_owned();
        assert_eq!(world.perl(&line).status, status, "{interval:?}");
    }
    let long: Vec<String> = world
        .perl_line(closed_port(), "/usr/sbin/amdump daily")
        .iter()
        .map(|word| match word.as_str() {
            "-i" => "--interval".to_owned(),
            "-h" => "--host".to_owned(),
            "-k" => "--key".to_owned(),
            "-c" => "--command".to_owned(),
            "-a" => "--amandates".to_owned(),
            other => other.to_owned(),
        })
        .collect();
    assert_eq!(world.perl(&long).status, 69);
}

#[test]
fn amandates_missing_is_due_and_unreadable_is_an_error() {
    let world = World::new();
    let mut line = world.perl_line(closed_port(), "/usr/sbin/amdump daily");
    let ran = world.perl(&line);
    assert!(ran.status == 69 && !ran.err.contains("amandates"), "{}", ran.err);
    line.push("-v".to_owned());
    world.perl(&line).says(69, &["amandates is not there, so nothing was ever backed up"]);
    fs::create_dir(world.path("amandates")).expect("made");
    world.perl(&line).says(78, &["cannot read", "amandates", "hint: run as the user of Amanda's client"]);
}

#[test]
fn the_callers_configuration_holds_with_strict_host_keys() {
    let (world, sshd) = without_shim();
    world.write("known_hosts", "");
    let line = world.perl_line(sshd.port, "true");
    world.perl(&line).says(77, &["is not pinned yet", "ssh-keyscan -p"]);
    // An alias that only the caller's configuration knows.
    world::pin(&world, sshd.port, "server/host_key.pub");
    let alias = format!(
        "Host amanda\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  HostKeyAlias [127.0.0.1]:{}\n",
        sshd.port,
        world::user(),
        sshd.port
    );
    world.write("ssh_config", alias + &world.read("ssh_config"));
    let mut line = world.perl_line(sshd.port, &command(&world, "exit 0"));
    line[3] = "amanda".to_owned();
    world.perl(&line).says(0, &["no receipt"]);
    assert_eq!(world.read("server/ran"), "ran daily\n");
}
