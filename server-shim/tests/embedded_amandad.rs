//! The embedded engine's dumper against a client that nobody here wrote: Debian's amandad, run as Amanda's account. Needs root, Debian's
//! amanda-client and GNU tar, and fails without them; tests/run sees to that.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use amanda::conf::disklist::{self, Disk};
use amanda::conf::{Config, Source};
use amanda::crc::Crc;
use amanda::header::{HEADER_BYTES, Header};
use amanda::index;
use asyncamanda_shim::engine::embedded::Connection;
use asyncamanda_shim::engine::embedded::dialogue::Patience;
use asyncamanda_shim::engine::embedded::dump::{Ask, DumpError, Made, Place, dump};
use asyncamanda_shim::engine::embedded::estimate::estimate;
use asyncamanda_shim::engine::embedded::selfcheck::selfcheck;
use nix::unistd::{User, chown, geteuid};
use wire::{ConfigName, HostName, Outcome};

const AMANDAD: &str = "/usr/lib/amanda/amandad";
const USER: &str = "backup";
const STAMPS: [&str; 3] = ["20261122003709", "20261123003709", "20261124003709"];

/// A config of Amanda's client, and a server's directory; gone when dropped.
struct World {
    directory: tempfile::TempDir,
    name: ConfigName,
    config: Config,
    disks: Vec<Disk>,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(Path::new("/etc/amanda").join(self.name.as_str()));
    }
}

struct Files;

impl Source for Files {
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        fs::read(path)
    }
}

/// amandad, which ends with its connection; the child is waited for when the test has dropped both ends.
struct Amandad(Child);

impl Amandad {
    fn start() -> (Self, Connection) {
        let user = User::from_name(USER).ok().flatten().expect("amanda-common made it");
        let mut child = Command::new("/usr/bin/setpriv")
            .env_clear()
            .args([format!("--reuid={}", user.uid), format!("--regid={}", user.gid)])
            .args(["--init-groups", "--", AMANDAD, "-auth=ssh", "noop", "selfcheck", "sendsize", "sendbackup"])
            .envs([("SSH_CONNECTION", "127.0.0.1 22 127.0.0.1 22"), ("PATH", "/usr/bin:/bin"), ("LC_ALL", "C")])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("util-linux is installed");
        let (to, from) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        (Self(child), Connection { from: Box::new(BufReader::with_capacity(128 * 1024, from)), to: Box::new(to) })
    }

    fn ended(mut self) {
        self.0.wait().expect("it ends when its connection is closed");
    }
}

impl World {
    fn new(name: &str, dumptypes: &str) -> Self {
        assert!(geteuid().is_root(), "this test needs root: amandad runs as another account; use tests/run");
        assert!(Path::new(AMANDAD).exists(), "this test needs Debian's amanda-client; tests/run installs it");
        let user = User::from_name(USER).ok().flatten().expect("amanda-common made it");
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("ours");
        for name in ["lists", "source", "holding", "index", "target"] {
            fs::create_dir(path.join(name)).expect("ours");
        }
        fs::write(path.join("amandates"), "").expect("ours");
        for name in ["lists", "amandates"] {
            chown(&path.join(name), Some(user.uid), Some(user.gid)).expect("root may");
        }
        let client = Path::new("/etc/amanda").join(name);
        fs::create_dir_all(&client).expect("root may");
        let text = format!("gnutar_list_dir \"{0}/lists\"\namandates \"{0}/amandates\"\n", path.display());
        fs::write(client.join("amanda-client.conf"), text).expect("root may");
        fs::write(path.join("amanda.conf"), format!("ctimeout 20\ndtimeout 60\netimeout 60\n{dumptypes}")).expect("ours");
        let types = ["plain", "fast", "best", "cust", "noisy", "broken"];
        let lines: String = types.iter().map(|name| format!("localhost \"disk {name}\" \"{}/source\" {name}\n", path.display())).collect();
        fs::write(path.join("disklist"), lines).expect("ours");
        let mut config = Config::load(path, &Files).unwrap_or_else(|error| panic!("{error}"));
        let disks = disklist::load(&mut config, &path.join("disklist"), &Files).unwrap_or_else(|error| panic!("{error}"));
        Self { directory, name: name.parse().expect("a name"), config, disks }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn disk(&self, dumptype: &str) -> &Disk {
        self.disks.iter().find(|disk| disk.dumptype == dumptype).expect("one of them")
    }

    fn ask<'a>(&'a self, host: &'a HostName, dumptype: &str, level: u8, stamp: &'a str) -> Ask<'a> {
        let disk = self.disk(dumptype);
        let how = disk.how(&self.config).expect("defined");
        Ask { host, config: &self.name, disk, how, level, stamp, patience: Patience::of(&self.config) }
    }

    fn dump(&self, dumptype: &str, level: u8, stamp: &str) -> Result<Made, DumpError> {
        let (amandad, connection) = Amandad::start();
        let moved = AtomicU64::new(0);
        for directory in ["holding", "index"] {
            fs::create_dir_all(self.path(directory)).expect("made");
        }
        let place = Place { holding: &self.path("holding").join(stamp), indexdir: &self.path("index"), chunk: None };
        let made = dump(connection, &self.ask(&host(), dumptype, level, stamp), &place, &|bytes| moved.store(bytes, Ordering::Relaxed));
        amandad.ended();
        if let Ok(made) = &made {
            assert_eq!(moved.load(Ordering::Relaxed), made.header.server.expect("counted").bytes);
        }
        made
    }

    /// Restores a dump over what is in the target, as Amanda would: by the header's own line.
    fn restore(&self, made: &Made) {
        let mut file = fs::File::open(&made.file).expect("there");
        file.seek(SeekFrom::Start(HEADER_BYTES as u64)).expect("a file");
        let filter = if made.header.compression.is_some() { "gzip -dc" } else { "cat" };
        let status = Command::new("/bin/sh")
            .args(["-c", &format!("{filter} | tar -xpGf - ")])
            .current_dir(self.path("target"))
            .stdin(file)
            .status()
            .expect("a shell");
        assert!(status.success());
    }

    /// What comes out of a dump.
    fn unpacked(&self, made: &Made) -> Crc {
        let mut file = fs::File::open(&made.file).expect("there");
        file.seek(SeekFrom::Start(HEADER_BYTES as u64)).expect("a file");
        let filter = if made.header.compression.is_some() { "gzip" } else { "cat" };
        let args: &[&str] = if filter == "gzip" { &["-dc"] } else { &[] };
        let plain = Command::new(filter).args(args).stdin(file).output().expect("a filter").stdout;
        Crc { crc: crc32c::crc32c(&plain), bytes: plain.len() as u64 }
    }

    fn same(&self) {
        let output = Command::new("diff").args(["-r", "--no-dereference"]).arg(self.path("source")).arg(self.path("target")).output();
        let output = output.expect("diff");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }

    /// The names in a dump's index.
    fn names(&self, made: &Made) -> BTreeSet<String> {
        let directory = self.path("index").join(index::directory(&made.header.dle));
        let path = directory.join(index::file_name(&made.header.datestamp, made.level, index::Form::UnsortedGz));
        let mut gunzip =
            Command::new("gzip").arg("-dc").stdin(fs::File::open(path).expect("there")).stdout(Stdio::piped()).spawn().expect("gzip");
        let lines = BufReader::new(gunzip.stdout.take().expect("piped")).lines().collect::<Result<BTreeSet<_>, _>>().expect("text");
        assert!(gunzip.wait().expect("waits").success());
        let beside = directory.join(index::header_name(&made.header.datestamp, made.level));
        assert_eq!(fs::read(beside).expect("there"), made.header.beside_index().text().expect("prints"));
        lines
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path("source").join(name);
        fs::create_dir_all(path.parent().expect("below")).expect("ours");
        fs::write(path, bytes).expect("ours");
    }

    /// All files of the server's.
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
}

fn host() -> HostName {
    "localhost".parse().expect("a name")
}

fn read_header(path: &Path) -> Header {
    let mut block = vec![0; HEADER_BYTES];
    fs::File::open(path).and_then(|mut file| file.read_exact(&mut block)).expect("a header");
    Header::parse(&block).expect("a dump's")
}

const DUMPTYPES: &str = "define dumptype base {\n    program \"GNUTAR\"\n    auth \"local\"\n    exclude \"*.iso\"\n    exclude append \"./left out\"\n    index yes\n}\n\
define dumptype plain {\n    base\n    compress none\n}\n\
define dumptype fast {\n    base\n    compress client fast\n}\n\
define dumptype best {\n    base\n    compress client best\n    index no\n}\n\
define dumptype cust {\n    base\n    compress client custom\n    client-custom-compress \"/bin/gzip\"\n}\n\
define dumptype noisy {\n    base\n    compress client custom\n    client-custom-compress \"/tmp/aa-embedded-noisy\"\n}\n\
define dumptype broken {\n    base\n    compress client custom\n    client-custom-compress \"/bin/false\"\n}\n";

#[test]
fn debians_amandad_dumps_a_tree_at_two_levels_and_tar_restores_it() {
    let world = World::new("aa-embedded-levels", DUMPTYPES);
    for number in 0..50u8 {
        world.write(&format!("dir {}/file{number}", number % 5), &vec![number; usize::from(number) * 3001]);
    }
    world.write("big", &(0..3_000_000u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect::<Vec<u8>>());
    world.write("x.iso", b"not dumped");
    world.write("left out/y", b"not dumped");
    symlink("big", world.path("source").join("link")).expect("ours");
    for (dumptype, compression) in [("plain", None), ("fast", Some(".gz")), ("best", Some(".gz")), ("cust", Some("cust"))] {
        let full = world.dump(dumptype, 0, STAMPS[0]).unwrap_or_else(|error| panic!("{dumptype}: {error} {:?}", error.strange));
        assert_eq!((full.outcome, full.level, full.strange.as_slice()), (Outcome::Ok, 0, &[][..]), "{dumptype}");
        let header = read_header(&full.file);
        assert_eq!(header, full.header, "{dumptype}");
        assert_eq!(header.compression.as_deref(), compression);
        assert_eq!((header.client, header.orig_kb.is_some_and(|kb| kb > 10_000)), (header.server, true), "{dumptype}");
        assert!(header.native.is_some_and(|native| native.bytes > 12_000_000));
        assert_eq!(header.native, Some(world.unpacked(&full)), "what verify compares");
        assert_eq!(fs::metadata(&full.file).expect("there").permissions().mode() & 0o777, 0o600);
        world.restore(&full);
        for name in ["x.iso", "left out"] {
            let path = world.path("source").join(name);
            if path.is_dir() {
                fs::remove_dir_all(path).expect("ours");
            } else if path.exists() {
                fs::remove_file(path).expect("ours");
            }
        }
        world.same();
        if dumptype != "best" {
            let names = world.names(&full);
            let missing = ["/", "/big", "/link", "/dir 0/", "/dir 4/file49"].iter().find(|name| !names.contains(**name));
            assert_eq!(missing, None, "{dumptype}");
            assert!(!names.contains("/x.iso") && !names.iter().any(|name| name.starts_with("/left out/")), "{dumptype}");
        }

        world.write(&format!("dir 2/new of {dumptype}"), b"new");
        fs::remove_file(world.path("source").join("dir 1/file1")).unwrap_or_default();
        let next = world.dump(dumptype, 1, STAMPS[1]).unwrap_or_else(|error| panic!("{dumptype}: {error}"));
        assert!(next.header.native.is_some_and(|native| native.bytes < 1_000_000), "{dumptype}: {:?}", next.header);
        world.restore(&next);
        world.same();
        if dumptype != "best" {
            assert!(world.names(&next).contains(&format!("/dir 2/new of {dumptype}")));
        }
        for name in ["holding", "target"] {
            fs::remove_dir_all(world.path(name)).and_then(|()| fs::create_dir(world.path(name))).expect("ours");
        }
    }
}

#[test]
fn what_debians_amandad_complains_of_is_kept_and_a_failed_dump_leaves_nothing() {
    let world = World::new("aa-embedded-strange", DUMPTYPES);
    world.write("a", b"a");
    let noisy = Path::new("/tmp/aa-embedded-noisy");
    fs::write(noisy, "#!/bin/sh\necho something odd >&2\nexec cat\n").expect("root may");
    fs::set_permissions(noisy, fs::Permissions::from_mode(0o755)).expect("root may");
    let made = world.dump("noisy", 0, STAMPS[0]).expect("a dump");
    assert_eq!((made.outcome, made.strange.as_slice()), (Outcome::Strange, &["? something odd".to_owned()][..]));
    fs::remove_file(noisy).expect("ours");
    fs::remove_file(&made.file).expect("there");
    fs::remove_dir_all(world.path("index")).and_then(|()| fs::create_dir(world.path("index"))).expect("ours");

    let error = world.dump("broken", 0, STAMPS[1]).expect_err("no dump");
    assert!(error.to_string().contains("the client says: compress ("), "{error}");
    fs::remove_dir_all(world.path("source")).expect("ours");
    let error = world.dump("plain", 0, STAMPS[2]).expect_err("no dump");
    assert!(error.to_string().contains("/bin/tar returned 2") && !error.strange.is_empty(), "{error} {:?}", error.strange);
    assert_eq!(world.files(), Vec::<PathBuf>::new());
}

#[test]
fn debians_amandad_is_asked_for_sizes_and_for_a_check() {
    let world = World::new("aa-embedded-asks", DUMPTYPES);
    world.write("a", &[1; 300_000]);
    let (amandad, connection) = Amandad::start();
    let host = host();
    let sizes = estimate(connection, &world.ask(&host, "plain", 0, STAMPS[0]), &[0]).expect("sizes");
    amandad.ended();
    assert!(matches!(sizes.as_slice(), [(0, Ok(300_000..=330_000))]), "{sizes:?}");

    let (amandad, connection) = Amandad::start();
    let disks: Vec<_> = ["plain", "fast"].map(|name| (world.disk(name), world.disk(name).how(&world.config).expect("defined"))).into();
    let lines = selfcheck(connection, &host, &world.name, &disks, Patience::of(&world.config)).expect("lines");
    amandad.ended();
    assert!(lines.iter().all(|(good, _)| *good), "{lines:?}");
    assert!(lines.iter().any(|(_, text)| text.contains(&world.path("source").display().to_string())), "{lines:?}");

    fs::remove_dir_all(world.path("source")).expect("ours");
    let (amandad, connection) = Amandad::start();
    let lines = selfcheck(connection, &host, &world.name, &disks, Patience::of(&world.config)).expect("lines");
    amandad.ended();
    let bad: Vec<_> = lines.iter().filter(|(good, _)| !good).collect();
    assert!(bad.len() >= 2 && bad.iter().all(|(_, text)| text.contains("Could not access")), "{lines:?}");
}
