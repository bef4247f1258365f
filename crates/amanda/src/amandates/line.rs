//! One line of amandates.

use std::borrow::Cow;
use std::fmt;

use super::LONGEST;
use crate::quoting;

/// The last second of the year 9999: what is later is not a time.
pub(super) const LATEST: i64 = 253_402_300_799;

/// What can be wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It does not have exactly a name, a level and a time.
    Fields,
    /// The name's quotes or escapes are broken.
    Name,
    /// The level is no number, or above 255. (Amanda allows 399; its planner never gets beyond 9 by itself.)
    Level,
    /// The time is no number, negative, or after the year 9999.
    Epoch,
    /// It is longer than 64 KiB.
    TooLong,
    /// The file ends in it: it may be half written, and a time that lost its last digits is still a number.
    NotEnded,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fields => "not a name, a level and a time",
            Self::Name => "the name's quotes are broken",
            Self::Level => "not a level",
            Self::Epoch => "not a time",
            Self::TooLong => "longer than 64 KiB",
            Self::NotEnded => "the file ends in the middle of it",
        })
    }
}

/// Parses one line and gives it away; a blank one is passed over, as Amanda does.
pub(super) fn give(line: &[u8], wanted: &mut impl FnMut(&[u8], u8, i64)) -> Result<(), Fault> {
    if line.len() > LONGEST {
        return Err(Fault::TooLong);
    }
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(());
    }
    let (name, rest) = name(line)?;
    let mut fields = rest.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    let (Some(level), Some(epoch), None) = (fields.next(), fields.next(), fields.next()) else {
        return Err(Fault::Fields);
    };
    let level = number(level).and_then(|level| u8::try_from(level).ok()).ok_or(Fault::Level)?;
    let epoch = number(epoch).filter(|&epoch| epoch <= LATEST).ok_or(Fault::Epoch)?;
    wanted(&name, level, epoch);
    Ok(())
}

/// Takes the name off the front of a line.
fn name(line: &[u8]) -> Result<(Cow<'_, [u8]>, &[u8]), Fault> {
    let special = line.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'"' | b'\\' | 0));
    match special.map(|at| (at, line[at])) {
        None => Err(Fault::Fields),
        // After a power cut a file can end in zeros.
        Some((_, 0)) => Err(Fault::Name),
        Some((at, b' ' | b'\t')) => Ok((Cow::Borrowed(&line[..at]), &line[at..])),
        Some(_) => {
            let mut words = quoting::split_words(line);
            let name = words.next().ok_or(Fault::Fields).and_then(|word| quoting::unquote(word).map_err(|_| Fault::Name))?;
            if name.contains(&0) { Err(Fault::Name) } else { Ok((Cow::Owned(name), words.rest())) }
        }
    }
}

/// Reads decimal digits and nothing else; `None` beyond 18 of them, which is more than any time has.
fn number(field: &[u8]) -> Option<i64> {
    if field.is_empty() || field.len() > 18 {
        return None;
    }
    field.iter().try_fold(0i64, |value, &digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}
