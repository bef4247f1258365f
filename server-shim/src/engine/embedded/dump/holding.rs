//! A run's own directory on the holding disk, `HOLDING/STAMP`.
//!
//! Two marks say that it is in use. `pid` is Amanda's: its programs keep away from the directory while that process lives. The lock on
//! that file is ours: it goes with the process, whatever number the next one gets.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use amanda::holding::PID_FILE;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use crate::durable;

/// The directory, in use until this is dropped. What was dumped there stays.
#[derive(Debug)]
pub struct HoldingRun {
    directory: PathBuf,
    _pid: File,
}

impl HoldingRun {
    /// Makes the directory of a run that begins.
    ///
    /// # Errors
    /// When it is there already (`AlreadyExists`: another run has this datestamp), or cannot be made.
    pub fn begin(holding: &Path, stamp: &str) -> io::Result<Self> {
        let directory = holding.join(stamp);
        DirBuilder::new().mode(0o700).create(&directory)?;
        let pid = directory.join(PID_FILE);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&pid)?;
        lock(&file)?;
        write!(file, "{}", std::process::id())?;
        durable::sync_directory(holding)?;
        Ok(Self { directory, _pid: file })
    }

    /// Returns the directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Says whether the run of a directory is over: nobody holds its lock, and the process of a run of Amanda's own, which has no such lock, is
    /// for Amanda to judge.
    ///
    /// # Errors
    /// When the file is there and cannot be looked at.
    pub fn is_over(directory: &Path) -> io::Result<bool> {
        let file = match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(directory.join(PID_FILE)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(error),
        };
        let mut question = whole_file();
        fcntl(&file, FcntlArg::F_OFD_GETLK(&mut question))?;
        Ok(i32::from(question.l_type) == libc::F_UNLCK)
    }
}

impl Drop for HoldingRun {
    fn drop(&mut self) {
        let _gone = fs::remove_file(self.directory.join(PID_FILE));
        // Only when nothing is left in it.
        let _used = fs::remove_dir(&self.directory);
    }
}

fn whole_file() -> libc::flock {
    libc::flock { l_type: libc::F_WRLCK as libc::c_short, l_whence: libc::SEEK_SET as libc::c_short, l_start: 0, l_len: 0, l_pid: 0 }
}

fn lock(file: &File) -> io::Result<()> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&whole_file())) {
        Ok(_) => Ok(()),
        Err(Errno::EAGAIN | Errno::EACCES) => Err(io::ErrorKind::WouldBlock.into()),
        Err(errno) => Err(errno.into()),
    }
}
