//! Dumps and what is in them: tables for people, values for programs.

use restore::depot::DepotError;
use restore::job::Entry;
use restore::resolve::State;
use serde_json::{Value, json};
use wire::restore::{Dump, DumpId, PathBytes};
use wire::{AbortCode, Exit};

use super::tables::{bytes, finish, table};
use super::when::{ago, exactly, local};
use super::{Problem, show};

/// Returns the dumps of a host's disks.
pub fn dumps(dumps: &[Dump], now: i64) -> String {
    let mut table = table(&["disk", "date", "level", "size", "where", "verified"]);
    for dump in dumps {
        let verified = match dump.verified {
            _ if dump.chain.is_empty() => format!("cannot be restored: {}", show(&dump.why_not)),
            Some(at) => ago(now, at),
            None => "never".to_owned(),
        };
        let size = bytes((dump.bytes > 0).then_some(dump.bytes));
        let place = if dump.places.is_empty() { "-".to_owned() } else { show(dump.places.join(", ")) };
        table.add_row([show(dump.id.disk.as_bytes()), exactly(dump.time), dump.id.level.to_string(), size, place, verified]);
    }
    finish(&table)
}

/// Returns the dump that has an entry.
pub fn dump_of<'s>(entry: &Entry, state: &'s State) -> Option<&'s DumpId> {
    state.chain.get(entry.of)
}

/// Returns entries of a directory: when they were dumped, and their names.
pub fn entries(entries: &[Entry], state: &State, date: impl Fn(&DumpId) -> Option<i64>) -> Vec<String> {
    let line = |entry: &Entry| {
        let date = dump_of(entry, state).and_then(&date).map_or_else(|| "-".to_owned(), local);
        format!("{date:16}  {}{}", show(&entry.name), if entry.is_directory { "/" } else { "" })
    };
    entries.iter().map(line).collect()
}

/// The same for programs.
pub fn entry_json(entry: &Entry, state: &State) -> Value {
    let dump = dump_of(entry, state).map(|dump| json!({ "datestamp": dump.datestamp, "level": dump.level }));
    json!({ "name": PathBytes::new(&entry.name), "directory": entry.is_directory, "dump": dump })
}

/// A state for programs.
pub fn state_json(state: &State) -> Value {
    let chain: Vec<Value> = state.chain.iter().map(|dump| json!({ "level": dump.level, "datestamp": dump.datestamp })).collect();
    json!({ "time": state.time, "chain": chain, "doubt": state.doubt })
}

/// Says from which dumps a state comes: "2026-11-24 10:30:15 (level 1, on level 0 of 20261120183000)".
pub fn state(state: &State) -> String {
    let below: Vec<String> =
        state.chain.iter().rev().skip(1).map(|dump| format!("level {} of {}", dump.level, show(&dump.datestamp))).collect();
    let on = if below.is_empty() { String::new() } else { format!(", on {}", below.join(" and ")) };
    format!("{} (level {}{on})", exactly(state.time), state.last().level)
}

/// Tells why an answer about dumps did not come.
pub fn problem(error: &DepotError) -> Problem {
    match error {
        DepotError::No { code, message, hint } => {
            let what = match code {
                AbortCode::Refused => "the dumps may not be read",
                _ => "the dumps cannot be read",
            };
            Problem::new(code.exit(), what).because(show(message)).hint(show(hint))
        }
        DepotError::Lost(_) | DepotError::Ended | DepotError::GivenUp => Problem::new(Exit::Later, show(error.to_string())),
        DepotError::TooManyPaths(_) | DepotError::TooLongToAsk(_) => {
            Problem::new(Exit::Usage, error.to_string()).hint("name a directory above them")
        }
        DepotError::NotUnderstood(_) | DepotError::OutOfTurn { .. } | DepotError::TooMuch { .. } => {
            let because = std::error::Error::source(error).map(|source| show(source.to_string())).unwrap_or_default();
            Problem::new(Exit::Protocol, show(error.to_string())).because(because).hint("look at both versions: asyncamanda check")
        }
    }
}
