//! What there is of a host, for one who has not heard of it.

use amanda::run_log::{Outcome as Said, RunLog};
use wire::{DiskName, HostName, Outcome, Receipt};

use super::catalog::Catalog;
use super::receipts::{self, Run};
use super::site::{Site, failed};
use super::{catalog, files, history, latest, logs, stamp};
use crate::engine::Trouble;

/// The longest log that is read for a word on a dump, in bytes.
const LONGEST_LOG: u64 = 64 * 1024 * 1024;

/// Says of each disk of a host what its last dump is, with its chain as the volumes have it now; `FAILED` for one that was
/// dumped and cannot be restored any more, and then what is left of it. Nothing is written. A run that nobody knows the name of is
/// named by its datestamp. What a clock made that was ahead, by `now`, counts only where there is nothing else.
///
/// # Errors
/// When the catalog cannot be read.
pub fn restate(site: &Site, host: &HostName, now: i64) -> Result<Vec<Receipt>, Trouble> {
    restate_all(site, std::slice::from_ref(host), now)
}

/// The same for several hosts; the catalog is read once.
///
/// # Errors
/// As [`restate`].
pub fn restate_all(site: &Site, hosts: &[HostName], now: i64) -> Result<Vec<Receipt>, Trouble> {
    let catalog = catalog::load(site)?;
    let latest = stamp::latest(now);
    let mut receipts = Vec::new();
    for host in hosts {
        for disk in site.disks_of(host) {
            if let Ok(name) = DiskName::new(disk.dle.disk.clone()) {
                of_disk(site, &catalog, &latest, (host, &name), disk, &mut receipts)?;
            }
        }
    }
    Ok(receipts)
}

fn of_disk(
    site: &Site,
    catalog: &Catalog,
    latest: &str,
    (host, name): (&HostName, &DiskName),
    disk: &amanda::conf::disklist::Disk,
    receipts: &mut Vec<Receipt>,
) -> Result<(), Trouble> {
    let dumps = catalog.of(&disk.dle);
    let is_past = |stamp: &str| stamp <= latest;
    let certain = || dumps.iter().rev().filter(|dump| dump.is_certain());
    let last = certain().find(|dump| is_past(&dump.datestamp)).or_else(|| certain().next());
    let given = latest::of(site, &disk.dle).filter(|given| given.config == *site.name());
    let is_given = |given: &Receipt| last.is_some_and(|last| last.datestamp == given.datestamp && Some(last.level) == given.level);
    if let (Some(given), Some(last)) = (given.as_ref().filter(|given| is_given(given)), last) {
        let run = Run { id: &given.run, started: given.started, finished: given.finished };
        let now = receipts::of_dump(site, catalog, run, host, name, last);
        let outcome = if given.is_backup() { given.outcome } else { now.outcome };
        receipts.push(Receipt { outcome, reason: given.reason.clone(), ..now });
        return Ok(());
    }
    let info = history::load(site, &disk.dle).map_err(|error| failed("cannot read", &site.config().infofile(), &error))?;
    // What was given out is newer than what is left: it is gone.
    let gone = given.filter(|given| {
        last.is_none_or(|last| (is_past(&given.datestamp), &given.datestamp) > (is_past(&last.datestamp), &last.datestamp))
    });
    let newest = dumps.iter().rfind(|dump| is_past(&dump.datestamp)).or(dumps.last());
    let why = match (newest, last) {
        (Some(newest), _) if !newest.is_certain() => {
            format!("the dump of {} cannot be restored: a dump that it builds on is gone or damaged", newest.datestamp)
        }
        (_, Some(left)) => format!("its last dump is gone or damaged; the one of {} is there", left.datestamp),
        (_, None) => "nothing of it is left on the volumes".to_owned(),
    };
    if let Some(given) = gone {
        let run = Run { id: &given.run, started: given.started, finished: given.finished };
        receipts.push(receipts::failed(site, run, host, name, &why));
    } else if let Some(remembered) = info.history.first().filter(|_| last.is_none()) {
        let id = stamp::of(remembered.date);
        let run = Run { id: &id, started: remembered.date, finished: remembered.date };
        receipts.push(receipts::failed(site, run, host, name, &why));
    }
    if let Some(last) = last {
        let time = stamp::seconds(&last.datestamp).unwrap_or(0);
        let run = Run { id: &last.datestamp, started: time, finished: time };
        let mut receipt = receipts::of_dump(site, catalog, run, host, name, last);
        strange(site, disk, &mut receipt);
        receipts.push(receipt);
    }
    Ok(())
}

/// Adds what the run's own log says, while there is one: that the client had something to say.
fn strange(site: &Site, disk: &amanda::conf::disklist::Disk, receipt: &mut Receipt) {
    let Ok(Some(log)) = files::read(&logs::path(site, &receipt.datestamp), LONGEST_LOG) else { return };
    let Some(word) = RunLog::parse(&log).last_word(&disk.dle) else { return };
    let is_its = Some(word.level) == receipt.level && word.datestamp == receipt.datestamp;
    if word.outcome == Said::Strange && is_its && receipt.outcome == Outcome::Ok {
        receipt.outcome = Outcome::Strange;
        receipt.reason = word.reason.lines().map(str::trim).collect::<Vec<_>>().join("; ");
    }
}
