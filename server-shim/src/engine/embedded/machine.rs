//! Which machine has a host's name in a local vault: `.asyncamanda/hosts/HOST`.
//!
//! Nothing else tells two laptops apart that are both called `debian`: each would take the dumps of the other for its own, and build
//! on them. A host that calls a server is told by its key, and needs none of this.

use std::path::PathBuf;

use wire::HostName;

use super::files::{self, Sure};
use super::site::{Site, failed};
use crate::engine::Trouble;

/// What tells a machine is shorter.
const LONGEST: u64 = 256;

fn path(site: &Site, host: &HostName) -> PathBuf {
    site.own().join("hosts").join(host.as_str())
}

fn owner(site: &Site, host: &HostName) -> Result<Option<String>, Trouble> {
    let path = path(site, host);
    let text = files::read(&path, LONGEST).map_err(|error| failed("cannot read", &path, &error))?;
    Ok(text.map(|text| String::from_utf8_lossy(&text).trim().to_owned()))
}

/// Refuses a machine whose name is another's in this vault.
///
/// # Errors
/// When it is, or nobody can tell.
pub fn check(site: &Site, host: &HostName, machine: &str) -> Result<(), Trouble> {
    match owner(site, host)? {
        Some(owner) if owner != machine => Err(Trouble::refused(
            format!("another machine has the name {host} in {}, and its backups are not this one's", site.directory().display()),
            format!(
                "give this machine a name of its own there, with host = \"NAME\" in agent.toml; when it replaces the other one, remove {}",
                path(site, host).display()
            ),
        )),
        _ => Ok(()),
    }
}

/// Writes down that a machine has a name, unless one has it. Hold the place of the one that writes.
///
/// # Errors
/// When another machine has it, or it cannot be written.
pub fn claim(site: &Site, host: &HostName, machine: &str) -> Result<(), Trouble> {
    check(site, host, machine)?;
    if owner(site, host)?.is_some() {
        return Ok(());
    }
    let path = path(site, host);
    let written = files::make_below(&site.own(), &site.own().join("hosts"))
        .and_then(|()| files::replace(&path, format!("{machine}\n").as_bytes(), Sure::Durable))
        .and_then(|()| files::sync_parent(&site.own().join("hosts")));
    written.map_err(|error| failed("cannot write", &path, &error))
}

#[cfg(test)]
mod tests {
    use wire::AbortCode;

    use super::*;
    use crate::engine::embedded::make::{Plan, make};

    #[test]
    fn a_name_is_one_machines() {
        let keep = tempfile::tempdir().expect("directory");
        let site = make(&keep.path().join("vault"), &Plan::default()).expect("made");
        let host = "debian".parse().expect("name");
        check(&site, &host, "one").expect("nobody's");
        claim(&site, &host, "one").expect("claimed");
        claim(&site, &host, "one").expect("its own");
        for trouble in [check(&site, &host, "two"), claim(&site, &host, "two")] {
            let trouble = trouble.expect_err("another's");
            assert!(trouble.code == AbortCode::Refused && trouble.hint.contains(".asyncamanda/hosts/debian"), "{trouble:?}");
        }
        check(&site, &"other".parse().expect("name"), "two").expect("another name");
        std::fs::remove_file(path(&site, &host)).expect("removed");
        claim(&site, &host, "two").expect("it replaces the other");
    }
}
