//! Reading a catalog: logs once, directories once, headers only of files that no log has.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::fs;
use std::io::ErrorKind;

use amanda::header::Block;
use amanda::run_log::contents::{Contents, contents};
use amanda::run_log::write::file_name;
use amanda::tapelist::{self, Tapelist};
use amanda::vtape::VolumeFile;

use super::shelf::{Shelf, key};
use super::{Catalog, Dump, Gone, Shelved};
use crate::engine::Trouble;
use crate::engine::embedded::holding::{Held, RunDirectory};
use crate::engine::embedded::site::{CONF, Rotation, Site, failed};
use crate::engine::embedded::volumes::Key;
use crate::engine::embedded::{bases, damaged, files, holding, verified};

/// The longest log that is read, in bytes.
pub(crate) const LONGEST_LOG: u64 = 256 * 1024 * 1024;

/// Reads what there is. Nothing is written and nothing is locked: what a run changes meanwhile is listed as it was, or as it is.
///
/// # Errors
/// When the tapelist, a log or a directory cannot be read.
pub fn load(site: &Site) -> Result<Catalog, Trouble> {
    let mut catalog = Catalog { tapelist: tapes(site)?, ..Catalog::default() };
    // The holding disk first: a dump that goes to a volume meanwhile is listed twice, not left out.
    catalog.runs = runs(site)?;
    let volumes = volumes(site)?;
    let logged = logs(site, &catalog.tapelist)?;
    let mut shelf = Shelf::new(site.shelf());
    for (mut volume, files) in volumes {
        shelf.look(&mut volume, &files, &logged, &catalog.tapelist, &mut catalog.notes);
        catalog.volumes.push(volume);
    }
    shelf.settle(&logged);
    for run in &catalog.runs {
        catalog.notes.extend(run.odd.iter().cloned());
        run.held.iter().for_each(|held| shelf.held(held));
    }
    match damaged::load(site) {
        Ok(marks) => marks.iter().for_each(|mark| shelf.mark(&mark.key(), &mark.what)),
        Err(error) => catalog.notes.push(format!(
            "which dumps of {} are damaged cannot be read, and is known again when they have been verified: {error}",
            site.directory().display()
        )),
    }
    match verified::load(site) {
        Ok(times) => shelf.verified(&times),
        Err(error) => catalog.notes.push(format!(
            "when the dumps of {} were verified cannot be read, and is known again when they are: {error}",
            site.directory().display()
        )),
    }
    // Where a drive was pulled out there is nothing, which is not to be taken for a vault that has nothing.
    let conf = site.directory().join(CONF);
    fs::metadata(&conf).map_err(|error| failed("cannot read", &conf, &error))?;
    match bases::load(site) {
        Ok(bases) => catalog.bases = bases,
        Err(error) => {
            catalog.notes.push(format!("{}: nobody can tell what incremental dumps build on: {error}", site.own().join("bases").display()));
            catalog.doubts_bases = true;
        }
    }
    catalog.gone = gone(&catalog, &logged, &shelf.dumps);
    let missing = catalog.bases.gone.iter().chain(shelf.lost.iter().filter_map(|lost| lost.key.as_ref()));
    let missing: BTreeSet<Key> = missing.filter(|key| !shelf.dumps.contains_key(*key)).cloned().collect();
    missing.iter().for_each(|key| shelf.gone(key));
    catalog.chains = catalog.chains_of(&shelf.rows);
    (catalog.rows, catalog.dumps, catalog.lost) = (shelf.rows, shelf.dumps, shelf.lost);
    Ok(catalog)
}

/// Lists the holding disks.
fn runs(site: &Site) -> Result<Vec<RunDirectory>, Trouble> {
    let disks = holding::directories(site);
    let mut runs = holding::runs(&disks).map_err(|error| failed("cannot list", &site.holding(), &error))?;
    if let Rotation::Kept { .. } = site.rotation() {
        for run in &mut runs {
            let (one, several): (Vec<_>, Vec<_>) = std::mem::take(&mut run.held).into_iter().partition(|held| held.chunks.len() == 1);
            let said =
                |held: &Held| format!("{} is a dump in several chunks, which Amanda's amflush can put on a volume", held.path.display());
            run.odd.extend(several.iter().map(said));
            run.held = one;
        }
    }
    Ok(runs)
}

fn tapes(site: &Site) -> Result<Tapelist, Trouble> {
    let path = site.config().tapelist();
    let text = files::read(&path, tapelist::LONGEST as u64).map_err(|error| failed("cannot read", &path, &error))?;
    Tapelist::parse(&text.unwrap_or_default()).map_err(|error| {
        Trouble::config(format!("{}: {error}", path.display()), "Amanda's programs stop at such a line, too; correct or remove it")
    })
}

/// Looks into the slots.
fn volumes(site: &Site) -> Result<Vec<(Shelved, Vec<VolumeFile>)>, Trouble> {
    let changer = site.changer();
    let slots = match changer.slots() {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        slots => slots.map_err(|error| failed("cannot list", changer.directory(), &error))?,
    };
    let mut labels = HashMap::new();
    let mut volumes = Vec::new();
    for slot in slots {
        let mut shelved = Shelved::empty(slot, changer.volume(slot));
        let files = shelved.volume.files().unwrap_or_else(|error| {
            shelved.odd = Some(words(&error));
            Vec::new()
        });
        let mut label_files = files.iter().filter(|file| file.number == 0);
        match (label_files.next().map(VolumeFile::read), label_files.next()) {
            (None, _) => {}
            (Some(Ok(Block::Start(start))), None) => {
                if let Some(other) = labels.insert(start.label.clone(), slot) {
                    shelved.odd = Some(format!("slots {other} and {slot} have both a volume {}", start.label));
                }
                (shelved.label, shelved.date) = (Some(start.label), start.datestamp);
            }
            (Some(Err(error)), None) => shelved.odd = Some(words(&error)),
            (Some(_), _) => shelved.odd = Some(format!("{} is not one labelled volume", shelved.volume.directory().display())),
        }
        volumes.push((shelved, files));
    }
    Ok(volumes)
}

/// Finds the volumes that logs have dumps on and that are in no slot.
fn gone(catalog: &Catalog, logged: &Logged, there: &BTreeMap<Key, Dump>) -> Vec<Gone> {
    let is_there = |label: &str| catalog.volumes.iter().any(|volume| volume.label.as_deref() == Some(label));
    let missing = catalog.tapelist.tapes().iter().filter(|tape| tape.datestamp != "0" && !is_there(&tape.label));
    let gone = missing.map(|tape| {
        let pieces = logged.values().flat_map(|log| &log.pieces);
        let on_it = pieces.filter(|piece| piece.part.label == tape.label.as_bytes()).map(|piece| key(&piece.part));
        let dumps: BTreeSet<Key> = on_it.filter(|key| !there.contains_key(key)).collect();
        Gone { label: tape.label.clone(), dumps: dumps.into_iter().collect() }
    });
    gone.filter(|gone| !gone.dumps.is_empty()).collect()
}

/// An error with its cause.
pub(crate) fn words(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// What the logs of each date say.
pub(super) type Logged = BTreeMap<String, Contents>;

/// Reads the logs that the tapelist names, each once.
fn logs(site: &Site, tapelist: &Tapelist) -> Result<Logged, Trouble> {
    let dates: BTreeSet<&str> = tapelist.tapes().iter().map(|tape| tape.datestamp.as_str()).filter(|date| *date != "0").collect();
    let mut all = Logged::new();
    for date in dates {
        let of_date = all.entry(date.to_owned()).or_default();
        for number in 0.. {
            let path = site.config().logdir().join(file_name(date, number));
            let log = files::read(&path, LONGEST_LOG).map_err(|error| failed("cannot read", &path, &error))?;
            let Some(log) = log else { break };
            let of = |label: &str| tapelist.get(label).map(|tape| tape.datestamp.as_str());
            let said = contents(&log, |label, stamp| stamp == date && of(label) == Some(date));
            of_date.pieces.extend(said.pieces);
            of_date.dumps.extend(said.dumps);
        }
    }
    Ok(all)
}
