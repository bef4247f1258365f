//! Asks for what resolving needs to know, level by level.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use wire::restore::{DumpId, PathBytes};

use super::{Failure, Wish, beside};
use crate::depot::{Depot, DepotError};
use crate::resolve::State;
use crate::resolve::path::first_that_fit;
use crate::resolve::plan::{Part, Plan};
use crate::resolve::records::Records;
use crate::resolve::walk::{self, Need, Needs};

/// Resolves what is wished for: which member of which dump goes where.
pub(super) fn plan<R: Read, W: Write>(depot: &mut Depot<R, W>, state: &State, wishes: &[Wish], stop: &AtomicBool) -> Result<Plan, Failure> {
    let mut plan = Plan::default();
    let mut needs = Needs::default();
    let wished: HashSet<&PathBytes> = wishes.iter().map(|wish| &wish.path).collect();
    let mut seen = HashSet::new();
    for wish in wishes {
        // What lies in another wish comes with it.
        if !is_below_one(&wish.path, &wished) && seen.insert(&wish.path) {
            let to = plan.place(wish.at.clone());
            plan.is_everything |= wish.path.as_bytes().is_empty();
            needs.things.push(Need::new(wish.path.clone(), to));
        }
    }
    plan.parts.resize_with(state.chain.len(), Part::default);
    for (level, dump) in state.chain.iter().enumerate().skip(1).rev() {
        if stop.load(Ordering::Relaxed) {
            return Err(Failure::Stopped);
        }
        if needs.is_empty() {
            break;
        }
        let mut records = Records::default();
        ask(depot, dump, &needs, &mut records)?;
        // What is wished for is by its path already.
        if level + 1 < state.chain.len() && needs.follow(&records) {
            ask(depot, dump, &needs, &mut records)?;
        }
        needs.settle(&records);
        if !needs.things.is_empty() && !records.has_root() {
            records.set_beside(beside::files(depot, &state.chain[..=level])?);
        }
        let mut part = std::mem::take(&mut plan.parts[level]);
        let name = name(dump);
        for (path, why) in records.damaged() {
            plan.remarks.push(format!("What {:?} had in it is damaged in {name}: {why}.", String::from_utf8_lossy(path.as_bytes())));
        }
        needs = walk::level(&records, needs, &mut plan, &mut part, &name);
        plan.parts[level] = part;
    }
    if needs.is_open() {
        let wanted = needs.wanted();
        let mut records = Records::default();
        lists(depot, &state.chain[0], &needs.open_question(), false, &mut records, |path| wanted.has(path))?;
        needs.settle(&records);
    }
    let mut part = std::mem::take(&mut plan.parts[0]);
    walk::bottom(needs, &mut plan, &mut part);
    plan.parts[0] = part;
    Ok(plan)
}

/// Asks for the lists of a dump's directories that are needed to go on.
fn ask<R: Read, W: Write>(depot: &mut Depot<R, W>, dump: &DumpId, needs: &Needs, records: &mut Records) -> Result<(), DepotError> {
    let wanted = needs.wanted();
    let (of, deep) = needs.question();
    lists(depot, dump, &of, deep, records, |path| wanted.has(path))
}

/// Asks for lists of directories, and keeps those that are needed. Renames are kept, wherever they stand.
pub(super) fn lists<R: Read, W: Write>(
    depot: &mut Depot<R, W>,
    dump: &DumpId,
    of: &[PathBytes],
    deep: bool,
    records: &mut Records,
    is_needed: impl Fn(&PathBytes) -> bool,
) -> Result<(), DepotError> {
    let add = |records: &mut Records, path: PathBytes, body: &[u8]| {
        let is_needed = is_needed(&path);
        records.add(path, body, is_needed);
    };
    let mut rest = of;
    while !rest.is_empty() {
        let (some, behind) = rest.split_at(first_that_fit(rest.iter()));
        rest = behind;
        depot.directories(dump, some, deep, |path, body| add(records, path, body))?;
    }
    if !records.has_root() {
        // Only some names of the disk are dumped, and renames stand in the first of them, whichever that is.
        match depot.directories(dump, &[PathBytes::default()], true, |path, body| add(records, path, body)) {
            Err(error) if !error.is_no() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn is_below_one(path: &PathBytes, wished: &HashSet<&PathBytes>) -> bool {
    let mut rest = path.as_bytes();
    while let Some((above, _)) = crate::resolve::path::split(rest) {
        if wished.contains(&PathBytes::new(above)) {
            return true;
        }
        rest = above;
    }
    false
}

/// A dump for a sentence.
pub(super) fn name(dump: &DumpId) -> String {
    format!("the dump of level {} of {}", dump.level, dump.datestamp)
}
