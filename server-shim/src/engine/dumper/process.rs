//! The dumper itself: a run of the embedded engine, from its record to what it brought.

use serde::{Deserialize, Serialize};
use wire::{DiskName, Exit, HostName, Receipt};

use super::progress::Teller;
use super::survey;
use super::ways::Ways;
use crate::config::Config;
use crate::durable;
use crate::engine::embedded::run::{self, Call, OverLink, Ran};
use crate::engine::embedded::{Kind, Order};
use crate::engine::{Survey, Trouble};
use crate::office;
use crate::processes::MARK;
use crate::queue::order as queue;
use crate::report::Words;
use crate::runner::record::{Part, RunRecord};
use crate::runner::{clock, start};

/// What a run brought, as its dumper says it with its last act.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Brought {
    /// One receipt for each disk.
    pub receipts: Vec<Receipt>,
    /// Why nothing was begun.
    #[serde(default)]
    pub trouble: Option<String>,
    /// Lines for the administrator.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Disks that were passed over, and nothing is wrong with that.
    #[serde(default)]
    pub skipped: Vec<(HostName, DiskName)>,
    /// What an order did besides its receipts, in lines.
    #[serde(default)]
    pub told: Vec<String>,
    /// An order did not do all that it should.
    #[serde(default)]
    pub failed: bool,
}

impl From<Ran> for Brought {
    fn from(ran: Ran) -> Self {
        let skipped = ran.skipped.iter().map(|one| (one.host.clone(), one.disk.clone())).collect();
        let (told, failed) = (ran.lines(), ran.stuck);
        Self { receipts: ran.receipts, skipped, told, failed, ..Self::default() }
    }
}

/// Says what a run of the runner's is to the engine.
fn kind(kind: queue::Kind) -> Kind {
    match kind {
        queue::Kind::Nightly => Kind::Nightly,
        queue::Kind::Flush => Kind::Flush,
        queue::Kind::Laptops { .. } | queue::Kind::Foreign => Kind::Laptops,
    }
}

/// Makes a run that the runner has written down.
///
/// # Errors
/// When this is no run's process, or what it brought cannot be written down. The runner then looks at the volumes.
pub fn work(config: &Config, id: &str) -> Result<Exit, Words> {
    start::become_dump_user(config)?;
    let layout = config.layout();
    let no_run = || {
        Words::new(Exit::Usage, format!("there is no run {id} that this process belongs to"))
            .because("the dumper is started by the runner")
            .hint("a laptop that calls is backed up; asyncamanda-shim status shows what goes on")
    };
    if std::env::var(MARK).as_deref() != Ok(id) || !id.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return Err(no_run());
    }
    let record = RunRecord::load(&layout, id).ok().flatten().ok_or_else(no_run)?;
    start::leave_session();
    let teller = Teller::new(layout.run_progress(id));
    let site = survey::open(config, &record.config);
    let made = site.as_ref().map_err(Clone::clone).and_then(|site| {
        let ways = Ways::new(config);
        let survey = survey::survey(site);
        let orders = orders(&record, &survey);
        teller.expect(&orders);
        let call = Call { id, kind: kind(record.kind), orders: &orders, everything: record.is_everything(&survey) };
        run::make(site, &call, &OverLink { site, link: &ways }, &teller, &|| clock() as i64)
    });
    let trouble = made.as_ref().err().cloned();
    let mut brought = match made {
        Ok(ran) => Brought::from(ran),
        Err(trouble) => Brought { trouble: Some(sentence(&trouble)), ..Brought::default() },
    };
    brought.notes = teller.into_notes();
    let write = |brought: &Brought| {
        durable::write_json(&layout.run_brought(id), brought, 0o640).map_err(|error| {
            Words::new(Exit::Failed, "what the run brought cannot be written down")
                .because(format!("{}: {error}", layout.run_brought(id).display()))
        })
    };
    write(&brought)?;
    // A laptop has its receipts; the report of a night is for those who were not there. No mailer keeps anybody's receipts back for good.
    let mailed = site.ok().filter(|_| kind(record.kind) != Kind::Laptops);
    let mailed = mailed.and_then(|site| office::mail_report(&site, trouble.as_ref(), clock() as i64));
    if mailed.is_some() {
        brought.told.extend(mailed);
        write(&brought)?;
    }
    Ok(Exit::Done)
}

/// Returns the disks of a run, by their names: a part without any has all that this kind of run may dump.
fn orders(record: &RunRecord, survey: &Survey) -> Vec<Order> {
    let named = |part: &Part| match &part.disks[..] {
        [] => survey.disks_in(record.kind, &part.host, &[]),
        disks => disks.to_vec(),
    };
    let orders = record.parts.iter().map(|part| Order { host: part.host.clone(), disks: named(part) });
    orders.filter(|order| !order.disks.is_empty()).collect()
}

/// Says a trouble in one line, as a receipt has it.
fn sentence(trouble: &Trouble) -> String {
    if trouble.hint.is_empty() { trouble.message.clone() } else { format!("{} (hint: {})", trouble.message, trouble.hint) }
}
