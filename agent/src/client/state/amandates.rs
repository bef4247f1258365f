//! One line of amandates, changed as Amanda's client would change it (client-src/amandates.c).
//!
//! Amanda locks the file, reads it and writes it in place. We lock it the same way, so that two never change it at
//! once, but put a whole new file in its place, because a power cut must not leave half of one: the agent's own record
//! of when a disk was dumped, and that of every other tool, is in it.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::Path;

use amanda::{amandates, quoting};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use wire::DiskName;

use super::place::{Place, beside};

/// A longer file is none of Amanda's.
const LONGEST: u64 = 64 * 1024 * 1024;

/// What becomes of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It says this time, unless it says a later one already: so does Amanda.
    Advance(i64),
    /// It says this time, or is not there.
    PutBack(Option<i64>),
}

/// Returns what the file says of a disk at a level; nothing when there is no such file.
pub fn look(path: &Path, disk: &DiskName, level: u8) -> io::Result<Option<i64>> {
    let (directory, name) = split(path)?;
    let Some(place) = unless_missing(Place::followed(directory))? else { return Ok(None) };
    let Some(file) = unless_missing(place.open(name, false))? else { return Ok(None) };
    let (dates, _) = amandates::newest_of(file.take(LONGEST), [disk.as_bytes()])?;
    Ok(dates.get(disk.as_bytes()).and_then(|dates| dates.at_level(level)))
}

/// Changes the line of a disk and level, and nothing else in the file. Links on the path of its directory are followed.
pub fn change(path: &Path, disk: &DiskName, level: u8, change: Change) -> io::Result<()> {
    let (directory, name) = split(path)?;
    change_in(&Place::followed(directory)?, name, disk, level, change)
}

/// Takes a path apart: a directory, and a name in it.
pub(super) fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    path.parent().zip(path.file_name()).ok_or_else(|| io::Error::from(ErrorKind::InvalidInput))
}

fn unless_missing<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// The same in a directory that is open.
pub(super) fn change_in(place: &Place, name: &OsStr, disk: &DiskName, level: u8, change: Change) -> io::Result<()> {
    // Whoever changes it while we wait for the lock may put another file in its place.
    for _ in 0..16 {
        let file = unless_missing(place.open(name, true))?;
        if let Some(file) = &file {
            lock(file)?;
            if place.look(name).map(|now| (now.st_dev, now.st_ino)).ok() != file.metadata().map(|was| (was.dev(), was.ino())).ok() {
                continue;
            }
        }
        let mut old = Vec::new();
        if let Some(file) = &file {
            file.take(LONGEST + 1).read_to_end(&mut old)?;
        }
        if old.len() as u64 > LONGEST {
            return Err(io::Error::new(ErrorKind::InvalidData, "it is longer than an amandates can be"));
        }
        let new = changed(&old, disk.as_bytes(), level, change);
        return if new == old { Ok(()) } else { replace(place, name, file.as_ref(), &new) };
    }
    Err(io::Error::new(ErrorKind::WouldBlock, "somebody else keeps changing it"))
}

fn lock(file: &File) -> io::Result<()> {
    let whole = libc::flock { l_type: libc::F_WRLCK as i16, l_whence: libc::SEEK_SET as i16, l_start: 0, l_len: 0, l_pid: 0 };
    fcntl(file, FcntlArg::F_OFD_SETLKW(&whole)).map(drop).map_err(io::Error::from)
}

fn replace(place: &Place, name: &OsStr, old: Option<&File>, text: &[u8]) -> io::Result<()> {
    // A new one is Amanda's like its directory, and others may read it, as Amanda makes it.
    let (owner, mode) = match old {
        Some(old) => (old.metadata()?, old.metadata()?.mode() & 0o777),
        None => (place.metadata()?, 0o644),
    };
    place.replace(name, &beside(name), |file| {
        file.write_all(text)?;
        let ours = file.metadata()?;
        if (owner.uid(), owner.gid()) != (ours.uid(), ours.gid()) && nix::unistd::geteuid().is_root() {
            fchown(&*file, Some(owner.uid()), Some(owner.gid()))?;
        } else if old.is_some() && owner.uid() != ours.uid() {
            // Amanda's own client could not write it any more.
            return Err(io::Error::new(ErrorKind::PermissionDenied, "it belongs to somebody else"));
        }
        file.set_permissions(Permissions::from_mode(mode))
    })
}

/// Returns the whole text after the change. Lines of other disks and levels, good and bad, stay as they are.
fn changed(old: &[u8], disk: &[u8], level: u8, change: Change) -> Vec<u8> {
    let mut new = Vec::with_capacity(old.len() + disk.len() + 24);
    // Where the line belongs: instead of the first of its kind, or behind the last one of the disk, or at the end.
    let (mut place, mut last_of_disk) = (None, None);
    let mut newest = None;
    for line in old.split_inclusive(|byte| *byte == b'\n') {
        match said(line) {
            Some((name, at, epoch)) if name == disk && at == level => {
                newest = newest.max(Some(epoch));
                place = place.or(Some(new.len()));
            }
            other => {
                new.extend(line);
                if !line.ends_with(b"\n") {
                    new.push(b'\n');
                }
                if other.is_some_and(|(name, ..)| name == disk) {
                    last_of_disk = Some(new.len());
                }
            }
        }
    }
    let epoch = match change {
        Change::Advance(epoch) => newest.max(Some(epoch)),
        Change::PutBack(epoch) => epoch,
    };
    if let Some(epoch) = epoch {
        let line = [&quoting::quote(disk)[..], format!(" {level} {epoch}\n").as_bytes()].concat();
        let place = place.or(last_of_disk).unwrap_or(new.len());
        new.splice(place..place, line);
    }
    new
}

/// Returns what one line says.
fn said(line: &[u8]) -> Option<(Vec<u8>, u8, i64)> {
    let mut found = None;
    amandates::scan(line, |name, level, epoch| found = Some((name.to_vec(), level, epoch))).ok()?;
    found
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const OLD: &str = "/a 0 100\n/home 0 200\n/home 1 300\nnot a line\n\"/x y\" 0 400\n";

    #[test]
    fn one_line_changes_and_the_rest_stays() {
        for (case, disk, level, change, expected) in [
            ("later", "/home", 1, Change::Advance(301), "/a 0 100\n/home 0 200\n/home 1 301\nnot a line\n\"/x y\" 0 400\n"),
            ("earlier than it says", "/home", 1, Change::Advance(299), OLD),
            ("a new level", "/home", 2, Change::Advance(5), "/a 0 100\n/home 0 200\n/home 1 300\n/home 2 5\nnot a line\n\"/x y\" 0 400\n"),
            ("a quoted name", "/x y", 0, Change::Advance(401), "/a 0 100\n/home 0 200\n/home 1 300\nnot a line\n\"/x y\" 0 401\n"),
            ("a new disk", "/z", 0, Change::Advance(9), "/a 0 100\n/home 0 200\n/home 1 300\nnot a line\n\"/x y\" 0 400\n/z 0 9\n"),
            ("put back", "/home", 1, Change::PutBack(Some(250)), "/a 0 100\n/home 0 200\n/home 1 250\nnot a line\n\"/x y\" 0 400\n"),
            ("taken away", "/home", 0, Change::PutBack(None), "/a 0 100\n/home 1 300\nnot a line\n\"/x y\" 0 400\n"),
        ] {
            let new = changed(OLD.as_bytes(), disk.as_bytes(), level, change);
            assert_eq!(String::from_utf8_lossy(&new), expected, "{case}");
        }
        assert_eq!(changed(b"", b"/a", 0, Change::Advance(1)), b"/a 0 1\n");
        assert_eq!(changed(b"/b 0 5", b"/a", 0, Change::Advance(1)), b"/b 0 5\n/a 0 1\n", "a cut line is kept and ended");
    }

    #[test]
    fn the_file_keeps_its_mode_and_is_made_when_missing() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, disk) = (dir.path().join("amandates"), DiskName::new("/home").expect("a name"));
        change(&path, &disk, 0, Change::Advance(7)).expect("made");
        assert_eq!(look(&path, &disk, 0).expect("there"), Some(7));
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("ours");
        change(&path, &disk, 0, Change::Advance(8)).expect("changed");
        assert_eq!(fs::read(&path).expect("there"), b"/home 0 8\n");
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1, "nothing is left beside it");
        assert!(change(&dir.path().join("none/amandates"), &disk, 0, Change::Advance(1)).is_err());
    }

    #[test]
    fn neither_a_link_nor_a_pipe_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let (link, pipe) = (dir.path().join("link"), dir.path().join("pipe"));
        let disk = DiskName::new("/home").expect("a name");
        fs::write(dir.path().join("other"), "/home 0 7\n").expect("ours");
        std::os::unix::fs::symlink("other", &link).expect("ours");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("ours");
        for path in [&link, &pipe] {
            assert!(look(path, &disk, 0).is_err(), "{}", path.display());
            assert!(change(path, &disk, 0, Change::Advance(8)).is_err(), "{}", path.display());
        }
    }

    #[test]
    fn a_directory_that_is_reached_through_a_link_is_as_good() {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = DiskName::new("/home").expect("a name");
        fs::create_dir(dir.path().join("real")).expect("made");
        std::os::unix::fs::symlink("real", dir.path().join("amanda")).expect("ours");
        for at in [7, 8] {
            change(&dir.path().join("amanda/amandates"), &disk, 0, Change::Advance(at)).expect("changed");
            assert_eq!(look(&dir.path().join("amanda/amandates"), &disk, 0).expect("there"), Some(at));
        }
        assert_eq!(fs::read(dir.path().join("real/amandates")).expect("there"), b"/home 0 8\n");
    }
}
