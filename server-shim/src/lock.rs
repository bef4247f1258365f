//! Locks that status can ask about without taking them, and that die with their holder.
//!
//! Open-file-description locks (fcntl(2), `F_OFD_SETLK`): they exclude Amanda's fcntl locks, which `flock` does not, and
//! they go when the last descriptor goes, kill -9 included. What they do not prove is that the holder's children are gone;
//! `runner::proof` does that.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use serde::{Deserialize, Serialize};

/// Who holds a lock, as written into the lock's own file by the holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process that took it.
    pub pid: u32,
    /// Seconds since the epoch.
    pub since: i64,
    /// What it is held for, in words.
    pub what: String,
}

/// A lock that is held until this value is dropped.
#[derive(Debug)]
pub struct Guard {
    file: File,
    path: PathBuf,
}

impl Guard {
    /// Returns the lock's path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The lock goes with the descriptor; the words go too, so that nobody reads them as a holder.
        let _ = self.file.set_len(0);
    }
}

fn whole_file(kind: i32) -> libc::flock {
    libc::flock { l_type: kind as libc::c_short, l_whence: libc::SEEK_SET as libc::c_short, l_start: 0, l_len: 0, l_pid: 0 }
}

/// Takes the lock if nobody has it.
///
/// `what` and `now` (seconds since the epoch) are written into the file for those who ask. The file stays for ever:
/// removing a lock file lets two processes hold "the same" lock.
pub fn try_take(path: &Path, what: &str, now: i64) -> io::Result<Option<Guard>> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(path)?;
    match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_WRLCK))) {
        Ok(_) => {}
        Err(Errno::EAGAIN | Errno::EACCES) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    }
    let mut guard = Guard { file, path: path.to_owned() };
    let holder = Holder { pid: std::process::id(), since: now, what: what.to_owned() };
    guard.file.set_len(0)?;
    guard.file.rewind()?;
    guard.file.write_all(&serde_json::to_vec(&holder).map_err(io::Error::other)?)?;
    Ok(Some(guard))
}

/// What can be known of a lock without touching it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nobody has it.
    Free,
    /// Somebody has it; the words may be missing if they are being written at this moment.
    Held(Option<Holder>),
}

/// Asks who holds a lock (`F_OFD_GETLK`); takes nothing, waits for nothing. A lock without a file is free.
pub fn ask(path: &Path) -> io::Result<State> {
    let mut file = match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::Free),
        Err(error) => return Err(error),
    };
    let mut question = whole_file(libc::F_WRLCK);
    fcntl(&file, FcntlArg::F_OFD_GETLK(&mut question))?;
    if i32::from(question.l_type) == libc::F_UNLCK {
        return Ok(State::Free);
    }
    let mut words = Vec::new();
    io::Read::by_ref(&mut file).take(4096).read_to_end(&mut words)?;
    Ok(State::Held(serde_json::from_slice(&words).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_exclusive_can_be_asked_about_and_goes_with_its_guard() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("x.lock");
        assert_eq!(ask(&path).expect("ask"), State::Free);
        let guard = try_take(&path, "a test", 7).expect("take").expect("free");
        assert!(try_take(&path, "another", 8).expect("try").is_none());
        let State::Held(Some(holder)) = ask(&path).expect("ask") else { panic!("not held") };
        assert_eq!((holder.pid, holder.since, holder.what.as_str()), (std::process::id(), 7, "a test"));
        drop(guard);
        assert_eq!(ask(&path).expect("ask"), State::Free);
    }

    #[test]
    fn a_symlink_in_the_place_of_a_lock_is_refused() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let victim = directory.path().join("victim");
        std::fs::write(&victim, "precious").expect("write");
        let path = directory.path().join("x.lock");
        std::os::unix::fs::symlink(&victim, &path).expect("symlink");
        assert!(try_take(&path, "a test", 0).is_err());
        assert_eq!(std::fs::read(&victim).expect("read"), b"precious");
    }
}
