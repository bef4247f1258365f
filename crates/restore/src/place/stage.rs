//! Places for what is not finished.
//!
//! A file is written without a name (`O_TMPFILE`) and gets one when it is complete, so nothing of it is left when this process is killed. What cannot be made
//! that way (links, fifos, devices; files where the file system has no `O_TMPFILE`; whatever replaces something) is made in a directory of our own, which
//! nobody else may enter, and renamed out of it. There is one for each mounted file system, in the target if possible, with a name of its own kind, locked
//! while its process lives. One that is not locked is what a killed restore left behind; the next one takes it away.

use std::collections::hash_map::RandomState;
use std::ffi::CString;
use std::hash::{BuildHasher as _, Hasher as _};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RawDir, RenameFlags};
use rustix::io::Errno;

use super::dirs::{ACL_ACCESS, ACL_DEFAULT, Dir, Mount};

/// What the names of our directories begin with; sixteen hexadecimal digits follow.
const PREFIX: &[u8] = b".asyncamanda-restore-";
const DIGITS: usize = 16;
/// At most so many are left behind by so many killed restores that one goes through.
const MAX_SWEPT: usize = 64;

/// Says whether a name is one of ours.
pub(super) fn is_name(name: &[u8]) -> bool {
    let digits = name.strip_prefix(PREFIX).unwrap_or_default();
    digits.len() == DIGITS && digits.iter().all(u8::is_ascii_hexdigit)
}

/// One directory of ours.
#[derive(Debug)]
struct Stage {
    fd: Arc<OwnedFd>,
    parent: Arc<Dir>,
    name: Vec<u8>,
    mount: Mount,
    count: u64,
}

impl Stage {
    fn make(parent: &Arc<Dir>) -> Result<Self, Errno> {
        let name = format!("{}{:016x}", String::from_utf8_lossy(PREFIX), RandomState::new().build_hasher().finish()).into_bytes();
        rustix::fs::mkdirat(&parent.fd, &name, Mode::RWXU)?;
        let fd = open(parent, &name)?;
        if parent.passes_acl_on {
            for acl in [ACL_DEFAULT, ACL_ACCESS] {
                let _there_may_be_none = rustix::fs::fremovexattr(&fd, acl);
            }
        }
        rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive).or_else(|errno| match errno {
            // Without locks nobody sweeps, either.
            Errno::NOTSUP | Errno::NOSYS | Errno::INVAL | Errno::NOLCK => Ok(()),
            errno => Err(errno),
        })?;
        let stage = Self { fd: Arc::new(fd), parent: Arc::clone(parent), name, mount: parent.mount, count: 0 };
        // Before it was locked another restore could take it for a left-over.
        match rustix::fs::fstat(&stage.fd)?.st_nlink {
            0 => Err(Errno::NOENT),
            _ => Ok(stage),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        empty(&self.fd);
        let _is_swept_later = rustix::fs::unlinkat(&self.parent.fd, &self.name, AtFlags::REMOVEDIR);
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Stages(Vec<Stage>);

impl Stages {
    /// Returns a place from which something can be renamed into `dir`.
    pub(super) fn slot(&mut self, dir: &Arc<Dir>, root: &Arc<Dir>) -> Result<Slot, Errno> {
        let at = match self.0.iter().position(|stage| stage.mount == dir.mount) {
            Some(at) => at,
            None => {
                let made = match root.mount == dir.mount {
                    // Somebody who restores into his part of a directory need not be allowed to write the directory.
                    true => Stage::make(root).or_else(|_| Stage::make(root)).or_else(|_| Stage::make(dir)),
                    false => {
                        sweep(dir);
                        Stage::make(dir)
                    }
                };
                self.0.push(made?);
                self.0.len() - 1
            }
        };
        let stage = self.0.get_mut(at).ok_or(Errno::NOENT)?;
        stage.count += 1;
        let name = CString::new(stage.count.to_string()).map_err(|_| Errno::INVAL)?;
        Ok(Slot { stage: Arc::clone(&stage.fd), name, is_used: true })
    }
}

/// A place for one thing; what is still in it in the end is removed.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) stage: Arc<OwnedFd>,
    pub(super) name: CString,
    is_used: bool,
}

impl Slot {
    /// Gives what is in it its name. Says whether it has it now: not when something is there and may not be replaced.
    pub(super) fn publish(mut self, dir: &Dir, name: &[u8], replace: bool) -> Result<bool, Errno> {
        let renamed = match replace {
            true => rustix::fs::renameat(&*self.stage, &*self.name, &dir.fd, name),
            false => rustix::fs::renameat_with(&*self.stage, &*self.name, &dir.fd, name, RenameFlags::NOREPLACE),
        };
        match renamed {
            // Two names of one file are not renamed onto each other: the system says yes and leaves both.
            Ok(()) => self.is_used = replace,
            Err(Errno::EXIST) if !replace => return Ok(false),
            // The file system, or the kernel, does not know how. A hard link does not replace, either.
            Err(Errno::INVAL | Errno::NOSYS) if !replace => return self.link(dir, name),
            Err(errno) => return Err(errno),
        }
        Ok(true)
    }

    fn link(&mut self, dir: &Dir, name: &[u8]) -> Result<bool, Errno> {
        match rustix::fs::linkat(&*self.stage, &*self.name, &dir.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            // It has no hard links: look and rename, and hope for the moment between.
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::MLINK) => match rustix::fs::statat(&dir.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => rustix::fs::renameat(&*self.stage, &*self.name, &dir.fd, name).map(|()| true),
                Ok(_) => Ok(false),
                Err(errno) => Err(errno),
            },
            Err(errno) => Err(errno),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.is_used {
            let _there_may_be_nothing = rustix::fs::unlinkat(&*self.stage, &*self.name, AtFlags::empty());
        }
    }
}

fn open(parent: &Dir, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&parent.fd, name, flags, Mode::empty())
}

/// Takes away what killed restores of this account left in a directory.
pub(super) fn sweep(dir: &Dir) {
    let Ok(listed) = rustix::fs::openat(&dir.fd, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) else { return };
    let mut found = Vec::new();
    each(&listed, |name| {
        if is_name(name) && found.len() < MAX_SWEPT {
            found.push(name.to_vec());
        }
    });
    for name in found {
        let Ok(fd) = open(dir, &name) else { continue };
        let ours = rustix::fs::fstat(&fd)
            .is_ok_and(|stat| stat.st_uid == nix::unistd::geteuid().as_raw() && Mode::from_raw_mode(stat.st_mode) == Mode::RWXU);
        if ours && rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive).is_ok() {
            empty(&fd);
            let _next_time = rustix::fs::unlinkat(&dir.fd, &name, AtFlags::REMOVEDIR);
        }
    }
}

/// Removes what is in a directory of ours: never a directory, since we make none in it.
fn empty(dir: &OwnedFd) {
    let Ok(listed) = rustix::fs::openat(dir, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) else { return };
    let mut names = Vec::new();
    each(&listed, |name| names.push(name.to_vec()));
    for name in names {
        let _stays = rustix::fs::unlinkat(dir, &name, AtFlags::empty());
    }
}

fn each(listed: &OwnedFd, mut tell: impl FnMut(&[u8])) {
    let mut buffer = [MaybeUninit::uninit(); 8192];
    let mut entries = RawDir::new(listed, &mut buffer);
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            tell(name);
        }
    }
}
