//! One directory as it was: for `ls`, a shell, and completion.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use amanda::index::unescaped;
use wire::restore::{DumpId, PathBytes};

use super::planning::lists;
use crate::depot::{Depot, DepotError};
use crate::dumpdir::Code;
use crate::resolve::State;
use crate::resolve::nameset::NameSet;
use crate::resolve::records::{Records, Verdict};

/// Something that a directory had in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name: bytes, not escaped.
    pub name: Vec<u8>,
    /// It is a directory.
    pub is_directory: bool,
    /// Which dump of the state's chain has it, as an index.
    pub of: usize,
}

/// Why a directory cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It was not there.
    #[error("there was no such directory then")]
    NotThere,
    /// It is none.
    #[error("it was a file then, not a directory")]
    NotADirectory,
    /// No answer.
    #[error(transparent)]
    Depot(#[from] DepotError),
}

/// Lists a directory as it was in `state`, by name. Names are those of the dumps' own lists, and for what did not change since level 0 those of its index.
///
/// # Errors
/// See [`ListError`].
pub fn list<R: Read, W: Write>(depot: &mut Depot<R, W>, state: &State, path: &PathBytes) -> Result<Vec<Entry>, ListError> {
    let mut entries = BTreeMap::new();
    let (mut at, mut wanted) = (path.clone(), Wanted::All);
    // The path of what is wished for is that in the dump.
    let mut is_settled = true;
    for (of, dump) in state.chain.iter().enumerate().skip(1).rev() {
        let mut records = Records::default();
        lists(depot, dump, std::slice::from_ref(&at), false, &mut records, |path| at.is_in(path))?;
        let now = if is_settled { at.clone() } else { records.now(&at) };
        if now != at {
            at = now;
            lists(depot, dump, std::slice::from_ref(&at), false, &mut records, |path| at.is_in(path))?;
        }
        let mut below = NameSet::default();
        let dumpdir = records.get(&at);
        if let Some(dumpdir) = dumpdir {
            for entry in dumpdir.entries().filter(|entry| wanted.has(entry.name)) {
                let (is_directory, is_below) = (entry.code == Code::Directory, entry.code == Code::Unchanged);
                if is_below {
                    below.add(entry.name);
                } else {
                    entries.insert(entry.name.to_vec(), Entry { name: entry.name.to_vec(), is_directory, of });
                }
            }
            below.seal();
            wanted = Wanted::Only(below);
        } else if at.as_bytes().is_empty() {
            // Only some names of the disk are dumped, and files among them are in no list.
            for top in records.topmost() {
                let name = top.as_bytes().split(|byte| *byte == b'/').next().unwrap_or_default();
                entries.entry(name.to_vec()).or_insert(Entry { name: name.to_vec(), is_directory: true, of });
            }
            for (name, is_directory) in index(depot, dump, &at)? {
                entries.entry(name.clone()).or_insert(Entry { name, is_directory, of });
            }
        } else if matches!(wanted, Wanted::All) {
            match records.verdict(&at) {
                Some(Verdict::NotThere) => return Err(ListError::NotThere),
                Some(Verdict::Here) => return Err(ListError::NotADirectory),
                Some(Verdict::Below) | None => {}
            }
        }
        let before = match &wanted {
            Wanted::Only(names) if names.is_empty() => return Ok(entries.into_values().collect()),
            _ => records.before(&at),
        };
        match (<[PathBytes; 1]>::try_from(before), &wanted) {
            (Ok([before]), _) => at = before,
            (Err(several), Wanted::Only(names)) if !several.is_empty() => {
                let mut records = Records::default();
                lists(depot, &state.chain[of - 1], &several, false, &mut records, |path| several.contains(path))?;
                let several: Vec<_> = several.iter().map(|path| if of > 1 { records.now(path) } else { path.clone() }).collect();
                lists(depot, &state.chain[of - 1], &several, false, &mut records, |path| several.contains(path))?;
                at = records.choose(&several, names).unwrap_or_else(|| several[0].clone());
                is_settled = true;
                continue;
            }
            (Err(_), Wanted::All) => return Err(ListError::NotThere),
            (Err(_), _) => return Ok(entries.into_values().collect()),
        }
        is_settled = false;
    }
    let mut at_level_0 = index(depot, &state.chain[0], &at)?;
    match wanted {
        Wanted::All if at_level_0.is_empty() && entries.is_empty() => is_directory(depot, state, &at)?,
        Wanted::All => {}
        Wanted::Only(names) => at_level_0.retain(|name, _| names.contains(name)),
    }
    for (name, is_directory) in at_level_0 {
        entries.entry(name.clone()).or_insert(Entry { name, is_directory, of: 0 });
    }
    Ok(entries.into_values().collect())
}

/// What is looked for in a dump.
enum Wanted {
    /// Whatever the directory has.
    All,
    /// What the dump above has not.
    Only(NameSet),
}

impl Wanted {
    fn has(&self, name: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
        }
    }
}

/// Returns what a dump's index has in a directory: names, and whether each is a directory's.
fn index<R: Read, W: Write>(depot: &mut Depot<R, W>, dump: &DumpId, dir: &PathBytes) -> Result<BTreeMap<Vec<u8>, bool>, DepotError> {
    let mut names = BTreeMap::new();
    depot.names(dump, dir, false, |line| {
        let path = unescaped(line.strip_prefix(b"/").unwrap_or(line));
        let is_directory = path.ends_with(b"/");
        let path = PathBytes::new(&path);
        let Some(name) = crate::resolve::path::behind(&path, dir) else { return };
        // Of what lies deeper, the directory in this one.
        let mut parts = name.split(|byte| *byte == b'/');
        if let Some(first) = parts.next().filter(|first| !first.is_empty()) {
            *names.entry(first.to_vec()).or_default() |= is_directory || parts.next().is_some();
        }
    })?;
    Ok(names)
}

/// Says whether an empty directory is one.
fn is_directory<R: Read, W: Write>(depot: &mut Depot<R, W>, state: &State, path: &PathBytes) -> Result<(), ListError> {
    let Some((dir, name)) = crate::resolve::path::split(path.as_bytes()) else { return Ok(()) };
    match index(depot, &state.chain[0], &PathBytes::new(dir))?.get(name) {
        None => Err(ListError::NotThere),
        Some(false) => Err(ListError::NotADirectory),
        Some(true) => Ok(()),
    }
}
