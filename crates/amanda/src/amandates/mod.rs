//! The client's `amandates` file: what it believes it has dumped (client-src/amandates.c).
//!
//! One line for each disk and level: the name (quoted when it must be, see [`quoting`](crate::quoting)), the level,
//! and when that dump **started**, in seconds since 1970. Amanda rewrites the file in place under a lock and never shortens it, so after a
//! change of names old lines can stand at its end, and a level can be there twice; Amanda takes the newest. It is a
//! belief, not a proof: the client writes it before the server is done.
//!
//! The file of a fleet of disks can have a million lines and is read on every run, so this reader keeps nothing but one
//! buffer, and allocates only for quoted names. Bad lines are reported and passed over: a file that cannot be read in
//! full still tells about the other disks.

mod line;
mod record;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind, Read};

pub use line::Fault;
pub use record::record;

/// Bytes read at once.
const CHUNK: usize = 256 * 1024;
/// A longer line is bad, in bytes.
const LONGEST: usize = 64 * 1024;
/// How many bad lines are kept; the rest are only counted.
const BAD_KEPT: usize = 20;

/// What a whole file was like.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ScanReport {
    /// Lines in the file, good and bad, blank ones included.
    pub lines: u64,
    /// The first 20 bad lines.
    pub bad: Vec<BadLine>,
    /// How many lines were bad.
    pub bad_total: u64,
}

/// A line that says nothing we can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLine {
    /// Counted from 1.
    pub number: u64,
    /// What is wrong with it.
    pub why: Fault,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.number, self.why)
    }
}

/// Reads the whole file and gives every good line to `wanted`: the unquoted name, the level, and the start of the dump
/// in seconds since 1970. Repeated lines are all given.
///
/// # Errors
/// Only those of the reader.
pub fn scan(mut reader: impl Read, mut wanted: impl FnMut(&[u8], u8, i64)) -> io::Result<ScanReport> {
    let mut report = ScanReport::default();
    let mut buffer = vec![0; CHUNK];
    let mut filled = 0;
    // The line at the front of the buffer has already been refused for its length.
    let mut skipping = false;
    loop {
        let read = match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let text = &buffer[..filled + read];
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', text) {
            report.lines += 1;
            let line = &text[start..end];
            start = end + 1;
            if std::mem::take(&mut skipping) {
                continue;
            }
            if let Err(why) = line::give(line, &mut wanted) {
                report.refuse(report.lines, why);
            }
        }
        let begun = start..filled + read;
        if skipping || begun.len() > LONGEST {
            if !skipping {
                report.refuse(report.lines + 1, Fault::TooLong);
            }
            skipping = true;
            filled = 0;
        } else {
            filled = begun.len();
            buffer.copy_within(begun, 0);
        }
    }
    if skipping {
        report.lines += 1;
    } else if filled > 0 {
        report.lines += 1;
        report.refuse(report.lines, Fault::NotEnded);
    }
    Ok(report)
}

impl ScanReport {
    fn refuse(&mut self, number: u64, why: Fault) {
        self.bad_total += 1;
        if self.bad.len() < BAD_KEPT {
            self.bad.push(BadLine { number, why });
        }
    }
}

/// The newest start of each level of one disk, in seconds since 1970.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct DumpDates(BTreeMap<u8, i64>);

impl DumpDates {
    /// Returns the newest start at this level.
    #[must_use]
    pub fn at_level(&self, level: u8) -> Option<i64> {
        self.0.get(&level).copied()
    }

    /// Returns the newest start over all levels, and its level; of two at the same second the higher level.
    #[must_use]
    pub fn newest(&self) -> Option<(u8, i64)> {
        self.0.iter().map(|(&level, &epoch)| (level, epoch)).max_by_key(|&(level, epoch)| (epoch, level))
    }

    fn add(&mut self, level: u8, epoch: i64) {
        let newest = self.0.entry(level).or_insert(epoch);
        *newest = epoch.max(*newest);
    }
}

/// Reads the whole file for the disks named; a disk without a good line has empty [`DumpDates`].
///
/// # Errors
/// Only those of the reader.
pub fn newest_of<'n>(
    reader: impl Read,
    names: impl IntoIterator<Item = &'n [u8]>,
) -> io::Result<(BTreeMap<&'n [u8], DumpDates>, ScanReport)> {
    let mut dates: BTreeMap<&[u8], DumpDates> = names.into_iter().map(|name| (name, DumpDates::default())).collect();
    let report = scan(reader, |name, level, epoch| {
        if let Some(dates) = dates.get_mut(name) {
            dates.add(level, epoch);
        }
    })?;
    Ok((dates, report))
}

#[cfg(test)]
mod tests;
