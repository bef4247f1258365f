//! `asyncamanda-shim verify`: reads back what there is, and says what is damaged and what it costs.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use amanda::escape::printable;
use wire::{ConfigName, Exit, HostName, Receipt};

use crate::config::Config;
use crate::engine::Trouble;
use crate::engine::dumper::DumperEngine;
use crate::engine::embedded::site::Site;
use crate::engine::embedded::verify::{Finding, verify};
use crate::engine::embedded::{Silent, restate};
use crate::report::Words;
use crate::runner::{clock, settle, start};

/// Reads back every dump of a config in `config_dir`, or of a vault that is named by its path.
///
/// # Errors
/// When it cannot be read, or what was found cannot be remembered.
pub fn command(config: &Config, named: &str) -> Result<(Exit, Vec<String>), Words> {
    let path = Path::new(named);
    if named.contains('/') || Site::is_vault(path) {
        return Ok(tell(&Site::open(path, None)?, named)?);
    }
    let name: ConfigName = named.parse().map_err(|error: wire::NameError| {
        Words::new(Exit::Usage, format!("\"{named}\" is neither a vault nor a config"))
            .because(error.to_string())
            .hint("a path needs a slash: ./vault")
    })?;
    start::become_dump_user(config)?;
    let told = tell(&crate::engine::dumper::survey::open(config, &name)?, named)?;
    if told.0 != Exit::Done && config.layout().latest().is_dir() {
        // The laptops hear of it with their next call.
        settle::restate(config, &config.layout(), &DumperEngine::new(config), &name);
    }
    Ok(told)
}

fn tell(site: &Site, named: &str) -> Result<(Exit, Vec<String>), Trouble> {
    // What is damaged is written down, so it has to be the owner who looks.
    site.for_writing()?;
    let found = verify(site, &Silent)?;
    if found.is_empty() {
        return Ok((Exit::Done, vec![format!("Every dump in {named} was read back and is what was stored.")]));
    }
    let mut lines: Vec<String> = found.iter().map(sentence).collect();
    lines.extend(costs(site, &found)?);
    Ok((Exit::Failed, lines))
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
fn costs(site: &Site, found: &[Finding]) -> Result<Vec<String>, Trouble> {
    let mut dles: Vec<_> = found.iter().map(|finding| finding.dle.clone()).collect();
    dles.sort();
    dles.dedup();
    let mut lines = Vec::new();
    for dle in dles {
        let shown = printable(dle.to_string().as_bytes());
        let Ok(host) = dle.host.parse::<HostName>() else { continue };
        let there = restate::restate(site, &host, clock() as i64)?;
        let last = there.into_iter().find(|receipt| receipt.disk.as_os_str() == dle.disk);
        lines.push(cost(&shown, last.as_ref()));
    }
    Ok(lines)
}

fn cost(shown: &str, last: Option<&Receipt>) -> String {
    match last {
        Some(receipt) if receipt.is_backup() => format!(
            "{shown}: its newest state that can be restored is the one of {}; what needs a damaged dump is lost.",
            receipt.datestamp
        ),
        _ => format!("{shown}: nothing of it can be restored any more; its next dump is a full one."),
    }
}
