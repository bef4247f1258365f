//! What goes on: who holds which lock, who waits, what runs and how far. Reads the same files as everybody and disturbs
//! nobody.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::time::Duration;

use serde::Serialize;
use wire::message::DiskProgress;
use wire::{ConfigName, DiskName, HostName};

use crate::config::{Config, EngineKind};
use crate::engine::Engine as _;
use crate::engine::amanda::AmandaEngine;
use crate::lock::{self, Holder, State};
use crate::processes;
use crate::queue::order::Kind;
use crate::queue::spool::Spool;
use crate::runner::admit::foreign_run;
use crate::runner::record::RunRecord;
use crate::standing::{LiveRun, Standing};
use crate::verified::OfDisk;

/// Everything that `asyncamanda-shim status` knows; its JSON form is stable.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// The one that starts runs.
    pub runner: Runner,
    /// What goes on.
    pub runs: Vec<Run>,
    /// What waits, in order.
    pub queue: Vec<Waiting>,
    /// All locks.
    pub locks: Vec<Lock>,
    /// When dumps were last read back, by disk; none of a config that was never verified.
    pub verified: Vec<OfDisk>,
    /// Files in the queue that are no tickets, with the reason.
    pub strange: Vec<(String, String)>,
    /// What could not be looked at, with the reason.
    pub unreadable: Vec<String>,
}

/// The runner.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Runner {
    /// One is there.
    pub alive: bool,
    /// Its process.
    pub pid: Option<u32>,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// Its name.
    pub run: String,
    /// What it is for.
    pub kind: Kind,
    /// Its config; for one that somebody else started, as it was typed.
    pub config: String,
    /// Its hosts; empty when it may be any.
    pub hosts: Vec<HostName>,
    /// Its amdump.
    pub pid: Option<u32>,
    /// Seconds since the epoch.
    pub since: i64,
    /// "starting", "estimating", "dumping", "writing to tape", "finishing".
    pub phase: String,
    /// Of the estimated bytes; none before there is an estimate.
    pub percent: Option<u8>,
    /// Somebody else started it.
    pub foreign: bool,
    /// Its disks.
    pub disks: Vec<RunDisk>,
}

/// A disk in a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunDisk {
    /// Its host.
    pub host: HostName,
    /// How far it is.
    #[serde(flatten)]
    pub progress: DiskProgress,
}

/// A ticket that waits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Waiting {
    /// The ticket.
    pub ticket: String,
    /// Who.
    pub host: HostName,
    /// Its config; none when shim.toml does not know the host any more.
    pub config: Option<ConfigName>,
    /// Place from 1.
    pub position: usize,
    /// Seconds since the epoch.
    pub since: i64,
    /// Disks asked for; all when empty.
    pub disks: Vec<DiskName>,
    /// What it waits for.
    pub waits_for: String,
}

/// A lock.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lock {
    /// Its name.
    pub name: String,
    /// Somebody has it.
    pub held: bool,
    /// Who.
    pub pid: Option<u32>,
    /// Since when, in seconds since the epoch.
    pub since: Option<i64>,
    /// What for.
    pub what: Option<String>,
}

/// Looks at everything. Nothing that cannot be read keeps the rest from being shown.
pub fn look(config: &Config) -> Status {
    let layout = config.layout();
    let mut unreadable = Vec::new();
    let mut note = |what: &str, error: io::Error| unreadable.push(format!("{what}: {error}"));
    let locks = locks(config).unwrap_or_else(|error| {
        note(&layout.locks().display().to_string(), error);
        Vec::new()
    });
    let runner = locks.iter().find(|lock| lock.name == "runner" && lock.held);
    let runner = Runner { alive: runner.is_some(), pid: runner.and_then(|lock| lock.pid) };
    let mut standing = Standing::load(&layout).unwrap_or_else(|error| {
        note(&layout.standing().display().to_string(), error);
        Standing::default()
    });
    if !runner.alive {
        // What the last runner published is history; what it wrote down about its runs may still live.
        standing = Standing { strange: standing.strange, ..Standing::default() };
        for record in RunRecord::load_all(&layout).unwrap_or_default() {
            standing.runs.extend(orphan(&record));
        }
    }
    add_foreign(config, &mut standing.runs);
    let tickets = Spool::new(layout.clone()).list().unwrap_or_else(|error| {
        note(&layout.queue().display().to_string(), error);
        Default::default()
    });
    let waiting = tickets.0.iter().filter(|ticket| standing.run_of(&ticket.id).is_none() && !layout.result(ticket).exists());
    let queue = waiting
        .enumerate()
        .map(|(index, ticket)| Waiting {
            ticket: ticket.id.as_str().to_owned(),
            host: ticket.host.clone(),
            config: config.hosts.get(&ticket.host).map(|rule| rule.config.clone()),
            position: index + 1,
            since: ticket.id.placed(),
            disks: ticket.disks.clone(),
            waits_for: standing.waits.iter().find(|(id, _)| *id == ticket.id).map(|(_, words)| words.clone()).unwrap_or_default(),
        })
        .collect();
    let configs: BTreeSet<&ConfigName> =
        config.hosts.values().map(|rule| &rule.config).chain(config.flush.as_ref().map(|flush| &flush.config)).collect();
    let mut verified = Vec::new();
    for name in configs {
        match crate::verified::load(&layout, name) {
            Ok(dumps) => verified.extend(OfDisk::all(name, dumps)),
            Err(error) => note(&layout.verified_of(name).display().to_string(), error),
        }
    }
    Status { runner, runs: standing.runs.iter().map(run).collect(), queue, locks, verified, strange: tickets.1, unreadable }
}

fn run(live: &LiveRun) -> Run {
    Run {
        run: live.run.clone(),
        kind: live.kind,
        config: live.config.clone(),
        hosts: live.hosts.clone(),
        pid: live.leader.map(|leader| leader.pid),
        since: live.since,
        phase: live.phase.clone(),
        percent: live.percent(),
        foreign: live.kind == Kind::Foreign || live.run.starts_with("amflush-"),
        disks: live.disks.iter().map(|(host, progress)| RunDisk { host: host.clone(), progress: progress.clone() }).collect(),
    }
}

/// Shows a run whose runner is gone, while anything of it lives.
fn orphan(record: &RunRecord) -> Option<LiveRun> {
    let leader = record.leader.filter(|leader| record.boot == processes::boot_id() && processes::is_alive(*leader))?;
    Some(LiveRun {
        run: record.id.clone(),
        kind: record.kind,
        config: record.config.to_string(),
        hosts: record.hosts(),
        tickets: record.parts.iter().filter_map(|part| part.ticket.clone()).collect(),
        leader: Some(leader),
        since: record.started,
        phase: "running without a runner".to_owned(),
        disks: Vec::new(),
    })
}

/// Adds the runs that others started. What a runner published of one that still lives is kept: it may read the logs, and
/// whoever asks here may not.
fn add_foreign(config: &Config, runs: &mut Vec<LiveRun>) {
    let foreign = |run: &LiveRun| run.kind == Kind::Foreign || run.run.starts_with("amflush-");
    runs.retain(|run| !foreign(run) || run.leader.is_some_and(processes::is_alive));
    let known: BTreeSet<u32> = runs.iter().filter_map(|run| run.leader).map(|leader| leader.pid).collect();
    let ours: BTreeSet<u32> = runs.iter().filter(|run| !foreign(run)).filter_map(|run| run.leader).map(|leader| leader.pid).collect();
    if config.engine == EngineKind::Embedded {
        return;
    }
    let engine = AmandaEngine::new(config);
    let Some(owner) = config.dump_uid() else { return };
    for other in processes::foreign(owner, &ours).unwrap_or_default() {
        if !known.contains(&other.pid) {
            let survey = other.config_name().filter(|_| config.engine == EngineKind::Amanda).and_then(|name| engine.survey(&name).ok());
            runs.push(foreign_run(&other, &engine, survey.as_ref()));
        }
    }
}

fn locks(config: &Config) -> io::Result<Vec<Lock>> {
    let mut locks = Vec::new();
    for entry in fs::read_dir(config.layout().locks())? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".lock")) else { continue };
        let (held, holder) = match lock::ask(&path)? {
            State::Free => (false, None),
            State::Held(holder) => (true, holder),
        };
        let holder: Option<Holder> = holder;
        locks.push(Lock {
            name: name.to_owned(),
            held,
            pid: holder.as_ref().map(|holder| holder.process.pid),
            since: holder.as_ref().map(|holder| holder.since),
            what: holder.map(|holder| holder.what),
        });
    }
    locks.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(locks)
}

/// How often `--watch` looks.
pub const WATCH: Duration = Duration::from_secs(2);
