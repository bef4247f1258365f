//! Gives a vault's files to Amanda's account. Root does that in a directory of somebody else's, who may put other things into it
//! meanwhile: so every file is opened first, without following links, and looked at, and only what belongs to the vault's owner (or
//! to Amanda's account, after a call that was cut off) is given away.

use std::ffi::{CStr, OsStr};
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use amanda::escape::printable;
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, chownat, fchmod, fchown, fstat, openat, statat};
use wire::Exit;

use super::installed::Installed;
use crate::engine::embedded::adopted::MARKER;
use crate::report::Words;

/// Deeper than anything in a vault.
const DEEPEST: usize = 32;

/// Why a file was not given away.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", printable(path.as_os_str().as_bytes()))]
pub struct NotGiven {
    /// The file, in the vault.
    path: PathBuf,
    #[source]
    source: io::Error,
}

struct Giver {
    from: u32,
    to: (u32, u32),
    device: u64,
}

/// Gives everything in a vault to Amanda's account, the vault's own directory last.
///
/// What is in it is for that account alone; the agent whose vault it was may read that it was handed over, and to whom.
///
/// # Errors
/// When something is not the owner's, or the file system has no owners.
pub fn hand_over(vault: &Path, from: (u32, u32), to: (u32, u32)) -> Result<(), NotGiven> {
    let top = || -> io::Result<(OwnedFd, Stat)> {
        let file = rustix::fs::open(vault, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let stat = fstat(&file)?;
        Ok((file, stat))
    };
    let at_top = |source| NotGiven { path: PathBuf::new(), source };
    let (top, stat) = top().map_err(at_top)?;
    let giver = Giver { from: from.0, to, device: stat.st_dev };
    giver.inside(top.as_fd(), Path::new(""), 0)?;
    giver.give(top.as_fd(), &stat, 0o711).map_err(at_top)
}

impl Giver {
    fn inside(&self, directory: BorrowedFd<'_>, path: &Path, depth: usize) -> Result<(), NotGiven> {
        let here = |source: io::Error| NotGiven { path: path.to_owned(), source };
        if depth > DEEPEST {
            return Err(here(io::Error::other("it is too deep to be a vault's")));
        }
        for entry in Dir::read_from(directory).map_err(|errno| here(errno.into()))? {
            let entry = entry.map_err(|errno| here(errno.into()))?;
            let name = entry.file_name();
            let inside = path.join(OsStr::from_bytes(name.to_bytes()));
            if [c".", c".."].contains(&name) || inside == Path::new("lost+found") {
                continue;
            }
            self.entry(directory, name, &inside, depth)?;
        }
        Ok(())
    }

    fn entry(&self, directory: BorrowedFd<'_>, name: &CStr, path: &Path, depth: usize) -> Result<(), NotGiven> {
        let here = |source: io::Error| NotGiven { path: path.to_owned(), source };
        let errno = |errno: rustix::io::Errno| here(errno.into());
        let seen = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(errno)?;
        match FileType::from_raw_mode(seen.st_mode) {
            FileType::Symlink => {
                self.is_theirs(&seen).map_err(here)?;
                let (uid, gid) = self.to;
                chownat(directory, name, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::SYMLINK_NOFOLLOW).map_err(errno)
            }
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let inside = openat(directory, name, flags, Mode::empty()).map_err(errno)?;
                let stat = fstat(&inside).map_err(errno)?;
                self.inside(inside.as_fd(), path, depth + 1)?;
                self.give(inside.as_fd(), &stat, if is_public(path) { 0o711 } else { 0o700 }).map_err(here)
            }
            // What a call of ours was writing when it was cut off.
            FileType::RegularFile if name.to_bytes().starts_with(b".asyncamanda-") => {
                rustix::fs::unlinkat(directory, name, AtFlags::empty()).map_err(errno)
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = openat(directory, name, flags, Mode::empty()).map_err(errno)?;
                let stat = fstat(&file).map_err(errno)?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink != 1 {
                    return Err(here(io::Error::other("it is not a file with one name")));
                }
                self.give(file.as_fd(), &stat, if is_public(path) { 0o644 } else { 0o600 }).map_err(here)
            }
            _ => Err(here(io::Error::other("it is neither a file nor a directory"))),
        }
    }

    fn is_theirs(&self, stat: &Stat) -> io::Result<()> {
        if stat.st_uid != self.from && stat.st_uid != self.to.0 {
            return Err(io::Error::other(format!("it belongs to the account {}", stat.st_uid)));
        }
        if stat.st_dev != self.device {
            return Err(io::Error::other("it is on another file system"));
        }
        Ok(())
    }

    fn give(&self, file: BorrowedFd<'_>, stat: &Stat, mode: u32) -> io::Result<()> {
        self.is_theirs(stat)?;
        fchown(file, Some(Uid::from_raw(self.to.0)), Some(Gid::from_raw(self.to.1)))?;
        Ok(fchmod(file, Mode::from_raw_mode(mode))?)
    }
}

/// What an agent reads of a vault that it has lost: that it is one, and whose it is now.
fn is_public(path: &Path) -> bool {
    let own = Path::new(".asyncamanda");
    path == own || path == own.join(MARKER) || path == Path::new("amanda.conf")
}

/// Says why it stopped.
pub fn words(vault: &Path, amanda: &Installed, error: &NotGiven) -> Words {
    let no_owners = error.source.kind() == io::ErrorKind::PermissionDenied || error.source.kind() == io::ErrorKind::Unsupported;
    let hint = if no_owners {
        format!(
            "its file system keeps no owners: mount it with uid={},gid={}, and give the same command again",
            amanda.account.uid, amanda.account.gid
        )
    } else {
        "mend that, and give the same command again: it goes on where it stopped".to_owned()
    };
    Words::new(Exit::Failed, format!("not all of {} could be given to {}", vault.display(), amanda.account.name))
        .because(error.to_string())
        .hint(hint)
}

/// Copies a file for Amanda's account, whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub(super) fn copy_for(from: &mut fs::File, to: &Path, owner: (u32, u32)) -> io::Result<()> {
    let directory = to.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = tempfile::Builder::new().prefix(".asyncamanda-").tempfile_in(directory)?;
    io::copy(from, file.as_file_mut())?;
    std::os::unix::fs::fchown(file.as_file(), Some(owner.0), Some(owner.1))?;
    file.as_file().sync_all()?;
    file.persist(to).map_err(|error| error.error)?;
    fs::File::open(directory)?.sync_all()
}
