//! What came of a restore, in words and for programs.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use indicatif::{HumanBytes, HumanCount};
use restore::depot::DepotError;
use restore::job::{Damaged, End, Failure, Outcome};
use serde_json::{Value, json};
use wire::{AbortCode, Exit};

use super::{Problem, dumps, show};
use crate::commands::tasks::Task;

/// What to do after a connection was lost.
pub const GOES_ON: &str = "run the same command again: it goes on";
/// How many of a kind are named; JSON has more of them.
const NAMED: usize = 20;

/// Which command restores, as far as its hints depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `restore`.
    Restore,
    /// `extract` of `recover`.
    Recover,
}

impl Way {
    /// How to get files that were kept.
    fn instead(self) -> &'static str {
        match self {
            Self::Restore => "--overwrite replaces, --to DIR puts it all elsewhere",
            Self::Recover => "recover --overwrite replaces, another lcd puts it all elsewhere",
        }
    }
}

/// Returns the exit status: 0 when all is there.
pub fn exit(outcome: &Outcome) -> Exit {
    match problem(outcome) {
        Some(problem) => problem.exit,
        None if outcome.is_whole() => Exit::Done,
        None => Exit::Failed,
    }
}

/// Says whether what ended it says nothing about another disk.
pub fn is_about_this_one(outcome: &Outcome) -> bool {
    matches!(&outcome.end, End::Failed(Failure::Depot(error)) if error.is_no())
}

/// Tells why it could not go on.
pub fn problem(outcome: &Outcome) -> Option<Problem> {
    match &outcome.end {
        End::Done => None,
        End::Stopped | End::Failed(Failure::Stopped) => Some(Problem::new(Exit::Later, "stopped before the end").hint(GOES_ON)),
        End::Failed(Failure::Depot(error)) => {
            let problem = dumps::problem(error);
            Some(if problem.exit == Exit::Later && problem.hint.is_empty() { problem.hint(GOES_ON) } else { problem })
        }
        End::Failed(Failure::Cut(source)) => Some(cut(source)),
        End::Failed(failure @ Failure::Full(_)) => Some(
            Problem::new(Exit::Failed, show(failure.to_string()))
                .hint(format!("make room, or name another place with --to DIR; then {GOES_ON}")),
        ),
        End::Failed(failure @ Failure::Unpack(source)) => {
            Some(Problem::new(Exit::Failed, failure.to_string()).because(show(source.to_string())))
        }
    }
}

/// The rest did not come: the other side said why, or there is no other side any more.
fn cut(source: &std::io::Error) -> Problem {
    let told = source.get_ref().and_then(|inner| inner.downcast_ref::<DepotError>());
    match told {
        Some(error @ DepotError::No { code, .. }) if *code != AbortCode::Later => dumps::problem(error),
        Some(
            error @ (DepotError::No { .. } | DepotError::NotUnderstood(_) | DepotError::OutOfTurn { .. } | DepotError::TooMuch { .. }),
        ) => {
            let problem = dumps::problem(error);
            let hint = if problem.hint.is_empty() { GOES_ON.to_owned() } else { problem.hint.clone() };
            problem.hint(hint)
        }
        _ => Problem::new(Exit::Later, "the connection was lost in the middle of a dump").because(show(source.to_string())).hint(GOES_ON),
    }
}

fn count(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", HumanCount(count), if count == 1 { one } else { many })
}

/// Says what is there now and what was kept.
pub fn summary(outcome: &Outcome, into: &Path, way: Way) -> Vec<String> {
    let mut made = Vec::new();
    for (number, one, many) in [
        (outcome.files, "file", "files"),
        (outcome.directories, "directory", "directories"),
        (outcome.links, "more name of a file", "more names of files"),
        (outcome.others, "symlink or special file", "symlinks and special files"),
    ] {
        if number > 0 {
            made.push(count(number, one, many));
        }
    }
    let fetched = if outcome.fetched > 0 { format!(", read {}", HumanBytes(outcome.fetched)) } else { String::new() };
    let into = show(into.as_os_str().as_bytes());
    let mut lines = vec![match made.is_empty() {
        true => format!("Restored into {into}: nothing."),
        false => format!("Restored into {into}: {} ({}{fetched}).", made.join(", "), HumanBytes(outcome.bytes)),
    }];
    if outcome.kept.count > 0 {
        let differs = compared(outcome.kept_different, outcome.kept_uncompared);
        lines.push(format!(
            "Kept {} already{differs}; {}.",
            count(outcome.kept.count, "file that was there", "files that were there"),
            way.instead()
        ));
    }
    lines
}

/// Says of what was kept whether it is what the dump has.
fn compared(different: u64, uncompared: u64) -> String {
    let different = (different > 0).then(|| format!("{} not what the dump has", count(different, "is", "are")));
    let uncompared = (uncompared > 0).then(|| format!("{} not compared with it", count(uncompared, "was", "were")));
    let said: Vec<String> = different.into_iter().chain(uncompared).collect();
    if said.is_empty() { String::new() } else { format!(", of which {}", said.join(" and ")) }
}

/// Says what is not there and why, and what may surprise.
pub fn troubles(outcome: &Outcome) -> Vec<String> {
    let mut lines = Vec::new();
    let more = |lines: &mut Vec<String>, shown: usize, count: u64| {
        let left = count.saturating_sub(shown as u64);
        if left > 0 {
            lines.push(format!("  and {left} more; --json names up to 1000"));
        }
    };
    lines.extend(outcome.doubt.iter().map(|doubt| format!("not all that was there may have come back: {}", show(doubt))));
    for damaged in outcome.damaged.iter().take(NAMED) {
        lines.push(of_damage(damaged));
    }
    more(&mut lines, NAMED.min(outcome.damaged.len()), outcome.damaged.len() as u64);
    for missing in outcome.missing.first.iter().take(NAMED) {
        // The disk's own directory has no name below itself.
        let name = if missing.path.as_bytes().is_empty() { b"." } else { missing.path.as_bytes() };
        lines.push(format!("not restored: {}: {}", show(name), show(&missing.why)));
    }
    more(&mut lines, NAMED.min(outcome.missing.first.len()), outcome.missing.count);
    if let Some(first) = outcome.absent.first.first() {
        lines.push(format!(
            "{}, as no archive has sockets, and this one nothing that could not be read when it was made: {}{}",
            count(outcome.absent.count, "name was not dumped", "names were not dumped"),
            show(first.as_bytes()),
            if outcome.absent.count > 1 { " and others (--json names them)" } else { "" },
        ));
    }
    for remark in outcome.remarks.first.iter().take(NAMED) {
        lines.push(show(remark));
    }
    more(&mut lines, NAMED.min(outcome.remarks.first.len()), outcome.remarks.count);
    if outcome.left_out > 0 {
        lines.push(format!(
            "{}: left out of the backup, or unreadable then",
            count(outcome.left_out, "name is in no dump", "names are in no dump")
        ));
    }
    lines
}

fn of_damage(damaged: &Damaged) -> String {
    let dump = &damaged.dump;
    let hint = if damaged.hint.is_empty() { String::new() } else { format!("\n  hint: {}", show(&damaged.hint)) };
    format!("damaged: level {} of {}: {}{hint}", dump.level, show(&dump.datestamp), show(&damaged.what))
}

/// The same for programs.
pub fn json(outcome: &Outcome, task: &Task) -> Value {
    let missing: Vec<Value> = outcome.missing.first.iter().map(|missing| json!({ "path": missing.path, "why": missing.why })).collect();
    let damaged = outcome.damaged.iter();
    let damaged: Vec<Value> = damaged
        .map(|damaged| {
            let dump = &damaged.dump;
            json!({ "level": dump.level, "datestamp": dump.datestamp, "what": damaged.what, "hint": damaged.hint })
        })
        .collect();
    json!({
        "disk": task.state.last().disk,
        "state": dumps::state_json(&task.state),
        "into": task.target.to_string_lossy(),
        "paths": task.wishes.iter().map(|wish| &wish.path).collect::<Vec<_>>(),
        "restored": {
            "files": outcome.files, "directories": outcome.directories, "others": outcome.others, "links": outcome.links, "bytes": outcome.bytes,
            "fetched": outcome.fetched,
        },
        "kept": outcome.kept.count,
        "kept_different": outcome.kept_different,
        "kept_uncompared": outcome.kept_uncompared,
        "doubt": outcome.doubt,
        "missing": { "count": outcome.missing.count, "first": missing },
        "damaged": damaged,
        "absent": outcome.absent.first,
        "left_out": outcome.left_out,
        "remarks": outcome.remarks.first,
        "problem": problem(outcome),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_called_the_same_only_when_it_was_compared() {
        for (different, uncompared, words) in [
            (0, 0, ""),
            (1, 0, ", of which 1 is not what the dump has"),
            (0, 2, ", of which 2 were not compared with it"),
            (2, 1, ", of which 2 are not what the dump has and 1 was not compared with it"),
        ] {
            assert_eq!(compared(different, uncompared), words);
        }
    }

    #[test]
    fn a_restore_in_doubt_is_not_whole_and_says_why() {
        let outcome = Outcome { doubt: Some("the dump of level 0 is damaged".to_owned()), ..Outcome::default() };
        assert_eq!(exit(&outcome), Exit::Failed);
        assert_eq!(troubles(&outcome), ["not all that was there may have come back: the dump of level 0 is damaged"]);
    }
}
