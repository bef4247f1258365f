//! What is worth knowing beside it, and how a run ended as a whole (`check_missing_fail_strange` in perl/Amanda/Report.pm).

use amanda::run_log::said::{Program, Word};

use super::about::About;
use super::failures::name;
use super::run::{Disk, Half, Kind, Run};

/// How a run ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Ending {
    /// It came to its end.
    pub finished: bool,
    /// A dump failed.
    pub failed: bool,
    /// Of a disk nothing was heard.
    pub missing: bool,
    /// A dump is strange.
    pub strange: bool,
    /// Something else went wrong: Amanda's exit status is not 0.
    pub wrong: bool,
}

impl Ending {
    /// Looks at a run as a whole.
    pub fn of(run: &Run) -> Self {
        let mut ending = Self {
            finished: run.finished,
            failed: run.disks.iter().any(|(_, disk)| disk.planner.is_some() || disk.driver.is_some()),
            wrong: !run.errors.is_empty() || !run.fatal.is_empty() || run.no_tape.is_some(),
            ..Self::default()
        };
        if run.kind == Kind::Dump {
            run.disks.iter().for_each(|(_, disk)| ending.disk(run, disk));
        }
        ending
    }

    fn disk(&mut self, run: &Run, disk: &Disk) {
        if disk.planner.is_some() || disk.skipped.is_some() {
            return;
        }
        if disk.is_missing(run) {
            self.missing = true;
            return;
        }
        let Some(last) = disk.dumps.get(&run.datestamp).and_then(|tries| tries.last()) else { return };
        let is = |half: Option<&Half>, word| half.is_some_and(|half| half.is(&[word]));
        let (dumper, chunker, taper) = (last.dumper.as_ref(), last.chunker.as_ref(), last.taper.as_ref());
        let stored = is(chunker, Word::Success) || is(taper, Word::Done);
        if is(dumper, Word::Fail) || (dumper.is_some() && !stored) {
            self.failed = true;
        } else if dumper.is_some() {
            self.strange |= is(dumper, Word::Strange);
            self.wrong |= taper.is_some() && !is(taper, Word::Done);
        } else {
            self.wrong |= chunker.is_some() || (taper.is_some() && !is(taper, Word::Done));
        }
    }

    /// Says whether a report is mailed after such a run.
    pub fn is_told(self, on: amanda::conf::reports::ReportOn) -> bool {
        use amanda::conf::reports::ReportOn;
        let error = !self.finished || self.failed || self.missing || self.wrong;
        match on {
            ReportOn::All => true,
            ReportOn::Strange => error || self.strange,
            ReportOn::Error => error,
            ReportOn::Never => false,
        }
    }

    /// Returns what the subject of a mail has behind the organisation's name.
    pub fn word(self) -> &'static str {
        match self {
            Self { finished: false, .. } | Self { failed: true, .. } => " FAIL:",
            Self { missing: true, .. } => " MISSING:",
            Self { strange: true, .. } => " STRANGE:",
            _ => "",
        }
    }
}

/// Lists the notes of all programs, and estimates that were far too big.
pub fn notes(run: &Run, about: &About) -> Vec<String> {
    let of = |program: &Program, texts: &[String]| texts.iter().map(|text| format!("{}: {text}", program.name())).collect::<Vec<_>>();
    let mut notes: Vec<String> = run.notes.iter().flat_map(|(program, texts)| of(program, texts)).collect();
    for (dle, disk) in &run.disks {
        let (Some((level, expected)), Some(out)) = (disk.estimate, out(disk)) else { continue };
        let expected = u64::try_from(expected).unwrap_or(0);
        if expected as f64 * 0.9 > out as f64 && expected.saturating_sub(out) > 100_000 {
            notes.push(format!("big estimate: {} {level}", name(dle)));
            let unit = about.unit;
            notes.push(format!("                est: {}{unit}    out {}{unit}", about.size(expected), about.size(out)));
        }
    }
    notes
}

/// Returns the size of a disk's dump, as it is stored.
fn out(disk: &Disk) -> Option<u64> {
    let tries = disk.dumps.values().flatten().filter(|attempt| attempt.dumper.is_some());
    let size = |half: Option<&Half>, words: &[Word]| half.filter(|half| half.is(words) && half.figures.is_some()).map(Half::kb);
    let sizes = tries.filter_map(|attempt| {
        size(attempt.chunker.as_ref(), &[Word::Success, Word::Partial])
            .or_else(|| size(attempt.taper.as_ref(), &[Word::Done, Word::Partial]))
    });
    sizes.fold(None, |_, size| Some(size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use amanda::conf::reports::ReportOn;

    #[test]
    fn whom_a_report_is_for_goes_by_how_the_run_ended() {
        let fine = Ending { finished: true, ..Ending::default() };
        let strange = Ending { strange: true, ..fine };
        let failed = Ending { failed: true, ..fine };
        let cut_off = Ending::default();
        for (ending, all, on_strange, on_error, word) in [
            (fine, true, false, false, ""),
            (strange, true, true, false, " STRANGE:"),
            (failed, true, true, true, " FAIL:"),
            (cut_off, true, true, true, " FAIL:"),
            (Ending { missing: true, ..fine }, true, true, true, " MISSING:"),
        ] {
            let told = [ReportOn::All, ReportOn::Strange, ReportOn::Error, ReportOn::Never].map(|on| ending.is_told(on));
            assert_eq!((told, ending.word()), ([all, on_strange, on_error, false], word), "{ending:?}");
        }
    }
}
