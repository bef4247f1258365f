//! What is remembered of disks: curinfo, kept in agreement with what is there.
//!
//! Sizes and levels of the next dumps are chosen by it, by us and by Amanda. It is written after the volumes, and nothing waits for it to
//! be on the disk: what a crash leaves out is found in the catalog, and a dump that is gone goes from it too.

use std::io;
use std::path::PathBuf;

use amanda::chains::Restorable;
use amanda::curinfo::{self, Dumped, History, Info, Stats};
use amanda::dle::Dle;

use super::catalog::Catalog;
use super::files::{self, Sure};
use super::site::Site;
use super::stamp::{self, ROUND_THE_WORLD};

/// The longest curinfo that is read, in bytes.
const LONGEST: u64 = 256 * 1024;

fn path(site: &Site, dle: &Dle) -> PathBuf {
    site.config().infofile().join(curinfo::path(dle))
}

/// Reads what is remembered of a disk; nothing when there is nothing, or what a crash left of it.
pub fn load(site: &Site, dle: &Dle) -> io::Result<Info> {
    let text = files::read(&path(site, dle), LONGEST)?;
    Ok(text.and_then(|text| Info::parse(&text).ok()).unwrap_or_default())
}

/// Writes it.
pub fn store(site: &Site, dle: &Dle, info: &Info) -> io::Result<()> {
    let path = path(site, dle);
    if let Some(directory) = path.parent().filter(|directory| !directory.is_dir()) {
        files::make_directory(directory)?;
    }
    files::replace(&path, &info.print(), Sure::Cheap)
}

/// Forgets a disk of which nothing is left.
pub fn forget(site: &Site, dle: &Dle) -> io::Result<()> {
    let path = path(site, dle);
    files::remove(&path)?;
    // Directories that have something else in them stay.
    let above = path.ancestors().skip(1).take(2);
    above.for_each(|directory| drop(std::fs::remove_dir(directory)));
    Ok(())
}

/// A dump as the catalog has it.
struct Seen<'a> {
    dump: &'a Restorable,
    date: i64,
    orig_kb: i64,
    kb: i64,
    secs: i64,
}

fn seen<'a>(catalog: &Catalog, dle: &Dle, dump: &'a Restorable) -> Option<Seen<'a>> {
    let known = catalog.dumps.get(&(dle.clone(), dump.datestamp.clone(), dump.level))?;
    #[expect(clippy::cast_possible_truncation, reason = "seconds of a dump")]
    let secs = known.secs as i64;
    let orig_kb = i64::try_from(known.orig_kb).unwrap_or(i64::MAX);
    Some(Seen { dump, date: stamp::seconds(&dump.datestamp)?, orig_kb, kb: curinfo::kib(known.bytes), secs })
}

impl Seen<'_> {
    fn is(&self, level: u8, date: i64, kb: i64) -> bool {
        // A datestamp is local time, perhaps of another zone; a date is not.
        self.dump.level == level && self.kb == kb && (self.date - date).abs() <= ROUND_THE_WORLD
    }

    fn is_last(&self, last: &History) -> bool {
        self.is(last.level, last.date, last.kb)
    }

    fn is_of(&self, level: u8, stats: &Stats) -> bool {
        self.is(level, stats.date, stats.kb)
    }

    fn place(&self) -> Option<(String, i64)> {
        let place = self.dump.places.iter().flatten().find_map(|place| match place {
            amanda::admin::Place::Volume { label, file } => Some((String::from_utf8(label.clone()).ok()?, i64::try_from(*file).ok()?)),
            _ => None,
        });
        place.filter(|(label, _)| !label.is_empty())
    }
}

/// Makes what is remembered of a disk agree with what is there.
pub fn agree(info: &mut Info, catalog: &Catalog, dle: &Dle, compressed: bool) {
    let dumps: Vec<_> = catalog.of(dle).iter().filter_map(|dump| seen(catalog, dle, dump)).collect();
    let known = info.history.first().map(|last| {
        let at = dumps.iter().rposition(|dump| dump.is_last(last));
        // One that is gone was the last one all the same.
        at.map_or_else(|| dumps.iter().take_while(|dump| dump.date <= last.date + ROUND_THE_WORLD).count(), |at| at + 1)
    });
    for dump in &dumps[known.unwrap_or(0)..] {
        let command = info.command;
        info.dumped(Dumped { level: dump.dump.level, orig_kb: dump.orig_kb, kb: dump.kb, date: dump.date, secs: dump.secs, compressed });
        // Whoever asked for something asked after this dump was made.
        info.command = command;
    }
    info.stats.retain(|level, stats| dumps.iter().any(|dump| dump.is_of(*level, stats)));
    for (level, stats) in &mut info.stats {
        let place = dumps.iter().rfind(|dump| dump.is_of(*level, stats)).and_then(Seen::place);
        stats.place = place.map(|(label, file)| curinfo::Place { label, file });
    }
}

#[cfg(test)]
mod tests;
