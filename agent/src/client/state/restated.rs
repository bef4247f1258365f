//! Lists that no dump of the server's belongs to any more: it was put back from an older image, lost a tape, or belongs to somebody else.
//!
//! A dump that builds on less is larger; one that builds on what the server does not have lacks files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use wire::Receipt;

use super::list::{self, Made};
use super::{Dump, State, StateError, beside, get, remove, sync};
use crate::history::store::file_name;

impl State {
    /// Drops the lists, and those above them, whose dumps are in no chain that the server can restore now. To be called with all that it has
    /// restated, and never while a run goes on. Returns how many lists were dropped.
    ///
    /// A list of the future goes as well: later nobody could tell it from a good one.
    pub fn restated(&self, receipts: &[Receipt]) -> Result<usize, StateError> {
        let Ok(entries) = fs::read_dir(self.lists()) else { return Ok(0) };
        let backups = receipts.iter().filter(|receipt| receipt.is_backup());
        let restorable: BTreeSet<(String, u8, &str)> = backups
            .flat_map(|receipt| {
                let name = file_name(receipt.disk.as_bytes());
                receipt.chain.iter().map(move |base| (name.clone(), base.level, base.datestamp.as_str()))
            })
            .collect();
        let mut disks: BTreeMap<String, BTreeMap<u8, PathBuf>> = BTreeMap::new();
        for path in entries.flatten().map(|entry| entry.path()) {
            if let Some((disk, level)) = path.file_name().and_then(|name| name.to_str()).and_then(named) {
                disks.entry(disk.to_owned()).or_default().insert(level, path);
            }
        }
        let now = SystemTime::now();
        let mut dropped = 0;
        for (disk, lists) in disks {
            let known = |level: u8, path: &PathBuf| {
                let dump: Option<Dump> = get(&beside(path, ".dump"));
                dump.is_some_and(|dump| restorable.contains(&(disk.clone(), level, dump.datestamp.as_str())))
                    && !matches!(list::made(path, now), Ok(Made::InTheFuture))
            };
            // Highest first: cut off in between, none is left that builds on one that is gone.
            let gone: Vec<PathBuf> = lists.into_iter().skip_while(|(level, path)| known(*level, path)).map(|(_, path)| path).collect();
            for path in gone.into_iter().rev() {
                // Where the disk was stays known: a dump of everything must not take place where it is not mounted.
                [&path, &beside(&path, ".dump")].iter().try_for_each(|path| remove(path)).map_err(|source| StateError { path, source })?;
                dropped += 1;
            }
        }
        if dropped > 0 {
            sync(&self.lists()).map_err(|source| StateError { path: self.lists(), source })?;
        }
        Ok(dropped)
    }
}

/// Reads a list's name: `DISK_LEVEL`, the disk as a file's name.
fn named(name: &str) -> Option<(&str, u8)> {
    let (disk, level) = name.rsplit_once('_')?;
    let plain = !level.is_empty() && level.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| level.parse().ok()).flatten().map(|level| (disk, level))
}
