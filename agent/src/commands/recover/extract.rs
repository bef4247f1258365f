//! `extract`: asks before, and writes what is on the list into the local directory.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use wire::restore::PathBytes;

use super::archive::{Archive, Extracted, Person};
use super::list::List;
use super::shell::Trouble;
use crate::report::show;

/// Existing files that are named one by one before it is asked whether to replace them.
const NAMED: usize = 10;

/// Brings back what is on the list, date by date, and takes it off.
///
/// # Errors
/// When not all of it is there afterwards.
pub fn run(archive: &mut dyn Archive, person: &mut dyn Person, list: &mut List, overwrite: bool) -> Result<(), Trouble> {
    if list.is_empty() {
        return Err(Trouble::Words("Extract list empty - No files to extract!".to_owned()));
    }
    let into = std::env::current_dir().map_err(|error| Trouble::Words(format!("the local directory is gone: {error}")))?;
    person.say(&format!("Restoring files into directory {}", show(into.as_os_str().as_bytes())));
    let mut overwrite = overwrite;
    let there = existing(&into, list.paths());
    if !there.is_empty() {
        for name in there.iter().take(NAMED) {
            let what = if overwrite { "will be overwritten" } else { "is there" };
            person.say(&format!("WARNING: Existing file {} {what}", show(name.as_os_str().as_bytes())));
        }
        if there.len() > NAMED {
            person.say(&format!("WARNING: and {} more", there.len() - NAMED));
        }
    }
    match person.ask("Continue?", true) {
        Some(false) => return Ok(()),
        Some(true) if !overwrite && !there.is_empty() => overwrite = person.ask("Overwrite files that are there?", false) == Some(true),
        _ => {}
    }
    let mut missing = false;
    while let Some((state, paths)) = list.first() {
        missing |= archive.extract(&state, &paths, &into, overwrite)? == Extracted::NotAll;
        list.done();
    }
    match missing {
        false => Ok(()),
        true => Err(Trouble::Words("Not everything was restored".to_owned())),
    }
}

/// Returns what would be in the way; directories are not.
fn existing<'p>(into: &Path, paths: impl Iterator<Item = &'p PathBytes>) -> Vec<std::path::PathBuf> {
    let full = |path: &PathBytes| into.join(std::ffi::OsStr::from_bytes(path.as_bytes()));
    paths.map(full).filter(|path| fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_dir())).collect()
}
