//! A small office's config: volumes in directories that come round, holding disks, and dumps of bytes that wait there.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use amanda::crc::Crc;
use amanda::dle::Dle;
use amanda::header::{HEADER_BYTES, Header};
use amanda::{holding, index};
use asyncamanda_shim::engine::embedded::Watch;
use asyncamanda_shim::engine::embedded::catalog::{self, Catalog};
use asyncamanda_shim::engine::embedded::flush::{Flushed, flush};
use asyncamanda_shim::engine::embedded::holding::writer::Writer;
use asyncamanda_shim::engine::embedded::label::{Ask, label};
use asyncamanda_shim::engine::embedded::site::Site;
use asyncamanda_shim::engine::embedded::stamp;
use wire::{DiskName, HostName, Outcome};

pub const DAY: i64 = 86_400;
pub const NOW: i64 = 1_795_460_784;
pub const KIB: usize = 1024;

/// What was noted.
#[derive(Default)]
pub struct Notes(pub Mutex<Vec<String>>);

impl Notes {
    pub fn all(&self) -> String {
        self.0.lock().expect("lock").join("\n")
    }
}

impl Watch for Notes {
    fn planned(&self, _: &HostName, _: &DiskName, _: u8, _: &str, _: Option<u64>) {}
    fn moved(&self, _: &HostName, _: &DiskName, _: u64) {}
    fn ended(&self, _: &HostName, _: &DiskName, _: Outcome) {}
    fn noted(&self, what: &str) {
        self.0.lock().expect("lock").push(what.to_owned());
    }
}

/// What amanda.conf says.
#[derive(Debug, Clone)]
pub struct Conf {
    pub name: &'static str,
    pub tapecycle: u32,
    pub runtapes: u32,
    /// What a volume holds, in KiB.
    pub length: usize,
    /// The tapetype's part-size in KiB.
    pub part: Option<usize>,
    /// Directories of holding disks, besides `hd1` in the world's own.
    pub holding: Vec<PathBuf>,
    /// Where the volumes are, when it is not in the world's own directory.
    pub vtapes: Option<PathBuf>,
    /// Other lines.
    pub more: &'static str,
    /// More of the dumptype.
    pub dumptype: &'static str,
    pub dumpuser: &'static str,
}

impl Default for Conf {
    fn default() -> Self {
        Self {
            name: "ifh",
            tapecycle: 3,
            runtapes: 1,
            length: 1024,
            part: None,
            holding: Vec::new(),
            vtapes: None,
            more: "",
            dumptype: "",
            dumpuser: "root",
        }
    }
}

pub struct World {
    pub directory: PathBuf,
    pub conf: Conf,
    pub site: Site,
}

/// In memory where there is such a place.
pub fn temporary() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("directory")
}

impl World {
    /// Makes a config in `DIRECTORY/NAME`, with these disks of `amandahost`.
    pub fn make(directory: &Path, conf: Conf, disks: &[&str]) -> Self {
        let own = directory.join(conf.name);
        let vtapes = conf.vtapes.clone().unwrap_or_else(|| own.join("vtapes"));
        for path in [&own, &own.join("hd1"), &vtapes, &own.join("log"), &own.join("index"), &own.join("curinfo")] {
            fs::create_dir_all(path).expect("made");
        }
        let mut text = format!(
            "org \"{name}\"\ndumpuser \"{user}\"\nmailto \"\"\ndumpcycle 2 weeks\nrunspercycle 10\ntapecycle {cycle}\nruntapes {run}\n\
             tpchanger \"chg-disk:{vtapes}\"\ntapetype SMALL\nlabelstr \"^ifh[0-9][0-9]*$\"\n\
             infofile \"{own}/curinfo\"\nlogdir \"{own}/log\"\nindexdir \"{own}/index\"\ntapelist \"{own}/tapelist\"\n\
             define tapetype SMALL {{\nlength {length} kbytes\n{part}}}\n\
             define dumptype plain {{\nprogram \"GNUTAR\"\ncompress none\nindex yes\nauth \"local\"\n{dumptype}}}\n\
             holdingdisk hd1 {{\ndirectory \"{own}/hd1\"\n}}\n{more}\n",
            name = conf.name,
            user = conf.dumpuser,
            cycle = conf.tapecycle,
            run = conf.runtapes,
            vtapes = vtapes.display(),
            own = own.display(),
            length = conf.length,
            part = conf.part.map_or_else(String::new, |kb| format!("part-size {kb} kbytes\n")),
            dumptype = conf.dumptype,
            more = conf.more,
        );
        for (number, path) in (2..).zip(&conf.holding) {
            text.push_str(&format!("holdingdisk hd{number} {{\ndirectory \"{}\"\n}}\n", path.display()));
        }
        fs::write(own.join("amanda.conf"), text).expect("written");
        let lines: String = disks.iter().map(|disk| format!("amandahost {disk} plain\n")).collect();
        fs::write(own.join("disklist"), lines).expect("written");
        fs::write(own.join("tapelist"), "").expect("written");
        let site = Self::open(&own, conf.name);
        Self { directory: own, conf, site }
    }

    pub fn open(own: &Path, name: &str) -> Site {
        Site::open(own, Some(&name.parse().expect("name"))).expect("opened")
    }

    /// Labels the volumes `ifh01` … in their slots.
    pub fn label(self, count: u32) -> Self {
        for number in 1..=count {
            let ask = Ask { label: format!("ifh{number:02}"), slot: Some(number), force: false };
            assert_eq!(label(&self.site, &ask, &Notes::default(), NOW).expect("labelled"), number);
        }
        self
    }

    pub fn vtapes(&self) -> PathBuf {
        self.site.changer().directory().to_owned()
    }

    /// Puts a dump on the first holding disk.
    pub fn dump(&self, disk: &str, at: i64, level: u8, bytes: usize) -> Dle {
        self.dump_to(&self.directory.join("hd1"), disk, at, level, bytes, 0)
    }

    /// Puts a dump on a holding disk, in chunks, as the engine writes it.
    pub fn dump_to(&self, holding: &Path, disk: &str, at: i64, level: u8, bytes: usize, chunksize: usize) -> Dle {
        let dle = Dle::new("amandahost", disk);
        let body = body(&dle, &stamp::of(at), level, bytes);
        self.put(holding, &dle, at, level, &body, chunksize);
        dle
    }

    /// Puts these bytes on a holding disk as a dump.
    pub fn put(&self, holding: &Path, dle: &Dle, at: i64, level: u8, body: &[u8], chunksize: usize) {
        let stamp = stamp::of(at);
        let directory = holding.join(&stamp);
        fs::create_dir_all(&directory).expect("made");
        let header = Header::new(dle.clone(), stamp.clone(), level);
        let mut writer = Writer::begin(&directory.join(holding::file_name(dle, level)), &header, chunksize as u64).expect("begun");
        writer.write_all(body).expect("written");
        let crc = Some(Crc { crc: crc32c::crc32c(body), bytes: body.len() as u64 });
        let header = Header { orig_kb: Some(body.len() as u64 / 1024 + 1), native: crc, client: crc, server: crc, ..header };
        writer.commit(&header).expect("whole");
        let directory = self.site.indexdir().join(index::directory(dle));
        fs::create_dir_all(&directory).expect("made");
        fs::write(directory.join(index::header_name(&stamp, level)), header.beside_index().text().expect("prints")).expect("written");
    }

    pub fn flush(&self, at: i64) -> (Flushed, Notes) {
        let notes = Notes::default();
        let flushed = flush(&self.site, &notes, &|| at).expect("flushed");
        (flushed, notes)
    }

    pub fn catalog(&self) -> Catalog {
        catalog::load(&self.site).expect("a catalog")
    }

    /// The log of a run, and its lines that begin so.
    pub fn log(&self, flushed: &Flushed) -> String {
        let stamp = flushed.stamp.as_deref().expect("a run");
        fs::read_to_string(self.directory.join(format!("log/log.{stamp}.0"))).expect("a log")
    }

    /// The labels in the tapelist that were written, oldest first.
    pub fn written(&self) -> Vec<String> {
        let catalog = self.catalog();
        let written = catalog.tapelist.tapes().iter().filter(|tape| tape.datestamp != "0");
        written.rev().map(|tape| tape.label.clone()).collect()
    }

    /// Where the parts of a dump are: `ifh01:1`; empty when it is not whole on volumes or on a holding disk.
    pub fn places(&self, dle: &Dle, at: i64) -> Vec<String> {
        let (catalog, stamp) = (self.catalog(), stamp::of(at));
        let dump = catalog.of(dle).iter().find(|dump| dump.datestamp == stamp);
        dump.and_then(|dump| dump.places.first()).map(|copy| copy.iter().map(ToString::to_string).collect()).unwrap_or_default()
    }

    /// Every dump that the catalog has for whole is what was dumped, byte for byte. Returns how many there are.
    pub fn are_whole(&self) -> usize {
        let catalog = self.catalog();
        let mut count = 0;
        for (dle, dumps) in &catalog.chains {
            for dump in dumps {
                let known = &catalog.dumps[&(dle.clone(), dump.datestamp.clone(), dump.level)];
                let bytes = bytes_of(&known.files);
                assert!(bytes == body(dle, &dump.datestamp, dump.level, bytes.len()), "{dle} {} {:?}", dump.datestamp, known.files);
                assert_eq!(bytes.len() as u64, known.bytes, "{dle} {} {:?}", dump.datestamp, known.files);
                count += 1;
            }
        }
        count
    }

    pub fn held(&self) -> usize {
        self.catalog().held().count()
    }
}

/// The bytes of a dump, part after part, without the headers.
pub fn bytes_of(files: &[PathBuf]) -> Vec<u8> {
    files.iter().flat_map(|path| fs::read(path).expect("a file").split_off(HEADER_BYTES)).collect()
}

/// Bytes that depend on the dump.
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

/// How often each word begins a log's lines: `PART taper`.
pub fn kinds(log: &str) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for line in log.lines() {
        let words: Vec<_> = line.split(' ').take(2).collect();
        *kinds.entry(words.join(" ")).or_default() += 1;
    }
    kinds
}

/// A mount that goes with this value.
pub struct Mounted(pub PathBuf);

impl Mounted {
    /// A file system of so many KiB; `None` for those who may not mount one.
    pub fn small(path: &Path, kib: usize) -> Option<Self> {
        Self::mount(path, &["-t", "tmpfs", "-o", &format!("size={kib}k"), "none"])
    }

    /// What is there, to be read only.
    pub fn read_only(path: &Path) -> Option<Self> {
        let text = path.to_str().expect("text");
        Self::mount(path, &["--bind", "-o", "ro", text])
    }

    fn mount(path: &Path, args: &[&str]) -> Option<Self> {
        let status = std::process::Command::new("mount").args(args).arg(path).status();
        let mounted = status.is_ok_and(|status| status.success());
        assert!(mounted || std::env::var_os("CI").is_none(), "no file system can be mounted");
        mounted.then(|| Self(path.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
