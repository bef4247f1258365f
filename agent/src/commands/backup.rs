//! `run` and `now`: a backup if one is due, and a backup in any case.
//!
//! `run` is called by schedulers as often as they like. It is silent when nothing is due, when a backup was made, and
//! when later will do and no person can help; it speaks when somebody must act, or when that has lasted three intervals.

use serde_json::json;
use wire::{DiskName, Exit, Receipt};

use super::visit::{Purpose, Visit};
use super::{disks, history, store, way};
use crate::clock;
use crate::config::Config;
use crate::due::{self, Verdict};
use crate::report::progress::{Audience, Nobody, audience};
use crate::report::tables::{self, Answered};
use crate::report::{Problem, Voice, err, out, problems, verdicts};
use crate::session;

/// After this many intervals an obstacle is a person's business.
const PATIENCE: i64 = 3;

/// `run`.
pub fn run(config: &Config, voice: &Voice) -> Result<Exit, Problem> {
    let store = store(config);
    let history = history(config, &store, voice)?;
    let verdict = due::decide(clock::now(), &history.records, config.interval.value);
    if !verdict.is_due() {
        voice.note(&format!("not due: {}", verdicts::oldest(&verdict)));
        tell_json(voice, "not-due", &verdict, &[], Exit::Done);
        return Ok(Exit::Done);
    }
    voice.note(&format!("due: {}", verdicts::oldest(&verdict)));
    store.prepare()?;
    let ours = disks(config);
    let mut nobody = Nobody;
    let mut visit = Visit::new(Purpose::IfDue(ours.clone()), &store, &ours, history.records, config.interval.value, &mut nobody)
        .expecting(config.host.as_ref().map(|host| &host.value))
        .serving(config);
    let way = way(config);
    let called = session::call(&way, &mut visit);
    finish_scheduled(called.map_err(|error| problems::session(error, &way)), &visit, &verdict, voice)
}

/// Ends a scheduler's call: tells what a person must hear, and nothing else.
fn finish_scheduled(called: Result<(), Problem>, visit: &Visit<'_>, before: &Verdict, voice: &Voice) -> Result<Exit, Problem> {
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
    conclude(visit, verdict, voice)
}

/// Tells what a complete visit came to; silent when all is well.
pub fn conclude(visit: &Visit<'_>, verdict: &Verdict, voice: &Voice) -> Result<Exit, Problem> {
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
    } else {
        err(&failed(&answers).to_string());
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

fn failed(answers: &[Answered<'_>]) -> Problem {
    if answers.is_empty() {
        return Problem::new(Exit::Failed, "the server made no backup")
            .because("it gave no receipt at all")
            .hint("ask the operator whether the server's disklist has disks of this laptop");
    }
    let failures = tables::failures(answers);
    Problem::new(Exit::Failed, format!("{} of {} disks not backed up", failures.len(), answers.len()))
        .because(failures.join("\n           "))
        .hint("the next call tries again; if it goes on, the operator's `asyncamanda-shim check` and Amanda's report say more")
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
pub fn now(config: &Config, named: Vec<DiskName>, voice: &Voice) -> Result<Exit, Problem> {
    let store = store(config);
    let history = history(config, &store, voice)?;
    store.prepare()?;
    let ours = disks(config);
    let wanted = if named.is_empty() { ours.clone() } else { named };
    let before = due::decide(clock::now(), &history.records, config.interval.value);
    let mut watching: Box<dyn Audience> = audience(voice.json);
    let mut visit = Visit::new(Purpose::Now(wanted), &store, &ours, history.records, config.interval.value, watching.as_mut())
        .expecting(config.host.as_ref().map(|host| &host.value))
        .serving(config);
    let way = way(config);
    let called = session::call(&way, &mut visit).map_err(|error| problems::session(error, &way));
    let Visit { asked, receipts, warnings, unstored, verdict, .. } = visit;
    drop(watching);
    warnings.iter().for_each(|warning| voice.warn(warning));
    let verdict = verdict.unwrap_or(before);
    let asked = asked.unwrap_or_default();
    let answers = answers(&asked, &receipts);
    if !voice.json && !receipts.is_empty() {
        out(&tables::receipts(&answers));
    }
    called?;
    let exit = outcome(&answers);
    tell_json(voice, if exit == Exit::Done { "backed-up" } else { "failed" }, &verdict, &answers, exit);
    if exit != Exit::Done {
        err(&failed(&answers).to_string());
    }
    match unstored {
        Some(error) => Err(Problem { exit: Exit::Failed, ..error.into() }),
        None => Ok(exit),
    }
}
