//! Where dumps are looked for, and whose: a server over ssh or a vault, by what agent.toml, the flags and the vault itself say.

use std::path::PathBuf;

use wire::{DiskName, Exit, HostName};

use super::{job, vault_disks, way};
use crate::cli::Back;
use crate::config::{Config, Destination};
use crate::history::Store;
use crate::report::{Problem, problems, show};
use crate::restore_time::{At, FORMS, parse_local};
use crate::session::depot::{self, Depot, Worked};
use crate::session::vault::{self, standing};
use crate::session::{SessionError, Way};

/// A way to dumps.
pub struct Reach {
    place: Place,
    /// The host that was named.
    pub named: Option<HostName>,
    /// The time that was named.
    pub at: Option<At>,
    /// Disks whose directories are known on this machine, with them.
    pub disks: Vec<(DiskName, PathBuf)>,
    /// The hosts that a vault has; of a server nobody says.
    pub hosts: Vec<HostName>,
    /// What a person should know before.
    pub remarks: Vec<String>,
}

enum Place {
    Server { way: Way, expected: Option<HostName> },
    Vault { directory: PathBuf, known: bool, host: HostName },
}

impl Reach {
    /// Finds out where to ask.
    ///
    /// # Errors
    /// When a flag cannot be understood, or the vault is not there.
    pub fn new(config: &Config, back: &Back) -> Result<Self, Problem> {
        let at = back
            .at
            .as_deref()
            .map(|text| parse_local(text, crate::clock::now()))
            .transpose()
            .map_err(|error| Problem::new(Exit::Usage, format!("--at: {error}")).hint(format!("write {FORMS}")))?;
        let named: Option<HostName> =
            back.host.as_deref().map(str::parse).transpose().map_err(|error| {
                Problem::new(Exit::Usage, format!("--host: {}: {error}", show(back.host.as_deref().unwrap_or_default())))
            })?;
        let disks: Vec<(DiskName, PathBuf)> =
            config.disks.iter().map(|disk| (disk.value.name.clone(), disk.value.device.clone())).collect();
        let reach = Self {
            place: Place::Vault { directory: PathBuf::new(), known: false, host: vault_disks::machine() },
            named,
            at,
            disks,
            hosts: Vec::new(),
            remarks: Vec::new(),
        };
        match &config.destination.value {
            Destination::Ssh(ssh) => {
                let expected = config.host.as_ref().map(|host| host.value.clone());
                Ok(Self { place: Place::Server { way: way(config, ssh), expected }, ..reach })
            }
            Destination::Directory(directory) => reach.of_vault(config, directory),
        }
    }

    fn of_vault(mut self, config: &Config, directory: &std::path::Path) -> Result<Self, Problem> {
        let store = Store::at(&config.state.value, &config.destination.value.to_string());
        let known = !store.peer().is_none_or(|peer| standing::was_removed(directory, peer.file_system));
        let look = vault::look(directory, known).map_err(|error| problems::of_vault(&error))?;
        let store = store.of_present(Some(look.name.clone()));
        let ours = job::host(config, &store, Some(&look.name));
        let mut hosts: Vec<HostName> = look.disks.iter().filter_map(|(host, ..)| host.parse().ok()).collect();
        hosts.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        hosts.dedup();
        let host = match (&self.named, &hosts[..]) {
            (Some(named), _) => named.clone(),
            // A machine that was installed anew may have another name than before.
            (None, [only]) if *only != ours && config.host.is_none() => {
                self.remarks.push(format!("{} has no dumps of {ours}; these are those of {only}", directory.display()));
                only.clone()
            }
            (None, _) => ours,
        };
        let listed: Vec<_> = look.disks_of(&host).filter(|(name, _)| !self.disks.iter().any(|(known, _)| known == name)).collect();
        self.disks.extend(listed);
        self.hosts = hosts;
        self.place = Place::Vault { directory: directory.to_path_buf(), known, host };
        Ok(self)
    }

    /// Does some work with the dumps; the host is the one that is meant.
    ///
    /// # Errors
    /// When it does not come to that. When the connection ended before the work did, what the work returned says so.
    pub fn with<T>(&self, work: impl FnOnce(&mut Depot, &HostName) -> T) -> Result<Worked<T>, Problem> {
        match &self.place {
            Place::Server { way, expected } => {
                let worked = depot::on_server(way, expected.as_ref(), |depot, own| work(depot, self.named.as_ref().unwrap_or(own)));
                worked.map_err(|error| self.problem(error))
            }
            Place::Vault { directory, known, host } => {
                let reader = vault::reader(directory, *known, host).map_err(|error| problems::of_vault(&error))?;
                depot::in_process(reader, |depot| work(depot, host)).map_err(|error| self.problem(error))
            }
        }
    }

    /// Tells why a connection ended.
    pub fn problem(&self, error: SessionError) -> Problem {
        match &self.place {
            Place::Server { way, .. } => problems::session(error, way),
            Place::Vault { .. } => problems::vault(error),
        }
    }

    /// Returns where dumps are, for people.
    pub fn called(&self) -> String {
        match &self.place {
            Place::Server { way, .. } => way.destination.to_string(),
            Place::Vault { directory, .. } => directory.display().to_string(),
        }
    }
}
