//! What a command is about: where, which disks, and the record of them.
//!
//! For a server that is what agent.toml says. For a vault much of it can be seen before anything is begun: whether it is there, which
//! one it is (another drive at the same path is another vault), and which disks it has. So a vault needs no agent.toml at all.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use wire::{ConfigName, DiskName, Exit, HostName};

use super::place::Place;
use super::vault_disks;
use crate::config::{Config, Destination, Disk, Setting, Source};
use crate::history::{Store, StoreError};
use crate::machine;
use crate::report::{Problem, show};
use crate::session::vault::{self, Look, May, VaultError, standing};

/// What a command is about.
pub struct Job {
    /// The settings; for a vault with all its disks among them.
    pub config: Config,
    /// Whom to ask.
    pub place: Place,
    /// Where its receipts are.
    pub store: Store,
    /// The disks whose record decides; whatever the server has when none is named.
    pub ours: Vec<DiskName>,
    /// The disks to ask for; all when none is named.
    pub wanted: Vec<DiskName>,
    /// What could be seen of a vault beforehand.
    pub vault: Option<Result<Look, VaultError>>,
    /// What is left out by itself, in words.
    pub remarks: Vec<String>,
    /// What is not backed up, and could be meant to be, in words.
    pub warnings: Vec<String>,
}

impl Job {
    /// Finds out what a command is about. `named` are disks, or directories for a vault.
    pub fn new(config: Config, named: &[OsString], may: May) -> Result<Self, Problem> {
        match config.destination.value.clone() {
            Destination::Ssh(ssh) => {
                let ours: Vec<DiskName> = config.disks.iter().map(|disk| disk.value.name.clone()).collect();
                let wanted = once(named.iter().map(|name| disk_name(name)).collect::<Result<Vec<_>, _>>()?);
                at_most(wanted.len())?;
                let store = Store::at(&config.state.value, &config.destination.value.to_string());
                let wanted = if wanted.is_empty() { ours.clone() } else { wanted };
                Ok(Self {
                    place: Place::server(&config, &ssh),
                    config,
                    store,
                    ours,
                    wanted,
                    vault: None,
                    remarks: Vec::new(),
                    warnings: Vec::new(),
                })
            }
            Destination::Directory(directory) => Self::of_vault(config, directory, named, may),
        }
    }

    fn of_vault(mut config: Config, directory: PathBuf, named: &[OsString], may: May) -> Result<Self, Problem> {
        let store = Store::at(&config.state.value, &config.destination.value.to_string());
        let never = store.peer().is_none_or(|peer| standing::was_removed(&directory, peer.file_system));
        let look = vault::look(&directory, !never);
        let present = look.as_ref().ok().map(|look| look.name.clone());
        let store = store.of_present(present.clone());
        let host = host(&config, &store, present.as_ref());
        let listed: Vec<(DiskName, PathBuf)> = look.as_ref().map_or_else(|_| Vec::new(), |look| look.disks_of(&host).collect());
        let configured = config.disks.iter().map(|disk| (disk.value.name.clone(), disk.value.device.clone()));
        let recorded = present.as_ref().map(|present| store.known_to(present)).unwrap_or_default();
        // Whoever made the drive does not decide what is read here: a disk is what this machine knows it as.
        let is_ours = |disk: &(DiskName, PathBuf)| {
            let is_itself = disk.0.as_os_str() == disk.1.as_os_str() && recorded.contains(&disk.0);
            is_itself || configured.clone().any(|configured| configured == *disk)
        };
        let (trusted, strange): (Vec<_>, Vec<_>) = listed.iter().cloned().partition(is_ours);
        let known: Vec<(DiskName, PathBuf)> = configured.clone().chain(trusted.iter().cloned()).collect();
        let named = once(named.iter().map(|name| vault_disks::named(name, &known, &directory)).collect::<Result<Vec<_>, _>>()?);
        at_most(named.len())?;
        // What was typed; else what agent.toml says about this vault; else what the vault has.
        let from_file = !matches!(config.destination.from, Source::Flag(_)) || listed.is_empty();
        let as_configured = from_file && !config.disks.is_empty();
        let takes_all = named.is_empty() && !as_configured;
        let disks = match takes_all {
            false if named.is_empty() => configured.clone().collect(),
            false => named,
            // To look at a disk is not to read it.
            true if may == May::Look => listed.clone(),
            true => trusted.clone(),
        };
        if disks.is_empty() && may != May::Look && !strange.is_empty() {
            return Err(unknown(&directory, &host, &strange));
        }
        if disks.is_empty() && may == May::Make && never && !matches!(&look, Err(VaultError::NotAVault { .. } | VaultError::Engine { .. }))
        {
            if store.peer().is_some() {
                return Err(Problem::new(Exit::Usage, format!("the vault that was at {} is gone", directory.display()))
                    .because("it was removed, with all that was in it, and what another one should have is not named")
                    .hint(format!("to make another: asyncamanda now DIR… --to {}", directory.display())));
            }
            return Err(Problem::new(Exit::Usage, format!("nothing is named that should be backed up into {}", directory.display()))
                .because("it has no disk of this machine yet")
                .hint(format!("asyncamanda now DIR… --to {}", directory.display())));
        }
        let remarks = serve(&mut config, disks.iter().chain(&trusted), &directory);
        let mut warnings = Vec::new();
        if takes_all && may != May::Look {
            warnings.extend(strange.iter().map(|(name, _)| {
                let name = show(name.as_bytes());
                format!("{name}: the vault lists it for {host}, and this machine does not know it: to back it up, name it once")
            }));
        }
        config.host.get_or_insert_with(|| Setting { key: "host".to_owned(), value: host.clone(), from: Source::Default });
        let wanted: Vec<DiskName> = disks.iter().map(|(name, _)| name.clone()).collect();
        let state = &config.state.value;
        let machine = match may {
            May::Look => machine::id(state),
            May::Write | May::Make => Some(machine::certain_id(state).map_err(|source| StoreError { path: state.clone(), source })?),
        };
        let way = vault::Way { directory, host, machine, disks, known: !never, may };
        Ok(Self { config, place: Place::Vault(way), store, ours: wanted.clone(), wanted, vault: Some(look), remarks, warnings })
    }

    /// Tells whether the vault would be made by a backup.
    pub fn is_new_vault(&self) -> bool {
        matches!(self.vault, Some(Err(VaultError::NoneYet { .. })))
    }

    /// Returns the file for hints of Amanda's client; a vault has none: amandates is about what servers have.
    pub fn amandates(&self) -> Option<&Path> {
        (!self.place.is_vault()).then_some(self.config.amandates.value.as_path())
    }
}

/// Leaves out what was named before.
fn once<T: PartialEq>(named: Vec<T>) -> Vec<T> {
    named.into_iter().fold(Vec::new(), |mut seen, one| {
        if !seen.contains(&one) {
            seen.push(one);
        }
        seen
    })
}

/// A vault has disks under our name, and this machine knows none of them: its state was lost, or the drive is somebody else's.
fn unknown(directory: &Path, host: &HostName, strange: &[(DiskName, PathBuf)]) -> Problem {
    if let Some(problem) = vault_disks::of_another(directory) {
        return problem;
    }
    let shown: Vec<String> = strange.iter().map(|(_, device)| show(device.as_os_str().as_bytes())).collect();
    Problem::new(Exit::Usage, format!("nothing is named that should be backed up into {}", directory.display()))
        .because(format!(
            "it lists {} for {host}, of which this machine has no record: a drive does not decide what is read here",
            shown.join(", ")
        ))
        .hint(format!("if they are yours, name them once: asyncamanda now {} --to {}", shown.join(" "), directory.display()))
}

fn disk_name(name: &OsStr) -> Result<DiskName, Problem> {
    DiskName::new(name).map_err(|error| Problem::new(Exit::Usage, error.to_string()))
}

fn at_most(named: usize) -> Result<(), Problem> {
    match named <= wire::message::MAX_DISKS {
        true => Ok(()),
        false => Err(Problem::new(Exit::Usage, format!("at most {} disks can be named", wire::message::MAX_DISKS))),
    }
}

/// This laptop's name in a vault: as configured; else the one that this vault knows it by, since a machine may be renamed; else the
/// machine's.
pub(super) fn host(config: &Config, store: &Store, present: Option<&ConfigName>) -> HostName {
    if let Some(host) = &config.host {
        return host.value.clone();
    }
    let before = store.peer().filter(|peer| present.is_none_or(|present| *present == peer.config));
    before.map_or_else(vault_disks::machine, |peer| peer.host)
}

/// Lets the client serve these disks, with what agent.toml leaves out of them and without the vault itself.
fn serve<'d>(config: &mut Config, disks: impl Iterator<Item = &'d (DiskName, PathBuf)>, vault: &Path) -> Vec<String> {
    let mut remarks = Vec::new();
    let own = [(vault.to_path_buf(), "the vault itself"), (config.state.value.clone(), "what asyncamanda keeps about it")];
    let own = own.map(|(path, what)| (vault_disks::real(&path), what));
    for (name, device) in disks {
        if !config.disks.iter().any(|disk| disk.value.name == *name) {
            // A disk of the same directory under another name has the same things that nobody wants.
            let same = config.disks.iter().find(|disk| disk.value.device == *device);
            let exclude = same.map_or_else(Vec::new, |disk| disk.value.exclude.clone());
            config.disks.push(Setting {
                key: "disk".to_owned(),
                value: Disk { name: name.clone(), device: device.clone(), exclude },
                from: Source::Default,
            });
        }
    }
    for disk in &mut config.disks {
        let device = vault_disks::real(&disk.value.device);
        for (path, what) in &own {
            if let Some(pattern) = vault_disks::pattern(path, &device) {
                remarks.push(format!("{}: {what} is left out, {}", show(disk.value.name.as_bytes()), path.display()));
                disk.value.exclude.push(pattern);
            }
        }
    }
    remarks
}
