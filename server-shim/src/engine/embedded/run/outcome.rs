//! What a run brought besides receipts: what it passed over, and what became of dumps that were waiting on the holding disk.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use amanda::conf::rules::{self, Thresholds};
use amanda::dle::Dle;
use amanda::escape::printable;
use wire::{DiskName, HostName, Receipt};

use crate::engine::Trouble;
use crate::engine::embedded::catalog::Catalog;
use crate::engine::embedded::holding::Held;
use crate::engine::embedded::site::{Rotation, Site, failed};
use crate::engine::embedded::volumes::flush::Autoflush;
use crate::engine::embedded::{locks, mend};

/// What a run brought.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ran {
    /// One for each disk that was to be dumped.
    pub receipts: Vec<Receipt>,
    /// Disks that were passed over, and nothing is wrong with that.
    pub skipped: Vec<Skipped>,
    /// Dumps of earlier runs that were to go to volumes.
    pub flushed: Vec<Flushed>,
    /// Some dump is not on a volume that should be.
    pub stuck: bool,
}

impl Ran {
    /// Says what the receipts do not, a line for each disk and dump.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let skipped = self.skipped.iter().map(|one| format!("{} {} is passed over: {}", one.host, printable(one.disk.as_bytes()), one.why));
        skipped.chain(self.flushed.iter().map(ToString::to_string)).collect()
    }
}

impl Flushed {
    /// Says whether it still waits.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.places.is_empty()
    }
}

impl fmt::Display for Flushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} level {} of {}", self.dle.host, printable(self.dle.disk_bytes()), self.level, self.datestamp)?;
        match &self.places[..] {
            [] => f.write_str(" still waits on the holding disk"),
            places => write!(f, " OK, on {}", places.join(", ")),
        }
    }
}

/// A disk that was not to be dumped now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The host.
    pub host: HostName,
    /// The disk.
    pub disk: DiskName,
    /// A sentence.
    pub why: String,
}

/// A dump that was waiting on the holding disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flushed {
    /// The disk.
    pub dle: Dle,
    /// When it was dumped.
    pub datestamp: String,
    /// Its level.
    pub level: u8,
    /// Where it is now, `LABEL:FILE` for each part; empty while it still waits.
    pub places: Vec<String>,
}

/// Says whether the volumes go round as Amanda has them: then only a nightly run and a flush write to them.
pub(super) fn goes_round(site: &Site) -> bool {
    matches!(site.rotation(), Rotation::Cycle { .. })
}

/// Returns the longest file in a run's directory, in bytes: `chunksize` of its holding disk. A vault has whole files, which it renames.
pub(super) fn chunk(site: &Site, directory: &Path) -> Option<u64> {
    let above = directory.parent().filter(|_| goes_round(site))?;
    let disk = site.config().holdingdisks().into_iter().find(|disk| disk.directory == above)?;
    disk.chunk_kb.map(|kb| kb.saturating_mul(1024))
}

/// Says what of earlier runs a nightly run takes along from the holding disk.
pub(super) fn autoflush(site: &Site) -> Autoflush {
    match site.config().autoflush() {
        rules::Autoflush::No => Autoflush::No,
        rules::Autoflush::Yes => Autoflush::Yes,
        rules::Autoflush::All => Autoflush::All,
    }
}

/// Says whether everything that waits is worth a volume; otherwise some may wait, and nothing is wrong with that.
pub(super) fn takes_all(site: &Site) -> bool {
    site.config().thresholds() == Thresholds { dumped: 0, scheduled: 0, taperflush: 0 }
}

/// Returns the dumps of runs that are over, oldest first. Those of a run that goes on are its own business.
pub(super) fn waiting(catalog: &Catalog) -> Result<Vec<&Held>, Trouble> {
    let mut waiting = Vec::new();
    for run in catalog.runs.iter().filter(|run| !run.held.is_empty()) {
        if locks::is_dead(&run.path).map_err(|error| failed("cannot look at", &run.path, &error))? {
            waiting.extend(&run.held);
        }
    }
    Ok(waiting)
}

/// Removes the directories that were emptied.
pub(super) fn leave_emptied(waiting: &[&Held]) -> Result<(), Trouble> {
    let directories: BTreeSet<PathBuf> = waiting.iter().filter_map(|held| held.path.parent()).map(PathBuf::from).collect();
    directories.iter().try_for_each(|directory| match mend::leave(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("cannot remove", directory, &error)),
        _ => Ok(()),
    })
}

/// Says where dumps that were waiting are now.
pub(super) fn flushed(waiting: &[&Held], after: &Catalog) -> Vec<Flushed> {
    let now = |held: &&Held| {
        let header = &held.header;
        let still = after.held().any(|other| other.path == held.path);
        let dump = after.of(&header.dle).iter().find(|dump| dump.datestamp == header.datestamp && dump.level == header.level);
        let places = dump.filter(|_| !still).and_then(|dump| dump.places.first());
        Flushed {
            dle: header.dle.clone(),
            datestamp: header.datestamp.clone(),
            level: header.level,
            places: places.map(|parts| parts.iter().map(ToString::to_string).collect()).unwrap_or_default(),
        }
    };
    waiting.iter().map(now).collect()
}
