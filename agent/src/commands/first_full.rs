//! How long a disk's first full dump would take over this line, and how to split a disk for which that is too long.
//!
//! A dump that needs a whole night is cut off by every closed lid, and nothing of it is resumed.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::HumanBytes;

use crate::report::show;

/// More than this is too long for one dump.
const LONGEST: Duration = Duration::from_secs(6 * 60 * 60);
/// How long we count before we say "at least".
const PATIENCE: Duration = Duration::from_secs(20);
/// Directories that are named in the advice.
const NAMED: usize = 5;

/// What a directory tree holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes on the disk.
    pub bytes: u64,
    /// Not all was counted.
    pub at_least: bool,
    /// The directories right below it, largest first, with their bytes.
    pub parts: Vec<(PathBuf, u64)>,
}

/// Counts a tree, on one file system, as long as there is patience.
pub fn measure(root: &Path) -> Size {
    measure_until(root, Instant::now() + PATIENCE)
}

fn measure_until(root: &Path, until: Instant) -> Size {
    let mut size = Size::default();
    let Ok(device) = fs::symlink_metadata(root).map(|meta| meta.dev()) else { return size };
    let Ok(entries) = fs::read_dir(root) else { return size };
    for entry in entries.flatten() {
        let mut part = 0;
        let mut waiting = vec![entry.path()];
        while let Some(path) = waiting.pop() {
            if Instant::now() > until {
                size.at_least = true;
                break;
            }
            let Ok(meta) = fs::symlink_metadata(&path) else { continue };
            if meta.dev() != device {
                continue;
            }
            part += meta.blocks() * 512;
            if meta.is_dir() {
                waiting.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
            }
        }
        size.bytes += part;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            size.parts.push((entry.path(), part));
        }
    }
    size.parts.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    size
}

/// Says how long a first full dump of this size would take at this rate, in bytes a second; and, when that is too long, what
/// to do about it.
pub fn advice(host: &str, disk: &str, size: &Size, rate: u64) -> (String, Option<String>) {
    let seconds = size.bytes / rate.max(1);
    let least = if size.at_least { "at least " } else { "" };
    // Minutes and less say nothing about a guess of hours.
    let rounded = if seconds > 3600 { seconds / 360 * 360 } else { seconds.div_ceil(60) * 60 };
    let took = humantime::format_duration(Duration::from_secs(rounded.max(60)));
    let sentence = format!("{disk}: {least}{} to read, {least}{took} at {}/s before compression", HumanBytes(size.bytes), HumanBytes(rate));
    if seconds <= LONGEST.as_secs() {
        return (sentence, None);
    }
    let parts: Vec<String> = size
        .parts
        .iter()
        .take(NAMED)
        .filter(|(_, bytes)| *bytes > 0)
        .map(|(path, bytes)| {
            format!("`{host} {}` ({})", show(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())), HumanBytes(*bytes))
        })
        .collect();
    let how = if parts.is_empty() {
        "split it by include patterns into several lines of the disklist".to_owned()
    } else {
        format!(
            "give its largest directories lines of their own in the disklist and a [[disk]] each here, and exclude them from {disk}: {}",
            parts.join(", ")
        )
    };
    (sentence, Some(format!("a dump that is cut off begins again; {how}; or make the first one at home, on the server's own network")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_hours_are_the_limit_and_the_largest_directories_are_named() {
        let parts = vec![(PathBuf::from("/home/ada"), 90 << 30), (PathBuf::from("/home/bob"), 10 << 30), (PathBuf::from("/home/empty"), 0)];
        let size = Size { bytes: 100 << 30, at_least: false, parts };
        let (slow, how) = advice("laptop1", "/home", &size, 1 << 20);
        assert_eq!(slow, "/home: 100.00 GiB to read, 1day 4h 24m at 1.00 MiB/s before compression");
        let how = how.expect("too long");
        assert!(how.contains("`laptop1 /home/ada` (90.00 GiB), `laptop1 /home/bob` (10.00 GiB);"), "{how}");
        let (fast, none) = advice("laptop1", "/home", &size, 100 << 20);
        assert_eq!((fast.as_str(), none), ("/home: 100.00 GiB to read, 18m at 100.00 MiB/s before compression", None));
        let unknown = Size { at_least: true, ..size };
        assert!(advice("laptop1", "/home", &unknown, 1 << 20).0.contains("at least 1day 4h 24m"));
    }

    #[test]
    fn a_tree_is_counted_with_its_parts_and_patience_ends() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(dir.path().join("big/deep")).expect("made");
        fs::create_dir(dir.path().join("small")).expect("made");
        fs::write(dir.path().join("big/deep/file"), vec![1; 300_000]).expect("written");
        fs::write(dir.path().join("small/file"), vec![1; 10_000]).expect("written");
        fs::write(dir.path().join("file"), vec![1; 5_000]).expect("written");
        let size = measure_until(dir.path(), Instant::now() + Duration::from_secs(600));
        let names: Vec<_> = size.parts.iter().map(|(path, _)| path.file_name().expect("named").to_owned()).collect();
        assert_eq!(names, ["big", "small"]);
        assert!(size.bytes >= 315_000 && size.parts[0].1 >= 300_000 && !size.at_least, "{size:?}");
        assert!(measure_until(dir.path(), Instant::now() - Duration::from_secs(1)).at_least);
        assert_eq!(measure(&dir.path().join("none")), Size::default());
    }
}
