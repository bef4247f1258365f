//! A run in the words of Amanda's log.

use amanda::run_log::write::{Dump, Entry, Statistics, Sums};

use super::begin::Begun;
use super::{Came, Job};
use crate::engine::Trouble;
use crate::engine::embedded::logs::OURS;
use crate::engine::embedded::planner::Planned;

/// So much of what a client said goes into a receipt.
const SHORT: usize = 1_000;

/// Returns the first lines of the run's log: what is to be dumped, at which level and why. Of a run that came no further this is all, and
/// a report says of each disk that nothing became of it.
pub fn beginning(jobs: &[Job<'_>], begun: &Begun) -> Vec<u8> {
    let stamp = begun.stamp.as_str();
    let mut before = opened(stamp);
    let mut put = |entry: Entry<'_>| entry.print(&mut before);
    // A disk that has a line here and none later is missing for amreport.
    for job in jobs.iter().filter(|job| job.disk.is_some() && !job.is_skipped()) {
        put(Entry::Disk(&job.dle));
    }
    for job in jobs {
        let level = job.plan.as_ref().map_or(0, |plan| plan.level);
        let dump = Dump { dle: &job.dle, datestamp: stamp, level };
        match (&job.end, &job.plan) {
            (Some(Err(undone)), _) if undone.came == Came::Counted => {}
            (Some(Err(undone)), _) if undone.came == Came::Skipped => {
                put(Entry::Info("planner", &format!("{} is passed over: {}", job.dle, undone.why)));
            }
            (Some(Err(undone)), _) if undone.came == Came::Planned => put(Entry::Fail("planner", dump, &undone.why)),
            (_, Some(plan)) => put(Entry::Info("planner", &format!("{} level {level}: {}", job.dle, plan.reason))),
            (_, None) => {}
        }
    }
    before.extend(&begun.lines);
    before
}

/// Returns the log of a run that could not be begun.
pub fn not_begun(stamp: &str, trouble: &Trouble) -> Vec<u8> {
    let mut text = opened(stamp);
    Entry::Fatal("amdump", &trouble.message).print(&mut text);
    Entry::PidDone("amdump", std::process::id()).print(&mut text);
    text
}

fn opened(stamp: &str) -> Vec<u8> {
    let mut text = Vec::new();
    Entry::Pid("amdump", std::process::id()).print(&mut text);
    Entry::Info("amdump", OURS).print(&mut text);
    Entry::Start("planner", stamp).print(&mut text);
    text
}

/// Returns the beginning and the end of the run's log; what the taper has to say stands between them.
pub fn log(jobs: &[Job<'_>], begun: &Begun, now: i64) -> (Vec<u8>, Vec<u8>) {
    let stamp = begun.stamp.as_str();
    #[expect(clippy::cast_precision_loss, reason = "seconds of a run")]
    let secs = (now - begun.started).max(0) as f64;
    let (mut before, mut after) = (beginning(jobs, begun), Vec::new());
    let mut put = |entry: Entry<'_>| entry.print(&mut before);
    put(Entry::Finish("planner", stamp, 0.0));
    put(Entry::Start("driver", stamp));
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    if !host.is_empty() {
        put(Entry::Hostname(&host));
    }
    for job in jobs {
        dumped(job, stamp, &mut put);
    }
    Entry::Finish("driver", stamp, secs).print(&mut after);
    Entry::PidDone("amdump", std::process::id()).print(&mut after);
    (before, after)
}

fn dumped(job: &Job<'_>, stamp: &str, put: &mut dyn FnMut(Entry<'_>)) {
    let Some(plan) = &job.plan else { return };
    let dump = Dump { dle: &job.dle, datestamp: stamp, level: plan.level };
    match &job.end {
        Some(Ok(done)) => {
            let header = &done.header;
            let sums = Sums { native: header.native, client: header.client, server: header.server };
            let bytes = header.server.map_or(0, |crc| crc.bytes);
            let statistics = Statistics { secs: done.secs, bytes, orig_kb: header.orig_kb.unwrap_or(0) };
            if let Some(estimate) = plan.estimate {
                let (orig_kb, kb) = (estimate.raw / 1024, estimate.stored / 1024);
                let (secs, kps) = job.planned.as_ref().map_or((0, 0), Planned::expected);
                put(Entry::Estimate { dump, secs, orig_kb, kb, kps });
            }
            if done.strange.is_empty() {
                put(Entry::Dumped(dump, sums, statistics));
            } else {
                let said: Vec<&str> = done.strange.iter().map(String::as_str).collect();
                put(Entry::Strange(dump, sums, statistics, &said));
            }
            put(Entry::Chunked(dump, header.server, statistics, true));
        }
        Some(Err(undone)) if undone.came == Came::Begun => put(Entry::Fail("dumper", dump, &undone.why)),
        _ => {}
    }
}

/// Returns the first of many words, for a receipt.
pub fn shortened(said: &[String]) -> String {
    let mut text = said.iter().map(|line| line.trim()).collect::<Vec<_>>().join("; ");
    if text.len() > SHORT {
        let end = (0..=SHORT).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}
