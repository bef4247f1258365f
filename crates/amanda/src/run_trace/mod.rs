//! What a run is doing: the trace that planner, driver and taper write while it goes, `amdump.<datestamp>` in the log
//! directory (amflush's has the same name). perl/Amanda/Status.pm, which is amstatus, reads the same lines.
//!
//! The trace is for progress and for finding out that a run will never end; outcomes come from
//! [`run_log`](crate::run_log). It grows to megabytes for a large run, so it is read once, with [`Trace::feed`].

mod state;
mod words;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use crate::dle::Dle;
use crate::escape::printable;
use crate::lines::Lines;
pub use state::{DleState, Phase};
use words::words;

/// Disks beyond this number are not followed; it bounds the memory that a hostile or broken trace can take.
const DISKS_FOLLOWED: usize = 100_000;
/// The most that is kept of an error, in bytes.
const REASON_KEPT: usize = 1024;

/// A run, as far as its trace tells.
#[derive(Debug, Default)]
pub struct Trace {
    lines: Lines,
    /// The run's datestamp.
    pub datestamp: Option<String>,
    /// A program died and the run may never end by itself: after a chunker's `(eof)` amdump hangs forever; the
    /// disk of a dead dumper may begin again, and then nothing is lost. The first such message is kept.
    pub lost: Option<String>,
    /// The last time that driver or planner wrote down: seconds after their start.
    pub seconds: f64,
    disks: BTreeMap<Dle, DleState>,
    /// What each disk was expected to bring, in KiB: the planner's number, which its later states do not repeat.
    estimates: BTreeMap<Dle, u64>,
    /// Which disk a handle (`00-00001`) stands for.
    handles: BTreeMap<Vec<u8>, Dle>,
    /// The disk whose dumper died and that has not begun again.
    without_dumper: Option<Dle>,
    /// Which handle a dumper or chunker works on.
    busy: BTreeMap<Vec<u8>, Vec<u8>>,
    planner_began: bool,
    scheduled: bool,
    finished: bool,
}

impl Trace {
    /// Parses a trace that is in memory.
    #[must_use]
    pub fn parse(trace: &[u8]) -> Self {
        let mut run = Self::default();
        run.feed(trace);
        run
    }

    /// Takes the next bytes of a growing trace.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.feed(bytes, |line| self.line(line));
        self.lines = lines;
    }

    /// Returns how far the run is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        let writes = |state: &DleState| matches!(state, DleState::Writing);
        let dumps = |state: &DleState| matches!(state, DleState::Waiting { .. } | DleState::Dumping { .. });
        if self.finished {
            Phase::Finished
        } else if self.planner_began && !self.scheduled {
            Phase::Estimating
        } else if self.disks.values().any(writes) && !self.disks.values().any(dumps) {
            Phase::Writing
        } else if self.scheduled {
            Phase::Dumping
        } else {
            Phase::Estimating
        }
    }

    /// Returns what the planner expects of a disk, in KiB; none before it has said so.
    #[must_use]
    pub fn estimate(&self, dle: &Dle) -> Option<u64> {
        self.estimates.get(dle).copied()
    }

    /// Returns how far a disk is; `None` when the run has not named it.
    #[must_use]
    pub fn state(&self, dle: &Dle) -> Option<&DleState> {
        self.disks.get(dle)
    }

    /// Returns the disks of the run and how far each is.
    pub fn disks(&self) -> impl Iterator<Item = (&Dle, &DleState)> {
        self.disks.iter()
    }

    fn line(&mut self, line: &[u8]) {
        let words = words(line);
        let words: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
        match words[..] {
            [b"amdump" | b"amflush", b"starttime", stamp] | [b"planner", b"timestamp", stamp] => {
                self.datestamp = Some(printable(stamp));
            }
            [b"planner", b"pid", ..] => self.planner_began = true,
            [b"setup_estimate", host, disk, ..] => self.set(dle(host, disk), DleState::Estimating),
            [b"planner", b"FAILED", host, disk, _, _, ref reason @ ..] => self.fail(dle(host, disk), reason),
            [b"planner", b"time", at, b"got", b"result", b"for", b"host", host, b"disk", disk, ref sizes @ ..]
            | [b"planner", b"time", at, b"got", b"partial", b"result", b"for", b"host", host, b"disk", disk, ref sizes @ ..] => {
                self.at(at);
                self.estimated(dle(host, disk), sizes);
            }
            [b"GENERATING", b"SCHEDULE"] => self.scheduled = true,
            // Size after compression is the second number after the date of the base.
            [b"DUMP", host, _, disk, _, _, level, _, _, _, _, _, _, _, kb, ..] if self.scheduled => {
                if let (Some(level), Some(kb)) = (number(level), number(kb)) {
                    self.set(dle(host, disk), DleState::Waiting { level, kb });
                }
            }
            [b"driver", b"send-cmd", b"time", at, b"to", program, ref command @ ..] => {
                self.at(at);
                self.command(program, command);
            }
            [b"driver", b"result", b"time", at, b"from", program, ref result @ ..] => {
                self.at(at);
                self.result(program, result);
            }
            [b"driver", b"FINISHED", b"time", at, ..] => {
                self.at(at);
                self.finished = true;
                if self.planner_began && !self.scheduled {
                    self.lose("the planner ended without a schedule".to_owned());
                }
            }
            [b"amdump" | b"amflush", b"end", b"at", ..] => self.finished = true,
            _ => {}
        }
    }

    /// `0 -> 10K, 1 -> 5K, -1 -> -3K`: the lowest level with a size counts.
    fn estimated(&mut self, dle: Option<Dle>, sizes: &[&[u8]]) {
        let first = sizes.chunks(3).find_map(|size| {
            let [level, _, kb] = size else { return None };
            let kb = kb.strip_suffix(b",").unwrap_or(kb);
            Some((number(level)?, number(kb.strip_suffix(b"K")?)?))
        });
        if let Some((level, kb)) = first {
            self.set(dle, DleState::Estimated { level, kb });
        }
    }

    fn command(&mut self, program: &[u8], command: &[&[u8]]) {
        match (kind(program), command) {
            (b"chunker", [b"SHM-WRITE" | b"PORT-WRITE", handle, file, host, _, disk, level, ..]) => {
                self.begin(program, handle, dle(host, disk), level, Some(file));
            }
            (b"chunker", [b"CONTINUE", handle, file, ..]) => {
                let state = self.handles.get(*handle).and_then(|dle| self.disks.get_mut(dle));
                if let Some(DleState::Dumping { holding, .. }) = state {
                    let file = OsString::from_vec(file.to_vec());
                    if !holding.contains(&file) {
                        holding.push(file);
                    }
                }
            }
            (b"taper", [b"SHM-WRITE" | b"PORT-WRITE", worker, handle, host, disk, level, ..]) => {
                self.begin(worker, handle, dle(host, disk), level, None);
            }
            (b"taper", [b"FILE-WRITE", worker, handle, _file, host, disk, ..]) => {
                let dle = dle(host, disk);
                self.remember(worker, handle, dle.as_ref());
                self.set(dle, DleState::Writing);
            }
            (b"dumper", [b"SHM-DUMP" | b"PORT-DUMP", handle, ..]) => {
                self.busy.insert(program.to_vec(), handle.to_vec());
            }
            _ => {}
        }
    }

    fn begin(&mut self, who: &[u8], handle: &[u8], dle: Option<Dle>, level: &[u8], file: Option<&[u8]>) {
        let Some(level) = number(level) else { return };
        self.remember(who, handle, dle.as_ref());
        if dle.is_some() && self.without_dumper == dle {
            self.without_dumper = None;
            self.lost = None;
        }
        let holding = file.map(|file| OsString::from_vec(file.to_vec())).into_iter().collect();
        self.set(dle, DleState::Dumping { level, since: self.seconds, holding });
    }

    fn result(&mut self, program: &[u8], result: &[&[u8]]) {
        match (kind(program), result) {
            (kind, [b"(eof)", ..]) => {
                let handle = self.busy.remove(program);
                let dle = handle.and_then(|handle| self.handles.get(&handle).cloned());
                let message = match &dle {
                    Some(dle) => format!("{} died while dumping {dle}", printable(program)),
                    None => format!("{} died", printable(program)),
                };
                self.fail(dle.clone(), &[message.as_bytes()]);
                // The driver tries a dead dumper's disk again, but only once the chunker has come to an end, and that waits for
                // ever for a client on another machine. Without anything else it hangs in any case.
                if kind == b"dumper" {
                    self.without_dumper = dle;
                }
                self.lose(message);
            }
            (b"dumper", [b"FAILED" | b"TRY-AGAIN", handle, reason @ ..]) => {
                self.busy.remove(program);
                self.fail(self.handles.get(*handle).cloned(), reason);
            }
            (b"dumper", [b"RETRY", handle, _, _, reason @ ..]) => {
                self.busy.remove(program);
                self.fail(self.handles.get(*handle).cloned(), reason);
            }
            (b"dumper", [b"DONE" | b"ABORT-FINISHED", ..]) => {
                self.busy.remove(program);
            }
            (b"chunker", [word @ (b"DONE" | b"PARTIAL"), handle, kb, ..]) => {
                self.busy.remove(program);
                self.dumped(handle, *word == b"DONE", number(kb).unwrap_or(0));
            }
            (b"chunker", [b"FAILED", handle, reason @ ..]) => {
                self.busy.remove(program);
                self.fail(self.handles.get(*handle).cloned(), reason);
            }
            (b"taper", [b"DONE", worker, handle, ..]) => {
                self.busy.remove(*worker);
                self.set(self.handles.get(*handle).cloned(), DleState::Written);
            }
            (b"taper", [b"PARTIAL" | b"FAILED", worker, handle, reason @ ..]) => {
                self.busy.remove(*worker);
                self.fail(self.handles.get(*handle).cloned(), reason);
            }
            _ => {}
        }
    }

    fn dumped(&mut self, handle: &[u8], whole: bool, kb: u64) {
        let Some(dle) = self.handles.get(handle).cloned() else { return };
        if matches!(self.disks.get(&dle), Some(DleState::Failed { .. })) {
            return; // The dumper's reason is the better one.
        }
        if whole {
            self.set(Some(dle), DleState::Dumped { kb });
        } else {
            self.fail(Some(dle), &[b"the dump is not whole"]);
        }
    }

    fn remember(&mut self, who: &[u8], handle: &[u8], dle: Option<&Dle>) {
        let Some(dle) = dle else { return };
        if self.handles.len() < 4 * DISKS_FOLLOWED {
            self.handles.insert(handle.to_vec(), dle.clone());
            self.busy.insert(who.to_vec(), handle.to_vec());
        }
    }

    fn set(&mut self, dle: Option<Dle>, state: DleState) {
        let Some(dle) = dle else { return };
        if self.disks.len() < DISKS_FOLLOWED || self.disks.contains_key(&dle) {
            if let DleState::Waiting { kb, .. } | DleState::Estimated { kb, .. } = state {
                self.estimates.insert(dle.clone(), kb);
            }
            self.disks.insert(dle, state);
        }
    }

    fn fail(&mut self, dle: Option<Dle>, reason: &[&[u8]]) {
        let mut reason = printable(&reason.join(&b' '));
        let end = (0..=reason.len().min(REASON_KEPT)).rev().find(|&end| reason.is_char_boundary(end)).unwrap_or(0);
        reason.truncate(end);
        self.set(dle, DleState::Failed { reason });
    }

    fn lose(&mut self, message: String) {
        self.lost.get_or_insert(message);
    }

    fn at(&mut self, seconds: &[u8]) {
        if let Some(seconds) = number::<f64>(seconds).filter(|seconds| seconds.is_finite()) {
            self.seconds = seconds;
        }
    }
}

/// `chunker0` is a chunker.
fn kind(program: &[u8]) -> &[u8] {
    let digits = program.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    &program[..program.len() - digits]
}

fn dle(host: &[u8], disk: &[u8]) -> Option<Dle> {
    Dle::from_names(host, disk.to_vec())
}

fn number<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
