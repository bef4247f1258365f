//! The disks of a run, and what becomes of each.

use std::collections::BTreeMap;

use amanda::conf::disklist::Disk;
use amanda::dle::Dle;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use wire::{DiskName, HostName};

use super::dumping::Dumper;
use crate::engine::Trouble;
use crate::engine::embedded::plan::Plan;
use crate::engine::embedded::planner::Planned;
use crate::engine::embedded::site::{Site, failed};
use crate::engine::embedded::{Order, locks};
use crate::lock::Guard;

/// A disk that was asked for, and what became of it.
pub struct Job<'a> {
    pub host: HostName,
    pub name: DiskName,
    pub dle: Dle,
    pub disk: Option<&'a Disk>,
    pub plan: Option<Plan>,
    /// What the planner of a nightly run says of it besides: how important it is, and what is dumped instead without a volume.
    pub planned: Option<Planned>,
    /// The dump, or why there is none.
    pub end: Option<Result<Done, Undone>>,
}

/// A dump that is on the holding disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// Its header.
    pub header: amanda::header::Header,
    /// What the client said that somebody should read; with nothing to say it is empty.
    pub strange: Vec<String>,
    /// How long it took.
    pub secs: f64,
}

/// So many files a run has open besides.
const OTHER_FILES: u64 = 512;

/// Why there is no dump.
#[derive(Debug, Clone, PartialEq)]
pub struct Undone {
    /// A sentence.
    pub why: String,
    /// How far it came.
    pub came: Came,
}

/// How far a disk came that was not dumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// None of this run's: only its own host's calls dump it. The planner counts it.
    Counted,
    /// Not wanted now, and nothing is wrong with that.
    Skipped,
    /// It failed before its client was asked for a dump.
    Planned,
    /// The client was asked for it.
    Begun,
}

impl Job<'_> {
    pub fn fail(&mut self, why: impl Into<String>) {
        self.end = Some(Err(Undone { why: why.into(), came: Came::Planned }));
    }

    pub fn skip(&mut self, why: impl Into<String>) {
        self.end = Some(Err(Undone { why: why.into(), came: Came::Skipped }));
    }

    pub fn is_skipped(&self) -> bool {
        matches!(&self.end, Some(Err(undone)) if matches!(undone.came, Came::Counted | Came::Skipped))
    }

    pub fn is_open(&self) -> bool {
        self.end.is_none()
    }
}

/// Adds the disks that only their own hosts' calls dump.
pub fn count_the_others<'a>(site: &'a Site, jobs: &mut Vec<Job<'a>>) {
    for disk in site.disks().iter().filter(|disk| !site.is_ignored(disk)) {
        let (Ok(host), Ok(name)) = (disk.dle.host.parse(), DiskName::new(disk.dle.disk.clone())) else { continue };
        if !jobs.iter().any(|job| job.dle == disk.dle) {
            let end = Some(Err(Undone { why: "only its own calls dump it".to_owned(), came: Came::Counted }));
            jobs.push(Job { host, name, dle: disk.dle.clone(), disk: Some(disk), plan: None, planned: None, end });
        }
    }
}

/// Leaves out the hosts that are not there and call by themselves.
pub fn pass_over_absent(jobs: &mut [Job<'_>], dumper: &dyn Dumper) {
    let mut asked: BTreeMap<HostName, Option<String>> = BTreeMap::new();
    for job in jobs.iter_mut().filter(|job| job.is_open()) {
        let absent = asked.entry(job.host.clone()).or_insert_with(|| dumper.absent(&job.host));
        if let Some(why) = absent {
            let why = why.clone();
            job.skip(why);
        }
    }
}

/// Returns what was asked for, each disk once.
pub fn of<'a>(site: &'a Site, orders: &[Order]) -> Vec<Job<'a>> {
    let mut jobs: Vec<Job<'a>> = Vec::new();
    for order in orders {
        let disks = || site.disks().iter().filter(|disk| disk.dle.host == order.host.as_str() && !site.is_ignored(disk));
        let mut add = |name: DiskName, disk: Option<&'a Disk>| {
            let dle = Dle::new(order.host.as_str(), name.as_os_str().to_owned());
            if !jobs.iter().any(|job| job.dle == dle) {
                jobs.push(Job { host: order.host.clone(), name, dle, disk, plan: None, planned: None, end: None });
            }
        };
        if order.disks.is_empty() {
            for disk in disks() {
                if let Ok(name) = DiskName::new(disk.dle.disk.clone()) {
                    add(name, Some(disk));
                }
            }
        }
        for name in &order.disks {
            let disk = disks().find(|disk| disk.dle.disk == name.as_os_str());
            add(name.clone(), disk);
        }
    }
    for job in jobs.iter_mut().filter(|job| job.disk.is_none()) {
        let words = format!("the disklist of {} has no such disk for {}, or leaves it alone", site.name(), job.host);
        job.fail(words);
    }
    jobs
}

/// Each lock is an open file, and a process may usually have 1,024 of them. Where it may not have more, the run fails and says what it
/// could not lock.
fn raise_limit(disks: usize) {
    let wanted = u64::try_from(disks).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < wanted
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard);
    }
}

/// Takes each disk's lock, before anything is read that another run of it would change.
pub fn lock(site: &Site, jobs: &mut [Job<'_>]) -> Result<Vec<Guard>, Trouble> {
    let mut locks = Vec::new();
    raise_limit(jobs.len());
    for job in jobs.iter_mut().filter(|job| job.is_open()) {
        match locks::disk(site, &job.dle).map_err(|error| failed("cannot lock a disk in", &site.own(), &error))? {
            Some(lock) => locks.push(lock),
            None => job.fail("another run is dumping this disk now, and no disk is dumped by two at once"),
        }
    }
    Ok(locks)
}
