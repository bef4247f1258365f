//! Locks that status can ask about without taking them, and that die with their holder.
//!
//! Open-file-description locks (fcntl(2), `F_OFD_SETLK`): they exclude Amanda's fcntl locks, which `flock` does not, and
//! they go when the last descriptor goes, kill -9 included. What they do not prove is that the holder's children are gone;
//! `processes` does that.
//!
//! Whoever can open a lock's file can hold it (reading is enough for a shared lock), so the file is its owner's alone. The
//! holder's words stand beside it, `NAME.lock.holder`, for those who may only look.

use std::fs::OpenOptions;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use serde::{Deserialize, Serialize};

use crate::durable;
use crate::processes::{self, Identity};

/// Who holds a lock, as written down by the holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process that took it.
    pub process: Identity,
    /// Seconds since the epoch.
    pub since: i64,
    /// What it is held for, in words.
    pub what: String,
}

/// A lock that is held until this value is dropped.
#[derive(Debug)]
pub struct Guard {
    file: File,
    words: Option<PathBuf>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The words go too, so that nobody reads them as a holder.
        if let Some(words) = &self.words {
            let _ = fs::remove_file(words);
        }
        release(&self.file);
    }
}

fn whole_file(kind: i32) -> libc::flock {
    libc::flock { l_type: kind as libc::c_short, l_whence: libc::SEEK_SET as libc::c_short, l_start: 0, l_len: 0, l_pid: 0 }
}

/// Gives a lock up. It goes with the last descriptor anyway, but a program that is being started by another thread has a copy of them all until it
/// becomes that program, and for that long the lock would seem to be somebody's.
pub(crate) fn release(file: &File) {
    let _gone_at_last_with_its_descriptors = fcntl(file, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_UNLCK)));
}

fn words_of(path: &Path) -> PathBuf {
    let mut words = path.as_os_str().to_owned();
    words.push(".holder");
    words.into()
}

/// Opens a lock's file, which stays for ever: removing it lets two processes hold "the same" lock.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(path)
}

/// Waits until nobody has the lock, and takes it: for one that is only ever held for one small write.
pub fn take(path: &Path) -> io::Result<Guard> {
    let file = open(path)?;
    loop {
        match fcntl(&file, FcntlArg::F_OFD_SETLKW(&whole_file(libc::F_WRLCK))) {
            Ok(_) => return Ok(Guard { file, words: None }),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Takes the lock if nobody has it.
///
/// `what` and `now` (seconds since the epoch) are written down for those who ask; a lock that is held for an instant has no
/// words.
pub fn try_take(path: &Path, what: &str, now: i64) -> io::Result<Option<Guard>> {
    let file = open(path)?;
    match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_WRLCK))) {
        Ok(_) => {}
        Err(Errno::EAGAIN | Errno::EACCES) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    }
    if what.is_empty() {
        return Ok(Some(Guard { file, words: None }));
    }
    let pid = std::process::id();
    let process = Identity { pid, start: processes::read(pid).map_or(0, |process| process.start) };
    let guard = Guard { file, words: Some(words_of(path)) };
    durable::publish_json(&words_of(path), &Holder { process, since: now, what: what.to_owned() }, 0o640)?;
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
///
/// Whoever may not open the lock's file believes the holder's words as long as that very process lives.
pub fn ask(path: &Path) -> io::Result<State> {
    let words = || durable::read_json::<Holder>(&words_of(path)).ok().flatten();
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::Free),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // A directory that may not be searched says nothing about the lock.
            fs::symlink_metadata(path).map_err(|_| error)?;
            let holder = words().filter(|holder| processes::is_alive(holder.process));
            return Ok(holder.map_or(State::Free, |holder| State::Held(Some(holder))));
        }
        Err(error) => return Err(error),
    };
    let mut question = whole_file(libc::F_WRLCK);
    fcntl(&file, FcntlArg::F_OFD_GETLK(&mut question))?;
    Ok(if i32::from(question.l_type) == libc::F_UNLCK { State::Free } else { State::Held(words()) })
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
        assert_eq!((holder.process.pid, holder.since, holder.what.as_str()), (std::process::id(), 7, "a test"));
        drop(guard);
        assert!(!words_of(&path).exists());
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

    #[test]
    fn a_lock_is_free_when_its_guard_has_gone_whoever_still_has_a_copy_of_its_descriptor() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("x.lock");
        let guard = try_take(&path, "", 0).expect("take").expect("free");
        // As in a child that has not become its program yet.
        let copy = guard.file.try_clone().expect("a copy");
        assert!(try_take(&path, "", 0).expect("try").is_none());
        drop(guard);
        assert!(try_take(&path, "", 0).expect("try").is_some());
        drop(copy);
    }
}
