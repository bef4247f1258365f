//! Datestamps: a run's time, to the second, in local time, as Amanda writes it: `20261123190624`.
//!
//! They name dumps and order them: a dump builds on one with a smaller datestamp. Local time goes back, by an hour each autumn
//! and by many when a laptop travels; so a run's datestamp is always greater than those before it, unless the clock was wrong by
//! more than that.

use chrono::{DateTime, Local, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone as _};

/// So far local time may go back, in seconds: from the easternmost zone to the westernmost, and an hour of summer time.
pub const ROUND_THE_WORLD: i64 = 27 * 3600;

/// Says whether two moments may be one, told by the local time of different places.
pub fn is_about(one: i64, other: i64) -> bool {
    one.abs_diff(other) <= ROUND_THE_WORLD.unsigned_abs()
}

/// Returns the datestamp of a moment, in seconds since 1970.
pub fn of(seconds: i64) -> String {
    let time = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    time.with_timezone(&Local).format("%Y%m%d%H%M%S").to_string()
}

/// Returns the greatest datestamp that a run may have that was made before now: local time may have gone back since. A greater one
/// was made by a clock that was ahead.
pub fn latest(now: i64) -> String {
    of(now.saturating_add(ROUND_THE_WORLD))
}

fn naive(stamp: &str) -> Option<NaiveDateTime> {
    if !stamp.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match stamp.len() {
        14 => NaiveDateTime::parse_from_str(stamp, "%Y%m%d%H%M%S").ok(),
        8 => NaiveDateTime::parse_from_str(&format!("{stamp}000000"), "%Y%m%d%H%M%S").ok(),
        _ => None,
    }
}

/// Returns the moment of a datestamp by the local time of now; the later one when there are two. `None` for what is no datestamp.
pub fn seconds(stamp: &str) -> Option<i64> {
    let time = naive(stamp)?;
    match Local.from_local_datetime(&time) {
        MappedLocalTime::Single(time) => Some(time.timestamp()),
        MappedLocalTime::Ambiguous(one, other) => Some(one.timestamp().max(other.timestamp())),
        // An hour that is left out in spring.
        MappedLocalTime::None => {
            Local.from_local_datetime(&(time.checked_add_signed(TimeDelta::hours(1))?)).latest().map(|time| time.timestamp())
        }
    }
}

/// Chooses a run's datestamp: the time of now, or the second behind the newest dump when that is a little later; and one that is
/// not taken.
pub fn choose(now: i64, newest: Option<&str>, taken: impl Fn(&str) -> bool) -> String {
    let ours = naive(&of(now)).unwrap_or_default();
    let newest = newest.and_then(naive).filter(|newest| *newest >= ours && (*newest - ours).num_seconds() <= ROUND_THE_WORLD);
    let mut time = newest.map_or(ours, |newest| newest + TimeDelta::seconds(1));
    loop {
        let stamp = time.format("%Y%m%d%H%M%S").to_string();
        if !taken(&stamp) {
            return stamp;
        }
        time += TimeDelta::seconds(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datestamp_is_the_time_that_it_was_made_of() {
        for seconds in [0, 1_795_460_784, 4_000_000_000] {
            assert_eq!(super::seconds(&of(seconds)), Some(seconds));
        }
        for no in ["", "X", "0", "2026112319062", "20261323190624", "2026112319062x", "99999999999999"] {
            assert_eq!(super::seconds(no), None, "{no}");
        }
        assert_eq!(super::seconds("20261123"), super::seconds("20261123000000"));
    }

    #[test]
    fn datestamps_grow_while_local_time_goes_back() {
        let now = 1_795_460_784;
        let ours = of(now);
        let after = of(now + 1);
        assert_eq!(choose(now, None, |_| false), ours);
        assert_eq!(choose(now, Some(&of(now - 5)), |_| false), ours);
        assert_eq!(choose(now, Some(&ours), |_| false), after);
        assert_eq!(choose(now, Some(&of(now + 3600)), |_| false), of(now + 3601));
        assert_eq!(choose(now, None, |stamp| stamp == ours), after);
        // A dump of years ahead was made by a wrong clock.
        assert_eq!(choose(now, Some(&of(now + 100 * 86400)), |_| false), ours);
    }
}
