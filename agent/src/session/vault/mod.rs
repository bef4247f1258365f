//! A local vault for a server: the same conversation with the caller, and no server, no ssh and no second program.
//!
//! [`standing`] decides what may be done at the path, `queue` whose turn it is, `call` holds the conversation, `link` leads
//! the engine to this laptop's client, `follow` hears how it goes; `reader` has the dumps for a restore. The engine is the library of asyncamanda-shim; a build without the
//! feature `embedded` has none of it, and refuses a directory as a destination when it reads its configuration.

#[cfg(feature = "embedded")]
mod call;
#[cfg(feature = "embedded")]
mod follow;
#[cfg(feature = "embedded")]
mod link;
#[cfg(feature = "embedded")]
mod look;
#[cfg(feature = "embedded")]
mod queue;
#[cfg(feature = "embedded")]
mod reader;
pub mod standing;

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use nix::errno::Errno;
use wire::{AbortCode, ConfigName, DiskName, Exit, HostName};

#[cfg(feature = "embedded")]
pub use call::call;
#[cfg(feature = "embedded")]
pub use look::{file_of, line_of, look, may_write, restated, room, verified};
#[cfg(feature = "embedded")]
pub use reader::reader;
pub use standing::May;

/// A way to a vault.
#[derive(Debug, Clone)]
pub struct Way {
    /// Its directory.
    pub directory: PathBuf,
    /// This laptop's name in its disklist.
    pub host: HostName,
    /// What tells this laptop from another one of that name; none when nothing does, and nothing is to be written.
    pub machine: Option<String>,
    /// Disks that it may not have yet, with the directory where that is not the name.
    pub disks: Vec<(DiskName, PathBuf)>,
    /// A vault at this path has answered before, and was not removed.
    pub known: bool,
    /// What may be done.
    pub may: May,
}

/// What a vault has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Its name.
    pub name: ConfigName,
    /// Its disks: host, name and directory.
    pub disks: Vec<(String, DiskName, PathBuf)>,
    /// Days for which a dump is kept.
    pub retention_days: Option<u32>,
}

impl Look {
    /// Returns the disks of a host, with their directories.
    pub fn disks_of(&self, host: &HostName) -> impl Iterator<Item = (DiskName, PathBuf)> {
        let ours = self.disks.iter().filter(move |(of, ..)| of == host.as_str());
        ours.map(|(_, disk, device)| (disk.clone(), device.clone()))
    }
}

/// What a vault takes, and what is left for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Its volumes.
    pub volumes: usize,
    /// Bytes that it takes.
    pub used: u64,
    /// Bytes that are free on its file system.
    pub free: u64,
}

/// When a disk's dumps in a vault were last read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBack {
    /// The disk.
    pub disk: DiskName,
    /// Its dumps.
    pub dumps: usize,
    /// Of these, so many were never read back.
    pub never: usize,
    /// So many are damaged.
    pub damaged: usize,
    /// When the one was that was so longest ago, seconds since 1970; none when one never was, or is damaged.
    pub oldest: Option<i64>,
}

/// Why there is no backup into a vault.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// It has answered before, and is not there now.
    #[error("the vault {} is not there", path.display())]
    NotThere {
        /// The path.
        path: PathBuf,
    },
    /// There has never been one.
    #[error("there is no vault at {}", path.display())]
    NoneYet {
        /// The path.
        path: PathBuf,
    },
    /// There is no directory to make one in.
    #[error("a vault cannot be made at {}", path.display())]
    NoParent {
        /// The path.
        path: PathBuf,
        /// The nearest directory above it that is there.
        nearest: PathBuf,
    },
    /// Something else is there.
    #[error("{} is not a vault", path.display())]
    NotAVault {
        /// The path.
        path: PathBuf,
        /// A name in it; none when it is no directory.
        what: Option<String>,
    },
    /// Volumes of a vault, without what says what they are.
    #[error("{} has a vault's volumes in it, and its amanda.conf is gone", path.display())]
    NoConf {
        /// The path.
        path: PathBuf,
    },
    /// It cannot be looked into.
    #[error("{} cannot be looked into", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be written to.
    #[error("the vault {} cannot be written to", path.display())]
    Locked {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The engine says no.
    #[error("{message}")]
    Engine {
        /// The kind of no.
        code: AbortCode,
        /// Its sentence.
        message: String,
        /// Its hint.
        hint: String,
    },
}

impl VaultError {
    /// Returns the exit status that this becomes.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NotThere { .. } => Exit::Later,
            Self::NoneYet { .. } | Self::NoParent { .. } | Self::NoConf { .. } => Exit::Config,
            Self::NotAVault { .. } => Exit::Refused,
            Self::Unreadable { source, .. } | Self::Locked { source, .. } => match source.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Exit::Failed,
                // The drive has been pulled out, or has gone bad.
                ErrorKind::NotFound => Exit::Later,
                _ if source.raw_os_error().is_some_and(|raw| [Errno::EIO, Errno::ENODEV, Errno::ENXIO].contains(&Errno::from_raw(raw))) => {
                    Exit::Later
                }
                _ => Exit::Refused,
            },
            Self::Engine { code, .. } => code.exit(),
        }
    }
}

#[cfg(not(feature = "embedded"))]
mod without {
    //! Stands where the engine would: the configuration has refused every directory before any of this is reached.

    use std::os::unix::net::UnixStream;
    use std::path::{Path, PathBuf};

    use wire::{DiskName, HostName, Receipt};

    use super::{Look, ReadBack, Room, VaultError, Way};
    use crate::session::{Caller, SessionError};

    fn none(directory: &Path) -> VaultError {
        VaultError::Engine {
            code: wire::AbortCode::Config,
            message: format!("this build makes no backups into a directory such as {}", directory.display()),
            hint: String::new(),
        }
    }

    /// Makes no backup.
    pub fn call(way: &Way, _: &mut dyn Caller) -> Result<(), SessionError> {
        Err(none(&way.directory).into())
    }

    /// Knows no vault.
    pub fn look(directory: &Path, _: bool) -> Result<Look, VaultError> {
        Err(none(directory))
    }

    /// Knows no vault.
    pub fn room(directory: &Path) -> Result<Room, VaultError> {
        Err(none(directory))
    }

    /// Knows no vault.
    pub fn may_write(directory: &Path) -> Result<(), VaultError> {
        Err(none(directory))
    }

    /// Knows no vault.
    pub fn restated(directory: &Path, _: &HostName) -> Result<Vec<Receipt>, VaultError> {
        Err(none(directory))
    }

    /// Knows no vault.
    pub fn verified(directory: &Path, _: &HostName) -> Result<Vec<ReadBack>, VaultError> {
        Err(none(directory))
    }

    /// Reads no dump.
    pub fn reader(directory: &Path, _: bool, _: &HostName) -> Result<impl FnOnce(UnixStream) + Send + use<>, VaultError> {
        Err::<fn(UnixStream), _>(none(directory))
    }

    /// Knows no file.
    pub fn file_of(_: &Path, _: &str) -> Option<PathBuf> {
        None
    }

    /// Knows no disk.
    pub fn line_of(_: &Path, _: &HostName, _: &DiskName) -> Option<(PathBuf, usize)> {
        None
    }
}
#[cfg(not(feature = "embedded"))]
pub use without::{call, file_of, line_of, look, may_write, reader, restated, room, verified};
