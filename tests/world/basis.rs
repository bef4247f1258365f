//! What a laptop's next dump builds on: the lists of its last dumps and its lines in amandates, to see whether they have moved.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::laptop::Laptop;
use crate::talk::crc32c;

/// The lists and dates of one laptop, as they were when looked at.
#[derive(Clone, PartialEq, Eq)]
pub struct Basis {
    lists: BTreeMap<OsString, Vec<u8>>,
    dates: Vec<String>,
}

impl Basis {
    /// Tells whether there is a list to build on.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }
}

impl fmt::Debug for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = self.lists.iter().map(|(name, bytes)| (name, format!("{} bytes, {}", bytes.len(), crc32c(bytes))));
        f.debug_map().entries(lists).finish()?;
        f.debug_list().entries(&self.dates).finish()
    }
}

impl Laptop {
    /// Returns what this laptop's next dump would build on, now.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn basis(&self) -> Basis {
        let mut lists = BTreeMap::new();
        match &self.stock_lists {
            // All laptops of a world share the stock client's directory; of what it has not finished nothing is built on.
            Some(dir) => collect(dir, &mut lists, |name| name.starts_with(&self.host) && !name.ends_with(".new")),
            None => {
                for dir in entries(&self.state().join("client")).iter().flat_map(|destination| entries(destination)) {
                    collect(&dir.join("lists"), &mut lists, |_| true);
                }
            }
        }
        let disk = self.disk.to_string_lossy();
        let is_ours = |line: &&str| {
            let rest = line.trim_start_matches('"').strip_prefix(&*disk);
            rest.is_some_and(|rest| rest.starts_with([' ', '"']))
        };
        let dates = fs::read_to_string(&self.amandates).expect("the client writes it");
        Basis { lists, dates: dates.lines().filter(is_ours).map(str::to_owned).collect() }
    }
}

fn collect(dir: &Path, lists: &mut BTreeMap<OsString, Vec<u8>>, is_one: impl Fn(&str) -> bool) {
    for path in entries(dir) {
        let name = path.file_name().expect("an entry has one").to_owned();
        if is_one(&name.to_string_lossy()) {
            lists.insert(name, fs::read(&path).expect("root may read"));
        }
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
