//! How far a run is: the dumper writes it into a small file for whoever looks, and not more often than anybody could look.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wire::message::DiskProgress;
use wire::{DiskName, HostName, Outcome};

use crate::durable;
use crate::engine::Observation;
use crate::engine::embedded::{Order, Watch};

/// The shortest time between two looks at bytes; what a disk's state is comes at once.
const PACE: Duration = Duration::from_millis(250);

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// "starting", "dumping", "finishing".
    pub phase: String,
    /// By host, how far its disks are.
    pub disks: Vec<(HostName, DiskProgress)>,
}

impl Seen {
    fn of(disks: &BTreeMap<(HostName, DiskName), DiskProgress>) -> Self {
        let any = |state: &str| disks.values().any(|disk| disk.state == state);
        let phase = if any("dumping") || (any("waiting") && (any("done") || any("failed"))) {
            "dumping"
        } else if any("waiting") {
            "starting"
        } else {
            "finishing"
        };
        Self { phase: phase.to_owned(), disks: disks.iter().map(|((host, _), disk)| (host.clone(), disk.clone())).collect() }
    }

    /// Says it as an engine does.
    pub fn into_observation(self) -> Observation {
        let states = |disk: &DiskProgress| disk.state.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let sum = |sum: u64, (_, disk): &(HostName, DiskProgress)| sum.wrapping_mul(31).wrapping_add(disk.bytes).wrapping_add(states(disk));
        Observation { signature: self.disks.iter().fold(1, sum), phase: self.phase, disks: self.disks, broken: None }
    }
}

#[derive(Debug)]
struct State {
    disks: BTreeMap<(HostName, DiskName), DiskProgress>,
    notes: Vec<String>,
    told: Option<Instant>,
}

/// Hears how a run goes and writes the file.
#[derive(Debug)]
pub struct Teller {
    path: PathBuf,
    state: Mutex<State>,
}

impl Teller {
    /// Will write this file.
    pub fn new(path: PathBuf) -> Self {
        Self { path, state: Mutex::new(State { disks: BTreeMap::new(), notes: Vec::new(), told: None }) }
    }

    /// Hears of the disks of the run, of which none has begun.
    pub fn expect(&self, orders: &[Order]) {
        let waiting =
            |disk: &DiskName| DiskProgress { disk: disk.clone(), state: "waiting".to_owned(), level: None, bytes: 0, estimate: 0 };
        let of = |order: &Order| order.disks.iter().map(|disk| ((order.host.clone(), disk.clone()), waiting(disk))).collect::<Vec<_>>();
        self.state.lock().unwrap_or_else(PoisonError::into_inner).disks.extend(orders.iter().flat_map(of));
    }

    /// Returns what the administrator should know.
    pub fn into_notes(self) -> Vec<String> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).notes
    }

    fn change(&self, host: &HostName, disk: &DiskName, at_once: bool, change: impl FnOnce(&mut DiskProgress)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || DiskProgress { disk: disk.clone(), state: "waiting".to_owned(), level: None, bytes: 0, estimate: 0 };
        change(state.disks.entry((host.clone(), disk.clone())).or_insert_with(fresh));
        if at_once || state.told.is_none_or(|told| told.elapsed() >= PACE) {
            state.told = Some(Instant::now());
            // Only information: a full disk must not end a dump to another one.
            let _ = durable::publish_json(&self.path, &Seen::of(&state.disks), 0o640);
        }
    }
}

impl Watch for Teller {
    fn planned(&self, host: &HostName, disk: &DiskName, level: u8, _reason: &str, estimate: Option<u64>) {
        self.change(host, disk, true, |disk| {
            disk.state = "dumping".to_owned();
            disk.level = Some(level);
            disk.estimate = estimate.unwrap_or(0);
        });
    }

    fn moved(&self, host: &HostName, disk: &DiskName, bytes: u64) {
        self.change(host, disk, false, |disk| disk.bytes = bytes);
    }

    fn ended(&self, host: &HostName, disk: &DiskName, outcome: Outcome) {
        let good = matches!(outcome, Outcome::Ok | Outcome::Strange);
        self.change(host, disk, true, |disk| disk.state = if good { "done" } else { "failed" }.to_owned());
    }

    fn noted(&self, what: &str) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).notes.push(what.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_as_it_goes() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("1-1.progress");
        let host: HostName = "a".parse().expect("name");
        let disk = |name: &str| DiskName::new(name).expect("name");
        let teller = Teller::new(path.clone());
        teller.expect(&[Order { host: host.clone(), disks: vec![disk("/home"), disk("/etc")] }]);
        let seen = || durable::read_json::<Seen>(&path).expect("readable").map(Seen::into_observation).unwrap_or_default();
        assert_eq!(seen().phase, "");
        teller.planned(&host, &disk("/home"), 1, "a reason", Some(100));
        let first = seen();
        assert_eq!((first.phase.as_str(), first.disks.len()), ("dumping", 2));
        let home = &first.disks.iter().find(|(_, progress)| progress.disk == disk("/home")).expect("there").1;
        assert_eq!((home.state.as_str(), home.level, home.estimate), ("dumping", Some(1), 100));
        // Within the pace nothing is written for bytes; for a state it is.
        teller.moved(&host, &disk("/home"), 50);
        assert_eq!(seen(), first);
        teller.ended(&host, &disk("/home"), Outcome::Strange);
        assert_ne!(seen().signature, first.signature);
        assert_eq!(seen().phase, "dumping", "the other one still waits");
        teller.planned(&host, &disk("/etc"), 0, "", None);
        teller.ended(&host, &disk("/etc"), Outcome::Failed);
        assert_eq!(seen().phase, "finishing");
        teller.noted("x");
        assert_eq!(teller.into_notes(), ["x"]);
    }
}
