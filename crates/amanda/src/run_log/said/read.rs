//! Reading the lines.

use super::{Figures, MOST, Program, Said, Verdict, Word, Written};
use crate::dle::Dle;
use crate::escape::printable;
use crate::lines::Lines;
use crate::quoting::{Words, split_words, unquote};
use crate::run_log::line::{cut, is_datestamp, storage_names};

/// Reads a log that is in memory. Lines that no program of Amanda's writes are passed over.
#[must_use]
pub fn said(log: &[u8]) -> Vec<Said> {
    let mut all = Vec::new();
    let mut lines = Lines::default();
    let mut each = |bytes: &[u8]| {
        if all.len() < MOST
            && let Some(said) = line(bytes)
        {
            all.push(said);
        }
    };
    lines.feed(log, &mut each);
    // What a killed program wrote last may have no newline.
    lines.feed(b"\n", &mut each);
    all
}

fn line(bytes: &[u8]) -> Option<Said> {
    if let Some(more) = bytes.strip_prefix(b"  ") {
        return Some(Said::Continued(printable(more.trim_ascii_start())));
    }
    let (kind, rest) = cut(bytes)?;
    let (program, text) = cut(rest).unwrap_or((std::str::from_utf8(rest).ok()?, b""));
    let program = Program::named(program)?;
    match kind {
        "INFO" | "WARNING" => info(program, text),
        "ERROR" if program == Program::Taper && text.starts_with(b"no-tape") => Some(no_tape(text)),
        "ERROR" => Some(Said::Error(program, printable(text))),
        "FATAL" => Some(Said::Fatal(program, printable(text))),
        "START" => start(program, text),
        "FINISH" => {
            Some(Said::Finish(program, number(split_words(text).nth(3)?).map(|secs: f64| if secs.is_finite() { secs } else { 0.0 })?))
        }
        "DISK" => Some(Said::Disk(dle(&mut split_words(text))?)),
        "STATS" => stats(text),
        "PART" | "PARTPARTIAL" => part(text, kind == "PART").map(|part| Said::Part(Box::new(part))),
        "SUCCESS" if program == Program::Planner => skipped(text),
        _ => verdict(program, word(kind)?, text).map(|verdict| Said::Verdict(Box::new(verdict))),
    }
}

fn word(kind: &str) -> Option<Word> {
    Some(match kind {
        "SUCCESS" => Word::Success,
        "DONE" => Word::Done,
        "STRANGE" => Word::Strange,
        "PARTIAL" => Word::Partial,
        "FAIL" => Word::Fail,
        "RETRY" => Word::Retry,
        _ => return None,
    })
}

fn number<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn dle(words: &mut Words<'_>) -> Option<Dle> {
    let host = words.next_name()?;
    Dle::from_names(&host, words.next_name()?)
}

/// A word as text that can be shown.
fn name(words: &mut Words<'_>) -> Option<String> {
    words.next_name().map(|name| printable(&name))
}

fn info(program: Program, text: &[u8]) -> Option<Said> {
    let words: Vec<&[u8]> = text.split(|byte| *byte == b' ').collect();
    Some(match words[..] {
        [named, b"pid", pid, ..] if named == program.name().as_bytes() => Said::Begun(program, number(pid)?),
        // A filter of a dump: gzip.
        [_, b"pid", ..] => return None,
        [b"fork", _, old, ..] => Said::Ended(number(old)?),
        [b"pid-done", pid, ..] => Said::Ended(number(pid)?),
        _ => Said::Note(program, printable(text)),
    })
}

fn no_tape(text: &[u8]) -> Said {
    let mut words = split_words(text);
    words.next();
    let by_config = words.next() == Some(b"config");
    Said::NoTape(by_config, plain(words.rest()))
}

fn start(program: Program, text: &[u8]) -> Option<Said> {
    let mut words = split_words(text);
    match words.next()? {
        b"datestamp" if program == Program::Taper => {
            let datestamp = name(&mut words)?;
            let (storage, pool, _) = storage_names(&mut words);
            words.next().filter(|word| *word == b"label")?;
            Some(Said::Volume { datestamp, storage, pool, label: name(&mut words)? })
        }
        b"date" => Some(Said::Start(program, name(&mut words)?)),
        _ => None,
    }
}

/// `STATS driver hostname vm`, `STATS driver estimate host disk datestamp level [sec 50 nkb 102432 ckb 51232 kps 1024]`
fn stats(text: &[u8]) -> Option<Said> {
    let mut words = split_words(text);
    match words.next()? {
        b"hostname" => Some(Said::Hostname(name(&mut words)?)),
        b"estimate" => {
            let dle = dle(&mut words)?;
            words.next()?;
            let level = number(words.next()?)?;
            let mut after = words.skip_while(|word| *word != b"ckb");
            Some(Said::Estimate(dle, level, number(after.nth(1)?)?))
        }
        _ => None,
    }
}

/// `SUCCESS planner host disk datestamp level [skipped: skip-full]`
fn skipped(text: &[u8]) -> Option<Said> {
    let mut words = split_words(text);
    let dle = dle(&mut words)?;
    words.next()?;
    words.next()?;
    let why = told(words.rest());
    why.contains("skipped").then_some(Said::Skipped(dle, why))
}

fn part(text: &[u8], whole: bool) -> Option<Written> {
    let mut words = split_words(text);
    let (storage, pool, _) = storage_names(&mut words);
    let label = name(&mut words)?;
    let file = number(words.next()?)?;
    let dle = dle(&mut words)?;
    let datestamp = name(&mut words).filter(|word| is_datestamp(word.as_bytes()))?;
    let (part, parts) = std::str::from_utf8(words.next()?).ok()?.split_once('/')?;
    let (part, parts) = (part.parse().ok()?, parts.parse().ok()?);
    let level = number(words.next()?)?;
    let figures = figures(words.rest()).map(|(figures, _)| figures).unwrap_or_default();
    Some(Written { storage, pool, label, file, dle, datestamp, part, parts, level, whole, figures })
}

fn verdict(program: Program, word: Word, text: &[u8]) -> Option<Verdict> {
    let mut words = split_words(text);
    let (storage, _, vault) = storage_names(&mut words);
    let dle = dle(&mut words)?;
    let stamped = words.clone().next().is_some_and(is_datestamp);
    let datestamp = if stamped { name(&mut words) } else { None };
    let taped = program == Program::Taper;
    let parts = if taped && word != Word::Fail { words.next().and_then(number) } else { None };
    let level = number(words.next()?)?;
    let mut verdict = Verdict {
        program,
        word,
        dle,
        datestamp,
        level,
        figures: None,
        reason: String::new(),
        raw: String::new(),
        parts,
        storage,
        vault,
        by_config: false,
        retry_level: None,
    };
    match word {
        Word::Fail => {
            verdict.by_config = taped && words.next() == Some(b"config");
            verdict.raw = printable(words.rest());
            verdict.reason = told(words.rest());
        }
        // delay 5 level 0 message "…"
        Word::Retry => {
            let mut next = |at: &[u8]| words.find(|word| *word == at).and_then(|_| words.clone().next());
            verdict.retry_level = next(b"level").and_then(number);
            next(b"message");
            verdict.reason = told(words.rest());
        }
        Word::Success | Word::Done | Word::Strange | Word::Partial => {
            // The checksums.
            while words.clone().next().is_some_and(|word| !word.starts_with(b"[")) {
                words.next();
            }
            if let Some((figures, rest)) = figures(words.rest()) {
                verdict.figures = Some(figures);
                // Brackets stay where they are, as in Amanda's report.
                verdict.reason = plain(rest);
            }
        }
    }
    Some(verdict)
}

/// Reads the brackets, and returns what follows them.
fn figures(text: &[u8]) -> Option<(Figures, &[u8])> {
    let end = memchr::memchr(b']', text)?;
    let inside = std::str::from_utf8(text.strip_prefix(b"[")?.get(..end - 1)?).ok()?;
    let mut figures = Figures::default();
    let mut words = inside.split_ascii_whitespace();
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        match name {
            "sec" => figures.secs = finite(value),
            "kb" => figures.kb = value.parse().unwrap_or(0),
            "bytes" => figures.kb = value.parse::<u64>().unwrap_or(0) / 1024,
            "kps" => figures.kps = finite(value),
            "orig-kb" => figures.orig_kb = value.parse().ok(),
            _ => {}
        }
    }
    Some((figures, text[end + 1..].trim_ascii()))
}

fn finite(value: &str) -> f64 {
    value.parse().ok().filter(|value: &f64| value.is_finite()).unwrap_or(0.0)
}

/// Returns what is said, without the quotation marks that it has as a whole or in its words.
fn plain(text: &[u8]) -> String {
    let text = text.trim_ascii();
    printable(unquote(text).as_deref().unwrap_or(text))
}

/// Returns what is said without brackets around all of it.
fn told(text: &[u8]) -> String {
    let text = plain(text);
    text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).map(str::to_owned).unwrap_or(text)
}
