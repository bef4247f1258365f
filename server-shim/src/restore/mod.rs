//! The reading half of a restore: answers what a laptop asks of the dumps, and writes nothing.
//!
//! ```text
//! talk ── serve ──┬── names         the index, or the archive itself
//! frames  an ask  ├── directories   GNU tar's dumpdirs
//! of      and its ├── fetch         a dump as it is stored, or
//! wire    limits  └── members, cut  members of it: only the frames that hold them, where there are any
//!                        │
//!                      source       embedded: a config's own files · installed: what Amanda has
//! ```
//!
//! On a server: [`requests`] of sessions, the [`reader`] that is started for each, [`grants`] and `bounded` (whose dumps, of which disks), [`audit`].
//!
//! Whoever asks may be hostile, and so may the dumps be: a [`Library`] says for each ask anew whose dumps may be read, paths and datestamps have a
//! grammar, and memory is taken for no more than a frame or a block. How a dump is packed is found from its first bytes, and it is unpacked here,
//! by libraries ([`packing`]): nothing that a dump says ever names a program.

pub mod audit;
mod bounded;
mod cut;
mod directories;
mod fetch;
pub mod grants;
pub mod leash;
pub mod loose;
mod members;
mod names;
mod pace;
pub mod packing;
pub mod reader;
pub mod reindex;
pub mod requests;
mod runs;
pub mod serve;
pub mod source;
mod talk;
#[cfg(test)]
mod tests;

use std::io;
use std::os::unix::net::UnixStream;

use wire::HostName;

pub use self::serve::{Asked, Library, serve};
use self::source::Source;
pub use self::source::embedded::Embedded;
use crate::engine::Trouble;
use crate::engine::embedded::site::Site;

/// Answers for the dumps of one host in a local vault until the other end of the stream is closed.
///
/// # Errors
/// When the stream breaks, or what comes on it is not understood.
pub fn vault(site: &Site, host: &HostName, stream: &UnixStream) -> io::Result<()> {
    serve(&mut Own { host, source: Embedded::new(site) }, host, stream, stream)
}

/// The dumps of one host, for one who owns them.
struct Own<'a> {
    host: &'a HostName,
    source: Embedded<&'a Site>,
}

impl Library for Own<'_> {
    fn of(&mut self, host: &HostName) -> Result<&mut dyn Source, Trouble> {
        if host == self.host {
            return Ok(&mut self.source);
        }
        Err(Trouble::refused(format!("this vault is read for {}, and not for {host}", self.host), "name that host in agent.toml, or none"))
    }

    fn note(&mut self, _: &Asked<'_>, _: &str) {}
}
