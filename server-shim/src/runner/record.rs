//! What the runner writes down about a run before it begins, so that the next runner can find it, follow it or bury it.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wire::{AbortCode, ConfigName, DiskName, HostName, Receipt};

use crate::durable;
use crate::engine::{Survey, Trouble};
use crate::layout::Layout;
use crate::processes::Identity;
use crate::queue::order::Kind;
use crate::queue::ticket::TicketId;

/// One host's part of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The host.
    pub host: HostName,
    /// Its disks in this run; all that the disklist has for it when none is named.
    pub disks: Vec<DiskName>,
    /// The ticket it answers; none in a nightly run.
    pub ticket: Option<TicketId>,
    /// The laptop's client moves its incremental state only with a receipt that is OK.
    #[serde(default)]
    pub holds_back: bool,
}

/// A run, as written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its name: digits and dashes; also the mark in the environment of all its processes.
    pub id: String,
    /// What it is for.
    pub kind: Kind,
    /// Its config.
    pub config: ConfigName,
    /// The catalog it writes to.
    pub catalog: String,
    /// Who is in it.
    pub parts: Vec<Part>,
    /// The administrator's order it answers.
    #[serde(default)]
    pub order: Option<TicketId>,
    /// Seconds since the epoch.
    pub started: i64,
    /// The boot it began in.
    pub boot: String,
    /// Its amdump or amflush; none while it is being started.
    #[serde(default)]
    pub leader: Option<Identity>,
    /// Where Amanda logs.
    pub logdir: PathBuf,
    /// Its run log, once known.
    #[serde(default)]
    pub log: Option<PathBuf>,
    /// Why we ended it, when we did.
    #[serde(default)]
    pub ended: Option<String>,
}

impl RunRecord {
    /// Returns the hosts in it.
    pub fn hosts(&self) -> Vec<HostName> {
        self.parts.iter().map(|part| part.host.clone()).collect()
    }

    /// Says whether it has to do with everything that a run of its kind may dump, and not only with some hosts or disks.
    pub fn is_everything(&self, survey: &Survey) -> bool {
        let has = |host: &str| self.parts.iter().any(|part| host == part.host.as_str() && part.disks.is_empty());
        survey.disks.iter().filter(|rule| rule.by_server && !rule.ignored).all(|rule| has(&rule.host))
    }

    /// Writes it down, durably.
    pub fn save(&self, layout: &Layout) -> io::Result<()> {
        durable::write_json(&layout.runs().join(format!("{}.json", self.id)), self, 0o640)
    }

    /// Notes what is worth something only while its processes live: a power cut ends them, too.
    pub fn note(&self, layout: &Layout) -> io::Result<()> {
        durable::publish_json(&layout.runs().join(format!("{}.json", self.id)), self, 0o640)
    }

    /// Forgets it: everything about it has been settled. Should a power cut bring it back, it is settled again.
    pub fn forget(&self, layout: &Layout) -> io::Result<()> {
        durable::discard(&layout.runs().join(format!("{}.json", self.id)))?;
        sweep(layout)
    }

    /// Reads the record of one run; none when there is none, or it has been settled.
    pub fn load(layout: &Layout, id: &str) -> io::Result<Option<Self>> {
        durable::read_json(&layout.runs().join(format!("{id}.json")))
    }

    /// Reads all that were never settled.
    pub fn load_all(layout: &Layout) -> io::Result<Vec<Self>> {
        let mut records = Vec::new();
        let entries = match fs::read_dir(layout.runs()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(records),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with('.') || !name.ends_with(".json") {
                continue;
            }
            match durable::read_json(&path) {
                Ok(record) => records.extend(record),
                // One that cannot be read must not keep all others from being served; it stays, for a person to look at.
                Err(error) => super::log(&format!("event=record_unreadable file={name} why=\"{error}\"")),
            }
        }
        records.sort_by(|a: &Self, b| a.id.cmp(&b.id));
        Ok(records)
    }
}

/// Removes what lies beside records that are gone.
fn sweep(layout: &Layout) -> io::Result<()> {
    for entry in fs::read_dir(layout.runs())? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind != "json") && !path.with_extension("json").exists() {
            durable::discard(&path)?;
        }
    }
    Ok(())
}

/// What is known of a ticket whose run was cut off: it is run again once, for what is missing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    /// The runs that were cut off so far.
    pub runs: Vec<String>,
    /// Receipts that earlier runs of it brought.
    pub receipts: Vec<Receipt>,
    /// Disks that are still to be done; all when empty.
    pub remaining: Vec<DiskName>,
}

/// What a settled ticket or order brought.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// One receipt for each disk.
    pub receipts: Vec<Receipt>,
    /// What kind of no it is, when something went wrong before any disk was looked at.
    #[serde(default)]
    pub code: Option<AbortCode>,
    /// What went wrong then; empty when nothing did.
    #[serde(default)]
    pub error: String,
    /// What to do about it.
    #[serde(default)]
    pub hint: String,
    /// Lines for the administrator who ordered the run.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The run that an administrator ordered did not do what it should.
    #[serde(default)]
    pub failed: bool,
}

impl From<&Trouble> for Settled {
    fn from(trouble: &Trouble) -> Self {
        Self { code: Some(trouble.code), error: trouble.message.clone(), hint: trouble.hint.clone(), failed: true, ..Self::default() }
    }
}
