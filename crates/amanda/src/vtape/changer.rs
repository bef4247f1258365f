//! A directory of volumes: what Amanda's `chg-disk` keeps (perl/Amanda/Changer/disk.pm).
//!
//! ```text
//! vtapes/slot1 … slotN/     one volume each
//! vtapes/data -> slot2      the current slot
//! vtapes/state              the same for each config, and which process has which slot; made by Amanda when it is not there
//! ```
//!
//! `state` is Perl, and Amanda evaluates it; we never write what somebody else could have a word in, and never evaluate it.
//! Without it, and for a config that it does not know, Amanda goes by `data`, and without that by the first slot. So a vault has
//! no `state` until Amanda makes one.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

use super::Volume;

/// The symlink to the current slot.
pub const CURRENT: &str = "data";

/// The file with Amanda's own notes.
pub const STATE: &str = "state";

/// A directory with a volume in each slot.
#[derive(Debug, Clone)]
pub struct ChgDisk {
    directory: PathBuf,
}

impl ChgDisk {
    /// Names the directory; nothing is read.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Returns the directory that amanda.conf's `tpchanger "chg-disk:/directory"` names; `None` for another changer.
    #[must_use]
    pub fn named(tpchanger: &str) -> Option<Self> {
        tpchanger.strip_prefix("chg-disk:").map(Self::new)
    }

    /// Returns the directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the numbers of the slots that are there, in order.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn slots(&self) -> io::Result<Vec<u32>> {
        let mut slots = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(slot) = name.to_str().and_then(slot_number) else { continue };
            if fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir()) {
                slots.push(slot);
            }
        }
        slots.sort_unstable();
        slots.dedup();
        Ok(slots)
    }

    /// Returns the volume in a slot.
    #[must_use]
    pub fn volume(&self, slot: u32) -> Volume {
        Volume::new(self.directory.join(format!("slot{slot}")))
    }

    /// Makes a slot, and the directory when it is not there.
    ///
    /// # Errors
    /// When it cannot be made; no error when it is there.
    pub fn make_slot(&self, slot: u32) -> io::Result<Volume> {
        let volume = self.volume(slot);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(volume.directory())?;
        Ok(volume)
    }

    /// Returns the slot and the volume that have this label, by the name of the label's file, as Amanda finds it.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn find(&self, label: &str) -> io::Result<Option<(u32, Volume)>> {
        let volumes = self.slots()?.into_iter().map(|slot| (slot, self.volume(slot)));
        Ok(volumes.into_iter().find(|(_, volume)| volume.directory().join(super::name::label(label)).is_file()))
    }

    /// Returns the current slot, as the symlink has it.
    #[must_use]
    pub fn current(&self) -> Option<u32> {
        slot_number(fs::read_link(self.directory.join(CURRENT)).ok()?.to_str()?.trim_end_matches('/'))
    }

    /// Makes a slot the current one.
    ///
    /// # Errors
    /// When the symlink cannot be made: some file systems of removable drives have none, and Amanda does without it.
    pub fn set_current(&self, slot: u32) -> io::Result<()> {
        let beside = self.directory.join(".asyncamanda-data.tmp");
        let _ = fs::remove_file(&beside);
        symlink(format!("slot{slot}"), &beside)?;
        fs::rename(&beside, self.directory.join(CURRENT)).inspect_err(|_| {
            let _ = fs::remove_file(&beside);
        })
    }
}

/// `slot7`, also `slot07`.
fn slot_number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("slot")?;
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}
