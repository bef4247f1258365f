//! The embedded engine's own choice of a volume.
//!
//! Where volumes go round, the engine overwrites nothing that the newest restorable state of a disk needs, and looks into the slots for
//! what it may take instead. Amanda's rules alone would promise a volume that the run then refuses.

use amanda::escape::printable;
use serde::Serialize;

use crate::engine::embedded::catalog;
use crate::engine::embedded::site::{Rotation, Site};
use crate::engine::embedded::taper;
use crate::engine::embedded::volumes::cycle::{Next, Passed, Scan};
use crate::engine::{Finding, Trouble};
use crate::office::place::Place;
use crate::office::retention::Wanted;

/// How a new volume gets its label.
const LABEL: &str = "asyncamanda-shim label CONFIG LABEL --slot N";

/// What to do when the volume whose turn it is may not be overwritten.
const ADD: &str =
    "add a volume and label it: asyncamanda-shim label CONFIG LABEL --slot N; or have the disk that needs the old one dumped in full";

/// A volume that a run begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Begun {
    /// Its slot.
    pub slot: u32,
    /// The label that it has, or gets.
    pub label: String,
    /// It gets the label by the run.
    pub is_new: bool,
}

/// What the engine would do now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// The volume that it would begin; `None` when there is none.
    pub next: Option<Begun>,
    /// The volume whose turn it is, by Amanda's rules; `None` for a new one.
    pub expected: Option<String>,
    /// Why it does not take others.
    #[serde(skip)]
    passed: Vec<Passed>,
}

impl From<Scan> for Choice {
    fn from(scan: Scan) -> Self {
        let begun = |Next { slot, label, is_new }| Begun { slot, label, is_new };
        let passed = scan.passed.into_iter().filter(Passed::is_news).collect();
        Self { next: scan.next.map(begun), expected: scan.expected, passed }
    }
}

impl Choice {
    /// Asks the engine; `None` for a config that it does not serve, for a vault, and where no run writes to volumes.
    ///
    /// # Errors
    /// When the config's files cannot be read.
    pub fn of(place: &Place, now: i64) -> Result<Option<Self>, Trouble> {
        let goes_round = |site: &&Site| matches!(site.rotation(), Rotation::Cycle { runtapes: 1.., .. });
        let Some(site) = place.site.as_ref().filter(goes_round) else { return Ok(None) };
        Ok(Some(taper::look(site, &catalog::load(site)?, now)?.into()))
    }

    /// Says whether a volume is left alone because a restore needs it.
    pub fn is_needed(&self, label: &str) -> bool {
        self.passed.iter().any(|passed| matches!(passed, Passed::Needed(other, _) if other == label))
    }

    /// Puts the engine's volume first among those that are wanted, and a new one in the place of each that it does not overwrite.
    /// `is_fresh` says that its volume has a label and was never written.
    pub fn put_right(&self, wanted: &mut Wanted, is_fresh: bool) {
        let first = match &self.next {
            Some(next) => Some(next.label.clone()).filter(|_| !next.is_new && !is_fresh),
            None => self.expected.clone(),
        };
        let at = |volume: &Option<String>| wanted.volumes.iter().position(|other| other == volume);
        if let Some(at) = at(&first).or_else(|| at(&None)).or((!wanted.volumes.is_empty()).then_some(0)) {
            wanted.volumes.remove(at);
        }
        wanted.volumes.insert(0, first);
        for volume in &mut wanted.volumes {
            volume.take_if(|label| self.is_needed(label));
        }
        if let Some(next) = self.next.as_ref().filter(|_| is_fresh) {
            wanted.labelled.retain(|label| *label != next.label);
            wanted.labelled.insert(0, next.label.clone());
        }
    }

    /// Finds that there is no volume, or what was passed over on the way to one. What is wrong with a slot is found elsewhere.
    pub fn findings(&self, wanted: &Wanted) -> Vec<Finding> {
        if self.next.is_none() {
            return vec![self.none()];
        }
        let is_wanted = |label: &str| wanted.volumes.iter().flatten().any(|other| other == label);
        let found = self.passed.iter().filter_map(|passed| match passed {
            Passed::Absent(label) if !is_wanted(label) => {
                Some(Finding::minor(format!("the next run wants volume {label}, and it is in no slot: another one is taken"), "put it in"))
            }
            Passed::Needed(..) => Some(Finding::minor(format!("{passed}: another one is taken"), ADD)),
            Passed::OtherConfig(..) | Passed::OtherPool(..) => {
                Some(Finding::minor(printable(passed.to_string().as_bytes()), "take it out"))
            }
            _ => None,
        });
        found.collect()
    }

    fn none(&self) -> Finding {
        let why: Vec<String> = self.passed.iter().map(|passed| printable(passed.to_string().as_bytes())).collect();
        let what = match (why.is_empty(), &self.expected) {
            (true, None) => "the next run wants a new volume, and there is none that it may label".to_owned(),
            (true, Some(_)) => "there is no volume that the next run may write to".to_owned(),
            _ => format!("there is no volume that the next run may write to: {}", why.join("; ")),
        };
        match self.expected.as_ref().map(|label| (label, self.is_needed(label))) {
            Some((_, true)) => Finding::serious(what, ADD),
            Some(_) if self.passed.iter().any(|passed| matches!(passed, Passed::Odd(..))) => {
                Finding::serious(what, format!("see to the slots that are in error, or put in another volume and label it: {LABEL}"))
            }
            Some((label, false)) => Finding::serious(what, format!("put {label} in, or another volume, and label that: {LABEL}")),
            None => Finding::serious(what, format!("put one in and label it: {LABEL}")),
        }
    }

    /// Says whether there is more to be told of a refusal than that a volume is wanted.
    pub fn has_reasons(&self) -> bool {
        self.next.is_none() && !self.passed.is_empty()
    }
}
