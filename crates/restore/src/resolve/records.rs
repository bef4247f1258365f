//! What the directories of one dump had in them, as far as it is needed.

use std::cell::RefCell;
use std::collections::HashMap;

use wire::restore::PathBytes;

use super::moves::Moves;
use super::nameset::NameSet;
use super::path::split;
use crate::dumpdir::{Code, Dumpdir};

/// What all lists of one dump may take together: some twenty million names.
const MAX_BYTES: usize = 512 << 20;

/// What a list says of each name.
type Codes = HashMap<Box<[u8]>, Code>;

/// The lists of a dump's directories.
#[derive(Debug, Default)]
pub(crate) struct Records {
    dirs: HashMap<PathBytes, Box<[u8]>>,
    bytes: usize,
    moves: Moves,
    /// Of a disk of which only some names are dumped: the files among these names, which lie in no directory of any dump.
    beside: Vec<PathBytes>,
    /// The list that was looked into last.
    last: RefCell<Option<(PathBytes, Codes)>>,
    /// Directories whose list is none, and why; lists that were too much.
    damaged: Vec<(PathBytes, String)>,
}

impl Records {
    /// Takes a directory and the body of its list; `is_needed` says whether the list is needed, beyond what it says about renames.
    pub fn add(&mut self, path: PathBytes, body: &[u8], is_needed: bool) {
        let dumpdir = match Dumpdir::parse(body) {
            Ok(dumpdir) => dumpdir,
            Err(error) => return self.damaged.push((path, error.to_string())),
        };
        // Asked for twice, it comes twice.
        if self.dirs.contains_key(&path) {
            return;
        }
        self.moves.add(&dumpdir);
        let bytes = if is_needed || path.as_bytes().is_empty() { body } else { &[] };
        self.bytes += bytes.len() + path.as_bytes().len();
        if self.bytes > MAX_BYTES {
            return self.damaged.push((path, "there are more names than fit into memory".to_owned()));
        }
        if is_needed || path.as_bytes().is_empty() {
            self.dirs.insert(path, body.into());
        }
    }

    /// Returns the list of a directory.
    pub fn get(&self, path: &PathBytes) -> Option<Dumpdir<'_>> {
        self.dirs.get(path).and_then(|body| Dumpdir::parse(body).ok())
    }

    /// Returns which of these paths is a directory of this dump that has all the names, or the most of them.
    pub fn choose(&self, paths: &[PathBytes], names: &NameSet) -> Option<PathBytes> {
        let known = |path: &PathBytes| {
            let is_file = |code: Code| code != Code::Directory;
            let dumpdir = self.get(path)?;
            Some(dumpdir.entries().filter(|entry| is_file(entry.code) && names.contains(entry.name)).count())
        };
        // The first one of those that have as many.
        paths.iter().rev().filter_map(|path| Some((known(path)?, path))).max_by_key(|(count, _)| *count).map(|(_, path)| path.clone())
    }

    /// Says whether the disk's own directory was dumped: not when only some names of it are.
    pub fn has_root(&self) -> bool {
        self.dirs.contains_key(&PathBytes::default())
    }

    /// Returns the directories that lie in no other one of this dump.
    pub fn topmost(&self) -> Vec<&PathBytes> {
        let is_in_another = |path: &PathBytes| {
            let mut rest = path.as_bytes();
            while let Some((above, _)) = split(rest) {
                if self.dirs.contains_key(&PathBytes::new(above)) {
                    return true;
                }
                rest = above;
            }
            false
        };
        let mut found: Vec<_> = self.dirs.keys().filter(|path| !is_in_another(path)).collect();
        found.sort_unstable();
        found
    }

    /// Takes the files that lie in no directory of any dump of the chain, when all lists are known. What is a directory now, or in one, is another thing.
    pub fn set_beside(&mut self, mut files: Vec<PathBytes>) {
        files.retain(|file| !self.dirs.contains_key(file) && self.verdict(file).is_none());
        files.sort_unstable();
        self.beside = files;
    }

    /// Returns those of them that lie below a directory, by path.
    pub fn beside(&self, dir: &PathBytes) -> &[PathBytes] {
        let begin = if dir.as_bytes().is_empty() { Vec::new() } else { [dir.as_bytes(), b"/"].concat() };
        let from = self.beside.partition_point(|file| file.as_bytes() < begin.as_slice());
        let below = self.beside[from..].partition_point(|file| file.as_bytes().starts_with(&begin));
        &self.beside[from..from + below]
    }

    /// Returns the path that a directory has in this dump, by its path in the list that tar kept with it ([`Records::before`] of the dump above).
    pub fn now(&self, listed: &PathBytes) -> PathBytes {
        self.moves.now(listed)
    }

    /// Returns the paths that something may have in the list of the dump below, the likeliest first; none when it is new.
    pub fn before(&self, path: &PathBytes) -> Vec<PathBytes> {
        self.moves.before(path)
    }

    /// Returns what the nearest directory above `path` that has a list says about it. Nothing when there is no such directory.
    pub fn verdict(&self, path: &PathBytes) -> Option<Verdict> {
        let (mut rest, mut is_itself) = (path.as_bytes(), true);
        while let Some((above, name)) = split(rest) {
            let dir = PathBytes::new(above);
            if let Some(body) = self.dirs.get(&dir) {
                let code = self.code(&dir, body, name);
                return Some(match code {
                    None => Verdict::NotThere,
                    Some(Code::Here) if is_itself => Verdict::Here,
                    Some(Code::Here) => Verdict::NotThere,
                    Some(Code::Unchanged | Code::Directory) => Verdict::Below,
                });
            }
            (rest, is_itself) = (above, false);
        }
        None
    }

    /// Returns what the list of a directory says of a name. Somebody asks for all names of one directory after the other.
    fn code(&self, dir: &PathBytes, body: &[u8], name: &[u8]) -> Option<Code> {
        let mut last = self.last.borrow_mut();
        let known = last.take().filter(|(known, _)| known == dir);
        let known = known.unwrap_or_else(|| {
            let dumpdir = Dumpdir::parse(body).ok();
            let codes = dumpdir.iter().flat_map(Dumpdir::entries).map(|entry| (entry.name.into(), entry.code));
            (dir.clone(), codes.collect())
        });
        let code = known.1.get(name).copied();
        *last = Some(known);
        code
    }

    /// Returns the lists that were none.
    pub fn damaged(&self) -> &[(PathBytes, String)] {
        &self.damaged
    }
}

/// What a dump says about a path that has no list of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A file in this dump.
    Here,
    /// It is in the dump below, or nowhere.
    Below,
    /// It was not there.
    NotThere,
}
