//! A laptop asks whether backups would work: amcheck looks at it, on the way that a dump would take.

use std::fs;
use std::time::{Duration, Instant};

use wire::{AbortCode, FromShim, HostName};

use super::{LOOK, Session, Stop, protocol, tell_caught};
use crate::authorise::{CHECKS_WINDOW, Checked, Refusal, may_check};
use crate::door;
use crate::durable;
use crate::layout::{CHECK, Layout};
use crate::queue::ticket::{Ticket, TicketId};
use crate::runner::record::Settled;
use crate::runner::{checks, clock};
use crate::serve::follow::Follow;
use crate::serve::peer::Event;
use crate::serve::trouble_here;

/// How long a check is waited for; a request that is older is nobody's.
const PATIENCE: Duration = Duration::from_secs(checks::PATIENCE.as_secs() + 10);

impl Session<'_> {
    /// Has amcheck look at the laptop.
    pub(super) fn answer_check(&mut self) -> Result<(), Stop> {
        let layout = self.config.layout();
        let now = clock();
        may_check(self.host, &lately(&layout, self.host, now as i64))?;
        let id = TicketId::new((now * 1e9) as u128, std::process::id());
        let ticket = Ticket { id, host: self.host.clone(), disks: Vec::new(), holds_back: self.holds_back };
        self.peer.watch(&layout.results());
        checks::request(&layout, &ticket).map_err(|error| trouble_here("could not write a request", &error, self.config))?;
        door::open(self.config, clock() as i64)?;
        let mut follow = Follow::new(layout.clone(), ticket);
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Ok(Some(settled)) = durable::read_json::<Settled>(&layout.result(&follow.ticket)) {
                if let Some(code) = settled.code {
                    return Err(Refusal { code, message: settled.error, hint: settled.hint }.into());
                }
                self.peer.say(&FromShim::Checked { ok: !settled.failed, lines: settled.notes })?;
                self.peer.say(&FromShim::End { ticket: None })?;
                return Ok(());
            }
            match self.peer.next(LOOK)? {
                Event::Look | Event::Closed => follow.mind_the_runner(self.config),
                Event::Gone(why) => return Err(Stop::Gone(why)),
                Event::Nonsense(error) => return Err(protocol(&error).into()),
                Event::Caught(caught) => tell_caught(self.host, &caught),
                Event::Said(_) => return Err(protocol("one request at a time").into()),
            }
        }
        Err(Refusal {
            code: AbortCode::Later,
            message: "the server's check gave no answer".to_owned(),
            hint: format!("the operator should look at {}", layout.runner_log().display()),
        }
        .into())
    }
}

/// Counts a host's checks: requests lie in the queue, hidden, and answers beside the tickets' results.
fn lately(layout: &Layout, host: &HostName, now: i64) -> Checked {
    let ages = |directory, hidden: &str| {
        let names = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let tickets = names.filter_map(|name| Ticket::parse_file_name(name.to_str()?.strip_prefix(hidden)?));
        let ours = tickets.filter(|(whose, _)| whose == host).map(|(_, id)| now.saturating_sub(id.placed()));
        ours.collect::<Vec<_>>()
    };
    let within = |window: Duration| move |age: &i64| u64::try_from(*age).is_ok_and(|age| age < window.as_secs());
    Checked {
        waiting: ages(layout.queue(), CHECK).iter().any(within(PATIENCE)),
        done: ages(layout.results(), "").into_iter().filter(within(CHECKS_WINDOW)).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_counted_by_their_files() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let layout = Layout::new(directory.path(), directory.path());
        let host: HostName = "laptop1".parse().expect("name");
        let now = 1_795_000_000;
        let ticket = |host: &HostName, age: i64| {
            let id = TicketId::new((now - age) as u128 * 1_000_000_000, 7);
            Ticket { id, host: host.clone(), disks: Vec::new(), holds_back: false }
        };
        assert_eq!(lately(&layout, &host, now), Checked { waiting: false, done: 0 });
        fs::create_dir_all(layout.queue()).expect("queue");
        fs::create_dir_all(layout.results()).expect("results");
        for age in [0, 3599, 3600] {
            fs::write(layout.result(&ticket(&host, age)), "{}").expect("written");
        }
        let other = "laptop2".parse().expect("name");
        fs::write(layout.result(&ticket(&other, 0)), "{}").expect("written");
        for (asked, waiting) in [(ticket(&other, 0), false), (ticket(&host, 1000), false), (ticket(&host, 10), true)] {
            checks::request(&layout, &asked).expect("written");
            assert_eq!(lately(&layout, &host, now), Checked { waiting, done: 2 }, "{asked:?}");
        }
    }
}
