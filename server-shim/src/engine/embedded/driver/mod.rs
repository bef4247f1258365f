//! Which dump begins next: a decision by values, with nothing of a clock, a thread or a file in it (server-src/driver.c,
//! `start_some_dumps`).
//!
//! A dump begins when all of this holds:
//!
//! - a dumper is free: there are `inparallel`, and the lowest free one's letter of `dumporder` chooses among what may begin;
//! - its `starttime` has come;
//! - its host makes fewer than `maxdumps`, and none on the same spindle;
//! - its network has so much left of its `use` as the dump is expected to take, or carries nothing at all;
//! - there is a [place](room) for it: a holding disk with so much room, or a directory beside the volumes.
//!
//! Where there is no room on any holding disk and no dump is being made there that might need less than it was promised, the dump goes
//! beside the volumes, or is refused when its dumptype says `holdingdisk required`. So something begins whenever nothing goes on.

pub mod degraded;
mod dumporder;
pub mod room;
#[cfg(test)]
mod tests;

use amanda::conf::HoldingUse;

pub use dumporder::Letters;
pub use room::Place;

/// What the configuration allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Dumps at once (`inparallel`); taken for one when it is nothing.
    pub in_parallel: usize,
    /// How dumpers choose (`dumporder`).
    pub letters: Letters,
    /// Dumps of each host at once (`maxdumps`); taken for one when it is nothing.
    pub hosts: Vec<u32>,
    /// What each network carries, in KiB a second (`use` of an interface, `netusage`).
    pub networks: Vec<u64>,
}

/// A dump that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its host, by its place in [`Limits::hosts`].
    pub host: usize,
    /// Its host's network, by its place in [`Limits::networks`].
    pub network: usize,
    /// Disks of a host on one spindle are not dumped at once.
    pub spindle: Option<i64>,
    /// How large it is expected to be, in bytes as they are stored.
    pub bytes: u64,
    /// How long it is expected to take, in seconds.
    pub seconds: u64,
    /// How much it is expected to take of the network, in KiB a second.
    pub kps: u64,
    /// The higher the sooner.
    pub priority: i64,
    /// It does not begin before, in seconds since 1970.
    pub not_before: i64,
    /// Whether it goes to a holding disk.
    pub holding: HoldingUse,
}

/// How a dump stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Waits,
    Runs { dumper: usize, place: Place },
    Over,
}

/// What goes on. Places stand in the order of the holding disks; the one beside the volumes is apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    standing: Vec<Standing>,
    /// Free bytes of each holding disk, and of the place beside the volumes, less what running dumps were promised.
    holdings: Vec<u64>,
    beside: u64,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Begin this dump, there.
    Start(usize, Place),
    /// Give this one up: there is no room for it.
    Refuse(usize),
    /// Nothing before one of those that run has ended or, where that is known, this time has come.
    Wait(Option<i64>),
    /// All are over.
    Done,
}

/// What keeps a dump from beginning now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hindrance {
    Time,
    Host,
    Network,
    Room,
}

impl State {
    /// Begins with nothing going on: so many dumps wait, and so many bytes are free on each holding disk and beside the volumes.
    #[must_use]
    pub fn new(tasks: usize, holdings: Vec<u64>, beside: u64) -> Self {
        Self { standing: vec![Standing::Waits; tasks], holdings, beside }
    }

    /// Notes that a dump has begun, by the lowest free dumper. What it is expected to need is promised to it.
    pub fn started(&mut self, tasks: &[Task], task: usize, place: Place) {
        let dumper = self.free_dumper();
        if let (Some(standing), Some(of)) = (self.standing.get_mut(task), tasks.get(task)) {
            *standing = Standing::Runs { dumper, place };
            let free = self.free_of(place);
            *free = free.saturating_sub(of.bytes);
        }
    }

    /// Notes that a dump is over, well or not; `used` is what it left of bytes where it was written.
    pub fn ended(&mut self, tasks: &[Task], task: usize, used: u64) {
        self.leave(tasks, task, used, Standing::Over);
    }

    /// Notes that a dump came to nothing and is to be made once more.
    pub fn again(&mut self, tasks: &[Task], task: usize) {
        self.leave(tasks, task, 0, Standing::Waits);
    }

    fn leave(&mut self, tasks: &[Task], task: usize, used: u64, now: Standing) {
        let (Some(standing), Some(of)) = (self.standing.get_mut(task), tasks.get(task)) else { return };
        if let Standing::Runs { place, .. } = std::mem::replace(standing, now) {
            let free = self.free_of(place);
            *free = free.saturating_add(of.bytes).saturating_sub(used);
        }
    }

    fn free_of(&mut self, place: Place) -> &mut u64 {
        match place {
            Place::Holding(at) => self.holdings.get_mut(at).unwrap_or(&mut self.beside),
            Place::Beside => &mut self.beside,
        }
    }

    /// Says whether no dump is being made.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.running().next().is_none()
    }

    /// Returns those that run, with their dumpers and places.
    fn running(&self) -> impl Iterator<Item = (usize, usize, Place)> {
        self.standing.iter().enumerate().filter_map(|(task, standing)| match *standing {
            Standing::Runs { dumper, place } => Some((task, dumper, place)),
            _ => None,
        })
    }

    fn free_dumper(&self) -> usize {
        (0..).find(|free| self.running().all(|(_, dumper, _)| dumper != *free)).unwrap_or(0)
    }
}

/// Decides what to do next; to be asked again after each step, and `now` is in seconds since 1970.
#[must_use]
pub fn next(limits: &Limits, tasks: &[Task], state: &State, now: i64) -> Step {
    let waiting = || state.standing.iter().zip(tasks).enumerate().filter(|(_, (standing, _))| **standing == Standing::Waits);
    if waiting().next().is_none() {
        return if state.is_idle() { Step::Done } else { Step::Wait(None) };
    }
    if state.running().count() >= limits.in_parallel.max(1) {
        return Step::Wait(None);
    }
    let mut best: Option<(usize, Place)> = None;
    let (mut refused, mut until) = (None, None::<i64>);
    for (at, (_, task)) in waiting() {
        match place(limits, tasks, state, task, now) {
            Ok(place) => {
                let better = |(other, _): (usize, Place)| limits.letters.prefers(state.free_dumper(), task, &tasks[other]);
                if best.is_none_or(better) {
                    best = Some((at, place));
                }
            }
            Err(Hindrance::Time) => until = Some(until.map_or(task.not_before, |until| until.min(task.not_before))),
            Err(Hindrance::Room) if !is_room_to_come(state, task) => refused = refused.or(Some(at)),
            Err(_) => {}
        }
    }
    match (best, refused) {
        (Some((task, place)), _) => Step::Start(task, place),
        (None, Some(task)) => Step::Refuse(task),
        (None, None) => Step::Wait(until),
    }
}

/// Says where a dump may begin now, or what keeps it from that.
fn place(limits: &Limits, tasks: &[Task], state: &State, task: &Task, now: i64) -> Result<Place, Hindrance> {
    if task.not_before > now {
        return Err(Hindrance::Time);
    }
    let on_host = || state.running().filter(|(other, ..)| tasks[*other].host == task.host);
    let allowed = limits.hosts.get(task.host).copied().unwrap_or(1).max(1);
    let on_spindle = |(other, ..): (usize, usize, Place)| task.spindle.is_some() && tasks[other].spindle == task.spindle;
    if on_host().count() >= allowed as usize || on_host().any(on_spindle) {
        return Err(Hindrance::Host);
    }
    let on_network = state.running().filter(|(other, ..)| tasks[*other].network == task.network).map(|(other, ..)| tasks[other].kps);
    let (dumps, used) = on_network.fold((0, 0_u64), |(dumps, used), kps| (dumps + 1, used.saturating_add(kps)));
    let carries = limits.networks.get(task.network).copied().unwrap_or(u64::MAX);
    // A dump alone may take all there is, however much it wants.
    if dumps > 0 && used.saturating_add(task.kps) > carries {
        return Err(Hindrance::Network);
    }
    let active: Vec<usize> =
        (0..state.holdings.len()).map(|at| state.running().filter(|(.., place)| *place == Place::Holding(at)).count()).collect();
    let beside = |place: Place| if task.bytes <= state.beside { Ok(place) } else { Err(Hindrance::Room) };
    match (task.holding, room::holding(&state.holdings, &active, task.bytes)) {
        (HoldingUse::Never, _) => beside(Place::Beside),
        (_, Some(at)) => Ok(Place::Holding(at)),
        (HoldingUse::Auto, None) if active.iter().all(|dumps| *dumps == 0) => beside(Place::Beside),
        (_, None) => Err(Hindrance::Room),
    }
}

/// Says whether a dump that runs may give back some of what it was promised where this one would go.
fn is_room_to_come(state: &State, task: &Task) -> bool {
    let is_its = |place| match (task.holding, place) {
        (HoldingUse::Never, place) => place == Place::Beside,
        (HoldingUse::Required, place) => place != Place::Beside,
        (HoldingUse::Auto, _) => true,
    };
    state.running().any(|(.., place)| is_its(place))
}
