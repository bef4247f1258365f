//! What a run brought, as receipts: a pure decision from the run log, the catalog's list of dumps and the dumptypes.
//!
//! OK needs all of it: Amanda's last word is good, the server counted the bytes and the checksum that the client says it
//! sent, the catalog lists the dump as whole, and every lower level that it builds on is there.

use std::collections::BTreeMap;

use amanda::chains::{Bases, Restorable};
use amanda::crc::{CrcAgreement, Transform};
use amanda::dle::Dle;
use amanda::run_log::{LastWord, RunLog, Standing};
use wire::{Base, DiskName, HostName, Outcome, Receipt};

use crate::engine::{DiskRule, Survey};
use crate::runner::record::RunRecord;
use crate::runner::settle::failed;

/// What is known of a run that is over.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The run as it was written down.
    pub record: &'a RunRecord,
    /// What the config says.
    pub survey: &'a Survey,
    /// Its log; none when it wrote none.
    pub log: Option<&'a RunLog>,
    /// What amdump printed, for a run that ended before it wrote a log.
    pub printed: &'a str,
    /// Whole dumps by disk.
    pub chains: &'a BTreeMap<Dle, Vec<Restorable>>,
    /// Bytes that lie on the holding disk of this run's dumps, or what is wrong with them; nothing for one that is on a volume.
    pub stored: &'a BTreeMap<Dle, Result<u64, String>>,
    /// Seconds since the epoch.
    pub now: f64,
}

/// The judgement.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judgement {
    /// One receipt for each disk with a last word.
    pub receipts: Vec<Receipt>,
    /// Disks on which the run was cut off.
    pub cut_off: Vec<(HostName, DiskName)>,
    /// Disks whose client may believe in a dump that the server does not have: the next one must be a full dump.
    pub force_full: Vec<Dle>,
}

/// Judges a run.
pub fn judge(evidence: &Evidence<'_>) -> Judgement {
    let mut judgement = Judgement::default();
    for part in &evidence.record.parts {
        let all = evidence.survey.disks_in(evidence.record.kind, &part.host, &[]);
        let disks = if part.disks.is_empty() { &all } else { &part.disks };
        for disk in disks {
            let Some(rule) = evidence.survey.disks_of(&part.host).find(|rule| rule.disk == *disk) else { continue };
            judge_disk(evidence, &part.host, rule, &mut judgement);
        }
    }
    judgement
}

fn judge_disk(evidence: &Evidence<'_>, host: &HostName, rule: &DiskRule, judgement: &mut Judgement) {
    let dle = Dle::new(host.as_str(), rule.disk.as_os_str().to_owned());
    let record = evidence.record;
    let standing = evidence.log.map_or(Standing::Unheard, |log| log.standing(&dle));
    let began = !matches!(standing, Standing::Unheard) || evidence.log.is_some_and(|log| log.planner_finished);
    match standing {
        Standing::Ended(word) => {
            let receipt = receipt(evidence, host, rule, &dle, &word);
            let good = receipt.is_backup();
            if (!good && dump_began(evidence.log, &dle)) || a_dumper_died(evidence.log, &dle) {
                judgement.force_full.push(dle);
            }
            // A dumper whose driver was killed says "Killed while dumping"; that is no answer of Amanda's to this request.
            let driver_died = evidence.log.is_some_and(|log| !log.driver_finished && log.fatal.is_empty());
            if !good && (driver_died || record.ended.is_some()) {
                judgement.cut_off.push((host.clone(), rule.disk.clone()));
            } else {
                judgement.receipts.push(receipt);
            }
        }
        Standing::Skipped { reason } => {
            judgement.receipts.push(failed(record, host, &rule.disk, &format!("the planner left it out: {reason}"), evidence.now))
        }
        Standing::Unfinished | Standing::Unheard => {
            if began {
                // amandad may have moved its state at the end of a dump that nobody here finished.
                judgement.force_full.push(dle);
            }
            match final_word(evidence) {
                Some(reason) => judgement.receipts.push(failed(record, host, &rule.disk, &reason, evidence.now)),
                None => judgement.cut_off.push((host.clone(), rule.disk.clone())),
            }
        }
    }
}

/// Tells whether the client was asked for this dump, so that its own state may have moved.
fn dump_began(log: Option<&RunLog>, dle: &Dle) -> bool {
    log.is_some_and(|log| {
        log.attempts(dle).iter().any(|attempt| attempt.dumper.is_some() || attempt.chunker.is_some() || attempt.taper.is_some())
    })
}

/// Tells whether a dumper died on the way: the driver tries again at once while the first client still runs, and both write
/// the same incremental state. The dump is good; what the next one would build on is not.
fn a_dumper_died(log: Option<&RunLog>, dle: &Dle) -> bool {
    log.is_some_and(|log| {
        log.attempts(dle).iter().any(|attempt| attempt.dumper.as_ref().is_some_and(|dumper| dumper.reason.ends_with(" died")))
    })
}

/// Says why Amanda ended without a word on a disk, when it ended by itself; none when it was cut off.
fn final_word(evidence: &Evidence<'_>) -> Option<String> {
    if evidence.record.ended.is_some() {
        return None;
    }
    let Some(log) = evidence.log else {
        let printed: Vec<&str> = evidence.printed.lines().filter(|line| !line.trim().is_empty()).collect();
        return (!printed.is_empty()).then(|| format!("amdump did not start: {}", printed[printed.len().saturating_sub(3)..].join("; ")));
    };
    if let Some(fatal) = log.fatal.first() {
        return Some(format!("Amanda gave up: {fatal}"));
    }
    (log.planner_finished && log.driver_finished && log.amdump_done()).then(|| "Amanda ended without a word on this disk".to_owned())
}

fn receipt(evidence: &Evidence<'_>, host: &HostName, rule: &DiskRule, dle: &Dle, word: &LastWord) -> Receipt {
    let mut receipt = failed(evidence.record, host, &rule.disk, &word.reason, evidence.now);
    receipt.level = Some(word.level);
    receipt.datestamp = word.datestamp.clone();
    receipt.orig_kb = word.orig_kb;
    let counted = word.server.or(word.client.filter(|_| !rule.changed_on_server));
    receipt.bytes = counted.map(|crc| crc.bytes);
    receipt.crc32c = counted.map(|crc| format!("{:08x}", crc.crc));
    receipt.outcome = match word.outcome {
        amanda::run_log::Outcome::Ok => Outcome::Ok,
        amanda::run_log::Outcome::Strange => Outcome::Strange,
        amanda::run_log::Outcome::Partial => Outcome::Partial,
        amanda::run_log::Outcome::Failed => Outcome::Failed,
    };
    if !matches!(receipt.outcome, Outcome::Ok | Outcome::Strange) {
        return receipt;
    }
    if let CrcAgreement::Differs { client, server } = word.crc_agreement(Transform { server_side: rule.changed_on_server }) {
        return unproven(receipt, format!("the server stored other bytes than the client sent (sent {client}, stored {server})"));
    }
    match (evidence.stored.get(dle), word.server) {
        (Some(Err(why)), _) => return unproven(receipt, format!("Amanda says it is done, but {why}")),
        (Some(Ok(stored)), Some(counted)) if *stored != counted.bytes => {
            return unproven(receipt, format!("{stored} bytes lie on the holding disk, and the server counted {}", counted.bytes));
        }
        _ => {}
    }
    let whole =
        evidence.chains.get(dle).and_then(|dumps| dumps.iter().find(|dump| dump.datestamp == word.datestamp && dump.level == word.level));
    match whole {
        None => unproven(receipt, "Amanda says it is done, but its catalog does not list the dump as whole".to_owned()),
        Some(dump) => match chain(evidence.chains.get(dle).map_or(&[][..], Vec::as_slice), dump) {
            Ok(chain) => Receipt { chain, ..receipt },
            Err(why) => unproven(receipt, why),
        },
    }
}

fn unproven(receipt: Receipt, why: String) -> Receipt {
    let reason = if receipt.reason.is_empty() { why } else { format!("{why}; {}", receipt.reason) };
    Receipt { outcome: Outcome::Failed, reason, ..receipt }
}

/// Lists what a restore of this dump would read, level 0 first.
fn chain(dumps: &[Restorable], last: &Restorable) -> Result<Vec<Base>, String> {
    let stamps = match &last.bases {
        Bases::Complete(stamps) => stamps,
        Bases::Doubtful { broken, .. } => return Err(format!("a dump that it may build on, of {broken}, is not whole")),
        Bases::Missing { level } => return Err(format!("the dump of level {level} that it builds on is gone")),
    };
    let base = |dump: &Restorable| Base {
        level: dump.level,
        datestamp: dump.datestamp.clone(),
        places: dump.places.first().map(|copy| copy.iter().map(ToString::to_string).collect()).unwrap_or_default(),
    };
    let mut chain: Vec<Base> = Vec::new();
    for (below, stamp) in stamps.iter().enumerate() {
        let level = usize::from(last.level).saturating_sub(1 + below);
        let found = dumps.iter().find(|dump| dump.datestamp == *stamp && usize::from(dump.level) == level);
        chain.push(found.map(base).ok_or_else(|| format!("the dump of level {level} that it builds on is gone"))?);
    }
    chain.reverse();
    chain.push(base(last));
    Ok(chain)
}
