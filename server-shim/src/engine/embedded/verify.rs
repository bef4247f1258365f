//! Reads dumps back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use amanda::crc::Crc;
use amanda::dle::Dle;
use amanda::header::{HEADER_BYTES, Header};
use wire::{DiskName, HostName};

use super::catalog::{Dump, Gone};
use super::damaged::{self, Mark};
use super::site::{Site, failed};
use super::volumes::Key;
use super::{Watch, catalog, mend};
use crate::engine::Trouble;

/// So much is read at once.
const PIECE: usize = 1024 * 1024;

/// A dump that was read back and is not what was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whose dump.
    pub dle: Dle,
    /// When it was dumped.
    pub datestamp: String,
    /// Its level.
    pub level: u8,
    /// The file.
    pub path: PathBuf,
    /// What is wrong, a sentence.
    pub what: String,
}

/// What was read back, and what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Dumps that were read and are what was stored.
    pub dumps: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files that are not what was stored.
    pub findings: Vec<Finding>,
    /// Volumes that are not there.
    pub gone: Vec<Gone>,
}

impl Verified {
    /// Returns every dump that is not what was stored, also those of volumes that are gone.
    fn all(self, site: &Site) -> Vec<Finding> {
        let Self { mut findings, gone, .. } = self;
        let changer = site.changer();
        for Gone { label, dumps } in gone {
            let path = changer.directory().join(&label);
            findings.extend(dumps.into_iter().map(|(dle, datestamp, level)| {
                let what = "its volume is gone".to_owned();
                Finding { dle, datestamp, level, path: path.clone(), what }
            }));
        }
        findings
    }
}

/// Reads every dump back and compares its checksum. What is damaged is remembered: the catalog does not count it, and the next
/// run makes a full dump where a chain is broken.
///
/// # Errors
/// When the catalog cannot be read, or what was found cannot be written down.
pub fn verify(site: &Site, watch: &dyn Watch) -> Result<Vec<Finding>, Trouble> {
    Ok(read_all(site, &|_, _, _| true, watch)?.all(site))
}

/// The same, and says how much was read.
///
/// # Errors
/// As [`verify`].
pub fn verify_all(site: &Site, watch: &dyn Watch) -> Result<Verified, Trouble> {
    read_all(site, &|_, _, _| true, watch)
}

/// The same for some dumps: `which` is given each one's disk, datestamp and level. What is remembered of the others stays.
///
/// # Errors
/// As [`verify`].
pub fn verify_some(site: &Site, which: &dyn Fn(&Dle, &str, u8) -> bool, watch: &dyn Watch) -> Result<Vec<Finding>, Trouble> {
    Ok(read_all(site, which, watch)?.all(site))
}

fn read_all(site: &Site, which: &dyn Fn(&Dle, &str, u8) -> bool, watch: &dyn Watch) -> Result<Verified, Trouble> {
    site.for_writing()?;
    let mut catalog = catalog::load(site)?;
    let mut verified = Verified::default();
    let mut findings: Vec<Finding> = Vec::new();
    for Gone { label, dumps } in &catalog.gone {
        let dumps: Vec<Key> = dumps.iter().filter(|key| which(&key.0, &key.1, key.2)).cloned().collect();
        if !dumps.is_empty() {
            watch.noted(&format!("the volume {label} is gone"));
            verified.gone.push(Gone { label: label.clone(), dumps });
        }
    }
    for lost in &catalog.lost {
        watch.noted(&lost.to_string());
        if let Some((dle, datestamp, level)) = lost.key.clone().filter(|key| which(&key.0, &key.1, key.2)) {
            findings.push(Finding { dle, datestamp, level, path: lost.path.clone(), what: lost.what.clone() });
        }
    }
    let mut sound: BTreeSet<Key> = BTreeSet::new();
    let keys: Vec<Key> = catalog.dumps.keys().filter(|key| which(&key.0, &key.1, key.2)).cloned().collect();
    for key in keys {
        let Some(dump) = catalog.dumps.get(&key) else { continue };
        let mut read = read_back(&key, dump, watch);
        if matches!(read, Read::Gone) {
            // A run has put it on a volume meanwhile, or taken its volume.
            catalog = catalog::load(site)?;
            read = catalog.dumps.get(&key).map_or(Read::Gone, |dump| read_back(&key, dump, watch));
        }
        if let Read::Unreadable(..) = read {
            // A cable or a hub may have had a moment; a mark stays.
            read = catalog.dumps.get(&key).map_or(Read::Gone, |dump| read_back(&key, dump, watch));
        }
        match read {
            Read::Sound(bytes) => {
                verified.dumps += 1;
                verified.bytes = verified.bytes.saturating_add(bytes);
                sound.insert(key);
            }
            Read::Gone => {}
            Read::Damaged(path, what) | Read::Unreadable(path, what) => {
                let (dle, datestamp, level) = key;
                watch.noted(&format!("{} is damaged: {what} ({dle} of {datestamp}, level {level})", path.display()));
                findings.push(Finding { dle, datestamp, level, path, what });
            }
        }
    }
    remember(site, &findings, &sound)?;
    Ok(Verified { findings, ..verified })
}

enum Read {
    /// So many bytes.
    Sound(u64),
    /// Its file is not there any more.
    Gone,
    Damaged(PathBuf, String),
    /// The system says that it cannot be read.
    Unreadable(PathBuf, String),
}

fn read_back(key: &Key, dump: &Dump, watch: &dyn Watch) -> Read {
    let names = || Some((key.0.host.parse::<HostName>().ok()?, DiskName::new(key.0.disk.clone()).ok()?));
    let names = names();
    let moved = |bytes| {
        if let Some((host, disk)) = &names {
            watch.moved(host, disk, bytes);
        }
    };
    let (mut crc, mut bytes, mut left) = (0, 0, dump.sums.server.map(|crc| crc.bytes));
    let mut said = dump.sums.server;
    for path in &dump.files {
        match file(path, key, &mut crc, &mut bytes, &mut left, &moved) {
            Ok(Ok(header)) => said = said.or(header.server),
            Ok(Err(what)) => return Read::Damaged(path.clone(), what.to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Read::Gone,
            Err(error) => return Read::Unreadable(path.clone(), format!("it cannot be read: {error}")),
        }
    }
    let path = dump.files.last().cloned().unwrap_or_default();
    let found = Crc { crc, bytes };
    match said.filter(Crc::is_known) {
        // Amanda does not count what goes straight to a volume.
        None => Read::Sound(bytes),
        Some(said) if said == found => Read::Sound(bytes),
        Some(said) => Read::Damaged(path, format!("{said} was stored and {found} is there (CRC-32C and bytes)")),
    }
}

/// Adds a file's bytes to a checksum. The inner error says what is wrong with the file.
fn file(
    path: &Path,
    key: &Key,
    crc: &mut u32,
    bytes: &mut u64,
    left: &mut Option<u64>,
    moved: &dyn Fn(u64),
) -> io::Result<Result<Header, &'static str>> {
    let mut file = File::open(path)?;
    // From the disk, and not from what the system still remembers of it; what is not written yet has to be, before it is forgotten.
    file.sync_data()?;
    let _read_anyway = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    let mut block = Vec::with_capacity(HEADER_BYTES);
    (&mut file).take(HEADER_BYTES as u64).read_to_end(&mut block)?;
    let header = match Header::parse(&block) {
        Ok(header) if block.len() == HEADER_BYTES => header,
        _ => return Ok(Err("its header cannot be read")),
    };
    if (&header.dle, header.datestamp.as_str(), header.level) != (&key.0, key.1.as_str(), key.2) {
        return Ok(Err("its header is that of another dump"));
    }
    let mut piece = vec![0; PIECE];
    loop {
        let most = left.map_or(PIECE, |left| usize::try_from(left).unwrap_or(PIECE).min(PIECE));
        let read = match file.read(&mut piece[..most]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            return Ok(Ok(header));
        }
        *crc = crc32c::crc32c_append(*crc, &piece[..read]);
        *bytes += read as u64;
        if let Some(left) = left {
            *left -= read as u64;
        }
        moved(*bytes);
    }
}

/// Marks what was found; takes the marks off what is sound, and off what is not there any more.
fn remember(site: &Site, findings: &[Finding], sound: &BTreeSet<Key>) -> Result<(), Trouble> {
    let _lock = mend::lock(site)?;
    let error = |error| failed("cannot note the damaged dumps of", site.directory(), &error);
    let catalog = catalog::load(site)?;
    // What cannot be read is written anew.
    let old = damaged::load(site);
    let is_readable = old.is_ok();
    let old = old.unwrap_or_default();
    let mut marks: BTreeMap<Key, Mark> = old.iter().map(|mark| (mark.key(), mark.clone())).collect();
    marks.retain(|key, _| catalog.dumps.contains_key(key) && !sound.contains(key));
    for finding in findings {
        let key = (finding.dle.clone(), finding.datestamp.clone(), finding.level);
        if catalog.dumps.contains_key(&key)
            && let Some(mark) = Mark::new(&finding.dle, &finding.datestamp, finding.level, &finding.what)
        {
            marks.insert(key, mark);
        }
    }
    let marks: Vec<Mark> = marks.into_values().collect();
    if is_readable && marks == old { Ok(()) } else { damaged::store(site, &marks).map_err(error) }
}
