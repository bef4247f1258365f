//! Which of the levels that were thought of it is (`analyze_estimate`, `pick_inclevel`).

use amanda::conf::Strategy;
use amanda::curinfo::{FORCE_BUMP, FORCE_LEVEL_1, FORCE_NO_BUMP};

use super::{Balance, Candidate, Item, Left, Line, SiteRules, Size, sizes, words};
use crate::engine::embedded::plan::HIGHEST;

/// Chooses the level of a disk, and counts it.
pub(super) fn choose<'a>(mut item: Item<'a>, site: &SiteRules, balance: &mut Balance, lines: &mut Vec<Line>) -> Result<Item<'a>, Left> {
    let rules = &item.candidate.rules;
    // After a full dump `force-no-bump` asks for another one.
    let is_due = item.next_full <= 0 || (item.last == Some(0) && item.is_asked(FORCE_NO_BUMP));
    let full = item.size(0);
    if let Some(full) = full.filter(|_| is_due) {
        item.dump = full;
        balance.full_kb += sizes::real(full.kb);
        if item.next_full > 0 {
            item.reason = words::asked(0);
        }
        if rules.skip_incr {
            item.no_degraded = item.no_degraded.or(Some(words::SKIP_INCR_DEGRADED));
        } else if item.last.is_some() {
            // What is not done needs no line in the log.
            item.degraded = incremental(&item, &mut Vec::new()).map(|(size, _)| size);
        }
    } else {
        let chosen = incremental(&item, lines);
        let next = |level: Option<u8>| level.and_then(|level| item.size(level)).map(|size| (size, words::asked(size.level)));
        let chosen = chosen.or_else(|| next(item.last)).or_else(|| next(item.last.map(|last| last.saturating_add(1))));
        if let Some((size, why)) = chosen {
            item.dump = size;
            item.reason = if item.is_asked(FORCE_LEVEL_1) { why } else { words::incremental(&item.reason, &why) };
        } else if let Some(full) = full {
            balance.full_kb += sizes::real(full.kb);
            item.dump = full;
        } else {
            lines.push(Line::Fail { at: item.at, level: 0, reason: words::NO_ESTIMATE.to_owned() });
            return Err(Left::Failed { level: 0, reason: words::NO_ESTIMATE });
        }
        item.no_degraded = item.no_degraded.or(Some(words::NOT_FULL_DEGRADED));
    }
    balance.total_kb = balance.total_kb.saturating_add(site.taken(item.dump.kb));
    // Of a full dump that is not thought of the last one tells the size.
    let last_full = || item.candidate.info.stats.get(&0).map_or(0, |full| full.kb);
    let full_kb = full.map_or_else(last_full, |full| full.kb);
    balance.balanced_kb += share(site, item.candidate, Size { level: 0, raw_kb: full_kb, kb: full_kb, guessed: false });
    Ok(item)
}

/// What a disk's full dumps take in each run on the average.
pub(super) fn share(site: &SiteRules, candidate: &Candidate<'_>, full: Size) -> f64 {
    let rules = &candidate.rules;
    if rules.has_no_full() {
        return 0.0;
    }
    let own = i64::from(rules.levels.dumpcycle);
    let kb = match rules.strategy {
        Strategy::NoInc => full.kb,
        _ if own == 0 => full.kb.saturating_mul(site.dumpcycle) / site.runs_per_cycle,
        // Amanda divides the cycles first, so that a disk with a longer one than the site's would count for nothing.
        _ if own != site.dumpcycle => full.kb.saturating_mul(site.dumpcycle) / own / site.runs_per_cycle,
        _ => full.kb / site.runs_per_cycle,
    };
    sizes::real(kb)
}

/// Chooses an incremental level, and says why.
fn incremental(item: &Item<'_>, lines: &mut Vec<Line>) -> Option<(Size, String)> {
    let rules = &item.candidate.rules;
    let last = item.last?;
    let first = || item.size(1).map(|size| (size, words::after_full()));
    if last == 0 && item.size(0).is_some() {
        return first();
    }
    if rules.strategy == Strategy::NoFull {
        return item.size(1).map(|size| (size, "it is always level 1 (strategy nofull)".to_owned()));
    }
    let next = last.checked_add(1).and_then(|level| item.size(level));
    let Some(same) = item.size(last).filter(|same| same.level > 0) else {
        let why = |size: Size| if item.is_asked(FORCE_LEVEL_1 | FORCE_BUMP) { words::asked(size.level) } else { words::after_full() };
        return next.map(|size| (size, why(size)));
    };
    let levels = &rules.levels;
    let threshold = sizes::whole(levels.threshold(same.level, item.size(0).map_or(-1, |full| full.raw_kb)));
    if item.is_asked(FORCE_NO_BUMP) {
        return Some((same, words::asked(same.level)));
    }
    if same.level >= HIGHEST || same.raw_kb <= threshold {
        return Some((same, words::stays(same.level, same.raw_kb, None)));
    }
    if item.runs_at_level < levels.bumpdays {
        return Some((same, words::young(same.level, item.runs_at_level, levels.bumpdays)));
    }
    let Some(next) = next else { return Some((same, words::stays(same.level, same.raw_kb, None))) };
    let saved = same.raw_kb.saturating_sub(next.raw_kb);
    if saved < threshold {
        return Some((same, words::stays(same.level, same.raw_kb, Some(saved))));
    }
    lines.push(Line::Info(format!("Incremental of {} bumped to level {}.", words::name(item.candidate.dle), next.level)));
    Some((next, words::bumped(next.level, saved)))
}
