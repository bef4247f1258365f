//! Looks into a vault, without a place in its queue and without changing anything.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use amanda::conf::disklist::Disk;
use asyncamanda_shim::engine::embedded::dialogue::Patience;
use asyncamanda_shim::engine::embedded::site::Site;
use asyncamanda_shim::engine::embedded::{Link as _, catalog, restate, selfcheck};
use wire::{AbortCode, DiskName, HostName, Receipt};

use super::call::is_half_made;
use super::link::InProcess;
use super::standing::{self, Act, May};
use super::{Look, ReadBack, Room, VaultError, Way};
use crate::report::show;
use crate::session::{Caller, News, SessionError};

/// Opens a vault that is there.
pub(super) fn open(directory: &Path, known: bool) -> Result<Site, VaultError> {
    let found = standing::look(directory, Site::is_vault, is_half_made)?;
    match standing::decide(directory, &found, known, May::Look)? {
        Act::Open => Ok(Site::open(directory, None)?),
        Act::Make => Err(VaultError::NoneYet { path: directory.to_path_buf() }),
    }
}

/// Says which vault it is and what it has. `known`: one has answered at this path before.
pub fn look(directory: &Path, known: bool) -> Result<Look, VaultError> {
    let site = open(directory, known)?;
    let disks = site.disks().iter().filter_map(|disk| {
        let name = DiskName::new(&*disk.dle.disk).ok()?;
        Some((disk.dle.host.clone(), name, disk.directory().to_path_buf()))
    });
    Ok(Look { name: site.name().clone(), disks: disks.collect(), retention_days: site.config().retention_days() })
}

/// Says what a vault takes, and what is left for it.
pub fn room(directory: &Path) -> Result<Room, VaultError> {
    let site = open(directory, false)?;
    let unreadable = |source| VaultError::Unreadable { path: directory.to_path_buf(), source };
    let changer = site.changer();
    let slots = changer.slots().map_err(unreadable)?;
    let used = slots.iter().map(|slot| bytes_in(changer.volume(*slot).directory())).sum::<u64>();
    let room = nix::sys::statvfs::statvfs(directory).map_err(|error| unreadable(error.into()))?;
    Ok(Room { volumes: slots.len(), used, free: standing::wide(room.blocks_available()) * standing::wide(room.fragment_size()) })
}

/// What a directory's files take on the disk.
fn bytes_in(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).filter(fs::Metadata::is_file).map(|meta| meta.blocks() * 512).sum()
}

/// Returns the file of a vault that a receipt calls `LABEL:NUMBER`.
pub fn file_of(directory: &Path, place: &str) -> Option<PathBuf> {
    let (label, number) = place.rsplit_once(':')?;
    let number: u32 = number.parse().ok()?;
    let (_, volume) = open(directory, false).ok()?.changer().find(label).ok()??;
    volume.files().ok()?.into_iter().find(|file| file.number == number).map(|file| file.path)
}

/// Says whether a backup could write into it; nothing is written.
pub fn may_write(directory: &Path) -> Result<(), VaultError> {
    Ok(open(directory, false)?.may_write()?)
}

/// Says what it has of a host: the last dump of each disk with its chain as it is there now.
pub fn restated(directory: &Path, host: &HostName) -> Result<Vec<Receipt>, VaultError> {
    Ok(restate::restate(&open(directory, false)?, host, crate::clock::now())?)
}

/// Says when the dumps of a host's disks were last read back.
pub fn verified(directory: &Path, host: &HostName) -> Result<Vec<ReadBack>, VaultError> {
    let site = open(directory, false)?;
    let mut disks: BTreeMap<DiskName, ReadBack> = BTreeMap::new();
    for ((dle, ..), dump) in &catalog::load(&site)?.dumps {
        let Some(disk) = DiskName::new(&*dle.disk).ok().filter(|_| dle.host == host.as_str()) else { continue };
        let good = dump.verified.filter(|_| dump.damage.is_none());
        let entry = disks.entry(disk.clone()).or_insert(ReadBack { disk, dumps: 0, never: 0, damaged: 0, oldest: Some(i64::MAX) });
        entry.dumps += 1;
        match (good, &dump.damage) {
            (_, Some(_)) => entry.damaged += 1,
            (None, None) => entry.never += 1,
            (Some(_), None) => {}
        }
        entry.oldest = entry.oldest.zip(good).map(|(oldest, good)| oldest.min(good));
    }
    Ok(disks.into_values().collect())
}

/// Returns the disklist, and the line in it that has a disk.
pub fn line_of(directory: &Path, host: &HostName, disk: &DiskName) -> Option<(PathBuf, usize)> {
    let site = open(directory, false).ok()?;
    let found = site.disks().iter().find(|found| found.dle.host == host.as_str() && found.dle.disk == disk.as_os_str())?;
    Some((found.file.clone(), found.at.line))
}

/// Asks this laptop's client whether the vault's disks could be dumped.
pub fn check(site: &Site, way: &Way, caller: &mut dyn Caller) -> Result<(), SessionError> {
    let Some(client) = caller.client() else { return Err(SessionError::OutOfTurn("a check without a client")) };
    let asked = |disk: &&Disk| way.disks.iter().any(|(name, _)| name.as_os_str() == disk.dle.disk);
    let listed: Vec<_> = site.disks_of(&way.host).filter(asked).collect();
    let disks: Vec<_> = listed.iter().filter_map(|disk| Some((*disk, disk.how(site.config())?))).collect();
    let link = InProcess::new(way.host.clone(), client);
    let connection = link.connect(&way.host).map_err(|error| failed(&error.to_string()))?;
    let found = selfcheck::selfcheck(connection, &way.host, site.name(), &disks, Patience::of(site.config()));
    link.settle();
    let found = found.map_err(|broken| failed(&broken.to_string()))?;
    let faults: Vec<String> = found.into_iter().filter(|(ok, _)| !ok).map(|(_, words)| show(words)).collect();
    let news = match (faults.is_empty(), way.disks.len() - listed.len()) {
        (false, _) => News::Checked { ok: false, lines: faults },
        (true, 0) => News::Checked { ok: true, lines: vec![format!("{} can be read", listed.len())] },
        (true, new) => {
            News::Checked { ok: true, lines: vec![format!("{} can be read; {new} will be added by the next backup", listed.len())] }
        }
    };
    caller.heard(news)?;
    caller.heard(News::End)
}

fn failed(why: &str) -> VaultError {
    VaultError::Engine { code: AbortCode::Failed, message: format!("this laptop's client gives no answer: {why}"), hint: String::new() }
}
