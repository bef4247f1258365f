//! The header in front of a dump: the first 32 KiB of a holding file, of its continuations, and of every file on a
//! volume; and the other blocks of that form, a volume's label and end (common-src/fileheader.c).
//!
//! It is text, filled up with zeros. What it says about programs (`program`, `client_custom_compress`, the command line
//! to restore with) came from a client and is a claim: it is kept for people to read and never chooses a program. A
//! restore decodes by the server's own dumptype. Amanda's own programs do believe it, so what we print has to be true.
//!
//! [`Header::parse`] passes over what it does not know; [`Header::print`] writes, byte for byte, what
//! Amanda's `build_header` does.

mod compression;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::ffi::OsString;

use crate::crc::Crc;
use crate::dle::Dle;

pub use self::compression::Compression;
pub use self::write::PrintError;

/// The length of a header in bytes; the dump follows. (A device may be configured to have longer ones.)
pub const HEADER_BYTES: usize = 32 * 1024;

/// Why a header cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// It does not begin with `AMANDA:`.
    #[error("this is no header of Amanda's")]
    NotAmanda,
    /// It is one that no dump follows, or no kind that Amanda has.
    #[error("no dump follows a header of the kind {0:?}")]
    Kind(String),
    /// Its first line is cut or wrong.
    #[error("the header's first line has no {0}")]
    Field(&'static str),
}

/// A block of 32 KiB: the beginning of every file that Amanda writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A volume's label, `TAPESTART`.
    Start(Start),
    /// A dump follows.
    Dump(Box<Header>),
    /// The end of a tape, `TAPEEND`. Directories have none.
    End {
        /// The run's datestamp.
        datestamp: String,
    },
    /// Nothing, `NOOP`.
    Noop,
}

/// A volume's label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// When the volume was begun; `X` when it was labelled and never written.
    pub datestamp: String,
    /// The label.
    pub label: String,
}

/// What follows a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A dump, or the first chunk of one.
    File,
    /// A later chunk of a dump in a holding disk.
    Continuation,
    /// A part of a dump on a volume.
    Part {
        /// Counted from 1.
        number: u32,
        /// -1 when it was not known: Amanda 3.5.1 always writes that.
        of: i32,
    },
}

/// The programs that the first line names. Claims of a client, as bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Programs {
    /// What made the dump: `/bin/tar`, `APPLICATION`. Empty in a header of a very old Amanda.
    pub program: Vec<u8>,
    /// The suffix that names the encryption.
    pub crypt: Option<Vec<u8>>,
    /// The program that the server compressed with.
    pub server_compress: Option<Vec<u8>>,
    /// The program that the client compressed with.
    pub client_compress: Option<Vec<u8>>,
    /// The program that the server encrypted with.
    pub server_encrypt: Option<Vec<u8>>,
    /// The program that the client encrypted with.
    pub client_encrypt: Option<Vec<u8>>,
    /// The option that makes the server's program decrypt.
    pub server_decrypt_option: Option<Vec<u8>>,
    /// The option that makes the client's program decrypt.
    pub client_decrypt_option: Option<Vec<u8>>,
}

/// The commands of the line that restores the dump by hand, without the bars between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restore {
    /// What decrypts.
    pub decrypt: Option<Vec<u8>>,
    /// What uncompresses: `/bin/gzip -dc`.
    pub uncompress: Option<Vec<u8>>,
    /// What unpacks: `/bin/tar -xpGf - ...`.
    pub recover: Vec<u8>,
}

/// A dump's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What follows.
    pub kind: Kind,
    /// The run's datestamp.
    pub datestamp: String,
    /// Whose dump.
    pub dle: Dle,
    /// The level.
    pub level: u8,
    /// The suffix that names the compression (`.gz`, `cust`), made printable; `None` for a plain dump.
    pub compression: Option<String>,
    /// The programs that the first line names.
    pub programs: Programs,
    /// The application that made the dump.
    pub application: Option<Vec<u8>>,
    /// The dump is known not to be whole.
    pub partial: bool,
    /// Size before compression in KiB, as the client said.
    pub orig_kb: Option<u64>,
    /// What the client's backup program wrote, by the client's count. Checksums are filled in when the dump has ended.
    pub native: Option<Crc>,
    /// What the client sent, by its count.
    pub client: Option<Crc>,
    /// What the server wrote, by its count.
    pub server: Option<Crc>,
    /// The next chunk's path. It says where the chunk was, so a moved holding disk is searched by name.
    pub continued_in: Option<OsString>,
    /// The `<dle>` that the server asked the client for; XML.
    pub dle_xml: Option<Vec<u8>>,
    /// The length of the header that `dd` has to skip, in KiB: 32 on a volume and in later chunks. Amanda leaves it out
    /// when it completes a first chunk's header, and in the copy that it keeps beside the index.
    pub block_kb: Option<u32>,
    /// How the dump is restored by hand.
    pub restore: Restore,
}

impl Header {
    /// Returns the header of a dump of GNU tar's that nothing compressed, as it stands in a holding disk.
    #[must_use]
    pub fn new(dle: Dle, datestamp: impl Into<String>, level: u8) -> Self {
        Self {
            kind: Kind::File,
            datestamp: datestamp.into(),
            dle,
            level,
            compression: None,
            programs: Programs { program: b"/bin/tar".to_vec(), ..Programs::default() },
            application: None,
            partial: false,
            orig_kb: None,
            native: None,
            client: None,
            server: None,
            continued_in: None,
            dle_xml: None,
            block_kb: None,
            restore: Restore { recover: b"/bin/tar -xpGf - ...".to_vec(), ..Restore::default() },
        }
    }

    /// Returns the header of a part of this dump on a volume, counted from 1.
    #[must_use]
    pub fn as_part(&self, number: u32) -> Self {
        Self { kind: Kind::Part { number, of: -1 }, continued_in: None, block_kb: Some(32), ..self.clone() }
    }

    /// Returns the header as it stands beside the index, where Amanda looks for it when it restores.
    #[must_use]
    pub fn beside_index(&self) -> Self {
        Self { kind: Kind::File, continued_in: None, block_kb: None, ..self.clone() }
    }

    /// Returns the header of a later chunk of this dump in a holding disk. Amanda leaves out there what is known only
    /// when the dump has ended.
    #[must_use]
    pub fn as_continuation(&self) -> Self {
        Self {
            kind: Kind::Continuation,
            continued_in: None,
            orig_kb: None,
            native: None,
            client: None,
            server: None,
            block_kb: Some(32),
            ..self.clone()
        }
    }
}
