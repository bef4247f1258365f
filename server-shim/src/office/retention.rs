//! Which volumes may be overwritten, and which the next run wants (`compute_retention` and `lookup_last_reusable_tape` in
//! server-src/tapefile.c).
//!
//! Amanda keeps the last `tapecycle - 1` volumes, or as many as the storage's policy says, and by the same policy those that are not
//! old enough (`retention-days`), or have what a restore of the last days needs (`retention-recover`), or the last full dumps
//! (`retention-full`).

use std::collections::BTreeMap;

use amanda::admin::{Found, Place};
use amanda::tapelist::{Tape, Tapelist};
use serde::Serialize;

/// What a config says of its volumes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// The config.
    pub config: String,
    /// The storage.
    pub storage: String,
    /// The pool.
    pub pool: String,
    /// Volumes that one run may write.
    pub runtapes: u32,
    /// Volumes that are always kept, the youngest.
    pub tapes: u32,
    /// Days for which a volume is kept; 0 when that is not said.
    pub days: u32,
    /// Days for which all is kept that a restore to any of them needs; 0 when that is not said.
    pub recover: u32,
    /// Full dumps of each disk that are kept; 0 when that is not said.
    pub full: u32,
}

/// Why a volume may not be overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// Somebody marked it with `amadmin no-reuse`.
    NoReuse,
    /// It is of another config.
    OtherConfig,
    /// It is one of the youngest.
    Tapes,
    /// It is not old enough.
    Days,
    /// A restore needs it.
    Recover,
    /// It has one of the last full dumps.
    Full,
    /// The newest state of a disk needs it, and the embedded engine does not overwrite that, whatever the policy says.
    Needed,
}

/// Labels that match, as `labelstr` has it.
pub type Matches<'a> = &'a dyn Fn(&str) -> bool;

impl Rules {
    fn is_ours(&self, tape: &Tape) -> bool {
        let same = |said: Option<&String>, ours: &str| said.is_none_or(|said| said == ours);
        same(tape.config.as_ref(), &self.config) && same(tape.storage.as_ref(), &self.storage)
    }

    /// Of this storage: by its pool, or by its label where the list has no pool.
    fn has(&self, tape: &Tape, matches: Matches<'_>) -> bool {
        let pooled = match &tape.pool {
            Some(pool) => *pool == self.pool,
            None => matches(&tape.label),
        };
        self.is_ours(tape) && pooled
    }
}

/// Returns why volumes may not be overwritten, by label. `rows` are what [`find`](super::find) lists, `days_ago` makes a datestamp
/// of a number of days.
pub fn kept(
    list: &Tapelist,
    rules: &Rules,
    matches: Matches<'_>,
    rows: &[Found],
    days_ago: &dyn Fn(u32) -> String,
) -> BTreeMap<String, Kept> {
    let mut kept = BTreeMap::new();
    let mut youngest = 0;
    for tape in list.tapes() {
        if !tape.reuse {
            kept.insert(tape.label.clone(), Kept::NoReuse);
        } else if tape.config.as_ref().is_some_and(|config| *config != rules.config) {
            kept.insert(tape.label.clone(), Kept::OtherConfig);
        } else if tape.datestamp != "0" && rules.has(tape, matches) {
            youngest += 1;
            if youngest <= rules.tapes {
                kept.insert(tape.label.clone(), Kept::Tapes);
            } else if rules.days > 0 && tape.datestamp > days_ago(rules.days) {
                kept.insert(tape.label.clone(), Kept::Days);
            }
        }
    }
    let needed = needed(rows, rules, &days_ago(rules.recover));
    for (label, why) in needed {
        let free = list.get(&label).is_some_and(|tape| rules.has(tape, matches));
        if free {
            kept.entry(label).or_insert(why);
        }
    }
    kept
}

/// Returns the volumes that the policy's `retention-recover` and `retention-full` keep. Amanda goes through each disk's dumps from the
/// newest to the oldest.
fn needed(rows: &[Found], rules: &Rules, recover_to: &str) -> Vec<(String, Kept)> {
    let mut sorted: Vec<&Found> = rows.iter().collect();
    sorted.sort_by(|a, b| a.dle.cmp(&b.dle).then(b.datestamp.cmp(&a.datestamp)).then(a.level.cmp(&b.level)));
    let mut needed = Vec::new();
    let mut before: Option<&Found> = None;
    let (mut level, mut fulls) = (None, 0);
    for row in sorted {
        if before.is_none_or(|before| before.dle != row.dle) {
            (level, fulls) = (None, 0);
        }
        before = Some(row);
        let label = match &row.place {
            Place::Volume { label, .. } => String::from_utf8(label.clone()).ok(),
            Place::Holding(_) | Place::Nowhere => None,
        };
        if rules.recover > 0 && (level.is_some_and(|level| row.level < level) || row.datestamp.as_str() > recover_to) {
            needed.extend(label.clone().map(|label| (label, Kept::Recover)));
            level = Some(row.level);
        }
        if row.level == 0 && fulls < rules.full {
            fulls += u32::from(label.is_some());
            needed.extend(label.map(|label| (label, Kept::Full)));
        }
    }
    needed
}

/// What the next runs want.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// For each volume that a run may write, the one that is to be overwritten; `None` is a new one.
    pub volumes: Vec<Option<String>>,
    /// New ones that have a label already.
    pub labelled: Vec<String>,
}

/// Returns what the next run wants.
pub fn wanted(list: &Tapelist, rules: &Rules, matches: Matches<'_>, kept: &BTreeMap<String, Kept>) -> Wanted {
    let may = |tape: &&Tape| {
        // The youngest count too: which of them will be free depends on what is overwritten first.
        let fixed = kept.get(&tape.label).is_some_and(|why| *why != Kept::Tapes);
        let pooled = tape.pool.as_ref().is_none_or(|pool| *pool == rules.pool);
        tape.reuse && !fixed && tape.datestamp != "0" && rules.is_ours(tape) && pooled && matches(&tape.label)
    };
    let oldest: Vec<&Tape> = list.tapes().iter().rev().filter(may).collect();
    let first = (rules.tapes as usize + 1).saturating_sub(oldest.len());
    let volumes = (0..rules.runtapes as usize).map(|at| {
        let at = at.checked_sub(first)?;
        oldest.get(at).map(|tape| tape.label.clone())
    });
    Wanted { volumes: volumes.collect(), labelled: labelled(list, rules, matches) }
}

fn labelled(list: &Tapelist, rules: &Rules, matches: Matches<'_>) -> Vec<String> {
    let fresh = list.tapes().iter().rev().skip_while(|tape| !tape.reuse).take_while(|tape| tape.datestamp == "0");
    fresh.filter(|tape| tape.reuse && rules.has(tape, matches)).take(rules.runtapes as usize).map(|tape| tape.label.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use amanda::dle::Dle;

    fn rules(tapes: u32, runtapes: u32) -> Rules {
        Rules { config: "c".into(), storage: "c".into(), pool: "c".into(), runtapes, tapes, ..Rules::default() }
    }

    fn list(tapes: &[(&str, &str)]) -> Tapelist {
        let mut list = Tapelist::default();
        tapes.iter().for_each(|(date, label)| list.put(Tape::new(*date, *label, "c")));
        list
    }

    fn days_ago(days: u32) -> String {
        format!("202611{:02}000000", 24 - days)
    }

    fn of(list: &Tapelist, rules: &Rules) -> (Vec<Option<String>>, Vec<String>, BTreeMap<String, Kept>) {
        let kept = kept(list, rules, &|_| true, &[], &days_ago);
        let wanted = wanted(list, rules, &|_| true, &kept);
        (wanted.volumes, wanted.labelled, kept)
    }

    #[test]
    fn the_oldest_is_wanted_once_there_are_enough() {
        let some = |label: &str| Some(label.to_owned());
        let three = [("20261101000000", "A"), ("20261102000000", "B"), ("20261103000000", "C")];
        for (case, tapes, keep, runtapes, expected) in [
            ("none", &three[..0], 2, 1, vec![None]),
            ("one short", &three[..2], 2, 1, vec![None]),
            ("one short, two wanted", &three[..2], 2, 2, vec![None, some("A")]),
            ("enough", &three[..], 2, 1, vec![some("A")]),
            ("enough, two wanted", &three[..], 2, 2, vec![some("A"), some("B")]),
            ("no run writes", &three[..], 2, 0, vec![]),
        ] {
            assert_eq!(of(&list(tapes), &rules(keep, runtapes)).0, expected, "{case}");
        }
    }

    #[test]
    fn new_ones_that_are_labelled_are_told() {
        let (volumes, labelled, _) = of(&list(&[("0", "B"), ("0", "A"), ("20261101000000", "C")]), &rules(2, 2));
        assert_eq!((volumes, labelled), (vec![None, None], vec!["A".to_owned(), "B".to_owned()]));
    }

    #[test]
    fn why_a_volume_is_kept_is_known() {
        let mut tapes = list(&[("20261101000000", "A"), ("20261119000000", "B"), ("20261122000000", "C"), ("20261123000000", "D")]);
        tapes.put(Tape { reuse: false, ..Tape::new("20261105000000", "E", "c") });
        tapes.put(Tape::new("20261106000000", "F", "other"));
        let (_, _, kept) = of(&tapes, &Rules { days: 6, ..rules(2, 1) });
        let told: Vec<_> = kept.iter().map(|(label, why)| (label.as_str(), *why)).collect();
        assert_eq!(told, [("B", Kept::Days), ("C", Kept::Tapes), ("D", Kept::Tapes), ("E", Kept::NoReuse), ("F", Kept::OtherConfig)]);
    }

    #[test]
    fn what_a_restore_needs_is_kept() {
        let row = |stamp: &str, level, label: &str| Found {
            dle: Dle::new("h", "/d"),
            datestamp: stamp.into(),
            level,
            storage: "c".into(),
            pool: "c".into(),
            place: Place::Volume { label: label.into(), file: 1 },
            part: 1,
            parts: 1,
            status: "OK".into(),
        };
        let rows =
            [row("20261101000000", 0, "A"), row("20261110000000", 1, "B"), row("20261112000000", 1, "C"), row("20261122000000", 1, "D")];
        let tapes = list(&[("20261101000000", "A"), ("20261110000000", "B"), ("20261112000000", "C"), ("20261122000000", "D")]);
        let kept = |rules: &Rules| kept(&tapes, rules, &|_| true, &rows, &days_ago).into_keys().collect::<Vec<_>>();
        assert_eq!(kept(&Rules { recover: 5, ..rules(0, 1) }), ["A", "D"]);
        assert_eq!(kept(&Rules { full: 1, ..rules(0, 1) }), ["A"]);
    }
}
