//! One dump in the making: a directory of its own, with tar's list in it, that goes away unless the dump ends well.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use amanda::crc::Crc;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use tempfile::TempDir;
use wire::DiskName;

use super::{FileSystem, Pending, StateError, Undo, list, sync};

/// Held while the attempt's process lives.
pub(super) const LOCK: &str = "lock";
/// The list that tar reads and writes.
pub(super) const SNAPSHOT: &str = "snapshot";

/// Younger leftovers are left alone.
const YOUNG: Duration = Duration::from_secs(600);

/// A dump in the making. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Attempt {
    dir: TempDir,
    disk: DiskName,
    level: u8,
    started: i64,
    /// When it was begun, by the clock and by the one that nobody sets.
    pub(super) begun: (SystemTime, Instant),
    remark: Option<String>,
    system: Option<FileSystem>,
    denied_below: u64,
    _living: Living,
}

impl Attempt {
    /// Begins an attempt with a copy of its base, or with nothing, which makes a dump of everything.
    pub(super) fn begin(
        pending: &Path,
        disk: &DiskName,
        level: u8,
        started: i64,
        base: Option<(File, PathBuf)>,
        remark: Option<String>,
    ) -> Result<Self, StateError> {
        let dir = directory(pending)?;
        let failed = |source| StateError { path: dir.path().to_path_buf(), source };
        let living = lock(dir.path()).map_err(failed)?.ok_or_else(|| failed(io::ErrorKind::WouldBlock.into()))?;
        let mut list = File::options().write(true).create_new(true).mode(0o600).open(dir.path().join(SNAPSHOT)).map_err(failed)?;
        if let Some((mut base, path)) = base {
            io::copy(&mut base, &mut list).map_err(|source| StateError { path, source })?;
        }
        let begun = (SystemTime::now(), Instant::now());
        Ok(Self { dir, disk: disk.clone(), level, started, begun, remark, system: None, denied_below: 0, _living: living })
    }

    /// Returns tar's list.
    pub fn snapshot(&self) -> PathBuf {
        self.dir.path().join(SNAPSHOT)
    }

    /// Returns a directory for whatever else the dump needs; it goes away with the attempt.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Returns why it builds on less than it might have, if it does.
    pub fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }

    /// Remembers how often something could not be read for want of permission when what it builds on was made.
    pub(super) fn builds_on(mut self, denied: u64) -> Self {
        self.denied_below = denied;
        self
    }

    /// Returns how often that was.
    pub fn denied_below(&self) -> u64 {
        self.denied_below
    }

    /// Returns when it was begun, in seconds since the epoch.
    pub fn started(&self) -> i64 {
        self.started
    }

    /// Remembers the file system that the disk is on.
    pub fn is_on(&mut self, system: FileSystem) {
        self.system = Some(system);
    }

    /// Returns the disk.
    pub(super) fn disk(&self) -> &DiskName {
        &self.disk
    }

    /// Returns the level.
    pub(super) fn level(&self) -> u8 {
        self.level
    }

    /// Returns the file system that the disk is on, where that is known.
    pub(super) fn system(&self) -> Option<FileSystem> {
        self.system
    }

    /// Opens the list, which tar has finished.
    ///
    /// # Errors
    /// Also when the clock was set back meanwhile: it has its time from before, and what changes from now on would look older.
    pub(super) fn finished(&self) -> Result<File, StateError> {
        let failed = |source| StateError { path: self.dir.path().to_path_buf(), source };
        let (then, since) = self.begun;
        if list::was_set_back(then, SystemTime::now(), since.elapsed()) {
            return Err(failed(io::Error::other("the clock was set back while the dump was made; it has to be made again")));
        }
        File::open(self.snapshot()).map_err(failed)
    }

    /// Writes down, durably, that the dump has ended well on this side, and what names it to the server. From here on its fate is decided
    /// by receipts. `denied`: so often something could not be read for want of permission.
    ///
    /// # Errors
    /// Also when the clock was set back meanwhile: tar's list has its time from before, and what changes from now on would look older.
    pub fn keep(self, sent: Crc, denied: u64) -> Result<Pending, StateError> {
        let path = self.dir.path().to_path_buf();
        let failed = |source| StateError { path: path.clone(), source };
        self.finished()?.sync_all().map_err(failed)?;
        let pending = Pending {
            id: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            disk: self.disk.clone(),
            level: self.level,
            started: self.started,
            client_crc: Some(sent.crc),
            bytes: Some(sent.bytes),
            system: self.system,
            denied: denied.saturating_add(self.denied_below),
            undo: Undo::Forget,
        };
        pending.write(&path)?;
        sync(path.parent().unwrap_or(&path)).map_err(failed)?;
        let _kept = self.dir.keep();
        Ok(pending)
    }
}

/// Makes a directory that nobody else has. Names sort by time.
pub(super) fn directory(pending: &Path) -> Result<TempDir, StateError> {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let prefix = format!("{:020}-", now.as_nanos());
    tempfile::Builder::new().prefix(&prefix).tempdir_in(pending).map_err(|source| StateError { path: pending.to_path_buf(), source })
}

/// The lock of an attempt that lives.
#[derive(Debug)]
pub struct Living(File);

impl Drop for Living {
    /// Not left to the end of the file: a program that is being started at this moment has a copy of it.
    fn drop(&mut self) {
        let _goes_with_the_file = fcntl(&self.0, FcntlArg::F_OFD_SETLK(&whole(libc::F_UNLCK)));
    }
}

fn whole(kind: i32) -> libc::flock {
    libc::flock { l_type: kind as i16, l_whence: libc::SEEK_SET as i16, l_start: 0, l_len: 0, l_pid: 0 }
}

/// Takes the lock of an attempt; none when it lives.
pub(super) fn lock(attempt: &Path) -> io::Result<Option<Living>> {
    let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(attempt.join(LOCK))?;
    match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole(libc::F_WRLCK))) {
        Ok(_) => Ok(Some(Living(file))),
        Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Tells whether an attempt lives, without taking its lock.
pub(super) fn lives(attempt: &Path) -> bool {
    let Ok(file) = File::open(attempt.join(LOCK)) else { return false };
    let mut held = whole(libc::F_WRLCK);
    fcntl(&file, FcntlArg::F_OFD_GETLK(&mut held)).is_ok() && i32::from(held.l_type) != libc::F_UNLCK
}

/// Removes what attempts that were killed have left behind: directories without a record that nobody holds. A young one may be about to
/// be locked.
pub(super) fn sweep(pending: &Path) {
    let Ok(entries) = fs::read_dir(pending) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let old = fs::metadata(&path).and_then(|found| found.modified()).is_ok_and(|at| at.elapsed().is_ok_and(|age| age > YOUNG));
        if old && !path.join(super::RECORD).exists() && matches!(lock(&path), Ok(Some(_))) {
            // Somebody may be sweeping beside us.
            let _ = fs::remove_dir_all(&path);
        }
    }
}
