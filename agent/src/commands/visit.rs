//! The caller of a session: hears who answers, stores every receipt as it comes, and decides again when the server has
//! restated what it has.
//!
//! The server may be anybody's: a receipt for another host or config than it greeted us with, or for a disk that is not
//! ours, is passed over with a warning.

use std::sync::Arc;

use wire::{DiskName, HostName, Receipt};

use super::served::Served;
use crate::config::{Config, Destination, Interval};
use crate::due::{DiskRecord, Known, Verdict, decide};
use crate::history::store::known_after;
use crate::history::{Peer, Store, StoreError};
use crate::report::progress::Audience;
use crate::report::show;
use crate::session::tunnel::Answer;
use crate::session::vault::standing::file_system;
use crate::session::{Caller, News, Next, Server, SessionError};

/// What the visit is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// A backup of these disks (all when none is named), if one is still due when the server has restated what it has.
    IfDue(Vec<DiskName>),
    /// A backup of these disks, due or not.
    Now(Vec<DiskName>),
    /// A look; nothing is asked for, nothing stored.
    Look,
    /// A look, and the question whether a backup would work.
    Check,
}

/// One visit.
pub struct Visit<'a> {
    purpose: Purpose,
    store: &'a Store,
    expected: Option<&'a HostName>,
    /// The disks of the configuration; when there are none, whatever the server has is ours.
    ours: &'a [DiskName],
    interval: Interval,
    clock: fn() -> i64,
    audience: &'a mut dyn Audience,
    joined: bool,
    config: Option<&'a Config>,
    served: Option<Arc<Served>>,
    /// The record, kept up to date.
    pub records: Vec<DiskRecord>,
    /// Who answered.
    pub server: Option<Server>,
    /// A ticket of ours that waited there when we came.
    pub ticket: Option<String>,
    /// What was decided there.
    pub verdict: Option<Verdict>,
    /// The disks that were asked for, once they were.
    pub asked: Option<Vec<DiskName>>,
    /// Bytes a second that the line to the server takes, when it was measured.
    pub rate: Option<u64>,
    /// What amcheck found on the server: whether it was content, and its words.
    pub checked: Option<(bool, Vec<String>)>,
    /// What came of it.
    pub receipts: Vec<Receipt>,
    /// Sentences for people: what was passed over.
    pub warnings: Vec<String>,
    /// Sentences for the curious: why a level was chosen, what was mended.
    pub notes: Vec<String>,
    /// The first receipt that could not be stored.
    pub unstored: Option<StoreError>,
}

impl<'a> Visit<'a> {
    /// Prepares a visit with the record as it is.
    pub fn new(
        purpose: Purpose,
        store: &'a Store,
        ours: &'a [DiskName],
        records: Vec<DiskRecord>,
        interval: Interval,
        audience: &'a mut dyn Audience,
    ) -> Self {
        Self {
            purpose,
            store,
            expected: None,
            ours,
            interval,
            clock: crate::clock::now,
            audience,
            joined: false,
            config: None,
            served: None,
            records,
            server: None,
            ticket: None,
            verdict: None,
            asked: None,
            rate: None,
            checked: None,
            receipts: Vec::new(),
            warnings: Vec::new(),
            notes: Vec::new(),
            unstored: None,
        }
    }

    /// Expects the server to know us by this name.
    pub fn expecting(mut self, host: Option<&'a HostName>) -> Self {
        self.expected = host;
        self
    }

    /// Lets the server's Amanda reach this laptop's client, as the configuration allows.
    pub fn serving(mut self, config: &'a Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Returns this laptop's client for the config that answered.
    fn served(&mut self) -> Option<Arc<Served>> {
        if self.served.is_none()
            && let (Some(config), Some(server)) = (self.config, &self.server)
        {
            self.served = Some(Arc::new(Served::new(config, &server.host, &server.config)));
        }
        self.served.clone()
    }

    fn collect_words(&mut self) {
        if let Some(served) = &self.served {
            self.warnings.append(&mut served.words());
        }
    }

    fn stores(&self) -> bool {
        !matches!(self.purpose, Purpose::Look | Purpose::Check)
    }

    fn note(&mut self, stored: Result<(), StoreError>) {
        if let Err(error) = stored {
            self.unstored.get_or_insert(error);
        }
    }

    /// Tells whether the receipt is one that this server may give us; warns otherwise.
    fn is_ours(&mut self, receipt: &Receipt) -> bool {
        let Some(server) = &self.server else { return false };
        let disk = show(receipt.disk.as_bytes());
        let fault = if receipt.host != server.host {
            format!("a receipt for another host ({}) was ignored", receipt.host)
        } else if receipt.config != server.config {
            format!("a receipt of another config ({}) was ignored", receipt.config)
        } else {
            return true;
        };
        self.warnings.push(format!("{fault}: {disk}"));
        false
    }

    fn concerns_us(&self, disk: &DiskName) -> bool {
        let asked = |asked: &Vec<DiskName>| asked.is_empty() || asked.contains(disk);
        self.asked.as_ref().map_or(self.ours.is_empty(), asked)
            || self.ours.contains(disk)
            || self.records.iter().any(|record| record.disk == *disk)
    }

    fn keep(&mut self, receipt: &Receipt) {
        let now = (self.clock)();
        if self.stores() {
            let stored = self.store.put(receipt, now);
            self.note(stored);
        }
        match self.records.iter_mut().find(|record| record.disk == receipt.disk) {
            Some(record) => record.known = known_after(std::mem::replace(&mut record.known, Known::Nothing), receipt, now),
            None if self.ours.is_empty() => {
                self.records.push(DiskRecord { disk: receipt.disk.clone(), known: known_after(Known::Nothing, receipt, now) });
            }
            None => {}
        }
    }

    /// Drops the records of disks that a complete answer about all disks no longer names: they would be due for ever.
    fn forget_the_gone(&mut self) {
        let everything = self.asked.as_ref().is_some_and(Vec::is_empty) && !self.joined && !self.receipts.is_empty();
        let Some(server) = self.server.as_ref().filter(|_| everything && self.ours.is_empty()) else { return };
        let config = server.config.clone();
        let gone: Vec<DiskName> = self
            .records
            .iter()
            .map(|record| record.disk.clone())
            .filter(|disk| !self.receipts.iter().any(|receipt| receipt.disk == *disk))
            .collect();
        for disk in gone {
            let forgotten = self.store.forget(&config, &disk);
            self.note(forgotten);
        }
    }
}

impl Caller for Visit<'_> {
    fn greeted(&mut self, server: &Server) -> Result<(), SessionError> {
        if let Some(ours) = self.expected.filter(|ours| **ours != server.host) {
            return Err(SessionError::WrongHost { ours: ours.clone(), theirs: server.host.clone() });
        }
        // What another config has is no backup in this one.
        for record in &mut self.records {
            if matches!(&record.known, Known::Receipts { last, .. } if last.config != server.config) {
                record.known = Known::Nothing;
            }
        }
        if self.stores() {
            let vault = self.config.and_then(|config| match &config.destination.value {
                Destination::Directory(directory) => Some(directory),
                Destination::Ssh(_) => None,
            });
            let peer = Peer {
                host: server.host.clone(),
                config: server.config.clone(),
                program: server.program.clone(),
                file_system: vault.and_then(|directory| file_system(directory)),
            };
            let stored = self.store.set_peer(&peer);
            self.note(stored);
            if vault.is_some() {
                let stored = self.store.set_told(&server.config, self.ours);
                self.note(stored);
            }
        }
        self.server = Some(server.clone());
        Ok(())
    }

    fn restated(&mut self, receipts: Vec<Receipt>, ticket: Option<&str>) -> Result<Next, SessionError> {
        let receipts: Vec<Receipt> = receipts.into_iter().filter(|receipt| self.is_ours(receipt)).collect();
        for receipt in &receipts {
            // The disklist may have more disks of this host than the laptop asks for.
            if self.concerns_us(&receipt.disk) {
                self.keep(receipt);
            }
        }
        self.ticket = ticket.map(str::to_owned);
        // A run of an earlier session of ours may have ended in our absence.
        if self.stores()
            && let Some(served) = self.served()
        {
            served.restated(&receipts, ticket.is_some());
            self.collect_words();
        }
        let verdict = decide((self.clock)(), &self.records, self.interval);
        let still_due = verdict.is_due();
        self.verdict = Some(verdict);
        let disks = match &self.purpose {
            Purpose::IfDue(disks) if still_due => disks,
            Purpose::Now(disks) => disks,
            Purpose::Check => return Ok(Next::Check),
            Purpose::IfDue(_) | Purpose::Look => return Ok(Next::Done),
        };
        self.asked = Some(disks.clone());
        Ok(Next::Trigger(disks.clone()))
    }

    fn heard(&mut self, news: News) -> Result<(), SessionError> {
        match &news {
            News::Queued { joined, .. } => self.joined |= joined,
            News::Progress(_) => {}
            News::Rate(bytes) => self.rate = Some(*bytes),
            News::Checked { ok, lines } => self.checked = Some((*ok, lines.clone())),
            News::Receipt(receipt) => {
                if !self.is_ours(receipt) {
                    return Ok(());
                }
                if !self.concerns_us(&receipt.disk) {
                    if !self.joined {
                        self.warnings
                            .push(format!("a receipt for a disk that was not asked for was ignored: {}", show(receipt.disk.as_bytes())));
                    }
                    return Ok(());
                }
                self.keep(receipt);
                if let Some(served) = &self.served {
                    served.settle(std::slice::from_ref(receipt), false, |disk| *disk == receipt.disk);
                }
                self.receipts.retain(|earlier| earlier.disk != receipt.disk);
                self.receipts.push((**receipt).clone());
            }
            News::End => {
                self.forget_the_gone();
                if self.stores()
                    && let Some(served) = &self.served
                {
                    served.settle(&self.receipts, false, |_| true);
                }
                self.collect_words();
            }
        }
        self.audience.heard(&news);
        Ok(())
    }

    fn client(&mut self) -> Option<Arc<dyn Answer>> {
        self.served().map(|served| served as Arc<dyn Answer>)
    }

    fn noted(&mut self, words: &str) {
        self.notes.push(words.to_owned());
    }

    fn look(&mut self) {
        if let Some(served) = &self.served {
            self.audience.saw(&served.readings());
        }
    }
}
