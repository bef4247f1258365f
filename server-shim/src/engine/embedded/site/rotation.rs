//! By what rule volumes are used again.

use amanda::conf::Config;

/// By what rule volumes are used again. Whatever it says: nothing is overwritten that the newest restorable chain of a listed disk needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// A dump is kept for days, however often a laptop calls: the storage's policy has `retention-days`. Our vaults are such.
    Kept {
        /// So many.
        days: u32,
    },
    /// Amanda's own way: volumes go round. A volume is used again when `tapecycle` - 1 others have been written after it.
    Cycle {
        /// So many volumes are in the round at least; a policy's `retention-tapes` and one, where it has that.
        tapecycle: u32,
        /// So many a run may write.
        runtapes: u32,
    },
}

impl Rotation {
    /// Returns that of a config.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        if let Some(days) = config.retention_days() {
            return Self::Kept { days };
        }
        // Amanda's own default for `retention-tapes` is tapecycle - 1.
        let tapes = config.policy().and_then(|policy| policy.settings.int("retention-tapes"));
        let tapes = tapes.and_then(|tapes| u32::try_from(tapes).ok()).map(|tapes| tapes.saturating_add(1));
        Self::Cycle { tapecycle: tapes.unwrap_or_else(|| config.tapecycle()), runtapes: config.runtapes() }
    }
}
