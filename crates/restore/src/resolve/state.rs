//! Which dumps make the state of a disk at a time: a decision on what a catalog lists.

use wire::names::{DiskName, HostName};
use wire::restore::{Dump, DumpId};

/// A disk as it was at a time, by the dumps that make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The dumps, level 0 first; each builds on the one before. At least one.
    pub chain: Vec<DumpId>,
    /// Bytes of each as they are stored, in the same order; 0 when that is not known.
    pub bytes: Vec<u64>,
    /// When the last one began, seconds since 1970: the disk is restored as it was then.
    pub time: i64,
    /// A dump that is nearer to the wanted time and cannot be restored, if there is one, and why.
    pub passed_over: Option<(DumpId, String)>,
    /// Why not all of it may come back, a sentence: something in the chain is damaged or in doubt.
    pub doubt: Option<String>,
}

/// Why a disk cannot be had as it was at a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoState {
    /// The catalog lists nothing of this disk.
    #[error("there is no dump of this disk")]
    NoDump,
    /// Nothing that old.
    #[error("there is no dump of this disk that old; the oldest one was made at {oldest}")]
    NothingThatOld {
        /// Datestamp of the oldest one, `YYYYMMDDhhmmss` in the server's local time.
        oldest: String,
        /// The same in seconds since 1970.
        time: i64,
    },
    /// There are dumps that old, and none of them can be restored.
    #[error("the dump of {datestamp}, level {level}, cannot be restored: {why}")]
    CannotBeRestored {
        /// Of the newest one.
        datestamp: String,
        /// Of the newest one.
        level: u8,
        /// Why, a sentence.
        why: String,
    },
}

impl State {
    /// Returns the dump that has the last word.
    ///
    /// # Panics
    /// Never: a chain has at least one dump.
    pub fn last(&self) -> &DumpId {
        self.chain.last().expect("a chain has at least one dump")
    }
}

/// Returns the state of a disk at `at` (seconds since 1970): the newest dump that was begun by then and can be restored, and what it builds on.
///
/// # Errors
/// See [`NoState`].
pub fn state_at(dumps: &[Dump], host: &HostName, disk: &DiskName, at: i64) -> Result<State, NoState> {
    let mut of_disk: Vec<&Dump> = dumps.iter().filter(|dump| dump.id.host == *host && dump.id.disk == *disk).collect();
    of_disk.sort_by_key(|dump| (dump.time, &dump.id.datestamp, dump.id.level));
    let Some(oldest) = of_disk.first() else { return Err(NoState::NoDump) };
    let by_then = of_disk.partition_point(|dump| dump.time <= at);
    let mut passed_over = None;
    for dump in of_disk[..by_then].iter().rev() {
        match chain(dump, &of_disk) {
            Ok((chain, bytes)) => {
                let doubt = (!dump.why_not.is_empty()).then(|| dump.why_not.clone());
                return Ok(State { chain, bytes, time: dump.time, passed_over, doubt });
            }
            Err(why) => {
                passed_over.get_or_insert((dump.id.clone(), why));
            }
        }
    }
    Err(match passed_over {
        Some((id, why)) => NoState::CannotBeRestored { datestamp: id.datestamp, level: id.level, why },
        None => NoState::NothingThatOld { oldest: oldest.id.datestamp.clone(), time: oldest.time },
    })
}

/// Returns what a dump builds on and itself, and how many bytes each has; or why it cannot be restored.
fn chain(dump: &Dump, of_disk: &[&Dump]) -> Result<(Vec<DumpId>, Vec<u64>), String> {
    if dump.chain.is_empty() {
        let why = if dump.why_not.is_empty() { "something that it builds on is gone" } else { &dump.why_not };
        return Err(why.to_owned());
    }
    // What the catalog says is taken only when it can be true: from level 0 upwards, to this dump.
    let ascends = dump.chain.windows(2).all(|two| two[0].0 < two[1].0);
    let is_ours = dump.chain.last().is_some_and(|(level, datestamp)| (*level, datestamp) == (dump.id.level, &dump.id.datestamp));
    if !ascends || !is_ours || dump.chain[0].0 != 0 {
        return Err("the catalog contradicts itself about what it builds on".to_owned());
    }
    let id = |(level, datestamp): &(u8, String)| DumpId { level: *level, datestamp: datestamp.clone(), ..dump.id.clone() };
    let ids: Vec<DumpId> = dump.chain.iter().map(id).collect();
    let bytes = ids.iter().map(|id| of_disk.iter().find(|other| other.id == *id).map_or(0, |other| other.bytes)).collect();
    Ok((ids, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(disk: &str, level: u8, time: i64, chain: &[(u8, i64)], why_not: &str) -> Dump {
        let datestamp = |time: i64| format!("202611{time:08}");
        let id = DumpId {
            host: "laptop1".parse().expect("a name"),
            disk: DiskName::new(disk).expect("a name"),
            datestamp: datestamp(time),
            level,
        };
        Dump {
            id,
            time,
            chain: chain.iter().map(|(level, time)| (*level, datestamp(*time))).collect(),
            why_not: why_not.to_owned(),
            bytes: 100 + time.unsigned_abs(),
            orig_kb: 0,
            places: Vec::new(),
            verified: None,
        }
    }

    fn at(dumps: &[Dump], disk: &str, at: i64) -> Result<State, NoState> {
        state_at(dumps, &"laptop1".parse().expect("a name"), &DiskName::new(disk).expect("a name"), at)
    }

    fn history() -> Vec<Dump> {
        vec![
            dump("/b", 0, 1, &[(0, 1)], ""),
            dump("/a", 0, 10, &[(0, 10)], ""),
            dump("/a", 1, 20, &[(0, 10), (1, 20)], ""),
            dump("/a", 1, 30, &[], "its level 0 is on a volume that is gone."),
            dump("/a", 0, 40, &[(0, 40)], ""),
        ]
    }

    #[test]
    fn the_newest_dump_by_then_has_the_last_word() {
        for (time, levels, of) in [(10, &[0][..], 10), (19, &[0], 10), (20, &[0, 1], 20), (29, &[0, 1], 20), (40, &[0], 40), (99, &[0], 40)]
        {
            let state = at(&history(), "/a", time).expect("a state");
            let found: Vec<u8> = state.chain.iter().map(|id| id.level).collect();
            assert_eq!((found.as_slice(), state.time, state.passed_over), (levels, of, None), "at {time}");
        }
        assert_eq!(at(&history(), "/a", 20).expect("a state").bytes, [110, 120]);
    }

    #[test]
    fn what_cannot_be_restored_is_passed_over_and_named() {
        let state = at(&history(), "/a", 35).expect("a state");
        let (passed, why) = state.passed_over.expect("one is nearer");
        assert_eq!((state.time, passed.level, why.as_str()), (20, 1, "its level 0 is on a volume that is gone."));
    }

    #[test]
    fn a_doubt_about_a_chain_goes_along_with_it() {
        let why = "the dump of level 0 of 20261100000010 is damaged: a block cannot be read";
        for (why_not, doubt) in [("", None), (why, Some(why))] {
            let state = at(&[dump("/a", 0, 10, &[(0, 10)], why_not)], "/a", 10).expect("a state");
            assert_eq!(state.doubt.as_deref(), doubt);
        }
    }

    #[test]
    fn no_state_says_why() {
        assert_eq!(at(&history(), "/c", 50), Err(NoState::NoDump));
        let too_old = at(&history(), "/a", 9).expect_err("older than all");
        assert_eq!(too_old.to_string(), "there is no dump of this disk that old; the oldest one was made at 20261100000010");
        let broken = [dump("/a", 0, 10, &[], "volume V1 cannot be read.")];
        let why = at(&broken, "/a", 10).expect_err("not whole").to_string();
        assert_eq!(why, "the dump of 20261100000010, level 0, cannot be restored: volume V1 cannot be read.");
    }

    #[test]
    fn a_chain_that_cannot_be_true_is_none() {
        for chain in [&[(1, 20)][..], &[(0, 10)], &[(1, 20), (0, 10)], &[(0, 10), (0, 10), (1, 20)], &[(0, 10), (1, 21)]] {
            let dumps = [dump("/a", 1, 20, chain, "")];
            assert!(matches!(at(&dumps, "/a", 20), Err(NoState::CannotBeRestored { .. })), "{chain:?}");
        }
    }
}
