//! Source trees that differ from each other in every file.
//!
//! A tree has what a home directory has: files of several sizes, an empty one, modes, owners, symbolic links (one into
//! nowhere), hard links, a fifo, names with spaces, quotes and letters beyond ASCII, old times. Stock Amanda keeps no
//! extended attributes and whole seconds; everything else must come back.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::sys::stat::Mode;

use crate::compare;

/// Plants a tree whose contents depend on the seed; `bulk` bytes of it are one file that does not compress.
///
/// # Panics
/// When the file system refuses, as everything here.
pub fn plant(root: &Path, seed: u64, bulk: usize) {
    let mut noise = Noise::new(seed);
    for dir in ["", "docs", "docs/old letters", "mail/cur", "empty", "shared", "größe"] {
        fs::create_dir_all(root.join(dir)).expect("a tree of our own");
    }
    fs::write(root.join("whose"), format!("the tree with the seed {seed}\n")).expect("a tree of our own");
    fs::write(root.join("bulk"), noise.bytes(bulk)).expect("a tree of our own");
    fs::write(root.join("docs/nothing"), "").expect("a tree of our own");
    for n in 0..12 {
        let size = 1 + usize::try_from(noise.draw() % 9000).expect("small");
        fs::write(root.join(format!("mail/cur/{n:03}:2,S")), noise.bytes(size)).expect("a tree of our own");
    }
    fs::write(root.join("docs/old letters/to \"whom\" it may 'concern'"), "line\n".repeat(300)).expect("a tree of our own");
    fs::write(root.join("größe/naïve\u{301}"), "ü".repeat(70)).expect("a tree of our own");
    fs::write(root.join("docs/script"), "#!/bin/sh\nexit 0\n").expect("a tree of our own");
    fs::hard_link(root.join("docs/script"), root.join("docs/same script")).expect("one file system");
    fs::hard_link(root.join("docs/script"), root.join("mail/again")).expect("one file system");
    symlink("../docs/script", root.join("mail/link")).expect("a tree of our own");
    symlink("/nowhere/at all", root.join("dangling")).expect("a tree of our own");
    nix::unistd::mkfifo(&root.join("shared/fifo"), Mode::from_bits_truncate(0o620)).expect("a tree of our own");
    // Owners before modes: chown takes set-uid away.
    let owners: [(&str, u32, u32); 4] = [("docs/nothing", 12345, 54321), ("mail", 1000, 1000), ("mail/cur", 1000, 34), ("dangling", 7, 7)];
    for (name, uid, gid) in owners {
        lchown(root.join(name), Some(uid), Some(gid)).expect("root may");
    }
    for (name, mode) in
        [("docs/script", 0o4751), ("docs/nothing", 0o000), ("shared", 0o3777), ("mail", 0o700), ("whose", 0o640), ("", 0o755)]
    {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).expect("a tree of our own");
    }
    // Times last, inner before outer, since each entry made changes its directory's.
    for (name, days) in [("bulk", 40), ("docs/script", 4000), ("docs/old letters", 900), ("docs", 3), ("mail/cur", 2), ("empty", 11000)] {
        set_age(&root.join(name), Duration::from_secs(days * 86_400));
    }
}

/// Makes a file or directory look as if it was last changed that long ago.
pub fn set_age(path: &Path, age: Duration) {
    File::open(path)
        .and_then(|file| file.set_modified(SystemTime::now() - age))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Returns what is different between a tree and what stock Amanda gave back of it, one sentence each; empty when they are equal.
pub fn differences(source: &Path, copy: &Path) -> Vec<String> {
    compare::differences(source, copy, compare::STOCK)
}

/// Tells whether any file below a directory has these bytes in it.
pub fn contains(root: &Path, needle: &[u8]) -> bool {
    let Ok(entries) = fs::read_dir(root) else { return false };
    entries.flatten().any(|entry| {
        let (path, kind) = (entry.path(), entry.file_type());
        match kind {
            Ok(kind) if kind.is_dir() => contains(&path, needle),
            Ok(kind) if kind.is_file() => fs::read(&path).is_ok_and(|bytes| bytes.windows(needle.len()).any(|window| window == needle)),
            _ => path.as_os_str().as_bytes() == needle,
        }
    })
}

/// A small generator (xorshift): the same seed gives the same tree.
pub struct Noise(u64);

impl Noise {
    /// Begins it.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns the next number.
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns bytes that cannot be compressed.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend_from_slice(&self.draw().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}
