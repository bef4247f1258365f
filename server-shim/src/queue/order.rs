//! Whose turn it is: a pure decision from the tickets, the runs that go on, the limits and the time.
//!
//! - No host is ever in two runs.
//! - Hosts that wait for one config go into one run, so that Amanda's planner sees them all; a ticket waits a moment for
//!   others that come with it.
//! - While a run of a config is young, others wait for it; when it is older than `second_run_after`, a second one starts
//!   for other hosts. A run of an overlay does not wait for one of the shared config. At most `parallel_runs` on one catalog.
//! - A run that somebody else started counts like one of ours.
//! - The tapes belong to one nightly run or flush at a time. A flush waits until no dump is being made: Amanda may "salvage"
//!   an unfinished dump of another run, and half of it would go to tape. Laptops do not wait for a flush.

use std::collections::BTreeSet;
use std::time::Duration;

use wire::{ConfigName, HostName};

use crate::config::Limits;
use crate::queue::ticket::TicketId;

/// A ticket that waits, with what the configuration says about its host.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// The ticket.
    pub ticket: TicketId,
    /// Its hosts: one for a laptop, all of the disklist's for a nightly run.
    pub hosts: Vec<HostName>,
    /// Its config.
    pub config: ConfigName,
    /// Names the catalog that the config shares with others.
    pub catalog: String,
    /// Which kind of run it needs; tickets share a run only with their own kind.
    pub kind: Kind,
    /// Seconds since the epoch at which it was placed, with its fraction.
    pub placed: f64,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Laptops' disks, to the holding disk; `--from-client` where the dumptype has `dump-limit same-host`.
    Laptops {
        /// With `--from-client`.
        from_client: bool,
    },
    /// Everything that the nightly run does, tapes included.
    Nightly,
    /// The holding disk to tape; no dumps.
    Flush,
    /// An amdump or amflush that somebody else started.
    Foreign,
}

/// A run that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its config; none when it cannot be known.
    pub config: Option<ConfigName>,
    /// Its catalog; none when it cannot be known, and then it may be any.
    pub catalog: Option<String>,
    /// Its hosts; none when it may be any.
    pub hosts: Option<Vec<HostName>>,
    /// What it is for.
    pub kind: Kind,
    /// Seconds since the epoch at which it began.
    pub since: i64,
}

impl Running {
    fn touches(&self, catalog: &str) -> bool {
        self.catalog.as_deref().is_none_or(|own| own == catalog)
    }
    fn has_any_of(&self, hosts: &[HostName]) -> bool {
        self.kind != Kind::Flush && self.hosts.as_ref().is_none_or(|own| own.iter().any(|host| hosts.contains(host)))
    }
}

/// Why a ticket does not start now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// Its laptop is reached through its own session, and has none.
    Away,
    /// Others may come with it.
    Gathering,
    /// One of its hosts is in a run already.
    SameHost(usize),
    /// A run of this config is still young.
    YoungRun(usize),
    /// As many runs as allowed are going on.
    Limit,
    /// A dump is being made, and a flush would find half of it.
    Dumping(usize),
    /// Somebody else writes to the tapes.
    Tape(usize),
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Turn {
    /// Tickets that start now as one run, by index into the waiting ones; empty when none does.
    pub start: Vec<usize>,
    /// Why each of the others waits, by index.
    pub holds: Vec<(usize, Hold)>,
}

/// Decides what starts now among laptops that are there: whoever would start and is not there is passed over. Only those
/// are asked, since asking wakes somebody up.
pub fn turn_of_those_here(
    now: f64,
    waiting: &[Waiting],
    running: &[Running],
    limits: &Limits,
    mut is_here: impl FnMut(&Waiting) -> bool,
) -> Turn {
    let mut away = BTreeSet::new();
    loop {
        let turn = turn(now, waiting, running, limits, &away);
        let before = away.len();
        away.extend(turn.start.iter().copied().filter(|index| !is_here(&waiting[*index])));
        if away.len() == before {
            return turn;
        }
    }
}

/// Decides what starts now: at most one run; call again after starting it.
///
/// `waiting` is oldest first; `now` in seconds since the epoch; `away` are those whose laptop cannot be reached now.
pub fn turn(now: f64, waiting: &[Waiting], running: &[Running], limits: &Limits, away: &BTreeSet<usize>) -> Turn {
    let mut turn = Turn::default();
    let mut seen: BTreeSet<(&ConfigName, Kind)> = BTreeSet::new();
    for (index, ticket) in waiting.iter().enumerate() {
        let hold = if away.contains(&index) { Some(Hold::Away) } else { hold_of(now, ticket, running, limits) };
        if let Some(hold) = hold {
            turn.holds.push((index, hold));
            continue;
        }
        if !turn.start.is_empty() || !seen.insert((&ticket.config, ticket.kind)) {
            continue;
        }
        let batch = batch_with(now, ticket, waiting, running, limits, away);
        if gathering(now, &batch, waiting, limits) {
            turn.holds.extend(batch.into_iter().map(|member| (member, Hold::Gathering)));
        } else {
            turn.start = batch;
        }
    }
    turn
}

fn hold_of(now: f64, ticket: &Waiting, running: &[Running], limits: &Limits) -> Option<Hold> {
    let on_catalog = || running.iter().enumerate().filter(|(_, run)| run.touches(&ticket.catalog));
    let writes_tapes = |kind| matches!(kind, Kind::Nightly | Kind::Flush);
    if writes_tapes(ticket.kind)
        && let Some((index, _)) = on_catalog().find(|(_, run)| writes_tapes(run.kind))
    {
        return Some(Hold::Tape(index));
    }
    if ticket.kind == Kind::Flush {
        return on_catalog().next().map(|(index, _)| Hold::Dumping(index));
    }
    let relevant = || on_catalog().filter(|(_, run)| run.kind != Kind::Flush);
    if let Some((index, _)) = relevant().find(|(_, run)| run.has_any_of(&ticket.hosts)) {
        return Some(Hold::SameHost(index));
    }
    // A run from the future (the clock was set back) is not young.
    let young = |run: &Running| (0.0..limits.second_run_after.as_secs_f64()).contains(&(now - run.since as f64));
    // A nightly run has its own hosts and does not wait to be batched with laptops, nor they with it.
    let same_queue = |run: &Running| run.config.as_ref() == Some(&ticket.config) && (run.kind == ticket.kind || run.kind == Kind::Foreign);
    if let Some((index, _)) = relevant().find(|(_, run)| same_queue(run) && young(run)) {
        return Some(Hold::YoungRun(index));
    }
    (relevant().count() >= limits.parallel_runs.max(1) as usize).then_some(Hold::Limit)
}

/// Returns the tickets that can share a run with `first`: same config, same kind, no host twice.
fn batch_with(now: f64, first: &Waiting, waiting: &[Waiting], running: &[Running], limits: &Limits, away: &BTreeSet<usize>) -> Vec<usize> {
    let mut hosts: BTreeSet<&HostName> = BTreeSet::new();
    let mut batch = Vec::new();
    for (index, other) in waiting.iter().enumerate().filter(|(index, _)| !away.contains(index)) {
        let together = other.config == first.config && other.kind == first.kind && hold_of(now, other, running, limits).is_none();
        if together && other.hosts.iter().all(|host| !hosts.contains(host)) {
            hosts.extend(&other.hosts);
            batch.push(index);
        }
    }
    batch
}

/// Tells whether a batch should wait a moment longer: somebody joined it just now, and nobody waits for four times as long.
fn gathering(now: f64, batch: &[usize], waiting: &[Waiting], limits: &Limits) -> bool {
    let gather = limits.gather.as_secs_f64();
    // A ticket from the future (the clock was set back) waits for nobody.
    let age = |index: &usize| Some(now - waiting[*index].placed).filter(|age| *age >= 0.0).unwrap_or(f64::MAX);
    let youngest = batch.iter().map(age).fold(f64::MAX, f64::min);
    let oldest = batch.iter().map(age).fold(0.0, f64::max);
    youngest < gather && oldest < 4.0 * gather
}

/// The longest that anything can change without an event: the runner looks again after this.
pub fn recheck_after(limits: &Limits) -> Duration {
    limits.gather.clamp(Duration::from_millis(20), Duration::from_millis(500)) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAPTOPS: Kind = Kind::Laptops { from_client: true };

    fn limits() -> Limits {
        Limits { gather: Duration::from_millis(500), ..Limits::default() }
    }
    fn waiting(number: u128, host: &str, config: &str, placed: f64) -> Waiting {
        Waiting {
            ticket: TicketId::new(number, 1),
            hosts: vec![host.parse().expect("name")],
            config: config.parse().expect("name"),
            catalog: "cat".to_owned(),
            kind: LAPTOPS,
            placed,
        }
    }
    fn running(hosts: &[&str], config: &str, since: i64) -> Running {
        Running {
            config: config.parse().ok(),
            catalog: Some("cat".to_owned()),
            hosts: Some(hosts.iter().map(|host| host.parse().expect("name")).collect()),
            kind: LAPTOPS,
            since,
        }
    }

    #[test]
    fn hosts_that_wait_for_one_config_share_one_run() {
        let tickets = [waiting(1, "a", "daily", 90.0), waiting(2, "b", "daily", 91.0), waiting(3, "c", "overlay", 91.0)];
        assert_eq!(turn(100.0, &tickets, &[], &limits(), &BTreeSet::new()).start, vec![0, 1]);
    }

    #[test]
    fn a_batch_waits_a_moment_for_others_but_not_for_ever() {
        for (case, placed, starts) in [
            ("just placed", vec![99.9], false),
            ("long enough alone", vec![99.4], true),
            ("the second came just now", vec![99.4, 99.9], false),
            ("the first has waited four times as long", vec![97.9, 99.9], true),
            ("from the future", vec![200.0], true),
        ] {
            let tickets: Vec<_> = placed.iter().zip(["a", "b"]).map(|(placed, host)| waiting(1, host, "daily", *placed)).collect();
            assert_eq!(!turn(100.0, &tickets, &[], &limits(), &BTreeSet::new()).start.is_empty(), starts, "{case}");
        }
    }

    #[test]
    fn a_host_is_never_in_two_runs() {
        let tickets = [waiting(1, "a", "daily", 0.0)];
        for run in [
            running(&["a"], "daily", 0),
            running(&["a"], "overlay", 0),
            Running { hosts: None, kind: Kind::Foreign, ..running(&[], "daily", 0) },
        ] {
            let turn = turn(10_000.0, &tickets, std::slice::from_ref(&run), &limits(), &BTreeSet::new());
            assert_eq!((turn.start.len(), &turn.holds[0].1), (0, &Hold::SameHost(0)), "{run:?}");
        }
    }

    #[test]
    fn a_second_run_starts_only_beside_an_old_one_and_for_other_hosts() {
        let tickets = [waiting(1, "a", "daily", 0.0), waiting(2, "b", "daily", 0.0)];
        let run = [running(&["a"], "daily", 1000)];
        let young = turn(1299.0, &tickets, &run, &limits(), &BTreeSet::new());
        assert_eq!((young.start, young.holds), (vec![], vec![(0, Hold::SameHost(0)), (1, Hold::YoungRun(0))]));
        assert_eq!(turn(1300.0, &tickets, &run, &limits(), &BTreeSet::new()).start, vec![1]);
    }

    #[test]
    fn an_overlay_does_not_wait_for_the_shared_config() {
        assert_eq!(
            turn(1001.0, &[waiting(1, "b", "overlay", 0.0)], &[running(&["a"], "daily", 1000)], &limits(), &BTreeSet::new()).start,
            vec![0]
        );
    }

    #[test]
    fn there_are_never_more_runs_than_allowed_on_a_catalog() {
        let runs = [running(&["a"], "daily", 0), running(&["b"], "overlay", 0)];
        let tickets = [waiting(1, "c", "daily", 0.0)];
        assert_eq!(turn(10_000.0, &tickets, &runs, &limits(), &BTreeSet::new()).holds, vec![(0, Hold::Limit)]);
        let elsewhere = Running { catalog: Some("other".to_owned()), ..runs[1].clone() };
        assert_eq!(turn(10_000.0, &tickets, &[runs[0].clone(), elsewhere], &limits(), &BTreeSet::new()).start, vec![0]);
    }

    #[test]
    fn a_flush_holds_nobody_back() {
        let flush = Running { kind: Kind::Flush, hosts: None, ..running(&[], "daily", 0) };
        assert_eq!(turn(1.0, &[waiting(1, "a", "daily", 0.0)], &[flush], &limits(), &BTreeSet::new()).start, vec![0]);
    }

    #[test]
    fn a_flush_waits_for_dumps_and_the_tapes_have_one_writer() {
        let ticket = |kind| Waiting { kind, hosts: vec![], ..waiting(1, "x", "daily", 0.0) };
        let run = |kind| Running { kind, ..running(&["a"], "overlay", 0) };
        for (waits, runs, hold) in [
            (Kind::Flush, LAPTOPS, Some(Hold::Dumping(0))),
            (Kind::Flush, Kind::Foreign, Some(Hold::Dumping(0))),
            (Kind::Flush, Kind::Flush, Some(Hold::Tape(0))),
            (Kind::Flush, Kind::Nightly, Some(Hold::Tape(0))),
            (Kind::Nightly, Kind::Flush, Some(Hold::Tape(0))),
            (Kind::Nightly, Kind::Nightly, Some(Hold::Tape(0))),
            (Kind::Nightly, LAPTOPS, None),
            (LAPTOPS, Kind::Nightly, None),
        ] {
            let turn = turn(10_000.0, &[ticket(waits)], &[run(runs)], &limits(), &BTreeSet::new());
            assert_eq!(turn.holds.first().map(|(_, hold)| hold.clone()), hold, "{waits:?} beside {runs:?}");
        }
        let elsewhere = Running { catalog: Some("other".to_owned()), ..run(LAPTOPS) };
        assert_eq!(turn(1.0, &[ticket(Kind::Flush)], &[elsewhere], &limits(), &BTreeSet::new()).start, vec![0]);
    }

    #[test]
    fn laptops_that_amanda_must_run_differently_do_not_share_a_run() {
        let other = Waiting { kind: Kind::Laptops { from_client: false }, ..waiting(2, "b", "daily", 0.0) };
        assert_eq!(turn(100.0, &[waiting(1, "a", "daily", 0.0), other], &[], &limits(), &BTreeSet::new()).start, vec![0]);
    }

    #[test]
    fn a_nightly_run_starts_beside_young_laptops_of_other_hosts() {
        let nightly = Waiting { kind: Kind::Nightly, ..waiting(1, "server", "daily", 0.0) };
        assert_eq!(turn(1001.0, &[nightly], &[running(&["a"], "daily", 1000)], &limits(), &BTreeSet::new()).start, vec![0]);
    }

    #[test]
    fn laptops_that_are_away_are_passed_over_and_only_those_about_to_start_are_asked() {
        let tickets: Vec<_> =
            ["a", "b", "c"].into_iter().enumerate().map(|(at, host)| waiting(at as u128 + 1, host, "daily", 0.0)).collect();
        let ask = |here: &[&str], running: &[Running]| {
            let mut asked = Vec::new();
            let turn = turn_of_those_here(1001.0, &tickets, running, &limits(), |ticket| {
                asked.push(ticket.hosts[0].to_string());
                here.contains(&ticket.hosts[0].as_str())
            });
            (turn, asked.len())
        };
        let (some, _) = ask(&["a", "c"], &[]);
        assert_eq!((some.start, some.holds), (vec![0, 2], vec![(1, Hold::Away)]));
        let (none, asked) = ask(&[], &[]);
        assert_eq!((none.start, none.holds.len(), asked), (vec![], 3, 3));
        assert_eq!(ask(&["a"], &[running(&["x"], "daily", 1000)]).1, 0);
    }
}
