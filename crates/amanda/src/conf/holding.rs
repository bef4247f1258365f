//! Holding disks.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::whole::kib;
use super::{Config, Kind};

/// What of a file system is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// So many KiB at most.
    AtMost(u64),
    /// All that is free, but for so many KiB.
    AllBut(u64),
}

impl Use {
    /// Returns the KiB that may be used where so many are free.
    #[must_use]
    pub fn room_kb(self, free_kb: u64) -> u64 {
        match self {
            Self::AtMost(kb) => kb.min(free_kb),
            Self::AllBut(kb) => free_kb.saturating_sub(kb),
        }
    }
}

/// A directory where dumps wait for a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldingDisk<'a> {
    /// Its name in amanda.conf.
    pub name: &'a str,
    /// What is said about it.
    pub comment: Option<&'a OsStr>,
    /// Where it is.
    pub directory: PathBuf,
    /// What of its file system is used.
    pub uses: Use,
    /// The longest file that a dump is kept in, in KiB with the header, a multiple of 32 and at least 64; `None` when a dump is kept in
    /// one file.
    pub chunk_kb: Option<u64>,
}

/// Amanda's chunks, unless it is said: 1 GiB.
const CHUNK_KB: i64 = 1024 * 1024;

impl Config {
    /// Returns the holding disks that are in use, in the order in which amanda.conf uses them.
    #[must_use]
    pub fn holdingdisks(&self) -> Vec<HoldingDisk<'_>> {
        let names = self.settings().list("holdingdisk");
        let sections = names.iter().filter_map(|name| self.section(Kind::Holdingdisk, name.to_str()?));
        let disks = sections.filter_map(|section| {
            let settings = &section.settings;
            let size = settings.int("use").unwrap_or(0);
            // Whole blocks of 32 KiB count, as Amanda rounds them.
            let kb = size.unsigned_abs() / 32 * 32;
            let chunk = settings.int("chunksize").unwrap_or(CHUNK_KB);
            Some(HoldingDisk {
                name: &section.name,
                comment: settings.text("comment"),
                directory: self.directory().join(settings.text("directory")?),
                uses: if size > 0 { Use::AtMost(kb) } else { Use::AllBut(kb) },
                chunk_kb: (chunk > 0 && chunk < i64::MAX / 1024).then(|| (kib(chunk) / 32 * 32).max(64)),
            })
        });
        disks.collect()
    }
}
