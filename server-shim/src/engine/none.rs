//! The engine that makes no dumps: every disk gets a FAILED receipt at once. For measuring the way there and back.

use std::path::PathBuf;

use wire::{ConfigName, DiskName, Outcome, Receipt};

use super::{DiskRule, Engine, Observation, Survey, Trouble, Verdicts};
use crate::config::Config;
use crate::lock::Guard;
use crate::processes::Identity;
use crate::runner::record::RunRecord;

/// Makes no dumps; every host of shim.toml has one disk, `/`.
#[derive(Debug)]
pub struct NoEngine<'a> {
    /// shim.toml.
    pub config: &'a Config,
}

impl Engine for NoEngine<'_> {
    fn survey(&self, config: &ConfigName) -> Result<Survey, Trouble> {
        let root = DiskName::new("/").expect("a valid name");
        let rule = |host: &wire::HostName| DiskRule {
            host: host.to_string(),
            disk: root.clone(),
            by_client: true,
            by_server: false,
            changed_on_server: false,
            ignored: false,
        };
        Ok(Survey {
            config: config.clone(),
            catalog: "none".to_owned(),
            logdir: PathBuf::new(),
            holding: Vec::new(),
            disks: self.config.hosts.keys().map(rule).collect(),
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
        let receipt = |part: &crate::runner::record::Part| Receipt {
            run: record.id.clone(),
            host: part.host.clone(),
            config: record.config.clone(),
            disk: DiskName::new("/").expect("a valid name"),
            outcome: Outcome::Failed,
            level: None,
            datestamp: String::new(),
            started: record.started,
            finished: record.started,
            bytes: None,
            crc32c: None,
            orig_kb: None,
            reason: "the server has engine = \"none\", which makes no dumps".to_owned(),
            chain: Vec::new(),
        };
        Ok(Verdicts { receipts: record.parts.iter().map(receipt).collect(), ..Verdicts::default() })
    }
}
