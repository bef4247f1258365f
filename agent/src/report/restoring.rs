//! A restore while it goes on: before, what comes from which dump and about how much; then a bar on a terminal.

use std::io::IsTerminal as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use restore::job::{Part, Watch};
use restore::resolve::State;
use wire::restore::{DumpId, PathBytes};

use super::{dumps, err, show};

/// Shows how a restore goes on.
pub struct Progress {
    bar: Option<ProgressBar>,
    is_silent: bool,
    made: u64,
}

impl Progress {
    /// Shows it on standard error; with `--json` nothing.
    pub fn of(json: bool) -> Self {
        let bar = (!json && std::io::stderr().is_terminal()).then(ProgressBar::hidden);
        Self { bar, is_silent: json, made: 0 }
    }

    /// Says what is about to come and where it goes.
    pub fn begin(&mut self, what: &str, state: &State, into: &Path) {
        self.say(&format!("{what} as of {}, into {}", dumps::state(state), show(into.as_os_str().as_bytes())));
    }

    fn say(&self, line: &str) {
        if !self.is_silent {
            err(&format!("asyncamanda: {line}"));
        }
    }
}

/// Says what is read of a dump.
fn part(part: &Part) -> String {
    let of = format!("level {} of {}", part.dump.level, show(&part.dump.datestamp));
    let size = if part.bytes == 0 { String::new() } else { format!(", {}", HumanBytes(part.bytes)) };
    let files = match part.files {
        Some(0) => "the directories of ".to_owned(),
        Some(1) => "1 file of ".to_owned(),
        Some(files) => format!("{} files of ", HumanCount(files)),
        None if part.whole => "all of ".to_owned(),
        None => "what is wanted of ".to_owned(),
    };
    format!("{files}{of}{size}")
}

impl Watch for Progress {
    fn planned(&mut self, parts: &[Part]) {
        if parts.is_empty() {
            return self.say("no dump need be read");
        }
        self.say(&format!("reading {}", parts.iter().map(part).collect::<Vec<_>>().join("; ")));
    }

    fn begins(&mut self, dump: &DumpId, bytes: u64) {
        let Some(bar) = &mut self.bar else { return };
        let style = match bytes {
            0 => "  {prefix:26} {bytes} {bytes_per_sec} {msg}",
            _ => "  {prefix:26} {bar:24} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}",
        };
        *bar = ProgressBar::new(bytes);
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(format!("level {} of {}", dump.level, show(&dump.datestamp)));
    }

    fn came(&mut self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
        }
    }

    fn made(&mut self, _: &PathBytes) {
        self.made += 1;
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} restored", HumanCount(self.made)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_is_said_with_what_is_known_of_it() {
        let dump = DumpId {
            host: "server".parse().expect("a name"),
            disk: wire::DiskName::new("/etc").expect("a name"),
            datestamp: "20261120183000".to_owned(),
            level: 1,
        };
        for (whole, bytes, files, words) in [
            (true, 2048, None, "all of level 1 of 20261120183000, 2.00 KiB"),
            (false, 0, Some(0), "the directories of level 1 of 20261120183000"),
            (false, 0, Some(1), "1 file of level 1 of 20261120183000"),
            (false, 0, Some(1200), "1,200 files of level 1 of 20261120183000"),
            (false, 0, None, "what is wanted of level 1 of 20261120183000"),
        ] {
            assert_eq!(part(&Part { dump: dump.clone(), whole, bytes, files }), words);
        }
    }
}
