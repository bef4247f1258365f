//! The end of a run: volumes, log, history, and what there is then.

use amanda::curinfo::Dumped;
use amanda::dle::Dle;
use wire::{Outcome, Receipt};

use super::begin::Begun;
use super::jobs::{Came, Done, Job};
use super::{Call, Flushed, Ran, outcome, words};
use crate::engine::Trouble;
use crate::engine::embedded::catalog::{self, Catalog};
use crate::engine::embedded::forget::forget;
use crate::engine::embedded::holding::Held;
use crate::engine::embedded::mend::{self, remember};
use crate::engine::embedded::site::{Site, failed};
use crate::engine::embedded::taper::{self, Work};
use crate::engine::embedded::volumes::flush::Autoflush;
use crate::engine::embedded::{Kind, Watch, files, flush, history, logs, receipts, stamp};

/// What a run left behind.
#[derive(Default)]
pub struct Ended {
    /// What there is now.
    pub catalog: Catalog,
    /// What became of dumps that were waiting.
    pub flushed: Vec<Flushed>,
    /// Something is not on a volume that should be.
    pub stuck: bool,
}

/// Writes down what a night is to bring, so that one that is killed is told of in a report. Its last lines replace it.
pub fn keep_beginning(site: &Site, jobs: &[Job<'_>], begun: &Begun, watch: &dyn Watch) {
    keep_log(site, &begun.stamp, &words::beginning(jobs, begun), watch);
}

/// Writes down why a night could not be begun. Without it a report would tell of the night before.
pub fn not_begun(site: &Site, started: i64, trouble: &Trouble, watch: &dyn Watch) {
    let free = |stamp: &String| !logs::path(site, stamp).exists();
    if let Some(stamp) = (started..started.saturating_add(60)).map(stamp::of).find(free) {
        keep_log(site, &stamp, &words::not_begun(&stamp, trouble), watch);
    }
}

fn keep_log(site: &Site, stamp: &str, text: &[u8], watch: &dyn Watch) {
    let path = logs::path(site, stamp);
    let kept = files::replace(&path, text, files::Sure::Durable);
    mend::tidy(watch, kept.map_err(|error| failed("cannot write", &path, &error)));
}

/// Puts the dumps on volumes where that is this run's business. What goes wrong here loses no dump: it is where it was, and the next run
/// takes it from there.
pub fn end(site: &Site, call: &Call<'_>, jobs: &[Job<'_>], begun: &Begun, watch: &dyn Watch, clock: &(dyn Fn() -> i64 + Sync)) -> Ended {
    tape(site, call, jobs, begun, watch, clock).unwrap_or_else(|trouble| {
        watch.noted(&format!("the dumps of this run could not all be put on volumes: {trouble}"));
        let catalog = catalog::load(site).unwrap_or_else(|trouble| {
            watch.noted(&format!("what there is cannot be read: {trouble}"));
            Catalog::default()
        });
        Ended { catalog, flushed: Vec::new(), stuck: true }
    })
}

fn tape(
    site: &Site,
    call: &Call<'_>,
    jobs: &[Job<'_>],
    begun: &Begun,
    watch: &dyn Watch,
    clock: &(dyn Fn() -> i64 + Sync),
) -> Result<Ended, Trouble> {
    let lock = mend::lock(site)?;
    let before = catalog::load(site)?;
    let now = clock();
    let is_asked_for = |dle: &Dle| call.everything || jobs.iter().any(|job| job.dle == *dle);
    let dumps = match call.kind {
        Kind::Nightly => flush::along(&before, &begun.stamp, outcome::autoflush(site), &is_asked_for, watch),
        _ if outcome::goes_round(site) => Vec::new(),
        _ => flush::along(&before, &begun.stamp, Autoflush::No, &is_asked_for, watch),
    };
    let (first, last) = words::log(jobs, begun, now);
    let work = Work { dumps: dumps.clone(), stamp: &begun.stamp, before: first, after: last };
    let refused = taper::shelve(site, &before, &work, now, watch, &lock)?;
    let catalog = catalog::load(site)?;
    for job in jobs.iter().filter(|job| !job.is_skipped()) {
        let is_there = |done: &Done| catalog.dumps.contains_key(&(job.dle.clone(), begun.stamp.clone(), done.header.level));
        if let Some(Ok(done)) = &job.end
            && is_there(done)
        {
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
    let (ours, waiting): (Vec<&Held>, Vec<&Held>) = dumps.into_iter().partition(|held| held.header.datestamp == begun.stamp);
    mend::tidy(watch, outcome::leave_emptied(&waiting));
    mend::tidy(watch, mend::trim(site, &catalog));
    let flushed = outcome::flushed(&waiting, &catalog);
    let waits = |held: &&Held| catalog.held().any(|other| other.path == held.path);
    let stuck = refused || outcome::takes_all(site) && (ours.iter().any(waits) || flushed.iter().any(Flushed::waits));
    Ok(Ended { catalog, flushed, stuck })
}

/// Puts everything that waits on the holding disk on volumes.
pub fn flush(site: &Site, watch: &dyn Watch, clock: &(dyn Fn() -> i64 + Sync)) -> Result<Ran, Trouble> {
    let before = catalog::load(site)?;
    let waiting = outcome::waiting(&before)?;
    let refused = flush::flush(site, watch, clock)?.stuck;
    let flushed = outcome::flushed(&waiting, &catalog::load(site)?);
    Ok(Ran { stuck: refused || outcome::takes_all(site) && flushed.iter().any(Flushed::waits), flushed, ..Ran::default() })
}

/// Notes a dump that this run made, with what the catalog does not know of it.
fn remember_dump(site: &Site, catalog: &Catalog, dle: &Dle, done: &Done, begun: &Begun) -> Result<(), Trouble> {
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

/// Says what there is of a disk.
pub fn receipt(site: &Site, catalog: &Catalog, job: &Job<'_>, stamp: &str, run: receipts::Run<'_>) -> Receipt {
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
