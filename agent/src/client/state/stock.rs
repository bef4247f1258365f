//! The state of an installed Amanda client, which moves by itself: kept before a dump, and put back when the server
//! does not have the dump.
//!
//! A dump at level N changes two things: the list `<gnutar_list_dir>/<host><disk>_<N>` (client-src/sendbackup-gnutar.c) and
//! the line of that disk and level in amandates.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use amanda::quoting::sanitise;
use nix::libc;
use serde::{Deserialize, Serialize};
use wire::DiskName;

use super::amandates::{self, Change};
use super::list::{self, Made};

/// The copy of the list.
pub(super) const COPY: &str = "stock";

/// What was there before the dump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The list of Amanda's that the dump changes.
    pub list: PathBuf,
    /// Whether there was one.
    pub existed: bool,
    /// Amanda's record of dumps.
    pub amandates: PathBuf,
    /// What it said of the disk at that level.
    pub line: Option<i64>,
}

/// Returns the list that Amanda's client writes for a dump of a disk.
pub fn list_of(gnutar_lists: &Path, host: &[u8], disk: &DiskName, level: u8) -> PathBuf {
    gnutar_lists.join(name_of(host, disk, level))
}

/// Returns the name that it has there.
pub(super) fn name_of(host: &[u8], disk: &DiskName, level: u8) -> OsString {
    let mut name = host.to_vec();
    name.extend(sanitise(disk.as_bytes()).as_bytes());
    name.extend(format!("_{level}").into_bytes());
    OsString::from_vec(name)
}

/// Returns the list that a dump of Amanda's client would build on (`start_backup` in client-src/sendbackup-gnutar.c: the highest one
/// below its level) when it is of the future: the dump would leave out what has changed since the clock was set right.
pub fn base_of_the_future(gnutar_lists: &Path, host: &[u8], disk: &DiskName, level: u8, now: SystemTime) -> io::Result<Option<PathBuf>> {
    for path in (0..level).rev().map(|level| list_of(gnutar_lists, host, disk, level)) {
        match open(&path) {
            Ok(list) => return Ok((list::made_of(&list, now)? == Made::InTheFuture).then_some(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Copies what is there now into `dir`, durably.
pub(super) fn keep(dir: &Path, list: PathBuf, amandates: &Path, disk: &DiskName, level: u8) -> io::Result<Before> {
    let existed = match open(&list) {
        Ok(from) => {
            copy(&from, &dir.join(COPY))?;
            true
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    let line = amandates::look(amandates, disk, level)?;
    Ok(Before { list, existed, amandates: amandates.to_path_buf(), line })
}

/// Puts back what was there before. May be done twice.
pub(super) fn put_back(dir: &Path, before: &Before, disk: &DiskName, level: u8) -> io::Result<()> {
    if before.existed {
        let directory = before.list.parent().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let from = File::open(dir.join(COPY))?;
        let temporary = tempfile::NamedTempFile::new_in(directory)?;
        copy_into(&from, temporary.as_file())?;
        temporary.persist(&before.list).map_err(|error| error.error)?;
        super::sync(directory)?;
    } else {
        super::remove(&before.list)?;
    }
    amandates::change(&before.amandates, disk, level, Change::PutBack(before.line))
}

/// The directory is the dump user's, who must not make root copy somebody else's file through a link.
fn open(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")) }
}

fn copy(from: &File, to: &Path) -> io::Result<()> {
    copy_into(from, &File::options().write(true).create_new(true).mode(0o600).open(to)?)
}

/// Copies the content, the owner where we may, and the mode.
fn copy_into(mut from: &File, mut to: &File) -> io::Result<()> {
    let was = from.metadata()?;
    io::copy(&mut from, &mut to)?;
    if nix::unistd::geteuid().is_root() {
        fchown(to, Some(was.uid()), Some(was.gid()))?;
    }
    to.set_permissions(was.permissions())?;
    to.sync_all()
}
