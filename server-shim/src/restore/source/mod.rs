//! Where dumps come from: what a catalog lists, and the bytes as they are stored.

pub mod embedded;
pub mod installed;

use std::fs::File;
use std::io::{BufRead, Read};

use amanda::crc::Crc;
use amanda::frames::Parts;
use wire::HostName;
use wire::restore::{Dump, DumpId};

use crate::engine::Trouble;

/// The dumps of a catalog.
pub trait Source {
    /// Lists those of a host, oldest first for each disk.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    fn dumps(&mut self, host: &HostName) -> Result<Vec<Dump>, Trouble>;

    /// Opens a dump's index, lines as [`amanda::index`] has them; `None` when there is none.
    ///
    /// # Errors
    /// When there is no such dump, or the catalog cannot be read.
    fn index(&mut self, dump: &DumpId) -> Result<Option<Box<dyn BufRead>>, Trouble>;

    /// Opens a dump.
    ///
    /// # Errors
    /// When there is no such dump, it cannot be opened, or it is one that nobody can unpack here.
    fn stored(&mut self, dump: &DumpId) -> Result<Stored, Trouble>;
}

/// A dump as it is stored, without Amanda's headers.
pub struct Stored {
    /// Its bytes.
    pub data: Data,
    /// Their checksum and number, when the catalog knows them.
    pub sum: Option<Crc>,
    /// Those of what the client's backup program wrote, as the client has counted it.
    pub native: Option<Crc>,
    /// Their number, about; 0 when it is not known.
    pub bytes: u64,
    /// The server's own configuration says that nothing packs it: for a dump whose first bytes cannot be read.
    pub is_plain: bool,
}

/// The bytes of a dump.
pub enum Data {
    /// Files that can be read anywhere.
    Files(Parts<File>),
    /// What comes, as it comes: from a volume that only a program of Amanda's can read.
    Stream(Box<dyn Read + Send>),
}

/// There is no such dump.
#[must_use]
pub fn no_such_dump(dump: &DumpId) -> Trouble {
    let DumpId { host, disk, datestamp, level } = dump;
    let disk = amanda::escape::printable(disk.as_bytes());
    Trouble::refused(
        format!("there is no dump of level {level} of {disk} on {host} with the datestamp {datestamp}"),
        "list what there is; a dump may have been overwritten meanwhile",
    )
}
