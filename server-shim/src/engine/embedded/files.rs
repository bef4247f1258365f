//! Files of Amanda's, written so that a power cut leaves the old one or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::durable;

/// How sure a file has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sure {
    /// It is on the disk when this returns.
    Durable,
    /// It can be made again from what is there.
    Cheap,
}

/// Makes a directory and those above it, for its owner alone.
pub fn make_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes a directory below one that is there, for its owner alone, durably. Where a drive has been pulled out nothing is made.
pub fn make_below(base: &Path, path: &Path) -> io::Result<()> {
    let below = path.strip_prefix(base).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut above = base.to_path_buf();
    for part in below {
        let directory = above.join(part);
        match fs::DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => durable::sync_directory(&above)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        above = directory;
    }
    Ok(())
}

/// The name that a file has while it is written; Amanda reads no such file.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".asyncamanda-new");
    path.with_file_name(name)
}

/// Puts a file in the place of the one with its name. Whoever writes the same file holds a lock.
pub fn replace(path: &Path, bytes: &[u8], sure: Sure) -> io::Result<()> {
    let beside = beside(path);
    let written = (|| {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(&beside)?;
        file.write_all(bytes)?;
        if sure == Sure::Durable {
            file.sync_all()?;
        }
        fs::rename(&beside, path)
    })();
    if let Err(error) = written {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    if sure == Sure::Durable { sync_parent(path) } else { Ok(()) }
}

/// Makes a name durable.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// Reads a file of at most so many bytes; `None` when it is not there.
pub fn read(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidData, "not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(ErrorKind::InvalidData, format!("longer than {most} bytes")));
    }
    Ok(Some(bytes))
}

/// Removes a file; one that is gone is removed.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_else_stays() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("a");
        replace(&path, b"one", Sure::Durable).expect("written");
        replace(&path, b"two", Sure::Cheap).expect("written");
        assert_eq!(read(&path, 3).expect("read"), Some(b"two".to_vec()));
        assert!(read(&path, 2).is_err());
        assert_eq!(read(&directory.path().join("b"), 2).expect("none"), None);
        assert_eq!(fs::read_dir(directory.path()).expect("list").count(), 1);
        assert!(replace(&directory.path().join("no/such"), b"x", Sure::Cheap).is_err());
    }
}
