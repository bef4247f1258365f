//! Which dumps can be restored: a pure function of what `amadmin find` listed.
//!
//! A dump of level *n* holds what changed since a dump of level *n - 1*, so it is worth something only together with
//! that one, and so on down to level 0. A dump is whole when it is in a holding disk, or when every one of its parts is
//! on volumes of one storage.

use std::collections::BTreeMap;

use crate::admin::{Found, Place};
use crate::dle::Dle;

/// A whole dump, and whether what it builds on is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restorable {
    /// The level.
    pub level: u8,
    /// When it was dumped.
    pub datestamp: String,
    /// Its copies, each whole: the places of its parts in order.
    pub places: Vec<Vec<Place>>,
    /// What it builds on.
    pub bases: Bases,
}

/// What a dump builds on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bases {
    /// Everything is there: the datestamps from level *n - 1* down to level 0; empty for a level 0.
    Complete(Vec<String>),
    /// Everything is there, but a newer dump of one of those levels is listed and not whole. If the client moved its
    /// incremental state when it made that one (Amanda's own client does), files are missing.
    Doubtful {
        /// The datestamps from level *n - 1* down to level 0.
        bases: Vec<String>,
        /// The datestamp of the dump that is not whole.
        broken: String,
    },
    /// No whole dump of this level is listed before it, or the one that it was made after is not there.
    Missing {
        /// The level.
        level: u8,
    },
}

impl Restorable {
    /// Says whether it can be restored together with what it builds on, without a doubt.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        matches!(self.bases, Bases::Complete(_))
    }
}

/// Groups the rows into whole dumps, oldest first. Disks without a whole dump are not in the map.
#[must_use]
pub fn chains(rows: &[Found]) -> BTreeMap<Dle, Vec<Restorable>> {
    chains_on(rows, |_, _, _| None)
}

/// The same, where it is known what some dumps build on: `made_after` is given a dump's disk, datestamp and level, and returns the
/// datestamp of the dump, one level below, that it was made after. No other one takes its place.
#[must_use]
pub fn chains_on<'a>(rows: &[Found], made_after: impl Fn(&Dle, &str, u8) -> Option<&'a str>) -> BTreeMap<Dle, Vec<Restorable>> {
    let mut disks: BTreeMap<&Dle, BTreeMap<(&str, u8), Vec<&Found>>> = BTreeMap::new();
    for row in rows {
        disks.entry(&row.dle).or_default().entry((&row.datestamp, row.level)).or_default().push(row);
    }
    let mut restorable = BTreeMap::new();
    for (dle, dumps) in disks {
        let dumps: Vec<_> = dumps.into_iter().map(|((datestamp, level), rows)| Dump { datestamp, level, copies: copies(&rows) }).collect();
        // By level, in the order of their datestamps.
        let mut levels: BTreeMap<u8, Vec<&Dump<'_>>> = BTreeMap::new();
        dumps.iter().for_each(|dump| levels.entry(dump.level).or_default().push(dump));
        let whole: Vec<_> = dumps
            .iter()
            .filter(|dump| dump.is_whole())
            .map(|dump| Restorable {
                level: dump.level,
                datestamp: dump.datestamp.to_owned(),
                places: dump.copies.clone(),
                bases: bases(dump, &levels, |dump| made_after(dle, dump.datestamp, dump.level)),
            })
            .collect();
        if !whole.is_empty() {
            restorable.insert(dle.clone(), whole);
        }
    }
    restorable
}

struct Dump<'a> {
    datestamp: &'a str,
    level: u8,
    copies: Vec<Vec<Place>>,
}

impl Dump<'_> {
    fn is_whole(&self) -> bool {
        !self.copies.is_empty()
    }
}

/// Returns the whole copies among the rows of one dump: first those in holding disks, then one for each storage.
fn copies(rows: &[&Found]) -> Vec<Vec<Place>> {
    let mut copies = Vec::new();
    let mut storages: BTreeMap<(&str, &str), BTreeMap<i32, &Found>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.is_ok()) {
        match row.place {
            Place::Holding(_) => copies.push(vec![row.place.clone()]),
            Place::Volume { .. } => {
                storages.entry((&row.storage, &row.pool)).or_default().insert(row.part, row);
            }
            Place::Nowhere => {}
        }
    }
    for parts in storages.into_values() {
        let Some(count) = parts.values().map(|row| row.parts).max().filter(|&count| count > 0) else { continue };
        // Part numbers are keys, so as many as there should be, from 1 on, is all of them.
        let found: Vec<_> = parts.range(1..=count).map(|(_, row)| row.place.clone()).collect();
        if i32::try_from(found.len()) == Ok(count) {
            copies.push(found);
        }
    }
    copies
}

/// Follows a dump down to its level 0.
fn bases<'a>(dump: &Dump<'_>, levels: &BTreeMap<u8, Vec<&Dump<'_>>>, made_after: impl Fn(&Dump<'_>) -> Option<&'a str>) -> Bases {
    let mut bases = Vec::new();
    let mut broken = None;
    let mut above = dump;
    while let Some(level) = above.level.checked_sub(1) {
        let same = levels.get(&level).map_or(&[][..], Vec::as_slice);
        if let Some(stamp) = made_after(above) {
            let Some(base) = same.iter().find(|base| base.datestamp == stamp && base.is_whole()) else {
                return Bases::Missing { level };
            };
            bases.push(base.datestamp.to_owned());
            above = base;
            continue;
        }
        let before = &same[..same.partition_point(|base| base.datestamp < above.datestamp)];
        let Some(base) = before.iter().rfind(|base| base.is_whole()) else {
            return Bases::Missing { level };
        };
        let newest = before.last();
        broken = broken.or_else(|| newest.filter(|newest| !newest.is_whole()).map(|newest| newest.datestamp.to_owned()));
        bases.push(base.datestamp.to_owned());
        above = base;
    }
    match broken {
        Some(broken) => Bases::Doubtful { bases, broken },
        None => Bases::Complete(bases),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::find;
    use proptest::prelude::*;

    /// `(day, level, part, parts, status)` on volumes of one disk.
    fn rows(parts: &[(&str, u8, i32, i32, &str)]) -> Vec<Found> {
        let row = |(file, &(day, level, part, parts, status)): (usize, &(&str, u8, i32, i32, &str))| Found {
            dle: Dle::new("h", "/d"),
            datestamp: day.to_owned(),
            level,
            storage: "s".to_owned(),
            pool: "p".to_owned(),
            place: Place::Volume { label: b"L".to_vec(), file: file as u64 },
            part,
            parts,
            status: status.to_owned(),
        };
        parts.iter().enumerate().map(row).collect()
    }

    fn told(parts: &[(&str, u8, i32, i32, &str)]) -> Vec<(String, u8, Bases)> {
        let chains = chains(&rows(parts)).remove(&Dle::new("h", "/d")).unwrap_or_default();
        chains.into_iter().map(|dump| (dump.datestamp, dump.level, dump.bases)).collect()
    }

    fn complete(days: &[&str]) -> Bases {
        Bases::Complete(days.iter().map(|&day| day.to_owned()).collect())
    }

    #[test]
    fn a_real_catalog_is_read() {
        let chains = chains(&find::parse(include_bytes!("../tests/fixtures/find.chain")));
        let home = &chains[&Dle::new("127.0.0.4", "/srv/aafx/src/home docs")];
        assert_eq!(home.iter().map(|dump| dump.level).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(home[1].bases, complete(&["20261122023847"]));
        let data = &chains[&Dle::new("127.0.0.5", "/srv/aafx/src/data")];
        assert_eq!(data[0].places[0].len(), 2, "two parts on one volume");
        assert!(matches!(data[1].places[0][..], [Place::Holding(_)]));
    }

    #[test]
    fn a_flush_moves_a_dump_and_loses_nothing() {
        let data = Dle::new("127.0.0.5", "/srv/aafx/src/data");
        let held = chains(&find::parse(include_bytes!("../tests/fixtures/find.holding")));
        let flushed = chains(&find::parse(include_bytes!("../tests/fixtures/find.flushed-two-parts")));
        assert_eq!(held[&data][0].datestamp, flushed[&data][0].datestamp);
        assert!(matches!(held[&data][0].places[0][..], [Place::Holding(_)]));
        assert!(matches!(flushed[&data][0].places[0][..], [Place::Volume { file: 2, .. }, Place::Volume { file: 3, .. }]));
    }

    #[test]
    fn each_level_needs_the_one_below_before_it() {
        let all = [("1", 0, 1, 1, "OK"), ("2", 1, 1, 1, "OK"), ("3", 2, 1, 1, "OK"), ("4", 1, 1, 1, "OK")];
        let dump = |day: &str, level, bases| (day.to_owned(), level, bases);
        assert_eq!(
            told(&all),
            [
                dump("1", 0, complete(&[])),
                dump("2", 1, complete(&["1"])),
                dump("3", 2, complete(&["2", "1"])),
                dump("4", 1, complete(&["1"])),
            ]
        );
        assert_eq!(told(&all[1..])[0].2, Bases::Missing { level: 0 });
        assert_eq!(told(&[all[0], all[2], all[3]])[1].2, Bases::Missing { level: 1 });
    }

    #[test]
    fn a_dump_is_whole_when_all_its_parts_are_well() {
        for (case, parts, whole) in [
            ("both parts", &[("1", 0, 1, 2, "OK"), ("1", 0, 2, 2, "OK")][..], 1),
            ("one overwritten", &[("1", 0, 2, 2, "OK")], 0),
            ("one failed", &[("1", 0, 1, 2, "OK"), ("1", 0, 2, 2, "PARTIAL PARTIAL")], 0),
            ("the dump failed", &[("1", 0, 1, 1, "OK PARTIAL")], 0),
            ("nobody knows how many", &[("1", 0, 1, -1, "OK")], 0),
            ("one twice, one never", &[("1", 0, 1, 2, "OK"), ("1", 0, 1, 2, "OK")], 0),
        ] {
            assert_eq!(told(parts).len(), whole, "{case}");
        }
    }

    #[test]
    fn a_broken_dump_of_the_base_level_raises_doubt() {
        let parts = [("1", 0, 1, 1, "OK"), ("2", 0, 1, 1, "OK PARTIAL"), ("3", 1, 1, 1, "OK")];
        let doubt = Bases::Doubtful { bases: vec!["1".to_owned()], broken: "2".to_owned() };
        assert_eq!(told(&parts)[1].2, doubt);
        assert_eq!(told(&[parts[0], parts[2], ("4", 0, 1, 1, "OK PARTIAL")])[1].2, complete(&["1"]));
    }

    #[test]
    fn what_a_dump_was_made_after_is_replaced_by_nothing_else() {
        let all = [("1", 0, 1, 1, "OK"), ("2", 0, 1, 1, "OK"), ("3", 1, 1, 1, "OK"), ("4", 2, 1, 1, "OK")];
        let known = |parts: &[(&str, u8, i32, i32, &str)], after: [(&'static str, &'static str); 2]| {
            let after = |_: &Dle, stamp: &str, _| after.iter().find(|(dump, _)| *dump == stamp).map(|(_, base)| *base);
            let chains = chains_on(&rows(parts), after).remove(&Dle::new("h", "/d")).unwrap_or_default();
            chains.last().map(|dump| dump.bases.clone())
        };
        assert_eq!(known(&all, [("3", "2"), ("4", "3")]), Some(complete(&["3", "2"])));
        assert_eq!(known(&all, [("3", "1"), ("4", "3")]), Some(complete(&["3", "1"])));
        let lost = [all[0], all[2], all[3]];
        assert_eq!(known(&lost, [("3", "2"), ("4", "3")]), Some(Bases::Missing { level: 0 }));
        let cut = [all[0], ("2", 0, 1, 1, "OK PARTIAL"), all[2], all[3]];
        assert_eq!(known(&cut, [("3", "2"), ("4", "3")]), Some(Bases::Missing { level: 0 }));
    }

    #[test]
    fn parts_of_two_storages_do_not_make_one_copy() {
        let mut rows = rows(&[("1", 0, 1, 2, "OK"), ("1", 0, 2, 2, "OK")]);
        rows[1].storage = "vault".to_owned();
        assert!(chains(&rows).is_empty());
    }

    proptest! {
        #[test]
        fn the_order_of_rows_does_not_matter(
            parts in prop::collection::vec((0u8..4, 0u8..3, 1i32..3, any::<bool>()), 0..12),
        ) {
            let days = ["1", "2", "3", "4"];
            let parts: Vec<_> = parts
                .iter()
                .map(|&(day, level, part, ok)| (days[usize::from(day)], level, part, 2, if ok { "OK" } else { "OK PARTIAL" }))
                .collect();
            let mut turned = parts.clone();
            turned.reverse();
            prop_assert_eq!(told(&parts), told(&turned));
        }
    }
}
