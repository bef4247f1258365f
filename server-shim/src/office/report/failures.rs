//! What went wrong, disk by disk (`output_error_summaries` in perl/Amanda/Report/human.pm).

use amanda::dle::Dle;
use amanda::escape::printable;
use amanda::quoting::quote;
use amanda::run_log::said::{Program, Word};

use super::about::About;
use super::run::{Disk, Half, Kind, Run, Try};

/// The driver ended a dump, and said why in a line of its own.
const ABORTED: &str = "Aborted by driver";

/// What went wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A program gave up.
    Fatal(Program, String),
    /// A program met an error.
    Error(Program, String),
    /// Of a disk that was to be dumped nothing was heard.
    Missing,
    /// The planner or the driver did not have it dumped.
    Refused(String),
    /// It could not be dumped.
    Dump(String),
    /// It is dumped again at this level.
    Again(String, u8),
    /// A dump came to the holding disk in part only, or not at all.
    Store(String),
    /// It could not be written to a volume, or only in part: Amanda's word for the step, and why.
    Tape(String, String),
    /// Only a part of it was written, or what was written is a part of a dump.
    TapedInPart(String),
    /// It went well when it was tried again.
    Retried,
    /// It went to a volume when it was tried again.
    Reflushed,
}

/// A failure, and of what.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Whose dump; `None` when it is about the run.
    pub dle: Option<Dle>,
    /// When it was made, when that is not this run's own dump.
    pub datestamp: Option<String>,
    /// The level.
    pub level: u8,
    /// What went wrong.
    pub what: What,
}

/// `host "a disk"`, as Amanda's report has it.
pub fn name(dle: &Dle) -> String {
    format!("{} {}", printable(dle.host.as_bytes()), printable(&quote(dle.disk_bytes())))
}

impl Failure {
    /// Returns the line of Amanda's report.
    pub fn line(&self) -> String {
        let Some(dle) = &self.dle else {
            return match &self.what {
                What::Fatal(program, text) => format!("{}: FATAL {text}", program.name()),
                What::Error(program, text) => format!("{}: ERROR {text}", program.name()),
                _ => String::new(),
            };
        };
        let date = self.datestamp.as_ref().map(|date| format!("date {date} ")).unwrap_or_default();
        let (name, level) = (name(dle), self.level);
        match &self.what {
            What::Missing => format!("{name} RESULTS MISSING"),
            What::Refused(why) | What::Dump(why) | What::Store(why) => format!("{name} {date}lev {level}  FAILED [{why}]"),
            What::Again(why, next) => format!("{name} {date}lev {level}  FAILED [{why}: Will retry at level {next}]"),
            What::Tape(step, why) => format!("{name} {date}lev {level}  {step} [{why}]"),
            What::TapedInPart(why) => format!("{name} {date}lev {level}  partial taper: {why}"),
            What::Retried => format!("{name} {date}lev {level}  was successfully retried"),
            What::Reflushed => format!("{name} {date}lev {level}  was successfully re-flushed"),
            What::Fatal(..) | What::Error(..) => String::new(),
        }
    }
}

/// Lists what went wrong, in Amanda's order: what is about the run, what was never heard of, what was refused, what failed.
pub fn failures(run: &Run, about: &About, missing: bool) -> Vec<Failure> {
    let of_run = |what| Failure { dle: None, datestamp: None, level: 0, what };
    let fatal = run.fatal.iter().flat_map(|(program, texts)| texts.iter().map(|text| What::Fatal(*program, text.clone())));
    let errors = run.errors.iter().flat_map(|(program, texts)| texts.iter().map(|text| What::Error(*program, text.clone())));
    let mut all: Vec<Failure> = fatal.chain(errors).map(of_run).collect();
    let of = |dle: &Dle, level, what| Failure { dle: Some(dle.clone()), datestamp: None, level, what };
    if missing {
        let unheard = run.disks.iter().filter(|(_, disk)| disk.listed && disk.is_missing(run));
        all.extend(unheard.map(|(dle, _)| of(dle, 0, What::Missing)));
    }
    for which in [|disk: &Disk| disk.driver.clone(), |disk: &Disk| disk.planner.clone()] {
        let refused = run.disks.iter().filter_map(|(dle, disk)| Some((dle, which(disk)?)));
        all.extend(refused.map(|(dle, half)| of(dle, half.level, What::Refused(half.reason))));
    }
    for (dle, disk) in &run.disks {
        for (stamp, tries) in &disk.dumps {
            let date = (*stamp != run.datestamp).then(|| stamp.clone());
            let mut failed = false;
            for attempt in tries {
                let told = of_try(run, about, disk, attempt, &mut failed);
                all.extend(told.into_iter().map(|(level, what)| Failure { dle: Some(dle.clone()), datestamp: date.clone(), level, what }));
            }
        }
    }
    all
}

impl Disk {
    /// Says whether nothing was heard of it.
    pub fn is_missing(&self, run: &Run) -> bool {
        !self.dumps.contains_key(&run.datestamp) && self.driver.is_none() && self.planner.is_none() && self.skipped.is_none()
    }
}

fn of_try(run: &Run, about: &About, disk: &Disk, attempt: &Try, failed: &mut bool) -> Vec<(u8, What)> {
    let (dumper, chunker, taper) = (attempt.dumper.as_ref(), attempt.chunker.as_ref(), attempt.taper.as_ref());
    if let (Some(next), Some(dumper)) = (attempt.retry, dumper) {
        return vec![(dumper.level, What::Again(dumper.reason.clone(), next))];
    }
    let mut told = Vec::new();
    if let Some(dumper) = dumper.filter(|half| half.is(&[Word::Fail]) && half.reason != ABORTED) {
        told.push((dumper.level, What::Dump(dumper.reason.clone())));
    }
    let undriven = disk.driver.is_none();
    if let Some(chunker) = chunker.filter(|half| undriven && half.is(&[Word::Fail])) {
        told.push((chunker.level, What::Store(chunker.reason.clone())));
    }
    if let Some(taper) = taper.filter(|half| undriven && half.is(&[Word::Fail, Word::Partial])) {
        told.extend(of_taper(run, about, attempt, taper).map(|what| (taper.level, what)));
    }
    *failed |= !told.is_empty();
    let dumped = dumper.filter(|half| half.is(&[Word::Success, Word::Strange]));
    let stored = chunker.is_none_or(|half| half.is(&[Word::Success]));
    let taped = taper.is_none_or(|half| half.is(&[Word::Done]));
    if let Some(dumper) = dumped.filter(|_| *failed && stored && taped) {
        told.push((dumper.level, What::Retried));
        *failed = false;
    }
    let alone = dumper.is_none() && chunker.is_none() && undriven;
    if let Some(taper) = taper.filter(|half| *failed && alone && half.is(&[Word::Done])) {
        told.push((taper.level, What::Reflushed));
        *failed = false;
    }
    told
}

fn of_taper(run: &Run, about: &About, attempt: &Try, taper: &Half) -> Option<What> {
    let direct = attempt.dumper.is_some() != attempt.chunker.is_some();
    if taper.by_config && !direct {
        // The configuration does not allow another volume: the dump stays where it is.
        return None;
    }
    if taper.is(&[Word::Partial]) {
        let why = if taper.reason.is_empty() { "successfully taped a partial dump" } else { &taper.reason };
        return Some(What::TapedInPart(why.to_owned()));
    }
    let step = if direct { "FAILED".to_owned() } else { step(run, about, taper) };
    Some(What::Tape(step, taper.reason.clone()))
}

/// `FLUSH(storage)`, `VAULT(storage)`; without the storage where the config does not have it.
fn step(run: &Run, about: &About, taper: &Half) -> String {
    match taper.storage.as_deref().and_then(|storage| Some((storage, to(about, storage)?))) {
        Some((storage, step)) => format!("{step}({storage})"),
        None if run.kind == Kind::Vault || taper.vault => "VAULT".to_owned(),
        None => "FLUSH".to_owned(),
    }
}

/// Amanda's word for writing to a storage.
pub fn to(about: &About, storage: &str) -> Option<&'static str> {
    let has = |storages: &[String]| storages.iter().any(|other| other == storage);
    if has(&about.storages) {
        return Some("FLUSH");
    }
    has(&about.vaults).then_some("VAULT")
}

/// Lists the dumps of which the backup program said something strange.
pub fn strange(run: &Run) -> Vec<String> {
    let mut all = Vec::new();
    for (dle, disk) in &run.disks {
        for (stamp, tries) in &disk.dumps {
            let date = if *stamp == run.datestamp { String::new() } else { format!("date {stamp} ") };
            let strange = tries.iter().filter(|attempt| attempt.retry.is_none()).filter_map(|attempt| attempt.dumper.as_ref());
            let strange = strange.filter(|dumper| dumper.is(&[Word::Strange]));
            all.extend(strange.map(|dumper| format!("{} {date}lev {}  STRANGE (see below)", name(dle), dumper.level)));
        }
    }
    all
}

/// What is shown behind the tables: what backup programs said, one block for each dump.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Details {
    /// Of dumps that failed.
    pub failed: Vec<String>,
    /// Of dumps that are strange.
    pub strange: Vec<String>,
}

/// Collects what backup programs said.
pub fn details(run: &Run) -> Details {
    let mut details = Details::default();
    let tries = run.disks.iter().flat_map(|(dle, disk)| disk.dumps.values().flatten().map(move |attempt| (dle, attempt)));
    for (dle, dumper) in tries.filter_map(|(dle, attempt)| Some((dle, attempt.dumper.as_ref()?))) {
        let (into, title) = match dumper.word {
            Some(Word::Fail) if dumper.reason != ABORTED => {
                (&mut details.failed, format!("/-- {} lev {} FAILED [{}]", name(dle), dumper.level, dumper.reason))
            }
            Some(Word::Strange) => (&mut details.strange, format!("/-- {} lev {} STRANGE", name(dle), dumper.level)),
            _ => continue,
        };
        into.push(title);
        into.extend(dumper.said.iter().cloned());
        into.push("\\--------".to_owned());
        let more = dumper.lines.saturating_sub(super::run::SHOWN);
        if more > 0 {
            into.push(format!("{more} lines follow, see the corresponding log.* file for the complete list"));
            into.push("\\--------".to_owned());
        }
    }
    details
}
