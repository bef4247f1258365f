//! Puts on volumes what waits on the holding disks, without dumping anything: amflush.

use std::collections::BTreeSet;
use std::path::Path;

use amanda::dle::Dle;
use amanda::run_log::write::Entry;

use super::catalog::Catalog;
use super::forget::forget;
use super::holding::Held;
use super::mend::{self, remember};
use super::site::{Site, failed};
use super::taper::{self, Work};
use super::volumes::flush::{Autoflush, Candidate, takes};
use super::{Watch, catalog, locks, logs};
use crate::engine::Trouble;

/// What a flush came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Its datestamp, and that of its log; `None` when nothing waited.
    pub stamp: Option<String>,
    /// Dumps that are on volumes now.
    pub dumps: usize,
    /// Dumps that still wait.
    pub left: usize,
    /// Some of them should not.
    pub stuck: bool,
}

/// Puts everything that waits on volumes, as far as the flush thresholds and `runtapes` allow. Dumps of runs that go on are left to these.
///
/// # Errors
/// When the config, its log or its tapelist cannot be read or written.
pub fn flush(site: &Site, watch: &dyn Watch, clock: &(dyn Fn() -> i64 + Sync)) -> Result<Flushed, Trouble> {
    site.for_writing()?;
    super::adopted::refuse(site.directory(), &site.own())?;
    let started = clock();
    let lock = mend::lock(site)?;
    let before = mend::mended(site, watch, started, &lock)?;
    let dumps = waiting(&before, watch);
    if dumps.is_empty() {
        return Ok(Flushed::default());
    }
    let stamp = mend::free_stamp(site, &before, started);
    let (first, last) = words(&dumps, &stamp, clock().saturating_sub(started));
    let wanted: BTreeSet<&Path> = dumps.iter().map(|held| held.path.as_path()).collect();
    let dles: BTreeSet<&Dle> = dumps.iter().map(|held| &held.header.dle).collect();
    let work = Work { dumps: dumps.clone(), stamp: &stamp, before: first, after: last };
    let taped = taper::shelve(site, &before, &work, started, watch, &lock);
    let after = catalog::load(site)?;
    for dle in dles {
        mend::tidy(watch, remember(site, &after, dle, clock()));
    }
    mend::tidy(watch, forget(site, &before, &after, clock()));
    for run in before.runs.iter().filter(|run| is_dead(&run.path)) {
        mend::tidy(watch, mend::leave(&run.path).map_err(|error| failed("cannot remove", &run.path, &error)));
    }
    mend::tidy(watch, mend::trim(site, &after));
    let stuck = taped?;
    let left = after.held().filter(|held| wanted.contains(held.path.as_path())).count();
    Ok(Flushed { stamp: Some(stamp), dumps: wanted.len() - left, left, stuck })
}

fn is_dead(run: &Path) -> bool {
    // A directory of which nobody can tell is left alone.
    locks::is_dead(run).unwrap_or(false)
}

/// Returns the dumps of runs that are over, oldest first.
fn waiting<'a>(catalog: &'a Catalog, watch: &dyn Watch) -> Vec<&'a Held> {
    let over = catalog.runs.iter().filter(|run| is_dead(&run.path));
    let mut dumps: Vec<&Held> = over.flat_map(|run| &run.held).collect();
    dumps.sort_by(|one, other| (&one.header.datestamp, &one.path).cmp(&(&other.header.datestamp, &other.path)));
    let mut seen = BTreeSet::new();
    dumps.retain(|held| {
        let is_new = seen.insert((&held.header.dle, &held.header.datestamp, held.header.level));
        if !is_new {
            watch.noted(&format!("{} is on the holding disks twice, and taken once: {} stays", held.header.dle, held.path.display()));
        }
        is_new
    });
    dumps
}

/// Returns the dumps that a run puts on volumes which dumps, too: its own, in `own` on any holding disk, and what `autoflush` says of those
/// that earlier runs left. `is_asked_for` says whether the run has to do with a disk.
pub fn along<'a>(
    catalog: &'a Catalog,
    stamp: &str,
    autoflush: Autoflush,
    is_asked_for: &dyn Fn(&Dle) -> bool,
    watch: &dyn Watch,
) -> Vec<&'a Held> {
    let is_own = |run: &Path| run.file_name().is_some_and(|name| name == stamp);
    let mut dumps = waiting(catalog, watch);
    dumps.retain(|held| {
        !held.path.parent().is_some_and(is_own)
            && takes(autoflush, Candidate { is_ours: false, is_asked_for: is_asked_for(&held.header.dle) })
    });
    let own = catalog.runs.iter().filter(|run| is_own(&run.path)).flat_map(|run| &run.held);
    dumps.extend(own);
    dumps
}

/// The beginning and the end of a flush's log, as amflush and the driver write them.
fn words(dumps: &[&Held], stamp: &str, secs: i64) -> (Vec<u8>, Vec<u8>) {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let pid = std::process::id();
    let mut put = |entry: Entry<'_>| entry.print(&mut before);
    put(Entry::Pid("amflush", pid));
    put(Entry::Info("amflush", logs::OURS));
    let dles: BTreeSet<&Dle> = dumps.iter().map(|held| &held.header.dle).collect();
    for dle in dles {
        put(Entry::FlushDisk(dle));
    }
    put(Entry::Start("amflush", stamp));
    put(Entry::Start("driver", stamp));
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    if !host.is_empty() {
        put(Entry::Hostname(&host));
    }
    put(Entry::StartupTime(0.0));
    #[expect(clippy::cast_precision_loss, reason = "seconds of a run")]
    Entry::Finish("driver", stamp, secs.max(0) as f64).print(&mut after);
    Entry::PidDone("amflush", pid).print(&mut after);
    (before, after)
}
