//! A directory that is opened once, and everything in it by its name there.
//!
//! Where Amanda's client keeps its state belongs to Amanda's account, and we may be root. A path that is looked up again at each step could lead
//! somewhere else each time: that account only has to put a link in the place of a directory.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, renameat};
use nix::libc;
use nix::sys::stat::{FileStat, Mode, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// An open directory.
#[derive(Debug)]
pub(super) struct Place {
    /// For names in it, and nothing else: that is possible also where one may enter and not list.
    fd: File,
}

impl Place {
    /// Opens a directory as it is named; links on its path are followed.
    pub(super) fn followed(path: &Path) -> io::Result<Self> {
        // The directory of a bare name is this one.
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Ok(Self { fd: File::from(openat(AT_FDCWD, path, directory(), Mode::empty())?) })
    }

    /// Opens a directory whose path has no link in it. One name after the other is opened, as openat2 does it for `RESOLVE_NO_SYMLINKS`, which
    /// kernels before 5.6 lack. `setting` is what names the directory in agent.toml.
    ///
    /// # Errors
    /// Also when there is a link; the words say where it is and what to do.
    pub(super) fn without_links(path: &Path, setting: &str) -> io::Result<Self> {
        let mut at = PathBuf::from("/");
        let mut fd = openat(AT_FDCWD, &at, directory(), Mode::empty())?;
        for part in names(path)? {
            at.push(part);
            fd = enter(&fd, part, &at, setting)?;
        }
        Ok(Self { fd: File::from(fd) })
    }

    /// Opens a file in it, and nothing else: a link could lead to somebody else's file, and a pipe is waited for.
    pub(super) fn open(&self, name: &OsStr, write: bool) -> io::Result<File> {
        let access = if write { OFlag::O_RDWR } else { OFlag::O_RDONLY };
        let flags = access | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(openat(&self.fd, name, flags, Mode::empty())?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::new(ErrorKind::InvalidInput, "it is not a file")) }
    }

    /// Returns what has a name in it, links not followed.
    pub(super) fn look(&self, name: &OsStr) -> io::Result<FileStat> {
        Ok(fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW)?)
    }

    /// Returns whose it is.
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.fd.metadata()
    }

    /// Removes a file that may be gone already.
    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        match unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir) {
            Err(Errno::ENOENT) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Writes a new file under the name `new`, which nothing may have, and puts it in the place of `name`, durably.
    pub(super) fn replace(&self, name: &OsStr, new: &OsStr, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(&self.fd, new, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
        let replaced = fill(&mut file).and_then(|()| file.sync_all()).and_then(|()| Ok(renameat(&self.fd, new, &self.fd, name)?));
        if replaced.is_err() {
            let _the_error_counts = self.remove(new);
        }
        replaced.and_then(|()| self.sync())
    }

    fn sync(&self) -> io::Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        File::from(openat(&self.fd, ".", flags, Mode::empty())?).sync_all()
    }
}

/// Makes up a name for what is to take the place of a file.
pub(super) fn beside(name: &OsStr) -> OsString {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let mut new = OsString::from(".");
    new.push(name);
    new.push(format!(".{}-{}", std::process::id(), since.as_nanos()));
    new
}

fn directory() -> OFlag {
    OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC
}

/// Returns the names on an absolute path.
fn names(path: &Path) -> io::Result<Vec<&OsStr>> {
    let unclear = || io::Error::new(ErrorKind::InvalidInput, format!("{} has to be absolute, and without ..", path.display()));
    let below = path.strip_prefix("/").map_err(|_| unclear())?;
    let name = |part| if let Component::Normal(name) = part { Ok(name) } else { Err(unclear()) };
    below.components().map(name).collect()
}

/// Opens a directory in one that is open; `at` is its whole path.
fn enter(fd: &impl AsFd, name: &OsStr, at: &Path, setting: &str) -> io::Result<OwnedFd> {
    openat(fd, name, directory() | OFlag::O_NOFOLLOW, Mode::empty())
        .map_err(|errno| if is_link(fd, name) { leads_away(at, setting) } else { errno.into() })
}

fn is_link(fd: &impl AsFd, name: &OsStr) -> bool {
    fstatat(fd, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFLNK)
}

fn leads_away(link: &Path, setting: &str) -> io::Error {
    let link = link.display();
    let words = format!("{link} is a symbolic link, and none is followed here: give the real directory as {setting} in agent.toml");
    io::Error::new(ErrorKind::InvalidInput, words)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_anywhere_on_the_path_is_named_and_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().canonicalize().expect("there");
        fs::create_dir_all(root.join("real/lists")).expect("made");
        symlink("real", root.join("link")).expect("ours");
        symlink("lists", root.join("real/also")).expect("ours");
        assert!(Place::without_links(&root.join("real/./lists/"), "`x`").is_ok());
        for (path, link) in [("link/lists", "link"), ("real/also", "real/also"), ("link", "link"), ("link/.", "link")] {
            let words = Place::without_links(&root.join(path), "`x`").expect_err("a link").to_string();
            assert!(words.starts_with(&format!("{} is a symbolic link", root.join(link).display())), "{path}: {words}");
            assert!(words.contains("as `x` in agent.toml"), "{words}");
            assert!(Place::followed(&root.join(path)).is_ok(), "{path}");
        }
        assert!(Place::without_links(&root.join("real/../real"), "`x`").is_err(), "what is above is not looked up");
        assert!(Place::without_links(Path::new("real"), "`x`").is_err(), "from where?");
        let missing = Place::without_links(&root.join("none/lists"), "`x`").expect_err("not there");
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn an_open_directory_stays_the_one_that_was_opened() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().canonicalize().expect("there");
        let (lists, moved, others) = (root.join("lists"), root.join("moved"), root.join("others"));
        fs::create_dir(&lists).expect("made");
        fs::create_dir(&others).expect("made");
        fs::write(others.join("old"), "theirs").expect("ours");
        let place = Place::without_links(&lists, "`x`").expect("no link");
        fs::rename(&lists, &moved).expect("ours");
        symlink(&others, &lists).expect("ours");
        place.replace(OsStr::new("list"), OsStr::new("list.new"), |_| Ok(())).expect("written");
        place.remove(OsStr::new("old")).expect("not there is as good");
        assert!(moved.join("list").exists());
        assert_eq!(fs::read_dir(&others).expect("there").count(), 1, "nothing came, nothing went");
        let failed = place.replace(OsStr::new("list"), OsStr::new("list.new"), |_| Err(ErrorKind::StorageFull.into()));
        assert!(failed.is_err());
        assert!(!moved.join("list.new").exists(), "half a file does not stay");
    }
}
