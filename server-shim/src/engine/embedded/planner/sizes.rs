//! How large dumps will be, by those before (`internal_server_estimate` and `est_csize`).

use amanda::conf::Strategy;
use amanda::curinfo::{HISTORY, Info};

use super::{Candidate, SiteRules};

/// KiB in a second where nothing is known.
pub(super) const USUAL_KPS: f64 = 1024.0;

/// So long a row of dumps at one level is told apart by its days.
const ROW: usize = 30;

/// Below this a single dump of before says nothing, in KiB.
const TOO_SMALL: i64 = 1_000;

/// What is expected of a dump, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Its level.
    pub level: u8,
    /// Before compression.
    pub raw_kb: i64,
    /// As it is stored; at least 1.
    pub kb: i64,
    /// Nothing is known of it.
    pub guessed: bool,
}

#[expect(clippy::cast_precision_loss, reason = "a size")]
pub(super) fn real(kb: i64) -> f64 {
    kb as f64
}

#[expect(clippy::cast_possible_truncation, reason = "a float stops at the ends of what an integer has")]
pub(super) fn whole(kb: f64) -> i64 {
    kb as i64
}

/// The weighted average of rates, newest first: 3, 2, 1 (`perf_average`).
pub(super) fn average(rates: &[f64]) -> Option<f64> {
    let weights = [3.0, 2.0, 1.0];
    let weighted = rates.iter().zip(weights);
    let total: f64 = weighted.clone().map(|(_, weight)| weight).sum();
    (total > 0.0).then(|| weighted.map(|(rate, weight)| rate * weight).sum::<f64>() / total)
}

/// Returns what is expected of a disk's dump of this level: what its client said, or what its history tells.
pub(super) fn expect(candidate: &Candidate<'_>, level: u8, site: &SiteRules) -> Size {
    let said = candidate.said.iter().find(|(of, kb)| *of == level && *kb >= 0);
    let (raw_kb, guessed) = match said {
        Some((_, kb)) => (*kb, false),
        None => from_history(candidate.info, level, candidate.rules.strategy, site.tape_kb),
    };
    let raw_kb = raw_kb.max(1);
    let kb = if candidate.rules.compresses {
        let (perf, usual) = match level {
            0 => (&candidate.info.full, candidate.rules.comprate[0]),
            _ => (&candidate.info.incr, candidate.rules.comprate[1]),
        };
        // A small dump that grew by compression says nothing of a large one.
        whole(real(raw_kb) * average(&perf.comp).unwrap_or(usual).min(1.1)).max(1)
    } else {
        raw_kb
    };
    Size { level, raw_kb, kb, guessed }
}

/// Returns a size before compression, and whether it is a guess.
fn from_history(info: &Info, level: u8, strategy: Strategy, tape_kb: i64) -> (i64, bool) {
    let level_below = |at: usize| info.history.get(at + 1).map(|below| below.level);
    let kept = info.history.iter().enumerate().take(HISTORY - 1);
    let told = if level == 0 {
        kept.into_iter().find(|(_, dump)| dump.level == 0 && dump.orig_kb > 0).map(|(_, dump)| dump.orig_kb)
    } else if i32::from(level) == info.last_level {
        let (mut day, mut rows) = (0, [(0_i64, 0_i64); ROW]);
        for (at, dump) in kept.rev().filter(|(_, dump)| dump.level > 0 && dump.orig_kb > 0) {
            if level_below(at) == Some(dump.level) {
                day = (day + 1).min(ROW - 1);
                rows[day] = (rows[day].0.saturating_add(dump.orig_kb), rows[day].1 + 1);
            } else {
                day = 0;
            }
        }
        let day = usize::try_from(info.consecutive_runs.saturating_add(1)).unwrap_or(0).min(ROW - 1);
        rows[..=day].iter().rev().find(|(_, count)| *count > 0).map(|(sum, count)| sum / count)
    } else if i32::from(level) == info.last_level + 1 {
        let is_first = |at: usize, of: u8| level_below(at).is_some_and(|below| below.checked_add(1) == Some(of));
        let firsts = kept.filter(|(at, dump)| dump.level > 0 && dump.orig_kb > 0 && is_first(*at, dump.level));
        let (sum, count) = firsts.fold((0_i64, 0_i64), |(sum, count), (_, dump)| (sum.saturating_add(dump.orig_kb), count + 1));
        (count > 0).then(|| sum / count)
    } else {
        // Amanda does not look at the last dump of such a level, since it asks for none.
        return (100_000.min(tape_kb / 2), true);
    };
    let last = || info.stats.get(&level).map(|last| last.orig_kb).filter(|kb| *kb > TOO_SMALL);
    if let Some(kb) = told.or_else(last) {
        return (kb, false);
    }
    if level == 0 {
        return (1_000_000.min(tape_kb / 2), true);
    }
    let full = from_history(info, 0, strategy, tape_kb).0;
    let guess = if i32::from(level) == info.last_level { 10_000 } else { 100_000 }.min(tape_kb / 2);
    (if full > 0 && strategy != Strategy::NoFull { guess.min(full / 2) } else { guess }, true)
}
