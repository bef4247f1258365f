//! amandates: what Amanda's client believes. A hint, and never a proof.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Seek as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use amanda::amandates::{ScanReport, scan};
use wire::DiskName;

use crate::config::Interval;
use crate::due::{DiskRecord, Known};

/// An amandates that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", path.display())]
pub struct BeliefError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

impl BeliefError {
    /// Tells whether there is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::NotFound)
    }
}

/// What the file says of the disks asked for.
#[derive(Debug, Default)]
pub struct Beliefs {
    /// The newest dump of each: level and start.
    pub newest: BTreeMap<Vec<u8>, (u8, i64)>,
    /// Sentences for people: lines that were passed over.
    pub warnings: Vec<String>,
}

fn open(path: &Path) -> Result<File, BeliefError> {
    File::open(path).map_err(|source| BeliefError { path: path.to_path_buf(), source })
}

/// Reads the newest dump of these disks.
pub fn of_disks(path: &Path, disks: &[DiskName]) -> Result<Beliefs, BeliefError> {
    let failed = |source| BeliefError { path: path.to_path_buf(), source };
    let mut newest: BTreeMap<Vec<u8>, (u8, i64)> = BTreeMap::new();
    // The file can have a million lines, and nearly all of them are about other disks: names of another length or
    // with another end are told apart without comparing the path that they share.
    let mut wanted: Vec<Vec<&[u8]>> = Vec::new();
    for name in disks.iter().map(DiskName::as_bytes) {
        wanted.resize(wanted.len().max(name.len() + 1), Vec::new());
        wanted[name.len()].push(name);
    }
    let report = scan(open(path)?, |name, level, epoch| {
        let Some(candidates) = wanted.get(name.len()) else { return };
        if candidates.iter().any(|wanted| wanted.last() == name.last() && *wanted == name) {
            let best = newest.entry(name.to_vec()).or_insert((level, epoch));
            *best = if (epoch, level) > (best.1, best.0) { (level, epoch) } else { *best };
        }
    });
    let report = report.map_err(failed)?;
    Ok(Beliefs { newest, warnings: complain(path, &report) })
}

/// What the whole file says, as far as a decision needs it.
#[derive(Debug, Default)]
pub struct Survey {
    /// Every disk that is due or odd, and of the fresh ones the oldest.
    pub records: Vec<DiskRecord>,
    /// Sentences for people: lines that were passed over.
    pub warnings: Vec<String>,
}

/// Reads all disks of the file, for a line that names none.
///
/// Amanda writes the lines of a disk together, so one pass without any table finds the disks whose lines are not fresh;
/// only for those a second pass makes sure that no fresh line stands elsewhere. When nothing is due, that is one pass.
pub fn survey(path: &Path, now: i64, interval: Interval) -> Result<Survey, BeliefError> {
    let failed = |source| BeliefError { path: path.to_path_buf(), source };
    let mut file = open(path)?;
    let mut pass = Pass { now, cutoff: now.saturating_sub(interval.seconds()), ..Pass::default() };
    let report = scan(&file, |name, level, epoch| pass.line(name, level, epoch)).map_err(failed)?;
    pass.end_of_disk();
    let mut survey = Survey { records: Vec::new(), warnings: complain(path, &report) };
    if !pass.suspects.is_empty() {
        file.rewind().map_err(failed)?;
        let suspects = &mut pass.suspects;
        scan(&file, |name, level, epoch| {
            if let Some(newest) = suspects.get_mut(name)
                && (epoch, level) > (newest.1, newest.0)
            {
                *newest = (level, epoch);
            }
        })
        .map_err(failed)?;
    }
    let all = pass.suspects.into_iter().chain(pass.oldest_fresh.map(|(name, level, epoch)| (name, (level, epoch))));
    for (name, (level, epoch)) in all {
        match DiskName::new(OsString::from_vec(name)) {
            Ok(disk) => survey.records.push(DiskRecord { disk, known: Known::Belief { level, epoch } }),
            Err(error) => survey.warnings.push(format!("{}: a disk was passed over: {error}", path.display())),
        }
    }
    Ok(survey)
}

#[derive(Default)]
struct Pass {
    now: i64,
    cutoff: i64,
    name: Vec<u8>,
    newest: Option<(u8, i64)>,
    suspects: BTreeMap<Vec<u8>, (u8, i64)>,
    oldest_fresh: Option<(Vec<u8>, u8, i64)>,
}

impl Pass {
    fn line(&mut self, name: &[u8], level: u8, epoch: i64) {
        if self.newest.is_some() && !is_same(&self.name, name) {
            self.end_of_disk();
        }
        match &mut self.newest {
            Some(newest) if (epoch, level) > (newest.1, newest.0) => *newest = (level, epoch),
            Some(_) => {}
            None => {
                self.name.clear();
                self.name.extend_from_slice(name);
                self.newest = Some((level, epoch));
            }
        }
    }

    fn end_of_disk(&mut self) {
        let Some((level, epoch)) = self.newest.take() else { return };
        if epoch <= self.cutoff || epoch > self.now {
            self.suspects.insert(self.name.clone(), (level, epoch));
        } else if self.oldest_fresh.as_ref().is_none_or(|oldest| epoch < oldest.2) {
            self.oldest_fresh = Some((self.name.clone(), level, epoch));
        }
    }
}

/// Compares two names from their ends, where those of one file differ.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.last_chunk::<8>() == other.last_chunk::<8>() && one == other
}

fn complain(path: &Path, report: &ScanReport) -> Vec<String> {
    if report.bad_total == 0 {
        return Vec::new();
    }
    let first = report.bad.first().map(ToString::to_string).unwrap_or_default();
    let more = match report.bad_total - 1 {
        0 => String::new(),
        1 => " (and one more line)".to_owned(),
        more => format!(" (and {more} more lines)"),
    };
    vec![format!("{} was read without a bad line: {first}{more}", path.display())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::due::decide;

    const NOW: i64 = 1_800_000_000;
    const DAY: i64 = 86_400;

    fn is_due(text: &str) -> bool {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("amandates");
        std::fs::write(&path, text).expect("written");
        let survey = survey(&path, NOW, Interval::default()).expect("readable");
        decide(NOW, &survey.records, Interval::default()).is_due()
    }

    #[test]
    fn the_newest_line_of_a_disk_counts_and_the_oldest_disk_decides() {
        let (old, fresh, future) = (NOW - 3 * DAY, NOW - 60, NOW + 60);
        for (case, lines, due) in [
            ("one fresh", vec![("/a", 0, fresh)], false),
            ("an old full, a fresh incremental", vec![("/a", 0, old), ("/a", 1, fresh)], false),
            ("a fresh full over an old incremental", vec![("/a", 0, fresh), ("/a", 1, old)], false),
            ("one fresh disk hides no stale one", vec![("/a", 0, fresh), ("/b", 0, old), ("/c", 0, fresh)], true),
            ("lines of a disk apart from each other", vec![("/a", 0, old), ("/b", 0, fresh), ("/a", 1, fresh)], false),
            ("apart, the fresh one first", vec![("/a", 1, fresh), ("/b", 0, fresh), ("/a", 0, old)], false),
            ("a time in the future", vec![("/a", 0, future)], true),
            ("a time in the future beside a fresh one", vec![("/a", 0, fresh), ("/a", 1, future)], true),
            ("no line", vec![], true),
        ] {
            let text: String = lines.iter().map(|(name, level, epoch)| format!("{name} {level} {epoch}\n")).collect();
            assert_eq!(is_due(&text), due, "{case}");
        }
    }

    #[test]
    fn quoted_names_are_disks_and_bad_lines_are_passed_over() {
        assert!(!is_due(&format!("\"/my home\" 0 {}\n", NOW - 60)));
        assert!(is_due(&format!("/a 0 {}\n\"/my home\" 0 {}\n", NOW - 60, NOW - 2 * DAY)));
        assert!(!is_due(&format!("/a 0 {}\nnonsense\n/b 0 {}", NOW - 60, NOW / 1000)), "the half-written last line is no date");
        assert!(is_due("nonsense\n"));
    }
}
