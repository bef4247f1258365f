//! Which volume a run begins; also asked before anything is dumped, when nothing is changed.

use std::collections::BTreeSet;

use amanda::tapelist::Tapelist;

use super::begin::{needs, slots};
use super::settings::Settings;
use crate::engine::Trouble;
use crate::engine::embedded::catalog::Catalog;
use crate::engine::embedded::site::Site;
use crate::engine::embedded::volumes::cycle::{Rules, Scan, Slot, next};

/// Looks for the volume that a run would begin now.
///
/// # Errors
/// When labels cannot be told apart.
pub fn look(site: &Site, catalog: &Catalog, now: i64) -> Result<Scan, Trouble> {
    let settings = Settings::of(site)?;
    let slots = slots(catalog, &settings);
    let from = site.changer().current().unwrap_or(1);
    let search = Search { site, catalog, settings: &settings, tapes: &catalog.tapelist, slots: &slots, from, now };
    Ok(search.scan(&BTreeSet::new()))
}

/// What is looked through.
pub(super) struct Search<'a> {
    pub site: &'a Site,
    pub catalog: &'a Catalog,
    pub settings: &'a Settings,
    pub tapes: &'a Tapelist,
    pub slots: &'a [Slot],
    /// Where it begins.
    pub from: u32,
    pub now: i64,
}

impl Search<'_> {
    /// Looks for a volume; slots in `seen` have been tried.
    pub fn scan(&self, seen: &BTreeSet<u32>) -> Scan {
        let needs = needs(self.site, self.catalog, self.now);
        let (storage, pool) = self.site.shelf();
        let new_label = self.settings.new_label(self.site, self.tapes, self.catalog);
        let rules = Rules {
            tapecycle: self.settings.tapecycle,
            config: self.site.name().as_str(),
            storage: &storage,
            pool: &pool,
            is_label: &|label| self.settings.labels.matches(label),
            autolabel: self.settings.autolabel,
            new_label: new_label.as_deref(),
            needed: &|label| needs.get(label).cloned(),
            from: self.from,
        };
        next(self.tapes, self.slots, seen, &rules)
    }
}
