//! A run: levels are chosen, dumps are made, put on volumes and proven.
//!
//! ```text
//! begin ─ the tapelist's lock: mend, catalog, levels, room, a directory of our own on the holding disk
//! dumps ─ no lock but each disk's: as many side by side as the driver lets
//! end ─── the lock again: volumes, log, history; the catalog is read anew, and receipts say what it has
//! ```
//!
//! A [flush](Kind::Flush) has the end alone.

mod ballast;
mod begin;
mod degrade;
mod dumping;
mod end;
mod jobs;
mod lineup;
mod nightly;
mod outcome;
mod places;
mod room;
mod words;

use wire::Receipt;

use super::site::Site;
use super::{Kind, Link, Order, Watch, latest, receipts};
use crate::engine::Trouble;
use end::Ended;
use jobs::{Came, Job, Undone};

pub use dumping::{Dumper, NoDump, OverLink, Task};
pub use jobs::Done;
pub use outcome::{Flushed, Ran, Skipped};

/// A run that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The name that its receipts have.
    pub id: &'a str,
    /// What it is for.
    pub kind: Kind,
    /// The disks; a flush has none.
    pub orders: &'a [Order],
    /// A nightly run has to do with the whole disklist, and not only with some hosts or disks of it.
    pub everything: bool,
}

/// Makes the dumps that a host asked for, and says what there is of each disk. A disk that fails stops no other.
///
/// # Errors
/// When the config cannot be read or written at all: nothing was begun.
pub fn run(
    site: &Site,
    id: &str,
    orders: &[Order],
    link: &dyn Link,
    watch: &dyn Watch,
    clock: &(dyn Fn() -> i64 + Sync),
) -> Result<Vec<Receipt>, Trouble> {
    run_with(site, id, orders, &OverLink { site, link }, watch, clock)
}

/// The same, with another way of making dumps.
///
/// # Errors
/// As [`run`].
pub fn run_with(
    site: &Site,
    id: &str,
    orders: &[Order],
    dumper: &dyn Dumper,
    watch: &dyn Watch,
    clock: &(dyn Fn() -> i64 + Sync),
) -> Result<Vec<Receipt>, Trouble> {
    make(site, &Call { id, kind: Kind::Laptops, orders, everything: false }, dumper, watch, clock).map(|ran| ran.receipts)
}

/// Makes a run of any kind.
///
/// # Errors
/// As [`run`].
pub fn make(
    site: &Site,
    call: &Call<'_>,
    dumper: &dyn Dumper,
    watch: &dyn Watch,
    clock: &(dyn Fn() -> i64 + Sync),
) -> Result<Ran, Trouble> {
    let started = clock();
    site.for_writing()?;
    let mut jobs = if call.kind == Kind::Flush { Vec::new() } else { jobs::of(site, call.orders) };
    if call.kind == Kind::Nightly {
        // Before it takes their locks: whoever comes meanwhile is dumped by its own run.
        jobs::pass_over_absent(&mut jobs, dumper);
    }
    let _locks = jobs::lock(site, &mut jobs)?;
    // It may have been handed to Amanda since it was looked at; while we have the disks that waits.
    super::adopted::refuse(site.directory(), &site.own())?;
    if call.kind == Kind::Flush {
        return end::flush(site, watch, clock);
    }
    if call.kind == Kind::Nightly && call.everything {
        jobs::count_the_others(site, &mut jobs);
    }
    let begun = begin::begin(site, call.kind, &mut jobs, watch, started, dumper).inspect_err(|trouble| {
        if call.kind == Kind::Nightly {
            end::not_begun(site, started, trouble, watch);
        }
    })?;
    if call.kind == Kind::Nightly {
        end::keep_beginning(site, &jobs, &begun, watch);
    }
    dumping::dump(site, call.kind, &mut jobs, &begun, dumper, watch, clock);
    let Ended { catalog, flushed, stuck } = end::end(site, call, &jobs, &begun, watch, clock);
    let run = receipts::Run { id: call.id, started, finished: clock() };
    let mut ran = Ran { flushed, stuck, ..Ran::default() };
    for job in &jobs {
        if let Some(Err(Undone { came: Came::Counted, .. })) = &job.end {
            continue;
        }
        if let Some(Err(Undone { why, came: Came::Skipped })) = &job.end {
            ran.skipped.push(Skipped { host: job.host.clone(), disk: job.name.clone(), why: why.clone() });
            continue;
        }
        let receipt = end::receipt(site, &catalog, job, &begun.stamp, run);
        if receipt.is_backup() {
            // Only the name of the run is lost without it.
            let _ = latest::keep(site, &job.dle, &receipt);
        }
        watch.ended(&job.host, &job.name, receipt.outcome);
        ran.receipts.push(receipt);
    }
    Ok(ran)
}
