//! A small Amanda server in this process, for those who have none: it works on Amanda's own files.
//!
//! A run takes disks, chooses a level for each with a reason, has the host's client dump them, and puts the dumps on volumes:
//!
//! ```text
//! site ── catalog ── plan ── dump ──────────── taper ────────────────── receipts
//! amanda.conf        level   dialogue with the   holding disk -> volume,
//! disklist           and     client; holding     log, tapelist, curinfo
//!                    reason  disk, index
//! ```
//!
//! What is on the volumes and on the holding disk is the truth; log, tapelist and curinfo are made right from it after a crash.
//! Nothing here knows how a client is reached: a [`Link`] is given. The agent gives one into itself, for a local vault; the
//! runner gives one through a laptop's session.

pub mod adopted;
mod bases;
pub mod catalog;
mod damaged;
pub mod dialogue;
pub mod driver;
pub mod dump;
pub mod estimate;
pub(crate) mod files;
pub mod flush;
mod forget;
mod history;
pub mod holding;
pub mod label;
mod latest;
pub(crate) mod locks;
pub(crate) mod logs;
pub mod machine;
pub mod make;
pub mod mend;
pub mod plan;
pub mod planner;
mod receipts;
pub mod restate;
pub mod run;
pub mod selfcheck;
pub mod site;
pub mod stamp;
pub mod taper;
mod verified;
pub mod verify;
pub mod volumes;

use std::io::{self, BufRead, Write};

use wire::{DiskName, HostName, Outcome};

/// A connection to a host's Amanda client: what `ssh HOST amandad -auth=ssh` would be. It is closed when both ends are dropped.
pub struct Connection {
    /// What the client says.
    pub from: Box<dyn BufRead + Send>,
    /// What is said to it. Closed by dropping it.
    pub to: Box<dyn Write + Send>,
}

/// A way to hosts' Amanda clients.
pub trait Link: Sync {
    /// Opens a connection.
    ///
    /// # Errors
    /// When the host is not there now, in words that a report can show.
    fn connect(&self, host: &HostName) -> io::Result<Connection>;

    /// Says, in words, that a host is not there now and that nothing is wrong with that: it calls by itself. A nightly run passes over it.
    fn absent(&self, host: &HostName) -> Option<String> {
        let _ = host;
        None
    }

    /// Says whether a host's client moves its incremental state by itself when its own side of a dump has ended well, as Amanda's does.
    /// When the server does not have that dump, the next one has to be a full one.
    fn moves_by_itself(&self, host: &HostName) -> bool {
        let _ = host;
        false
    }
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Disks that their own hosts asked for. Where volumes go round as Amanda has them the dumps wait on the holding disk for the next
    /// nightly run or flush.
    Laptops,
    /// Every disk that is due, and volumes.
    Nightly,
    /// No dumps: what waits on the holding disk goes to volumes.
    Flush,
}

/// What a run is asked for: disks of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The host.
    pub host: HostName,
    /// Its disks; all that the disklist has for it when none is named.
    pub disks: Vec<DiskName>,
}

/// Hears how a run goes; called from several threads.
pub trait Watch: Sync {
    /// A level was chosen, for a reason; the size as it will be stored in bytes, as [`Watch::moved`] counts, where one is known.
    fn planned(&self, host: &HostName, disk: &DiskName, level: u8, reason: &str, estimate: Option<u64>);
    /// So many bytes of the dump have come.
    fn moved(&self, host: &HostName, disk: &DiskName, bytes: u64);
    /// A disk has had its last word.
    fn ended(&self, host: &HostName, disk: &DiskName, outcome: Outcome);
    /// Something that the administrator should know.
    fn noted(&self, what: &str);
}

/// Hears nothing: for those who look at what there is afterwards.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Watch for Silent {
    fn planned(&self, _: &HostName, _: &DiskName, _: u8, _: &str, _: Option<u64>) {}
    fn moved(&self, _: &HostName, _: &DiskName, _: u64) {}
    fn ended(&self, _: &HostName, _: &DiskName, _: Outcome) {}
    fn noted(&self, _: &str) {}
}
