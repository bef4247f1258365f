//! Compares two trees, byte for byte and with everything around the bytes, and names every difference.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, OsString};
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// What must come back. Bytes, types, modes, owners, link targets and hard links always do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exactness {
    /// Times to the nanosecond; otherwise whole seconds.
    pub nanoseconds: bool,
    /// Extended attributes and ACLs.
    pub attributes: bool,
    /// Sockets are not archived: theirs is a place where something listens, not a file.
    pub sockets: bool,
}

/// What a copy by `cp -a` keeps: everything.
pub const ALL: Exactness = Exactness { nanoseconds: true, attributes: true, sockets: true };
/// What our own client's archive keeps, when it is unpacked with xattrs and ACLs.
pub const OURS: Exactness = Exactness { sockets: false, ..ALL };
/// What stock Amanda's GNUTAR keeps.
pub const STOCK: Exactness = Exactness { nanoseconds: false, attributes: false, sockets: false };

/// Returns what is different between two trees, one sentence each; empty when they are equal.
pub fn differences(source: &Path, copy: &Path, exactness: Exactness) -> Vec<String> {
    let (ours, theirs) = (describe(source, exactness), describe(copy, exactness));
    let names: BTreeSet<&PathBuf> = ours.keys().chain(theirs.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        match (ours.get(name), theirs.get(name)) {
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) => found.push(format!("{name:?} was\n  {}\nand is\n  {}", a.short(), b.short())),
            (Some(_), None) => found.push(format!("{name:?} is missing")),
            (None, _) => found.push(format!("{name:?} was not there")),
        }
    }
    found
}

/// Says that two trees are equal.
///
/// # Panics
/// When they are not, with the first differences.
#[track_caller]
pub fn assert_equal(source: &Path, copy: &Path, exactness: Exactness) {
    let found = differences(source, copy, exactness);
    let first: Vec<&str> = found.iter().take(20).map(String::as_str).collect();
    assert!(found.is_empty(), "{} differences between {} and {}:\n{}", found.len(), source.display(), copy.display(), first.join("\n"));
}

/// Returns how many entries a tree has, its root left out.
pub fn count(root: &Path) -> usize {
    describe(root, ALL).len() - 1
}

/// Everything about one entry that must be equal.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    mode: u32,
    uid: u32,
    gid: u32,
    seconds: i64,
    nanoseconds: i64,
    content: Content,
    attributes: BTreeMap<OsString, Vec<u8>>,
    /// The names that are the same file, itself included.
    links: BTreeSet<PathBuf>,
}

#[derive(Debug, PartialEq, Eq)]
enum Content {
    /// The bytes, and whether half of them or more are holes.
    Bytes(Vec<u8>, bool),
    Target(PathBuf),
    Device(u64),
    Other,
}

impl Entry {
    fn short(&self) -> String {
        let content = match &self.content {
            Content::Bytes(bytes, holes) => {
                let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(20)]);
                format!("{} bytes{} beginning {begin:?}", bytes.len(), if *holes { ", mostly holes," } else { "" })
            }
            Content::Target(target) => format!("a link to {target:?}"),
            Content::Device(number) => format!("device {number:x}"),
            Content::Other => "no content".to_owned(),
        };
        let names: Vec<_> = self.attributes.keys().collect();
        format!(
            "mode {:o} owner {}:{} mtime {}.{:09} attributes {names:?} links {:?}, {content}",
            self.mode, self.uid, self.gid, self.seconds, self.nanoseconds, self.links
        )
    }
}

fn describe(root: &Path, exactness: Exactness) -> BTreeMap<PathBuf, Entry> {
    let mut entries = BTreeMap::new();
    let mut inodes: BTreeMap<u64, BTreeSet<PathBuf>> = BTreeMap::new();
    let mut of_inode: BTreeMap<PathBuf, u64> = BTreeMap::new();
    // As much as the kernel gives of attributes.
    let mut room = vec![0_u8; 64 * 1024];
    let mut open = vec![PathBuf::new()];
    while let Some(name) = open.pop() {
        let path = root.join(&name);
        let meta = fs::symlink_metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let kind = meta.file_type();
        if kind.is_socket() && !exactness.sockets {
            continue;
        }
        let content = if kind.is_dir() {
            open.extend(fs::read_dir(&path).expect("root may read").map(|entry| name.join(entry.expect("root may read").file_name())));
            Content::Other
        } else if kind.is_symlink() {
            Content::Target(fs::read_link(&path).expect("a link"))
        } else if kind.is_file() {
            // Not the very holes: file systems differ in how they round them.
            let holes = meta.len() >= 1 << 20 && meta.blocks() * 512 < meta.len() / 2;
            Content::Bytes(fs::read(&path).expect("root may read"), holes)
        } else if kind.is_char_device() || kind.is_block_device() {
            Content::Device(meta.rdev())
        } else {
            Content::Other
        };
        if !kind.is_dir() {
            inodes.entry(meta.ino()).or_default().insert(name.clone());
            of_inode.insert(name.clone(), meta.ino());
        }
        let entry = Entry {
            mode: meta.mode(),
            uid: meta.uid(),
            gid: meta.gid(),
            seconds: meta.mtime(),
            nanoseconds: if exactness.nanoseconds { meta.mtime_nsec() } else { 0 },
            content,
            attributes: if exactness.attributes { attributes(&path, &mut room) } else { BTreeMap::new() },
            links: BTreeSet::new(),
        };
        entries.insert(name, entry);
    }
    for (name, entry) in &mut entries {
        entry.links = of_inode.get(name).map(|inode| inodes[inode].clone()).unwrap_or_default();
    }
    entries
}

/// Returns a file's extended attributes; ACLs are among them.
fn attributes(path: &Path, room: &mut [u8]) -> BTreeMap<OsString, Vec<u8>> {
    use std::os::unix::ffi::OsStrExt as _;
    // A file system without them has none.
    let Ok(length) = rustix::fs::llistxattr(path, &mut *room) else { return BTreeMap::new() };
    let list = room[..length].to_vec();
    let names = list.split_inclusive(|byte| *byte == 0).filter_map(|name| CStr::from_bytes_with_nul(name).ok());
    names
        .filter_map(|name| {
            let length = rustix::fs::lgetxattr(path, name, &mut *room).ok()?;
            Some((std::ffi::OsStr::from_bytes(name.to_bytes()).to_owned(), room[..length].to_vec()))
        })
        .collect()
}
