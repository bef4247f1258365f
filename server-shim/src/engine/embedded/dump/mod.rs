//! One dump: asked for, taken to the holding disk with its index, and proven, up to the rename that makes it a dump.
//!
//! ```text
//!            heard     MESG: what the client says about it
//! receive ── names     INDEX ─> indexdir/HOST/_DISK/STAMP_LEVEL-unsorted.gz.tmp ┐
//!            bytes     DATA ──> holding/STAMP/HOST._DISK.LEVEL.tmp              ┴ draft ── commit: checks, headers, fsync, rename
//! ```
//!
//! A dump that does not end in this rename leaves nothing behind. What its header says follows from the dumptype, never from
//! what the client said.

mod draft;
mod header;
mod heard;
mod receive;
mod sink;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Instant;

use amanda::conf::Dumptype;
use amanda::conf::disklist::Disk;
use amanda::header::Header;
use wire::{ConfigName, HostName, Outcome};

use super::Connection;
use super::dialogue::{self, Asker, Broken, Patience, Unserved, Wish};

pub use draft::StoreError;
pub use heard::Unproven;

/// What is to be dumped, and how.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The host.
    pub host: &'a HostName,
    /// The config, which the client is told.
    pub config: &'a ConfigName,
    /// The disk.
    pub disk: &'a Disk,
    /// How it is dumped.
    pub how: Dumptype<'a>,
    /// At which level.
    pub level: u8,
    /// The run's datestamp.
    pub stamp: &'a str,
    /// How long the client may be silent.
    pub patience: Patience,
}

impl<'a> Ask<'a> {
    pub(super) fn asker(&self) -> Asker {
        Asker { host: self.host.clone(), config: self.config.clone(), stamp: Some(self.stamp.to_owned()) }
    }

    pub(super) fn wish(&self) -> Wish<'a> {
        Wish { disk: self.disk, how: self.how }
    }
}

/// Where a dump goes.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The run's directory on the holding disk: `HOLDING/STAMP`. Who runs has marked it as in use.
    pub holding: &'a Path,
    /// The config's `indexdir`.
    pub indexdir: &'a Path,
    /// The longest file, header included, in bytes (`chunksize`); one file, however long, when there is none.
    pub chunk: Option<u64>,
}

/// A dump that is there and will stay there.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// Its file on the holding disk.
    pub file: PathBuf,
    /// Its header, as it stands in that file.
    pub header: Header,
    /// Its level.
    pub level: u8,
    /// `Ok` or `Strange`, as Amanda's dumper decides.
    pub outcome: Outcome,
    /// Lines that somebody should read, as Amanda logs them, escaped; not more than a log has room for.
    pub strange: Vec<String>,
    /// How long it took, in seconds.
    pub secs: f64,
}

/// Why there is no dump: a sentence for Amanda's log and for the receipt.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct DumpError {
    /// Why.
    #[source]
    pub why: Why,
    /// Lines of the client's that somebody should read, as in [`Made::strange`].
    pub strange: Vec<String>,
}

/// Why there is no dump.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// Its dumptype cannot be served.
    #[error(transparent)]
    Unserved(#[from] Unserved),
    /// The conversation came to nothing.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The client said so, or said what it may not, or did not say what it has to.
    #[error(transparent)]
    Unproven(#[from] Unproven),
    /// It cannot be kept here.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<E: Into<Why>> From<E> for DumpError {
    fn from(why: E) -> Self {
        Self { why: why.into(), strange: Vec::new() }
    }
}

/// Makes a dump over a fresh connection. `moved` hears how many bytes have come in all, some time after each MiB.
///
/// # Errors
/// When there is no dump; nothing is left of it then, but directories for the disk's indexes.
pub fn dump(connection: Connection, ask: &Ask<'_>, place: &Place<'_>, moved: &dyn Fn(u64)) -> Result<Made, DumpError> {
    let begun = Instant::now();
    let dle = header::at_level(ask.wish().dle()?, ask.level);
    let header = header::of(ask, &dle);
    let draft = draft::Draft::begin(place, &header, dle.index)?;
    let receiver = receive::Receiver::new(ask.asker(), dle, ask.patience, draft.files()?);
    let received = dialogue::talk(
        connection,
        &|bytes| {
            moved(bytes);
            draft.write_out(bytes);
        },
        move |peer| receiver.receive(peer),
    );
    let received = received.inspect_err(|_| draft.clear())?;
    let header =
        Header { orig_kb: Some(received.size), native: received.native, client: received.client, server: Some(received.server), ..header };
    let file = draft.commit(&header).map_err(|why| DumpError { why: why.into(), strange: received.strange.clone() })?;
    let outcome = if received.is_strange { Outcome::Strange } else { Outcome::Ok };
    Ok(Made { file, header, level: ask.level, outcome, strange: received.strange, secs: begun.elapsed().as_secs_f64() })
}
