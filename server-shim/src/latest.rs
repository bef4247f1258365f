//! The last receipts of each host: written by the runner, read by the shim when a laptop asks what the server has.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wire::{HostName, Receipt};

use crate::durable;
use crate::layout::Layout;

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
    fn the_budget_forgets_after_its_window() {
        let day = Duration::from_secs(86_400);
        let mut latest = Latest::default();
        latest.add(&[receipt("1", Outcome::Ok)], 0, day);
        latest.add(&[receipt("2", Outcome::Ok)], 80_000, day);
        assert_eq!(latest.spent(80_001, day), Spent { runs: 2, bytes: 20 });
        assert_eq!(latest.spent(86_400, day), Spent { runs: 1, bytes: 10 });
    }
}
