//! The Perl script's own line: `-i 24 -h USER@HOST:PORT -k KEY -c "/usr/sbin/amdump daily" -a AMANDATES`.
//!
//! Its users change one word in their anacrontab. The caller's own ssh configuration holds, and the command runs as
//! given, once. Where a shim stands at the other end it recognises the line, queues it and answers with receipts, which
//! from then on count more than amandates; where none does, its output and status are passed on.

use std::path::Path;

use wire::Exit;

use crate::cli::PerlLine;
use crate::clock;
use crate::commands::backup::{Who, conclude};
use crate::commands::visit::{Purpose, Visit};
use crate::config::{CONNECT_TIMEOUT, DestinationError, Interval, SshDestination, load};
use crate::due;
use crate::history::{Store, belief, of_receipts};
use crate::report::progress::Nobody;
use crate::report::{Problem, Voice, err, problems, verdicts};
use crate::session::plain::{self, Answer};
use crate::session::{Login, Way};

fn usage(what: impl Into<String>) -> Problem {
    Problem::new(Exit::Usage, what)
}

/// Does what the Perl script did, and returns the exit status.
pub fn run(line: &PerlLine<'_>, state: Option<&Path>, voice: &Voice) -> Result<u8, Problem> {
    let interval = interval(line)?;
    let destination = destination(line)?;
    let command = line.command.to_str().filter(|command| !command.trim().is_empty() && !command.contains('\0'));
    let command = command.ok_or_else(|| usage("-c names no command"))?;
    let from_environment = std::env::var_os("ASYNCAMANDA_STATE").filter(|state| !state.is_empty()).map(Into::into);
    let state = state.map(Path::to_path_buf).or(from_environment).unwrap_or_else(load::default_state);
    let store = Store::at(&state, &destination.to_string());

    let now = clock::now();
    let mut history = of_receipts(&store);
    // A shim that once gave receipts has told all its disks; lines of amandates beside them are disks that are gone.
    if history.records.is_empty() {
        match belief::survey(line.amandates, now, interval) {
            Ok(survey) => (history.records, history.warnings) = (survey.records, survey.warnings),
            Err(error) if error.is_missing() => {
                voice.note(&format!("{} is not there, so nothing was ever backed up", error.path.display()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    history.warnings.iter().for_each(|warning| voice.warn(warning));
    let verdict = due::decide(now, &history.records, interval);
    if !verdict.is_due() {
        voice.note(&format!("not due: {}", verdicts::oldest(&verdict)));
        return Ok(Exit::Done.code());
    }
    voice.note(&format!("due: {}", verdicts::oldest(&verdict)));

    let way = Way { destination, login: Login::Callers { key: line.key.cloned() }, timeout: CONNECT_TIMEOUT };
    let mut nobody = Nobody;
    // Beliefs are no record that a shim's answer should be measured by.
    let records = history.records.into_iter().filter(|record| !matches!(record.known, due::Known::Belief { .. })).collect();
    let mut visit = Visit::new(Purpose::IfDue(Vec::new()), &store, &[], records, interval, &mut nobody);
    let answer = plain::command(&way, command, &mut visit).map_err(|error| problems::session(error, &way))?;
    match answer {
        Answer::Shim => {
            visit.warnings.iter().for_each(|warning| voice.warn(warning));
            let verdict = visit.verdict.clone().unwrap_or(verdict);
            conclude(&visit, &verdict, Who::Server, voice).map(Exit::code)
        }
        Answer::Plain(status) => {
            if status == 127 {
                err(&format!(
                    "asyncamanda: {} has no such command\n  because: its shell ended with status 127\n  hint: give -c the full path, as in -c \"/usr/sbin/amdump daily\"",
                    way.destination
                ));
            }
            err(&format!(
                "asyncamanda: no receipt: no asyncamanda-shim answers at {}, so only amandates tells of this backup",
                way.destination
            ));
            Ok(status)
        }
    }
}

fn interval(line: &PerlLine<'_>) -> Result<Interval, Problem> {
    let text = line.interval.to_str().ok_or_else(|| usage("-i is not UTF-8"))?;
    text.parse().map_err(|error| {
        usage(format!("-i \"{}\" is not an interval", crate::report::show(text)))
            .because(format!("{error}"))
            .hint("write it as 24 (hours), 36h, \"1 day\" or \"2 weeks\"")
    })
}

fn destination(line: &PerlLine<'_>) -> Result<SshDestination, Problem> {
    let text = line.host.to_str().ok_or_else(|| usage("-h is not UTF-8"))?;
    SshDestination::parse(text).map_err(|error| match error {
        DestinationError::Password => problems::password(Exit::Usage),
        other => usage("-h names no server").because(other.to_string()).hint("write it as [user@]host[:port]"),
    })
}
