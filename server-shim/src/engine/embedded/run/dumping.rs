//! The dumps of a run: hosts side by side, as many as `inparallel` says, the disks of one host after each other.

use std::collections::VecDeque;
use std::error::Error as _;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use amanda::conf::disklist::Disk;
use wire::{HostName, Outcome};

use super::begin::Begun;
use super::{Came, Done, Job, Undone, room};
use crate::engine::embedded::dialogue::Patience;
use crate::engine::embedded::dump::{self, Ask, Place};
use crate::engine::embedded::forget::forget;
use crate::engine::embedded::site::Site;
use crate::engine::embedded::{Link, Watch, catalog, estimate, mend, taper};

/// What `inparallel` is when nobody says.
const IN_PARALLEL: i64 = 10;

/// What is to be dumped now.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// The host.
    pub host: &'a HostName,
    /// The disk.
    pub disk: &'a Disk,
    /// At which level.
    pub level: u8,
    /// The run's datestamp.
    pub stamp: &'a str,
    /// The run's directory on the holding disk.
    pub directory: &'a Path,
}

/// Why there is no dump.
#[derive(Debug)]
pub struct NoDump {
    /// A sentence.
    pub why: String,
    /// The file system was full.
    pub full: bool,
}

/// A way of making dumps: over a host's client, or, in tests, without one.
pub trait Dumper: Sync {
    /// Makes a dump in the run's directory, up to its commit.
    ///
    /// # Errors
    /// When there is none; nothing of it is left then.
    fn dump(&self, task: &Task<'_>, moved: &dyn Fn(u64)) -> Result<Done, NoDump>;

    /// Asks for the size of a dump before compression, in bytes; `None` when there is no answer.
    fn estimate(&self, disk: &Disk, level: u8) -> Option<u64>;

    /// As [`Link::absent`].
    fn absent(&self, host: &HostName) -> Option<String> {
        let _ = host;
        None
    }
}

/// Dumps over a link to hosts' clients.
pub struct OverLink<'a> {
    /// The config.
    pub site: &'a Site,
    /// The way to the hosts.
    pub link: &'a dyn Link,
}

impl OverLink<'_> {
    fn ask<'a>(&'a self, host: &'a HostName, disk: &'a Disk, level: u8, stamp: &'a str) -> Option<Ask<'a>> {
        let how = disk.how(self.site.config())?;
        Some(Ask { host, config: self.site.name(), disk, how, level, stamp, patience: Patience::of(self.site.config()) })
    }
}

impl Dumper for OverLink<'_> {
    fn dump(&self, task: &Task<'_>, moved: &dyn Fn(u64)) -> Result<Done, NoDump> {
        let no = |why: String| NoDump { why, full: false };
        let ask = self.ask(task.host, task.disk, task.level, task.stamp).ok_or_else(|| no("its dumptype is gone".to_owned()))?;
        let connection = self.link.connect(task.host).map_err(|error| no(format!("{} cannot be reached: {error}", task.host)))?;
        let indexdir = self.site.indexdir();
        let place = Place { holding: task.directory, indexdir: &indexdir };
        let made = dump::dump(connection, &ask, &place, moved).map_err(|error| NoDump { full: is_full(&error), why: explained(&error) })?;
        let strange = match made.outcome {
            Outcome::Ok => Vec::new(),
            _ if made.strange.is_empty() => vec!["the client had something to say".to_owned()],
            _ => made.strange,
        };
        Ok(Done { header: made.header, strange, secs: made.secs })
    }

    fn estimate(&self, disk: &Disk, level: u8) -> Option<u64> {
        let host: HostName = disk.dle.host.parse().ok()?;
        let stamp = "";
        let ask = self.ask(&host, disk, level, stamp)?;
        let sizes = estimate::estimate(self.link.connect(&host).ok()?, &ask, &[level]).ok()?;
        sizes.into_iter().find_map(|(_, size)| size.ok())
    }

    fn absent(&self, host: &HostName) -> Option<String> {
        self.link.absent(host)
    }
}

/// Says whether the file system was full.
fn is_full(error: &dump::DumpError) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(kind, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The error, and what the client had to say.
fn explained(error: &dump::DumpError) -> String {
    if error.strange.is_empty() { error.to_string() } else { format!("{error}; {}", super::words::shortened(&error.strange)) }
}

/// Makes the dumps. Each job that was open has its end then.
pub fn dump(site: &Site, jobs: &mut [Job<'_>], begun: &Begun, dumper: &dyn Dumper, watch: &dyn Watch, clock: &(dyn Fn() -> i64 + Sync)) {
    let mut hosts: Vec<(HostName, VecDeque<usize>)> = Vec::new();
    for (at, job) in jobs.iter().enumerate().filter(|(_, job)| job.is_open()) {
        match hosts.iter_mut().find(|(host, _)| *host == job.host) {
            Some((_, disks)) => disks.push_back(at),
            None => hosts.push((job.host.clone(), VecDeque::from([at]))),
        }
    }
    let parallel = site.config().settings().int("inparallel").unwrap_or(IN_PARALLEL).clamp(1, 63);
    let threads = hosts.len().min(usize::try_from(parallel).unwrap_or(1));
    let waiting = Mutex::new(VecDeque::from(hosts));
    let next = || waiting.lock().ok()?.pop_front();
    let ends = Mutex::new(Vec::new());
    let work = |jobs: &[Job<'_>]| {
        while let Some((_, disks)) = next() {
            for at in disks {
                // A disk whose dump ends in a bug of ours stops no other.
                let end = catch_unwind(AssertUnwindSafe(|| one(site, &jobs[at], begun, dumper, watch, clock)));
                let end =
                    end.unwrap_or_else(|_| Err(Undone { why: "the dump ended in a fault of this program".to_owned(), came: Came::Begun }));
                if let Ok(mut ends) = ends.lock() {
                    ends.push((at, end));
                }
            }
        }
    };
    let shared: &[Job<'_>] = jobs;
    if threads <= 1 {
        work(shared);
    } else {
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| work(shared));
            }
        });
    }
    for (at, end) in ends.into_inner().unwrap_or_default() {
        jobs[at].end = Some(end);
    }
}

/// Makes one dump; once more when the file system was full and there was something to erase.
fn one(
    site: &Site,
    job: &Job<'_>,
    begun: &Begun,
    dumper: &dyn Dumper,
    watch: &dyn Watch,
    clock: &(dyn Fn() -> i64 + Sync),
) -> Result<Done, Undone> {
    let (Some(disk), Some(plan)) = (job.disk, &job.plan) else {
        return Err(Undone { why: "nothing was planned for it".to_owned(), came: Came::Planned });
    };
    let task = Task { host: &job.host, disk, level: plan.level, stamp: &begun.stamp, directory: &begun.directory };
    let came = AtomicU64::new(0);
    let moved = |bytes: u64| {
        came.store(bytes, Ordering::Relaxed);
        watch.moved(&job.host, &job.name, bytes);
    };
    loop {
        let why = match dumper.dump(&task, &moved) {
            Ok(done) => return Ok(done),
            Err(NoDump { full: false, why }) => return Err(Undone { why, came: Came::Begun }),
            Err(NoDump { full: true, why }) => why,
        };
        let came = came.swap(0, Ordering::Relaxed);
        let erased = erase(site, came, watch, clock()).unwrap_or_else(|trouble| {
            watch.noted(&trouble.to_string());
            false
        });
        if !erased {
            return Err(Undone { why: format!("{} ({why})", room::no_room_meanwhile(site, came)), came: Came::Begun });
        }
        watch.noted(&format!("{} is dumped once more: the file system was full, and older volumes have been erased", job.dle));
    }
}

/// Erases volumes until twice as much is free as has come; says whether anything was erased.
fn erase(site: &Site, came: u64, watch: &dyn Watch, now: i64) -> Result<bool, crate::engine::Trouble> {
    let lock = mend::lock(site)?;
    let catalog = catalog::load(site)?;
    let before = taper::room(&site.holding())?;
    let wanted = before.max(came).saturating_mul(2).max(1);
    let room = taper::make_room(site, &catalog, wanted, now, watch, &lock)?;
    forget(site, &catalog, &catalog::load(site)?, now)?;
    Ok(room > before)
}
