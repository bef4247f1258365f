//! What people write when they mean a time in the past: `2026-11-20`, `2026-11-20 14:00`, `yesterday`, `3 days ago`, a datestamp.
//!
//! A day alone means its end, as amrecover's `setdate` takes it; so does a minute, since that is all that a table shows of a dump. Local
//! time of whoever asks; a datestamp is looked for as it stands first, since it is the server's local time.

use crate::resolve::{NoState, State};
use wire::restore::Dump;
use wire::{DiskName, HostName};

use chrono::{DateTime, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};

/// A time to go back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// Its last second, since 1970.
    pub second: i64,
    /// The datestamp that was written; a dump that has it is meant, whatever its zone.
    pub datestamp: Option<String>,
}

/// Why a text is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// No known form.
    #[error("\"{0}\" is not a time")]
    Unknown(String),
    /// A form, and no such day or hour.
    #[error("\"{0}\" is not in the calendar")]
    NotThere(String),
}

/// Seconds by which local times differ at most, an hour of summer included: a dump that is more ahead was made by a clock that was.
const ROUND_THE_WORLD: i64 = 27 * 3600;

/// Says what may be written.
pub const FORMS: &str =
    "2026-11-20 (the end of that day), \"2026-11-20 14:00\", yesterday, \"3 days ago\", or a datestamp such as 20261120183000";

/// Reads a time; `now` also says in which zone.
pub fn parse<Z: TimeZone>(text: &str, now: &DateTime<Z>) -> Result<At, TimeError> {
    let text = text.trim();
    let shown = || amanda::escape::printable(text.as_bytes());
    let unknown = || TimeError::Unknown(shown());
    let not_there = || TimeError::NotThere(shown());
    let today = now.date_naive();
    // No dump is older than that.
    let moment = |second: i64| if second < 0 { Err(not_there()) } else { Ok(At { second, datestamp: None }) };
    let end_of = |day: Option<NaiveDate>| {
        let last = NaiveTime::from_hms_opt(23, 59, 59).unwrap_or_default();
        moment(second(day.ok_or_else(not_there)?.and_time(last), now).ok_or_else(not_there)?)
    };
    match text {
        "now" => return moment(now.timestamp()),
        "today" => return end_of(Some(today)),
        "yesterday" => return end_of(today.pred_opt()),
        _ => {}
    }
    if let Some(span) = text.strip_suffix("ago").map(str::trim_end).filter(|span| !span.is_empty()) {
        return moment(before(span, now, &unknown)?.ok_or_else(not_there)?);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.len() {
            8 => end_of(day(text.get(..4), text.get(4..6), text.get(6..))),
            14 => {
                let date = day(text.get(..4), text.get(4..6), text.get(6..8));
                let time = time(text.get(8..10), text.get(10..12), text.get(12..));
                let local = date.zip(time).map(|(date, time)| date.and_time(time)).ok_or_else(not_there)?;
                Ok(At { second: second(local, now).ok_or_else(not_there)?, datestamp: Some(text.to_owned()) })
            }
            _ => Err(unknown()),
        };
    }
    // amrecover's short forms: a day of this month, of this year.
    if let Some(rest) = text.strip_prefix("--") {
        let (month, date) = match rest.strip_prefix('-') {
            Some(date) => (None, date),
            None => rest.split_once('-').map(|(month, date)| (Some(month), date)).ok_or_else(unknown)?,
        };
        let parts: Vec<u32> = month.into_iter().chain([date]).map_while(number).collect();
        use chrono::Datelike as _;
        return match (month, parts[..].split_last()) {
            (None, Some((date, []))) => end_of(NaiveDate::from_ymd_opt(today.year(), today.month(), *date)),
            (Some(_), Some((date, [month]))) => end_of(NaiveDate::from_ymd_opt(today.year(), *month, *date)),
            _ => Err(unknown()),
        };
    }
    let is_separator = |character: char| character == '-' || character == ':' || character == 'T' || character.is_ascii_whitespace();
    let parts: Vec<&str> = text.split(is_separator).filter(|part| !part.is_empty()).collect();
    let (Some([year, month, date]), clock) = (parts.get(..3), parts.get(3..).unwrap_or_default()) else { return Err(unknown()) };
    let are_digits = |part: &str, most: usize| part.len() <= most && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_date = year.len() == 4 && are_digits(year, 4) && text.get(4..5) == Some("-");
    if !is_date || !parts[1..].iter().all(|part| are_digits(part, 2)) {
        return Err(unknown());
    }
    let date = day(Some(year), Some(month), Some(date));
    let time = match clock {
        [] => return end_of(date),
        // A minute with all its seconds.
        [hour, minute] => time(Some(hour), Some(minute), Some("59")),
        [hour, minute, second] => time(Some(hour), Some(minute), Some(second)),
        _ => return Err(unknown()),
    };
    let local = date.zip(time).map(|(date, time)| date.and_time(time)).ok_or_else(not_there)?;
    moment(second(local, now).ok_or_else(not_there)?)
}

/// Reads it in this machine's zone.
pub fn parse_local(text: &str, now: i64) -> Result<At, TimeError> {
    let now = chrono::Local.timestamp_opt(now, 0).earliest().unwrap_or_else(chrono::Local::now);
    parse(text, &now)
}

/// Returns a disk as it was at a time, as it is by its newest dump when none is given. A dump whose datestamp was written is meant, whatever the
/// zone of whoever asks.
///
/// # Errors
/// When there is no such state.
pub fn state_at(dumps: &[Dump], host: &HostName, disk: &DiskName, at: Option<&At>, now: i64) -> Result<State, NoState> {
    let named = at.and_then(|at| at.datestamp.as_ref());
    let meant = named.and_then(|stamp| dumps.iter().find(|dump| dump.id.disk == *disk && dump.id.datestamp == *stamp));
    let second = match (meant, at) {
        (Some(dump), _) => dump.time,
        (None, Some(at)) => at.second,
        // Two runs in one second get two datestamps, so the last one may be ahead of the clock. What is further ahead was made by a wrong clock: it is
        // the last state only when there is nothing else.
        (None, None) if dumps.iter().any(|dump| dump.id.disk == *disk && dump.time <= now.saturating_add(ROUND_THE_WORLD)) => {
            now.saturating_add(ROUND_THE_WORLD)
        }
        (None, None) => i64::MAX,
    };
    crate::resolve::state_at(dumps, host, disk, second)
}

/// A span before now. Days, weeks, months and years are the calendar's, so that "1 month ago" has this day's number and hour.
fn before<Z: TimeZone>(span: &str, now: &DateTime<Z>, unknown: &dyn Fn() -> TimeError) -> Result<Option<i64>, TimeError> {
    let words: Vec<&str> = span.split_ascii_whitespace().collect();
    if let [count, unit] = words[..]
        && let Some(count) = (if matches!(count, "a" | "an" | "one") { Some(1) } else { number(count) })
    {
        let there = now.naive_local();
        let back = match unit.strip_suffix('s').unwrap_or(unit) {
            "day" => there.checked_sub_days(Days::new(count.into())),
            "week" => there.checked_sub_days(Days::new(u64::from(count) * 7)),
            "month" => there.checked_sub_months(Months::new(count)),
            "year" => there.checked_sub_months(Months::new(count.saturating_mul(12))),
            "hour" => return Ok(now.timestamp().checked_sub(i64::from(count) * 3600)),
            _ => return of_humantime(span, now, unknown),
        };
        return Ok(back.and_then(|back| second(back, now)));
    }
    of_humantime(span, now, unknown)
}

/// The spans that humantime knows: `36h`, `2h 30min`.
fn of_humantime<Z: TimeZone>(span: &str, now: &DateTime<Z>, unknown: &dyn Fn() -> TimeError) -> Result<Option<i64>, TimeError> {
    let span = humantime::parse_duration(span).map_err(|_| unknown())?;
    Ok(TimeDelta::from_std(span).ok().and_then(|span| now.clone().checked_sub_signed(span)).map(|at| at.timestamp()))
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn day(year: Option<&str>, month: Option<&str>, day: Option<&str>) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(number(year?)?.try_into().ok()?, number(month?)?, number(day?)?)
}

fn time(hour: Option<&str>, minute: Option<&str>, second: Option<&str>) -> Option<NaiveTime> {
    NaiveTime::from_hms_opt(number(hour?)?, number(minute?)?, number(second?)?)
}

/// Returns when a local time was; one that was there twice is the later one, and one that a clock jumped over is an hour later.
fn second<Z: TimeZone>(local: NaiveDateTime, now: &DateTime<Z>) -> Option<i64> {
    let zone = now.timezone();
    let there = zone.from_local_datetime(&local).latest();
    let there = there.or_else(|| zone.from_local_datetime(&local.checked_add_signed(TimeDelta::hours(1))?).latest());
    there.map(|there| there.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::FixedOffset;

    fn at(text: &str) -> Result<String, TimeError> {
        let zone = FixedOffset::east_opt(3600).expect("an hour");
        let now = zone.with_ymd_and_hms(2026, 11, 24, 10, 30, 15).single().expect("a time");
        let at = parse(text, &now)?;
        Ok(zone.timestamp_opt(at.second, 0).single().expect("a time").format("%Y-%m-%d %H:%M:%S").to_string())
    }

    #[test]
    fn a_day_or_a_minute_alone_means_its_end() {
        for (text, expected) in [
            ("2026-11-20", "2026-11-20 23:59:59"),
            ("20261120", "2026-11-20 23:59:59"),
            ("2026-11-20 14:00", "2026-11-20 14:00:59"),
            ("2026-11-20T14:00:30", "2026-11-20 14:00:30"),
            ("2026-11-20-14-00-30", "2026-11-20 14:00:30"),
            ("2026-11-20-14-00", "2026-11-20 14:00:59"),
            (" 2026-1-2 ", "2026-01-02 23:59:59"),
            ("20261120183000", "2026-11-20 18:30:00"),
            ("now", "2026-11-24 10:30:15"),
            ("today", "2026-11-24 23:59:59"),
            ("yesterday", "2026-11-23 23:59:59"),
            ("--02-28", "2026-02-28 23:59:59"),
            ("---03", "2026-11-03 23:59:59"),
        ] {
            assert_eq!(at(text).as_deref(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn so_long_ago_is_a_moment() {
        for (text, expected) in [
            ("3 days ago", "2026-11-21 10:30:15"),
            ("1 day ago", "2026-11-23 10:30:15"),
            ("a week ago", "2026-11-17 10:30:15"),
            ("1 month ago", "2026-10-24 10:30:15"),
            ("2 years ago", "2024-11-24 10:30:15"),
            ("an hour ago", "2026-11-24 09:30:15"),
            ("36h ago", "2026-11-22 22:30:15"),
            ("90 minutes ago", "2026-11-24 09:00:15"),
            ("2h 30min ago", "2026-11-24 08:00:15"),
        ] {
            assert_eq!(at(text).as_deref(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn a_datestamp_is_kept_as_it_was_written() {
        let now = chrono::Utc.with_ymd_and_hms(2026, 11, 24, 0, 0, 0).single().expect("a time");
        assert_eq!(parse("20261120183000", &now).expect("a time").datestamp.as_deref(), Some("20261120183000"));
        assert_eq!(parse("2026-11-20 18:30:00", &now).expect("a time").datestamp, None);
    }

    #[test]
    fn what_is_no_time_is_an_error_and_no_panic() {
        for text in [
            "",
            "ago",
            "x ago",
            "-1 days ago",
            "3 dogs ago",
            "2026",
            "2026-11",
            "26-11-20",
            "2026-11-20 14",
            "2026-11-20 14:00:00:00",
            "--",
            "---",
            "--1",
            "--a-b",
            "soon",
            "2026/11/20",
            "2026-11-20 1400",
            "20261120183",
            "\u{1b}[2J",
            "2026-+1-20",
            "ü",
            "2026-11-2ü",
        ] {
            assert!(matches!(at(text), Err(TimeError::Unknown(_))), "{text:?}: {:?}", at(text));
        }
        for text in [
            "2026-02-30",
            "2026-13-01",
            "2026-11-20 24:00",
            "20261320",
            "20261120246000",
            "9999999 years ago",
            "---31",
            "4000000000 hours ago",
        ] {
            assert!(!matches!(at(text), Err(TimeError::Unknown(_))), "{text:?}");
        }
        assert!(!TimeError::Unknown(String::new()).to_string().is_empty());
        assert!(matches!(at("2026-02-30"), Err(TimeError::NotThere(_))));
    }
}
