//! A restore: what is wished for and a state become files, and at the end what was restored, what was not, and why.
//!
//! ```text
//! wishes ── planning ── choose ────── reading ─────────────── names
//! state     which       which dump    a dump's members: who   other names of files
//!           member of   is needed,    wants each, and where   whose first name nobody
//!           which dump  how much      it goes                 wanted
//! ```
//!
//! Everything is resolved before anything is written. The highest dump is read first: it has the directories.

mod absent;
mod beside;
mod choose;
mod expect;
mod list;
mod meter;
mod names;
mod outcome;
mod planning;
mod reading;

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use wire::restore::{DumpId, PathBytes};

pub use self::list::{Entry, ListError, list};
pub use self::outcome::{Damaged, End, Failure, Few, Missing, Outcome};
use self::reading::Reading;
use crate::depot::Depot;
use crate::place::Target;
use crate::resolve::State;

/// A file, or a directory and all that is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Where it is on the disk.
    pub path: PathBytes,
    /// Where it goes below the target; empty for a directory that becomes the target itself.
    pub at: PathBytes,
}

/// What will be read of one dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which.
    pub dump: DumpId,
    /// All of it. Otherwise only what is wanted, and how much that is turns out when it comes.
    pub whole: bool,
    /// Bytes that will come when all of it does; 0 when that is not known.
    pub bytes: u64,
    /// Files that are wanted of it; nothing when that turns out when they come.
    pub files: Option<u64>,
}

/// Who is told how a restore goes on.
pub trait Watch {
    /// All is resolved: this will be read, in this order. Nothing has been written.
    fn planned(&mut self, _parts: &[Part]) {}

    /// A dump begins to come, so many bytes of it; 0 when that is not known.
    fn begins(&mut self, _dump: &DumpId, _bytes: u64) {}

    /// So many bytes of it have come. Often said.
    fn came(&mut self, _bytes: u64) {}

    /// A file, directory or whatever else is there now, below the target.
    fn made(&mut self, _at: &PathBytes) {}
}

/// Watches nothing.
impl Watch for () {}

/// Restores what is wished for as it was in `state`. It ends early when `stop` becomes true, or the connection or the room is gone: what is complete stays,
/// and the same call goes on from there.
///
/// Files that are there are kept unless the target's rules say otherwise, and are not fetched when no dump need be read for anything else.
pub fn restore<R: Read, W: Write>(
    depot: &mut Depot<R, W>,
    state: &State,
    wishes: &[Wish],
    mut target: Target,
    watch: &mut dyn Watch,
    stop: &AtomicBool,
) -> Outcome {
    let mut outcome = Outcome { doubt: state.doubt.clone(), ..Outcome::default() };
    outcome.end = match run(depot, state, wishes, &mut target, watch, stop, &mut outcome) {
        Ok(()) => End::Done,
        Err(Failure::Stopped) => End::Stopped,
        Err(failure) => End::Failed(failure),
    };
    outcome.finished(target.finish());
    outcome
}

fn run<R: Read, W: Write>(
    depot: &mut Depot<R, W>,
    state: &State,
    wishes: &[Wish],
    target: &mut Target,
    watch: &mut dyn Watch,
    stop: &AtomicBool,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let mut plan = planning::plan(depot, state, wishes, stop)?;
    outcome.resolved(&mut plan);
    choose::passed_over(&mut plan, target, outcome);
    let mut parts = std::mem::take(&mut plan.parts);
    let chosen: Vec<_> = parts.iter().map(|part| choose::what(part, plan.is_everything)).collect();
    let told = (0..parts.len()).rev().filter_map(|level| {
        let what = chosen[level].as_ref()?;
        let whole = choose::is_whole(what);
        let bytes = if whole { state.bytes.get(level).copied().unwrap_or(0) } else { 0 };
        Some(Part { dump: state.chain[level].clone(), whole, bytes, files: choose::files(&parts[level]) })
    });
    watch.planned(&told.collect::<Vec<_>>());
    for (level, what) in chosen.into_iter().enumerate().rev() {
        let (Some(what), Some(part)) = (what, parts.pop()) else { continue };
        if stop.load(Ordering::Relaxed) {
            return Err(Failure::Stopped);
        }
        let reading = Reading { dump: &state.chain[level], plan: &mut plan, part, target, watch, stop, outcome };
        reading.run(depot, what)?;
    }
    Ok(())
}
