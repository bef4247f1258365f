//! A config for volumes that have none any more.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use amanda::escape::printable;
use amanda::vtape::changer::ChgDisk;
use wire::ConfigName;

use crate::engine::Trouble;
use crate::engine::embedded::make::{Known, around};
use crate::engine::embedded::site::{CONF, failed};
use crate::restore::loose::group::{LooseDump, group};
use crate::restore::loose::scan::Scanned;

/// Returns the directory of a vault, and makes its config when that is lost: `amanda.conf` and `disklist`, as for a new vault, with the disks that have
/// dumps. Says what was decided.
pub(super) fn vault(path: &Path, name: Option<&ConfigName>) -> Result<(PathBuf, Vec<String>), Trouble> {
    if path.join(CONF).exists() {
        return Ok((path.to_owned(), Vec::new()));
    }
    let directory = of_slots(path)?;
    if directory.join(CONF).exists() {
        return Ok((directory, Vec::new()));
    }
    let changer = ChgDisk::new(directory.join("vtapes"));
    let mut scanned = Scanned::default();
    scanned.changer(&changer).map_err(|error| failed("cannot list", changer.directory(), &error))?;
    let slots = changer.slots().map_err(|error| failed("cannot list", changer.directory(), &error))?;
    let largest = scanned.volumes.iter().map(|volume| bytes(&volume.directory)).max().unwrap_or(0);
    let labels: Vec<&str> = scanned.volumes.iter().map(|volume| volume.label.as_str()).collect();
    let name = match name {
        Some(name) => name.clone(),
        None => named(&labels).ok_or_else(|| {
            Trouble::config(
                format!(
                    "the labels in {} have no name in common that a config can have: {}",
                    changer.directory().display(),
                    labels.join(", ")
                ),
                "give it one: `asyncamanda-shim reindex NAME`, with the volumes in NAME/vtapes of shim.toml's config_dir",
            )
        })?,
    };
    let disks = disks(group(scanned.files).values());
    around(&directory, &name, &disks, largest / 1024, slots.last().copied().unwrap_or(0))?;
    let shown = printable(directory.display().to_string().as_bytes());
    Ok((
        directory,
        vec![
            format!("There was no amanda.conf: made {shown} a vault again, with the name {name} by its volumes' labels."),
            format!(
                "Its disklist has {} that have dumps. What was left out of backups, dumpcycle and retention are those of a new vault: look into amanda.conf.",
                disks.len()
            ),
        ],
    ))
}

/// Returns the directory that has `vtapes`.
fn of_slots(path: &Path) -> Result<PathBuf, Trouble> {
    let has_slots = |path: &Path| ChgDisk::new(path).slots().is_ok_and(|slots| !slots.is_empty());
    if has_slots(&path.join("vtapes")) {
        return Ok(path.to_owned());
    }
    let shown = printable(path.display().to_string().as_bytes());
    match path.parent() {
        Some(parent) if has_slots(path) && path.file_name().is_some_and(|name| name == "vtapes") => Ok(parent.to_owned()),
        _ if has_slots(path) => Err(Trouble::config(
            format!("{shown} has volumes, and no config can be made around them there"),
            format!("a vault has its volumes in a directory \"vtapes\": mkdir VAULT && mv {shown} VAULT/vtapes, then reindex VAULT"),
        )),
        _ => Err(Trouble::config(
            format!("{shown} is neither a config nor a vault, and has no volumes"),
            "name a directory with amanda.conf, or with vtapes/slot1, vtapes/slot2, …",
        )),
    }
}

/// `vault-1a2b3c4d-001`, `vault-1a2b3c4d-002`: the name of the vault.
fn named(labels: &[&str]) -> Option<ConfigName> {
    let name = |label: &str| {
        let name = label.trim_end_matches(|letter: char| letter.is_ascii_digit());
        (name.len() < label.len()).then(|| name.strip_suffix('-').unwrap_or(name).to_owned())
    };
    let first = name(labels.first()?)?;
    labels.iter().all(|label| name(label).as_deref() == Some(&*first)).then(|| first.parse().ok())?
}

/// The disks of dumps; the newest one says where a disk is and how its client was reached.
fn disks<'a>(dumps: impl Iterator<Item = &'a LooseDump>) -> Vec<Known> {
    let mut newest: BTreeMap<_, (&str, Known)> = BTreeMap::new();
    for dump in dumps {
        let Some(header) = dump.header() else { continue };
        let asked = dump.asked();
        // What cannot stand in a line of the disklist is in none.
        let is_host = header.dle.host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte));
        if !is_host || header.dle.disk_bytes().len() > 255 || header.dle.disk_bytes().contains(&b'\n') {
            continue;
        }
        let device = asked.as_ref().and_then(|asked| asked.device.clone()).filter(|device| !device.contains(&b'\n'));
        let device = device.map(|device| PathBuf::from(OsString::from_vec(device)));
        let is_local = asked.and_then(|asked| asked.auth).is_none_or(|auth| auth == b"local");
        let known = Known { dle: header.dle.clone(), device, is_local };
        let last = newest.entry(&header.dle).or_insert_with(|| (&header.datestamp, known.clone()));
        if header.datestamp.as_str() > last.0 {
            *last = (&header.datestamp, known);
        }
    }
    newest.into_values().map(|(_, known)| known).collect()
}

fn bytes(directory: &Path) -> u64 {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_has_the_name_of_its_labels() {
        for (labels, name) in [
            (&["vault-1a2b3c4d-001", "vault-1a2b3c4d-012"][..], Some("vault-1a2b3c4d")),
            (&["laptops-001"], Some("laptops")),
            (&["daily01", "daily02"], Some("daily")),
            (&["a-1", "b-1"], None),
            (&["tape"], None),
            (&["001"], None),
            (&[], None),
        ] {
            assert_eq!(named(labels).as_ref().map(ConfigName::as_str), name, "{labels:?}");
        }
    }
}
