//! The embedded engine's way to a laptop, against the session's own control socket and against OpenSSH's master, which nobody
//! here wrote.

#[path = "tunnel/world.rs"]
mod world;

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use asyncamanda_shim::engine::embedded::{Connection, Link as _};
use asyncamanda_shim::tunnel::dial::{self, Sessions};
use wire::frame::MAX_STREAMS;
use wire::{FromAgent, FromShim, HostName};
use world::{Heard, Laptop, World, recorded, until};

fn laptop1() -> HostName {
    "laptop1".parse().expect("name")
}

fn connect(world: &World) -> std::io::Result<Connection> {
    let config = asyncamanda_shim::config::load(&world.config()).expect("valid");
    Sessions::new(&config).connect(&laptop1())
}

fn error_of(connected: std::io::Result<Connection>) -> String {
    connected.err().expect("nobody was to be there").to_string()
}

#[test]
fn what_is_said_on_either_side_is_heard_on_the_other() {
    let world = World::new();
    let mut laptop = Laptop::serving(&world);
    let mut connection = connect(&world).expect("a laptop");
    assert_eq!(laptop.hear(), Heard::Said(FromShim::Open { stream: 1 }));
    let request = recorded("check-lines.server");
    connection.to.write_all(&request).expect("taken");
    let mut heard = Vec::new();
    while heard.len() < request.len() {
        match laptop.hear_but_credit() {
            Heard::Data(1, bytes) => heard.extend(bytes),
            other => panic!("no request: {other:?}"),
        }
    }
    assert_eq!(heard, request);
    let answer = recorded("check-lines.client");
    laptop.send(1, &answer);
    laptop.say(&FromAgent::Close { stream: 1 });
    let mut said = Vec::new();
    connection.from.read_to_end(&mut said).expect("it just ends");
    // Answers are printed anew by the session.
    assert!(!said.is_empty());
    assert_eq!(laptop.hear_but_credit(), Heard::Said(FromShim::Close { stream: 1 }));
    laptop.sync();
}

#[test]
fn both_ends_dropped_is_the_end_of_the_stream() {
    let world = World::new();
    let mut laptop = Laptop::serving(&world);
    let connection = connect(&world).expect("a laptop");
    assert_eq!(laptop.hear(), Heard::Said(FromShim::Open { stream: 1 }));
    drop(connection);
    assert_eq!(laptop.hear(), Heard::Said(FromShim::Close { stream: 1 }));
    laptop.say(&FromAgent::Close { stream: 1 });
    laptop.sync();
}

#[test]
fn a_laptop_that_goes_away_is_the_error_of_the_next_read() {
    let world = World::new();
    let mut laptop = Laptop::serving(&world);
    let mut connection = connect(&world).expect("a laptop");
    assert_eq!(laptop.hear(), Heard::Said(FromShim::Open { stream: 1 }));
    laptop.leave();
    let error = connection.from.read(&mut [0; 10]).expect_err("it is gone");
    assert_eq!(error.to_string(), "the session of laptop1 ended: the laptop has closed it");
    // And stays so, for whoever writes as well.
    assert!(connection.from.read(&mut [0; 10]).is_err());
    let error = connection.to.write_all(b"x").expect_err("it is gone");
    assert_eq!(error.to_string(), "the session of laptop1 ended: the laptop has closed it");
    assert_eq!(error_of(connect(&world)), "laptop1 is not connected: a laptop is backed up through its own session, and there is none now");
}

#[test]
fn a_session_that_was_killed_is_told_as_such() {
    let world = World::new();
    let mut laptop = Laptop::serving(&world);
    let mut connection = connect(&world).expect("a laptop");
    assert_eq!(laptop.hear(), Heard::Said(FromShim::Open { stream: 1 }));
    laptop.kill();
    assert_eq!(connection.from.read(&mut [0; 10]).expect_err("it is gone").to_string(), "the session of laptop1 broke");
    // Its socket stays, and refuses.
    assert!(error_of(connect(&world)).contains("laptop1 is not connected"));
}

#[test]
fn a_session_that_is_full_says_so() {
    let world = World::new();
    let mut laptop = Laptop::serving(&world);
    let open: Vec<Connection> = (0..MAX_STREAMS).map(|_| connect(&world).expect("a free stream")).collect();
    assert!(error_of(connect(&world)).contains("laptop1 has 8 connections of Amanda already, and takes no more"));
    drop(open);
    laptop.leave();
}

#[test]
fn hosts_that_have_no_session_are_not_dialled() {
    let world = World::new();
    let config = asyncamanda_shim::config::load(&world.config()).expect("valid");
    let error = |host: &str| error_of(Sessions::new(&config).connect(&host.parse().expect("name")));
    assert!(error("desk1").contains("reaches a host through its own session only"));
    assert!(error("laptop9").contains("shim.toml has no [host.laptop9]"));
    assert!(error("laptop1").contains("laptop1 is not connected"));
}

#[test]
fn somebody_who_is_no_session_is_not_believed() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("mux");
    let listener = std::os::unix::net::UnixListener::bind(&path).expect("bind");
    for says in [&b"SSH-2.0-nothing at all of this kind\r\n"[..], b"", b"\0\0\0\x08\0\0\0\x01\0\0\0\x05"] {
        let socket = UnixStream::connect(&path).expect("there");
        let (mut peer, _) = listener.accept().expect("a client");
        peer.write_all(says).expect("taken");
        drop(peer);
        let error = error_of(dial::open(socket, &laptop1()));
        assert!(error.starts_with("the session of laptop1 did not take the connection: "), "{error}");
    }
}

/// An ssh that is a master, to an sshd that it starts itself.
struct Master {
    ssh: Child,
    directory: tempfile::TempDir,
}

impl Master {
    fn new(command: &str) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let at = |name: &str| directory.path().join(name).display().to_string();
        for key in ["host", "user"] {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &at(key)]).status().expect("ssh-keygen");
            assert!(made.success());
        }
        std::fs::copy(at("user.pub"), at("authorized")).expect("copy");
        std::fs::write(at("command"), format!("#!/bin/sh\n{command}\n")).expect("write");
        let sshd = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nForceCommand /bin/sh {}\n",
            at("host"),
            at("authorized"),
            at("command")
        );
        std::fs::write(at("sshd_config"), sshd).expect("write");
        // sshd's own directory; systemd makes it where there is one.
        std::fs::create_dir_all("/run/sshd").expect("root may");
        let ssh = Command::new("ssh")
            .args(["-F", "none", "-N", "-M", "-S", &at("mux"), "-i", &at("user"), "-o", "BatchMode=yes"])
            .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"])
            .arg(format!("-oProxyCommand=/usr/sbin/sshd -i -q -f {}", at("sshd_config")))
            .arg("laptop1")
            .stdin(Stdio::null())
            .spawn()
            .expect("ssh is installed");
        let master = Self { ssh, directory };
        until(|| master.mux().exists());
        master
    }

    fn mux(&self) -> std::path::PathBuf {
        self.directory.path().join("mux")
    }

    fn dial(&self) -> Connection {
        let socket = UnixStream::connect(self.mux()).expect("a master");
        dial::open(socket, &laptop1()).expect("a session")
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        let _gone_already = self.ssh.kill();
        let _gone_already = self.ssh.wait();
    }
}

#[test]
fn openssh_own_master_is_understood() {
    assert!(Path::new("/usr/sbin/sshd").exists(), "openssh-server is needed");
    let master = Master::new("exec cat");
    let mut connection = master.dial();
    let sent: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
    let mut to = connection.to;
    let writer = std::thread::spawn({
        let sent = sent.clone();
        move || to.write_all(&sent).map(|()| to)
    });
    let mut heard = vec![0; sent.len()];
    connection.from.read_exact(&mut heard).expect("echo");
    assert!(heard == sent);
    drop(writer.join().expect("no panic").expect("written"));
    let mut rest = Vec::new();
    connection.from.read_to_end(&mut rest).expect("it ends well");
    assert!(rest.is_empty());
}

#[test]
fn a_command_that_fails_behind_openssh_is_an_error_with_its_words() {
    let master = Master::new("echo 'no such thing here' >&2; exit 3");
    let mut connection = master.dial();
    let error = connection.from.read_to_end(&mut Vec::new()).expect_err("it failed");
    assert_eq!(error.to_string(), "no such thing here");
    let master = Master::new("exit 4");
    let error = master.dial().from.read_to_end(&mut Vec::new()).expect_err("it failed");
    assert_eq!(error.to_string(), "the client of laptop1 ended with status 4");
}
