//! News while a person waits: bars on a terminal, and elsewhere one line for each change of place or phase.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use wire::message::{DiskProgress, Progress};

use super::{err, show};
use crate::session::News;

/// Somebody who is shown the news.
pub trait Audience {
    /// Takes one piece.
    fn heard(&mut self, news: &News);
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

/// One line for each change.
pub struct Lines<P> {
    print: P,
    last: String,
}

impl<P: FnMut(&str)> Lines<P> {
    /// Prints through the function.
    pub fn new(print: P) -> Self {
        Self { print, last: String::new() }
    }
}

impl<P: FnMut(&str)> Audience for Lines<P> {
    fn heard(&mut self, news: &News) {
        let Some(line) = sentence(news) else { return };
        if line != self.last {
            (self.print)(&line);
            self.last = line;
        }
    }
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
        News::End => None,
    }
}

/// A status line, and a bar for each disk.
struct Bars {
    all: MultiProgress,
    status: ProgressBar,
    disks: BTreeMap<Vec<u8>, ProgressBar>,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        let status = all.add(ProgressBar::new_spinner());
        status.enable_steady_tick(Duration::from_millis(120));
        status.set_message("asked the server");
        Self { all, status, disks: BTreeMap::new() }
    }

    fn disk(&mut self, disk: &DiskProgress) {
        let bar = self.disks.entry(disk.disk.as_bytes().to_vec()).or_insert_with(|| {
            let bar = self.all.add(ProgressBar::new(0));
            let style = ProgressStyle::with_template("  {prefix:24!} {bar:24} {bytes}/{total_bytes} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(show(disk.disk.as_bytes()));
            bar
        });
        bar.set_length(disk.estimate.max(disk.bytes));
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
            News::Queued { .. } | News::Receipt(_) => {}
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
