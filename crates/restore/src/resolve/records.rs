//! What the directories of one dump had in them, as far as it is needed.

use std::collections::HashMap;

use wire::restore::PathBytes;

use super::moves::Moves;
use super::path::split;
use crate::dumpdir::{Code, Dumpdir};

/// What all lists of one dump may take together: some twenty million names.
const MAX_BYTES: usize = 512 << 20;

/// The lists of a dump's directories.
#[derive(Debug, Default)]
pub(crate) struct Records {
    dirs: HashMap<PathBytes, Box<[u8]>>,
    bytes: usize,
    moves: Moves,
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

    /// Returns the path that something has in the dump below.
    pub fn before(&self, path: &PathBytes) -> Option<PathBytes> {
        self.moves.before(path)
    }

    /// Returns what the nearest directory above `path` that has a list says about it. Nothing when there is no such directory.
    pub fn verdict(&self, path: &PathBytes) -> Option<Verdict> {
        let (mut rest, mut is_itself) = (path.as_bytes(), true);
        while let Some((dir, name)) = split(rest) {
            if let Some(dumpdir) = self.get(&PathBytes::new(dir)) {
                let code = dumpdir.entries().find(|entry| entry.name == name).map(|entry| entry.code);
                return Some(match code {
                    None => Verdict::NotThere,
                    Some(Code::Here) if is_itself => Verdict::Here,
                    Some(Code::Here) => Verdict::NotThere,
                    Some(Code::Unchanged | Code::Directory) => Verdict::Below,
                });
            }
            (rest, is_itself) = (dir, false);
        }
        None
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
