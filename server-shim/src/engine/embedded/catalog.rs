//! What there is: dumps on volumes and on the holding disk, and which of them can be restored.
//!
//! The files are the truth. The log of the run that wrote to a volume last says what is on it; a file that it does not say, or says
//! otherwise, is asked itself, by its header. So nothing is listed that is gone, and a dump that a killed run put on a volume is
//! listed although no log has it.

mod load;
mod shelf;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use amanda::admin::Found;
use amanda::chains::{self, Restorable, chains_on};
use amanda::dle::Dle;
use amanda::run_log::write::Sums;
use amanda::tapelist::Tapelist;
use amanda::vtape::Volume;

use super::bases::Bases;
use super::holding::{Held, RunDirectory};
use super::stamp;
use super::volumes::Key;

pub use load::load;
pub(crate) use load::{LONGEST_LOG, words};

/// The status of a row of a dump that a verification found damaged.
const DAMAGED: &str = "DAMAGED";

/// Lists a directory's names; none when it is not there.
pub(crate) fn names(path: &Path) -> io::Result<Vec<OsString>> {
    match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        list => list?.map(|entry| Ok(entry?.file_name())).collect(),
    }
}

/// A volume in its slot.
#[derive(Debug, Clone)]
pub struct Shelved {
    /// The slot.
    pub slot: u32,
    /// The directory.
    pub volume: Volume,
    /// The label; `None` for a slot without a volume.
    pub label: Option<String>,
    /// The datestamp in the label: `X` for one that was never written.
    pub date: String,
    /// Bytes on it, headers included.
    pub bytes: u64,
    /// Files on it, without the label.
    pub files: usize,
    /// The dumps of which it has something.
    pub dumps: Vec<Key>,
    /// What is on it and in no log that counts, in the order of its files: the file's number and the dump.
    pub unlogged: Vec<(u32, Key)>,
    /// Parts of dumps that no log has.
    pub half: Vec<Half>,
    /// A dump that the log has and that is gone, or is not there as it says.
    pub misses: bool,
    /// Its label cannot be read, or is on another one too: it is left alone, for this reason.
    pub odd: Option<String>,
}

impl Shelved {
    fn empty(slot: u32, volume: Volume) -> Self {
        Self {
            slot,
            volume,
            label: None,
            date: String::new(),
            bytes: 0,
            files: 0,
            dumps: Vec::new(),
            unlogged: Vec::new(),
            half: Vec::new(),
            misses: false,
            odd: None,
        }
    }
}

/// A part of a dump on a volume, in no log: a run was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Half {
    /// The file's number.
    pub file: u32,
    /// The dump.
    pub key: Key,
    /// Which part of it.
    pub part: u32,
    /// Its bytes, without the header.
    pub bytes: u64,
}

/// A dump, whole or not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dump {
    /// Its checksums.
    pub sums: Sums,
    /// KiB before compression.
    pub orig_kb: u64,
    /// Bytes as they are stored, without headers.
    pub bytes: u64,
    /// How long it took.
    pub secs: f64,
    /// Its files, in the order of its parts.
    pub files: Vec<PathBuf>,
    /// What a verification found wrong with it.
    pub damage: Option<String>,
    /// When it was last read back and found to be what was dumped, seconds since 1970.
    pub verified: Option<i64>,
}

/// What there is.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// The volumes, by slot.
    pub volumes: Vec<Shelved>,
    /// The runs' directories on the holding disk.
    pub runs: Vec<RunDirectory>,
    /// Every dump, as `amadmin find` would list it.
    pub rows: Vec<Found>,
    /// The same, by name.
    pub dumps: BTreeMap<Key, Dump>,
    /// Whole dumps by disk, oldest first.
    pub chains: BTreeMap<Dle, Vec<Restorable>>,
    /// Amanda's list of volumes.
    pub tapelist: Tapelist,
    /// What is there and is no dump that counts, or is not there though a log has it.
    pub lost: Vec<Lost>,
    /// What the dumps build on, as far as it is noted.
    pub(super) bases: Bases,
    /// The notes of that cannot be read: no incremental dump is certain.
    pub(super) doubts_bases: bool,
    /// Volumes that are not there though logs have dumps on them.
    pub gone: Vec<Gone>,
    /// What an administrator should know besides.
    pub notes: Vec<String>,
}

/// A volume that is in no slot any more, or has lost its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// Its label.
    pub label: String,
    /// What was on it and is nowhere else.
    pub dumps: Vec<Key>,
}

/// A file that is not the dump that it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The dump, when that is known.
    pub key: Option<Key>,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)?;
        self.key.as_ref().map_or(Ok(()), |(dle, stamp, level)| write!(f, " ({dle} of {stamp}, level {level})"))
    }
}

impl Catalog {
    /// Returns a disk's whole dumps, oldest first.
    pub fn of(&self, dle: &Dle) -> &[Restorable] {
        self.chains.get(dle).map_or(&[][..], Vec::as_slice)
    }

    /// Returns all disks' dumps, oldest first, as if nothing had been found damaged: most of such a dump can often be restored.
    pub fn even_damaged(&self) -> BTreeMap<Dle, Vec<Restorable>> {
        let as_if = |row: &Found| match row.status.as_str() {
            DAMAGED => Found { status: "OK".to_owned(), ..row.clone() },
            _ => row.clone(),
        };
        let rows: Vec<Found> = self.rows.iter().map(as_if).collect();
        self.chains_of(&rows)
    }

    fn chains_of(&self, rows: &[Found]) -> BTreeMap<Dle, Vec<Restorable>> {
        chains_on(rows, |dle, stamp, level| {
            let key = (dle.clone(), stamp.to_owned(), level);
            // No dump has such a datestamp.
            self.bases.on.get(&key).map(String::as_str).or(self.doubts_bases.then_some("?"))
        })
    }

    /// Returns whole dumps that are on the holding disk.
    pub fn held(&self) -> impl Iterator<Item = &Held> {
        self.runs.iter().flat_map(|run| &run.held)
    }

    /// Says whether it is noted of every incremental dump what it builds on.
    pub(super) fn is_noted(&self) -> bool {
        self.dumps.keys().all(|key| key.2 == 0 || self.bases.on.contains_key(key))
    }

    /// Returns the greatest datestamp that is known, but for those that a clock made that was ahead.
    pub fn newest(&self, now: i64) -> Option<&str> {
        let latest = stamp::latest(now);
        let dumps = self.dumps.keys().map(|key| key.1.as_str());
        let tapes = self.tapelist.tapes().iter().map(|tape| tape.datestamp.as_str()).filter(|date| date.len() == 14);
        dumps.chain(tapes).filter(|date| *date <= latest.as_str()).max()
    }

    /// Returns what a restore of a dump reads, level 0 first; `None` when it cannot be restored for certain.
    pub fn chain(&self, dle: &Dle, dump: &Restorable) -> Option<Vec<&Restorable>> {
        let chains::Bases::Complete(stamps) = &dump.bases else { return None };
        let all = self.of(dle);
        let mut chain: Vec<&Restorable> = Vec::new();
        for (level, stamp) in (0..dump.level).rev().zip(stamps) {
            chain.push(all.iter().find(|base| base.level == level && base.datestamp == *stamp)?);
        }
        chain.reverse();
        chain.push(all.iter().find(|other| other.level == dump.level && other.datestamp == dump.datestamp)?);
        Some(chain)
    }
}
