//! What a disk alone would have: whether a full dump is due, and the levels that are thought of (`setup_estimate`).

use amanda::conf::Strategy;
use amanda::curinfo::{FORCE_BUMP, FORCE_FULL, FORCE_LEVEL_1, FORCE_NO_BUMP};

use super::{Candidate, Item, Left, Line, SiteRules, Size, days, sizes, words};
use crate::engine::embedded::plan::{HIGHEST, Rules};

/// Amanda warns of a last dump that is overwritten within so many runs.
const RED_ZONE: u32 = 5;

/// A full dump is made when the volume with the last one is overwritten by the next run, so that it may be.
const LAST_CHANCE: u32 = 1;

/// Says what a disk would have, or why it has nothing.
pub(super) fn wish<'a>(at: usize, candidate: &'a Candidate<'a>, site: &SiteRules, lines: &mut Vec<Line>) -> Result<Item<'a>, Left> {
    let rules = &candidate.rules;
    let (dle, info) = (candidate.dle, candidate.info);
    let mut command = command(candidate, lines);
    if info.history.is_empty() && info.stats.is_empty() {
        lines.push(Line::Info(format!("Adding new disk {}.", words::name(dle))));
    }
    let remembered = u8::try_from(info.last_level).ok();
    let mut last = match (&candidate.ground, rules.has_no_full()) {
        (Ok(ground), _) => Some(ground.level),
        // What these build on is elsewhere, and the history alone tells of it.
        (Err(_), true) => remembered,
        (Err(_), false) => None,
    };
    if command == FORCE_LEVEL_1 && last.is_none() && !rules.has_no_full() {
        // There is nothing that a level 1 could build on.
        command = 0;
    }
    let mut next_full = next_full(candidate, site);
    let mut priority = rules.priority;
    let mut no_degraded = None;
    match command {
        FORCE_FULL => {
            lines.push(Line::Info(format!("Forcing full dump of {} as directed.", words::name(dle))));
            last = None;
            next_full = -site.dumpcycle;
        }
        FORCE_LEVEL_1 => {
            lines.push(Line::Info(format!("Forcing level 1 of {} as directed.", words::name(dle))));
            (last, next_full) = (Some(0), 0);
        }
        _ if rules.strategy == Strategy::NoFull => last = Some(1),
        _ => {}
    }
    let mut reason = due(candidate, command, next_full, site);
    overwritten(candidate, &mut last, lines);
    if last.is_some()
        && !rules.has_no_full()
        && command != FORCE_LEVEL_1
        && next_full > 0
        && candidate.full_overwritten_in.is_some_and(|runs| runs <= LAST_CHANCE)
    {
        next_full = 0;
        words::LAST_CHANCE.clone_into(&mut reason);
    }
    if next_full < 0 {
        priority = priority.saturating_sub(next_full);
    }
    if rules.skip_full && rules.strategy != Strategy::NoInc {
        if next_full <= 0 && command != FORCE_LEVEL_1 {
            lines.push(Line::Info(format!("Skipping full dump of {} today.", words::name(dle))));
            return Err(skipped(at, 0, "skip-full", words::SKIP_FULL, true, lines));
        }
        last = last.or(Some(0));
        if next_full == 1 {
            lines.push(Line::Warning(format!("Skipping full dump of {} tomorrow.", words::name(dle))));
        }
    }
    if rules.strategy == Strategy::IncrOnly && last.is_none() {
        let reason = words::NO_FULL_TO_BUILD_ON;
        lines.push(Line::Fail { at, level: 1, reason: reason.to_owned() });
        return Err(Left::Failed { level: 1, reason });
    }
    if rules.skip_incr && next_full > 0 {
        return Err(skipped(at, 1, "skip-incr", words::SKIP_INCR, false, lines));
    }
    let is_new = last.is_none();
    let levels = thought_of(candidate, command, last, lines, &mut no_degraded);
    if is_new {
        // Nothing can be instead of it.
        no_degraded = Some(if command == FORCE_FULL { words::FORCED_DEGRADED } else { words::NEW_DEGRADED });
    }
    let sizes: Vec<Size> = levels.into_iter().map(|level| sizes::expect(candidate, level, site)).collect();
    let dump = *sizes.first().ok_or_else(|| {
        lines.push(Line::Fail { at, level: 0, reason: words::NO_ESTIMATE.to_owned() });
        Left::Failed { level: 0, reason: words::NO_ESTIMATE }
    })?;
    let runs_at_level = match (last, remembered) {
        (Some(last), Some(remembered)) if last == remembered => i64::from(info.consecutive_runs),
        _ => 0,
    };
    Ok(Item { at, candidate, last, next_full, runs_at_level, priority, sizes, dump, degraded: None, no_degraded, reason, moved: None })
}

/// What was asked for, where the dumptype has it: the one that counts.
fn command(candidate: &Candidate<'_>, lines: &mut Vec<Line>) -> u32 {
    let (rules, dle) = (&candidate.rules, candidate.dle);
    let said = candidate.info.command;
    let cannot = match (rules.strategy, said) {
        (Strategy::NoFull, _) if said & FORCE_FULL != 0 => Some(("full dump", "no-full")),
        (Strategy::IncrOnly, _) if said & FORCE_FULL != 0 => Some(("full dump", "incronly")),
        (Strategy::NoInc, _) if said & (FORCE_FULL | FORCE_LEVEL_1) == FORCE_LEVEL_1 => Some(("level 1 dump", "no-incr")),
        _ => None,
    };
    if let Some((what, option)) = cannot {
        lines.push(Line::Warning(format!("Cannot force {what} of {} with {option} option.", words::name(dle))));
    }
    let known = [FORCE_FULL, FORCE_LEVEL_1, FORCE_NO_BUMP, FORCE_BUMP];
    let said = if cannot.is_some() { said & !(FORCE_FULL | FORCE_LEVEL_1) } else { said };
    known.into_iter().find(|command| said & command != 0).unwrap_or(0)
}

/// Returns the days until a full dump is due (`next_level0`). Where nothing is certain it is long overdue.
fn next_full(candidate: &Candidate<'_>, site: &SiteRules) -> i64 {
    let cycle = i64::from(candidate.rules.levels.dumpcycle);
    match (candidate.rules.strategy, &candidate.ground) {
        (Strategy::NoFull | Strategy::IncrOnly, _) => 1,
        (Strategy::NoInc, _) => 0,
        _ if candidate.rules.skip_full => match candidate.info.stats.get(&0) {
            Some(full) => cycle - days(full.date, site.now),
            None => -days(0, site.now),
        },
        (_, Ok(ground)) => cycle - days(ground.made, site.now),
        (_, Err(_)) => -days(0, site.now),
    }
}

/// Why a full dump is due, or when it will be.
fn due(candidate: &Candidate<'_>, command: u32, next_full: i64, site: &SiteRules) -> String {
    match (&candidate.ground, command) {
        (_, FORCE_FULL) => words::FORCED.to_owned(),
        (_, FORCE_LEVEL_1) => words::asked(1),
        (Err(reason), _) if !candidate.rules.has_no_full() => reason.clone(),
        (Ok(_), _) if candidate.rules.strategy == Strategy::NoInc => words::FULL_ONLY.to_owned(),
        (Ok(ground), _) if next_full <= 0 => words::due(days(ground.made, site.now), candidate.rules.levels.dumpcycle),
        _ => words::not_due(next_full, candidate.rules.has_no_full()),
    }
}

/// Warns of what is about to be overwritten.
fn overwritten(candidate: &Candidate<'_>, last: &mut Option<u8>, lines: &mut Vec<Line>) {
    let label = |level: u8| {
        let place = candidate.info.stats.get(&level).and_then(|stats| stats.place.as_ref());
        place.map_or("", |place| place.label.as_str())
    };
    let mut warn = |what: &str, level: u8, runs: u32, more: &str| {
        let when = match runs {
            0 => "on this run".to_owned(),
            1 => "in 1 run".to_owned(),
            runs => format!("in {runs} runs"),
        };
        let name = words::name(candidate.dle);
        lines.push(Line::Warning(format!("Last {what} dump of {name} on tape {} overwritten {when}{more}.", label(level))));
    };
    if let (Some(_), Some(runs)) = (*last, candidate.full_overwritten_in.filter(|runs| *runs <= RED_ZONE)) {
        warn("full", 0, runs, "");
    }
    if let (Some(2..), Some(runs)) = (*last, candidate.level_1_overwritten_in.filter(|runs| *runs <= RED_ZONE)) {
        if runs == 0 {
            // Level 2 would build on what is gone when somebody needs it.
            warn("level 1", 1, runs, ", resetting to level 1");
            *last = Some(0);
        } else {
            warn("level 1", 1, runs, "");
        }
    }
}

fn skipped(at: usize, level: u8, word: &'static str, reason: &'static str, full_made_elsewhere: bool, lines: &mut Vec<Line>) -> Left {
    lines.push(Line::Skipped { at, level, word });
    Left::Skipped { level, reason, full_made_elsewhere }
}

/// Returns the levels that come into question, three at most.
fn thought_of(
    candidate: &Candidate<'_>,
    command: u32,
    last: Option<u8>,
    lines: &mut Vec<Line>,
    no_degraded: &mut Option<&'static str>,
) -> Vec<u8> {
    let rules = &candidate.rules;
    let name = || words::name(candidate.dle);
    let full_only = rules.strategy == Strategy::NoInc;
    let mut levels = Vec::with_capacity(3);
    let may_be_full =
        full_only || (!rules.skip_full && command != FORCE_LEVEL_1 && (command != FORCE_BUMP || rules.skip_incr || last.is_none()));
    if may_be_full && !matches!(rules.strategy, Strategy::NoFull | Strategy::IncrOnly) {
        levels.push(0);
    }
    if command == FORCE_BUMP && last.is_none() {
        lines.push(Line::Info(format!("Remove force-bump command of {} because it's a new disk.", name())));
    }
    if full_only {
        *no_degraded = Some(words::FULL_ONLY_DEGRADED);
        if rules.skip_full {
            lines.push(Line::Info(format!("Ignoring skip-full for {} because the strategy is NOINC.", name())));
        }
        if command == FORCE_BUMP {
            lines.push(Line::Info(format!("Ignoring FORCE_BUMP for {} because the strategy is NOINC.", name())));
        }
        return levels;
    }
    if rules.strategy == Strategy::Hanoi {
        lines.push(Line::Warning(format!("The strategy hanoi of {} is planned like standard.", name())));
    }
    let Some(last) = last.filter(|_| !rules.skip_incr) else { return levels };
    match command {
        FORCE_LEVEL_1 => {
            levels.push(1);
            *no_degraded = Some("Skipping: force-level-1 disk can't be dumped in degraded mode");
        }
        FORCE_NO_BUMP => {
            if last > 0 {
                levels.push(last);
            }
            lines.push(Line::Info(format!("Preventing bump of {} as directed.", name())));
            *no_degraded = Some("Skipping: force-no-bump disk can't be dumped in degraded mode");
        }
        FORCE_BUMP if last < HIGHEST => {
            levels.push(last + 1);
            lines.push(Line::Info(format!("Bumping of {} at level {} as directed.", name(), last + 1)));
            *no_degraded = Some("Skipping: force-bump disk can't be dumped in degraded mode");
        }
        _ if last == 0 => levels.push(1),
        _ => {
            levels.push(last);
            if last < HIGHEST && next_is_thought_of(candidate, last, &rules.levels) {
                levels.push(last + 1);
            }
        }
    }
    levels
}

/// The next level is asked for when the last dump was larger than what makes it worth it, for long enough.
fn next_is_thought_of(candidate: &Candidate<'_>, last: u8, rules: &Rules) -> bool {
    let info = candidate.info;
    let before = |level: u8| info.stats.get(&level).map_or(0, |stats| stats.orig_kb);
    let in_a_row = if i32::from(last) == info.last_level { i64::from(info.consecutive_runs) } else { 0 };
    let kb = before(last);
    kb == 0 || (kb > sizes::whole(rules.threshold(last, before(0))) && in_a_row >= rules.bumpdays)
}
