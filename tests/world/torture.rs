//! A tree with everything in it that makes backups difficult. What happens to it between two of them is [`crate::life`]'s.
//!
//! About 10,000 entries, or fewer: names of 255 bytes, deep paths, names that are no UTF-8, that have newlines, backslashes, quotes, blanks,
//! leading dashes; hard links across directories, a file with holes, extended attributes and ACLs where the file system has
//! them ([`features`] says so), a socket, fifos, links into nowhere, empty directories, files that only root can read. All of it is
//! what GNU tar can carry, the socket apart.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{Mode, UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use rustix::fs::XattrFlags;

use crate::child;
use crate::tree::Noise;

/// What the file system below a path can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// `user.*` attributes.
    pub attributes: bool,
    /// POSIX ACLs.
    pub acls: bool,
    /// Times finer than a second.
    pub nanoseconds: bool,
}

const DIRECTORIES: usize = 100;

/// How many files it has: making, saving and restoring them takes most of a test's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// About 10,000.
    Whole,
    /// About 1,700, of every kind that the whole one has.
    Small,
}

/// Plants the tree; what it has depends on the seed. Says on stderr what the file system cannot hold.
///
/// # Panics
/// When the file system refuses something else.
pub fn plant(root: &Path, seed: u64, size: Size) {
    let mut noise = Noise::new(seed);
    fs::create_dir_all(root).expect("a tree of our own");
    let features = features(root);
    if features != (Features { attributes: true, acls: true, nanoseconds: true }) {
        eprintln!("torture: the file system of {} lacks something, and the tree goes without: {features:?}", root.display());
    }
    many(root, &mut noise, if size == Size::Whole { 98 } else { 14 });
    odd_names(root);
    deep(root);
    links_and_nodes(root);
    let mut sparse = File::create(root.join("sparse")).expect("a tree of our own");
    for offset in [0_u64, 5 << 20, (24 << 20) - 7] {
        sparse.seek(SeekFrom::Start(offset)).and_then(|_| sparse.write_all(b"island\n")).expect("a tree of our own");
    }
    attributes(root, features);
    secrets(root);
    times(root, seed);
}

fn many(root: &Path, noise: &mut Noise, files_each: usize) {
    for d in 0..DIRECTORIES {
        let dir = root.join(format!("many/{:02}/{d:03}", d % 7));
        fs::create_dir_all(&dir).expect("a tree of our own");
        for f in 0..files_each {
            let size = usize::try_from(noise.draw() % 700).expect("small");
            fs::write(dir.join(format!("file {f:03}.txt")), noise.bytes(size)).expect("a tree of our own");
        }
    }
    fs::write(root.join("bulk"), noise.bytes(1_500_000)).expect("a tree of our own");
}

/// Returns the names that programs stumble over.
pub fn names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        &b"caf\xe9"[..],
        b"\xff\xfe\xfd",
        b"new\nline",
        b"\n",
        b"back\\slash",
        b"\\n",
        b"\\101",
        b"-rf",
        b"--checkpoint-action=exec=touch evil",
        b"--",
        b" blanks ",
        b"tab\there",
        b"\"quoted\"",
        b"it's",
        b"*?[x]",
        b"#hash",
        b"~",
        b"...",
        b"bell\x07\x1b[2J",
        b"del\x7f",
        "naïve\u{301} \u{1f480}".as_bytes(),
        b"%s%n",
        b"$(id)`id`;id",
        b"a:b",
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    names.extend([vec![b'n'; 255], [vec![b'x'; 254], vec![b'\n']].concat(), vec![0xe4; 255], (1..=46).collect(), (48..=255).collect()]);
    names
}

fn odd_names(root: &Path) {
    for (kind, dir) in [("files", false), ("directories", true)] {
        let place = root.join("odd").join(kind);
        fs::create_dir_all(&place).expect("a tree of our own");
        for name in names() {
            let path = place.join(OsStr::from_bytes(&name));
            if dir {
                fs::create_dir(&path)
                    .and_then(|()| fs::write(path.join(OsStr::from_bytes(&name)), b"inside\n"))
                    .expect("a tree of our own");
            } else {
                fs::write(&path, &name).expect("a tree of our own");
            }
        }
    }
}

fn deep(root: &Path) {
    // As deep as a path may be for programs that know no other way, with room for where it is restored to.
    let mut path = root.join("deep");
    while path.as_os_str().len() < 3500 {
        path.push(format!("level {:0>60}", path.components().count()));
    }
    fs::create_dir_all(&path).and_then(|()| fs::write(path.join("bottom"), "here\n")).expect("a tree of our own");
}

fn links_and_nodes(root: &Path) {
    for dir in ["links/a", "links/b", "nodes", "empty/one", "empty/two/three"] {
        fs::create_dir_all(root.join(dir)).expect("a tree of our own");
    }
    fs::write(root.join("links/a/one"), "one file, four names\n").expect("a tree of our own");
    for name in ["links/a/two", "links/b/three", "links/four"] {
        fs::hard_link(root.join("links/a/one"), root.join(name)).expect("one file system");
    }
    let long = "/".to_owned() + &"far/".repeat(250);
    for (target, name) in
        [("../a/one", "links/b/relative"), ("/nowhere/at all", "links/dangling"), (".", "links/self"), (&long, "links/long")]
    {
        symlink(target, root.join(name)).expect("a tree of our own");
    }
    symlink(OsStr::from_bytes(b"\xff\n\xfe"), root.join("links/odd")).expect("a tree of our own");
    fs::hard_link(root.join("links/dangling"), root.join("links/dangling too")).expect("one file system");
    for (name, mode) in [("nodes/fifo", 0o622), ("nodes/pipe", 0o600)] {
        nix::unistd::mkfifo(&root.join(name), Mode::from_bits_truncate(mode)).expect("a tree of our own");
    }
    // Bound and left: the file stays when nobody listens.
    drop(UnixListener::bind(root.join("nodes/socket")).expect("a short path"));
}

fn attributes(root: &Path, features: Features) {
    let dir = root.join("attributes");
    fs::create_dir_all(&dir).expect("a tree of our own");
    for name in ["file", "private", "shared"] {
        fs::write(dir.join(name), name).expect("a tree of our own");
    }
    fs::create_dir(dir.join("inherits")).expect("a tree of our own");
    if features.attributes {
        for path in [dir.clone(), dir.join("file"), root.join("sparse")] {
            for (name, value) in [("user.origin", &b"https://example.org/\n"[..]), ("user.bytes", b"\0\xff\n=\""), ("user.empty", b"")] {
                rustix::fs::lsetxattr(&path, name, value, XattrFlags::empty()).expect("it was probed");
            }
        }
    }
    if features.acls {
        for (entry, name) in [("u:12345:r--,g:54321:rw-", "private"), ("u:34:rwx", "shared"), ("d:u:12345:rwx", "inherits")] {
            let mut setfacl = child::program("setfacl");
            setfacl.args(["-m", entry]).arg(dir.join(name));
            child::must(setfacl);
        }
    }
}

fn secrets(root: &Path) {
    fs::create_dir_all(root.join("secrets/locked")).expect("a tree of our own");
    for (name, uid, mode) in [
        ("secrets/nobody may", 12345, 0o000),
        ("secrets/set", 0, 0o6755),
        ("secrets/somebody's", 12345, 0o400),
        ("secrets/locked/in", 12345, 0o600),
    ] {
        let path = root.join(name);
        fs::write(&path, name).expect("a tree of our own");
        // Owner before mode: chown takes set-uid away.
        lchown(&path, Some(uid), Some(54321)).and_then(|()| fs::set_permissions(&path, Permissions::from_mode(mode))).expect("root may");
    }
    let locked = root.join("secrets/locked");
    lchown(&locked, Some(12345), None).and_then(|()| fs::set_permissions(&locked, Permissions::from_mode(0o700))).expect("root may");
}

/// Gives odd times to some entries, directories after what is in them.
fn times(root: &Path, seed: u64) {
    let nano = i64::try_from(seed % 1000).expect("small") * 1_000_003 % 1_000_000_000;
    for (name, seconds) in [
        ("bulk", 1_000_000_000),
        ("links/dangling", 1_234_567_890),
        ("sparse", 1),
        ("many/00/000", 981_173_106),
        ("empty/one", 4_000_000_000),
    ] {
        let time = TimeSpec::new(seconds, 123_456_789 + nano % 1000);
        utimensat(AT_FDCWD, &root.join(name), &time, &time, UtimensatFlags::NoFollowSymlink).expect("a tree of our own");
    }
}

/// Asks the file system what it can do, by trying.
///
/// # Panics
/// When not even a file can be made.
pub fn features(dir: &Path) -> Features {
    let probe = dir.join(".probe");
    fs::write(&probe, "").expect("a tree of our own");
    let attributes = rustix::fs::lsetxattr(&probe, "user.probe", b"1", XattrFlags::empty()).is_ok();
    let mut setfacl = child::program("setfacl");
    setfacl.args(["-m", "u:34:r"]).arg(&probe);
    let acls = child::run(setfacl, Duration::from_secs(20)).code == Some(0);
    let fine = SystemTime::UNIX_EPOCH + Duration::new(1_000_000, 123_456_789);
    File::options().write(true).open(&probe).and_then(|file| file.set_modified(fine)).expect("our own file");
    let nanoseconds = fs::metadata(&probe).and_then(|meta| meta.modified()).is_ok_and(|time| time == fine);
    fs::remove_file(&probe).expect("our own file");
    Features { attributes, acls, nanoseconds }
}

/// Copies a tree with everything that it has, for a comparison later.
///
/// # Panics
/// When cp fails.
pub fn save(tree: &Path, place: &Path) -> PathBuf {
    let mut cp = child::program("cp");
    cp.args(["--archive", "--sparse=auto", "--no-target-directory", "--"]).arg(tree).arg(place);
    child::must(cp);
    place.to_owned()
}
