//! The embedded engine behind the runner: each run is a process of its own, the **dumper**, which is started, followed and, if
//! need be, killed and buried like an amdump.
//!
//! ```text
//! runner ── runs/ID.json ──> dumper ── control socket ──> the laptop's session
//!        <─ runs/ID.progress ─┤
//!        <─ runs/ID.brought ──┴──> config_dir/CONFIG: volumes, catalog
//! ```
//!
//! `ways` and `local` lead to clients; [`process`] is the dumper, [`progress`] what it says meanwhile, [`survey`] what a config says, [`check`] what an
//! administrator and a laptop are told beforehand.

pub mod check;
pub mod explain;
mod local;
pub mod process;
pub mod progress;
pub mod survey;
mod ways;

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};

use wire::{ConfigName, DiskName, HostName, Receipt};

use super::embedded::{Watch, mend, restate, stamp};
use super::{Engine, Observation, Survey, Trouble, Verdicts};
use crate::config::Config;
use crate::durable;
use crate::layout::Layout;
use crate::lock::Guard;
use crate::office;
use crate::processes::{self, Identity, MARK};
use crate::runner::record::{Part, RunRecord};
use crate::runner::settle::failed;
use crate::runner::{clock, log, start};
use process::Brought;
use progress::Seen;

/// The most that is kept of what a dumper printed.
const PRINTED: u64 = 4 * 1024;

/// Runs the embedded engine in processes of its own.
#[derive(Debug)]
pub struct DumperEngine<'a> {
    config: &'a Config,
    layout: Layout,
}

impl<'a> DumperEngine<'a> {
    /// Takes the administrator's configuration; nothing is started yet.
    pub fn new(config: &'a Config) -> Self {
        Self { config, layout: config.layout() }
    }

    /// Returns this program with some of its hidden commands, as the dump user's runner starts it.
    fn ourselves(&self, arguments: &[&str]) -> io::Result<Command> {
        let mut argv = start::argv(self.config)?;
        argv.pop();
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).arg("dumper").args(arguments).current_dir("/").stdin(Stdio::null());
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LANG", "C.UTF-8");
        command.envs(std::env::var_os("TZ").map(|zone| ("TZ", zone)));
        Ok(command)
    }

    fn spawn(&self, record: &RunRecord) -> io::Result<Identity> {
        let words = self.layout.run_words(&record.id);
        let words = OpenOptions::new().create(true).append(true).mode(0o640).custom_flags(libc::O_NOFOLLOW).open(words)?;
        let mut command = self.ourselves(&["run", &record.id])?;
        let pid = command.env(MARK, &record.id).stdout(Stdio::null()).stderr(words).spawn()?.id();
        Ok(Identity { pid, start: processes::read(pid).map_or(0, |process| process.start) })
    }

    fn printed(&self, record: &RunRecord) -> String {
        let mut text = Vec::new();
        if let Ok(file) = fs::File::open(self.layout.run_words(&record.id)) {
            let _ = file.take(PRINTED).read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).trim().to_owned()
    }

    /// Returns the disks of a host that a run of everything had come to before it was cut off: the others it may have passed over.
    fn begun(&self, record: &RunRecord, host: &HostName) -> Vec<DiskName> {
        let seen: Option<Seen> = durable::read_json(&self.layout.run_progress(&record.id)).ok().flatten();
        let disks = seen.into_iter().flat_map(|seen| seen.disks).filter(|(other, disk)| other == host && disk.state != "waiting");
        disks.map(|(_, progress)| progress.disk).collect()
    }

    /// Says what a dumper brought that was killed before it could say so: what it finished is on the volumes, or is put there now.
    fn rescue(&self, record: &RunRecord) -> Result<Brought, Trouble> {
        log(&format!("event=dumper_died run={} printed={:?}", record.id, self.printed(record)));
        let site = survey::open(self.config, &record.config)?;
        mend::mend(&site, &Notes, clock() as i64)?;
        let begin = stamp::of(record.started);
        let mut brought = Brought::default();
        let there = restate::restate_all(&site, &record.hosts(), clock() as i64)?;
        for part in &record.parts {
            let is_in = |disk: &DiskName| part.disks.is_empty() || part.disks.contains(disk);
            let of_this_run = |receipt: &&Receipt| receipt.host == part.host && is_in(&receipt.disk) && may_be_of(record, &begin, receipt);
            brought.receipts.extend(there.iter().filter(of_this_run).map(|receipt| Receipt {
                run: record.id.clone(),
                started: receipt.started.max(record.started),
                ..receipt.clone()
            }));
        }
        // The dumper would have mailed it; its log tells that it came to no end.
        if let Some(leader) = record.leader.as_ref().filter(|_| !matches!(record.kind, crate::queue::order::Kind::Laptops { .. })) {
            brought.told.extend(office::mail_report(&site, leader.pid, None, clock() as i64));
        }
        Ok(brought)
    }
}

/// Says whether a restated dump may be that of a run which began at this datestamp. One that was given out already is of the run that
/// gave it out; one that nobody gave out is named by its datestamp.
fn may_be_of(record: &RunRecord, begin: &str, receipt: &Receipt) -> bool {
    let is_its = receipt.run == record.id || receipt.run == receipt.datestamp;
    // Where local time went back, the dump before this run is dated later than its beginning.
    receipt.is_backup() && receipt.datestamp.as_str() >= begin && is_its
}

/// What is worth knowing while things are put right, into the runner's log.
struct Notes;

impl Watch for Notes {
    fn planned(&self, _: &HostName, _: &DiskName, _: u8, _: &str, _: Option<u64>) {}
    fn moved(&self, _: &HostName, _: &DiskName, _: u64) {}
    fn ended(&self, _: &HostName, _: &DiskName, _: wire::Outcome) {}
    fn noted(&self, what: &str) {
        log(&format!("event=noted what={what:?}"));
    }
}

/// Turns what a dumper brought into a word on each disk of its run; `whole` when it had the last word itself. `disks`: those of a host.
fn verdicts(record: &RunRecord, brought: Brought, whole: bool, disks: impl Fn(&Part) -> Vec<DiskName>, now: f64) -> Verdicts {
    let is_order = record.order.is_some();
    let failed_at_all = brought.trouble.is_some() || brought.failed || (is_order && !whole);
    let mut verdicts = Verdicts { failed: failed_at_all, ..Verdicts::default() };
    let has_skipped = |host: &HostName, disk: &DiskName| brought.skipped.iter().any(|(other, name)| other == host && name == disk);
    for part in &record.parts {
        for disk in disks(part).iter().filter(|disk| !has_skipped(&part.host, disk)) {
            let receipt = brought.receipts.iter().find(|receipt| receipt.host == part.host && receipt.disk == *disk);
            match (receipt, &brought.trouble) {
                (Some(receipt), _) => verdicts.receipts.push(receipt.clone()),
                (None, Some(trouble)) => verdicts.receipts.push(failed(record, &part.host, disk, trouble, now)),
                (None, None) if whole => {
                    let reason = "the run ended without a word on this disk";
                    verdicts.receipts.push(failed(record, &part.host, disk, reason, now));
                }
                (None, None) => verdicts.cut_off.push((part.host.clone(), disk.clone())),
            }
        }
    }
    if is_order {
        // A flush has no disk that could tell it.
        verdicts.notes.extend(brought.trouble.filter(|_| record.parts.is_empty()));
        verdicts.notes.extend(brought.told);
        if !whole {
            verdicts
                .notes
                .push("the run was cut off (a part of it was killed or died); what it left is looked after by the next one".to_owned());
        }
    }
    verdicts.notes.extend(brought.notes);
    verdicts
}

impl Engine for DumperEngine<'_> {
    fn survey(&self, config: &ConfigName) -> Result<Survey, Trouble> {
        Ok(survey::survey(&survey::open(self.config, config)?))
    }

    fn start(&self, record: &RunRecord, _: &Survey, _lock: &Guard) -> Result<Identity, Trouble> {
        self.spawn(record).map_err(|error| {
            Trouble::later(format!("the dumper cannot be started: {error}"), "the runner's log and `asyncamanda-shim check` say more")
        })
    }

    fn observe(&self, record: &mut RunRecord, _: &Survey) -> Observation {
        // One that cannot be read shows no progress.
        let seen: Option<Seen> = durable::read_json(&self.layout.run_progress(&record.id)).ok().flatten();
        seen.map_or_else(|| Observation { phase: "starting".to_owned(), ..Observation::default() }, Seen::into_observation)
    }

    fn check(&self, config: &ConfigName, host: &HostName) -> Option<Command> {
        self.ourselves(&["check", config.as_str(), host.as_str()]).ok()
    }

    fn settle(&self, record: &mut RunRecord, survey: &Survey) -> Result<Verdicts, Trouble> {
        // What cannot be read was never finished: it is written beside its place and renamed.
        let brought: Option<Brought> = durable::read_json(&self.layout.run_brought(&record.id)).unwrap_or_default();
        let (brought, whole) = match brought {
            Some(brought) => (brought, true),
            None => (self.rescue(record)?, false),
        };
        for note in &brought.notes {
            log(&format!("event=noted run={} what={note:?}", record.id));
        }
        let disks = |part: &Part| match &part.disks[..] {
            [] if whole => survey.disks_in(record.kind, &part.host, &[]),
            [] => self.begun(record, &part.host),
            disks => disks.to_vec(),
        };
        Ok(verdicts(record, brought, whole, disks, clock()))
    }

    fn restate(&self, config: &ConfigName, hosts: &[HostName]) -> Result<Option<Vec<Receipt>>, Trouble> {
        restate::restate_all(&survey::open(self.config, config)?, hosts, clock() as i64).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::record;
    use crate::queue::order::Kind;
    use wire::{Base, Outcome};

    fn brought(disk: &str) -> Brought {
        let record = record(Kind::Laptops { from_client: false }, &[("a", &[disk])]);
        let mut receipt = failed(&record, &record.parts[0].host, &record.parts[0].disks[0], "", 0.0);
        receipt.outcome = Outcome::Ok;
        receipt.chain = vec![Base { level: 0, datestamp: "20261122000000".to_owned(), places: vec![] }];
        Brought { receipts: vec![receipt], ..Brought::default() }
    }

    #[test]
    fn a_dump_that_another_run_gave_out_is_not_a_killed_runs() {
        let record = record(Kind::Laptops { from_client: false }, &[("a", &["/home"])]);
        let receipt = brought("/home").receipts.remove(0);
        let of = |run: &str, datestamp: &str| Receipt { run: run.to_owned(), datestamp: datestamp.to_owned(), ..receipt.clone() };
        for (run, datestamp, expected) in [
            (record.id.as_str(), "20261123000000", true),
            ("20261123000000", "20261123000000", true),
            ("20261122000000", "20261122000000", false),
            ("another-run", "20261123000000", false),
        ] {
            assert_eq!(may_be_of(&record, "20261122120000", &of(run, datestamp)), expected, "{run} {datestamp}");
        }
    }

    #[test]
    fn every_disk_of_a_run_has_a_word() {
        let record = record(Kind::Laptops { from_client: false }, &[("a", &["/home", "/etc"])]);
        let told = |brought: Brought, whole| {
            let verdicts = verdicts(&record, brought, whole, |part| part.disks.clone(), 1.0);
            let words: Vec<_> = verdicts.receipts.iter().map(|receipt| (receipt.outcome, receipt.reason.clone())).collect();
            (words, verdicts.cut_off.len())
        };
        let ok = (Outcome::Ok, String::new());
        assert_eq!(told(brought("/home"), false), (vec![ok.clone()], 1));
        let unheard = (Outcome::Failed, "the run ended without a word on this disk".to_owned());
        assert_eq!(told(brought("/home"), true), (vec![ok.clone(), unheard], 0));
        let trouble = Brought { trouble: Some("no room".to_owned()), ..brought("/etc") };
        assert_eq!(told(trouble, true), (vec![(Outcome::Failed, "no room".to_owned()), ok], 0));
        assert_eq!(told(Brought::default(), false), (vec![], 2));
        let skipped = vec![("a".parse().expect("name"), DiskName::new("/etc").expect("name"))];
        assert_eq!(told(Brought { skipped, ..brought("/home") }, true), (vec![(Outcome::Ok, String::new())], 0));
    }

    #[test]
    fn an_order_that_did_not_do_what_it_should_has_failed() {
        let order = |kind| RunRecord { order: Some(crate::queue::ticket::TicketId::new(1, 1)), ..record(kind, &[]) };
        for (case, kind, brought, whole, failed, says) in [
            ("nothing to do", Kind::Flush, Brought::default(), true, false, None),
            (
                "something stays",
                Kind::Flush,
                Brought { failed: true, told: vec!["x".to_owned()], ..Brought::default() },
                true,
                true,
                Some("x"),
            ),
            ("no config", Kind::Flush, Brought { trouble: Some("no room".to_owned()), ..Brought::default() }, true, true, Some("no room")),
            ("killed", Kind::Flush, Brought::default(), false, true, Some("cut off")),
        ] {
            let verdicts = verdicts(&order(kind), brought, whole, |_| Vec::new(), 1.0);
            assert_eq!(verdicts.failed, failed, "{case}");
            assert_eq!(verdicts.notes.first().is_some_and(|note| says.is_some_and(|says| note.contains(says))), says.is_some(), "{case}");
        }
    }
}
