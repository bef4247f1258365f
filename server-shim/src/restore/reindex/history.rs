//! What is remembered of disks: curinfo, of those that have none.

use std::collections::BTreeMap;

use amanda::curinfo::{self, Dumped, Info};
use amanda::dle::Dle;

use super::Dump;
use super::place::Place;
use crate::engine::Trouble;
use crate::engine::embedded::files::{self, Sure};
use crate::engine::embedded::site::failed;
use crate::engine::embedded::stamp;
use crate::restore::loose::group::Key;

/// Writes it.
pub(super) fn write(place: &Place, dumps: &BTreeMap<Key, Dump>) -> Result<(), Trouble> {
    let mut disks: BTreeMap<&Dle, Vec<(&Key, &Dump)>> = BTreeMap::new();
    for (key, dump) in dumps.iter().filter(|(_, dump)| dump.broken.is_none()) {
        disks.entry(&key.0).or_default().push((key, dump));
    }
    for (dle, dumps) in disks {
        let path = place.infofile.join(curinfo::path(dle));
        if path.exists() {
            continue;
        }
        let written = match path.parent() {
            Some(directory) => files::make_below(&place.infofile, directory),
            None => Ok(()),
        };
        let written = written.and_then(|()| files::replace(&path, &info(&dumps).print(), Sure::Cheap));
        written.map_err(|error| failed("cannot write", &path, &error))?;
    }
    Ok(())
}

/// Makes a history of whole dumps, which come in the order of their dates. How long they took nobody knows any more.
fn info(dumps: &[(&Key, &Dump)]) -> Info {
    let mut info = Info::default();
    for (key, dump) in dumps {
        let Some(date) = stamp::seconds(&key.1) else { continue };
        let compressed = dump.dump.header().is_some_and(|header| header.compression.is_some());
        let orig_kb = i64::try_from(dump.orig_kb.max(1)).unwrap_or(i64::MAX);
        info.dumped(Dumped { level: key.2, orig_kb, kb: curinfo::kib(dump.dump.bytes), date, secs: 0, compressed });
        let place = dump.dump.files.first().and_then(|file| file.on.as_ref());
        if let Some((label, file)) = place {
            info.taped(key.2, label, i64::from(*file));
        }
    }
    info
}
