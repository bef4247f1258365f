//! What a run did, as a report: the figures and names that Amanda's amreport tells, of the logs that Amanda's programs wrote and of
//! ours.
//!
//! Values go in, a value comes out, and words are made of that: [`run`] puts the log's lines together, [`failures`], [`notes`],
//! [`statistics`] and [`dumps`] draw the conclusions that amreport draws (perl/Amanda/Report/human.pm), [`text`] prints them.

pub mod about;
pub mod dumps;
pub mod failures;
pub mod fate;
pub mod notes;
pub mod run;
pub mod statistics;
pub mod text;

use amanda::dle::Dle;
use amanda::run_log::said::Program;
use serde::Serialize;

use self::about::{About, Around};
use self::dumps::Row;
use self::failures::{Details, Failure};
use self::fate::{Fate, Flushed};
use self::notes::Ending;
use self::run::{Kind, Run};
use self::statistics::{Statistics, hours, percent};
use super::retention::Wanted;

/// A volume that the run wrote to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Used {
    /// Its label.
    pub label: String,
    /// How long writing took, hours and minutes.
    pub time: String,
    /// How much was written, in the unit of the config.
    pub size: String,
    /// How much of it that is, in per cent.
    pub percent: String,
    /// Dumps that begin on it.
    pub dles: u32,
    /// Parts of dumps.
    pub parts: u32,
}

/// What is left on the holding disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Left {
    /// It is not known: this is the report of an earlier run.
    Unknown,
    /// It is not known, and there was no volume, so it may be something.
    Perhaps,
    /// Nothing, though there was no volume.
    NothingLeft,
    /// Nothing.
    Nothing,
    /// So many KiB.
    Kib(u64),
}

/// A report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The config.
    pub config: String,
    /// The organisation.
    pub org: String,
    /// The server.
    pub hostname: String,
    /// The run's datestamp.
    pub datestamp: String,
    /// How it ended.
    pub ending: Ending,
    /// It wrote earlier dumps to volumes.
    pub flush: bool,
    /// It copied volumes.
    pub vault: bool,
    /// The volumes that it wrote to, by storage.
    pub tapes_of: Vec<(String, Vec<String>)>,
    /// Why it had no volume, or no other one: whether the configuration says so, and the reason.
    pub no_tape: Option<(bool, String)>,
    /// What is left on the holding disk.
    pub left: Left,
    /// The next run writes it.
    pub autoflush: bool,
    /// What the next run wants; nothing where the config says that it is not told.
    pub wanted: Option<Wanted>,
    /// There are several storages.
    pub several: bool,
    /// What went wrong.
    pub failures: Vec<String>,
    /// Dumps of which the backup program said something strange.
    pub strange: Vec<String>,
    /// The table.
    pub statistics: Statistics,
    /// The volumes.
    pub used: Vec<Used>,
    /// What backup programs said.
    pub details: Details,
    /// Notes.
    pub notes: Vec<String>,
    /// The dumps.
    pub dumps: Vec<Row>,
    /// What sizes are shown in: K, M, G, T.
    pub unit: char,
    /// How many KiB that is.
    pub unit_kb: u64,
    #[serde(skip)]
    fates: Vec<(Dle, Fate)>,
    #[serde(skip)]
    flushed: Vec<Flushed>,
    #[serde(skip)]
    taper_notes: Vec<String>,
    #[serde(skip)]
    shelf: Vec<String>,
    #[serde(skip)]
    wrong: Vec<Failure>,
    #[serde(skip)]
    bytes: Bytes,
}

/// What the plain words need of it.
#[derive(Debug, Clone, Default, PartialEq)]
struct Bytes {
    taped_kb: u64,
    held_kb: u64,
    tapes: Vec<(String, u64)>,
}

impl Report {
    /// Makes the report of a run.
    pub fn of(run: &Run, about: &About, around: &Around) -> Self {
        let ending = Ending::of(run);
        let wrong = failures::failures(run, about, ending.missing);
        let tapes_of = if about.tell_used { tapes_of(run, about) } else { Vec::new() };
        Self {
            config: about.config.clone(),
            org: about.org.clone(),
            hostname: run.hostname.clone(),
            datestamp: run.datestamp.clone(),
            ending,
            flush: run.kind == Kind::Flush,
            vault: run.kind == Kind::Vault,
            tapes_of,
            no_tape: run.no_tape.clone(),
            left: left(run, around),
            autoflush: about.autoflush,
            wanted: about.tell_next.then(|| around.wanted.clone()),
            several: storages(run, about).len() > 1,
            failures: wrong.iter().map(Failure::line).collect(),
            strange: failures::strange(run),
            statistics: Statistics::of(run, about),
            used: run.volumes.iter().map(|volume| used(volume, about)).collect(),
            details: failures::details(run),
            notes: notes::notes(run, about),
            dumps: dumps::rows(run, about),
            unit: about.unit,
            unit_kb: about.unit_kb,
            fates: fate::fates(run),
            flushed: fate::flushed(run),
            taper_notes: run.notes.get(&Program::Taper).cloned().unwrap_or_default(),
            shelf: around.shelf.clone(),
            wrong,
            bytes: Bytes {
                taped_kb: run.volumes.iter().map(|volume| volume.kb).sum(),
                held_kb: around.held_kb,
                tapes: run.volumes.iter().map(|volume| (volume.label.clone(), volume.kb)).collect(),
            },
        }
    }

    /// Returns the day of the run: `November 22, 2026`; empty when it is not known.
    pub fn date(&self) -> String {
        let day = self.datestamp.get(..8).and_then(|day| chrono::NaiveDate::parse_from_str(day, "%Y%m%d").ok());
        day.map(|day| day.format("%B %-d, %Y").to_string()).unwrap_or_default()
    }

    /// Says whether nothing went wrong.
    pub fn is_good(&self) -> bool {
        let Ending { finished, failed, missing, wrong, .. } = self.ending;
        finished && !failed && !missing && !wrong
    }

    /// Returns what became of the disks that were to be dumped.
    pub fn fates(&self) -> &[(Dle, Fate)] {
        &self.fates
    }

    /// Returns what became of earlier dumps.
    pub fn flushed(&self) -> &[Flushed] {
        &self.flushed
    }

    /// Returns what was noted while volumes were chosen and written.
    pub fn taper_notes(&self) -> &[String] {
        &self.taper_notes
    }

    /// Returns what the next run wants, in words, and what is the matter with volumes now.
    pub fn shelf(&self) -> &[String] {
        &self.shelf
    }

    /// Returns what went wrong.
    pub fn wrong(&self) -> &[Failure] {
        &self.wrong
    }

    /// Returns the KiB that went to volumes, and to each.
    pub fn taped(&self) -> (u64, &[(String, u64)]) {
        (self.bytes.taped_kb, &self.bytes.tapes)
    }

    /// Returns the KiB that lie on the holding disk.
    pub fn held_kb(&self) -> u64 {
        self.bytes.held_kb
    }
}

/// A dump may go to all storages, a flush only to those that are not copied to.
fn storages<'a>(run: &Run, about: &'a About) -> Vec<&'a String> {
    let vaults = about.vaults.iter().filter(|_| run.kind == Kind::Dump);
    about.storages.iter().chain(vaults).collect()
}

fn tapes_of(run: &Run, about: &About) -> Vec<(String, Vec<String>)> {
    let of = |storage: &String| {
        // A log of long ago does not tell the storage, which is then the config.
        let is_on = |volume: &&run::Volume| volume.storage.as_ref().unwrap_or(&about.config) == storage;
        let labels: Vec<String> = run.volumes.iter().filter(is_on).map(|volume| volume.label.clone()).collect();
        (storage.clone(), labels)
    };
    storages(run, about).into_iter().map(of).filter(|(_, labels)| !labels.is_empty()).collect()
}

fn left(run: &Run, around: &Around) -> Left {
    match (around.historical, run.no_tape.is_some(), around.held_kb) {
        (true, true, _) => Left::Perhaps,
        (true, false, _) => Left::Unknown,
        (false, true, 0) => Left::NothingLeft,
        (false, false, 0) => Left::Nothing,
        (false, _, kb) => Left::Kib(kb),
    }
}

fn used(volume: &run::Volume, about: &About) -> Used {
    let marks = about.filemark_kb.saturating_mul(1 + u64::from(volume.parts));
    Used {
        label: volume.label.clone(),
        time: hours(volume.secs),
        size: format!("{}{}", about.size(volume.kb), about.unit),
        percent: percent(volume.kb.saturating_add(marks) as f64, about.tape_kb as f64),
        dles: volume.dumps,
        parts: volume.parts,
    }
}
