//! Which volume a dump goes to, and which volumes may be erased: functions of values.
//!
//! Runs share a volume until it is full or has been written to for its period. Then the oldest one that may be erased is taken,
//! else a new one is made; after a pause, or by a clock that is ahead, the new one comes first: what is old by one date alone may not
//! be. Nothing is ever taken away that is younger than the retention, or that a restore of something
//! younger needs, or that belongs to the last restorable state of a disk; where that leaves nothing, a full period gives way.

pub mod algo;
pub mod cycle;
pub mod flush;

use std::collections::{BTreeMap, BTreeSet};

use amanda::chains::{Bases, Restorable};
use amanda::dle::Dle;

/// So many files a volume gets before another one is begun: each run lists what is on its volume again.
pub const MANY_FILES: usize = 1_000;

/// A dump: whose, when, which level.
pub type Key = (Dle, String, u8);

/// What may be done with a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is on it.
    Empty,
    /// What is on it may be taken away.
    Reusable,
    /// What is on it is kept.
    Kept,
    /// It is left alone: somebody said so, or nobody knows what it is.
    Locked,
}

/// A volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// What may be done with it.
    pub standing: Standing,
    /// Bytes on it, headers included.
    pub bytes: u64,
    /// Files on it.
    pub files: usize,
    /// The time of its oldest dump, in seconds since 1970.
    pub first: i64,
    /// The time of its youngest dump.
    pub last: i64,
}

/// What amanda.conf says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Bytes that a volume holds.
    pub length: u64,
    /// Seconds for which a volume is written to.
    pub period: i64,
    /// So many volumes there may be.
    pub most: usize,
    /// A new one can be labelled.
    pub can_label: bool,
    /// Nothing was dumped for longer than a period, or the clock is ahead: volumes are added as long as there may be more.
    pub only_adds: bool,
    /// Now.
    pub now: i64,
}

/// Where a dump goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Behind what is on this volume.
    Append(usize),
    /// On this volume, when it has been erased.
    Erase(usize),
    /// On a new one.
    New,
    /// Nowhere: all volumes are needed.
    Nowhere,
}

/// Chooses a volume for a dump of so many bytes, header included.
pub fn choose(volumes: &[Volume], rules: &Rules, bytes: u64) -> Choice {
    let fits = |volume: &Volume| volume.standing == Standing::Kept && volume.bytes.saturating_add(bytes) <= rules.length;
    let all = || volumes.iter().enumerate();
    let is_current = |volume: &Volume| {
        // A volume of the future is as good as any: its period is not known to be over.
        volume.files < MANY_FILES && volume.first + rules.period > rules.now
    };
    let current = all().filter(|(_, volume)| fits(volume) && is_current(volume)).max_by_key(|(at, volume)| (volume.last, *at));
    if let Some((at, _)) = current {
        return Choice::Append(at);
    }
    if let Some((at, _)) = all().find(|(_, volume)| volume.standing == Standing::Empty) {
        return Choice::Append(at);
    }
    let may_add = rules.can_label && volumes.len() < rules.most;
    if may_add && rules.only_adds {
        return Choice::New;
    }
    let oldest = all().filter(|(_, volume)| volume.standing == Standing::Reusable).min_by_key(|(_, volume)| volume.last);
    if let Some((at, _)) = oldest {
        return Choice::Erase(at);
    }
    if may_add {
        return Choice::New;
    }
    all()
        .filter(|(_, volume)| fits(volume))
        .max_by_key(|(at, volume)| (volume.last, *at))
        .map_or(Choice::Nowhere, |(at, _)| Choice::Append(at))
}

/// Returns the dumps that are kept, whatever volume they are on: those that are younger than the retention, the last restorable one of
/// each disk that is still listed, and everything that these build on. What `is_past` does not say to be dated before now is the last
/// one only where there is nothing else.
pub fn needed(
    chains: &BTreeMap<Dle, Vec<Restorable>>,
    is_listed: &dyn Fn(&Dle) -> bool,
    is_young: &dyn Fn(&str) -> bool,
    is_past: &dyn Fn(&str) -> bool,
) -> BTreeSet<Key> {
    let mut needed = BTreeSet::new();
    for (dle, dumps) in chains {
        let certain = || dumps.iter().rev().filter(|dump| dump.is_certain());
        let newest = certain().find(|dump| is_past(&dump.datestamp)).or_else(|| certain().next()).or(dumps.last());
        let newest = newest.filter(|_| is_listed(dle));
        for dump in dumps.iter().filter(|dump| is_young(&dump.datestamp)).chain(newest) {
            needed.insert((dle.clone(), dump.datestamp.clone(), dump.level));
            let (Bases::Complete(bases) | Bases::Doubtful { bases, .. }) = &dump.bases else { continue };
            let levels = (0..dump.level).rev();
            needed.extend(levels.zip(bases).map(|(level, stamp)| (dle.clone(), stamp.clone(), level)));
        }
    }
    needed
}

/// Returns what is kept of listed disks of which nothing is certain: of each level the newest dump, though it is damaged. Somebody may
/// get something out of it.
pub fn last_resort<'a>(
    dumps: impl IntoIterator<Item = &'a Key>,
    chains: &BTreeMap<Dle, Vec<Restorable>>,
    is_listed: &dyn Fn(&Dle) -> bool,
) -> BTreeSet<Key> {
    let is_certain = |dle: &Dle| chains.get(dle).is_some_and(|dumps| dumps.iter().any(Restorable::is_certain));
    let mut newest: BTreeMap<(&Dle, u8), &Key> = BTreeMap::new();
    for key in dumps {
        let best = newest.entry((&key.0, key.2)).or_insert(key);
        *best = (*best).max(key);
    }
    newest.into_iter().filter(|((dle, _), _)| is_listed(dle) && !is_certain(dle)).map(|(_, key)| key.clone()).collect()
}

/// Says whether a volume may be erased that has these dumps on it.
pub fn may_erase<'a>(dumps: impl IntoIterator<Item = &'a Key>, needed: &BTreeSet<Key>, is_young: &dyn Fn(&str) -> bool) -> bool {
    dumps.into_iter().all(|key| !needed.contains(key) && !is_young(&key.1))
}

#[cfg(test)]
mod tests;
