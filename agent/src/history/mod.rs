//! What is known of every disk: receipts first, amandates as the hint.
//!
//! State belongs to a destination: the [`store`] of one server never speaks for another. A disk for which this
//! destination ever gave a receipt, good or bad, is judged by receipts alone; amandates counts only for a disk without,
//! as the record of a laptop that used the Perl script until today.

pub mod belief;
pub mod store;

use std::path::Path;

use wire::DiskName;

pub use belief::{BeliefError, Beliefs};
pub use store::{Peer, Store, StoreError};

use crate::due::{DiskRecord, Known};

/// The record of all disks, and what was odd on the way.
#[derive(Debug, Default)]
pub struct History {
    /// One record for each disk.
    pub records: Vec<DiskRecord>,
    /// Sentences for people: what could not be read.
    pub warnings: Vec<String>,
}

/// Reads the record of the disks named, or of those with receipts when none is named.
///
/// amandates is opened only for disks without a receipt; that it is not there is no fault, since a laptop that never ran
/// Amanda has none. A vault has no amandates: that file speaks of servers' dumps.
pub fn read(store: &Store, named: &[DiskName], amandates: Option<&Path>) -> Result<History, BeliefError> {
    if named.is_empty() {
        return Ok(of_receipts(store));
    }
    let mut history = History::default();
    for disk in named {
        let known = store.look(disk);
        history.warn(&known);
        history.records.push(DiskRecord { disk: disk.clone(), known });
    }
    let unknown: Vec<DiskName> =
        history.records.iter().filter(|record| record.known == Known::Nothing).map(|record| record.disk.clone()).collect();
    let Some(amandates) = amandates.filter(|_| !unknown.is_empty()) else { return Ok(history) };
    let mut beliefs = match belief::of_disks(amandates, &unknown) {
        Err(error) if error.is_missing() => Beliefs::default(),
        other => other?,
    };
    history.warnings.append(&mut beliefs.warnings);
    for record in history.records.iter_mut().filter(|record| record.known == Known::Nothing) {
        if let Some((level, epoch)) = beliefs.newest.get(record.disk.as_bytes()) {
            record.known = Known::Belief { level: *level, epoch: *epoch };
        }
    }
    Ok(history)
}

/// Reads what the receipts of this destination say, and nothing else.
pub fn of_receipts(store: &Store) -> History {
    let mut history = History { records: store.records(), warnings: Vec::new() };
    let knowns: Vec<Known> = history.records.iter().map(|record| record.known.clone()).collect();
    knowns.iter().for_each(|known| history.warn(known));
    history
}

impl History {
    fn warn(&mut self, known: &Known) {
        if let Known::Unreadable { path, problem } = known {
            self.warnings.push(format!("the record {} cannot be read ({problem}); its disk counts as due", path.display()));
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use wire::{Base, Outcome, Receipt};

    /// Returns a receipt as a server would give it.
    pub(crate) fn receipt(disk: &str, outcome: Outcome, started: i64) -> Receipt {
        let full = Base { level: 0, datestamp: "20261122003709".into(), places: vec!["laptops-1:3".into()] };
        Receipt {
            run: format!("run-{started}"),
            host: "laptop1".parse().expect("a host"),
            config: "laptops".parse().expect("a config"),
            disk: DiskName::new(disk).expect("a disk"),
            outcome,
            level: Some(0),
            datestamp: "20261122003709".into(),
            started,
            finished: started.saturating_add(60),
            bytes: Some(1_234_567),
            crc32c: Some("0badcafe".into()),
            sent_crc32c: Some("0badcafe".into()),
            orig_kb: Some(4000),
            reason: String::new(),
            chain: if matches!(outcome, Outcome::Ok | Outcome::Strange) { vec![full] } else { Vec::new() },
        }
    }

    fn disks(names: &[&str]) -> Vec<DiskName> {
        names.iter().map(|name| DiskName::new(*name).expect("a disk")).collect()
    }

    #[test]
    fn a_receipt_good_or_bad_silences_amandates_for_its_disk_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let amandates = dir.path().join("amandates");
        std::fs::write(&amandates, "/home 0 2000\n/etc 1 3000\n").expect("written");
        let store = Store::at(dir.path(), "server");
        store.put(&receipt("/home", Outcome::Failed, 1000), 1500).expect("stored");
        let history = read(&store, &disks(&["/home", "/etc", "/srv"]), Some(&amandates)).expect("readable");
        assert!(matches!(history.records[0].known, Known::Receipts { .. }));
        assert_eq!(history.records[1].known, Known::Belief { level: 1, epoch: 3000 });
        assert_eq!(history.records[2].known, Known::Nothing);
    }

    #[test]
    fn amandates_is_not_opened_when_every_disk_has_a_receipt() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::at(dir.path(), "server");
        store.put(&receipt("/home", Outcome::Ok, 1000), 1500).expect("stored");
        // A directory cannot be read as a file: opening it would be an error.
        assert!(read(&store, &disks(&["/home"]), Some(dir.path())).is_ok());
        assert!(read(&store, &disks(&["/home", "/etc"]), Some(dir.path())).is_err());
        assert!(read(&store, &disks(&["/etc"]), Some(&dir.path().join("none"))).is_ok());
    }

    #[test]
    fn another_destination_knows_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        Store::at(dir.path(), "server").put(&receipt("/home", Outcome::Ok, 1000), 1500).expect("stored");
        assert_eq!(Store::at(dir.path(), "server:22").look(&disks(&["/home"])[0]), Known::Nothing);
    }
}
