//! What is remembered of disks: curinfo, kept in agreement with what is there.
//!
//! Sizes and levels of the next dumps are chosen by it, by us and by Amanda. It is written after the volumes, and nothing waits for it to
//! be on the disk: what a crash leaves out is found in the catalog, and a dump that is gone goes from it too.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use amanda::chains::Restorable;
use amanda::curinfo::{self, Dumped, FORCE_FULL, History, Info};
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
        files::make_below(&site.config().infofile(), directory)?;
    }
    files::replace(&path, &info.print(), Sure::Cheap)
}

/// Has the next run make a full dump, durably: so says `amadmin force`. The next dump that there is takes it back.
pub fn force_full(site: &Site, dle: &Dle) -> io::Result<()> {
    let mut info = load(site, dle)?;
    info.command |= FORCE_FULL;
    store(site, dle, &info)?;
    let path = path(site, dle);
    File::open(&path)?.sync_all()?;
    files::sync_parent(&path)
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
    fn is(&self, level: u8, date: i64, kb: i64, within: u64) -> bool {
        self.dump.level == level && self.kb == kb && self.date.abs_diff(date) <= within
    }

    fn place(&self) -> Option<(String, i64)> {
        let place = self.dump.places.iter().flatten().find_map(|place| match place {
            amanda::admin::Place::Volume { label, file } => Some((String::from_utf8(label.clone()).ok()?, i64::try_from(*file).ok()?)),
            _ => None,
        });
        place.filter(|(label, _)| !label.is_empty())
    }
}

/// Returns the dump that is remembered so. A datestamp is local time, perhaps of another zone; a date is not.
fn find(dumps: &[Seen<'_>], level: u8, date: i64, kb: i64) -> Option<usize> {
    let at = |within| dumps.iter().rposition(|dump| dump.is(level, date, kb, within));
    at(0).or_else(|| at(ROUND_THE_WORLD.unsigned_abs()))
}

/// Notes a dump that was made by the run of this datestamp, with what the catalog does not know of it.
pub fn dumped(info: &mut Info, catalog: &Catalog, dle: &Dle, stamp: &str, dump: Dumped) {
    agree_without(info, catalog, dle, dump.compressed, dump.date, Some(stamp));
    info.dumped(dump);
}

/// Makes what is remembered of a disk agree with what is there now.
pub fn agree(info: &mut Info, catalog: &Catalog, dle: &Dle, compressed: bool, now: i64) {
    agree_without(info, catalog, dle, compressed, now, None);
}

fn agree_without(info: &mut Info, catalog: &Catalog, dle: &Dle, compressed: bool, now: i64, without: Option<&str>) {
    let all = catalog.of(dle).iter().filter(|dump| Some(dump.datestamp.as_str()) != without);
    let dumps: Vec<_> = all.filter_map(|dump| seen(catalog, dle, dump)).collect();
    let known = info.history.first().map_or(0, |last| {
        // One that is gone was the last one all the same.
        let older = || dumps.iter().take_while(|dump| dump.date <= last.date.saturating_add(ROUND_THE_WORLD)).count();
        find(&dumps, last.level, last.date, last.kb).map_or_else(older, |at| at + 1)
    });
    for dump in &dumps[known..] {
        // A dump of the future stands behind all others, and was made before the last one.
        let is_known = |last: &History| dump.is(last.level, last.date, last.kb, ROUND_THE_WORLD.unsigned_abs()) && last.date > now;
        if dump.date > now + ROUND_THE_WORLD || info.history.iter().any(is_known) {
            continue;
        }
        let command = info.command;
        info.dumped(Dumped { level: dump.dump.level, orig_kb: dump.orig_kb, kb: dump.kb, date: dump.date, secs: dump.secs, compressed });
        // Whoever asked for something asked after this dump was made.
        info.command = command;
    }
    // One without a size says that a full dump was made elsewhere, and when (`skip-full`).
    let is_elsewhere = |level: u8, kb: i64| level == 0 && kb == 0;
    info.stats.retain(|level, stats| is_elsewhere(*level, stats.kb) || find(&dumps, *level, stats.date, stats.kb).is_some());
    for (level, stats) in &mut info.stats {
        let place = find(&dumps, *level, stats.date, stats.kb).and_then(|at| dumps[at].place());
        stats.place = place.map(|(label, file)| curinfo::Place { label, file });
    }
}
