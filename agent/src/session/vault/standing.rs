//! What stands at a vault's path, and what follows from it: a decision by values.
//!
//! A drive that is not plugged in leaves an empty mount point, or nothing at all. So a vault is made only where none has ever
//! answered, and only when a person asks for it; otherwise a scheduler would fill the disk under the mount point. A vault whose file
//! system is there, and which is not on it any more, was removed: another one may be made in its place.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::VaultError;

/// What stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing, and not even a directory to make it in: the nearest one that is there.
    NoParent(PathBuf),
    /// Nothing, or an empty directory.
    Nothing,
    /// A vault.
    Vault,
    /// A vault that somebody was about to make.
    HalfMade,
    /// Volumes of a vault, and no amanda.conf.
    NoConf,
    /// Something else; the name of one thing in it, none when it is no directory.
    Other(Option<String>),
}

/// What a call may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum May {
    /// Look, and change nothing.
    Look,
    /// Write into a vault that is there.
    Write,
    /// Make one, too.
    Make,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It is there.
    Open,
    /// It is to be made.
    Make,
}

/// Returns what tells a file system from others while nobody formats it: `f_fsid` of the nearest directory that is there. None where the
/// file system has no such number.
pub fn file_system(path: &Path) -> Option<u64> {
    let nearest = path.ancestors().find(|path| path.is_dir())?;
    let number = wide(nix::sys::statvfs::statvfs(nearest).ok()?.filesystem_id());
    (number != 0).then_some(number)
}

/// What the system says of file systems is of the machine's own width.
pub(super) fn wide(count: impl Into<u64>) -> u64 {
    count.into()
}

/// Tells whether a vault that was on this file system is gone, and its file system is not.
pub fn was_removed(path: &Path, was_on: Option<u64>) -> bool {
    let is_gone = || fs::symlink_metadata(path).is_err() || fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    was_on.is_some() && is_gone() && file_system(path) == was_on
}

/// Decides; `known` says whether a vault at this path has ever answered, and may come back.
pub fn decide(path: &Path, found: &Found, known: bool, may: May) -> Result<Act, VaultError> {
    let path = path.to_path_buf();
    match (found, known, may) {
        (Found::Vault, _, _) => Ok(Act::Open),
        (Found::NoConf, _, _) => Err(VaultError::NoConf { path }),
        (Found::Other(what), false, _) => Err(VaultError::NotAVault { path, what: what.clone() }),
        (_, true, _) => Err(VaultError::NotThere { path }),
        (Found::NoParent(nearest), false, May::Make) => Err(VaultError::NoParent { path, nearest: nearest.clone() }),
        (_, false, May::Look | May::Write) => Err(VaultError::NoneYet { path }),
        // What a killed call left behind is nobody's yet.
        (Found::Nothing | Found::HalfMade, false, May::Make) => Ok(Act::Make),
    }
}

/// Looks at a path; the functions tell a vault, and what a killed call left of one.
pub fn look(path: &Path, is_vault: impl Fn(&Path) -> bool, is_half_made: impl Fn(&Path) -> bool) -> Result<Found, VaultError> {
    let unreadable = |source: io::Error| VaultError::Unreadable { path: path.to_path_buf(), source };
    match fs::metadata(path) {
        Ok(meta) if !meta.is_dir() => return Ok(Found::Other(None)),
        Ok(_) => {}
        // A link to a place that is not there: what it leads to is on some drive.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(nothing(path)),
        Err(error) => return Err(unreadable(error)),
    }
    if is_vault(path) {
        return Ok(Found::Vault);
    }
    let has = |name: &str| fs::symlink_metadata(path.join(name)).is_ok();
    // One in the making has not come to it yet.
    if path.join("vtapes").is_dir() && !has("amanda.conf") && !has(".asyncamanda/making") {
        return Ok(Found::NoConf);
    }
    let mut other = None;
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        // A new file system has it, and nobody put it there.
        if entry.file_name() != "lost+found" {
            other.get_or_insert_with(|| crate::report::show(std::os::unix::ffi::OsStrExt::as_bytes(entry.file_name().as_os_str())));
        }
    }
    Ok(match other {
        None => Found::Nothing,
        Some(_) if is_half_made(path) => Found::HalfMade,
        other => Found::Other(other),
    })
}

fn nothing(path: &Path) -> Found {
    let parent = path.parent().unwrap_or(path);
    if fs::symlink_metadata(path).is_err() && parent.is_dir() {
        return Found::Nothing;
    }
    Found::NoParent(parent.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/")).to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_is_made_only_where_none_has_answered_and_a_person_asks() {
        use Found::{HalfMade, NoParent, Nothing, Other, Vault};
        let no_parent = || NoParent("/mnt".into());
        let other = || Other(Some("photos".to_owned()));
        for (found, known, may, expected) in [
            (Vault, false, May::Look, "open"),
            (Vault, true, May::Write, "open"),
            (Vault, true, May::Make, "open"),
            (Nothing, false, May::Make, "make"),
            (HalfMade, false, May::Make, "make"),
            (Nothing, false, May::Write, "none yet"),
            (HalfMade, false, May::Write, "none yet"),
            (no_parent(), false, May::Write, "none yet"),
            (no_parent(), false, May::Make, "no parent"),
            (other(), false, May::Make, "not a vault"),
            (other(), false, May::Write, "not a vault"),
            // The drive is not plugged in, or another one is.
            (Nothing, true, May::Make, "not there"),
            (HalfMade, true, May::Make, "not there"),
            (Nothing, true, May::Write, "not there"),
            (no_parent(), true, May::Make, "not there"),
            (other(), true, May::Make, "not there"),
        ] {
            let decided = match decide(Path::new("/mnt/usb"), &found, known, may) {
                Ok(Act::Open) => "open",
                Ok(Act::Make) => "make",
                Err(VaultError::NoneYet { .. }) => "none yet",
                Err(VaultError::NoParent { .. }) => "no parent",
                Err(VaultError::NotAVault { .. }) => "not a vault",
                Err(VaultError::NotThere { .. }) => "not there",
                Err(other) => panic!("{other:?}"),
            };
            assert_eq!(decided, expected, "{found:?}, known {known}, {may:?}");
        }
    }

    #[test]
    fn a_vault_was_removed_only_when_its_own_file_system_is_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let vault = dir.path().join("vault");
        let here = file_system(&vault);
        assert!(here.is_some(), "this file system has no number");
        assert!(was_removed(&vault, here));
        assert!(!was_removed(&vault, here.map(|number| number + 1)), "its drive is away");
        assert!(!was_removed(&vault, None), "nobody knows where it was");
        fs::create_dir(&vault).expect("made");
        assert!(was_removed(&vault, here), "an empty directory is none");
        fs::write(vault.join("amanda.conf"), "").expect("written");
        assert!(!was_removed(&vault, here));
    }

    #[test]
    fn what_stands_there_is_told_apart() {
        let dir = tempfile::tempdir().expect("a directory");
        let look =
            |name: &str| look(&dir.path().join(name), |path| path.ends_with("vault"), |path| path.ends_with("half")).expect("readable");
        for name in ["empty", "vault", "half", "photos", "drive", "drive/lost+found"] {
            fs::create_dir(dir.path().join(name)).expect("made");
        }
        fs::write(dir.path().join("photos/cat\u{1b}.jpg"), "").expect("written");
        fs::write(dir.path().join("half/amanda.conf"), "").expect("written");
        fs::write(dir.path().join("file"), "").expect("written");
        std::os::unix::fs::symlink("/none/at/all", dir.path().join("link")).expect("made");
        for (name, expected) in [
            ("none", Found::Nothing),
            ("empty", Found::Nothing),
            ("drive", Found::Nothing),
            ("vault", Found::Vault),
            ("half", Found::HalfMade),
            ("photos", Found::Other(Some("cat\\x1b.jpg".to_owned()))),
            ("file", Found::Other(None)),
            ("none/deeper", Found::NoParent(dir.path().to_path_buf())),
            ("file/deeper", Found::NoParent(dir.path().to_path_buf())),
            ("link", Found::NoParent(dir.path().to_path_buf())),
        ] {
            assert_eq!(look(name), expected, "{name}");
        }
    }
}
