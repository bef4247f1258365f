//! What a run brought, as receipts: a pure decision from the run log, the catalog's list of dumps and the dumptypes.
//!
//! OK needs all of it: Amanda's last word is good, the server counted the bytes and the checksum that the client says it
//! sent, the catalog lists the dump as whole, and every lower level that it builds on is there.

use std::collections::BTreeMap;

use amanda::chains::{Bases, Restorable};
use amanda::crc::{CrcAgreement, Transform};
use amanda::dle::Dle;
use amanda::run_log::{LastWord, Report, RunLog, Standing};
use wire::{Base, ConfigName, DiskName, HostName, Outcome, Receipt};

use crate::engine::{DiskRule, Survey};
use crate::latest::Latest;
use crate::runner::record::{Part, RunRecord};
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

/// The most places of one dump that a receipt names: it has to fit into a message.
const MAX_PLACES: usize = 32;

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
            judge_disk(evidence, part, rule, &mut judgement);
        }
    }
    judgement
}

fn judge_disk(evidence: &Evidence<'_>, part: &Part, rule: &DiskRule, judgement: &mut Judgement) {
    let host = &part.host;
    let dle = Dle::new(host.as_str(), rule.disk.as_os_str().to_owned());
    let record = evidence.record;
    let standing = evidence.log.map_or(Standing::Unheard, |log| log.standing(&dle));
    // Without a log nobody knows what the client was asked for, unless amdump said why it did not start.
    let began =
        !matches!(standing, Standing::Unheard) || evidence.log.map_or(evidence.printed.trim().is_empty(), |log| log.planner_finished);
    match standing {
        Standing::Ended(word) => {
            let receipt = receipt(evidence, host, rule, &dle, &word);
            let good = receipt.is_backup();
            let every_part_died = every_part_died(evidence.log, &dle);
            // Where Amanda believes in a dump that is none, its next one would build on it, whatever the client does.
            let misjudged = !good && matches!(word.outcome, amanda::run_log::Outcome::Ok | amanda::run_log::Outcome::Strange);
            let moved = (!good && dump_began(evidence.log, &dle))
                || a_dumper_died(evidence.log, &dle)
                || a_lower_level_failed(evidence.log, &dle, word.level);
            if misjudged || (moved && !part.holds_back) {
                judgement.force_full.push(dle);
            }
            // A dumper whose driver was killed says "Killed while dumping"; that is no answer of Amanda's to this request.
            let driver_died = evidence.log.is_some_and(|log| !log.driver_finished && log.fatal.is_empty());
            if !good && (driver_died || record.ended.is_some() || every_part_died) {
                judgement.cut_off.push((host.clone(), rule.disk.clone()));
            } else {
                judgement.receipts.push(receipt);
            }
        }
        Standing::Skipped { reason } => {
            judgement.receipts.push(failed(record, host, &rule.disk, &format!("the planner left it out: {reason}"), evidence.now));
        }
        Standing::Unfinished | Standing::Unheard => {
            if began && !part.holds_back {
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

/// Tells whether the run made a dump of a lower level before, and failed: its client has moved that level's state, and what was
/// dumped after it builds on that.
fn a_lower_level_failed(log: Option<&RunLog>, dle: &Dle, level: u8) -> bool {
    log.is_some_and(|log| {
        let lower = |report: &Option<Report>| report.as_ref().is_some_and(|report| report.level < level);
        log.attempts(dle).iter().any(|attempt| lower(&attempt.dumper) || lower(&attempt.chunker) || lower(&attempt.taper))
    })
}

/// Tells whether the last try ended because Amanda's own programs died.
fn every_part_died(log: Option<&RunLog>, dle: &Dle) -> bool {
    let died = |report: &Option<Report>| report.as_ref().is_none_or(|report| report.reason.ends_with(" died"));
    let last = log.and_then(|log| log.attempts(dle).last());
    last.is_some_and(|attempt| (attempt.dumper.is_some() || attempt.chunker.is_some()) && died(&attempt.dumper) && died(&attempt.chunker))
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
    let reason = word.reason.lines().map(str::trim).collect::<Vec<_>>().join("; ");
    let mut receipt = failed(evidence.record, host, &rule.disk, &reason, evidence.now);
    receipt.level = Some(word.level);
    receipt.datestamp = word.datestamp.clone();
    receipt.sent_crc32c = word.client.map(|crc| format!("{:08x}", crc.crc));
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

/// Lists the disks whose last backup cannot be restored any more, since a dump of its chain is not listed as whole.
///
/// Only receipts of `config` count: those of a config that the host has left say nothing about this catalog.
pub fn vanished(latest: &Latest, config: &ConfigName, chains: &BTreeMap<Dle, Vec<Restorable>>) -> Vec<Dle> {
    let mut gone = Vec::new();
    for receipt in latest.last.iter().chain(&latest.backup).filter(|receipt| receipt.is_backup() && receipt.config == *config) {
        let dle = Dle::new(receipt.host.as_str(), receipt.disk.as_os_str().to_owned());
        let dumps = chains.get(&dle).map_or(&[][..], Vec::as_slice);
        let listed = |base: &Base| dumps.iter().any(|dump| dump.datestamp == base.datestamp && dump.level == base.level);
        if !receipt.chain.iter().all(listed) {
            gone.push(dle);
        }
    }
    gone
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
        places: dump.places.first().map(|copy| copy.iter().take(MAX_PLACES).map(ToString::to_string).collect()).unwrap_or_default(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::{record, survey};
    use crate::queue::order::Kind;
    use amanda::admin::Place;

    const HOST: &str = "127.0.0.5";
    const DISK: &str = "/srv/aafx/src/data";

    /// What a real log says of its second disk, with a catalog that lists the dump of `stamp` and these bytes on the disk.
    fn judged(log: &str, stamp: &str, stored: Result<u64, String>, ended: Option<&str>) -> Judgement {
        judged_of(log, stamp, stored, ended, false)
    }

    fn judged_of(log: &str, stamp: &str, stored: Result<u64, String>, ended: Option<&str>, holds_back: bool) -> Judgement {
        let path = format!("{}/../crates/amanda/tests/fixtures/{log}", env!("CARGO_MANIFEST_DIR"));
        let log = RunLog::parse(&std::fs::read(&path).expect(&path));
        let mut record = record(Kind::Laptops { from_client: true }, &[(HOST, &[DISK])]);
        record.ended = ended.map(str::to_owned);
        record.parts[0].holds_back = holds_back;
        let dle = Dle::new(HOST, DISK);
        let dump = Restorable {
            level: 0,
            datestamp: stamp.to_owned(),
            places: vec![vec![Place::Holding("/h/x".into())]],
            bases: Bases::Complete(vec![]),
        };
        let chains = if stamp.is_empty() { BTreeMap::new() } else { BTreeMap::from([(dle.clone(), vec![dump])]) };
        let stored = BTreeMap::from([(dle, stored)]);
        let survey = survey(&[("127.0.0.4", "/srv/aafx/src/home docs"), (HOST, DISK)]);
        judge(&Evidence { record: &record, survey: &survey, log: Some(&log), printed: "", chains: &chains, stored: &stored, now: 200.0 })
    }

    /// One letter for what became of the disk: an outcome, or `cut` for one to be tried again; and whether a full dump is forced.
    fn said(judgement: &Judgement) -> (String, bool) {
        let word = match (judgement.receipts.as_slice(), judgement.cut_off.as_slice()) {
            ([receipt], []) => receipt.outcome.to_string(),
            ([], [_]) => "cut".to_owned(),
            other => panic!("{other:?}"),
        };
        (word, !judgement.force_full.is_empty())
    }

    #[test]
    fn real_logs_are_judged() {
        let full = "20261122023017";
        for (case, log, stamp, stored, ended, expected) in [
            ("a full dump", "log.full", full, Ok(4_000_928), None, ("OK", false)),
            ("not in the catalog", "log.full", "", Ok(4_000_928), None, ("FAILED", true)),
            ("fewer bytes on disk than counted", "log.full", full, Ok(4_000_000), None, ("FAILED", true)),
            ("a chunk is gone", "log.full", full, Err("its chunk x is gone".to_owned()), None, ("FAILED", true)),
            ("the client sent something else", "log.false-client-crc", full, Ok(4_000_928), None, ("FAILED", true)),
            ("the driver was killed in mid-dump", "log.killed-driver", "", Ok(0), None, ("cut", true)),
            ("the planner was killed", "log.killed-planner", "", Ok(0), None, ("cut", false)),
            ("the chunker was killed and we ended the run", "log.killed-chunker", "", Ok(0), Some("it hung"), ("cut", true)),
        ] {
            let judgement = judged(log, stamp, stored, ended);
            let (word, forced) = said(&judgement);
            assert_eq!((word.as_str(), forced), expected, "{case}: {judgement:?}");
        }
    }

    #[test]
    fn a_client_that_holds_its_state_back_is_dumped_again_at_the_same_level_unless_amanda_believes_in_the_dump() {
        let full = "20261122023017";
        for (case, log, stamp, ended, expected) in [
            ("the driver was killed in mid-dump", "log.killed-driver", "", None, ("cut", false)),
            ("the chunker was killed and we ended the run", "log.killed-chunker", "", Some("it hung"), ("cut", false)),
            ("not in the catalog, though Amanda said SUCCESS", "log.full", "", None, ("FAILED", true)),
            ("the client sent something else", "log.false-client-crc", full, None, ("FAILED", true)),
        ] {
            let judgement = judged_of(log, stamp, Ok(4_000_928), ended, true);
            let (word, forced) = said(&judgement);
            assert_eq!((word.as_str(), forced), expected, "{case}: {judgement:?}");
        }
    }

    #[test]
    fn a_dumper_that_died_leaves_a_good_dump_and_a_full_one_next() {
        let log = "log.killed-dumper-retried";
        let path = format!("{}/../crates/amanda/tests/fixtures/{log}", env!("CARGO_MANIFEST_DIR"));
        let word = RunLog::parse(&std::fs::read(&path).expect(&path)).last_word(&Dle::new(HOST, DISK)).expect("a last word");
        let bytes = word.server.expect("a server crc").bytes;
        let (outcome, forced) = said(&judged(log, &word.datestamp, Ok(bytes), None));
        assert!(outcome == "OK" || outcome == "STRANGE", "{outcome}");
        assert!(forced);
    }

    #[test]
    fn a_good_receipt_names_what_was_counted_and_what_a_restore_reads() {
        let judgement = judged("log.full", "20261122023017", Ok(4_000_928), None);
        let receipt = &judgement.receipts[0];
        assert!(receipt.is_backup());
        assert_eq!((receipt.bytes, receipt.crc32c.as_deref(), receipt.level), (Some(4_000_928), Some("2e69ab16"), Some(0)));
        assert_eq!(receipt.chain[0].places, ["/h/x"]);
        assert_eq!((receipt.started, receipt.finished), (100, 200));
    }

    #[test]
    fn a_backup_whose_dumps_are_not_listed_any_more_has_vanished() {
        let good = judged("log.full", "20261122023017", Ok(4_000_928), None).receipts.remove(0);
        let dle = Dle::new(HOST, DISK);
        let whole = |stamp: &str| Restorable { level: 0, datestamp: stamp.to_owned(), places: vec![], bases: Bases::Complete(vec![]) };
        let latest = Latest { last: vec![good], ..Latest::default() };
        let (daily, other) = ("daily".parse().expect("name"), "other".parse().expect("name"));
        assert_eq!(vanished(&latest, &other, &BTreeMap::new()), [], "a config that the host has left");
        assert_eq!(vanished(&latest, &daily, &BTreeMap::from([(dle.clone(), vec![whole("20261122023017")])])), []);
        assert_eq!(vanished(&latest, &daily, &BTreeMap::from([(dle.clone(), vec![whole("20261101000000")])])), std::slice::from_ref(&dle));
        assert_eq!(vanished(&latest, &daily, &BTreeMap::new()), [dle]);
        assert_eq!(vanished(&Latest::default(), &daily, &BTreeMap::new()), []);
    }

    #[test]
    fn an_incremental_whose_base_is_gone_or_doubtful_is_no_backup() {
        let dump = |level, stamp: &str, bases| Restorable { level, datestamp: stamp.to_owned(), places: vec![], bases };
        let base = dump(0, "1", Bases::Complete(vec![]));
        let middle = dump(1, "2", Bases::Complete(vec!["1".to_owned()]));
        let good = dump(2, "3", Bases::Complete(vec!["2".to_owned(), "1".to_owned()]));
        let dumps = [base, middle, good.clone()];
        let levels: Vec<_> = chain(&dumps, &good).expect("whole").iter().map(|base| (base.level, base.datestamp.clone())).collect();
        assert_eq!(levels, [(0, "1".to_owned()), (1, "2".to_owned()), (2, "3".to_owned())]);
        assert!(chain(&dumps, &dump(1, "4", Bases::Missing { level: 0 })).is_err());
        assert!(chain(&dumps, &dump(1, "4", Bases::Doubtful { bases: vec!["1".to_owned()], broken: "3".to_owned() })).is_err());
    }
}
