//! What was found and what came of a restore, in words.

use std::error::Error as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use amanda::escape::printable;
use restore::job::{End, Failure, Outcome};
use wire::{AbortCode, Exit};

use super::group::{LooseDump, State};
use super::source::Loose;
use crate::report::Words;

/// So many of a kind are named.
const NAMED: usize = 20;

/// Lists dumps, the oldest first for each disk.
pub(super) fn found(loose: &Loose) -> Vec<String> {
    let line = |((dle, stamp, level), dump): (&(amanda::dle::Dle, String, u8), &LooseDump)| {
        let state = match &dump.state {
            State::Whole(_) => "all of it is there".to_owned(),
            State::Unknown => "its header does not say how long it is".to_owned(),
            State::Lacking(why) => format!("not whole: {why}"),
        };
        format!("{} level {level} of {stamp}: {} bytes, {state}", printable(dle.to_string().as_bytes()), dump.bytes)
    };
    loose.dumps().iter().map(line).collect()
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Says what there is now, what is missing and why.
pub(super) fn outcome(outcome: &Outcome, into: &Path) -> Vec<String> {
    let kinds = [
        (outcome.files, "file", "files"),
        (outcome.directories, "directory", "directories"),
        (outcome.links, "more name of a file", "more names of files"),
        (outcome.others, "symlink or special file", "symlinks and special files"),
    ];
    let made: Vec<String> = kinds.iter().filter(|(number, ..)| *number > 0).map(|(number, one, many)| count(*number, one, many)).collect();
    let into = printable(into.as_os_str().as_bytes());
    let mut lines = vec![match made.is_empty() {
        true => format!("Restored into {into}: nothing."),
        false => format!("Restored into {into}: {}; {} bytes.", made.join(", "), outcome.bytes),
    }];
    if outcome.kept.count > 0 {
        let different = (outcome.kept_different, "is not what the dump has", "are not what the dump has");
        let uncompared = (outcome.kept_uncompared, "was not compared with it", "were not compared with it");
        let said: Vec<String> = [different, uncompared]
            .iter()
            .filter(|(number, ..)| *number > 0)
            .map(|(number, one, many)| count(*number, one, many))
            .collect();
        let said = if said.is_empty() { String::new() } else { format!(", of which {}", said.join(" and ")) };
        let files = count(outcome.kept.count, "file", "files");
        lines.push(format!("Kept {files} that there was already{said}; --overwrite replaces."));
    }
    lines.extend(outcome.doubt.iter().map(|doubt| format!("Not all that was there may have come back: {}.", doubt.trim_end_matches('.'))));
    lines.extend(outcome.damaged.iter().take(NAMED).map(|damaged| {
        let hint = if damaged.hint.is_empty() { String::new() } else { format!(" Next: {}.", damaged.hint.trim_end_matches('.')) };
        format!("Damaged: level {} of {}: {}{hint}", damaged.dump.level, damaged.dump.datestamp, damaged.what)
    }));
    let missing = outcome.missing.first.iter().take(NAMED);
    lines.extend(missing.map(|missing| format!("Not restored: {}: {}", printable(missing.path.as_bytes()), missing.why)));
    if let Some(more) = outcome.missing.count.checked_sub(NAMED as u64).filter(|more| *more > 0) {
        lines.push(format!("Not restored: {more} more."));
    }
    lines.extend(outcome.remarks.first.iter().take(NAMED).cloned());
    lines
}

/// Tells why it could not go on.
pub(super) fn failure(outcome: &Outcome) -> Option<Words> {
    const AGAIN: &str = "the same command goes on: what is complete is kept";
    let End::Failed(failure) = &outcome.end else { return None };
    let exit = match failure {
        Failure::Depot(restore::depot::DepotError::No { code, .. }) if *code != AbortCode::Later => code.exit(),
        _ => Exit::Failed,
    };
    let hint = match failure {
        Failure::Depot(restore::depot::DepotError::No { hint, .. }) if !hint.is_empty() => hint.clone(),
        Failure::Full(_) => format!("make room, or name another directory with --to; {AGAIN}"),
        _ => AGAIN.to_owned(),
    };
    let words = Words::new(exit, failure.to_string()).hint(hint);
    Some(match failure.source() {
        Some(source) => words.because(source.to_string()),
        None => words,
    })
}
