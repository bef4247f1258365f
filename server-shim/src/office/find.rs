//! Where the dumps are: the rows of `amadmin CONFIG find`, from the same files (server-src/find.c).
//!
//! The list of volumes names datestamps; the logs of those say which parts are on which volume. A part counts when its volume was begun
//! in the same log, and is listed once the log has a last word on its dump. What failed before it came to a volume is listed, too.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;

use amanda::admin::{Found, Place as Where};
use amanda::dle::Dle;
use amanda::escape::printable;
use amanda::quoting::quote;
use amanda::run_log::said::{Program, Said, Verdict, Word, Written, said};
use amanda::run_log::write::file_name;
use serde_json::json;
use wire::Exit;

use super::held;
use super::place::Place;
use super::report::text::{lines, table};
use crate::engine::Trouble;
use crate::engine::embedded::catalog::LONGEST_LOG;
use crate::engine::embedded::files;
use crate::engine::embedded::site::failed;
use crate::report::Words;

/// Lists the dumps of a config.
///
/// # Errors
/// When its files cannot be read.
pub fn rows(place: &Place) -> Result<Vec<Found>, Trouble> {
    let tapelist = place.tapelist()?;
    let mut rows = Vec::new();
    let mut seen = BTreeSet::new();
    for tape in tapelist.tapes() {
        if tape.datestamp == "0" || !seen.insert(&tape.datestamp) {
            continue;
        }
        for number in 0.. {
            let path = place.conf.logdir().join(file_name(&tape.datestamp, number));
            let log = files::read(&path, LONGEST_LOG).map_err(|error| failed("cannot read", &path, &error))?;
            let Some(log) = log else { break };
            rows.extend(of_log(&said(&log), &tape.datestamp, &place.name));
        }
    }
    for disk in place.conf.holdingdisks() {
        let held = held::held(&disk.directory).map_err(|error| failed("cannot list", &disk.directory, &error))?;
        rows.extend(held.iter().map(held::Held::row));
    }
    let storages: Vec<String> = place.conf.settings().list("storage").iter().map(|name| name.to_string_lossy().into_owned()).collect();
    let storages = if storages.is_empty() { vec![place.name.clone()] } else { storages };
    rows.sort_by(|one, other| order(one, other, &storages));
    Ok(rows)
}

/// Amanda's order: host, disk, time, the higher level first, storage, part, label, file.
fn order(one: &Found, other: &Found, storages: &[String]) -> Ordering {
    let key = |row: &Found| {
        let storage = storages.iter().position(|storage| *storage == row.storage).map_or(0, |at| at + 1);
        let (label, file) = match &row.place {
            Where::Holding(path) => (path.as_bytes().to_vec(), 0),
            Where::Volume { label, file } => (label.clone(), *file),
            Where::Nowhere => (Vec::new(), 0),
        };
        (row.dle.clone(), row.datestamp.clone(), std::cmp::Reverse(row.level), storage, row.part, label, file)
    };
    key(one).cmp(&key(other))
}

/// A dump of a log, by its name.
type Key = (Dle, String, u8);

/// What a log says so far.
#[derive(Default)]
struct Reading {
    rows: Vec<Found>,
    /// Volumes that were begun.
    begun: BTreeSet<String>,
    /// Parts of dumps on which there is no last word yet, the last one first.
    open: BTreeMap<Key, Vec<Found>>,
    storage: String,
    pool: String,
}

/// Lists what a log says of volumes with this datestamp.
pub fn of_log(log: &[Said], datestamp: &str, config: &str) -> Vec<Found> {
    let mut reading = Reading::default();
    let mut started = None;
    for said in log {
        match said {
            Said::Start(_, date) => started = Some(date.as_str()),
            Said::Volume { datestamp: date, storage, pool, label } => {
                // From here on it is about volumes of another run.
                if date != datestamp {
                    break;
                }
                started = started.or(Some(date));
                reading.begun.insert(label.clone());
                reading.shelf(storage.as_ref(), pool.as_ref(), config);
            }
            Said::Part(part) if reading.begun.contains(&part.label) && part.file > 0 => reading.part(part, config),
            Said::Verdict(verdict) => {
                let date = verdict.datestamp.as_deref().or(started).unwrap_or(datestamp);
                reading.verdict(verdict, date);
            }
            _ => {}
        }
    }
    reading.rows
}

impl Reading {
    fn shelf(&mut self, storage: Option<&String>, pool: Option<&String>, config: &str) {
        self.storage = storage.map_or_else(|| config.to_owned(), Clone::clone);
        self.pool = pool.unwrap_or(&self.storage).clone();
    }

    fn part(&mut self, part: &Written, config: &str) {
        self.shelf(part.storage.as_ref(), part.pool.as_ref(), config);
        let row = Found {
            dle: part.dle.clone(),
            datestamp: part.datestamp.clone(),
            level: part.level,
            storage: self.storage.clone(),
            pool: self.pool.clone(),
            place: Where::Volume { label: part.label.clone().into_bytes(), file: part.file },
            part: i32::try_from(part.part).unwrap_or(i32::MAX),
            parts: part.parts,
            status: if part.whole { "OK" } else { "PARTIAL" }.to_owned(),
        };
        self.open.entry((part.dle.clone(), part.datestamp.clone(), part.level)).or_default().insert(0, row);
    }

    fn verdict(&mut self, verdict: &Verdict, date: &str) {
        let key = (verdict.dle.clone(), date.to_owned(), verdict.level);
        match (verdict.program, verdict.word) {
            (Program::Taper, Word::Done) => {
                let mut parts = self.open.remove(&key).unwrap_or_default();
                let told = verdict.parts.into_iter().chain(parts.iter().flat_map(|row| [row.part, row.parts]));
                let most = told.max().unwrap_or(-1);
                let missing = parts.iter().fold(most, |left, row| if row.part == left && row.status == "OK" { left - 1 } else { left });
                for row in &mut parts {
                    if row.parts == -1 {
                        row.parts = most;
                    }
                    row.ends(if missing == 0 { "OK" } else { "FAIL" }, if missing == 0 { "" } else { "Missing part" });
                }
                self.rows.extend(parts);
            }
            (Program::Taper, Word::Partial | Word::Fail) => {
                let mut parts = self.open.remove(&key).unwrap_or_default();
                let (word, why) = if verdict.word == Word::Fail { ("FAIL", verdict.raw.as_str()) } else { ("PARTIAL", "") };
                parts.iter_mut().for_each(|row| row.ends(word, why));
                self.rows.extend(parts);
            }
            (program, Word::Fail) => self.rows.push(Found {
                dle: verdict.dle.clone(),
                datestamp: date.to_owned(),
                level: verdict.level,
                storage: self.storage.clone(),
                pool: self.pool.clone(),
                place: Where::Nowhere,
                part: -1,
                parts: -1,
                status: format!("FAILED ({}) {}", program.name(), verdict.raw),
            }),
            _ => {}
        }
    }
}

/// The last word on a dump, for its parts.
trait Ends {
    fn ends(&mut self, word: &str, why: &str);
}

impl Ends for Found {
    fn ends(&mut self, word: &str, why: &str) {
        if self.status != "OK" || word != "OK" {
            let _ = write!(self.status, " {word}");
        }
        if !why.is_empty() {
            let _ = write!(self.status, " {why}");
        }
    }
}

/// Says whether a dump is one of those that were asked for: of this host, and of these disks of it.
pub fn is_wanted(dle: &Dle, only: &[OsString]) -> bool {
    match only {
        [] => true,
        [host] => dle.host.as_bytes() == host.as_bytes(),
        [host, disks @ ..] => dle.host.as_bytes() == host.as_bytes() && disks.contains(&dle.disk),
    }
}

/// `find CONFIG [HOST [DISK…]]`.
///
/// # Errors
/// When the config's files cannot be read.
pub fn command(place: &Place, only: &[OsString], as_json: bool) -> Result<(Exit, String), Words> {
    let mut rows = rows(place)?;
    rows.retain(|row| is_wanted(&row.dle, only));
    if as_json {
        let rows: Vec<_> = rows.iter().map(as_value).collect();
        return Ok((Exit::Done, format!("{}\n", json!(rows))));
    }
    if rows.is_empty() {
        return Ok((Exit::Done, "There is no dump to list.\n".to_owned()));
    }
    let mut shown = table(&["date", "host", "disk", "lv", "storage", "pool", "tape or file", "file", "part", "status"], 3);
    for row in &rows {
        shown.add_row(cells(row));
    }
    let mut text = String::new();
    lines(&shown, &mut text);
    Ok((Exit::Done, text))
}

fn cells(row: &Found) -> [String; 10] {
    let (place, file) = match &row.place {
        Where::Holding(path) => (printable(&quote(path.as_bytes())), 0),
        Where::Volume { label, file } => (printable(&quote(label)), *file),
        Where::Nowhere => (String::new(), 0),
    };
    [
        date(&row.datestamp),
        printable(row.dle.host.as_bytes()),
        printable(&quote(row.dle.disk_bytes())),
        row.level.to_string(),
        row.storage.clone(),
        row.pool.clone(),
        place,
        file.to_string(),
        format!("{}/{}", row.part, row.parts),
        row.status.clone(),
    ]
}

/// A row for a program. Names that are no UTF-8 have their bytes spelled out.
fn as_value(row: &Found) -> serde_json::Value {
    let (label, file, path) = match &row.place {
        Where::Holding(path) => (None, None, Some(path.to_string_lossy().into_owned())),
        Where::Volume { label, file } => (Some(String::from_utf8_lossy(label).into_owned()), Some(*file), None),
        Where::Nowhere => (None, None, None),
    };
    json!({
        "datestamp": row.datestamp, "host": row.dle.host, "disk": row.dle.disk.to_string_lossy(), "level": row.level,
        "storage": row.storage, "pool": row.pool, "label": label, "file": file, "path": path,
        "part": row.part, "parts": row.parts, "status": row.status,
    })
}

/// `2026-11-22 02:38:47`
pub fn date(datestamp: &str) -> String {
    let piece = |range: std::ops::Range<usize>| datestamp.get(range).unwrap_or_default();
    match datestamp.len() {
        14 => format!("{}-{}-{} {}:{}:{}", piece(0..4), piece(4..6), piece(6..8), piece(8..10), piece(10..12), piece(12..14)),
        8 => format!("{}-{}-{}", piece(0..4), piece(4..6), piece(6..8)),
        _ => printable(datestamp.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGUN: &str = "START taper datestamp 20261122023901 ST:s POOL:p label A tape 1\n";

    fn statuses(log: &str) -> Vec<(i32, i32, String)> {
        let rows = of_log(&said(format!("{BEGUN}{log}").as_bytes()), "20261122023901", "c");
        rows.into_iter().map(|row| (row.part, row.parts, row.status)).collect()
    }

    fn part(kind: &str, label: &str, part: u32) -> String {
        format!("{kind} taper ST:s POOL:p {label} {part} h /d 20261122023901 {part}/-1 0 [sec 1.0 bytes 2048 kps 2.0 orig-kb 9]\n")
    }

    #[test]
    fn parts_are_listed_with_the_last_word_on_their_dump() {
        let done = "DONE taper ST:s POOL:p h /d 20261122023901 2 0 1:2 1:2 1:2 [sec 1.0 bytes 4096 kps 2.0 orig-kb 9]\n";
        let failed = "FAIL taper ST:s POOL:p h /d 20261122023901 0 error \"no space\"\n";
        let (one, two) = (part("PART", "A", 1), part("PART", "A", 2));
        let row = |part, parts, status: &str| (part, parts, status.to_owned());
        for (case, log, expected) in [
            ("whole", format!("{one}{two}{done}"), vec![row(2, 2, "OK"), row(1, 2, "OK")]),
            ("a part is missing", format!("{two}{done}"), vec![row(2, 2, "OK FAIL Missing part")]),
            ("failed", format!("{one}{failed}"), vec![row(1, -1, "OK FAIL \"no space\"")]),
            ("no last word", one.clone(), vec![]),
            ("on a volume of another log", format!("{}{done}", part("PART", "B", 1)), vec![]),
            ("never dumped", "FAIL dumper h /d 20261122023901 0 [no]\n".to_owned(), vec![row(-1, -1, "FAILED (dumper) [no]")]),
        ] {
            assert_eq!(statuses(&log), expected, "{case}");
        }
    }

    #[test]
    fn a_log_of_volumes_of_another_run_is_left() {
        let other = "START taper datestamp 20261122023902 ST:s POOL:p label B tape 1\nFAIL dumper h /d 20261122023901 0 [no]\n";
        assert_eq!(statuses(other), []);
    }

    #[test]
    fn dates_are_written_as_people_write_them() {
        assert_eq!(date("20261122023901"), "2026-11-22 02:39:01");
        assert_eq!(date("20261122"), "2026-11-22");
    }

    #[test]
    fn hosts_and_disks_are_chosen_by_their_names() {
        let dle = Dle::new("h", "/d");
        for (only, expected) in [(&[][..], true), (&["h"], true), (&["x"], false), (&["h", "/e", "/d"], true), (&["h", "/e"], false)] {
            let only: Vec<OsString> = only.iter().map(Into::into).collect();
            assert_eq!(is_wanted(&dle, &only), expected, "{only:?}");
        }
    }
}
