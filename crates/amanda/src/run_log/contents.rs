//! What a log says of the volumes that its run wrote to.

use std::collections::HashSet;

use super::attempts::Speaker;
use super::line::{self, Word};
use super::write::Sums;
use super::{Outcome, Part};
use crate::dle::Dle;
use crate::quoting::{split_words, unquote};

/// A piece of a dump on a volume, and how long it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Where it is.
    pub part: Part,
    /// Its bytes, without the header; `None` when the log of an older Amanda has them in KiB.
    pub bytes: Option<u64>,
}

/// A dump that was written to volumes.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Whose dump.
    pub dle: Dle,
    /// When it was dumped.
    pub datestamp: String,
    /// Its level.
    pub level: u8,
    /// In so many parts.
    pub parts: u32,
    /// All of it was written.
    pub whole: bool,
    /// Its checksums.
    pub sums: Sums,
    /// KiB before compression.
    pub orig_kb: Option<u64>,
    /// How long it took.
    pub secs: f64,
}

/// What volumes hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    /// In the order of the log.
    pub pieces: Vec<Piece>,
    /// In the order of the log.
    pub dumps: Vec<Written>,
}

/// Returns what a log says of the volumes that `counts` takes for its own: it is given the label and the datestamp of each
/// `START taper` line. As for Amanda, a PART line counts behind that line only.
pub fn contents(log: &[u8], mut counts: impl FnMut(&str, &str) -> bool) -> Contents {
    let mut contents = Contents::default();
    let mut labels: HashSet<Vec<u8>> = HashSet::new();
    for line in log.split(|&byte| byte == b'\n') {
        if let Some(text) = line.strip_prefix(b"START taper ") {
            if let Some((label, datestamp)) = volume(text).filter(|(label, datestamp)| counts(label, datestamp)) {
                let _ = datestamp;
                labels.insert(label.into_bytes());
            }
        } else if let Some((text, whole)) = behind(line, b"PART taper ", b"PARTPARTIAL taper ") {
            let Some(part) = line::part(text, whole).filter(|part| labels.contains(&part.label)) else { continue };
            contents.pieces.push(Piece { part, bytes: statistic(text, b"bytes") });
        } else if let Some((text, whole)) = behind(line, b"DONE taper ", b"PARTIAL taper ") {
            contents.dumps.extend(written(text, whole));
        }
    }
    contents
}

fn behind<'a>(line: &'a [u8], well: &[u8], badly: &[u8]) -> Option<(&'a [u8], bool)> {
    line.strip_prefix(well).map(|text| (text, true)).or_else(|| line.strip_prefix(badly).map(|text| (text, false)))
}

/// `datestamp 20261123190624 "ST:s" "POOL:p" label daily-001 tape 1`
fn volume(text: &[u8]) -> Option<(String, String)> {
    let mut words = split_words(text);
    let datestamp = (words.next()? == b"datestamp").then(|| words.next())??;
    loop {
        let word = words.next()?;
        if word == b"label" {
            let label = String::from_utf8(words.next_name()?).ok()?;
            return Some((label, String::from_utf8(datestamp.to_vec()).ok()?));
        }
        let is_place = unquote(word).is_ok_and(|word| word.starts_with(b"ST:") || word.starts_with(b"POOL:"));
        if !is_place {
            return None;
        }
    }
}

fn written(text: &[u8], whole: bool) -> Option<Written> {
    let (dle, report) = line::report(Speaker::Taper, if whole { Word::Success } else { Word::Partial }, text, None)?;
    let mut words = split_words(text);
    // The number of parts stands behind the datestamp.
    let datestamp = report.datestamp?;
    words.find(|word| *word == datestamp.as_bytes())?;
    let parts = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let known = |crc: &crate::crc::Crc| crc.is_known();
    let sums = Sums { native: report.native.filter(known), client: report.client.filter(known), server: report.server.filter(known) };
    Some(Written {
        dle,
        datestamp,
        level: report.level,
        parts,
        whole: whole && report.outcome == Outcome::Ok,
        sums,
        orig_kb: report.orig_kb,
        secs: statistic(text, b"[sec").unwrap_or(0.0),
    })
}

/// Returns the number behind a word of the statistics, `[sec 2.5 bytes 2931 kps 1.1 orig-kb 3130]`.
fn statistic<T: std::str::FromStr>(text: &[u8], name: &[u8]) -> Option<T> {
    let at = text.iter().rposition(|&byte| byte == b'[')?;
    let mut words = text[at..].split(|&byte| byte == b' ').skip_while(|word| *word != name);
    let word = words.nth(1)?;
    std::str::from_utf8(word.strip_suffix(b"]").unwrap_or(word)).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::write::{Dump, Entry, Shelf, Statistics};
    use super::*;
    use crate::crc::Crc;
    use proptest::prelude::*;

    fn log(label: &str) -> Vec<u8> {
        let dle = Dle::new("laptop1", "/home docs [sec 3 bytes 1]");
        let shelf = Shelf { storage: "daily", pool: "a pool" };
        let dump = Dump { dle: &dle, datestamp: "20261123190624", level: 1 };
        let statistics = Statistics { secs: 2.5, bytes: 3_000_001, orig_kb: 5000 };
        let sums = Sums { native: None, client: Some(Crc { crc: 7, bytes: 3_000_001 }), server: Some(Crc { crc: 7, bytes: 3_000_001 }) };
        let mut text = Vec::new();
        for entry in [
            Entry::Volume { datestamp: "20261124010203", shelf, label, number: 1 },
            Entry::Part { dump, shelf, label, file: 4, part: 1, statistics },
            Entry::Done(dump, shelf, 1, sums, statistics, true),
        ] {
            entry.print(&mut text);
        }
        text
    }

    #[test]
    fn what_was_written_is_read_back() {
        let mut asked = Vec::new();
        let contents = contents(&log("daily-001"), |label, datestamp| {
            asked.push((label.to_owned(), datestamp.to_owned()));
            true
        });
        assert_eq!(asked, [("daily-001".to_owned(), "20261124010203".to_owned())]);
        let (piece, dump) = (&contents.pieces[0], &contents.dumps[0]);
        assert_eq!((piece.part.file, piece.part.part, piece.part.level, piece.bytes), (4, 1, 1, Some(3_000_001)));
        assert_eq!(piece.part.dle, Dle::new("laptop1", "/home docs [sec 3 bytes 1]"));
        assert_eq!((dump.parts, dump.whole, dump.orig_kb, dump.sums.client), (1, true, Some(5000), Some(Crc { crc: 7, bytes: 3_000_001 })));
        assert!((dump.secs - 2.5).abs() < 0.01, "{}", dump.secs);
        assert_eq!((dump.sums.native, dump.datestamp.as_str()), (None, "20261123190624"));
    }

    #[test]
    fn a_part_on_another_volume_does_not_count() {
        assert_eq!(contents(&log("daily-001"), |_, _| false).pieces, []);
    }

    #[test]
    fn real_logs_are_read() {
        let log = include_bytes!("../../tests/fixtures/log.flush");
        let contents = contents(log, |_, _| true);
        assert!(!contents.pieces.is_empty() && contents.pieces.iter().all(|piece| piece.bytes.is_some()), "{contents:?}");
        assert!(contents.dumps.iter().all(|dump| dump.whole && dump.sums.client.is_some()), "{contents:?}");
    }

    proptest! {
        #[test]
        fn no_log_breaks_the_parser(at in 0usize..600, junk in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut text = log("daily-001");
            let at = at.min(text.len());
            text.splice(at..at, junk);
            let _ = contents(&text, |_, _| true);
        }
    }
}
