//! Which directories' lists are needed: asked for each of a hundred thousand directories, when as many files may be wished for.

use std::collections::HashSet;

use wire::restore::PathBytes;

use super::path::split;

/// Directories whose lists are needed.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// These.
    named: HashSet<PathBytes>,
    /// These and all below them.
    deep: HashSet<PathBytes>,
    /// What lies above the latter: it tells what they are.
    above: HashSet<PathBytes>,
}

impl Wanted {
    /// Takes directories alone, and others with all that is in them.
    pub fn new<'p>(named: impl Iterator<Item = &'p PathBytes>, deep: impl Iterator<Item = &'p PathBytes>) -> Self {
        let mut wanted = Self { named: named.cloned().collect(), ..Self::default() };
        for path in deep {
            let mut rest = path.as_bytes();
            while let Some((dir, _)) = split(rest) {
                // What is above that is there already.
                if !wanted.above.insert(PathBytes::new(dir)) {
                    break;
                }
                rest = dir;
            }
            wanted.deep.insert(path.clone());
        }
        wanted
    }

    /// Says whether a directory's list is needed.
    pub fn has(&self, path: &PathBytes) -> bool {
        if self.named.contains(path) || self.above.contains(path) || self.deep.contains(path) {
            return true;
        }
        let mut rest = path.as_bytes();
        while let Some((dir, _)) = split(rest) {
            if self.deep.contains(&PathBytes::new(dir)) {
                return true;
            }
            rest = dir;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_above_and_below_a_wish_are_needed_and_no_others() {
        let path = |path: &str| PathBytes::new(path.as_bytes());
        let (named, deep) = ([path("n/m")], [path("a/b"), path("a/c")]);
        let wanted = Wanted::new(named.iter(), deep.iter());
        for (dir, is_needed) in [
            ("", true),
            ("a", true),
            ("a/b", true),
            ("a/b/x/y", true),
            ("a/bx", false),
            ("a/d", false),
            ("n", false),
            ("n/m", true),
            ("n/m/x", false),
        ] {
            assert_eq!(wanted.has(&path(dir)), is_needed, "{dir:?}");
        }
        assert!(Wanted::new([].iter(), [path("")].iter()).has(&path("x")));
    }
}
