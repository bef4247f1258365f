//! What the engine tells about a run, kept until the conversation looks.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use asyncamanda_shim::engine::embedded::Watch;
use wire::message::{DiskProgress, Progress};
use wire::{DiskName, HostName, Outcome};

use crate::report::show;

/// Notes that are kept.
const MOST_NOTES: usize = 100;

/// A run, as far as it has been told about.
pub struct Follow {
    run: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    disks: BTreeMap<DiskName, DiskProgress>,
    notes: Vec<String>,
    changed: bool,
}

impl Follow {
    /// Follows a run by its name.
    pub fn new(run: &str) -> Self {
        Self { run: run.to_owned(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn disk(&self, disk: &DiskName, change: impl FnOnce(&mut DiskProgress)) {
        let mut state = self.state();
        let progress = state.disks.entry(disk.clone()).or_insert_with(|| DiskProgress {
            disk: disk.clone(),
            state: "waiting".to_owned(),
            level: None,
            bytes: 0,
            estimate: 0,
        });
        change(progress);
        state.changed = true;
    }

    /// Returns how far it is, when that has changed since the last look.
    pub fn progress(&self) -> Option<Progress> {
        let mut state = self.state();
        if !std::mem::take(&mut state.changed) {
            return None;
        }
        let disks: Vec<DiskProgress> = state.disks.values().cloned().collect();
        let over = |disk: &DiskProgress| matches!(disk.state.as_str(), "done" | "failed");
        let phase = if disks.is_empty() {
            "starting"
        } else if disks.iter().all(over) {
            "finishing"
        } else {
            "dumping"
        };
        Some(Progress { run: self.run.clone(), phase: phase.to_owned(), disks })
    }

    /// Takes the notes.
    pub fn notes(&self) -> Vec<String> {
        std::mem::take(&mut self.state().notes)
    }

    fn note(&self, what: String) {
        let mut state = self.state();
        if state.notes.len() < MOST_NOTES {
            state.notes.push(what);
        }
    }
}

impl Watch for Follow {
    fn planned(&self, _: &HostName, disk: &DiskName, level: u8, reason: &str, estimate: Option<u64>) {
        self.note(format!("{}: level {level}: {}", show(disk.as_bytes()), show(reason)));
        self.disk(disk, |progress| {
            progress.state = "dumping".to_owned();
            progress.level = Some(level);
            progress.estimate = estimate.unwrap_or(0);
        });
    }

    fn moved(&self, _: &HostName, disk: &DiskName, bytes: u64) {
        self.disk(disk, |progress| progress.bytes = bytes);
    }

    fn ended(&self, _: &HostName, disk: &DiskName, outcome: Outcome) {
        let word = if matches!(outcome, Outcome::Ok | Outcome::Strange) { "done" } else { "failed" };
        self.disk(disk, |progress| progress.state = word.to_owned());
    }

    fn noted(&self, what: &str) {
        self.note(show(what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_from_start_to_end_and_only_when_something_changed() {
        let follow = Follow::new("run-1");
        let (host, disk) = ("laptop1".parse().expect("a host"), DiskName::new("/home").expect("a disk"));
        assert!(follow.progress().is_none());
        follow.planned(&host, &disk, 0, "it has no full dump\u{1b}", Some(1000));
        follow.moved(&host, &disk, 10);
        let progress = follow.progress().expect("changed");
        assert_eq!((progress.run.as_str(), progress.phase.as_str()), ("run-1", "dumping"));
        assert_eq!((progress.disks[0].level, progress.disks[0].bytes, progress.disks[0].estimate), (Some(0), 10, 1000));
        assert!(follow.progress().is_none());
        follow.ended(&host, &disk, Outcome::Ok);
        assert_eq!(follow.progress().expect("changed").phase, "finishing");
        assert_eq!(follow.notes(), ["/home: level 0: it has no full dump\\x1b"]);
        assert!(follow.notes().is_empty());
    }
}
