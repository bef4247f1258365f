//! What a verification found damaged, kept in `.asyncamanda/damaged.json`: the catalog does not count it.

use std::io;
use std::path::PathBuf;

use amanda::dle::Dle;
use serde::{Deserialize, Serialize};
use wire::DiskName;

use super::site::Site;
use super::volumes::Key;
use crate::durable;

/// A dump that is not what was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    host: String,
    disk: DiskName,
    datestamp: String,
    level: u8,
    /// What is wrong, a sentence.
    pub what: String,
}

impl Mark {
    /// Marks a dump; `None` when its disk has no name.
    pub fn new(dle: &Dle, datestamp: &str, level: u8, what: &str) -> Option<Self> {
        let disk = DiskName::new(dle.disk.clone()).ok()?;
        Some(Self { host: dle.host.clone(), disk, datestamp: datestamp.to_owned(), level, what: what.to_owned() })
    }

    /// Returns which dump it is.
    pub fn key(&self) -> Key {
        (Dle::new(self.host.clone(), self.disk.as_os_str().to_owned()), self.datestamp.clone(), self.level)
    }
}

fn path(site: &Site) -> PathBuf {
    site.own().join("damaged.json")
}

/// Reads the marks.
pub fn load(site: &Site) -> io::Result<Vec<Mark>> {
    Ok(durable::read_json(&path(site))?.unwrap_or_default())
}

/// Keeps them, durably.
pub fn store(site: &Site, marks: &[Mark]) -> io::Result<()> {
    if marks.is_empty() && !path(site).exists() {
        return Ok(());
    }
    durable::write_json(&path(site), &marks, 0o600)
}
