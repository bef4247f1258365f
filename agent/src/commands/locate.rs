//! Which disk a path was backed up with, and what it is called there: a function of values.
//!
//! The disk is the longest one whose directory holds the path. A disk that agent.toml or the vault's disklist knows is where they say; any
//! other one is where its name says, which is how a laptop that was just installed anew gets its files back. Nothing need be there.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use wire::DiskName;
use wire::restore::{Dump, PathBytes};

/// A disk that has dumps, and the directory that it is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub disk: DiskName,
    /// Its directory; none when nobody says where it is.
    pub directory: Option<PathBuf>,
}

/// A path on a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The disk.
    pub disk: DiskName,
    /// Its directory.
    pub directory: PathBuf,
    /// The path below it.
    pub path: PathBytes,
}

/// Returns the disks of some dumps, each once, sorted by name, with where they are.
pub fn places(dumps: &[Dump], known: &[(DiskName, PathBuf)]) -> Vec<Place> {
    let mut disks: Vec<&DiskName> = dumps.iter().map(|dump| &dump.id.disk).collect();
    disks.sort_by_key(|disk| disk.as_bytes());
    disks.dedup();
    disks.into_iter().map(|disk| Place { disk: disk.clone(), directory: directory(disk, known) }).collect()
}

/// Returns where a disk is on this machine.
pub fn directory(disk: &DiskName, known: &[(DiskName, PathBuf)]) -> Option<PathBuf> {
    let said = known.iter().find(|(name, _)| name == disk).map(|(_, directory)| directory.clone());
    said.or_else(|| disk.as_bytes().starts_with(b"/").then(|| plain(Path::new(disk.as_os_str()))))
}

/// Finds the disk of a path, which is absolute.
pub fn locate(path: &Path, places: &[Place]) -> Option<Located> {
    let held = places.iter().filter_map(|place| {
        let directory = place.directory.as_ref()?;
        let below = path.strip_prefix(directory).ok()?;
        Some((place, directory, below))
    });
    let (place, directory, below) = held.max_by_key(|(_, directory, _)| directory.components().count())?;
    let path = PathBytes::new(below.as_os_str().as_bytes());
    Some(Located { disk: place.disk.clone(), directory: directory.clone(), path })
}

/// Returns what a typed path may be called by a disk, the likeliest first: as the system has the directory that it lies in, and as it was typed.
/// What it names itself is not followed when it is a link: the link is what was backed up.
pub fn names(typed: &Path, here: &Path) -> Vec<PathBuf> {
    let typed = here.join(typed);
    let mut names = Vec::with_capacity(2);
    if let (Some(above), Some(Component::Normal(name))) = (typed.parent(), typed.components().next_back()) {
        names.push(super::vault_disks::real(above).join(name));
    } else {
        names.push(super::vault_disks::real(&typed));
    }
    let plain = plain(&typed);
    if !names.contains(&plain) {
        names.push(plain);
    }
    names
}

/// Takes `.` and `..` out of a path by its letters alone.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => {
                plain.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    plain
}

/// Returns the name under which a path appears below the directory of `--to`: its own last part; a disk's own directory is called as
/// the disk's directory is, and the root `root`.
pub fn last_name(located: &Located) -> PathBuf {
    let of_disk = || located.directory.file_name().unwrap_or(OsStr::new("root")).into();
    let path = Path::new(OsStr::from_bytes(located.path.as_bytes()));
    path.file_name().map_or_else(of_disk, PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(disk: &str, directory: Option<&str>) -> Place {
        Place { disk: DiskName::new(disk).expect("a name"), directory: directory.map(PathBuf::from) }
    }

    #[test]
    fn the_longest_disk_holds_a_path() {
        let places = [
            place("/", Some("/")),
            place("/home", Some("/home")),
            place("data", Some("/srv/data")),
            place("nowhere", None),
            place("/home/ada/Mail", Some("/home/ada/Mail")),
        ];
        for (path, disk, below) in [
            ("/etc/hosts", "/", "etc/hosts"),
            ("/home/ada/a.txt", "/home", "ada/a.txt"),
            ("/homer/a", "/", "homer/a"),
            ("/home", "/home", ""),
            ("/home/ada/Mail/inbox", "/home/ada/Mail", "inbox"),
            ("/srv/data/x", "data", "x"),
            ("/", "/", ""),
        ] {
            let located = locate(Path::new(path), &places).expect(path);
            assert_eq!((located.disk.as_bytes(), located.path.as_bytes()), (disk.as_bytes(), below.as_bytes()), "{path}");
        }
        assert_eq!(locate(Path::new("/etc"), &places[1..]), None);
    }

    #[test]
    fn a_disk_is_where_it_is_said_to_be_or_where_its_name_says() {
        let known = [(DiskName::new("/home").expect("a name"), PathBuf::from("/mnt/home"))];
        let directory = |disk: &str| directory(&DiskName::new(disk).expect("a name"), &known);
        assert_eq!(directory("/home"), Some("/mnt/home".into()));
        assert_eq!(directory("/etc/"), Some("/etc".into()));
        assert_eq!(directory("sda1"), None);
    }

    #[test]
    fn a_typed_path_is_taken_as_the_system_has_it_and_a_link_is_itself() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().canonicalize().expect("there");
        std::fs::create_dir(root.join("docs")).expect("made");
        std::os::unix::fs::symlink("docs", root.join("link")).expect("made");
        for (typed, first) in [
            ("docs/gone.txt", "docs/gone.txt"),
            ("link/gone.txt", "docs/gone.txt"),
            ("link", "link"),
            ("docs/../other", "other"),
            ("docs/gone/deep", "docs/gone/deep"),
            (".", ""),
            ("docs/..", ""),
        ] {
            assert_eq!(names(Path::new(typed), &root)[0].join(""), root.join(first).join(""), "{typed}");
        }
        assert_eq!(names(Path::new("link/x"), &root), [root.join("docs/x"), root.join("link/x")]);
        assert_eq!(names(Path::new("/../x"), &root)[0], Path::new("/x"));
    }

    #[test]
    fn what_goes_elsewhere_keeps_its_last_name() {
        let located = |directory: &str, path: &str| Located {
            disk: DiskName::new("d").expect("a name"),
            directory: directory.into(),
            path: PathBytes::new(path.as_bytes()),
        };
        for (directory, path, name) in [("/home", "u/a.txt", "a.txt"), ("/home", "", "home"), ("/", "", "root"), ("/", "etc", "etc")] {
            assert_eq!(last_name(&located(directory, path)), Path::new(name));
        }
    }
}
