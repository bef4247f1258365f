//! A nightly run without a volume: full dumps give way to incremental ones.

use super::jobs::Job;
use super::places;
use crate::engine::Trouble;
use crate::engine::embedded::Watch;
use crate::engine::embedded::catalog::Catalog;
use crate::engine::embedded::driver::degraded::{Fate, Wish, degrade};
use crate::engine::embedded::plan::{Estimate, Plan};
use crate::engine::embedded::planner::{Degraded, Planned};
use crate::engine::embedded::site::Site;
use crate::engine::embedded::taper;

/// Changes what is planned when no volume can be begun.
///
/// # Errors
/// When volumes or holding disks cannot be looked at.
pub fn without_a_volume(site: &Site, catalog: &Catalog, jobs: &mut [Job<'_>], now: i64, watch: &dyn Watch) -> Result<(), Trouble> {
    if taper::look(site, catalog, now)?.next.is_some() {
        return Ok(());
    }
    let mut order: Vec<(usize, Planned)> =
        jobs.iter().enumerate().filter(|(_, job)| job.is_open()).filter_map(|(at, job)| Some((at, job.planned.clone()?))).collect();
    order.sort_by_key(|(_, planned)| std::cmp::Reverse(planned.priority));
    let wish = |(_, planned): &(usize, Planned)| Wish {
        is_full: planned.level == 0,
        bytes: bytes(planned.size.kb),
        has_other: planned.degraded.is_ok(),
    };
    let wishes: Vec<Wish> = order.iter().map(wish).collect();
    let fates = degrade(&wishes, places::holding_room(site)?, site.config().reserve());
    if fates.iter().any(|fate| *fate != Fate::Stays) {
        watch.noted("there is no volume to write to: what of the holding disk is not reserved is all that full dumps get (reserve)");
    }
    for ((at, planned), fate) in order.into_iter().zip(fates) {
        match (fate, planned.degraded) {
            (Fate::Stays, _) => {}
            (Fate::Less, Ok(other)) => jobs[at].plan = Some(instead(&other)),
            (Fate::Less, Err(reason)) => jobs[at].fail(reason),
            (Fate::Fails, Err(reason)) => jobs[at].fail(reason),
            (Fate::Fails, Ok(_)) => jobs[at].fail("there is no volume, and no room for it on the holding disk"),
        }
    }
    Ok(())
}

fn bytes(kb: i64) -> u64 {
    u64::try_from(kb).unwrap_or(0).saturating_mul(1024)
}

fn instead(other: &Degraded) -> Plan {
    Plan {
        level: other.level,
        reason: "a full dump is due, and there is no volume for it".to_owned(),
        base: other.base.clone(),
        estimate: Some(Estimate { raw: bytes(other.size.raw_kb), stored: bytes(other.size.kb) }),
    }
}
