//! `asyncamanda-shim reindex`: the catalog of a config that has lost it, from its volumes alone.
//!
//! ```text
//! place ── loose::scan, group ── look ─────── logs ── history
//! config,   headers of all       names and    lines    what is
//! or a new  files on volumes     checksums    of runs  remembered
//! one       and holding disks      index     tapelist  of disks
//! ```
//!
//! What is there is left as it is: volumes that a log tells of, indexes, histories. So it may be called again, and mends what is half lost.
//! Nothing on a volume is written to.

mod around;
mod history;
mod logs;
mod look;
mod place;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

use amanda::escape::printable;
use amanda::run_log::write::Sums;
use wire::Exit;

use self::place::Place;
use super::loose::group::{Key, LooseDump, group};
use super::loose::scan::Scanned;
use crate::config::Config;
use crate::engine::Trouble;
use crate::report::Words;

/// A dump, and what looking into it told.
#[derive(Debug, Clone)]
struct Dump {
    dump: LooseDump,
    sums: Sums,
    orig_kb: u64,
    /// Why it is not whole, a clause.
    broken: Option<String>,
}

/// Does it, and says what there is now.
///
/// # Errors
/// When there is nothing to make a catalog of, or it cannot be written.
pub fn command(config: &Config, named: &str) -> Result<(Exit, Vec<String>), Words> {
    let (place, mut lines) = place::open(config, named)?;
    let (exit, told) = reindex(&place)?;
    lines.extend(told);
    Ok((exit, lines))
}

fn reindex(place: &Place) -> Result<(Exit, Vec<String>), Trouble> {
    let _alone = place.lock()?;
    let mut scanned = Scanned::default();
    place.scan(&mut scanned)?;
    let mut lines: Vec<String> = scanned.odd.iter().map(|odd| format!("Passed over: {odd}.")).collect();
    if scanned.volumes.is_empty() {
        let volumes = place.changer.directory().display();
        return Err(Trouble::config(
            format!("no volume was found in {volumes}"),
            "the slots belong there as slot1, slot2, …; mount the drive",
        ));
    }
    let volumes = std::mem::take(&mut scanned.volumes);
    let mut dumps: BTreeMap<Key, Dump> = BTreeMap::new();
    for (key, dump) in group(std::mem::take(&mut scanned.files)) {
        let looked = look::look(place, &key, dump)?;
        if let Some(why) = &looked.broken {
            lines.push(format!("Not whole: {} level {} of {}: {why}.", printable(key.0.to_string().as_bytes()), key.2, key.1));
        }
        dumps.insert(key, looked);
    }
    let new = write::catalog(place, &volumes, &dumps)?;
    history::write(place, &dumps)?;
    let whole = dumps.values().filter(|dump| dump.broken.is_none()).count();
    let disks: std::collections::BTreeSet<_> = dumps.keys().map(|key| &key.0).collect();
    lines.push(format!(
        "{} has {} with {} of {}, {whole} of them whole.",
        place.name,
        counted(volumes.len(), "volume"),
        counted(dumps.len(), "dump"),
        counted(disks.len(), "disk")
    ));
    lines.push(match new {
        0 => "Its logs told of all volumes already.".to_owned(),
        new => format!("Logs and tapelist tell of {} again.", counted(new, "volume")),
    });
    let unlisted = disks.iter().filter(|dle| !place.disks.contains(dle)).map(|dle| printable(dle.to_string().as_bytes()));
    let unlisted: Vec<String> = unlisted.collect();
    if !unlisted.is_empty() {
        lines.push(format!("Not in the disklist, so nobody asks for them: {}.", unlisted.join(", ")));
    }
    let exit = if whole == dumps.len() && scanned.odd.is_empty() { Exit::Done } else { Exit::Failed };
    Ok((exit, lines))
}

fn counted(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}
