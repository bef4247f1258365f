//! Histories of a disk, dumped by the real GNU tar, and somebody who has the dumps.

#![allow(dead_code, reason = "each test uses a part of it")]

pub mod depot;
pub mod history;
pub mod tree;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use restore::job::{Outcome, Wish};
use restore::place::{Rules, Target};
use restore::resolve::{State, state_at};
use wire::restore::PathBytes;

use history::History;

/// Wishes for one thing.
pub fn wish(path: impl AsRef<[u8]>, at: impl AsRef<[u8]>) -> Wish {
    Wish { path: PathBytes::new(path.as_ref()), at: PathBytes::new(at.as_ref()) }
}

/// The state behind the dump with this number.
pub fn state(history: &History, dump: usize) -> State {
    let dumps = history.catalog();
    let id = &dumps[dump].id;
    state_at(&dumps, &id.host, &id.disk, dumps[dump].time).expect("a state")
}

/// Restores into a directory as it was behind a dump.
pub fn restore(history: &History, dump: usize, wishes: &[Wish], to: &Path) -> Outcome {
    restore_with(history, depot::Faults::default(), dump, wishes, to)
}

pub fn restore_with(history: &History, faults: depot::Faults, dump: usize, wishes: &[Wish], to: &Path) -> Outcome {
    std::fs::create_dir_all(to).expect("a directory");
    let mut depot = depot::start(history, faults);
    let target = Target::open(to, Rules::of_this_process()).expect("a directory");
    restore::job::restore(&mut depot, &state(history, dump), wishes, target, &mut (), &AtomicBool::new(false))
}
