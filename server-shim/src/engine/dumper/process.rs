//! The dumper itself: a run of the embedded engine, from its record to what it brought.

use serde::{Deserialize, Serialize};
use wire::{Exit, Receipt};

use super::progress::Teller;
use super::survey;
use crate::config::Config;
use crate::durable;
use crate::engine::Trouble;
use crate::engine::embedded::{Order, run};
use crate::processes::MARK;
use crate::report::Words;
use crate::runner::record::RunRecord;
use crate::runner::{clock, start};
use crate::tunnel::dial::Sessions;

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
    let orders: Vec<Order> = record.parts.iter().map(|part| Order { host: part.host.clone(), disks: part.disks.clone() }).collect();
    let teller = Teller::new(layout.run_progress(id), &orders);
    let made = survey::open(config, &record.config).and_then(|site| {
        let sessions = Sessions::new(config);
        run::run(&site, id, &orders, &sessions, &teller, &|| clock() as i64)
    });
    let mut brought = match made {
        Ok(receipts) => Brought { receipts, ..Brought::default() },
        Err(trouble) => Brought { trouble: Some(sentence(&trouble)), ..Brought::default() },
    };
    brought.notes = teller.into_notes();
    durable::write_json(&layout.run_brought(id), &brought, 0o640).map_err(|error| {
        Words::new(Exit::Failed, "what the run brought cannot be written down")
            .because(format!("{}: {error}", layout.run_brought(id).display()))
    })?;
    Ok(Exit::Done)
}

/// Says a trouble in one line, as a receipt has it.
fn sentence(trouble: &Trouble) -> String {
    if trouble.hint.is_empty() { trouble.message.clone() } else { format!("{} (hint: {})", trouble.message, trouble.hint) }
}
