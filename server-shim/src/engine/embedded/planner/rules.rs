//! What amanda.conf says on schedules.

use amanda::conf::rules::Split;
use amanda::conf::{Compress, Config, Dumptype, Strategy};
use amanda::tapelist::Tapelist;

use super::tapes;
use crate::engine::embedded::plan;
use crate::engine::embedded::site::Rotation;

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
    pub fn of(how: &Dumptype<'_>) -> Self {
        let (full, incremental) = how.comprate();
        Self {
            strategy: how.strategy(),
            skip_full: how.skip_full(),
            skip_incr: how.skip_incr(),
            levels: plan::Rules::of(how),
            maxpromoteday: i64::from(how.maxpromoteday()),
            priority: how.priority(),
            compresses: how.compress() != Compress::None,
            comprate: [full, incremental],
            may_split: how.split() != Split::No,
        }
    }

    /// Full dumps are made elsewhere, or never.
    pub(super) fn has_no_full(&self) -> bool {
        self.skip_full || matches!(self.strategy, Strategy::NoFull | Strategy::IncrOnly)
    }
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
    /// KiB that wait on the holding disk and go on this run's volumes.
    pub waiting_kb: i64,
    /// The full dumps among them.
    pub waiting_full_kb: i64,
}

impl SiteRules {
    /// Reads a config; nothing waits.
    pub fn of(config: &Config, tapelist: &Tapelist, now: i64) -> Self {
        let (tapecycle, runtapes) = match Rotation::of(config) {
            Rotation::Cycle { tapecycle, runtapes } => (tapecycle, runtapes),
            Rotation::Kept { .. } => (config.tapecycle(), config.runtapes()),
        };
        let (tapecycle, runtapes, dumpcycle) = (i64::from(tapecycle), i64::from(runtapes), i64::from(config.dumpcycle()));
        let tapetype = |name, default| config.tapetype().and_then(|tapetype| tapetype.settings.int(name)).unwrap_or(default);
        let said = config.runspercycle().map(i64::from);
        let size = |kb: u64| i64::try_from(kb).unwrap_or(i64::MAX);
        Self {
            now,
            dumpcycle,
            runs_per_cycle: tapes::runs_per_cycle(said, dumpcycle, tapecycle, runtapes, tapelist, now),
            tapecycle,
            runtapes,
            tape_kb: size(config.tape_length_kb()),
            most_kb: config.maxdumpsize_kb().map(size).filter(|kb| *kb > 0),
            mark_kb: tapetype("filemark", 1),
            block_kb: tapetype("blocksize", 32),
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
