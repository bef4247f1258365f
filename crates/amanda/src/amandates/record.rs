//! One more dump in the file (client-src/amandates.c).

use std::collections::BTreeMap;

use super::scan;
use crate::quoting;

/// Returns the text of the file with one more dump in it: this disk, this level, started then.
///
/// As Amanda does it, the lines stand in the order of their names and levels, each level of a disk once, and a date
/// that is older than the one that is there changes nothing. Higher levels stay when a lower one is recorded: a
/// reader asks for the newest date below its level, and dates that are older than the lower level's do no harm.
/// Lines that say nothing and dates of zero are left out, as Amanda leaves them out.
#[must_use]
pub fn record(text: &[u8], disk: &[u8], level: u8, epoch: i64) -> Vec<u8> {
    let mut dates: BTreeMap<(Vec<u8>, u8), i64> = BTreeMap::new();
    let mut enter = |name: &[u8], level: u8, epoch: i64| {
        let newest = dates.entry((name.to_vec(), level)).or_insert(epoch);
        *newest = epoch.max(*newest);
    };
    scan(text, &mut enter).expect("memory has no read errors");
    enter(disk, level, epoch);
    let mut printed = Vec::with_capacity(text.len() + 64);
    for ((name, level), epoch) in dates.into_iter().filter(|(_, epoch)| *epoch != 0) {
        printed.extend(quoting::quote(&name));
        printed.extend(format!(" {level} {epoch}\n").into_bytes());
    }
    printed
}
