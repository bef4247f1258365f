//! Is it time? A function of values: the record of every disk, the interval and now.
//!
//! The oldest disk decides, so that one fresh disk hides no stale one. What cannot be trusted (a time in the future, a
//! record that cannot be read, a last receipt that is no backup) makes a disk due and never fresh.

use std::path::PathBuf;

use serde::Serialize;
use wire::{DiskName, Outcome, Receipt};

use crate::config::Interval;

/// What the laptop knows of one disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskRecord {
    /// Its name in the disklist.
    pub disk: DiskName,
    /// The record.
    pub known: Known,
}

/// One disk's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Nothing at all.
    Nothing,
    /// A line of amandates, and no receipt: what a laptop has that used the Perl script until today.
    Belief {
        /// The newest dump's level.
        level: u8,
        /// When it started, in seconds since the epoch.
        epoch: i64,
    },
    /// Receipts from this destination.
    Receipts {
        /// The newest one.
        last: Box<Receipt>,
        /// The newest one that is a backup.
        last_backup: Option<Box<Receipt>>,
    },
    /// A receipt was here, and cannot be read any more.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// Whose word a date is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Witness {
    /// The server's receipt.
    Receipt,
    /// The client's amandates: a hint.
    Amandates,
}

/// Why a disk is due, or is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Reason {
    /// Young enough.
    Fresh {
        /// Start of the last backup.
        since: i64,
        /// When it will be due.
        next: i64,
        /// Who says so.
        witness: Witness,
    },
    /// The last backup is an interval old, or older.
    Old {
        /// Its start.
        since: i64,
        /// Who says so.
        witness: Witness,
    },
    /// No backup is known.
    Never,
    /// The last backup claims to be from the future: this clock or that one is wrong.
    Future {
        /// The time claimed.
        at: i64,
        /// Who says so.
        witness: Witness,
    },
    /// The last receipt is no backup.
    NotABackup {
        /// Amanda's word.
        outcome: Outcome,
        /// The receipt's reason.
        because: String,
        /// When that run ended.
        at: i64,
        /// Start of the last one that was a backup.
        last_backup: Option<i64>,
    },
    /// The record cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl Reason {
    /// Tells whether the disk is due.
    pub fn is_due(&self) -> bool {
        !matches!(self, Self::Fresh { .. })
    }

    /// Returns the start of the last backup that can be believed.
    pub fn last_backup(&self) -> Option<i64> {
        match self {
            Self::Fresh { since, .. } | Self::Old { since, .. } => Some(*since),
            Self::NotABackup { last_backup, .. } => *last_backup,
            Self::Never | Self::Future { .. } | Self::Unreadable { .. } => None,
        }
    }
}

/// One disk's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiskVerdict {
    /// The disk.
    pub disk: DiskName,
    /// Whether it is due, and why.
    #[serde(flatten)]
    pub reason: Reason,
}

/// The answer, with its reasons. No disk at all means that nothing is known: due, and the server's disklist decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// When it was asked.
    pub now: i64,
    /// How long a backup stays fresh.
    pub interval: Interval,
    /// Every disk, in the order it came.
    pub disks: Vec<DiskVerdict>,
}

impl Verdict {
    /// Tells whether a backup is due.
    pub fn is_due(&self) -> bool {
        self.disks.is_empty() || self.disks.iter().any(|disk| disk.reason.is_due())
    }

    /// Returns when the next backup will be due; none when it is due now.
    pub fn next(&self) -> Option<i64> {
        let next = |disk: &DiskVerdict| if let Reason::Fresh { next, .. } = disk.reason { Some(next) } else { None };
        self.disks.iter().map(next).collect::<Option<Vec<i64>>>()?.into_iter().min()
    }

    /// Tells whether some disk's last backup is older than this many intervals, or unknown: then a person must hear of it.
    pub fn is_older_than(&self, intervals: i64) -> bool {
        let limit = self.interval.seconds().saturating_mul(intervals);
        let old = |disk: &DiskVerdict| disk.reason.last_backup().is_none_or(|since| self.now.saturating_sub(since) > limit);
        self.disks.is_empty() || self.disks.iter().any(old)
    }
}

/// Decides for every disk, and with the oldest one for all.
pub fn decide(now: i64, records: &[DiskRecord], interval: Interval) -> Verdict {
    let disks = records.iter().map(|record| DiskVerdict { disk: record.disk.clone(), reason: judge(now, &record.known, interval) });
    Verdict { now, interval, disks: disks.collect() }
}

fn judge(now: i64, known: &Known, interval: Interval) -> Reason {
    match known {
        Known::Nothing => Reason::Never,
        Known::Belief { epoch, .. } => by_age(now, *epoch, interval, Witness::Amandates),
        Known::Receipts { last, .. } if last.is_backup() => by_age(now, last.started, interval, Witness::Receipt),
        Known::Receipts { last, last_backup } => Reason::NotABackup {
            outcome: last.outcome,
            because: last.reason.clone(),
            at: last.finished,
            last_backup: last_backup.as_ref().map(|receipt| receipt.started).filter(|started| *started <= now),
        },
        Known::Unreadable { path, problem } => Reason::Unreadable { path: path.clone(), problem: problem.clone() },
    }
}

fn by_age(now: i64, since: i64, interval: Interval, witness: Witness) -> Reason {
    let next = since.saturating_add(interval.seconds());
    if since > now {
        Reason::Future { at: since, witness }
    } else if next <= now {
        Reason::Old { since, witness }
    } else {
        Reason::Fresh { since, next, witness }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::tests::receipt;

    const NOW: i64 = 1_800_000_000;
    const HOUR: i64 = 3600;

    fn day() -> Interval {
        Interval::default()
    }

    fn record(known: Known) -> DiskRecord {
        DiskRecord { disk: DiskName::new("/home").expect("a name"), known }
    }

    fn belief(epoch: i64) -> DiskRecord {
        record(Known::Belief { level: 0, epoch })
    }

    fn received(outcome: Outcome, started: i64, last_backup: Option<i64>) -> DiskRecord {
        let last_backup = last_backup.map(|at| Box::new(receipt("/home", Outcome::Ok, at)));
        record(Known::Receipts { last: Box::new(receipt("/home", outcome, started)), last_backup })
    }

    #[test]
    fn a_backup_is_fresh_for_exactly_its_interval() {
        for (case, hours, due) in [("just done", 0, false), ("one hour short", 23, false), ("a full day", 24, true), ("older", 25, true)] {
            assert_eq!(decide(NOW, &[belief(NOW - hours * HOUR)], day()).is_due(), due, "by amandates, {case}");
            assert_eq!(decide(NOW, &[received(Outcome::Ok, NOW - hours * HOUR, None)], day()).is_due(), due, "by receipt, {case}");
        }
        assert!(!decide(NOW, &[belief(NOW - 24 * HOUR + 1)], day()).is_due(), "one second short");
    }

    #[test]
    fn the_oldest_disk_decides() {
        let verdict = decide(NOW, &[belief(NOW - HOUR), belief(NOW - 30 * HOUR), belief(NOW - 2 * HOUR)], day());
        assert!(verdict.is_due());
        assert_eq!(verdict.disks.iter().filter(|disk| disk.reason.is_due()).count(), 1);
        let fresh = decide(NOW, &[belief(NOW - HOUR), belief(NOW - 3 * HOUR)], day());
        assert_eq!(fresh.next(), Some(NOW + 21 * HOUR));
    }

    #[test]
    fn a_time_in_the_future_is_due_and_never_fresh() {
        for at in [NOW + 1, NOW + 400 * 24 * HOUR, i64::MAX] {
            assert!(matches!(decide(NOW, &[belief(at)], day()).disks[0].reason, Reason::Future { .. }), "{at}");
            assert!(matches!(decide(NOW, &[received(Outcome::Ok, at, None)], day()).disks[0].reason, Reason::Future { .. }), "{at}");
        }
        assert!(!decide(NOW, &[belief(NOW)], day()).is_due(), "this very second is not the future");
    }

    #[test]
    fn nothing_known_is_due() {
        assert!(decide(NOW, &[], day()).is_due());
        assert!(decide(NOW, &[record(Known::Nothing)], day()).is_due());
        assert!(decide(NOW, &[belief(NOW), record(Known::Nothing)], day()).is_due());
    }

    #[test]
    fn a_last_receipt_that_is_no_backup_is_due_however_young() {
        for outcome in [Outcome::Partial, Outcome::Failed] {
            let verdict = decide(NOW, &[received(outcome, NOW - 10, Some(NOW - HOUR))], day());
            assert!(verdict.is_due(), "{outcome}");
            assert_eq!(verdict.disks[0].reason.last_backup(), Some(NOW - HOUR));
        }
        assert!(!decide(NOW, &[received(Outcome::Strange, NOW - 10, None)], day()).is_due(), "STRANGE is complete");
    }

    #[test]
    fn a_chain_without_its_full_dump_is_due() {
        let mut last = receipt("/home", Outcome::Ok, NOW - 10);
        last.chain.clear();
        let verdict = decide(NOW, &[record(Known::Receipts { last: Box::new(last), last_backup: None })], day());
        assert!(matches!(verdict.disks[0].reason, Reason::NotABackup { outcome: Outcome::Ok, .. }));
    }

    #[test]
    fn an_unreadable_record_is_due() {
        let verdict = decide(NOW, &[record(Known::Unreadable { path: "/x".into(), problem: "garbage".into() })], day());
        assert!(verdict.is_due() && verdict.is_older_than(3));
    }

    #[test]
    fn three_intervals_make_it_a_persons_business() {
        for (hours, old) in [(71, false), (72, false), (73, true)] {
            assert_eq!(decide(NOW, &[belief(NOW - hours * HOUR), belief(NOW)], day()).is_older_than(3), old, "{hours} h");
        }
        assert!(decide(NOW, &[], day()).is_older_than(3));
        assert!(!decide(NOW, &[received(Outcome::Failed, NOW, Some(NOW - HOUR))], day()).is_older_than(3));
    }

    #[test]
    fn absurd_times_do_not_overflow() {
        for at in [i64::MIN, -1, 0, i64::MAX] {
            assert!(decide(NOW, &[belief(at)], day()).is_due());
            assert!(decide(at, &[belief(NOW)], day()).disks[0].reason.last_backup().is_none() || at > NOW);
        }
    }
}
