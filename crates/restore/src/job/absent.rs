//! What a directory's list has and the dump has not: tar lists a socket like a file and keeps it in no archive, and what it cannot read neither. A name that
//! the dump's index has as well is another matter: it was dumped, and did not come.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{Read, Write};

use amanda::index;
use wire::restore::{DumpId, PathBytes};

use super::Failure;
use crate::depot::Depot;
use crate::resolve::path::split;

/// The index is asked for so many directories one by one, otherwise for all of it.
const FEW: usize = 32;

/// Says of each path whether the dump's index has it.
///
/// # Errors
/// When the conversation cannot go on. An index that cannot be had has everything, so that nothing is taken lightly.
pub(super) fn look_up<R: Read, W: Write>(
    depot: &mut Depot<R, W>,
    dump: &DumpId,
    paths: Vec<PathBytes>,
) -> Result<Vec<(PathBytes, bool)>, Failure> {
    let line = |path: &PathBytes| [b"/", &index::escaped(path.as_bytes())[..]].concat();
    let wanted: HashSet<Vec<u8>> = paths.iter().map(line).collect();
    let raw: HashMap<Vec<u8>, Vec<u8>> = paths.iter().map(|path| (path.as_bytes().to_vec(), line(path))).collect();
    let above = |path: &PathBytes| PathBytes::new(split(path.as_bytes()).map_or(&b""[..], |(dir, _)| dir));
    let mut directories: BTreeSet<PathBytes> = paths.iter().map(above).collect();
    let deep = directories.len() > FEW;
    if deep {
        directories = BTreeSet::from([PathBytes::default()]);
    }
    let mut indexed = HashSet::new();
    for directory in &directories {
        let named = depot.names(dump, directory, deep, |name| {
            let name = name.strip_suffix(b"/").unwrap_or(name);
            if wanted.contains(name) {
                indexed.insert(name.to_vec());
            } else if let Some(line) = raw.get(&index::unescaped(name.strip_prefix(b"/").unwrap_or(name))[..]) {
                // Other programs write an index too, and escape less.
                indexed.insert(line.clone());
            }
        });
        match named {
            Ok(()) => {}
            Err(error) if error.is_no() => return Ok(paths.into_iter().map(|path| (path, true)).collect()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(paths.into_iter().map(|path| (line(&path), path)).map(|(line, path)| (path, indexed.contains(&line))).collect())
}
