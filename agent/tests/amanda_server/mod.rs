//! The other end of one Amanda connection, in memory: asks as Amanda's server does, and takes the streams of a dump.

use std::collections::HashMap;
use std::fs;
use std::io::{self, PipeWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use amanda::protocol::features::Features;
use amanda::protocol::packet::{Kind as Packets, Packet};
use amanda::protocol::reply::{self, Sendbackup};
use amanda::protocol::request::{DleRequest, Level, Options, Program, Request, Service};
use amanda::protocol::token::{self, Tokens};
use asyncamanda::client::state::{Pending, State};
use asyncamanda::client::{Client, Disk, Kind, Out, Rules, ServeError, Watch, serve};
use wire::DiskName;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server's name for every dump.
pub const STAMP: &str = "20261122003709";

/// The config in all requests.
pub const CONFIG: &str = "aa-agent-client";

/// A laptop: a directory to dump, and the client's state.
pub struct Laptop {
    pub dir: tempfile::TempDir,
    pub source: PathBuf,
    pub rules: Rules,
    pub state: State,
    pub heard: Arc<Heard>,
}

/// What a client told its watch.
#[derive(Default)]
pub struct Heard {
    pub refused: Mutex<Vec<String>>,
    pub remarked: Mutex<Vec<String>>,
    pub ended: Mutex<Vec<String>>,
    pub files: AtomicUsize,
    /// Those that go on.
    pub estimates: AtomicUsize,
}

impl Watch for Heard {
    fn estimating(&self, _: &DiskName, _: u8) {
        self.estimates.fetch_add(1, Ordering::Relaxed);
    }
    fn estimated(&self, _: &DiskName) {
        self.estimates.fetch_sub(1, Ordering::Relaxed);
    }
    fn dumping(&self, _: &DiskName, _: u8) {}
    fn moved(&self, _: &DiskName, _: u64, _: u64, files: u64) {
        self.files.store(usize::try_from(files).expect("few"), Ordering::Relaxed);
    }
    fn ended(&self, _: &DiskName, how: &str) {
        self.ended.lock().expect("no panic").push(how.to_owned());
    }
    fn remarked(&self, what: &str) {
        self.remarked.lock().expect("no panic").push(what.to_owned());
    }
    fn refused(&self, what: &str) {
        self.refused.lock().expect("no panic").push(what.to_owned());
    }
}

impl Laptop {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let source = dir.path().join("source");
        fs::create_dir(&source).expect("ours");
        let disk = Disk { name: DiskName::new("/home").expect("a name"), device: source.clone(), exclude: Vec::new() };
        let programs = ["/usr/bin/tar", "/usr/bin/gzip", "/usr/bin/zstd"].map(PathBuf::from).to_vec();
        let (host, config) = (Some("laptop1".parse().expect("a host")), Some(CONFIG.parse().expect("a config")));
        let rules = Rules { host, config, disks: vec![disk], programs, kind: Kind::Native };
        let state = State::at(&dir.path().join("state"));
        Self { dir, source, rules, state, heard: Arc::default() }
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.source.join(name);
        fs::create_dir_all(path.parent().expect("below the source")).expect("ours");
        fs::write(path, text).expect("ours");
    }

    /// Puts a program called `tar` in tar's place: a shell script, in which `tar` is the real one.
    pub fn tar_is(&mut self, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.dir.path().join("tar");
        let text =
            format!("#!/bin/sh\ncase \"$*\" in *--version*|*--files-from\\ /dev/null*) exec /usr/bin/tar \"$@\" ;; esac\n{script}\n");
        fs::write(&path, text).expect("ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
        self.rules.programs = vec![path];
    }

    pub fn client(&self) -> Arc<Client> {
        Arc::new(Client { rules: self.rules.clone(), state: self.state.clone(), watch: self.heard.clone() })
    }

    pub fn connect(&self) -> Server {
        Server::connect(self.client(), usize::MAX)
    }

    /// A request about the disk, as a plain dumptype makes it.
    pub fn dle(&self) -> DleRequest {
        use std::os::unix::ffi::OsStrExt as _;
        let device = self.source.as_os_str().as_bytes().to_vec();
        DleRequest { device: Some(device), auth: Some(b"ssh".to_vec()), index: true, ..DleRequest::of(Program::Gnutar, "/home") }
    }

    /// Makes one dump over a connection of its own.
    pub fn dump(&self, level: u16, dle: DleRequest) -> Dump {
        let mut server = self.connect();
        let dump = server.dump(level, dle);
        server.close().expect("served");
        dump
    }

    /// Makes a dump that the server then has.
    pub fn backup(&self, level: u16, dle: DleRequest) -> Dump {
        let dump = self.dump(level, dle);
        self.promote_all();
        dump
    }

    pub fn promote_all(&self) -> Vec<Pending> {
        let pending = self.state.pending();
        for one in &pending {
            assert_eq!(self.state.promote(one, STAMP, None).expect("promoted"), None);
        }
        pending
    }

    /// Returns the command lines of living processes that have to do with this laptop.
    pub fn processes(&self) -> Vec<String> {
        let needle = self.dir.path().display().to_string();
        let all = fs::read_dir("/proc").expect("Linux").flatten();
        let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| line.contains(&needle)).collect()
    }
}

/// A dump as the server has it in the end.
#[derive(Debug, Default)]
pub struct Dump {
    pub data: Vec<u8>,
    pub mesg: String,
    pub index: String,
}

impl Dump {
    /// Returns the lines of the message stream that begin so.
    pub fn lines(&self, start: &str) -> Vec<&str> {
        self.mesg.lines().filter(|line| line.starts_with(start)).collect()
    }

    pub fn is_good(&self) -> bool {
        self.lines("sendbackup: end").len() == 1 && self.lines("sendbackup: error").is_empty()
    }

    /// Returns the archive; `unpack` is the program that compressed it.
    pub fn archive(&self, unpack: Option<&str>) -> Vec<u8> {
        unpack.map_or_else(|| self.data.clone(), |program| piped(Command::new(program).arg("-dc"), &self.data))
    }

    /// Extracts it over what is there, as its own header says; `unpack` is the program that compressed it.
    pub fn restore(&self, unpack: Option<&str>, into: &Path) {
        let raw = self.archive(unpack);
        fs::create_dir_all(into).expect("ours");
        piped(Command::new("tar").args(["-xpGf", "-", "--xattrs", "--xattrs-include=*", "--acls", "--directory"]).arg(into), &raw);
    }

    /// Returns the names in it as tar lists them.
    pub fn names(&self) -> Vec<String> {
        listed(&self.data)
    }
}

/// Returns the names in an archive as tar lists them.
pub fn listed(archive: &[u8]) -> Vec<String> {
    let listed = piped(Command::new("tar").env("LC_ALL", "C").args(["-tf", "-"]), archive);
    String::from_utf8(listed).expect("escaped").lines().map(str::to_owned).collect()
}

pub fn piped(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it is there");
    let mut stdin = child.stdin.take().expect("it was asked for");
    let output = thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).expect("read to the end"));
        child.wait_with_output().expect("waited for")
    });
    assert!(output.status.success(), "{command:?} ended with {}", output.status);
    output.stdout
}

struct ToServer {
    frames: Sender<Vec<u8>>,
    closed: Arc<(Mutex<bool>, std::sync::Condvar)>,
    credit: AtomicUsize,
}

impl Out for ToServer {
    fn send(&self, frame: Vec<u8>) -> io::Result<()> {
        assert!(frame.len() > wire::frame::HEADER && frame.len() <= wire::frame::HEADER + wire::frame::MAX_DATA, "{}", frame.len());
        let (closed, changed) = &*self.closed;
        if self.credit.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |credit| credit.checked_sub(frame.len())).is_err() {
            // No more comes until the connection is closed.
            drop(changed.wait_while(closed.lock().expect("no panic"), |closed| !*closed).expect("no panic"));
        }
        if *closed.lock().expect("no panic") {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.frames.send(frame).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// One connection, from the server's side.
pub struct Server {
    to: Option<PipeWriter>,
    from: Receiver<Vec<u8>>,
    tokens: Tokens,
    closed: Arc<(Mutex<bool>, std::sync::Condvar)>,
    thread: JoinHandle<Result<(), ServeError>>,
    next: u32,
    /// Amanda's own client may answer the end of a stream with another one.
    echoes: bool,
}

impl Server {
    /// Connects; what is sent beyond `credit` bytes has to wait until the connection is closed.
    pub fn connect(client: Arc<Client>, credit: usize) -> Self {
        let (input, to) = io::pipe().expect("a pipe");
        let (frames, from) = channel();
        let closed: Arc<(Mutex<bool>, std::sync::Condvar)> = Arc::default();
        let out = Arc::new(ToServer { frames, closed: closed.clone(), credit: AtomicUsize::new(credit) });
        let echoes = client.rules.kind != Kind::Native;
        let thread = thread::spawn(move || serve(input, out, client));
        Self { to: Some(to), from, tokens: Tokens::new(), closed, thread, next: 0, echoes }
    }

    pub fn send(&mut self, handle: u32, payload: &[u8]) {
        let mut bytes = Vec::new();
        token::put(&mut bytes, handle, payload);
        self.to.as_mut().expect("not closed").write_all(&bytes).expect("it reads");
    }

    /// Returns the next token.
    pub fn token(&mut self) -> (u32, Vec<u8>) {
        loop {
            if let Some(token) = self.tokens.next_token().expect("tokens") {
                return (token.handle, token.payload.to_vec());
            }
            let frame = self.from.recv_timeout(PATIENCE).expect("a token");
            self.tokens.feed(&frame[wire::frame::HEADER..]);
        }
    }

    /// Returns the next packet of a request. Amanda's own client also says that it is done with earlier ones.
    pub fn packet(&mut self, handle: u32) -> Packet {
        loop {
            let (on, payload) = self.token();
            if !payload.is_empty() || on >= 10_000 {
                assert_eq!(on, handle);
                return Packet::parse(&payload).expect("a packet");
            }
        }
    }

    /// Sends the body of a REQ and returns its answer.
    pub fn ask_raw(&mut self, body: &[u8]) -> (u32, Packet) {
        self.next += 1;
        let handle = self.next;
        self.send(handle, &Packet::new(Packets::Req, body).print());
        let mut answer = self.packet(handle);
        while matches!(answer.kind, Packets::Ack | Packets::Prep) {
            answer = self.packet(handle);
        }
        if answer.kind == Packets::Rep {
            self.send(handle, &Packet::ack().print());
        }
        (handle, answer)
    }

    pub fn ask(&mut self, service: Service, dles: Vec<DleRequest>) -> Packet {
        self.ask_raw(&request(service, dles).print()).1
    }

    /// Asks for a dump that is expected to be refused, and returns the words.
    pub fn refusal(&mut self, dle: DleRequest) -> String {
        let answer = self.ask(Service::Sendbackup, vec![at(0, dle)]);
        let words = reply::parse_errors(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        String::from_utf8(words.concat()).expect("words")
    }

    /// Begins a dump and returns its streams.
    pub fn begin(&mut self, level: u16, dle: DleRequest) -> reply::Connect {
        let answer = self.ask(Service::Sendbackup, vec![at(level, dle)]);
        match Sendbackup::parse(&answer.body).expect("an answer") {
            Sendbackup::Connect { streams, .. } => streams,
            Sendbackup::Error(words) => panic!("{}", String::from_utf8_lossy(&words)),
        }
    }

    /// Takes a dump to its end. Says an end back on every stream, as Amanda's dumper does.
    pub fn dump(&mut self, level: u16, dle: DleRequest) -> Dump {
        let streams = self.begin(level, dle);
        let mut bytes: HashMap<u32, Vec<u8>> = HashMap::new();
        let mut open: Vec<u32> = streams.handles().collect();
        while !open.is_empty() {
            let (handle, payload) = self.token();
            if payload.is_empty() && (handle < 10_000 || (self.echoes && !open.contains(&handle))) {
                continue;
            }
            assert!(open.contains(&handle), "a token on {handle}");
            if handle == streams.data {
                let said = bytes.get(&streams.mesg).map(|said| String::from_utf8_lossy(said).into_owned()).unwrap_or_default();
                assert!(said.contains("sendbackup: info end\n"), "data before the header's words");
            }
            if payload.is_empty() {
                self.send(handle, &[]);
                open.retain(|other| *other != handle);
            } else {
                bytes.entry(handle).or_default().extend(payload);
            }
        }
        let mut text = |handle| String::from_utf8(bytes.remove(&handle).unwrap_or_default()).expect("text");
        let (mesg, index) = (text(streams.mesg), streams.index.map(&mut text).unwrap_or_default());
        Dump { data: bytes.remove(&streams.data).unwrap_or_default(), mesg, index }
    }

    /// Closes the connection and waits for the client to be done with it.
    pub fn close(mut self) -> Result<(), ServeError> {
        *self.closed.0.lock().expect("no panic") = true;
        self.closed.1.notify_all();
        drop(self.to.take());
        self.thread.join().expect("no panic")
    }
}

pub fn at(level: u16, mut dle: DleRequest) -> DleRequest {
    dle.levels = vec![Level { level, server: false }];
    dle
}

pub fn request(service: Service, dles: Vec<DleRequest>) -> Request {
    // All that Amanda 3.5.1 knows.
    let features = Some(Features::parse(b"ffffffff9efefbfffffffffffffff3fffbf71f").expect("features"));
    let (hostname, config) = (Some(b"laptop1".to_vec()), Some(CONFIG.as_bytes().to_vec()));
    Request { service, options: Options { features, hostname, config, ..Options::default() }, dles }
}
