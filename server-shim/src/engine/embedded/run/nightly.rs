//! The levels of a nightly run: every disk's history is read, and the planner decides for all of them together.

use amanda::curinfo::{FORCE_FULL, Info, Stats};
use amanda::dle::Dle;

use super::{Job, outcome};
use crate::engine::Trouble;
use crate::engine::embedded::catalog::Catalog;
use crate::engine::embedded::plan::{Estimate, Ground, Known, Plan, ground};
use crate::engine::embedded::planner::{self, Candidate, DiskRules, Planned, Presence, Schedule, SiteRules, Verdict};
use crate::engine::embedded::site::{Site, failed};
use crate::engine::embedded::volumes::flush::Autoflush;
use crate::engine::embedded::{history, stamp};

/// A disk whose history was read.
struct Read {
    /// Its place among the jobs.
    at: usize,
    info: Info,
    ground: Result<Ground, String>,
    rules: DiskRules,
    presence: Presence,
}

/// Chooses what becomes of each job. Returns the planner's lines for the run's log.
pub fn choose(site: &Site, catalog: &Catalog, jobs: &mut [Job<'_>], datestamp: &str, now: i64) -> Result<Vec<u8>, Trouble> {
    let rules = rules(site, catalog, now)?;
    let mut read = Vec::with_capacity(jobs.len());
    for (at, job) in jobs.iter_mut().enumerate().filter(|(_, job)| job.is_open() || job.is_skipped()) {
        match look(site, catalog, job, datestamp, now) {
            Ok(Some((info, ground, rules))) => {
                let presence = if job.is_skipped() { Presence::Away } else { Presence::Always };
                read.push(Read { at, info, ground, rules, presence });
            }
            Ok(None) => {}
            Err(trouble) if job.is_open() => job.fail(trouble.to_string()),
            Err(_) => {}
        }
    }
    let candidates: Vec<Candidate<'_>> = read.iter().map(|read| candidate(catalog, &rules, &jobs[read.at].dle, read)).collect();
    let Schedule { verdicts, lines, .. } = planner::schedule(&rules, &candidates);
    let mut log = Vec::new();
    for line in &lines {
        // What fails has its line with the disk's end.
        if !matches!(line, planner::Line::Fail { .. }) {
            line.print(|at| &jobs[read[at].at].dle, datestamp, &mut log);
        }
    }
    drop(candidates);
    for (read, verdict) in read.into_iter().zip(verdicts) {
        let job = &mut jobs[read.at];
        if !job.is_open() {
            continue;
        }
        match verdict {
            Verdict::Dump(planned) => {
                job.plan = Some(plan(&planned));
                job.planned = Some(planned);
            }
            Verdict::Skipped { reason, full_made_elsewhere, .. } => {
                if full_made_elsewhere {
                    made_elsewhere(site, &job.dle, read.info, now)?;
                }
                job.skip(reason);
            }
            Verdict::Failed { reason, .. } => job.fail(reason),
        }
    }
    Ok(log)
}

/// The site's rules, and what waits for its volumes.
fn rules(site: &Site, catalog: &Catalog, now: i64) -> Result<SiteRules, Trouble> {
    let mut rules = SiteRules::of(site.config(), &catalog.tapelist, now);
    if outcome::autoflush(site) != Autoflush::No {
        for held in outcome::waiting(catalog)? {
            let kb = i64::try_from(held.length / 1024).unwrap_or(i64::MAX);
            rules.waiting_kb = rules.waiting_kb.saturating_add(kb);
            if held.header.level == 0 {
                rules.waiting_full_kb = rules.waiting_full_kb.saturating_add(kb);
            }
        }
    }
    Ok(rules)
}

type Looked = (Info, Result<Ground, String>, DiskRules);

fn look(site: &Site, catalog: &Catalog, job: &mut Job<'_>, datestamp: &str, now: i64) -> Result<Option<Looked>, Trouble> {
    let Some(how) = job.disk.and_then(|disk| disk.how(site.config())) else {
        if job.is_open() {
            job.fail("its dumptype is gone");
        }
        return Ok(None);
    };
    let rules = DiskRules::of(&how);
    let mut info =
        history::load(site, &job.dle).map_err(|error| failed("cannot read the history in", &site.config().infofile(), &error))?;
    history::agree(&mut info, catalog, &job.dle, rules.compresses, now);
    let ground = ground(&Known { dumps: catalog.of(&job.dle), info: &info, moment: &stamp::seconds }, datestamp, now);
    Ok(Some((info, ground, rules)))
}

fn candidate<'a>(catalog: &Catalog, rules: &SiteRules, dle: &'a Dle, read: &'a Read) -> Candidate<'a> {
    let overwritten_in = |level: u8| {
        let place = read.info.stats.get(&level)?.place.as_ref()?;
        planner::overwritten_in(&catalog.tapelist, &place.label, rules.tapecycle, rules.runtapes)
    };
    Candidate {
        dle,
        info: &read.info,
        ground: read.ground.clone(),
        rules: read.rules,
        presence: read.presence,
        said: &[],
        full_overwritten_in: overwritten_in(0),
        level_1_overwritten_in: overwritten_in(1),
    }
}

fn plan(planned: &Planned) -> Plan {
    let bytes = |kb: i64| u64::try_from(kb).unwrap_or(0).saturating_mul(1024);
    let size = planned.size;
    // Of what is only guessed the client is asked where room is short.
    let estimate = (!size.guessed).then(|| Estimate { raw: bytes(size.raw_kb), stored: bytes(size.kb) });
    Plan { level: planned.level, reason: planned.reason.clone(), base: planned.base.clone(), estimate }
}

/// Notes that a full dump was made elsewhere (`skip-full`), as Amanda's planner does: the cycle begins anew.
fn made_elsewhere(site: &Site, dle: &Dle, mut info: Info, now: i64) -> Result<(), Trouble> {
    info.command &= !FORCE_FULL;
    info.stats.insert(0, Stats { orig_kb: 0, kb: 0, secs: 0, date: now, place: None });
    history::store(site, dle, &info).map_err(|error| failed("cannot keep the history in", &site.config().infofile(), &error))
}
