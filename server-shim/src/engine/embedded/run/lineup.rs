//! What a run's disks and its config are to the [driver](crate::engine::embedded::driver).

use std::collections::HashMap;

use amanda::conf::HoldingUse;
use chrono::{DateTime, Local, Timelike as _};

use super::Job;
use crate::engine::embedded::driver::{Letters, Limits, Task};
use crate::engine::embedded::history;
use crate::engine::embedded::site::Site;

/// More threads than this are never wanted; Amanda has room for 63 dumpers.
const MOST: u32 = 63;

/// KiB a second of a dump of which nothing is known, as Amanda's planner has it (`DEFAULT_DUMPRATE`).
const RATE: f64 = 1_024.0;

/// A header in front of a dump.
const HEADER: u64 = 32 * 1024;

/// The dumps of a run, as the driver takes them.
#[derive(Debug, Default)]
pub struct Lineup {
    /// What the config allows.
    pub limits: Limits,
    /// The dumps.
    pub tasks: Vec<Task>,
    /// Which job each of them is.
    pub jobs: Vec<usize>,
    /// How often each is tried.
    pub tries: Vec<u32>,
}

/// Lines up the jobs that are open.
pub fn line_up(site: &Site, jobs: &[Job<'_>], now: i64) -> Lineup {
    let config = site.config();
    let letters = Letters::of(&config.dumporder().to_string_lossy());
    let in_parallel = config.inparallel().clamp(1, MOST) as usize;
    let mut lineup = Lineup { limits: Limits { in_parallel, letters, ..Limits::default() }, ..Lineup::default() };
    let mut hosts: HashMap<&str, (usize, usize)> = HashMap::new();
    let mut networks: Vec<String> = Vec::new();
    for (at, job) in jobs.iter().enumerate().filter(|(_, job)| job.is_open()) {
        let Some((disk, how)) = job.disk.and_then(|disk| Some((disk, disk.how(config)?))) else { continue };
        let name = job.host.as_str();
        let (host, network) = *hosts.entry(name).or_insert_with(|| {
            // The last one in the disklist has the word for its host (`parse_diskline` in diskfile.c).
            let last = site.disks().iter().rfind(|disk| disk.dle.host == name).unwrap_or(disk);
            lineup.limits.hosts.push(last.how(config).map_or(1, |how| how.maxdumps()).clamp(1, MOST));
            let interface = last.interface.as_deref().unwrap_or("default").to_ascii_lowercase();
            let network = networks.iter().position(|other| *other == interface).unwrap_or_else(|| {
                lineup.limits.networks.push(config.interface_kps(Some(&interface)));
                networks.push(interface);
                networks.len() - 1
            });
            (lineup.limits.hosts.len() - 1, network)
        });
        let stored = job.plan.as_ref().and_then(|plan| plan.estimate).map_or(0, |estimate| estimate.stored);
        let rate = job.planned.as_ref().map_or_else(|| rate(site, job), |planned| planned.kps);
        let (seconds, kps) = pace(stored, rate);
        lineup.tasks.push(Task {
            host,
            network,
            spindle: disk.spindle.filter(|spindle| *spindle != -1),
            bytes: stored.saturating_add(HEADER),
            seconds,
            kps,
            priority: job.planned.as_ref().map_or_else(|| how.priority(), |planned| planned.priority),
            not_before: how.starttime().map_or(0, |seconds| start_time(seconds, second_of_day(now), now)),
            holding: how.holdingdisk(),
        });
        lineup.jobs.push(at);
        lineup.tries.push(how.retry_dump().max(1));
    }
    lineup
}

/// Returns the KiB that come in a second, as the last dumps of its kind went.
fn rate(site: &Site, job: &Job<'_>) -> f64 {
    // Without its history a dump only counts as one of an unknown pace.
    let info = history::load(site, &job.dle).unwrap_or_default();
    let rates = if job.plan.as_ref().is_some_and(|plan| plan.level > 0) { info.incr.rate } else { info.full.rate };
    #[expect(clippy::cast_precision_loss, reason = "three of them")]
    let average = rates.iter().sum::<f64>() / rates.len() as f64;
    if rates.is_empty() { RATE } else { average }
}

/// Returns the seconds that a dump of so many bytes takes at a rate, and what it takes of a network in each.
fn pace(bytes: u64, rate: f64) -> (u64, u64) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an expectation")]
    let rate = rate.max(1.0) as u64;
    let kib = bytes / 1024;
    let seconds = (kib / rate).max(1);
    (seconds, (kib / seconds).min(rate))
}

/// Returns the second of the day, by this place's clocks.
fn second_of_day(now: i64) -> i64 {
    DateTime::from_timestamp(now, 0).map_or(0, |time| i64::from(time.with_timezone(&Local).num_seconds_from_midnight()))
}

/// Returns when a dump may begin: a time of this day, or of the next one when that was more than half a day ago (diskfile.c).
fn start_time(starttime: u32, second_of_day: i64, now: i64) -> i64 {
    let start = now - second_of_day + i64::from(starttime);
    if start - now < -43_200 { start + 86_400 } else { start }
}

/// Says whether a dump that found no room on its holding disk may go beside the volumes.
pub fn may_go_beside(task: &Task) -> bool {
    task.holding == HoldingUse::Auto
}

/// Has a dump go beside the volumes from here on.
pub fn send_beside(task: &mut Task) {
    task.holding = HoldingUse::Never;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_time_is_today_unless_that_is_half_a_day_ago() {
        let now = 20 * 3_600;
        for (case, starttime, expected) in [
            ("later today", 23 * 3_600, 3 * 3_600),
            ("just now", 20 * 3_600, 0),
            ("has been", 19 * 3_600, -3_600),
            ("in the small hours of the next day", 5_400, 19_800),
        ] {
            assert_eq!(start_time(starttime, now, 1_000_000) - 1_000_000, expected, "{case}");
        }
    }

    #[test]
    fn a_dump_is_expected_to_go_as_the_last_ones_went() {
        for (case, bytes, rate, expected) in [
            ("nothing known", 10 << 20, RATE, (10, 1_024)),
            ("known", 30_000 << 10, 3_000.0, (10, 3_000)),
            ("less than a second", 100 << 10, 3_000.0, (1, 100)),
            ("of unknown size", 0, 3_000.0, (1, 0)),
            ("hardly any rate", 2 << 10, 0.0, (2, 1)),
        ] {
            assert_eq!(pace(bytes, rate), expected, "{case}");
        }
    }
}
