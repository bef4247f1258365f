//! `run` and `now`: a backup if one is due, and a backup in any case.
//!
//! `run` is called by schedulers as often as they like. It is silent when nothing is due, when a backup was made, and
//! when later will do and no person can help; it speaks when somebody must act, or when that has lasted three intervals.

use serde_json::json;
use wire::{DiskName, Exit, Receipt};

use super::job::Job;
use super::place::Place;
use super::visit::{Purpose, Visit};
use super::{answers, first_vault, history, history_as_it_is, served};
use crate::clock;
use crate::due::{self, Verdict};
use crate::report::progress::{Audience, Nobody, audience};
use crate::report::tables::{self, Answered};
use crate::report::{Problem, Voice, err, out, verdicts};
use crate::session::vault::{self, Way};

/// After this many intervals an obstacle is a person's business.
const PATIENCE: i64 = 3;

/// `run`.
pub fn run(job: &Job, voice: &Voice) -> Result<Exit, Problem> {
    let history = history_as_it_is(job, voice)?;
    let interval = job.config.interval.value;
    let verdict = due::decide(clock::now(), &history.records, interval);
    if !verdict.is_due() && !job.is_new_vault() {
        voice.note(&format!("not due: {}", verdicts::oldest(&verdict)));
        tell_json(voice, "not-due", &verdict, &[], Exit::Done);
        return Ok(Exit::Done);
    }
    voice.note(&format!("due: {}", verdicts::oldest(&verdict)));
    job.remarks.iter().for_each(|remark| voice.note(remark));
    job.warnings.iter().for_each(|warning| voice.warn(warning));
    able(job)?;
    job.store.prepare()?;
    let mut nobody = Nobody;
    let mut visit = Visit::new(Purpose::IfDue(job.wanted.clone()), &job.store, &job.ours, history.records, interval, &mut nobody)
        .expecting(job.config.host.as_ref().map(|host| &host.value))
        .serving(&job.config);
    let called = job.place.call(&mut visit);
    visit.notes.iter().for_each(|note| voice.note(note));
    finish_scheduled(called.map_err(|error| job.place.problem(error)), &visit, &verdict, Who::of(job), voice)
}

/// Makes sure that dumps can be made, before a vault is made for them. A drive that is away is told of first.
fn able(job: &Job) -> Result<(), Problem> {
    let comes = job.is_new_vault() || matches!(job.vault, Some(Ok(_)));
    if comes { answers::tar(&served::rules(&job.config, None)).map(drop) } else { Ok(()) }
}

/// Ends a scheduler's call: tells what a person must hear, and nothing else.
fn finish_scheduled(
    called: Result<(), Problem>,
    visit: &Visit<'_>,
    before: &Verdict,
    who: Who<'_>,
    voice: &Voice,
) -> Result<Exit, Problem> {
    visit.warnings.iter().for_each(|warning| voice.warn(warning));
    if let Err(problem) = called {
        let verdict = visit.verdict.as_ref().unwrap_or(before);
        let is_silent = matches!(problem.exit, Exit::Unreachable | Exit::Later) && !verdict.is_older_than(PATIENCE);
        if is_silent && !voice.verbose {
            if voice.json {
                voice.json(&json!({ "exit": problem.exit.code(), "problem": problem }));
            }
            return Ok(problem.exit);
        }
        return Err(problem);
    }
    let verdict = visit.verdict.as_ref().unwrap_or(before);
    conclude(visit, verdict, who, voice)
}

/// Tells what a complete visit came to; silent when all is well.
pub fn conclude(visit: &Visit<'_>, verdict: &Verdict, who: Who<'_>, voice: &Voice) -> Result<Exit, Problem> {
    let Some(asked) = &visit.asked else {
        voice.note(&format!("not due any more: {}", verdicts::oldest(verdict)));
        tell_json(voice, "not-due", verdict, &[], Exit::Done);
        return stored(visit, Exit::Done);
    };
    let answers = answers(asked, &visit.receipts);
    let exit = outcome(&answers);
    tell_json(voice, if exit == Exit::Done { "backed-up" } else { "failed" }, verdict, &answers, exit);
    if exit == Exit::Done {
        let names: Vec<String> = answers.iter().map(|(disk, _)| crate::report::show(disk.as_bytes())).collect();
        voice.note(&format!("backed up: {}", names.join(", ")));
        visit.receipts.iter().filter_map(tables::strange).for_each(|strange| voice.note(&strange));
    } else {
        err(&failed(&answers, who).to_string());
    }
    stored(visit, exit)
}

fn stored(visit: &Visit<'_>, exit: Exit) -> Result<Exit, Problem> {
    match &visit.unstored {
        None => Ok(exit),
        Some(error) => {
            let again = std::io::Error::new(error.source.kind(), error.source.to_string());
            Err(Problem { exit: Exit::Failed, ..crate::history::StoreError { path: error.path.clone(), source: again }.into() })
        }
    }
}

/// Puts the disks that were asked for beside the receipts that came.
fn answers<'v>(asked: &'v [DiskName], receipts: &'v [Receipt]) -> Vec<Answered<'v>> {
    if asked.is_empty() {
        return receipts.iter().map(|receipt| (&receipt.disk, Some(receipt))).collect();
    }
    asked.iter().map(|disk| (disk, receipts.iter().find(|receipt| receipt.disk == *disk))).collect()
}

/// Done only when every disk that was asked for has a backup now.
fn outcome(answers: &[Answered<'_>]) -> Exit {
    let all = !answers.is_empty() && answers.iter().all(|(_, receipt)| receipt.is_some_and(Receipt::is_backup));
    if all { Exit::Done } else { Exit::Failed }
}

/// Who was asked for a backup, as far as the words about a failure depend on it.
#[derive(Debug, Clone, Copy)]
pub enum Who<'a> {
    /// A server, with an operator.
    Server,
    /// A vault, with nobody but the reader.
    Vault(&'a Way),
}

impl<'a> Who<'a> {
    fn of(job: &'a Job) -> Self {
        match &job.place {
            Place::Server(_) => Self::Server,
            Place::Vault(way) => Self::Vault(way),
        }
    }
}

/// Says how a disk whose directory is gone is taken out of a vault; none when all are there.
fn gone(answers: &[Answered<'_>], way: &Way) -> Option<String> {
    let lines = answers.iter().filter(|(_, receipt)| !receipt.is_some_and(Receipt::is_backup)).filter_map(|(disk, _)| {
        let (_, device) = way.disks.iter().find(|(name, _)| name == *disk)?;
        let (file, line) = vault::line_of(&way.directory, &way.host, disk).filter(|_| std::fs::symlink_metadata(device).is_err())?;
        let shown = crate::report::show(disk.as_bytes());
        Some(format!("when {shown} is gone for good, take its line out of {}: line {line}", file.display()))
    });
    let lines: Vec<String> = lines.collect();
    (!lines.is_empty()).then(|| lines.join("\n        "))
}

fn failed(answers: &[Answered<'_>], who: Who<'_>) -> Problem {
    let (nobody, ask, look) = match who {
        Who::Server => (
            "the server made no backup",
            "ask the operator whether the server's disklist has disks of this laptop",
            "the next call tries again; if it goes on, the operator's `asyncamanda-shim check` and Amanda's report say more",
        ),
        Who::Vault(_) => (
            "no backup was made",
            "name the directories: asyncamanda now DIR…",
            "the next call tries again; `asyncamanda check` looks at everything that a backup needs",
        ),
    };
    if answers.is_empty() {
        return Problem::new(Exit::Failed, nobody).because("there was no receipt at all").hint(ask);
    }
    let silent = if matches!(who, Who::Server) { tables::NO_SUCH_DISK } else { "there is no receipt for it" };
    let failures = tables::failures(answers, silent);
    let hint = match who {
        Who::Vault(way) => gone(answers, way).map_or_else(|| look.to_owned(), |gone| format!("{gone}\n        {look}")),
        Who::Server => look.to_owned(),
    };
    let what = match answers {
        [(disk, _)] => format!("{} was not backed up", crate::report::show(disk.as_bytes())),
        _ => format!("{} of {} not backed up", failures.len(), tables::disks(answers.len())),
    };
    Problem::new(Exit::Failed, what).because(failures.join("\n           ")).hint(hint)
}

fn tell_json(voice: &Voice, result: &str, verdict: &Verdict, answers: &[Answered<'_>], exit: Exit) {
    if !voice.json {
        return;
    }
    let receipts: Vec<&Receipt> = answers.iter().filter_map(|(_, receipt)| *receipt).collect();
    let missing: Vec<&DiskName> = answers.iter().filter(|(_, receipt)| receipt.is_none()).map(|(disk, _)| *disk).collect();
    voice.json(&json!({
        "exit": exit.code(), "result": result, "due": verdict.is_due(), "disks": verdict.disks, "receipts": receipts, "without_receipt": missing,
    }));
}

/// `now`.
pub fn now(job: &Job, voice: &Voice) -> Result<Exit, Problem> {
    let history = history(job, voice)?;
    job.remarks.iter().for_each(|remark| voice.note(remark));
    job.warnings.iter().for_each(|warning| voice.warn(warning));
    able(job)?;
    job.store.prepare()?;
    let interval = job.config.interval.value;
    let before = due::decide(clock::now(), &history.records, interval);
    let mut watching: Box<dyn Audience> = audience(voice.json);
    let mut visit = Visit::new(Purpose::Now(job.wanted.clone()), &job.store, &job.ours, history.records, interval, watching.as_mut())
        .expecting(job.config.host.as_ref().map(|host| &host.value))
        .serving(&job.config);
    let called = job.place.call(&mut visit).map_err(|error| job.place.problem(error));
    let Visit { asked, receipts, warnings, notes, unstored, verdict, .. } = visit;
    drop(watching);
    notes.iter().for_each(|note| voice.note(note));
    warnings.iter().for_each(|warning| voice.warn(warning));
    let verdict = verdict.unwrap_or(before);
    let asked = asked.unwrap_or_default();
    let answers = answers(&asked, &receipts);
    if !voice.json && !receipts.is_empty() {
        out(&tables::receipts(&answers));
        receipts.iter().filter_map(tables::strange).for_each(|strange| voice.warn(&strange));
    }
    called?;
    let exit = outcome(&answers);
    tell_json(voice, if exit == Exit::Done { "backed-up" } else { "failed" }, &verdict, &answers, exit);
    if !voice.json {
        let words = if job.is_new_vault() { first_vault::words(job, &receipts) } else { first_vault::pointer(job, &receipts) };
        words.iter().for_each(|line| out(line));
    }
    if exit != Exit::Done {
        err(&failed(&answers, Who::of(job)).to_string());
    }
    match unstored {
        Some(error) => Err(Problem { exit: Exit::Failed, ..error.into() }),
        None => Ok(exit),
    }
}
