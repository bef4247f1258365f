//! How long a backup stays fresh: `24` (hours), `36h`, `1 day`, `2 weeks`.
//!
//! humantime knows no bare number; the Perl script's README says that one means hours.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A span between backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(Duration);

/// Why a text is no span.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum IntervalError {
    /// Nothing there.
    #[error("it is empty")]
    Empty,
    /// Below zero.
    #[error("it is negative")]
    Negative,
    /// More than a thousand years.
    #[error("it is too long")]
    TooLong,
    /// Not in the grammar.
    #[error("{0}")]
    Grammar(humantime::DurationError),
}

/// A thousand years: what is longer is a slip of the finger, and would overflow dates.
const LONGEST: Duration = Duration::from_secs(1000 * 366 * 86_400);

impl Interval {
    /// Returns a span of whole hours.
    pub fn from_hours(hours: u64) -> Result<Self, IntervalError> {
        Self::new(Duration::from_secs(hours.checked_mul(3600).ok_or(IntervalError::TooLong)?))
    }

    /// Returns the span in seconds.
    pub fn seconds(self) -> i64 {
        i64::try_from(self.0.as_secs()).expect("LONGEST fits")
    }

    fn new(span: Duration) -> Result<Self, IntervalError> {
        if span > LONGEST { Err(IntervalError::TooLong) } else { Ok(Self(span)) }
    }
}

impl Default for Interval {
    fn default() -> Self {
        Self(Duration::from_secs(86_400))
    }
}

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, IntervalError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(IntervalError::Empty);
        }
        if text.starts_with('-') {
            return Err(IntervalError::Negative);
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::from_hours(text.parse().map_err(|_| IntervalError::TooLong)?);
        }
        Self::new(humantime::parse_duration(text).map_err(|error| match error {
            humantime::DurationError::NumberOverflow => IntervalError::TooLong,
            other => IntervalError::Grammar(other),
        })?)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&crate::report::when::span(self.seconds()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_is_hours_and_words_are_spans() {
        const HOUR: i64 = 3600;
        for (text, seconds) in [
            ("24", 24 * HOUR),
            (" 24 ", 24 * HOUR),
            ("0", 0),
            ("36h", 36 * HOUR),
            ("24 hours", 24 * HOUR),
            ("1 day", 24 * HOUR),
            ("1day", 24 * HOUR),
            ("1 day 12h", 36 * HOUR),
            ("1 week", 168 * HOUR),
            ("2 weeks", 336 * HOUR),
            ("90 min", 5400),
        ] {
            assert_eq!(text.parse::<Interval>().map(Interval::seconds), Ok(seconds), "{text:?}");
        }
    }

    #[test]
    fn anything_else_is_an_error_and_never_zero() {
        for text in ["", "  ", "-1", "-1 day", "day", "1 fortnight", "1.5", "24,5", "99999999999999999999", "9999999 years", "1 dáy"] {
            assert!(text.parse::<Interval>().is_err(), "{text:?}");
        }
    }
}
