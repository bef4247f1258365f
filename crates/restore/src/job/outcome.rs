//! What came of a restore.

use wire::restore::{DumpId, PathBytes};

use crate::depot::DepotError;
use crate::place::Finished;
use crate::resolve::plan::Plan;

/// How many of a kind are kept by name.
const FEW: usize = 1000;

/// Some of many: the first ones, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Few<T> {
    /// At most 1000.
    pub first: Vec<T>,
    /// All of them.
    pub count: u64,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self { first: Vec::new(), count: 0 }
    }
}

impl<T> Few<T> {
    /// Adds one.
    pub fn add(&mut self, one: T) {
        self.count += 1;
        if self.first.len() < FEW {
            self.first.push(one);
        }
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Something that was wanted and did not come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its path on the disk; as it was called in the dump that should have it, when a directory above it was renamed since.
    pub path: PathBytes,
    /// Why, a clause.
    pub why: String,
}

/// A part of a dump that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// Of this dump.
    pub dump: DumpId,
    /// What, and what it costs: sentences.
    pub what: String,
    /// What to do about it; empty when nothing can be said.
    pub hint: String,
}

/// What came of a restore.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Files that are there now and were not, by their first name.
    pub files: u64,
    /// Directories that were made.
    pub directories: u64,
    /// Symbolic links, fifos, devices.
    pub others: u64,
    /// Other names of files (hard links).
    pub links: u64,
    /// What those files hold, holes included.
    pub bytes: u64,
    /// Bytes of dumps that came, as they were sent.
    pub fetched: u64,
    /// What was there and was left alone, below the target; directories apart.
    pub kept: Few<PathBytes>,
    /// How many of these are known not to be what the dump has.
    pub kept_different: u64,
    /// How many of these were compared with nothing, since the dump need not be read for them.
    pub kept_uncompared: u64,
    /// What did not come, and why.
    pub missing: Few<Missing>,
    /// What of the dumps is damaged.
    pub damaged: Vec<Damaged>,
    /// What was in a directory when it was dumped, and is in no dump: sockets, which no archive keeps, and what could not be read. The backup has told of
    /// the latter.
    pub absent: Few<PathBytes>,
    /// Names that no backup has, since it was told to leave them out or could not read them.
    pub left_out: u64,
    /// Why not all that was there may have come: what the catalog has against the dumps, a sentence.
    pub doubt: Option<String>,
    /// What is not as one may think: sentences.
    pub remarks: Few<String>,
    /// How it ended.
    pub end: End,
}

/// How a restore ended.
#[derive(Debug, Default)]
pub enum End {
    /// It got to the end.
    #[default]
    Done,
    /// It was told to stop.
    Stopped,
    /// It could not go on.
    Failed(Failure),
}

/// Why a restore could not go on. What is complete stays.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It was told to stop.
    #[error("the restore was stopped")]
    Stopped,
    /// No answer, or no more of one.
    #[error(transparent)]
    Depot(#[from] DepotError),
    /// The connection is lost in the middle of a dump.
    #[error("the rest of the dump did not come")]
    Cut(#[source] std::io::Error),
    /// There is no room for more.
    #[error("there is no room for more: {0}")]
    Full(String),
    /// No threads to unpack with.
    #[error("the dump cannot be unpacked")]
    Unpack(#[source] std::io::Error),
}

impl Outcome {
    /// Says whether all that was wished for is there for certain.
    pub fn is_whole(&self) -> bool {
        matches!(self.end, End::Done) && self.missing.is_empty() && self.damaged.is_empty() && self.doubt.is_none()
    }

    /// Counts something that was there, and that nothing was compared with.
    pub(super) fn kept_as_it_is(&mut self, at: PathBytes) {
        self.kept_uncompared += 1;
        self.kept.add(at);
    }

    pub(super) fn missing(&mut self, path: PathBytes, why: impl Into<String>) {
        self.missing.add(Missing { path, why: why.into() });
    }

    pub(super) fn damaged(&mut self, dump: &DumpId, what: String, hint: String) {
        // An archive has no end of damages when somebody wants so.
        if self.damaged.len() < FEW {
            self.damaged.push(Damaged { dump: dump.clone(), what, hint });
        }
    }

    /// Takes over what is known when all is resolved.
    pub(super) fn resolved(&mut self, plan: &mut Plan) {
        for (path, why) in std::mem::take(&mut plan.missing) {
            self.missing(path, why);
        }
        std::mem::take(&mut plan.remarks).into_iter().for_each(|remark| self.remarks.add(remark));
    }

    /// Takes over what is known when directories have got their times.
    pub(super) fn finished(&mut self, finished: Finished) {
        for remark in finished.remarks {
            self.remarks.add(format!("{:?}: {}.", String::from_utf8_lossy(&remark.at), remark.what));
        }
        if let Some(error) = finished.unsure {
            let failure = format!("the system could not make sure of what was written: {error}");
            if matches!(self.end, End::Done) {
                self.end = End::Failed(Failure::Full(failure));
            } else {
                self.remarks.add(failure);
            }
        }
    }
}
