//! What an administrator reads and types of a config: the report of a run, in words and in tables, mail, where the dumps are, which
//! volume is wanted, what the history says.
//!
//! All of it is read from Amanda's files, so it is the same whichever engine wrote them.
//!
//! - [`place`]: the config that was named · [`held`]: dumps on holding disks
//! - [`report`]: a run's log as amreport tells it · [`plain`], [`advice`]: the same for somebody who has never read one
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

use std::path::{Path, PathBuf};

use amanda::run_log::said::Said;
use wire::Exit;

use self::mail::{Letter, MailError};
use self::place::Place;
use self::report::Report;
use self::report::about::{About, Around};
use self::report::run::Run;
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
    let wanted = retention::wanted(&tapelist, &about.rules, &matches, &kept);
    let held_kb = if historical { 0 } else { place.held_kb()? };
    Ok(Report::of(&Run::of(log), &about, &Around { historical, held_kb, tapelist, wanted }))
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

/// Mails the report of a run that has just ended, when amanda.conf names somebody. Returns a line for the administrator; `None` when
/// nobody is named, or nothing is to be told.
///
/// # Errors
/// When the log cannot be read or the mail cannot be sent; the run is not the worse for it.
pub fn mail_report(site: &Site, log: &Path, now: i64) -> Result<Option<String>, Words> {
    let place = Place::of(site.clone());
    if place.conf.mailto().is_empty() {
        return Ok(None);
    }
    let report = make(&place, &place::read(log)?, false, now)?;
    Ok(Some(sent(&place, &report)?.trim_end().to_owned()))
}
