//! Which level a disk is dumped at, and why: a function of what there is of it.
//!
//! A full dump when nothing certain is there to build on, when somebody asked for one, or when the cycle is over; an incremental
//! one otherwise. It stays at its level until that level has grown larger than the config's rule says, for as many days as it
//! says, and then goes to the next one.

use amanda::chains::{Bases, Restorable};
use amanda::conf::{Dumptype, Strategy, Value};
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
    pub fn of(how: &Dumptype<'_>, config: &amanda::conf::Config) -> Self {
        let int = |name, default| how.settings().int(name).or_else(|| config.settings().int(name)).unwrap_or(default);
        let setting = how.settings().get("bumpmult").or_else(|| config.settings().get("bumpmult"));
        let bumpmult = match setting.map(|setting| &setting.value) {
            Some(Value::Real(value)) => *value,
            _ => 1.5,
        };
        Self {
            full_only: how.strategy() == Strategy::NoInc,
            dumpcycle: how.dumpcycle(),
            bumpdays: int("bumpdays", 2),
            bumpsize: int("bumpsize", 10 * 1024),
            bumppercent: int("bumppercent", 0),
            bumpmult,
        }
    }

    /// Amanda's `bump_thresh`.
    #[expect(clippy::cast_precision_loss, reason = "a threshold")]
    fn threshold(&self, level: u8, full_kb: i64) -> f64 {
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

/// Plans a dump that will have this datestamp.
pub fn plan(known: &Known<'_>, rules: &Rules, stamp: &str, now: i64) -> Plan {
    let (level, reason, base) = match incremental(known, rules, stamp, now) {
        Ok((level, reason, last)) => (level, reason, below(last, level)),
        Err(reason) => (0, reason, None),
    };
    Plan { level, reason, base, estimate: estimate(known.info, level) }
}

/// Returns the dump one level below, of the last dump and those that it builds on.
fn below(last: &Restorable, level: u8) -> Option<String> {
    let Bases::Complete(bases) = &last.bases else { return None };
    let chain = std::iter::once(&last.datestamp).chain(bases);
    chain.zip((0..=last.level).rev()).find(|(_, at)| at + 1 == level).map(|(stamp, _)| stamp.clone())
}

/// Chooses an incremental level, or says why it has to be a full dump.
fn incremental<'a>(known: &Known<'a>, rules: &Rules, stamp: &str, now: i64) -> Result<(u8, String, &'a Restorable), String> {
    let info = known.info;
    if info.command & FORCE_FULL != 0 {
        return Err("a full dump was asked for".to_owned());
    }
    if rules.full_only {
        return Err("the dumptype makes full dumps only".to_owned());
    }
    let Some(newest) = known.dumps.last() else { return Err("there is no dump of it yet".to_owned()) };
    let last = info.history.first();
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
    let full = bases.last().unwrap_or(&base.datestamp);
    let Some(made) = (known.moment)(full) else { return Err(format!("{full} is no time at which a full dump was made")) };
    // A full dump of a time zone further east may seem to be of the future; its history knew better.
    let days = now.saturating_sub(made).max(0) / DAY;
    if days >= i64::from(rules.dumpcycle) {
        let days = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
        return Err(format!("its last full dump is {days} old, and dumpcycle is {}", rules.dumpcycle));
    }
    let of_full = format!("the full dump of {full} is not older than dumpcycle");
    if info.command & FORCE_LEVEL_1 != 0 || base.level == 0 {
        return Ok((1, if base.level == 0 { of_full } else { "level 1 was asked for".to_owned() }, base));
    }
    let (level, reason) = stay_or_bump(info, rules, base.level, now);
    Ok((level, reason, base))
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
mod tests {
    use super::*;
    use amanda::admin::Place;
    use amanda::curinfo::Dumped;

    const RULES: Rules = Rules { full_only: false, dumpcycle: 14, bumpdays: 2, bumpsize: 10_240, bumppercent: 0, bumpmult: 1.5 };
    const NOW: i64 = 1_000 * DAY;

    /// In these tests a datestamp is a day, ten digits long.
    fn moment(stamp: &str) -> Option<i64> {
        stamp.parse::<i64>().ok().map(|day| day * DAY)
    }

    fn stamp(day: i64) -> String {
        format!("{day:010}")
    }

    fn restorable(day: i64, level: u8, bases: Bases) -> Restorable {
        Restorable { level, datestamp: stamp(day), places: vec![vec![Place::Holding("/x".into())]], bases }
    }

    /// Dumps as they were made, `(day, level, KiB)`; all of them whole.
    fn made(dumps: &[(i64, u8, i64)]) -> (Vec<Restorable>, Info) {
        let mut info = Info::default();
        let mut whole: Vec<Restorable> = Vec::new();
        for &(day, level, kb) in dumps {
            let mut bases = Vec::new();
            for below in (0..level).rev() {
                bases.extend(dumps.iter().rfind(|dump| dump.1 == below && dump.0 < day).map(|dump| stamp(dump.0)));
            }
            whole.push(restorable(day, level, Bases::Complete(bases)));
            info.dumped(Dumped { level, orig_kb: kb, kb: kb / 2, date: day * DAY, secs: 1, compressed: true });
        }
        whole.sort_by(|one, other| one.datestamp.cmp(&other.datestamp));
        (whole, info)
    }

    fn planned(dumps: &[Restorable], info: &Info, rules: Rules) -> Plan {
        plan(&Known { dumps, info, moment: &moment }, &rules, &stamp(1_000), NOW)
    }

    #[test]
    fn each_history_has_its_level_and_its_reason() {
        let large = 20_000;
        for (case, dumps, level, words) in [
            ("no history", &[][..], 0, "no dump of it yet"),
            ("after a full one", &[(999, 0, 500)], 1, "not older than dumpcycle"),
            ("the cycle is over", &[(986, 0, 500), (999, 1, 5)], 0, "14 days old"),
            ("the cycle is nearly over", &[(987, 0, 500), (999, 1, 5)], 1, "small"),
            ("small incremental dumps stay", &[(990, 0, 500), (991, 1, 5), (999, 1, 9)], 1, "small"),
            ("large and old goes on", &[(990, 0, 500), (991, 1, 5), (999, 1, large)], 2, "20000 KiB"),
            ("large and young stays", &[(990, 0, 500), (999, 1, large)], 1, "younger than bumpdays"),
            ("the next level is dearer", &[(990, 0, 500), (991, 1, large), (992, 2, 12_000), (999, 2, 12_000)], 2, "small"),
            ("and worth it in the end", &[(990, 0, 500), (991, 1, large), (992, 2, 15_400), (999, 2, 15_400)], 3, "worth it"),
            ("level 9 stays", &[(980, 0, 500), (991, 0, 9), (992, 1, 9)], 1, "small"),
            ("a dump of the future", &[(990, 0, 500), (1_100, 1, 5)], 0, "ahead"),
            ("and a full one after it", &[(990, 0, 500), (1_100, 1, 5), (999, 0, 500)], 1, "not older"),
            ("a full dump of the future", &[(1_100, 0, 5)], 0, "ahead"),
        ] {
            let (dumps, info) = made(dumps);
            let plan = planned(&dumps, &info, RULES);
            assert_eq!(plan.level, level, "{case}: {}", plan.reason);
            assert!(plan.reason.contains(words), "{case}: {}", plan.reason);
        }
    }

    #[test]
    fn a_plan_names_what_the_dump_will_build_on() {
        let (dumps, mut info) = made(&[(985, 0, 500), (990, 0, 500), (998, 1, 5), (999, 2, 5)]);
        for (command, base) in [(FORCE_FULL, None), (FORCE_LEVEL_1, Some(990)), (FORCE_BUMP, Some(999)), (FORCE_NO_BUMP, Some(998))] {
            info.command = command;
            assert_eq!(planned(&dumps, &info, RULES).base, base.map(stamp), "{command}");
        }
    }

    #[test]
    fn the_highest_level_is_nine() {
        let mut dumps = vec![(990, 0, 500_000)];
        dumps.extend((1..=9).map(|level| (990 + i64::from(level), level, 400_000)));
        let (dumps, info) = made(&dumps);
        let plan = planned(&dumps, &info, Rules { bumpdays: 0, ..RULES });
        assert_eq!((plan.level, plan.reason.contains("highest")), (9, true));
    }

    #[test]
    fn what_is_asked_for_is_done() {
        let (dumps, mut info) = made(&[(990, 0, 500), (998, 1, 5), (999, 2, 5)]);
        for (command, level) in [(FORCE_FULL, 0), (FORCE_LEVEL_1, 1), (FORCE_BUMP, 3), (FORCE_NO_BUMP, 2), (0, 2)] {
            info.command = command;
            assert_eq!(planned(&dumps, &info, RULES).level, level, "{command}");
        }
        assert_eq!(planned(&dumps, &info, Rules { full_only: true, ..RULES }).level, 0);
        assert_eq!(planned(&dumps, &info, Rules { dumpcycle: 0, ..RULES }).level, 0);
    }

    #[test]
    fn nothing_is_built_on_what_is_not_certain() {
        let (dumps, info) = made(&[(990, 0, 500), (998, 1, 5), (999, 2, 5)]);
        let mut missing = dumps.clone();
        missing[2].bases = Bases::Missing { level: 1 };
        let mut doubtful = dumps.clone();
        doubtful[2].bases = Bases::Doubtful { bases: vec![stamp(998), stamp(990)], broken: stamp(995) };
        for (case, dumps, words) in [
            ("the base is gone", &missing[..], "is gone"),
            ("a base is in doubt", &doubtful, "not whole"),
            ("the last one is gone", &dumps[..2], "of level 2, is gone"),
        ] {
            let plan = planned(dumps, &info, RULES);
            assert_eq!(plan.level, 0, "{case}");
            assert!(plan.reason.contains(words), "{case}: {}", plan.reason);
        }
        // Without any memory the volumes alone count.
        assert_eq!(planned(&dumps, &Info::default(), RULES).level, 2);
    }

    #[test]
    fn percents_count_where_they_are_said() {
        let (dumps, info) = made(&[(990, 0, 100_000), (991, 1, 5), (999, 1, 5_000)]);
        assert_eq!(planned(&dumps, &info, Rules { bumppercent: 5, ..RULES }).level, 2);
        assert_eq!(planned(&dumps, &info, Rules { bumppercent: 6, ..RULES }).level, 1);
    }

    #[test]
    fn sizes_are_expected_from_the_history() {
        let (dumps, info) = made(&[(990, 0, 500), (991, 1, 6), (999, 1, 20_000)]);
        let plan = planned(&dumps, &info, RULES);
        assert_eq!((plan.level, plan.estimate), (2, Some(Estimate { raw: 20_000 * 1024, stored: 10_000 * 1024 })));
        let (dumps, info) = made(&[(980, 0, 500)]);
        assert_eq!(planned(&dumps, &info, RULES).estimate, Some(Estimate { raw: 500 * 1024, stored: 250 * 1024 }));
        let (dumps, info) = made(&[(999, 0, 500)]);
        assert_eq!(planned(&dumps, &info, RULES).estimate, None);
    }
}
