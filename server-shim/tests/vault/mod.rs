//! A vault, and a client without a client: dumps that are bytes, written to the holding disk as the engine's own dialogue does.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use amanda::chains::{Bases, Restorable};
use amanda::conf::disklist::Disk;
use amanda::crc::Crc;
use amanda::dle::Dle;
use amanda::header::{Compression, Header};
use amanda::{holding, index};
use asyncamanda_shim::engine::embedded::catalog::{self, Catalog};
use asyncamanda_shim::engine::embedded::make::{Plan, make};
use asyncamanda_shim::engine::embedded::run::{Done, Dumper, NoDump, Task, run_with};
use asyncamanda_shim::engine::embedded::site::Site;
use asyncamanda_shim::engine::embedded::{Order, Watch};
use wire::{DiskName, HostName, Outcome, Receipt};

pub const HOST: &str = "laptop1";
pub const DAY: i64 = 86_400;
pub const NOW: i64 = 1_795_460_784;

/// What a run said.
#[derive(Default)]
pub struct Ears {
    pub planned: Mutex<Vec<(String, u8, String)>>,
    pub notes: Mutex<Vec<String>>,
}

impl Ears {
    pub fn levels(&self) -> Vec<u8> {
        self.planned.lock().expect("lock").iter().map(|(_, level, _)| *level).collect()
    }
}

impl Watch for Ears {
    fn planned(&self, _: &HostName, disk: &DiskName, level: u8, reason: &str, _: Option<u64>) {
        let disk = disk.as_os_str().to_string_lossy().into_owned();
        self.planned.lock().expect("lock").push((disk, level, reason.to_owned()));
    }
    fn moved(&self, _: &HostName, _: &DiskName, _: u64) {}
    fn ended(&self, _: &HostName, _: &DiskName, _: Outcome) {}
    fn noted(&self, what: &str) {
        self.notes.lock().expect("lock").push(what.to_owned());
    }
}

/// What a disk's next dump is like.
#[derive(Debug, Clone)]
pub enum Next {
    /// So many bytes.
    Bytes(usize),
    /// So many bytes of a full dump, and of any other.
    Levels(usize, usize),
    /// These bytes are stored, and this is what the client says that it has packed.
    Packed(Vec<u8>, Crc),
    /// The client has something to say.
    Strange(usize, String),
    /// There is none, for this reason.
    Fails(String),
    /// The file system is full after so many bytes; so often.
    Full(usize, u32),
    /// The dump ends in a fault of the program.
    Panics,
}

/// Makes dumps of bytes that depend on disk, level and datestamp.
#[derive(Default)]
pub struct Fake {
    pub next: Mutex<BTreeMap<(String, PathBuf), Next>>,
    pub made: Mutex<Vec<(Dle, String, u8)>>,
}

pub fn body(dle: &Dle, stamp: &str, level: u8, length: usize) -> Vec<u8> {
    let seed = crc32c::crc32c(format!("{dle} {stamp} {level}").as_bytes());
    let mut state = u64::from(seed) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend(state.to_be_bytes());
    }
    bytes.truncate(length);
    bytes
}

impl Fake {
    pub fn set(&self, dle: &Dle, next: Next) {
        self.next.lock().expect("lock").insert((dle.host.clone(), dle.disk.clone().into()), next);
    }

    fn write(&self, task: &Task<'_>, indexdir: &Path, bytes: &[u8], native: Option<Crc>) -> Header {
        let dle = &task.disk.dle;
        let mut header = Header::new(dle.clone(), task.stamp, task.level).compressed(Compression::ClientCustom(b"/usr/bin/zstd"));
        let name = holding::file_name(dle, task.level);
        let unfinished = task.directory.join(holding::unfinished(&name));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished).expect("a new file");
        file.write_all(&header.print().expect("a header")).expect("written");
        file.write_all(bytes).expect("written");
        let crc = Crc { crc: crc32c::crc32c(bytes), bytes: bytes.len() as u64 };
        header.orig_kb = Some(bytes.len() as u64 / 256 + 1);
        let native = native.unwrap_or(Crc { crc: !crc.crc, bytes: crc.bytes * 4 });
        (header.native, header.client, header.server) = (Some(native), Some(crc), Some(crc));
        std::os::unix::fs::FileExt::write_all_at(&file, &header.print().expect("a header"), 0).expect("written");
        let directory = indexdir.join(index::directory(dle));
        fs::create_dir_all(&directory).expect("made");
        let mut names = index::Writer::new(Vec::new());
        names.add(b"/").expect("added");
        let list = directory.join(index::file_name(task.stamp, task.level, index::Form::UnsortedGz));
        fs::write(&list, names.finish().expect("finished")).expect("written");
        let text = header.beside_index().text().expect("a header");
        fs::write(directory.join(index::header_name(task.stamp, task.level)), text).expect("written");
        file.sync_all().expect("synced");
        fs::rename(&unfinished, task.directory.join(name)).expect("renamed");
        File::open(task.directory).and_then(|directory| directory.sync_all()).expect("synced");
        self.made.lock().expect("lock").push((dle.clone(), task.stamp.to_owned(), task.level));
        header
    }
}

/// A fake that knows where indexes go.
pub struct FakeAt<'a>(pub &'a Fake, pub PathBuf);

impl Dumper for FakeAt<'_> {
    fn dump(&self, task: &Task<'_>, moved: &dyn Fn(u64)) -> Result<Done, NoDump> {
        let dle = &task.disk.dle;
        let key = (dle.host.clone(), PathBuf::from(&dle.disk));
        let next = self.0.next.lock().expect("lock").get(&key).cloned().unwrap_or(Next::Bytes(10_000));
        let made = |length: usize, strange: Vec<String>| {
            moved(length as u64);
            let header = self.0.write(task, &self.1, &body(dle, task.stamp, task.level, length), None);
            Ok(Done { header, strange, secs: 2.0 })
        };
        match next {
            Next::Bytes(length) => made(length, Vec::new()),
            Next::Levels(full, other) => made(if task.level == 0 { full } else { other }, Vec::new()),
            Next::Packed(bytes, native) => {
                Ok(Done { header: self.0.write(task, &self.1, &bytes, Some(native)), strange: Vec::new(), secs: 2.0 })
            }
            Next::Strange(length, said) => made(length, vec![said]),
            Next::Fails(why) => Err(NoDump { why, full: false, again: false }),
            Next::Full(length, 0) => made(length, Vec::new()),
            Next::Full(length, times) => {
                moved(length as u64);
                self.0.set(dle, Next::Full(length, times - 1));
                Err(NoDump { why: "cannot write: No space left on device".to_owned(), full: true, again: false })
            }
            Next::Panics => panic!("a fault"),
        }
    }

    fn estimate(&self, _: &Disk, _: u8) -> Option<u64> {
        None
    }
}

pub struct World {
    pub keep: tempfile::TempDir,
    pub site: Site,
    pub fake: Fake,
    pub now: AtomicI64,
}

/// In memory where there is such a place: what is tested here is order, and a thousand runs sync a lot.
pub fn temporary() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("directory")
}

pub fn world(disks: &[&str]) -> World {
    world_of(disks, &Plan::default())
}

pub fn world_of(disks: &[&str], plan: &Plan) -> World {
    let keep = temporary();
    let mut site = make(&keep.path().join("vault"), plan).expect("made");
    for disk in disks {
        site.add_disk(&Dle::new(HOST, *disk), None).expect("added");
    }
    World { keep, site, fake: Fake::default(), now: AtomicI64::new(NOW) }
}

pub fn host() -> HostName {
    HOST.parse().expect("name")
}

pub fn all() -> Order {
    Order { host: host(), disks: Vec::new() }
}

pub fn dle(disk: &str) -> Dle {
    Dle::new(HOST, disk)
}

impl World {
    pub fn run(&self) -> (Vec<Receipt>, Ears) {
        self.run_of(&[all()])
    }

    pub fn run_of(&self, orders: &[Order]) -> (Vec<Receipt>, Ears) {
        let ears = Ears::default();
        let fake = FakeAt(&self.fake, self.site.indexdir());
        let clock = || self.now.load(Ordering::Relaxed);
        let receipts = run_with(&self.site, "run-1", orders, &fake, &ears, &clock).expect("a run");
        (receipts, ears)
    }

    pub fn later(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::Relaxed);
    }

    pub fn catalog(&self) -> Catalog {
        catalog::load(&self.site).expect("a catalog")
    }

    /// Levels and datestamps of a disk's whole dumps that can be restored for certain.
    pub fn certain(&self, disk: &str) -> Vec<(u8, String)> {
        let catalog = self.catalog();
        catalog.of(&dle(disk)).iter().filter(|dump| dump.is_certain()).map(|dump| (dump.level, dump.datestamp.clone())).collect()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.site.directory().join(name)
    }

    /// Replaces something in amanda.conf.
    pub fn edit(&mut self, from: &str, to: &str) {
        let path = self.path("amanda.conf");
        let text = fs::read_to_string(&path).expect("read");
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replace(from, to)).expect("written");
        self.site = Site::open(self.site.directory(), None).expect("opened");
    }
}

/// What has to hold of a vault after a run, and after a killed run was mended: files, logs, tapelist and history agree.
pub fn check(site: &Site) {
    let catalog = catalog::load(site).expect("a catalog");
    assert_eq!(catalog.lost, [], "nothing is lost");
    for volume in &catalog.volumes {
        assert_eq!(volume.odd, None);
        assert_eq!(volume.unlogged, [], "slot {}", volume.slot);
        assert!(!volume.misses, "slot {}", volume.slot);
        let Some(label) = &volume.label else {
            // It was to be labelled by a run that was killed, and will be by the next one that needs it.
            assert_eq!(volume.files, 0);
            continue;
        };
        let tape = catalog.tapelist.get(label).expect("in the tapelist");
        assert!(tape.datestamp == volume.date || (tape.datestamp == "0" && volume.date == "X"), "{tape:?} {}", volume.date);
        assert_eq!(volume.files, volume.dumps.len());
    }
    for (key, dump) in &catalog.dumps {
        let directory = site.indexdir().join(index::directory(&key.0));
        assert!(directory.join(index::header_name(&key.1, key.2)).exists(), "no index of {key:?}");
        assert_eq!(dump.files.len(), 1, "{key:?}");
    }
    // No index is of a dump that there is not, and curinfo names places that are there.
    for disk in site.disks() {
        let directory = site.indexdir().join(index::directory(&disk.dle));
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let name = entry.expect("entry").file_name().into_string().expect("text");
            let (stamp, rest) = name.split_once('_').expect("a name");
            let level: u8 = rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("a level");
            assert!(catalog.dumps.contains_key(&(disk.dle.clone(), stamp.to_owned(), level)), "{name} is an index of nothing");
        }
        let path = site.config().infofile().join(amanda::curinfo::path(&disk.dle));
        let Ok(text) = fs::read(path) else { continue };
        let info = amanda::curinfo::Info::parse(&text).expect("curinfo");
        for (level, stats) in &info.stats {
            // The newest one, unless a clock was ahead.
            let place = stats.place.as_ref().map(|place| format!("{}:{}", place.label, place.file));
            let dumps = catalog.of(&disk.dle).iter().filter(|dump| dump.level == *level);
            let mut places = dumps.rev().take(2).map(|dump| Some(dump.places[0][0].to_string()));
            assert!(places.any(|other| other == place), "{place:?} of level {level} of {}", disk.dle);
        }
    }
    assert_eq!(fs::read_dir(site.holding()).expect("list").count(), 0, "the holding disk is empty");
}

/// What a restore would read of a dump is there, byte for byte.
pub fn is_whole(catalog: &Catalog, dle: &Dle, dump: &Restorable) -> bool {
    let Bases::Complete(bases) = &dump.bases else { return false };
    let levels = (0..dump.level).rev().zip(bases.iter()).map(|(level, stamp)| (level, stamp.as_str()));
    levels.chain([(dump.level, dump.datestamp.as_str())]).all(|(level, stamp)| {
        let Some(known) = catalog.dumps.get(&(dle.clone(), stamp.to_owned(), level)) else { return false };
        let bytes = fs::read(&known.files[0]).expect("a file");
        bytes[32 * 1024..] == body(dle, stamp, level, usize::try_from(known.bytes).expect("a length"))
    })
}
