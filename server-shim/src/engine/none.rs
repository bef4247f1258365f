//! The engine that makes no dumps: every disk gets a FAILED receipt at once. For measuring the way there and back.

use std::path::PathBuf;

use wire::{ConfigName, DiskName, HostName, Outcome, Receipt};

use super::{DiskRule, Engine, Observation, Survey, Trouble, Verdicts};
use crate::config::{Config, HostRule};
use crate::lock::Guard;
use crate::processes::Identity;
use crate::runner::record::{Part, RunRecord};

/// Makes no dumps. A host's disks are those that shim.toml names for it, or else one, `/`.
#[derive(Debug)]
pub struct NoEngine<'a> {
    /// shim.toml.
    pub config: &'a Config,
}

impl Engine for NoEngine<'_> {
    fn survey(&self, config: &ConfigName) -> Result<Survey, Trouble> {
        let root = DiskName::new("/").expect("a valid name");
        let rule = |host: &HostName, disk: &DiskName| DiskRule {
            host: host.to_string(),
            disk: disk.clone(),
            by_client: true,
            by_server: false,
            changed_on_server: false,
            ignored: false,
        };
        let disks = |(host, known): (&HostName, &HostRule)| match known.disks.as_slice() {
            [] => vec![rule(host, &root)],
            disks => disks.iter().map(|disk| rule(host, disk)).collect(),
        };
        Ok(Survey {
            config: config.clone(),
            catalog: "none".to_owned(),
            logdir: PathBuf::new(),
            indexdir: PathBuf::new(),
            holding: Vec::new(),
            disks: self.config.hosts.iter().flat_map(disks).collect(),
        })
    }

    fn start(&self, _: &RunRecord, _: &Survey, _: &Guard) -> Result<Identity, Trouble> {
        // No process has the id 0, so the run is over at the first look.
        Ok(Identity { pid: 0, start: 0 })
    }

    fn observe(&self, _: &mut RunRecord, _: &Survey) -> Observation {
        Observation::default()
    }

    fn settle(&self, record: &mut RunRecord, _: &Survey) -> Result<Verdicts, Trouble> {
        let receipt = |part: &Part, disk: &DiskName| Receipt {
            run: record.id.clone(),
            host: part.host.clone(),
            config: record.config.clone(),
            disk: disk.clone(),
            outcome: Outcome::Failed,
            level: None,
            datestamp: String::new(),
            started: record.started,
            finished: record.started,
            bytes: None,
            crc32c: None,
            sent_crc32c: None,
            orig_kb: None,
            reason: "the server has engine = \"none\", which makes no dumps".to_owned(),
            chain: Vec::new(),
        };
        let receipts = record.parts.iter().flat_map(|part| part.disks.iter().map(move |disk| receipt(part, disk))).collect();
        Ok(Verdicts { receipts, ..Verdicts::default() })
    }
}
