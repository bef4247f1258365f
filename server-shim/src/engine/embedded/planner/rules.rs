//! What amanda.conf says on schedules.

use amanda::conf::{Compress, Config, Dumptype, Settings, Strategy, Value};
use amanda::tapelist::Tapelist;

use super::tapes;
use crate::engine::embedded::plan;

/// What a disk's dumptype says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiskRules {
    /// Which levels there are.
    pub strategy: Strategy,
    /// Full dumps are made elsewhere.
    pub skip_full: bool,
    /// Only full dumps are made, and only when they are due.
    pub skip_incr: bool,
    /// Days within which a full dump is wanted, and when the next level is worth it.
    pub levels: plan::Rules,
    /// So many days before it is due a full dump may be made.
    pub maxpromoteday: i64,
    /// 0 low, 1 medium, 2 high, or any number.
    pub priority: i64,
    /// Dumps are compressed.
    pub compresses: bool,
    /// What is expected of compression where nothing is known: of a full dump, and of an incremental one.
    pub comprate: [f64; 2],
    /// A dump may lie on several volumes.
    pub may_split: bool,
}

impl DiskRules {
    /// Reads a dumptype, with Amanda's defaults.
    pub fn of(how: &Dumptype<'_>, config: &Config) -> Self {
        let settings = how.settings();
        let yes = |name, default| settings.bool(name).unwrap_or(default);
        Self {
            strategy: how.strategy(),
            skip_full: yes("skip-full", false),
            skip_incr: yes("skip-incr", false),
            levels: plan::Rules::of(how, config),
            maxpromoteday: settings.int("maxpromoteday").unwrap_or(10_000),
            priority: priority(settings),
            compresses: how.compress() != Compress::None,
            comprate: comprate(settings),
            may_split: yes("allow-split", true) || settings.int("tape-splitsize").is_some_and(|kb| kb > 0),
        }
    }

    /// Full dumps are made elsewhere, or never.
    pub(super) fn has_no_full(&self) -> bool {
        self.skip_full || matches!(self.strategy, Strategy::NoFull | Strategy::IncrOnly)
    }
}

fn priority(settings: &Settings) -> i64 {
    match settings.get("priority").map(|setting| &setting.value) {
        Some(Value::Int(number)) => *number,
        Some(Value::Word(word)) if word == "low" => 0,
        Some(Value::Word(word)) if word == "high" => 2,
        _ => 1,
    }
}

fn comprate(settings: &Settings) -> [f64; 2] {
    let Some(Value::List(rates)) = settings.get("comprate").map(|setting| &setting.value) else { return [0.5; 2] };
    let rate = |at: usize| match rates.get(at) {
        Some(Value::Real(rate)) => Some(*rate),
        _ => None,
    };
    let full = rate(0).unwrap_or(0.5);
    [full, rate(1).unwrap_or(full)]
}

/// What a site has, and what waits for its volumes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SiteRules {
    /// Now.
    pub now: i64,
    /// Days in a cycle.
    pub dumpcycle: i64,
    /// Runs in a cycle, at least 1.
    pub runs_per_cycle: i64,
    /// Volumes that are used in turn.
    pub tapecycle: i64,
    /// Volumes of a run.
    pub runtapes: i64,
    /// What a volume holds, in KiB.
    pub tape_kb: i64,
    /// What a run may put on volumes at most, in KiB; `None` for what its volumes hold.
    pub most_kb: Option<i64>,
    /// What stands between two files of a volume, in KiB.
    pub mark_kb: i64,
    /// A block, in KiB: a header or a label.
    pub block_kb: i64,
    /// The percentage of the holding disk that is kept for incremental dumps when no volume can be written.
    pub reserve: i64,
    /// KiB that wait on the holding disk and go on this run's volumes.
    pub waiting_kb: i64,
    /// The full dumps among them.
    pub waiting_full_kb: i64,
}

impl SiteRules {
    /// Reads a config, with Amanda's defaults; nothing waits.
    pub fn of(config: &Config, tapelist: &Tapelist, now: i64) -> Self {
        let settings = config.settings();
        let dumpcycle = i64::from(config.dumpcycle());
        let (tapecycle, runtapes) = (i64::from(config.tapecycle()), i64::from(config.runtapes()));
        let tapetype = |name, default| config.tapetype().and_then(|tapetype| tapetype.settings.int(name)).unwrap_or(default);
        let said = settings.int("runspercycle").unwrap_or(0);
        Self {
            now,
            dumpcycle,
            runs_per_cycle: tapes::runs_per_cycle(said, dumpcycle, tapecycle, runtapes, tapelist, now),
            tapecycle,
            runtapes,
            tape_kb: i64::try_from(config.tape_length_kb()).unwrap_or(i64::MAX),
            most_kb: settings.int("maxdumpsize").filter(|kb| *kb > 0),
            mark_kb: tapetype("filemark", 1),
            block_kb: tapetype("blocksize", 32),
            reserve: settings.int("reserve").unwrap_or(100),
            waiting_kb: 0,
            waiting_full_kb: 0,
        }
    }

    /// What the volumes of a run hold, in KiB.
    pub fn capacity_kb(&self) -> i64 {
        self.most_kb.unwrap_or_else(|| self.tape_kb.saturating_mul(self.runtapes))
    }

    /// What a dump may have at most.
    pub(super) fn room_for(&self, rules: &DiskRules) -> i64 {
        if rules.may_split { self.tape_kb.saturating_mul(self.runtapes) } else { self.tape_kb }
    }

    /// What a dump takes on a volume.
    pub(super) fn taken(&self, kb: i64) -> i64 {
        kb.saturating_add(self.block_kb).saturating_add(self.mark_kb)
    }
}
