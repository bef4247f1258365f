//! Whether there is room for what is to be dumped.

use amanda::conf::HoldingUse;

use super::dumping::Dumper;
use super::places::Places;
use super::{Job, ballast, outcome};
use crate::engine::Trouble;
use crate::engine::embedded::catalog::{self, Catalog};
use crate::engine::embedded::driver::Task;
use crate::engine::embedded::forget::forget;
use crate::engine::embedded::plan::Estimate;
use crate::engine::embedded::site::Site;
use crate::engine::embedded::taper::{self, Shelves};
use crate::engine::embedded::volumes::{Choice, choose};
use crate::engine::embedded::{Watch, locks};

/// What is required for a dump of which nothing is known, in bytes.
const LEAST: u64 = 1024 * 1024;

/// A header, and what a dump may be larger than the one before it: a sixteenth.
fn wanted(estimate: Option<Estimate>) -> u64 {
    estimate.map_or(LEAST, |estimate| estimate.stored.saturating_add(estimate.stored / 16).max(LEAST)).saturating_add(32 * 1024)
}

/// Room for the [driver](crate::engine::embedded::driver), in bytes.
pub struct Room {
    /// On each holding disk.
    pub holdings: Vec<u64>,
    /// Beside the volumes.
    pub beside: u64,
}

/// Returns the room that dumps may take. Where volumes lie on the holding disk's file system [`look`] has seen to it, and what it let
/// pass is tried.
pub fn for_driver(site: &Site, places: &Places) -> Result<Room, Trouble> {
    if outcome::goes_round(site) {
        return places.room().map(|(holdings, beside)| Room { holdings, beside });
    }
    Ok(Room { holdings: places.directories().map(|_| u64::MAX).collect(), beside: 0 })
}

/// Why the driver gave a dump up.
pub fn none_for(task: &Task) -> String {
    let about = size(task.bytes);
    match task.holding {
        HoldingUse::Required => format!("no holding disk has the room for it, about {about}, and its dumptype says `holdingdisk required`"),
        HoldingUse::Never => format!("there is no room for it beside the volumes: about {about} are needed"),
        HoldingUse::Auto => format!("there is no room for it on any holding disk, nor beside the volumes: about {about} are needed"),
    }
}

/// Erases what may be erased when room is short, and fails the disks for which there is none then. A dump of which nothing is known
/// is asked about where room is short; the client may take its time for that, and it is not asked otherwise.
pub fn look(
    site: &Site,
    catalog: &Catalog,
    jobs: &mut [Job<'_>],
    now: i64,
    watch: &dyn Watch,
    dumper: &dyn Dumper,
    lock: &locks::Held,
) -> Result<(), Trouble> {
    if outcome::goes_round(site) {
        // Nothing is erased for room there.
        return Ok(());
    }
    let mut room = taper::room(&site.holding())?;
    let is_short = room < site.volume_bytes();
    for job in jobs.iter_mut().filter(|job| job.is_open() && is_short) {
        let Some(plan) = job.plan.as_mut().filter(|plan| plan.estimate.is_none()) else { continue };
        // Compressed it is smaller, and nobody knows how much.
        let raw = job.disk.and_then(|disk| dumper.estimate(disk, plan.level));
        plan.estimate = raw.map(|raw| Estimate { raw, stored: raw / 4 });
    }
    let all: u64 = jobs
        .iter()
        .filter(|job| job.is_open())
        .filter_map(|job| job.plan.as_ref())
        .map(|plan| wanted(plan.estimate))
        .fold(0, u64::saturating_add);
    let mut fresh = None;
    if room < all {
        // Where there is none at all nothing could be erased.
        let _is_tried_anyway = ballast::drop(site);
        room = taper::make_room(site, catalog, all, now, watch, lock)?;
        let after = catalog::load(site)?;
        forget(site, catalog, &after, now)?;
        fresh = Some(after);
    }
    let shelves = Shelves::of(site, fresh.as_ref().unwrap_or(catalog), now);
    for job in jobs.iter_mut().filter(|job| job.is_open()) {
        let wanted = wanted(job.plan.as_ref().and_then(|plan| plan.estimate));
        if room < wanted {
            job.fail(no_room(site, wanted, room));
        } else if choose(&shelves.states(), &shelves.rules, wanted) == Choice::Nowhere {
            job.fail(no_volume(site, shelves.places.len()));
        } else {
            room = room.saturating_sub(wanted);
        }
    }
    if room > 4 * ballast::BYTES as u64 {
        let _the_next_run_tries_again = ballast::keep(site);
    }
    Ok(())
}

/// Why a dump cannot be begun.
fn no_room(site: &Site, wanted: u64, room: u64) -> String {
    format!(
        "there is no room for it: about {} are needed and {} are free, {} too few; {}",
        size(wanted),
        size(room),
        size(wanted.saturating_sub(room)),
        helps(site)
    )
}

/// Why a dump could not be ended.
pub fn no_room_meanwhile(site: &Site, came: u64) -> String {
    format!("there was no room for it: the file system was full after {}; {}", size(came), helps(site))
}

fn no_volume(site: &Site, volumes: usize) -> String {
    format!("all {volumes} volumes are full of what is kept, and tapecycle allows no more; {}", helps(site))
}

fn helps(site: &Site) -> String {
    let days = site.retention() / 86_400;
    format!(
        "nothing more may be erased, since dumps are kept for {days} days: make room on {}, or shorten the retention",
        site.holding().display()
    )
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        _ if bytes >= 1e9 => format!("{:.1} GB", bytes / 1e9),
        _ if bytes >= 1e6 => format!("{:.1} MB", bytes / 1e6),
        _ => format!("{:.0} kB", (bytes / 1e3).ceil()),
    }
}
