//! What is remembered of disks' dumps: levels, sizes, dates, rates (the files that `amadmin CONFIG info` reads).

use std::ffi::OsString;
use std::fmt::Write as _;

use amanda::curinfo::{self, FORCE_BUMP, FORCE_FULL, FORCE_LEVEL_1, FORCE_NO_BUMP, Info};
use amanda::dle::Dle;
use amanda::escape::printable;
use serde_json::{Value, json};
use wire::Exit;

use super::find::{date, is_wanted};
use super::place::Place;
use super::plain::size;
use super::report::text::{lines, table};
use crate::engine::Trouble;
use crate::engine::embedded::files;
use crate::engine::embedded::site::failed;
use crate::engine::embedded::stamp;
use crate::report::Words;

/// The longest file that is read, in bytes; Amanda's have a few KiB.
const LONGEST: u64 = 1024 * 1024;

/// So many dumps of a disk are shown.
const SHOWN: usize = 20;

/// Reads what is remembered of a disk; nothing when it was never dumped.
///
/// # Errors
/// When the file cannot be read, or is none of Amanda's.
pub fn info(place: &Place, dle: &Dle) -> Result<Info, Trouble> {
    let path = place.conf.infofile().join(curinfo::path(dle));
    let text = files::read(&path, LONGEST).map_err(|error| failed("cannot read", &path, &error))?;
    let Some(text) = text else { return Ok(Info::default()) };
    Info::parse(&text).map_err(|error| {
        Trouble::config(
            format!("{}: {error}", path.display()),
            "Amanda's planner stops at it, too; move it away: the next dump is a full one",
        )
    })
}

/// `history CONFIG [HOST [DISK…]]`.
///
/// # Errors
/// When the config's files cannot be read, or there is no such disk.
pub fn command(place: &Place, only: &[OsString], as_json: bool) -> Result<(Exit, String), Words> {
    let disks: Vec<&Dle> = place.disks.iter().map(|disk| &disk.dle).filter(|dle| is_wanted(dle, only)).collect();
    if disks.is_empty() && !only.is_empty() {
        return Err(Words::new(Exit::Config, "there is no such disk")
            .because(format!("the disklist of {} has none of that name", place.name))
            .hint("hosts and disks are named as the disklist names them"));
    }
    let infos = disks.into_iter().map(|dle| Ok((dle, info(place, dle)?))).collect::<Result<Vec<_>, Trouble>>()?;
    if as_json {
        let all: Vec<Value> = infos.iter().map(|(dle, info)| as_value(dle, info)).collect();
        return Ok((Exit::Done, format!("{}\n", json!(all))));
    }
    let mut text = String::new();
    infos.iter().for_each(|(dle, info)| of_disk(dle, info, &mut text));
    Ok((Exit::Done, text))
}

/// What the next run is asked to do, in words.
fn asked(info: &Info) -> Vec<&'static str> {
    let orders = [
        (FORCE_FULL, "The next dump is a full one: somebody asked for it, or the last one failed half-way."),
        (FORCE_LEVEL_1, "The next dump is one of level 1: somebody asked for it."),
        (FORCE_BUMP, "The next dump goes to the next level: somebody asked for it."),
        (FORCE_NO_BUMP, "The next dump stays at its level: somebody asked for it."),
    ];
    orders.iter().filter(|(bit, _)| info.command & bit != 0).map(|(_, words)| *words).collect()
}

fn kb(kb: i64) -> u64 {
    u64::try_from(kb).unwrap_or(0)
}

fn of_disk(dle: &Dle, info: &Info, text: &mut String) {
    let _ = writeln!(text, "{dle}");
    for words in asked(info) {
        let _ = writeln!(text, "  {words}");
    }
    if info.stats.is_empty() && info.history.is_empty() {
        text.push_str("  No dump of it is remembered.\n\n");
        return;
    }
    let mut last = table(&["level", "last dump", "volume", "file", "orig-KB", "out-KB", "secs"], 3);
    for (level, stats) in &info.stats {
        let (label, file) = match &stats.place {
            Some(place) => (printable(place.label.as_bytes()), place.file.to_string()),
            None => ("holding disk".to_owned(), "-".to_owned()),
        };
        let numbers = [stats.orig_kb, stats.kb, stats.secs].map(|number| number.to_string());
        let [orig, out, secs] = numbers;
        last.add_row([level.to_string(), date(&stamp::of(stats.date)), label, file, orig, out, secs]);
    }
    lines(&last, text);
    for (what, perf) in [("full", &info.full), ("incremental", &info.incr)] {
        let rates: Vec<String> = perf.rate.iter().map(|rate| format!("{rate:.1}")).collect();
        let shares: Vec<String> = perf.comp.iter().map(|share| format!("{:.1} %", share * 100.0)).collect();
        if !rates.is_empty() || !shares.is_empty() {
            let packed = if shares.is_empty() { String::new() } else { format!("; packed to {}", shares.join(", ")) };
            let _ = writeln!(text, "Last {what} dumps: {} KB/s{packed}", if rates.is_empty() { "?".to_owned() } else { rates.join(", ") });
        }
    }
    if !info.history.is_empty() {
        let mut dumps = table(&["dumped", "level", "size", "before packing", "secs"], 1);
        for dump in info.history.iter().take(SHOWN) {
            let secs = if dump.secs < 0 { "?".to_owned() } else { dump.secs.to_string() };
            dumps.add_row([date(&stamp::of(dump.date)), dump.level.to_string(), size(kb(dump.kb)), size(kb(dump.orig_kb)), secs]);
        }
        lines(&dumps, text);
        let more = info.history.len().saturating_sub(SHOWN);
        if more > 0 {
            let _ = writeln!(text, "and {more} before them");
        }
    }
    text.push('\n');
}

fn as_value(dle: &Dle, info: &Info) -> Value {
    let last = info.stats.iter().map(|(level, stats)| {
        json!({
            "level": level, "orig_kb": stats.orig_kb, "kb": stats.kb, "secs": stats.secs, "date": stats.date,
            "label": stats.place.as_ref().map(|place| &place.label), "file": stats.place.as_ref().map(|place| place.file),
        })
    });
    let history = info
        .history
        .iter()
        .map(|dump| json!({ "level": dump.level, "orig_kb": dump.orig_kb, "kb": dump.kb, "date": dump.date, "secs": dump.secs }));
    json!({
        "host": dle.host, "disk": dle.disk.to_string_lossy(), "command": info.command,
        "last_level": info.last_level, "consecutive_runs": info.consecutive_runs,
        "last": last.collect::<Vec<_>>(), "history": history.collect::<Vec<_>>(),
        "rates": { "full": info.full.rate, "incr": info.incr.rate },
        "packed": { "full": info.full.comp, "incr": info.incr.comp },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use amanda::curinfo::Dumped;

    #[test]
    fn what_is_remembered_is_shown() {
        let mut info = Info::default();
        let dumped = |level, date| Dumped { level, orig_kb: 2048, kb: 1024, date, secs: 2, compressed: true };
        info.dumped(dumped(0, 1_795_460_784));
        info.taped(0, "daily-002", 4);
        info.dumped(dumped(1, 1_795_547_184));
        info.command = FORCE_FULL;
        let mut text = String::new();
        of_disk(&Dle::new("laptop1", "/home\x1b"), &info, &mut text);
        for part in [
            "laptop1:/home\\x1b\n",
            "The next dump is a full one",
            "daily-002",
            "holding disk",
            "Last full dumps: 512.0 KB/s; packed to 50.0 %",
            "1.0 MB",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let value = as_value(&Dle::new("laptop1", "/home"), &info);
        assert_eq!((&value["last"][0]["label"], &value["history"][0]["level"]), (&json!("daily-002"), &json!(1)));
    }

    #[test]
    fn a_disk_that_was_never_dumped_is_said_to_be_one() {
        let mut text = String::new();
        of_disk(&Dle::new("h", "/d"), &Info::default(), &mut text);
        assert!(text.contains("No dump of it is remembered."), "{text}");
    }
}
