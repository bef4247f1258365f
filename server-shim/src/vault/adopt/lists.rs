//! What the next incremental dump builds on: GNU tar's lists, which the agent has for each dump that the vault has. Amanda's client
//! keeps the same lists under other names, and a line for each dump in amandates.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use amanda::dle::Dle;
use amanda::quoting::sanitise;
use serde::Deserialize;
use wire::names::file_name;
use wire::{Base, HostName, Receipt};

use super::hand_over::copy_for;
use super::installed::Installed;
use super::look::Looked;
use crate::engine::embedded::site::Site;
use crate::engine::embedded::{restate, stamp};
use crate::lock;
use crate::runner::clock;

/// A longer amandates is none of Amanda's.
const LONGEST: u64 = 64 * 1024 * 1024;

/// A disk, and whether Amanda's next dump of it may be an incremental one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continued {
    /// The disk.
    pub dle: Dle,
    /// What its last dumps built on is where Amanda's client looks for it.
    pub goes_on: bool,
}

/// `lists/DISK_LEVEL.dump`: the dump that a list belongs to.
#[derive(Debug, Deserialize)]
struct Dump {
    datestamp: String,
}

/// Gives Amanda's client what the agent has for the dumps that can be restored. Hosts that call in keep what they have: they go on
/// serving Amanda themselves.
///
/// # Errors
/// When Amanda has something else in that place, or it cannot be written.
pub fn hand_over(amanda: &Installed, looked: &Looked) -> io::Result<Vec<Continued>> {
    let other = |trouble: crate::engine::Trouble| io::Error::other(trouble.to_string());
    let site = Site::open(&looked.directory, None).map_err(other)?;
    let mut continued = Vec::new();
    for disk in site.disks() {
        let is_local =
            disk.how(site.config()).is_some_and(|how| how.settings().text("auth").is_some_and(|auth| auth.eq_ignore_ascii_case("local")));
        let Some(host) = disk.dle.host.parse::<HostName>().ok().filter(|_| is_local) else { continue };
        let there = restate::restate(&site, &host, clock() as i64).map_err(other)?;
        let last = there.into_iter().find(|receipt| receipt.disk.as_os_str() == disk.dle.disk && receipt.is_backup());
        // Of one that has no backup the next dump is a full one anyway.
        let Some(last) = last else { continue };
        let goes_on = one(amanda, looked, &disk.dle, &last)?;
        continued.push(Continued { dle: disk.dle.clone(), goes_on });
    }
    Ok(continued)
}

fn one(amanda: &Installed, looked: &Looked, dle: &Dle, last: &Receipt) -> io::Result<bool> {
    let mut goes_on = false;
    for base in &last.chain {
        let target = amanda.lists.join(list_name(dle, base.level));
        let Some(mut list) = find(looked, dle, base)? else {
            // A dump above this level builds on the lists below it, which is more than it had to be, and complete.
            continue;
        };
        if !is_free(&target, &mut list)? {
            return Err(io::Error::new(
                ErrorKind::AlreadyExists,
                format!(
                    "{} is there: another config of this machine dumps {dle}; remove it when none does any more, or give the new config a gnutar_list_dir of its own in its amanda-client.conf",
                    target.display()
                ),
            ));
        }
        copy_for(&mut list, &target, amanda.owner())?;
        if let Some(began) = stamp::seconds(&base.datestamp) {
            note(amanda, dle, base.level, began)?;
        }
        goes_on |= base.level == 0;
    }
    Ok(goes_on)
}

/// Returns the name that Amanda's client gives a list (client-src/sendbackup-gnutar.c).
fn list_name(dle: &Dle, level: u8) -> std::ffi::OsString {
    let mut name = std::ffi::OsString::from(&dle.host);
    name.push(sanitise(dle.disk_bytes()));
    name.push(format!("_{level}"));
    name
}

/// Finds the agent's list of just this dump.
fn find(looked: &Looked, dle: &Dle, base: &Base) -> io::Result<Option<File>> {
    let name = format!("{}_{}", file_name(dle.disk_bytes()), base.level);
    for state in &looked.states {
        // Destinations are told apart by how they were typed; a vault's name has no second one.
        let Ok(destinations) = fs::read_dir(state.join("client")) else { continue };
        for destination in destinations.flatten() {
            let lists = destination.path().join(file_name(looked.name.as_str().as_bytes())).join("lists");
            if let Some(list) = list_of(&lists, &name, &base.datestamp)? {
                return Ok(Some(list));
            }
        }
    }
    Ok(None)
}

fn list_of(lists: &Path, name: &str, datestamp: &str) -> io::Result<Option<File>> {
    let Some(says) = open(&lists.join(format!("{name}.dump")))? else { return Ok(None) };
    let mut text = Vec::new();
    says.take(64 * 1024).read_to_end(&mut text)?;
    if !serde_json::from_slice::<Dump>(&text).is_ok_and(|dump| dump.datestamp == datestamp) {
        return Ok(None);
    }
    let Some(mut list) = open(&lists.join(name))? else { return Ok(None) };
    let mut head = [0; 8];
    let is_tars = list.read_exact(&mut head).is_ok() && head == *b"GNU tar-";
    list.rewind()?;
    Ok(Some(list).filter(|_| is_tars))
}

/// Opens a file of the agent's; none when there is none. Through a link root would read what is somebody else's.
fn open(path: &Path) -> io::Result<Option<File>> {
    match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path) {
        Ok(file) if file.metadata()?.is_file() => Ok(Some(file)),
        Ok(_) => Ok(None),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tells whether nothing is in a list's place, or the very same, which a call left that was cut off.
fn is_free(target: &Path, list: &mut File) -> io::Result<bool> {
    let Some(mut there) = open(target)? else { return Ok(fs::symlink_metadata(target).is_err()) };
    let (mut a, mut b) = (Vec::new(), Vec::new());
    there.read_to_end(&mut a)?;
    list.read_to_end(&mut b)?;
    list.rewind()?;
    Ok(a == b)
}

/// Writes a line into amandates as Amanda's client does, under the same lock; the file is replaced as a whole.
fn note(amanda: &Installed, dle: &Dle, level: u8, began: i64) -> io::Result<()> {
    let path: PathBuf = amanda.amandates.clone();
    let _held = lock::take(&path)?;
    let mut old = Vec::new();
    let mode = match open(&path)? {
        Some(file) => {
            let mode = file.metadata()?.mode() & 0o777;
            file.take(LONGEST).read_to_end(&mut old)?;
            mode
        }
        None => 0o644,
    };
    let new = amanda::amandates::record(&old, dle.disk_bytes(), level, began);
    let directory = path.parent().ok_or(ErrorKind::InvalidInput)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(&new)?;
    let (uid, gid) = amanda.owner();
    std::os::unix::fs::fchown(file.as_file(), Some(uid), Some(gid))?;
    file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}
