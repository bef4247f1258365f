//! Labels a volume, with the checks of amlabel (perl/Amanda/Label.pm).

use std::fmt;

use amanda::header::Start;
use amanda::tapelist::{Tape, Tapelist};

use super::catalog::{self, Catalog, Shelved};
use super::site::{Site, failed};
use super::taper::Tapes;
use super::taper::cycle::{labels, needs};
use super::{Watch, bases, files, forget, mend};
use crate::engine::Trouble;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The label.
    pub label: String,
    /// The slot; the current one when it is not said.
    pub slot: Option<u32>,
    /// Also over what Amanda asks to be sure of: another label, a label that the tapelist has, files that are not Amanda's.
    pub force: bool,
}

/// What is in the slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InSlot {
    /// Nothing, or no slot yet.
    Nothing,
    /// Files that are no volume of Amanda's, or a volume that cannot be read, in words.
    Other(String),
    /// A volume.
    Volume {
        /// Its label.
        label: String,
        /// What the tapelist has of it.
        tape: Option<Box<Tape>>,
    },
}

/// Why a volume is not labelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It is not one of the config's labels: the labelstr.
    Foreign(String),
    /// The tapelist has it.
    InUse,
    /// It is on the volume in this slot.
    InSlot(u32),
    /// The slot has something that is not Amanda's.
    NotAmandas(String),
    /// The slot has a volume with this label.
    Labelled(String),
    /// The slot has one that the tapelist does not know.
    Unlisted(String),
    /// The slot has one of this other config.
    OtherConfig(String, String),
    /// The slot has one of this other pool.
    OtherPool(String, String),
}

impl fmt::Display for Refused {
    /// Amanda's words, where it has any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(labelstr) => write!(f, "it doesn't match labelstr '{labelstr}'"),
            Self::InUse => f.write_str("it is already on a volume"),
            Self::InSlot(slot) => write!(f, "the volume in slot {slot} has it, and no two may"),
            Self::NotAmandas(what) => write!(f, "the slot has what is no volume of Amanda's: {what}"),
            Self::Labelled(label) => write!(f, "the slot has the volume '{label}', which is active"),
            Self::Unlisted(label) => write!(f, "the slot has the volume '{label}', which is not in the tapelist"),
            Self::OtherConfig(label, config) => write!(f, "the slot has the volume '{label}', which is in use by config {config}"),
            Self::OtherPool(label, pool) => write!(f, "the slot has the volume '{label}', which is in pool {pool}"),
        }
    }
}

impl Refused {
    /// Says whether `--force` goes over it.
    pub fn yields(&self) -> bool {
        !matches!(self, Self::Foreign(_) | Self::InSlot(_))
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::Foreign(_) => "choose a label that it matches, or change labelstr in amanda.conf",
            Self::InSlot(_) => "choose another label, or that slot",
            Self::InUse => "choose another label; --force labels a volume so all the same, when the one that had it is gone for good",
            _ => "choose another slot; --force takes away what is in this one",
        }
    }
}

/// What amanda.conf and the shelves say.
pub struct Known<'a> {
    /// The config's name.
    pub config: &'a str,
    /// Its pool.
    pub pool: &'a str,
    /// The labelstr, for people.
    pub labelstr: &'a str,
    /// Says whether a label matches it.
    pub matches: &'a dyn Fn(&str) -> bool,
    /// The list of volumes.
    pub tapes: &'a Tapelist,
    /// The slot that has a label, of the others.
    pub elsewhere: &'a dyn Fn(&str) -> Option<u32>,
}

/// Says whether a volume may be labelled so.
///
/// # Errors
/// When it may not, with the reason.
pub fn allowed(ask: &Ask, there: &InSlot, known: &Known<'_>) -> Result<(), Refused> {
    let refused = refusals(ask, there, known);
    refused.into_iter().find(|refused| !(ask.force && refused.yields())).map_or(Ok(()), Err)
}

fn refusals(ask: &Ask, there: &InSlot, known: &Known<'_>) -> Vec<Refused> {
    let mut refused = Vec::new();
    if !(known.matches)(&ask.label) {
        refused.push(Refused::Foreign(known.labelstr.to_owned()));
    }
    if let Some(slot) = (known.elsewhere)(&ask.label) {
        refused.push(Refused::InSlot(slot));
    }
    if known.tapes.get(&ask.label).is_some() {
        refused.push(Refused::InUse);
    }
    match there {
        InSlot::Nothing => {}
        InSlot::Other(what) => refused.push(Refused::NotAmandas(what.clone())),
        InSlot::Volume { label, tape: None } => refused.push(Refused::Unlisted(label.clone())),
        InSlot::Volume { label, tape: Some(tape) } => refused.push(match (&tape.config, &tape.pool) {
            (Some(config), _) if config != known.config => Refused::OtherConfig(label.clone(), config.clone()),
            (_, Some(pool)) if pool != known.pool => Refused::OtherPool(label.clone(), pool.clone()),
            _ => Refused::Labelled(label.clone()),
        }),
    }
    refused
}

/// Labels a volume, and puts it into the tapelist, durably. A slot that is not there is made. Returns the slot.
///
/// # Errors
/// When it may not be labelled so, or cannot be written.
pub fn label(site: &Site, ask: &Ask, watch: &dyn Watch, now: i64) -> Result<u32, Trouble> {
    site.for_writing()?;
    let _lock = mend::lock(site)?;
    let catalog = catalog::load(site)?;
    let changer = site.changer();
    let slot = ask.slot.or_else(|| changer.current()).or_else(|| catalog.volumes.first().map(|volume| volume.slot)).unwrap_or(1);
    if slot == 0 {
        return Err(Trouble::config("there is no slot 0".to_owned(), "slots are counted from 1"));
    }
    let shelved = catalog.volumes.iter().find(|volume| volume.slot == slot);
    let there = in_slot(shelved, &catalog);
    let labels = labels(site)?;
    let labelstr = site.config().labelstr().or_else(|| site.config().label_template());
    let labelstr = labelstr.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
    let (_, pool) = site.shelf();
    let known = Known {
        config: site.name().as_str(),
        pool: &pool,
        labelstr: &labelstr,
        matches: &|label| labels.matches(label),
        tapes: &catalog.tapelist,
        elsewhere: &|label| {
            let has = |volume: &&Shelved| volume.slot != slot && volume.label.as_deref() == Some(label);
            catalog.volumes.iter().find(has).map(|volume| volume.slot)
        },
    };
    if let Err(refused) = allowed(ask, &there, &known) {
        let hint = refused.hint();
        return Err(Trouble::refused(format!("slot {slot} is not labelled '{}': {refused}", ask.label), hint));
    }
    if let Some(what) = shelved.and_then(|shelved| shelved.label.as_ref()).and_then(|label| needs(site, &catalog, now).remove(label)) {
        watch.noted(&format!("with the volume in slot {slot} goes {what}"));
    }
    write(site, &catalog, slot, shelved, ask)?;
    mend::tidy(watch, forget::forget(site, &catalog, &catalog::load(site)?, now));
    Ok(slot)
}

fn in_slot(shelved: Option<&Shelved>, catalog: &Catalog) -> InSlot {
    match shelved.map(|shelved| (&shelved.odd, &shelved.label, shelved.files)) {
        None | Some((None, None, 0)) => InSlot::Nothing,
        Some((Some(odd), ..)) => InSlot::Other(odd.clone()),
        Some((None, None, files)) => InSlot::Other(format!("{files} files without a label")),
        Some((None, Some(label), _)) => InSlot::Volume { label: label.clone(), tape: catalog.tapelist.get(label).cloned().map(Box::new) },
    }
}

/// What is gone goes from the tapelist first: a volume that a killed call left is labelled, and not in the list.
fn write(site: &Site, catalog: &Catalog, slot: u32, shelved: Option<&Shelved>, ask: &Ask) -> Result<(), Trouble> {
    let changer = site.changer();
    let volume = changer.make_slot(slot).map_err(|error| failed("cannot make a slot in", changer.directory(), &error))?;
    let wrong = |error: &amanda::vtape::VtapeError| Trouble::later(catalog::words(error), "look at the file system of the volume");
    volume.probe().map_err(|error| wrong(&error))?;
    let mut tapes = Tapes { list: catalog.tapelist.clone(), site };
    if let Some(shelved) = shelved.filter(|shelved| !shelved.dumps.is_empty()) {
        let gone = shelved.dumps.iter().filter(|key| !catalog.is_noted() && bases::may_matter(catalog, key));
        let noted = bases::note(site, gone.map(|key| (key, None))).and_then(|()| forget::intend(site, &shelved.dumps));
        noted.map_err(|error| failed("cannot write in", &site.own(), &error))?;
    }
    let old = shelved.and_then(|shelved| shelved.label.as_ref()).is_some_and(|label| tapes.list.remove(label).is_some());
    if tapes.list.remove(&ask.label).is_some() || old {
        tapes.write()?;
    }
    volume.relabel(&Start { datestamp: "X".to_owned(), label: ask.label.clone() }).map_err(|error| wrong(&error))?;
    files::sync_parent(volume.directory()).map_err(|error| failed("cannot make a slot in", changer.directory(), &error))?;
    let (storage, pool) = site.shelf();
    let tape = Tape::new("0", &ask.label, site.name().as_str());
    tapes.list.put(Tape { storage: Some(storage), pool: Some(pool), ..tape });
    tapes.write()?;
    if changer.current().is_none() {
        // Amanda does without it, as do file systems that have no symlinks.
        let _ = changer.set_current(slot);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known<'a>(tapes: &'a Tapelist, elsewhere: &'a dyn Fn(&str) -> Option<u32>) -> Known<'a> {
        Known { config: "ifh", pool: "ifh", labelstr: "^ifh[0-9][0-9]*$", matches: &|label| label.starts_with("ifh"), tapes, elsewhere }
    }

    #[test]
    fn a_volume_is_labelled_as_amlabel_would() {
        let tapes = Tapelist::parse(
            b"20261101 ifh01 reuse POOL:ifh CONFIG:ifh\n20261101 ifh02 reuse CONFIG:daily\n20261101 ifh03 reuse POOL:other\n",
        );
        let tapes = tapes.expect("a tapelist");
        let volume = |label: &str| InSlot::Volume { label: label.to_owned(), tape: tapes.get(label).cloned().map(Box::new) };
        let name = str::to_owned;
        for (label, there, refused) in [
            ("ifh09", InSlot::Nothing, None),
            ("daily-1", InSlot::Nothing, Some(Refused::Foreign(name("^ifh[0-9][0-9]*$")))),
            ("ifh01", InSlot::Nothing, Some(Refused::InUse)),
            ("ifh04", InSlot::Nothing, Some(Refused::InSlot(4))),
            ("ifh09", InSlot::Other(name("3 files")), Some(Refused::NotAmandas(name("3 files")))),
            ("ifh09", volume("ifh01"), Some(Refused::Labelled(name("ifh01")))),
            ("ifh09", volume("ifh08"), Some(Refused::Unlisted(name("ifh08")))),
            ("ifh09", volume("ifh02"), Some(Refused::OtherConfig(name("ifh02"), name("daily")))),
            ("ifh09", volume("ifh03"), Some(Refused::OtherPool(name("ifh03"), name("other")))),
        ] {
            let elsewhere = |label: &str| (label == "ifh04").then_some(4);
            let known = known(&tapes, &elsewhere);
            let mut ask = Ask { label: label.to_owned(), slot: Some(1), force: false };
            assert_eq!(allowed(&ask, &there, &known).err(), refused, "{label} {there:?}");
            ask.force = true;
            assert_eq!(allowed(&ask, &there, &known).err(), refused.filter(|refused| !refused.yields()), "forced: {label} {there:?}");
        }
    }
}
