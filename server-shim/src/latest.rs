//! The last receipts of each host: written by the runner, read by the shim when a laptop asks what the server has.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wire::{HostName, Outcome, Receipt};

use crate::durable;
use crate::layout::Layout;
use crate::lock;

/// `latest/HOST.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Latest {
    /// The last receipt of each disk, whatever its outcome.
    pub last: Vec<Receipt>,
    /// The last receipt of each disk that was a backup, where the last one was not.
    pub backup: Vec<Receipt>,
    /// Runs of late, for the budget.
    pub runs: Vec<Past>,
}

/// One run of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// Seconds since the epoch at which it ended.
    pub at: i64,
    /// Bytes it stored for this host.
    pub bytes: u64,
}

/// What a host used within the budget's time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Runs.
    pub runs: u32,
    /// Bytes stored.
    pub bytes: u64,
}

impl Latest {
    /// Reads a host's last receipts; an unreadable file is as if there were none (the laptop's disks are then due).
    pub fn load(layout: &Layout, host: &HostName) -> io::Result<Self> {
        Ok(durable::read_json(&layout.latest_of(host))?.unwrap_or_default())
    }

    /// Changes a host's last receipts, durably; whoever else does so meanwhile waits.
    pub fn change(layout: &Layout, host: &HostName, change: impl FnOnce(&mut Self)) -> io::Result<()> {
        let _held = lock::take(&layout.latest_lock())?;
        let before = Self::load(layout, host).unwrap_or_default();
        let mut latest = before.clone();
        change(&mut latest);
        if latest == before {
            return Ok(());
        }
        durable::write_json(&layout.latest_of(host), &latest, 0o640)
    }

    /// Takes what a catalog has of the host's disks now: a backup that cannot be restored any more is none.
    pub fn restated(&mut self, now: &[Receipt]) {
        for there in now {
            let same = |other: &Receipt| other.disk == there.disk && other.config == there.config;
            self.backup.retain(|other| !same(other));
            let Some(last) = self.last.iter_mut().find(|last| same(last)) else {
                self.last.push(there.clone());
                continue;
            };
            let is_it = (&last.datestamp, last.level) == (&there.datestamp, there.level);
            let is_later = if last.datestamp.is_empty() { there.started > last.started } else { there.datestamp > last.datestamp };
            if last.is_backup() && !(is_it && there.is_backup()) && !is_later {
                last.outcome = Outcome::Failed;
                last.chain.clear();
                let gone = || "it was backed up, and what it would be restored from is not on the volumes any more".to_owned();
                last.reason = if there.is_backup() || there.reason.is_empty() { gone() } else { there.reason.clone() };
            }
            match (there.is_backup(), is_it && last.is_backup()) {
                (false, _) => {}
                (true, true) => last.chain.clone_from(&there.chain),
                (true, false) if is_later => *last = there.clone(),
                (true, false) => self.backup.push(there.clone()),
            }
        }
    }

    /// Takes the receipts of one more run.
    pub fn add(&mut self, receipts: &[Receipt], now: i64, window: Duration) {
        for receipt in receipts {
            let same = |other: &Receipt| other.disk == receipt.disk && other.config == receipt.config;
            let displaced = self.last.iter().position(same).map(|at| self.last.remove(at));
            self.last.push(receipt.clone());
            if receipt.is_backup() {
                self.backup.retain(|other| !same(other));
            } else if let Some(good) = displaced.filter(Receipt::is_backup) {
                self.backup.push(good);
            }
        }
        // A try that failed uses nothing up.
        if receipts.iter().any(Receipt::is_backup) {
            self.runs.push(Past { at: now, bytes: receipts.iter().filter_map(|receipt| receipt.bytes).sum() });
        }
        self.runs.retain(|past| now - past.at < window.as_secs() as i64);
    }

    /// Adds up what was used since `window` ago.
    pub fn spent(&self, now: i64, window: Duration) -> Spent {
        let recent = self.runs.iter().filter(|past| now - past.at < window.as_secs() as i64);
        recent.fold(Spent::default(), |spent, past| Spent { runs: spent.runs + 1, bytes: spent.bytes + past.bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Base, DiskName, Outcome};

    fn receipt(run: &str, outcome: Outcome) -> Receipt {
        Receipt {
            run: run.to_owned(),
            host: "a".parse().expect("name"),
            config: "daily".parse().expect("name"),
            disk: DiskName::new("/home").expect("name"),
            outcome,
            level: Some(0),
            datestamp: "20261122000000".to_owned(),
            started: 0,
            finished: 1,
            bytes: Some(10),
            crc32c: None,
            sent_crc32c: None,
            orig_kb: None,
            reason: String::new(),
            chain: vec![Base { level: 0, datestamp: "20261122000000".to_owned(), places: vec!["/h".to_owned()] }],
        }
    }

    #[test]
    fn a_failure_keeps_the_last_backup_beside_it() {
        let day = Duration::from_secs(86_400);
        let mut latest = Latest::default();
        latest.add(&[receipt("1", Outcome::Ok)], 100, day);
        latest.add(&[receipt("2", Outcome::Failed)], 200, day);
        latest.add(&[receipt("3", Outcome::Partial)], 300, day);
        assert_eq!((latest.last[0].run.as_str(), latest.backup[0].run.as_str()), ("3", "1"));
        latest.add(&[receipt("4", Outcome::Strange)], 400, day);
        assert_eq!((latest.last.len(), latest.backup.len()), (1, 0));
    }

    #[test]
    fn what_a_catalog_has_now_is_what_counts() {
        let at = |stamp: &str, outcome, places: &str| {
            let mut receipt = receipt("", outcome);
            receipt.datestamp = stamp.to_owned();
            receipt.chain = vec![Base { level: 0, datestamp: stamp.to_owned(), places: vec![places.to_owned()] }];
            if outcome == Outcome::Failed {
                receipt.chain.clear();
                receipt.reason = "slot 1 is gone".to_owned();
            }
            receipt
        };
        let ok = |stamp: &str, places: &str| at(stamp, Outcome::Ok, places);
        let failed = |stamp: &str| at(stamp, Outcome::Failed, "");
        let told = |last: Vec<Receipt>, backup: Vec<Receipt>, now: Receipt| {
            let mut latest = Latest { last, backup, runs: vec![] };
            latest.restated(&[now]);
            let shown =
                |receipts: &[Receipt]| receipts.iter().map(|receipt| (receipt.datestamp.clone(), receipt.is_backup())).collect::<Vec<_>>();
            let place = latest.last[0].chain.first().map(|base| base.places[0].clone());
            (shown(&latest.last), shown(&latest.backup), place, latest.last[0].reason.clone())
        };
        let (one, two) = ("1".to_owned(), "2".to_owned());
        let none = String::new();
        // Still there, at another place.
        assert_eq!(told(vec![ok("1", "a")], vec![], ok("1", "b")), (vec![(one.clone(), true)], vec![], Some("b".to_owned()), none.clone()));
        // Gone, and nothing is left of the disk; or an older one is left.
        let gone = |why: &str| why.to_owned();
        assert_eq!(told(vec![ok("1", "a")], vec![], failed("1")), (vec![(one.clone(), false)], vec![], None, gone("slot 1 is gone")));
        let (last, backup, _, reason) = told(vec![ok("2", "a")], vec![], ok("1", "b"));
        assert_eq!((last, backup), (vec![(two.clone(), false)], vec![(one.clone(), true)]));
        assert!(reason.contains("not on the volumes any more"), "{reason}");
        // One that was taped later by somebody else than its own run.
        assert_eq!(told(vec![ok("1", "a")], vec![], ok("2", "b")).0, [(two.clone(), true)]);
        // A failure keeps what was there before it beside it, as long as that is there.
        assert_eq!(told(vec![failed("2")], vec![ok("1", "a")], ok("1", "b")).1, [(one.clone(), true)]);
        assert_eq!(told(vec![failed("2")], vec![ok("1", "a")], failed("1")).1, []);
        // Of one that nobody here had heard of.
        let mut latest = Latest::default();
        latest.restated(&[ok("1", "a")]);
        assert_eq!(latest.last.len(), 1);
    }

    #[test]
    fn the_budget_forgets_after_its_window() {
        let day = Duration::from_secs(86_400);
        let mut latest = Latest::default();
        latest.add(&[receipt("1", Outcome::Ok)], 0, day);
        latest.add(&[receipt("2", Outcome::Ok)], 80_000, day);
        assert_eq!(latest.spent(80_001, day), Spent { runs: 2, bytes: 20 });
        assert_eq!(latest.spent(86_400, day), Spent { runs: 1, bytes: 10 });
    }
}
