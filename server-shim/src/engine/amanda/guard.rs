//! The `pid` file of a run on its holding disks: what keeps other runs from "salvaging" its unfinished dumps.
//!
//! Every driver that ends, and every planner that begins, renames the `.tmp` files of runs whose `HOLD/STAMP/pid` is missing
//! and marks them as partial. Amanda 3.5.1 writes that file, and then removes it at the first look of any other program
//! (`can_take_holding` in server-src/holding.c unlinks the file of a run that it has just found alive), and a planner that
//! flushes then writes its own run's id there. We put it right as long as the run lives. The leader's id serves: for the run's
//! own driver it is the parent's, which it takes for its own.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::processes::{self, Identity};

/// Returns the datestamp of a run log's name, `log.STAMP.N`.
pub fn stamp_of(log: &Path) -> Option<&str> {
    log.file_name()?.to_str()?.strip_prefix("log.")?.split('.').next()
}

/// Returns the directories that a run has on the holding disks now.
fn directories(log: &Path, holding: &[PathBuf]) -> Vec<PathBuf> {
    let Some(stamp) = stamp_of(log) else { return Vec::new() };
    holding.iter().map(|disk| disk.join(stamp)).filter(|directory| directory.is_dir()).collect()
}

/// Tells whether a `pid` file names the run: its leader, or the driver that the leader started.
fn names_the_run(path: &Path, leader: Identity) -> bool {
    let pid = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
    pid.is_some_and(|pid: u32| pid == leader.pid || processes::read(pid).is_some_and(|process| process.parent == leader.pid))
}

/// Tells whether a directory has an unfinished dump.
fn has_unfinished(directory: &Path) -> bool {
    fs::read_dir(directory).into_iter().flatten().flatten().any(|entry| entry.file_name().as_bytes().ends_with(b".tmp"))
}

/// Puts the `pid` files back where they are missing or name another run; returns the run's directories.
///
/// Only where Amanda's own has been there: `seen` remembers that. A driver that finds a file in the place of the one it is
/// about to make does not use the holding disk.
pub fn protect(log: &Path, leader: Identity, holding: &[PathBuf], seen: &mut BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let directories = directories(log, holding);
    for directory in &directories {
        let path = directory.join("pid");
        if path.exists() || has_unfinished(directory) {
            seen.insert(directory.clone());
        }
        if seen.contains(directory)
            && !names_the_run(&path, leader)
            && processes::is_alive(leader)
            && let Err(error) = write(directory, &path, leader)
        {
            crate::runner::log(&format!("event=pid_file_not_written path={} why=\"{error}\"", path.display()));
        }
    }
    directories
}

/// Puts `pid` files back the moment they are gone, in a thread of its own.
///
/// Amanda's planner and driver begin together: one removes the file of a run that it finds alive, and the other one looks for it a moment
/// later. The runner has other things to do for longer than that.
#[derive(Debug, Default)]
pub struct Keeper {
    runs: Arc<Mutex<Runs>>,
    events: OnceCell<Option<Arc<Inotify>>>,
}

/// The directories of runs, and whose they are.
type Runs = BTreeMap<PathBuf, Identity>;

impl Keeper {
    /// Keeps the file that is in this directory, while the run's leader lives. Without the thread the runner's own looks have to do.
    pub fn keep(&self, directory: &Path, leader: Identity) {
        let Some(events) = self.events.get_or_init(|| self.start()) else { return };
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).insert(directory.to_owned(), leader);
        // Watching it again changes nothing.
        let _ = events.add_watch(directory, AddWatchFlags::IN_DELETE);
    }

    fn start(&self) -> Option<Arc<Inotify>> {
        let events = Arc::new(Inotify::init(InitFlags::IN_CLOEXEC).ok()?);
        let (runs, heard) = (Arc::clone(&self.runs), Arc::clone(&events));
        thread::Builder::new().name("keeper".to_owned()).spawn(move || put_back(&heard, &runs)).ok()?;
        Some(events)
    }
}

fn put_back(events: &Inotify, runs: &Mutex<Runs>) {
    loop {
        let heard = match events.read_events() {
            Ok(heard) => heard,
            Err(Errno::EINTR) => continue,
            Err(_) => return,
        };
        if !heard.iter().any(|event| event.name.as_deref() == Some(OsStr::new("pid"))) {
            continue;
        }
        let mut runs = runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.retain(|_, leader| processes::is_alive(*leader));
        for (directory, leader) in runs.iter().filter(|(directory, _)| !directory.join("pid").exists()) {
            // The runner finds it missing, too, and says why it cannot be written.
            let _ = write(directory, &directory.join("pid"), *leader);
        }
    }
}

/// Appears whole or not at all: an empty file counts as no owner.
fn write(directory: &Path, path: &Path, leader: Identity) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".pid-").tempfile_in(directory)?;
    write!(file, "{}", leader.pid)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Takes away what we put there for a run that is over, and the directory if nothing else is in it.
pub fn release(log: &Path, leader: Identity, holding: &[PathBuf]) {
    for directory in directories(log, holding) {
        let path = directory.join("pid");
        if fs::read_to_string(&path).is_ok_and(|text| text.trim() == leader.pid.to_string()) {
            let _ = fs::remove_file(&path);
        }
        // Only an empty one goes.
        let _ = fs::remove_dir(&directory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keeper_puts_the_file_back_by_itself() {
        let run = tempfile::tempdir().expect("temporary directory");
        let path = run.path().join("pid");
        let me = processes::read(std::process::id()).map(|me| Identity { pid: me.pid, start: me.start }).expect("we run");
        fs::write(&path, "1").expect("written");
        let keeper = Keeper::default();
        keeper.keep(run.path(), me);
        for _ in 0..100 {
            fs::remove_file(&path).expect("it is there again");
            while !path.exists() {
                thread::yield_now();
            }
            assert_eq!(fs::read_to_string(&path).expect("whole"), me.pid.to_string());
        }
    }

    #[test]
    fn the_file_is_put_back_while_the_run_lives_and_taken_away_after_it() {
        let holding = tempfile::tempdir().expect("temporary directory");
        let run = holding.path().join("20261122030405");
        fs::create_dir(&run).expect("directory");
        let disks = [holding.path().to_owned()];
        let log = Path::new("/l/log.20261122030405.0");
        let mut seen = BTreeSet::new();
        let mut protect = |log, leader, holding: &[PathBuf; 1]| protect(log, leader, holding, &mut seen);
        let me = processes::read(std::process::id()).map(|me| Identity { pid: me.pid, start: me.start }).expect("we run");
        let dead = Identity { start: me.start + 1, ..me };
        assert_eq!(protect(log, dead, &disks), std::slice::from_ref(&run));
        assert!(!run.join("pid").exists(), "not for a run that is over");
        protect(log, me, &disks);
        assert!(!run.join("pid").exists(), "not before Amanda has made its own");
        fs::write(run.join("a.tmp"), "").expect("a dump that goes on");
        protect(log, me, &disks);
        assert_eq!(fs::read_to_string(run.join("pid")).expect("written"), me.pid.to_string());
        fs::remove_file(run.join("a.tmp")).expect("finished");
        fs::write(run.join("pid"), "1").expect("another run's");
        protect(log, me, &disks);
        assert_eq!(fs::read_to_string(run.join("pid")).expect("put right"), me.pid.to_string());
        let mut child = std::process::Command::new("/bin/sleep").arg("1000").spawn().expect("a child");
        fs::write(run.join("pid"), child.id().to_string()).expect("our driver's");
        protect(log, me, &disks);
        assert_eq!(fs::read_to_string(run.join("pid")).expect("kept"), child.id().to_string());
        child.kill().and_then(|()| child.wait()).expect("ended");
        protect(log, me, &disks);
        release(log, me, &disks);
        assert!(!run.exists());
    }
}
