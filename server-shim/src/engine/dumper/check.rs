//! What would make a laptop's dump fail, and how to mend it: for the administrator, and for a laptop that asks.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Instant;

use amanda::conf::Strategy;
use amanda::conf::disklist::Disk;
use amanda::conf::holding::Use;
use amanda::conf::rules::Autoflush;
use amanda::escape::printable;
use wire::{ConfigName, Exit, HostName};

use super::survey;
use super::ways::Ways;
use crate::config::{Config, Reach};
use crate::engine::embedded::Link as _;
use crate::engine::embedded::dialogue::{Patience, Wish};
use crate::engine::embedded::selfcheck::selfcheck;
use crate::engine::embedded::site::{Rotation, Site};
use crate::engine::{Finding, Trouble};

/// With less room than this an administrator is told, in MiB.
const LITTLE_ROOM: u64 = 1024;

/// Looks at a config as the runs of these hosts will meet it. To be called as the dump user.
pub fn findings(config: &Config, name: &ConfigName, hosts: &[HostName]) -> Vec<Finding> {
    let site = match survey::open(config, name) {
        Ok(site) => site,
        Err(trouble) => return vec![not_its_own(config, name).unwrap_or_else(|| unreadable(config, trouble))],
    };
    let mut found: Vec<Finding> = site.for_writing().err().map(Finding::from).into_iter().collect();
    found.extend(rooms(&site));
    found.extend(left_waiting(config, &site, hosts));
    for host in hosts {
        found.extend(of_host(config, &site, host));
    }
    found
}

/// Finds that dumps of laptops go to the holding disk and nothing puts them on volumes by itself.
fn left_waiting(config: &Config, site: &Site, hosts: &[HostName]) -> Option<Finding> {
    let is_cycle = matches!(site.rotation(), Rotation::Cycle { .. });
    let calls = |host: &HostName| config.hosts.get(host).is_some_and(|rule| rule.reach == Reach::Tunnel);
    if !is_cycle || site.config().autoflush() != Autoflush::No || is_flushed(config, site) || !hosts.iter().any(calls) {
        return None;
    }
    let name = site.name();
    Some(Finding::minor(
        format!("dumps of laptops wait on the holding disk of {name} until somebody calls a flush: autoflush is no, and no [flush] is due"),
        format!("`autoflush yes` in amanda.conf, or [flush] with config = \"{name}\" and at = \"HH:MM\" in {}", config.file.display()),
    ))
}

/// Says whether a policy of shim.toml flushes a config; one with the same volumes counts, for which an overlay's dumps are.
fn is_flushed(config: &Config, site: &Site) -> bool {
    let Some(flush) = config.flush.as_ref().filter(|flush| flush.after.is_some() || flush.at.is_some()) else { return false };
    let is_shared = |other: Site| other.config().tapelist() == site.config().tapelist();
    flush.config == *site.name() || survey::open(config, &flush.config).is_ok_and(is_shared)
}

/// Tells whose a config is that the dump user cannot even look into.
fn not_its_own(config: &Config, name: &ConfigName) -> Option<Finding> {
    let directory = config.config_directory(name);
    let owner = std::fs::metadata(&directory).ok()?.uid();
    let account = nix::unistd::User::from_uid(owner.into()).ok().flatten().map_or_else(|| owner.to_string(), |user| user.name);
    (Some(owner) != config.dump_uid()).then(|| {
        Finding::serious(
            format!("{} belongs to {account}, and it has to belong to {}", directory.display(), config.dump_user),
            format!("chown -R {}: {}", config.dump_user, directory.display()),
        )
    })
}

fn unreadable(config: &Config, trouble: Trouble) -> Finding {
    Finding::serious(trouble.message, format!("{}; {} must be able to read the config", trouble.hint, config.dump_user))
}

/// Looks at the room where dumps are made: as much of each holding disk as may be used. Of a vault it is the room for its volumes, too.
fn rooms(site: &Site) -> Vec<Finding> {
    let name = site.name();
    let hint = match site.rotation() {
        Rotation::Kept { .. } => "free some room; dumps that are younger than the retention are never overwritten".to_owned(),
        Rotation::Cycle { .. } => format!("free some room, or write what waits there onto volumes: asyncamanda-shim flush {name}"),
    };
    let uses = site.config().holdingdisks().into_iter().map(|disk| disk.uses).chain(std::iter::repeat(Use::AllBut(0)));
    let rooms = site.holdings().iter().zip(uses).filter_map(|(path, uses)| Some((path, uses.room_kb(free_mib(path).ok()? << 10) >> 10)));
    rooms.filter_map(|(path, free)| room(name, path, free, &hint)).collect()
}

fn room(name: &ConfigName, path: &Path, free: u64, hint: &str) -> Option<Finding> {
    match free {
        0 => Some(Finding::serious(format!("there is no room left for {name}: {} is full", path.display()), hint)),
        _ if free < LITTLE_ROOM => Some(Finding::minor(format!("{free} MiB are left for {name}, in {}", path.display()), hint)),
        _ => None,
    }
}

fn free_mib(path: &Path) -> std::io::Result<u64> {
    let there = rustix::fs::statvfs(path)?;
    Ok(there.f_bavail.saturating_mul(there.f_frsize) >> 20)
}

fn of_host(config: &Config, site: &Site, host: &HostName) -> Vec<Finding> {
    let mut found = Vec::new();
    if config.hosts.get(host).is_some_and(|rule| rule.reach == Reach::Network) {
        found.push(Finding::serious(
            format!("{host} has reach = \"network\", and this server's engine reaches a host through its own session only"),
            format!("take `reach` out of {} of {}", Config::heading(host), config.file.display()),
        ));
    }
    let own: Vec<&Disk> = site.disks_of(host).collect();
    if own.is_empty() {
        let what = format!("the disklist of {} has no disk for {host}", site.name());
        found.push(Finding::serious(what, near(site, host)));
    }
    let is_local = config.hosts.get(host).is_some_and(|rule| rule.reach == Reach::Local);
    if is_local && !own.is_empty() {
        found.extend(of_local(config, site, host, &own));
    }
    found.extend(own.into_iter().filter_map(|disk| of_disk(site, disk)));
    found
}

/// Asks this machine's own client, as a dump would.
fn of_local(config: &Config, site: &Site, host: &HostName, own: &[&Disk]) -> Vec<Finding> {
    let client = config.local.client.join(" ");
    let disks: Vec<_> = own.iter().filter_map(|disk| Some((*disk, disk.how(site.config())?))).collect();
    let answer = Ways::new(config)
        .connect(host)
        .map_err(|error| error.to_string())
        .and_then(|to| selfcheck(to, host, site.name(), &disks, Patience::of(site.config())).map_err(|broken| broken.to_string()));
    match answer {
        Ok(lines) => {
            let wrong = lines.into_iter().filter(|(good, _)| !good);
            wrong
                .map(|(_, words)| Finding::serious(format!("{host}: {words}"), "agent.toml of this machine says what its client may read"))
                .collect()
        }
        Err(why) => vec![Finding::serious(
            format!("the client of this machine cannot be asked as {}: {why}", config.dump_user),
            format!(
                "install asyncamanda and let {0} start it, with this line in a file of /etc/sudoers.d (visudo): {0} ALL=(root) NOPASSWD: {1}",
                config.dump_user,
                client.strip_prefix("/usr/bin/sudo -n ").unwrap_or(&client)
            ),
        )],
    }
}

/// Says how a host gets into the disklist, or which one may have been meant.
fn near(site: &Site, host: &HostName) -> String {
    let same = |disk: &&Disk| {
        let other = disk.dle.host.as_str();
        other.eq_ignore_ascii_case(host.as_str()) || other.split('.').next() == host.as_str().split('.').next()
    };
    match site.disks().iter().find(same) {
        Some(disk) => format!(
            "the disklist calls a host \"{}\"; use the same name in [host.…] of shim.toml and in the key's forced command",
            disk.dle.host
        ),
        None => format!("asyncamanda-shim vault {} --disk {host}:/home", site.name()),
    }
}

fn of_disk(site: &Site, disk: &Disk) -> Option<Finding> {
    let name = printable(disk.dle.to_string().as_bytes());
    let how = disk.how(site.config())?;
    if how.ignore() || how.strategy() == Strategy::Skip {
        return Some(Finding::serious(format!("{name} is never dumped (`ignore` or `strategy skip`)"), "use another dumptype for it"));
    }
    if let Err(unserved) = (Wish { disk, how }).dle() {
        return Some(Finding::serious(format!("{name}: {unserved}"), "use another dumptype for it, or engine = \"amanda\""));
    }
    if !how.index() {
        return Some(Finding::minor(
            format!("{name} has no index: its files cannot be listed before a restore"),
            "put `index yes` into its dumptype",
        ));
    }
    None
}

/// What a look at a laptop found, as amcheck would say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// Lines.
    pub lines: Vec<String>,
    /// 0 when nothing keeps its dumps from being made.
    pub exit: Exit,
}

/// Looks at a laptop on the way a dump would take, and changes nothing. To be called as the dump user.
pub fn look(config: &Config, name: &ConfigName, host: &HostName) -> Looked {
    let begun = Instant::now();
    let found = on_the_way(config, name, host);
    let mut lines = vec![format!("Check of {host} for {name}, by the server's embedded engine"), "-".repeat(60)];
    let problems = found.iter().filter(|(good, _)| !good).count();
    lines.extend(found.into_iter().filter(|(good, _)| !good).map(|(_, words)| format!("ERROR: {host}: {words}")));
    let seconds = begun.elapsed().as_secs_f64();
    lines.push(format!(
        "Client check: 1 host checked in {seconds:.3} seconds.  {problems} problem{} found.",
        if problems == 1 { "" } else { "s" }
    ));
    Looked { lines, exit: if problems == 0 { Exit::Done } else { Exit::Failed } }
}

fn on_the_way(config: &Config, name: &ConfigName, host: &HostName) -> Vec<(bool, String)> {
    let bad = |words: String| (false, words);
    let site = match survey::open(config, name) {
        Ok(site) => site,
        Err(trouble) => return vec![bad(trouble.message)],
    };
    let mut found: Vec<(bool, String)> = site.for_writing().err().map(|trouble| bad(trouble.message)).into_iter().collect();
    if matches!(free_mib(&site.holding()), Ok(0)) {
        found.push(bad(format!("there is no room left in {}", site.holding().display())));
    }
    let disks: Vec<_> = site.disks_of(host).filter_map(|disk| Some((disk, disk.how(site.config())?))).collect();
    let disks: Vec<_> = disks.into_iter().filter(|(_, how)| !how.ignore() && how.strategy() != Strategy::Skip).collect();
    if disks.is_empty() {
        found.push(bad(format!("the disklist of {name} has no disk for it")));
        return found;
    }
    let answer = Ways::new(config)
        .connect(host)
        .map_err(|error| error.to_string())
        .and_then(|connection| selfcheck(connection, host, name, &disks, Patience::of(site.config())).map_err(|broken| broken.to_string()));
    match answer {
        Ok(answer) => found.extend(answer),
        Err(why) => found.push(bad(why)),
    }
    found
}
