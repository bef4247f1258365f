//! Names that a config gives its volumes and what lies beside them.

use std::path::PathBuf;

use amanda::conf::Config;
use amanda::vtape::changer::ChgDisk;
use wire::ConfigName;

/// The directory beside the volumes for dumps that go to no holding disk. Amanda's changer looks at `slot…` only.
const STRAIGHT: &str = ".asyncamanda-dumps";

pub(super) fn straight(changer: &ChgDisk) -> PathBuf {
    changer.directory().join(STRAIGHT)
}

/// Returns the names of a config's storage and its pool. A vault's directory may have any name, so its own counts.
pub(crate) fn shelf(config: &Config, name: &ConfigName) -> (String, String) {
    let Some(storage) = config.storage() else { return (name.to_string(), name.to_string()) };
    let pool = if storage.settings.text("tapepool").is_some() { config.tapepool() } else { name.to_string() };
    (storage.name.clone(), pool)
}
