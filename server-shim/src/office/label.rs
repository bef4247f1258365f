//! Labelling a volume by hand: `label CONFIG LABEL` (perl/Amanda/Label.pm).
//!
//! Amanda's rules: a label is used once, it matches `labelstr`, and a volume that has a label, or cannot be read, is labelled anew only
//! when that is forced. One rule is ours: a label that another slot has is refused even then, for two volumes of one name are of no use.

use std::collections::BTreeMap;

use amanda::escape::printable;
use amanda::header::Start;
use amanda::tapelist::{LONGEST, Tape, Tapelist};
use wire::Exit;

use super::find;
use super::place::Place;
use super::tape::{self, Content};
use crate::engine::Trouble;
use crate::engine::embedded::catalog::words;
use crate::engine::embedded::files::{self, Sure};
use crate::engine::embedded::locks;
use crate::engine::embedded::site::{Site, failed};
use crate::report::Words;

/// What is to be labelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The label.
    pub label: String,
    /// The slot; the current one when none is named.
    pub slot: Option<u32>,
    /// What is on the volume may go.
    pub force: bool,
}

/// Why a volume is not labelled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no label.
    #[error("{0:?} is no label: a label is one word of printable letters")]
    Word(String),
    /// It does not match.
    #[error("the label {0} does not match labelstr in amanda.conf")]
    Labelstr(String),
    /// There is one already.
    #[error("there is a volume {0} already: the tapelist has it")]
    Listed(String),
    /// There is one already.
    #[error("there is a volume {0} already: it is in slot {1}")]
    There(String, u32),
    /// There is no such slot.
    #[error("there is no slot {0}")]
    NoSlot(u32),
    /// It has a label.
    #[error("the volume in slot {0} is {1}: what is on it would be lost")]
    Labelled(u32, String),
    /// It cannot be read.
    #[error("what is in slot {0} cannot be read: {1}")]
    Odd(u32, String),
}

impl Refusal {
    fn hint(&self) -> &'static str {
        match self {
            Self::Word(_) => "letters, digits, . _ - and + are good",
            Self::Labelstr(_) => "choose one that matches, or change labelstr",
            Self::Listed(_) => "choose another label; --force gives it to this volume, when the other one is lost for good",
            Self::There(..) => "choose another label, or take that volume out",
            Self::NoSlot(_) => "asyncamanda-shim tape CONFIG shows the slots",
            Self::Labelled(..) | Self::Odd(..) => "look whether it is the right slot; --force overwrites it",
        }
    }
}

/// What is known before.
struct Known<'a> {
    slots: &'a BTreeMap<u32, Content>,
    tapelist: &'a Tapelist,
    matches: &'a dyn Fn(&str) -> bool,
}

/// Decides whether a volume in a slot may have a label.
fn decide(label: &str, slot: u32, force: bool, known: &Known<'_>) -> Result<(), Refusal> {
    let is_word = !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'\\/#".contains(&byte));
    if !is_word {
        return Err(Refusal::Word(printable(label.as_bytes())));
    }
    let label = label.to_owned();
    if !(known.matches)(&label) {
        return Err(Refusal::Labelstr(label));
    }
    let has = |content: &Content| matches!(content, Content::Volume(other) if *other == label);
    if let Some((other, _)) = known.slots.iter().find(|(other, content)| **other != slot && has(content)) {
        return Err(Refusal::There(label, *other));
    }
    if known.tapelist.get(&label).is_some() && !force {
        return Err(Refusal::Listed(label));
    }
    match known.slots.get(&slot) {
        None => Err(Refusal::NoSlot(slot)),
        Some(Content::Volume(old)) if !force => Err(Refusal::Labelled(slot, printable(old.as_bytes()))),
        Some(Content::Odd(why)) if !force => Err(Refusal::Odd(slot, printable(why.as_bytes()))),
        Some(_) => Ok(()),
    }
}

/// Labels a volume; returns what was done, in lines.
///
/// # Errors
/// When it is refused, or the volume or the tapelist cannot be written.
pub fn command(place: &Place, wish: &Wish) -> Result<(Exit, String), Words> {
    let Some(site) = &place.site else {
        return Err(Words::new(Exit::Refused, "the installed Amanda labels its own volumes")
            .because("engine = \"amanda\" in shim.toml")
            .hint(format!("as the dump user: amlabel {} {}", place.name, printable(wish.label.as_bytes()))));
    };
    site.for_writing()?;
    // Held by whoever writes to volumes.
    let _alone = locks::tapelist(site).map_err(|error| failed("cannot lock", &place.conf.tapelist(), &error))?;
    let mut tapelist = place.tapelist()?;
    let labels = place.labels()?;
    let changer = site.changer();
    let slots = tape::slots(&changer)?;
    let slot = wish.slot.or_else(|| changer.current()).or_else(|| slots.keys().next().copied()).unwrap_or(1);
    let known = Known { slots: &slots, tapelist: &tapelist, matches: &|label| labels.matches(label) };
    decide(&wish.label, slot, wish.force, &known).map_err(|refusal| Words::new(Exit::Refused, refusal.to_string()).hint(refusal.hint()))?;
    let old = if let Some(Content::Volume(old)) = slots.get(&slot) { Some(old.clone()) } else { None };
    let lost = old.as_ref().map_or(Ok(0), |old| dumps_on(place, old))?;
    // Off the list first: what is not on a volume any more is nowhere listed.
    if let Some(old) = &old {
        tapelist.remove(old);
        write(site, &tapelist)?;
    }
    let start = Start { datestamp: "X".to_owned(), label: wish.label.clone() };
    changer.volume(slot).relabel(&start).map_err(|error| Trouble::later(words(&error), "look at the volume"))?;
    let (storage, pool) = site.shelf();
    let mut tape = Tape::new("0", &wish.label, &place.name);
    (tape.storage, tape.pool) = (Some(storage), Some(pool));
    tapelist.put(tape);
    write(site, &tapelist)?;
    let mut text = format!("The volume in slot {slot} is {} now.\n", printable(wish.label.as_bytes()));
    if let Some(old) = old.filter(|_| lost > 0) {
        text.push_str(&format!("What was on it is gone: {lost} parts of dumps of {}.\n", printable(old.as_bytes())));
    }
    Ok((Exit::Done, text))
}

/// Counts the parts of dumps that a volume has.
fn dumps_on(place: &Place, label: &str) -> Result<usize, Trouble> {
    let is_there =
        |row: &amanda::admin::Found| matches!(&row.place, amanda::admin::Place::Volume { label: other, .. } if other == label.as_bytes());
    Ok(find::rows(place)?.iter().filter(|row| is_there(row)).count())
}

fn write(site: &Site, tapelist: &Tapelist) -> Result<(), Trouble> {
    let path = site.config().tapelist();
    let text = tapelist.print().map_err(|error| Trouble::refused(error.to_string(), "correct the tapelist"))?;
    debug_assert!(text.len() <= LONGEST);
    files::replace(&path, &text, Sure::Durable).map_err(|error| failed("cannot write", &path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::embedded::make::{Plan, make};

    #[test]
    fn a_label_is_given_once_and_nothing_is_overwritten_unasked() {
        let volume = |label: &str| Content::Volume(label.to_owned());
        let slots = BTreeMap::from([(1, volume("c-1")), (2, Content::Nothing), (3, Content::Odd("why".into()))]);
        let mut tapelist = Tapelist::default();
        ["c-1", "c-8"].iter().for_each(|label| tapelist.put(Tape::new("0", *label, "c")));
        let known = Known { slots: &slots, tapelist: &tapelist, matches: &|label| label.starts_with("c-") };
        for (label, slot, force, expected) in [
            ("c-2", 2, false, Ok(())),
            ("c-2", 1, false, Err(Refusal::Labelled(1, "c-1".into()))),
            ("c-2", 1, true, Ok(())),
            ("c-1", 1, true, Ok(())),
            ("c-2", 3, false, Err(Refusal::Odd(3, "why".into()))),
            ("c-2", 3, true, Ok(())),
            ("c-2", 4, true, Err(Refusal::NoSlot(4))),
            ("c-1", 2, true, Err(Refusal::There("c-1".into(), 1))),
            ("c-8", 2, false, Err(Refusal::Listed("c-8".into()))),
            ("c-8", 2, true, Ok(())),
            ("d-1", 2, true, Err(Refusal::Labelstr("d-1".into()))),
            ("c 1", 2, true, Err(Refusal::Word("c 1".into()))),
        ] {
            assert_eq!(decide(label, slot, force, &known), expected, "{label} {slot} {force}");
        }
    }

    #[test]
    fn a_volume_is_labelled_and_listed() {
        let dir = tempfile::tempdir().expect("directory");
        let place = Place::of(make(&dir.path().join("vault"), &Plan::default()).expect("made"));
        let volumes = tape::look(&place, 0).expect("looked");
        let (slot, old) = volumes.volumes.iter().find_map(|volume| Some((volume.slot?, volume.label.clone()))).expect("a volume");
        let wish = |label: &str, force| Wish { label: label.to_owned(), slot: Some(slot), force };
        let other = volumes.volumes.iter().map(|volume| &volume.label).max().expect("a label");
        let new = format!("{}9", &other[..other.len() - 1]);
        assert!(command(&place, &wish(&new, false)).expect_err("refused").what.contains("would be lost"));
        let (_, text) = command(&place, &wish(&new, true)).expect("labelled");
        assert_eq!(text, format!("The volume in slot {slot} is {new} now.\n"));
        let after = tape::look(&place, 0).expect("looked");
        let there = |label: &str| after.volumes.iter().find(|volume| volume.label == label).and_then(|volume| volume.slot);
        assert_eq!((there(&new), after.volumes.iter().any(|volume| volume.label == old)), (Some(slot), false));
    }
}
