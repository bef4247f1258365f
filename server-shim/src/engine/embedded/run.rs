//! A run: levels are chosen, dumps are made, put on volumes and proven.
//!
//! ```text
//! begin ─ the tapelist's lock: mend, catalog, levels, room, a directory of our own on the holding disk
//! dumps ─ no lock but each disk's: as many side by side as the driver lets
//! end ─── the lock again: volumes, log, history; the catalog is read anew, and receipts say what it has
//! ```
//!
//! A [flush](Kind::Flush) has the end alone.

mod ballast;
mod begin;
mod dumping;
mod nightly;
mod outcome;
mod places;
mod room;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use amanda::conf::disklist::Disk;
use amanda::curinfo::Dumped;
use amanda::dle::Dle;
use wire::{DiskName, HostName, Outcome, Receipt};

use super::catalog::{self, Catalog};
use super::forget::forget;
use super::holding::Held;
use super::mend::{self, remember};
use super::receipts;
use super::site::{Site, failed};
use super::taper::{self, Work};
use super::{Kind, Link, Order, Watch, history, latest};
use crate::engine::Trouble;

pub use dumping::{Dumper, NoDump, OverLink, Task};
pub use outcome::{Flushed, Ran, Skipped};

/// A run that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The name that its receipts have.
    pub id: &'a str,
    /// What it is for.
    pub kind: Kind,
    /// The disks; a flush has none.
    pub orders: &'a [Order],
}

/// A disk that was asked for, and what became of it.
struct Job<'a> {
    host: HostName,
    name: DiskName,
    dle: Dle,
    disk: Option<&'a Disk>,
    plan: Option<super::plan::Plan>,
    /// What the planner of a nightly run says of it besides: how important it is, and what is dumped instead without a volume.
    planned: Option<super::planner::Planned>,
    /// The dump, or why there is none.
    end: Option<Result<Done, Undone>>,
}

/// A dump that is on the holding disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// Its header.
    pub header: amanda::header::Header,
    /// What the client said that somebody should read; with nothing to say it is empty.
    pub strange: Vec<String>,
    /// How long it took.
    pub secs: f64,
}

/// Why there is no dump.
#[derive(Debug, Clone, PartialEq)]
struct Undone {
    /// A sentence.
    why: String,
    /// How far it came.
    came: Came,
}

/// How far a disk came that was not dumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// Not wanted now, and nothing is wrong with that.
    Skipped,
    /// It failed before its client was asked for a dump.
    Planned,
    /// The client was asked for it.
    Begun,
}

impl Job<'_> {
    fn fail(&mut self, why: impl Into<String>) {
        self.end = Some(Err(Undone { why: why.into(), came: Came::Planned }));
    }

    fn skip(&mut self, why: impl Into<String>) {
        self.end = Some(Err(Undone { why: why.into(), came: Came::Skipped }));
    }

    fn is_skipped(&self) -> bool {
        matches!(&self.end, Some(Err(undone)) if undone.came == Came::Skipped)
    }

    fn is_open(&self) -> bool {
        self.end.is_none()
    }
}

/// Makes the dumps that a host asked for, and says what there is of each disk. A disk that fails stops no other.
///
/// # Errors
/// When the config cannot be read or written at all: nothing was begun.
pub fn run(
    site: &Site,
    id: &str,
    orders: &[Order],
    link: &dyn Link,
    watch: &dyn Watch,
    clock: &(dyn Fn() -> i64 + Sync),
) -> Result<Vec<Receipt>, Trouble> {
    run_with(site, id, orders, &OverLink { site, link }, watch, clock)
}

/// The same, with another way of making dumps.
///
/// # Errors
/// As [`run`].
pub fn run_with(
    site: &Site,
    id: &str,
    orders: &[Order],
    dumper: &dyn Dumper,
    watch: &dyn Watch,
    clock: &(dyn Fn() -> i64 + Sync),
) -> Result<Vec<Receipt>, Trouble> {
    make(site, &Call { id, kind: Kind::Laptops, orders }, dumper, watch, clock).map(|ran| ran.receipts)
}

/// Makes a run of any kind.
///
/// # Errors
/// As [`run`].
pub fn make(
    site: &Site,
    call: &Call<'_>,
    dumper: &dyn Dumper,
    watch: &dyn Watch,
    clock: &(dyn Fn() -> i64 + Sync),
) -> Result<Ran, Trouble> {
    let started = clock();
    site.for_writing()?;
    let mut jobs = if call.kind == Kind::Flush { Vec::new() } else { jobs(site, call.orders) };
    let _locks = lock_disks(site, &mut jobs)?;
    // It may have been handed to Amanda since it was looked at; while we have the disks that waits.
    super::adopted::refuse(site.directory(), &site.own())?;
    if call.kind == Kind::Flush {
        return flush(site, watch, clock);
    }
    if call.kind == Kind::Nightly {
        pass_over_absent(&mut jobs, dumper);
    }
    let begun = begin::begin(site, call.kind, &mut jobs, watch, started, dumper)?;
    dumping::dump(site, &mut jobs, &begun, dumper, watch, clock);
    let (catalog, flushed) = end(site, call.kind, &jobs, &begun, watch, clock);
    let run = receipts::Run { id: call.id, started, finished: clock() };
    let mut ran = Ran { flushed, ..Ran::default() };
    for job in &jobs {
        if let Some(Err(Undone { why, came: Came::Skipped })) = &job.end {
            ran.skipped.push(Skipped { host: job.host.clone(), disk: job.name.clone(), why: why.clone() });
            continue;
        }
        let receipt = receipt(site, &catalog, job, &begun.stamp, run);
        if receipt.is_backup() {
            // Only the name of the run is lost without it.
            let _ = latest::keep(site, &job.dle, &receipt);
        }
        watch.ended(&job.host, &job.name, receipt.outcome);
        ran.receipts.push(receipt);
    }
    Ok(ran)
}

/// Leaves out the hosts that are not there and call by themselves.
fn pass_over_absent(jobs: &mut [Job<'_>], dumper: &dyn Dumper) {
    let mut asked: BTreeMap<HostName, Option<String>> = BTreeMap::new();
    for job in jobs.iter_mut().filter(|job| job.is_open()) {
        let absent = asked.entry(job.host.clone()).or_insert_with(|| dumper.absent(&job.host));
        if let Some(why) = absent {
            let why = why.clone();
            job.skip(why);
        }
    }
}

/// Returns what was asked for, each disk once.
fn jobs<'a>(site: &'a Site, orders: &[Order]) -> Vec<Job<'a>> {
    let mut jobs: Vec<Job<'a>> = Vec::new();
    for order in orders {
        let disks = || site.disks().iter().filter(|disk| disk.dle.host == order.host.as_str() && !site.is_ignored(disk));
        let mut add = |name: DiskName, disk: Option<&'a Disk>| {
            let dle = Dle::new(order.host.as_str(), name.as_os_str().to_owned());
            if !jobs.iter().any(|job| job.dle == dle) {
                jobs.push(Job { host: order.host.clone(), name, dle, disk, plan: None, planned: None, end: None });
            }
        };
        if order.disks.is_empty() {
            for disk in disks() {
                if let Ok(name) = DiskName::new(disk.dle.disk.clone()) {
                    add(name, Some(disk));
                }
            }
        }
        for name in &order.disks {
            let disk = disks().find(|disk| disk.dle.disk == name.as_os_str());
            add(name.clone(), disk);
        }
    }
    for job in jobs.iter_mut().filter(|job| job.disk.is_none()) {
        let words = format!("the disklist of {} has no such disk for {}, or leaves it alone", site.name(), job.host);
        job.fail(words);
    }
    jobs
}

/// Takes each disk's lock, before anything is read that another run of it would change.
fn lock_disks(site: &Site, jobs: &mut [Job<'_>]) -> Result<Vec<crate::lock::Guard>, Trouble> {
    let mut locks = Vec::new();
    for job in jobs.iter_mut().filter(|job| job.is_open()) {
        match super::locks::disk(site, &job.dle).map_err(|error| failed("cannot lock a disk in", &site.own(), &error))? {
            Some(lock) => locks.push(lock),
            None => job.fail("another run is dumping this disk now, and no disk is dumped by two at once"),
        }
    }
    Ok(locks)
}

/// Puts the dumps on volumes where that is this run's business, and returns what there is then, and what became of dumps that were
/// waiting. What goes wrong here loses no dump: it is where it was, and the next run takes it from there.
fn end(
    site: &Site,
    kind: Kind,
    jobs: &[Job<'_>],
    begun: &begin::Begun,
    watch: &dyn Watch,
    clock: &(dyn Fn() -> i64 + Sync),
) -> (Catalog, Vec<Flushed>) {
    let taped = tape(site, kind, jobs, begun, watch, clock);
    match taped {
        Ok(taped) => taped,
        Err(trouble) => {
            watch.noted(&format!("the dumps of this run could not all be put on volumes: {trouble}"));
            let catalog = catalog::load(site).unwrap_or_else(|trouble| {
                watch.noted(&format!("what there is cannot be read: {trouble}"));
                Catalog::default()
            });
            (catalog, Vec::new())
        }
    }
}

fn tape(
    site: &Site,
    kind: Kind,
    jobs: &[Job<'_>],
    begun: &begin::Begun,
    watch: &dyn Watch,
    clock: &(dyn Fn() -> i64 + Sync),
) -> Result<(Catalog, Vec<Flushed>), Trouble> {
    let lock = mend::lock(site)?;
    let before = catalog::load(site)?;
    let now = clock();
    let is_ours = |held: &Held| begun.places.directories().any(|directory| held.path.parent() == Some(directory));
    let waiting = if kind == Kind::Nightly && outcome::autoflush(site) { outcome::waiting(&before)? } else { Vec::new() };
    let ours = before.held().filter(|held| is_ours(held) && outcome::goes_to_volumes(site, kind));
    let dumps: Vec<&Held> = waiting.iter().copied().filter(|held| !is_ours(held)).chain(ours).collect();
    let (first, last) = words::log(jobs, begun, now);
    taper::shelve(site, &before, &Work { dumps, stamp: &begun.stamp, before: first, after: last }, now, watch, &lock)?;
    let catalog = catalog::load(site)?;
    for job in jobs.iter().filter(|job| !job.is_skipped()) {
        if let Some(Ok(done)) = &job.end {
            mend::tidy(watch, remember_dump(site, &catalog, &job.dle, done, begun));
        }
        if job.disk.is_some() {
            mend::tidy(watch, remember(site, &catalog, &job.dle, now));
        }
    }
    mend::tidy(watch, forget(site, &before, &catalog, now));
    for directory in begun.places.directories() {
        mend::tidy(watch, mend::leave(directory).map_err(|error| failed("cannot remove", directory, &error)));
    }
    mend::tidy(watch, outcome::leave_emptied(&waiting));
    mend::tidy(watch, mend::trim(site, &catalog));
    let flushed = outcome::flushed(&waiting, &catalog);
    Ok((catalog, flushed))
}

/// Puts everything that waits on the holding disk on volumes.
fn flush(site: &Site, watch: &dyn Watch, clock: &(dyn Fn() -> i64 + Sync)) -> Result<Ran, Trouble> {
    let lock = mend::lock(site)?;
    let now = clock();
    let before = mend::mended(site, watch, now, &lock)?;
    let waiting = outcome::waiting(&before)?;
    if waiting.is_empty() {
        return Ok(Ran::default());
    }
    let stamp = mend::free_stamp(site, &before, now);
    let (first, last) = mend::words(&stamp);
    let dumps = waiting.clone();
    taper::shelve(site, &before, &Work { dumps, stamp: &stamp, before: first, after: last }, now, watch, &lock)?;
    let catalog = catalog::load(site)?;
    for dle in waiting.iter().map(|held| &held.header.dle).collect::<BTreeSet<_>>() {
        mend::tidy(watch, remember(site, &catalog, dle, now));
    }
    mend::tidy(watch, forget(site, &before, &catalog, now));
    mend::tidy(watch, outcome::leave_emptied(&waiting));
    mend::tidy(watch, mend::trim(site, &catalog));
    Ok(Ran { flushed: outcome::flushed(&waiting, &catalog), ..Ran::default() })
}

/// Notes a dump that this run made, with what the catalog does not know of it.
fn remember_dump(site: &Site, catalog: &Catalog, dle: &Dle, done: &Done, begun: &begin::Begun) -> Result<(), Trouble> {
    let error = |error| failed("cannot keep the history in", &site.config().infofile(), &error);
    let mut info = history::load(site, dle).map_err(error)?;
    let header = &done.header;
    #[expect(clippy::cast_possible_truncation, reason = "seconds of a dump")]
    let secs = done.secs.round() as i64;
    let dump = Dumped {
        level: header.level,
        orig_kb: i64::try_from(header.orig_kb.unwrap_or(0)).unwrap_or(i64::MAX),
        kb: amanda::curinfo::kib(header.server.map_or(0, |crc| crc.bytes)),
        date: begun.started,
        secs,
        compressed: mend::is_compressed(site, dle),
    };
    history::dumped(&mut info, catalog, dle, &begun.stamp, dump);
    history::store(site, dle, &info).map_err(error)
}

fn receipt(site: &Site, catalog: &Catalog, job: &Job<'_>, stamp: &str, run: receipts::Run<'_>) -> Receipt {
    let failed = |why: &str| receipts::failed(site, run, &job.host, &job.name, why);
    let done = match &job.end {
        Some(Ok(done)) => done,
        Some(Err(undone)) => {
            let begun = undone.came == Came::Begun;
            let level = job.plan.as_ref().map(|plan| plan.level).filter(|_| begun);
            let datestamp = if begun { stamp.to_owned() } else { String::new() };
            return Receipt { level, datestamp, ..failed(&undone.why) };
        }
        None => return failed("the run ended before this disk's turn"),
    };
    let level = done.header.level;
    let Some(dump) = catalog.of(&job.dle).iter().find(|dump| dump.datestamp == stamp && dump.level == level) else {
        let why = "it was dumped, but what there is of it cannot be read back now; the next run looks again";
        return Receipt { level: Some(level), datestamp: stamp.to_owned(), ..failed(why) };
    };
    let mut receipt = receipts::of_dump(site, catalog, run, &job.host, &job.name, dump);
    if receipt.outcome == Outcome::Ok && !done.strange.is_empty() {
        (receipt.outcome, receipt.reason) = (Outcome::Strange, words::shortened(&done.strange));
    }
    receipt
}
