//! Puts right what a killed run left.
//!
//! Nothing of a run that is gone is believed but its files: a dump with its name on the holding disk is whole and goes to a volume; one
//! that ends in `.tmp` never became one and goes away; what is on a volume and in no log gets into one. Calling it twice does what
//! calling it once does.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use amanda::dle::Dle;
use amanda::header::{HEADER_BYTES, Header};
use amanda::holding::PID_FILE;
use amanda::index;
use amanda::run_log::write::Entry;

use super::Watch;
use super::catalog::{self, Catalog, names};
use super::holding::{self, Held, RunDirectory};
use super::locks;
use super::site::{Rotation, Site, failed};
use super::taper::cycle::right;
use super::taper::{self, Work};
use super::{bases, forget, history, logs, stamp};
use crate::engine::Trouble;

/// Finishes the taping of complete dumps that a killed run left, logs what is on a volume and in no log, and takes away what was
/// never finished. May be called at any time; every run does it first.
///
/// # Errors
/// When the catalog cannot be read or written.
pub fn mend(site: &Site, watch: &dyn Watch, now: i64) -> Result<(), Trouble> {
    site.for_writing()?;
    let lock = lock(site)?;
    mended(site, watch, now, &lock).map(drop)
}

/// Takes the tapelist's lock.
pub(super) fn lock(site: &Site) -> Result<locks::Held, Trouble> {
    locks::tapelist(site).map_err(|error| failed("cannot lock", &site.config().tapelist(), &error))
}

/// The same, for one who holds the tapelist's lock. Returns the catalog as it is then.
pub(super) fn mended(site: &Site, watch: &dyn Watch, now: i64, lock: &locks::Held) -> Result<Catalog, Trouble> {
    let is_cycle = matches!(site.rotation(), Rotation::Cycle { .. });
    let mut catalog = catalog::load(site)?;
    if is_cycle && right::put_right(site, &catalog, lock)? {
        catalog = catalog::load(site)?;
    }
    catalog.notes.iter().for_each(|note| watch.noted(note));
    catalog.lost.iter().for_each(|lost| watch.noted(&lost.to_string()));
    bases::lose(site, &catalog).map_err(|error| failed("cannot write in", &site.own(), &error))?;
    let mut dead: Vec<&RunDirectory> = Vec::new();
    for run in &catalog.runs {
        match locks::is_dead(&run.path) {
            Ok(true) => dead.push(run),
            Ok(false) => {}
            Err(error) => watch.noted(&format!("{} is left alone: {error}", run.path.display())),
        }
    }
    for run in &dead {
        for path in &run.unfinished {
            match discard(site, &catalog, path) {
                Ok(()) => watch.noted(&format!("{} was never finished, and is removed", path.display())),
                Err(error) => watch.noted(&format!("{} was never finished, and cannot be removed: {error}", path.display())),
            }
        }
    }
    let mut dumps: Vec<&Held> = dead.iter().flat_map(|run| &run.held).collect();
    let mut is_other = false;
    if is_cycle {
        // They stay there until a run takes them along that writes to volumes.
        is_other = right::clear_held(&catalog, &dumps, watch)?;
        dumps.clear();
    }
    for held in &dumps {
        watch
            .noted(&format!("{} of {} was dumped by a run that was cut off, and goes to a volume", held.header.dle, held.header.datestamp));
    }
    let is_wrong = !dumps.is_empty() || (!is_cycle && taper::any_wrong(&catalog));
    if is_wrong {
        let stamp = free_stamp(site, &catalog, now);
        let (before, after) = words(&stamp);
        let dles: BTreeSet<Dle> = catalog.volumes.iter().flat_map(|volume| &volume.unlogged).map(|(_, key)| key.0.clone()).collect();
        let dles: BTreeSet<Dle> = dles.into_iter().chain(dumps.iter().map(|held| held.header.dle.clone())).collect();
        taper::shelve(site, &catalog, &Work { dumps, stamp: &stamp, before, after }, now, watch, lock)?;
        let after = catalog::load(site)?;
        tidy(watch, forget::intended(site, &after, now));
        tidy(watch, forget::forget(site, &catalog, &after, now));
        for dle in dles {
            tidy(watch, remember(site, &after, &dle, now));
        }
        tidy(watch, clear(&dead));
        tidy(watch, trim(site, &after));
        return Ok(after);
    }
    tidy(watch, forget::intended(site, &catalog, now));
    tidy(watch, clear(&dead));
    if is_other { catalog::load(site) } else { Ok(catalog) }
}

/// What no restore and no other disk's backup needs is said when it cannot be done, and done by a later run.
pub(super) fn tidy(watch: &dyn Watch, done: Result<(), Trouble>) {
    if let Err(trouble) = done {
        watch.noted(&trouble.to_string());
    }
}

/// Takes away notes and logs that nobody reads any more.
pub(super) fn trim(site: &Site, catalog: &Catalog) -> Result<(), Trouble> {
    bases::trim(site, catalog).map_err(|error| failed("cannot write in", &site.own(), &error))?;
    logs::trim(site, catalog).map_err(|error| failed("cannot remove old logs in", &site.config().logdir(), &error))
}

/// Makes curinfo agree with the catalog.
pub(super) fn remember(site: &Site, catalog: &Catalog, dle: &Dle, now: i64) -> Result<(), Trouble> {
    let error = |error: io::Error| failed("cannot keep the history in", &site.config().infofile(), &error);
    let before = history::load(site, dle).map_err(error)?;
    let mut info = before.clone();
    history::agree(&mut info, catalog, dle, is_compressed(site, dle), now);
    if info != before { history::store(site, dle, &info).map_err(error) } else { Ok(()) }
}

/// Says whether a disk's dumptype compresses.
pub(super) fn is_compressed(site: &Site, dle: &Dle) -> bool {
    let how = site.disk(dle).and_then(|disk| disk.how(site.config()));
    how.is_some_and(|how| how.compress() != amanda::conf::Compress::None)
}

/// Chooses a datestamp that no run has.
pub(super) fn free_stamp(site: &Site, catalog: &Catalog, now: i64) -> String {
    let disks = holding::directories(site);
    let taken = |stamp: &str| logs::path(site, stamp).exists() || disks.iter().any(|disk| disk.join(stamp).exists());
    stamp::choose(now, catalog.newest(now), taken)
}

/// Returns the beginning and the end of the log of a run that only writes to volumes.
pub(super) fn words(stamp: &str) -> (Vec<u8>, Vec<u8>) {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let pid = std::process::id();
    for entry in [Entry::Pid("amflush", pid), Entry::Info("amflush", logs::OURS), Entry::Start("amflush", stamp)] {
        entry.print(&mut before);
    }
    Entry::PidDone("amflush", pid).print(&mut after);
    (before, after)
}

/// Removes a dump that was never finished, with what there is of its index.
fn discard(site: &Site, catalog: &Catalog, path: &Path) -> io::Result<()> {
    let mut block = Vec::with_capacity(HEADER_BYTES);
    {
        use std::io::Read as _;
        fs::File::open(path)?.take(HEADER_BYTES as u64).read_to_end(&mut block)?;
    }
    if let Ok(header) = Header::parse(&block) {
        let key = (header.dle.clone(), header.datestamp.clone(), header.level);
        if !catalog.dumps.contains_key(&key) {
            let directory = site.indexdir().join(index::directory(&header.dle));
            let (begins, header) = (format!("{}_{}-", key.1, key.2), format!("{}_{}.header", key.1, key.2));
            for name in names(&directory)? {
                if name.to_str().is_some_and(|name| name.starts_with(&begins) || name.starts_with(&header)) {
                    super::files::remove(&directory.join(name))?;
                }
            }
        }
    }
    super::files::remove(path)
}

/// Removes the directories of runs that are gone, when nothing is left in them.
fn clear(dead: &[&RunDirectory]) -> Result<(), Trouble> {
    for run in dead {
        leave(&run.path).map_err(|error| failed("cannot remove", &run.path, &error))?;
    }
    Ok(())
}

/// Takes a run's mark off its directory, and the directory away, unless there is something in it: dumps that wait for a volume, or what
/// belongs to nobody's run.
pub(super) fn leave(directory: &Path) -> io::Result<()> {
    super::files::remove(&directory.join(PID_FILE))?;
    if !names(directory)?.is_empty() {
        return Ok(());
    }
    match fs::remove_dir(directory) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => Err(error),
        _ => Ok(()),
    }
}
