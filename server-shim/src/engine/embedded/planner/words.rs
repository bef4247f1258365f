//! Sentences: why a disk has the level that it has. What begins with a capital letter is Amanda's, and stands in its logs.

use amanda::dle::Dle;
use amanda::escape::printable;
use amanda::quoting::quote;

use crate::engine::embedded::plan::in_days;

pub(super) const NEW_DEGRADED: &str = "Skipping: new disk can't be dumped in degraded mode";
pub(super) const FORCED_DEGRADED: &str = "Skipping: Can't bump a 'force' dle in degraded mode";
pub(super) const FULL_ONLY_DEGRADED: &str = "Skipping: strategy NOINC can't be dumped in degraded mode";
pub(super) const SKIP_INCR_DEGRADED: &str = "Skipping: skip-incr disk can't be dumped in degraded mode";
pub(super) const NOT_FULL_DEGRADED: &str = "Skipping: a full is not planned, so can't dump in degraded mode";
pub(super) const NO_DEGRADED: &str = "Skipping: cannot dump in degraded mode for unknown reason";
pub(super) const NO_FULL_TO_BUILD_ON: &str = "Skipping incronly because no full dump were done";
pub(super) const NO_ESTIMATE: &str = "no estimate";

pub(super) const FORCED: &str = "a full dump was asked for";
pub(super) const FULL_ONLY: &str = "the dumptype makes full dumps only";
pub(super) const LAST_CHANCE: &str = "the volume with its last full dump is overwritten by the next run";
pub(super) const SKIP_FULL: &str = "its full dump is due, and the dumptype says that it is made elsewhere (skip-full)";
pub(super) const SKIP_INCR: &str = "its full dump is not due, and the dumptype makes no incremental ones (skip-incr)";
pub(super) const AWAY: &str = "its host calls in, and is not there now; its share of the volumes is left to it";

/// Host and disk as Amanda's messages have them.
pub(super) fn name(dle: &Dle) -> String {
    format!("{}:{}", dle.host, printable(&quote(dle.disk_bytes())))
}

pub(super) fn due(age: i64, dumpcycle: u32) -> String {
    format!("its last full dump is {} old, and dumpcycle is {dumpcycle}", in_days(age))
}

pub(super) fn not_due(next_full: i64, never: bool) -> String {
    match next_full {
        _ if never => "its full dumps are made elsewhere".to_owned(),
        1 => "its full dump is due tomorrow".to_owned(),
        days => format!("its full dump is due in {}", in_days(days)),
    }
}

/// The reason of an incremental dump: why it is no full one, and why this level.
pub(super) fn incremental(why_not_full: &str, why_level: &str) -> String {
    format!("{why_not_full}; {why_level}")
}

pub(super) fn after_full() -> String {
    "the last dump was a full one".to_owned()
}

pub(super) fn stays(level: u8, kb: i64, saved_kb: Option<i64>) -> String {
    match saved_kb {
        Some(saved) => format!("it stays at level {level}, since the next one would save {} KiB only", saved.max(0)),
        None => format!("it stays at level {level}, which has {kb} KiB and is small"),
    }
}

pub(super) fn young(level: u8, runs: i64, bumpdays: i64) -> String {
    format!("it stays at level {level}, which it has had for {} of {bumpdays} (bumpdays)", in_runs(runs))
}

pub(super) fn bumped(level: u8, saved_kb: i64) -> String {
    format!("level {level} saves {saved_kb} KiB")
}

pub(super) fn asked(level: u8) -> String {
    format!("level {level} was asked for")
}

fn in_runs(runs: i64) -> String {
    if runs == 1 { "1 run".to_owned() } else { format!("{} runs", runs.max(0)) }
}

pub(super) fn promoted(days: i64) -> String {
    format!("its full dump is made {} before it is due, so that full dumps are spread over the cycle", in_days(days))
}

pub(super) fn delayed(due: &str) -> String {
    format!("a full dump is due ({due}), and is made later: this run's volumes have no room for it")
}

pub(super) fn guessed(dle: &Dle, kb: i64) -> String {
    format!("WARNING: no history available for {}; guessing that size will be {kb} KB", name(dle))
}
