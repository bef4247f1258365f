//! Whole sessions of the shell.

use super::archive::Unanswered;
use super::fake::{Listener, Trees, dump};
use super::shell::{Flow, Shell};

/// The dumps of two disks of one host; of the first with a file that is gone later.
fn trees() -> Trees {
    Trees {
        trees: vec![
            (dump("/etc", 0, 1_000_000), vec!["hosts", "motd", "ssh/sshd_config", "ssh/keys/a", "old"]),
            (dump("/etc", 1, 2_000_000), vec!["hosts", "motd", "ssh/sshd_config", "ssh/keys/a", "ssl/cert"]),
            (dump("sda1", 0, 1_500_000), vec!["file"]),
        ],
        ..Trees::default()
    }
}

/// Types lines; returns what was said, and how many failed.
#[track_caller]
fn session(trees: &mut Trees, answers: &[bool], lines: &[&str]) -> (Vec<String>, usize) {
    let mut listener = Listener { said: Vec::new(), answers: answers.iter().rev().copied().collect() };
    let mut shell = Shell::new(trees, &mut listener, "server".parse().expect("a name"), None, false).expect("it begins");
    for line in lines {
        if shell.line(line.as_bytes()).expect("it goes on") == Flow::Quit {
            break;
        }
    }
    let failures = shell.failures();
    (listener.said, failures)
}

#[test]
fn the_script_of_the_example_site_brings_hosts_back_into_the_local_directory() {
    let mut trees = trees();
    let script = include_str!("../../../tests/fixtures/amrecover");
    let directory = tempfile::tempdir().expect("a directory");
    // A process has one directory, and tests share it.
    let script: Vec<&str> = script.lines().filter(|line| !line.starts_with("lcd ")).collect();
    let (said, failures) = session(&mut trees, &[], &script);
    assert_eq!(failures, 0, "{said:?}");
    assert_eq!(said[..3], ["Dump host set to server.", "Disk set to /etc.", "Added file /hosts"]);
    let (time, paths, _, overwrite) = &trees.extracted[0];
    assert_eq!((*time, &paths[..], *overwrite), (2_000_000, &["hosts".to_owned()][..], false));
    drop(directory);
}

#[test]
fn names_are_looked_for_as_they_were_at_the_date() {
    let mut trees = trees();
    let lines = ["setdisk /etc", "add old", "setdate 1970-01-12", "add old", "cd ssh", "pwd", "add *", "addx ../ho", "extract"];
    let (said, failures) = session(&mut trees, &[], &lines);
    assert_eq!(failures, 1, "{said:?}");
    for line in ["File old doesn't exist in directory", "Added file /old", "/etc/ssh", "Added file /ssh/sshd_config", "Added file /hosts"] {
        assert!(said.iter().any(|said| said == line), "{line}: {said:?}");
    }
    assert!(said.iter().any(|said| said.starts_with("Added dir /ssh/keys/ at date 1970-01-12")), "{said:?}");
    let (time, paths, ..) = &trees.extracted[0];
    assert_eq!((*time, paths.join(" ")), (1_000_000, "hosts old ssh/keys ssh/sshd_config".to_owned()));
}

#[test]
fn what_cannot_be_done_is_one_line_and_counted() {
    for (lines, words) in [
        (&["frobnicate"][..], "Invalid command: frobnicate"),
        (&["ls"], "Must select a disk first"),
        (&["setdisk /none"], "Disk server:/none has no dumps"),
        (&["setdisk /etc etc"], "must start with /"),
        (&["sethost other"], "Host other has no dumps here"),
        (&["sethost secret"], "this key may not read the dumps of secret"),
        (&["sethost a/b"], "a/b is no host"),
        (&["setdate soon"], "Invalid date: \"soon\" is not a time"),
        (&["setdisk /etc", "setdate 1970-01-02"], "no dump of this disk that old"),
        (&["setdisk /etc", "cd .."], "Can't cd outside mount point \"/etc\""),
        (&["setdisk /etc", "cd ../../../root"], "Can't cd outside mount point"),
        (&["setdisk /etc", "cd /root"], "Can't cd outside mount point"),
        (&["setdisk /etc", "cd /etcetera"], "Can't cd outside mount point"),
        (&["setdisk /etc", "cd none"], "Invalid directory - none"),
        (&["setdisk /etc", "cd hosts"], "Invalid directory - hosts"),
        (&["setdisk /etc", "cd ss*"], "Too many directories matching 'ss*'"),
        (&["setdisk /etc", "add [z-a]"], "not a valid shell wildcard pattern"),
        (&["setdisk /etc", "addx ("], "not a valid regular expression"),
        (&["setdisk /etc", "delete hosts"], "File hosts is not on the extraction list"),
        (&["setdisk /etc", "add hosts", "setdisk sda1"], "Must clear extract list before changing disk"),
        (&["setdisk /etc", "add hosts", "sethost server"], "Must clear extract list before changing host"),
        (&["extract"], "Extract list empty"),
        (&["lcd /none/at/all"], "No such file or directory"),
    ] {
        let (said, failures) = session(&mut trees(), &[], lines);
        assert_eq!(failures, 1, "{lines:?}: {said:?}");
        assert!(said.last().is_some_and(|last| last.contains(words)), "{lines:?}: {said:?}");
    }
}

#[test]
fn directories_are_found_by_wildcards_expressions_and_whole_names() {
    for (lines, pwd) in [
        (&["cd ssh", "cd keys"][..], "/etc/ssh/keys"),
        (&["cd ssh/keys", "cd ../.."], "/etc"),
        (&["cd /etc/ssh"], "/etc/ssh"),
        (&["cd /etc/ssh", "cd /etc"], "/etc"),
        (&["cd ssh/k*"], "/etc/ssh/keys"),
        (&["cdx .*l$"], "/etc/ssl"),
        (&["cd ./ssh/"], "/etc/ssh"),
        (&["cd ssl", "setdate 1970-01-12"], "/etc"),
        (&["cd ssh", "setdate 1970-01-12"], "/etc/ssh"),
    ] {
        let lines: Vec<&str> = ["setdisk /etc"].iter().chain(lines).chain(&["pwd"]).copied().collect();
        let (said, failures) = session(&mut trees(), &[], &lines);
        assert_eq!((failures, said.last().map(String::as_str)), (0, Some(pwd)), "{lines:?}: {said:?}");
    }
}

#[test]
fn a_device_is_mounted_at_the_root_or_where_it_is_said_to_be() {
    let (said, _) = session(&mut trees(), &[], &["setdisk sda1", "pwd", "setdisk sda1 /mnt/data", "pwd", "add /mnt/data/file", "listdisk"]);
    assert_eq!(said[1], "/");
    assert_eq!(said[3..5], ["/mnt/data", "Added file /file"]);
    assert_eq!(said[5..], ["/etc", "sda1"]);
}

#[test]
fn the_list_can_be_looked_at_thinned_out_and_cleared() {
    let lines = ["setdisk /etc", "add hosts motd ssh", "add hosts", "delete ho*", "deletex mo", "list", "clear", "list", "extract"];
    let (said, failures) = session(&mut trees(), &[], &lines);
    let at = said.iter().position(|line| line == "Deleted file /motd").expect("deleted");
    assert!(said.contains(&"File /hosts already added".to_owned()), "{said:?}");
    assert!(said[at + 1].starts_with("DUMP LEVEL 1 DATE 1970-01-24"), "{said:?}");
    assert_eq!((said[at + 2].as_str(), failures), ("\t/ssh/", 1));
    assert_eq!(said[at + 3], "Extract list empty - No files to extract!");
}

#[test]
fn a_person_is_asked_before_and_may_say_no() {
    let mut no = trees();
    session(&mut no, &[false], &["setdisk /etc", "add hosts", "extract"]);
    assert!(no.extracted.is_empty());
    let mut yes = trees();
    let (_, failures) = session(&mut yes, &[true], &["setdisk /etc", "add hosts", "extract"]);
    assert_eq!((yes.extracted.len(), failures), (1, 0));
}

#[test]
fn what_did_not_come_back_whole_is_a_failure_and_a_lost_connection_the_end() {
    let mut damaged = Trees { damaged: true, ..trees() };
    let (said, failures) = session(&mut damaged, &[], &["setdisk /etc", "add hosts", "extract"]);
    assert_eq!((failures, said.last().map(String::as_str)), (1, Some("Not everything was restored")));
    let mut lost = Trees { lost: true, ..trees() };
    let mut listener = Listener::default();
    let mut shell = Shell::new(&mut lost, &mut listener, "server".parse().expect("a name"), None, false).expect("it begins");
    shell.line(b"setdisk /etc").expect("known already");
    assert!(matches!(shell.line(b"ls"), Err(Unanswered::Lost)));
}

#[test]
fn a_directory_is_asked_for_once() {
    let mut trees = trees();
    session(&mut trees, &[], &["setdisk /etc", "ls", "add hosts", "add motd", "cd ssh", "ls"]);
    assert_eq!(trees.asked, 2);
}
