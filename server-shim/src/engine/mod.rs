//! Engines: ways of making dumps. The runner decides whose turn it is and proves that nothing else lives; an engine
//! starts a run, looks at it, and says what it brought.
//!
//! [`amanda`] drives the installed Amanda. [`embedded`] is a small Amanda server, a library; [`dumper`] runs it for the runner.
//! [`none`] makes no dumps; it measures the way there and back.

pub mod amanda;
pub mod dumper;
pub mod embedded;
pub mod none;

use std::path::{Path, PathBuf};

use wire::message::DiskProgress;
use wire::{AbortCode, ConfigName, DiskName, HostName, Receipt};

use crate::lock::Guard;
use crate::processes::Identity;
use crate::queue::order::Kind;
use crate::runner::record::RunRecord;

/// Something that keeps a run from starting or from being settled, in words for the laptop and the administrator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Trouble {
    /// What kind of no it is for the laptop.
    pub code: AbortCode,
    /// What happened and why.
    pub message: String,
    /// What to do next.
    pub hint: String,
}

impl Trouble {
    /// The configuration is wrong.
    pub fn config(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: AbortCode::Config, message: message.into(), hint: hint.into() }
    }
    /// A person must change something first.
    pub fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: AbortCode::Refused, message: message.into(), hint: hint.into() }
    }
    /// Something failed that may work later.
    pub fn later(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: AbortCode::Later, message: message.into(), hint: hint.into() }
    }
}

/// Something about a configuration that an administrator should know before the first backup.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// It makes backups fail; otherwise it only makes them slow or late.
    pub serious: bool,
    /// What is so.
    pub what: String,
    /// How to mend it.
    pub mend: String,
}

impl Finding {
    /// It makes backups fail.
    pub fn serious(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { serious: true, what: what.into(), mend: mend.into() }
    }
    /// It makes them slow or late.
    pub fn minor(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { serious: false, what: what.into(), mend: mend.into() }
    }
}

impl From<Trouble> for Finding {
    fn from(trouble: Trouble) -> Self {
        Self::serious(trouble.message, trouble.hint)
    }
}

/// What a config says: where its catalog is and which disks it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The config.
    pub config: ConfigName,
    /// Names its catalog: equal for configs that share log, history, index, tapes and holding disks.
    pub catalog: String,
    /// Where it logs.
    pub logdir: PathBuf,
    /// Where its indexes are.
    pub indexdir: PathBuf,
    /// Its holding disks' directories.
    pub holding: Vec<PathBuf>,
    /// Its disks.
    pub disks: Vec<DiskRule>,
}

/// What the disklist and the dumptype say of one disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskRule {
    /// The host.
    pub host: String,
    /// The disk.
    pub disk: DiskName,
    /// A run that its own host asks for may dump it.
    pub by_client: bool,
    /// The nightly run may dump it.
    pub by_server: bool,
    /// The server compresses or encrypts, so that the bytes stored are not the bytes sent.
    pub changed_on_server: bool,
    /// `ignore`: never dumped.
    pub ignored: bool,
}

impl Survey {
    /// Returns a host's disks that are ever dumped.
    pub fn disks_of<'a>(&'a self, host: &'a HostName) -> impl Iterator<Item = &'a DiskRule> {
        self.disks.iter().filter(move |rule| rule.host == host.as_str() && !rule.ignored)
    }

    /// Decides how a host's disks must be run: `--from-client` where any of them is kept out of the nightly run.
    pub fn kind_for(&self, host: &HostName, asked: &[DiskName]) -> Kind {
        let from_client =
            self.disks_of(host).any(|rule| (asked.is_empty() || asked.contains(&rule.disk)) && !rule.by_server && rule.by_client);
        Kind::Laptops { from_client }
    }

    /// Returns the disks that a run of this kind will dump for a host.
    pub fn disks_in(&self, kind: Kind, host: &HostName, asked: &[DiskName]) -> Vec<DiskName> {
        let fits = |rule: &&DiskRule| match kind {
            Kind::Laptops { from_client: true } => rule.by_client,
            _ => rule.by_server,
        };
        self.disks_of(host)
            .filter(fits)
            .filter(|rule| asked.is_empty() || asked.contains(&rule.disk))
            .map(|rule| rule.disk.clone())
            .collect()
    }
}

/// What can be seen of a run that goes on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observation {
    /// "starting", "estimating", "dumping", "writing", "finishing".
    pub phase: String,
    /// By host, how far its disks are.
    pub disks: Vec<(HostName, DiskProgress)>,
    /// Changes whenever the run does something: sizes of logs and dumps.
    pub signature: u64,
    /// A part of the run has died and the run waits for it for ever, in words.
    pub broken: Option<String>,
}

/// What a run that is over brought.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdicts {
    /// One receipt for each disk that the run had a last word on.
    pub receipts: Vec<Receipt>,
    /// Disks that were to be dumped and on which the run was cut off before its last word.
    pub cut_off: Vec<(HostName, DiskName)>,
    /// Lines for the administrator.
    pub notes: Vec<String>,
    /// Whether a run for the administrator (nightly, flush) did what it should.
    pub failed: bool,
}

/// One way of making dumps.
pub trait Engine {
    /// Reads what a config says.
    fn survey(&self, config: &ConfigName) -> Result<Survey, Trouble>;

    /// Starts a run and returns its leading process. The lock proves that the runner holds the run's slot.
    fn start(&self, record: &RunRecord, survey: &Survey, lock: &Guard) -> Result<Identity, Trouble>;

    /// Looks at a run that goes on; notes in the record what it found (the run's log).
    fn observe(&self, record: &mut RunRecord, survey: &Survey) -> Observation;

    /// Keeps other runs from taking the unfinished dumps of this one for leftovers, while its leader lives; returns the
    /// directories whose changes call for another look. Looking at a run's dumps may undo it, so it is called often.
    fn protect(&self, log: &Path, leader: Identity, survey: &Survey) -> Vec<PathBuf> {
        let _ = (log, leader, survey);
        Vec::new()
    }

    /// Returns the command that looks at a laptop on the way a dump would take, and changes nothing; none when there is no
    /// such thing.
    fn check(&self, config: &ConfigName, host: &HostName) -> Option<std::process::Command> {
        let _ = (config, host);
        None
    }

    /// Says what a run brought of which nothing lives any more, and puts right what a failed one leaves behind: after this
    /// returns, no later run builds on a dump that the server does not have. May be called again for the same run.
    fn settle(&self, record: &mut RunRecord, survey: &Survey) -> Result<Verdicts, Trouble>;

    /// Says what there is of some hosts now, where that is cheap to know; called after every run of the config, which may have
    /// taken away what the last receipts name.
    fn restate(&self, config: &ConfigName, hosts: &[HostName]) -> Result<Option<Vec<Receipt>>, Trouble> {
        let _ = (config, hosts);
        Ok(None)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::runner::record::Part;

    pub(crate) fn record(kind: Kind, parts: &[(&str, &[&str])]) -> RunRecord {
        let part = |(host, disks): &(&str, &[&str])| Part {
            host: host.parse().expect("name"),
            disks: disks.iter().map(|disk| DiskName::new(*disk).expect("name")).collect(),
            ticket: None,
            holds_back: false,
        };
        RunRecord {
            id: "1-1".to_owned(),
            kind,
            config: "daily".parse().expect("name"),
            catalog: "cat".to_owned(),
            parts: parts.iter().map(part).collect(),
            order: None,
            started: 100,
            boot: String::new(),
            leader: None,
            logdir: PathBuf::new(),
            log: None,
            ended: None,
        }
    }

    pub(crate) fn survey(disks: &[(&str, &str)]) -> Survey {
        let rule = |(host, disk): &(&str, &str)| DiskRule {
            host: (*host).to_owned(),
            disk: DiskName::new(*disk).expect("name"),
            by_client: true,
            by_server: true,
            changed_on_server: false,
            ignored: false,
        };
        Survey {
            config: "daily".parse().expect("name"),
            catalog: "cat".to_owned(),
            logdir: PathBuf::new(),
            indexdir: PathBuf::new(),
            holding: vec![],
            disks: disks.iter().map(rule).collect(),
        }
    }

    #[test]
    fn a_run_has_the_disks_that_its_kind_may_dump() {
        let mut survey = survey(&[("a", "/home"), ("a", "/etc"), ("a", "/old"), ("b", "/home")]);
        survey.disks[0].by_server = false;
        survey.disks[1].by_client = false;
        survey.disks[2].ignored = true;
        let host = "a".parse().expect("name");
        let names =
            |kind| survey.disks_in(kind, &host, &[]).iter().map(|disk| disk.as_os_str().to_string_lossy().into_owned()).collect::<Vec<_>>();
        assert_eq!(survey.kind_for(&host, &[]), Kind::Laptops { from_client: true });
        assert_eq!(names(Kind::Laptops { from_client: true }), ["/home"]);
        assert_eq!(names(Kind::Laptops { from_client: false }), ["/etc"]);
        assert_eq!(names(Kind::Nightly), ["/etc"]);
    }
}
