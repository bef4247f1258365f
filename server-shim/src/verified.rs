//! When the dumps of each config were last read back: `STATE/runner/verified/CONFIG.json`, written by `verify`, read by `status`.
//!
//! For engine = "embedded" it is a copy of what the config's own directory has, for those who may not look there. For the installed Amanda, whose
//! files have no place for it, it is all that is known.

pub mod sums;

use std::collections::BTreeMap;
use std::fs;
use std::io;

use serde::{Deserialize, Serialize};
use wire::{ConfigName, DiskName};

use crate::durable;
use crate::layout::Layout;
use crate::lock;

/// At most so many dumps are listed, the newest: the file stays below what is read of a small file.
const MAX_DUMPS: usize = 16_384;
/// The longest reason.
const MAX_WORDS: usize = 200;

/// One dump.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Verified {
    /// Whose, as in the disklist.
    pub host: String,
    /// Of which disk.
    pub disk: DiskName,
    /// `YYYYMMDDhhmmss`, or what an older Amanda wrote.
    pub datestamp: String,
    /// The level.
    pub level: u8,
    /// When it was last read back and found to be what was dumped, seconds since 1970.
    #[serde(default)]
    pub verified: Option<i64>,
    /// What is wrong with it, a sentence.
    #[serde(default)]
    pub damage: Option<String>,
}

/// Reads what is known of a config; nothing where nothing was ever verified.
pub fn load(layout: &Layout, config: &ConfigName) -> io::Result<Vec<Verified>> {
    Ok(durable::read_json(&layout.verified_of(config))?.unwrap_or_default())
}

/// Writes it, durably.
pub fn store(layout: &Layout, config: &ConfigName, mut dumps: Vec<Verified>) -> io::Result<()> {
    let path = layout.verified_of(config);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    dumps.sort_by(|a, b| (&b.datestamp, b).cmp(&(&a.datestamp, a)));
    dumps.truncate(MAX_DUMPS);
    for dump in &mut dumps {
        dump.damage = dump.damage.as_ref().map(|what| what.chars().take(MAX_WORDS).collect());
    }
    durable::write_json(&path, &dumps, 0o640)
}

/// Changes it; whoever else does so meanwhile waits.
pub fn change(layout: &Layout, config: &ConfigName, change: impl FnOnce(&mut Vec<Verified>)) -> io::Result<()> {
    let path = layout.verified_lock();
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let _held = lock::take(&path)?;
    // What cannot be read is known again when all has been read back.
    let mut dumps = load(layout, config).unwrap_or_default();
    change(&mut dumps);
    store(layout, config, dumps)
}

/// What is known of a disk's dumps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OfDisk {
    /// Its config.
    pub config: ConfigName,
    /// Its host.
    pub host: String,
    /// The disk.
    pub disk: DiskName,
    /// Each of its dumps, oldest first.
    pub dumps: Vec<Verified>,
}

impl OfDisk {
    /// Puts a config's dumps together by disk.
    pub fn all(config: &ConfigName, dumps: Vec<Verified>) -> Vec<Self> {
        let mut disks: BTreeMap<(String, DiskName), Vec<Verified>> = BTreeMap::new();
        for dump in dumps {
            disks.entry((dump.host.clone(), dump.disk.clone())).or_default().push(dump);
        }
        let of_disk = |((host, disk), mut dumps): ((String, DiskName), Vec<Verified>)| {
            dumps.sort_by(|a, b| (&a.datestamp, a.level).cmp(&(&b.datestamp, b.level)));
            Self { config: config.clone(), host, disk, dumps }
        };
        disks.into_iter().map(of_disk).collect()
    }

    /// Returns when the dump was verified that was so longest ago; nothing when one never was, or is damaged.
    pub fn oldest(&self) -> Option<i64> {
        self.dumps.iter().map(|dump| dump.verified.filter(|_| dump.damage.is_none())).min().flatten()
    }

    /// Counts those that were never verified, and those that are damaged.
    pub fn missing(&self) -> (usize, usize) {
        let damaged = self.dumps.iter().filter(|dump| dump.damage.is_some()).count();
        let never = self.dumps.iter().filter(|dump| dump.verified.is_none() && dump.damage.is_none()).count();
        (never, damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(disk: &str, datestamp: &str, verified: Option<i64>, damage: Option<&str>) -> Verified {
        let disk = DiskName::new(disk).expect("a name");
        Verified { host: "a".into(), disk, datestamp: datestamp.into(), level: 0, verified, damage: damage.map(Into::into) }
    }

    #[test]
    fn what_was_stored_is_read_and_what_is_too_much_is_the_oldest() {
        let dir = tempfile::tempdir().expect("directory");
        let layout = Layout::new(dir.path(), dir.path());
        let config: ConfigName = "daily".parse().expect("a name");
        fs::create_dir(layout.runner()).expect("made");
        assert!(load(&layout, &config).expect("nothing").is_empty());
        let mut many: Vec<_> = (0..MAX_DUMPS + 5).map(|number| dump("/home", &format!("{number:014}"), None, None)).collect();
        many[MAX_DUMPS].damage = Some("x".repeat(10_000));
        store(&layout, &config, many).expect("stored");
        let read = load(&layout, &config).expect("small enough");
        assert_eq!((read.len(), read[0].datestamp.as_str()), (MAX_DUMPS, format!("{:014}", MAX_DUMPS + 4).as_str()));
    }

    #[test]
    fn a_disk_is_as_old_as_its_oldest_dump_and_never_when_one_never_was() {
        let config: ConfigName = "daily".parse().expect("a name");
        let dumps = vec![
            dump("/", "2", Some(20), None),
            dump("/home", "1", None, None),
            dump("/", "1", Some(10), None),
            dump("/srv", "1", Some(10), Some("bad")),
        ];
        let disks = OfDisk::all(&config, dumps);
        let seen: Vec<_> = disks.iter().map(|disk| (disk.oldest(), disk.missing())).collect();
        assert_eq!(seen, [(Some(10), (0, 0)), (None, (1, 0)), (None, (0, 1))]);
        assert_eq!(disks[0].dumps[0].datestamp, "1");
    }
}
