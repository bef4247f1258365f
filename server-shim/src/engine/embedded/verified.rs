//! When dumps were last read back and found to be what was dumped, kept in `.asyncamanda/verified.json`.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use amanda::dle::Dle;
use serde::{Deserialize, Serialize};
use wire::DiskName;

use super::site::Site;
use super::volumes::Key;
use crate::durable;

/// One dump. Seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    host: String,
    disk: DiskName,
    datestamp: String,
    level: u8,
    verified: i64,
}

fn path(site: &Site) -> PathBuf {
    site.own().join("verified.json")
}

/// Reads when each dump was verified.
pub fn load(site: &Site) -> io::Result<BTreeMap<Key, i64>> {
    let seen: Vec<Seen> = durable::read_json(&path(site))?.unwrap_or_default();
    let key = |seen: &Seen| (Dle::new(seen.host.clone(), seen.disk.as_os_str().to_owned()), seen.datestamp.clone(), seen.level);
    Ok(seen.iter().map(|seen| (key(seen), seen.verified)).collect())
}

/// Keeps it, durably.
pub fn store(site: &Site, times: &BTreeMap<Key, i64>) -> io::Result<()> {
    if times.is_empty() && !path(site).exists() {
        return Ok(());
    }
    let seen = times.iter().filter_map(|((dle, datestamp, level), verified)| {
        // The catalog has no disk without a name.
        let disk = DiskName::new(dle.disk.clone()).ok()?;
        Some(Seen { host: dle.host.clone(), disk, datestamp: datestamp.clone(), level: *level, verified: *verified })
    });
    durable::write_json(&path(site), &seen.collect::<Vec<_>>(), 0o600)
}
