//! What the server remembers of a disk's dumps: the file `curinfo/HOST/_DISK/info` (server-src/infofile.c).
//!
//! ```text
//! version: 0
//! command: 0
//! full-rate: 2931.000000 2931.000000
//! full-comp: 0.936422
//! incr-rate:
//! incr-comp:
//! stats: 0 3130 2931 1 1795461155 4 daily-002     level, KiB before and after compression, seconds, date, file, label
//! last_level: 0 1
//! history: 0 3130 2931 1795461155 1               level, KiB before and after compression, date, seconds
//! //
//! ```
//!
//! The order of the lines is fixed. Amanda writes `info.new` and renames it. (amadmin writes the rates in another form than
//! the driver: `full-rate: 2931.000000 -1 -1`. Both are read.)

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::dle::Dle;
use crate::quoting::sanitise;

pub use self::read::InfoError;

/// So many dumps are remembered in the history.
pub const HISTORY: usize = 100;

/// So many rates are kept, newest first.
pub const AVERAGED: usize = 3;

/// The next run makes a full dump ([`Info::command`]).
pub const FORCE_FULL: u32 = 1;
/// The next run goes to the next level.
pub const FORCE_BUMP: u32 = 2;
/// The next run stays at its level.
pub const FORCE_NO_BUMP: u32 = 4;
/// The next run makes a level 1.
pub const FORCE_LEVEL_1: u32 = 8;

/// Returns the file's place below the directory that amanda.conf calls `infofile`.
#[must_use]
pub fn path(dle: &Dle) -> PathBuf {
    let mut path = PathBuf::from(sanitise(dle.host.as_bytes()));
    path.push(sanitise(dle.disk_bytes()));
    path.push("info");
    path
}

/// Returns a size in KiB as Amanda's dumper counts it: whole ones, but one for anything at all. A dump of 0 KiB would not be
/// remembered.
#[must_use]
pub fn kib(bytes: u64) -> i64 {
    let whole = i64::try_from(bytes / 1024).unwrap_or(i64::MAX);
    if bytes > 0 { whole.max(1) } else { 0 }
}

/// What is remembered of a disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    /// What the next run is asked to do: [`FORCE_FULL`] and others, or 0.
    pub command: u32,
    /// How full dumps went.
    pub full: Perf,
    /// How incremental dumps went.
    pub incr: Perf,
    /// The last dump of each level that counts: one of a lower level takes the higher ones away.
    pub stats: BTreeMap<u8, Stats>,
    /// The level of the last dump; -1 when there was none.
    pub last_level: i32,
    /// How often that level was dumped in a row; -1 when never.
    pub consecutive_runs: i32,
    /// The last [`HISTORY`] dumps, newest first.
    pub history: Vec<History>,
}

/// Rates of the last dumps, newest first, at most [`AVERAGED`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Perf {
    /// KiB in a second.
    pub rate: Vec<f64>,
    /// Size after compression divided by size before.
    pub comp: Vec<f64>,
}

/// The last dump of a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Before compression, in KiB.
    pub orig_kb: i64,
    /// After compression, in KiB.
    pub kb: i64,
    /// How long it took.
    pub secs: i64,
    /// When, in seconds since 1970.
    pub date: i64,
    /// The volume and the file on it where the dump begins; `None` while it is in a holding disk.
    pub place: Option<Place>,
}

/// Where a dump begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The volume's label.
    pub label: String,
    /// The file's number.
    pub file: i64,
}

/// A dump of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// The level.
    pub level: u8,
    /// Before compression, in KiB.
    pub orig_kb: i64,
    /// After compression, in KiB.
    pub kb: i64,
    /// When, in seconds since 1970.
    pub date: i64,
    /// How long it took; -1 when an older Amanda did not say.
    pub secs: i64,
}

/// A dump that has ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dumped {
    /// The level.
    pub level: u8,
    /// Before compression, in KiB.
    pub orig_kb: i64,
    /// After compression, in KiB.
    pub kb: i64,
    /// The run's date, in seconds since 1970.
    pub date: i64,
    /// How long it took.
    pub secs: i64,
    /// The dumptype compresses.
    pub compressed: bool,
}

impl Default for Info {
    /// Nothing is remembered.
    fn default() -> Self {
        Self {
            command: 0,
            full: Perf::default(),
            incr: Perf::default(),
            stats: BTreeMap::new(),
            last_level: -1,
            consecutive_runs: -1,
            history: Vec::new(),
        }
    }
}

impl Info {
    /// Puts a dump in that has ended well, as Amanda's driver does (`update_info_dumper`): what was known of its level
    /// and of those above is forgotten. A dump without any size is not remembered.
    pub fn dumped(&mut self, dump: Dumped) {
        let Dumped { level, orig_kb, kb, date, secs, compressed } = dump;
        if orig_kb == 0 || kb == 0 {
            return;
        }
        self.stats.split_off(&level);
        self.stats.insert(level, Stats { orig_kb, kb, secs, date, place: None });
        let perf = if level == 0 { &mut self.full } else { &mut self.incr };
        #[expect(clippy::cast_precision_loss, reason = "as Amanda divides")]
        let (orig_size, size, duration) = (orig_kb as f64, kb as f64, secs as f64);
        if compressed && orig_kb > 0 {
            newest_first(&mut perf.comp, size / orig_size);
        }
        if secs > 0 {
            newest_first(&mut perf.rate, if secs >= kb { 1.0 } else { size / duration });
        }
        self.command = 0;
        if i32::from(level) == self.last_level {
            self.consecutive_runs = self.consecutive_runs.saturating_add(1);
        } else {
            self.last_level = i32::from(level);
            self.consecutive_runs = 1;
        }
        self.history.insert(0, History { level, orig_kb, kb, date, secs });
        self.history.truncate(HISTORY);
    }

    /// Notes where the last dump of a level begins (`update_info_taper`).
    pub fn taped(&mut self, level: u8, label: &str, file: i64) {
        if let Some(stats) = self.stats.get_mut(&level) {
            stats.place = Some(Place { label: label.to_owned(), file });
        }
        self.command = 0;
    }
}

fn newest_first(values: &mut Vec<f64>, value: f64) {
    values.insert(0, value);
    values.truncate(AVERAGED);
}
