//! A source of which some disks may be read.

use std::io::BufRead;

use wire::restore::{Dump, DumpId};
use wire::{DiskName, HostName};

use super::source::{Source, Stored};
use crate::engine::Trouble;

/// Shows only these disks; all of them when none is named.
pub(super) struct Bounded {
    source: Box<dyn Source>,
    only: Vec<DiskName>,
}

impl Bounded {
    pub fn new(source: Box<dyn Source>, only: Vec<DiskName>) -> Self {
        Self { source, only }
    }

    fn allows(&self, disk: &DiskName) -> bool {
        self.only.is_empty() || self.only.contains(disk)
    }

    fn check(&self, dump: &DumpId) -> Result<(), Trouble> {
        if self.allows(&dump.disk) {
            return Ok(());
        }
        Err(Trouble::refused(
            format!("the disk {} of {} is not one that may be read", amanda::escape::printable(dump.disk.as_bytes()), dump.host),
            "the operator can add it to `disks` of this host in shim.toml",
        ))
    }
}

impl Source for Bounded {
    fn dumps(&mut self, host: &HostName) -> Result<Vec<Dump>, Trouble> {
        let mut dumps = self.source.dumps(host)?;
        dumps.retain(|dump| self.allows(&dump.id.disk));
        Ok(dumps)
    }

    fn index(&mut self, dump: &DumpId) -> Result<Option<Box<dyn BufRead>>, Trouble> {
        self.check(dump)?;
        self.source.index(dump)
    }

    fn stored(&mut self, dump: &DumpId) -> Result<Stored, Trouble> {
        self.check(dump)?;
        self.source.stored(dump)
    }
}
