//! What a session knows of its ticket, from the files that the runner publishes.

use std::io;

use wire::AbortCode;
use wire::message::Progress;

use crate::config::Config;
use crate::door;
use crate::durable;
use crate::layout::Layout;
use crate::queue::spool::Spool;
use crate::queue::ticket::Ticket;
use crate::runner::clock;
use crate::runner::record::Settled;
use crate::standing::Standing;

/// Where a ticket stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// It waits, at this place from 1, for this.
    Waiting(u32, String),
    /// It runs.
    Running(Progress),
    /// It is settled.
    Settled(Settled),
}

/// Follows one ticket.
#[derive(Debug)]
pub struct Follow {
    layout: Layout,
    /// The ticket.
    pub ticket: Ticket,
    seen: Option<std::time::SystemTime>,
    standing: Standing,
    doorless: u32,
}

impl Follow {
    /// Follows a ticket that is on disk.
    pub fn new(layout: Layout, ticket: Ticket) -> Self {
        Self { layout, ticket, seen: None, standing: Standing::default(), doorless: 0 }
    }

    /// Looks where the ticket stands.
    pub fn look(&mut self) -> io::Result<Place> {
        if let Some(settled) = durable::read_json(&self.layout.result(&self.ticket))? {
            return Ok(Place::Settled(settled));
        }
        self.read_standing()?;
        if let Some(run) = self.standing.run_of(&self.ticket.id) {
            return Ok(Place::Running(run.progress_of(&self.ticket.host)));
        }
        let pending = Spool::new(self.layout.clone()).glance()?;
        if !pending.iter().any(|(id, host)| *id == self.ticket.id && *host == self.ticket.host) {
            // It is taken away only after its answer is there; without one, somebody removed it.
            return Ok(match durable::read_json(&self.layout.result(&self.ticket))? {
                Some(settled) => Place::Settled(settled),
                None => Place::Settled(Settled {
                    code: Some(AbortCode::Later),
                    error: "the ticket was removed from the server's queue".to_owned(),
                    hint: "the next call places another one".to_owned(),
                    ..Settled::default()
                }),
            });
        }
        let runs = |id| self.standing.run_of(id).is_some();
        let before = pending.iter().filter(|(id, _)| *id < self.ticket.id && !runs(id)).count();
        let words = if self.doorless > 0 {
            Some("a runner, and none is there (the operator's runner.log says why, if it stays so)".to_owned())
        } else {
            self.standing.waits.iter().find(|(id, _)| *id == self.ticket.id).map(|(_, words)| words.clone())
        };
        Ok(Place::Waiting(u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1), words.unwrap_or_default()))
    }

    /// Starts another runner when the ticket waits and none is alive: it was killed, or never came. Two looks in a row, since
    /// a runner on its way holds no lock yet.
    pub fn mind_the_runner(&mut self, config: &Config) {
        if door::runner_is_alive(config).unwrap_or(true) {
            self.doorless = 0;
            return;
        }
        self.doorless += 1;
        if self.doorless.is_multiple_of(2) {
            // The reason was told when the ticket was placed, if it is one that stays.
            let _ = door::open(config, clock() as i64);
        }
    }

    fn read_standing(&mut self) -> io::Result<()> {
        let changed = std::fs::metadata(self.layout.standing()).and_then(|data| data.modified()).ok();
        if changed != self.seen {
            self.standing = Standing::load(&self.layout)?;
            self.seen = changed;
        }
        Ok(())
    }
}
