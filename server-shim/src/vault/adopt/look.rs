//! The look at everything before anything is changed.

use std::io;
use std::net::{TcpListener, ToSocketAddrs as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use amanda::conf::disklist::Disk;
use amanda::escape::printable;
use nix::unistd::{Uid, User, gethostname};
use wire::{ConfigName, Exit};

use super::installed::Installed;
use super::{Wish, known, owner_of};
use crate::child;
use crate::engine::embedded::adopted;
use crate::engine::embedded::site::Site;
use crate::report::Words;

/// What was found, and is as it has to be.
#[derive(Debug, Clone)]
pub struct Looked {
    /// The vault's directory.
    pub directory: PathBuf,
    /// Its name of old, which is that of its storage and its pool, and under which the agent keeps its state.
    pub name: ConfigName,
    /// Whom it belongs to, and the group.
    pub owner: (u32, u32),
    /// Where the agent's state may be.
    pub states: Vec<PathBuf>,
    /// It has not been marked yet.
    pub is_new: bool,
    /// Amanda has it: there is nothing left to do.
    pub is_done: bool,
    /// Amanda has no such config yet.
    pub needs_config: bool,
    /// It has disks of hosts that call in.
    pub has_laptops: bool,
}

/// Something that is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct No {
    why: String,
    hint: String,
}

impl No {
    fn new(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { why: why.into(), hint: hint.into() }
    }
}

/// Looks at a vault, at Amanda and at the way between them. Changes nothing.
///
/// # Errors
/// When something is not as it has to be: all of that at once.
pub fn look(amanda: &Installed, wish: &Wish) -> Result<Looked, Words> {
    let unreadable =
        |error: io::Error| Words::new(Exit::Config, format!("{} cannot be looked at", wish.directory.display())).because(error.to_string());
    let directory = wish.directory.canonicalize().map_err(unreadable)?;
    if !Site::is_vault(&directory) {
        return Err(Words::new(Exit::Config, format!("{} is no vault", directory.display()))
            .because("it has no amanda.conf of ours")
            .hint("name the directory that `asyncamanda now --to DIR` or `asyncamanda-shim vault` has made"));
    }
    let site = Site::open(&directory, None)?;
    let owner = owner_of(&directory).map_err(unreadable)?;
    let marked = adopted::read(&site.own()).map_err(unreadable)?;
    let mut no = Vec::new();
    let is_done = marked.as_ref().is_some_and(|mark| mark.whole && mark.config == wish.name.as_str());
    if let Some(other) = marked.as_ref().map(|mark| &mark.config).filter(|other| **other != wish.name.as_str()) {
        no.push(No::new(format!("it is Amanda's config {other} already"), format!("use that one: amcheck {other}")));
    }
    let config = amanda.config_dir.join(wish.name.as_str());
    let needs_config = std::fs::symlink_metadata(&config).is_err();
    if !needs_config && config != directory && !(marked.is_some() && is_made_from(&config, &site)) {
        no.push(No::new(format!("Amanda has a config {} already", wish.name), "choose another name"));
    }
    let strange = known::strange_settings(site.config(), site.name().as_str());
    if !strange.is_empty() {
        no.push(No::new(
            format!("its amanda.conf has what no vault has: {}", known::shown(&strange)),
            "take it out, and give it to the new config when it is Amanda's",
        ));
    }
    let strange = known::strange_files(&directory).map_err(unreadable)?;
    if !strange.is_empty() {
        no.push(No::new(format!("there are files in it that no vault has: {}", known::shown(&strange)), "put them elsewhere"));
    }
    no.extend(hosts(&site));
    no.extend(way(amanda, &directory).map_err(unreadable)?);
    // What Amanda has made of it since is Amanda's business.
    if !no.is_empty() && !is_done {
        return Err(refusal(&directory, &no));
    }
    let has_laptops = site.disks().iter().any(|disk| auth(&site, disk) == "ssh");
    let states = match &wish.state {
        Some(state) => vec![state.clone()],
        None => usual_states(owner.0),
    };
    let name = site.name().clone();
    Ok(Looked { directory, name, owner, states, is_new: marked.is_none(), is_done, needs_config, has_laptops })
}

fn refusal(directory: &Path, no: &[No]) -> Words {
    let joined = |part: fn(&No) -> &str| no.iter().map(part).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ");
    Words::new(Exit::Config, format!("{} cannot be handed to Amanda as it is, and nothing was changed", directory.display()))
        .because(joined(|no| &no.why))
        .hint(joined(|no| &no.hint))
}

/// Tells whether a config of Amanda's has the volumes of this vault: an earlier call has made it.
fn is_made_from(config: &Path, site: &Site) -> bool {
    let name = config.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
    name.and_then(|name: ConfigName| Site::open(config, Some(&name)).ok())
        .is_some_and(|made| made.config().tapelist() == site.config().tapelist())
}

fn auth(site: &Site, disk: &Disk) -> String {
    let said = disk.how(site.config()).and_then(|how| Some(how.settings().text("auth")?.to_string_lossy().to_ascii_lowercase()));
    said.unwrap_or_default()
}

/// Looks whether Amanda would reach the hosts of the disks: with auth "local" only this machine.
fn hosts(site: &Site) -> Vec<No> {
    let mut no = Vec::new();
    let mut seen = Vec::new();
    for disk in site.disks().iter().filter(|disk| auth(site, disk) == "local") {
        let host = disk.dle.host.as_str();
        if seen.contains(&host) {
            continue;
        }
        seen.push(host);
        if let Err(why) = is_this_machine(host) {
            let here = gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            no.push(No::new(
                format!(
                    "its disk {} belongs to the host {host}, which Amanda would not take for this machine ({here}): {why}",
                    printable(disk.dle.disk_bytes())
                ),
                format!("adopt it on {host}; or, if this is {host}, put a line `127.0.1.1 {host}` into /etc/hosts"),
            ));
        }
    }
    no
}

/// Decides as Amanda does (`is_local` in common-src/local-security.c): a name is this machine's when one of its addresses can be bound.
fn is_this_machine(host: &str) -> io::Result<()> {
    let mut why = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in (host, 0).to_socket_addrs()? {
        match TcpListener::bind(address) {
            Ok(_) => return Ok(()),
            Err(error) => why = error,
        }
    }
    Err(why)
}

/// Looks whether Amanda's account gets to the vault.
fn way(amanda: &Installed, directory: &Path) -> io::Result<Option<No>> {
    let account = &amanda.account.name;
    let mut above: Vec<&Path> = directory.ancestors().skip(1).collect();
    above.reverse();
    for path in above {
        // As that account, with all its groups: nothing else knows ACLs and whatever else may be in the way.
        let mut test = Command::new("/usr/bin/setpriv");
        test.args(["--reuid", account, "--regid"])
            .arg(amanda.account.gid.to_string())
            .args(["--init-groups", "/usr/bin/test", "-x"])
            .arg(path);
        let output = child::finish(test.current_dir("/"), Duration::from_secs(30))?;
        match output.status.code() {
            Some(0) => {}
            Some(1) => {
                let path = printable(path.as_os_str().as_bytes());
                return Ok(Some(No::new(
                    format!("{account} cannot get to it: {path} is closed to others"),
                    format!("setfacl -m u:{account}:x {path} (or chmod o+x {path}, which opens it to everybody); or move the vault"),
                )));
            }
            _ => return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
        }
    }
    Ok(None)
}

/// Where an agent keeps its state that nobody told otherwise: the one of whoever owns the vault or typed sudo, and root's.
fn usual_states(owner: u32) -> Vec<PathBuf> {
    let typed = std::env::var("SUDO_USER").ok().and_then(|name| User::from_name(&name).ok().flatten());
    let owner = User::from_uid(Uid::from_raw(owner)).ok().flatten();
    let homes = typed.into_iter().chain(owner).map(|user| user.dir.join(".local/state/asyncamanda"));
    homes.chain([PathBuf::from("/var/lib/asyncamanda")]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_of_this_machine_is_local() {
        assert!(is_this_machine("localhost").is_ok());
        assert!(is_this_machine("127.0.0.9").is_ok());
        // TEST-NET-1, and the top-level name that no resolver will ever know.
        assert!(is_this_machine("192.0.2.1").is_err());
        assert!(is_this_machine("laptop1.invalid").is_err());
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let words = refusal(Path::new("/v"), &[No::new("a", "do a"), No::new("b", "")]);
        assert_eq!((words.why.as_str(), words.hint.as_str(), words.exit), ("a; b", "do a", Exit::Config));
    }
}
