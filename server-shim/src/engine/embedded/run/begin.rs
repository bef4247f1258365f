//! The beginning of a run: what there is, which levels, whether there is room.

use amanda::chains::Restorable;

use super::dumping::Dumper;
use super::{Job, degrade, nightly, outcome, places, room};
use crate::engine::Trouble;
use crate::engine::embedded::catalog::Catalog;
use crate::engine::embedded::plan::{Known, Rules, plan};
use crate::engine::embedded::site::{Rotation, Site, failed};
use crate::engine::embedded::{Kind, Watch, bases, history, mend, stamp};

/// A run that has begun.
pub struct Begun {
    /// Its datestamp.
    pub stamp: String,
    /// Its directories, where dumps are written.
    pub places: places::Places,
    /// When it began.
    pub started: i64,
    /// What the planner has to say in the run's log.
    pub lines: Vec<u8>,
}

/// Mends, plans, makes room, and takes a directory on the holding disk.
pub fn begin(
    site: &Site,
    kind: Kind,
    jobs: &mut [Job<'_>],
    watch: &dyn Watch,
    started: i64,
    dumper: &dyn Dumper,
) -> Result<Begun, Trouble> {
    let lock = mend::lock(site)?;
    let catalog = mend::mended(site, watch, started, &lock)?;
    let stamp = mend::free_stamp(site, &catalog, started);
    let mut lines = Vec::new();
    if kind == Kind::Nightly && matches!(site.rotation(), Rotation::Cycle { .. }) {
        lines = nightly::choose(site, &catalog, jobs, &stamp, started)?;
        degrade::without_a_volume(site, &catalog, jobs, started, watch)?;
    } else {
        for job in jobs.iter_mut().filter(|job| job.is_open()) {
            if let Err(trouble) = choose_level(site, &catalog, job, &stamp, started) {
                job.fail(trouble.to_string());
            }
        }
    }
    room::look(site, &catalog, jobs, started, watch, dumper, &lock)?;
    let notes = jobs.iter().filter(|job| job.is_open()).filter_map(|job| {
        let plan = job.plan.as_ref()?;
        Some(((job.dle.clone(), stamp.clone(), plan.level), plan.base.clone()?))
    });
    let notes: Vec<_> = notes.collect();
    let noted = bases::note(site, notes.iter().map(|(key, on)| (key, Some(on.as_str()))));
    noted.map_err(|error| failed("cannot write in", &site.own(), &error))?;
    let places = places::take(site, &stamp, outcome::goes_round(site), watch)?;
    for job in jobs.iter() {
        if let Some(plan) = job.plan.as_ref().filter(|_| job.is_open()) {
            watch.planned(&job.host, &job.name, plan.level, &plan.reason, plan.estimate.map(|estimate| estimate.stored));
        }
    }
    Ok(Begun { stamp, places, started, lines })
}

fn choose_level(site: &Site, catalog: &Catalog, job: &mut Job<'_>, datestamp: &str, now: i64) -> Result<(), Trouble> {
    let Some(how) = job.disk.and_then(|disk| disk.how(site.config())) else {
        job.fail("its dumptype is gone");
        return Ok(());
    };
    let dumps: &[Restorable] = catalog.of(&job.dle);
    let mut info =
        history::load(site, &job.dle).map_err(|error| failed("cannot read the history in", &site.config().infofile(), &error))?;
    history::agree(&mut info, catalog, &job.dle, mend::is_compressed(site, &job.dle), now);
    let known = Known { dumps, info: &info, moment: &stamp::seconds };
    job.plan = Some(plan(&known, &Rules::of(&how), datestamp, now));
    Ok(())
}
