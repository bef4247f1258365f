//! Puts dumps on volumes.
//!
//! In a config of Amanda's own kind that is `cycle`'s part. In a vault, runs share volumes and keep their logs together; the order of its steps, each of which may be the last one of a killed run:
//!
//! 1. a volume that is taken again: off the tapelist's dates, then its files, then a label that says that nothing is on it
//! 2. each dump: its header becomes a part's, and its file goes from the holding disk into the slot, by a rename
//! 3. the log, which says what is on these volumes, now and from earlier runs
//! 4. the volumes' labels, and then the tapelist, get the date of this log: from here on Amanda reads it
//!
//! After 2 the catalog lists the dump from its new place, by its header; what is missing of 3 and 4 is made up for by the next run.
//! The tapelist's lock is held all the while.

pub(super) mod cycle;
mod shelves;

use std::fmt::Display;
use std::path::Path;
use std::time::Instant;

use amanda::header::Start;
use amanda::run_log::carried_over_if;
use amanda::run_log::write::{Dump as Named, Entry, Shelf, Statistics, Sums, file_name};
use amanda::tapelist::{Tape, Tapelist};

use super::Watch;
use super::catalog::{Catalog, Dump};
use super::files::{self, Sure};
use super::holding::Held;
use super::site::{Rotation, Site, failed};
use super::volumes::{Choice, Key, Standing, choose};
use super::{bases, forget, locks};
use crate::engine::Trouble;

pub use cycle::look;
pub(super) use shelves::any_wrong;
pub use shelves::{Place, Shelves};

/// The longest log that is read, in bytes.
const LONGEST_LOG: u64 = 256 * 1024 * 1024;

/// What is put on volumes, and what the run's log says besides.
pub struct Work<'a> {
    /// Dumps on the holding disk.
    pub dumps: Vec<&'a Held>,
    /// The run's datestamp.
    pub stamp: &'a str,
    /// The log's first lines.
    pub before: Vec<u8>,
    /// Its last lines.
    pub after: Vec<u8>,
}

/// Puts dumps on volumes, and makes the log and the tapelist of every volume right on the way. Says whether a
/// volume that comes round was wanted for something, and there was none.
///
/// # Errors
/// When something cannot be written. What was done until then is found by the next run.
pub fn shelve(site: &Site, catalog: &Catalog, work: &Work<'_>, now: i64, watch: &dyn Watch, lock: &locks::Held) -> Result<bool, Trouble> {
    if let Rotation::Cycle { .. } = site.rotation() {
        return cycle::write(site, catalog, work, watch, lock);
    }
    let mut shelves = Shelves::of(site, catalog, now);
    let mut tapelist = Tapes { list: catalog.tapelist.clone(), site };
    let mut written = Vec::new();
    for held in &work.dumps {
        let stays = |why: &dyn Display| watch.noted(&format!("{} stays on the holding disk: {why}", held.header.dle));
        let at = loop {
            match choose(&shelves.states(), &shelves.rules, held.length) {
                Choice::Append(at) => break Ok(at),
                Choice::Erase(at) if tapelist.may_erase(&mut shelves.places[at], watch) => break Ok(at),
                Choice::Erase(_) => {}
                Choice::New => match shelves.make(site, &tapelist.list) {
                    Ok(Some(at)) => break Ok(at),
                    Ok(None) => break Err("amanda.conf's autolabel has no label left for another volume".to_owned()),
                    Err(trouble) => break Err(trouble.to_string()),
                },
                Choice::Nowhere => break Err("all volumes are needed for what is kept".to_owned()),
            }
        };
        let at = match at {
            Ok(at) => at,
            Err(why) => {
                stays(&why);
                continue;
            }
        };
        let begun = Instant::now();
        let place = &mut shelves.places[at];
        // One that cannot be taken stops no other; the next run tries again.
        let file = match place.volume.take(&held.path, &held.header.as_part(1)) {
            Ok(file) => file,
            Err(error) => {
                stays(&volume_failed(&error));
                continue;
            }
        };
        place.added(file.bytes, now);
        written.push((at, file.number, *held, begun.elapsed().as_secs_f64()));
    }
    let touched = |at: usize| written.iter().any(|(volume, ..)| *volume == at) || shelves.places[at].is_wrong;
    let volumes: Vec<usize> = (0..shelves.places.len()).filter(|at| touched(*at)).collect();
    let mut log = work.before.clone();
    for (number, at) in volumes.iter().enumerate() {
        let place = &shelves.places[*at];
        let ours: Vec<_> = written.iter().filter(|(volume, ..)| volume == at).map(|(_, file, held, secs)| (*file, *held, *secs)).collect();
        lines(site, catalog, place, &ours, work.stamp, number + 1, &mut log)?;
    }
    if volumes.is_empty() && work.before.is_empty() {
        return tapelist.complete(&shelves).map(|()| false);
    }
    log.extend(&work.after);
    let path = site.config().logdir().join(file_name(work.stamp, 0));
    files::replace(&path, &log, Sure::Durable).map_err(|error| failed("cannot write", &path, &error))?;
    for at in &volumes {
        let place = &shelves.places[*at];
        match place.volume.redate(work.stamp) {
            Ok(()) => tapelist.date(&place.label, work.stamp),
            // The log that it had counts on; the next run tries again.
            Err(error) => watch.noted(&format!("the volume {}: {}", place.label, volume_failed(&error))),
        }
    }
    tapelist.complete(&shelves).map(|()| false)
}

fn volume_failed(error: &amanda::vtape::VtapeError) -> Trouble {
    let source = std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
    Trouble::later(format!("{error}{source}"), "look at the file system, and whether the drive is still plugged in")
}

/// The lines of one volume: what earlier logs say of what is there, what no log says, and what is new.
fn lines(
    site: &Site,
    catalog: &Catalog,
    place: &Place,
    ours: &[(u32, &Held, f64)],
    stamp: &str,
    number: usize,
    log: &mut Vec<u8>,
) -> Result<(), Trouble> {
    let (storage, pool) = site.shelf();
    let shelf = Shelf { storage: &storage, pool: &pool };
    let label = place.label.as_str();
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    Entry::Volume { datestamp: stamp, shelf, label, number }.print(log);
    if let Some(date) = catalog.tapelist.get(label).map(|tape| tape.datestamp.as_str()).filter(|date| *date != "0" && !place.is_erased) {
        for number in 0.. {
            let path = site.config().logdir().join(file_name(date, number));
            let old = files::read(&path, LONGEST_LOG).map_err(|error| failed("cannot read", &path, &error))?;
            let Some(old) = old else { break };
            let unlogged = |key: &Key| place.unlogged.iter().any(|(_, other)| other == key);
            let is_here = |key: &Key| place.dumps.binary_search(key).is_ok() && !unlogged(key);
            for line in carried_over_if(&old, label, |dle, date, level| is_here(&(dle.clone(), date.to_owned(), level))) {
                log.extend(line);
                log.push(b'\n');
            }
        }
    }
    let known = place.unlogged.iter().filter(|_| !place.is_erased).filter_map(|(file, key)| Some((*file, key, catalog.dumps.get(key)?)));
    for (file, key, dump) in known {
        part(log, shelf, label, file, key, dump);
    }
    let mut bytes = 0;
    for (file, held, secs) in ours {
        let header = &held.header;
        let sums = Sums { native: header.native, client: header.client, server: header.server };
        let stored = header.server.map_or(0, |crc| crc.bytes);
        bytes += stored;
        let key = (header.dle.clone(), header.datestamp.clone(), header.level);
        let dump = Dump { sums, orig_kb: header.orig_kb.unwrap_or(0), bytes: stored, secs: *secs, ..Dump::default() };
        part(log, shelf, label, *file, &key, &dump);
    }
    if let Some((file, ..)) = ours.last() {
        Entry::VolumeDone { label, kb: bytes / 1024, files: *file }.print(log);
    }
    Ok(())
}

fn part(log: &mut Vec<u8>, shelf: Shelf<'_>, label: &str, file: u32, key: &Key, dump: &Dump) {
    let named = Named { dle: &key.0, datestamp: &key.1, level: key.2 };
    let statistics = Statistics { secs: dump.secs, bytes: dump.bytes, orig_kb: dump.orig_kb };
    Entry::Part { dump: named, shelf, label, file, part: 1, statistics }.print(log);
    Entry::Done(named, shelf, 1, dump.sums, statistics, true).print(log);
}

/// Erases the oldest volumes that may be erased until so many bytes are free, or none is left. Returns what the file system has free
/// then.
///
/// # Errors
/// When the file system cannot be looked at.
pub fn make_room(site: &Site, catalog: &Catalog, wanted: u64, now: i64, watch: &dyn Watch, _lock: &locks::Held) -> Result<u64, Trouble> {
    if let Rotation::Cycle { .. } = site.rotation() {
        // Volumes are taken in their order, and by the run that writes to them.
        return room(&site.holding());
    }
    let mut shelves = Shelves::of(site, catalog, now);
    let mut tapelist = Tapes { list: catalog.tapelist.clone(), site };
    loop {
        let room = room(&site.holding())?;
        if room >= wanted {
            return Ok(room);
        }
        let Some(at) = shelves.oldest_reusable() else { return Ok(room) };
        tapelist.may_erase(&mut shelves.places[at], watch);
    }
}

/// What dumps may use of a file system: what is free, but for a little that logs and lists need.
pub fn room(directory: &Path) -> Result<u64, Trouble> {
    let status = rustix::fs::statvfs(directory).map_err(|errno| failed("cannot look at", directory, &errno.into()))?;
    let (free, all) = (status.f_bavail.saturating_mul(status.f_frsize), status.f_blocks.saturating_mul(status.f_frsize));
    Ok(free.saturating_sub((all / 100).min(RESERVE)))
}

/// At most so many bytes are kept free; a hundredth of a small file system.
const RESERVE: u64 = 64 * 1024 * 1024;

/// The tapelist, while it is changed.
pub(super) struct Tapes<'a> {
    pub(super) list: Tapelist,
    pub(super) site: &'a Site,
}

impl Tapes<'_> {
    /// Takes everything off a volume, if it can be done; one of which it cannot is left alone from here on.
    fn may_erase(&mut self, place: &mut Place, watch: &dyn Watch) -> bool {
        let erased = self.erase(place, watch);
        if let Err(trouble) = &erased {
            watch.noted(&format!("the volume {} cannot be erased: {trouble}", place.label));
            place.state.standing = Standing::Locked;
        }
        erased.is_ok()
    }

    /// Takes everything off a volume. Amanda stops listing its dumps before the first one is gone.
    fn erase(&mut self, place: &mut Place, watch: &dyn Watch) -> Result<(), Trouble> {
        watch.noted(&format!("the volume {} is taken again: nothing on it is needed any more", place.label));
        let gone = place.under.iter().map(|key| (key, None));
        let noted = bases::note(self.site, gone).and_then(|()| forget::intend(self.site, &place.dumps));
        noted.map_err(|error| failed("cannot write in", &self.site.own(), &error))?;
        self.date(&place.label, "0");
        self.write()?;
        place.volume.relabel(&Start { datestamp: "X".to_owned(), label: place.label.clone() }).map_err(|error| volume_failed(&error))?;
        place.erased();
        Ok(())
    }

    fn date(&mut self, label: &str, date: &str) {
        let (storage, pool) = self.site.shelf();
        let new = || Tape { storage: Some(storage), pool: Some(pool), ..Tape::new(date, label, self.site.name().as_str()) };
        let tape = self.list.get(label).cloned().map_or_else(new, |tape| Tape { datestamp: date.to_owned(), ..tape });
        self.list.put(tape);
    }

    /// Puts every volume in that has a label, and writes the list when something in it is new.
    fn complete(&mut self, shelves: &Shelves) -> Result<(), Trouble> {
        for place in &shelves.places {
            if self.list.get(&place.label).is_none() {
                self.date(&place.label, "0");
            }
        }
        let path = self.site.config().tapelist();
        let old = files::read(&path, amanda::tapelist::LONGEST as u64).map_err(|error| failed("cannot read", &path, &error))?;
        let same = old.is_some_and(|old| Tapelist::parse(&old).is_ok_and(|old| old == self.list));
        if same { Ok(()) } else { self.write() }
    }

    /// Writes the list, durably.
    pub(super) fn write(&self) -> Result<(), Trouble> {
        let path = self.site.config().tapelist();
        let text = self.list.print().map_err(|error| Trouble::config(error.to_string(), "correct the names in amanda.conf"))?;
        files::replace(&path, &text, Sure::Durable).map_err(|error| failed("cannot write", &path, &error))?;
        // A process of Amanda's that wrote the list would go by what it remembers while this names it.
        let mut last = path.clone().into_os_string();
        last.push(".last_write");
        files::remove(Path::new(&last)).map_err(|error| failed("cannot remove", Path::new(&last), &error))
    }
}
