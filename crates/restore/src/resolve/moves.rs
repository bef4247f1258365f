//! Directories that got another path between two dumps.
//!
//! What GNU tar (1.34) writes is not what happened, nor what it can restore itself, when directories were moved in and out of each other:
//!
//! - The old path in a record has the *new* names of the directories above it, as many of them as tar had met by then: `outer` → `outer2` and
//!   `outer/inner` → `inner` are `R outer2/inner T inner` and `R outer T outer2`, in any order.
//! - Directories that change names in a circle keep, in tar's list, the inode that had each name before. So the records come again in every
//!   dump after that, though nothing was renamed since; and when the names are changed back, no record says so. An old path is therefore that of the *list*, and
//!   which path this directory had in the dump that goes with the list is said by that dump's own circles.
//!
//! So where renames touch each other there are several answers, and the lists of the dump below tell which one is right.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet, VecDeque};

use wire::restore::PathBytes;

use super::path::{behind, below, split};
use crate::dumpdir::{Dumpdir, Move};

/// The most answers that are looked at.
const MAX_ANSWERS: usize = 32;

/// What was done to directories between a dump and the one below it.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// From where, by what is now.
    from: HashMap<PathBytes, PathBytes>,
    /// To where, by what was.
    to: HashMap<PathBytes, Away>,
    /// Some renames touch each other.
    is_tangled: OnceCell<bool>,
}

/// Where a directory went.
#[derive(Debug)]
struct Away {
    to: PathBytes,
    /// Round a circle.
    is_circle: bool,
}

impl Moves {
    /// Adds what a directory's list says. GNU tar writes it into the first directory that it was told to read.
    pub fn add(&mut self, dumpdir: &Dumpdir<'_>) {
        let (mut temporary, mut is_circle) = (None, false);
        for step in dumpdir.moves() {
            match step {
                Move::Temporary(_) => (temporary, is_circle) = (None, true),
                Move::Rename { from, to: b"" } => temporary = Some(PathBytes::new(from)),
                Move::Rename { from: b"", to } => {
                    if let Some(from) = temporary.take() {
                        self.insert(from, PathBytes::new(to), true);
                    }
                    is_circle = false;
                }
                Move::Rename { from, to } => self.insert(PathBytes::new(from), PathBytes::new(to), is_circle),
            }
        }
    }

    fn insert(&mut self, from: PathBytes, to: PathBytes, is_circle: bool) {
        self.to.insert(from.clone(), Away { to: to.clone(), is_circle });
        self.from.insert(to, from);
        self.is_tangled.take();
    }

    /// Returns the paths that something may have in the list of the dump below, the likeliest first; none when what has this path there is elsewhere
    /// now: so this is new.
    pub fn before(&self, path: &PathBytes) -> Vec<PathBytes> {
        let mut answers: Vec<PathBytes> = Vec::new();
        if !self.is_moved(path) {
            let is_new = above(path).any(|above| self.to.contains_key(&above));
            return if is_new { answers } else { vec![path.clone()] };
        }
        let is_tangled = *self.is_tangled.get_or_init(|| self.tangled());
        let (mut seen, mut open) = (HashSet::from([path.clone()]), VecDeque::from([path.clone()]));
        while let Some(next) = open.pop_front() {
            for above in above(&next) {
                let Some(from) = self.from.get(&above) else { continue };
                let answer = below(from, behind(&next, &above).unwrap_or_default());
                if seen.len() < MAX_ANSWERS && seen.insert(answer.clone()) {
                    answers.push(answer.clone());
                    open.push_back(answer);
                }
                if !is_tangled {
                    return answers;
                }
            }
        }
        answers.push(path.clone());
        answers
    }

    /// Says whether a directory on a path was renamed.
    fn is_moved(&self, path: &PathBytes) -> bool {
        !self.from.is_empty() && above(path).any(|above| self.from.contains_key(&above))
    }

    /// Says whether a renamed directory lies, or lay, in another one, or one has the name of another.
    fn tangled(&self) -> bool {
        let is_renamed = |path: &PathBytes| self.from.contains_key(path) || self.to.contains_key(path);
        let lies_in_one = |path: &PathBytes| above(path).skip(1).any(|above| is_renamed(&above));
        let takes_turns = |from: &PathBytes, to: &PathBytes| self.to.contains_key(to) || self.from.contains_key(from);
        self.from.iter().any(|(to, from)| lies_in_one(to) || lies_in_one(from) || takes_turns(from, to))
    }

    /// Returns the path that a directory has in this dump, by the path that it has in this dump's list.
    pub fn now(&self, listed: &PathBytes) -> PathBytes {
        let circle = |above: PathBytes| self.to.get(&above).filter(|away| away.is_circle).map(|away| (above, away));
        match above(listed).find_map(circle) {
            Some((above, away)) => below(&away.to, behind(listed, &above).unwrap_or_default()),
            None => listed.clone(),
        }
    }
}

/// Returns a path and the directories above it, the disk's own apart.
fn above(path: &PathBytes) -> impl Iterator<Item = PathBytes> + use<'_> {
    let mut rest = path.as_bytes();
    std::iter::from_fn(move || {
        let (above, _) = split(rest)?;
        Some(PathBytes::new(std::mem::replace(&mut rest, above)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moves(steps: &[(&str, &str)]) -> Moves {
        let step = |(from, to): &(&str, &str)| format!("{}R{from}\0T{to}\0", if to.is_empty() { "X.\0" } else { "" }).into_bytes();
        let mut body: Vec<u8> = steps.iter().flat_map(step).collect();
        body.push(0);
        let mut moves = Moves::default();
        moves.add(&Dumpdir::parse(&body).expect("a dumpdir"));
        moves
    }

    const SWAP: &[(&str, &str)] = &[("./sw2", ""), ("./sw1", "./sw2"), ("", "./sw1")];
    const CIRCLE: &[(&str, &str)] = &[("./c3", ""), ("./c2", "./c3"), ("./c1", "./c2"), ("", "./c1")];

    #[test]
    fn where_renames_do_not_touch_there_is_one_answer() {
        let apart = &[("./a", "./b"), ("./c/d", "./e/f"), ("./c/g", "./h")][..];
        for (case, steps, now, before) in [
            ("nothing", &[][..], "a/b", &["a/b"][..]),
            ("renamed", apart, "b", &["a"]),
            ("below it", apart, "b/c/d", &["a/c/d"]),
            ("only whole names", apart, "bb", &["bb"]),
            ("another directory", apart, "e/f/x", &["c/d/x"]),
            ("beside it", apart, "e/x", &["e/x"]),
            ("new under the old name", apart, "a/c", &[]),
        ] {
            let found = moves(steps).before(&PathBytes::new(now.as_bytes()));
            assert_eq!(found, before.iter().map(|path| PathBytes::new(path.as_bytes())).collect::<Vec<_>>(), "{case}: {now}");
        }
    }

    #[test]
    fn a_path_is_among_the_answers_for_all_that_gnu_tar_writes() {
        let nested = &[("./n", "./m"), ("./m/x", "./m/z")];
        let moved_in = &[("./b", "./outer/bb"), ("./outer/inner", "./outer/bb/inner2")];
        let moved_out = &[("./outer2/inner", "./inner2"), ("./outer", "./outer2")];
        let in_place = &[("./docs", "./papers"), ("./papers/deep", "./docs"), ("./papers/er", "./docs/er")];
        for (case, steps, now, before) in [
            ("in another's place", &[("./a", "./b"), ("./b", "./c")][..], "b/x", "a/x"),
            ("in another's place", &[("./a", "./b"), ("./b", "./c")], "c/x", "b/x"),
            ("swapped", SWAP, "sw1/x", "sw2/x"),
            ("swapped", SWAP, "sw2/x", "sw1/x"),
            ("in a circle", CIRCLE, "c1", "c3"),
            ("in a circle", CIRCLE, "c2/y", "c1/y"),
            ("in a circle", CIRCLE, "c3", "c2"),
            ("in a renamed one", nested, "m/z/y", "n/x/y"),
            ("in a renamed one", nested, "m/q", "n/q"),
            ("into one that came", moved_in, "outer/bb/inner2/f", "outer/inner/f"),
            ("into one that came", moved_in, "outer/bb/g", "b/g"),
            ("out of one that went", moved_out, "inner2/f", "outer/inner/f"),
            ("out of one that went", moved_out, "outer2/f", "outer/f"),
            ("in the place of what it was in", in_place, "docs/f", "docs/deep/f"),
            ("in the place of what it was in", in_place, "docs/er/f", "docs/deep/er/f"),
            ("in the place of what it was in", in_place, "papers/f", "docs/f"),
        ] {
            let found = moves(steps).before(&PathBytes::new(now.as_bytes()));
            assert!(found.contains(&PathBytes::new(before.as_bytes())), "{case}: {now}: {found:?}");
            assert_eq!(found.last(), Some(&PathBytes::new(now.as_bytes())), "{case}");
        }
    }

    #[test]
    fn what_stands_in_a_list_is_where_the_circle_took_it() {
        for (steps, listed, now) in
            [(SWAP, "sw1", "sw2"), (SWAP, "sw2/a/b", "sw1/a/b"), (CIRCLE, "c3", "c1"), (SWAP, "x", "x"), (&[("./a", "./b")], "a", "a")]
        {
            assert_eq!(moves(steps).now(&PathBytes::new(listed.as_bytes())), PathBytes::new(now.as_bytes()), "{listed}");
        }
    }

    #[test]
    fn records_without_an_end_have_one() {
        assert!(moves(&[("./x/y", "./x")]).before(&PathBytes::new(b"x/z")).len() <= MAX_ANSWERS + 1);
    }
}
