//! `ls`: the dumps of each disk, or what was in a directory.

use std::path::Path;

use restore::job::{self, Entry, ListError};
use restore::resolve::State;
use serde_json::json;
use wire::restore::{Dump, PathBytes};
use wire::{Exit, HostName};

use super::locate;
use super::reach::Reach;
use super::recover::browse::{shown, split};
use super::tasks::Found;
use crate::clock;
use crate::report::{Problem, Voice, dumps, err, out, show};
use crate::restore_time::state_at;
use crate::session::depot::Depot;

/// `ls`.
pub fn run(reach: &Reach, path: Option<&Path>, voice: &Voice) -> Result<Exit, Problem> {
    reach.remarks.iter().for_each(|remark| err(&format!("asyncamanda: {remark}")));
    let worked = reach.with(|depot, host| match path {
        None => all(reach, depot, host, voice),
        Some(path) => one(reach, depot, host, path, voice),
    })?;
    match (worked.value, worked.ended) {
        // Why the connection ended says more than that it did.
        (Err(problem), Some(ended)) if problem.exit == Exit::Later => Err(reach.problem(ended)),
        (value, _) => value,
    }
}

fn listed(depot: &mut Depot, host: &HostName) -> Result<Vec<Dump>, Problem> {
    depot.dumps(Some(host)).map_err(|error| dumps::problem(&error))
}

/// The dumps.
fn all(reach: &Reach, depot: &mut Depot, host: &HostName, voice: &Voice) -> Result<Exit, Problem> {
    let mut list = listed(depot, host)?;
    if let Some(at) = &reach.at {
        list.retain(|dump| dump.time <= at.second || at.datestamp.as_ref() == Some(&dump.id.datestamp));
    }
    if voice.json {
        voice.json(&json!({ "from": reach.called(), "host": host, "dumps": list }));
    } else if list.is_empty() {
        out(&format!("{} has no dumps of {host}{}.", reach.called(), if reach.at.is_some() { " that are that old" } else { "" }));
        if reach.hosts.iter().any(|other| other != host) {
            let others: Vec<&str> = reach.hosts.iter().map(HostName::as_str).collect();
            out(&format!("It has some of {}: --host HOST", others.join(", ")));
        }
    } else {
        out(&dumps::dumps(&list, clock::now()));
    }
    Ok(Exit::Done)
}

/// Finds the disk of a path, and its state at the wanted time.
///
/// # Errors
/// When no disk has it, or there is no such state.
pub fn find(reach: &Reach, list: &[Dump], host: &HostName, path: &Path) -> Result<Found, Problem> {
    let places = locate::places(list, &reach.disks);
    let here = std::env::current_dir().unwrap_or_else(|_| "/".into());
    let located = locate::names(path, &here).iter().find_map(|name| locate::locate(name, &places));
    let located = located.ok_or_else(|| {
        let problem = Problem::new(Exit::Failed, format!("no dump of {host} has {}", shown(path)));
        let disks: Vec<String> = places.iter().map(|place| show(place.disk.as_bytes())).collect();
        match disks.is_empty() {
            true => problem
                .because(format!("{} has no dumps of {host}", reach.called()))
                .hint("asyncamanda ls shows what there is; --host HOST looks for another one's"),
            false => problem
                .because(format!("it lies on none of the disks that have dumps: {}", disks.join(", ")))
                .hint("asyncamanda ls shows what there is"),
        }
    })?;
    let state = state_at(list, host, &located.disk, reach.at.as_ref(), clock::now()).map_err(|error| {
        Problem::new(Exit::Failed, format!("{} cannot be had as it was then", shown(path)))
            .because(show(error.to_string()))
            .hint("asyncamanda ls shows which dumps there are")
    })?;
    Ok(Found { typed: shown(path), located, state })
}

/// What was at a path.
fn one(reach: &Reach, depot: &mut Depot, host: &HostName, path: &Path, voice: &Voice) -> Result<Exit, Problem> {
    let list = listed(depot, host)?;
    let Found { located, state, .. } = find(reach, &list, host, path)?;
    let Some(entries) = at_path(depot, &state, &located.path)? else {
        return Err(Problem::new(Exit::Failed, format!("{} was not there", shown(path)))
            .because(format!("{} as of {} has no such name", show(located.disk.as_bytes()), dumps::state(&state)))
            .hint("another --at may have it; asyncamanda ls shows which dumps there are"));
    };
    if voice.json {
        let entries: Vec<_> = entries.iter().map(|entry| dumps::entry_json(entry, &state)).collect();
        voice.json(&json!({
            "from": reach.called(), "host": host, "disk": located.disk, "path": located.path, "state": dumps::state_json(&state), "entries": entries,
        }));
        return Ok(Exit::Done);
    }
    voice.note(&format!("{} as of {}", show(located.disk.as_bytes()), dumps::state(&state)));
    passed_over(&state, voice);
    let date = |dump: &wire::restore::DumpId| list.iter().find(|known| known.id == *dump).map(|known| known.time);
    dumps::entries(&entries, &state, date).iter().for_each(|line| out(line));
    Ok(Exit::Done)
}

/// Warns of a nearer dump that cannot be restored, and of what is to be said against those that are read.
pub fn passed_over(state: &State, voice: &Voice) {
    if let Some((dump, why)) = &state.passed_over {
        let disk = show(dump.disk.as_bytes());
        voice.warn(&format!("{disk}: the dump of {} cannot be restored, an earlier one is taken: {}", dump.datestamp, show(why)));
    }
    if let Some(doubt) = &state.doubt {
        voice.warn(&format!("{}: not all of it may come back: {}", show(state.last().disk.as_bytes()), show(doubt)));
    }
}

/// Returns what is in a directory, or the one entry that is no directory; nothing when there was neither.
///
/// # Errors
/// When an answer does not come.
pub fn at_path(depot: &mut Depot, state: &State, path: &PathBytes) -> Result<Option<Vec<Entry>>, Problem> {
    let list = |depot: &mut Depot, path: &PathBytes| match job::list(depot, state, path) {
        Ok(entries) => Ok(Some(entries)),
        Err(ListError::NotThere | ListError::NotADirectory) => Ok(None),
        Err(ListError::Depot(error)) => Err(dumps::problem(&error)),
    };
    if let Some(entries) = list(depot, path)? {
        return Ok(Some(entries));
    }
    let (above, name) = split(path);
    let entries = list(depot, &above)?.unwrap_or_default();
    Ok(entries.into_iter().find(|entry| entry.name == name && !entry.is_directory).map(|entry| vec![entry]))
}
