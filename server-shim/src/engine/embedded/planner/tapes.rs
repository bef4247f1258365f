//! What the list of volumes says on schedules.

use amanda::tapelist::Tapelist;

use super::days;
use crate::engine::embedded::stamp;

/// Returns the runs in a cycle, at least 1: what amanda.conf says, or else what the list of volumes shows (`guess_runs_from_tapelist`).
pub fn runs_per_cycle(said: Option<i64>, dumpcycle: i64, tapecycle: i64, runtapes: i64, tapelist: &Tapelist, now: i64) -> i64 {
    said.unwrap_or_else(|| guess(dumpcycle, tapecycle, runtapes.max(1), tapelist, now)).max(1)
}

fn guess(dumpcycle: i64, tapecycle: i64, runtapes: i64, tapelist: &Tapelist, now: i64) -> i64 {
    let (mut volumes, mut age) = (0, 0);
    let most = usize::try_from(tapecycle.saturating_sub(1)).unwrap_or(0);
    for tape in tapelist.tapes().iter().take(most) {
        // Amanda takes the day, at the time of day that it is now. One that was never written is as old as time.
        age = tape.datestamp.get(..8).and_then(stamp::seconds).map_or(i64::MAX, |day| days(day, midnight(now)));
        if age >= dumpcycle {
            break;
        }
        volumes += 1;
    }
    let all = || dumpcycle.saturating_mul(runtapes);
    let volumes = match age {
        _ if age >= dumpcycle => {
            if volumes == 0 {
                all()
            } else {
                volumes
            }
        }
        0 => all(),
        age => volumes * dumpcycle / age,
    };
    (volumes + runtapes - 1) / runtapes
}

fn midnight(now: i64) -> i64 {
    stamp::of(now).get(..8).and_then(stamp::seconds).unwrap_or(now)
}

/// Returns in how many runs a volume is overwritten, 0 for this run; `None` when it never is (`when_overwrite`). Of one that is not
/// on the list Amanda says 1, so that somebody looks.
pub fn overwritten_in(tapelist: &Tapelist, label: &str, tapecycle: i64, runtapes: i64) -> Option<u32> {
    let tapes = tapelist.tapes();
    let Some(at) = tapes.iter().position(|tape| tape.label == label) else { return Some(1) };
    let this = &tapes[at];
    if !this.reuse {
        return None;
    }
    let is_same = |tape: &&amanda::tapelist::Tape| tape.storage.is_none() || this.storage.is_none() || tape.storage == this.storage;
    let is_other_config = |tape: &&amanda::tapelist::Tape| tape.config.is_some() && this.config.is_some() && tape.config != this.config;
    let older = tapes[at..].iter().filter(|tape| tape.reuse && is_same(tape) && !is_other_config(tape)).count();
    let there = tapes.iter().filter(is_same).count();
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    // tapecycle - 1 volumes are kept at least.
    let missing = (tapecycle - 1).saturating_sub(count(there)).saturating_add(1);
    let before = count(older).saturating_add(if missing > 1 { missing } else { 0 });
    let runs = before.saturating_sub(1).max(0) / runtapes.max(1);
    u32::try_from(runs).ok()
}
