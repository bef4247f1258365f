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
    if fine && report.strange.is_empty() {
        lines.push("Nothing is wrong.".to_owned());
    }
    lines.extend(waiting(report));
    lines.extend(report.wanted.as_ref().and_then(next));
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
    let notes: Vec<&str> = report.taper_notes().iter().map(String::as_str).filter(|note| is_news(note)).collect();
    let reasons = if notes.is_empty() { vec![why] } else { notes };
    for reason in reasons {
        match advice::of_volume(reason) {
            Some(Advice { means, to_do }) => {
                lines.push(format!("  {}{} ({reason}).", means[..1].to_uppercase(), &means[1..]));
                lines.push(format!("    What to do: {to_do}."));
            }
            None => lines.push(format!("  {reason}.")),
        }
    }
}

/// A note that says why a volume was not taken.
fn is_news(note: &str) -> bool {
    let about = note.starts_with("Slot ") || note.starts_with("Label ") || note.starts_with("Volume ");
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
mod tests {
    use super::*;
    use crate::office::report::about::{About, Around};
    use crate::office::report::run::Run;
    use amanda::run_log::said::said;

    fn words(log: &str, wanted: &[Option<&str>]) -> String {
        let run = Run::of(&said(log.as_bytes()));
        let about = About {
            config: "c".into(),
            storages: vec!["c".into()],
            tell_next: true,
            tell_used: true,
            unit: 'K',
            unit_kb: 1,
            ..About::default()
        };
        let volumes = wanted.iter().map(|label| label.map(str::to_owned)).collect();
        let around = Around { wanted: Wanted { volumes, labelled: vec![] }, ..Around::default() };
        plain(&Report::of(&run, &about, &around)).join("\n")
    }

    const HEAD: &str = "START planner date 20261122023901\nDISK planner h /a\nDISK planner h /b\n";

    fn dumped(disk: &str) -> String {
        format!(
            "SUCCESS dumper h {disk} 20261122023901 0 1:2 1:2 [sec 1.0 kb 2 kps 2.0 orig-kb 10]\n\
             SUCCESS chunker h {disk} 20261122023901 0 1:2 [sec 1.0 kb 2 kps 2.0]\n\
             PART taper ST:c POOL:c c-04 1 h {disk} 20261122023901 1/-1 0 [sec 1.0 bytes 1550000000 kps 2.0 orig-kb 9]\n\
             DONE taper ST:c POOL:c h {disk} 20261122023901 1 0 1:2 1:2 1:2 [sec 1.0 bytes 1550000000 kps 2.0 orig-kb 9]\n"
        )
    }

    const END: &str = "FINISH driver date 20261122023901 time 720.0\n";

    #[test]
    fn a_good_night_takes_three_sentences() {
        assert_eq!(
            words(&format!("{HEAD}{}{}{END}", dumped("/a"), dumped("/b")), &[Some("c-05")]),
            "All 2 disks were backed up in 12 minutes; 3.1 GB went to c-04.\nNothing is wrong.\nFor the next run put in c-05."
        );
    }

    #[test]
    fn what_went_wrong_comes_first_with_what_to_do() {
        let failed = "FAIL planner h /b 20261122023901 0 \"[Request to h failed: timeout waiting for ACK]\"\n";
        assert_eq!(
            words(&format!("{HEAD}{failed}{}{END}", dumped("/a")), &[None]),
            "1 of 2 disks was NOT backed up.\n  \
               h:/b: the machine did not answer (Request to h failed: timeout waiting for ACK).\n    \
                 What to do: see that it is switched on and on the network, then `asyncamanda-shim check HOST`; the next run tries again.\n\
             1 disk was backed up in 12 minutes; 1.5 GB went to c-04.\nFor the next run put in a new volume."
        );
    }

    #[test]
    fn a_missing_volume_is_told_in_words() {
        let log = format!(
            "{HEAD}ERROR taper no-tape error \"[No acceptable volumes found]\"\nWARNING taper Label 'c-04' not found\n\
             FAIL driver h /a 20261122023901 0 [can't dump in degraded mode]\nFAIL driver h /b 20261122023901 0 [can't dump in degraded mode]\n{END}"
        );
        let words = words(&log, &[]);
        for part in [
            "NOTHING was backed up: none of 2 disks.",
            "h:/a, h:/b: there was no volume to write to",
            "NO VOLUME could be written to.",
            "  The volume whose turn it is is in no slot (Label 'c-04' not found).\n    What to do: put it in.",
        ] {
            assert!(words.contains(part), "{part}\n{words}");
        }
        assert!(!words.contains("Nothing is wrong"), "{words}");
    }

    #[test]
    fn a_run_that_was_killed_is_said_to_be_one() {
        assert!(words(HEAD, &[]).starts_with("The run did not come to its end"));
    }

    #[test]
    fn real_nights_are_told_in_words() {
        for (log, told) in [
            (
                include_str!("../../tests/fixtures/logs/log.no-volume"),
                "NO VOLUME could be written to.\n  The volume whose turn it is is in no slot (Label 'fx1-001' not found).\n    What to do: put it in.\n\
                 All 2 disks were backed up in 7 seconds, to the holding disk.",
            ),
            (
                include_str!("../../tests/fixtures/logs/log.runtapes"),
                "Not all dumps went to a volume.\n  \
                 A run may not write more volumes than that (1 tapes filled; runtapes=1 does not allow additional tapes).\n    \
                 What to do: raise `runtapes` in amanda.conf, or let the next run write the rest.\n\
                 All 2 disks were backed up in 6 seconds, 1 of them to the holding disk; 2.9 MB went to fx1-001.",
            ),
            (
                include_str!("../../tests/fixtures/logs/log.autoflush"),
                "All 2 disks were backed up in 6 seconds; 5.2 MB went to fx1-001.\n2 earlier dumps were put on volumes, too.\nNothing is wrong.",
            ),
            (
                include_str!("../../tests/fixtures/logs/log.split"),
                "All 2 disks were backed up in 5 seconds; 4.0 MB went to fx1-001 and fx1-002.\nNothing is wrong.",
            ),
        ] {
            assert_eq!(words(log, &[]), told);
        }
    }

    #[test]
    fn sizes_and_times_are_round() {
        for (kb, shown) in [(0, "0 bytes"), (1, "1 kB"), (3_027_344, "3.1 GB"), (500_000, "512 MB")] {
            assert_eq!(size(kb), shown);
        }
        for (secs, shown) in [(1.0, "1 second"), (89.0, "89 seconds"), (720.0, "12 minutes"), (7260.0, "2 hours 1 minute")] {
            assert_eq!(duration(secs), shown);
        }
    }
}
