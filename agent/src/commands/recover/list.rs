//! What was chosen to be brought back: paths, each with the state of the disk that it was chosen from.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use restore::resolve::State;
use wire::restore::PathBytes;

use crate::report::show;
use crate::report::when::local;

/// One thing on the list.
#[derive(Debug, Clone)]
struct Item {
    path: PathBytes,
    is_directory: bool,
}

/// The list, by states in the order of their dates.
#[derive(Debug, Clone, Default)]
pub struct List(Vec<(State, Items)>);

/// What was chosen from one state, in the order in which it was: a directory may have a hundred thousand names.
#[derive(Debug, Clone, Default)]
struct Items {
    by_number: BTreeMap<usize, Item>,
    numbers: HashMap<PathBytes, usize>,
}

impl Items {
    /// Takes one in; whether it was not there yet.
    fn add(&mut self, item: Item) -> bool {
        let number = self.by_number.last_key_value().map_or(0, |(last, _)| last + 1);
        match self.numbers.entry(item.path.clone()) {
            Entry::Occupied(_) => false,
            Entry::Vacant(entry) => {
                entry.insert(number);
                self.by_number.insert(number, item);
                true
            }
        }
    }

    fn remove(&mut self, path: &PathBytes) -> Option<Item> {
        self.numbers.remove(path).and_then(|number| self.by_number.remove(&number))
    }

    fn iter(&self) -> impl Iterator<Item = &Item> {
        self.by_number.values()
    }
}

/// Returns a path as amrecover shows it: from the disk's directory on, with `/` before and a directory's behind it.
fn shown(path: &PathBytes, is_directory: bool) -> String {
    let slash = if is_directory && !path.as_bytes().is_empty() { "/" } else { "" };
    format!("/{}{slash}", show(path.as_bytes()))
}

impl List {
    /// Tells whether nothing is on it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a path in and returns what is said of it.
    pub fn add(&mut self, state: &State, path: &PathBytes, is_directory: bool) -> String {
        let name = shown(path, is_directory);
        let at = match self.0.iter().position(|(known, _)| known.last() == state.last()) {
            Some(at) => at,
            None => {
                let at = self.0.iter().take_while(|(known, _)| known.time <= state.time).count();
                self.0.insert(at, (state.clone(), Items::default()));
                at
            }
        };
        if !self.0[at].1.add(Item { path: path.clone(), is_directory }) {
            return if is_directory { format!("dir {name} already added") } else { format!("File {name} already added") };
        }
        if is_directory { format!("Added dir {name} at date {}", local(state.time)) } else { format!("Added file {name}") }
    }

    /// Takes a path off and returns what is said of it, a line for each date that it was chosen from.
    pub fn delete(&mut self, path: &PathBytes) -> Vec<String> {
        let mut said = Vec::new();
        for (state, items) in &mut self.0 {
            if let Some(item) = items.remove(path) {
                let name = shown(path, item.is_directory);
                said.push(match item.is_directory {
                    true => format!("Deleted dir {name} at date {}", local(state.time)),
                    false => format!("Deleted file {name}"),
                });
            }
        }
        self.0.retain(|(_, items)| !items.numbers.is_empty());
        said
    }

    /// Returns all paths on it.
    pub fn paths(&self) -> impl Iterator<Item = &PathBytes> {
        self.0.iter().flat_map(|(_, items)| items.iter().map(|item| &item.path))
    }

    /// Returns the first state, and what is chosen from it: nothing twice, and nothing that lies in a directory which is on the list.
    pub fn first(&self) -> Option<(State, Vec<PathBytes>)> {
        let (state, items) = self.0.first()?;
        let mut paths: Vec<&PathBytes> = items.iter().map(|item| &item.path).collect();
        paths.sort();
        let mut chosen: Vec<PathBytes> = Vec::with_capacity(paths.len());
        // A name such as `a b` sorts between `a` and `a/c`, so looking at the last one is not enough.
        for path in paths {
            let is_covered =
                std::iter::successors(Some(path.clone()), |path| (!path.as_bytes().is_empty()).then(|| super::browse::split(path).0))
                    .any(|above| chosen.binary_search(&above).is_ok());
            if !is_covered {
                chosen.push(path.clone());
            }
        }
        Some((state.clone(), chosen))
    }

    /// Takes the first state's paths off.
    pub fn done(&mut self) {
        if !self.0.is_empty() {
            self.0.remove(0);
        }
    }

    /// Returns the list for people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (state, items) in &self.0 {
            lines.push(format!("DUMP LEVEL {} DATE {}", state.last().level, local(state.time)));
            lines.extend(items.iter().map(|item| format!("\t{}", shown(&item.path, item.is_directory))));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;

    fn path(text: &str) -> PathBytes {
        PathBytes::new(text.as_bytes())
    }

    #[test]
    fn what_lies_in_a_chosen_directory_is_fetched_once() {
        let mut list = List::default();
        let state = fake::state("/etc", 0, 100);
        for (name, is_directory) in [("a/c", false), ("a b", false), ("a", true), ("a/d/e", false), ("ab", false)] {
            list.add(&state, &path(name), is_directory);
        }
        assert_eq!(list.first().expect("a state").1, [path("a"), path("a b"), path("ab")]);
        list.add(&state, &path(""), true);
        assert_eq!(list.first().expect("a state").1, [path("")]);
    }

    #[test]
    fn states_come_in_the_order_of_their_dates() {
        let mut list = List::default();
        let (old, new) = (fake::state("/etc", 0, 100), fake::state("/etc", 1, 200));
        assert_eq!(list.add(&new, &path("hosts"), false), "Added file /hosts");
        assert_eq!(list.add(&old, &path("hosts"), false), "Added file /hosts");
        assert_eq!(list.add(&old, &path("hosts"), false), "File /hosts already added");
        assert_eq!(list.first().expect("a state").0.time, 100);
        list.done();
        assert_eq!(list.first().expect("a state").0.time, 200);
        assert_eq!(list.delete(&path("hosts")), ["Deleted file /hosts"]);
        assert!(list.is_empty() && list.first().is_none() && list.delete(&path("hosts")).is_empty());
    }
}
