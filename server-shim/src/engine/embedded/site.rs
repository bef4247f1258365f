//! A config directory, opened: what amanda.conf and the disklist say, and where everything is.

use std::path::{Path, PathBuf};

use amanda::conf::Config;
use amanda::conf::disklist::Disk;
use amanda::dle::Dle;
use amanda::vtape::changer::ChgDisk;
use wire::{ConfigName, HostName};

use crate::engine::Trouble;

/// A config that this engine can serve.
#[derive(Debug, Clone)]
pub struct Site {
    name: ConfigName,
    directory: PathBuf,
    config: Config,
    disks: Vec<Disk>,
}

impl Site {
    /// Reads a config's directory; nothing is written. Without a name it is a local vault, whose name stands in its amanda.conf
    /// as `org`; a vault that was moved is read as if its paths had moved with it.
    ///
    /// # Errors
    /// When a file cannot be read or is wrong, and when the config has something that only Amanda itself can do.
    pub fn open(directory: &Path, name: Option<&ConfigName>) -> Result<Self, Trouble> {
        let _ = (directory, name);
        todo!()
    }

    /// Says whether a directory is a vault. One that is being made is none yet.
    pub fn is_vault(directory: &Path) -> bool {
        let _ = directory;
        todo!()
    }

    /// Makes sure that this process may write here, and puts the paths of a vault that was moved right.
    ///
    /// # Errors
    /// On a read-only file system, and when the directory belongs to another account.
    pub fn for_writing(&self) -> Result<(), Trouble> {
        todo!()
    }

    /// Returns the config's name.
    pub fn name(&self) -> &ConfigName {
        &self.name
    }
    /// Returns its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
    /// Returns what its amanda.conf says.
    pub fn config(&self) -> &Config {
        &self.config
    }
    /// Returns its disks.
    pub fn disks(&self) -> &[Disk] {
        &self.disks
    }
    /// Returns the disks of a host that are ever dumped.
    pub fn disks_of<'a>(&'a self, host: &'a HostName) -> impl Iterator<Item = &'a Disk> {
        self.disks.iter().filter(move |disk| disk.dle.host == host.as_str())
    }
    /// Returns a disk.
    pub fn disk(&self, dle: &Dle) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.dle == *dle)
    }
    /// Returns the holding disk's directory.
    pub fn holding(&self) -> PathBuf {
        todo!()
    }
    /// Returns the directory of the indexes.
    pub fn indexdir(&self) -> PathBuf {
        self.config.indexdir()
    }
    /// Returns the changer over the volumes.
    pub fn changer(&self) -> ChgDisk {
        todo!()
    }
    /// Returns the directory of our own things.
    pub fn own(&self) -> PathBuf {
        self.directory.join(".asyncamanda")
    }
    /// Adds a disk to the disklist, durably; nothing happens when it is there. The dumptype is the vault's.
    ///
    /// # Errors
    /// When the disklist cannot be written, or would not be one any more.
    pub fn add_disk(&mut self, dle: &Dle, device: Option<&Path>) -> Result<(), Trouble> {
        let _ = (dle, device);
        todo!()
    }
}
