//! Checks that laptops ask for: amcheck looks at the laptop on the same way that a dump would take.
//!
//! A request is a file like a ticket, hidden beside them, and its answer lies beside the tickets' results. It is no part of
//! the queue: it holds nothing up, and a power cut may take it away.

use std::fs;
use std::io;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use wire::AbortCode;
use wire::message::MAX_CHECK_LINES;

use super::admit::Surveys;
use super::log;
use super::record::Settled;
use crate::child;
use crate::durable;
use crate::engine::Engine;
use crate::layout::{CHECK, Layout};
use crate::queue::ticket::Ticket;

/// The longest that amcheck may take; it waits half a minute for a laptop that does not answer.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// The longest line that is passed on, in bytes.
const MAX_LINE: usize = 300;

/// Checks that go on.
#[derive(Debug, Default)]
pub struct Checks {
    running: Vec<(Ticket, Receiver<Settled>)>,
}

/// Asks for a check; the answer comes as [`Layout::result`] of the same ticket.
pub fn request(layout: &Layout, ticket: &Ticket) -> io::Result<()> {
    durable::publish_json(&layout.check_request(ticket), ticket, 0o640)
}

/// Lists the requests; what is none is taken away.
fn list(layout: &Layout) -> Vec<Ticket> {
    let Ok(entries) = fs::read_dir(layout.queue()) else { return Vec::new() };
    let mut tickets = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(name) = name.strip_prefix(CHECK) else { continue };
        match durable::read_small(&entry.path()).map_err(|error| error.to_string()).and_then(|text| Ticket::parse(name, &text)) {
            Ok(ticket) => tickets.push(ticket),
            Err(why) => {
                log(&format!("event=check_refused file={name} why={why:?}"));
                let _ = durable::discard(&entry.path());
            }
        }
    }
    tickets
}

/// Tells whether somebody waits for a check.
pub fn any(layout: &Layout) -> bool {
    !list(layout).is_empty()
}

impl Checks {
    /// Starts what is asked for and answers what is done; tells whether any goes on.
    pub fn step(&mut self, layout: &Layout, surveys: &Surveys<'_>, engine: &dyn Engine) -> io::Result<bool> {
        for ticket in list(layout) {
            if self.running.iter().any(|(running, _)| *running == ticket) {
                continue;
            }
            // At most one at a time for each host, and no more at once than there may be runs: the others wait.
            if self.running.iter().any(|(running, _)| running.host == ticket.host) || self.running.len() >= 4 {
                continue;
            }
            // What the shim let in is looked at here again: a request is hostile.
            let command = match surveys.for_host(&ticket.host) {
                Ok(survey) => engine.check(&survey.config, &ticket.host),
                Err(trouble) => {
                    answer(layout, &ticket, &Settled::from(&trouble))?;
                    continue;
                }
            };
            let Some(mut command) = command else {
                let nothing = "this server's engine makes no dumps, so there is nothing to check".to_owned();
                answer(layout, &ticket, &Settled { notes: vec![nothing], ..Settled::default() })?;
                continue;
            };
            let (done, result) = channel();
            std::thread::spawn(move || {
                let finished = child::finish(&mut command, PATIENCE);
                // The runner that asked is gone when nobody takes it.
                let _ = done.send(settled(finished));
            });
            self.running.push((ticket, result));
        }
        let mut still = Vec::new();
        for (ticket, result) in std::mem::take(&mut self.running) {
            match result.try_recv() {
                Ok(settled) => answer(layout, &ticket, &settled)?,
                Err(TryRecvError::Empty) => still.push((ticket, result)),
                Err(TryRecvError::Disconnected) => answer(layout, &ticket, &settled(Err(io::Error::other("the check was lost"))))?,
            }
        }
        self.running = still;
        Ok(!self.running.is_empty())
    }
}

fn answer(layout: &Layout, ticket: &Ticket, settled: &Settled) -> io::Result<()> {
    durable::publish_json(&layout.result(ticket), settled, 0o640)?;
    durable::discard(&layout.check_request(ticket))
}

/// Turns what amcheck printed into an answer.
fn settled(finished: io::Result<child::Output>) -> Settled {
    match finished {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).take(MAX_CHECK_LINES);
            let notes = lines.map(|line| String::from_utf8_lossy(&line[..line.len().min(MAX_LINE)]).into_owned()).collect();
            Settled { notes, failed: !output.status.success(), ..Settled::default() }
        }
        Err(error) => Settled {
            code: Some(AbortCode::Failed),
            error: format!("the check gave no answer: {error}"),
            hint: "the operator's `asyncamanda-shim check` says more; with an installed Amanda, as the dump user: amcheck -c CONFIG HOST"
                .to_owned(),
            failed: true,
            ..Settled::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_amcheck_prints_is_passed_on_within_limits() {
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", "echo 'Amanda Backup Client Hosts Check'; echo; yes ERROR | head -1000; exit 1"]);
        let settled = settled(child::finish(&mut shell, Duration::from_secs(60)));
        assert_eq!((settled.notes.len(), settled.failed, settled.code), (MAX_CHECK_LINES, true, None));
        assert_eq!(settled.notes[..2], ["Amanda Backup Client Hosts Check", "ERROR"]);
    }

    #[test]
    fn a_request_is_listed_and_what_is_none_is_taken_away() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let layout = Layout::new(directory.path(), directory.path());
        fs::create_dir_all(layout.queue()).expect("queue");
        assert!(!any(&layout));
        let id = crate::queue::ticket::TicketId::new(7, 1);
        let ticket = Ticket { id, host: "laptop1".parse().expect("name"), disks: vec![], holds_back: false };
        request(&layout, &ticket).expect("written");
        request(&layout, &ticket).expect("written again");
        fs::write(layout.queue().join(".check-laptop2@x.json"), "{}").expect("written");
        assert_eq!(list(&layout), [ticket]);
        assert_eq!(fs::read_dir(layout.queue()).expect("there").count(), 1);
        assert!(crate::queue::spool::Spool::new(layout).list().expect("a queue").1.is_empty());
    }
}
