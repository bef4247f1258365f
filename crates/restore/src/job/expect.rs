//! What a dump of level 0 says itself that it has: the lists of its directories come before their files.

use std::collections::HashMap;

use wire::restore::PathBytes;

use crate::dumpdir::{Code, Dumpdir};
use crate::resolve::nameset::NameSet;
use crate::resolve::path::{below, split};

/// What is to come.
#[derive(Debug, Default)]
pub(super) struct Expect {
    dirs: HashMap<PathBytes, Listed>,
}

#[derive(Debug, Default)]
struct Listed {
    files: NameSet,
    dirs: NameSet,
}

impl Expect {
    /// Takes a directory's list; returns how many of its names no dump has.
    pub fn add(&mut self, path: &PathBytes, dumpdir: &Dumpdir<'_>) -> u64 {
        let (mut listed, mut left_out) = (Listed::default(), 0);
        for entry in dumpdir.entries() {
            match entry.code {
                Code::Here => listed.files.add(entry.name),
                Code::Directory => listed.dirs.add(entry.name),
                Code::Unchanged => left_out += 1,
            }
        }
        listed.files.seal();
        listed.dirs.seal();
        self.dirs.insert(path.clone(), listed);
        left_out
    }

    /// Notes that something came; whether it was to be expected. Nothing when nobody said what was there.
    pub fn meet(&mut self, path: &PathBytes, is_directory: bool) -> Option<bool> {
        let (dir, name) = split(path.as_bytes())?;
        let listed = self.dirs.get_mut(&PathBytes::new(dir))?;
        Some(if is_directory { listed.dirs.meet(name) } else { listed.files.meet(name) })
    }

    /// Returns the files that did not come.
    pub fn missing(&self) -> impl Iterator<Item = PathBytes> {
        self.dirs.iter().flat_map(|(dir, listed)| listed.files.missing().map(|name| below(dir, name)))
    }

    /// Returns the directories that did not come.
    pub fn missing_directories(&self) -> impl Iterator<Item = PathBytes> {
        self.dirs.iter().flat_map(|(dir, listed)| listed.dirs.missing().map(|name| below(dir, name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_announced_is_missed_and_the_rest_unexpected() {
        let mut expect = Expect::default();
        let path = |path: &str| PathBytes::new(path.as_bytes());
        let dumpdir = Dumpdir::parse(b"Ya\0Yb\0Nc\0Dd\0De\0\0").expect("a dumpdir");
        assert_eq!(expect.add(&path("x"), &dumpdir), 1);
        for (met, is_directory, expected) in [
            ("x/a", false, Some(true)),
            ("x/c", false, Some(false)),
            ("x/d", true, Some(true)),
            ("y/a", false, None),
            ("x/d", false, Some(false)),
        ] {
            assert_eq!(expect.meet(&path(met), is_directory), expected, "{met}");
        }
        assert_eq!(expect.missing().collect::<Vec<_>>(), [path("x/b")]);
        assert_eq!(expect.missing_directories().collect::<Vec<_>>(), [path("x/e")]);
    }
}
