//! The volumes as they are while dumps are put on them.

use std::collections::HashSet;
use std::fs;

use amanda::header::Start;
use amanda::tapelist::Tapelist;
use amanda::vtape::Volume as Directory;

use super::volume_failed;
use crate::engine::Trouble;
use crate::engine::embedded::bases::may_matter;
use crate::engine::embedded::catalog::{Catalog, Shelved};
use crate::engine::embedded::files;
use crate::engine::embedded::site::{Site, failed};
use crate::engine::embedded::stamp;
use crate::engine::embedded::volumes::{Key, Rules, Standing, Volume, last_resort, may_erase, needed};

/// A volume is written to for this part of the retention.
const PERIODS: i64 = 4;

/// A labelled volume in its slot.
#[derive(Debug)]
pub struct Place {
    /// The directory.
    pub volume: Directory,
    /// The label.
    pub label: String,
    /// What it is like now.
    pub state: Volume,
    /// The dumps that were on it at first, in order.
    pub dumps: Vec<Key>,
    /// Those of them that something may build on that does not say so.
    pub under: Vec<Key>,
    /// Those of them that no log has, and their files.
    pub unlogged: Vec<(u32, Key)>,
    /// What was on it has been taken away.
    pub is_erased: bool,
    /// Its log or its date says something else than its files.
    pub is_wrong: bool,
}

impl Place {
    pub(super) fn erased(&mut self) {
        (self.is_erased, self.is_wrong) = (true, false);
        self.state = Volume { standing: Standing::Empty, bytes: 0, files: 0, first: 0, last: 0 };
    }

    pub(super) fn added(&mut self, bytes: u64, now: i64) {
        if self.state.standing == Standing::Empty {
            self.state.first = now;
        }
        self.state = Volume {
            standing: Standing::Kept,
            bytes: self.state.bytes.saturating_add(bytes),
            files: self.state.files + 1,
            first: self.state.first,
            last: now,
        };
    }
}

/// All of them.
#[derive(Debug)]
pub struct Shelves {
    /// The volumes.
    pub places: Vec<Place>,
    /// What amanda.conf says of them.
    pub rules: Rules,
    /// Slots that have no volume, though they are there.
    free: Vec<u32>,
    slots: HashSet<u32>,
}

impl Shelves {
    /// Returns the volumes of a catalog.
    pub fn of(site: &Site, catalog: &Catalog, now: i64) -> Self {
        let retention = site.retention();
        // What is dated in the future was made by a clock that was ahead; nobody knows how old it is.
        let is_young = |date: &str| stamp::seconds(date).is_none_or(|made| made.saturating_add(retention) > now);
        let is_listed = |dle: &_| site.disk(dle).is_some();
        let latest = stamp::latest(now);
        let is_past = |date: &str| date <= latest.as_str();
        let mut needed = needed(&catalog.chains, &is_listed, &is_young, &is_past);
        needed.extend(last_resort(catalog.dumps.keys(), &catalog.chains, &is_listed));
        let shelved = catalog.volumes.iter().flat_map(|shelved| &shelved.dumps);
        let newest = shelved.filter(|key| is_past(&key.1)).filter_map(|key| stamp::seconds(&key.1)).max();
        let state = |shelved: &Shelved| {
            let tape = shelved.label.as_ref().and_then(|label| catalog.tapelist.get(label));
            let unknown = shelved.files > shelved.dumps.len() && is_young(&shelved.date);
            let standing = match shelved.files {
                _ if tape.is_some_and(|tape| !tape.reuse) => Standing::Locked,
                0 => Standing::Empty,
                _ if !unknown && may_erase(&shelved.dumps, &needed, &is_young) => Standing::Reusable,
                _ => Standing::Kept,
            };
            let times = || shelved.dumps.iter().filter_map(|key| stamp::seconds(&key.1));
            // Only a log tells that parts of a dump are all of it: such a volume gets nothing more, and keeps its log.
            let in_parts = shelved.dumps.iter().any(|key| catalog.dumps.get(key).is_some_and(|dump| dump.files.len() > 1));
            Volume {
                standing,
                bytes: if in_parts { u64::MAX } else { shelved.bytes },
                files: shelved.files,
                first: times().min().unwrap_or(now),
                last: times().max().unwrap_or(0),
            }
        };
        let labelled =
            catalog.volumes.iter().filter(|shelved| shelved.odd.is_none()).filter_map(|shelved| Some((shelved, shelved.label.clone()?)));
        let places = labelled.map(|(shelved, label)| Place {
            volume: shelved.volume.clone(),
            state: state(shelved),
            dumps: shelved.dumps.clone(),
            under: if catalog.is_noted() {
                Vec::new()
            } else {
                shelved.dumps.iter().filter(|key| may_matter(catalog, key)).cloned().collect()
            },
            unlogged: shelved.unlogged.clone(),
            is_erased: false,
            is_wrong: is_wrong(shelved, catalog),
            label,
        });
        let places: Vec<_> = places.collect();
        let rules = Rules {
            length: site.volume_bytes(),
            period: retention / PERIODS,
            most: site.config().tapecycle() as usize,
            can_label: site.label(1).is_some(),
            only_adds: newest.is_some_and(|newest| newest.saturating_add(retention / PERIODS) < now),
            now,
        };
        let free = catalog.volumes.iter().filter(|shelved| shelved.label.is_none() && shelved.odd.is_none() && shelved.files == 0);
        Self {
            places,
            rules,
            free: free.map(|shelved| shelved.slot).collect(),
            slots: catalog.volumes.iter().map(|shelved| shelved.slot).collect(),
        }
    }

    /// Returns what they are like, in their order.
    pub fn states(&self) -> Vec<Volume> {
        self.places.iter().map(|place| place.state).collect()
    }

    /// Returns the volume whose youngest dump is the oldest, of those that may be erased.
    pub fn oldest_reusable(&self) -> Option<usize> {
        let all = self.places.iter().enumerate().filter(|(_, place)| place.state.standing == Standing::Reusable);
        all.min_by_key(|(_, place)| place.state.last).map(|(at, _)| at)
    }

    /// Labels a new volume. A label that the tapelist has and no slot is that of a volume that was being labelled; it comes first.
    pub(super) fn make(&mut self, site: &Site, tapelist: &Tapelist) -> Result<Option<usize>, Trouble> {
        let used: HashSet<&str> = self.places.iter().map(|place| place.label.as_str()).collect();
        let labels = || (1..).map_while(|number| site.label(number)).filter(|label| !used.contains(label.as_str()));
        let lost = labels().find(|label| tapelist.get(label).is_some_and(|tape| tape.datestamp == "0" && tape.reuse));
        let Some(label) = lost.or_else(|| labels().find(|label| tapelist.get(label).is_none())) else { return Ok(None) };
        let slot = self.free.pop().or_else(|| (1..).find(|slot| !self.slots.contains(slot))).unwrap_or(1);
        let changer = site.changer();
        let volume = changer.make_slot(slot).map_err(|error| failed("cannot make a slot in", changer.directory(), &error))?;
        volume.relabel(&Start { datestamp: "X".to_owned(), label: label.clone() }).map_err(|error| volume_failed(&error))?;
        files::sync_parent(volume.directory()).map_err(|error| failed("cannot make a slot in", changer.directory(), &error))?;
        if fs::symlink_metadata(changer.directory().join("data")).is_err() {
            // Amanda does without it, as do file systems that have no symlinks.
            let _ = changer.set_current(slot);
        }
        self.slots.insert(slot);
        let state = Volume { standing: Standing::Empty, bytes: 0, files: 0, first: 0, last: 0 };
        self.places.push(Place {
            volume,
            label,
            state,
            dumps: Vec::new(),
            under: Vec::new(),
            unlogged: Vec::new(),
            is_erased: false,
            is_wrong: false,
        });
        Ok(Some(self.places.len() - 1))
    }
}

/// Says whether a volume's log and dates say what is on it.
fn is_wrong(shelved: &Shelved, catalog: &Catalog) -> bool {
    let Some(label) = shelved.label.as_ref().filter(|_| shelved.odd.is_none()) else { return false };
    let date = catalog.tapelist.get(label).map_or("0", |tape| tape.datestamp.as_str());
    let agree = date == shelved.date || (date == "0" && (shelved.date == "X" || shelved.dumps.is_empty()));
    !agree || !shelved.unlogged.is_empty() || shelved.misses
}

/// Says whether any volume's log or date is wrong.
pub(in crate::engine::embedded) fn any_wrong(catalog: &Catalog) -> bool {
    catalog.volumes.iter().any(|shelved| {
        is_wrong(shelved, catalog)
            || shelved.label.as_ref().is_some_and(|label| shelved.odd.is_none() && catalog.tapelist.get(label).is_none())
    })
}
