//! What a tree of files is, so that two can be compared.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

/// Everything below a directory, itself left out: what it is, by path.
pub type Tree = BTreeMap<Vec<u8>, String>;

/// How exactly to look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// At fractions of seconds and attributes.
    pub exact: bool,
    /// At times of directories: not where a restore went on after another.
    pub directory_times: bool,
    /// At which names are one file: not where the first of them was there before.
    pub links: bool,
}

impl Look {
    pub fn new(exact: bool) -> Self {
        Self { exact, directory_times: true, links: true }
    }
}

pub fn tree(dir: &Path, look: Look) -> Tree {
    let mut tree = Tree::new();
    let mut first = HashMap::new();
    walk(dir, dir, look, &mut tree, &mut first);
    tree
}

/// What is below a directory of a tree, with paths from there.
pub fn part(tree: &Tree, dir: &str) -> Tree {
    let under = format!("{dir}/");
    tree.iter().filter_map(|(path, is)| path.strip_prefix(under.as_bytes()).map(|path| (path.to_vec(), is.clone()))).collect()
}

/// Says what differs.
pub fn differences(found: &Tree, expected: &Tree) -> Vec<String> {
    let is = |tree: &Tree, path: &[u8]| tree.get(path).cloned().unwrap_or_else(|| "nothing".to_owned());
    let mut differences: Vec<_> = found
        .keys()
        .chain(expected.keys())
        .filter(|path| found.get(*path) != expected.get(*path))
        .map(|path| format!("{}:\n  is        {}\n  should be {}", String::from_utf8_lossy(path), is(found, path), is(expected, path)))
        .collect();
    differences.sort();
    differences.dedup();
    differences
}

/// Fails with what differs.
pub fn assert_same(found: &Tree, expected: &Tree, case: &str) {
    let differences = differences(found, expected);
    assert!(differences.is_empty(), "{case}\n{}", differences.join("\n"));
}

fn walk(top: &Path, dir: &Path, look: Look, tree: &mut Tree, first: &mut HashMap<(u64, u64), Vec<u8>>) {
    let mut entries: Vec<_> = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        let meta = fs::symlink_metadata(&path).expect("it is there");
        let name = path.strip_prefix(top).expect("below").as_os_str().as_bytes().to_vec();
        let kind = meta.file_type();
        let content = if kind.is_file() {
            let bytes = fs::read(&path).expect("readable");
            let holes = if meta.blocks() * 512 + 65_536 < meta.len() { " with holes" } else { "" };
            format!("file {} {:08x}{holes}", meta.len(), crc32c::crc32c(&bytes))
        } else if kind.is_symlink() {
            format!("link to {:?}", fs::read_link(&path).expect("a link"))
        } else if kind.is_dir() {
            "directory".to_owned()
        } else if kind.is_fifo() {
            "fifo".to_owned()
        } else {
            format!("device {:x}", meta.rdev())
        };
        let mut is = format!("{content} {:o} {}:{}", meta.mode(), meta.uid(), meta.gid());
        if look.directory_times || !kind.is_dir() {
            is += &format!(" {}", meta.mtime());
            if look.exact {
                is += &format!(".{:09}", meta.mtime_nsec());
            }
        }
        if look.exact {
            is += &attributes(&path);
        }
        if meta.nlink() > 1 && !kind.is_dir() && look.links {
            let first = first.entry((meta.dev(), meta.ino())).or_insert_with(|| name.clone());
            is += &format!(" is {:?}", String::from_utf8_lossy(first));
        }
        tree.insert(name, is);
        if kind.is_dir() {
            walk(top, &path, look, tree, first);
        }
    }
}

fn attributes(path: &Path) -> String {
    let mut names = vec![0_u8; 65_536];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap_or(0);
    let mut found: Vec<String> = names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let name = String::from_utf8_lossy(name).into_owned();
            let mut value = vec![0_u8; 65_536];
            let length = rustix::fs::lgetxattr(path, name.as_str(), &mut value[..]).unwrap_or(0);
            format!(" {name}={:?}", String::from_utf8_lossy(&value[..length]))
        })
        .collect();
    found.sort();
    found.concat()
}
