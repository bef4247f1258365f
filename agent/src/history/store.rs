//! Receipts on disk: `STATE/receipts/DESTINATION/CONFIG/DISK.json`, and `DESTINATION/peer.json` for who answered last.
//!
//! Names become file names by what is harmless in them and a hash of the whole, so nothing that a server or a disklist
//! says leads out of the directory. Writing survives a power cut: a temporary file beside the target, fsync, rename, and
//! fsync of the directory. A file that cannot be read is reported and makes its disk due; it never stops anything.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
pub use wire::names::file_name;
use wire::{ConfigName, DiskName, HostName, Receipt};

use crate::due::{DiskRecord, Known};

/// A record is longer than this only when it is not one of ours.
const LONGEST: u64 = 1024 * 1024;
/// The file that tells who answered.
const PEER: &str = "peer.json";

/// What could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct StoreError {
    /// The file or directory.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Who answered at a destination, the last time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The host that our key stands for.
    pub host: HostName,
    /// The config that its dumps belong to.
    pub config: ConfigName,
    /// The server's program and version.
    pub program: String,
    /// The file system that a vault was on ([`crate::session::vault::standing::file_system`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_system: Option<u64>,
}

/// One disk's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    last: Receipt,
    #[serde(default)]
    last_backup: Option<Receipt>,
}

/// The receipts of one destination.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// The config that is known to be there now, whichever answered last.
    present: Option<ConfigName>,
}

impl Store {
    /// Names the store of a destination; nothing is opened.
    pub fn at(state: &Path, destination: &str) -> Self {
        Self { root: state.join("receipts").join(file_name(destination.as_bytes())), present: None }
    }

    /// Speaks of this config alone, since it is known to be there: a vault can be looked at before it is called, and another drive
    /// at the same path is another vault.
    pub fn of_present(mut self, config: Option<ConfigName>) -> Self {
        self.present = config;
        self
    }

    /// Returns its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes sure that a receipt could be stored now, before a server is asked for one.
    pub fn prepare(&self) -> Result<(), StoreError> {
        let failed = |source| StoreError { path: self.root.clone(), source };
        fs::create_dir_all(&self.root).map_err(failed)?;
        let mut probe = tempfile::NamedTempFile::new_in(&self.root).map_err(failed)?;
        // An empty file fits on a full disk, a record does not.
        probe.write_all(&[0; 4096]).and_then(|()| probe.as_file().sync_data()).map_err(failed)
    }

    /// Returns who answered the last time.
    pub fn peer(&self) -> Option<Peer> {
        read_json(&self.root.join(PEER)).ok().flatten()
    }

    /// Remembers who answered.
    pub fn set_peer(&self, peer: &Peer) -> Result<(), StoreError> {
        if self.peer().as_ref() == Some(peer) { Ok(()) } else { write_json(&self.root, PEER, peer) }
    }

    /// Returns the disks of a config that this machine itself has backed up, or was told to, at whichever path the config was then.
    pub fn known_to(&self, config: &ConfigName) -> BTreeSet<DiskName> {
        let name = file_name(config.as_str().as_bytes());
        let destinations = self.root.parent().and_then(|all| fs::read_dir(all).ok()).into_iter().flatten().flatten();
        let told = self.told().and_then(|told| read_json::<BTreeSet<DiskName>>(&told.join(&name)).ok().flatten());
        let mut disks = told.unwrap_or_default();
        for destination in destinations.map(|entry| entry.path()) {
            for record in fs::read_dir(destination.join(&name)).into_iter().flatten().flatten() {
                disks.extend(read_json::<Record>(&record.path()).ok().flatten().map(|record| record.last.disk));
            }
        }
        disks
    }

    /// Remembers what this machine was told to back up into a config, before there is a receipt.
    pub fn set_told(&self, config: &ConfigName, disks: &[DiskName]) -> Result<(), StoreError> {
        let mut known = self.known_to(config);
        let before = known.len();
        known.extend(disks.iter().cloned());
        match self.told() {
            Some(told) if known.len() > before => write_json(&told, &file_name(config.as_str().as_bytes()), &known),
            _ => Ok(()),
        }
    }

    /// The directory of what this machine was told: `STATE/vaults/CONFIG`.
    fn told(&self) -> Option<PathBuf> {
        Some(self.root.parent()?.parent()?.join("vaults"))
    }

    /// Returns the directory of the config in force: the one that answered last, or the only one there is.
    fn config(&self) -> Option<PathBuf> {
        if let Some(present) = &self.present {
            return Some(self.root.join(file_name(present.as_str().as_bytes())));
        }
        if let Some(peer) = self.peer() {
            return Some(self.root.join(file_name(peer.config.as_str().as_bytes())));
        }
        let mut configs = self.configs().into_iter();
        configs.next().filter(|_| configs.next().is_none())
    }

    fn configs(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.root) else { return Vec::new() };
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    }

    /// Returns what is recorded of a disk.
    pub fn look(&self, disk: &DiskName) -> Known {
        let name = disk_file(disk);
        let in_force = self.config();
        if let Some(directory) = &in_force {
            let known = known(&directory.join(&name));
            if known != Known::Nothing {
                return known;
            }
        }
        if self.present.is_some() {
            return Known::Nothing;
        }
        // Dumped into another config of this destination: that is no backup here, but amandates speaks of it.
        let elsewhere = self.configs().into_iter().map(|config| config.join(&name)).find(|path| path.exists());
        elsewhere.map_or(Known::Nothing, |path| Known::Unreadable { path, problem: "it belongs to another config".to_owned() })
    }

    /// Returns all disks recorded for the config in force.
    pub fn records(&self) -> Vec<DiskRecord> {
        let Some(entries) = self.config().and_then(|directory| fs::read_dir(directory).ok()) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| is_record(path)).collect();
        paths.sort();
        paths
            .into_iter()
            .map(|path| match known(&path) {
                Known::Receipts { last, last_backup } => {
                    DiskRecord { disk: last.disk.clone(), known: Known::Receipts { last, last_backup } }
                }
                other => DiskRecord { disk: unknown_disk(&path), known: other },
            })
            .collect()
    }

    /// Stores a receipt: the newest one, and the newest that is a backup. A restated receipt replaces its former self.
    pub fn put(&self, receipt: &Receipt, now: i64) -> Result<(), StoreError> {
        let directory = self.root.join(file_name(receipt.config.as_str().as_bytes()));
        let name = disk_file(&receipt.disk);
        let old = read_json::<Record>(&directory.join(&name)).ok().flatten();
        let new = merge(old.clone(), receipt, now);
        if old.as_ref() == Some(&new) { Ok(()) } else { write_json(&directory, &name, &new) }
    }

    /// Drops the record of a disk that the server's disklist no longer has.
    pub fn forget(&self, config: &ConfigName, disk: &DiskName) -> Result<(), StoreError> {
        let path = self.root.join(file_name(config.as_str().as_bytes())).join(disk_file(disk));
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StoreError { path, source }),
            _ => Ok(()),
        }
    }
}

/// Returns the record after this receipt.
pub fn known_after(known: Known, receipt: &Receipt, now: i64) -> Known {
    let old = match known {
        Known::Receipts { last, last_backup } => Some(Record { last: *last, last_backup: last_backup.map(|backup| *backup) }),
        _ => None,
    };
    let new = merge(old, receipt, now);
    Known::Receipts { last: Box::new(new.last), last_backup: new.last_backup.map(Box::new) }
}

/// A record that claims the future is replaced by anything: otherwise one wrong clock would keep its disk due for ever.
fn merge(old: Option<Record>, receipt: &Receipt, now: i64) -> Record {
    let fresh = || Record { last: receipt.clone(), last_backup: receipt.is_backup().then(|| receipt.clone()) };
    let Some(Record { last, last_backup }) = old else { return fresh() };
    // The same run restated: its chain is what the server can restore now, which may be less than it was.
    let last_backup = last_backup.filter(|backup| backup.started <= now && (backup.run != receipt.run || receipt.is_backup()));
    let newer_backup = receipt.is_backup() && last_backup.as_ref().is_none_or(|backup| backup.started <= receipt.started);
    let newer = last.run == receipt.run || last.finished <= receipt.finished || last.started > now || last.finished > now;
    Record { last: if newer { receipt.clone() } else { last }, last_backup: if newer_backup { Some(receipt.clone()) } else { last_backup } }
}

fn known(path: &Path) -> Known {
    match read_json::<Record>(path) {
        Ok(None) => Known::Nothing,
        Ok(Some(record)) => Known::Receipts { last: Box::new(record.last), last_backup: record.last_backup.map(Box::new) },
        Err(error) => Known::Unreadable { path: path.to_path_buf(), problem: error.to_string() },
    }
}

fn is_record(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

/// The name of a disk whose record cannot be read: its file's.
fn unknown_disk(path: &Path) -> DiskName {
    let stem = path.file_stem().unwrap_or(path.as_os_str());
    DiskName::new(stem).unwrap_or_else(|_| DiskName::new("?").expect("one harmless character"))
}

fn disk_file(disk: &DiskName) -> String {
    format!("{}.json", file_name(disk.as_bytes()))
}

fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    use io::Read as _;
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than a record can be"));
    }
    serde_json::from_slice(&text).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn write_json<T: Serialize>(directory: &Path, name: &str, value: &T) -> Result<(), StoreError> {
    let path = directory.join(name);
    let write = || -> io::Result<()> {
        fs::create_dir_all(directory)?;
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        // In one piece: printed into the file it would be hundreds of small writes.
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        file.write_all(&text)?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|source| StoreError { path: path.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::tests::receipt;
    use wire::Outcome;

    const NOW: i64 = 10_000;

    fn both(known: Known) -> (i64, Option<i64>) {
        let Known::Receipts { last, last_backup } = known else { panic!("{known:?}") };
        (last.started, last_backup.map(|receipt| receipt.started))
    }

    fn after(receipts: &[Receipt]) -> (i64, Option<i64>) {
        both(receipts.iter().fold(Known::Nothing, |known, receipt| known_after(known, receipt, NOW)))
    }

    #[test]
    fn the_last_receipt_and_the_last_backup_are_kept_apart() {
        let (ok, failed) = (|at| receipt("/home", Outcome::Ok, at), |at| receipt("/home", Outcome::Failed, at));
        for (case, receipts, expected) in [
            ("a backup", vec![ok(100)], (100, Some(100))),
            ("a failure after it", vec![ok(100), failed(200)], (200, Some(100))),
            ("a backup after that", vec![failed(200), ok(300)], (300, Some(300))),
            ("an old backup told late", vec![failed(200), ok(100)], (200, Some(100))),
            ("an old failure told late", vec![ok(200), failed(100)], (200, Some(200))),
            ("told twice", vec![ok(100), ok(100)], (100, Some(100))),
            ("a wrong clock is put right", vec![ok(NOW + 999), ok(300)], (300, Some(300))),
        ] {
            assert_eq!(after(&receipts), expected, "{case}");
        }
    }

    #[test]
    fn a_restated_run_whose_chain_vanished_is_no_backup_any_more() {
        let mut vanished = receipt("/home", Outcome::Ok, 100);
        vanished.chain.clear();
        assert_eq!(after(&[receipt("/home", Outcome::Ok, 100), vanished.clone()]), (100, None));
        assert_eq!(after(&[receipt("/home", Outcome::Ok, 100), receipt("/home", Outcome::Failed, 200), vanished]), (200, None));
    }

    #[test]
    fn what_was_put_is_found_again_and_no_name_leads_out() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::at(dir.path(), "../../etc");
        assert!(store.root().starts_with(dir.path().join("receipts")));
        for name in ["/home", "..", "../../../etc/passwd", "a\nb", &"x".repeat(3000)] {
            let one = receipt(name, Outcome::Ok, 100);
            store.put(&one, NOW).expect("stored");
            assert_eq!(both(store.look(&one.disk)), (100, Some(100)), "{name:?}");
        }
        assert_eq!(store.records().len(), 5);
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1);
    }

    #[test]
    fn a_vaults_disks_are_known_wherever_it_was_and_no_other_vaults() {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, elsewhere) = (Store::at(dir.path(), "/mnt/vault"), Store::at(dir.path(), "/media/vault"));
        let one = receipt("/home", Outcome::Failed, 100);
        store.put(&one, NOW).expect("stored");
        let told = DiskName::new("/srv").expect("a name");
        elsewhere.set_told(&one.config, std::slice::from_ref(&told)).expect("stored");
        for store in [&store, &elsewhere] {
            assert_eq!(store.known_to(&one.config), BTreeSet::from([one.disk.clone(), told.clone()]));
            assert!(store.known_to(&"other".parse().expect("a config")).is_empty());
        }
        assert!(elsewhere.configs().is_empty());
    }

    #[test]
    fn a_file_of_garbage_is_reported_and_replaced_by_the_next_receipt() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::at(dir.path(), "server");
        let one = receipt("/home", Outcome::Ok, 100);
        store.put(&one, NOW).expect("stored");
        let path = store.config().expect("one").join(disk_file(&one.disk));
        let whole = fs::read(&path).expect("written");
        for text in [&b""[..], b"garbage", b"{}", b"\xff\xfe", &whole[..whole.len() / 2]] {
            fs::write(&path, text).expect("written");
            assert!(matches!(store.look(&one.disk), Known::Unreadable { .. }));
            assert!(matches!(store.records()[0].known, Known::Unreadable { .. }));
            store.put(&one, NOW).expect("stored");
            assert_eq!(both(store.look(&one.disk)), (100, Some(100)));
        }
    }

    #[test]
    fn a_new_config_at_the_server_makes_its_disks_due_without_amandates() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::at(dir.path(), "server");
        let one = receipt("/home", Outcome::Ok, 100);
        store.put(&one, NOW).expect("stored");
        let peer = Peer { host: one.host.clone(), config: "other".parse().expect("a config"), program: String::new(), file_system: None };
        store.set_peer(&peer).expect("stored");
        assert!(matches!(store.look(&one.disk), Known::Unreadable { .. }));
        assert!(store.records().is_empty());
    }
}
