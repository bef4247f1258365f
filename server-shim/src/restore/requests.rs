//! Requests for readers: small files beside the tickets, `.restore-HOST@ID.json`, which the runner turns into processes.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::process::{Command, Stdio};

use crate::config::Config;
use crate::durable;
use crate::layout::{Layout, RESTORE};
use crate::queue::ticket::Ticket;
use crate::runner::{clock, log, start};

/// A request that is older is nobody's: its session has given up.
const MAX_AGE: i64 = 60;

/// Asks for a reader.
///
/// # Errors
/// When the request cannot be written.
pub fn request(layout: &Layout, ticket: &Ticket) -> io::Result<()> {
    durable::publish_json(&layout.restore_request(ticket), ticket, 0o640)
}

/// Names in the queue that will not be looked at again: requests that cannot be taken away.
pub type PassedOver = BTreeSet<String>;

/// Lists the names of requests.
fn list(layout: &Layout) -> Vec<String> {
    let entries = fs::read_dir(layout.queue()).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name.starts_with(RESTORE)).collect()
}

/// Tells whether somebody waits for a reader.
pub fn any(layout: &Layout, passed_over: &PassedOver) -> bool {
    list(layout).iter().any(|name| !passed_over.contains(name))
}

/// Starts a reader for each request, and takes the request away. Nothing in the file is believed: its name says which host asks, and the reader looks
/// into shim.toml for what it may.
///
/// One that cannot be taken away (a directory, say) is passed over from then on: a reader would be started for it again and again, and backups must not
/// wait for it.
pub fn start_all(config: &Config, passed_over: &mut PassedOver) {
    let layout = config.layout();
    for name in list(&layout) {
        if passed_over.contains(&name) {
            continue;
        }
        if let Err(error) = durable::discard(&layout.queue().join(&name)) {
            log(&format!("event=restore_request_not_removed file={name} why=\"{error}\""));
            passed_over.insert(name);
            continue;
        }
        let asked = name.strip_prefix(RESTORE).and_then(Ticket::parse_file_name);
        let Some((host, id)) = asked.filter(|(host, _)| config.hosts.contains_key(host)) else {
            log(&format!("event=restore_refused file={name}"));
            continue;
        };
        if (clock() as i64).saturating_sub(id.placed()) > MAX_AGE {
            log(&format!("event=restore_too_late file={name}"));
            continue;
        }
        match spawn(config, &format!("{host}@{}", id.as_str())) {
            Ok(pid) => log(&format!("event=reader_started host={host} reader={pid}")),
            Err(error) => log(&format!("event=reader_not_started host={host} why=\"{error}\"")),
        }
    }
}

/// Starts this program again as a reader; nobody waits for it.
fn spawn(config: &Config, request: &str) -> io::Result<u32> {
    let mut argv = start::argv(config)?;
    argv.pop();
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]).args(["reader", request]).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LANG", "C.UTF-8");
    command.envs(std::env::var_os("TZ").map(|zone| ("TZ", zone)));
    // Its words go where the runner's go.
    let mut child = command.spawn()?;
    let pid = child.id();
    std::thread::spawn(move || child.wait());
    Ok(pid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::ticket::TicketId;

    #[test]
    fn a_request_is_taken_away_and_what_is_none_starts_nothing() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let mut config = crate::config::parse("[host.laptop1]\nconfig = \"a\"\n").expect("valid");
        (config.state, config.runtime) = (directory.path().into(), directory.path().into());
        let layout = config.layout();
        fs::create_dir_all(layout.queue()).expect("queue");
        let mut passed_over = PassedOver::new();
        assert!(!any(&layout, &passed_over));
        let ticket = |host: &str, at: f64| Ticket {
            id: TicketId::new((at * 1e9) as u128, 1),
            host: host.parse().expect("name"),
            disks: vec![],
            holds_back: false,
        };
        request(&layout, &ticket("laptop2", clock())).expect("written");
        request(&layout, &ticket("laptop1", clock() - 3600.0)).expect("written");
        fs::write(layout.queue().join(".restore-laptop1@x.json"), "{}").expect("written");
        fs::write(layout.queue().join(".restore-../../x"), "{}").unwrap_or_default();
        fs::create_dir(layout.queue().join(".restore-x")).expect("made");
        assert!(any(&layout, &passed_over));
        start_all(&config, &mut passed_over);
        assert!(!any(&layout, &passed_over), "{passed_over:?}");
        assert_eq!(passed_over.iter().collect::<Vec<_>>(), [".restore-x"]);
        assert_eq!(list(&layout), [".restore-x"]);
    }
}
