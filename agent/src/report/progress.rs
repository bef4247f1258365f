//! News while a person waits: bars on a terminal, and elsewhere one line for each change of place or phase.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, MultiProgress, ProgressBar, ProgressStyle};
use wire::DiskName;
use wire::message::{DiskProgress, Progress};

use super::{err, show};
use crate::session::News;

/// What this laptop's own Amanda client does with one disk now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The disk.
    pub disk: DiskName,
    /// "estimating" or "dumping".
    pub doing: &'static str,
    /// The level.
    pub level: u8,
    /// Bytes read by tar so far.
    pub raw: u64,
    /// Bytes sent so far, compressed where the dumptype says so.
    pub sent: u64,
    /// Files and directories so far.
    pub files: u64,
    /// Since it began.
    pub since: Duration,
}

/// Somebody who is shown the news.
pub trait Audience {
    /// Takes one piece.
    fn heard(&mut self, news: &News);
    /// Sees what the laptop's own client does; often, and most of it unchanged.
    fn saw(&mut self, readings: &[Reading]) {
        let _ = readings;
    }
}

/// Nobody looks.
#[derive(Debug, Default)]
pub struct Nobody;

impl Audience for Nobody {
    fn heard(&mut self, _: &News) {}
}

/// Returns who looks: a person at a terminal, a log, or with `--json` nobody.
pub fn audience(json: bool) -> Box<dyn Audience> {
    if json {
        Box::new(Nobody)
    } else if std::io::stderr().is_terminal() {
        Box::new(Bars::new())
    } else {
        Box::new(Lines::new(|line: &str| err(&format!("asyncamanda: {line}"))))
    }
}

/// One line for each change, and now and then one about a long dump.
pub struct Lines<P> {
    print: P,
    last: String,
    estimates: BTreeMap<Vec<u8>, u64>,
    told: BTreeMap<(Vec<u8>, &'static str, u8), u64>,
}

/// Seconds between two lines about the same dump.
const PACE: u64 = 15;

impl<P: FnMut(&str)> Lines<P> {
    /// Prints through the function.
    pub fn new(print: P) -> Self {
        Self { print, last: String::new(), estimates: BTreeMap::new(), told: BTreeMap::new() }
    }
}

impl<P: FnMut(&str)> Audience for Lines<P> {
    fn heard(&mut self, news: &News) {
        if let News::Progress(progress) = news {
            let known = progress.disks.iter().filter(|disk| disk.estimate > 0).take(wire::message::MAX_DISKS);
            self.estimates.extend(known.map(|disk| (disk.disk.as_bytes().to_vec(), disk.estimate)));
        }
        let Some(line) = sentence(news) else { return };
        if line != self.last {
            (self.print)(&line);
            self.last = line;
        }
    }

    fn saw(&mut self, readings: &[Reading]) {
        for reading in readings {
            let key = (reading.disk.as_bytes().to_vec(), reading.doing, reading.level);
            let turn = reading.since.as_secs() / PACE;
            if self.told.get(&key).is_none_or(|told| *told < turn) {
                let estimate = self.estimates.get(reading.disk.as_bytes()).copied();
                (self.print)(&format!("{}: {}", show(reading.disk.as_bytes()), of_reading(reading, estimate)));
                self.told.insert(key, turn);
            }
        }
    }
}

/// Says how far a dump is: level, bytes of the estimate, files, rate.
fn of_reading(reading: &Reading, estimate: Option<u64>) -> String {
    let Reading { doing, level, sent, files, since, .. } = reading;
    if *sent == 0 {
        return format!("{doing} level {level}");
    }
    let of = estimate.filter(|estimate| estimate > sent).map_or_else(String::new, |estimate| format!(" of {}", HumanBytes(estimate)));
    let seconds = since.as_secs_f64();
    let rate = if seconds < 1.0 { String::new() } else { format!(", {}/s", HumanBytes((*sent as f64 / seconds) as u64)) };
    format!("{doing} level {level}, {}{of}, {} files{rate}", HumanBytes(*sent), HumanCount(*files))
}

/// Returns the sentence of a piece of news; bytes are for bars.
fn sentence(news: &News) -> Option<String> {
    match news {
        News::Queued { position, waits_for, joined, .. } => {
            let joined = if *joined { " (joined an earlier request of this laptop)" } else { "" };
            let waits = if waits_for.is_empty() { String::new() } else { format!("; waits for {}", show(waits_for)) };
            // A server that has only just written the ticket knows no place yet.
            let place = if *position == 0 { String::new() } else { format!(", place {position}") };
            Some(format!("queued{place}{joined}{waits}"))
        }
        News::Progress(progress) => Some(show(&progress.phase)),
        News::Receipt(receipt) => Some(format!("{}: {}", show(receipt.disk.as_bytes()), receipt.outcome)),
        News::Rate(_) | News::Checked { .. } | News::End => None,
    }
}

/// A status line, and a bar for each disk.
struct Bars {
    all: MultiProgress,
    status: ProgressBar,
    disks: BTreeMap<Vec<u8>, ProgressBar>,
    /// Disks that this laptop's own client reads now.
    ours: BTreeSet<Vec<u8>>,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        let status = all.add(ProgressBar::new_spinner());
        status.enable_steady_tick(Duration::from_millis(120));
        status.set_message("asked for a backup");
        Self { all, status, disks: BTreeMap::new(), ours: BTreeSet::new() }
    }

    fn bar(&mut self, disk: &DiskName) -> &ProgressBar {
        self.disks.entry(disk.as_bytes().to_vec()).or_insert_with(|| {
            let bar = self.all.add(ProgressBar::new(0));
            let style = ProgressStyle::with_template("  {prefix:24!} {bar:24} {bytes}/{total_bytes} {bytes_per_sec} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(show(disk.as_bytes()));
            bar
        })
    }

    fn disk(&mut self, disk: &DiskProgress) {
        // What this laptop sends is known here first.
        let ours = self.ours.contains(disk.disk.as_bytes()) && disk.state == "dumping";
        let bar = self.bar(&disk.disk);
        bar.set_length(disk.estimate.max(disk.bytes));
        if ours {
            return;
        }
        bar.set_position(disk.bytes);
        let level = disk.level.map_or_else(String::new, |level| format!(", level {level}"));
        bar.set_message(format!("{}{level}", show(&disk.state)));
    }

    fn progress(&mut self, progress: &Progress) {
        progress.disks.iter().take(wire::message::MAX_DISKS).for_each(|disk| self.disk(disk));
    }
}

impl Audience for Bars {
    fn heard(&mut self, news: &News) {
        if let Some(line) = sentence(news) {
            self.status.set_message(line);
        }
        match news {
            News::Progress(progress) => self.progress(progress),
            // The table that follows says the rest.
            News::End => {
                let _ = self.all.clear();
            }
            News::Queued { .. } | News::Receipt(_) | News::Rate(_) | News::Checked { .. } => {}
        }
    }

    fn saw(&mut self, readings: &[Reading]) {
        self.ours = readings.iter().map(|reading| reading.disk.as_bytes().to_vec()).collect();
        for reading in readings {
            let bar = self.bar(&reading.disk);
            bar.set_length(bar.length().unwrap_or(0).max(reading.sent));
            bar.set_position(reading.sent);
            bar.set_message(format!("{} level {}, {} files", reading.doing, reading.level, HumanCount(reading.files)));
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        let _ = self.all.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_hears_of_a_dump_when_it_begins_and_now_and_then() {
        let reading = |seconds, sent| Reading {
            disk: DiskName::new("/home").expect("a name"),
            doing: "dumping",
            level: 1,
            raw: 2 * sent,
            sent,
            files: 1234,
            since: Duration::from_secs(seconds),
        };
        let mut seen = Vec::new();
        let mut lines = Lines::new(|line: &str| seen.push(line.to_owned()));
        lines.estimates.insert(b"/home".to_vec(), 300 << 20);
        for (seconds, sent) in [(0, 0), (1, 1 << 20), (14, 14 << 20), (15, 15 << 20), (29, 29 << 20), (31, 400 << 20)] {
            lines.saw(&[reading(seconds, sent)]);
        }
        assert_eq!(
            seen,
            [
                "/home: dumping level 1",
                "/home: dumping level 1, 15.00 MiB of 300.00 MiB, 1,234 files, 1.00 MiB/s",
                "/home: dumping level 1, 400.00 MiB, 1,234 files, 12.90 MiB/s"
            ]
        );
    }

    #[test]
    fn a_log_gets_one_line_for_each_change() {
        let queued = |position| News::Queued { ticket: "t".into(), joined: false, position, waits_for: "the run of \u{1b}daily".into() };
        let dumping = |bytes| {
            let disk = DiskProgress {
                disk: wire::DiskName::new("/home").expect("a name"),
                state: "dumping".into(),
                level: Some(0),
                bytes,
                estimate: 9,
            };
            News::Progress(Progress { run: "r".into(), phase: "dumping".into(), disks: vec![disk] })
        };
        let mut seen = Vec::new();
        let mut lines = Lines::new(|line: &str| seen.push(line.to_owned()));
        for news in [queued(2), queued(2), queued(1), dumping(1), dumping(5), News::End] {
            lines.heard(&news);
        }
        assert_eq!(
            seen,
            ["queued, place 2; waits for the run of \\x1bdaily", "queued, place 1; waits for the run of \\x1bdaily", "dumping"]
        );
    }
}
