//! The dumps of a run, when the [driver] says so: in threads of their own, where several may go on at once.

use std::error::Error as _;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use amanda::conf::Strategy;
use amanda::conf::disklist::Disk;
use amanda::header::HEADER_BYTES;
use wire::{HostName, Outcome};

use super::begin::Begun;
use super::jobs::{Came, Done, Job, Undone};
use super::{lineup, outcome, room};
use crate::engine::embedded::dialogue::Patience;
use crate::engine::embedded::driver::{self, Place, State, Step};
use crate::engine::embedded::dump::{self, Ask, Why};
use crate::engine::embedded::forget::forget;
use crate::engine::embedded::site::Site;
use crate::engine::embedded::{Kind, Link, Watch, catalog, estimate, history, mend, taper};

/// The longest time between two looks at the clock, which somebody may set.
const LOOK: Duration = Duration::from_secs(60);

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
    /// It may go better when it is tried again at once.
    pub again: bool,
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
        let no = |why: String| NoDump { why, full: false, again: false };
        let ask = self.ask(task.host, task.disk, task.level, task.stamp).ok_or_else(|| no("its dumptype is gone".to_owned()))?;
        let connection = self.link.connect(task.host).map_err(|error| no(format!("{} cannot be reached: {error}", task.host)))?;
        if self.link.moves_by_itself(task.host) {
            // After a dump that failed only a full one is safe, and these dumptypes make none.
            if ask.how.skip_full() || ask.how.strategy() == Strategy::IncrOnly {
                let why = "the client of this machine moves its lists by itself, so a full dump must be possible after one that failed, and \
                           the dumptype has skip-full or strategy incronly";
                return Err(no(why.to_owned()));
            }
            // Taken back when the dump is there. Whoever is killed meanwhile has said it.
            history::force_full(self.site, &task.disk.dle).map_err(|error| {
                no(format!("it cannot be noted in {} that a dump was begun: {error}", self.site.config().infofile().display()))
            })?;
        }
        let indexdir = self.site.indexdir();
        let place = dump::Place { holding: task.directory, indexdir: &indexdir, chunk: outcome::chunk(self.site, task.directory) };
        let made = dump::dump(connection, &ask, &place, moved).map_err(|error| {
            let full = is_full(&error);
            NoDump { full, again: !full && may_go_better(&error), why: explained(&error) }
        })?;
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

/// Says whether a dump that failed may go better at once. Amanda tries all again that fail (`retry-dump`); here a client that was silent or
/// is gone, or says what it may not, gets no second chance to keep others waiting.
fn may_go_better(error: &dump::DumpError) -> bool {
    matches!(&error.why, Why::Unproven(unproven) if unproven.may_go_better())
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

/// How a dump ended, and what that is to the driver.
struct Ended {
    task: usize,
    end: Result<Done, Undone>,
    /// It may go better at once.
    again: bool,
    /// Its place was full.
    full: bool,
}

/// Makes the dumps, as the driver says. Each job that was open has its end then.
pub fn dump(
    site: &Site,
    kind: Kind,
    jobs: &mut [Job<'_>],
    begun: &Begun,
    dumper: &dyn Dumper,
    watch: &dyn Watch,
    clock: &(dyn Fn() -> i64 + Sync),
) {
    let mut lineup = lineup::line_up(site, jobs, clock());
    let room = match room::for_driver(site, &begun.places) {
        Ok(room) => room,
        Err(trouble) => return jobs.iter_mut().filter(|job| job.is_open()).for_each(|job| job.fail(trouble.to_string())),
    };
    let mut state = State::new(lineup.tasks.len(), room.holdings, room.beside);
    let mut ends: Vec<(usize, Result<Done, Undone>)> = Vec::new();
    let work = Work { site, jobs, begun, dumper, watch, clock };
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        loop {
            match driver::next(&lineup.limits, &lineup.tasks, &state, clock()) {
                Step::Start(task, place) => {
                    let is_alone = state.is_idle();
                    state.started(&lineup.tasks, task, place);
                    let job = lineup.jobs[task];
                    // Nothing can begin before its end: it needs no thread of its own.
                    if is_alone && driver::next(&lineup.limits, &lineup.tasks, &state, clock()) == Step::Wait(None) {
                        let _we_listen = tell.send(work.guarded(task, job, place));
                        continue;
                    }
                    let (tell, work) = (tell.clone(), &work);
                    scope.spawn(move || {
                        let _nobody_else_listens = tell.send(work.guarded(task, job, place));
                    });
                }
                Step::Refuse(task) => {
                    state.ended(&lineup.tasks, task, 0);
                    let why = room::none_for(&lineup.tasks[task]);
                    ends.push((lineup.jobs[task], Err(Undone { why, came: Came::Planned })));
                }
                Step::Wait(until) => {
                    let patience = until.map_or(LOOK, |until| LOOK.min(Duration::from_secs((until - clock()).max(1).unsigned_abs())));
                    let Ok(ended) = told.recv_timeout(patience) else { continue };
                    let tries = &mut lineup.tries[ended.task];
                    *tries = tries.saturating_sub(1);
                    let dle = &work.jobs[lineup.jobs[ended.task]].dle;
                    if let Err(undone) = &ended.end
                        && *tries > 0
                        // A laptop is told at once, and calls again.
                        && ((ended.again && kind == Kind::Nightly) || (ended.full && lineup::may_go_beside(&lineup.tasks[ended.task]) && room.beside > 0))
                    {
                        watch.noted(&format!("{dle} is dumped once more: {}", undone.why));
                        state.again(&lineup.tasks, ended.task);
                        if ended.full {
                            lineup::send_beside(&mut lineup.tasks[ended.task]);
                        }
                        continue;
                    }
                    state.ended(&lineup.tasks, ended.task, ended.end.as_ref().map_or(0, stored));
                    ends.push((lineup.jobs[ended.task], ended.end));
                }
                Step::Done => break,
            }
        }
    });
    for (at, end) in ends {
        jobs[at].end = Some(end);
    }
}

/// Returns the bytes that a dump takes where it lies.
fn stored(done: &Done) -> u64 {
    done.header.server.map_or(0, |crc| crc.bytes).saturating_add(HEADER_BYTES as u64)
}

/// What all dumps of a run share.
struct Work<'a> {
    site: &'a Site,
    jobs: &'a [Job<'a>],
    begun: &'a Begun,
    dumper: &'a dyn Dumper,
    watch: &'a dyn Watch,
    clock: &'a (dyn Fn() -> i64 + Sync),
}

impl Work<'_> {
    /// Makes one dump. One that ends in a bug of ours stops no other.
    fn guarded(&self, task: usize, at: usize, place: Place) -> Ended {
        catch_unwind(AssertUnwindSafe(|| self.one(task, at, place))).unwrap_or_else(|_| {
            let end = Err(Undone { why: "the dump ended in a fault of this program".to_owned(), came: Came::Begun });
            Ended { task, end, again: false, full: false }
        })
    }

    /// Makes one dump. Where volumes lie on the holding disk's file system it is made once more when that was full and there was something
    /// to erase.
    fn one(&self, number: usize, at: usize, place: Place) -> Ended {
        let job = &self.jobs[at];
        let ended = |end, again, full| Ended { task: number, end, again, full };
        let undone = |why, came| Err(Undone { why, came });
        let (Some(disk), Some(plan), Some(directory)) = (job.disk, &job.plan, self.begun.places.of(place)) else {
            return ended(undone("nothing was planned for it".to_owned(), Came::Planned), false, false);
        };
        let task = Task { host: &job.host, disk, level: plan.level, stamp: &self.begun.stamp, directory };
        let came = AtomicU64::new(0);
        let moved = |bytes: u64| {
            came.store(bytes, Ordering::Relaxed);
            self.watch.moved(&job.host, &job.name, bytes);
        };
        loop {
            let no = match self.dumper.dump(&task, &moved) {
                Ok(done) => return ended(Ok(done), false, false),
                Err(no) => no,
            };
            if !no.full || outcome::goes_round(self.site) {
                return ended(undone(no.why, Came::Begun), no.again, no.full);
            }
            let came = came.swap(0, Ordering::Relaxed);
            let erased = erase(self.site, came, self.watch, (self.clock)()).unwrap_or_else(|trouble| {
                self.watch.noted(&trouble.to_string());
                false
            });
            if !erased {
                return ended(undone(format!("{} ({})", room::no_room_meanwhile(self.site, came), no.why), Came::Begun), false, false);
            }
            self.watch.noted(&format!("{} is dumped once more: the file system was full, and older volumes have been erased", job.dle));
        }
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
