//! The lines of a log, as Amanda's programs write them; amreport, `amadmin find` and the catalog of amfetchdump read them.
//!
//! `amadmin find` reads `log.T.0`, `log.T.1` … up to the first gap, where T is the datestamp that the
//! [`tapelist`](crate::tapelist) has for a volume; amfetchdump and amcheckdump read, for each volume, only the first of
//! these with a line `START taper datestamp T … label L`. Only PART lines behind that line count, and a log may have only
//! one T. PART and DONE lines may be of dumps of other datestamps, as after amflush. So a run that adds to a volume of
//! an earlier run writes what [`carried_over`](super::carried_over) finds into its own log, and gives the volume its own datestamp.

use crate::crc::Crc;
use crate::dle::Dle;
use crate::quoting::quote;

/// Returns the name of a run's log; the first of a datestamp has the number 0.
#[must_use]
pub fn file_name(datestamp: &str, number: u32) -> String {
    format!("log.{datestamp}.{number}")
}

/// Sizes and times of a dump or of a part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistics {
    /// How long it took.
    pub secs: f64,
    /// Bytes written.
    pub bytes: u64,
    /// KiB before compression.
    pub orig_kb: u64,
}

/// A dump: what most lines begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dump<'a> {
    /// Whose dump.
    pub dle: &'a Dle,
    /// The datestamp of the run that made it.
    pub datestamp: &'a str,
    /// Its level.
    pub level: u8,
}

/// The three checksums of a dump; `None` is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// What the backup program wrote.
    pub native: Option<Crc>,
    /// What the client sent.
    pub client: Option<Crc>,
    /// What the server wrote.
    pub server: Option<Crc>,
}

/// A volume's place in a config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shelf<'a> {
    /// The storage.
    pub storage: &'a str,
    /// The pool.
    pub pool: &'a str,
}

/// A line of a log. Programs are named as Amanda names them: `amdump`, `planner`, `driver`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Entry<'a> {
    /// `INFO PROGRAM PROGRAM pid N`: the process has begun; the log's first line.
    Pid(&'a str, u32),
    /// `INFO PROGRAM pid-done N`.
    PidDone(&'a str, u32),
    /// `INFO PROGRAM …`.
    Info(&'a str, &'a str),
    /// `WARNING PROGRAM …`.
    Warning(&'a str, &'a str),
    /// `ERROR PROGRAM …`.
    Error(&'a str, &'a str),
    /// `FATAL PROGRAM …`: it gave up.
    Fatal(&'a str, &'a str),
    /// `START PROGRAM date …`.
    Start(&'a str, &'a str),
    /// `DISK planner …`: this disk is to be dumped.
    Disk(&'a Dle),
    /// `SUCCESS planner … [skipped: skip-full]`: the dumptype leaves this dump out.
    Skipped(Dump<'a>, &'a str),
    /// `DISK amflush …`: dumps of this disk wait for a volume.
    FlushDisk(&'a Dle),
    /// `FINISH PROGRAM date … time …`.
    Finish(&'a str, &'a str, f64),
    /// `STATS driver hostname …`.
    Hostname(&'a str),
    /// `STATS driver startup time …`.
    StartupTime(f64),
    /// `STATS driver estimate …`: what was expected of a dump, in KiB before and after compression.
    Estimate {
        /// The dump.
        dump: Dump<'a>,
        /// Seconds.
        secs: u64,
        /// KiB before compression.
        orig_kb: u64,
        /// KiB after compression.
        kb: u64,
        /// KiB in a second.
        kps: u64,
    },
    /// `SUCCESS dumper …`.
    Dumped(Dump<'a>, Sums, Statistics),
    /// `STRANGE dumper …`, and what the backup program said.
    Strange(Dump<'a>, Sums, Statistics, &'a [&'a str]),
    /// `SUCCESS chunker …`, or `PARTIAL chunker …`.
    Chunked(Dump<'a>, Option<Crc>, Statistics, bool),
    /// `FAIL PROGRAM … [reason]`.
    Fail(&'a str, Dump<'a>, &'a str),
    /// `START taper …`: a volume is written to; the number counts the run's volumes.
    Volume {
        /// The datestamp that the volume's label and the tapelist have.
        datestamp: &'a str,
        /// Where it belongs.
        shelf: Shelf<'a>,
        /// Its label.
        label: &'a str,
        /// Counted from 1.
        number: u32,
    },
    /// `PART taper …`.
    Part {
        /// The dump.
        dump: Dump<'a>,
        /// Where the volume belongs.
        shelf: Shelf<'a>,
        /// The volume.
        label: &'a str,
        /// The file on it.
        file: u32,
        /// The part, counted from 1.
        part: u32,
        /// What was written.
        statistics: Statistics,
    },
    /// `DONE taper …`, or `PARTIAL taper …`: so many parts were written.
    Done(Dump<'a>, Shelf<'a>, u32, Sums, Statistics, bool),
    /// `PARTPARTIAL taper … "reason"`: a part that is not what it should be.
    PartPartial {
        /// The dump.
        dump: Dump<'a>,
        /// Where the volume belongs.
        shelf: Shelf<'a>,
        /// The volume.
        label: &'a str,
        /// The file on it.
        file: u32,
        /// The part, counted from 1.
        part: u32,
        /// What was written.
        statistics: Statistics,
        /// Why it counts for nothing.
        why: &'a str,
    },
    /// `PARTIAL taper … "reason"`: so many parts were written, and they are not all of the dump.
    Partial(Dump<'a>, Shelf<'a>, u32, Sums, Statistics, &'a str),
    /// `FAIL taper … error …`: nothing of the dump was written.
    TaperFail(Dump<'a>, Shelf<'a>, &'a str),
    /// `FAIL taper … config …`: the same, because amanda.conf allows no more.
    TaperDenied(Dump<'a>, Shelf<'a>, &'a str),
    /// `INFO taper tape LABEL kb N fm N [OK]`: the volume was written to for the last time in this run.
    VolumeDone {
        /// The volume.
        label: &'a str,
        /// KiB written in this run.
        kb: u64,
        /// The number of its last file.
        files: u32,
    },
}

impl Entry<'_> {
    /// Prints the line. Control characters in what others said become blanks: a line is a line, whatever a client said.
    pub fn print(&self, log: &mut Vec<u8>) {
        if let Self::Strange(.., said) = self {
            put(log, &self.text());
            // A line that belongs to the one before it begins with two blanks.
            for line in *said {
                log.extend(b"  ");
                put(log, clean(line).as_bytes());
            }
        } else {
            put(log, &self.text());
        }
    }

    fn text(&self) -> Vec<u8> {
        let text = |text: String| text.into_bytes();
        match *self {
            Self::Pid(program, pid) => text(format!("INFO {program} {program} pid {pid}")),
            Self::PidDone(program, pid) => text(format!("INFO {program} pid-done {pid}")),
            Self::Info(program, what) => text(format!("INFO {program} {}", clean(what))),
            Self::Warning(program, what) => text(format!("WARNING {program} {}", clean(what))),
            Self::Error(program, what) => text(format!("ERROR {program} {}", clean(what))),
            Self::Fatal(program, what) => text(format!("FATAL {program} {}", clean(what))),
            Self::Start(program, date) => text(format!("START {program} date {date}")),
            Self::Disk(dle) => joined(&[b"DISK planner", &names(dle)]),
            Self::Skipped(dump, word) => joined(&[b"SUCCESS planner", &dump.text(), format!("[skipped: {word}]").as_bytes()]),
            Self::FlushDisk(dle) => joined(&[b"DISK amflush", &names(dle)]),
            Self::Finish(program, date, secs) => text(format!("FINISH {program} date {date} time {secs:.3}")),
            Self::Hostname(host) => text(format!("STATS driver hostname {host}")),
            Self::StartupTime(secs) => text(format!("STATS driver startup time {secs:.3}")),
            Self::Estimate { dump, secs, orig_kb, kb, kps } => {
                let sizes = format!("[sec {secs} nkb {orig_kb} ckb {kb} kps {kps}]");
                joined(&[b"STATS driver estimate", &dump.text(), sizes.as_bytes()])
            }
            Self::Dumped(dump, sums, statistics) => {
                joined(&[b"SUCCESS dumper", &dump.text(), sums.client_side().as_bytes(), statistics.dumper().as_bytes()])
            }
            // The one line without a datestamp.
            Self::Strange(dump, sums, statistics, _) => joined(&[
                b"STRANGE dumper",
                &names(dump.dle),
                dump.level.to_string().as_bytes(),
                sums.client_side().as_bytes(),
                statistics.dumper().as_bytes(),
            ]),
            Self::Chunked(dump, server, statistics, whole) => {
                let word: &[u8] = if whole { b"SUCCESS chunker" } else { b"PARTIAL chunker" };
                joined(&[word, &dump.text(), sum(server).as_bytes(), statistics.chunker().as_bytes()])
            }
            Self::Fail(program, dump, reason) => {
                joined(&[b"FAIL", program.as_bytes(), &dump.text(), format!("[{}]", clean(reason)).as_bytes()])
            }
            Self::Volume { datestamp, shelf, label, number } => joined(&[
                b"START taper datestamp",
                datestamp.as_bytes(),
                &shelf.text(),
                b"label",
                &quote(label.as_bytes()),
                format!("tape {number}").as_bytes(),
            ]),
            Self::Part { dump, shelf, label, file, part, statistics } => {
                joined(&[b"PART taper", &part_text(dump, shelf, (label, file, part), statistics)])
            }
            Self::PartPartial { dump, shelf, label, file, part, statistics, why } => {
                joined(&[b"PARTPARTIAL taper", &part_text(dump, shelf, (label, file, part), statistics), &quote(clean(why).as_bytes())])
            }
            Self::Done(dump, shelf, parts, sums, statistics, whole) => {
                joined(&[if whole { b"DONE taper" } else { b"PARTIAL taper" }, &done_text(dump, shelf, parts, sums, statistics)])
            }
            Self::Partial(dump, shelf, parts, sums, statistics, why) => {
                joined(&[b"PARTIAL taper", &done_text(dump, shelf, parts, sums, statistics), &quote(clean(why).as_bytes())])
            }
            Self::TaperFail(dump, shelf, reason) | Self::TaperDenied(dump, shelf, reason) => {
                let from: &[u8] = if matches!(self, Self::TaperFail(..)) { b"error" } else { b"config" };
                joined(&[b"FAIL taper", &shelf.text(), &dump.text(), from, &quote(clean(reason).as_bytes())])
            }
            Self::VolumeDone { label, kb, files } => text(format!("INFO taper tape {label} kb {kb} fm {files} [OK]")),
        }
    }
}

fn part_text(dump: Dump<'_>, shelf: Shelf<'_>, (label, file, part): (&str, u32, u32), statistics: Statistics) -> Vec<u8> {
    joined(&[
        &shelf.text(),
        &quote(label.as_bytes()),
        file.to_string().as_bytes(),
        &names(dump.dle),
        dump.datestamp.as_bytes(),
        format!("{part}/-1 {}", dump.level).as_bytes(),
        statistics.taper().as_bytes(),
    ])
}

fn done_text(dump: Dump<'_>, shelf: Shelf<'_>, parts: u32, sums: Sums, statistics: Statistics) -> Vec<u8> {
    joined(&[
        &shelf.text(),
        &names(dump.dle),
        dump.datestamp.as_bytes(),
        format!("{parts} {}", dump.level).as_bytes(),
        sums.client_side().as_bytes(),
        sum(sums.server).as_bytes(),
        statistics.taper().as_bytes(),
    ])
}

fn put(log: &mut Vec<u8>, line: &[u8]) {
    log.extend(line.iter().map(|byte| if matches!(byte, b'\n' | 0) { b' ' } else { *byte }));
    log.push(b'\n');
}

fn joined(pieces: &[&[u8]]) -> Vec<u8> {
    pieces.join(&b' ')
}

/// What others said, in one line.
fn clean(said: &str) -> String {
    said.replace(|letter: char| letter.is_control(), " ")
}

/// The host unquoted, since it cannot have blanks, and the disk.
fn names(dle: &Dle) -> Vec<u8> {
    joined(&[dle.host.as_bytes(), &quote(dle.disk_bytes())])
}

fn sum(crc: Option<Crc>) -> String {
    crc.unwrap_or(Crc { crc: 0, bytes: 0 }).to_string()
}

impl Dump<'_> {
    fn text(&self) -> Vec<u8> {
        joined(&[&names(self.dle), self.datestamp.as_bytes(), self.level.to_string().as_bytes()])
    }
}

impl Sums {
    fn client_side(&self) -> String {
        format!("{} {}", sum(self.native), sum(self.client))
    }
}

impl Shelf<'_> {
    fn text(&self) -> Vec<u8> {
        let quoted = |name: &str, value: &str| quote(format!("{name}:{value}").as_bytes());
        joined(&[&quoted("ST", self.storage), &quoted("POOL", self.pool)])
    }
}

impl Statistics {
    fn kb(&self) -> u64 {
        self.bytes / 1024
    }

    /// KiB in a second, from whole KiB.
    fn kps(&self, secs: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let kb = self.kb() as f64;
        if secs > 0.0 { kb / secs } else { 0.0 }
    }

    /// The Perl programs take nothing for 0.1 seconds.
    fn at_least(&self) -> f64 {
        if self.secs > 0.0 { self.secs } else { 0.1 }
    }

    /// The dumper counts one for anything at all.
    fn dumper(&self) -> String {
        let kb = crate::curinfo::kib(self.bytes);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let kps = if self.secs > 0.0 { kb as f64 / self.secs } else { 0.0 };
        format!("[sec {:.3} kb {kb} kps {kps:.1} orig-kb {}]", self.secs, self.orig_kb)
    }

    fn chunker(&self) -> String {
        let secs = self.at_least();
        format!("[sec {secs:.6} kb {} kps {:.6}]", self.kb(), self.kps(secs))
    }

    fn taper(&self) -> String {
        let secs = self.at_least();
        format!("[sec {secs:.6} bytes {} kps {:.6} orig-kb {}]", self.bytes, self.kps(secs), self.orig_kb)
    }
}

#[cfg(test)]
mod tests;
