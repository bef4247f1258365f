//! Directories that got another path between two dumps.

use wire::restore::PathBytes;

use super::path::{behind, below};
use crate::dumpdir::{Dumpdir, Move};

/// What was done to directories between a dump and the one below it, in order.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// From where to where; nothing is the temporary directory, through which directories change names.
    renames: Vec<(Option<PathBytes>, Option<PathBytes>)>,
}

impl Moves {
    /// Adds what a directory's list says. GNU tar writes it into the first directory that it was told to read.
    pub fn add(&mut self, dumpdir: &Dumpdir<'_>) {
        let path = |path: &[u8]| (!path.is_empty()).then(|| PathBytes::new(path));
        self.renames.extend(dumpdir.moves().filter_map(|step| match step {
            Move::Rename { from, to } => Some((path(from), path(to))),
            Move::Temporary(_) => None,
        }));
    }

    /// Returns the path that something had in the dump below; nothing when what had this path then has another one now: so this is new.
    pub fn before(&self, path: &PathBytes) -> Option<PathBytes> {
        // Backwards from what is now, each rename is undone. No base: the temporary directory.
        let (mut base, mut rest) = (Some(path.clone()), Vec::new());
        for (from, to) in self.renames.iter().rev() {
            match (&base, to) {
                (None, None) => base.clone_from(from),
                (Some(at), Some(to)) => {
                    if let Some(tail) = behind(at, to) {
                        rest = [tail, &rest].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(&b'/');
                        base.clone_from(from);
                    } else if from.as_ref().is_some_and(|from| at.is_in(from)) {
                        return None;
                    }
                }
                _ => {}
            }
        }
        base.map(|base| if rest.is_empty() { base } else { below(&base, &rest) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moves(steps: &[(&str, &str)]) -> Moves {
        let mut body: Vec<u8> = steps.iter().flat_map(|(from, to)| format!("R{from}\0T{to}\0").into_bytes()).collect();
        body.push(0);
        let mut moves = Moves::default();
        moves.add(&Dumpdir::parse(&body).expect("a dumpdir"));
        moves
    }

    #[test]
    fn a_path_is_followed_back_through_all_that_gnu_tar_writes() {
        let swap = &[("./sw2", ""), ("./sw1", "./sw2"), ("", "./sw1")][..];
        let circle = &[("./c3", ""), ("./c2", "./c3"), ("./c1", "./c2"), ("", "./c1")];
        let nested = &[("./n", "./m"), ("./m/x", "./m/z")];
        let moved_in = &[("./b", "./outer/bb"), ("./outer/inner", "./outer/bb/inner2")];
        for (case, steps, now, before) in [
            ("nothing", &[][..], "a/b", Some("a/b")),
            ("renamed", &[("./a", "./b")], "b", Some("a")),
            ("below it", &[("./a", "./b")], "b/c/d", Some("a/c/d")),
            ("only whole names", &[("./a", "./b")], "bb", Some("bb")),
            ("new under the old name", &[("./a", "./b")], "a/c", None),
            ("swapped", swap, "sw1/x", Some("sw2/x")),
            ("swapped", swap, "sw2/x", Some("sw1/x")),
            ("in a circle", circle, "c1", Some("c3")),
            ("in a circle", circle, "c2/y", Some("c1/y")),
            ("in a circle", circle, "c3", Some("c2")),
            ("in a renamed one", nested, "m/z/y", Some("n/x/y")),
            ("in a renamed one", nested, "m/q", Some("n/q")),
            ("into one that came", moved_in, "outer/bb/inner2/f", Some("outer/inner/f")),
            ("into one that came", moved_in, "outer/bb/g", Some("b/g")),
            ("into one that came", moved_in, "outer/g", Some("outer/g")),
        ] {
            let found = moves(steps).before(&PathBytes::new(now.as_bytes()));
            assert_eq!(found, before.map(|path| PathBytes::new(path.as_bytes())), "{case}: {now}");
        }
    }
}
