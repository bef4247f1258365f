//! What a run that is over brought, turned into receipts where the laptops' sessions find them.
//!
//! Every step may be repeated: a runner that is killed in between leaves the record, and the next one settles again. The
//! record goes last.

use std::io;

use wire::{ConfigName, DiskName, HostName, Outcome, Receipt};

use super::order;
use super::record::{Part, Retry, RunRecord, Settled};
use crate::authorise::BUDGET_WINDOW;
use crate::config::Config;
use crate::durable;
use crate::engine::{Engine, Survey, Trouble, Verdicts};
use crate::latest::Latest;
use crate::layout::Layout;
use crate::queue::spool::Spool;
use crate::queue::ticket::{Ticket, TicketId};

/// Runs that may be cut off before a ticket is answered with what there is.
const ATTEMPTS: usize = 2;

/// Settles a run.
pub fn settle(layout: &Layout, spool: &Spool, record: &RunRecord, survey: &Survey, verdicts: Verdicts, now: f64) -> io::Result<()> {
    let (tickets, _) = spool.list()?;
    let mut notes = verdicts.notes.clone();
    for part in &record.parts {
        let mut receipts: Vec<Receipt> = verdicts.receipts.iter().filter(|receipt| receipt.host == part.host).cloned().collect();
        let cut: Vec<DiskName> = verdicts.cut_off.iter().filter(|(host, _)| *host == part.host).map(|(_, disk)| disk.clone()).collect();
        let ticket = part.ticket.as_ref().and_then(|id| tickets.iter().find(|ticket| ticket.id == *id && ticket.host == part.host));
        if let Some(ticket) = ticket {
            let path = layout.retry(ticket);
            let mut retry: Retry = durable::read_json(&path).ok().flatten().unwrap_or_default();
            if !retry.runs.contains(&record.id) {
                retry.runs.push(record.id.clone());
                retry.receipts.append(&mut receipts.clone());
                retry.remaining = cut.clone();
                if !cut.is_empty() {
                    durable::write_json(&path, &retry, 0o640)?;
                }
            }
            if !cut.is_empty() && retry.runs.len() < ATTEMPTS {
                remember(layout, &part.host, &receipts, record, now)?;
                continue;
            }
            receipts = retry.receipts;
        }
        receipts.extend(cut.iter().map(|disk| failed(record, &part.host, disk, &cut_words(record), now)));
        if let Some(ticket) = ticket {
            receipts.extend(unheard(record, part, ticket, survey, &receipts, now));
        }
        remember(layout, &part.host, &receipts, record, now)?;
        notes.extend(receipts.iter().map(words));
        if let Some(ticket) = ticket {
            publish_result(layout, spool, ticket, &Settled { receipts, ..Settled::default() })?;
        }
    }
    if let Some(order) = &record.order {
        let failed = verdicts.failed || !verdicts.cut_off.is_empty() || verdicts.receipts.iter().any(|receipt| !receipt.is_backup());
        publish_order(layout, order, &Settled { receipts: verdicts.receipts, notes, failed, ..Settled::default() })?;
    }
    super::log(&format!("event=run_settled run={} config={}", record.id, record.config));
    record.forget(layout)
}

/// Answers the tickets of a run that cannot be settled now; its record stays, and the next runner tries again.
pub fn give_up(layout: &Layout, spool: &Spool, record: &RunRecord, trouble: &Trouble, now: f64) -> io::Result<()> {
    let (tickets, _) = spool.list()?;
    for part in &record.parts {
        let Some(ticket) = part.ticket.as_ref().and_then(|id| tickets.iter().find(|ticket| ticket.id == *id)) else { continue };
        let reason = format!("the run is over, but what it brought cannot be read: {trouble}");
        let receipts = part.disks.iter().map(|disk| failed(record, &part.host, disk, &reason, now)).collect();
        publish_result(layout, spool, ticket, &Settled { receipts, hint: trouble.hint.clone(), ..Settled::default() })?;
    }
    match &record.order {
        Some(order) => publish_order(layout, order, &Settled::from(trouble)),
        None => Ok(()),
    }
}

/// Puts a ticket's answer where its sessions find it, and takes the ticket away.
pub fn publish_result(layout: &Layout, spool: &Spool, ticket: &Ticket, settled: &Settled) -> io::Result<()> {
    let path = layout.result(ticket);
    if !path.exists() {
        durable::write_json(&path, settled, 0o640)?;
    }
    durable::discard(&layout.retry(ticket))?;
    // The answer is what counts; a ticket that has one is passed over.
    spool.remove(ticket).or_else(|error| {
        super::log(&format!("event=ticket_not_removed ticket={} why=\"{error}\"", ticket.file_name()));
        Ok(())
    })
}

/// Puts an order's answer where the administrator's command finds it, and takes the order away.
pub fn publish_order(layout: &Layout, id: &TicketId, settled: &Settled) -> io::Result<()> {
    durable::write_json(&layout.order_result(id), settled, 0o640)?;
    order::remove(layout, id)
}

fn remember(layout: &Layout, host: &HostName, receipts: &[Receipt], record: &RunRecord, now: f64) -> io::Result<()> {
    if receipts.is_empty() {
        return Ok(());
    }
    Latest::change(layout, host, |latest| {
        let known = latest.last.iter().any(|receipt| receipt.run == record.id);
        if !known {
            latest.add(receipts, now as i64, BUDGET_WINDOW);
        }
    })
}

/// Brings the last receipts of all hosts of a config to what its catalog has now: a run may have taken room from old dumps.
pub fn restate(config: &Config, layout: &Layout, engine: &dyn Engine, of: &ConfigName) {
    let hosts: Vec<HostName> = config.hosts.iter().filter(|(_, rule)| rule.config == *of).map(|(host, _)| host.clone()).collect();
    let now = match engine.restate(of, &hosts) {
        Ok(Some(now)) => now,
        Ok(None) => return,
        Err(trouble) => return super::log(&format!("event=not_restated config={of} why={trouble:?}")),
    };
    for host in &hosts {
        let now: Vec<Receipt> = now.iter().filter(|receipt| receipt.host == *host).cloned().collect();
        // The next run of the config does it again.
        if let Err(error) = Latest::change(layout, host, |latest| latest.restated(&now)) {
            super::log(&format!("event=not_restated config={of} host={host} why=\"{error}\""));
        }
    }
}

/// Makes receipts for the disks of a ticket that no run looked at.
fn unheard(record: &RunRecord, part: &Part, ticket: &Ticket, survey: &Survey, have: &[Receipt], now: f64) -> Vec<Receipt> {
    let asked = if ticket.disks.is_empty() { &part.disks } else { &ticket.disks };
    let missing = asked.iter().filter(|disk| !have.iter().any(|receipt| receipt.disk == **disk));
    let receipt = |disk: &DiskName| {
        let known = survey.disks_of(&part.host).any(|rule| rule.disk == *disk);
        let reason = if known {
            format!(
                "the dumptype of this disk keeps it out of a laptop's run of {} (dump-limit); it belongs to the nightly run",
                record.config
            )
        } else {
            format!("the disklist of {} has no such disk for {}", record.config, part.host)
        };
        failed(record, &part.host, disk, &reason, now)
    };
    missing.map(receipt).collect()
}

fn cut_words(record: &RunRecord) -> String {
    match &record.ended {
        Some(why) => format!("the run was ended, since {why}"),
        None => "the run was cut off (a part of it was killed or died)".to_owned(),
    }
}

/// Makes the receipt of a disk of which there is nothing.
pub fn failed(record: &RunRecord, host: &HostName, disk: &DiskName, reason: &str, now: f64) -> Receipt {
    Receipt {
        run: record.id.clone(),
        host: host.clone(),
        config: record.config.clone(),
        disk: disk.clone(),
        outcome: Outcome::Failed,
        level: None,
        datestamp: String::new(),
        started: record.started,
        finished: now as i64,
        bytes: None,
        crc32c: None,
        sent_crc32c: None,
        orig_kb: None,
        reason: reason.to_owned(),
        chain: Vec::new(),
    }
}

fn words(receipt: &Receipt) -> String {
    let level = receipt.level.map_or_else(String::new, |level| format!(" level {level}"));
    let reason = receipt.reason.lines().next().map_or_else(String::new, |reason| format!(": {reason}"));
    let places = receipt.chain.last().filter(|_| receipt.is_backup()).map(|dump| dump.places.join(", ")).unwrap_or_default();
    let place = if places.is_empty() { String::new() } else { format!(", on {places}") };
    format!("{} {}{level} {}{place}{reason}", receipt.host, String::from_utf8_lossy(receipt.disk.as_bytes()), receipt.outcome)
}
