//! The status in words and tables, for a terminal.

use std::fmt::Write as _;
use std::time::Duration;

use amanda::escape::printable;
use comfy_table::{Table, presets};

use crate::queue::order::Kind;
use crate::status::{Run, Status};

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header.iter().map(ToString::to_string).collect::<Vec<_>>());
    table
}

fn clock(seconds: i64) -> String {
    chrono::DateTime::from_timestamp(seconds, 0)
        .map(|time| time.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_default()
}

/// Returns how long ago something was, in two units at most.
fn ago(now: i64, then: i64) -> String {
    let seconds = u64::try_from(now - then).unwrap_or(0);
    let rounded = if seconds >= 3600 { seconds / 60 * 60 } else { seconds };
    humantime::format_duration(Duration::from_secs(rounded)).to_string()
}

/// Returns the whole status; `now` in seconds since the epoch.
pub fn words(status: &Status, now: i64) -> String {
    let mut text = String::new();
    let runner = match (status.runner.alive, status.runner.pid) {
        (true, Some(pid)) => format!("The runner is alive (pid {pid})."),
        (true, None) => "The runner is alive.".to_owned(),
        (false, _) if !status.unreadable.is_empty() => "Whether a runner is alive cannot be seen by this user.".to_owned(),
        (false, _) if !status.queue.is_empty() => {
            format!(
                "No runner is alive, and {} wait; if that stays so, look at runner.log and `asyncamanda-shim check`.",
                status.queue.len()
            )
        }
        (false, _) => "No runner is alive; the next ticket starts one.".to_owned(),
    };
    let _ = writeln!(text, "{runner}");
    if status.runs.is_empty() {
        let _ = writeln!(text, "Nothing runs.");
    } else {
        let _ = writeln!(text, "\nRuns");
        let mut runs = table(&["run", "config", "pid", "since", "for", "phase", "percent", "hosts"]);
        for run in &status.runs {
            let hosts = run.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            runs.add_row([
                run.run.clone(),
                printable(run.config.as_bytes()),
                run.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
                clock(run.since),
                ago(now, run.since),
                phase(run),
                run.percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent} %")),
                if hosts.is_empty() { "any".to_owned() } else { hosts },
            ]);
        }
        let _ = writeln!(text, "{runs}");
    }
    if status.queue.is_empty() {
        let _ = writeln!(text, "Nobody waits.");
    } else {
        let _ = writeln!(text, "\nQueue");
        let mut queue = table(&["place", "host", "config", "since", "for", "waits for"]);
        for waiting in &status.queue {
            queue.add_row([
                waiting.position.to_string(),
                waiting.host.to_string(),
                waiting.config.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string),
                clock(waiting.since),
                ago(now, waiting.since),
                waiting.waits_for.clone(),
            ]);
        }
        let _ = writeln!(text, "{queue}");
    }
    let held: Vec<_> = status.locks.iter().filter(|lock| lock.held).collect();
    if !held.is_empty() {
        let _ = writeln!(text, "\nLocks");
        let mut locks = table(&["lock", "pid", "since", "held for"]);
        for lock in held {
            locks.add_row([
                lock.name.clone(),
                lock.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
                lock.since.map(clock).unwrap_or_default(),
                lock.what.as_deref().map(|what| printable(what.as_bytes())).unwrap_or_default(),
            ]);
        }
        let _ = writeln!(text, "{locks}");
    }
    if !status.verified.is_empty() {
        let _ = writeln!(text, "\nRead back");
        let mut verified = table(&["config", "host", "disk", "dumps", "longest not for", "never", "damaged"]);
        for disk in &status.verified {
            let (never, damaged) = disk.missing();
            verified.add_row([
                disk.config.to_string(),
                printable(disk.host.as_bytes()),
                printable(disk.disk.as_bytes()),
                disk.dumps.len().to_string(),
                disk.oldest().map_or_else(|| "-".to_owned(), |oldest| ago(now, oldest)),
                never.to_string(),
                damaged.to_string(),
            ]);
        }
        let _ = writeln!(text, "{verified}");
    }
    for (name, why) in &status.strange {
        let _ = writeln!(text, "Not a ticket: {} ({}).", printable(name.as_bytes()), printable(why.as_bytes()));
    }
    for what in &status.unreadable {
        let _ = writeln!(text, "Cannot look at {}.", printable(what.as_bytes()));
    }
    text
}

fn phase(run: &Run) -> String {
    match run.kind {
        Kind::Foreign => format!("{} (started by hand)", run.phase),
        Kind::Nightly => format!("{} (nightly)", run.phase),
        Kind::Flush => format!("{} (flush)", run.phase),
        Kind::Laptops { .. } => run.phase.clone(),
    }
}
