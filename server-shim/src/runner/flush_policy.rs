//! When the holding disk goes to tape by itself: after so many bytes, or at a time of day. Never part of a laptop's wait.

use std::fs;
use std::io;
use std::path::PathBuf;

use chrono::{DateTime, Local};

use crate::config::Flush;
use crate::durable;
use crate::layout::Layout;

/// Decides whether a flush is due.
///
/// `held` is what lies on the holding disks, in bytes; `last` the time of the last flush that was ordered.
pub fn due(policy: &Flush, held: u64, last: Option<DateTime<Local>>, now: DateTime<Local>) -> bool {
    if held == 0 {
        return false;
    }
    let by_bytes = policy.after.is_some_and(|limit| held >= limit);
    let by_time = policy.at.is_some_and(|at| {
        let today = now.date_naive().and_time(at);
        let latest = if now.naive_local() >= today { today } else { today - chrono::Days::new(1) };
        last.is_none_or(|last| last.naive_local() < latest)
    });
    // A flush that could not empty the disk (no volume) is not tried again at every run.
    let lately = last.is_some_and(|last| now.signed_duration_since(last) < chrono::TimeDelta::hours(1));
    (by_bytes && !lately) || by_time
}

/// Adds up the finished dumps on the holding disks, in bytes.
pub fn held_bytes(holding: &[PathBuf]) -> u64 {
    let entries = |directory: &PathBuf| fs::read_dir(directory).into_iter().flatten().flatten();
    let runs = holding.iter().flat_map(entries).map(|entry| entry.path());
    let dumps = runs.flat_map(|run| entries(&run).collect::<Vec<_>>());
    dumps
        .filter(|entry| !entry.file_name().to_string_lossy().ends_with(".tmp"))
        .filter_map(|entry| entry.metadata().ok())
        .filter(|data| data.is_file())
        .map(|data| data.len())
        .sum()
}

fn mark(layout: &Layout) -> PathBuf {
    layout.runner().join("last-flush.json")
}

/// Returns when the last flush was ordered.
pub fn last(layout: &Layout) -> Option<DateTime<Local>> {
    // One that cannot be read is as if there had been none.
    let seconds: Option<i64> = durable::read_json(&mark(layout)).ok().flatten();
    seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0)).map(|time| time.with_timezone(&Local))
}

/// Notes that a flush was started.
pub fn note(layout: &Layout, now: i64) -> io::Result<()> {
    durable::write_json(&mark(layout), &now, 0o640)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone as _;

    #[test]
    fn a_flush_is_due_by_bytes_or_by_time() {
        let time = |day, hour, minute| Local.with_ymd_and_hms(2026, 11, day, hour, minute, 0).single().expect("a time that exists once");
        let policy = |after, at: Option<(u32, u32)>| Flush {
            config: "laptops".parse().expect("name"),
            after,
            at: at.map(|(hour, minute)| chrono::NaiveTime::from_hms_opt(hour, minute, 0).expect("a time")),
        };
        let now = time(22, 12, 0);
        for (case, policy, held, last, expected) in [
            ("nothing held", policy(Some(1), Some((3, 0))), 0, None, false),
            ("enough held", policy(Some(100), None), 100, None, true),
            ("not enough held", policy(Some(100), None), 99, None, false),
            ("tried half an hour ago", policy(Some(100), None), 100, Some(time(22, 11, 30)), false),
            ("past the time, never flushed", policy(None, Some((3, 0))), 1, None, true),
            ("past the time, flushed since", policy(None, Some((3, 0))), 1, Some(time(22, 3, 5)), false),
            ("past the time, flushed yesterday", policy(None, Some((3, 0))), 1, Some(time(21, 3, 5)), true),
            ("before the time, flushed since yesterday's", policy(None, Some((20, 0))), 1, Some(time(21, 20, 5)), false),
            ("before the time, yesterday's was missed", policy(None, Some((20, 0))), 1, Some(time(21, 19, 0)), true),
        ] {
            assert_eq!(due(&policy, held, last, now), expected, "{case}");
        }
    }
}
