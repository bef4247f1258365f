//! One row for each dump (`get_summary_info` in perl/Amanda/Report/human.pm).

use amanda::dle::Dle;
use amanda::escape::printable;
use amanda::quoting::quote;
use amanda::run_log::said::Word;
use serde::Serialize;

use super::about::About;
use super::failures::to;
use super::run::{Disk, Half, Kind, Run, Try};
use super::statistics::minutes;

/// A row of the summary. Sizes are in the unit of the config, rates in KiB a second, times in minutes and seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Row {
    /// The host; empty in a row that goes on with the dump of the row before.
    pub host: String,
    /// The disk, quoted as Amanda quotes it.
    pub disk: String,
    /// The level.
    pub level: String,
    /// Before compression.
    pub orig: String,
    /// As it is stored.
    pub out: String,
    /// Per cent of it, or `--`.
    pub compressed: String,
    /// How long dumping took.
    pub dump_time: String,
    /// How fast it was.
    pub dump_rate: String,
    /// What stands there instead when there is no dump of this run: `FAILED`, `PARTIAL`, `FLUSH`, `MISSING`, `SKIPPED`…
    pub instead: Option<&'static str>,
    /// How long writing to the volume took; `FAILED` when it did.
    pub tape_time: String,
    /// How fast it was.
    pub tape_rate: String,
    /// Only a part of it is on the volume.
    pub partial: bool,
}

/// Lists the rows, by host and disk.
pub fn rows(run: &Run, about: &About) -> Vec<Row> {
    let mut disks: Vec<&(Dle, Disk)> = run.disks.iter().collect();
    disks.sort_by(|(a, _), (b, _)| (a.host.as_bytes(), a.disk_bytes()).cmp(&(b.host.as_bytes(), b.disk_bytes())));
    disks.into_iter().flat_map(|(dle, disk)| of_disk(run, about, dle, disk)).collect()
}

fn named(dle: &Dle) -> Row {
    Row { host: printable(dle.host.as_bytes()), disk: printable(&quote(dle.disk_bytes())), ..Row::default() }
}

fn of_disk(run: &Run, about: &About, dle: &Dle, disk: &Disk) -> Vec<Row> {
    let mut rows = Vec::new();
    let instead = |word| Row { instead: Some(word), ..named(dle) };
    if disk.planner.is_some() || disk.driver.is_some() {
        let tries = disk.dumps.get(&run.datestamp);
        if tries.is_none_or(|tries| tries.iter().any(|attempt| attempt.dumper.is_none())) {
            rows.push(instead("FAILED"));
        }
    } else if disk.skipped.is_some() {
        rows.push(instead("SKIPPED"));
    } else if disk.dumps.is_empty() {
        rows.push(instead(if run.kind == Kind::Flush { "NOT FLUSHED" } else { "MISSING" }));
    }
    for (stamp, tries) in &disk.dumps {
        let seen = Seen::of(tries);
        if !seen.dumped && *stamp == run.datestamp && disk.driver.is_some() {
            continue;
        }
        seen.rows(run, about, dle, tries, &mut rows);
    }
    rows
}

/// What counts of the tries of a dump.
#[derive(Default)]
struct Seen<'a> {
    /// A try went well at the client's side.
    dumped: bool,
    /// The client's side was heard of; its last word.
    dumper: Option<Word>,
    orig_kb: Option<i64>,
    out_kb: u64,
    /// Seconds and KiB a second.
    dump: Option<(f64, f64)>,
    /// The same for the volume.
    tape: Option<(f64, f64)>,
    tape_failed: bool,
    by_config: bool,
    partial: bool,
    /// The try that went to a volume, or did not.
    taped: Option<(usize, &'a Half)>,
}

impl<'a> Seen<'a> {
    fn of(tries: &'a [Try]) -> Self {
        let mut seen = Self::default();
        let well = |attempt: &&Try| attempt.dumper.as_ref().is_some_and(|half| half.is(&[Word::Success, Word::Strange]));
        let dumped = tries.iter().find(well);
        let storage = dumped.and_then(|attempt| attempt.taper.as_ref()?.storage.as_deref());
        seen.dumped = dumped.is_some();
        seen.orig_kb = dumped.and_then(|attempt| attempt.dumper.as_ref()?.figures?.orig_kb);
        for (at, attempt) in tries.iter().enumerate() {
            let ours = |half: &&Half| half.storage.is_some() && (storage.is_none() || half.storage.as_deref() == storage);
            if let Some(taper) = attempt.taper.as_ref().filter(ours) {
                seen.taper(at, taper);
            }
            seen.by_config = attempt.taper.as_ref().is_some_and(|taper| taper.by_config);
            let stored = attempt.chunker.as_ref().filter(|half| half.is(&[Word::Success, Word::Partial]));
            for half in [stored, attempt.dumper.as_ref()].into_iter().flatten() {
                if seen.out_kb == 0 {
                    seen.out_kb = half.kb();
                }
            }
            if let Some(dumper) = attempt.dumper.as_ref().filter(|half| half.word.is_some()) {
                seen.dumper = dumper.word;
                if dumper.is(&[Word::Success, Word::Strange]) {
                    seen.dump = dumper.figures.map(|figures| (figures.secs, figures.kps));
                }
            }
            if seen.taped.is_some() {
                break;
            }
        }
        seen
    }

    fn taper(&mut self, at: usize, taper: &'a Half) {
        if taper.is(&[Word::Done, Word::Partial]) {
            self.partial = taper.is(&[Word::Partial]);
            self.orig_kb = self.orig_kb.or(taper.orig_kb);
            self.out_kb = taper.kb();
            self.tape = taper.figures.map(|figures| (figures.secs, figures.kps));
        } else if taper.is(&[Word::Fail]) {
            self.tape_failed = true;
        } else {
            return;
        }
        self.taped = Some((at, taper));
    }

    fn compressed(&self, orig_kb: i64) -> String {
        let share = self.out_kb as f64 / orig_kb as f64;
        if orig_kb <= 0 || self.partial || (share > 0.99 && share < 1.01) {
            return "--".to_owned();
        }
        format!("{:.1}", 100.0 * share)
    }

    fn rows(&self, run: &Run, about: &About, dle: &Dle, tries: &[Try], rows: &mut Vec<Row>) {
        let orig_kb = self.orig_kb.unwrap_or(0).max(0);
        let size = |kb: u64| if kb > 0 { about.size(kb) } else { String::new() };
        let (tape_time, tape_rate) = if self.by_config {
            (String::new(), String::new())
        } else if self.tape_failed {
            ("FAILED".to_owned(), "FAILED".to_owned())
        } else {
            shown(self.tape)
        };
        let last = tries.last();
        let level =
            last.and_then(|last| last.taper.as_ref().or(last.chunker.as_ref()).or(last.dumper.as_ref())).map_or(0, |half| half.level);
        let mut row = Row {
            level: level.to_string(),
            orig: size(orig_kb.unsigned_abs()),
            out: size(self.out_kb),
            compressed: self.compressed(orig_kb),
            tape_time,
            tape_rate,
            partial: self.partial,
            ..named(dle)
        };
        let well = matches!(self.dumper, Some(Word::Success | Word::Strange));
        if well {
            (row.dump_time, row.dump_rate) = shown(self.dump);
        } else {
            row.instead = Some(self.instead(run, about));
            if self.by_config && run.kind != Kind::Flush {
                return;
            }
        }
        rows.push(row);
        let wanted: &[Word] = if well { &[Word::Done, Word::Partial, Word::Fail] } else { &[Word::Done] };
        let others = tries.iter().enumerate().filter(|(at, _)| self.taped.is_none_or(|(taped, _)| taped != *at));
        let others = others.filter_map(|(_, attempt)| attempt.taper.as_ref()).filter(|taper| taper.is(wanted));
        rows.extend(others.map(|taper| another(run, about, taper)));
    }

    fn instead(&self, run: &Run, about: &About) -> &'static str {
        let to = self.taped.and_then(|(_, taper)| to(about, taper.storage.as_deref()?));
        match (self.dumper, self.by_config, run.kind) {
            // Amanda says so of a dump that failed, too.
            (Some(_), ..) => "PARTIAL",
            (None, true, _) => "NOT FLUSHED",
            (None, false, Kind::Vault) => "VAULT",
            (None, false, Kind::Flush) => "FLUSH",
            (None, false, _) => to.unwrap_or("FAILED"),
        }
    }
}

/// A dump that was written once more, to another storage or after a failure.
fn another(run: &Run, about: &About, taper: &Half) -> Row {
    let to = taper.storage.as_deref().and_then(|storage| to(about, storage));
    let step = to.unwrap_or(if run.kind == Kind::Vault { "VAULT" } else { "FLUSH" });
    let (tape_time, tape_rate) = match taper.figures {
        Some(figures) => shown(Some((figures.secs, figures.kps))),
        None => ("FAILED".to_owned(), "FAILED".to_owned()),
    };
    Row { instead: Some(step), tape_time, tape_rate, ..Row::default() }
}

fn shown(figures: Option<(f64, f64)>) -> (String, String) {
    figures.map(|(secs, kps)| (minutes(secs), format!("{kps:.1}"))).unwrap_or_default()
}
