//! A directory to restore into, one beside it that nothing may touch, and members.

#![allow(dead_code, reason = "each test file uses some of it")]

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use restore::member::{Body, Kind, Member};
use restore::place::{Put, PutError, Rules, Target};
use wire::restore::PathBytes;

/// Content in pieces, and perhaps an error in the place of the last one.
pub struct Pieces {
    pieces: Vec<(u64, Vec<u8>)>,
    next: usize,
    end: Option<io::ErrorKind>,
}

impl Body for Pieces {
    fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        self.next += 1;
        match (self.pieces.get(self.next - 1), self.end) {
            (Some((offset, bytes)), _) => Ok(Some((*offset, bytes))),
            (None, None) => Ok(None),
            (None, Some(kind)) => Err(kind.into()),
        }
    }
}

/// Content that comes in one piece.
pub fn body(content: &[u8]) -> Pieces {
    pieces(&[(0, content)])
}

pub fn pieces(pieces: &[(u64, &[u8])]) -> Pieces {
    Pieces { pieces: pieces.iter().map(|(offset, bytes)| (*offset, bytes.to_vec())).collect(), next: 0, end: None }
}

/// Content that breaks off.
pub fn cut(content: &[u8]) -> Pieces {
    Pieces { end: Some(io::ErrorKind::UnexpectedEof), ..body(content) }
}

pub fn member(kind: Kind) -> Member {
    let (user, group) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    Member {
        path: Vec::new(),
        kind,
        mode: 0o644,
        owner: (user, Vec::new()),
        group: (group, Vec::new()),
        mtime: (1_000_000_000, 123_456_789),
        atime: None,
        size: 0,
        xattrs: Vec::new(),
        acl_access: None,
        acl_default: None,
    }
}

pub fn file(content: &[u8]) -> Member {
    Member { size: content.len() as u64, ..member(Kind::File) }
}

pub fn directory() -> Member {
    Member { mode: 0o755, ..member(Kind::Directory { dumpdir: None }) }
}

pub fn symlink(to: impl AsRef<Path>) -> Member {
    use std::os::unix::ffi::OsStrExt as _;
    Member { mode: 0o777, ..member(Kind::Symlink(to.as_ref().as_os_str().as_bytes().to_vec())) }
}

pub fn at(path: impl AsRef<[u8]>) -> PathBytes {
    PathBytes::new(path.as_ref())
}

/// What one may see of a file without reading it.
pub type Seen = (PathBuf, u32, u32, u32, u64, i64, i64, u64, Vec<u8>);

/// Two directories.
pub struct World {
    _dir: tempfile::TempDir,
    pub target: PathBuf,
    pub outside: PathBuf,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let (target, outside) = (dir.path().join("target"), dir.path().join("outside"));
        fs::create_dir(&target).expect("target");
        fs::create_dir_all(outside.join("sub")).expect("outside");
        fs::write(outside.join("victim"), "untouched").expect("victim");
        fs::set_permissions(outside.join("victim"), fs::Permissions::from_mode(0o600)).expect("mode");
        Self { _dir: dir, target, outside }
    }

    pub fn open(&self, rules: Rules) -> Target {
        Target::open(&self.target, rules).expect("opens")
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.target.join(path)
    }

    /// Everything about what lies outside, so that it can be compared.
    pub fn seen_outside(&self) -> Vec<Seen> {
        let parent = self.target.parent().expect("has one");
        let mut seen = vec![];
        let mut todo = vec![self.outside.clone()];
        let names: Vec<_> = fs::read_dir(parent).expect("listed").map(|entry| entry.expect("entry").file_name()).collect();
        assert_eq!(names.len(), 2, "nothing is beside target and outside: {names:?}");
        while let Some(path) = todo.pop() {
            let meta = fs::symlink_metadata(&path).expect("there");
            let content = if meta.is_file() { fs::read(&path).expect("readable") } else { Vec::new() };
            if meta.is_dir() {
                todo.extend(fs::read_dir(&path).expect("listed").map(|entry| entry.expect("entry").path()));
            }
            seen.push((path, meta.mode(), meta.uid(), meta.gid(), meta.nlink(), meta.mtime(), meta.mtime_nsec(), meta.ino(), content));
        }
        seen.sort();
        seen
    }

    /// Everything in the target, by its path below it.
    pub fn names(&self) -> Vec<String> {
        let mut names = vec![];
        let mut todo = vec![self.target.clone()];
        while let Some(path) = todo.pop() {
            for entry in fs::read_dir(&path).expect("listed") {
                let path = entry.expect("entry").path();
                names.push(path.strip_prefix(&self.target).expect("below").display().to_string());
                if fs::symlink_metadata(&path).expect("there").is_dir() {
                    todo.push(path);
                }
            }
        }
        names.sort();
        names
    }
}

pub fn put(target: &mut Target, path: impl AsRef<[u8]>, member: &Member, content: &[u8]) -> Result<Put, PutError> {
    target.put(&at(path), member, &mut body(content))
}

/// Puts what has no content, or a file with this content, and expects that it is there then without remarks.
pub fn made(target: &mut Target, path: impl AsRef<[u8]>, member: &Member, content: &[u8]) {
    let path = path.as_ref();
    assert_eq!(put(target, path, member, content).expect("put"), Put::Made(vec![]), "{:?}", String::from_utf8_lossy(path));
}

/// Ends a restore that has nothing to remark.
pub fn finish(target: Target) {
    let finished = target.finish();
    assert!(finished.remarks.is_empty() && finished.unsure.is_none(), "{finished:?}");
}

/// As root may, replacing nothing; nobody waits for the disks.
pub fn rules() -> Rules {
    Rules { sync: false, ..Rules::of_this_process() }
}

pub fn overwrite() -> Rules {
    Rules { overwrite: true, ..rules() }
}

/// Runs a test's facts as an ordinary user: in another process when this one is root.
pub fn as_an_ordinary_user(test: &str, facts: impl FnOnce()) {
    use std::os::unix::process::CommandExt as _;
    if !nix::unistd::geteuid().is_root() {
        return facts();
    }
    let dir = tempfile::tempdir().expect("directory");
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
    open(dir.path(), 0o755);
    // The build's own directory may be closed to others.
    let program = dir.path().join("test");
    fs::copy(std::env::current_exe().expect("this program"), &program).expect("copied");
    open(&program, 0o755);
    let work = dir.path().join("work");
    fs::create_dir(&work).expect("directory");
    open(&work, 0o777);
    let done = std::process::Command::new(&program)
        .args(["--exact", test, "--nocapture"])
        .env("TMPDIR", &work)
        .current_dir("/")
        .uid(47_110)
        .gid(47_110)
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&done.stderr));
}
