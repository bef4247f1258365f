//! What amanda.conf says of volumes, as the taper needs it.

use amanda::conf::labels::{Autolabel, Labelstr};
use amanda::conf::rules::TaperAlgo;
use amanda::tapelist::Tapelist;

use crate::engine::Trouble;
use crate::engine::embedded::catalog::Catalog;
use crate::engine::embedded::site::{CONF, Rotation, Site};
use crate::engine::embedded::volumes::flush::Thresholds;

/// So many slots are made at most.
const MOST_SLOTS: u32 = 10_000;

/// What amanda.conf says.
pub(in crate::engine::embedded) struct Settings {
    /// So many volumes there are at least.
    pub tapecycle: usize,
    /// So many a run may begin.
    pub runtapes: u32,
    /// The labels that are this config's.
    pub labels: Labelstr,
    /// Volumes that get a label.
    pub autolabel: Autolabel,
    /// Slots up to this one are made when they are not there.
    pub makes_slots: u32,
    /// Bytes that a volume holds.
    pub length: u64,
    /// Which dump is taken next.
    pub algo: TaperAlgo,
    /// How much has to wait for a volume.
    pub thresholds: Thresholds,
}

impl Settings {
    /// Returns a config's.
    ///
    /// # Errors
    /// When its labelstr is no regular expression.
    pub fn of(site: &Site) -> Result<Self, Trouble> {
        let config = site.config();
        let (tapecycle, runtapes) = match site.rotation() {
            Rotation::Cycle { tapecycle, runtapes } => (tapecycle, runtapes),
            Rotation::Kept { .. } => (config.tapecycle(), config.runtapes()),
        };
        let said = config.thresholds();
        Ok(Self {
            tapecycle: tapecycle as usize,
            runtapes,
            labels: labels(site)?,
            autolabel: config.autolabel(),
            makes_slots: config.auto_slots().unwrap_or(0).min(MOST_SLOTS),
            length: site.volume_bytes(),
            algo: config.taperalgo(),
            thresholds: Thresholds {
                length: site.volume_bytes(),
                dumped: said.dumped.into(),
                scheduled: said.scheduled.into(),
                taperflush: said.taperflush.into(),
            },
        })
    }

    /// Returns the label that the next volume without one gets: none that a volume has which the tapelist has lost. Of two with one label
    /// neither is read.
    pub fn new_label(&self, site: &Site, tapes: &Tapelist, catalog: &Catalog) -> Option<String> {
        let has = |label: &str| catalog.volumes.iter().any(|shelved| shelved.label.as_deref() == Some(label));
        (1..).map_while(|number| site.label(number)).find(|label| tapes.get(label).is_none() && !has(label))
    }
}

/// Returns the labels that are a config's own.
///
/// # Errors
/// When its labelstr is no regular expression.
pub(in crate::engine::embedded) fn labels(site: &Site) -> Result<Labelstr, Trouble> {
    site.config().labels().map_err(|why| {
        let conf = site.config().directory().join(CONF);
        Trouble::config(format!("the labelstr of {} cannot be used: {why}", conf.display()), "correct it; see labelstr in amanda.conf(5)")
    })
}
