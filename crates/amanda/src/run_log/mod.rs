//! The log of a run, `log.<datestamp>.N`: what every program of the server says it has done (server-src/logfile.c).
//!
//! A line is `TYPE program text`; a line that starts with two spaces continues the one before it. Every program appends
//! for itself, so the lines of a dump come in any order: `SUCCESS chunker` can stand before `SUCCESS dumper`.
//!
//! A run retries. The last word on a disk is therefore its last *attempt*, not its first `FAIL`; which line belongs to
//! which attempt is decided in [`attempts`]. The log is parsed while the run goes, too: a last line without newline is
//! not yet there, and unknown lines are passed over.

pub mod attempts;
mod carried;
pub mod contents;
mod line;
pub mod said;
pub mod write;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};

pub use attempts::{Attempt, LastWord, Outcome, Report, Standing};
pub use carried::{carried_over, carried_over_if};

use crate::crc::Crc;
use crate::dle::Dle;
use crate::escape::printable;
use crate::lines::Lines;
use crate::quoting::split_words;
use line::{Kind, LogLine};

/// How many texts of one kind (FATAL, ERROR) are kept.
const TEXTS_KEPT: usize = 100;

/// A program of the server that announced itself in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its name: amdump, planner, driver, dumper, chunker, taper, or a filter such as gzip.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// It has said that it is done. A killed program never does.
    pub done: bool,
}

/// A dump of an earlier run that this run wrote to a volume, by amflush or by the `autoflush` of amdump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flushed {
    /// Whose dump.
    pub dle: Dle,
    /// When it was dumped.
    pub datestamp: String,
    /// Its level.
    pub level: u8,
    /// [`Outcome::Ok`] when all of it is on volumes; [`Outcome::Partial`] or [`Outcome::Failed`] when not.
    pub outcome: Outcome,
    /// What the server counted while writing.
    pub server: Option<Crc>,
}

/// A piece of a dump on a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Whose dump.
    pub dle: Dle,
    /// When it was dumped.
    pub datestamp: String,
    /// Its level.
    pub level: u8,
    /// The volume's label.
    pub label: Vec<u8>,
    /// The file number on the volume.
    pub file: u64,
    /// The part's number, from 1.
    pub part: u32,
    /// False for `PARTPARTIAL`: the volume was full in the middle of it.
    pub whole: bool,
}

/// A run, as far as its log tells. Grows with [`RunLog::feed`].
#[derive(Debug, Default)]
pub struct RunLog {
    lines: Lines,
    /// The programs in the order of their appearance.
    pub pids: Vec<Program>,
    /// The program that wrote the first line: amdump, amflush, amvault…
    pub writer: Option<String>,
    /// The run's datestamp, `YYYYMMDDhhmmss`, or `YYYYMMDD` under `usetimestamps no`.
    pub datestamp: Option<String>,
    /// The planner has finished.
    pub planner_finished: bool,
    /// The driver has finished: nothing about any disk will follow.
    pub driver_finished: bool,
    /// Texts of FATAL lines, made printable: programs that gave up.
    pub fatal: Vec<String>,
    /// Texts of ERROR lines, made printable.
    pub errors: Vec<String>,
    /// The disks of this run, in the order of the log.
    pub disks: Vec<Dle>,
    /// Dumps of earlier runs that were written to volumes.
    pub flushed: Vec<Flushed>,
    /// Parts written to volumes, of this run's dumps and earlier ones.
    pub parts: Vec<Part>,
    attempts: BTreeMap<Dle, Vec<Attempt>>,
    /// The disk whose last line can still be continued.
    continued: Option<Dle>,
}

impl RunLog {
    /// Parses a log that is in memory.
    #[must_use]
    pub fn parse(log: &[u8]) -> Self {
        let mut run = Self::default();
        run.feed(log);
        run
    }

    /// Parses a log to the end of the reader.
    ///
    /// # Errors
    /// Only those of the reader.
    pub fn read(mut log: impl Read) -> io::Result<Self> {
        let mut run = Self::default();
        let mut chunk = vec![0; 64 * 1024];
        loop {
            match log.read(&mut chunk) {
                Ok(0) => return Ok(run),
                Ok(read) => run.feed(&chunk[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the next bytes of a growing log.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.feed(bytes, |line| self.line(line));
        self.lines = lines;
    }

    /// Returns the process id of the amdump (or amflush…) that wrote the first line.
    #[must_use]
    pub fn amdump_pid(&self) -> Option<u32> {
        self.pids.first().map(|program| program.pid)
    }

    /// Says whether the program that wrote the first line has said that it is done.
    #[must_use]
    pub fn amdump_done(&self) -> bool {
        self.pids.first().is_some_and(|program| program.done)
    }

    /// Returns the attempts to dump this disk, in order.
    #[must_use]
    pub fn attempts(&self, dle: &Dle) -> &[Attempt] {
        self.attempts.get(dle).map_or(&[], Vec::as_slice)
    }

    /// Returns where this disk stands, by its last attempt.
    #[must_use]
    pub fn standing(&self, dle: &Dle) -> Standing {
        self.attempts(dle).last().map_or(Standing::Unheard, Attempt::standing)
    }

    /// Returns the last word on this disk; `None` while there is none: nothing heard, skipped on purpose, or a dump
    /// whose other half is missing. After the run's end, `None` means that there is no backup.
    #[must_use]
    pub fn last_word(&self, dle: &Dle) -> Option<LastWord> {
        match self.standing(dle) {
            Standing::Ended(word) => Some(word),
            Standing::Unheard | Standing::Skipped { .. } | Standing::Unfinished => None,
        }
    }

    fn line(&mut self, bytes: &[u8]) {
        if let Some(continuation) = bytes.strip_prefix(b"  ") {
            if let Some(attempt) = self.continued.as_ref().and_then(|dle| self.attempts.get_mut(dle)?.last_mut()) {
                attempt.explain(&printable(continuation));
            }
            return;
        }
        self.continued = None;
        let Some(line) = LogLine::parse(bytes) else { return };
        match line.kind {
            Kind::Info => self.info(&line),
            Kind::Start => self.start(&line),
            Kind::Finish if line.program == "planner" => self.planner_finished = true,
            Kind::Finish if line.program == "driver" => self.driver_finished = true,
            Kind::Disk => self.disk(&line),
            Kind::Fatal => keep(&mut self.fatal, &line),
            Kind::Error => keep(&mut self.errors, &line),
            Kind::Warning if line.program == "driver" => self.died(&line),
            Kind::Part { whole } => self.part(&line, whole),
            Kind::Word(word) => self.word(word, &line),
            Kind::Finish | Kind::Warning => {}
        }
    }

    /// `INFO dumper gzip pid 3828`, `INFO dumper pid-done 3828`, `INFO amflush fork amflush 31 32`.
    fn info(&mut self, line: &LogLine<'_>) {
        let words: Vec<_> = line.text.split(' ').collect();
        match words[..] {
            [name, "pid", pid] => self.born(name, pid, line.program),
            ["pid-done", pid] => self.done(pid),
            ["fork", name, old, new] => {
                self.done(old);
                self.born(name, new, line.program);
            }
            _ => {}
        }
    }

    fn born(&mut self, name: &str, pid: &str, program: &str) {
        let Ok(pid) = pid.parse() else { return };
        if self.pids.is_empty() {
            self.writer = Some(program.to_owned());
        }
        self.pids.push(Program { name: printable(name.as_bytes()), pid, done: false });
    }

    fn done(&mut self, pid: &str) {
        let Ok(pid) = pid.parse::<u32>() else { return };
        if let Some(program) = self.pids.iter_mut().rev().find(|program| program.pid == pid && !program.done) {
            program.done = true;
        }
    }

    fn start(&mut self, line: &LogLine<'_>) {
        let stamp = line.text.strip_prefix("date ").map(|rest| rest.split(' ').next().unwrap_or(rest));
        if let Some(stamp) = stamp.filter(|stamp| line::is_datestamp(stamp.as_bytes())) {
            self.datestamp.get_or_insert_with(|| stamp.to_owned());
        }
    }

    fn disk(&mut self, line: &LogLine<'_>) {
        let mut words = split_words(line.bytes);
        let Some(dle) = line::dle(&mut words) else { return };
        // amflush names its disks twice.
        if !self.disks.contains(&dle) {
            self.disks.push(dle);
        }
    }

    /// `WARNING driver dumper0 died while dumping 127.0.0.5:/srv/data lev 0.`: the only word of a killed program.
    fn died(&mut self, line: &LogLine<'_>) {
        let Some((who, what)) = line.text.split_once(" died while dumping ") else { return };
        let Some(program) = attempts::Speaker::named(who.trim_end_matches(|digit: char| digit.is_ascii_digit())) else {
            return;
        };
        let Some((name, level)) = what.rsplit_once(" lev ") else { return };
        let Ok(level) = level.trim_end_matches('.').parse() else { return };
        let Some(dle) = self.disks.iter().find(|dle| dle.in_messages() == name.as_bytes()).cloned() else { return };
        let report = attempts::Report::died(self.datestamp.as_deref(), level, &printable(who.as_bytes()));
        attempts::add(self.attempts.entry(dle).or_default(), program, report);
    }

    fn part(&mut self, line: &LogLine<'_>, whole: bool) {
        if let Some(part) = line::part(line.bytes, whole) {
            self.parts.push(part);
        }
    }

    fn word(&mut self, word: line::Word, line: &LogLine<'_>) {
        let Some(program) = attempts::Speaker::named(line.program) else { return };
        let Some((dle, report)) = line::report(program, word, line.bytes, self.datestamp.as_deref()) else { return };
        let of_this_run = self.datestamp.is_none() || self.datestamp == report.datestamp;
        if program == attempts::Speaker::Taper && (!of_this_run || report.vault) {
            // A vaulted dump is a second copy; its failure says nothing about the first.
            if let Some(flushed) = report.flushed(dle).filter(|_| !report.vault) {
                self.flushed.push(flushed);
            }
            return;
        }
        // On the last of its retries the driver tells the death of a program as a FAIL of its own.
        let dead = report.reason.strip_suffix(" died").map(|who| who.trim_end_matches(|digit: char| digit.is_ascii_digit()));
        let program = match dead.and_then(attempts::Speaker::named) {
            Some(dead) if program == attempts::Speaker::Driver => dead,
            _ => program,
        };
        attempts::add(self.attempts.entry(dle.clone()).or_default(), program, report);
        self.continued = Some(dle);
    }
}

fn keep(texts: &mut Vec<String>, line: &LogLine<'_>) {
    if texts.len() < TEXTS_KEPT {
        texts.push(format!("{}: {}", line.program, printable(line.bytes)));
    }
}

#[cfg(test)]
mod tests;
