//! Incremental state: what the next dump builds on, moved only by the server's word (DESIGN: Decisions, 1 and 11).
//!
//! ```text
//! lists/DISK_LEVEL          GNU tar's list of the last dump at that level that the server has
//! lists/DISK_LEVEL.system   the file system that the disk was on then
//! lists/DISK_LEVEL.dump     which dump of the server's it belongs to
//! pending/ID/               one attempt: `snapshot` while it is made, `record.json` from its good end on
//! ```
//!
//! A dump at level N builds on the highest list below N. Each attempt works on a copy, so the driver may retry, and two
//! may even run at once. An attempt that ended well on this side is written down before the server hears of its end;
//! [`fate()`] then decides by receipts. What [`State::promote`] and [`State::discard`] do may be cut off at any point and be done
//! again.
//!
//! An installed Amanda client moves its own state by itself. For it an attempt keeps what was there [before](stock::Before),
//! and the same fates put it back or drop it.
//!
//! On a server's own machine no receipt comes back, and Amanda's client may go on where this one stopped. There the lists are
//! [Amanda's](lists::Lists), and they move when a dump has ended well here.

pub mod amandates;
mod attempt;
mod fate;
mod files;
mod list;
pub mod lists;
mod place;
mod restated;
pub mod stock;
mod system;
#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use amanda::crc::Crc;
use serde::{Deserialize, Serialize};
use wire::DiskName;

pub use attempt::{Attempt, Living};
pub use fate::{Fate, fate, proof};
pub use system::FileSystem;

use crate::history::store::file_name;
use files::{get, put, remove, sync};
use list::Made;
use lists::Lists;

/// An attempt's record. Without it, nothing in the directory counts.
const RECORD: &str = "record.json";

/// What could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the incremental state in {} cannot be kept", path.display())]
pub struct StateError {
    /// The file or directory.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// An attempt that waits for the server's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its directory's name; names sort by time.
    pub id: String,
    /// The disk.
    pub disk: DiskName,
    /// Its level.
    pub level: u8,
    /// Seconds since the epoch at which it was begun.
    pub started: i64,
    /// CRC-32C of the bytes sent; none when it was never told.
    pub client_crc: Option<u32>,
    /// Bytes sent.
    pub bytes: Option<u64>,
    /// The file system that the disk was on, where that is known.
    #[serde(default)]
    pub system: Option<FileSystem>,
    /// How often something could not be read for want of permission, in this dump and those that it builds on.
    #[serde(default)]
    pub denied: u64,
    /// What discarding it takes.
    #[serde(default)]
    pub undo: Undo,
}

/// The dump of the server's that a list belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Dump {
    datestamp: String,
    /// As in [`Pending`].
    #[serde(default)]
    denied: u64,
}

/// What discarding an attempt takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Undo {
    /// Nothing has moved: its list is forgotten.
    #[default]
    Forget,
    /// Amanda's own client has moved its state: it is put back.
    PutBack(stock::Before),
}

impl Pending {
    fn write(&self, dir: &Path) -> Result<(), StateError> {
        let path = dir.join(RECORD);
        let write = || -> io::Result<()> {
            put(&path, self)?;
            sync(dir)
        };
        write().map_err(|source| StateError { path: path.clone(), source })
    }

    fn read(dir: &Path) -> Option<Self> {
        let pending: Self = get(&dir.join(RECORD))?;
        // A record that was copied elsewhere speaks of no attempt.
        (dir.file_name()? == pending.id.as_str()).then_some(pending)
    }
}

/// The incremental state of one destination and config.
#[derive(Debug, Clone)]
pub struct State {
    root: PathBuf,
    amandas: Option<Lists>,
}

impl State {
    /// Names the state's directory; it is made when it is first written to.
    pub fn at(dir: &Path) -> Self {
        Self { root: dir.to_path_buf(), amandas: None }
    }

    /// The same with lists that lie where Amanda's own client keeps them. What else is known of a disk stays in `dir`.
    pub fn with_lists(dir: &Path, lists: Lists) -> Self {
        Self { root: dir.to_path_buf(), amandas: Some(lists) }
    }

    /// Returns its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn lists(&self) -> PathBuf {
        self.root.join("lists")
    }

    fn attempts(&self) -> PathBuf {
        self.root.join("pending")
    }

    fn own_list(&self, disk: &DiskName, level: u8) -> PathBuf {
        self.lists().join(format!("{}_{level}", file_name(disk.as_bytes())))
    }

    /// Opens the list of a level.
    fn open(&self, disk: &DiskName, level: u8) -> Result<File, StateError> {
        if let Some(amandas) = &self.amandas {
            return amandas.open(disk, level);
        }
        let path = self.own_list(disk, level);
        File::open(&path).map_err(|source| StateError { path, source })
    }

    /// Names the list of a level, for words about it.
    fn list(&self, disk: &DiskName, level: u8) -> PathBuf {
        self.amandas.as_ref().map_or_else(|| self.own_list(disk, level), |amandas| amandas.list(disk, level))
    }

    /// Returns the dump that the list of a level belongs to. With Amanda's lists nobody says so.
    fn dump(&self, disk: &DiskName, level: u8) -> Option<Dump> {
        if self.amandas.is_some() { None } else { get(&beside(&self.own_list(disk, level), ".dump")) }
    }

    fn system(&self, disk: &DiskName, level: u8) -> PathBuf {
        beside(&self.own_list(disk, level), ".system")
    }

    /// Makes sure that an attempt could be written down now, and takes away what dead ones left behind.
    pub fn prepare(&self) -> Result<(), StateError> {
        for dir in [&self.root, &self.lists(), &self.attempts()] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
            made.map_err(|source| StateError { path: dir.clone(), source })?;
        }
        attempt::sweep(&self.attempts());
        self.amandas.as_ref().map_or(Ok(()), Lists::prepare)
    }

    /// Returns the levels that a next dump of a disk could build on, lowest first.
    pub fn levels(&self, disk: &DiskName) -> Vec<u8> {
        match &self.amandas {
            Some(amandas) => amandas.levels(disk),
            None => (0..=u8::MAX).filter(|level| self.own_list(disk, *level).exists()).collect(),
        }
    }

    /// Returns those below a level, highest first.
    fn below(&self, disk: &DiskName, level: u8) -> impl Iterator<Item = u8> {
        self.levels(disk).into_iter().filter(move |below| *below < level).rev()
    }

    /// Begins an attempt at a level, on the highest list below it that is not of the future; without one everything is dumped.
    pub fn begin(&self, disk: &DiskName, level: u8, started: i64) -> Result<Attempt, StateError> {
        self.prepare()?;
        let now = SystemTime::now();
        let (mut base, mut passed_over) = (None, None);
        for below in self.below(disk, level) {
            let failed = |source| StateError { path: self.list(disk, below), source };
            match list::made_of(&self.open(disk, below)?, now).map_err(failed)? {
                Made::Before => {
                    base = Some(below);
                    break;
                }
                Made::InTheFuture => passed_over = Some("this laptop's clock was ahead when it was last dumped"),
                Made::Unknown => passed_over = Some("what the last dump left behind says no time that is known here"),
            }
        }
        let remark = passed_over.map(|why| {
            let name = amanda::escape::printable(disk.as_bytes());
            let what = if base.is_some() { "more than usual" } else { "everything" };
            format!("{why}: of {name} {what} is dumped, so that nothing is missing")
        });
        let below = base.and_then(|base| self.dump(disk, base));
        let base = base.map(|base| Ok::<_, StateError>((self.open(disk, base)?, self.list(disk, base)))).transpose()?;
        let begun = Attempt::begin(&self.attempts(), disk, level, started, base, remark)?;
        Ok(begun.builds_on(below.map_or(0, |dump| dump.denied)))
    }

    /// Writes down, durably, that a dump has ended well on this side, and what names it to the server. Its fate is decided by receipts
    /// ([`Attempt::keep`]); where the lists are Amanda's it is decided here and now, and nothing is returned.
    ///
    /// # Errors
    /// As [`Attempt::keep`].
    pub fn keep(&self, attempt: Attempt, sent: Crc, denied: u64) -> Result<Option<Pending>, StateError> {
        let Some(amandas) = &self.amandas else { return attempt.keep(sent, denied).map(Some) };
        let system = self.system(attempt.disk(), attempt.level());
        amandas.take(&attempt)?;
        let noted = match attempt.system() {
            Some(now) if get(&system) == Some(now) => Ok(()),
            Some(now) => put(&system, &now),
            None => remove(&system),
        };
        noted.map_err(|source| StateError { path: system, source })?;
        Ok(None)
    }

    /// Returns the file system that a disk was on when the list was made that a dump at this level builds on, or takes the place of; and
    /// the file that says so.
    pub fn was_on(&self, disk: &DiskName, level: u8) -> Option<(FileSystem, PathBuf)> {
        let read = |level| {
            let path = self.system(disk, level);
            get(&path).map(|system| (system, path))
        };
        match self.below(disk, level).next() {
            Some(base) => read(base),
            // What is known of lists that were dropped still holds.
            None => (0..=level).rev().find_map(read),
        }
    }

    /// Keeps, durably, what Amanda's own client is about to change. The checksum comes later, with [`State::told`]. As long as the second
    /// value is held the dump lives, and nothing is decided about it.
    pub fn before_stock(
        &self,
        disk: &DiskName,
        level: u8,
        started: i64,
        list: PathBuf,
        amandates: &Path,
    ) -> Result<(Pending, Living), StateError> {
        self.prepare()?;
        let dir = attempt::directory(&self.attempts())?;
        let path = dir.path().to_path_buf();
        let failed = |source| StateError { path: path.clone(), source };
        let living = attempt::lock(&path).map_err(failed)?.ok_or_else(|| failed(ErrorKind::WouldBlock.into()))?;
        let before = stock::keep(&path, list, amandates, disk, level).map_err(failed)?;
        let id = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let undo = Undo::PutBack(before);
        let pending = Pending { id, disk: disk.clone(), level, started, client_crc: None, bytes: None, system: None, denied: 0, undo };
        pending.write(&path)?;
        sync(&self.attempts()).map_err(failed)?;
        let _kept = dir.keep();
        Ok((pending, living))
    }

    /// Writes down what an attempt of Amanda's own client said that it sent.
    pub fn told(&self, pending: &Pending, sent: Crc) -> Result<Pending, StateError> {
        let dir = self.attempts().join(&pending.id);
        if crate::clock::now() < pending.started {
            // As for an attempt of ours: the next dump must not build on it.
            return Err(StateError { path: dir, source: io::Error::other("the clock was set back while the dump was made") });
        }
        // It may have inherited what an earlier attempt had kept.
        let current = Pending::read(&dir).unwrap_or_else(|| pending.clone());
        let told = Pending { client_crc: Some(sent.crc), bytes: Some(sent.bytes), ..current };
        told.write(&dir)?;
        Ok(told)
    }

    /// Returns the attempts that wait for the server's word, oldest first.
    pub fn pending(&self) -> Vec<Pending> {
        self.all().into_iter().filter(|pending| !self.lives(pending)).collect()
    }

    fn lives(&self, pending: &Pending) -> bool {
        attempt::lives(&self.attempts().join(&pending.id))
    }

    /// Returns those that wait and those that live, oldest first.
    fn all(&self) -> Vec<Pending> {
        let Ok(entries) = fs::read_dir(self.attempts()) else { return Vec::new() };
        let mut found: Vec<Pending> = entries.flatten().filter_map(|entry| Pending::read(&entry.path())).collect();
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found
    }

    /// Lets the next dump build on this attempt, since the server has it, and has amandates say so. Returns a warning when
    /// amandates cannot be written: it is only a hint, and the agent's own state is in order.
    /// `datestamp` is the server's name for the dump; [`State::restated`] knows it again.
    pub fn promote(&self, pending: &Pending, datestamp: &str, amandates: Option<&Path>) -> Result<Option<String>, StateError> {
        let dir = self.attempts().join(&pending.id);
        let mut warning = None;
        match &pending.undo {
            Undo::Forget => {
                self.replace_list(&dir, pending, datestamp)?;
                if let Some(path) = amandates {
                    let change = amandates::Change::Advance(pending.started);
                    warning = amandates::change(path, &pending.disk, pending.level, change)
                        .err()
                        .map(|error| format!("{} could not be brought up to date: {error}", path.display()));
                }
            }
            Undo::PutBack(_) => {
                // What earlier attempts at this level had kept is older than what the server has.
                // One that lives will still move the state, and then has to be put back.
                for older in self.siblings(pending).take_while(|other| other.id != pending.id).filter(|older| !self.lives(older)) {
                    self.drop_attempt(&older)?;
                }
            }
        }
        self.drop_attempt(pending)?;
        Ok(warning)
    }

    fn replace_list(&self, dir: &Path, pending: &Pending, datestamp: &str) -> Result<(), StateError> {
        let list = self.own_list(&pending.disk, pending.level);
        let (dump, system) = (beside(&list, ".dump"), self.system(&pending.disk, pending.level));
        let lists = self.lists();
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| StateError { path, source }
        };
        let synced = || sync(&lists).map_err(failed(&lists));
        // First of all, so that the new list never stands beside the old one's word.
        remove(&dump).map_err(failed(&dump))?;
        synced()?;
        match fs::rename(dir.join(attempt::SNAPSHOT), &list) {
            // Missing: done already, the last time was cut off behind this.
            Err(source) if source.kind() != ErrorKind::NotFound => return Err(StateError { path: list, source }),
            _ => {}
        }
        // Nearly always it is the one that it was.
        match pending.system {
            None => remove(&system).map_err(failed(&system))?,
            Some(now) if get(&system) == Some(now) => {}
            Some(now) => put(&system, &now).map_err(failed(&system))?,
        }
        put(&dump, &Dump { datestamp: datestamp.to_owned(), denied: pending.denied }).map_err(failed(&dump))?;
        synced()?;
        // They build on an older list of this level.
        for level in self.levels(&pending.disk).into_iter().filter(|level| *level > pending.level) {
            let list = self.own_list(&pending.disk, level);
            remove_list(&list).map_err(failed(&list))?;
        }
        synced()
    }

    /// Makes it as if the attempt had never been made.
    pub fn discard(&self, pending: &Pending) -> Result<(), StateError> {
        if let Undo::PutBack(before) = &pending.undo {
            let dir = self.attempts().join(&pending.id);
            let failed = |source| StateError { path: dir.clone(), source };
            // A later attempt kept what this one had changed: now it keeps what was there before both.
            match self.siblings(pending).skip_while(|other| other.id != pending.id).nth(1) {
                Some(later) => self.hand_over(&dir, before, &later).map_err(failed)?,
                None => stock::put_back(&dir, before, &pending.disk, pending.level).map_err(failed)?,
            }
        }
        self.drop_attempt(pending)
    }

    fn hand_over(&self, dir: &Path, before: &stock::Before, later: &Pending) -> io::Result<()> {
        let later_dir = self.attempts().join(&later.id);
        if before.existed {
            match fs::rename(dir.join(stock::COPY), later_dir.join(stock::COPY)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let inherited = Pending { undo: Undo::PutBack(before.clone()), ..later.clone() };
        inherited.write(&later_dir).map_err(|error| error.source)
    }

    /// Returns the attempts of Amanda's own client on the same list, oldest first.
    fn siblings(&self, pending: &Pending) -> impl Iterator<Item = Pending> {
        let (disk, level) = (pending.disk.clone(), pending.level);
        self.all().into_iter().filter(move |other| other.disk == disk && other.level == level && other.undo != Undo::Forget)
    }

    /// The record goes first: what is left without one is swept away.
    fn drop_attempt(&self, pending: &Pending) -> Result<(), StateError> {
        let dir = self.attempts().join(&pending.id);
        let dropped = remove(&dir.join(RECORD)).and_then(|()| if dir.exists() { sync(&dir) } else { Ok(()) });
        dropped.map_err(|source| StateError { path: dir.clone(), source })?;
        match fs::remove_dir_all(&dir) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(StateError { path: dir, source }),
            _ => Ok(()),
        }
    }
}

/// Names a file that belongs to a list.
fn beside(list: &Path, what: &str) -> PathBuf {
    let mut path = list.as_os_str().to_owned();
    path.push(what);
    path.into()
}

/// Removes a list and what belongs to it.
fn remove_list(list: &Path) -> io::Result<()> {
    [list.to_path_buf(), beside(list, ".system"), beside(list, ".dump")].iter().try_for_each(|path| remove(path))
}
