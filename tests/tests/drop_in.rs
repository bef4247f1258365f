//! The Perl script's own line, as it stands in the anacrontabs of its users: against a server with a shim, and against one
//! where it starts a real amdump as it always did.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use asyncamanda_tests::laptop::PATIENCE;
use asyncamanda_tests::{Finished, Laptop, Plan, World, child, sshd, system, tree};

const GLOBAL_KNOWN_HOSTS: &str = "/etc/ssh/ssh_known_hosts";

/// The caller's own ssh configuration holds, so the server's key is pinned where every caller's ssh looks.
struct Pinned(Vec<String>);

impl Pinned {
    fn of(world: &World) -> Self {
        let _alone = system::lock();
        let lines = world.door.known_hosts();
        system::add_lines(Path::new(GLOBAL_KNOWN_HOSTS), &lines);
        Self(lines)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _alone = system::lock();
        system::remove_lines(Path::new(GLOBAL_KNOWN_HOSTS), &self.0);
    }
}

/// One user of the script: its line in the anacrontab, and where receipts would be kept.
struct Line {
    program: PathBuf,
    dir: PathBuf,
    arguments: Vec<String>,
}

impl Line {
    fn new(world: &World, laptop: &Laptop, account: &str, interval: &str, remote: &str) -> Self {
        let host = format!("{account}@127.0.0.1:{}", world.door.port);
        let (key, dates) = (laptop.dir.join("key").display().to_string(), laptop.amandates.display().to_string());
        let arguments = ["-i", interval, "-h", &host, "-k", &key, "-c", remote, "-a", &dates].map(str::to_owned).to_vec();
        Self { program: world.program("asyncamanda"), dir: laptop.dir.clone(), arguments }
    }

    fn state(&self) -> PathBuf {
        self.dir.join("script-state")
    }

    fn run(&self) -> Finished {
        let mut command: Command = child::program(&self.program);
        command.env("HOME", &self.dir).env("ASYNCAMANDA_STATE", self.state()).args(&self.arguments);
        child::run(command, PATIENCE)
    }
}

fn dated(disk: &Path, hours: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    format!("{} 0 {}\n", disk.display(), now - hours * 3600)
}

#[track_caller]
fn assert_silent(finished: &Finished) {
    assert_eq!((finished.code, finished.stdout.as_str(), finished.stderr.as_str()), (Some(0), "", ""), "{finished}");
}

#[test]
fn with_a_shim_the_line_brings_a_receipt_and_the_second_call_is_silent() {
    let world = World::new(Plan::default());
    let (host, laptop, _pinned) = (&world.hosts[0], world.laptop(0), Pinned::of(&world));
    let line = Line::new(&world, &laptop, system::LOGIN, "24", &format!("/usr/sbin/amdump {}", world.name));

    // Not due yet: the script's own record counts, and nobody is called.
    fs::write(&laptop.amandates, dated(&laptop.disk, 23)).expect("the file is there");
    let connections = world.door.connections();
    assert_silent(&line.run());
    assert_eq!(world.door.connections(), connections);

    fs::write(&laptop.amandates, dated(&laptop.disk, 25)).expect("the file is there");
    assert_silent(&line.run());
    let [dump] = &world.chain(&world.name, host)[..] else { panic!("one dump was expected: {}", world.told()) };
    assert!(tree::contains(&line.state(), dump.datestamp.as_bytes()), "no receipt of {dump:?}");
    assert_eq!(world.amanda.good_dumps(host), 1);
    world.assert_restores(&world.name, host);

    // From now on the receipt counts, and amandates does not.
    let connections = world.door.connections();
    fs::write(&laptop.amandates, dated(&laptop.disk, 999)).expect("the file is there");
    assert_silent(&line.run());
    assert_eq!(world.door.connections(), connections, "a laptop that is not due called the server");
    world.assert_at_rest();
}

#[test]
fn without_a_shim_the_lines_amdump_runs_once_and_a_word_says_that_there_is_no_receipt() {
    let world = World::new(Plan::default());
    let (host, laptop, _pinned) = (&world.hosts[0], world.laptop(0), Pinned::of(&world));
    // As the script's users have it: the laptop's key opens the backup account, and its disk is one that every amdump dumps.
    world.door.allow_anything(system::CLIENT_LOGIN, &sshd::public_key(&laptop.dir.join("key")));
    world.amanda.edit(" dump-limit same-host\n", "");
    fs::write(&laptop.amandates, dated(&laptop.disk, 25)).expect("the file is there");
    let line = Line::new(&world, &laptop, system::CLIENT_LOGIN, "1 day", &format!("/usr/sbin/amdump {}", world.name));

    let first = line.run();
    assert_eq!((first.code, first.stdout.as_str()), (Some(0), ""), "{first}");
    assert!(first.stderr.starts_with("asyncamanda: no receipt: ") && first.stderr.lines().count() == 1, "{first}");
    assert_eq!(world.amanda.run_logs().len(), 1, "amdump ran more than once");
    assert_eq!(world.amanda.good_dumps(host), 1);
    world.assert_restores(&world.name, host);

    // Amanda's client has written amandates, which is all that tells of this backup.
    let connections = world.door.connections();
    assert_silent(&line.run());
    assert_eq!(world.door.connections(), connections);
    assert_eq!(world.amanda.run_logs().len(), 1);
}

#[test]
fn without_a_shim_amdumps_own_status_is_passed_on() {
    let world = World::new(Plan::default());
    let (laptop, _pinned) = (world.laptop(0), Pinned::of(&world));
    world.door.allow_anything(system::CLIENT_LOGIN, &sshd::public_key(&laptop.dir.join("key")));
    world.amanda.edit(" dump-limit same-host\n", "");
    fs::remove_dir_all(&laptop.disk).expect("it is there");
    let mut by_hand = world.amanda.command("amdump");
    by_hand.arg(&world.name);
    let expected = child::run(by_hand, PATIENCE).code.expect("it ends");
    assert_ne!(expected, 0, "a disk that is gone was dumped");
    fs::write(&laptop.amandates, dated(&laptop.disk, 25)).expect("the file is there");
    for (remote, code) in [(format!("/usr/sbin/amdump {}", world.name), expected), ("/usr/sbin/amdump no-such-config".to_owned(), 1)] {
        let failed = Line::new(&world, &laptop, system::CLIENT_LOGIN, "24", &remote).run();
        assert_eq!(failed.code, Some(code), "{failed}");
        assert!(failed.stderr.contains("no receipt"), "{failed}");
    }
}
