//! Names of files whose first name nobody wanted.

use std::collections::BTreeMap;

use wire::restore::{MAX_PATHS, PathBytes};

/// Other names by the first one. The archive has a file's content under its first name alone.
#[derive(Debug, Default)]
pub(super) struct OtherNames {
    /// Each with where it is in the dump, and where it goes.
    by_first: BTreeMap<PathBytes, Vec<(PathBytes, PathBytes)>>,
}

impl OtherNames {
    pub fn add(&mut self, first: PathBytes, path: PathBytes, to: PathBytes) {
        self.by_first.entry(first).or_default().push((path, to));
    }

    /// Takes it apart into as many as may be asked for at once.
    pub fn groups(mut self) -> Vec<Self> {
        let mut groups = Vec::new();
        while let Some((last, _)) = self.by_first.iter().nth(MAX_PATHS) {
            let behind = self.by_first.split_off(&last.clone());
            groups.push(std::mem::replace(&mut self, Self { by_first: behind }));
        }
        if !self.by_first.is_empty() {
            groups.push(self);
        }
        groups
    }

    pub fn firsts(&self) -> Vec<PathBytes> {
        self.by_first.keys().cloned().collect()
    }

    /// Takes the names of a file.
    pub fn take(&mut self, first: &PathBytes) -> Vec<(PathBytes, PathBytes)> {
        self.by_first.remove(first).unwrap_or_default()
    }

    /// Returns what was not taken.
    pub fn left(self) -> impl Iterator<Item = (PathBytes, PathBytes)> {
        self.by_first.into_values().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_may_be_asked_for_are_a_group() {
        for (count, sizes) in [(0, &[][..]), (1, &[1]), (256, &[256]), (257, &[256, 1]), (600, &[256, 256, 88])] {
            let mut names = OtherNames::default();
            for at in 0..count {
                let path = PathBytes::new(format!("{at}").as_bytes());
                names.add(path.clone(), path.clone(), path);
            }
            let found: Vec<_> = names.groups().iter().map(|group| group.firsts().len()).collect();
            assert_eq!(found, sizes);
        }
    }
}
