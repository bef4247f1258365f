//! The runner: the one process, of the dump user, that starts runs and settles them. It is there while there is something to do.
//!
//! One loop: look at what waits and at what goes on, settle what is over, start what may start, publish, wait for an event.
//! It keeps nothing in memory that is not also on disk: the next runner goes on where this one was killed.
//!
//! [`start`] brings it to life, [`record`] is what it writes down about a run, [`admit`] reads tickets and orders,
//! [`checks`] asks amcheck for a laptop,
//! [`live`] follows one run to its end, [`settle`] turns what a run brought into receipts, [`flush_policy`] decides about tapes.

pub mod admit;
pub mod checks;
pub mod flush_policy;
pub mod live;
pub mod order;
pub mod record;
pub mod settle;
pub mod start;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use wire::HostName;

use crate::config::{Config, EngineKind, Reach};
use crate::durable;
use crate::engine::amanda::AmandaEngine;
use crate::engine::dumper::DumperEngine;
use crate::engine::none::NoEngine;
use crate::engine::{Engine, Trouble};
use crate::layout::Layout;
use crate::lock;
use crate::processes::{Foreign, Identity};
use crate::queue::order::{Hold, Kind, Turn, Waiting, turn_of_those_here};
use crate::queue::spool::Spool;
use crate::queue::ticket::TicketId;
use crate::restore::requests;
use crate::standing::Standing;
use crate::tunnel;
use admit::{Admission, Surveys};
use live::Live;

/// How long results are kept for laptops that went away.
const KEEP_RESULTS: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The longest time between two looks while a run goes on.
const TICK: Duration = Duration::from_millis(500);

/// Returns seconds since the epoch, with their fraction.
pub fn clock() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Returns seconds of a clock that nobody sets: for how long something has lasted.
pub fn uptime() -> f64 {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).map_or(0.0, |time| Duration::from(time).as_secs_f64())
}

/// Writes one line about a fact into the runner's log.
pub fn log(line: &str) {
    let now = chrono::Local::now().format("%Y-%m-%dT%H:%M:%S%z");
    eprintln!("{now} pid={} {}", std::process::id(), amanda::escape::printable(line.as_bytes()));
}

/// Runs until nothing waits and nothing goes on; returns at once when another runner is alive.
pub fn work(config: &Config) -> io::Result<()> {
    let layout = config.layout();
    loop {
        let Some(guard) = lock::try_take(&layout.runner_lock(), "the runner", clock() as i64)? else { return Ok(()) };
        let engine: Box<dyn Engine + '_> = match config.engine {
            EngineKind::Amanda => Box::new(AmandaEngine::new(config)),
            EngineKind::Embedded => Box::new(DumperEngine::new(config)),
            EngineKind::None => Box::new(NoEngine { config }),
        };
        let mut runner = Runner::new(config, engine.as_ref())?;
        let worked = runner.until_idle();
        drop(guard);
        worked?;
        // A ticket that came between the last look and the lock's release found a runner alive, and started none.
        if !runner.something_waits()? {
            return Ok(());
        }
    }
}

struct Runner<'a> {
    config: &'a Config,
    layout: Layout,
    spool: Spool,
    engine: &'a dyn Engine,
    live: Vec<Live>,
    events: Inotify,
    published: Option<Standing>,
    /// Files in the queue that will not be served, whatever they say.
    passed_over: Vec<String>,
    requests_passed_over: requests::PassedOver,
    checks: checks::Checks,
    /// Tickets whose laptop has no session now, and since when, in seconds of a clock that nobody sets.
    away: BTreeMap<TicketId, f64>,
}

impl<'a> Runner<'a> {
    fn new(config: &'a Config, engine: &'a dyn Engine) -> io::Result<Self> {
        let layout = config.layout();
        let events = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        for directory in [layout.queue(), layout.orders()] {
            events.add_watch(&directory, AddWatchFlags::IN_MOVED_TO)?;
        }
        let spool = Spool::new(layout.clone());
        Ok(Self {
            config,
            layout,
            spool,
            engine,
            live: Vec::new(),
            events,
            published: None,
            passed_over: Vec::new(),
            requests_passed_over: requests::PassedOver::new(),
            checks: checks::Checks::default(),
            away: BTreeMap::new(),
        })
    }

    fn until_idle(&mut self) -> io::Result<()> {
        for record in record::RunRecord::load_all(&self.layout)? {
            log(&format!("event=run_found run={} config={} hosts={}", record.id, record.config, names(&record)));
            self.live.push(Live::found(record));
        }
        let surveys = Surveys::new(self.engine, self.config);
        let mut seen = Vec::new();
        loop {
            let glance = self.spool.glance()?;
            if glance != seen {
                surveys.forget();
                seen = glance;
            }
            self.guard(&surveys, &[]);
            self.step_live(&surveys)?;
            requests::start_all(self.config, &mut self.requests_passed_over);
            let checking = self.checks.step(&self.layout, &surveys, self.engine)?;
            let now = clock();
            let mut admission = admit::admit(self.config, &self.spool, &self.layout, &surveys, &self.live)?;
            for (settled, ticket) in admission.refused.drain(..) {
                log(&format!("event=ticket_refused ticket={} why={:?}", ticket.id.as_str(), settled.error));
                settle::publish_result(&self.layout, &self.spool, &ticket, &settled)?;
            }
            self.passed_over = admission.strange.iter().map(|(name, _)| name.clone()).collect();
            self.order_flush(now, &surveys, &admission)?;
            self.guard(&surveys, &admission.foreign);
            let is_here = |waiting: &Waiting| self.is_here(waiting);
            let turn = turn_of_those_here(now, &admission.waiting, &admission.running, &self.config.limits, is_here);
            self.send_away(&admission, &turn)?;
            self.publish(&surveys, &admission, &turn);
            if self.start(&admission, &turn, &surveys)? {
                continue;
            }
            if admission.waiting.is_empty() && !checking && self.live.is_empty() {
                return self.tidy();
            }
            self.wait(!admission.waiting.is_empty())?;
        }
    }

    /// Protects the unfinished dumps of all runs, others' too: looking anything up in a catalog may have laid them bare.
    fn guard(&self, surveys: &Surveys<'_>, foreign: &[Foreign]) {
        let ours = self.live.iter().filter_map(|live| Some((live.record.config.clone(), live.record.log.as_deref()?, live.record.leader?)));
        let others =
            foreign.iter().filter_map(|run| Some((run.config_name()?, run.log.as_deref()?, Identity { pid: run.pid, start: run.start })));
        for (config, log, leader) in ours.chain(others) {
            let Ok(survey) = surveys.of(&config) else { continue };
            for directory in self.engine.protect(log, leader, &survey) {
                // Watching it again changes nothing; one that cannot be watched is looked at with every tick.
                let _ = self.events.add_watch(&directory, AddWatchFlags::IN_DELETE);
            }
        }
    }

    /// Looks at every run that goes on, and settles those that are over.
    fn step_live(&mut self, surveys: &Surveys<'_>) -> io::Result<()> {
        let (now, monotonic) = (clock(), uptime());
        let mut still = Vec::new();
        for mut live in std::mem::take(&mut self.live) {
            live.take_slot(&self.layout, &self.config.limits, now);
            let survey = surveys.of(&live.record.config);
            if live.step(monotonic, self.engine, survey.as_ref().ok(), &self.config.limits) || !live.may_settle(monotonic) {
                still.push(live);
                continue;
            }
            // What the config said may not be readable at this moment; nothing is lost by settling later.
            match survey.and_then(|survey| self.engine.settle(&mut live.record, &survey).map(|verdicts| (survey, verdicts))) {
                Ok((survey, verdicts)) => {
                    settle::settle(&self.layout, &self.spool, &live.record, &survey, verdicts, now)?;
                    settle::restate(self.config, &self.layout, self.engine, &live.record.config);
                }
                Err(trouble) => {
                    if live.settle_later(monotonic) {
                        log(&format!("event=settle_failed run={} why={trouble:?}", live.record.id));
                        settle::give_up(&self.layout, &self.spool, &live.record, &trouble, now)?;
                    }
                    still.push(live);
                }
            }
        }
        self.live.append(&mut still);
        Ok(())
    }

    /// Starts what the turn says; tells whether anything changed.
    fn start(&mut self, admission: &Admission, turn: &Turn, surveys: &Surveys<'_>) -> io::Result<bool> {
        let now = clock();
        let members: Vec<&Waiting> = turn.start.iter().map(|index| &admission.waiting[*index]).collect();
        let Some(first) = members.first() else { return Ok(false) };
        // Admitted a moment ago, unreadable now: the next look says why.
        let Ok(survey) = surveys.of(&first.config) else { return Ok(false) };
        let started = live::start(self.engine, &self.layout, self.config, admission, &members, &survey, now);
        match started {
            // Somebody holds a lock that the turn knows nothing of; the tickets go on waiting.
            Ok(None) => return Ok(false),
            Ok(Some(live)) => {
                self.guard(surveys, &admission.foreign);
                log(&format!(
                    "event=run_started run={} config={} kind={:?} hosts={}",
                    live.record.id,
                    live.record.config,
                    live.record.kind,
                    names(&live.record)
                ));
                self.live.push(live);
            }
            Err(trouble) => {
                log(&format!("event=run_not_started config={} why={trouble:?}", first.config));
                for member in members {
                    admission.fail(&self.layout, &self.spool, &member.ticket, &trouble)?;
                }
            }
        }
        Ok(true)
    }

    /// Orders a flush when the policy says so; the order waits for the tape like one an administrator gave.
    fn order_flush(&mut self, now: f64, surveys: &Surveys<'_>, admission: &Admission) -> io::Result<()> {
        let Some(flush) = self.config.flush.as_ref().filter(|_| self.config.engine != EngineKind::None) else { return Ok(()) };
        let busy = admission.waiting.iter().any(|waiting| waiting.kind == Kind::Flush)
            || self.live.iter().any(|live| live.record.kind == Kind::Flush);
        // Looked at when a run is over and nobody is about to start one: never part of a laptop's wait.
        if busy || !self.live.is_empty() || !admission.waiting.is_empty() || (flush.after.is_none() && flush.at.is_none()) {
            return Ok(());
        }
        let Ok(survey) = surveys.of(&flush.config) else { return Ok(()) };
        if flush_policy::due(flush, flush_policy::held_bytes(&survey.holding), flush_policy::last(&self.layout), chrono::Local::now()) {
            flush_policy::note(&self.layout, now as i64)?;
            order::place(&self.layout, order::What::Flush, &flush.config, &[], now)?;
        }
        Ok(())
    }

    /// Answers tickets whose laptop has been away for too long: when it calls again it asks again, and a ticket that nobody
    /// comes for would keep a runner alive for ever.
    fn send_away(&mut self, admission: &Admission, turn: &Turn) -> io::Result<()> {
        let monotonic = uptime();
        let away = turn.holds.iter().filter(|(_, hold)| *hold == Hold::Away).map(|(index, _)| &admission.waiting[*index]);
        let still: BTreeMap<TicketId, f64> =
            away.map(|waiting| (waiting.ticket.clone(), self.away.get(&waiting.ticket).copied().unwrap_or(monotonic))).collect();
        // One that nobody was asked about now, since another run goes first, keeps its time.
        let asked = |id: &TicketId| turn.start.iter().any(|index| admission.waiting[*index].ticket == *id);
        let waits = |id: &TicketId| admission.waiting.iter().any(|waiting| waiting.ticket == *id);
        self.away.retain(|id, _| waits(id) && !asked(id));
        self.away.extend(still);
        for (id, since) in self.away.clone() {
            if monotonic - since < self.config.limits.away.as_secs_f64() {
                continue;
            }
            let trouble = Trouble::later(
                "the laptop left before its turn came, and its disks are read through its own session",
                "nothing need be done: the next call asks again",
            );
            log(&format!("event=ticket_left ticket={}", id.as_str()));
            admission.fail(&self.layout, &self.spool, &id, &trouble)?;
            self.away.remove(&id);
        }
        Ok(())
    }

    /// Tells whether the laptop of a ticket can be reached now; the hosts of an order are whoever answers.
    fn is_here(&self, waiting: &Waiting) -> bool {
        let there = |host: &HostName| match self.config.hosts.get(host).map(|rule| rule.reach) {
            Some(Reach::Tunnel) => tunnel::alive(self.config, host),
            _ => true,
        };
        !matches!(waiting.kind, Kind::Laptops { .. }) || waiting.hosts.iter().all(there)
    }

    fn publish(&mut self, surveys: &Surveys<'_>, admission: &Admission, turn: &Turn) {
        let standing = admission.standing(surveys, &self.live, turn);
        if self.published.as_ref() != Some(&standing) {
            // Only information: a full disk must not keep anybody from being served.
            if let Err(error) = durable::publish_json(&self.layout.standing(), &standing, 0o640) {
                log(&format!("event=standing_not_published why=\"{error}\""));
            }
            self.published = Some(standing);
        }
    }

    /// Sleeps until a ticket comes, an amdump of ours ends, or it is time to look again.
    fn wait(&self, somebody_waits: bool) -> io::Result<()> {
        let mut patience = TICK;
        if somebody_waits {
            patience = patience.min(crate::queue::order::recheck_after(&self.config.limits));
        }
        let endings: Vec<_> = self.live.iter().filter_map(Live::ending).collect();
        let mut descriptors = vec![PollFd::new(self.events.as_fd(), PollFlags::POLLIN)];
        descriptors.extend(endings.iter().map(|ending| PollFd::new(ending.as_fd(), PollFlags::POLLIN)));
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        match poll(&mut descriptors, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        while self.events.read_events().is_ok_and(|events| !events.is_empty()) {}
        Ok(())
    }

    fn something_waits(&self) -> io::Result<bool> {
        let (tickets, _) = self.spool.list()?;
        let waits = tickets.iter().any(|ticket| !self.layout.result(ticket).exists() && !self.passed_over.contains(&ticket.file_name()));
        Ok(waits
            || checks::any(&self.layout)
            || requests::any(&self.layout, &self.requests_passed_over)
            || order::list(&self.layout)?.iter().any(|order| !self.layout.order_result(&order.id).exists()))
    }

    /// Removes results that nobody will ask for any more.
    fn tidy(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.layout.results())? {
            let entry = entry?;
            let old = entry.metadata()?.modified()?.elapsed().is_ok_and(|age| age > KEEP_RESULTS);
            if old && let Err(error) = fs::remove_file(entry.path()) {
                log(&format!("event=result_not_removed path={} why=\"{error}\"", entry.path().display()));
            }
        }
        Ok(())
    }
}

fn names(record: &record::RunRecord) -> String {
    let hosts: BTreeMap<_, ()> = record.parts.iter().map(|part| (part.host.as_str(), ())).collect();
    hosts.into_keys().collect::<Vec<_>>().join(",")
}
