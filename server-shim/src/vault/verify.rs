//! `asyncamanda-shim verify`: reads back what there is, and says what is damaged and what it costs.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use ::amanda::escape::printable;
use wire::{ConfigName, DiskName, Exit, HostName, Receipt};

use crate::config::{Config, EngineKind};
use crate::engine::dumper::DumperEngine;
use crate::engine::embedded::catalog::{self, Dump, Gone};
use crate::engine::embedded::site::{Site, failed};
use crate::engine::embedded::verify::{Chosen, Finding, Turn, Verified, verify_in_turn};
use crate::engine::embedded::volumes::Key;
use crate::engine::embedded::{Silent, restate};
use crate::engine::{Trouble, amanda};
use crate::report::Words;
use crate::runner::{clock, settle, start};
use crate::verified;

/// Reads dumps of a config back, the installed Amanda's or one in `config_dir`, or those of a vault that is named by its path.
///
/// # Errors
/// When it cannot be read, or what was found cannot be remembered.
pub fn command(config: &Config, named: &str, turn: &Turn) -> Result<(Exit, Vec<String>), Words> {
    let path = Path::new(named);
    if named.contains('/') || Site::is_vault(path) {
        if !Site::is_vault(path) {
            let shown = printable(named.as_bytes());
            let because = if path.exists() { "it has no amanda.conf of a vault in it" } else { "there is no such directory" };
            return Err(Words::new(Exit::Config, format!("{shown} is no vault")).because(because));
        }
        return Ok(tell(&Site::open(path, None)?, named, turn)?);
    }
    let name: ConfigName = named.parse().map_err(|error: wire::NameError| {
        Words::new(Exit::Usage, format!("\"{named}\" is neither a vault nor a config"))
            .because(error.to_string())
            .hint("a path needs a slash: ./vault")
    })?;
    start::become_dump_user(config)?;
    if config.engine == EngineKind::Amanda {
        let found = amanda::verify::verify(config, &name, turn)?;
        return Ok(amanda::verify_words(&found, &name, turn));
    }
    let site = crate::engine::dumper::survey::open(config, &name)?;
    let told = tell(&site, named, turn)?;
    if config.layout().runner().is_dir() {
        publish(config, &site, &name)?;
    }
    if told.0 != Exit::Done && config.layout().latest().is_dir() {
        // The laptops hear of it with their next call.
        settle::restate(config, &config.layout(), &DumperEngine::new(config), &name);
    }
    Ok(told)
}

fn tell(site: &Site, named: &str, turn: &Turn) -> Result<(Exit, Vec<String>), Trouble> {
    // What is damaged is written down, so it has to be the owner who looks.
    site.for_writing()?;
    let found = verify_in_turn(site, turn, &Silent)?;
    let read = format!("{} of {} bytes", dumps(found.dumps), found.bytes);
    let named = printable(named.as_bytes());
    let mut lines: Vec<String> = found.findings.iter().map(sentence).collect();
    lines.extend(found.gone.iter().map(|gone| lost(site, gone)));
    lines.extend(costs(site, &found)?);
    let exit = if lines.is_empty() { Exit::Done } else { Exit::Failed };
    let (were, are) = (was(found.dumps, "was", "were"), was(found.dumps, "is", "are"));
    lines.push(match (exit, found.dumps, turn.is_all()) {
        (Exit::Failed, ..) => format!("Besides, {read} {were} read back and {are} what was stored."),
        (_, 0, true) => format!("There is no dump in {named}: nothing was read."),
        (_, 0, false) => format!("It is no dump's turn in {named}: nothing was read."),
        (_, 1, true) => format!("The one dump in {named} was read back and is what was stored: {read}."),
        (_, _, true) => format!("Every dump in {named} was read back and is what was stored: {read}."),
        (_, _, false) => format!("Read back in {named} and found to be what was stored: {read}."),
    });
    lines.extend(passed_over(&found.passed_over, turn));
    Ok((exit, lines))
}

/// Lets `status` know, which may not look into the config's own directory.
fn publish(config: &Config, site: &Site, name: &ConfigName) -> Result<(), Trouble> {
    let catalog = catalog::load(site)?;
    let dump = |((dle, datestamp, level), dump): (&Key, &Dump)| {
        let (host, disk, datestamp) = (dle.host.clone(), DiskName::new(dle.disk.clone()).ok()?, datestamp.clone());
        Some(verified::Verified { host, disk, datestamp, level: *level, verified: dump.verified, damage: dump.damage.clone() })
    };
    let dumps = catalog.dumps.iter().filter_map(dump).collect();
    let path = config.layout().verified_of(name);
    verified::store(&config.layout(), name, dumps).map_err(|error| failed("cannot write", &path, &error))
}

/// Says what was not read.
pub(crate) fn passed_over(chosen: &Chosen, turn: &Turn) -> Option<String> {
    let within = turn.older_than.map(|age| humantime::format_duration(age).to_string()).unwrap_or_default();
    let counts = [
        (chosen.fresh, format!("{} verified within {within}", was(chosen.fresh, "was", "were"))),
        (chosen.left, format!("{} for the next time", was(chosen.left, "waits", "wait"))),
        (
            chosen.damaged,
            format!("{} known to be damaged (verify without --older-than and --budget reads all)", was(chosen.damaged, "is", "are")),
        ),
    ];
    let parts: Vec<String> = counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    (!parts.is_empty()).then(|| format!("Of the others, {}.", parts.join("; ")))
}

pub(crate) fn dumps(count: usize) -> String {
    format!("{count} {}", was(count, "dump", "dumps"))
}

pub(crate) fn was<'w>(count: usize, one: &'w str, more: &'w str) -> &'w str {
    if count == 1 { one } else { more }
}

fn lost(site: &Site, gone: &Gone) -> String {
    format!(
        "volume {} is gone: {}; when it does not come back, take its line out of {}",
        printable(gone.label.as_bytes()),
        dumps(gone.dumps.len()),
        printable(site.config().tapelist().as_os_str().as_bytes())
    )
}

fn sentence(finding: &Finding) -> String {
    format!(
        "damaged: {} level {} of {}, in {}: {}",
        printable(finding.dle.to_string().as_bytes()),
        finding.level,
        finding.datestamp,
        printable(finding.path.as_os_str().as_bytes()),
        finding.what
    )
}

/// Says for each disk with a damaged dump what can be restored of it now.
fn costs(site: &Site, found: &Verified) -> Result<Vec<String>, Trouble> {
    let on_gone = found.gone.iter().flat_map(|gone| &gone.dumps).map(|key| &key.0);
    let mut dles: Vec<_> = found.findings.iter().map(|finding| &finding.dle).chain(on_gone).cloned().collect();
    dles.sort();
    dles.dedup();
    let mut lines = Vec::new();
    for dle in dles {
        let shown = printable(dle.to_string().as_bytes());
        let Ok(host) = dle.host.parse::<HostName>() else { continue };
        let there = restate::restate(site, &host, clock() as i64)?;
        // One that failed may come first, before what is left.
        let left = there.into_iter().find(|receipt| receipt.disk.as_os_str() == dle.disk && receipt.is_backup());
        lines.push(cost(&shown, left.as_ref()));
    }
    Ok(lines)
}

fn cost(shown: &str, left: Option<&Receipt>) -> String {
    match left {
        Some(receipt) => format!(
            "{shown}: its newest state that can be restored is the one of {}; what needs a dump that is damaged or gone is lost.",
            receipt.datestamp
        ),
        None => format!("{shown}: nothing of it can be restored any more; its next dump is a full one."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::embedded::make::{Plan, make};

    #[test]
    fn of_nothing_it_is_not_said_that_all_is_well() {
        let dir = tempfile::tempdir().expect("directory");
        let vault = dir.path().join("vault");
        let site = make(&vault, &Plan::default()).expect("made");
        let (exit, lines) = tell(&site, "v", &Turn::default()).expect("told");
        assert_eq!((exit, lines.join("\n").as_str()), (Exit::Done, "There is no dump in v: nothing was read."));
    }

    #[test]
    fn what_is_no_vault_is_said_to_be_none() {
        let dir = tempfile::tempdir().expect("directory");
        let config = crate::config::parse("").expect("valid");
        for name in ["", "none"] {
            let words = command(&config, &dir.path().join(name).display().to_string(), &Turn::default()).expect_err("no vault");
            assert!(words.to_string().contains("is no vault"), "{words}");
        }
    }
}
