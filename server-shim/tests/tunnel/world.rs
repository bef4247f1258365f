//! A closed world for the tunnel: a shim with a directory of its own, the laptop's end of its session, and ssh as Amanda
//! starts it.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use amanda::protocol::token::{Tokens, put};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use wire::frame::{CONTROL, header, pack, unpack};
use wire::{AbortCode, Decoder, Flow, FromAgent, FromShim, Hello};

/// Longer than anything here takes; what takes longer hangs.
const PATIENCE_MS: u16 = 60_000;

const SHIM: &str = env!("CARGO_BIN_EXE_asyncamanda-shim");

/// One installation.
pub struct World {
    directory: tempfile::TempDir,
    dump_user: String,
}

impl World {
    pub fn new() -> Self {
        Self::with(
            "[runner]\ndoor = \"systemd\"\n[host.laptop1]\nconfig = \"daily\"\n[host.desk1]\nconfig = \"daily\"\nreach = \"network\"\n",
        )
    }

    /// One whose shim.toml has this behind its paths.
    pub fn with(text: &str) -> Self {
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).expect("users").expect("an account").name;
        Self::of(&user, text)
    }

    /// One whose dumps belong to this account.
    pub fn of(dump_user: &str, text: &str) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        std::fs::create_dir_all(directory.path().join("state/queue")).expect("directory");
        let world = Self { directory, dump_user: dump_user.to_owned() };
        world.configure(text);
        world
    }

    /// Writes shim.toml anew.
    pub fn configure(&self, text: &str) {
        let (path, user) = (self.directory.path().display(), &self.dump_user);
        let text =
            format!("state = \"{path}/state\"\nruntime = \"{path}/run\"\nconfig_dir = \"{path}/etc\"\ndump_user = \"{user}\"\n{text}");
        std::fs::write(self.config(), text).expect("write");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.directory.path().join("shim.toml")
    }

    pub fn mux(&self) -> PathBuf {
        self.directory.path().join("run/hosts/laptop1/mux")
    }

    pub fn is_alive(&self) -> bool {
        let config = asyncamanda_shim::config::load(&self.config()).expect("valid");
        asyncamanda_shim::tunnel::alive(&config, &"laptop1".parse().expect("name"))
    }

    /// Runs the shim; its status and all that it printed.
    pub fn shim(&self, arguments: &[&str]) -> (i32, String) {
        let output = Command::new(SHIM).arg("--config").arg(self.config()).args(arguments).output().expect("runs");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().expect("a status"), String::from_utf8(text).expect("UTF-8"))
    }

    /// ssh, with Amanda's own options and the drop-in's.
    pub fn ssh_with(&self, arguments: &[&str]) -> Child {
        let (options, command): (Vec<&str>, Vec<&str>) = match arguments.iter().position(|word| !word.starts_with('-')) {
            Some(0) => (Vec::new(), arguments.to_vec()),
            _ if arguments[0] == "-O" || arguments[0] == "-L" => (arguments[..2].to_vec(), arguments[2..].to_vec()),
            Some(first) => (arguments[..first].to_vec(), arguments[first..].to_vec()),
            None => (arguments.to_vec(), Vec::new()),
        };
        Command::new("ssh")
            .args(["-F", "none", "-x", "-o", "BatchMode=yes", "-o", "ControlMaster=no", "-o", "ProxyCommand=false"])
            .arg(format!("-oControlPath={}", self.mux().display()))
            .args(["-l", "backup"])
            .args(options)
            .arg("laptop1")
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ssh is installed")
    }

    pub fn amandad(&self) -> Child {
        self.ssh_with(&["/usr/lib/amanda/amandad", "-auth=ssh"])
    }
}

/// How a program ended.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// Waits for a program's end, which must come.
pub fn finish(mut child: Child) -> Ended {
    let stdin = child.stdin.take();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let stderr = String::from_utf8(err.map(|err| drain(err.into())).unwrap_or_default()).expect("UTF-8");
    let stdout = out.map(|out| drain(out.into())).unwrap_or_default();
    let status = child.wait().expect("wait");
    drop(stdin);
    Ended { status, stdout, stderr }
}

fn drain(pipe: OwnedFd) -> Vec<u8> {
    let mut pipe = File::from(pipe);
    let mut all = Vec::new();
    let mut bytes = vec![0; 1 << 16];
    loop {
        wait_for(&pipe);
        let read = pipe.read(&mut bytes).expect("read");
        if read == 0 {
            return all;
        }
        all.extend_from_slice(&bytes[..read]);
    }
}

fn wait_for(pipe: &File) {
    let mut descriptors = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut descriptors, PollTimeout::from(PATIENCE_MS)), Ok(1), "nothing came");
}

/// Waits until it is so; each look takes its time.
pub fn until(mut so: impl FnMut() -> bool) {
    let patience = std::time::Instant::now() + std::time::Duration::from_millis(PATIENCE_MS.into());
    while !so() {
        assert!(std::time::Instant::now() < patience, "it never came to be");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// The most memory that a process has had, in KiB.
pub fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status")).expect("lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// One side of a conversation between Debian's programs.
pub fn recorded(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/amanda/tests/fixtures/protocol").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The laptop's answer to the request for a dump.
fn answer() -> Vec<u8> {
    let mut tokens = Tokens::new();
    tokens.feed(&recorded("dump-plain-0.client"));
    let mut answer = Vec::new();
    while let Some(token) = tokens.next_token().expect("tokens") {
        if token.handle < 10_000 {
            put(&mut answer, token.handle, token.payload);
        }
    }
    answer
}

/// A token of that dump's bytes.
pub fn data(bytes: &[u8]) -> Vec<u8> {
    token(499_999, bytes)
}

/// A token of that dump's messages.
pub fn mesg(lines: &str) -> Vec<u8> {
    token(499_998, lines.as_bytes())
}

fn token(handle: u32, bytes: &[u8]) -> Vec<u8> {
    let mut token = Vec::new();
    put(&mut token, handle, bytes);
    token
}

/// What the laptop hears.
#[derive(Debug, PartialEq)]
pub enum Heard {
    Said(FromShim),
    Data(u8, Vec<u8>),
}

/// The laptop's end of a session.
pub struct Laptop {
    child: Child,
    input: Option<File>,
    output: File,
    decoder: Decoder,
    flows: HashMap<u8, Flow>,
}

impl Laptop {
    /// One that has said hello.
    pub fn greeting(world: &World, host: &str) -> Self {
        let mut child = Command::new(SHIM)
            .arg("--config")
            .arg(world.config())
            .args(["serve", "--host", host])
            .env("SSH_ORIGINAL_COMMAND", "asyncamanda-agent 1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("runs");
        let input = File::from(OwnedFd::from(child.stdin.take().expect("piped")));
        let output = File::from(OwnedFd::from(child.stdout.take().expect("piped")));
        let mut laptop = Self { child, input: Some(input), output, decoder: Decoder::new(), flows: HashMap::new() };
        laptop.say(&FromAgent::Hello(Hello::ours("test")));
        assert!(matches!(laptop.hear(), Heard::Said(FromShim::Hello { .. })));
        laptop
    }

    /// One whose socket is there.
    pub fn serving(world: &World) -> Self {
        let mut laptop = Self::greeting(world, "laptop1");
        laptop.say(&FromAgent::Serve { holds_back: true });
        laptop.sync();
        laptop
    }

    /// Waits until all that was said has been heard.
    pub fn sync(&mut self) {
        self.say(&FromAgent::Query);
        assert!(matches!(self.hear_but_credit(), Heard::Said(FromShim::Standing { .. })));
        assert_eq!(self.hear_but_credit(), Heard::Said(FromShim::End { ticket: None }));
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Says something; a shim that has had enough need not listen.
    pub fn say(&mut self, message: &FromAgent) {
        let _ = self.input.as_ref().expect("open").write_all(&pack(message).expect("short"));
    }

    /// Sends bytes, whatever the credit.
    pub fn send(&mut self, stream: u8, bytes: &[u8]) {
        let frame = [header(stream, bytes.len()).as_slice(), bytes].concat();
        let _ = self.input.as_ref().expect("open").write_all(&frame);
    }

    /// Begins a dump, as Debian's own programs do, on a stream that is open.
    pub fn begin_dump(&mut self, stream: u8, ssh: &mut Child) {
        let request = recorded("dump-plain-0.server");
        ssh.stdin.as_mut().expect("piped").write_all(&request).expect("ssh reads");
        let mut heard = Vec::new();
        while heard.len() < request.len() {
            match self.hear_but_credit() {
                Heard::Data(from, bytes) if from == stream => heard.extend(bytes),
                other => panic!("no request: {other:?}"),
            }
        }
        assert_eq!(heard, request);
        let answer = [answer(), mesg("sendbackup: info BACKUP=/bin/tar\nsendbackup: info end\n")].concat();
        self.send_with_credit(stream, &answer);
        let mut passed = vec![0; answer.len()];
        ssh.stdout.as_mut().expect("piped").read_exact(&mut passed).expect("comes through");
        assert_eq!(passed, answer);
    }

    /// Sends pieces of a dump until there is no credit left.
    pub fn fill(&mut self, stream: u8) {
        let piece = data(&[0; 16 * 1024]);
        loop {
            let credit = self.flows.entry(stream).or_default().may_send();
            if credit == 0 {
                return;
            }
            let piece = &piece[..piece.len().min(credit)];
            self.flows.entry(stream).or_default().sent(piece.len());
            self.send(stream, piece);
        }
    }

    /// Sends bytes as soon as there is credit.
    pub fn send_with_credit(&mut self, stream: u8, bytes: &[u8]) {
        while self.flows.entry(stream).or_default().may_send() < bytes.len() {
            let heard = self.hear_raw();
            self.count(&heard);
        }
        self.flows.entry(stream).or_default().sent(bytes.len());
        self.send(stream, bytes);
    }

    fn count(&mut self, heard: &Heard) -> bool {
        let Heard::Said(FromShim::Window { stream, bytes }) = heard else { return false };
        self.flows.entry(*stream).or_default().credited(*bytes).expect("honest");
        true
    }

    pub fn hear(&mut self) -> Heard {
        self.hear_raw()
    }

    pub fn hear_but_credit(&mut self) -> Heard {
        loop {
            let heard = self.hear_raw();
            if !self.count(&heard) {
                return heard;
            }
        }
    }

    pub fn hear_abort(&mut self) -> (AbortCode, String) {
        loop {
            match self.hear_raw() {
                Heard::Said(FromShim::Abort { code, message, .. }) => return (code, message),
                Heard::Said(FromShim::Window { .. } | FromShim::Close { .. }) => {}
                other => panic!("no abort: {other:?}"),
            }
        }
    }

    fn hear_raw(&mut self) -> Heard {
        loop {
            match self.decoder.next_frame().expect("frames") {
                Some(frame) if frame.channel == CONTROL => match unpack(frame).expect("a message") {
                    FromShim::Heartbeat => {}
                    message => return Heard::Said(message),
                },
                Some(frame) => return Heard::Data(frame.channel, frame.payload.to_vec()),
                None => {
                    wait_for(&self.output);
                    let mut bytes = vec![0; 1 << 16];
                    let read = self.output.read(&mut bytes).expect("read");
                    assert!(read > 0, "the shim has closed the session");
                    self.decoder.feed(&bytes[..read]);
                }
            }
        }
    }

    /// Ends its shim without a word.
    pub fn kill(&mut self) {
        self.child.kill().expect("it lives");
        self.child.wait().expect("wait");
    }

    /// Lets its shim open descriptors, or none beside those that it has.
    pub fn let_open(&self, more: bool) {
        let process = rustix::process::Pid::from_raw(self.process().cast_signed());
        let maximum = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
        let taken = |number: &u64| Path::new(&format!("/proc/{}/fd/{number}", self.process())).exists();
        let current = if more { maximum } else { (0..).find(|number| !taken(number)) };
        let limit = rustix::process::Rlimit { current, maximum };
        rustix::process::prlimit(process, rustix::process::Resource::Nofile, limit).expect("our own child");
    }

    /// Goes away, and waits until the shim has noticed.
    pub fn leave(&mut self) {
        self.input = None;
        self.child.wait().expect("wait");
    }
}

impl Drop for Laptop {
    fn drop(&mut self) {
        self.leave();
    }
}
