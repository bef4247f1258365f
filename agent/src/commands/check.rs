//! `check`: tries everything up to the backup itself, in the order in which `run` would meet it, and does nothing else.

use serde::Serialize;
use serde_json::json;
use wire::Exit;

use super::job::Job;
use super::place::Place;
use super::visit::{Purpose, Visit};
use super::{answers, check_vault, first_full};
use crate::config::Config;
use crate::due::{self, Verdict};
use crate::history;
use crate::report::progress::Nobody;
use crate::report::{Problem, Voice, out, problems, verdicts};
use crate::{clock, session};

/// One thing that was tried.
#[derive(Debug, Serialize)]
struct Step {
    what: &'static str,
    ok: bool,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
    #[serde(skip_serializing_if = "String::is_empty")]
    hint: String,
}

/// What was tried so far.
struct Steps {
    steps: Vec<Step>,
    /// Only amcheck was not asked, which `run` does not do.
    later: bool,
    voice: Voice,
}

impl Steps {
    fn good(&mut self, what: &'static str, detail: String) {
        self.add(Step { what, ok: true, detail, problem: None, hint: String::new() });
    }

    fn bad(&mut self, what: &'static str, problem: Problem) {
        self.add(Step { what, ok: false, detail: problem.what.clone(), problem: Some(problem), hint: String::new() });
    }

    fn add(&mut self, step: Step) {
        if !self.voice.json {
            out(&format!("{}  {}: {}", if step.ok { "ok " } else { "BAD" }, step.what, step.detail));
            for (name, text) in step.problem.iter().flat_map(|problem| [("because", &problem.because), ("hint", &problem.hint)]) {
                if !text.is_empty() {
                    out(&format!("       {name}: {text}"));
                }
            }
        }
        self.steps.push(step);
    }

    /// What the other side finds when it asks this laptop's client, as before a dump.
    fn checked(&mut self, place: &Place, ok: bool, lines: &[String], what: String) {
        match place {
            Place::Server(_) => self.amcheck(ok, lines, what),
            Place::Vault(_) if ok => self.good("disks", lines.join("; ")),
            Place::Vault(_) => self.bad(
                "disks",
                Problem::new(Exit::Failed, "not every disk can be backed up")
                    .because(lines.join("\n           "))
                    .hint("mend what it names"),
            ),
        }
    }

    /// What logging in needs.
    fn login(&mut self, config: &Config, way: &session::Way) {
        match session::ssh::check(&way.login) {
            Ok(()) => self.good("key", config.identity.value.display().to_string()),
            Err(error) => self.bad("key", problems::session(error, way)),
        }
        match std::fs::metadata(&config.known_hosts.value) {
            Ok(meta) if meta.len() > 0 => self.good("known_hosts", config.known_hosts.value.display().to_string()),
            _ => {
                let error = session::SessionError::Ssh {
                    failure: session::SshFailure::HostKeyUnknown,
                    line: format!("{} is not there, or empty", config.known_hosts.value.display()),
                };
                self.bad("known_hosts", problems::session(error, way));
            }
        }
    }

    /// What the server's amcheck says, which came through the same session as a dump would.
    fn amcheck(&mut self, ok: bool, lines: &[String], what: String) {
        let told: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !line.starts_with(['-', '='])).collect();
        if ok {
            let summary = told.iter().find(|line| line.contains("problem"));
            self.good("amcheck", summary.map_or_else(|| "content".to_owned(), |line| (*line).to_owned()));
            return;
        }
        let faults: Vec<&str> = told.iter().copied().filter(|line| line.contains("ERROR") || line.contains("WARNING")).collect();
        let because = if faults.is_empty() { told.join("\n           ") } else { faults.join("\n           ") };
        // A server without an Amanda says so in its first line, and has nothing to type by hand.
        let embedded = told.first().is_some_and(|line| line.contains("embedded engine"));
        self.bad(
            "amcheck",
            Problem::new(Exit::Failed, "the server's Amanda cannot back this laptop up").because(because).hint(if embedded {
                "mend what it names; the operator's `asyncamanda-shim check` says more".to_owned()
            } else {
                format!(
                    "mend what it names; where it names nothing of this laptop, Amanda did not come to this session: the operator's `asyncamanda-shim check` says why. \
                     By hand, while `asyncamanda now` runs: runuser -u backup -- env SHELL=/bin/sh amcheck -c {what}"
                )
            }),
        );
    }

    /// How long the first dump of each disk would take that has no backup yet.
    fn first_fulls(&mut self, config: &Config, records: &[due::DiskRecord], host: &str, rate: u64) {
        for disk in &config.disks {
            let record = records.iter().find(|record| record.disk == disk.value.name);
            let has_full = record.is_some_and(|record| matches!(&record.known, due::Known::Receipts { last_backup: Some(_), .. }));
            if has_full {
                continue;
            }
            let name = crate::report::show(disk.value.name.as_bytes());
            let (sentence, how) = first_full::advice(host, &name, &first_full::measure(&disk.value.device), rate);
            match how {
                None => self.good("first dump", sentence),
                // No fault: `run` would begin it.
                Some(how) => {
                    self.good("first dump", sentence);
                    self.advise(&how);
                }
            }
        }
    }

    /// Who answers the server's Amanda.
    fn client(&mut self, config: &Config, place: &Place) {
        match answers::look(config) {
            Ok(found) => self.found("client", found),
            Err(problem) => self.bad("client", problem),
        }
        if let Some(found) = answers::no_disks(config).filter(|_| !place.is_vault()) {
            self.found("disks", found);
        }
    }

    fn found(&mut self, what: &'static str, found: answers::Found) {
        self.good(what, found.detail);
        if !found.hint.is_empty() {
            self.advise(&found.hint);
        }
    }

    fn advise(&mut self, hint: &str) {
        if let Some(step) = self.steps.last_mut() {
            step.hint = hint.to_owned();
        }
        if !self.voice.json {
            out(&format!("       hint: {hint}"));
        }
    }

    /// The first thing that would stop `run`.
    fn exit(&self) -> Exit {
        self.steps.iter().find_map(|step| step.problem.as_ref().map(|problem| problem.exit)).unwrap_or(Exit::Done)
    }
}

/// `check`.
pub fn check(job: &Job, voice: &Voice) -> Result<Exit, Problem> {
    let config = &job.config;
    let mut steps = Steps { later: false, steps: Vec::new(), voice: *voice };
    steps.good("configuration", config.destination.from.to_string());
    let history = match history::read(&job.store, &job.ours, job.amandates()) {
        Ok(history) => {
            let odd = if history.warnings.is_empty() { String::new() } else { format!("; {}", history.warnings.join("; ")) };
            steps.good("record", format!("{}{odd}", config.state.value.display()));
            history
        }
        Err(error) => {
            steps.bad("record", error.into());
            history::History::default()
        }
    };
    if let Err(problem) = writable(&config.state.value) {
        steps.bad("state", problem);
    } else {
        steps.good("state", format!("{} can be written", config.state.value.display()));
    }
    steps.client(config, &job.place);
    match &job.place {
        Place::Server(way) => steps.login(config, way),
        Place::Vault(way) => {
            for (what, found) in check_vault::look(job, way, &history.records) {
                match found {
                    Ok(found) => steps.found(what, found),
                    Err(problem) => steps.bad(what, problem),
                }
            }
        }
    }
    let mut verdict = due::decide(clock::now(), &history.records, config.interval.value);
    let mut server = None;
    if steps.exit() == Exit::Done {
        let mut nobody = Nobody;
        let mut visit = Visit::new(Purpose::Check, &job.store, &job.ours, history.records, config.interval.value, &mut nobody)
            .expecting(config.host.as_ref().map(|host| &host.value))
            .serving(config);
        let called = job.place.call(&mut visit);
        if let Some(found) = &visit.server {
            let versions = format!("protocol {}, {}", found.version, if found.program.is_empty() { "no name" } else { &found.program });
            let place = &config.destination.value;
            if job.place.is_vault() {
                steps.good("name", format!("it knows this machine as {}, and is called {}", found.host, found.config));
            } else {
                steps.good("server", format!("{place} ({versions}) knows this laptop as {} in config {}", found.host, found.config));
            }
            if let Some(ticket) = &visit.ticket {
                steps.good("queue", format!("a request of this laptop is there already: {}", crate::report::show(ticket)));
            }
            server = visit.server.clone();
        }
        let (rate, checked) = (visit.rate, visit.checked.take());
        let records = std::mem::take(&mut visit.records);
        match called {
            Ok(()) => verdict = visit.verdict.take().unwrap_or(verdict),
            // A server that does not check now may well back up.
            Err(error @ session::SessionError::Abort { code: wire::AbortCode::Later, .. }) if server.is_some() => {
                steps.later = true;
                steps.bad("amcheck", job.place.problem(error));
            }
            Err(error) => steps.bad(job.place.word(), job.place.problem(error)),
        }
        if let Some((ok, lines)) = checked {
            steps.checked(
                &job.place,
                ok,
                &lines,
                server.as_ref().map_or("CONFIG HOST".to_owned(), |found| format!("{} {}", found.config, found.host)),
            );
        }
        if let Some(rate) = rate {
            let host = server.as_ref().map_or("this laptop".to_owned(), |found| found.host.to_string());
            steps.first_fulls(config, &records, &host, rate);
        }
    }
    let exit = steps.exit();
    if voice.json {
        let server = server
            .map(|server| json!({ "program": server.program, "protocol": server.version, "host": server.host, "config": server.config }));
        voice
            .json(&json!({ "exit": exit.code(), "steps": steps.steps, "server": server, "due": verdict.is_due(), "disks": verdict.disks }));
    } else {
        out(&would(&verdict, if steps.later { Exit::Done } else { exit }));
    }
    Ok(exit)
}

fn would(verdict: &Verdict, exit: Exit) -> String {
    match (exit, verdict.is_due()) {
        (Exit::Done, true) => format!("`asyncamanda run` would ask for a backup: {}.", verdicts::oldest(verdict)),
        (Exit::Done, false) => format!("`asyncamanda run` would do nothing: {}.", verdicts::oldest(verdict)),
        (exit, true) => format!("A backup is due, and `asyncamanda run` would end with status {}.", exit.code()),
        (exit, false) => format!("No backup is due; when one is, `asyncamanda run` will end with status {}.", exit.code()),
    }
}

/// Asks whether receipts could be stored, without making anything.
fn writable(state: &std::path::Path) -> Result<(), Problem> {
    use nix::unistd::{AccessFlags, access};
    let nearest = state.ancestors().find(|path| path.exists()).unwrap_or(state);
    access(nearest, AccessFlags::W_OK | AccessFlags::X_OK).map_err(|error| {
        let source = std::io::Error::from(error);
        history::StoreError { path: nearest.to_path_buf(), source }.into()
    })
}
