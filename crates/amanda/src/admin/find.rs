//! The output of `amadmin CONFIG find [HOST [DISK]]`: where the dumps are (`print_find_result` in server-src/find.c).
//!
//! One row for each part on a volume, and one for each dump in a holding disk (its chunks are not listed). Columns are
//! padded, names quoted; a dump that never reached a volume has an empty "tape or file", which only the column tells.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use crate::dle::Dle;
use crate::escape::printable;
use crate::quoting::split_words;

/// Where a part of a dump is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a holding disk, whole: the first of its files.
    Holding(OsString),
    /// On a volume.
    Volume {
        /// The volume's label.
        label: Vec<u8>,
        /// The file's number on it.
        file: u64,
    },
    /// Nowhere: the row tells of a failure.
    Nowhere,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holding(path) => f.write_str(&printable(path.as_bytes())),
            Self::Volume { label, file } => write!(f, "{}:{file}", printable(label)),
            Self::Nowhere => f.write_str("nowhere"),
        }
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Whose dump.
    pub dle: Dle,
    /// `YYYYMMDDhhmmss`, or `YYYYMMDD`: the form in which logs and holding disks have it.
    pub datestamp: String,
    /// The level.
    pub level: u8,
    /// The storage; `HOLDING` for a holding disk.
    pub storage: String,
    /// The volume pool; `HOLDING` for a holding disk.
    pub pool: String,
    /// Where it is.
    pub place: Place,
    /// The part's number, from 1; -1 in a holding disk.
    pub part: i32,
    /// How many parts there are; -1 when that is not known, and in a holding disk.
    pub parts: i32,
    /// Amanda's words on the part and the dump, made printable: `OK`, or `OK PARTIAL`, `PARTIAL PARTIAL` and more, with
    /// a message behind them.
    pub status: String,
}

impl Found {
    /// Says whether both the part and the dump are well.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.status == "OK"
    }
}

/// Parses the output. Lines that are no row (`No dump to list`, warnings about logs) are passed over.
#[must_use]
pub fn parse(output: &[u8]) -> Vec<Found> {
    let mut columns = Columns::default();
    let mut rows = Vec::new();
    for line in output.split(|&byte| byte == b'\n') {
        if line.starts_with(b"date ") {
            columns = Columns::of(line);
        } else {
            rows.extend(row(line, columns));
        }
    }
    rows
}

/// Where columns begin that can be blank; taken from the heading.
#[derive(Default, Clone, Copy)]
struct Columns {
    storage: Option<usize>,
    pool: Option<usize>,
    place: Option<usize>,
}

impl Columns {
    fn of(heading: &[u8]) -> Self {
        let begin = |name: &[u8]| memchr::memmem::find(heading, name).map(|at| at + 1);
        Self { storage: begin(b" storage "), pool: begin(b" pool "), place: begin(b" tape or file ") }
    }
}

fn row(line: &[u8], columns: Columns) -> Option<Found> {
    let is_blank = |column: Option<usize>| column.and_then(|at| line.get(at)) == Some(&b' ');
    let mut words = split_words(line);
    let datestamp = datestamp(words.next()?, words.clone().next())?;
    if datestamp.len() > 8 {
        words.next();
    }
    let host = words.next()?;
    let dle = Dle::from_names(host, words.next_name()?)?;
    let level = number(words.next()?)?;
    let mut unless_blank = |column| if is_blank(column) { Some(Vec::new()) } else { words.next_name() };
    let storage = printable(&unless_blank(columns.storage)?);
    let pool = printable(&unless_blank(columns.pool)?);
    let name = unless_blank(columns.place)?;
    let file = number(words.next()?)?;
    let (part, parts) = cut(words.next()?, b'/')?;
    let place = match name {
        name if name.is_empty() => Place::Nowhere,
        path if storage == "HOLDING" && path.starts_with(b"/") => Place::Holding(OsString::from_vec(path)),
        label => Place::Volume { label, file },
    };
    let status = printable(words.rest().trim_ascii_end());
    let (part, parts) = (number(part)?, number(parts)?);
    Some(Found { dle, datestamp, level, storage, pool, place, part, parts, status })
}

fn cut(word: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(at, word)?;
    Some((&word[..at], &word[at + 1..]))
}

/// Turns `2026-11-22` and `02:38:47` into one datestamp.
fn datestamp(date: &[u8], time: Option<&[u8]>) -> Option<String> {
    let digits = |word: &[u8], separator| -> Option<String> {
        let word = std::str::from_utf8(word).ok()?;
        let fields: Vec<_> = word.split(separator).collect();
        let is_right = fields.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit() || byte == separator as u8);
        is_right.then(|| fields.concat())
    };
    let date = digits(date, '-').filter(|date| date.len() == 8)?;
    let time = time.and_then(|time| digits(time, ':')).filter(|time| time.len() == 6);
    Some(date + &time.unwrap_or_default())
}

fn number<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHAIN: &[u8] = include_bytes!("../../tests/fixtures/find.chain");
    const NOTHING: &[u8] = include_bytes!("../../tests/fixtures/find.nothing");

    #[test]
    fn volumes_and_holding_disks_are_told_apart() {
        let rows = parse(CHAIN);
        assert_eq!(rows.len(), 5);
        assert_eq!(
            rows[1],
            Found {
                dle: Dle::new("127.0.0.4", "/srv/aafx/src/home docs"),
                datestamp: "20261122023851".into(),
                level: 1,
                storage: "HOLDING".into(),
                pool: "HOLDING".into(),
                place: Place::Holding("/srv/aafx/fx1/hold/20261122023851/127.0.0.4._srv_aafx_src_home docs.1".into()),
                part: -1,
                parts: -1,
                status: "OK".into(),
            }
        );
        assert_eq!((rows[3].part, rows[3].parts, rows[3].is_ok()), (2, 2, true));
        assert_eq!(rows[3].place, Place::Volume { label: b"fx1-001".to_vec(), file: 3 });
    }

    #[test]
    fn no_dump_is_no_row() {
        assert_eq!(parse(NOTHING), []);
    }

    #[test]
    fn statuses_and_dates_of_all_forms_are_read() {
        let rows = parse(
            b"\n\
              date                host disk lv storage pool tape or file file part  status\n\
              2026-11-22 02:38:47 h    /d    0 s       p                    0 -1/-1 FAILED (taper) [no tape]\n\
              2026-11-22 02:38:47 h    /d    0 s       p    \"a b\"           3  1/-1 OK PARTIAL \n\
              2026-11-22          h    /d    0 s       p    L1              3   1/1 OK \n\
              WARNING: something about a log file\n",
        );
        let seen: Vec<_> = rows.iter().map(|row| (&row.place, row.datestamp.as_str(), row.status.as_str())).collect();
        let label = |label: &[u8]| Place::Volume { label: label.to_vec(), file: 3 };
        assert_eq!(
            seen,
            [
                (&Place::Nowhere, "20261122023847", "FAILED (taper) [no tape]"),
                (&label(b"a b"), "20261122023847", "OK PARTIAL"),
                (&label(b"L1"), "20261122", "OK"),
            ]
        );
        assert_eq!(rows.iter().map(Found::is_ok).collect::<Vec<_>>(), [false, false, true]);
    }

    #[test]
    fn failures_stand_nowhere_with_and_without_a_storage() {
        let rows = parse(include_bytes!("../../tests/fixtures/find.failed-twice"));
        let nowhere: Vec<_> = rows.iter().filter(|row| row.place == Place::Nowhere).collect();
        assert_eq!((rows.len(), nowhere.len()), (7, 5));
        assert_eq!((nowhere[0].storage.as_str(), nowhere[3].storage.as_str()), ("", "fx1"));
        assert_eq!(nowhere[1].status, "FAILED (chunker) [Got empty header]");
        assert!(nowhere.iter().all(|row| !row.is_ok()));
    }

    proptest! {
        #[test]
        fn no_output_breaks_the_parser(cut in 0..CHAIN.len(), junk in "[ a-z0-9:/\n\"-]{0,60}") {
            let _ = parse(&[&CHAIN[..cut], junk.as_bytes()].concat());
        }
    }
}
