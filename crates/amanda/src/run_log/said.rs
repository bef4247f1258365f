//! A log line by line, with every figure: what reports are made of.
//!
//! [`RunLog`](super::RunLog) knows what became of each disk. Here nothing is put together and nothing is left out: the times, sizes and
//! rates of each dump and part, notes and errors, in the order of the log (server-src/logfile.c, perl/Amanda/Report.pm).

mod read;

use crate::dle::Dle;

pub use read::said;

/// So many lines of a log are kept.
pub const MOST: usize = 1_000_000;

/// The programs that write logs, in the order in which Amanda reports of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// `amcleanup`.
    Amcleanup,
    /// `amdump`.
    Amdump,
    /// `planner`.
    Planner,
    /// `amflush`.
    Amflush,
    /// `amvault`.
    Amvault,
    /// `driver`.
    Driver,
    /// `dumper`.
    Dumper,
    /// `chunker`.
    Chunker,
    /// `taper`.
    Taper,
    /// `amreport`.
    Amreport,
    /// `amtrmidx`.
    Amtrmidx,
    /// `amtrmlog`.
    Amtrmlog,
}

impl Program {
    /// All of them.
    pub const ALL: [(Self, &'static str); 12] = [
        (Self::Amcleanup, "amcleanup"),
        (Self::Amdump, "amdump"),
        (Self::Planner, "planner"),
        (Self::Amflush, "amflush"),
        (Self::Amvault, "amvault"),
        (Self::Driver, "driver"),
        (Self::Dumper, "dumper"),
        (Self::Chunker, "chunker"),
        (Self::Taper, "taper"),
        (Self::Amreport, "amreport"),
        (Self::Amtrmidx, "amtrmidx"),
        (Self::Amtrmlog, "amtrmlog"),
    ];

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(program, _)| *program == self).map_or("", |(_, name)| name)
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, other)| *other == name).map(|(program, _)| *program)
    }
}

/// What became of a dump, by one program's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// `SUCCESS`.
    Success,
    /// The taper's `DONE`.
    Done,
    /// `STRANGE`.
    Strange,
    /// `PARTIAL`.
    Partial,
    /// `FAIL`.
    Fail,
    /// `RETRY`.
    Retry,
}

/// The figures in brackets: `[sec 1.2 kb 3 kps 2.5 orig-kb 10]`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// Seconds.
    pub secs: f64,
    /// Whole KiB.
    pub kb: u64,
    /// KiB in a second, as the program reckoned it.
    pub kps: f64,
    /// KiB before compression, where it is told.
    pub orig_kb: Option<i64>,
}

/// What one program says of one dump.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Who says it.
    pub program: Program,
    /// The word.
    pub word: Word,
    /// Whose dump.
    pub dle: Dle,
    /// When it was dumped; `None` in the dumper's `STRANGE`, which is of the run itself.
    pub datestamp: Option<String>,
    /// The level.
    pub level: u8,
    /// Its figures, where there are some.
    pub figures: Option<Figures>,
    /// Why, made printable, a failure's without its brackets; empty for a success.
    pub reason: String,
    /// The same as it stands there, in its brackets and quotation marks; of a failure alone.
    pub raw: String,
    /// How many parts were written, where the taper tells it.
    pub parts: Option<i32>,
    /// The storage that the taper writes to.
    pub storage: Option<String>,
    /// A second copy, by amvault or the storage's `vault`.
    pub vault: bool,
    /// The taper stopped because the configuration says so (`runtapes`), not because of an error.
    pub by_config: bool,
    /// The level of the next try, in a `RETRY`.
    pub retry_level: Option<u8>,
}

/// A part on a volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The storage.
    pub storage: Option<String>,
    /// The pool.
    pub pool: Option<String>,
    /// The volume.
    pub label: String,
    /// The file on it.
    pub file: u64,
    /// Whose dump.
    pub dle: Dle,
    /// When it was dumped.
    pub datestamp: String,
    /// The part, from 1.
    pub part: u32,
    /// How many there are to be; -1 when that is not known.
    pub parts: i32,
    /// The level.
    pub level: u8,
    /// False for `PARTPARTIAL`.
    pub whole: bool,
    /// Its figures.
    pub figures: Figures,
}

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// A process has begun.
    Begun(Program, u32),
    /// A process has ended.
    Ended(u32),
    /// INFO or WARNING, made printable.
    Note(Program, String),
    /// ERROR, made printable.
    Error(Program, String),
    /// FATAL, made printable.
    Fatal(Program, String),
    /// `ERROR taper no-tape error|config …`: no volume could be had; whether the configuration forbids it, and why, in the brackets
    /// that it may have.
    NoTape(bool, String),
    /// `START PROGRAM date …`.
    Start(Program, String),
    /// `START taper …`: a volume is written to.
    Volume {
        /// The datestamp that its label and the tapelist have.
        datestamp: String,
        /// The storage.
        storage: Option<String>,
        /// The pool.
        pool: Option<String>,
        /// Its label.
        label: String,
    },
    /// `FINISH PROGRAM … time …`.
    Finish(Program, f64),
    /// This disk is to be dumped, or flushed.
    Disk(Dle),
    /// The server's name.
    Hostname(String),
    /// What was expected of a dump: its level, and KiB after compression.
    Estimate(Dle, u8, i64),
    /// The planner leaves a disk out on purpose, and why.
    Skipped(Dle, String),
    /// A word on a dump.
    Verdict(Box<Verdict>),
    /// A part on a volume.
    Part(Box<Written>),
    /// What belongs to the line before: the words of the backup program.
    Continued(String),
}

#[cfg(test)]
mod tests;
