//! Whose turn it is to be read back: what was longest not verified comes first.

use std::time::Duration;

use super::Key;

/// What one call is to read. The default is everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Turn {
    /// Only what was not verified for so long.
    pub older_than: Option<Duration>,
    /// Not more stored bytes than these, but one dump at least.
    pub budget: Option<u64>,
}

impl Turn {
    /// Says whether it is everything.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

/// A dump that may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub key: Key,
    /// Its stored bytes.
    pub bytes: u64,
    /// When it was verified, in seconds since 1970.
    pub verified: Option<i64>,
    /// It was found damaged before. It is read only when all are: otherwise it would use up the budget each time.
    pub is_damaged: bool,
}

/// What is read now, in this order, and what is not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chosen {
    /// These are read.
    pub keys: Vec<Key>,
    /// So many were verified not long ago.
    pub fresh: usize,
    /// So many have to wait for the next time.
    pub left: usize,
    /// So many are known to be damaged.
    pub damaged: usize,
}

/// Chooses; `now` in seconds since 1970. A time in the future is none: a clock was wrong.
#[must_use]
pub fn choose(mut candidates: Vec<Candidate>, turn: &Turn, now: i64) -> Chosen {
    let mut chosen = Chosen::default();
    if turn.is_all() {
        chosen.keys = candidates.into_iter().map(|candidate| candidate.key).collect();
        return chosen;
    }
    let verified = |candidate: &Candidate| candidate.verified.filter(|verified| *verified <= now);
    candidates.sort_by(|a, b| (verified(a), &a.key.1, &a.key).cmp(&(verified(b), &b.key.1, &b.key)));
    let mut used: u64 = 0;
    for candidate in candidates {
        let age = verified(&candidate).map(|verified| Duration::from_secs(now.abs_diff(verified)));
        if candidate.is_damaged {
            chosen.damaged += 1;
        } else if turn.older_than.zip(age).is_some_and(|(limit, age)| age < limit) {
            chosen.fresh += 1;
        } else if !chosen.keys.is_empty() && turn.budget.is_some_and(|budget| used.saturating_add(candidate.bytes) > budget) {
            chosen.left += 1;
        } else {
            used = used.saturating_add(candidate.bytes);
            chosen.keys.push(candidate.key);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use amanda::dle::Dle;

    use super::*;

    const DAY: i64 = 24 * 60 * 60;
    const NOW: i64 = 1000 * DAY;

    fn dump(stamp: &str, bytes: u64, days_ago: Option<i64>) -> Candidate {
        let key = (Dle::new("h", "/"), stamp.to_owned(), 0);
        Candidate { key, bytes, verified: days_ago.map(|days| NOW - days * DAY), is_damaged: false }
    }

    fn stamps(chosen: &Chosen) -> Vec<&str> {
        chosen.keys.iter().map(|key| key.1.as_str()).collect()
    }

    #[test]
    fn what_was_longest_not_verified_comes_first() {
        let dumps =
            vec![dump("1", 10, Some(5)), dump("2", 10, Some(50)), dump("3", 10, None), dump("4", 10, Some(40)), dump("5", 10, None)];
        let turn = Turn { budget: Some(35), ..Turn::default() };
        let chosen = choose(dumps.clone(), &turn, NOW);
        assert_eq!((stamps(&chosen), chosen.left), (vec!["3", "5", "2"], 2));
        let turn = Turn { older_than: Some(Duration::from_secs(30 * 24 * 60 * 60)), budget: None };
        let chosen = choose(dumps.clone(), &turn, NOW);
        assert_eq!((stamps(&chosen), chosen.fresh, chosen.left), (vec!["3", "5", "2", "4"], 1, 0));
        assert_eq!(choose(dumps, &Turn::default(), NOW).keys.len(), 5);
    }

    #[test]
    fn exactly_as_old_as_the_limit_is_old_enough() {
        let turn = Turn { older_than: Some(Duration::from_secs(DAY as u64)), budget: None };
        assert_eq!(choose(vec![dump("1", 1, Some(1))], &turn, NOW).keys.len(), 1);
        assert_eq!(choose(vec![dump("1", 1, Some(0))], &turn, NOW).fresh, 1);
    }

    #[test]
    fn a_dump_above_the_budget_has_its_turn_and_then_nothing_else() {
        let turn = Turn { budget: Some(1), ..Turn::default() };
        let chosen = choose(vec![dump("1", u64::MAX, None), dump("2", u64::MAX, None)], &turn, NOW);
        assert_eq!((stamps(&chosen), chosen.left), (vec!["1"], 1));
    }

    #[test]
    fn a_smaller_one_behind_fills_the_budget() {
        let turn = Turn { budget: Some(10), ..Turn::default() };
        let chosen = choose(vec![dump("1", 6, None), dump("2", 6, None), dump("3", 4, None)], &turn, NOW);
        assert_eq!((stamps(&chosen), chosen.left), (vec!["1", "3"], 1));
    }

    #[test]
    fn what_a_wrong_clock_noted_is_not_fresh_for_ever() {
        let turn = Turn { older_than: Some(Duration::from_secs(60)), budget: None };
        assert_eq!(stamps(&choose(vec![dump("1", 1, Some(-400))], &turn, NOW)), ["1"]);
    }

    #[test]
    fn what_is_known_to_be_damaged_uses_no_budget() {
        let broken = Candidate { is_damaged: true, ..dump("1", 10, None) };
        let turn = Turn { budget: Some(10), ..Turn::default() };
        let chosen = choose(vec![broken.clone(), dump("2", 10, None)], &turn, NOW);
        assert_eq!((stamps(&chosen), chosen.damaged), (vec!["2"], 1));
        assert_eq!(stamps(&choose(vec![broken], &Turn::default(), NOW)), ["1"]);
    }
}
