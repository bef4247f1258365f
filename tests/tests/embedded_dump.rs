//! The embedded engine's dumper and the agent's client, in one process and with nothing between them but their protocol: what is
//! dumped is what tar restores, and what one side does to the other ends in words.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use amanda::conf::disklist::{self, Disk};
use amanda::conf::{Config, Source};
use amanda::header::HEADER_BYTES;
use amanda::index;
use asyncamanda::client::state::State;
use asyncamanda::client::{self, Client, Kind, Out, Rules, ServeError, Watch};
use asyncamanda_shim::engine::embedded::Connection;
use asyncamanda_shim::engine::embedded::dialogue::Patience;
use asyncamanda_shim::engine::embedded::dump::{Ask, DumpError, Made, Place, dump};
use asyncamanda_shim::engine::embedded::estimate::estimate;
use asyncamanda_shim::engine::embedded::selfcheck::selfcheck;
use asyncamanda_tests::compare::{self, OURS};
use asyncamanda_tests::mount::Mount;
use asyncamanda_tests::tree;
use wire::frame::HEADER;
use wire::{ConfigName, DiskName, HostName, Outcome};

const STAMPS: [&str; 4] = ["20261122003709", "20261123003709", "20261124003709", "20261125003709"];

const DUMPTYPES: &str = "define dumptype base {\n    program \"GNUTAR\"\n    auth \"local\"\n    exclude \"*.iso\"\n    estimate server\n}\n\
define dumptype plain {\n    base\n    compress none\n}\n\
define dumptype fast {\n    base\n    compress client fast\n}\n\
define dumptype best {\n    base\n    compress client best\n}\n\
define dumptype zstd {\n    base\n    compress client custom\n    client-custom-compress \"/usr/bin/zstd\"\n}\n\
define dumptype evil {\n    base\n    compress client custom\n    client-custom-compress \"/tmp/evil\"\n}\n";

/// A laptop that is its own server.
struct World {
    directory: tempfile::TempDir,
    config: Config,
    disks: Vec<Disk>,
    host: HostName,
    name: ConfigName,
    tar: PathBuf,
}

struct Files;

impl Source for Files {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }
}

struct Deaf;

impl Watch for Deaf {
    fn estimating(&self, _: &DiskName, _: u8) {}
    fn estimated(&self, _: &DiskName) {}
    fn dumping(&self, _: &DiskName, _: u8) {}
    fn moved(&self, _: &DiskName, _: u64, _: u64, _: u64) {}
    fn ended(&self, _: &DiskName, _: &str) {}
    fn remarked(&self, _: &str) {}
    fn refused(&self, _: &str) {}
}

/// What the client sends to: the engine's reader, until so many bytes have passed.
struct ToEngine {
    frames: Mutex<Option<SyncSender<Vec<u8>>>>,
    left: AtomicU64,
}

impl Out for ToEngine {
    fn send(&self, frame: Vec<u8>) -> io::Result<()> {
        let mut frames = self.frames.lock().expect("no panic");
        let bytes = frame.len() as u64;
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_err() {
            frames.take();
        }
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        frames.as_ref().ok_or_else(gone)?.send(frame).map_err(|_| gone())
    }
}

struct FromClient {
    frames: Receiver<Vec<u8>>,
    frame: Vec<u8>,
    read: usize,
}

impl BufRead for FromClient {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.read >= self.frame.len() {
            let Ok(frame) = self.frames.recv() else { return Ok(&[]) };
            (self.frame, self.read) = (frame, HEADER);
        }
        Ok(&self.frame[self.read..])
    }

    fn consume(&mut self, amount: usize) {
        self.read += amount;
    }
}

impl Read for FromClient {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

type Served = JoinHandle<Result<(), ServeError>>;

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        for name in ["source", "target", "holding", "index", "state"] {
            fs::create_dir(directory.path().join(name)).expect("ours");
        }
        let (config, disks) = Self::configure(directory.path());
        let (host, name) = ("laptop1".parse().expect("a name"), "vault-0a1b2c3d".parse().expect("a name"));
        Self { directory, config, disks, host, name, tar: "/usr/bin/tar".into() }
    }

    fn configure(directory: &Path) -> (Config, Vec<Disk>) {
        let source = directory.join("source");
        fs::write(directory.join("amanda.conf"), format!("ctimeout 30\ndtimeout 60\netimeout 60\n{DUMPTYPES}")).expect("ours");
        let names = ["plain", "fast", "best", "zstd", "evil"];
        let lines: String = names.iter().map(|name| format!("laptop1 \"my {name}\" \"{}\" {name}\n", source.display())).collect();
        fs::write(directory.join("disklist"), lines).expect("ours");
        let mut config = Config::load(directory, &Files).unwrap_or_else(|error| panic!("{error}"));
        let disks = disklist::load(&mut config, &directory.join("disklist"), &Files).unwrap_or_else(|error| panic!("{error}"));
        (config, disks)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A client in a thread of its own; its connection is cut after so many bytes.
    fn connect(&self, left: u64) -> (Connection, Served) {
        let name = |disk: &Disk| DiskName::new(disk.dle.disk.clone()).expect("a name");
        let disk = |disk| client::Disk { name: name(disk), device: self.path("source"), exclude: Vec::new() };
        let rules = Rules {
            host: Some(self.host.clone()),
            config: Some(self.name.clone()),
            disks: self.disks.iter().map(disk).collect(),
            programs: vec![self.tar.clone(), "/usr/bin/zstd".into()],
            kind: Kind::Native,
        };
        let client = Arc::new(Client { rules, state: State::at(&self.path("state")), watch: Arc::new(Deaf) });
        let (input, to) = io::pipe().expect("a pipe");
        let (sender, frames) = sync_channel(16);
        let out = Arc::new(ToEngine { frames: Mutex::new(Some(sender)), left: AtomicU64::new(left) });
        let served = thread::spawn(move || client::serve(input, out, client));
        (Connection { from: Box::new(FromClient { frames, frame: Vec::new(), read: 0 }), to: Box::new(to) }, served)
    }

    fn ask<'a>(&'a self, dumptype: &str, level: u8, stamp: &'a str) -> Ask<'a> {
        let disk = self.disks.iter().find(|disk| disk.dumptype == dumptype).expect("one of them");
        let how = disk.how(&self.config).expect("defined");
        Ask { host: &self.host, config: &self.name, disk, how, level, stamp, patience: Patience::of(&self.config) }
    }

    /// Makes a dump; the client has ended when this returns.
    fn dump_of(&self, dumptype: &str, level: u8, stamp: &str, left: u64) -> Result<Made, DumpError> {
        let (connection, served) = self.connect(left);
        for directory in ["holding", "index"] {
            fs::create_dir_all(self.path(directory)).expect("made");
        }
        let place = Place { holding: &self.path("holding").join(stamp), indexdir: &self.path("index"), chunk: None };
        let made = dump(connection, &self.ask(dumptype, level, stamp), &place, &|_| {});
        let ended = served.join().expect("no panic");
        if made.is_ok() {
            ended.expect("served");
            // The receipt that the engine's run would bring; without it the next level would build on an older dump.
            let state = State::at(&self.path("state"));
            for pending in state.pending() {
                state.promote(&pending, stamp, None).expect("ours");
            }
        }
        made
    }

    fn dump(&self, dumptype: &str, level: u8, stamp: &str) -> Result<Made, DumpError> {
        self.dump_of(dumptype, level, stamp, u64::MAX)
    }

    fn restore(&self, made: &Made, program: &str) {
        let mut file = fs::File::open(&made.file).expect("there");
        file.seek(SeekFrom::Start(HEADER_BYTES as u64)).expect("a file");
        let script = format!(
            "{program} | tar --extract --preserve-permissions --xattrs '--xattrs-include=*' --acls --listed-incremental=/dev/null --file -"
        );
        let status = Command::new("/bin/sh").args(["-c", &script]).current_dir(self.path("target")).stdin(file).status();
        assert!(status.expect("a shell").success());
    }

    fn names(&self, made: &Made) -> BTreeSet<Vec<u8>> {
        let list = index::file_name(&made.header.datestamp, made.level, index::Form::UnsortedGz);
        let file = fs::File::open(self.path("index").join(index::directory(&made.header.dle)).join(list)).expect("there");
        let mut gunzip = Command::new("gzip").arg("-dc").stdin(file).stdout(Stdio::piped()).spawn().expect("gzip");
        let lines = BufReader::new(gunzip.stdout.take().expect("piped")).split(b'\n').collect::<Result<_, _>>().expect("lines");
        assert!(gunzip.wait().expect("waits").success());
        lines
    }

    /// The names as tar lists them.
    fn listed(&self, made: &Made, program: &str) -> BTreeSet<Vec<u8>> {
        let mut file = fs::File::open(&made.file).expect("there");
        file.seek(SeekFrom::Start(HEADER_BYTES as u64)).expect("a file");
        let script = format!("{program} | LC_ALL=C tar --list --file - | sed 's/^\\.//'");
        let output = Command::new("/bin/sh").args(["-c", &script]).stdin(file).output().expect("a shell");
        output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
    }

    /// All that is kept of dumps.
    fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![self.path("holding"), self.path("index")];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).expect("ours").flatten() {
                if entry.path().is_dir() { open.push(entry.path()) } else { found.push(entry.path()) }
            }
        }
        found
    }

    fn anew(&self, names: &[&str]) {
        for name in names {
            fs::remove_dir_all(self.path(name)).and_then(|()| fs::create_dir(self.path(name))).expect("ours");
        }
    }

    /// Puts a shell script in tar's place, in which `tar` is the real one.
    fn tar_is(&mut self, script: &str) {
        let path = self.path("tar");
        let probed = "case \"$*\" in *--version*|*--files-from\\ /dev/null*) exec /usr/bin/tar \"$@\" ;; esac";
        fs::write(&path, format!("#!/bin/sh\n{probed}\n{script}\n")).expect("ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
        self.tar = path;
    }
}

#[test]
fn what_the_agent_dumps_is_what_tar_restores_whatever_compresses() {
    let world = World::new();
    let source = world.path("source");
    tree::plant(&source, 7, 300_000);
    symlink("nowhere", source.join("a link")).expect("ours");
    fs::write(source.join("left out.iso"), "not dumped").expect("ours");
    for (dumptype, program, suffix) in
        [("plain", "cat", None), ("fast", "gzip -dc", Some(".gz")), ("best", "gzip -dc", Some(".gz")), ("zstd", "zstd -dc", Some("cust"))]
    {
        world.anew(&["holding", "index", "target"]);
        for (level, stamp) in STAMPS.iter().enumerate().take(3) {
            let level = u8::try_from(level).expect("few");
            fs::write(source.join(format!("new at {dumptype} {level}")), stamp).expect("ours");
            let made = world.dump(dumptype, level, stamp).unwrap_or_else(|error| panic!("{dumptype} {level}: {error}"));
            assert_eq!((made.outcome, made.header.compression.as_deref()), (Outcome::Ok, suffix), "{dumptype} {level}");
            assert_eq!((made.header.client, made.level), (made.header.server, level), "{dumptype} {level}");
            let names = world.names(&made);
            assert_eq!(names, world.listed(&made, program), "{dumptype} {level}");
            assert!(names.contains(format!("/new at {dumptype} {level}").as_bytes()), "{dumptype} {level}");
            world.restore(&made, program);
            let differences = compare::differences(&source, &world.path("target"), OURS);
            assert!(matches!(differences.as_slice(), [only] if only.contains("left out.iso")), "{dumptype} {level}: {differences:#?}");
        }
    }
}

#[test]
fn a_client_that_dies_in_the_middle_leaves_nothing_here_and_no_program_there() {
    let mut world = World::new();
    fs::write(world.path("source/big"), vec![7; 3_000_000]).expect("ours");
    for left in [0, 100, 1000, 5000, 500_000, 2_900_000] {
        let error = world.dump_of("plain", 0, STAMPS[0], left).expect_err("it died");
        assert!(error.to_string().starts_with("the c"), "{left}: {error}");
        assert_eq!(world.files(), Vec::<PathBuf>::new(), "{left}");
    }
    // And one whose program fails says so itself.
    world.tar_is("/usr/bin/tar \"$@\"; echo 'tar: ./big: Cannot stat: Input/output error' >&2; exit 2");
    let error = world.dump("plain", 0, STAMPS[0]).expect_err("tar failed");
    assert!(error.to_string().starts_with("the client says: ") && error.to_string().contains("ended with exit status: 2"), "{error}");
    assert_eq!(error.strange, ["? tar: ./big: Cannot stat: Input/output error"]);
    assert_eq!(world.files(), Vec::<PathBuf>::new());
    world.tar = "/usr/bin/tar".into();
    world.dump("plain", 0, STAMPS[0]).expect("and then it works");
}

#[test]
fn what_cannot_be_read_makes_a_strange_dump() {
    let mut world = World::new();
    fs::write(world.path("source/a"), "a").expect("ours");
    // Root reads everything, so tar only says that it could not.
    world.tar_is("echo '/usr/bin/tar: ./secret: Warning: Cannot open: Permission denied' >&2; exec /usr/bin/tar \"$@\"");
    let made = world.dump("fast", 0, STAMPS[0]).expect("a dump");
    assert_eq!(made.outcome, Outcome::Strange);
    assert_eq!(made.strange[0], "? /usr/bin/tar: ./secret: Warning: Cannot open: Permission denied");
    assert_eq!(world.files().len(), 3);
}

#[test]
fn what_the_agent_does_not_allow_is_told_in_its_words() {
    let world = World::new();
    let error = world.dump("evil", 0, STAMPS[0]).expect_err("no such program");
    assert_eq!(error.to_string(), "the client refuses: /tmp/evil may not be run here: add \"/tmp/evil\" to programs in agent.toml");
    assert_eq!(world.files(), Vec::<PathBuf>::new());
}

#[test]
fn sizes_and_a_check_come_from_the_client() {
    let world = World::new();
    fs::write(world.path("source/big"), vec![7; 3_000_000]).expect("ours");
    let (connection, served) = world.connect(u64::MAX);
    let sizes = estimate(connection, &world.ask("zstd", 0, STAMPS[0]), &[0]).expect("sizes");
    served.join().expect("no panic").expect("served");
    assert!(matches!(sizes.as_slice(), [(0, Ok(3_000_000..=3_100_000))]), "{sizes:?}");

    let disks: Vec<_> = world.disks.iter().map(|disk| (disk, disk.how(&world.config).expect("defined"))).collect();
    let (connection, served) = world.connect(u64::MAX);
    let lines = selfcheck(connection, &world.host, &world.name, &disks, Patience::default()).expect("lines");
    served.join().expect("no panic").expect("served");
    let bad: Vec<_> = lines.iter().filter(|(good, _)| !good).map(|(_, text)| text.as_str()).collect();
    assert_eq!(bad, ["/tmp/evil may not be run here: add '/tmp/evil' to programs in agent.toml"]);
}

#[test]
fn a_holding_disk_that_is_full_fails_the_dump_in_words_and_gets_its_room_back() {
    assert!(nix::unistd::geteuid().is_root(), "this test mounts a small file system: use tests/run");
    let world = World::new();
    let random = (0..1_500_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect::<Vec<_>>();
    fs::write(world.path("source/big"), random).expect("ours");
    let mount = Mount::over(&world.path("holding"), 4096);
    let error = world.dump("plain", 0, STAMPS[0]).expect_err("no room");
    assert!(error.to_string().contains("cannot write the dump to the holding disk: No space left on device"), "{error}");
    assert_eq!(world.files(), Vec::<PathBuf>::new());
    mount.remount("size=16m");
    world.dump("plain", 0, STAMPS[1]).expect("there is room now");
    let _ballast = mount.fill();
    let error = world.dump("plain", 0, STAMPS[2]).expect_err("no room for a directory");
    assert!(error.to_string().contains("No space left on device"), "{error}");
    assert_eq!(world.files().len(), 4, "{:?}", world.files());
}
