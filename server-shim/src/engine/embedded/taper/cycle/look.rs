//! Which volume a run would begin: asked before anything is dumped, and nothing is changed.

use std::collections::BTreeSet;

use super::begin::{needs, slots};
use super::settings::Settings;
use crate::engine::Trouble;
use crate::engine::embedded::catalog::Catalog;
use crate::engine::embedded::site::Site;
use crate::engine::embedded::volumes::cycle::{Rules, Scan, next};

/// Looks for the volume that a run would begin now.
///
/// # Errors
/// When labels cannot be told apart.
pub fn look(site: &Site, catalog: &Catalog, now: i64) -> Result<Scan, Trouble> {
    let settings = Settings::of(site)?;
    let needs = needs(site, catalog, now);
    let (storage, pool) = site.shelf();
    let new_label = settings.new_label(site, &catalog.tapelist);
    let rules = Rules {
        tapecycle: settings.tapecycle,
        config: site.name().as_str(),
        storage: &storage,
        pool: &pool,
        is_label: &|label| settings.labels.matches(label),
        autolabel: settings.autolabel,
        new_label: new_label.as_deref(),
        needed: &|label| needs.get(label).cloned(),
        from: site.changer().current().unwrap_or(1),
    };
    Ok(next(&catalog.tapelist, &slots(catalog, &settings), &BTreeSet::new(), &rules))
}
