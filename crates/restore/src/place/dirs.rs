//! Directories below the target, opened one name at a time.
//!
//! Every step opens one name in a directory that is already open, and refuses a symbolic link (`O_NOFOLLOW`). So no path is ever resolved in which
//! somebody could plant something, `..` is never looked up, and a path may be longer than what the system resolves at once. This is what
//! `openat2` with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS` does for one name, and needs no second way for kernels that lack it. A directory
//! that is swapped for a link after it was opened stays the one that was opened.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, StatxFlags, Timespec, XattrFlags};
use rustix::io::Errno;

use super::error::PutError;
use super::name;

/// So many stay open.
const MAX_OPEN: usize = 128;

/// What a directory has as POSIX ACL for what is made in it.
pub(super) const ACL_DEFAULT: &str = "system.posix_acl_default";
/// The ACL of anything.
pub(super) const ACL_ACCESS: &str = "system.posix_acl_access";

/// What a directory of ours has until it gets its own attributes. A restore that is killed leaves directories that are shut to everybody else; the next one
/// finds them by it and goes on as if it had made them. Nobody else can write it: the directory is ours and 0700.
pub(super) const UNFINISHED: &str = "user.asyncamanda.unfinished";

/// Where a file system is mounted: between two of them nothing can be renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mount(u32, u32, u64);

/// An open directory.
#[derive(Debug)]
pub(super) struct Dir {
    /// For names in it, and nothing else (`O_PATH`): that is possible also where one may enter and not list.
    pub(super) fd: OwnedFd,
    pub(super) mount: Mount,
    /// What is made in it gets an ACL that no archive has.
    pub(super) passes_acl_on: bool,
    /// This restore has made it, or one that was killed.
    pub(super) is_made: bool,
    /// Files without a name can be made in it.
    tmpfile: AtomicBool,
}

impl Dir {
    /// Takes a directory that was there before.
    pub(super) fn there(fd: OwnedFd) -> Result<Self, Errno> {
        let stat = rustix::fs::statx(&fd, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID)?;
        let mount = Mount(stat.stx_dev_major, stat.stx_dev_minor, stat.stx_mnt_id);
        let passes_acl_on = match rustix::fs::getxattr_query(by_number(&fd), ACL_DEFAULT) {
            Ok(length) => length > 0,
            // Without a /proc nobody knows.
            Err(errno) => errno == Errno::NOENT,
        };
        let is_ours = Mode::from_raw_mode(stat.stx_mode.into()) == Mode::RWXU && stat.stx_uid == nix::unistd::geteuid().as_raw();
        let is_made = is_ours && rustix::fs::getxattr_query(by_number(&fd), UNFINISHED).is_ok();
        Ok(Self { fd, mount, passes_acl_on, is_made, tmpfile: AtomicBool::new(true) })
    }

    /// Opens a directory in it.
    pub(super) fn enter(&self, name: &[u8]) -> Result<OwnedFd, Errno> {
        rustix::fs::openat(&self.fd, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
    }

    /// Returns when it was last changed.
    pub(super) fn changed(&self) -> Option<Timespec> {
        let stat = rustix::fs::statx(&self.fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MTIME).ok()?;
        Some(Timespec { tv_sec: stat.stx_mtime.tv_sec, tv_nsec: stat.stx_mtime.tv_nsec.into() })
    }

    pub(super) fn may_have_tmpfile(&self) -> bool {
        self.tmpfile.load(Ordering::Relaxed)
    }

    pub(super) fn has_no_tmpfile(&self) {
        self.tmpfile.store(false, Ordering::Relaxed);
    }

    /// Returns what is under a name in it, links not followed.
    pub(super) fn look(&self, name: &[u8]) -> Result<Option<rustix::fs::Stat>, PutError> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(PutError::of("it cannot be looked at")(errno)),
        }
    }
}

/// Names an open file for calls that take only a path.
pub(super) fn by_number(fd: &impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// What was made on the way to a directory.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Paths of directories that this restore, or one that was killed, has made.
    pub(super) paths: Vec<Vec<u8>>,
    /// Those that were there and got one of them, and when they were last changed before.
    pub(super) into: Vec<(Vec<u8>, Option<Timespec>)>,
}

/// The directories that are open.
#[derive(Debug)]
pub(super) struct Dirs {
    pub(super) root: Arc<Dir>,
    open: HashMap<Vec<u8>, (Arc<Dir>, u64)>,
    /// One of each mounted file system.
    mounts: Vec<Arc<Dir>>,
    tick: u64,
    as_root: bool,
}

impl Dirs {
    pub(super) fn new(root: Dir, as_root: bool) -> Self {
        let root = Arc::new(root);
        Self { mounts: vec![Arc::clone(&root)], root, open: HashMap::new(), tick: 0, as_root }
    }

    /// Opens a directory that is there; `None` when it is not.
    pub(super) fn get(&mut self, path: &[u8]) -> Result<Option<Arc<Dir>>, PutError> {
        self.walk(path, None)
    }

    /// Opens a directory, and makes what is missing of its path; what was made is added to `made`.
    pub(super) fn make(&mut self, path: &[u8], made: &mut Made) -> Result<Arc<Dir>, PutError> {
        self.walk(path, Some(made))?.ok_or_else(|| PutError::of("its directory cannot be made")(Errno::NOENT))
    }

    /// Waits until all that was written is on the disks.
    pub(super) fn sync(&self) -> Result<(), Errno> {
        for dir in &self.mounts {
            match rustix::fs::openat(&dir.fd, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
                Ok(dir) => rustix::fs::syncfs(&dir)?,
                // One may enter it and not read it.
                Err(Errno::ACCESS) => rustix::fs::sync(),
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    fn walk(&mut self, path: &[u8], mut made: Option<&mut Made>) -> Result<Option<Arc<Dir>>, PutError> {
        if let Some(dir) = self.known(path) {
            return Ok(Some(dir));
        }
        name::parts(path)?;
        let mut known = path;
        let mut dir = loop {
            known = name::split(known).0;
            if let Some(dir) = self.known(known) {
                break dir;
            }
        };
        let mut at = known.len();
        while at < path.len() {
            let begin = if at == 0 { 0 } else { at + 1 };
            let end = path[begin..].iter().position(|byte| *byte == b'/').map_or(path.len(), |slash| begin + slash);
            let (so_far, part) = (&path[..end], &path[begin..end]);
            let next = match enter(&dir, part, so_far)? {
                Some(there) => {
                    if let Some(made) = made.as_deref_mut().filter(|_| there.is_made) {
                        made.paths.push(so_far.to_vec());
                    }
                    there
                }
                None => match made.as_deref_mut() {
                    None => return Ok(None),
                    Some(made) => {
                        if !dir.is_made {
                            made.into.push((path[..at].to_vec(), dir.changed()));
                        }
                        let next = self.make_one(&dir, part, so_far)?;
                        if next.is_made {
                            made.paths.push(so_far.to_vec());
                        }
                        next
                    }
                },
            };
            dir = self.keep(so_far, next);
            at = end;
        }
        Ok(Some(dir))
    }

    fn known(&mut self, path: &[u8]) -> Option<Arc<Dir>> {
        if path.is_empty() {
            return Some(Arc::clone(&self.root));
        }
        self.tick += 1;
        let (dir, used) = self.open.get_mut(path)?;
        *used = self.tick;
        Some(Arc::clone(dir))
    }

    fn keep(&mut self, path: &[u8], dir: Dir) -> Arc<Dir> {
        if self.open.len() >= MAX_OPEN
            && let Some(oldest) = self.open.iter().min_by_key(|(_, (_, used))| *used).map(|(path, _)| path.clone())
        {
            self.open.remove(&oldest);
        }
        let dir = Arc::new(dir);
        if self.mounts.len() < MAX_OPEN && self.mounts.iter().all(|other| other.mount != dir.mount) {
            self.mounts.push(Arc::clone(&dir));
        }
        self.tick += 1;
        self.open.insert(path.to_vec(), (Arc::clone(&dir), self.tick));
        dir
    }

    /// Makes a directory for nobody but us; it gets its permissions when all is in it.
    fn make_one(&self, parent: &Dir, part: &[u8], so_far: &[u8]) -> Result<Dir, PutError> {
        let is_new = match rustix::fs::mkdirat(&parent.fd, part, Mode::RWXU) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(PutError::of("its directory cannot be made")(errno)),
        };
        let dir = enter(parent, part, so_far)?.ok_or_else(|| PutError::of("its directory cannot be made")(Errno::NOENT))?;
        if !is_new || !self.is_ours(&dir).map_err(PutError::of("its directory cannot be looked at"))? {
            return Ok(dir);
        }
        if dir.passes_acl_on {
            for acl in [ACL_DEFAULT, ACL_ACCESS] {
                let _there_may_be_none = rustix::fs::removexattr(by_number(&dir.fd), acl);
            }
        }
        let _only_a_killed_restore_needs_it = rustix::fs::setxattr(by_number(&dir.fd), UNFINISHED, b"", XattrFlags::empty());
        Ok(Dir { passes_acl_on: false, is_made: true, ..dir })
    }

    /// Says whether a directory can be the one that we have just made. Somebody who may write its parent could have put another one in its place,
    /// which would then get an owner and permissions from the archive: one that is not ours, or has something in it, is not taken for new.
    fn is_ours(&self, dir: &Dir) -> Result<bool, Errno> {
        if !self.as_root {
            return Ok(true);
        }
        if rustix::fs::fstat(&dir.fd)?.st_uid != nix::unistd::geteuid().as_raw() {
            return Ok(false);
        }
        let listed = rustix::fs::openat(&dir.fd, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let mut buffer = [MaybeUninit::uninit(); 2048];
        let mut entries = RawDir::new(listed, &mut buffer);
        while let Some(entry) = entries.next() {
            if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Opens a directory that is there and was before.
fn enter(parent: &Dir, part: &[u8], so_far: &[u8]) -> Result<Option<Dir>, PutError> {
    let at = || so_far.to_vec();
    let cannot = PutError::of("its directory cannot be opened");
    match parent.enter(part) {
        Ok(fd) => Dir::there(fd).map(Some).map_err(cannot),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::LOOP | Errno::NOTDIR) => match parent.look(part)? {
            Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => Err(PutError::Symlink { at: at() }),
            _ => Err(PutError::NoDirectory { at: at() }),
        },
        Err(errno) => Err(cannot(errno)),
    }
}

/// Opens a directory as the user names it: links on its own path are the user's.
pub(super) fn target(directory: &std::path::Path) -> Result<Dir, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Dir::there(rustix::fs::openat(CWD, directory, flags, Mode::empty())?)
}
