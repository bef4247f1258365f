//! Decisions in words: why a disk is due, or until when it is not.

use super::when::{ago, local, span};
use super::{show, when};
use crate::config::Destination;
use crate::due::{DiskVerdict, Reason, Verdict, Witness};

fn witness(witness: Witness) -> &'static str {
    match witness {
        Witness::Receipt => "its receipt",
        Witness::Amandates => "amandates, which is a hint and no receipt",
    }
}

/// Returns one disk's reason as the rest of a sentence that began with its name.
pub fn reason(now: i64, reason: &Reason) -> String {
    match reason {
        Reason::Fresh { since, next, witness: by } => {
            format!("was backed up {} by {}; due again {} ({})", ago(now, *since), witness(*by), ago(now, *next), local(*next))
        }
        Reason::Old { since, witness: by } => format!("was last backed up {} by {} ({})", ago(now, *since), witness(*by), local(*since)),
        Reason::Never => "has no backup that this laptop knows of".to_owned(),
        Reason::Future { at, witness: by } => {
            format!("has its last backup in the future by {} ({}), so one of the clocks is wrong", witness(*by), local(*at))
        }
        Reason::NotABackup { outcome, because, at, last_backup } => {
            let because = if because.is_empty() { String::new() } else { format!(": {}", show(because)) };
            let before = last_backup.map_or_else(
                || "; no earlier backup is known".to_owned(),
                |since| format!("; the last one that is a backup began {}", ago(now, since)),
            );
            format!("has a last receipt that is no backup ({outcome}, {}){because}{before}", ago(now, *at))
        }
        Reason::Unreadable { path, problem } => format!("has a record that does not count, {}: {}", path.display(), show(problem)),
    }
}

/// Returns the paragraph of `why`; `instead` is what a backup that is due would come to.
pub fn paragraph(verdict: &Verdict, destination: &Destination, instead: Option<&str>) -> String {
    let interval = verdict.interval;
    let (every, all) = match destination {
        Destination::Ssh(server) => (
            format!("ask {server} to back up every disk that its disklist has for this laptop"),
            format!("ask {server} for a backup of all disks"),
        ),
        Destination::Directory(vault) => (
            format!("back up every disk that {} has of this machine", vault.display()),
            format!("back all disks up into {}", vault.display()),
        ),
    };
    let (every, all) = instead.map_or((every, all), |instead| (instead.to_owned(), instead.to_owned()));
    if verdict.disks.is_empty() {
        return format!("A backup is due: nothing is known of any disk at {destination}. `asyncamanda run` would {every}.");
    }
    let due: Vec<&DiskVerdict> = verdict.disks.iter().filter(|disk| disk.reason.is_due()).collect();
    let sentences = |disks: &[&DiskVerdict]| {
        let each = disks.iter().map(|disk| format!("{} {}.", show(disk.disk.as_bytes()), reason(verdict.now, &disk.reason)));
        each.collect::<Vec<_>>().join(" ")
    };
    if due.is_empty() {
        let next = verdict.next().map_or_else(String::new, |next| format!(" until {} ({})", local(next), when::ago(verdict.now, next)));
        let mut oldest: Vec<&DiskVerdict> = verdict.disks.iter().collect();
        oldest.sort_by_key(|disk| disk.reason.last_backup());
        return format!(
            "No backup is due{next}: the oldest disk is younger than {interval}. {} `asyncamanda run` would do nothing{}.",
            sentences(&oldest[..1]),
            if matches!(destination, Destination::Ssh(_)) { ", and open no connection" } else { "" },
        );
    }
    format!("A backup is due: the interval is {interval}. {} `asyncamanda run` would {all}.", sentences(&due))
}

/// Returns the age of the oldest disk, for a note.
pub fn oldest(verdict: &Verdict) -> String {
    let age = |disk: &DiskVerdict| disk.reason.last_backup().map(|since| verdict.now.saturating_sub(since));
    match verdict.disks.iter().map(age).collect::<Option<Vec<_>>>().and_then(|ages| ages.into_iter().max()) {
        Some(age) => format!("the oldest disk was backed up {} ago", span(age)),
        None => "some disk has no backup that this laptop knows of".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Interval;
    use wire::{DiskName, Outcome};

    const NOW: i64 = 1_800_000_000;

    fn verdict(reasons: Vec<Reason>) -> Verdict {
        let disks = reasons.into_iter().map(|reason| DiskVerdict { disk: DiskName::new("/ho\u{1b}me").expect("a name"), reason });
        Verdict { now: NOW, interval: Interval::default(), disks: disks.collect() }
    }

    #[test]
    fn why_tells_due_or_not_since_when_and_what_would_happen() {
        let fresh = Reason::Fresh { since: NOW - 3600, next: NOW + 82_800, witness: Witness::Receipt };
        let failed =
            Reason::NotABackup { outcome: Outcome::Failed, because: "no\u{7}room".into(), at: NOW - 60, last_backup: Some(NOW - 172_800) };
        for (reasons, parts) in [
            (vec![], &["A backup is due: nothing is known", "every disk"][..]),
            (vec![fresh.clone()], &["No backup is due until", "in 23 h", "would do nothing"]),
            (
                vec![fresh, failed],
                &["A backup is due: the interval is 1 day", "no backup (FAILED, 1 min ago): no\\x07room", "began 2 days ago"],
            ),
            (vec![Reason::Old { since: NOW - 259_200, witness: Witness::Amandates }], &["3 days ago by amandates, which is a hint"]),
            (vec![Reason::Future { at: NOW + 1, witness: Witness::Amandates }], &["in the future"]),
        ] {
            let words = paragraph(&verdict(reasons), &Destination::parse("server").expect("a server"), None);
            for part in parts {
                assert!(words.contains(part), "{part:?} is not in {words:?}");
            }
            assert!(!words.contains('\u{1b}') && !words.contains('\n'));
        }
    }
}
