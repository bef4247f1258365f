//! The answer for an old client: `ssh server "/usr/sbin/amdump CONFIG"`, as the Perl script and crontabs have it. Plain
//! text, and an exit status at the end.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use wire::{ConfigName, Exit};

use super::follow::{Follow, Place};
use super::place::{full, place, unreachable_host};
use crate::authorise::Grant;
use crate::config::{Config, Reach};
use crate::door;
use crate::queue::spool::{Placed, Spool};
use crate::report::Words;
use crate::runner::clock;
use crate::runner::record::Settled;

/// How often the ticket is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Places this host's own trigger and answers in text when it is settled.
pub fn answer(config: &Config, grant: &Grant, named: &ConfigName) -> Result<Exit, Words> {
    if named != grant.config() {
        say(&format!("asyncamanda-shim: {} belongs to the config {}; {named} was passed over", grant.host(), grant.config()));
    }
    if config.hosts.get(grant.host()).is_some_and(|rule| rule.reach == Reach::Tunnel) {
        return Err(unreachable_host(grant.host(), true).into());
    }
    let layout = config.layout();
    let spool = Spool::new(layout.clone());
    let disks = grant.disks(Vec::new())?;
    loop {
        let (ticket, answers) = match place(config, &spool, grant, disks.clone(), false)? {
            Placed::New(ticket) | Placed::Joined(ticket) => (ticket, true),
            Placed::After(ticket) => (ticket, false),
            Placed::Full => return Err(full(config).into()),
        };
        door::open(config, clock() as i64)?;
        let settled = wait(config, &mut Follow::new(layout.clone(), ticket));
        if answers {
            return tell(settled);
        }
    }
}

/// Waits for the end. An old client that goes away leaves its ticket behind, and is noticed when it is written to.
fn wait(config: &Config, follow: &mut Follow) -> Settled {
    let mut minded = Instant::now();
    loop {
        if let Ok(Place::Settled(settled)) = follow.look() {
            return settled;
        }
        if minded.elapsed() >= Duration::from_secs(1) {
            follow.mind_the_runner(config);
            minded = Instant::now();
        }
        std::thread::sleep(LOOK);
    }
}

fn tell(settled: Settled) -> Result<Exit, Words> {
    if let Some(code) = settled.code {
        return Err(Words::new(code.exit(), settled.error).hint(settled.hint));
    }
    for receipt in &settled.receipts {
        let disk = amanda::escape::printable(receipt.disk.as_bytes());
        let level = receipt.level.map_or_else(String::new, |level| format!(" level {level}"));
        let bytes = receipt.bytes.map_or_else(String::new, |bytes| format!(" {bytes} bytes"));
        let reason =
            if receipt.reason.is_empty() { String::new() } else { format!(": {}", amanda::escape::printable(receipt.reason.as_bytes())) };
        say(&format!("{} {disk}{level}{bytes} {}{reason}", receipt.host, receipt.outcome));
    }
    let all = !settled.receipts.is_empty() && settled.receipts.iter().all(wire::Receipt::is_backup);
    Ok(if all { Exit::Done } else { Exit::Failed })
}

fn say(line: &str) {
    // A reader that is gone wants no answer.
    let _ = writeln!(io::stdout(), "{line}");
}
