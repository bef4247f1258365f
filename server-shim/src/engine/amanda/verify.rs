//! Reads the dumps of an installed Amanda back: from their files where these are files, by `amfetchdump -l` otherwise.
//!
//! Amanda's files have no place for what is found, so it is noted in the runner's state ([`crate::verified`]). From then on a damaged dump counts as gone
//! for receipts and bases: its disk is due, and its next dump is a full one. What cannot be read now (a volume that is not in its drive) is told, and is no damage.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use amanda::dle::Dle;
use restore::unpack::{Event, Packed};
use wire::restore::{Dump, DumpId};
use wire::{ConfigName, Outcome, Receipt};

use super::{AmandaEngine, judge};
use crate::config::Config;
use crate::engine::Trouble;
use crate::engine::embedded::verify::{Candidate, Chosen, Turn, choose};
use crate::latest::Latest;
use crate::restore::leash::Leash;
use crate::restore::packing;
use crate::restore::source::installed::Installed;
use crate::restore::source::{Data, Source as _, Stored};
use crate::runner::{clock, log};
use crate::verified::{self, Verified, sums};

/// So much is read at once.
const PIECE: usize = 1024 * 1024;

/// What was read back, and what was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Dumps that were read and are what was dumped.
    pub dumps: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Dumps that are not, and what is wrong, a sentence.
    pub damaged: Vec<(DumpId, String)>,
    /// Dumps that could not be read now, and why.
    pub unread: Vec<(DumpId, String)>,
    /// Disks that are due, since what they have cannot be restored.
    pub due: Vec<Dle>,
    /// What was not read.
    pub passed_over: Chosen,
}

/// What became of one dump.
enum Read1 {
    Sound(u64),
    Damaged(String),
    Unread(String),
    /// It is not listed any more.
    Gone,
}

/// Reads those dumps of a config back whose turn it is.
///
/// # Errors
/// When Amanda's catalog cannot be read, or what was found cannot be noted.
pub fn verify(config: &Config, name: &ConfigName, turn: &Turn) -> Result<Found, Trouble> {
    let layout = config.layout();
    let mut source = Installed::open(config, name, Arc::new(Leash::default()))?;
    let mut listed: BTreeMap<(Dle, String, u8), Dump> = BTreeMap::new();
    for host in source.hosts() {
        listed.extend(source.dumps(&host)?.into_iter().map(|dump| (key(&dump.id), dump)));
    }
    let book = book(config, name);
    let note = |change: &mut dyn FnMut(&mut Vec<Verified>)| {
        verified::change(&layout, &book, |dumps| change(dumps)).map_err(|error| {
            let path = layout.verified_of(&book);
            Trouble::config(
                format!("{}: {error}", path.display()),
                "the runner's state belongs to Amanda's account, which alone may write it",
            )
        })
    };
    let mut known = BTreeMap::new();
    note(&mut |dumps| {
        dumps.retain(|dump| listed.contains_key(&key_of(dump)));
        known = dumps.iter().map(|dump| (key_of(dump), dump.clone())).collect();
        dumps.extend(listed.iter().filter(|(key, _)| !known.contains_key(*key)).map(|(_, dump)| entry(&dump.id, None, None)));
    })?;
    let candidates = listed.iter().map(|(key, dump)| {
        let (verified, damage) = known.get(key).map_or((None, false), |known| (known.verified, known.damage.is_some()));
        Candidate { key: key.clone(), bytes: dump.bytes, verified, is_damaged: damage }
    });
    let mut chosen = choose(candidates.collect(), turn, clock() as i64);
    let mut found = Found::default();
    for key in std::mem::take(&mut chosen.keys) {
        let Some(dump) = listed.get(&key) else { continue };
        let id = &dump.id;
        let new = match read_back(&mut source, id) {
            Read1::Gone => continue,
            Read1::Unread(why) => {
                found.unread.push((id.clone(), why));
                continue;
            }
            Read1::Sound(bytes) => {
                found.dumps += 1;
                found.bytes = found.bytes.saturating_add(bytes);
                entry(id, Some(clock() as i64), None)
            }
            Read1::Damaged(what) => {
                log(&format!("event=damaged_dump config={name} host={} datestamp={} level={}", id.host, id.datestamp, id.level));
                found.damaged.push((id.clone(), what.clone()));
                entry(id, None, Some(what))
            }
        };
        note(&mut |dumps| {
            dumps.retain(|dump| key_of(dump) != key);
            dumps.push(new.clone());
        })?;
    }
    found.passed_over = chosen;
    found.due = settle(config, &book)?;
    Ok(found)
}

/// Returns the config under whose name is noted what the dumps of `name` are like: overlays share a catalog.
pub fn book(config: &Config, name: &ConfigName) -> ConfigName {
    let is_host = config.hosts.values().any(|rule| rule.config == *name);
    if is_host { config.shared_config(name).clone() } else { name.clone() }
}

/// Has the disks dumped anew whose last backup needs a damaged dump, and tells their laptops.
fn settle(config: &Config, book: &ConfigName) -> Result<Vec<Dle>, Trouble> {
    let (engine, layout) = (AmandaEngine::new(config), config.layout());
    let mut due = Vec::new();
    for (host, rule) in config.hosts.iter().filter(|(_, rule)| config.shared_config(&rule.config) == book) {
        let latest = Latest::load(&layout, host).unwrap_or_default();
        let chains = engine.dumps_of(&rule.config, std::slice::from_ref(host))?;
        let mut gone = judge::vanished(&latest, &rule.config, &chains);
        gone.dedup();
        for dle in &gone {
            // First, since the next run looks at what the laptops have been told.
            engine.force_full(&rule.config, dle)?;
        }
        let changed = Latest::change(&layout, host, |latest| gone.iter().for_each(|dle| withdraw(latest, &rule.config, dle)));
        changed.map_err(|error| {
            Trouble::config(
                format!("{}: {error}", layout.latest_of(host).display()),
                "the runner's state belongs to Amanda's account, which alone may write it",
            )
        })?;
        due.extend(gone);
    }
    due.sort();
    due.dedup();
    Ok(due)
}

/// Takes a disk's backups back.
fn withdraw(latest: &mut Latest, config: &ConfigName, dle: &Dle) {
    let is_its = |receipt: &Receipt| {
        receipt.config == *config && receipt.host.as_str() == dle.host && receipt.disk.as_os_str() == dle.disk && receipt.is_backup()
    };
    latest.backup.retain(|receipt| !is_its(receipt));
    for receipt in latest.last.iter_mut().filter(|receipt| is_its(receipt)) {
        receipt.outcome = Outcome::Failed;
        receipt.chain.clear();
        receipt.reason = "it was backed up, and a dump that it would be restored from is damaged or gone".to_owned();
    }
}

fn read_back(source: &mut Installed, id: &DumpId) -> Read1 {
    let stored = match source.as_it_is(id) {
        Ok(stored) => stored,
        Err(trouble) => return doubt(source, id, trouble.message),
    };
    let what = match sound(stored) {
        Ok(Ok(bytes)) => return Read1::Sound(bytes),
        Ok(Err(what)) => (what, true),
        Err(error) => (format!("it cannot be read: {error}"), false),
    };
    // A dump that went to two places is lost when both are.
    for number in 1.. {
        match source.copy(id, number).map(|copy| copy.map(sound)) {
            Ok(Some(Ok(Ok(bytes)))) => {
                log(&format!("event=damaged_copy host={} datestamp={} level={} what={:?}", id.host, id.datestamp, id.level, what.0));
                return Read1::Sound(bytes);
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
    }
    match what {
        (what, true) => doubt_damage(source, id, what),
        (why, false) => doubt(source, id, why),
    }
}

/// Reads a copy to its end: the number of its bytes, or what is wrong with it.
fn sound(stored: Stored) -> io::Result<Result<u64, String>> {
    let (sum, native) = (stored.sum, stored.native);
    let (from, bytes): (Box<dyn Read>, _) = match stored.data {
        Data::Files(parts) => (Box::new(parts), None),
        // What fills the last block up is behind the dump.
        Data::Stream(stream) => (stream, sum.map(|sum| sum.bytes)),
    };
    let mut reading = Reading { from, piece: Vec::new(), is_ahead: false, left: bytes };
    reading.more()?;
    let packing = native.filter(amanda::crc::Crc::is_known).and(packing::of(reading.first()));
    let sums = sums::read(&mut reading, packing)?;
    Ok(sums.fault(sum, native).map_or(Ok(sums.stored.bytes), Err))
}

/// A dump is not what it was: unless it is not listed any more, since a run has taken its volume meanwhile.
fn doubt_damage(source: &mut Installed, id: &DumpId, what: String) -> Read1 {
    match source.is_listed(id) {
        Ok(true) => Read1::Damaged(what),
        Ok(false) => Read1::Gone,
        Err(trouble) => Read1::Unread(trouble.message),
    }
}

/// A dump cannot be read: it is damaged when its files show it, and not there now otherwise.
fn doubt(source: &mut Installed, id: &DumpId, why: String) -> Read1 {
    match source.fault(id) {
        Some(what) => doubt_damage(source, id, what),
        None => match source.is_listed(id) {
            Ok(false) => Read1::Gone,
            _ => Read1::Unread(why),
        },
    }
}

fn key(id: &DumpId) -> (Dle, String, u8) {
    (Dle::new(id.host.as_str(), id.disk.as_os_str()), id.datestamp.clone(), id.level)
}

/// Returns which dump it is.
pub fn key_of(dump: &Verified) -> (Dle, String, u8) {
    (Dle::new(dump.host.clone(), dump.disk.as_os_str()), dump.datestamp.clone(), dump.level)
}

fn entry(id: &DumpId, verified: Option<i64>, damage: Option<String>) -> Verified {
    let DumpId { host, disk, datestamp, level } = id.clone();
    Verified { host: host.as_str().to_owned(), disk, datestamp, level, verified, damage }
}

/// Bytes as they come.
struct Reading {
    from: Box<dyn Read>,
    piece: Vec<u8>,
    /// The piece has been read and not given out.
    is_ahead: bool,
    /// What is behind that is no part of the dump.
    left: Option<u64>,
}

impl Reading {
    /// Reads the next piece. Says whether there was one.
    fn more(&mut self) -> io::Result<bool> {
        self.piece.clear();
        (&mut self.from).take(PIECE as u64).read_to_end(&mut self.piece)?;
        let is_end = self.piece.is_empty();
        if let Some(left) = &mut self.left {
            let length = usize::try_from(*left).map_or(self.piece.len(), |left| left.min(self.piece.len()));
            self.piece.truncate(length);
            *left -= length as u64;
        }
        self.is_ahead = true;
        Ok(!is_end)
    }

    /// Returns the first bytes, by which one can tell how a dump is packed.
    fn first(&self) -> &[u8] {
        &self.piece[..self.piece.len().min(packing::BLOCK)]
    }
}

impl Packed for Reading {
    fn next(&mut self) -> io::Result<Option<Event<'_>>> {
        if !self.is_ahead && !self.more()? {
            return Ok(None);
        }
        self.is_ahead = false;
        Ok(Some(Event::Bytes(&self.piece)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fills_a_block_up_is_read_and_not_counted() {
        let bytes = [vec![7; 1000], vec![0; 24]].concat();
        for (left, counted) in [(None, 1024), (Some(1000), 1000), (Some(5000), 1024)] {
            let mut reading = Reading { from: Box::new(io::Cursor::new(bytes.clone())), piece: Vec::new(), is_ahead: false, left };
            assert!(reading.more().expect("in memory"));
            let sums = sums::read(&mut reading, None).expect("in memory");
            assert_eq!(sums.stored.bytes, counted);
        }
    }

    #[test]
    fn a_withdrawn_backup_is_none_and_the_others_stay() {
        let receipt = |disk: &str| {
            let json = serde_json::json!({
                "run": "1", "config": "daily", "host": "a", "disk": disk, "outcome": "OK", "level": 0, "datestamp": "20261122023017",
                "started": 1, "finished": 2, "reason": "", "chain": [{ "level": 0, "datestamp": "20261122023017", "places": ["V:1"] }],
            });
            serde_json::from_value::<Receipt>(json).expect("a receipt")
        };
        let mut latest = Latest { last: vec![receipt("/"), receipt("/home")], backup: vec![], runs: vec![] };
        withdraw(&mut latest, &"daily".parse().expect("a name"), &Dle::new("a", "/home"));
        assert!(latest.last[0].is_backup() && !latest.last[1].is_backup());
        withdraw(&mut latest, &"other".parse().expect("a name"), &Dle::new("a", "/"));
        assert!(latest.last[0].is_backup());
    }
}
