//! A config directory, opened: what amanda.conf and the disklist say, and where everything is.
//!
//! A vault has its paths written out in its amanda.conf, as Amanda wants them. When a drive is mounted elsewhere they are wrong;
//! then the vault is read as if they had moved with it, and written anew before anything else is.

mod bounds;
pub mod meaning;
mod moved;
mod refused;
mod rotation;
mod shelf;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use amanda::conf::disklist::Disk;
use amanda::conf::vault::disklist;
use amanda::conf::{self, ConfError, Config, Source};
use amanda::dle::Dle;
use amanda::vtape::changer::ChgDisk;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, Uid, User, access, geteuid};
use wire::{AbortCode, ConfigName, HostName};

pub use self::rotation::Rotation;
pub(crate) use self::shelf::shelf;
use self::shelf::straight;
use super::files::{self, Sure};
use crate::engine::Trouble;

/// How the first line of a vault's amanda.conf begins.
pub(super) const MARK: &[u8] = b"# A vault of asyncamanda";

/// The file that makes a directory a config.
pub(crate) const CONF: &str = "amanda.conf";

/// The directory of our own things.
const OWN: &str = ".asyncamanda";

/// Days for which dumps are kept where no policy says it.
const RETENTION_DAYS: u32 = 30;

/// A config that this engine can serve.
#[derive(Debug, Clone)]
pub struct Site {
    name: ConfigName,
    directory: PathBuf,
    config: Config,
    disks: Vec<Disk>,
    /// At least one; where nothing waits for a volume, the directory beside the volumes.
    holding: Vec<PathBuf>,
    changer: ChgDisk,
    /// It was opened by its path, and not by the name of a config that an administrator wrote.
    by_path: bool,
    /// amanda.conf has other paths than these: the vault was moved.
    moved: bool,
}

/// Reads files for the parser.
#[derive(Clone, Copy)]
struct Files<'a> {
    /// The path of amanda.conf, and what is read instead of it.
    instead: Option<(&'a Path, &'a [u8])>,
    /// A vault that has no files but its own.
    vault: Option<&'a Path>,
}

impl Source for Files<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if let Some((_, text)) = self.instead.filter(|(instead, _)| *instead == path) {
            return Ok(text.to_vec());
        }
        let mut options = File::options();
        options.read(true).custom_flags(libc::O_NONBLOCK);
        if let Some(vault) = self.vault {
            if ![CONF, "disklist"].iter().any(|name| path == vault.join(name)) {
                return Err(io::Error::new(ErrorKind::PermissionDenied, "a vault's files include no others"));
            }
            options.custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW);
        }
        let mut bytes = Vec::new();
        let file = options.open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidData, "not a regular file"));
        }
        file.take(conf::LONGEST as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

fn wrong(error: &ConfError) -> Trouble {
    Trouble::config(error.to_string(), format!("{}; the configuration is Amanda's, see amanda.conf(5) and disklist(5)", error.hint))
}

pub(crate) fn failed(what: &str, path: &Path, error: &io::Error) -> Trouble {
    let message = format!("{what} {}: {error}", path.display());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Trouble { code: AbortCode::Failed, message, hint: format!("make room on the file system of {}", path.display()) }
        }
        ErrorKind::ReadOnlyFilesystem => Trouble::refused(message, "mount the file system so that it can be written"),
        ErrorKind::PermissionDenied => Trouble::refused(message, whose(path)),
        _ => Trouble::later(message, "look at the file system, and whether the drive is still plugged in"),
    }
}

/// Says who may do what was denied.
fn whose(path: &Path) -> String {
    let there = path.ancestors().find_map(|path| Some((path, fs::symlink_metadata(path).ok()?)));
    match there {
        Some((path, metadata)) if metadata.uid() != geteuid().as_raw() => {
            let owner = account(metadata.uid());
            format!("{} belongs to {owner}: run this as {owner}", path.display())
        }
        Some((path, metadata)) => {
            format!("{} has the mode {:o}: give its owner all that is denied", path.display(), metadata.mode() & 0o7777)
        }
        None => "run this as the account that the directory belongs to".to_owned(),
    }
}

impl Site {
    /// Reads a config's directory; nothing is written. Without a name it is a local vault, whose name stands in its amanda.conf
    /// as `org`; a vault that was moved is read as if its paths had moved with it.
    ///
    /// # Errors
    /// When a file cannot be read or is wrong, and when the config has something that only Amanda itself can do.
    pub fn open(directory: &Path, name: Option<&ConfigName>) -> Result<Self, Trouble> {
        // Whoever had it before it was handed to Amanda may read no more than that.
        Self::read(directory, name).map_err(|trouble| super::adopted::refuse(directory, &directory.join(OWN)).err().unwrap_or(trouble))
    }

    fn read(directory: &Path, name: Option<&ConfigName>) -> Result<Self, Trouble> {
        let directory = directory.canonicalize().map_err(|error| failed("cannot open", directory, &error))?;
        let conf = directory.join(CONF);
        let files = Files { instead: None, vault: name.is_none().then_some(&*directory) };
        let mut config = Config::load(&directory, &files).map_err(|error| wrong(&error))?;
        let mut moved = false;
        if name.is_none()
            && let Some(text) = moved::text(&config, &directory, || files.read(&conf))?
        {
            config = Config::load(&directory, &Files { instead: Some((&conf, &text)), ..files }).map_err(|error| wrong(&error))?;
            moved = true;
        }
        let by_path = name.is_none();
        let name = match name {
            Some(name) => name.clone(),
            None => org(&config)?,
        };
        let diskfile = config.diskfile();
        let disks = conf::disklist::load(&mut config, &diskfile, &files).map_err(|error| wrong(&error))?;
        let (holding, changer) = refused::check(&config, &disks)?;
        if by_path {
            bounds::paths(&config, &directory, &holding[0], &changer)?;
        }
        Ok(Self { name, directory, config, disks, holding, changer, by_path, moved })
    }

    /// Reads a config and its disklist, also one that this engine cannot serve.
    ///
    /// # Errors
    /// When a file cannot be read or is wrong.
    pub fn config_of(directory: &Path) -> Result<(Config, Vec<Disk>), Trouble> {
        let files = Files { instead: None, vault: None };
        let mut config = Config::load(directory, &files).map_err(|error| wrong(&error))?;
        let diskfile = config.diskfile();
        let disks = conf::disklist::load(&mut config, &diskfile, &files).map_err(|error| wrong(&error))?;
        Ok((config, disks))
    }

    /// Says whether a directory is a vault. One that is being made is none yet.
    pub fn is_vault(directory: &Path) -> bool {
        let conf = directory.join(CONF);
        let marked = || {
            let mut beginning = [0; MARK.len()];
            File::open(&conf).and_then(|mut file| file.read_exact(&mut beginning)).is_ok_and(|()| beginning == MARK)
        };
        fs::metadata(&conf).is_ok_and(|metadata| metadata.is_file()) && (directory.join(OWN).is_dir() || marked())
    }

    /// Says whether this process may write here; nothing is written.
    ///
    /// # Errors
    /// On a read-only file system, and when the directory belongs to another account, or is Amanda's now.
    pub fn may_write(&self) -> Result<(), Trouble> {
        let directory = &self.directory;
        let metadata = fs::metadata(directory).map_err(|error| failed("cannot look at", directory, &error))?;
        // Nothing is made where a drive has been pulled out since it was opened.
        let conf = directory.join(CONF);
        fs::metadata(&conf).map_err(|error| failed("cannot read", &conf, &error))?;
        if access(directory, AccessFlags::W_OK) == Err(Errno::EROFS) {
            let error = io::Error::from(Errno::EROFS);
            return Err(failed("cannot write to", directory, &error));
        }
        super::adopted::refuse(directory, &self.own())?;
        if metadata.uid() != geteuid().as_raw() {
            return Err(Trouble::refused(
                format!("{} belongs to {}, and this runs as {}", directory.display(), account(metadata.uid()), account(geteuid().as_raw())),
                format!("run this as {}: files of two accounts in one directory are of no use to either", account(metadata.uid())),
            ));
        }
        access(directory, AccessFlags::W_OK | AccessFlags::X_OK)
            .map_err(|errno| failed("cannot write to", directory, &io::Error::from(errno)))?;
        if self.by_path { bounds::directories(directory, &metadata) } else { Ok(()) }
    }

    /// Makes sure that this process may write here, and puts the paths of a vault that was moved right.
    ///
    /// # Errors
    /// As [`Self::may_write`].
    pub fn for_writing(&self) -> Result<(), Trouble> {
        self.may_write()?;
        let directory = &self.directory;
        // Amanda makes these itself when they are not there. What lies elsewhere may be a drive that is not mounted.
        let ours = [self.config.logdir(), self.config.indexdir(), self.config.infofile(), self.own()];
        let ours = ours.iter().chain(&self.holding).map(PathBuf::as_path);
        for path in std::iter::once(self.changer.directory()).chain(ours).filter(|path| !path.is_dir()) {
            let beside_the_volumes = path.parent() == Some(self.changer.directory());
            if !path.starts_with(directory) && !beside_the_volumes {
                return Err(Trouble {
                    hint: format!("mount the drive that it is on; or make it: mkdir -p {}, as {}", path.display(), own_account()),
                    ..failed("cannot use", path, &io::Error::from(ErrorKind::NotFound))
                });
            }
            files::make_directory(path).map_err(|error| failed("cannot make", path, &error))?;
        }
        let tapelist = self.config.tapelist();
        super::locks::prepare(self).map_err(|error| failed("cannot lock", &tapelist, &error))?;
        if self.moved {
            self.put_right()?;
        }
        let device =
            |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).map_err(|error| failed("cannot look at", path, &error));
        // A vault moves its dumps onto the volumes; a config whose volumes go round has them copied.
        if let Rotation::Kept { .. } = self.rotation()
            && device(&self.holding[0])? != device(self.changer.directory())?
        {
            return Err(refused::other_file_system(&self.holding[0], self.changer.directory()));
        }
        Ok(())
    }

    /// Gives amanda.conf the paths of where the vault is. Whoever comes at the same time does the same, and what was edited meanwhile
    /// stays.
    fn put_right(&self) -> Result<(), Trouble> {
        let (conf, tapelist) = (self.directory.join(CONF), self.config.tapelist());
        let _alone = super::locks::tapelist(self).map_err(|error| failed("cannot lock", &tapelist, &error))?;
        let files = Files { instead: None, vault: Some(&self.directory) };
        let config = Config::load(&self.directory, &files).map_err(|error| wrong(&error))?;
        let Some(text) = moved::text(&config, &self.directory, || files.read(&conf))? else { return Ok(()) };
        files::replace(&conf, &text, Sure::Durable).map_err(|error| failed("cannot write", &conf, &error))
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
        self.disks.iter().filter(move |disk| disk.dle.host == host.as_str() && !self.is_ignored(disk))
    }

    /// Says whether a disk is never dumped.
    pub fn is_ignored(&self, disk: &Disk) -> bool {
        disk.how(&self.config).is_none_or(|how| how.ignore() || how.strategy() == conf::Strategy::Skip)
    }

    /// Returns a disk.
    pub fn disk(&self, dle: &Dle) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.dle == *dle)
    }

    /// Returns the first holding disk's directory: a vault has no other.
    pub fn holding(&self) -> PathBuf {
        self.holding[0].clone()
    }

    /// Returns the directories of all holding disks, in their order; what of each may be used is told by
    /// [`Config::holdingdisks`].
    pub fn holdings(&self) -> &[PathBuf] {
        &self.holding
    }

    /// Returns the hidden directory beside the volumes, where a dump is made that goes to no holding disk.
    pub fn straight(&self) -> PathBuf {
        straight(&self.changer)
    }

    /// Returns by what rule volumes are used again.
    pub fn rotation(&self) -> Rotation {
        Rotation::of(&self.config)
    }

    /// Returns the directory of the indexes.
    pub fn indexdir(&self) -> PathBuf {
        self.config.indexdir()
    }

    /// Returns the changer over the volumes.
    pub fn changer(&self) -> ChgDisk {
        self.changer.clone()
    }

    /// Returns the directory of our own things.
    pub fn own(&self) -> PathBuf {
        self.directory.join(OWN)
    }

    /// Returns the bytes that a volume holds.
    pub fn volume_bytes(&self) -> u64 {
        self.config.tape_length_kb().saturating_mul(1024)
    }

    /// Returns the seconds for which dumps are kept.
    pub fn retention(&self) -> i64 {
        i64::from(self.config.retention_days().unwrap_or(RETENTION_DAYS)) * 86_400
    }

    /// Returns the names of the storage and its pool, which lines of logs have.
    pub fn shelf(&self) -> (String, String) {
        shelf(&self.config, &self.name)
    }

    /// Returns the label of a new volume with this number; `None` when the config has no template for labels, or none that is left.
    pub fn label(&self, number: u32) -> Option<String> {
        self.config.template().ok()??.label(number)
    }

    /// Adds a disk to the disklist, durably; nothing happens when it is there. The dumptype is the vault's.
    ///
    /// # Errors
    /// When the disklist cannot be written, or would not be one any more.
    pub fn add_disk(&mut self, dle: &Dle, device: Option<&Path>) -> Result<(), Trouble> {
        self.add(dle, device, "vault")
    }

    /// Adds a disk of a host that calls in, likewise.
    ///
    /// # Errors
    /// As [`Self::add_disk`].
    pub fn add_laptops_disk(&mut self, dle: &Dle, device: Option<&Path>) -> Result<(), Trouble> {
        self.add(dle, device, "laptop")
    }

    fn add(&mut self, dle: &Dle, device: Option<&Path>, dumptype: &str) -> Result<(), Trouble> {
        if let Some(disk) = self.disk(dle) {
            let same = device.is_none_or(|device| disk.directory() == device);
            return if same { Ok(()) } else { Err(taken(dle, disk)) };
        }
        // The header of a dump has room for so much of a name, and a disk whose dumps cannot be named cannot be dumped.
        if dle.disk_bytes().len() > 255 || dle.disk_bytes().contains(&b'\n') {
            return Err(Trouble::config(
                format!("{dle} has a name that Amanda's files have no room for: 255 bytes at most, in one line"),
                "give the disk a shorter name of its own, and its directory",
            ));
        }
        let path = self.config.diskfile();
        let files = Files { instead: None, vault: self.by_path.then_some(&*self.directory) };
        let mut text = files.read(&path).map_err(|error| failed("cannot read", &path, &error))?;
        if !text.is_empty() && !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        let line = disklist([(dle, device)], dumptype);
        text.extend(line.split_inclusive(|&byte| byte == b'\n').skip(1).flatten());
        // Only what is still a disklist replaces the old one.
        let mut config = self.config.clone();
        let source = Files { instead: Some((&path, &text)), ..files };
        let disks = conf::disklist::load(&mut config, &path, &source).map_err(|error| wrong(&error))?;
        if !disks.iter().any(|disk| disk.dle == *dle) {
            return Err(Trouble::config(format!("{dle} cannot stand in {}", path.display()), "give the disk another name"));
        }
        refused::check(&config, &disks)?;
        self.for_writing()?;
        super::files::replace(&path, &text, Sure::Durable).map_err(|error| failed("cannot write", &path, &error))?;
        (self.config, self.disks) = (config, disks);
        Ok(())
    }
}

fn taken(dle: &Dle, disk: &Disk) -> Trouble {
    Trouble::config(
        format!(
            "{dle} stands in the disklist already, for the directory {}",
            amanda::escape::printable(disk.directory().as_os_str().as_bytes())
        ),
        format!("give the disk another name, or correct {}:{}", disk.file.display(), disk.at.line),
    )
}

fn org(config: &Config) -> Result<ConfigName, Trouble> {
    let org = config.org().and_then(|org| org.to_str()).unwrap_or_default();
    org.parse().map_err(|error| {
        Trouble::config(
            format!("{} has no org that can be a vault's name: {error}", config.directory().join(CONF).display()),
            "a vault's org is the name that it was given when it was made; nothing else tells two vaults apart",
        )
    })
}

fn account(uid: u32) -> String {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map_or_else(|| format!("the account {uid}"), |user| user.name)
}

/// Returns the name of the account that this runs as.
pub(super) fn own_account() -> String {
    let uid = geteuid();
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}
