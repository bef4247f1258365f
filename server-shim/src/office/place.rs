//! A config that an administrator names: one in `config_dir`, of whichever engine, or the directory of a vault.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use amanda::conf::Config as Conf;
use amanda::conf::disklist::Disk;
use amanda::escape::printable;
use amanda::run_log::said::{Said, said};
use amanda::tapelist::{self, Tapelist};
use wire::{ConfigName, Exit};

use super::held;
use crate::config::{Config, EngineKind};
use crate::engine::Trouble;
use crate::engine::embedded::catalog::LONGEST_LOG;
use crate::engine::embedded::files;
use crate::engine::embedded::holding;
use crate::engine::embedded::site::{Rotation, Site, failed};
use crate::report::Words;
use crate::runner::start;

/// A config, opened for reading. Amanda's files are the same whichever engine writes them, so it need not be one that the embedded
/// engine can serve.
pub struct Place {
    /// Its name.
    pub name: String,
    /// What its amanda.conf says.
    pub conf: Conf,
    /// Its disks.
    pub disks: Vec<Disk>,
    /// It is one that this program serves itself.
    pub site: Option<Site>,
}

/// Opens what was named, as the account that owns it.
///
/// # Errors
/// When there is no such config, or it cannot be read.
pub fn open(config: &Config, named: &str) -> Result<Place, Words> {
    let path = Path::new(named);
    if named.contains('/') || Site::is_vault(path) {
        if !Site::is_vault(path) {
            let because = if path.exists() { "it has no amanda.conf of a vault in it" } else { "there is no such directory" };
            return Err(Words::new(Exit::Config, format!("{} is no vault", printable(named.as_bytes()))).because(because));
        }
        return Ok(Place::of(Site::open(path, None)?));
    }
    let name: ConfigName = named.parse().map_err(|error: wire::NameError| {
        Words::new(Exit::Usage, format!("\"{}\" is neither a vault nor a config", printable(named.as_bytes())))
            .because(error.to_string())
            .hint("a path needs a slash: ./vault")
    })?;
    start::become_dump_user(config)?;
    if config.engine == EngineKind::Embedded {
        return Ok(Place::of(crate::engine::dumper::survey::open(config, &name)?));
    }
    Ok(Place::read(&config.config_directory(&name), &name)?)
}

impl Place {
    /// Takes a config that this program serves.
    pub fn of(site: Site) -> Self {
        Self { name: site.name().to_string(), conf: site.config().clone(), disks: site.disks().to_vec(), site: Some(site) }
    }

    /// Reads a config that the installed Amanda may serve.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn read(directory: &Path, name: &ConfigName) -> Result<Self, Trouble> {
        let conf = directory.join("amanda.conf");
        if fs::metadata(&conf).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Err(Trouble::config(
                format!("there is no config {name}: {} has no amanda.conf", directory.display()),
                "config_dir in shim.toml says where the configs are",
            ));
        }
        let (conf, disks) = Site::config_of(directory)?;
        Ok(Self { name: name.to_string(), conf, disks, site: None })
    }

    /// Says whether its volumes are kept for days, and chosen by their room: nobody puts any in.
    pub fn is_vault(&self) -> bool {
        self.site.as_ref().is_some_and(|site| matches!(site.rotation(), Rotation::Kept { .. }))
    }

    /// Reads the list of volumes; none when there is none yet.
    ///
    /// # Errors
    /// When it cannot be read, or has a line that Amanda would stop at.
    pub fn tapelist(&self) -> Result<Tapelist, Trouble> {
        let path = self.conf.tapelist();
        let text = files::read(&path, tapelist::LONGEST as u64).map_err(|error| failed("cannot read", &path, &error))?;
        Tapelist::parse(&text.unwrap_or_default()).map_err(|error| {
            Trouble::config(format!("{}: {error}", path.display()), "Amanda's programs stop at such a line, too; correct or remove it")
        })
    }

    /// Returns the labels that this config's volumes may have.
    ///
    /// # Errors
    /// When `labelstr` is no expression.
    pub fn labels(&self) -> Result<amanda::conf::labels::Labelstr, Trouble> {
        self.conf.labels().map_err(|what| Trouble::config(format!("labelstr: {what}"), "correct it in amanda.conf; see amanda.conf(5)"))
    }

    /// Returns a log by its datestamp, or the newest; `None` when there is none. A datestamp may be the beginning of one.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn log(&self, stamp: Option<&str>) -> Result<Option<PathBuf>, Trouble> {
        let logdir = self.conf.logdir();
        let names = crate::engine::embedded::catalog::names(&logdir).map_err(|error| failed("cannot list", &logdir, &error))?;
        let named = names.iter().filter_map(|name| Some((key(name.to_str()?)?, name)));
        let fits = named.filter(|((date, _), _)| stamp.is_none_or(|stamp| date.starts_with(stamp)));
        // What amdump is writing is called log until it has ended.
        let newest = fits.max_by(|(one, _), (other, _)| one.cmp(other)).map(|(_, name)| logdir.join(name));
        let running = Some(logdir.join("log")).filter(|path| stamp.is_none() && path.is_file());
        Ok(running.or(newest))
    }

    /// Returns the log that a process has begun, the newest if there are several.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn log_of(&self, process: u32) -> Result<Option<PathBuf>, Trouble> {
        let logdir = self.conf.logdir();
        let names = crate::engine::embedded::catalog::names(&logdir).map_err(|error| failed("cannot list", &logdir, &error))?;
        let mut logs: Vec<_> = names.iter().filter_map(|name| Some((key(name.to_str()?)?, logdir.join(name)))).collect();
        logs.sort();
        Ok(logs.into_iter().rev().map(|(_, path)| path).find(|path| begun_by(path, process)))
    }

    /// Returns the directories in which dumps wait: with the embedded engine also the one beside the volumes.
    fn waiting_rooms(&self) -> Vec<PathBuf> {
        match &self.site {
            Some(site) => holding::directories(site),
            None => self.conf.holdingdisks().into_iter().map(|disk| disk.directory).collect(),
        }
    }

    /// Returns the KiB of dumps that wait for a volume.
    ///
    /// # Errors
    /// When a directory cannot be listed.
    pub fn held_kb(&self) -> Result<u64, Trouble> {
        let mut kb = 0;
        for directory in self.waiting_rooms() {
            let held = held::held(&directory).map_err(|error| failed("cannot list", &directory, &error))?;
            kb += held.iter().map(|held| held.kb).sum::<u64>();
        }
        Ok(kb)
    }
}

/// Says whether a process wrote the first line of a log.
fn begun_by(path: &Path, process: u32) -> bool {
    let mut beginning = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(1024).read_to_end(&mut beginning));
    read.is_ok() && matches!(said(&beginning).first(), Some(Said::Begun(_, pid)) if *pid == process)
}

/// Returns date and number of a log's name: `log.20261123190624.0`.
fn key(name: &str) -> Option<(String, u32)> {
    let (date, number) = name.strip_prefix("log.")?.split_once('.')?;
    let digits = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(date) || !digits(number) {
        return None;
    }
    Some((date.to_owned(), number.parse().ok()?))
}

/// Reads a log.
///
/// # Errors
/// When it is not there, or cannot be read.
pub fn read(path: &Path) -> Result<Vec<Said>, Trouble> {
    let log = files::read(path, LONGEST_LOG).map_err(|error| failed("cannot read", path, &error))?;
    log.map(|log| said(&log)).ok_or_else(|| {
        Trouble::config(
            format!("there is no log {}", printable(path.as_os_str().as_bytes())),
            "without --log and --date the newest run is reported",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_logs_are_ordered_by_date_and_number() {
        let key = |name| key(name).map(|(date, number)| format!("{date}/{number}"));
        assert_eq!(key("log.20261123190624.10").as_deref(), Some("20261123190624/10"));
        for name in ["log", "log.20261123190624.0.old", "log.x.0", "amdump.20261123190624.0"] {
            assert_eq!(key(name), None, "{name}");
        }
    }
}
