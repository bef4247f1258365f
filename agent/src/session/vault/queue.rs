//! Whose turn it is to write into a vault: first come, first served.
//!
//! ```text
//! VAULT/.asyncamanda/queue/.lock       held for the moment of drawing a number
//!                          00000007    a ticket: locked by the process that waits or writes, and says who that is
//! VAULT/.asyncamanda/run.lock          held by the one that writes
//! ```
//!
//! The lowest number that is locked writes; the others wait for the lock of the one before them, so nobody asks again and
//! again. A ticket whose lock is free belongs to a dead process, and the next one that comes removes it. The locks are OFD locks, as
//! all of ours.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// A longer ticket is none of ours.
const LONGEST: u64 = 4096;

/// Who waits or writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// Whose backup it is.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// Seconds since the epoch at which it came.
    pub since: i64,
}

/// A ticket of somebody else's who is before us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ahead {
    path: PathBuf,
    /// Who that is; none when the words cannot be read.
    pub who: Option<Who>,
}

/// Our place. It is given up by dropping it.
#[derive(Debug)]
pub struct Ticket {
    directory: PathBuf,
    number: u64,
    _locked: File,
}

/// The lock of the one that writes.
#[derive(Debug)]
pub struct Writing {
    _locked: File,
}

impl Ticket {
    /// Draws a number.
    pub fn draw(own: &Path, who: &Who) -> io::Result<Self> {
        let directory = own.join("queue");
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        // Files with a number for a name are removed here, and nowhere else.
        if !fs::symlink_metadata(&directory)?.is_dir() {
            return Err(io::Error::new(ErrorKind::NotADirectory, format!("{} is a symlink", directory.display())));
        }
        let _turn = lock(&directory.join(".lock"), true)?;
        let mut last = 0;
        for (number, path) in tickets(&directory)? {
            if is_held(&path)? {
                last = last.max(number);
            } else {
                gone(fs::remove_file(&path))?;
            }
        }
        let path = name(&directory, last + 1);
        let mut locked = lock(&path, false)?;
        locked.set_len(0)?;
        match locked.write_all(&serde_json::to_vec(who).map_err(io::Error::other)?) {
            // Where nothing can be written any more a run makes room. The lock is the place; the words are for those who wait.
            Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => locked.set_len(0)?,
            other => other?,
        }
        Ok(Self { directory, number: last + 1, _locked: locked })
    }

    /// Returns its name.
    pub fn name(&self) -> String {
        self.number.to_string()
    }

    /// Returns who is before us, the one that writes first.
    pub fn ahead(&self) -> io::Result<Vec<Ahead>> {
        let mut ahead = Vec::new();
        for (_, path) in tickets(&self.directory)?.into_iter().filter(|(number, _)| *number < self.number) {
            if is_held(&path)? {
                let who = read(&path).ok();
                ahead.push(Ahead { path, who });
            }
        }
        Ok(ahead)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // The lock goes with the descriptor, after the name: a name without a lock is only a dead ticket.
        let _ = fs::remove_file(name(&self.directory, self.number));
    }
}

impl Ahead {
    /// Waits, in a thread of its own, until this one has gone. Nothing comes when that cannot be known.
    pub fn gone(&self) -> oneshot::Receiver<()> {
        wait_for(self.path.clone())
    }
}

impl Writing {
    /// Takes the lock of the one that writes; none while somebody has it who drew no number.
    pub fn take(own: &Path) -> io::Result<Option<Self>> {
        match lock(&run_lock(own), false) {
            Ok(locked) => Ok(Some(Self { _locked: locked })),
            Err(error) if is_taken(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits, in a thread of its own, until nobody has the lock.
    pub fn free(own: &Path) -> oneshot::Receiver<()> {
        wait_for(run_lock(own))
    }
}

fn run_lock(own: &Path) -> PathBuf {
    own.join("run.lock")
}

fn name(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:08}"))
}

/// Returns all tickets, lowest number first.
fn tickets(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
            found.push((number, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

fn gone(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

fn read(path: &Path) -> io::Result<Who> {
    let mut text = Vec::new();
    open(path)?.take(LONGEST).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

fn whole_file(kind: i32) -> libc::flock {
    libc::flock { l_type: kind as libc::c_short, l_whence: libc::SEEK_SET as libc::c_short, l_start: 0, l_len: 0, l_pid: 0 }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EAGAIN | Errno::EACCES))
}

/// Opens a ticket or a lock to look at it.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(path)
}

/// Opens a file, made if it is not there, and locks it for ourselves alone.
fn lock(path: &Path, wait: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
    let file = options.open(path)?;
    let whole = whole_file(libc::F_WRLCK);
    fcntl(&file, if wait { FcntlArg::F_OFD_SETLKW(&whole) } else { FcntlArg::F_OFD_SETLK(&whole) })?;
    Ok(file)
}

/// Asks whether somebody has a lock for himself alone.
fn is_held(path: &Path) -> io::Result<bool> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    // A reader's lock: those who wait for this file hold one for a moment, and are not whom we ask about.
    let mut question = whole_file(libc::F_RDLCK);
    fcntl(&file, FcntlArg::F_OFD_GETLK(&mut question))?;
    Ok(i32::from(question.l_type) != libc::F_UNLCK)
}

fn wait_for(path: PathBuf) -> oneshot::Receiver<()> {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let waited = open(&path).and_then(|file| Ok(fcntl(&file, FcntlArg::F_OFD_SETLKW(&whole_file(libc::F_RDLCK)))?));
        match waited {
            Err(error) if error.kind() != ErrorKind::NotFound => drop(tell),
            _ => {
                let _ = tell.send(());
            }
        }
    });
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(pid: u32) -> Who {
        Who { host: "laptop1".to_owned(), pid, since: 1000 }
    }

    fn pids(ticket: &Ticket) -> Vec<u32> {
        ticket.ahead().expect("readable").into_iter().filter_map(|ahead| ahead.who).map(|who| who.pid).collect()
    }

    #[test]
    fn first_come_first_served_and_each_waits_for_the_one_before() {
        let dir = tempfile::tempdir().expect("a directory");
        let draw = |pid| Ticket::draw(dir.path(), &who(pid)).expect("drawn");
        let (one, two, three) = (draw(1), draw(2), draw(3));
        assert_eq!((pids(&one), pids(&two), pids(&three)), (vec![], vec![1], vec![1, 2]));
        let mut gone = three.ahead().expect("readable")[1].gone();
        drop(one);
        assert_eq!((pids(&two), pids(&three)), (vec![], vec![2]));
        assert!(gone.try_recv().is_err(), "the one before still waits");
        drop(two);
        gone.blocking_recv().expect("told");
        assert_eq!(pids(&three), [0; 0]);
        assert_eq!(pids(&draw(4)), [3]);
    }

    #[test]
    fn the_dead_are_passed_over_and_removed_by_the_next() {
        let dir = tempfile::tempdir().expect("a directory");
        let one = Ticket::draw(dir.path(), &who(1)).expect("drawn");
        // What kill -9 leaves behind: a name and no lock.
        fs::write(name(&dir.path().join("queue"), 2), "{\"host\":\"laptop1\",\"pid\":2,\"since\":7}").expect("written");
        fs::write(dir.path().join("queue/nonsense"), "").expect("written");
        let three = Ticket::draw(dir.path(), &who(3)).expect("drawn");
        assert_eq!(three.number, 2, "a dead number is free");
        assert_eq!(pids(&three), [1]);
        drop(one);
        assert_eq!(pids(&three), [0; 0]);
    }

    #[test]
    fn nothing_is_removed_through_a_symlink() {
        let dir = tempfile::tempdir().expect("a directory");
        let elsewhere = dir.path().join("elsewhere");
        fs::create_dir(&elsewhere).expect("made");
        fs::write(elsewhere.join("00000007"), "mine").expect("written");
        std::os::unix::fs::symlink(&elsewhere, dir.path().join("queue")).expect("planted");
        assert_eq!(Ticket::draw(dir.path(), &who(1)).expect_err("refused").kind(), ErrorKind::NotADirectory);
        assert_eq!(fs::read_dir(&elsewhere).expect("listed").count(), 1);
    }

    #[test]
    fn one_writes_at_a_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let writing = Writing::take(dir.path()).expect("lockable").expect("free");
        assert!(Writing::take(dir.path()).expect("lockable").is_none());
        let mut free = Writing::free(dir.path());
        assert!(free.try_recv().is_err());
        drop(writing);
        free.blocking_recv().expect("told");
        assert!(Writing::take(dir.path()).expect("lockable").is_some());
    }
}
