//! Looks at the process table all the time a test runs, and remembers who dumped what: the proof that no disk was ever
//! dumped twice at once, which no log of Amanda's can give when its writers are killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::child::Background;
use crate::procs::{self, Process};
use crate::wait;

#[derive(Debug, Default)]
struct Seen {
    /// Disk -> the dumping tars (pid, start) that were met.
    dumps: BTreeMap<PathBuf, BTreeSet<(i32, u64)>>,
    clashes: Vec<String>,
    most_runs: usize,
}

/// The watchman of one world; ends when dropped.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to watch the dumps of disks below a directory, and the amdumps of these configs.
    pub fn begin(sources: &Path, configs: &[String]) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let (sources, configs) = (sources.to_owned(), configs.to_vec());
        let (stop_it, seen_by_it) = (Arc::clone(&stop), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            while !stop_it.load(Ordering::Relaxed) {
                glimpse(&sources, &configs, &seen_by_it);
                wait::glance();
            }
        });
        Self { stop, seen, thread: Some(thread) }
    }

    /// Returns how many dumps of a disk were met. A dump that lives for less than a glance may be missed; one at a gate never is.
    pub fn dumps_of(&self, disk: &Path) -> usize {
        self.seen.lock().expect("the watchman does not panic").dumps.get(disk).map_or(0, BTreeSet::len)
    }

    /// Returns once a disk's dump has been met.
    ///
    /// # Panics
    /// When the program that asked for it has ended before, with what it said, or when it does not begin within a minute.
    #[track_caller]
    pub fn until_dumping(&self, disk: &Path, asked: &mut Background) {
        wait::until_true("the dump to begin", Duration::from_secs(60), || {
            let met = self.dumps_of(disk) > 0;
            assert!(met || asked.is_running(), "no dump began, and the one who asked for it has ended: {:?}", asked.so_far());
            met
        });
    }

    /// Returns the most amdumps that were alive at once.
    pub fn most_runs(&self) -> usize {
        self.seen.lock().expect("the watchman does not panic").most_runs
    }

    /// Says that no disk was dumped twice at once.
    ///
    /// # Panics
    /// When one was.
    #[track_caller]
    pub fn assert_no_clash(&self) {
        let clashes = self.clashes();
        assert!(clashes.is_empty(), "a disk was dumped twice at once:\n{}", clashes.join("\n"));
    }

    /// Returns the moments at which a disk was dumped twice at once.
    pub fn clashes(&self) -> Vec<String> {
        self.seen.lock().expect("the watchman does not panic").clashes.clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn glimpse(sources: &Path, configs: &[String], seen: &Mutex<Seen>) {
    let table = procs::all();
    let mut dumping: BTreeMap<PathBuf, Vec<&Process>> = BTreeMap::new();
    for process in &table {
        if let Some(disk) = dumped_disk(process).filter(|disk| disk.starts_with(sources)) {
            dumping.entry(disk).or_default().push(process);
        }
    }
    // Between fork and exec a child of amdump still looks like it: an amdump below an amdump is none.
    let amdumps: Vec<&Process> = table.iter().filter(|process| is_amdump(process, configs)).collect();
    let runs = amdumps.iter().filter(|process| amdumps.iter().all(|other| other.pid != process.parent)).count();
    let mut seen = seen.lock().expect("nobody panics with it");
    seen.most_runs = seen.most_runs.max(runs);
    for (disk, tars) in dumping {
        // The table is not of one instant: only two that are both alive after it was read were there together.
        if tars.len() > 1 && tars.iter().filter(|tar| tar.is_alive()).count() > 1 {
            let who: Vec<String> = tars.iter().map(|tar| format!("{} (parent {})", tar.pid, tar.parent)).collect();
            seen.clashes.push(format!("{}: {}", disk.display(), who.join(", ")));
        }
        seen.dumps.entry(disk).or_default().extend(tars.iter().map(|tar| (tar.pid, tar.start)));
    }
}

/// Returns the disk that a process dumps, if it is a client's tar: `tar --create --file - --directory DISK …`. An estimate's tar
/// writes to /dev/null and is none.
fn dumped_disk(process: &Process) -> Option<PathBuf> {
    let after = |flag: &str| process.args.iter().position(|arg| arg == flag).and_then(|at| process.args.get(at + 1));
    let creates =
        process.name == "tar" && process.args.iter().any(|arg| arg == "--create") && after("--file").is_some_and(|file| file == "-");
    creates.then(|| after("--directory").map(PathBuf::from)).flatten()
}

/// Tells whether a process is the amdump (a Perl script) of one of these configs.
pub fn is_amdump(process: &Process, configs: &[String]) -> bool {
    let script = process.args.iter().position(|arg| arg.ends_with("/amdump"));
    script.is_some_and(|at| at <= 1 && process.args[at..].iter().any(|arg| configs.contains(arg)))
}
