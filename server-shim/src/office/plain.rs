//! A run in plain words, for somebody who has never read a report: what went wrong first, with what it means and what to do.

use amanda::dle::Dle;
use amanda::run_log::said::Program;

use super::advice::{self, Advice};
use super::find::date;
use super::report::Report;
use super::report::fate::Fate;
use super::retention::Wanted;

/// So many disks are named of those that failed for one reason.
const NAMED: usize = 8;

/// Returns the lines.
pub fn plain(report: &Report) -> Vec<String> {
    let mut wrong = Vec::new();
    unfinished(report, &mut wrong);
    disks(report, &mut wrong);
    flushes(report, &mut wrong);
    volumes(report, &mut wrong);
    programs(report, &mut wrong);
    let fine = wrong.is_empty();
    let mut lines = wrong;
    lines.extend(strange(report));
    lines.extend(went_well(report));
    let passed_over = passed_over(report);
    let fine = fine && report.strange.is_empty() && passed_over.is_empty();
    lines.extend(passed_over);
    if fine {
        lines.push("Nothing is wrong.".to_owned());
    }
    lines.extend(waiting(report));
    match report.shelf() {
        [] => lines.extend(report.wanted.as_ref().and_then(next)),
        shelf => lines.extend_from_slice(shelf),
    }
    lines
}

fn count(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

fn unfinished(report: &Report, lines: &mut Vec<String>) {
    if !report.ending.finished {
        lines.push("The run did not come to its end: it was stopped, or the server was switched off.".to_owned());
        lines.push("  What to do: see below what was backed up; the next run makes up for the rest.".to_owned());
    }
}

/// Tells one reason once, with all that it happened to.
fn told(reason: &str, whose: &[String], advice: Option<Advice>, lines: &mut Vec<String>) {
    let names = whose.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = if whose.len() > NAMED { format!(" and {} more", whose.len() - NAMED) } else { String::new() };
    match advice {
        Some(Advice { means, to_do }) => {
            lines.push(format!("  {names}{more}: {means} ({reason})."));
            lines.push(format!("    What to do: {to_do}."));
        }
        None => {
            lines.push(format!("  {names}{more}: {reason}."));
            lines.push("    What to do: the report below has all that is known of it.".to_owned());
        }
    }
}

/// Puts together what has the same reason, in the order of its first appearance.
fn by_reason<'a>(all: impl Iterator<Item = (&'a str, String)>) -> Vec<(&'a str, Vec<String>)> {
    let mut grouped: Vec<(&str, Vec<String>)> = Vec::new();
    for (reason, whose) in all {
        match grouped.iter_mut().find(|(other, _)| *other == reason) {
            Some((_, names)) => names.push(whose),
            None => grouped.push((reason, vec![whose])),
        }
    }
    grouped
}

fn disks(report: &Report, lines: &mut Vec<String>) {
    let failed: Vec<(&Dle, &str)> =
        report.fates().iter().filter_map(|(dle, fate)| if let Fate::Not(why) = fate { Some((dle, why.as_str())) } else { None }).collect();
    if failed.is_empty() {
        return;
    }
    let all = report.fates().len();
    let were = if failed.len() == 1 { "was" } else { "were" };
    lines.push(match (all, failed.len()) {
        (1, 1) => "The disk was NOT backed up.".to_owned(),
        (all, some) if all == some => format!("NOTHING was backed up: none of {all} disks."),
        (all, some) => format!("{some} of {all} disks {were} NOT backed up."),
    });
    for (reason, whose) in by_reason(failed.iter().map(|(dle, why)| (*why, dle.to_string()))) {
        told(reason, &whose, advice::of_dump(reason), lines);
    }
}

fn flushes(report: &Report, lines: &mut Vec<String>) {
    let failed: Vec<_> = report.flushed().iter().filter(|flushed| flushed.failed.is_some()).collect();
    if failed.is_empty() {
        return;
    }
    let stay = count(failed.len(), "earlier dump did not go to a volume and stays", "earlier dumps did not go to a volume and stay");
    lines.push(format!("{stay} on the holding disk."));
    let reasons = failed.iter().map(|flushed| {
        let why = flushed.failed.as_deref().unwrap_or_default();
        (if why.is_empty() { "it was not finished" } else { why }, format!("{} of {}", flushed.dle, date(&flushed.datestamp)))
    });
    for (reason, whose) in by_reason(reasons) {
        told(reason, &whose, advice::of_volume(reason), lines);
    }
}

fn volumes(report: &Report, lines: &mut Vec<String>) {
    let Some((by_config, why)) = &report.no_tape else { return };
    let why = why.trim_matches(['[', ']']);
    lines.push(match (by_config, report.used.is_empty()) {
        (false, true) => "NO VOLUME could be written to.".to_owned(),
        _ => "Not all dumps went to a volume.".to_owned(),
    });
    // Why each volume was passed over is told in the taper's notes.
    let notes = news(report);
    let reasons = if notes.is_empty() { vec![why] } else { notes };
    reasons.iter().for_each(|reason| of_volume(reason, lines));
    // The log does not tell a full file system from a full volume.
    let (taped_kb, tapes) = report.taped();
    let holds = report.statistics.tape_kb;
    if *by_config && !tapes.is_empty() && tapes.iter().all(|(_, kb)| kb.saturating_mul(2) < holds) {
        let (fit, should) = (size(taped_kb), size(holds.saturating_mul(tapes.len() as u64)));
        lines.push(format!("  No more than {fit} fit on volumes that should hold {should}: the file system that they are on may be full."));
        lines.push("    What to do: look; make room there, or give the tapetype the length that there is room for.".to_owned());
    }
}

fn of_volume(reason: &str, lines: &mut Vec<String>) {
    match advice::of_volume(reason) {
        Some(Advice { means, to_do }) => {
            lines.push(format!("  {}{} ({reason}).", means[..1].to_uppercase(), &means[1..]));
            lines.push(format!("    What to do: {to_do}."));
        }
        None => lines.push(format!("  {reason}.")),
    }
}

/// Volumes that were passed over by a run that found others.
fn passed_over(report: &Report) -> Vec<String> {
    let notes = if report.no_tape.is_none() { news(report) } else { Vec::new() };
    if notes.is_empty() {
        return Vec::new();
    }
    let mut lines = vec!["All the same, look at the volumes: another one than the one whose turn it was has been taken.".to_owned()];
    notes.iter().for_each(|note| of_volume(note, &mut lines));
    lines
}

fn news(report: &Report) -> Vec<&str> {
    report.taper_notes().iter().map(String::as_str).filter(|note| is_news(note)).collect()
}

/// A note that says why a volume was not taken.
fn is_news(note: &str) -> bool {
    let about = ["Slot ", "Label ", "Volume ", "while labeling"].iter().any(|begin| note.starts_with(begin));
    let empty = note.starts_with("Slot ") && note.ends_with("not found");
    about && !empty && !note.contains("not reusable") && !note.contains("can be labeled") && advice::of_volume(note).is_some()
}

fn programs(report: &Report, lines: &mut Vec<String>) {
    use super::report::failures::What;
    for failure in report.wrong() {
        let (program, text, gave_up) = match &failure.what {
            What::Fatal(program, text) => (program, text, true),
            What::Error(program, text) => (program, text, false),
            _ => continue,
        };
        let who = if *program == Program::Taper { "What writes volumes" } else { "A program of the server" };
        let said = if gave_up { "gave up" } else { "met an error" };
        lines.push(format!("{who} ({}) {said}: {text}.", program.name()));
        let advice = advice::of_volume(text).filter(|_| *program == Program::Taper).or_else(|| advice::of_dump(text));
        lines.extend(advice.map(|advice| format!("  What to do: {} ({}).", advice.to_do, advice.means)));
    }
}

fn strange(report: &Report) -> Vec<String> {
    if report.strange.is_empty() {
        return Vec::new();
    }
    let of = count(report.strange.len(), "dump", "dumps");
    let mut lines = vec![format!("Of {of} the backup program said something that somebody should read:")];
    let complaint = |line: &&String| line.starts_with('?') || line.starts_with("/-- ");
    let said: Vec<&String> = report.details.strange.iter().filter(complaint).collect();
    lines.extend(said.iter().take(NAMED).map(|line| format!("  {}", line.trim_start_matches("/-- ").trim_start_matches("? "))));
    lines.push("  What to do: nothing, when it is about files that changed or went away meanwhile; they are in the next dump.".to_owned());
    lines
}

fn went_well(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    let held = report.fates().iter().filter(|(_, fate)| *fate == Fate::Holding).count();
    let there = held + report.fates().iter().filter(|(_, fate)| *fate == Fate::Volume).count();
    let left_out = report.fates().iter().filter(|(_, fate)| matches!(fate, Fate::LeftOut(_))).count();
    let wanted = report.fates().len() - left_out;
    let (taped_kb, tapes) = report.taped();
    let to: Vec<&str> = tapes.iter().map(|(label, _)| label.as_str()).collect();
    let written = match to.len() {
        0 => String::new(),
        _ => format!("; {} went to {}", size(taped_kb), to.join(" and ")),
    };
    let flushed = report.flushed().iter().filter(|flushed| flushed.failed.is_none()).count();
    let took = duration(report.statistics.run_secs);
    let took = match held {
        0 => took,
        _ if held == there => format!("{took}, to the holding disk"),
        _ => format!("{took}, {held} of them to the holding disk"),
    };
    let (one, all) = (there == 1 && wanted == 1, there == wanted);
    if there > 0 {
        lines.push(match (one, all) {
            (true, _) => format!("The one disk was backed up in {took}{written}."),
            (_, true) => format!("All {wanted} disks were backed up in {took}{written}."),
            _ => format!("{} backed up in {took}{written}.", count(there, "disk was", "disks were")),
        });
        if flushed > 0 {
            lines.push(format!("{} put on volumes, too.", count(flushed, "earlier dump was", "earlier dumps were")));
        }
    } else if report.fates().is_empty() {
        lines.push(match flushed {
            0 => "Nothing was to be done.".to_owned(),
            some => format!("{} put on volumes in {took}{written}.", count(some, "earlier dump was", "earlier dumps were")),
        });
    }
    if left_out > 0 {
        lines.push(format!("{} left out on purpose, as the disklist says.", count(left_out, "disk was", "disks were")));
    }
    lines
}

fn waiting(report: &Report) -> Option<String> {
    let kb = report.held_kb();
    let next =
        if report.autoflush { "the next run writes it to a volume" } else { "`asyncamanda-shim flush CONFIG` writes it to a volume" };
    (kb > 0).then(|| format!("{} waits on the holding disk; {next}.", size(kb)))
}

/// Says which volumes are wanted next.
pub fn next(wanted: &Wanted) -> Option<String> {
    let known: Vec<&str> = wanted.volumes.iter().flatten().map(String::as_str).collect();
    let new = wanted.volumes.len() - known.len();
    if wanted.volumes.is_empty() {
        return None;
    }
    let fresh = match (new, wanted.labelled.get(..new.min(wanted.labelled.len()))) {
        (0, _) => None,
        (_, Some(labelled @ [_, ..])) => Some(format!("{} (new)", labelled.join(" and "))),
        (1, _) => Some("a new volume".to_owned()),
        (more, _) => Some(format!("{more} new volumes")),
    };
    let all: Vec<String> = fresh.into_iter().chain(known.into_iter().map(str::to_owned)).collect();
    Some(format!("For the next run put in {}.", all.join(" and ")))
}

/// `3.1 GB`
pub fn size(kb: u64) -> String {
    let bytes = kb as f64 * 1024.0;
    let units = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    match units.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) if bytes / unit < 100.0 && *name != "kB" => format!("{:.1} {name}", bytes / unit),
        Some((name, unit)) => format!("{:.0} {name}", bytes / unit),
        None => format!("{bytes:.0} bytes"),
    }
}

/// `12 minutes`
fn duration(secs: f64) -> String {
    let secs = secs.max(0.0).round() as usize;
    match secs {
        0..90 => count(secs, "second", "seconds"),
        90..5400 => count((secs + 30) / 60, "minute", "minutes"),
        _ => format!("{} {}", count(secs / 3600, "hour", "hours"), count(secs % 3600 / 60, "minute", "minutes")),
    }
}

#[cfg(test)]
mod tests;
