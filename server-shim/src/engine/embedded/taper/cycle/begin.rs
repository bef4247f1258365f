//! A volume is begun.

use std::collections::BTreeMap;

use amanda::header::Start;
use amanda::run_log::write::{Entry, Shelf};
use amanda::tapelist::Tape;
use amanda::vtape::{Volume, VtapeError};

use super::look::Search;
use super::settings::Settings;
use super::{Begun, Denied, Run};
use crate::engine::Trouble;
use crate::engine::embedded::bases::{self, may_matter};
use crate::engine::embedded::catalog::Catalog;
use crate::engine::embedded::site::{Site, failed};
use crate::engine::embedded::volumes::cycle::{Content, Next, Slot};
use crate::engine::embedded::volumes::flush::{Verdict, Waiting, is_worth};
use crate::engine::embedded::volumes::{Key, last_resort, needed};
use crate::engine::embedded::{files, forget, stamp};

/// Returns what is in the changer's slots, with those that it is to make.
pub(super) fn slots(catalog: &Catalog, settings: &Settings) -> Vec<Slot> {
    let mut slots: BTreeMap<u32, Content> = (1..=settings.makes_slots).map(|number| (number, Content::Empty)).collect();
    for shelved in &catalog.volumes {
        let content = match (&shelved.odd, &shelved.label) {
            (Some(why), Some(_)) => Content::Odd(why.clone()),
            (Some(why), None) => Content::Unreadable(why.clone()),
            (None, Some(label)) => Content::Labelled(label.clone()),
            (None, None) if shelved.files == 0 => Content::Empty,
            (None, None) => Content::NotAmandas,
        };
        slots.insert(shelved.slot, content);
    }
    slots.into_iter().map(|(number, content)| Slot { number, content }).collect()
}

/// Returns what each volume is needed for: the newest state of each listed disk that can be restored for certain, with all that it builds
/// on; of a disk of which nothing is certain, the newest of each level.
pub(in crate::engine::embedded) fn needs(site: &Site, catalog: &Catalog, now: i64) -> BTreeMap<String, String> {
    let is_listed = |dle: &_| site.disk(dle).is_some();
    let latest = stamp::latest(now);
    let kept = needed(&catalog.chains, &is_listed, &|_| false, &|date| date <= latest.as_str());
    let whole = |(dle, date, level): &Key| {
        let dump = catalog.of(dle).iter().find(|dump| dump.datestamp == *date && dump.level == *level);
        dump.map(|dump| dump.places.iter().flatten().cloned().collect::<Vec<_>>()).unwrap_or_default()
    };
    let mut needs = BTreeMap::new();
    for key in &kept {
        for place in whole(key) {
            if let amanda::admin::Place::Volume { label, .. } = place {
                let label = String::from_utf8_lossy(&label).into_owned();
                needs.entry(label).or_insert_with(|| format!("the newest state of {} that can be restored", key.0));
            }
        }
    }
    let last = last_resort(catalog.dumps.keys(), &catalog.chains, &is_listed);
    for shelved in &catalog.volumes {
        let Some(label) = shelved.label.as_ref().filter(|label| !needs.contains_key(*label)) else { continue };
        if let Some(key) = shelved.dumps.iter().find(|key| last.contains(*key)) {
            needs.insert(label.clone(), format!("what is left of {}", key.0));
        }
    }
    needs
}

impl Run<'_> {
    /// Begins a volume for what waits; `begun` is how much of a dump would be lost without one. The inner error says why there is none.
    pub(super) fn begin(&mut self, held: u64, begun: u64) -> Result<Result<(), Denied>, Trouble> {
        self.close()?;
        if let Some(denied) = &self.out {
            return Ok(Err(denied.clone()));
        }
        if self.count >= self.settings.runtapes {
            let why = format!("{} tapes filled; runtapes={} does not allow additional tapes", self.count, self.settings.runtapes);
            return self.denied(Denied { why, by_config: true, is_early: false }, true);
        }
        let verdict = is_worth(&self.settings.thresholds, &Waiting { held, to_come: 0, ended: true, begun });
        if verdict != Verdict::Begin {
            return self.denied(Denied { why: verdict.to_string(), by_config: true, is_early: true }, begun > 0);
        }
        loop {
            let Some(next) = self.scan()? else {
                let why = "No acceptable volumes found".to_owned();
                return self.denied(Denied { why, by_config: false, is_early: false }, true);
            };
            self.seen.insert(next.slot);
            self.from = next.slot.saturating_add(1);
            match self.label(&next)? {
                Ok(volume) => {
                    self.volume = Some(volume);
                    return Ok(Ok(()));
                }
                Err(error) => {
                    let why = format!("while labeling new volume: {error}");
                    self.watch.noted(&format!("the volume {} in slot {} cannot be written: {error}", next.label, next.slot));
                    self.add(&Entry::Info("taper", &why))?;
                }
            }
        }
    }

    fn denied(&mut self, denied: Denied, is_error: bool) -> Result<Result<(), Denied>, Trouble> {
        if is_error {
            let line = format!("no-tape {} [{}]", if denied.by_config { "config" } else { "error" }, denied.why);
            self.add(&Entry::Error("taper", &line))?;
        }
        self.out = Some(denied.clone());
        Ok(Err(denied))
    }

    fn scan(&mut self) -> Result<Option<Next>, Trouble> {
        let search = Search {
            site: self.site,
            catalog: self.catalog,
            settings: &self.settings,
            tapes: &self.tapes.list,
            slots: &self.slots,
            from: self.from,
            now: stamp::seconds(self.stamp).unwrap_or(i64::MAX),
        };
        let scan = search.scan(&self.seen);
        for passed in &scan.passed {
            let words = passed.to_string();
            if passed.is_news() {
                self.watch.noted(&words);
            }
            self.add(&Entry::Info("taper", &words))?;
        }
        if scan.next.is_none() {
            let expected = scan.expected.map_or_else(|| "a new one".to_owned(), |label| format!("{label}, or a new one"));
            self.watch.noted(&format!("there is no volume to write to; {expected} was expected"));
        }
        Ok(scan.next)
    }

    /// Takes everything off a volume and labels it. The inner error is one of this volume alone: another one may do.
    fn label(&mut self, next: &Next) -> Result<Result<Begun, String>, Trouble> {
        let changer = self.site.changer();
        let volume = changer.volume(next.slot);
        if let Err(error) = changer.make_slot(next.slot) {
            return Ok(Err(format!("cannot make a slot in {}: {error}", changer.directory().display())));
        }
        if let Err(error) = volume.probe() {
            return Ok(Err(words(&error)));
        }
        self.forget(&next.label)?;
        let start = Start { datestamp: self.stamp.to_owned(), label: next.label.clone() };
        if let Err(error) = volume.relabel(&start) {
            return Ok(Err(words(&error)));
        }
        files::sync_parent(volume.directory()).map_err(|error| failed("cannot make a slot in", changer.directory(), &error))?;
        // Amanda does without it, as do file systems that have no symlinks.
        let _ = changer.set_current(next.slot);
        let (storage, pool) = self.shelf.clone();
        let shelf = Shelf { storage: &storage, pool: &pool };
        self.count += 1;
        self.add(&Entry::Volume { datestamp: self.stamp, shelf, label: &next.label, number: self.count })?;
        self.date(&next.label, self.stamp)?;
        match volume.bytes() {
            Ok(bytes) => Ok(Ok(Begun { volume, label: next.label.clone(), bytes, written: 0, last: 0 })),
            Err(error) => Ok(Err(words(&error))),
        }
    }

    /// Notes that what is on a volume will be gone, before the first file is.
    fn forget(&mut self, label: &str) -> Result<(), Trouble> {
        let Some(shelved) = self.catalog.volumes.iter().find(|shelved| shelved.label.as_deref() == Some(label)) else {
            return self.date(label, "0");
        };
        if !shelved.dumps.is_empty() {
            self.watch.noted(&format!("the volume {label} is taken again"));
            let gone = shelved.dumps.iter().filter(|key| !self.catalog.is_noted() && may_matter(self.catalog, key));
            let noted = bases::note(self.site, gone.map(|key| (key, None))).and_then(|()| forget::intend(self.site, &shelved.dumps));
            noted.map_err(|error| failed("cannot write in", &self.site.own(), &error))?;
        }
        match self.tapes.list.get(label).is_some_and(|tape| tape.datestamp == "0") {
            true => Ok(()),
            false => self.date(label, "0"),
        }
    }

    /// Gives a volume a date in the tapelist, as Amanda's taper does: with its pool, its storage and its config.
    fn date(&mut self, label: &str, date: &str) -> Result<(), Trouble> {
        let (storage, pool) = self.shelf.clone();
        let config = self.site.name().as_str();
        let old = self.tapes.list.get(label).cloned().unwrap_or_else(|| Tape::new(date, label, config));
        let tape = Tape { datestamp: date.to_owned(), pool: Some(pool), storage: Some(storage), config: Some(config.to_owned()), ..old };
        self.tapes.list.put(Tape { block_kb: Some(32), ..tape });
        self.tapes.write()
    }
}

/// An error with its cause.
pub(super) fn words(error: &VtapeError) -> String {
    crate::engine::embedded::catalog::words(error)
}

/// Bytes that the file system of a volume has free; all, when it does not say.
pub(super) fn free(volume: &Volume) -> u64 {
    rustix::fs::statvfs(volume.directory()).map_or(u64::MAX, |status| status.f_bavail.saturating_mul(status.f_frsize))
}
