//! Where a catalog belongs: a config's own paths.

use std::io;
use std::path::{Path, PathBuf};

use amanda::dle::Dle;
use amanda::escape::printable;
use amanda::vtape::changer::ChgDisk;
use wire::{ConfigName, Exit};

use super::around;
use crate::config::Config;
use crate::engine::Trouble;
use crate::engine::embedded::files;
use crate::engine::embedded::locks::{self, Held};
use crate::engine::embedded::site::{CONF, Site, failed, shelf};
use crate::report::Words;
use crate::restore::loose::scan::Scanned;
use crate::runner::start;

/// A config, as far as its catalog goes.
#[derive(Debug)]
pub(super) struct Place {
    pub name: ConfigName,
    pub storage: String,
    pub pool: String,
    pub changer: ChgDisk,
    pub holding: Vec<PathBuf>,
    pub tapelist: PathBuf,
    pub logdir: PathBuf,
    pub indexdir: PathBuf,
    pub infofile: PathBuf,
    pub disks: Vec<Dle>,
}

/// Opens a config of `config_dir` or the directory of a vault, as its owner. Where there are only volumes, a config is made around them; what was
/// decided for it is said.
pub(super) fn open(config: &Config, named: &str) -> Result<(Place, Vec<String>), Words> {
    let path = Path::new(named);
    if named.contains('/') || Site::is_vault(path) || path.join("vtapes").is_dir() {
        let path = path.canonicalize().map_err(|error| {
            Words::new(Exit::Config, format!("{} cannot be opened", printable(named.as_bytes()))).because(error.to_string())
        })?;
        let (directory, lines) = around::vault(&path, None)?;
        let site = Site::open(&directory, None)?;
        // A vault that lies elsewhere than it says is put right.
        site.for_writing()?;
        let site = Site::open(&directory, None)?;
        let disks = site.disks().iter().map(|disk| disk.dle.clone()).collect();
        return Ok((Place::of(site.name().clone(), site.config(), disks)?, lines));
    }
    let name: ConfigName = named.parse().map_err(|error: wire::NameError| {
        Words::new(Exit::Usage, format!("\"{}\" is neither a vault nor a config", printable(named.as_bytes())))
            .because(error.to_string())
            .hint("a path needs a slash: ./vault")
    })?;
    start::become_dump_user(config)?;
    let directory = config.config_directory(&name);
    let lines = if directory.join(CONF).exists() { Vec::new() } else { around::vault(&directory, Some(&name))?.1 };
    let (amanda, disks) = Site::config_of(&directory)?;
    Ok((Place::of(name, &amanda, disks.into_iter().map(|disk| disk.dle).collect())?, lines))
}

impl Place {
    fn of(name: ConfigName, config: &amanda::conf::Config, disks: Vec<Dle>) -> Result<Self, Trouble> {
        let named = config.tpchanger().map(|changer| changer.to_string_lossy().into_owned()).unwrap_or_default();
        let changer = ChgDisk::named(&named).ok_or_else(|| {
            Trouble::config(
                format!(
                    "the config {name} has the changer {:?}, and only volumes in directories can be read here",
                    printable(named.as_bytes())
                ),
                "Amanda's own amreindex and amrecover read tapes; chg-disk:/DIRECTORY is what this reads",
            )
        })?;
        let (storage, pool) = shelf(config, &name);
        Ok(Self {
            name,
            storage,
            pool,
            changer,
            holding: config.holdingdisks().into_iter().map(|disk| disk.directory).collect(),
            tapelist: config.tapelist(),
            logdir: config.logdir(),
            indexdir: config.indexdir(),
            infofile: config.infofile(),
            disks,
        })
    }

    /// Makes the directories and takes Amanda's lock: nobody changes the catalog meanwhile.
    pub fn lock(&self) -> Result<Held, Trouble> {
        let list = self.tapelist.parent().unwrap_or(Path::new("/"));
        for directory in [list, &self.logdir, &self.indexdir, &self.infofile] {
            files::make_directory(directory).map_err(|error| failed("cannot make", directory, &error))?;
        }
        locks::of_list(self.tapelist.clone()).map_err(|error| failed("cannot lock", &self.tapelist, &error))
    }

    /// Reads the headers of all that is there.
    pub fn scan(&self, scanned: &mut Scanned) -> Result<(), Trouble> {
        let volumes = self.changer.directory();
        match scanned.changer(&self.changer) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("cannot list", volumes, &error)),
            _ => {}
        }
        for holding in self.holding.iter().filter(|holding| holding.is_dir()) {
            scanned.add(holding).map_err(|error| failed("cannot list", holding, &error))?;
        }
        Ok(())
    }
}
