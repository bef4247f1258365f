//! Receipts: what the catalog proves.

use amanda::chains::Restorable;
use amanda::crc::Crc;
use amanda::dle::Dle;
use wire::{Base, DiskName, HostName, Outcome, Receipt};

use super::catalog::Catalog;
use super::site::Site;

/// The most places of one dump that a receipt names: it has to fit into a message.
const MAX_PLACES: usize = 32;

/// A run, as receipts name it.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// Its id.
    pub id: &'a str,
    /// When it began, in seconds since 1970.
    pub started: i64,
    /// When it had its last word.
    pub finished: i64,
}

/// The receipt of a disk of which there is nothing new.
pub fn failed(site: &Site, run: Run<'_>, host: &HostName, disk: &DiskName, reason: &str) -> Receipt {
    Receipt {
        run: run.id.to_owned(),
        host: host.clone(),
        config: site.name().clone(),
        disk: disk.clone(),
        outcome: Outcome::Failed,
        level: None,
        datestamp: String::new(),
        started: run.started,
        finished: run.finished,
        bytes: None,
        crc32c: None,
        sent_crc32c: None,
        orig_kb: None,
        reason: reason.to_owned(),
        chain: Vec::new(),
    }
}

/// The receipt of a dump that is there; `FAILED` when it cannot be restored from a full dump onwards.
pub fn of_dump(site: &Site, catalog: &Catalog, run: Run<'_>, host: &HostName, disk: &DiskName, dump: &Restorable) -> Receipt {
    let dle = Dle::new(host.as_str(), disk.as_os_str().to_owned());
    let mut receipt = failed(site, run, host, disk, "");
    (receipt.level, receipt.datestamp) = (Some(dump.level), dump.datestamp.clone());
    if let Some(known) = catalog.dumps.get(&(dle.clone(), dump.datestamp.clone(), dump.level)) {
        let hex = |crc: Option<Crc>| crc.filter(Crc::is_known).map(|crc| format!("{:08x}", crc.crc));
        receipt.bytes = Some(known.bytes);
        receipt.crc32c = hex(known.sums.server);
        receipt.sent_crc32c = hex(known.sums.client);
        receipt.orig_kb = Some(known.orig_kb).filter(|kb| *kb > 0);
    }
    match catalog.chain(&dle, dump) {
        Some(chain) => {
            receipt.outcome = Outcome::Ok;
            receipt.chain = chain.into_iter().map(base).collect();
        }
        None => receipt.reason = "a dump that it builds on is gone".to_owned(),
    }
    receipt
}

fn base(dump: &Restorable) -> Base {
    let places = dump.places.first().map(|copy| copy.iter().take(MAX_PLACES).map(ToString::to_string).collect());
    Base { level: dump.level, datestamp: dump.datestamp.clone(), places: places.unwrap_or_default() }
}
