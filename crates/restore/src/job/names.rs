//! Names of files whose first name nobody wanted.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::atomic::Ordering;

use wire::restore::{PathBytes, What};

use super::Failure;
use super::meter::{Count, Halting, Meter};
use super::reading::{DAMAGED, NOT_IN_IT, Reading, Seen};
use crate::archive::{Archive, Item};
use crate::depot::{Depot, DepotError, Fetch};
use crate::member::Kind;
use crate::place::Put;
use crate::resolve::path::first_that_fit;
use crate::resolve::plan::Goes;
use crate::unpack::unpack;

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
        while !self.by_first.is_empty() {
            let behind = self.by_first.keys().nth(first_that_fit(self.by_first.keys())).cloned();
            let rest = behind.map(|behind| self.by_first.split_off(&behind)).unwrap_or_default();
            groups.push(std::mem::replace(&mut self, Self { by_first: rest }));
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

impl Reading<'_> {
    /// Fetches files for names of which the first one was not wanted, or not made now.
    pub(super) fn other_names<R: Read, W: Write>(&mut self, depot: &mut Depot<R, W>, mut some: OtherNames) -> Result<(), Failure> {
        let mut seen = Seen::default();
        match depot.fetch(self.dump, What::Members(some.firsts())) {
            Ok(fetch) => {
                self.watch.begins(self.dump, fetch.bytes());
                self.names_of(fetch, &mut some, &mut seen)?;
            }
            Err(error) => self.refused(error, &mut seen)?,
        }
        for (path, _) in some.left() {
            self.outcome.missing(path, if seen.is_damaged { DAMAGED } else { NOT_IN_IT });
        }
        Ok(())
    }

    fn names_of<R: Read, W: Write>(&mut self, fetch: Fetch<'_, R, W>, some: &mut OtherNames, seen: &mut Seen) -> Result<(), Failure> {
        let count = Count::default();
        let packing = fetch.packing();
        let mut archive = Archive::new(unpack(packing, Meter::new(fetch, &count)).map_err(Failure::Unpack)?);
        let ended = loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::Stopped);
            }
            match archive.next() {
                Err(error) => break Err(error),
                Ok(None) => break archive.into_inner().finish().map(drop),
                Ok(Some(Item::Damage(damage))) => {
                    seen.is_damaged = true;
                    self.outcome.damaged(self.dump, damage.to_string(), String::new());
                }
                Ok(Some(Item::Member(member, content))) => {
                    if member.kind != Kind::File {
                        continue;
                    }
                    let mut names = some.take(&PathBytes::new(&member.path)).into_iter();
                    let Some((path, to)) = names.next() else { continue };
                    let mut body = Halting { content, stop: self.stop, watch: &mut *self.watch, count: &count };
                    let put = self.target.put(&to, &member, &mut body);
                    let first = to.clone();
                    self.put(&path, Goes { to, place: None }, &member, put)?;
                    for (path, to) in names {
                        match self.target.link(&to, &first) {
                            Ok(Put::Made(_)) => self.outcome.links += 1,
                            Ok(_) => self.outcome.kept_as_it_is(to),
                            Err(error) => self.outcome.missing(path, error.to_string()),
                        }
                    }
                }
            }
        };
        self.outcome.fetched += count.bytes();
        match ended.map_err(|error| error.downcast::<DepotError>()) {
            Ok(()) => Ok(()),
            Err(Ok(error)) => self.refused(error, seen),
            Err(Err(error)) => Err(Failure::Cut(error)),
        }
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
            // All of them fit into a frame as well.
            let found: Vec<_> = names.groups().iter().map(|group| group.firsts().len()).collect();
            assert_eq!(found, sizes);
        }
    }
}
