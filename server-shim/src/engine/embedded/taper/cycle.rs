//! Puts dumps on volumes in a config of Amanda's own kind: each run begins fresh volumes, up to `runtapes`.
//!
//! The order of its steps is that of Amanda's taper (perl/Amanda/Taper/Scribe.pm, Worker.pm), and each may be the last one of a killed run:
//!
//! 1. a volume is begun: off the tapelist's dates, its files away, a label with this run's datestamp, `START taper` in the log, the
//!    tapelist's date. From here on Amanda reads this log for it
//! 2. a part of a dump is copied to it, or the whole file renamed into it; then its `PART` line is in the log
//! 3. behind a dump's last part there is its `DONE` line, and only then does the dump go from the holding disk. What does not all fit
//!    gets a `PARTIAL` line, stays on the holding disk, and is begun anew by a later run
//! 4. a volume's last line says how much is on it
//!
//! What is missing of a killed run's lines is added by [`right`].

mod begin;
mod extent;
mod lines;
mod look;
mod parts;
pub(in crate::engine::embedded) mod right;
mod settings;

use std::collections::BTreeSet;

use amanda::conf::rules::Split;
use amanda::run_log::write::{Dump as Named, Entry, Shelf, Statistics, Sums};
use amanda::vtape::Volume;

use super::{Tapes, Work};
use crate::engine::Trouble;
use crate::engine::embedded::catalog::Catalog;
use crate::engine::embedded::holding::Held;
use crate::engine::embedded::site::Site;
use crate::engine::embedded::volumes::algo::{Left, Waits, choose};
use crate::engine::embedded::volumes::cycle::Slot;
use crate::engine::embedded::{Watch, locks};
pub(in crate::engine::embedded) use begin::needs;
use lines::Lines;
pub use look::look;
pub(in crate::engine::embedded) use settings::{Settings, labels};

/// A volume that this run has begun.
struct Begun {
    volume: Volume,
    label: String,
    /// Bytes that are on it, label and headers included.
    bytes: u64,
    /// Bytes of dumps that are on it.
    written: u64,
    /// The number of its last file.
    last: u32,
}

/// A run that puts dumps on volumes.
struct Run<'a> {
    site: &'a Site,
    catalog: &'a Catalog,
    settings: Settings,
    /// The names of storage and pool.
    shelf: (String, String),
    stamp: &'a str,
    watch: &'a dyn Watch,
    lines: Lines,
    tapes: Tapes<'a>,
    slots: Vec<Slot>,
    /// Slots that this run has tried.
    seen: BTreeSet<u32>,
    /// Where the next search begins.
    from: u32,
    /// The volume that is written to.
    volume: Option<Begun>,
    /// So many were begun.
    count: u32,
    /// Why there is none any more.
    out: Option<Denied>,
    /// Some dump stays on the holding disk that should be on a volume.
    stuck: bool,
}

/// Why no other volume is begun.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Denied {
    why: String,
    /// amanda.conf allows no more: Amanda tells that from an error.
    by_config: bool,
    /// What there is is not worth a volume yet, by the thresholds: nothing is wrong.
    is_early: bool,
}

/// Puts dumps on fresh volumes, and writes the run's log. Says whether something stays on the holding disk that should not.
///
/// # Errors
/// When the log or the tapelist cannot be written. Everything is still there then.
pub fn write(site: &Site, catalog: &Catalog, work: &Work<'_>, watch: &dyn Watch, _lock: &locks::Held) -> Result<bool, Trouble> {
    if work.dumps.is_empty() && work.before.is_empty() {
        return Ok(false);
    }
    let settings = Settings::of(site)?;
    let mut run = Run {
        site,
        catalog,
        shelf: site.shelf(),
        stamp: work.stamp,
        watch,
        lines: Lines::begin(site, work.stamp, &work.before)?,
        tapes: Tapes { list: catalog.tapelist.clone(), site },
        slots: begin::slots(catalog, &settings),
        seen: BTreeSet::new(),
        from: site.changer().current().unwrap_or(1),
        volume: None,
        count: 0,
        out: None,
        stuck: false,
        settings,
    };
    let mut queue = work.dumps.clone();
    let mut waits: Vec<Waits<'_>> = queue.iter().map(|held| waits(site, held)).collect();
    while let Some(at) = choose(run.settings.algo, &waits, run.left()) {
        let waiting = waits.iter().map(|dump| dump.bytes).fold(0, u64::saturating_add);
        waits.remove(at);
        run.dump(queue.remove(at), waiting)?;
    }
    run.close()?;
    run.lines.add_text(&work.after)?;
    Ok(run.stuck)
}

impl Run<'_> {
    /// Returns what there is room for on the volumes that may still be written.
    fn left(&self) -> Left {
        let length = self.settings.length;
        let here = self.volume.as_ref().map_or(length, |volume| length.saturating_sub(volume.bytes));
        let others = u64::from(self.settings.runtapes.saturating_sub(self.count)).saturating_mul(length);
        Left { here, all: others.saturating_add(if self.volume.is_some() { here } else { 0 }) }
    }

    fn add(&mut self, entry: &Entry<'_>) -> Result<(), Trouble> {
        self.lines.add(entry)
    }

    /// Ends the volume that is written to.
    fn close(&mut self) -> Result<(), Trouble> {
        let Some(volume) = self.volume.take() else { return Ok(()) };
        self.add(&Entry::VolumeDone { label: &volume.label, kb: volume.written / 1024, files: volume.last })
    }

    /// Says that a dump stays on the holding disk.
    fn waits(&mut self, held: &Held, denied: &Denied) {
        self.stuck |= !denied.is_early;
        self.watch.noted(&format!("{} of {} stays on the holding disk: {}", held.header.dle, held.header.datestamp, denied.why));
    }

    /// Says what became of a dump of which not everything is on volumes; it stays on the holding disk.
    fn stays(&mut self, held: &Held, parts: u32, bytes: u64, secs: f64, denied: &Denied) -> Result<(), Trouble> {
        self.stuck |= !denied.is_early;
        let (storage, pool) = self.shelf.clone();
        let shelf = Shelf { storage: &storage, pool: &pool };
        let (named, sums) = named(held);
        if parts == 0 {
            self.waits(held, denied);
            return self.add(&match denied.by_config {
                true => Entry::TaperDenied(named, shelf, &denied.why),
                false => Entry::TaperFail(named, shelf, &denied.why),
            });
        }
        self.watch.noted(&format!(
            "{} of {} stays on the holding disk, since only a part of it could be put on volumes: {}",
            held.header.dle, held.header.datestamp, denied.why
        ));
        let statistics = Statistics { secs, bytes, orig_kb: held.header.orig_kb.unwrap_or(0) };
        self.add(&Entry::Partial(named, shelf, parts, sums, statistics, &denied.why))
    }
}

fn waits<'a>(site: &Site, held: &'a Held) -> Waits<'a> {
    Waits { bytes: held.length, datestamp: &held.header.datestamp, splits: parts::split(site, held) != Split::No }
}

/// A dump as the log's lines have it.
fn named(held: &Held) -> (Named<'_>, Sums) {
    let header = &held.header;
    let sums = Sums { native: header.native, client: header.client, server: header.server };
    (Named { dle: &header.dle, datestamp: &header.datestamp, level: header.level }, sums)
}
