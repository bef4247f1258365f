//! Reads dumps back.

mod read;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use amanda::dle::Dle;
use wire::{DiskName, HostName};

use super::catalog::{Catalog, Dump, Gone};
use super::damaged::{self, Mark};
use super::site::{Site, failed};
use super::volumes::Key;
use super::{Watch, catalog, mend, verified};
use crate::engine::Trouble;
use read::Read;

/// After so many bytes it is noted what was found, so that the work of hours is not lost with the process.
const NOTED: u64 = 16 << 30;

pub use turn::{Candidate, Chosen, Turn, choose};

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
    /// What was not read.
    pub passed_over: Chosen,
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
    Ok(read_all(site, &|_, _, _| true, &Turn::default(), watch)?.all(site))
}

/// The same for those whose turn it is, and says how much was read.
///
/// # Errors
/// As [`verify`].
pub fn verify_in_turn(site: &Site, turn: &Turn, watch: &dyn Watch) -> Result<Verified, Trouble> {
    read_all(site, &|_, _, _| true, turn, watch)
}

/// The same for some dumps: `which` is given each one's disk, datestamp and level. What is remembered of the others stays.
///
/// # Errors
/// As [`verify`].
pub fn verify_some(site: &Site, which: &dyn Fn(&Dle, &str, u8) -> bool, watch: &dyn Watch) -> Result<Vec<Finding>, Trouble> {
    Ok(read_all(site, which, &Turn::default(), watch)?.all(site))
}

fn read_all(site: &Site, which: &dyn Fn(&Dle, &str, u8) -> bool, turn: &Turn, watch: &dyn Watch) -> Result<Verified, Trouble> {
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
    let (mut sound, mut noted): (BTreeSet<Key>, u64) = (BTreeSet::new(), 0);
    let candidates = catalog.dumps.iter().filter(|(key, _)| which(&key.0, &key.1, key.2)).map(candidate).collect();
    let mut chosen = choose(candidates, turn, now());
    for key in std::mem::take(&mut chosen.keys) {
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
                if verified.bytes - noted >= NOTED {
                    noted = verified.bytes;
                    remember(site, &findings, &sound)?;
                }
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
    Ok(Verified { findings, passed_over: chosen, ..verified })
}

fn candidate((key, dump): (&Key, &Dump)) -> Candidate {
    Candidate { key: key.clone(), bytes: dump.bytes, verified: dump.verified, is_damaged: dump.damage.is_some() }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

fn read_back(key: &Key, dump: &Dump, watch: &dyn Watch) -> Read {
    let names = || Some((key.0.host.parse::<HostName>().ok()?, DiskName::new(key.0.disk.clone()).ok()?));
    let names = names();
    let moved = |bytes| {
        if let Some((host, disk)) = &names {
            watch.moved(host, disk, bytes);
        }
    };
    read::read_back(key, dump, &moved)
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
    if !is_readable || marks != old {
        damaged::store(site, &marks).map_err(error)?;
    }
    note(site, &catalog, &marks, sound)
}

/// Notes when what is sound was verified.
fn note(site: &Site, catalog: &Catalog, marks: &[Mark], sound: &BTreeSet<Key>) -> Result<(), Trouble> {
    // What cannot be read is known again when all has been verified.
    let mut times = verified::load(site).unwrap_or_default();
    times.extend(sound.iter().map(|key| (key.clone(), now())));
    let damaged: BTreeSet<Key> = marks.iter().map(Mark::key).collect();
    times.retain(|key, _| catalog.dumps.contains_key(key) && !damaged.contains(key));
    verified::store(site, &times).map_err(|error| failed("cannot note which dumps were verified of", site.directory(), &error))
}
