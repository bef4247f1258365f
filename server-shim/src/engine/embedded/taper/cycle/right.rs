//! Adds to a run's log what it was cut off from saying.
//!
//! A part that is on a volume and in no log gets its line: `PART` when it is all of a dump, `PARTPARTIAL` when it is not known to be what
//! it should be. A dump that has parts and no last word gets one: `DONE` when they are all of it, else `PARTIAL`. Only logs of this engine
//! are touched, and none of a run of Amanda's that may still go on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use amanda::header::{Block, Header};
use amanda::run_log::contents::{Contents, contents};
use amanda::run_log::write::{Dump as Named, Entry, Shelf, Statistics, Sums, file_name};

use super::lines::Lines;
use super::parts::remove;
use crate::engine::Trouble;
use crate::engine::embedded::catalog::{Catalog, LONGEST_LOG, Shelved};
use crate::engine::embedded::holding::Held;
use crate::engine::embedded::site::{Site, failed};
use crate::engine::embedded::volumes::Key;
use crate::engine::embedded::{Watch, files, locks, logs};

/// Why a part counts for nothing.
const CUT_OFF: &str = "the run was cut off";

/// Makes the logs say what is on the volumes. Says whether anything was added.
///
/// # Errors
/// When a log cannot be read or written.
pub fn put_right(site: &Site, catalog: &Catalog, _lock: &locks::Held) -> Result<bool, Trouble> {
    let mut added = false;
    let mut dates: BTreeMap<&str, Vec<&Shelved>> = BTreeMap::new();
    for shelved in catalog.volumes.iter().filter(|shelved| shelved.odd.is_none() && shelved.date != "X") {
        let tape = shelved.label.as_ref().and_then(|label| catalog.tapelist.get(label));
        if let Some(tape) = tape.filter(|tape| tape.datestamp == shelved.date) {
            dates.entry(&tape.datestamp).or_default().push(shelved);
        }
    }
    for (date, volumes) in dates {
        added |= of_date(site, catalog, date, &volumes)?;
    }
    Ok(added)
}

fn of_date(site: &Site, catalog: &Catalog, date: &str, volumes: &[&Shelved]) -> Result<bool, Trouble> {
    let logdir = site.config().logdir();
    let path = logdir.join(file_name(date, 0));
    // Amanda gives its log this name when its run has ended.
    let is_amandas = if path.exists() { !logs::is_ours(&path) } else { logdir.join("log").exists() };
    if is_amandas {
        return Ok(false);
    }
    let text = files::read(&path, LONGEST_LOG).map_err(|error| failed("cannot read", &path, &error))?;
    let text = text.unwrap_or_default();
    let is_known = |label: &str| volumes.iter().any(|shelved| shelved.label.as_deref() == Some(label));
    let mut started = BTreeSet::new();
    let said = contents(&text, |label, stamp| {
        let counts = stamp == date && is_known(label);
        if counts {
            started.insert(label.to_owned());
        }
        counts
    });
    let new = added(site, catalog, date, volumes, &started, &said);
    if new.is_empty() {
        return Ok(false);
    }
    if text.is_empty() {
        let mut before = Vec::new();
        Entry::Info("amflush", logs::OURS).print(&mut before);
        Entry::Start("amflush", date).print(&mut before);
        files::replace(&path, &before, files::Sure::Durable).map_err(|error| failed("cannot write", &path, &error))?;
    }
    Lines::open(path)?.add_text(&new)?;
    Ok(true)
}

/// A dump that has parts on volumes of one date.
struct Parts {
    header: Option<Header>,
    /// By number: whether the part counts, and its bytes.
    parts: BTreeMap<u32, (bool, u64)>,
}

fn added(site: &Site, catalog: &Catalog, date: &str, volumes: &[&Shelved], started: &BTreeSet<String>, said: &Contents) -> Vec<u8> {
    let (storage, pool) = site.shelf();
    let shelf = Shelf { storage: &storage, pool: &pool };
    let mut new = Vec::new();
    let mut open: BTreeMap<Key, Parts> = BTreeMap::new();
    let is_told = |key: &Key| said.dumps.iter().any(|dump| (&dump.dle, &dump.datestamp, dump.level) == (&key.0, &key.1, key.2));
    for piece in &said.pieces {
        let part = &piece.part;
        let key = (part.dle.clone(), part.datestamp.clone(), part.level);
        if !is_told(&key) {
            let parts = open.entry(key).or_insert_with(|| Parts { header: None, parts: BTreeMap::new() });
            parts.parts.insert(part.part, (part.whole, piece.bytes.unwrap_or(0)));
        }
    }
    for (number, shelved) in (1..).zip(volumes) {
        let Some(label) = shelved.label.as_deref() else { continue };
        let unsaid = unsaid(shelved, said, label);
        if !started.contains(label) && !unsaid.is_empty() {
            Entry::Volume { datestamp: date, shelf, label, number }.print(&mut new);
        }
        for Unsaid { file, key, part, bytes, is_whole } in unsaid {
            let header = header_of(shelved, file);
            let named = Named { dle: &key.0, datestamp: &key.1, level: key.2 };
            let orig_kb = header.as_ref().and_then(|header| header.orig_kb).unwrap_or(0);
            let statistics = Statistics { secs: 0.0, bytes, orig_kb };
            let line = match is_whole {
                true => Entry::Part { dump: named, shelf, label, file, part, statistics },
                false => Entry::PartPartial { dump: named, shelf, label, file, part, statistics, why: CUT_OFF },
            };
            line.print(&mut new);
            if !is_told(&key) {
                let parts = open.entry(key).or_insert_with(|| Parts { header: None, parts: BTreeMap::new() });
                parts.header = parts.header.take().or(header);
                parts.parts.insert(part, (is_whole, bytes));
            }
        }
    }
    for (key, parts) in &open {
        end(catalog, shelf, key, parts, &mut new);
    }
    new
}

/// Gives a dump its last word.
fn end(catalog: &Catalog, shelf: Shelf<'_>, key: &Key, parts: &Parts, new: &mut Vec<u8>) {
    let file = catalog.dumps.get(key).and_then(|dump| dump.files.first());
    let header = parts.header.clone().or_else(|| read(file?));
    let dump = Named { dle: &key.0, datestamp: &key.1, level: key.2 };
    let sums =
        header.as_ref().map_or(Sums::default(), |header| Sums { native: header.native, client: header.client, server: header.server });
    let bytes = parts.parts.values().fold(0, |all: u64, (_, bytes)| all.saturating_add(*bytes));
    let count = u32::try_from(parts.parts.len()).unwrap_or(u32::MAX);
    let statistics = Statistics { secs: 0.0, bytes, orig_kb: header.as_ref().and_then(|header| header.orig_kb).unwrap_or(0) };
    let is_all = (1..=count).zip(parts.parts.keys()).all(|(number, part)| number == *part)
        && parts.parts.values().all(|(is_whole, _)| *is_whole)
        && sums.server.is_some_and(|server| server.bytes == bytes);
    match is_all {
        true => Entry::Done(dump, shelf, count, sums, statistics, true).print(new),
        false => Entry::Partial(dump, shelf, count, sums, statistics, CUT_OFF).print(new),
    }
}

fn read(path: &Path) -> Option<Header> {
    let file = amanda::vtape::VolumeFile { number: 1, path: path.to_owned(), bytes: 0 };
    match file.read() {
        Ok(Block::Dump(header)) => Some(*header),
        _ => None,
    }
}

fn header_of(shelved: &Shelved, file: u32) -> Option<Header> {
    let files = shelved.volume.files().ok()?;
    read(&files.into_iter().find(|other| other.number == file)?.path)
}

/// A file that is on a volume and in no line.
struct Unsaid {
    file: u32,
    key: Key,
    part: u32,
    bytes: u64,
    /// It is all of the dump.
    is_whole: bool,
}

/// Returns what is on a volume and in none of these lines, in the order of its files.
fn unsaid(shelved: &Shelved, said: &Contents, label: &str) -> Vec<Unsaid> {
    let is_said = |file: u32| said.pieces.iter().any(|piece| piece.part.label == label.as_bytes() && piece.part.file == u64::from(file));
    let whole = shelved.unlogged.iter().filter(|(file, _)| !is_said(*file)).map(|(file, key)| {
        let bytes = header_of(shelved, *file).and_then(|header| header.server).map_or(0, |server| server.bytes);
        Unsaid { file: *file, key: key.clone(), part: 1, bytes, is_whole: true }
    });
    let half = shelved.half.iter().filter(|half| !is_said(half.file));
    let half = half.map(|half| Unsaid { file: half.file, key: half.key.clone(), part: half.part, bytes: half.bytes, is_whole: false });
    let mut all: Vec<_> = whole.chain(half).collect();
    all.sort_by_key(|unsaid| unsaid.file);
    all
}

/// Takes off the holding disk what is whole on volumes, and of which a killed run came to no more. Says whether there was anything.
///
/// # Errors
/// When a file cannot be removed.
pub fn clear_held(catalog: &Catalog, held: &[&Held], watch: &dyn Watch) -> Result<bool, Trouble> {
    let mut removed = false;
    for held in held {
        let header = &held.header;
        let dumps = catalog.of(&header.dle).iter();
        let mut same = dumps.filter(|dump| dump.datestamp == header.datestamp && dump.level == header.level);
        let on_volumes = |place: &amanda::admin::Place| matches!(place, amanda::admin::Place::Volume { .. });
        if same.any(|dump| dump.places.iter().any(|copy| copy.iter().all(on_volumes))) {
            watch.noted(&format!("{} of {} is on volumes, and goes from the holding disk", header.dle, header.datestamp));
            remove(held).map_err(|error| failed("cannot remove", &held.path, &error))?;
            removed = true;
        }
    }
    Ok(removed)
}
