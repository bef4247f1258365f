//! Small files that survive a power cut, and small files that somebody else wrote.
//!
//! Written: temporary name beside the target, fsync, rename, fsync of the directory. Read: only a regular file, never
//! through a symlink, never more than a limit.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest small file we read: a ticket of 256 disks with the longest names stays below.
pub const MAX_SMALL_FILE: u64 = 4 * 1024 * 1024;

/// Writes `value` as JSON to `path`: the old content or the new one is there after a crash, never half of it.
///
/// The file gets `mode`; its group is the directory's where that is set-gid.
pub fn write_json<T: Serialize>(path: &Path, value: &T, mode: u32) -> io::Result<()> {
    let directory = replace(path, value, mode, true)?;
    sync_directory(directory)
}

/// Writes `value` as JSON to `path` for those who look now: whole or not at all for them, and worth nothing after a crash.
pub fn publish_json<T: Serialize>(path: &Path, value: &T, mode: u32) -> io::Result<()> {
    replace(path, value, mode, false).map(drop)
}

fn replace<'a, T: Serialize>(path: &'a Path, value: &T, mode: u32, durable: bool) -> io::Result<&'a Path> {
    let directory = path.parent().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a path without a directory"))?;
    let mut file = tempfile::Builder::new().prefix(".new-").permissions(Permissions::from_mode(mode)).tempfile_in(directory)?;
    let mut text = serde_json::to_vec(value).map_err(io::Error::other)?;
    text.push(b'\n');
    file.write_all(&text)?;
    // The umask may have taken bits away that the other account needs.
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    if durable {
        file.as_file().sync_all()?;
    }
    file.persist(path).map_err(|error| error.error)?;
    Ok(directory)
}

/// Makes the names in a directory durable.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Removes a file whose return after a power cut does no harm; one that is gone already is removed.
pub fn discard(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads a small file that may have been made by somebody else.
///
/// A symlink, a fifo, a directory or a file over [`MAX_SMALL_FILE`] is an error, and none of them makes us wait.
pub fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_SMALL_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SMALL_FILE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "larger than 4 MiB"));
    }
    Ok(bytes)
}

/// Reads a small JSON file; none when there is no such file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match read_small(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else_stays() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("a");
        write_json(&path, &vec![1, 2], 0o640).expect("write");
        write_json(&path, &vec![3], 0o640).expect("write again");
        assert_eq!(read_json::<Vec<u32>>(&path).expect("read"), Some(vec![3]));
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(directory.path()).expect("list").count(), 1);
    }

    #[test]
    fn symlinks_fifos_directories_and_large_files_are_not_read() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let target = directory.path().join("target");
        fs::write(&target, "[]").expect("write");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&target, &link).expect("symlink");
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("fifo");
        let large = directory.path().join("large");
        File::create(&large).expect("create").set_len(MAX_SMALL_FILE + 1).expect("sparse");
        for path in [link.as_path(), fifo.as_path(), directory.path(), large.as_path()] {
            assert!(read_json::<Vec<u32>>(path).is_err(), "{} was read", path.display());
        }
        assert!(read_json::<Vec<u32>>(&directory.path().join("missing")).expect("missing is none").is_none());
    }
}
