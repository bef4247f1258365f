//! The list of names that goes with a dump (`start_index` in client-src/sendbackup.c).
//!
//! Amanda makes it of what `tar -tf -` prints, without the dot in front: a name from the disk's directory on, which
//! begins with `/`, and ends in `/` when it is a directory. A name's newlines, backslashes and unprintable bytes are
//! escaped as tar escapes them, so that each name is one line.
//!
//! On the server it is the file `index/HOST/_DISK/DATESTAMP_LEVEL-unsorted.gz` (server-src/amindex.c), and the dump's header
//! stands beside it as `DATESTAMP_LEVEL.header`. Amanda sorts it when somebody looks at it; what is sorted already may be
//! named so.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufWriter, ErrorKind, IntoInnerError, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::dle::Dle;
use crate::quoting::sanitise;

/// The server's reader splits longer lines, newline included.
pub const LONGEST: usize = 4095;

/// gzip hands out a few bytes at a time.
const BUFFER: usize = 32 * 1024;

/// How the list is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// `….gz`, sorted: the only form before 3.4.
    Old,
    /// `…-sorted.gz`
    SortedGz,
    /// `…-sorted`
    Sorted,
    /// `…-unsorted.gz`: what a run writes, unless amanda.conf says otherwise.
    UnsortedGz,
    /// `…-unsorted`
    Unsorted,
}

impl Form {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Old, ".gz"),
        (Self::SortedGz, "-sorted.gz"),
        (Self::Sorted, "-sorted"),
        (Self::UnsortedGz, "-unsorted.gz"),
        (Self::Unsorted, "-unsorted"),
    ];

    /// Says whether gzip is needed to read it.
    #[must_use]
    pub fn is_compressed(self) -> bool {
        !matches!(self, Self::Sorted | Self::Unsorted)
    }
}

/// Returns the directory of a disk's lists, below the one that amanda.conf calls `indexdir`.
#[must_use]
pub fn directory(dle: &Dle) -> PathBuf {
    PathBuf::from(sanitise(dle.host.as_bytes())).join(sanitise(dle.disk_bytes()))
}

/// Returns the name of a dump's list in that directory.
#[must_use]
pub fn file_name(datestamp: &str, level: u8, form: Form) -> String {
    let suffix = Form::ALL.iter().find(|(other, _)| *other == form).map_or("", |(_, suffix)| suffix);
    format!("{datestamp}_{level}{suffix}")
}

/// Returns the name of the dump's header in that directory ([`Header::text`](crate::header::Header::text)).
#[must_use]
pub fn header_name(datestamp: &str, level: u8) -> String {
    format!("{datestamp}_{level}.header")
}

/// Returns the datestamp, the level and the form that a name stands for; `None` for another file.
#[must_use]
pub fn parse_name(name: &OsStr) -> Option<(String, u8, Form)> {
    let name = std::str::from_utf8(name.as_bytes()).ok()?;
    let (datestamp, rest) = name.split_once('_')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (level, suffix) = rest.split_at(digits);
    let (form, _) = Form::ALL.into_iter().find(|(_, other)| *other == suffix)?;
    let is_date = matches!(datestamp.len(), 8 | 14) && datestamp.bytes().all(|digit| digit.is_ascii_digit());
    Some((datestamp.to_owned(), level.parse().ok()?, form)).filter(|_| is_date)
}

/// Writes a list as a run does: compressed, a name on each line.
#[derive(Debug)]
pub struct Writer<W: Write> {
    gzip: GzEncoder<BufWriter<W>>,
}

impl<W: Write> Writer<W> {
    /// Begins a list. gzip's header names no file and no time, so the same names are the same bytes.
    pub fn new(to: W) -> Self {
        Self { gzip: GzEncoder::new(BufWriter::with_capacity(BUFFER, to), Compression::fast()) }
    }

    /// Adds a name, without its newline. One that Amanda could not offer is left out: see [`is_line`].
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, line: &[u8]) -> io::Result<()> {
        if !is_line(line) {
            return Ok(());
        }
        self.gzip.write_all(line)?;
        self.gzip.write_all(b"\n")
    }

    /// Ends the list and returns what it was written to, which is still to be synced.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> io::Result<W> {
        self.gzip.finish()?.into_inner().map_err(IntoInnerError::into_error)
    }
}

/// Gives every name of a list to `each`, in its order. A compressed one is read through
/// [`flate2::bufread::MultiGzDecoder`].
///
/// # Errors
/// When it cannot be read, is cut, or has a line that is longer than Amanda reads.
pub fn names(mut list: impl BufRead, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut list).take(LONGEST as u64 + 1).read_until(b'\n', &mut line)?;
        match line.pop() {
            None => return Ok(()),
            Some(b'\n') => each(&line),
            Some(_) if read > LONGEST => return Err(io::Error::new(ErrorKind::InvalidData, "the index has a line above 4095 bytes")),
            Some(_) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the index ends within a line")),
        }
    }
}

/// Returns the line of the index, without its newline, for one that `tar -t` printed; nothing for a member that is
/// not below the disk's directory, which Amanda's recovery could not offer.
#[must_use]
pub fn line(listed: &[u8]) -> Option<&[u8]> {
    let name = listed.strip_prefix(b".").unwrap_or(listed);
    is_line(name).then_some(name)
}

/// Says whether this can be a line of an index, without its newline.
#[must_use]
pub fn is_line(line: &[u8]) -> bool {
    line.starts_with(b"/") && line.len() < LONGEST && !line.iter().any(u8::is_ascii_control)
}

/// Returns a member's name, which begins with `./`, as `tar -t` lists it: backslashes, control characters and bytes
/// beyond ASCII are escaped.
#[must_use]
pub fn escaped(name: &[u8]) -> Vec<u8> {
    let mut listed = Vec::with_capacity(name.len());
    for &byte in name {
        let letter = match byte {
            b'\\' => b'\\',
            0x07 => b'a',
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x0b => b'v',
            0x20..0x7f => {
                listed.push(byte);
                continue;
            }
            other => {
                listed.extend(format!("\\{other:03o}").into_bytes());
                continue;
            }
        };
        listed.extend([b'\\', letter]);
    }
    listed
}

/// Returns the name that a line stands for: the reverse of [`escaped`], as GNU tar reads such names. A backslash that begins no escape is itself.
#[must_use]
pub fn unescaped(line: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'\\' {
            name.push(byte);
            continue;
        }
        let digits = rest.iter().take(3).take_while(|digit| matches!(digit, b'0'..=b'7')).count();
        let number = rest[..digits].iter().fold(0_u32, |number, digit| number * 8 + u32::from(digit - b'0'));
        let meant = match rest.first() {
            _ if digits > 0 => u8::try_from(number).ok().map(|byte| (byte, digits)),
            Some(b'\\') => Some((b'\\', 1)),
            Some(b'a') => Some((0x07, 1)),
            Some(b'b') => Some((0x08, 1)),
            Some(b'f') => Some((0x0c, 1)),
            Some(b'n') => Some((b'\n', 1)),
            Some(b'r') => Some((b'\r', 1)),
            Some(b't') => Some((b'\t', 1)),
            Some(b'v') => Some((0x0b, 1)),
            _ => None,
        };
        let (byte, taken) = meant.unwrap_or((b'\\', 0));
        name.push(byte);
        rest = &rest[taken..];
    }
    name
}

#[cfg(test)]
mod tests;
