//! Why something was not put where it belongs.

use std::io;

use amanda::escape::printable;
use rustix::io::Errno;

use super::name::Fault;

/// Why a member was not put.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// Its name is none that may be written.
    #[error(transparent)]
    Name(#[from] Fault),
    /// On its way there is a symbolic link.
    #[error("{} is a symbolic link, and a restore follows none below its directory", printable(at))]
    Symlink {
        /// The link, below the target.
        at: Vec<u8>,
    },
    /// On its way there is something else than a directory.
    #[error("{} is there and is no directory", printable(at))]
    NoDirectory {
        /// What, below the target.
        at: Vec<u8>,
    },
    /// A directory has its name.
    #[error("a directory has its name, and a restore removes no directory")]
    Directory,
    /// The other name of a hard link is nothing that this restore has made.
    #[error("it is another name of {}, which this restore has not made", printable(at))]
    NotMade {
        /// The other name, below the target.
        at: Vec<u8>,
    },
    /// Its content ended too early, or is not what the archive announced.
    #[error("its content is not complete: {0}")]
    Body(#[source] io::Error),
    /// There is no room for it.
    #[error("there is no room for it: {0}")]
    Full(#[source] io::Error),
    /// The system says no.
    #[error("{what}: {source}")]
    System {
        /// What was tried: "cannot be created".
        what: &'static str,
        /// What it says.
        source: io::Error,
    },
}

impl PutError {
    /// Says whether nothing that comes after will fare better: the disk is full.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// Says whether `--overwrite` would change it.
    pub fn is_in_the_way(&self) -> bool {
        matches!(self, Self::NoDirectory { .. })
    }

    /// Makes an error of what the system says.
    pub(super) fn of(what: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| match errno {
            Errno::NOSPC | Errno::DQUOT => Self::Full(errno.into()),
            _ => Self::System { what, source: errno.into() },
        }
    }
}
