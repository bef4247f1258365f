//! What waits, as the runner believes it: tickets are hostile, so hosts and configs come from shim.toml and disks from the
//! disklist.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;

use wire::{ConfigName, DiskName, HostName};

use super::live::Live;
use super::order::{self, What};
use super::record::{Part, Retry, RunRecord, Settled};
use super::settle;
use crate::config::{Config, EngineKind};
use crate::durable;
use crate::engine::{Engine, Survey, Trouble};
use crate::layout::Layout;
use crate::processes::{self, Foreign, Identity};
use crate::queue::order::{Hold, Kind, Running, Turn, Waiting};
use crate::queue::spool::{Spool, Strange};
use crate::queue::ticket::{Ticket, TicketId};
use crate::standing::{LiveRun, Standing};

/// What the configs say, read once while the same tickets wait.
pub struct Surveys<'a> {
    engine: &'a dyn Engine,
    config: &'a Config,
    read: RefCell<BTreeMap<ConfigName, Rc<Survey>>>,
}

impl<'a> Surveys<'a> {
    /// Takes an engine; nothing is read yet.
    pub fn new(engine: &'a dyn Engine, config: &'a Config) -> Self {
        Self { engine, config, read: RefCell::default() }
    }

    /// Reads what a config says.
    pub fn of(&self, config: &ConfigName) -> Result<Rc<Survey>, Trouble> {
        if let Some(known) = self.read.borrow().get(config) {
            return Ok(known.clone());
        }
        // A failure is not remembered: it may be over in a moment.
        let survey = self.engine.survey(config).map(Rc::new)?;
        self.read.borrow_mut().insert(config.clone(), survey.clone());
        Ok(survey)
    }

    /// Forgets what was read: somebody came, and the administrator may have changed something for him.
    pub fn forget(&self) {
        self.read.borrow_mut().clear();
    }

    /// Reads what a host's config says, and refuses one whose catalog is not the shared one (flushing it would lose indexes).
    pub fn for_host(&self, host: &HostName) -> Result<Rc<Survey>, Trouble> {
        let Some(rule) = self.config.hosts.get(host) else {
            return Err(Trouble::config(
                format!("the server has no rule for the host \"{host}\""),
                format!("add {} to {}", Config::heading(host), self.config.file.display()),
            ));
        };
        let own = self.of(&rule.config)?;
        let shared = self.of(self.config.shared_config(&rule.config))?;
        if own.catalog == shared.catalog {
            let missing = own.disks_of(host).find(|rule| !shared.disks_of(host).any(|other| other.disk == rule.disk));
            return match missing {
                None => Ok(own),
                Some(rule) => Err(Trouble::config(
                    format!(
                        "{} is in the disklist of {} and not in that of {}, which feeds the tapes",
                        amanda::escape::printable(rule.disk.as_bytes()),
                        own.config,
                        shared.config
                    ),
                    format!("let both use one disklist: `diskfile \"…/{}/disklist\"` in {}", shared.config, own.config),
                )),
            };
        }
        Err(Trouble::config(
            format!(
                "the config {} has a catalog of its own, and the tapes are fed by {}: its dumps would lose their indexes",
                own.config, shared.config
            ),
            format!(
                "make {0} an overlay: includefile \"…/{1}/amanda.conf\", with the same disklist, logdir, infofile, indexdir, tapelist and holding disk ({2} against {3})",
                own.config, shared.config, own.catalog, shared.catalog
            ),
        ))
    }
}

/// What waits and what goes on.
#[derive(Default)]
pub struct Admission {
    /// What waits, oldest first.
    pub waiting: Vec<Waiting>,
    /// What each of them is made of.
    pub parts: BTreeMap<TicketId, Part>,
    /// Orders among them, and what each is made of.
    pub orders: BTreeMap<TicketId, Vec<Part>>,
    /// What goes on: ours first, in the order of the live ones, then others'.
    pub running: Vec<Running>,
    /// Runs that others started.
    pub foreign: Vec<Foreign>,
    /// Tickets that cannot be served, with the answer.
    pub refused: Vec<(Settled, Ticket)>,
    /// Files in the queue that are passed over, with the reason.
    pub strange: Vec<Strange>,
    tickets: BTreeMap<TicketId, Ticket>,
}

/// Looks at the queue, the orders and the process table.
pub fn admit(config: &Config, spool: &Spool, layout: &Layout, surveys: &Surveys<'_>, live: &[Live]) -> io::Result<Admission> {
    let mut admission = Admission::default();
    let mut taken: BTreeSet<TicketId> = live
        .iter()
        .flat_map(|live| live.record.parts.iter().filter_map(|part| part.ticket.clone()).chain(live.record.order.clone()))
        .collect();
    for order in order::list(layout)?.into_iter().filter(|order| !taken.contains(&order.id)).collect::<Vec<_>>() {
        taken.insert(order.id.clone());
        admission.admit_order(layout, surveys, order)?;
    }
    let (tickets, strange) = spool.list()?;
    admission.strange = strange;
    for ticket in tickets {
        if live.iter().any(|live| live.has(&ticket)) {
            continue;
        }
        if layout.result(&ticket).exists() {
            // The runner that settled it was killed before it could take it away.
            if let Err(error) = spool.remove(&ticket) {
                admission.strange.push((ticket.file_name(), format!("it is settled and cannot be removed: {error}")));
            }
            continue;
        }
        // Names are made to be unique; one that is not was made by somebody else.
        if !taken.insert(ticket.id.clone()) {
            admission.strange.push((ticket.file_name(), "another ticket or order has its name".to_owned()));
            continue;
        }
        match admit_ticket(config, layout, surveys, &ticket)? {
            Ok((waiting, part)) => {
                admission.waiting.push(waiting);
                admission.parts.insert(ticket.id.clone(), part);
                admission.tickets.insert(ticket.id.clone(), ticket);
            }
            Err(trouble) => admission.refused.push((Settled::from(&trouble), ticket)),
        }
    }
    admission.waiting.sort_by(|a, b| a.ticket.cmp(&b.ticket));
    admission.running = live.iter().map(Live::running).collect();
    if config.engine == EngineKind::Amanda {
        admission.add_foreign(surveys, live)?;
    }
    Ok(admission)
}

fn admit_ticket(config: &Config, layout: &Layout, surveys: &Surveys<'_>, ticket: &Ticket) -> io::Result<Result<(Waiting, Part), Trouble>> {
    let survey = match surveys.for_host(&ticket.host) {
        Ok(survey) => survey,
        Err(trouble) => return Ok(Err(trouble)),
    };
    // What the administrator allows is looked at here again: the queue is not proof of the shim's decision.
    let only = config.hosts.get(&ticket.host).map(|rule| rule.disks.as_slice()).unwrap_or_default();
    let retry: Retry = durable::read_json(&layout.retry(ticket)).ok().flatten().unwrap_or_default();
    let asked = if retry.remaining.is_empty() { &ticket.disks } else { &retry.remaining };
    let kind = survey.kind_for(&ticket.host, asked);
    let mut disks = survey.disks_in(kind, &ticket.host, asked);
    disks.retain(|disk| only.is_empty() || only.contains(disk));
    if disks.is_empty() {
        return Ok(Err(Trouble::config(
            format!("the disklist of {} has {} for {} that a laptop may ask for", survey.config, wanted(asked), ticket.host),
            format!("{}; `asyncamanda-shim check {}` says more", what_to_add(&survey, &ticket.host, asked), ticket.host),
        )));
    }
    let waiting = Waiting {
        ticket: ticket.id.clone(),
        hosts: vec![ticket.host.clone()],
        config: survey.config.clone(),
        catalog: survey.catalog.clone(),
        kind,
        placed: ticket.id.nanoseconds().unwrap_or_default() as f64 / 1e9,
    };
    Ok(Ok((waiting, Part { host: ticket.host.clone(), disks, ticket: Some(ticket.id.clone()), holds_back: ticket.holds_back })))
}

/// Says how the laptop and the disklist would come together.
fn what_to_add(survey: &Survey, host: &HostName, asked: &[DiskName]) -> String {
    let shown = |disk: &DiskName| amanda::escape::printable(disk.as_bytes());
    let there: Vec<String> = survey.disks_of(host).map(|rule| shown(&rule.disk)).take(5).collect();
    if !there.is_empty() {
        return format!("ask for what the disklist has for it ({}), or add the disk there", there.join(", "));
    }
    let disk = asked.first().map_or_else(|| "/home".to_owned(), shown);
    format!(
        "add a line such as `{host} {disk} some-dumptype` to the disklist, with the laptop's name exactly so, and a dumptype that is not `ignore`"
    )
}

/// Names the disks that were asked for, in words.
fn wanted(asked: &[DiskName]) -> String {
    let names: Vec<String> = asked.iter().take(5).map(|disk| amanda::escape::printable(disk.as_bytes())).collect();
    if names.is_empty() { "no disk".to_owned() } else { format!("no such disk as {}", names.join(", ")) }
}

impl Admission {
    fn admit_order(&mut self, layout: &Layout, surveys: &Surveys<'_>, order: order::Order) -> io::Result<()> {
        if layout.order_result(&order.id).exists() {
            return order::remove(layout, &order.id);
        }
        let survey = match surveys.of(&order.config) {
            Ok(survey) => survey,
            Err(trouble) => return settle::publish_order(layout, &order.id, &Settled::from(&trouble)),
        };
        let kind = match order.what {
            What::Nightly => Kind::Nightly,
            What::Flush => Kind::Flush,
        };
        let parts = match order::parts(&order.only, &survey) {
            Ok(parts) => parts,
            Err(unknown) => {
                let trouble = Trouble::config(unknown.to_string(), format!("the disklist of {} says what there is", order.config));
                return settle::publish_order(layout, &order.id, &Settled::from(&trouble));
            }
        };
        let part = |(host, disks)| Part { host, disks, ticket: None, holds_back: false };
        let mut parts: Vec<Part> = parts.into_iter().map(part).collect();
        if order.only.is_empty() && kind == Kind::Nightly {
            let dumped = survey.disks.iter().filter(|rule| rule.by_server && !rule.ignored);
            let hosts: BTreeSet<HostName> = dumped.filter_map(|rule| rule.host.parse().ok()).collect();
            parts.extend(hosts.into_iter().map(|host| part((host, Vec::new()))));
        }
        self.waiting.push(Waiting {
            placed: order.id.nanoseconds().unwrap_or_default() as f64 / 1e9,
            ticket: order.id.clone(),
            hosts: parts.iter().map(|part| part.host.clone()).collect(),
            config: order.config,
            catalog: survey.catalog.clone(),
            kind,
        });
        self.orders.insert(order.id, parts);
        Ok(())
    }

    fn add_foreign(&mut self, surveys: &Surveys<'_>, live: &[Live]) -> io::Result<()> {
        let ours = live.iter().filter_map(|live| live.record.leader).map(|leader| leader.pid).collect();
        for foreign in processes::foreign(nix::unistd::geteuid().as_raw(), &ours)? {
            let hosts: Vec<HostName> = foreign.hosts.iter().filter_map(|host| host.parse().ok()).collect();
            let config = foreign.config_name();
            // One whose config cannot be told may be any.
            self.running.push(Running {
                catalog: config.as_ref().and_then(|config| surveys.of(config).ok()).map(|survey| survey.catalog.clone()),
                config,
                hosts: (!hosts.is_empty()).then_some(hosts),
                kind: if foreign.program == "amflush" { Kind::Flush } else { Kind::Foreign },
                since: processes::started(foreign.start),
            });
            self.foreign.push(foreign);
        }
        Ok(())
    }

    /// Answers a ticket or an order whose run could not be started.
    pub fn fail(&self, layout: &Layout, spool: &Spool, id: &TicketId, trouble: &Trouble) -> io::Result<()> {
        match self.tickets.get(id) {
            Some(ticket) => settle::publish_result(layout, spool, ticket, &Settled::from(trouble)),
            None => settle::publish_order(layout, id, &Settled::from(trouble)),
        }
    }

    /// Says what goes on and what waits for what.
    pub fn standing(&self, surveys: &Surveys<'_>, live: &[Live], turn: &Turn) -> Standing {
        let mut runs: Vec<LiveRun> = live.iter().map(Live::shown).collect();
        runs.extend(self.foreign.iter().map(|foreign| {
            let survey = foreign.config_name().and_then(|config| surveys.of(&config).ok());
            foreign_run(foreign, surveys.engine, survey.as_deref())
        }));
        let waits = turn.holds.iter().map(|(index, hold)| (self.waiting[*index].ticket.clone(), self.words(hold, &runs))).collect();
        Standing { runs, waits, strange: self.strange.clone() }
    }

    fn words(&self, hold: &Hold, runs: &[LiveRun]) -> String {
        let run = |index: &usize| match (self.running.get(*index).map(|run| run.kind), runs.get(*index)) {
            (Some(Kind::Foreign), Some(run)) => {
                format!("an amdump of {} that was started by hand (pid {})", run.config, run.leader.map_or(0, |leader| leader.pid))
            }
            (_, Some(run)) => format!("run {} of {}", run.run, run.config),
            (_, None) => "another run".to_owned(),
        };
        // Each completes "waits for …".
        match hold {
            Hold::Away => "the laptop to call again: its disks are read through its own session".to_owned(),
            Hold::Gathering => "others that come at the same moment".to_owned(),
            Hold::SameHost(index) => format!("{}, which may have this host", run(index)),
            Hold::YoungRun(index) => run(index),
            Hold::Limit => "a free place: as many runs as allowed are going on".to_owned(),
            Hold::Dumping(index) => format!("the dumps of {}", run(index)),
            Hold::Tape(index) => format!("the tapes, which {} writes", run(index)),
        }
    }
}

/// Shows a run that somebody else started, with its progress where its files may be read.
pub fn foreign_run(foreign: &Foreign, engine: &dyn Engine, survey: Option<&Survey>) -> LiveRun {
    let since = processes::started(foreign.start);
    let mut shown = LiveRun {
        run: format!("{}-{}", foreign.program, foreign.pid),
        kind: if foreign.program == "amflush" { Kind::Flush } else { Kind::Foreign },
        config: foreign.config.clone(),
        hosts: foreign.hosts.iter().filter_map(|host| host.parse().ok()).collect(),
        tickets: Vec::new(),
        leader: Some(Identity { pid: foreign.pid, start: foreign.start }),
        since,
        phase: "running".to_owned(),
        disks: Vec::new(),
    };
    let Some(survey) = survey else { return shown };
    let mut record = RunRecord {
        id: shown.run.clone(),
        kind: shown.kind,
        config: survey.config.clone(),
        catalog: survey.catalog.clone(),
        parts: Vec::new(),
        order: None,
        started: since,
        boot: String::new(),
        leader: shown.leader,
        logdir: survey.logdir.clone(),
        log: foreign.log.clone(),
        ended: None,
    };
    let observation = engine.observe(&mut record, survey);
    if !observation.disks.is_empty() {
        let hosts: BTreeSet<HostName> = observation.disks.iter().map(|(host, _)| host.clone()).collect();
        shown.hosts = hosts.into_iter().collect();
        shown.phase = observation.phase;
        shown.disks = observation.disks;
    }
    shown
}
