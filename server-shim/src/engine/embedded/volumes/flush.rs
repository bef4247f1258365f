//! What is put on volumes now, and whether it is worth a volume: functions of values.
//!
//! The rules are those of Amanda's driver (`tape_action` in server-src/driver.c): `flush-threshold-dumped`,
//! `flush-threshold-scheduled` and `taperflush` say how much has to wait before a volume is begun, in percent of one. Amanda 3.5.1 counts
//! what waits twice while no volume is begun; here it is counted once, as amanda.conf(5) says.

use std::fmt;

/// How much is worth a volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// Bytes that a volume holds.
    pub length: u64,
    /// `flush-threshold-dumped`: more than so many percent have been dumped…
    pub dumped: u64,
    /// `flush-threshold-scheduled`: …and more than so many percent have been, or will be.
    pub scheduled: u64,
    /// `taperflush`: more than so many percent wait when all dumps have ended.
    pub taperflush: u64,
}

/// What waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Bytes on the holding disks that are to go to a volume and do not fit on the one that is begun.
    pub held: u64,
    /// Bytes that are still to be dumped in this run.
    pub to_come: u64,
    /// All dumps have ended.
    pub ended: bool,
    /// Bytes of a dump that have been written to volumes, and were written in vain without another one.
    pub begun: u64,
}

/// Whether a volume is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is worth one.
    Begin,
    /// Nothing waits.
    Nothing,
    /// Not yet: dumps go on.
    Later,
    /// Not in this run: less waits than `taperflush` says, in bytes.
    Stays(u64),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Begin => "a volume is begun",
            Self::Nothing => "nothing waits for a volume",
            Self::Later => "the flush thresholds are not met while dumps go on",
            // Amanda's words.
            Self::Stays(_) => "taperflush criteria not met",
        })
    }
}

/// Says whether what waits is worth a volume.
pub fn is_worth(thresholds: &Thresholds, waiting: &Waiting) -> Verdict {
    let percent = |percent: u64| thresholds.length / 100 * percent + thresholds.length % 100 * percent / 100;
    if waiting.held == 0 {
        return Verdict::Nothing;
    }
    let scheduled = waiting.held.saturating_add(waiting.to_come);
    if percent(thresholds.dumped) < waiting.held && percent(thresholds.scheduled) < scheduled {
        return Verdict::Begin;
    }
    if !waiting.ended {
        return Verdict::Later;
    }
    let least = percent(thresholds.taperflush);
    let would_be_lost = waiting.begun > thresholds.length.saturating_sub(waiting.held);
    if least < waiting.held || would_be_lost { Verdict::Begin } else { Verdict::Stays(least) }
}

/// What `autoflush` says of dumps that earlier runs left on a holding disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Autoflush {
    /// They stay.
    No,
    /// Those of disks that this run has to do with are taken along.
    Yes,
    /// All are.
    All,
}

/// A dump on a holding disk, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// This run made it.
    pub is_ours: bool,
    /// Its disk is one of those that the run was asked for.
    pub is_asked_for: bool,
}

/// Says whether a run that dumps takes a dump along.
pub fn takes(autoflush: Autoflush, dump: Candidate) -> bool {
    dump.is_ours || autoflush == Autoflush::All || (autoflush == Autoflush::Yes && dump.is_asked_for)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;

    fn thresholds(dumped: u64, scheduled: u64, taperflush: u64) -> Thresholds {
        Thresholds { length: 10 * GB, dumped, scheduled, taperflush }
    }

    #[test]
    fn a_volume_is_begun_when_it_is_worth_it() {
        let none = thresholds(0, 0, 0);
        for (case, thresholds, held, to_come, ended, expected) in [
            ("nothing waits", none, 0, 5, true, Verdict::Nothing),
            ("anything is worth a volume", none, 1, 0, false, Verdict::Begin),
            ("half a volume is asked for", thresholds(50, 0, 0), 4, 9, false, Verdict::Later),
            ("half a volume is there", thresholds(50, 0, 0), 6, 0, false, Verdict::Begin),
            ("the end takes all", thresholds(50, 100, 0), 4, 0, true, Verdict::Begin),
            ("what will come counts", thresholds(50, 100, 100), 6, 5, false, Verdict::Begin),
            ("not enough will come", thresholds(50, 100, 100), 6, 3, false, Verdict::Later),
            ("a full volume is asked for", thresholds(100, 100, 100), 9, 0, true, Verdict::Stays(10 * GB)),
            ("a full volume is there", thresholds(100, 100, 100), 11, 0, true, Verdict::Begin),
            ("two full volumes are asked for", thresholds(200, 200, 200), 19, 0, true, Verdict::Stays(20 * GB)),
        ] {
            let waiting = Waiting { held: held * GB, to_come: to_come * GB, ended, begun: 0 };
            assert_eq!(is_worth(&thresholds, &waiting), expected, "{case}");
        }
    }

    #[test]
    fn what_has_been_written_of_a_dump_is_not_lost_for_a_threshold() {
        let waiting = Waiting { held: 2 * GB, to_come: 0, ended: true, begun: 9 * GB };
        assert_eq!(is_worth(&thresholds(100, 100, 100), &waiting), Verdict::Begin);
        assert_eq!(is_worth(&thresholds(100, 100, 100), &Waiting { begun: 7 * GB, ..waiting }), Verdict::Stays(10 * GB));
    }

    #[test]
    fn autoflush_takes_along_what_earlier_runs_left() {
        let dump = |is_ours, is_asked_for| Candidate { is_ours, is_asked_for };
        for (autoflush, dump, expected) in [
            (Autoflush::No, dump(true, true), true),
            (Autoflush::No, dump(false, true), false),
            (Autoflush::Yes, dump(false, true), true),
            (Autoflush::Yes, dump(false, false), false),
            (Autoflush::All, dump(false, false), true),
        ] {
            assert_eq!(takes(autoflush, dump), expected, "{autoflush:?} {dump:?}");
        }
    }
}
