//! One run, followed to its end: ours, or one that an earlier runner left behind.
//!
//! A run goes on while its leader (amdump, amflush) lives. When the leader is dead, whatever else carries the run's mark is
//! ended before anything is believed: Amanda's programs outlive amdump, and what still runs may still write.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::admit::Admission;
use super::log;
use super::record::RunRecord;
use crate::config::{Config, Limits};
use crate::engine::{Engine, Observation, Survey, Trouble};
use crate::layout::Layout;
use crate::lock::{self, Guard};
use crate::processes::{self, Identity};
use crate::queue::order::{Kind, Running, Waiting};
use crate::queue::ticket::Ticket;
use crate::standing::LiveRun;

/// Seconds that what is left of a run gets to end by itself: after its leader ended, and after each signal.
const GRACE: f64 = 3.0;

/// Seconds without progress after which a run is ended when a part of it has died.
const BROKEN: f64 = 5.0;

/// Seconds during which settling is tried again before the tickets are answered.
const SETTLE_PATIENCE: f64 = 60.0;

/// Seconds between two tries to settle a run whose tickets have been answered.
const SETTLE_AGAIN: f64 = 30.0;

/// Clock ticks of processor time within the watchdog's patience that count as progress.
const BUSY_TICKS: u64 = 100;

/// A run that goes on, or whose remains are being ended.
#[derive(Debug)]
pub struct Live {
    /// What is written down about it.
    pub record: RunRecord,
    /// The slot on its catalog, and the tape where it writes to it; none for a run that was found until they are taken.
    guards: Vec<Guard>,
    observation: Observation,
    changed: f64,
    cpu: u64,
    leader_gone: Option<f64>,
    signalled: Option<(f64, Signal)>,
    unsettled: Option<f64>,
    /// Its tickets have been answered; it stays until it is settled, so that nobody builds on what it left.
    pub answered: bool,
    settle_at: f64,
}

impl Live {
    /// Takes up a run that an earlier runner wrote down.
    pub fn found(record: RunRecord) -> Self {
        Self::new(record, Vec::new())
    }

    fn new(record: RunRecord, guards: Vec<Guard>) -> Self {
        let observation = Observation { phase: "starting".to_owned(), ..Observation::default() };
        Self {
            record,
            guards,
            observation,
            changed: 0.0,
            cpu: 0,
            leader_gone: None,
            signalled: None,
            unsettled: None,
            answered: false,
            settle_at: 0.0,
        }
    }

    /// Tells whether it is about this ticket.
    pub fn has(&self, ticket: &Ticket) -> bool {
        self.record.parts.iter().any(|part| part.ticket.as_ref() == Some(&ticket.id) && part.host == ticket.host)
    }

    /// Looks at the run; tells whether anything of it is left. `now` in seconds of a clock that nobody sets.
    pub fn step(&mut self, now: f64, engine: &dyn Engine, survey: Option<&std::rc::Rc<Survey>>, limits: &Limits) -> bool {
        if self.record.boot != processes::boot_id() {
            return false;
        }
        if self.record.leader.is_none() {
            // The runner was killed between starting it and writing that down.
            let remains = processes::of_run(&self.record.id, None).unwrap_or_default();
            let first = remains.marked.iter().min_by_key(|process| (process.start, process.pid));
            self.record.leader = first.map(|process| Identity { pid: process.pid, start: process.start });
        }
        let Some(leader) = self.record.leader else { return false };
        if leader.pid != 0 {
            // Reaps it when it is our child; harmless when it is not.
            let _ = waitpid(Pid::from_raw(leader.pid as i32), Some(WaitPidFlag::WNOHANG));
        }
        if processes::is_alive(leader) && self.record.ended.is_none() {
            if let Some(survey) = survey {
                self.observe(now, engine, survey, limits);
            }
            return true;
        }
        self.end_what_is_left(now)
    }

    fn observe(&mut self, now: f64, engine: &dyn Engine, survey: &Survey, limits: &Limits) {
        let observation = engine.observe(&mut self.record, survey);
        if self.changed == 0.0 || observation.signature != self.observation.signature {
            self.changed = now;
        }
        self.observation = observation;
        let idle = now - self.changed;
        // Amanda has time limits of its own for estimates; a taper waits for an operator, or writes for hours without a word.
        let watched = matches!(self.record.kind, Kind::Laptops { .. }) && self.observation.phase == "dumping";
        let stalled = watched && idle > limits.stall.as_secs_f64() && !self.used_the_processor(now);
        let why = match &self.observation.broken {
            Some(broken) if idle > BROKEN => format!("{broken}, and the run waits for it"),
            _ if stalled => format!("it has made no progress for {}", humantime::format_duration(limits.stall)),
            _ => return,
        };
        log(&format!("event=run_ended_by_watchdog run={} why={why:?}", self.record.id));
        self.record.ended = Some(why);
    }

    /// Tells whether the run has worked since it was last asked, though no file grew: then its patience begins anew.
    fn used_the_processor(&mut self, now: f64) -> bool {
        let remains = processes::of_run(&self.record.id, self.record.leader).unwrap_or_default();
        let cpu = remains.marked.iter().chain(&remains.hidden).map(|process| process.cpu).sum();
        let busy = cpu > self.cpu + BUSY_TICKS;
        self.cpu = cpu;
        if busy {
            self.changed = now;
        }
        busy
    }

    /// Ends what is left; tells whether anything still is.
    fn end_what_is_left(&mut self, now: f64) -> bool {
        // Nothing is proven while /proc cannot be read.
        let Ok(remains) = processes::of_run(&self.record.id, self.record.leader) else { return true };
        if remains.is_empty() {
            return false;
        }
        let gone = *self.leader_gone.get_or_insert(now);
        let signal = match self.signalled {
            None if self.record.ended.is_none() && now - gone < GRACE => return true,
            None => Signal::SIGTERM,
            Some((since, _)) if now - since < GRACE => return true,
            Some(_) => Signal::SIGKILL,
        };
        let names: Vec<&str> = remains.marked.iter().chain(&remains.hidden).map(|process| process.comm.as_str()).take(20).collect();
        log(&format!("event=ending_remains run={} signal={signal} processes={}", self.record.id, names.join(",")));
        remains.signal(signal);
        self.signalled = Some((now, signal));
        true
    }

    /// Tells whether it is time to settle it.
    pub fn may_settle(&self, now: f64) -> bool {
        now >= self.settle_at
    }

    /// Notes that it could not be settled now; tells whether its tickets have waited long enough for an answer.
    pub fn settle_later(&mut self, now: f64) -> bool {
        self.settle_at = now + if self.answered { SETTLE_AGAIN } else { 1.0 };
        let tired = !self.answered && now - *self.unsettled.get_or_insert(now) >= SETTLE_PATIENCE;
        self.answered |= tired;
        tired
    }

    /// Returns a descriptor that becomes readable when the leader ends.
    pub fn ending(&self) -> Option<OwnedFd> {
        let pid = rustix::process::Pid::from_raw(self.record.leader?.pid as i32)?;
        rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
    }

    /// Returns what the decision about the queue needs to know of it.
    pub fn running(&self) -> Running {
        Running {
            config: Some(self.record.config.clone()),
            catalog: Some(self.record.catalog.clone()),
            hosts: Some(self.record.hosts()),
            kind: self.record.kind,
            since: self.record.started,
        }
    }

    /// Shows it.
    pub fn shown(&self) -> LiveRun {
        LiveRun {
            run: self.record.id.clone(),
            kind: self.record.kind,
            config: self.record.config.to_string(),
            hosts: self.record.hosts(),
            tickets: self.record.parts.iter().filter_map(|part| part.ticket.clone()).chain(self.record.order.clone()).collect(),
            leader: self.record.leader,
            since: self.record.started,
            phase: self.observation.phase.clone(),
            disks: self.observation.disks.clone(),
        }
    }

    /// Tells whether it holds its slot; a found one has to take it.
    pub fn take_slot(&mut self, layout: &Layout, limits: &Limits, now: f64) {
        if self.guards.is_empty() {
            self.guards = slot(layout, &self.record, limits, now).unwrap_or_default();
        }
    }
}

/// Takes the locks that a run needs; an empty answer is never given.
fn slot(layout: &Layout, record: &RunRecord, limits: &Limits, now: f64) -> Option<Vec<Guard>> {
    let what = format!("run {} of {}", record.id, record.config);
    let take = |path: &Path| lock::try_take(path, &what, now as i64).ok().flatten();
    let mut guards = Vec::new();
    if matches!(record.kind, Kind::Nightly | Kind::Flush) {
        guards.push(take(&layout.tape_lock(record.config.as_str()))?);
    }
    if record.kind != Kind::Flush {
        // One more than the limit: a nightly run may stand beside the laptops' runs that were found.
        guards.push((0..=limits.parallel_runs).find_map(|slot| take(&layout.run_lock(record.config.as_str(), slot)))?);
    }
    Some(guards)
}

/// Starts a run for these tickets; none when somebody holds the locks it needs, and then they go on waiting.
pub fn start(
    engine: &dyn Engine,
    layout: &Layout,
    config: &Config,
    admission: &Admission,
    members: &[&Waiting],
    survey: &Survey,
    now: f64,
) -> Result<Option<Live>, Trouble> {
    let first = members.first().expect("a turn starts at least one ticket");
    let ordered = admission.orders.get(&first.ticket);
    let order = ordered.map(|_| first.ticket.clone());
    let parts = match ordered {
        Some(parts) => parts.clone(),
        None => members.iter().filter_map(|member| admission.parts.get(&member.ticket).cloned()).collect(),
    };
    let mut record = RunRecord {
        id: format!("{}-{}", (now * 1000.0) as u64, std::process::id()),
        kind: first.kind,
        config: first.config.clone(),
        catalog: first.catalog.clone(),
        parts,
        order,
        started: now as i64,
        boot: processes::boot_id(),
        leader: None,
        logdir: survey.logdir.clone(),
        log: None,
        ended: None,
    };
    let Some(guards) = slot(layout, &record, &config.limits, now) else { return Ok(None) };
    let write = |error: std::io::Error| {
        Trouble::later(
            format!("the run cannot be written down: {error}"),
            format!("free some room in {}, or mend its permissions", layout.runner().display()),
        )
    };
    // Written down before it begins: whoever comes after a crash finds it by its mark.
    record.save(layout).map_err(write)?;
    let lock = guards.first().expect("a run holds at least one lock");
    match engine.start(&record, survey, lock) {
        Ok(leader) => {
            record.leader = Some(leader);
            // The mark finds it if this fails.
            if let Err(error) = record.note(layout) {
                log(&format!("event=record_not_saved run={} why={error}", record.id));
            }
            Ok(Some(Live::new(record, guards)))
        }
        Err(trouble) => {
            record.forget(layout).map_err(write)?;
            Err(trouble)
        }
    }
}
