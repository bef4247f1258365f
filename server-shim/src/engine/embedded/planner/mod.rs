//! Which disks a nightly run dumps, at which levels: a function of values.
//!
//! ```text
//! candidates ── wish ─────── level ───────── delay ─────────── promote ────────── Schedule
//! history,      due? which   full or         too much for      too little: full   level, size, reason,
//! what can be   levels are   incremental,    the volumes:      dumps of later     and what instead when
//! built on,     thought of   next level      later, or less    days, now          there is no volume
//! rules
//! ```
//!
//! It follows Amanda's planner (server-src/planner.c of 3.5.1) step by step; where it differs, docs/planner.md says why. What may be
//! built on is not decided here: that is [`plan::ground`](super::plan::ground), and where there is nothing certain it is a full dump.
//!
//! Sizes are in KiB, as in Amanda's files; times in seconds since 1970; days are rounded to the nearest, as Amanda counts them.

mod delay;
mod level;
mod lines;
mod promote;
mod rules;
mod sizes;
mod tapes;
#[cfg(test)]
mod tests;
mod wish;
mod words;

use amanda::curinfo::Info;
use amanda::dle::Dle;

use super::plan::Ground;

pub use lines::Line;
pub use rules::{DiskRules, SiteRules};
pub use sizes::Size;
pub use tapes::{overwritten_in, runs_per_cycle};

/// Returns the days between two moments, to the nearest (`days_diff`).
fn days(from: i64, to: i64) -> i64 {
    (to.saturating_sub(from).saturating_add(43_200)).div_euclid(86_400)
}

/// Whether a disk's host is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It always is.
    Always,
    /// It calls in, and is connected now.
    Connected,
    /// It calls in, and is not there: its share of the volumes is counted, and it is not scheduled.
    Away,
}

/// A disk of the site, and what is known of it.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    /// Its name.
    pub dle: &'a Dle,
    /// What is remembered of it; `command` says what was asked for.
    pub info: &'a Info,
    /// What its next dump can build on, or why there is nothing.
    pub ground: Result<Ground, String>,
    /// What its dumptype says.
    pub rules: DiskRules,
    /// Whether its host is there.
    pub presence: Presence,
    /// Sizes that its client said, in KiB before compression, by level; of other levels the history tells.
    pub said: &'a [(u8, i64)],
    /// In so many runs the volume with its last full dump is overwritten, 0 for this run; `None` when never, or when it is on none.
    pub full_overwritten_in: Option<u32>,
    /// The same for its last dump of level 1.
    pub level_1_overwritten_in: Option<u32>,
}

/// What becomes of a site's disks in a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// For each candidate, in their order.
    pub verdicts: Vec<Verdict>,
    /// The candidates that are dumped, the most important first.
    pub order: Vec<usize>,
    /// What is expected on the volumes.
    pub balance: Balance,
    /// What Amanda's planner would say in the run's log.
    pub lines: Vec<Line>,
}

/// What becomes of a disk.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It is dumped.
    Dump(Planned),
    /// It is not, and that is as it should be.
    Skipped {
        /// The level that is left out.
        level: u8,
        /// Why, a sentence.
        reason: String,
        /// A full dump was due, which is made elsewhere: from today on the history counts anew.
        full_made_elsewhere: bool,
    },
    /// It is not, though it should be.
    Failed {
        /// The level that it should have had.
        level: u8,
        /// Why, a sentence.
        reason: String,
    },
}

/// Why a disk is not dumped, before all is planned.
enum Left {
    Skipped { level: u8, reason: &'static str, full_made_elsewhere: bool },
    Failed { level: u8, reason: &'static str },
}

impl From<Left> for Verdict {
    fn from(left: Left) -> Self {
        match left {
            Left::Skipped { level, reason, full_made_elsewhere } => Self::Skipped { level, reason: reason.to_owned(), full_made_elsewhere },
            Left::Failed { level, reason } => Self::Failed { level, reason: reason.to_owned() },
        }
    }
}

/// A dump that is scheduled.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The level.
    pub level: u8,
    /// The datestamp of the dump, one level below, that it builds on; `None` for a full dump, and where that is elsewhere.
    pub base: Option<String>,
    /// What is expected of it.
    pub size: Size,
    /// How important it is; the greater, the sooner.
    pub priority: i64,
    /// KiB in a second, by what it did before.
    pub kps: f64,
    /// What is dumped instead of a full dump when no volume can be written, or why nothing is.
    pub degraded: Result<Degraded, String>,
    /// Why this level, a sentence.
    pub reason: String,
    /// It is not what the disk alone would have had.
    pub moved: Option<Moved>,
}

impl Planned {
    /// Returns the seconds that it should take, and KiB in a second.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole seconds, none of them negative")]
    pub fn expected(&self) -> (u64, u64) {
        ((sizes::real(self.size.kb) / self.kps) as u64, self.kps.round() as u64)
    }
}

/// What is dumped when no volume can be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Degraded {
    /// The level.
    pub level: u8,
    /// The datestamp of what it builds on.
    pub base: Option<String>,
    /// What is expected of it.
    pub size: Size,
}

/// How the whole changed what the disk alone would have had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// Its full dump is due, and is made later.
    Delayed,
    /// Its full dump is made so many days before it is due.
    Promoted {
        /// Days.
        days: i64,
    },
}

/// What a run is expected to put on volumes, in KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Balance {
    /// All of it, with labels, headers and what waits on the holding disk.
    pub total_kb: i64,
    /// The volumes of a run have so much.
    pub capacity_kb: i64,
    /// The full dumps among it, and what hosts that call in bring in a run on the average.
    pub full_kb: f64,
    /// What full dumps would take in each run if they were spread evenly.
    pub balanced_kb: f64,
}

/// A candidate on its way through the planner.
#[derive(Debug, Clone)]
struct Item<'a> {
    /// Its place among the candidates.
    at: usize,
    candidate: &'a Candidate<'a>,
    /// The level of its last dump; `None` when there is nothing to build on.
    last: Option<u8>,
    /// Days until a full dump is due; 0 for today, less when it is late.
    next_full: i64,
    /// So often it was dumped at its last level.
    runs_at_level: i64,
    priority: i64,
    /// What was thought of, and the sizes of it; three at most.
    sizes: Vec<Size>,
    /// What is dumped.
    dump: Size,
    /// What instead, in degraded mode.
    degraded: Option<Size>,
    /// Why there is no such thing.
    no_degraded: Option<&'static str>,
    reason: String,
    moved: Option<Moved>,
}

impl Item<'_> {
    fn size(&self, level: u8) -> Option<Size> {
        self.sizes.iter().find(|size| size.level == level).copied()
    }

    fn is_asked(&self, command: u32) -> bool {
        self.candidate.info.command & command != 0
    }

    fn base(&self, level: u8) -> Option<String> {
        self.candidate.ground.as_ref().ok().and_then(|ground| ground.below(level)).map(str::to_owned)
    }

    /// When its last full dump was made; -1 when there is none.
    fn full_made(&self) -> i64 {
        self.candidate.info.stats.get(&0).map_or(-1, |full| full.date)
    }

    fn planned(self) -> Planned {
        let rates = |perf: &amanda::curinfo::Perf| sizes::average(&perf.rate).filter(|rate| *rate >= 1.0);
        let info = self.candidate.info;
        let kps = rates(if self.dump.level == 0 { &info.full } else { &info.incr }).unwrap_or(sizes::USUAL_KPS);
        let degraded = match self.degraded.filter(|_| self.dump.level == 0) {
            Some(size) => Ok(Degraded { level: size.level, base: self.base(size.level), size }),
            None => Err(self.no_degraded.unwrap_or(words::NO_DEGRADED).to_owned()),
        };
        Planned {
            level: self.dump.level,
            base: self.base(self.dump.level),
            size: self.dump,
            priority: self.priority,
            kps,
            degraded,
            reason: self.reason,
            moved: self.moved,
        }
    }
}

/// Plans a run.
pub fn schedule(site: &SiteRules, candidates: &[Candidate<'_>]) -> Schedule {
    let mut lines = Vec::new();
    // So many volumes are left alone by a run.
    let kept = site.tapecycle - 1;
    if kept <= site.runs_per_cycle {
        let words = format!("tapecycle - 1 ({kept}) <= runspercycle ({})", site.runs_per_cycle);
        lines.push(Line::Warning(words));
    }
    let mut verdicts: Vec<Option<Verdict>> = vec![None; candidates.len()];
    let mut balance = Balance {
        // A volume has a label and an end, and there is what waits.
        total_kb: (site.block_kb + site.mark_kb).saturating_mul(2).saturating_add(site.waiting_kb),
        capacity_kb: site.capacity_kb(),
        ..Balance::default()
    };
    let mut items = Vec::new();
    let mut away_kb = 0.0;
    for (at, candidate) in candidates.iter().enumerate() {
        if candidate.presence == Presence::Away {
            away_kb += level::share(site, candidate, sizes::expect(candidate, 0, site));
            verdicts[at] = Some(Left::Skipped { level: 0, reason: words::AWAY, full_made_elsewhere: false }.into());
            continue;
        }
        let chosen = wish::wish(at, candidate, site, &mut lines).and_then(|wish| level::choose(wish, site, &mut balance, &mut lines));
        match chosen {
            Ok(item) => items.push(item),
            Err(left) => verdicts[at] = Some(left.into()),
        }
    }
    // What hosts that call in bring is a share of every run; a run with more of it has less room for other full dumps.
    balance.balanced_kb += away_kb;
    let brought = away_kb.max(sizes::real(site.waiting_full_kb));
    items.sort_by_key(|item| (std::cmp::Reverse(item.priority), std::cmp::Reverse(item.dump.kb)));
    delay::delay(&mut items, site, &mut balance, &mut lines, &mut verdicts);
    promote::promote(&mut items, site, &mut balance, brought, &mut lines);
    balance.full_kb += brought;
    let order = items.iter().map(|item| item.at).collect();
    for item in items {
        if item.dump.guessed {
            lines.push(Line::Warning(words::guessed(item.candidate.dle, item.dump.kb)));
        }
        let at = item.at;
        verdicts[at] = Some(Verdict::Dump(item.planned()));
    }
    let no_verdict = || Verdict::Failed { level: 0, reason: words::NO_ESTIMATE.to_owned() };
    Schedule { verdicts: verdicts.into_iter().map(|verdict| verdict.unwrap_or_else(no_verdict)).collect(), order, balance, lines }
}
