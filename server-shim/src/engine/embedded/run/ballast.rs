//! Room that is given back when there is none left: to erase a volume takes a new label and a new tapelist first.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use crate::engine::embedded::files;
use crate::engine::embedded::site::Site;

/// More than is written before the first dump of a volume is gone.
pub const BYTES: usize = 1024 * 1024;

fn path(site: &Site) -> PathBuf {
    site.own().join("ballast")
}

/// Takes the room, unless it is taken. Without it nothing is wrong until the file system is full to the last byte.
pub fn keep(site: &Site) -> io::Result<()> {
    let path = path(site);
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        other => other?,
    };
    let written = file.write_all(&vec![0x55; BYTES]);
    written.inspect_err(|_| {
        let _ = files::remove(&path);
    })
}

/// Gives the room back.
pub fn drop(site: &Site) -> io::Result<()> {
    files::remove(&path(site))
}
