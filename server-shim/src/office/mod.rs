//! What an administrator reads and types of a config: the report of a run, in words and in tables, mail, where the dumps are, which
//! volume is wanted, what the history says.
//!
//! All of it is read from Amanda's files, so it is the same whichever engine wrote them.
//!
//! - [`place`]: the config that was named · [`held`]: dumps on holding disks
//! - [`mod@report`]: a run's log as amreport tells it · [`plain`], [`advice`]: the same for somebody who has never read one
//! - [`mail`]: what is sent, and how · [`check`]: what was found before a run
//! - [`find`]: where the dumps are · [`retention`], [`tape`], [`label`]: volumes · [`history`]: what is remembered of disks

pub mod advice;
pub mod check;
pub mod find;
pub mod held;
pub mod history;
pub mod label;
pub mod mail;
pub mod place;
pub mod plain;
pub mod report;
pub mod retention;
pub mod tape;

use std::path::PathBuf;

use amanda::run_log::said::Said;
use wire::Exit;

use self::mail::{Letter, MailError};
use self::place::Place;
use self::report::Report;
use self::report::about::{About, Around};
use self::report::notes::Ending;
use self::report::run::Run;
use self::tape::Volumes;
use crate::engine::Trouble;
use crate::engine::embedded::site::Site;
use crate::engine::embedded::stamp;
use crate::report::Words;

/// Which run is reported, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// This log.
    pub log: Option<PathBuf>,
    /// The log of this datestamp, or of one that begins like this.
    pub date: Option<String>,
    /// Only the plain words.
    pub plain: bool,
    /// For a program.
    pub json: bool,
    /// To whom amanda.conf names.
    pub mail: bool,
}

impl From<MailError> for Words {
    fn from(error: MailError) -> Self {
        let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        Self::new(Exit::Failed, error.to_string()).because(why).hint(error.hint())
    }
}

/// Makes the report of a log. `now` in seconds since 1970.
///
/// # Errors
/// When the config's files cannot be read.
fn make(place: &Place, log: &[Said], historical: bool, now: i64) -> Result<Report, Trouble> {
    let mut about = About::of(&place.conf, &place.name);
    // Nobody puts volumes into a vault.
    about.tell_next &= !place.is_vault();
    let tapelist = place.tapelist()?;
    let labels = place.labels()?;
    let matches = |label: &str| labels.matches(label);
    // What dumps there are matters where a policy keeps what restores need.
    let rows = if about.rules.recover > 0 || about.rules.full > 0 { find::rows(place)? } else { Vec::new() };
    let kept = retention::kept(&tapelist, &about.rules, &matches, &rows, &|days| stamp::of(now - i64::from(days) * 86_400));
    let held_kb = if historical { 0 } else { place.held_kb()? };
    let volumes = if historical || !about.tell_next { None } else { tape::look(place, now).ok() };
    let shelf = volumes.as_ref().map(shelf).unwrap_or_default();
    // The engine's own choice counts, where it is known.
    let wanted = volumes.map_or_else(|| retention::wanted(&tapelist, &about.rules, &matches, &kept), |volumes| volumes.wanted);
    Ok(Report::of(&Run::of(log), &about, &Around { historical, held_kb, tapelist, wanted, shelf }))
}

/// Says what the next run wants and where that is, and what is the matter with volumes.
fn shelf(volumes: &Volumes) -> Vec<String> {
    let mut lines = volumes.next();
    lines.extend(volumes.findings().iter().flat_map(tape::told));
    lines
}

/// Plain words, then tables.
fn whole(report: &Report) -> String {
    let words = plain::plain(report).join("\n");
    format!("{words}\n\n{}", report::text::text(report))
}

/// `report CONFIG`. Exit status 1 when something went wrong in the run.
///
/// # Errors
/// When there is no such run, its files cannot be read, or the mail cannot be sent.
pub fn report(place: &Place, wish: &Wish, now: i64) -> Result<(Exit, String), Words> {
    let newest = place.log(None)?;
    let path = match (&wish.log, &wish.date) {
        (Some(log), _) => Some(log.clone()),
        (None, Some(date)) => place.log(Some(date))?,
        (None, None) => newest.clone(),
    };
    let Some(path) = path else {
        let of = wish.date.as_ref().map(|date| format!(" of {date}")).unwrap_or_default();
        return Err(Words::new(Exit::Config, format!("there is nothing to report: {} has no log{of}", place.conf.logdir().display()))
            .hint(format!("asyncamanda-shim find {} says what there is", place.name)));
    };
    let historical = wish.log.is_some() || Some(&path) != newest.as_ref();
    let report = make(place, &place::read(&path)?, historical, now)?;
    let exit = if report.is_good() { Exit::Done } else { Exit::Failed };
    if wish.mail {
        return Ok((exit, sent(place, &report)?));
    }
    let text = match (wish.json, wish.plain) {
        (true, _) => {
            let mut value = serde_json::to_value(&report).map_err(|error| Words::new(Exit::Failed, error.to_string()))?;
            value["plain"] = plain::plain(&report).into();
            format!("{value}\n")
        }
        (_, true) => format!("{}\n", plain::plain(&report).join("\n")),
        _ => whole(&report),
    };
    Ok((exit, text))
}

/// Mails a report when it is to be mailed, and says so in a line.
fn sent(place: &Place, report: &Report) -> Result<String, MailError> {
    if !report.ending.is_told(place.conf.send_amreport_on()) {
        return Ok("Nothing was mailed: after such a run amanda.conf wants no mail (send-amreport-on).\n".to_owned());
    }
    let kind = match (report.flush, report.vault) {
        (true, _) => "AMFLUSH",
        (_, true) => "AMVAULT",
        _ => "AMANDA",
    };
    let subject = format!("{}{} {kind} MAIL REPORT FOR {}", report.org, report.ending.word(), report.date());
    let letter = Letter::new(&place.conf, subject, whole(report))?;
    letter.send()?;
    Ok(format!("The report was mailed to {}.\n", letter.to.join(" ")))
}

/// Mails the report of the run that a process has made, when amanda.conf names somebody; `trouble` is why nothing could be begun.
/// Returns a line for the administrator, also when it cannot be mailed, for which the run is not the worse; `None` when nobody is named.
pub fn mail_report(site: &Site, process: u32, trouble: Option<&Trouble>, now: i64) -> Option<String> {
    let place = Place::of(site.clone());
    if place.conf.mailto().is_empty() {
        return None;
    }
    let mailed = || -> Result<Option<String>, Words> {
        match (place.log_of(process)?, trouble) {
            (Some(log), _) => Ok(Some(sent(&place, &make(&place, &place::read(&log)?, false, now)?)?)),
            (None, Some(trouble)) => Ok(Some(sent_trouble(&place, trouble)?)),
            (None, None) => Ok(None),
        }
    };
    let line = mailed().unwrap_or_else(|words| {
        let why = if words.why.is_empty() { String::new() } else { format!(": {}", words.why) };
        Some(format!("the report was not mailed: {}{why} (hint: {})", words.what, words.hint))
    });
    line.map(|line| line.trim_end().to_owned())
}

/// Mails why a run was not begun, unless amanda.conf wants no mail at all.
fn sent_trouble(place: &Place, trouble: &Trouble) -> Result<String, MailError> {
    let failed = Ending { finished: false, ..Ending::default() };
    if !failed.is_told(place.conf.send_amreport_on()) {
        return Ok("Nothing was mailed: amanda.conf wants no mail (send-amreport-on).\n".to_owned());
    }
    let about = About::of(&place.conf, &place.name);
    let text = format!(
        "NOTHING was backed up: the run of {} was not begun.\n  {}.\n    What to do: {}.\n",
        place.name, trouble.message, trouble.hint
    );
    let letter = Letter::new(&place.conf, format!("{}{} AMANDA MAIL REPORT", about.org, failed.word()), text)?;
    letter.send()?;
    Ok(format!("This was mailed to {}.\n", letter.to.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::embedded::make::{Plan, make};
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_report_of_this_process_is_mailed_after_such_runs_as_amanda_conf_says() {
        let dir = tempfile::tempdir().expect("directory");
        let (sent, mailer) = (dir.path().join("sent"), dir.path().join("mailer"));
        fs::write(&mailer, format!("#!/bin/sh\n{{ printf '%s\\n' \"$@\"; cat; }} >{}\n", sent.display())).expect("written");
        fs::set_permissions(&mailer, fs::Permissions::from_mode(0o755)).expect("mode");
        let vault = dir.path().join("vault");
        let site = make(&vault, &Plan::default()).expect("made");
        let logdir = site.config().logdir();
        let log = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/logs/log.success")).expect("a log");
        let ours = log.replacen("amdump pid ", &format!("amdump pid {} was ", std::process::id()), 1);
        assert_eq!(mail_report(&site, std::process::id(), None, 0), None, "nobody is named");
        let conf = fs::read_to_string(vault.join("amanda.conf")).expect("a conf");
        let mail = |more: &str, trouble: Option<&Trouble>| {
            let _ = fs::remove_file(&sent);
            fs::write(vault.join("amanda.conf"), format!("{conf}\nmailto \"root\"\nmailer \"{}\"\n{more}", mailer.display()))
                .expect("written");
            let line = mail_report(&Site::open(&vault, None).expect("opened"), std::process::id(), trouble, 0);
            (line.unwrap_or_default(), fs::read_to_string(&sent).unwrap_or_default())
        };
        assert_eq!(mail("", None), (String::new(), String::new()), "there was no run");
        let (line, text) = mail("", Some(&Trouble::config("why", "hint")));
        assert_eq!(line, "This was mailed to root.");
        assert!(
            text.contains("FAIL: AMANDA MAIL REPORT\nroot\nNOTHING was backed up") && text.contains("  why.\n    What to do: hint.\n"),
            "{text}"
        );
        fs::create_dir_all(&logdir).expect("made");
        fs::write(logdir.join("log.20261124132120.0"), ours).expect("written");
        fs::write(logdir.join("log.20261124132121.0"), log).expect("written");
        let (line, text) = mail("", None);
        assert_eq!(line, "The report was mailed to root.");
        assert!(
            text.contains("AMANDA MAIL REPORT FOR November 24, 2026\nroot\nAll 2 disks were backed up") && text.contains("USAGE BY TAPE"),
            "{text}"
        );
        let (line, text) = mail("send-amreport-on error\n", None);
        assert_eq!((line.starts_with("Nothing was mailed"), text.as_str()), (true, ""));
    }
}
