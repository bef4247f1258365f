//! Which volume a run begins in a config of Amanda's own kind: a function of values.
//!
//! Amanda's way (perl/Amanda/Taper/Scan/traditional.pm, server-src/tapefile.c): the newest `tapecycle` - 1 volumes are left alone.
//! The oldest of the others is taken, wherever it is; when it is in no slot, the slots are looked into, from the current one on, for
//! any that may be taken, that was labelled and never written, or that has no label and gets one by `autolabel`.
//!
//! One rule is added: a volume that the newest restorable state of a disk needs is not overwritten, whatever `tapecycle` says; it is one of
//! the `tapecycle` - 1 then.

use std::collections::BTreeSet;
use std::fmt;

use amanda::conf::labels::Autolabel;
use amanda::tapelist::{Tape, Tapelist};

/// What is in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A volume with this label.
    Labelled(String),
    /// Nothing.
    Empty,
    /// Files, and no label.
    NotAmandas,
    /// A volume whose label cannot be read, for this reason.
    Unreadable(String),
    /// A volume that nobody is to touch, for this reason.
    Odd(String),
}

/// A slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its number.
    pub number: u32,
    /// What is in it.
    pub content: Content,
}

/// What amanda.conf says, and what the run has done so far.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// So many volumes there are at least; all but one of them are left alone.
    pub tapecycle: usize,
    /// The config's name.
    pub config: &'a str,
    /// Its storage.
    pub storage: &'a str,
    /// The storage's pool.
    pub pool: &'a str,
    /// Says whether a label is one of this config's.
    pub is_label: &'a dyn Fn(&str) -> bool,
    /// Which volumes `autolabel` labels…
    pub autolabel: Autolabel,
    /// …and the label that it makes next; `None` when it makes none.
    pub new_label: Option<&'a str>,
    /// Says what a volume is needed for; `None` when nothing needs it.
    pub needed: &'a dyn Fn(&str) -> Option<String>,
    /// The slot where the search begins.
    pub from: u32,
}

/// A volume to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// The slot.
    pub slot: u32,
    /// The label that it has, or gets.
    pub label: String,
    /// It has none yet.
    pub is_new: bool,
}

/// Why a volume was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passed {
    /// The oldest volume that may be taken is in no slot.
    Absent(String),
    /// The label is not one of this config's.
    Foreign(u32, String),
    /// The label is one of this config's, and the tapelist does not have it.
    Unlisted(u32, String),
    /// The tapelist has it for another config.
    OtherConfig(u32, String, String),
    /// The tapelist has it in another pool.
    OtherPool(u32, String, String),
    /// It is one of the newest, or marked `no-reuse`.
    Active(u32, String),
    /// A restore needs it.
    Needed(String, String),
    /// There is nothing, and `autolabel` makes no label.
    Unlabelled(u32),
    /// There are files without a label, and `autolabel` does not go over them.
    NotAmandas(u32),
    /// It cannot be used.
    Odd(u32, String),
}

impl fmt::Display for Passed {
    /// Amanda's words, where it has any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(label) => write!(f, "Label '{label}' not found"),
            Self::Foreign(slot, label) => write!(f, "Slot {slot} with label {label} do not match labelstr"),
            Self::Unlisted(slot, label) => write!(f, "Slot {slot} with label {label} is not in the tapelist"),
            Self::OtherConfig(slot, label, config) => write!(f, "Slot {slot} with label {label} is use by config {config}"),
            Self::OtherPool(slot, label, pool) => write!(f, "Slot {slot} with label {label} is in pool {pool}"),
            Self::Active(slot, label) => write!(f, "Slot {slot} with label {label} is not reusable"),
            Self::Needed(label, what) => write!(f, "Volume {label} is not overwritten: it is needed for {what}"),
            Self::Unlabelled(slot) => write!(f, "Slot {slot} is empty, autolabel not set"),
            Self::NotAmandas(slot) => write!(f, "Slot {slot} is a non-amanda volume, autolabel not set"),
            Self::Odd(slot, why) => write!(f, "Slot {slot} is a volume in error: {why}"),
        }
    }
}

impl Passed {
    /// Says whether somebody should hear of it: not of a volume whose turn it is not.
    pub fn is_news(&self) -> bool {
        !matches!(self, Self::Active(..) | Self::Unlabelled(_))
    }
}

/// What a search came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The volume to begin; `None` when there is none.
    pub next: Option<Next>,
    /// What was passed over on the way.
    pub passed: Vec<Passed>,
    /// The volume that the run would have liked to have.
    pub expected: Option<String>,
}

/// Looks for the volume that a run begins next. Slots in `seen` have been tried by this run.
pub fn next(tapes: &Tapelist, slots: &[Slot], seen: &BTreeSet<u32>, rules: &Rules<'_>) -> Scan {
    let written: Vec<&Tape> = tapes.tapes().iter().filter(|tape| tape.datestamp != "0" && is_ours(tape, rules)).collect();
    // The tapelist has the newest on top.
    let kept = rules.tapecycle.saturating_sub(1);
    let amandas = written.get(kept..).and_then(|behind| behind.last()).map(|tape| tape.label.as_str());
    let mut scan = Scan { next: None, passed: Vec::new(), expected: amandas.map(str::to_owned) };
    if let Some((label, what)) = amandas.and_then(|label| Some((label, (rules.needed)(label)?))) {
        scan.passed.push(Passed::Needed(label.to_owned(), what));
    }
    // What a restore needs is one of those that are left alone, however old it is: so the next oldest gives way. Otherwise one disk that
    // missed its full dump would keep everything else from volumes, its next full dump included.
    let all = written.len();
    let free: Vec<&Tape> = written.into_iter().filter(|tape| (rules.needed)(&tape.label).is_none()).collect();
    let reusable = free.get(kept.saturating_sub(all - free.len())..).unwrap_or_default();
    if let Some(oldest) = reusable.last().map(|tape| tape.label.as_str()) {
        let slot = slots.iter().find(|slot| matches!(&slot.content, Content::Labelled(label) if label == oldest));
        match slot {
            Some(slot) if seen.contains(&slot.number) => {}
            Some(slot) => {
                scan.next = Some(Next { slot: slot.number, label: oldest.to_owned(), is_new: false });
                return scan;
            }
            None => scan.passed.push(Passed::Absent(oldest.to_owned())),
        }
    }
    let from = slots.partition_point(|slot| slot.number < rules.from);
    let (before, behind) = slots.split_at(from);
    for slot in behind.iter().chain(before).filter(|slot| !seen.contains(&slot.number)) {
        match of_slot(tapes, slot, reusable, rules) {
            Ok(next) => {
                scan.next = Some(next);
                return scan;
            }
            Err(passed) if scan.passed.contains(&passed) => {}
            Err(passed) => scan.passed.push(passed),
        }
    }
    scan
}

fn of_slot(tapes: &Tapelist, slot: &Slot, reusable: &[&Tape], rules: &Rules<'_>) -> Result<Next, Passed> {
    let number = slot.number;
    // As `autolabel` allows it.
    let labelled = |allowed: bool, passed: Passed| {
        let label = rules.new_label.filter(|_| allowed).ok_or(passed)?;
        Ok(Next { slot: number, label: label.to_owned(), is_new: true })
    };
    let auto = rules.autolabel;
    let label = match &slot.content {
        Content::Odd(why) => return Err(Passed::Odd(number, why.clone())),
        Content::Unreadable(why) => return labelled(auto.volume_error, Passed::Odd(number, why.clone())),
        Content::NotAmandas => return labelled(auto.non_amanda, Passed::NotAmandas(number)),
        Content::Empty => return labelled(auto.empty, Passed::Unlabelled(number)),
        Content::Labelled(label) => label.clone(),
    };
    let Some(tape) = tapes.get(&label) else {
        if (rules.is_label)(&label) {
            return Err(Passed::Unlisted(number, label));
        }
        return labelled(auto.other_config, Passed::Foreign(number, label));
    };
    if let Some(config) = tape.config.as_ref().filter(|config| *config != rules.config) {
        return Err(Passed::OtherConfig(number, label, config.clone()));
    }
    match tape.pool.as_ref() {
        Some(pool) if pool != rules.pool => return Err(Passed::OtherPool(number, label, pool.clone())),
        None if !(rules.is_label)(&label) => return Err(Passed::Foreign(number, label)),
        _ => {}
    }
    let is_free = tape.reuse && (tape.datestamp == "0" || reusable.iter().any(|other| other.label == label));
    if !is_free {
        return Err(Passed::Active(number, label));
    }
    match (rules.needed)(&label) {
        Some(what) => Err(Passed::Needed(label, what)),
        None => Ok(Next { slot: number, label, is_new: false }),
    }
}

fn is_ours(tape: &Tape, rules: &Rules<'_>) -> bool {
    let is = |value: &Option<String>, ours: &str| value.as_ref().is_none_or(|value| value == ours);
    let belongs = is(&tape.config, rules.config) && is(&tape.storage, rules.storage) && is(&tape.pool, rules.pool);
    tape.reuse && belongs && (rules.is_label)(&tape.label)
}

#[cfg(test)]
mod tests;
