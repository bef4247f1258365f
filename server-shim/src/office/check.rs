//! What `check` found, in words, and by mail to those who can do something about it: in the afternoon, while somebody is there.

use std::fmt::Write as _;

use amanda::conf::Config as Conf;
use amanda::escape::printable;
use wire::{ConfigName, Exit, HostName};

use super::mail::Letter;
use super::place::Place;
use super::tape;
use crate::config::{Config, EngineKind};
use crate::engine::Finding;
use crate::engine::dumper::survey;
use crate::engine::embedded::site::{Rotation, Site};
use crate::report::Words;

/// Says what was found.
pub fn words(found: &[Finding]) -> String {
    let mut text = String::new();
    for finding in found {
        let kind = if finding.serious { "must be mended" } else { "worth knowing" };
        let (what, mend) = (printable(finding.what.as_bytes()), printable(finding.mend.as_bytes()));
        let _ = writeln!(text, "{kind}: {what}\n  mend: {mend}");
    }
    let verdict = match serious(found) {
        0 => "Nothing was found that would keep a laptop from being backed up. (Its key's line and sshd were not looked at.)".to_owned(),
        1 => "One thing keeps laptops from being backed up.".to_owned(),
        count => format!("{count} things keep laptops from being backed up."),
    };
    text.push_str(&verdict);
    text.push('\n');
    text
}

/// Returns how many things must be mended.
pub fn serious(found: &[Finding]) -> usize {
    found.iter().filter(|finding| finding.serious).count()
}

/// Looks at the volumes of a config whose volumes go round; a vault has no turn to wait for.
pub fn volumes(config: &Config, name: &ConfigName, now: i64) -> Vec<Finding> {
    // What else is wrong with the config is found elsewhere.
    let Ok(site) = survey::open(config, name) else { return Vec::new() };
    if !matches!(site.rotation(), Rotation::Cycle { .. }) {
        return Vec::new();
    }
    tape::look(&Place::of(site), now).map_or_else(|trouble| vec![trouble.into()], |volumes| volumes.findings())
}

/// Mails what was found to whom the configs of these hosts name (`mailto`), each once, and returns a line for each mail.
///
/// # Errors
/// When a mail cannot be sent, or no config can be read that names anybody.
pub fn mail(config: &Config, only: Option<&HostName>, text: &str) -> Result<Vec<String>, Words> {
    let rules = config.hosts.iter().filter(|(host, _)| only.is_none_or(|only| only == *host)).map(|(_, rule)| &rule.config);
    let mut names: Vec<&ConfigName> = rules.chain(config.flush.iter().filter(|_| only.is_none()).map(|flush| &flush.config)).collect();
    names.sort();
    names.dedup();
    let confs: Vec<Conf> = names.iter().filter_map(|name| Some(Site::config_of(&config.config_directory(name)).ok()?.0)).collect();
    if confs.is_empty() {
        let engine = if config.engine == EngineKind::Amanda { "; the installed Amanda's amcheck -m mails, too" } else { "" };
        return Err(Words::new(Exit::Failed, "nobody was mailed")
            .because("no config of these hosts can be read, so that nobody knows its mailto")
            .hint(format!("correct what is said above{engine}")));
    }
    send(&confs, text)
}

fn send(confs: &[Conf], text: &str) -> Result<Vec<String>, Words> {
    let mut told: Vec<Vec<String>> = Vec::new();
    for conf in confs {
        let org = conf.org().map_or_else(|| "DailySet1".to_owned(), |org| org.to_string_lossy().into_owned());
        // Amanda's amcheck has these words.
        let letter = Letter::new(conf, format!("{org} AMANDA PROBLEM: FIX BEFORE RUN, IF POSSIBLE"), text)?;
        if !told.contains(&letter.to) {
            letter.send()?;
            told.push(letter.to);
        }
    }
    Ok(told.iter().map(|to| format!("This was mailed to {}.", to.join(" "))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_be_mended_is_counted() {
        let (serious, minor) = (Finding::serious("a\x1b", "b"), Finding::minor("c", "d"));
        assert!(words(&[]).starts_with("Nothing was found"));
        assert!(words(std::slice::from_ref(&minor)).contains("worth knowing: c\n  mend: d\nNothing was found"));
        assert_eq!(
            words(&[serious.clone(), minor]),
            "must be mended: a\\x1b\n  mend: b\nworth knowing: c\n  mend: d\nOne thing keeps laptops from being backed up.\n"
        );
        assert!(words(&[serious.clone(), serious]).ends_with("2 things keep laptops from being backed up.\n"));
    }
}
