//! One line of a run's log. Field orders are those of the `log_add` calls in dumper.c, driver.c, planner.c,
//! perl/Amanda/Chunker/Controller.pm and perl/Amanda/Taper/Worker.pm.

use super::attempts::{Report, Speaker};
use super::{Outcome, Part};
use crate::crc::Crc;
use crate::dle::Dle;
use crate::escape::printable;
use crate::quoting::{Words, split_words, unquote};

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Info,
    Start,
    Finish,
    Disk,
    Fatal,
    Error,
    Warning,
    Part { whole: bool },
    Word(Word),
}

/// A word on a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// SUCCESS, and the taper's DONE.
    Success,
    Strange,
    Partial,
    Fail,
    Retry,
}

/// A line in its three pieces.
pub(super) struct LogLine<'a> {
    pub kind: Kind,
    pub program: &'a str,
    /// What follows the program, as bytes.
    pub bytes: &'a [u8],
    /// The same as text; empty when it is no UTF-8, for lines that never hold names.
    pub text: &'a str,
}

impl<'a> LogLine<'a> {
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let (kind, rest) = cut(line)?;
        let (program, bytes) = cut(rest)?;
        let kind = match kind {
            "INFO" => Kind::Info,
            "START" => Kind::Start,
            "FINISH" => Kind::Finish,
            "DISK" => Kind::Disk,
            "FATAL" => Kind::Fatal,
            "ERROR" => Kind::Error,
            "WARNING" => Kind::Warning,
            "PART" => Kind::Part { whole: true },
            "PARTPARTIAL" => Kind::Part { whole: false },
            "SUCCESS" | "DONE" => Kind::Word(Word::Success),
            "STRANGE" => Kind::Word(Word::Strange),
            "PARTIAL" => Kind::Word(Word::Partial),
            "FAIL" => Kind::Word(Word::Fail),
            "RETRY" => Kind::Word(Word::Retry),
            // STATS, SUMMARY, MARKER, and what a newer Amanda may say.
            _ => return None,
        };
        Some(Self { kind, program, bytes, text: std::str::from_utf8(bytes).unwrap_or_default() })
    }
}

pub(super) fn cut(line: &[u8]) -> Option<(&str, &[u8])> {
    let end = line.iter().position(|&byte| byte == b' ')?;
    Some((std::str::from_utf8(&line[..end]).ok()?, &line[end + 1..]))
}

/// Says whether a word is `YYYYMMDD` or `YYYYMMDDhhmmss`.
pub(super) fn is_datestamp(word: &[u8]) -> bool {
    matches!(word.len(), 8 | 14) && word.iter().all(u8::is_ascii_digit)
}

/// Takes a host and a disk.
pub(super) fn dle(words: &mut Words<'_>) -> Option<Dle> {
    let host = words.next_name()?;
    Dle::from_names(&host, words.next_name()?)
}

fn number<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Takes `"ST:storage" "POOL:pool"`, and `VAULT` before them, off the front of a taper's line: the names of storage and pool, made
/// printable, and whether it is a second copy.
pub(super) fn storage_names(words: &mut Words<'_>) -> (Option<String>, Option<String>, bool) {
    let (mut storage, mut pool, mut vault) = (None, None, false);
    while let Some(word) = words.clone().next().and_then(|word| unquote(word).ok()) {
        if word == b"VAULT" {
            vault = true;
        } else if let Some(name) = word.strip_prefix(b"ST:") {
            storage = Some(printable(name));
        } else if let Some(name) = word.strip_prefix(b"POOL:") {
            pool = Some(printable(name));
        } else {
            break;
        }
        words.next();
    }
    (storage, pool, vault)
}

fn storage(words: &mut Words<'_>) -> bool {
    storage_names(words).2
}

/// `"ST:s" "POOL:p" label file host disk datestamp part/-1 level [sec … ]`
pub(super) fn part(text: &[u8], whole: bool) -> Option<Part> {
    let mut words = split_words(text);
    storage(&mut words);
    let label = words.next_name()?;
    let file = number(words.next()?)?;
    let dle = dle(&mut words)?;
    let datestamp = words.next().filter(|word| is_datestamp(word))?;
    let part = words.next()?.split(|&byte| byte == b'/').next().and_then(number)?;
    let level = number(words.next()?)?;
    Some(Part { dle, datestamp: String::from_utf8_lossy(datestamp).into_owned(), level, label, file, part, whole })
}

/// Reads what one program says about one dump.
///
/// ```text
/// SUCCESS dumper  host disk datestamp level native client [sec 1.2 kb 1 kps 0.8 orig-kb 10]
/// STRANGE dumper  host disk           level native client [sec …]           (no datestamp, dumper.c)
/// SUCCESS chunker host disk datestamp level server [sec …]                  (PARTIAL the same)
/// FAIL    …       host disk datestamp level [reason]                        (planner: the brackets are quoted)
/// RETRY   dumper  host disk datestamp level delay 5 level 0 message …
/// SUCCESS planner host disk datestamp level [skipped: skip-full]
/// DONE    taper   ST: POOL: host disk datestamp parts level native client server [sec …]
/// FAIL    taper   ST: POOL: host disk datestamp level config|error "reason"
/// ```
pub(super) fn report(program: Speaker, word: Word, text: &[u8], run: Option<&str>) -> Option<(Dle, Report)> {
    let mut words = split_words(text);
    let vault = program == Speaker::Taper && storage(&mut words);
    let dle = dle(&mut words)?;
    let mut next = words.next()?;
    let mut datestamp = run.map(str::to_owned);
    if is_datestamp(next) {
        // The planner stamps a skipped `incronly` disk with the year 1900.
        if program != Speaker::Planner {
            datestamp = Some(String::from_utf8_lossy(next).into_owned());
        }
        next = words.next()?;
    }
    if program == Speaker::Taper && word != Word::Fail {
        // The number of parts.
        next = words.next()?;
    }
    let level = number(next)?;
    let mut sums = [None; 3];
    if word != Word::Fail {
        for sum in &mut sums {
            let Some(crc) = words.clone().next().and_then(Crc::parse) else { break };
            *sum = Some(crc);
            words.next();
        }
    }
    if program == Speaker::Taper && word == Word::Fail {
        // "config" or "error".
        words.next();
    }
    let rest = words.rest();
    let [first, second, third] = sums;
    let (native, client, server) = match program {
        Speaker::Chunker => (None, None, first),
        _ => (first, second, third),
    };
    let outcome = match word {
        Word::Success => Outcome::Ok,
        Word::Strange => Outcome::Strange,
        Word::Partial => Outcome::Partial,
        Word::Fail | Word::Retry => Outcome::Failed,
    };
    Some((
        dle,
        Report {
            outcome,
            datestamp,
            level,
            // What a success brackets is statistics, except the planner's.
            reason: match word {
                Word::Success if program != Speaker::Planner => String::new(),
                Word::Strange => String::new(),
                Word::Partial => after_statistics(rest),
                _ => reason(rest),
            },
            orig_kb: orig_kb(rest),
            native,
            client,
            server,
            vault,
        },
    ))
}

/// Returns what is inside `[…]`, quoted or not; the whole text when there are no brackets.
fn reason(text: &[u8]) -> String {
    let unquoted = if text.starts_with(b"\"") { unquote(text).ok() } else { None };
    let text = unquoted.as_deref().unwrap_or(text).trim_ascii();
    let inner = text.strip_prefix(b"[").and_then(|inner| inner.strip_suffix(b"]"));
    printable(inner.unwrap_or(text))
}

/// A taper's PARTIAL has its reason behind the statistics.
fn after_statistics(text: &[u8]) -> String {
    let end = text.iter().position(|&byte| byte == b']').map_or(0, |end| end + 1);
    reason(text[end..].trim_ascii())
}

fn orig_kb(statistics: &[u8]) -> Option<u64> {
    if !statistics.starts_with(b"[sec ") {
        return None;
    }
    let mut words = split_words(statistics).skip_while(|word| *word != b"orig-kb");
    number(words.nth(1)?.trim_ascii_end().strip_suffix(b"]")?)
}
