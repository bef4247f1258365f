//! What Amanda's planner says in the run's log.

use amanda::dle::Dle;
use amanda::escape::printable;
use amanda::quoting::quote;
use amanda::run_log::write::{Dump, Entry};

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// `INFO planner …`.
    Info(String),
    /// `WARNING planner …`.
    Warning(String),
    /// `FAIL planner … [reason]`: a disk that is not dumped though it should be.
    Fail {
        /// Its place among the candidates.
        at: usize,
        /// The level that it should have had.
        level: u8,
        /// Why.
        reason: String,
    },
    /// `INFO planner … [reason]`: a full dump that is made later.
    Delayed {
        /// Its place among the candidates.
        at: usize,
        /// Why.
        reason: String,
    },
    /// `SUCCESS planner … [skipped: skip-full]`: a disk that is not dumped, as its dumptype says.
    Skipped {
        /// Its place among the candidates.
        at: usize,
        /// The level.
        level: u8,
        /// `skip-full` or `skip-incr`.
        word: &'static str,
    },
}

impl Line {
    /// Prints the line. `dle` returns the name of the candidate at a place.
    pub fn print<'a>(&self, dle: impl Fn(usize) -> &'a Dle, datestamp: &str, log: &mut Vec<u8>) {
        let dump = |at: usize, level: u8| Dump { dle: dle(at), datestamp, level };
        match self {
            Self::Info(what) => Entry::Info("planner", what).print(log),
            Self::Warning(what) => Entry::Warning("planner", what).print(log),
            Self::Fail { at, level, reason } => Entry::Fail("planner", dump(*at, *level), reason).print(log),
            Self::Delayed { at, reason } => {
                let dle = dle(*at);
                let disk = printable(&quote(dle.disk_bytes()));
                Entry::Info("planner", &format!("{} {disk} {datestamp} 0 [{reason}]", dle.host)).print(log);
            }
            Self::Skipped { at, level, word } => {
                // For amreport a disk without this line is none of the run's.
                Entry::Disk(dle(*at)).print(log);
                Entry::Skipped(dump(*at, *level), word).print(log);
            }
        }
    }
}
