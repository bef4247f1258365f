//! Files that were named to tar by themselves, of a disk of which only some names are dumped: no list of a directory has them, and only an index tells of
//! them.

use std::collections::HashSet;
use std::io::{Read, Write};

use amanda::index::unescaped;
use wire::restore::{DumpId, PathBytes};

use crate::depot::{Depot, DepotError};
use crate::resolve::path::split;

/// So many are taken at most. Somebody names them, one by one.
const MOST: usize = 100_000;

/// Returns the files that lie in no directory of the dump that has them, by path.
///
/// # Errors
/// When the conversation cannot go on. An index that cannot be had names nothing.
pub(super) fn files<R: Read, W: Write>(depot: &mut Depot<R, W>, chain: &[DumpId]) -> Result<Vec<PathBytes>, DepotError> {
    let mut all = HashSet::new();
    for dump in chain {
        let mut found = Found::default();
        match depot.names(dump, &PathBytes::default(), true, |line| found.line(line)) {
            Err(error) if !error.is_no() => return Err(error),
            _ => all.extend(found.files()),
        }
    }
    // What was a file once and a directory of such files another time is taken as the file.
    let mut files: Vec<PathBytes> = all.iter().filter(|file| !is_below(file, &all)).cloned().collect();
    files.sort_unstable();
    files.truncate(MOST);
    Ok(files)
}

/// What an index says, as far as it was read.
#[derive(Debug, Default)]
struct Found {
    /// Directories that lie in none of those before.
    dirs: HashSet<PathBytes>,
    /// Files that lie in none of those before.
    files: HashSet<PathBytes>,
}

impl Found {
    fn line(&mut self, line: &[u8]) {
        let is_directory = line.ends_with(b"/");
        let path = PathBytes::new(&unescaped(line.strip_prefix(b"/").unwrap_or(line)));
        let is_known = self.dirs.contains(&PathBytes::default()) || is_below(&path, &self.dirs);
        if is_directory && !is_known {
            self.dirs.insert(path);
        } else if !is_directory && !is_known && self.files.len() < MOST {
            self.files.insert(path);
        }
    }

    fn files(self) -> Vec<PathBytes> {
        // A directory may come behind what is in it.
        self.files.into_iter().filter(|file| !file.as_bytes().is_empty() && !is_below(file, &self.dirs)).collect()
    }
}

fn is_below(path: &PathBytes, dirs: &HashSet<PathBytes>) -> bool {
    let mut rest = path.as_bytes();
    while let Some((above, _)) = split(rest) {
        if dirs.contains(&PathBytes::new(above)) {
            return true;
        }
        rest = above;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_no_directory_of_its_dump_was_named_by_itself() {
        for (index, files) in [
            (&["/b/", "/b/x", "/c", "/d/", "/d/e/", "/d/e/y"][..], &["c"][..]),
            (&["/b/x", "/b/", "/docs/notes"], &["docs/notes"]),
            (&["/", "/c"], &[]),
            (&[], &[]),
        ] {
            let mut found = Found::default();
            index.iter().for_each(|line| found.line(line.as_bytes()));
            let expected: Vec<_> = files.iter().map(|file| PathBytes::new(file.as_bytes())).collect();
            assert_eq!(found.files(), expected, "{index:?}");
        }
    }
}
