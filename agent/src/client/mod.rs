//! Amanda's client side: what `amandad -auth=ssh` is to a server, in this program and with tar doing the reading.
//!
//! One call of [`serve`] is one Amanda connection: bytes in, bytes out, and nothing of the session that carries them.
//! Several run at once, each in a thread of its own, with blocking reads and writes.
//!
//! ```text
//! connection ─ REQ ─> allow ─> noop | selfcheck | sendsize | sendbackup ─> REP, then the streams
//!                                           tar ─ stdout ─> crc ─> gzip | zstd | program ─> crc ─> DATA
//!                                               ─ stderr ─> classified ─────────────────────────> MESG
//!                                               ─ names ───────────────────────────────────────> INDEX
//! ```
//!
//! The server is not trusted (DESIGN: Decisions, 10): [`allow`] says what it may ask for, and everything else is answered with a
//! sentence that names the line of agent.toml that would allow it. What a dump changes on this side waits in [`state`] for
//! the server's receipt. With [`Kind::Amandad`] the requests pass the same gate and then go to the installed amandad.

pub mod allow;
pub mod amandad;
mod broken;
mod children;
mod connection;
mod estimate;
mod lanes;
mod mounts;
mod patterns;
mod selfcheck;
mod sendbackup;
pub mod state;
mod tar;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use wire::{ConfigName, DiskName, HostName};

pub use broken::{Asked, ServeError, Why};
pub use connection::serve;
use state::State;

/// The way to the server, of one connection.
pub trait Out: Send + Sync {
    /// Sends a frame: its first [`wire::frame::HEADER`] bytes are left free for the frame's header, at most [`wire::frame::MAX_DATA`]
    /// bytes follow. Waits while there is no credit.
    ///
    /// # Errors
    /// When the server has closed the connection.
    fn send(&self, frame: Vec<u8>) -> io::Result<()>;
}

/// Returns the path of the GNU tar that dumps are made with.
///
/// # Errors
/// When the rules allow none, or it is another tar.
pub fn tar(rules: &Rules) -> Result<String, allow::Refusal> {
    let tar = tar::Tar::probe(allow::tar(rules)?).map_err(allow::Refusal::new)?;
    Ok(tar.program().display().to_string())
}

/// Hears what goes on. Called often, from several threads.
pub trait Watch: Send + Sync {
    /// A size is being estimated.
    fn estimating(&self, disk: &DiskName, level: u8);
    /// The estimate has ended, well or not.
    fn estimated(&self, disk: &DiskName);
    /// A dump begins.
    fn dumping(&self, disk: &DiskName, level: u8);
    /// A dump has come this far: bytes out of tar, bytes sent, files.
    fn moved(&self, disk: &DiskName, raw: u64, sent: u64, files: u64);
    /// A dump has ended, as far as this side knows.
    fn ended(&self, disk: &DiskName, how: &str);
    /// A dump goes on, and a person should know this about it.
    fn remarked(&self, what: &str);
    /// The server asked for something that it may not have.
    fn refused(&self, what: &str);
}

/// What a server may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// This laptop's name in the disklist; a server that uses another one is refused.
    pub host: Option<HostName>,
    /// The config that the session is for, to which the incremental state belongs; a server that sizes or dumps for another one is refused.
    pub config: Option<ConfigName>,
    /// The disks served.
    pub disks: Vec<Disk>,
    /// Programs that may be run, by absolute path: the first one called `tar` or `gtar` is the tar, the others are for `client_custom_compress`.
    pub programs: Vec<PathBuf>,
    /// Who answers.
    pub kind: Kind,
}

/// One disk that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its name in the disklist.
    pub name: DiskName,
    /// The directory that is read.
    pub device: PathBuf,
    /// What is left out, whatever the server says: patterns of tar's `--exclude`.
    pub exclude: Vec<String>,
}

/// Who answers a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// This program.
    Native,
    /// The installed amandad.
    Amandad {
        /// `amandad`, by absolute path.
        program: PathBuf,
        /// Where it keeps its lists.
        gnutar_lists: PathBuf,
        /// Its record of dumps.
        amandates: PathBuf,
        /// Whom it runs as, when we are root.
        user: String,
    },
}

/// What all connections of a session share.
pub struct Client {
    /// What the server may ask for.
    pub rules: Rules,
    /// Incremental state of this destination and config.
    pub state: State,
    /// Hears what goes on.
    pub watch: Arc<dyn Watch>,
}
