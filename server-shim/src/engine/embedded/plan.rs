//! Which level a disk is dumped at, and why: a function of what there is of it.
//!
//! A full dump when nothing certain is there to build on, when somebody asked for one, or when the cycle is over; an incremental
//! one otherwise. It stays at its level until that level has grown larger than the config's rule says, for as many days as it
//! says, and then goes to the next one.

use amanda::chains::{Bases, Restorable};
use amanda::conf::{Dumptype, Strategy};
use amanda::curinfo::{FORCE_BUMP, FORCE_FULL, FORCE_LEVEL_1, FORCE_NO_BUMP, History, Info};

/// The highest level that is made.
pub const HIGHEST: u8 = 9;

const DAY: i64 = 86_400;

/// A clock is allowed to be so much behind that of the last dump.
const SLACK: i64 = 60;

/// What amanda.conf says on levels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Full dumps only.
    pub full_only: bool,
    /// Days within which a full dump is wanted.
    pub dumpcycle: u32,
    /// Days for which a level is kept before the next one.
    pub bumpdays: i64,
    /// KiB before compression from which on the next level is worth it, for level 1.
    pub bumpsize: i64,
    /// The same in percent of the full dump; 0 for none.
    pub bumppercent: i64,
    /// The factor for each level above.
    pub bumpmult: f64,
}

impl Rules {
    /// Reads the rules for a disk, with Amanda's defaults.
    pub fn of(how: &Dumptype<'_>) -> Self {
        let bump = how.bump();
        Self {
            full_only: how.strategy() == Strategy::NoInc,
            dumpcycle: how.dumpcycle(),
            bumpdays: i64::from(bump.days),
            bumpsize: i64::try_from(bump.size_kb).unwrap_or(i64::MAX),
            bumppercent: i64::from(bump.percent),
            bumpmult: bump.mult,
        }
    }

    /// Amanda's `bump_thresh`.
    #[expect(clippy::cast_precision_loss, reason = "a threshold")]
    pub(super) fn threshold(&self, level: u8, full_kb: i64) -> f64 {
        let first =
            if self.bumppercent > 0 && full_kb > 1024 { full_kb as f64 * self.bumppercent as f64 / 100.0 } else { self.bumpsize as f64 };
        first * self.bumpmult.powi(i32::from(level) - 1)
    }
}

/// What there is of a disk.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// Its whole dumps, oldest first.
    pub dumps: &'a [Restorable],
    /// What is remembered of it.
    pub info: &'a Info,
    /// Returns the moment of a datestamp.
    pub moment: &'a dyn Fn(&str) -> Option<i64>,
}

/// Sizes that are expected, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Before compression.
    pub raw: u64,
    /// As it is stored.
    pub stored: u64,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The level.
    pub level: u8,
    /// Why, a sentence.
    pub reason: String,
    /// The datestamp of the dump, one level below, that it will build on; `None` for a full dump.
    pub base: Option<String>,
    /// What is expected of it, out of its history.
    pub estimate: Option<Estimate>,
}

/// What is certain to be there to build on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// The level of the last dump.
    pub level: u8,
    /// The datestamps of the last dump and of those that it builds on, down to the full one.
    chain: Vec<String>,
    /// When the full one was made, seconds since 1970.
    pub made: i64,
}

impl Ground {
    /// Returns the dump, one level below, that a dump of this level builds on; `None` for a full dump, and for a level that is
    /// more than one above the last one.
    pub fn below(&self, level: u8) -> Option<&str> {
        let at = self.level.checked_sub(level.checked_sub(1)?)?;
        self.chain.get(usize::from(at)).map(String::as_str)
    }

    /// Returns the datestamp of the full dump.
    pub fn full(&self) -> &str {
        self.chain.last().map_or("", String::as_str)
    }
}

/// Plans a dump that will have this datestamp.
pub fn plan(known: &Known<'_>, rules: &Rules, stamp: &str, now: i64) -> Plan {
    let (level, reason, base) = match incremental(known, rules, stamp, now) {
        Ok((level, reason, ground)) => (level, reason, ground.below(level).map(str::to_owned)),
        Err(reason) => (0, reason, None),
    };
    Plan { level, reason, base, estimate: estimate(known.info, level) }
}

/// Finds what a dump with this datestamp can build on.
///
/// # Errors
/// A sentence that says why it can build on nothing, and has to be a full one.
pub fn ground(known: &Known<'_>, stamp: &str, now: i64) -> Result<Ground, String> {
    let Some(newest) = known.dumps.last() else { return Err("there is no dump of it yet".to_owned()) };
    let last = known.info.history.first();
    if last.is_some_and(|last| last.date > now + SLACK) {
        return Err("its last dump was made by a clock that was ahead, so nothing can be said of what changed since".to_owned());
    }
    let before = known.dumps.iter().rfind(|dump| dump.datestamp.as_str() < stamp);
    let base = match before {
        Some(base) if base.datestamp == newest.datestamp => base,
        // Dumps of the future are not in the way once a full one has been made after them.
        Some(base) if last.is_some_and(|last| is(last, base, known)) => base,
        _ => return Err(format!("a dump of it is dated {}, which is still to come: the clock has been set back", newest.datestamp)),
    };
    let bases = match &base.bases {
        Bases::Complete(bases) => bases,
        Bases::Doubtful { broken, .. } => return Err(format!("its last dump may build on the one of {broken}, which is not whole")),
        Bases::Missing { level } => return Err(format!("the dump of level {level} that its last one builds on is gone")),
    };
    if let Some(last) = last.filter(|last| !is(last, base, known)) {
        return Err(format!("its last dump, of level {}, is gone", last.level));
    }
    let chain: Vec<String> = std::iter::once(&base.datestamp).chain(bases).cloned().collect();
    let full = chain.last().unwrap_or(&base.datestamp);
    let Some(made) = (known.moment)(full) else { return Err(format!("{full} is no time at which a full dump was made")) };
    Ok(Ground { level: base.level, chain, made })
}

/// Chooses an incremental level, or says why it has to be a full dump.
fn incremental(known: &Known<'_>, rules: &Rules, stamp: &str, now: i64) -> Result<(u8, String, Ground), String> {
    let info = known.info;
    if info.command & FORCE_FULL != 0 {
        return Err("a full dump was asked for".to_owned());
    }
    if rules.full_only {
        return Err("the dumptype makes full dumps only".to_owned());
    }
    let ground = ground(known, stamp, now)?;
    // A full dump of a time zone further east may seem to be of the future; its history knew better.
    let days = now.saturating_sub(ground.made).max(0) / DAY;
    if days >= i64::from(rules.dumpcycle) {
        return Err(format!("its last full dump is {} old, and dumpcycle is {}", in_days(days), rules.dumpcycle));
    }
    let of_full = format!("the full dump of {} is not older than dumpcycle", ground.full());
    if info.command & FORCE_LEVEL_1 != 0 || ground.level == 0 {
        return Ok((1, if ground.level == 0 { of_full } else { "level 1 was asked for".to_owned() }, ground));
    }
    let (level, reason) = stay_or_bump(info, rules, ground.level, now);
    Ok((level, reason, ground))
}

/// Prints a number of days.
pub(super) fn in_days(days: i64) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}

/// Says whether this is that dump of the history. Its datestamp is local time, and the local time of then may have been another.
fn is(remembered: &History, dump: &Restorable, known: &Known<'_>) -> bool {
    let moment = (known.moment)(&dump.datestamp);
    remembered.level == dump.level && moment.is_some_and(|moment| super::stamp::is_about(moment, remembered.date))
}

fn stay_or_bump(info: &Info, rules: &Rules, level: u8, now: i64) -> (u8, String) {
    if level >= HIGHEST {
        return (HIGHEST, format!("it stays at level {HIGHEST}, the highest"));
    }
    if info.command & FORCE_BUMP != 0 {
        return (level + 1, "the next level was asked for".to_owned());
    }
    if info.command & FORCE_NO_BUMP != 0 {
        return (level, format!("level {level} was asked for again"));
    }
    let in_a_row = info.history.iter().take_while(|dump| dump.level == level);
    let Some(first) = in_a_row.last() else { return (level, format!("it stays at level {level}: nothing is known of its size")) };
    let kb = info.history.first().map_or(0, |last| last.orig_kb);
    let threshold = rules.threshold(level, info.stats.get(&0).map_or(0, |full| full.orig_kb));
    #[expect(clippy::cast_precision_loss, reason = "compared with a threshold")]
    let is_large = kb as f64 >= threshold;
    // Backups of a day are not made at the same second of it.
    let is_old = now.saturating_sub(first.date).saturating_add(DAY / 4) >= rules.bumpdays.saturating_mul(DAY);
    match (is_large, is_old) {
        (true, true) => (level + 1, format!("level {level} has grown to {kb} KiB, so the next one is worth it")),
        (true, false) => (level, format!("it stays at level {level}, which is younger than bumpdays")),
        (false, _) => (level, format!("it stays at level {level}, which has {kb} KiB and is small")),
    }
}

fn estimate(info: &Info, level: u8) -> Option<Estimate> {
    let of = |level: u8| info.history.iter().find(|dump| dump.level == level);
    // A level that is new is not larger than the one below, unless that is the full one.
    let dump = of(level).or_else(|| of(level.checked_sub(1)?).filter(|below| below.level > 0))?;
    let bytes = |kb: i64| u64::try_from(kb).unwrap_or(0).saturating_mul(1024);
    Some(Estimate { raw: bytes(dump.orig_kb), stored: bytes(dump.kb) })
}

#[cfg(test)]
mod tests;
