//! What a vault that is opened by its path may consist of: itself.
//!
//! A drive is made by whoever had it in his hands, and opened by root. So nothing that is written on it leads a write elsewhere: its paths
//! are the fixed ones, its files include no others, and its directories are directories, on its own file system, of its own account.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use amanda::conf::Config;
use amanda::vtape::changer::{CURRENT, ChgDisk};

use super::{CONF, OWN, account, failed};
use crate::engine::Trouble;

/// Requires the paths that every vault has.
pub(super) fn paths(config: &Config, directory: &Path, holding: &Path, changer: &ChgDisk) -> Result<(), Trouble> {
    for (setting, is, name) in [
        ("tapelist", config.tapelist(), "tapelist"),
        ("diskfile", config.diskfile(), "disklist"),
        ("logdir", config.logdir(), "log"),
        ("indexdir", config.indexdir(), "index"),
        ("infofile", config.infofile(), "curinfo"),
        ("the holding disk", holding.to_owned(), "holding"),
        ("tpchanger", changer.directory().to_owned(), "vtapes"),
    ] {
        let ought = directory.join(name);
        if is != ought {
            return Err(Trouble::config(
                format!("{} says that {setting} is {}, which is not this vault's", directory.join(CONF).display(), is.display()),
                format!("name {}: a vault has all of its files in itself", ought.display()),
            ));
        }
    }
    Ok(())
}

/// Requires that all directories of a vault that are written to are its own.
pub(super) fn directories(directory: &Path, vault: &Metadata) -> Result<(), Trouble> {
    let mut looked = Vec::new();
    for name in ["log", "index", "curinfo", "holding", "vtapes", OWN] {
        let path = directory.join(name);
        if is_own(&path, vault)? {
            looked.push((path, if matches!(name, "index" | "curinfo") { 2 } else { 1 }));
        }
    }
    // Below those: each slot, each run on the holding disk, each host and disk, and what our own things lie in.
    while let Some((above, depth)) = looked.pop() {
        let list = fs::read_dir(&above).map_err(|error| failed("cannot list", &above, &error))?;
        for entry in list {
            let entry = entry.map_err(|error| failed("cannot list", &above, &error))?;
            let path = entry.path();
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            // chg-disk's own symlink, which nothing is written through.
            if is_file || entry.file_name() == CURRENT || !fs::metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
                continue;
            }
            if is_own(&path, vault)? && depth > 1 {
                looked.push((path, depth - 1));
            }
        }
    }
    let tapelist = directory.join("tapelist");
    match fs::symlink_metadata(&tapelist) {
        Ok(metadata) if !metadata.is_file() => Err(foreign(&tapelist, "is not a regular file")),
        _ => Ok(()),
    }
}

/// Says whether a directory is there; it has to be one of the vault's then.
fn is_own(path: &PathBuf, vault: &Metadata) -> Result<bool, Trouble> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed("cannot look at", path, &error)),
    };
    if metadata.is_symlink() {
        return Err(foreign(path, "is a symlink"));
    }
    if !metadata.is_dir() {
        return Err(foreign(path, "is not a directory"));
    }
    if metadata.dev() != vault.dev() {
        return Err(foreign(path, "is on another file system than the vault"));
    }
    if metadata.uid() != vault.uid() {
        return Err(foreign(path, &format!("belongs to {}, and the vault to {}", account(metadata.uid()), account(vault.uid()))));
    }
    Ok(true)
}

fn foreign(path: &Path, what: &str) -> Trouble {
    Trouble::refused(
        format!("{} {what}: nothing is written into a vault that leads out of itself", path.display()),
        "a vault has all of its files in directories of its own; look at who put this there, and put it right",
    )
}
