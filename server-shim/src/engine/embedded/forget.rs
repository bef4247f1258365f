//! What goes with erased dumps: their indexes, and what is remembered of disks of which nothing is left.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use amanda::dle::Dle;
use amanda::index;
use serde::{Deserialize, Serialize};
use wire::DiskName;

use super::catalog::{Catalog, names};
use super::files::{self, Sure};
use super::mend::remember;
use super::site::{Site, failed};
use super::volumes::Key;
use super::{history, latest};
use crate::durable;
use crate::engine::Trouble;

/// A dump that is to be erased.
#[derive(Debug, Serialize, Deserialize)]
struct Named {
    host: String,
    disk: DiskName,
    datestamp: String,
    level: u8,
}

fn path(site: &Site) -> PathBuf {
    site.own().join("erasing.json")
}

/// Notes what is about to be erased, so that the next run forgets it if this one does not come to it.
pub fn intend(site: &Site, dumps: &[Key]) -> io::Result<()> {
    let mut all: Vec<Named> = durable::read_json(&path(site)).ok().flatten().unwrap_or_default();
    all.extend(dumps.iter().filter_map(|(dle, datestamp, level)| {
        let disk = DiskName::new(dle.disk.clone()).ok()?;
        Some(Named { host: dle.host.clone(), disk, datestamp: datestamp.clone(), level: *level })
    }));
    files::replace(&path(site), &serde_json::to_vec(&all).map_err(io::Error::other)?, Sure::Cheap)
}

/// Forgets what a killed run erased.
pub fn intended(site: &Site, after: &Catalog, now: i64) -> Result<(), Trouble> {
    if !path(site).exists() {
        return Ok(());
    }
    // What a crash left of the note is no note.
    let all: Vec<Named> = durable::read_json(&path(site)).ok().flatten().unwrap_or_default();
    let keys = all.into_iter().map(|named| (Dle::new(named.host, named.disk.as_os_str().to_owned()), named.datestamp, named.level));
    forget_all(site, &keys.collect::<Vec<_>>(), after, now)
}

/// Forgets what was there before and is not any more. Nothing here is needed for a restore, so nothing waits for it.
pub fn forget(site: &Site, before: &Catalog, after: &Catalog, now: i64) -> Result<(), Trouble> {
    forget_all(site, before.dumps.keys(), after, now)
}

fn forget_all<'a>(site: &Site, keys: impl IntoIterator<Item = &'a Key>, after: &Catalog, now: i64) -> Result<(), Trouble> {
    // The newest dump of each disk that is gone. One that has a copy on a volume that is in no slot now is not.
    let mut gone: BTreeMap<&Dle, &str> = BTreeMap::new();
    for key in keys.into_iter().filter(|key| !is_there(after, key)) {
        let newest = gone.entry(&key.0).or_insert(&key.1);
        *newest = (*newest).max(&key.1);
    }
    // What is on a volume that cannot be looked at now is not gone.
    if after.volumes.iter().any(|volume| volume.odd.is_some()) {
        return Ok(());
    }
    for (dle, newest) in gone {
        indexes(site, after, dle, newest).map_err(|error| failed("cannot remove indexes in", &site.indexdir(), &error))?;
        if site.disk(dle).is_none() && !after.dumps.keys().any(|key| key.0 == *dle) {
            history::forget(site, dle).map_err(|error| failed("cannot remove a history in", &site.config().infofile(), &error))?;
            latest::forget(site, dle).map_err(|error| failed("cannot remove a receipt in", &site.own(), &error))?;
        } else {
            remember(site, after, dle, now)?;
        }
    }
    files::remove(&path(site)).map_err(|error| failed("cannot remove", &path(site), &error))
}

fn is_there(after: &Catalog, key: &Key) -> bool {
    after.dumps.contains_key(key) || after.gone.iter().any(|volume| volume.dumps.contains(key))
}

/// Removes the indexes of a disk's dumps that are gone; those of dumps that are newer may be of one that is being made.
fn indexes(site: &Site, after: &Catalog, dle: &Dle, newest: &str) -> io::Result<()> {
    let directory = site.indexdir().join(index::directory(dle));
    for name in names(&directory)? {
        let Some((stamp, level)) = name.to_str().and_then(named) else { continue };
        if stamp <= newest && !is_there(after, &(dle.clone(), stamp.to_owned(), level)) {
            files::remove(&directory.join(&name))?;
        }
    }
    // Directories that have something in them stay.
    directory.ancestors().take(2).for_each(|directory| drop(fs::remove_dir(directory)));
    Ok(())
}

/// `20261123190624_1-unsorted.gz`, `20261123190624_1.header`
fn named(name: &str) -> Option<(&str, u8)> {
    let (stamp, rest) = name.split_once('_')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let is_stamp = matches!(stamp.len(), 8 | 14) && stamp.bytes().all(|byte| byte.is_ascii_digit());
    Some((stamp, rest[..digits].parse().ok()?)).filter(|_| is_stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_an_index_are_known_by_their_names() {
        assert_eq!(named("20261123190624_1-unsorted.gz"), Some(("20261123190624", 1)));
        assert_eq!(named("20261123190624_0.header"), Some(("20261123190624", 0)));
        for no in ["20261123190624", "x_1.header", "20261123190624_.gz", "2026_1.gz"] {
            assert_eq!(named(no), None, "{no}");
        }
    }
}
