//! A new vault.
//!
//! Its amanda.conf comes last, durably, when everything else is: a directory without one is no vault, and one that a killed call
//! left is known by a file of ours and made to its end.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use amanda::conf::vault::{Vault, disklist};
use amanda::dle::Dle;
use amanda::header::Start;
use amanda::tapelist::{Tape, Tapelist};
use amanda::vtape::changer::ChgDisk;

use wire::ConfigName;

use super::files::{self, Sure};
use super::site::{CONF, Site, failed, own_account};
use crate::engine::Trouble;

/// The program that restores what the client's compression made.
const ZSTD: &str = "/usr/bin/zstd";

/// The smallest volume that is made when nobody says a size, in KiB.
const SMALLEST_VOLUME: u64 = 1024 * 1024;

/// A vault has at least so many volumes: a retention is several of them, and each may have to wait for the one behind it.
const FEWEST_VOLUMES: u64 = 12;

/// The file that tells a vault in the making.
const MAKING: &str = "making";

/// What a new vault is to be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its config's name, which is that of its directory where configs lie; one that no other vault has when it is not said.
    pub name: Option<ConfigName>,
    /// Days within which every disk wants a full dump.
    pub dumpcycle: u32,
    /// Days for which a dump is kept.
    pub retention_days: u32,
    /// What a volume holds, in KiB; by the size of the file system when it is not said.
    pub volume_kb: Option<u64>,
    /// What is left out.
    pub exclude: Vec<OsString>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { name: None, dumpcycle: 14, retention_days: 30, volume_kb: None, exclude: Vec::new() }
    }
}

/// Makes a vault in a directory that is not there, is empty, or has what a killed call left.
///
/// # Errors
/// When the directory has something else in it, or cannot be written.
pub fn make(directory: &Path, plan: &Plan) -> Result<Site, Trouble> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => files::sync_parent(&directory.canonicalize().map_err(|error| failed("cannot open", directory, &error))?)
            .map_err(|error| failed("cannot make", directory, &error))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed("cannot make", directory, &error)),
    }
    let directory = directory.canonicalize().map_err(|error| failed("cannot open", directory, &error))?;
    is_free(&directory)?;
    let size = rustix::fs::statvfs(&directory).map_err(|errno| failed("cannot look at", &directory, &errno.into()))?;
    let (volume_kb, volumes) = sizes(size.f_blocks.saturating_mul(size.f_frsize) / 1024, plan.volume_kb);
    let vault = Vault {
        name: match &plan.name {
            Some(name) => name.to_string(),
            None => name().map_err(|error| failed("cannot read", Path::new(RANDOM), &error))?,
        },
        directory: directory.clone(),
        dumpuser: own_account(),
        dumpcycle: plan.dumpcycle,
        retention_days: plan.retention_days,
        volumes,
        volume_kb,
        compress: ZSTD.into(),
        exclude: plan.exclude.clone(),
    };
    build(&vault).map_err(|error| failed("cannot make a vault in", &directory, &error))?;
    Site::open(&directory, plan.name.as_ref())
}

/// Makes a vault around volumes that are there and of which the config is lost: its amanda.conf and its disklist, everything else as in a new one. The
/// volumes stay as they are. Disks come as the headers of their dumps have them; of those that are true the client is in this machine.
///
/// # Errors
/// When it cannot be written.
pub fn around(directory: &Path, name: &ConfigName, disks: &[Known], largest_kb: u64, slots: u32) -> Result<(), Trouble> {
    let size = rustix::fs::statvfs(directory).map_err(|errno| failed("cannot look at", directory, &errno.into()))?;
    let plan = Plan::default();
    let (volume_kb, volumes) = sizes(size.f_blocks.saturating_mul(size.f_frsize) / 1024, None);
    let vault = Vault {
        name: name.to_string(),
        directory: directory.to_owned(),
        dumpuser: own_account(),
        dumpcycle: plan.dumpcycle,
        retention_days: plan.retention_days,
        volumes: volumes.max(slots),
        volume_kb: volume_kb.max(largest_kb),
        compress: ZSTD.into(),
        exclude: plan.exclude,
    };
    let of = |is_local: bool| disks.iter().filter(move |disk| disk.is_local == is_local).map(|disk| (&disk.dle, disk.device.as_deref()));
    let mut list = disklist(of(true), "vault");
    // Without the line that says what stands where, which is there already.
    list.extend(disklist(of(false), "laptop").split_inclusive(|byte| *byte == b'\n').skip(1).flatten());
    let build = || -> io::Result<()> {
        let inside = |name: &str| directory.join(name);
        for name in [".asyncamanda", "curinfo", "index", "log", "holding"] {
            files::make_directory(&inside(name))?;
        }
        files::replace(&inside("disklist"), &list, Sure::Durable)?;
        files::replace(&inside(CONF), &vault.conf(), Sure::Durable)
    };
    build().map_err(|error| failed("cannot make a vault in", directory, &error))
}

/// A disk that has dumps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Which.
    pub dle: Dle,
    /// Its directory, where that is not its name.
    pub device: Option<std::path::PathBuf>,
    /// Its client is in the same machine as the vault.
    pub is_local: bool,
}

/// Refuses a directory that has anything in it that no call of [`make`] left there.
fn is_free(directory: &Path) -> Result<(), Trouble> {
    if Site::is_vault(directory) && !directory.join(".asyncamanda").join(MAKING).exists() {
        return Err(Trouble::config(format!("{} is a vault already", directory.display()), "open it"));
    }
    let list = || -> io::Result<Vec<OsString>> { fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect() };
    let mut names = list().map_err(|error| failed("cannot list", directory, &error))?;
    // The top of a file system.
    names.retain(|name| name != "lost+found");
    let ours = directory.join(".asyncamanda");
    let just_begun = || {
        let ours_alone = |name: &OsString| name.as_encoded_bytes().starts_with(MAKING.as_bytes());
        names == [OsStr::new(".asyncamanda")] && super::catalog::names(&ours).is_ok_and(|names| names.iter().all(ours_alone))
    };
    let begun = ours.join(MAKING).exists() || just_begun();
    if names.is_empty() || begun {
        return Ok(());
    }
    names.sort();
    let mut shown: Vec<_> = names.iter().take(3).map(|name| amanda::escape::printable(name.as_encoded_bytes())).collect();
    if names.len() > shown.len() {
        shown.push(format!("{} more", names.len() - shown.len()));
    }
    Err(Trouble::config(
        format!("{} is no vault, and has something in it: {}", directory.display(), shown.join(", ")),
        "name a directory that is empty or not there; nothing was written into this one",
    ))
}

/// The size of a volume in KiB, and how many there may be: together as large as the file system.
fn sizes(all_kb: u64, volume_kb: Option<u64>) -> (u64, u32) {
    let volume = volume_kb.unwrap_or((all_kb / 20).max(SMALLEST_VOLUME)).max(1024);
    let volumes = all_kb.div_ceil(volume).clamp(FEWEST_VOLUMES, 999);
    (volume, u32::try_from(volumes).unwrap_or(999))
}

const RANDOM: &str = "/dev/urandom";

fn name() -> io::Result<String> {
    let mut bytes = [0; 4];
    File::open(RANDOM)?.read_exact(&mut bytes)?;
    Ok(format!("vault-{:08x}", u32::from_be_bytes(bytes)))
}

fn build(vault: &Vault) -> io::Result<()> {
    let inside = |name: &str| vault.directory.join(name);
    files::make_directory(&inside(".asyncamanda"))?;
    let making = inside(".asyncamanda").join(MAKING);
    files::replace(&making, b"", Sure::Durable)?;
    files::sync_parent(&inside(".asyncamanda"))?;
    for name in ["curinfo", "index", "log", "holding", "vtapes"] {
        files::make_directory(&inside(name))?;
    }
    let volume = ChgDisk::new(inside("vtapes")).make_slot(1)?;
    volume.relabel(&Start { datestamp: "X".to_owned(), label: vault.label(1) }).map_err(io::Error::other)?;
    files::sync_parent(volume.directory())?;
    let mut tapes = Tapelist::default();
    tapes.put(Tape::new("0", vault.label(1), &vault.name));
    files::replace(&inside("tapelist"), &tapes.print().map_err(io::Error::other)?, Sure::Cheap)?;
    files::replace(&inside("disklist"), &disklist(std::iter::empty::<(&Dle, Option<&Path>)>(), "vault"), Sure::Cheap)?;
    for name in ["tapelist", "disklist"] {
        File::open(inside(name))?.sync_all()?;
    }
    files::replace(&inside(CONF), &vault.conf(), Sure::Durable)?;
    files::remove(&making)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn temporary() -> tempfile::TempDir {
        tempfile::tempdir().expect("directory")
    }

    #[test]
    fn a_new_vault_is_its_owners_alone_and_is_opened_again() {
        let keep = temporary();
        let path = keep.path().join("vault");
        let site = make(&path, &Plan { exclude: vec!["*.iso".into()], ..Plan::default() }).expect("made");
        assert!(site.name().as_str().starts_with("vault-") && site.name().as_str().len() == 14);
        for name in ["", "curinfo", "index", "log", "holding", "vtapes", "vtapes/slot1", ".asyncamanda"] {
            assert_eq!(fs::metadata(path.join(name)).expect(name).permissions().mode() & 0o777, 0o700, "{name}");
        }
        assert_eq!((site.config().dumpcycle(), site.retention()), (14, 30 * 86_400));
        let again = Site::open(&path, None).expect("opened");
        assert_eq!((again.name(), again.disks()), (site.name(), &[][..]));
        assert!(make(&path, &Plan::default()).expect_err("twice").message.contains("vault already"));
    }

    #[test]
    fn what_is_not_ours_is_named_and_left_alone() {
        let keep = temporary();
        for name in ["letters", "photos", "a", "b", "c"] {
            fs::write(keep.path().join(name), "mine").expect("written");
        }
        let trouble = make(keep.path(), &Plan::default()).expect_err("not empty");
        assert!(trouble.message.contains("a, b, c, 2 more"), "{trouble}");
        assert_eq!(fs::read_dir(keep.path()).expect("list").count(), 5);
    }

    #[test]
    fn a_call_that_was_killed_is_made_to_its_end() {
        for until in [".asyncamanda", ".asyncamanda/making", "log", "vtapes/slot1", "tapelist"] {
            let keep = temporary();
            fs::create_dir(keep.path().join("lost+found")).expect("made");
            make(keep.path(), &Plan::default()).expect("made");
            fs::remove_file(keep.path().join(CONF)).expect("removed");
            match until {
                ".asyncamanda" => {
                    for name in ["curinfo", "index", "log", "holding", "vtapes", "tapelist", "disklist"] {
                        let path = keep.path().join(name);
                        let _ = fs::remove_dir_all(&path);
                        let _ = fs::remove_file(&path);
                    }
                }
                _ => fs::write(keep.path().join(".asyncamanda/making"), "").expect("written"),
            }
            assert!(!Site::is_vault(keep.path()));
            let site = make(keep.path(), &Plan::default()).expect(until);
            assert_eq!(site.changer().slots().expect("slots"), [1]);
            let tapes = Tapelist::parse(&fs::read(keep.path().join("tapelist")).expect("read")).expect("parsed");
            let volume = site.changer().volume(1).label().expect("read").expect("labelled");
            assert_eq!(tapes.tapes().iter().map(|tape| tape.label.clone()).collect::<Vec<_>>(), [volume.label]);
        }
    }

    #[test]
    fn volumes_fill_the_file_system() {
        let gib = 1024 * 1024;
        assert_eq!(sizes(2_000 * gib, None), (100 * gib, 20));
        assert_eq!(sizes(5 * gib, None), (gib, 12));
        assert_eq!(sizes(100 * 1024, None), (gib, 12));
        assert_eq!(sizes(2_000 * gib, Some(500 * 1024)), (500 * 1024, 999));
    }

    #[test]
    fn a_directory_below_nothing_is_not_made() {
        let keep = temporary();
        assert!(make(&keep.path().join("drive/vault"), &Plan::default()).is_err());
        assert!(!keep.path().join("drive").exists());
    }
}
