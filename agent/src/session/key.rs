//! Looks at the private key before ssh does: ssh passes over a key it cannot use, and then says only that it was refused.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not there.
    #[error("the key {} does not exist", .0.display())]
    Missing(PathBuf),
    /// Not for this user.
    #[error("the key {} cannot be read", path.display())]
    Unreadable {
        /// The key.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A directory, or something else that holds no key.
    #[error("the key {} is not a file", .0.display())]
    NotAFile(PathBuf),
    /// Others can read it; ssh refuses it.
    #[error("the key {} can be read by others (mode {mode:04o}), so ssh will not use it", path.display())]
    TooOpen {
        /// The key.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The public half, which is easily mistaken for it.
    #[error("{} is a public key; the private one is needed", .0.display())]
    Public(PathBuf),
}

/// Checks that ssh could use this key.
pub fn check(path: &Path) -> Result<(), KeyError> {
    let unreadable = |source| KeyError::Unreadable { path: path.to_path_buf(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(KeyError::Missing(path.to_path_buf())),
        Err(error) => return Err(unreadable(error)),
    };
    let meta = file.metadata().map_err(unreadable)?;
    if !meta.is_file() {
        return Err(KeyError::NotAFile(path.to_path_buf()));
    }
    // As ssh has it: only an own key must be closed; a group may share one that belongs to somebody else.
    if meta.uid() == nix::unistd::getuid().as_raw() && meta.mode() & 0o077 != 0 {
        return Err(KeyError::TooOpen { path: path.to_path_buf(), mode: meta.mode() & 0o7777 });
    }
    let mut start = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, 4), &mut start).map_err(unreadable)?;
    if start == b"ssh-" || start == b"ecds" { Err(KeyError::Public(path.to_path_buf())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn only_a_closed_file_of_ones_own_is_a_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        assert!(matches!(check(&path), Err(KeyError::Missing(_))));
        assert!(matches!(check(dir.path()), Err(KeyError::NotAFile(_))));
        for (text, mode, good) in [
            ("-----BEGIN OPENSSH PRIVATE KEY-----\n", 0o600, true),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\n", 0o400, true),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\n", 0o640, false),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\n", 0o604, false),
            ("ssh-ed25519 AAAA me@here\n", 0o600, false),
        ] {
            write(&path, text).expect("written");
            set_permissions(&path, Permissions::from_mode(mode)).expect("set");
            assert_eq!(check(&path).is_ok(), good, "{mode:o} {text:?}");
        }
    }
}
