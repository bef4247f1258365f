//! Spans and dates for people: two units at most, local time.

use chrono::{Local, TimeZone as _};

/// Returns a span in its one or two largest units: "42 s", "5 h 12 min", "2 days 3 h".
pub fn span(seconds: i64) -> String {
    const UNITS: &[(i64, &str, &str)] =
        &[(604_800, "week", "weeks"), (86_400, "day", "days"), (3600, "h", "h"), (60, "min", "min"), (1, "s", "s")];
    let seconds = seconds.max(0);
    let word = |count: i64, unit: &(i64, &str, &str)| format!("{count} {}", if count == 1 { unit.1 } else { unit.2 });
    // Weeks only when they come out even, as in an interval; an age of 20 days is no "2 weeks 6 days".
    let units = if seconds > 0 && seconds % 604_800 == 0 { UNITS } else { &UNITS[1..] };
    let Some(at) = units.iter().position(|unit| seconds >= unit.0) else { return "0 s".to_owned() };
    let (first, rest) = (seconds / units[at].0, seconds % units[at].0);
    let second = units.get(at + 1).map(|unit| (rest / unit.0, unit)).filter(|(count, _)| *count > 0 && first < 14);
    match second {
        Some((count, unit)) => format!("{} {}", word(first, &units[at]), word(count, unit)),
        None => word(first, &units[at]),
    }
}

/// Returns a date and time of this machine's zone.
pub fn local(epoch: i64) -> String {
    match Local.timestamp_opt(epoch, 0).earliest() {
        Some(time) => time.format("%Y-%m-%d %H:%M").to_string(),
        None => format!("second {epoch}"),
    }
}

/// Returns the same to the second, as `--at` understands it.
pub fn exactly(epoch: i64) -> String {
    match Local.timestamp_opt(epoch, 0).earliest() {
        Some(time) => time.format("%Y-%m-%d %H:%M:%S").to_string(),
        None => format!("second {epoch}"),
    }
}

/// Returns how long ago something was.
pub fn ago(now: i64, then: i64) -> String {
    if then > now { format!("in {}", span(then.saturating_sub(now))) } else { format!("{} ago", span(now.saturating_sub(then))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_rounded_to_two_units() {
        for (seconds, words) in [
            (-5, "0 s"),
            (0, "0 s"),
            (42, "42 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (3599, "59 min"),
            (18_720, "5 h 12 min"),
            (86_400, "1 day"),
            (86_401, "1 day"),
            (183_600, "2 days 3 h"),
            (604_800, "1 week"),
            (1_209_600, "2 weeks"),
            (1_814_401, "21 days"),
            (129_600, "1 day 12 h"),
        ] {
            assert_eq!(span(seconds), words, "{seconds}");
        }
    }

    #[test]
    fn absurd_times_are_shown_and_not_fatal() {
        for epoch in [i64::MIN, i64::MAX] {
            assert!(local(epoch).starts_with("second "));
            assert!(!ago(0, epoch).is_empty());
        }
    }
}
