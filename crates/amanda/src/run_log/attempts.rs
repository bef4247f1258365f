//! Which words of a log belong together, and what they amount to.
//!
//! A dump takes two: the dumper, and the chunker (into a holding disk) or the taper (straight to a volume). Each says
//! its own word, in any order, and neither names the attempt. The rules, in order:
//!
//! 1. A word of a program that has already spoken in the attempt begins the next one. A dumper or chunker that was
//!    killed says nothing, but the driver does (`dumper0 died while dumping …`), and that counts as its word. (Amanda's
//!    own Report.pm does without, and pairs a later dumper with an earlier chunker.)
//! 2. So does a word with another level or datestamp.
//! 3. A word of planner or driver is about the disk as a whole, and an attempt of its own.
//!
//! An attempt is good when both halves are. When one half is missing there is no word yet, unless the half that did
//! speak has failed.

use std::fmt;

use super::Flushed;
use crate::crc::{self, Crc, CrcAgreement, Transform};
use crate::dle::Dle;

/// The most that is kept of an attempt's reasons, in bytes.
const REASON_KEPT: usize = 4096;

/// Amanda's words for how a dump ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// All is well, as far as Amanda looks.
    Ok,
    /// The dump is whole, and the client said something that Amanda did not expect.
    Strange,
    /// Something was written, not all.
    Partial,
    /// Nothing usable was written.
    Failed,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "OK",
            Self::Strange => "STRANGE",
            Self::Partial => "PARTIAL",
            Self::Failed => "FAILED",
        })
    }
}

/// Who speaks about a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// Decides levels; fails a disk that cannot be estimated.
    Planner,
    /// Starts dumps; fails a disk that it cannot start.
    Driver,
    /// Talks to the client.
    Dumper,
    /// Writes to a holding disk.
    Chunker,
    /// Writes to a volume.
    Taper,
}

impl Speaker {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "planner" => Self::Planner,
            "driver" => Self::Driver,
            "dumper" => Self::Dumper,
            "chunker" => Self::Chunker,
            "taper" => Self::Taper,
            _ => return None,
        })
    }
}

/// What one program said about one dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its word.
    pub outcome: Outcome,
    /// The dump's datestamp; the run's when the line has none.
    pub datestamp: Option<String>,
    /// The level.
    pub level: u8,
    /// Why, made printable; empty when all is well.
    pub reason: String,
    /// Size before compression, in KiB, as the client said.
    pub orig_kb: Option<u64>,
    /// What the client's backup program wrote.
    pub native: Option<Crc>,
    /// What the client sent.
    pub client: Option<Crc>,
    /// What the server wrote.
    pub server: Option<Crc>,
    /// It is about a second copy.
    pub vault: bool,
}

impl Report {
    /// The report of a program that was killed, as the driver saw it.
    pub(super) fn died(datestamp: Option<&str>, level: u8, who: &str) -> Self {
        Self {
            outcome: Outcome::Failed,
            datestamp: datestamp.map(str::to_owned),
            level,
            reason: format!("{who} died"),
            orig_kb: None,
            native: None,
            client: None,
            server: None,
            vault: false,
        }
    }

    pub(super) fn flushed(&self, dle: Dle) -> Option<Flushed> {
        let datestamp = self.datestamp.clone()?;
        Some(Flushed { dle, datestamp, level: self.level, outcome: self.outcome, server: self.server })
    }
}

/// One try to dump a disk, with what each program said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempt {
    /// A skip (good) or a refusal (failed).
    pub planner: Option<Report>,
    /// A refusal.
    pub driver: Option<Report>,
    /// The half that receives.
    pub dumper: Option<Report>,
    /// The half that writes to a holding disk.
    pub chunker: Option<Report>,
    /// The half that writes to a volume: of a dump that goes straight there, or of one that the chunker finished.
    pub taper: Option<Report>,
    /// Why it did not go well: reasons and the lines after them, newline between them; at most 4 KiB.
    pub reason: String,
}

/// Where a disk stands in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// No program has said anything about a dump of it.
    Unheard,
    /// The planner left it out on purpose (`skip-full`, `skip-incr`): nothing was dumped and nothing failed.
    Skipped {
        /// The planner's words.
        reason: String,
    },
    /// One half has done well and the other has not spoken. While the run goes, wait; after its end this is no backup.
    Unfinished,
    /// Amanda's last word.
    Ended(LastWord),
}

/// Amanda's last word on a disk in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastWord {
    /// Amanda's word. `Ok` and `Strange` do not mean that the checksums agree: ask [`LastWord::crc_agreement`].
    pub outcome: Outcome,
    /// The level.
    pub level: u8,
    /// The dump's datestamp, by which `amadmin find` and the holding disk know it.
    pub datestamp: String,
    /// Why it is not `Ok`, made printable; lines with newlines between them, at most 4 KiB.
    pub reason: String,
    /// Size before compression, in KiB, as the client said.
    pub orig_kb: Option<u64>,
    /// What the client's backup program wrote, by the client's own count: CRC-32C and bytes.
    pub native: Option<Crc>,
    /// What the client sent, by its own count.
    pub client: Option<Crc>,
    /// What the server wrote, by its own count. Unknown for a dump that went straight to a volume: the taper of 3.5.1
    /// logs `00000000:0` then.
    pub server: Option<Crc>,
}

impl LastWord {
    /// Compares what the client sent with what the server wrote. Amanda itself does not, for dumps over shared memory.
    #[must_use]
    pub fn crc_agreement(&self, transform: Transform) -> CrcAgreement {
        crc::agreement(self.client, self.server, transform)
    }
}

impl Attempt {
    /// Returns what the attempt amounts to.
    #[must_use]
    pub fn standing(&self) -> Standing {
        if let Some(refusal) = self.driver.as_ref().or(self.planner.as_ref()) {
            if refusal.outcome == Outcome::Ok {
                return Standing::Skipped { reason: refusal.reason.clone() };
            }
            return self.ended(refusal, Outcome::Failed);
        }
        // With a chunker the dump is in the holding disk, whatever the taper then makes of it.
        let writer = self.chunker.as_ref().or(self.taper.as_ref());
        match (&self.dumper, writer) {
            (Some(dumper), Some(writer)) => self.ended(dumper, worst(dumper.outcome, writer.outcome)),
            (Some(half), None) | (None, Some(half)) if is_bad(half.outcome) => self.ended(half, half.outcome),
            (Some(_), None) | (None, Some(_)) => Standing::Unfinished,
            (None, None) => Standing::Unheard,
        }
    }

    fn ended(&self, by: &Report, outcome: Outcome) -> Standing {
        let writer = self.chunker.as_ref().or(self.taper.as_ref());
        let known = |crc: &Crc| crc.is_known();
        let sent = |pick: fn(&Report) -> Option<Crc>| {
            [self.dumper.as_ref(), writer].into_iter().flatten().find_map(|report| pick(report).filter(known))
        };
        Standing::Ended(LastWord {
            outcome,
            level: by.level,
            datestamp: by.datestamp.clone().unwrap_or_default(),
            reason: self.reason.clone(),
            orig_kb: self.dumper.as_ref().and_then(|dumper| dumper.orig_kb),
            native: sent(|report| report.native),
            client: sent(|report| report.client),
            server: sent(|report| report.server),
        })
    }

    fn heard(&mut self, who: Speaker) -> &mut Option<Report> {
        match who {
            Speaker::Planner => &mut self.planner,
            Speaker::Driver => &mut self.driver,
            Speaker::Dumper => &mut self.dumper,
            Speaker::Chunker => &mut self.chunker,
            Speaker::Taper => &mut self.taper,
        }
    }

    fn reports(&self) -> impl Iterator<Item = &Report> {
        [&self.planner, &self.driver, &self.dumper, &self.chunker, &self.taper].into_iter().flatten()
    }

    /// Adds a line to the reasons, up to the limit.
    pub(super) fn explain(&mut self, line: &str) {
        let room = REASON_KEPT.saturating_sub(self.reason.len() + 1);
        if line.is_empty() || room == 0 {
            return;
        }
        if !self.reason.is_empty() {
            self.reason.push('\n');
        }
        let end = (0..=line.len().min(room)).rev().find(|&end| line.is_char_boundary(end)).unwrap_or(0);
        self.reason.push_str(&line[..end]);
    }
}

fn is_bad(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Partial | Outcome::Failed)
}

/// Two halves make a whole only when both are good. A chunker that wrote part of what a failed dumper sent has written
/// nothing usable, so FAILED wins over PARTIAL.
fn worst(dumper: Outcome, writer: Outcome) -> Outcome {
    for outcome in [Outcome::Failed, Outcome::Partial, Outcome::Strange] {
        if dumper == outcome || writer == outcome {
            return outcome;
        }
    }
    Outcome::Ok
}

/// Adds a report to the attempt it belongs to.
pub(super) fn add(attempts: &mut Vec<Attempt>, who: Speaker, report: Report) {
    let stands_alone = matches!(who, Speaker::Planner | Speaker::Driver);
    let goes_on = attempts.last_mut().is_some_and(|attempt| {
        !stands_alone
            && attempt.planner.is_none()
            && attempt.driver.is_none()
            && attempt.heard(who).is_none()
            && attempt.reports().all(|heard| {
                heard.level == report.level
                    && (heard.datestamp.is_none() || report.datestamp.is_none() || heard.datestamp == report.datestamp)
            })
    });
    if !goes_on {
        attempts.push(Attempt::default());
    }
    if let Some(attempt) = attempts.last_mut() {
        attempt.explain(&report.reason);
        *attempt.heard(who) = Some(report);
    }
}
