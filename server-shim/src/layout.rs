//! Where everything lies below the two directories of shim.toml, and who writes it.
//!
//! ```text
//! STATE/queue/            the shim's account: tickets, HOST@ID.json; set-gid to the dump user's group, who may remove them
//!     .check-HOST@ID.json  requests of laptops to be checked, answered like tickets
//!     .restore-HOST@ID.json  requests of sessions for a reader of dumps
//! STATE/runner/           the dump user's; set-gid to the shim's group, who may read
//!     runs/ID.json        runs that have not been settled
//!     runs/ID.out         what their programs print
//!     runs/ID.progress, ID.brought   the embedded engine: how far it is, what a run brought
//!     results/HOST@ID.json  receipts of settled tickets, kept for a week; +ID.json for orders
//!     latest/HOST.json    the last receipts of each host
//!     retries/HOST@ID.json  what is known of a ticket whose run was cut off
//!     orders/ID.json      what an administrator asked for (the nightly run, a flush)
//!     verified/CONFIG.json  when its dumps were last read back
//!     standing.json       what goes on now
//!     runner.log          the runner's own words
//!     restores.log        what was read of which dumps, by whose key; restores.log.1 is the one before it
//! RUNTIME/locks/          the dump user's: runner, runs, tape, readers
//! RUNTIME/hosts/          the shim's account's; set-gid to the dump user's group, who may connect
//!     HOST/mux            the control socket of the host's newest session
//!     HOST/reader.ID      a session's socket for its reader of dumps
//! ```

use std::path::{Path, PathBuf};

use wire::{ConfigName, HostName};

use crate::queue::ticket::{Ticket, TicketId};

/// What the name of a request for a check begins with.
pub const CHECK: &str = ".check-";

/// What the name of a request for a reader of dumps begins with.
pub const RESTORE: &str = ".restore-";

/// The paths of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    state: PathBuf,
    runtime: PathBuf,
}

impl Layout {
    /// Takes `state` and `runtime` as shim.toml has them.
    pub fn new(state: &Path, runtime: &Path) -> Self {
        Self { state: state.to_owned(), runtime: runtime.to_owned() }
    }
    /// Tickets.
    pub fn queue(&self) -> PathBuf {
        self.state.join("queue")
    }
    /// The runner's own directory.
    pub fn runner(&self) -> PathBuf {
        self.state.join("runner")
    }
    /// Records of runs that have not been settled.
    pub fn runs(&self) -> PathBuf {
        self.runner().join("runs")
    }
    /// What a run's programs print.
    pub fn run_words(&self, run: &str) -> PathBuf {
        self.runs().join(format!("{run}.out"))
    }
    /// How far the embedded engine is with a run.
    pub fn run_progress(&self, run: &str) -> PathBuf {
        self.runs().join(format!("{run}.progress"))
    }
    /// What the embedded engine brought: written when a run is over.
    pub fn run_brought(&self, run: &str) -> PathBuf {
        self.runs().join(format!("{run}.brought"))
    }
    /// One laptop's request to be checked, hidden beside the tickets: the queue passes it over.
    pub fn check_request(&self, ticket: &Ticket) -> PathBuf {
        self.queue().join(format!("{CHECK}{}", ticket.file_name()))
    }
    /// One session's request for a reader, likewise.
    pub fn restore_request(&self, ticket: &Ticket) -> PathBuf {
        self.queue().join(format!("{RESTORE}{}", ticket.file_name()))
    }
    /// What was read of dumps.
    pub fn restores_log(&self) -> PathBuf {
        self.runner().join("restores.log")
    }
    /// Held while Amanda's own program reads the volumes of a config for a restore.
    pub fn fetch_lock(&self, config: &str) -> PathBuf {
        self.locks().join(format!("fetch.{config}.lock"))
    }
    /// A place for one reader of a host; of all hosts when the name is empty.
    pub fn reader_lock(&self, host: &str, number: u32) -> PathBuf {
        self.locks().join(format!("reader.{host}.{number}.lock"))
    }
    /// Receipts by ticket.
    pub fn results(&self) -> PathBuf {
        self.runner().join("results")
    }
    /// The receipts of one ticket.
    pub fn result(&self, ticket: &Ticket) -> PathBuf {
        self.results().join(ticket.file_name())
    }
    /// The answer to one order; no host has a name with a plus.
    pub fn order_result(&self, order: &TicketId) -> PathBuf {
        self.results().join(format!("+{}.json", order.as_str()))
    }
    /// The last receipts by host.
    pub fn latest(&self) -> PathBuf {
        self.runner().join("latest")
    }
    /// The last receipts of one host.
    pub fn latest_of(&self, host: &HostName) -> PathBuf {
        self.latest().join(format!("{host}.json"))
    }
    /// Held for one change of the last receipts.
    pub fn latest_lock(&self) -> PathBuf {
        self.latest().join(".lock")
    }
    /// When the dumps of a config were last read back.
    pub fn verified_of(&self, config: &ConfigName) -> PathBuf {
        self.runner().join("verified").join(format!("{config}.json"))
    }
    /// Held for one change of that.
    pub fn verified_lock(&self) -> PathBuf {
        self.runner().join("verified").join(".lock")
    }
    /// What an administrator asked for.
    pub fn orders(&self) -> PathBuf {
        self.runner().join("orders")
    }
    /// Tickets whose run was cut off.
    pub fn retries(&self) -> PathBuf {
        self.runner().join("retries")
    }
    /// What is known of one ticket whose run was cut off.
    pub fn retry(&self, ticket: &Ticket) -> PathBuf {
        self.retries().join(ticket.file_name())
    }
    /// What goes on now.
    pub fn standing(&self) -> PathBuf {
        self.runner().join("standing.json")
    }
    /// The runner's own words.
    pub fn runner_log(&self) -> PathBuf {
        self.runner().join("runner.log")
    }
    /// Locks.
    pub fn locks(&self) -> PathBuf {
        self.runtime.join("locks")
    }
    /// Hosts that are connected.
    pub fn hosts(&self) -> PathBuf {
        self.runtime.join("hosts")
    }
    /// The control socket through which Amanda reaches a host.
    pub fn mux(&self, host: &HostName) -> PathBuf {
        self.hosts().join(host.as_str()).join("mux")
    }
    /// The lock of the one runner.
    pub fn runner_lock(&self) -> PathBuf {
        self.locks().join("runner.lock")
    }
    /// The lock of one run of a config.
    pub fn run_lock(&self, config: &str, slot: u32) -> PathBuf {
        self.locks().join(format!("run.{config}.{slot}.lock"))
    }
    /// The lock of the tapes that a config feeds.
    pub fn tape_lock(&self, config: &str) -> PathBuf {
        self.locks().join(format!("tape.{config}.lock"))
    }
    /// Held by a shim while it writes into the queue.
    pub fn queue_lock(&self) -> PathBuf {
        self.queue().join(".queue.lock")
    }
    /// Held by the one shim that opens the door to the runner.
    pub fn door_lock(&self) -> PathBuf {
        self.queue().join(".door.lock")
    }
    /// The directories that the runner makes for itself.
    pub fn runner_directories(&self) -> [PathBuf; 5] {
        [self.runs(), self.results(), self.retries(), self.latest(), self.orders()]
    }
}
