//! The table of a run's times, sizes and rates (`calculate_stats` and `output_stats` in perl/Amanda/Report/human.pm).

use std::collections::BTreeMap;

use amanda::run_log::said::{Program, Word};
use serde::Serialize;

use super::about::About;
use super::run::{Run, Try};

/// The figures of full dumps, of incremental ones, or of both.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Sums {
    /// Seconds that dumping took, added up over dumps that went on at once.
    pub dump_secs: f64,
    /// KiB as they are stored.
    pub out_kb: u64,
    /// KiB before compression.
    pub orig_kb: i64,
    /// Dumps that were made.
    pub dumped: u32,
    /// Seconds that writing to volumes took.
    pub tape_secs: f64,
    /// KiB written to volumes.
    pub tape_kb: u64,
    /// Dumps written to volumes.
    pub taped: u32,
    /// Parts written to volumes.
    pub parts: usize,
}

impl Sums {
    fn plus(&self, other: &Self) -> Self {
        Self {
            dump_secs: self.dump_secs + other.dump_secs,
            out_kb: self.out_kb.saturating_add(other.out_kb),
            orig_kb: self.orig_kb.saturating_add(other.orig_kb),
            dumped: self.dumped + other.dumped,
            tape_secs: self.tape_secs + other.tape_secs,
            tape_kb: self.tape_kb.saturating_add(other.tape_kb),
            taped: self.taped + other.taped,
            parts: self.parts + other.parts,
        }
    }
}

/// The table.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Statistics {
    /// Seconds that the planner took.
    pub estimate_secs: f64,
    /// Seconds that the run took.
    pub run_secs: f64,
    /// Full and incremental dumps together.
    pub total: Sums,
    /// Full dumps.
    pub full: Sums,
    /// Incremental dumps.
    pub incr: Sums,
    /// Dumps made, by level.
    pub dumped: BTreeMap<u8, u32>,
    /// Dumps written to volumes, by level.
    pub taped: BTreeMap<u8, u32>,
    /// Parts written, by level.
    pub parts: BTreeMap<u8, usize>,
    /// What a volume holds, in KiB.
    pub tape_kb: u64,
    /// What the space between two files takes, in KiB.
    pub filemark_kb: u64,
}

/// The words of a dump that is there, at least in part.
const STORED: [Word; 2] = [Word::Success, Word::Partial];
const TAPED: [Word; 2] = [Word::Done, Word::Partial];

impl Statistics {
    /// Adds a run up.
    pub fn of(run: &Run, about: &About) -> Self {
        let mut sums = Self { tape_kb: about.tape_kb.max(1), filemark_kb: about.filemark_kb, ..Self::default() };
        // Amanda's report takes these for a tapetype that does not say.
        if about.tape_kb == 0 {
            sums.tape_kb = 100 * 1024 * 1024;
        }
        if about.filemark_kb == 0 {
            sums.filemark_kb = 1024 * 1024;
        }
        let tries = run.disks.iter().flat_map(|(_, disk)| disk.dumps.values().flatten());
        tries.filter(|attempt| attempt.retry.is_none()).for_each(|attempt| sums.count(attempt));
        sums.total = sums.full.plus(&sums.incr);
        let took = |program| run.took.get(&program).copied().filter(|secs| *secs != 0.0);
        sums.estimate_secs = took(Program::Planner).unwrap_or(0.0);
        sums.run_secs = if run.finished {
            let whole = took(Program::Driver).or_else(|| took(Program::Amflush)).or_else(|| took(Program::Amvault));
            whole.unwrap_or(0.0)
        } else {
            sums.total.tape_secs + sums.estimate_secs
        };
        sums
    }

    fn count(&mut self, attempt: &Try) {
        let (dumper, chunker, taper) = (attempt.dumper.as_ref(), attempt.chunker.as_ref(), attempt.taper.as_ref());
        let level = dumper.or(taper).map_or(0, |half| half.level);
        let sums = if level > 0 { &mut self.incr } else { &mut self.full };
        let stored = chunker.filter(|half| half.is(&STORED));
        let taped = taper.filter(|half| half.is(&TAPED));
        if let Some(dumper) = dumper {
            sums.out_kb += stored.or(taped).map_or(0, super::run::Half::kb);
            if dumper.is(&[Word::Success, Word::Strange]) && (stored.is_some() || taped.is_some()) {
                sums.orig_kb += dumper.figures.and_then(|figures| figures.orig_kb).unwrap_or(0);
                sums.dump_secs += dumper.secs();
                sums.dumped += 1;
                *self.dumped.entry(dumper.level).or_default() += 1;
            } else if let Some(taper) = taped {
                sums.orig_kb += taper.orig_kb.unwrap_or(0);
            }
        }
        if let Some(taper) = taped {
            sums.tape_kb += taper.kb();
            sums.tape_secs += taper.secs();
            sums.parts += taper.parts;
            sums.taped += 1;
            *self.taped.entry(taper.level).or_default() += 1;
            *self.parts.entry(taper.level).or_default() += taper.parts;
        }
    }

    /// Returns how much of a volume these dumps take, in per cent.
    pub fn tape_used(&self, sums: &Sums) -> String {
        let marks = self.filemark_kb.saturating_mul(u64::from(sums.taped) + sums.parts as u64);
        percent(marks.saturating_add(sums.tape_kb) as f64, self.tape_kb as f64)
    }

    /// Returns the rows: a heading, the total, and what full and incremental dumps have of it, and the levels.
    pub fn rows(&self) -> Vec<[String; 5]> {
        let three = |name: &str, of: &dyn Fn(&Sums) -> String, levels: String| {
            [name.to_owned(), of(&self.total), of(&self.full), of(&self.incr), levels]
        };
        let alone = |name: &str, value: String| [name.to_owned(), value, String::new(), String::new(), String::new()];
        let megabytes = |kb: f64| format!("{:.1}", kb / 1024.0);
        vec![
            alone("Estimate Time (hrs:min)", hours(self.estimate_secs)),
            alone("Run Time (hrs:min)", hours(self.run_secs)),
            three("Dump Time (hrs:min)", &|sums| hours(sums.dump_secs), String::new()),
            three("Output Size (meg)", &|sums| megabytes(sums.out_kb as f64), String::new()),
            three("Original Size (meg)", &|sums| megabytes(sums.orig_kb as f64), String::new()),
            three("Avg Compressed Size (%)", &|sums| percent(sums.out_kb as f64, sums.orig_kb as f64), String::new()),
            three(
                "DLEs Dumped",
                &|sums| sums.dumped.to_string(),
                by_level(self.dumped.iter().map(|(level, count)| (*level, u64::from(*count)))),
            ),
            three("Avg Dump Rate (k/s)", &|sums| rate(sums.out_kb as f64, sums.dump_secs), String::new()),
            Default::default(),
            three("Tape Time (hrs:min)", &|sums| hours(sums.tape_secs), String::new()),
            three("Tape Size (meg)", &|sums| megabytes(sums.tape_kb as f64), String::new()),
            three("Tape Used (%)", &|sums| self.tape_used(sums), String::new()),
            three(
                "DLEs Taped",
                &|sums| sums.taped.to_string(),
                by_level(self.taped.iter().map(|(level, count)| (*level, u64::from(*count)))),
            ),
            three("Parts Taped", &|sums| sums.parts.to_string(), self.parts_by_level()),
            three("Avg Tp Write Rate (k/s)", &|sums| rate(sums.tape_kb as f64, sums.tape_secs), String::new()),
        ]
    }

    /// Amanda's report tells them only when there are some of level 1.
    fn parts_by_level(&self) -> String {
        let first = self.parts.get(&1).is_some_and(|parts| *parts > 0);
        if first { by_level(self.parts.iter().map(|(level, parts)| (*level, *parts as u64))) } else { String::new() }
    }
}

/// `1:3 2:1`; full dumps are not told.
fn by_level(counts: impl Iterator<Item = (u8, u64)>) -> String {
    let told: Vec<String> =
        counts.filter(|(level, count)| *level > 0 && *count > 0).map(|(level, count)| format!("{level}:{count}")).collect();
    told.join(" ")
}

/// `1:05`: hours and minutes, rounded.
pub fn hours(secs: f64) -> String {
    let secs = secs + 30.0;
    format!("{}:{:02}", (secs / 3600.0) as u64, (secs / 60.0) as u64 % 60)
}

/// `12:05`: minutes and seconds, rounded.
pub fn minutes(secs: f64) -> String {
    let secs = secs + 0.5;
    format!("{}:{:02}", (secs / 60.0) as u64, secs as u64 % 60)
}

/// A hundred times the part divided by the whole, as Amanda shows it; `--` of nothing.
pub fn percent(part: f64, whole: f64) -> String {
    if whole == 0.0 {
        return "--".to_owned();
    }
    match 100.0 * part / whole {
        much if much > 99999.95 => "#####".to_owned(),
        much if much > 999.95 => format!("{much:.0}"),
        share => format!("{share:.1}"),
    }
}

fn rate(kb: f64, secs: f64) -> String {
    if secs == 0.0 {
        return "--".to_owned();
    }
    match kb / secs {
        much if much > 9_999_999.95 => "#######".to_owned(),
        much if much > 99999.95 => format!("{much:.0}"),
        rate => format!("{rate:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::office::report::run::Kind;

    #[test]
    fn times_and_shares_are_written_as_amanda_writes_them() {
        for (secs, shown) in [(0.0, "0:00"), (29.0, "0:00"), (30.0, "0:01"), (3570.0, "1:00"), (86_400.0, "24:00")] {
            assert_eq!(hours(secs), shown, "{secs}");
        }
        for (secs, shown) in [(0.4, "0:00"), (0.5, "0:01"), (61.0, "1:01"), (6000.0, "100:00")] {
            assert_eq!(minutes(secs), shown, "{secs}");
        }
        for (part, whole, shown) in [(1.0, 0.0, "--"), (1.0, 3.0, "33.3"), (20.0, 1.0, "2000"), (2000.0, 1.0, "#####")] {
            assert_eq!(percent(part, whole), shown, "{part}/{whole}");
        }
        assert_eq!(rate(10_000_000.0, 1.0), "#######");
    }

    #[test]
    fn levels_are_told_without_the_full_ones() {
        assert_eq!(by_level([(0, 4), (1, 2), (3, 1)].into_iter()), "1:2 3:1");
    }

    #[test]
    fn a_log_of_nothing_makes_a_table_of_nothing() {
        let statistics = Statistics::of(&Run { kind: Kind::Dump, ..Run::default() }, &About::default());
        assert_eq!(statistics.rows()[2][1..4], ["0:00", "0:00", "0:00"]);
        assert_eq!(statistics.rows()[5][1], "--");
    }
}
