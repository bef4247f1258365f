//! What a run did, put together from its log: tries of each dump, volumes, notes (perl/Amanda/Report.pm).
//!
//! A dump that is tried again has several tries; each of dumper, chunker and taper has at most one last word in each. Which try a line
//! belongs to is decided as Amanda's report decides it, so that both tell the same.

mod read;

use std::collections::BTreeMap;

use amanda::dle::Dle;
use amanda::run_log::said::{Figures, Program, Word};

/// So many lines of what a backup program said are shown of one dump.
pub const SHOWN: usize = 100;

/// What kind of run it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Dumps were planned: amdump.
    Dump,
    /// Dumps were written from the holding disk to volumes: amflush.
    Flush,
    /// Dumps were copied: amvault.
    Vault,
    /// The log does not say.
    #[default]
    Unknown,
}

/// One program's part in a try.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Half {
    /// Its last word; `None` while there are only parts.
    pub word: Option<Word>,
    /// The level.
    pub level: u8,
    /// Its figures.
    pub figures: Option<Figures>,
    /// Why it failed, or was partial.
    pub reason: String,
    /// The taper gave up because the configuration says so.
    pub by_config: bool,
    /// The storage that was written to.
    pub storage: Option<String>,
    /// It is a second copy.
    pub vault: bool,
    /// KiB before compression, as the parts have it.
    pub orig_kb: Option<i64>,
    /// How many parts were written.
    pub parts: usize,
    /// What the backup program said, the first [`SHOWN`] lines.
    pub said: Vec<String>,
    /// How many lines that were.
    pub lines: usize,
}

impl Half {
    /// Says whether the last word is one of these.
    pub fn is(&self, words: &[Word]) -> bool {
        self.word.is_some_and(|word| words.contains(&word))
    }

    /// Returns the KiB written.
    pub fn kb(&self) -> u64 {
        self.figures.map_or(0, |figures| figures.kb)
    }

    /// Returns the seconds it took.
    pub fn secs(&self) -> f64 {
        self.figures.map_or(0.0, |figures| figures.secs)
    }
}

/// One attempt to make a dump or to write it to a volume.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Try {
    /// The client's side.
    pub dumper: Option<Half>,
    /// Into the holding disk.
    pub chunker: Option<Half>,
    /// Onto a volume.
    pub taper: Option<Half>,
    /// It is tried again at this level.
    pub retry: Option<u8>,
}

impl Try {
    fn half(&mut self, program: Program) -> &mut Option<Half> {
        match program {
            Program::Chunker => &mut self.chunker,
            Program::Taper => &mut self.taper,
            _ => &mut self.dumper,
        }
    }

    /// A chunker's partial dump may still be completed; every other word is a last one, but for STRANGE.
    fn is_finished(&mut self, program: Program) -> bool {
        let word = self.half(program).as_ref().and_then(|half| half.word);
        match (program, word) {
            (_, None) => false,
            (Program::Chunker, Some(word)) => word != Word::Partial,
            (_, Some(word)) => !matches!(word, Word::Strange | Word::Retry),
        }
    }

    fn takes(&mut self, program: Program, storage: Option<&str>, vault: bool) -> bool {
        if self.is_finished(program) {
            return false;
        }
        let unstored = self.chunker.as_ref().is_some_and(|chunker| chunker.is(&[Word::Fail]));
        if program == Program::Taper && self.taper.is_none() && unstored {
            return false;
        }
        let copied = self.taper.as_ref().is_some_and(|taper| taper.vault);
        if program == Program::Taper && vault {
            let other = self.taper.as_ref().is_some_and(|taper| !taper.vault && taper.storage.as_deref() != storage);
            return self.chunker.is_none() && self.dumper.is_none() && !other;
        }
        program == Program::Taper || !copied
    }
}

/// A disk of the run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Disk {
    /// The run meant to dump or flush it.
    pub listed: bool,
    /// What was expected: KiB after compression, and the level.
    pub estimate: Option<(u8, i64)>,
    /// The planner's refusal.
    pub planner: Option<Half>,
    /// The planner left it out on purpose, for this reason.
    pub skipped: Option<String>,
    /// The driver's refusal.
    pub driver: Option<Half>,
    /// Tries by the datestamp of the dump.
    pub dumps: BTreeMap<String, Vec<Try>>,
}

/// A volume that was written to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Volume {
    /// Its label.
    pub label: String,
    /// Its storage.
    pub storage: Option<String>,
    /// KiB written in this run.
    pub kb: u64,
    /// Seconds.
    pub secs: f64,
    /// Dumps that begin on it.
    pub dumps: u32,
    /// Parts.
    pub parts: u32,
}

/// A run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// What kind.
    pub kind: Kind,
    /// Its datestamp; empty when nothing says it.
    pub datestamp: String,
    /// The server.
    pub hostname: String,
    /// It came to its end.
    pub finished: bool,
    /// How long programs took, in seconds.
    pub took: BTreeMap<Program, f64>,
    /// INFO and WARNING lines.
    pub notes: BTreeMap<Program, Vec<String>>,
    /// ERROR lines.
    pub errors: BTreeMap<Program, Vec<String>>,
    /// FATAL lines.
    pub fatal: BTreeMap<Program, Vec<String>>,
    /// No volume could be had: whether the configuration forbids it, and why.
    pub no_tape: Option<(bool, String)>,
    /// The volumes, in their order.
    pub volumes: Vec<Volume>,
    /// The disks in the order of the log.
    pub disks: Vec<(Dle, Disk)>,
}
