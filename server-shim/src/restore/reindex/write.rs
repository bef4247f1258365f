//! Writes logs, and the tapelist.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use amanda::run_log::contents::contents;
use amanda::run_log::write::{Shelf, file_name};
use amanda::tapelist::{self, Tape, Tapelist};

use super::place::Place;
use super::{Dump, logs};
use crate::engine::Trouble;
use crate::engine::embedded::catalog::LONGEST_LOG;
use crate::engine::embedded::files::{self, Sure};
use crate::engine::embedded::site::failed;
use crate::restore::loose::group::Key;
use crate::restore::loose::scan::LooseVolume;

/// What a label has for a date when its volume was never written, and what the tapelist has then.
const NEVER: (&str, &str) = ("X", "0");

/// Writes the logs of all volumes that none tells of, then the tapelist. Returns how many volumes that were.
pub(super) fn catalog(place: &Place, volumes: &[LooseVolume], dumps: &BTreeMap<Key, Dump>) -> Result<usize, Trouble> {
    let text = files::read(&place.tapelist, tapelist::LONGEST as u64).map_err(|error| failed("cannot read", &place.tapelist, &error))?;
    let mut tapes = Tapelist::parse(&text.unwrap_or_default()).map_err(|error| {
        Trouble::config(format!("{}: {error}", place.tapelist.display()), "correct this line, or take the file away: it is made anew then")
    })?;
    let before = tapes.clone();
    let mut dates: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for volume in volumes.iter().filter(|volume| volume.date != NEVER.0) {
        dates.entry(&volume.date).or_default().insert(&volume.label);
    }
    let shelf = Shelf { storage: &place.storage, pool: &place.pool };
    let mut new = 0;
    for (date, mut labels) in dates {
        let number = told(place, date, &mut labels)?;
        if labels.is_empty() {
            continue;
        }
        new += labels.len();
        let path = place.logdir.join(file_name(date, number));
        files::replace(&path, &logs::log(shelf, date, &labels, dumps), Sure::Durable)
            .map_err(|error| failed("cannot write", &path, &error))?;
    }
    // The youngest stands on top; of one run that wrote to several, most likely the one with the greatest label.
    let mut volumes: Vec<&LooseVolume> = volumes.iter().collect();
    volumes.sort_by_key(|volume| (&volume.date, Reverse(&volume.label)));
    for volume in volumes {
        let date = if volume.date == NEVER.0 { NEVER.1 } else { &volume.date };
        let known = tapes.get(&volume.label);
        if known.is_none_or(|tape| tape.datestamp != date) {
            let made = || Tape {
                pool: Some(place.pool.clone()),
                storage: Some(place.storage.clone()),
                ..Tape::new(date, &volume.label, place.name.as_str())
            };
            let tape = known.cloned().map_or_else(made, |tape| Tape { datestamp: date.to_owned(), ..tape });
            tapes.put(tape);
        }
    }
    if tapes != before {
        let text = tapes.print().map_err(|error| Trouble::config(error.to_string(), "Amanda cannot list a volume with such a label"))?;
        files::replace(&place.tapelist, &text, Sure::Durable).map_err(|error| failed("cannot write", &place.tapelist, &error))?;
        // A process of Amanda's that wrote the list would go by what it remembers while this names it.
        let mut last = place.tapelist.clone().into_os_string();
        last.push(".last_write");
        files::remove(Path::new(&last)).map_err(|error| failed("cannot remove", Path::new(&last), &error))?;
    }
    Ok(new)
}

/// Takes away the volumes that a log of this date tells of, and returns the number of the next log.
fn told(place: &Place, date: &str, labels: &mut BTreeSet<&str>) -> Result<u32, Trouble> {
    let mut number = 0;
    loop {
        let path = place.logdir.join(file_name(date, number));
        let log = files::read(&path, LONGEST_LOG).map_err(|error| failed("cannot read", &path, &error))?;
        let Some(log) = log else { return Ok(number) };
        contents(&log, |label, stamp| {
            if stamp == date {
                labels.remove(label);
            }
            true
        });
        number += 1;
    }
}
