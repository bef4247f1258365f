//! The lines of logs that tell what is on volumes. Pure.

use std::collections::{BTreeMap, BTreeSet};

use amanda::run_log::write::{Dump as Named, Entry, Shelf, Statistics};

use super::Dump;
use crate::engine::embedded::logs::OURS;
use crate::restore::loose::group::Key;

/// Prints the log of the run that wrote to these volumes last.
pub(super) fn log(shelf: Shelf<'_>, date: &str, labels: &BTreeSet<&str>, dumps: &BTreeMap<Key, Dump>) -> Vec<u8> {
    let mut log = Vec::new();
    let pid = std::process::id();
    for entry in [Entry::Pid("amflush", pid), Entry::Info("amflush", OURS), Entry::Start("amflush", date)] {
        entry.print(&mut log);
    }
    // How many parts of each dump are still to come in this log: its last line stands behind all of them.
    let mut left: BTreeMap<&Key, usize> = BTreeMap::new();
    let mut on: BTreeMap<&str, Vec<(u32, &Key, &Dump, u32)>> = BTreeMap::new();
    for (key, dump) in dumps {
        for (part, file) in (1..).zip(&dump.dump.files) {
            let Some((label, number)) = file.on.as_ref().filter(|(label, _)| labels.contains(label.as_str())) else { continue };
            on.entry(label).or_default().push((*number, key, dump, part));
            *left.entry(key).or_default() += 1;
        }
    }
    for (number, label) in (1..).zip(labels) {
        Entry::Volume { datestamp: date, shelf, label, number }.print(&mut log);
        let mut files = on.remove(label).unwrap_or_default();
        files.sort_by_key(|(number, ..)| *number);
        for (number, key, dump, part) in files {
            let named = Named { dle: &key.0, datestamp: &key.1, level: key.2 };
            let bytes = usize::try_from(part - 1).ok().and_then(|at| dump.dump.files.get(at)).map_or(0, |file| file.bytes);
            let statistics = |bytes| Statistics { secs: 0.0, bytes, orig_kb: dump.orig_kb };
            Entry::Part { dump: named, shelf, label, file: number, part, statistics: statistics(bytes) }.print(&mut log);
            let left = left.entry(key).or_default();
            *left = left.saturating_sub(1);
            if *left == 0 {
                let parts = u32::try_from(dump.dump.files.len()).unwrap_or(u32::MAX);
                Entry::Done(named, shelf, parts, dump.sums, statistics(dump.dump.bytes), dump.broken.is_none()).print(&mut log);
            }
        }
    }
    Entry::PidDone("amflush", pid).print(&mut log);
    log
}
