//! `asyncamanda-shim vault CONFIG`: a config for laptops, with volumes, where no Amanda is needed.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use amanda::dle::Dle;
use amanda::escape::printable;
use wire::{ConfigName, DiskName, Exit, HostName};

use crate::config::{Config, EngineKind};
use crate::engine::Trouble;
use crate::engine::embedded::make::{Plan, make};
use crate::engine::embedded::site::Site;
use crate::report::Words;
use crate::runner::start;

/// A disk as it is typed: `HOST:PATH`, or `HOST:NAME=PATH` for a disk whose name is not its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDisk {
    /// The host.
    pub host: HostName,
    /// The disk's name.
    pub disk: DiskName,
    /// Its directory, where that is not the name.
    pub device: Option<PathBuf>,
}

impl FromStr for NewDisk {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, rest) = text.split_once(':').ok_or("write it as HOST:PATH, or HOST:NAME=PATH")?;
        // A path may have an equals sign in it, and hardly one with a slash behind it.
        let (disk, device) = match rest.rsplit_once("=/") {
            Some((disk, device)) => (disk, Some(PathBuf::from(format!("/{device}")))),
            None => (rest, None),
        };
        if disk.is_empty() {
            return Err("there is no disk behind the colon".to_owned());
        }
        if !device.as_deref().unwrap_or(Path::new(disk)).is_absolute() {
            return Err(format!("\"{rest}\" is no absolute path; a name that is none needs one: HOST:NAME=PATH"));
        }
        Ok(Self {
            host: host.parse().map_err(|error: wire::NameError| error.to_string())?,
            disk: DiskName::new(disk).map_err(|error| error.to_string())?,
            device,
        })
    }
}

/// What was typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// Disks to be in it.
    pub disks: Vec<NewDisk>,
    /// Days within which every disk wants a full dump; only for a new one.
    pub dumpcycle: Option<u32>,
    /// Days for which dumps are kept; only for a new one.
    pub retention: Option<u32>,
    /// What is left out; only for a new one.
    pub exclude: Vec<OsString>,
}

/// Makes a config in `config_dir`, or adds disks to the one that is there; says what it did.
///
/// # Errors
/// When there is something else, or this is neither root nor the dump user.
pub fn vault(config: &Config, name: &ConfigName, order: &Order) -> Result<Vec<String>, Words> {
    let directory = config.config_directory(name);
    let new = !directory.join("amanda.conf").exists();
    if new {
        prepare(config, &directory)?;
    }
    start::become_dump_user(config)?;
    let mut lines = Vec::new();
    let mut site = if new {
        let site = make(&directory, &plan(name, order)).map_err(Words::from)?;
        lines.push(format!("Made the config {name}: {}, with volumes for {} days.", directory.display(), site.retention() / 86_400));
        site
    } else {
        only_disks(order)?;
        Site::open(&directory, Some(name))?
    };
    lines.extend(place(site.changer().directory(), config));
    let mut added = 0;
    for disk in &order.disks {
        added += usize::from(add(&mut site, disk)?);
    }
    lines.extend(order.disks.iter().map(|disk| format!("{}:{} is in its disklist.", disk.host, printable(disk.disk.as_bytes()))));
    if !new && added == 0 {
        lines.push("Nothing had to be done.".to_owned());
    }
    lines.extend(for_shim_toml(config, name, order));
    Ok(lines)
}

fn plan(name: &ConfigName, order: &Order) -> Plan {
    let usual = Plan::default();
    Plan {
        name: Some(name.clone()),
        dumpcycle: order.dumpcycle.unwrap_or(usual.dumpcycle),
        retention_days: order.retention.unwrap_or(usual.retention_days),
        exclude: order.exclude.clone(),
        ..usual
    }
}

/// Says where the volumes are, which may be no place for them.
fn place(volumes: &Path, config: &Config) -> Vec<String> {
    let mut lines = vec![format!("Its volumes are in {}.", printable(volumes.as_os_str().as_bytes()))];
    if volumes.starts_with("/etc") {
        lines.push(format!(
            "Warning: that is below /etc, on the system's own disk. To have them elsewhere, set config_dir in {} first, remove this config, and \
             give the same command again.",
            config.file.display()
        ));
    }
    lines
}

/// Root makes room for the dump user where that may not do it itself.
fn prepare(config: &Config, directory: &Path) -> Result<(), Words> {
    if !nix::unistd::geteuid().is_root() || directory.exists() {
        return Ok(());
    }
    let make = || -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o755).create(&config.config_dir)?;
        DirBuilder::new().mode(0o700).create(directory)?;
        let (uid, gid) = config.dump_account().unwrap_or_default();
        std::os::unix::fs::chown(directory, Some(uid), Some(gid))
    };
    if config.dump_account().is_none() {
        // The words about that are said by whoever becomes it.
        return Ok(());
    }
    make().map_err(|error| Words::new(Exit::Failed, format!("cannot make {}", directory.display())).because(error.to_string()))
}

fn only_disks(order: &Order) -> Result<(), Words> {
    if order.dumpcycle.is_none() && order.retention.is_none() && order.exclude.is_empty() {
        return Ok(());
    }
    Err(Words::new(Exit::Usage, "the config is there already, and only disks can be added to it")
        .because("--dumpcycle, --retention and --exclude are for a new one")
        .hint("change its amanda.conf: `dumpcycle`, `retention-days` in the policy, `exclude` in the dumptype"))
}

/// Tells whether it had to be added.
fn add(site: &mut Site, disk: &NewDisk) -> Result<bool, Trouble> {
    let dle = Dle::new(disk.host.as_str(), disk.disk.as_os_str().to_owned());
    let there = site.disk(&dle).is_some();
    site.add_laptops_disk(&dle, disk.device.as_deref())?;
    Ok(!there)
}

/// Says what shim.toml needs for it.
fn for_shim_toml(config: &Config, name: &ConfigName, order: &Order) -> Vec<String> {
    let mut needed = Vec::new();
    if config.engine != EngineKind::Embedded {
        needed.push("engine = \"embedded\"".to_owned());
    }
    let mut hosts: Vec<&HostName> = order.disks.iter().map(|disk| &disk.host).collect();
    hosts.sort();
    hosts.dedup();
    for host in hosts {
        if config.hosts.get(host).is_none_or(|rule| rule.config != *name) {
            needed.push(Config::heading(host));
            needed.push(format!("config = \"{name}\""));
        }
    }
    if needed.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![format!("Put this into {}:", config.file.display()), String::new()];
    lines.extend(needed.into_iter().map(|line| format!("    {line}")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_read_as_they_are_typed() {
        let disk = |text: &str| {
            text.parse::<NewDisk>().map(|disk| {
                let device = disk.device.map(|device| device.display().to_string());
                (disk.host.to_string(), String::from_utf8_lossy(disk.disk.as_bytes()).into_owned(), device)
            })
        };
        let ok = |host: &str, disk: &str, device: Option<&str>| Ok((host.to_owned(), disk.to_owned(), device.map(str::to_owned)));
        assert_eq!(disk("laptop1:/home"), ok("laptop1", "/home", None));
        assert_eq!(disk("laptop1:/a=b"), ok("laptop1", "/a=b", None));
        assert_eq!(disk("laptop1:pictures=/srv/p"), ok("laptop1", "pictures", Some("/srv/p")));
        assert_eq!(disk("laptop1:/pictures=/srv/p"), ok("laptop1", "/pictures", Some("/srv/p")));
        for bad in ["/home", "laptop1:", "laptop1:home", "laptop1:p=q", "laptop1:p", "-x:/home", ":/home", "laptop1:=/x"] {
            assert!(disk(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn where_the_volumes_are_is_said_with_a_warning_when_that_is_no_place_for_them() {
        let config = crate::config::parse("").expect("valid");
        assert_eq!(place(Path::new("/srv/backup/laptops/vtapes"), &config), ["Its volumes are in /srv/backup/laptops/vtapes."]);
        let lines = place(Path::new("/etc/amanda/laptops/vtapes"), &config);
        assert!(lines.len() == 2 && lines[1].contains("below /etc") && lines[1].contains("config_dir"), "{lines:?}");
    }

    #[test]
    fn what_shim_toml_lacks_is_said() {
        let order = Order { disks: vec!["a:/home".parse().expect("disk"), "a:/etc".parse().expect("disk")], ..Order::default() };
        let name = "laptops".parse().expect("name");
        let told = |text: &str| for_shim_toml(&crate::config::parse(text).expect("valid"), &name, &order).join("\n");
        let all = told("");
        assert!(
            all.contains("engine = \"embedded\"") && all.matches("[host.a]").count() == 1 && all.contains("config = \"laptops\""),
            "{all}"
        );
        assert_eq!(told("engine = \"embedded\"\n[host.a]\nconfig = \"laptops\"\n"), "");
    }
}
