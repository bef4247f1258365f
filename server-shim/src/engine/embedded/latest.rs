//! The last receipt of each disk, as it was given out: `.asyncamanda/latest/HOST._DISK.json`.
//!
//! Whoever restates a dump restates it under the name of its run and with its times, which the volumes do not keep. Nothing depends on
//! these files: where one is missing, the volumes tell what there is.

use std::io;
use std::path::PathBuf;

use amanda::dle::Dle;
use wire::Receipt;

use super::files::{self, Sure};
use super::locks;
use super::site::Site;
use crate::durable;

fn path(site: &Site, dle: &Dle) -> PathBuf {
    site.own().join("latest").join(locks::short_name(dle, ".json"))
}

/// Keeps the receipt of a dump.
pub fn keep(site: &Site, dle: &Dle, receipt: &Receipt) -> io::Result<()> {
    let path = path(site, dle);
    if let Some(directory) = path.parent().filter(|directory| !directory.is_dir()) {
        files::make_below(&site.own(), directory)?;
    }
    files::replace(&path, &serde_json::to_vec(receipt).map_err(io::Error::other)?, Sure::Cheap)
}

/// Removes the receipt of a disk of which nothing is left.
pub fn forget(site: &Site, dle: &Dle) -> io::Result<()> {
    files::remove(&path(site, dle))
}

/// Returns the receipt of a disk's last dump, when it is there and can be read.
pub fn of(site: &Site, dle: &Dle) -> Option<Receipt> {
    let receipt: Receipt = durable::read_json(&path(site, dle)).ok()??;
    // The file of another disk with the same short name.
    (receipt.host.as_str() == dle.host && receipt.disk.as_os_str() == dle.disk).then_some(receipt)
}
