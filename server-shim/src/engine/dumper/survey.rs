//! What a config says that the embedded engine serves.

use amanda::conf::Strategy;
use amanda::conf::disklist::Disk;
use wire::{ConfigName, DiskName};

use crate::config::Config;
use crate::engine::embedded::holding;
use crate::engine::embedded::site::Site;
use crate::engine::{DiskRule, Survey, Trouble};

/// Reads a config in `config_dir`.
///
/// # Errors
/// When there is none, or it has something that only Amanda itself can do.
pub fn open(config: &Config, name: &ConfigName) -> Result<Site, Trouble> {
    let directory = config.config_directory(name);
    let conf = std::fs::metadata(directory.join("amanda.conf"));
    if conf.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Err(Trouble::config(
            format!("there is no config {name}: {} has no amanda.conf", directory.display()),
            format!("make one: asyncamanda-shim vault {name} --disk HOST:PATH"),
        ));
    }
    Site::open(&directory, Some(name))
}

/// Says what the runner needs to know of it.
pub fn survey(site: &Site) -> Survey {
    Survey {
        config: site.name().clone(),
        catalog: format!("logdir={} tapelist={}", site.config().logdir().display(), site.config().tapelist().display()),
        logdir: site.config().logdir(),
        indexdir: site.indexdir(),
        holding: holding::directories(site),
        disks: site.disks().iter().filter_map(|disk| rule(site, disk)).collect(),
    }
}

/// Returns what matters of one disk; none when its name is one that nobody could ask for.
fn rule(site: &Site, disk: &Disk) -> Option<DiskRule> {
    let how = disk.how(site.config())?;
    Some(DiskRule {
        host: disk.dle.host.clone(),
        disk: DiskName::new(disk.dle.disk.clone()).ok()?,
        // A laptop gets whatever it asks for, as with Amanda. Only such runs dump what has a `dump-limit` without `server`.
        by_client: true,
        by_server: how.dump_limit().server,
        changed_on_server: false,
        ignored: how.ignore() || how.strategy() == Strategy::Skip,
    })
}
