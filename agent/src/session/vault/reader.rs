//! The dumps of a vault: the engine's reader at one end of a socket pair, in this process.
//!
//! Whoever may read the vault's files may read the dumps of all its hosts. Nothing is locked: a run that writes meanwhile goes on.

use std::os::unix::net::UnixStream;
use std::path::Path;

use asyncamanda_shim::engine::Trouble;
use asyncamanda_shim::engine::embedded::site::Site;
use asyncamanda_shim::restore::source::Source;
use asyncamanda_shim::restore::{Asked, Embedded, Library, serve};
use wire::HostName;

use super::{VaultError, look};

/// The dumps of everybody in a vault.
struct Whole<'s>(Embedded<&'s Site>);

impl Library for Whole<'_> {
    fn of(&mut self, _: &HostName) -> Result<&mut dyn Source, Trouble> {
        Ok(&mut self.0)
    }

    fn note(&mut self, _: &Asked<'_>, _: &str) {}
}

/// Opens a vault for somebody who asks for its dumps, as `host` when no other one is named. `known`: one has answered at this path before.
///
/// # Errors
/// When it is not there, or cannot be read.
pub fn reader(directory: &Path, known: bool, host: &HostName) -> Result<impl FnOnce(UnixStream) + Send + use<>, VaultError> {
    let (site, host) = (look::open(directory, known)?, host.clone());
    Ok(move |stream: UnixStream| {
        // What breaks off is seen at the other end.
        let _ = serve(&mut Whole(Embedded::new(&site)), &host, &stream, &stream);
    })
}
