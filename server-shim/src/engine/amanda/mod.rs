//! The installed Amanda as an engine: amdump makes the dumps, unchanged; we choose when, for whom, and what to believe.
//!
//! [`programs`] starts Amanda's programs, [`survey`] reads what a config says, [`amdump`] builds the command line,
//! [`follow`] watches a run, [`guard`] protects its unfinished dumps, [`mod@judge`] decides what it brought, [`stored`] looks
//! at what lies on the holding disk, [`leftovers`] at what nobody will take up, [`check`] finds what would make a first dump fail,
//! [`verify`] reads dumps back.

pub mod amdump;
pub mod check;
pub mod follow;
pub mod guard;
pub mod judge;
pub mod leftovers;
pub mod programs;
pub mod stored;
pub mod survey;
pub mod verify;
mod verify_words;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use amanda::admin::{Found, Place};
use amanda::chains::{Restorable, chains};
use amanda::dle::Dle;
use amanda::run_log::RunLog;
use wire::{AbortCode, ConfigName, HostName, Receipt};

use super::{DiskRule, Engine, Observation, Survey, Trouble, Verdicts};
use crate::config::{Config, Reach};
use crate::latest::Latest;
use crate::layout::Layout;
use crate::lock::Guard;
use crate::processes::{self, Identity};
use crate::queue::order::Kind;
use crate::runner::record::RunRecord;
use crate::runner::{clock, log};
use crate::verified;
pub use verify_words::words as verify_words;

use follow::Follower;
use judge::{Evidence, judge};
use programs::Programs;

/// The most that is kept of what amdump printed.
const PRINTED: u64 = 16 * 1024;

/// Drives the installed Amanda.
#[derive(Debug)]
pub struct AmandaEngine {
    layout: Layout,
    programs: Programs,
    /// The config whose tapes all others feed.
    flush: Option<ConfigName>,
    /// Hosts that are reached through their own session.
    tunnelled: BTreeSet<HostName>,
    followers: RefCell<BTreeMap<String, Follower>>,
    guarded: RefCell<BTreeSet<PathBuf>>,
    keeper: guard::Keeper,
}

impl AmandaEngine {
    /// Takes the administrator's configuration; nothing is started yet.
    pub fn new(config: &Config) -> Self {
        Self {
            layout: config.layout(),
            programs: Programs::new(&config.amanda_sbin),
            flush: config.flush.as_ref().map(|flush| flush.config.clone()),
            tunnelled: config.hosts.iter().filter(|(_, rule)| rule.reach == Reach::Tunnel).map(|(host, _)| host.clone()).collect(),
            followers: RefCell::default(),
            guarded: RefCell::default(),
            keeper: guard::Keeper::default(),
        }
    }

    fn printed(&self, record: &RunRecord) -> String {
        let mut text = Vec::new();
        if let Ok(file) = fs::File::open(self.layout.run_words(&record.id)) {
            let _ = file.take(PRINTED).read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Lists the whole dumps of some hosts. One that was read back and found damaged is not whole.
    fn dumps_of(&self, config: &ConfigName, hosts: &[HostName]) -> Result<BTreeMap<Dle, Vec<Restorable>>, Trouble> {
        let mut arguments = vec![config.as_str().into(), "--exact-match".into(), "find".into()];
        arguments.extend(hosts.iter().map(|host| host.as_str().into()));
        let listed = self.programs.amadmin(&arguments)?;
        let mut rows = amanda::admin::find::parse(&listed);
        let book = self.flush.as_ref().unwrap_or(config);
        // A list that cannot be read names no damage; verify says so.
        let known = verified::load(&self.layout, book).unwrap_or_default();
        for dump in known.iter().filter(|dump| dump.damage.is_some()) {
            let is_its = |row: &&mut Found| {
                row.dle.host == dump.host
                    && row.dle.disk == dump.disk.as_os_str()
                    && row.datestamp == dump.datestamp
                    && row.level == dump.level
            };
            rows.iter_mut().filter(is_its).for_each(|row| row.status = "DAMAGED".to_owned());
        }
        Ok(chains(&rows))
    }

    /// Makes the next dump of a disk a full one, so that it builds on nothing.
    fn force_full(&self, config: &ConfigName, dle: &Dle) -> Result<(), Trouble> {
        let arguments = [config.as_str().into(), "--exact-match".into(), "force".into(), dle.host.clone().into(), dle.disk.clone()];
        self.programs.amadmin(&arguments)?;
        log(&format!("event=full_dump_forced config={config} host={} disk={}", dle.host, dle.disk.to_string_lossy()));
        Ok(())
    }

    /// Has a full dump made of every disk whose last backup is not whole any more: Amanda's planner would go on with an
    /// incremental one, since curinfo does not know that somebody removed a holding file.
    fn mind_the_bases(&self, record: &RunRecord) -> Result<(), Trouble> {
        let chains = self.dumps_of(&record.config, &record.hosts())?;
        for host in record.hosts() {
            let latest = Latest::load(&self.layout, &host).unwrap_or_default();
            for dle in judge::vanished(&latest, &record.config, &chains) {
                self.force_full(&record.config, &dle)?;
            }
        }
        Ok(())
    }

    /// Marks what a run left half-written as partial, in Amanda's own way. Only while no other run writes: the program
    /// looks at every unfinished dump of the config.
    fn clean_up(&self, record: &RunRecord, survey: &Survey) {
        let stamp = record.log.as_deref().and_then(guard::stamp_of);
        let dles = record.hosts().into_iter().flat_map(|host| {
            let of = |rule: &DiskRule| Dle::new(host.as_str(), rule.disk.as_os_str().to_owned());
            survey.disks_of(&host).map(of).collect::<Vec<_>>()
        });
        for dle in dles.filter(|_| !survey.indexdir.as_os_str().is_empty()) {
            if let Some(stamp) = stamp
                && let Err(error) = leftovers::remove_half_indexes(&survey.indexdir, stamp, &dle)
            {
                log(&format!("event=half_index_not_removed run={} host={} why=\"{error}\"", record.id, dle.host));
            }
        }
        let left = stamp.map(|stamp| follow::unfinished_dumps(&survey.holding, stamp)).unwrap_or_default();
        let alone = processes::foreign(nix::unistd::geteuid().as_raw(), &BTreeSet::new()).is_ok_and(|others| others.is_empty());
        if left.is_empty() || !alone {
            return;
        }
        if let Err(trouble) = self.programs.amcleanupdisk(&record.config) {
            log(&format!("event=cleanup_failed run={} why={trouble:?}", record.id));
        }
    }

    /// Adds what Amanda's ssh heard of a laptop that was not there: Amanda itself only says that it read nothing.
    fn say_why_unreachable(&self, record: &RunRecord, receipt: &mut Receipt) {
        let Some(log) = record.log.as_deref().filter(|_| self.tunnelled.contains(&receipt.host)) else { return };
        if let Some(words) = follow::words_of_ssh(log, &receipt.host).filter(|words| !receipt.reason.contains(words)) {
            receipt.reason = format!("{words}; {}", receipt.reason);
        }
    }

    fn settle_flush(&self, record: &RunRecord, run_log: Option<&RunLog>) -> Verdicts {
        let Some(run_log) = run_log else {
            let printed = self.printed(record);
            // Nothing on the holding disk is no failure.
            let nothing = printed.contains("No backups to flush") || printed.contains("no dumps");
            let notes = printed.lines().map(str::to_owned).collect();
            return Verdicts { notes, failed: !nothing, ..Verdicts::default() };
        };
        let mut notes: Vec<String> = run_log
            .flushed
            .iter()
            .map(|dump| {
                format!(
                    "{} {} level {} of {}: {}",
                    dump.dle.host,
                    dump.dle.disk.to_string_lossy(),
                    dump.level,
                    dump.datestamp,
                    dump.outcome
                )
            })
            .collect();
        notes.extend(run_log.fatal.iter().chain(&run_log.errors).cloned());
        let ended = run_log.pids.iter().any(|program| program.name == "amflush" && program.done);
        if !ended {
            notes.push("The flush was cut off; what it has not written still lies on the holding disk.".to_owned());
        } else if notes.is_empty() {
            notes.push("Nothing to flush.".to_owned());
        }
        let failed = !ended
            || !run_log.fatal.is_empty()
            || run_log.flushed.iter().any(|dump| dump.outcome != amanda::run_log::Outcome::Ok)
            || record.ended.is_some();
        Verdicts { notes, failed, ..Verdicts::default() }
    }
}

/// Says which holding disk is missing: not mounted, most of the time.
fn holding_is_there(survey: &Survey) -> Result<(), Trouble> {
    use nix::unistd::{AccessFlags, access};
    for directory in &survey.holding {
        let problem = if !directory.is_dir() {
            "is not there"
        } else if access(directory, AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
            "cannot be written to by Amanda's account"
        } else {
            continue;
        };
        return Err(Trouble::config(
            format!("the holding disk {} of {} {problem}", directory.display(), survey.config),
            "mount it, or make it and give it to Amanda's account; or take it out of amanda.conf",
        ));
    }
    Ok(())
}

/// Looks at the holding-disk files of every dump that this run says it made.
fn stored_by(
    log: &RunLog,
    record: &RunRecord,
    survey: &Survey,
    chains: &BTreeMap<Dle, Vec<Restorable>>,
) -> BTreeMap<Dle, Result<u64, String>> {
    let mut stored = BTreeMap::new();
    for (dle, dumps) in chains {
        let Some(word) = log.last_word(dle).filter(|_| record.hosts().iter().any(|host| host.as_str() == dle.host)) else { continue };
        let this = dumps.iter().find(|dump| dump.datestamp == word.datestamp && dump.level == word.level);
        if let Some(Place::Holding(path)) = this.and_then(|dump| dump.places.first()).and_then(|copy| copy.first()) {
            stored.insert(dle.clone(), stored::mend_and_measure(Path::new(path), &survey.holding));
        }
    }
    stored
}

impl Engine for AmandaEngine {
    fn survey(&self, config: &ConfigName) -> Result<Survey, Trouble> {
        survey::survey(&self.programs, config)
    }

    fn start(&self, record: &RunRecord, survey: &Survey, _lock: &Guard) -> Result<Identity, Trouble> {
        if matches!(record.kind, Kind::Laptops { .. }) {
            // Without it Amanda would fail with other words, and every dump that lies there would look as if it were gone for good.
            holding_is_there(survey)?;
            self.mind_the_bases(record)?;
        }
        let (program, arguments) = amdump::argv(record, survey);
        let words = self.layout.run_words(&record.id);
        let open = OpenOptions::new().create(true).append(true).mode(0o640).custom_flags(libc::O_NOFOLLOW).open(&words);
        let started = open.and_then(|words| self.programs.start_run(program, &arguments, &record.id, words));
        started.map_err(|error| Trouble {
            code: AbortCode::Config,
            message: format!("{program} cannot be started: {error}"),
            hint: "install amanda-server, or set amanda_sbin in shim.toml; `asyncamanda-shim check` says more".to_owned(),
        })
    }

    fn check(&self, config: &ConfigName, host: &HostName) -> Option<std::process::Command> {
        Some(self.programs.amcheck(config, host))
    }

    fn observe(&self, record: &mut RunRecord, survey: &Survey) -> Observation {
        if record.log.is_none()
            && let Some(leader) = record.leader
        {
            record.log = follow::find_log(&survey.logdir, leader, record.started);
        }
        match &record.log {
            Some(path) => self.followers.borrow_mut().entry(record.id.clone()).or_default().look(path),
            None => Observation { phase: "starting".to_owned(), ..Observation::default() },
        }
    }

    fn protect(&self, log: &Path, leader: Identity, survey: &Survey) -> Vec<PathBuf> {
        let mut guarded = self.guarded.borrow_mut();
        let directories = guard::protect(log, leader, &survey.holding, &mut guarded);
        directories.iter().filter(|directory| guarded.contains(*directory)).for_each(|directory| self.keeper.keep(directory, leader));
        directories
    }

    fn settle(&self, record: &mut RunRecord, survey: &Survey) -> Result<Verdicts, Trouble> {
        // A short run may be over before it was looked at.
        self.observe(record, survey);
        if let (Some(log), Some(leader)) = (&record.log, record.leader) {
            guard::release(log, leader, &survey.holding);
        }
        self.followers.borrow_mut().remove(&record.id);
        let run_log = match &record.log {
            Some(path) => Some(fs::File::open(path).and_then(RunLog::read).map_err(|error| {
                Trouble::later(
                    format!("the run log {} cannot be read: {error}", path.display()),
                    "mend its permissions; the runner tries again",
                )
            })?),
            None => None,
        };
        let verdicts = if record.kind == Kind::Flush {
            self.settle_flush(record, run_log.as_ref())
        } else {
            self.clean_up(record, survey);
            let chains = self.dumps_of(&record.config, &record.hosts())?;
            let printed = self.printed(record);
            let stored = run_log.as_ref().map(|log| stored_by(log, record, survey, &chains)).unwrap_or_default();
            let judgement = judge(&Evidence {
                record,
                survey,
                log: run_log.as_ref(),
                printed: &printed,
                chains: &chains,
                stored: &stored,
                now: clock(),
            });
            let mut judgement = judgement;
            for receipt in judgement.receipts.iter_mut().filter(|receipt| !receipt.is_backup()) {
                self.say_why_unreachable(record, receipt);
            }
            for dle in &judgement.force_full {
                self.force_full(&record.config, dle)?;
            }
            let notes = run_log.iter().flat_map(|log| log.fatal.iter().chain(&log.errors)).cloned().collect();
            Verdicts { receipts: judgement.receipts, cut_off: judgement.cut_off, notes, failed: run_log.is_none() }
        };
        let _ = fs::remove_file(self.layout.run_words(&record.id));
        Ok(verdicts)
    }
}
