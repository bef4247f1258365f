//! What goes on now, as the runner publishes it: one file, written anew at every change, read by sessions and by status.

use std::io;

use serde::{Deserialize, Serialize};
use wire::HostName;
use wire::message::{DiskProgress, Progress};

use crate::durable;
use crate::layout::Layout;
use crate::processes::Identity;
use crate::queue::order::Kind;
use crate::queue::ticket::TicketId;

/// `standing.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The runs that go on, ours and others'.
    pub runs: Vec<LiveRun>,
    /// What each waiting ticket waits for, in words.
    pub waits: Vec<(TicketId, String)>,
    /// Files in the queue that are no tickets, with the reason.
    pub strange: Vec<(String, String)>,
}

/// A run that goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveRun {
    /// Its name.
    pub run: String,
    /// What it is for.
    pub kind: Kind,
    /// Its config; for one that somebody else started, as it was typed.
    pub config: String,
    /// Its hosts; empty when they are not known.
    pub hosts: Vec<HostName>,
    /// The tickets it answers.
    pub tickets: Vec<TicketId>,
    /// Its amdump.
    pub leader: Option<Identity>,
    /// Seconds since the epoch.
    pub since: i64,
    /// "starting", "estimating", "dumping", "writing", "finishing".
    pub phase: String,
    /// By host, how far its disks are.
    pub disks: Vec<(HostName, DiskProgress)>,
}

impl LiveRun {
    /// Returns how far the run is, in percent of the estimated bytes; none before there is an estimate.
    pub fn percent(&self) -> Option<u8> {
        let estimate: u64 = self.disks.iter().map(|(_, disk)| disk.estimate).sum();
        if estimate == 0 {
            return None;
        }
        let part = |disk: &DiskProgress| if disk.state == "done" { disk.estimate } else { disk.bytes.min(disk.estimate) };
        let done: u64 = self.disks.iter().map(|(_, disk)| part(disk)).sum();
        u8::try_from(done.saturating_mul(100) / estimate).ok()
    }

    /// Returns what concerns one host, as its agent is told.
    pub fn progress_of(&self, host: &HostName) -> Progress {
        let disks = self.disks.iter().filter(|(other, _)| other == host).map(|(_, disk)| disk.clone()).collect();
        Progress { run: self.run.clone(), phase: self.phase.clone(), disks }
    }
}

impl Standing {
    /// Reads it; nothing goes on when there is no file.
    pub fn load(layout: &Layout) -> io::Result<Self> {
        Ok(durable::read_json(&layout.standing())?.unwrap_or_default())
    }

    /// Finds the run that answers a ticket.
    pub fn run_of(&self, ticket: &TicketId) -> Option<&LiveRun> {
        self.runs.iter().find(|run| run.tickets.contains(ticket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::DiskName;

    #[test]
    fn percent_counts_bytes_of_the_estimate() {
        let disk = |state: &str, bytes, estimate| {
            let disk = DiskProgress { disk: DiskName::new("/x").expect("name"), state: state.to_owned(), level: None, bytes, estimate };
            ("a".parse().expect("name"), disk)
        };
        let run = |disks| LiveRun {
            run: "1".to_owned(),
            kind: Kind::Nightly,
            config: "daily".to_owned(),
            hosts: vec![],
            tickets: vec![],
            leader: None,
            since: 0,
            phase: "dumping".to_owned(),
            disks,
        };
        assert_eq!(run(vec![]).percent(), None);
        assert_eq!(run(vec![disk("dumping", 50, 100), disk("waiting", 0, 100)]).percent(), Some(25));
        assert_eq!(run(vec![disk("dumping", 500, 100)]).percent(), Some(100), "larger than estimated");
        assert_eq!(run(vec![disk("done", 3, 100)]).percent(), Some(100), "smaller than estimated");
    }
}
