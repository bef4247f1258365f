//! Reading a catalog: logs once, directories once, headers only of files that no log has.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::fs;
use std::io::ErrorKind;

use amanda::admin::{Found, Place};
use amanda::header::{Block, HEADER_BYTES, Header, Kind};
use amanda::run_log::Part;
use amanda::run_log::contents::{Contents, Piece, contents};
use amanda::run_log::write::{Sums, file_name};
use amanda::tapelist::{self, Tapelist};
use amanda::vtape::{VolumeFile, name};

use super::{Catalog, Dump, Gone, Lost, Shelved};
use crate::engine::Trouble;
use crate::engine::embedded::holding::Held;
use crate::engine::embedded::site::{CONF, Site, failed};
use crate::engine::embedded::volumes::Key;
use crate::engine::embedded::{bases, damaged, files, holding, run, verified};

/// The longest log that is read, in bytes.
pub(crate) const LONGEST_LOG: u64 = 256 * 1024 * 1024;

/// What a file may have behind its last byte: the rest of a block, as Amanda may have written it.
const PADDING: u64 = 32 * 1024;

/// Reads what there is. Nothing is written and nothing is locked: what a run changes meanwhile is listed as it was, or as it is.
///
/// # Errors
/// When the tapelist, a log or a directory cannot be read.
pub fn load(site: &Site) -> Result<Catalog, Trouble> {
    let mut catalog = Catalog { tapelist: tapes(site)?, ..Catalog::default() };
    // The holding disk first: a dump that goes to a volume meanwhile is listed twice, not left out.
    for root in run::roots(site) {
        catalog.runs.extend(holding::runs(&root).map_err(|error| failed("cannot list", &root, &error))?);
    }
    let volumes = volumes(site)?;
    let logged = logs(site, &catalog.tapelist)?;
    let mut shelf = Shelf { storage: site.shelf(), rows: Vec::new(), dumps: BTreeMap::new(), lost: Vec::new() };
    for (mut volume, files) in volumes {
        shelf.look(&mut volume, &files, &logged, &catalog.tapelist, &mut catalog.notes);
        catalog.volumes.push(volume);
    }
    shelf.count_parts(&logged);
    for run in &catalog.runs {
        catalog.notes.extend(run.odd.iter().cloned());
        run.held.iter().for_each(|held| shelf.held(held));
    }
    match damaged::load(site) {
        Ok(marks) => marks.iter().for_each(|mark| shelf.mark(&mark.key(), &mark.what)),
        Err(error) => catalog.notes.push(format!(
            "which dumps of {} are damaged cannot be read, and is known again when they have been verified: {error}",
            site.directory().display()
        )),
    }
    match verified::load(site) {
        Ok(times) => shelf.verified(&times),
        Err(error) => catalog.notes.push(format!(
            "when the dumps of {} were verified cannot be read, and is known again when they are: {error}",
            site.directory().display()
        )),
    }
    // Where a drive was pulled out there is nothing, which is not to be taken for a vault that has nothing.
    let conf = site.directory().join(CONF);
    fs::metadata(&conf).map_err(|error| failed("cannot read", &conf, &error))?;
    match bases::load(site) {
        Ok(bases) => catalog.bases = bases,
        Err(error) => {
            catalog.notes.push(format!("{}: nobody can tell what incremental dumps build on: {error}", site.own().join("bases").display()));
            catalog.doubts_bases = true;
        }
    }
    catalog.gone = gone(&catalog, &logged, &shelf.dumps);
    let missing = catalog.bases.gone.iter().chain(shelf.lost.iter().filter_map(|lost| lost.key.as_ref()));
    let missing: BTreeSet<Key> = missing.filter(|key| !shelf.dumps.contains_key(*key)).cloned().collect();
    missing.iter().for_each(|key| shelf.gone(key));
    catalog.chains = catalog.chains_of(&shelf.rows);
    (catalog.rows, catalog.dumps, catalog.lost) = (shelf.rows, shelf.dumps, shelf.lost);
    Ok(catalog)
}

fn tapes(site: &Site) -> Result<Tapelist, Trouble> {
    let path = site.config().tapelist();
    let text = files::read(&path, tapelist::LONGEST as u64).map_err(|error| failed("cannot read", &path, &error))?;
    Tapelist::parse(&text.unwrap_or_default()).map_err(|error| {
        Trouble::config(format!("{}: {error}", path.display()), "Amanda's programs stop at such a line, too; correct or remove it")
    })
}

/// Looks into the slots.
fn volumes(site: &Site) -> Result<Vec<(Shelved, Vec<VolumeFile>)>, Trouble> {
    let changer = site.changer();
    let slots = match changer.slots() {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        slots => slots.map_err(|error| failed("cannot list", changer.directory(), &error))?,
    };
    let mut labels = HashMap::new();
    let mut volumes = Vec::new();
    for slot in slots {
        let mut shelved = Shelved::empty(slot, changer.volume(slot));
        let files = shelved.volume.files().unwrap_or_else(|error| {
            shelved.odd = Some(words(&error));
            Vec::new()
        });
        let mut label_files = files.iter().filter(|file| file.number == 0);
        match (label_files.next().map(VolumeFile::read), label_files.next()) {
            (None, _) => {}
            (Some(Ok(Block::Start(start))), None) => {
                if let Some(other) = labels.insert(start.label.clone(), slot) {
                    shelved.odd = Some(format!("slots {other} and {slot} have both a volume {}", start.label));
                }
                (shelved.label, shelved.date) = (Some(start.label), start.datestamp);
            }
            (Some(Err(error)), None) => shelved.odd = Some(words(&error)),
            (Some(_), _) => shelved.odd = Some(format!("{} is not one labelled volume", shelved.volume.directory().display())),
        }
        volumes.push((shelved, files));
    }
    Ok(volumes)
}

/// Finds the volumes that logs have dumps on and that are in no slot.
fn gone(catalog: &Catalog, logged: &Contents, there: &BTreeMap<Key, Dump>) -> Vec<Gone> {
    let is_there = |label: &str| catalog.volumes.iter().any(|volume| volume.label.as_deref() == Some(label));
    let missing = catalog.tapelist.tapes().iter().filter(|tape| tape.datestamp != "0" && !is_there(&tape.label));
    let gone = missing.map(|tape| {
        let on_it = logged.pieces.iter().filter(|piece| piece.part.label == tape.label.as_bytes()).map(|piece| key(&piece.part));
        let dumps: BTreeSet<Key> = on_it.filter(|key| !there.contains_key(key)).collect();
        Gone { label: tape.label.clone(), dumps: dumps.into_iter().collect() }
    });
    gone.filter(|gone| !gone.dumps.is_empty()).collect()
}

/// An error with its cause.
pub(crate) fn words(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// Reads the logs that the tapelist names, each once.
fn logs(site: &Site, tapelist: &Tapelist) -> Result<Contents, Trouble> {
    let dates: BTreeSet<&str> = tapelist.tapes().iter().map(|tape| tape.datestamp.as_str()).filter(|date| *date != "0").collect();
    let mut all = Contents::default();
    for date in dates {
        for number in 0.. {
            let path = site.config().logdir().join(file_name(date, number));
            let log = files::read(&path, LONGEST_LOG).map_err(|error| failed("cannot read", &path, &error))?;
            let Some(log) = log else { break };
            let of = |label: &str| tapelist.get(label).map(|tape| tape.datestamp.as_str());
            let said = contents(&log, |label, stamp| stamp == date && of(label) == Some(date));
            all.pieces.extend(said.pieces);
            all.dumps.extend(said.dumps);
        }
    }
    Ok(all)
}

/// What is found on volumes.
struct Shelf {
    storage: (String, String),
    rows: Vec<Found>,
    dumps: BTreeMap<Key, Dump>,
    lost: Vec<Lost>,
}

impl Shelf {
    fn look(&mut self, volume: &mut Shelved, files: &[VolumeFile], logged: &Contents, tapelist: &Tapelist, notes: &mut Vec<String>) {
        volume.bytes = files.iter().fold(0, |all, file| all.saturating_add(file.bytes));
        volume.files = files.iter().filter(|file| file.number > 0).count();
        let label = match (&volume.label, &volume.odd) {
            (_, Some(odd)) => {
                notes.push(odd.clone());
                return;
            }
            (None, None) => return,
            (Some(label), None) => label.clone(),
        };
        // A log of another date than the label's may be of what was on the volume before.
        let is_its = tapelist.get(&label).is_some_and(|tape| tape.datestamp == volume.date);
        let mut said: BTreeMap<u64, &Piece> = BTreeMap::new();
        for piece in logged.pieces.iter().filter(|piece| is_its && piece.part.label == label.as_bytes()) {
            said.insert(piece.part.file, piece);
        }
        for file in files.iter().filter(|file| file.number > 0) {
            let piece = said.get(&u64::from(file.number)).copied();
            if let Some(piece) = piece.filter(|piece| is_there(piece, file)) {
                said.remove(&u64::from(file.number));
                self.logged(volume, &label, piece, file);
                continue;
            }
            let mut its = None;
            let what = match file.read() {
                Ok(Block::Dump(header)) => match is_whole(&header, file) {
                    Ok(()) => {
                        self.unlogged(volume, &label, &header, file);
                        continue;
                    }
                    Err(what) => {
                        its = Some((header.dle.clone(), header.datestamp.clone(), header.level));
                        what.to_owned()
                    }
                },
                Ok(_) => "it is no dump".to_owned(),
                Err(error) => words(&error),
            };
            said.remove(&u64::from(file.number));
            volume.misses |= piece.is_some();
            self.lost.push(Lost { key: piece.map(|piece| key(&piece.part)).or(its), path: file.path.clone(), what });
        }
        volume.misses |= !said.is_empty();
        for piece in said.into_values() {
            let path =
                volume.volume.directory().join(name::part(u32::try_from(piece.part.file).unwrap_or(0), &piece.part.dle, piece.part.level));
            self.lost.push(Lost { key: Some(key(&piece.part)), path, what: "the log has it, and it is gone".to_owned() });
        }
        volume.dumps.sort();
        volume.dumps.dedup();
    }

    fn row(&mut self, label: &str, key: &Key, file: &VolumeFile, part: u32, is_ok: bool) {
        self.rows.push(Found {
            dle: key.0.clone(),
            datestamp: key.1.clone(),
            level: key.2,
            storage: self.storage.0.clone(),
            pool: self.storage.1.clone(),
            place: Place::Volume { label: label.as_bytes().to_vec(), file: file.number.into() },
            part: i32::try_from(part).unwrap_or(-1),
            parts: -1,
            status: if is_ok { "OK" } else { "PARTIAL" }.to_owned(),
        });
    }

    fn logged(&mut self, volume: &mut Shelved, label: &str, piece: &Piece, file: &VolumeFile) {
        let part = &piece.part;
        let key = key(part);
        self.row(label, &key, file, part.part, part.whole);
        let dump = self.dumps.entry(key.clone()).or_default();
        dump.files.push(file.path.clone());
        dump.bytes = dump.bytes.saturating_add(piece.bytes.unwrap_or(file.bytes.saturating_sub(HEADER_BYTES as u64)));
        volume.dumps.push(key);
    }

    fn unlogged(&mut self, volume: &mut Shelved, label: &str, header: &Header, file: &VolumeFile) {
        let key = (header.dle.clone(), header.datestamp.clone(), header.level);
        self.row(label, &key, file, 1, true);
        let dump = self.dumps.entry(key.clone()).or_default();
        if dump.files.is_empty() {
            dump.fill_from(header);
            dump.files.push(file.path.clone());
        }
        volume.unlogged.push((file.number, key.clone()));
        volume.dumps.push(key);
    }

    /// Tells the rows how many parts their dumps have, and the dumps what the logs say of them.
    fn count_parts(&mut self, logged: &Contents) {
        let mut written = HashMap::new();
        for dump in &logged.dumps {
            written.insert((dump.dle.clone(), dump.datestamp.clone(), dump.level), dump);
        }
        for (key, dump) in &mut self.dumps {
            let Some(said) = written.get(key) else { continue };
            (dump.sums, dump.secs) = (said.sums, said.secs);
            dump.orig_kb = said.orig_kb.unwrap_or(dump.orig_kb);
        }
        for row in &mut self.rows {
            let key = (row.dle.clone(), row.datestamp.clone(), row.level);
            match written.get(&key) {
                Some(dump) => {
                    row.parts = i32::try_from(dump.parts).unwrap_or(-1);
                    if !dump.whole {
                        row.status = "OK PARTIAL".to_owned();
                    }
                }
                // No log has it: its header told that all of it is in one part.
                None if self.dumps.get(&key).is_some_and(|dump| dump.sums.server.is_some()) => row.parts = 1,
                None => {}
            }
        }
    }

    fn held(&mut self, held: &Held) {
        let header = &held.header;
        let key = (header.dle.clone(), header.datestamp.clone(), header.level);
        self.rows.push(Found {
            dle: key.0.clone(),
            datestamp: key.1.clone(),
            level: key.2,
            storage: "HOLDING".to_owned(),
            pool: "HOLDING".to_owned(),
            place: Place::Holding(held.path.clone().into_os_string()),
            part: -1,
            parts: -1,
            status: "OK".to_owned(),
        });
        let dump = self.dumps.entry(key).or_default();
        if dump.files.is_empty() {
            dump.fill_from(header);
            dump.files.push(held.path.clone());
        }
    }

    /// Lists a dump that was there: what has no note of what it builds on may build on this one.
    fn gone(&mut self, key: &Key) {
        self.rows.push(Found {
            dle: key.0.clone(),
            datestamp: key.1.clone(),
            level: key.2,
            storage: self.storage.0.clone(),
            pool: self.storage.1.clone(),
            place: Place::Nowhere,
            part: -1,
            parts: -1,
            status: "GONE".to_owned(),
        });
    }

    fn verified(&mut self, times: &BTreeMap<Key, i64>) {
        for (key, dump) in &mut self.dumps {
            dump.verified = times.get(key).copied();
        }
    }

    fn mark(&mut self, key: &Key, what: &str) {
        let Some(dump) = self.dumps.get_mut(key) else { return };
        dump.damage = Some(what.to_owned());
        for row in self.rows.iter_mut().filter(|row| row.dle == key.0 && row.datestamp == key.1 && row.level == key.2) {
            row.status = super::DAMAGED.to_owned();
        }
    }
}

impl Dump {
    fn fill_from(&mut self, header: &Header) {
        self.sums = Sums { native: header.native, client: header.client, server: header.server };
        self.orig_kb = header.orig_kb.unwrap_or(0);
        self.bytes = header.server.map_or(0, |crc| crc.bytes);
    }
}

fn key(part: &Part) -> Key {
    (part.dle.clone(), part.datestamp.clone(), part.level)
}

/// A cheap look at what a log has: the file has the name and the length that it says. Where a block was filled up behind it, its
/// header is asked.
fn is_there(piece: &Piece, file: &VolumeFile) -> bool {
    let part = &piece.part;
    let named = file.path.file_name() == Some(&*name::part(file.number, &part.dle, part.level));
    let body = file.bytes.checked_sub(HEADER_BYTES as u64);
    let Some(body) = body.filter(|_| named) else { return false };
    let is_same = || matches!(file.read(), Ok(Block::Dump(header)) if (&header.dle, header.datestamp.as_str()) == (&part.dle, part.datestamp.as_str()));
    match piece.bytes {
        Some(bytes) if body == bytes => true,
        Some(bytes) => body > bytes && body - bytes < PADDING && is_same(),
        None => is_same(),
    }
}

/// Says whether a file that no log has is a dump: a part of a larger one cannot be told to be whole.
fn is_whole(header: &Header, file: &VolumeFile) -> Result<(), &'static str> {
    let Kind::Part { number: 1, .. } = header.kind else { return Err("no log has it, and it is only a part of a dump") };
    let Some(server) = header.server.filter(|_| !header.partial) else { return Err("no log has it, and it was never completed") };
    if file.bytes.checked_sub(HEADER_BYTES as u64) != Some(server.bytes) {
        return Err("it is not as long as its header says");
    }
    Ok(())
}
