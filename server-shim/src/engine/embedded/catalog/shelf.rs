//! What is found on volumes, and which of it makes a whole dump.
//!
//! A dump may have been put on volumes more than once: a run was cut off after some of its parts, or amanda.conf allowed no other volume,
//! and a later one began it anew, in parts of other lengths. So parts are taken together by the log that has them, and never those of
//! two logs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use amanda::admin::{Found, Place};
use amanda::header::{Block, HEADER_BYTES, Header, Kind};
use amanda::run_log::Part;
use amanda::run_log::contents::{Piece, Written};
use amanda::run_log::write::Sums;
use amanda::tapelist::Tapelist;
use amanda::vtape::{VolumeFile, name};

use super::load::{Logged, words};
use super::{DAMAGED, Dump, Half, Lost, Shelved};
use crate::engine::embedded::holding::Held;
use crate::engine::embedded::volumes::Key;

/// What a file may have behind its last byte: the rest of a block, as Amanda may have written it.
const PADDING: u64 = 32 * 1024;

/// The parts of a dump that one log has.
#[derive(Default)]
struct Taping {
    /// By the parts' numbers: the row, the file, and its bytes.
    parts: BTreeMap<u32, (Found, PathBuf, u64)>,
    /// Its header, when no log has it: it is all in one part.
    header: Option<Header>,
}

impl Taping {
    /// A run may have been cut off before the dump's last line: a header that tells the length of all of it does as well.
    fn is_in_one_part(&mut self) {
        let (1, None, Some((row, path, bytes))) = (self.parts.len(), &self.header, self.parts.get_mut(&1)) else { return };
        let file = VolumeFile { number: 1, path: path.clone(), bytes: bytes.saturating_add(HEADER_BYTES as u64) };
        if let Ok(Block::Dump(header)) = file.read()
            && is_whole(&header, &file).is_ok()
        {
            row.parts = 1;
            self.header = Some(*header);
        }
    }

    fn is_complete(&self) -> bool {
        let count = self.parts.values().map(|(row, ..)| row.parts).max().unwrap_or(-1);
        usize::try_from(count) == Ok(self.parts.len()) && (1..).zip(self.parts.keys()).all(|(number, part)| number == *part) && {
            self.parts.values().all(|(row, ..)| row.is_ok())
        }
    }
}

/// What is found on volumes.
pub(super) struct Shelf {
    storage: (String, String),
    /// By dump and by the date of the log; without a date what no log has.
    tapings: BTreeMap<Key, BTreeMap<String, Taping>>,
    /// Dumps that are whole on volumes.
    whole: BTreeSet<Key>,
    pub rows: Vec<Found>,
    pub dumps: BTreeMap<Key, Dump>,
    pub lost: Vec<Lost>,
}

impl Shelf {
    pub fn new(storage: (String, String)) -> Self {
        Self { storage, tapings: BTreeMap::new(), whole: BTreeSet::new(), rows: Vec::new(), dumps: BTreeMap::new(), lost: Vec::new() }
    }

    pub fn look(&mut self, volume: &mut Shelved, files: &[VolumeFile], logged: &Logged, tapelist: &Tapelist, notes: &mut Vec<String>) {
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
        let log = tapelist.get(&label).filter(|tape| tape.datestamp == volume.date).and_then(|tape| logged.get(&tape.datestamp));
        let mut said: BTreeMap<u64, &Piece> = BTreeMap::new();
        for piece in log.iter().flat_map(|log| &log.pieces).filter(|piece| piece.part.label == label.as_bytes()) {
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
                        self.unlogged(volume, &label, *header, file);
                        continue;
                    }
                    Err(what) => {
                        let key = (header.dle.clone(), header.datestamp.clone(), header.level);
                        if let (Kind::Part { number, .. }, None) = (header.kind, piece) {
                            let bytes = file.bytes.saturating_sub(HEADER_BYTES as u64);
                            volume.half.push(Half { file: file.number, key: key.clone(), part: number, bytes });
                        }
                        its = Some(key);
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

    fn found(&self, label: &str, key: &Key, file: &VolumeFile, part: u32, is_ok: bool) -> Found {
        Found {
            dle: key.0.clone(),
            datestamp: key.1.clone(),
            level: key.2,
            storage: self.storage.0.clone(),
            pool: self.storage.1.clone(),
            place: Place::Volume { label: label.as_bytes().to_vec(), file: file.number.into() },
            part: i32::try_from(part).unwrap_or(-1),
            parts: -1,
            status: if is_ok { "OK" } else { "PARTIAL" }.to_owned(),
        }
    }

    fn logged(&mut self, volume: &mut Shelved, label: &str, piece: &Piece, file: &VolumeFile) {
        let part = &piece.part;
        let key = key(part);
        let row = self.found(label, &key, file, part.part, part.whole);
        let bytes = piece.bytes.unwrap_or(file.bytes.saturating_sub(HEADER_BYTES as u64));
        let taping = self.tapings.entry(key.clone()).or_default().entry(volume.date.clone()).or_default();
        // One that failed was written once more.
        if part.whole || !taping.parts.contains_key(&part.part) {
            taping.parts.insert(part.part, (row, file.path.clone(), bytes));
        }
        volume.dumps.push(key);
    }

    fn unlogged(&mut self, volume: &mut Shelved, label: &str, header: Header, file: &VolumeFile) {
        let key = (header.dle.clone(), header.datestamp.clone(), header.level);
        // Its header told that all of it is in one part.
        let row = Found { parts: 1, ..self.found(label, &key, file, 1, true) };
        let bytes = header.server.map_or(0, |crc| crc.bytes);
        let parts = BTreeMap::from([(1, (row, file.path.clone(), bytes))]);
        let tapings = self.tapings.entry(key.clone()).or_default();
        tapings.entry(String::new()).or_insert(Taping { parts, header: Some(header) });
        volume.unlogged.push((file.number, key.clone()));
        volume.dumps.push(key);
    }

    /// Takes the parts together: of what is whole the newest copy, of what is not all that there is.
    pub fn settle(&mut self, logged: &Logged) {
        for (key, mut tapings) in std::mem::take(&mut self.tapings) {
            let written = |date: &str| {
                let mut dumps = logged.get(date)?.dumps.iter();
                dumps.rfind(|dump| (&dump.dle, &dump.datestamp, dump.level) == (&key.0, &key.1, key.2))
            };
            for (date, taping) in &mut tapings {
                let Some(said) = written(date) else {
                    taping.is_in_one_part();
                    continue;
                };
                for (row, ..) in taping.parts.values_mut() {
                    row.parts = i32::try_from(said.parts).unwrap_or(-1);
                    if !said.whole {
                        row.status = "OK PARTIAL".to_owned();
                    }
                }
            }
            let newest = tapings.iter().rfind(|(_, taping)| taping.is_complete()).map(|(date, _)| date.clone());
            if let Some(newest) = newest {
                tapings.retain(|date, _| *date == newest);
                self.whole.insert(key.clone());
            }
            let said = tapings.keys().rev().find_map(|date| written(date)).cloned();
            let dump = self.dumps.entry(key).or_default();
            for (at, mut taping) in tapings.into_values().rev().enumerate() {
                if at == 0 {
                    dump.fill(&taping, said.as_ref());
                } else {
                    // Parts of two copies do not make one.
                    taping.parts.values_mut().for_each(|(row, ..)| row.status = "OK PARTIAL".to_owned());
                }
                self.rows.extend(taping.parts.into_values().map(|(row, ..)| row));
            }
        }
    }

    pub fn held(&mut self, held: &Held) {
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
        if !self.whole.contains(&key) {
            let dump = self.dumps.entry(key).or_default();
            *dump = Dump { files: held.chunks.clone(), ..Dump::default() };
            dump.fill_from(header);
        }
    }

    /// Lists a dump that was there: what has no note of what it builds on may build on this one.
    pub fn gone(&mut self, key: &Key) {
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

    pub fn verified(&mut self, times: &BTreeMap<Key, i64>) {
        for (key, dump) in &mut self.dumps {
            dump.verified = times.get(key).copied();
        }
    }

    pub fn mark(&mut self, key: &Key, what: &str) {
        let Some(dump) = self.dumps.get_mut(key) else { return };
        dump.damage = Some(what.to_owned());
        for row in self.rows.iter_mut().filter(|row| row.dle == key.0 && row.datestamp == key.1 && row.level == key.2) {
            row.status = DAMAGED.to_owned();
        }
    }
}

impl Dump {
    fn fill(&mut self, taping: &Taping, said: Option<&Written>) {
        if let Some(header) = &taping.header {
            self.fill_from(header);
        }
        self.files = taping.parts.values().map(|(_, path, _)| path.clone()).collect();
        self.bytes = taping.parts.values().fold(0, |all, (.., bytes)| all.saturating_add(*bytes));
        if let Some(said) = said {
            (self.sums, self.secs) = (said.sums, said.secs);
            self.orig_kb = said.orig_kb.unwrap_or(self.orig_kb);
        }
    }

    fn fill_from(&mut self, header: &Header) {
        self.sums = Sums { native: header.native, client: header.client, server: header.server };
        self.orig_kb = header.orig_kb.unwrap_or(0);
        self.bytes = header.server.map_or(0, |crc| crc.bytes);
    }
}

pub(super) fn key(part: &Part) -> Key {
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
