//! A laptop wants to look at dumps: a reader is asked for, and this session passes on what the two say to each other.

use std::time::{Duration, Instant};

use wire::{AbortCode, FromShim};

use super::{LOOK, Session, Stop, protocol, tell_caught};
use crate::authorise::Refusal;
use crate::door;
use crate::durable;
use crate::queue::ticket::{Ticket, TicketId};
use crate::restore::requests;
use crate::runner::clock;
use crate::runner::record::Settled;
use crate::serve::follow::Follow;
use crate::serve::peer::Event;
use crate::serve::private::Private;
use crate::serve::relay::Relay;
use crate::serve::trouble_here;

/// How long a reader may take to come.
const PATIENCE: Duration = Duration::from_secs(45);

/// So long nothing is said of an end that the laptop has not answered.
const LAST: Duration = Duration::from_secs(10);

impl Session<'_> {
    /// Passes on one conversation about dumps.
    pub(super) fn answer_restore(&mut self) -> Result<(), Stop> {
        if self.peer.serves() {
            return Err(protocol("it asks for dumps in a session that serves Amanda").into());
        }
        let layout = self.config.layout();
        let id = TicketId::new((clock() * 1e9) as u128, std::process::id());
        let ticket = Ticket { id, host: self.host.clone(), disks: Vec::new(), holds_back: false };
        let socket = Private::open(self.config, &ticket).map_err(|error| Refusal {
            code: AbortCode::Config,
            message: format!("the server cannot make a socket for the reader of its dumps: {error}"),
            hint: "the operator should look at `runtime` of shim.toml (asyncamanda-shim check says what its hosts directory must be like)"
                .to_owned(),
        })?;
        self.peer.relay(Relay::new(socket));
        self.peer.watch(&layout.results());
        requests::request(&layout, &ticket).map_err(|error| trouble_here("could not write a request", &error, self.config))?;
        door::open(self.config, clock() as i64)?;
        let relayed = self.until_closed(&ticket);
        // A request that nobody has seen is nobody's now.
        let _ = durable::discard(&layout.restore_request(&ticket));
        self.peer.end_relay();
        relayed?;
        self.peer.say(&FromShim::End { ticket: None })?;
        Ok(())
    }

    fn until_closed(&mut self, ticket: &Ticket) -> Result<(), Stop> {
        let layout = self.config.layout();
        let mut follow = Follow::new(layout.clone(), ticket.clone());
        let until = Instant::now() + PATIENCE;
        let mut closed = None;
        loop {
            if !self.peer.is_relaying() {
                if let Ok(Some(settled)) = durable::read_json::<Settled>(&layout.result(ticket)) {
                    let code = settled.code.unwrap_or(AbortCode::Failed);
                    return Err(Refusal { code, message: settled.error, hint: settled.hint }.into());
                }
                if Instant::now() >= until {
                    return Err(Refusal {
                        code: AbortCode::Later,
                        message: "the server's reader of dumps did not come".to_owned(),
                        hint: format!("the operator should look at {}", layout.runner_log().display()),
                    }
                    .into());
                }
            }
            match self.peer.next(LOOK)? {
                Event::Closed => return Ok(()),
                Event::Look if !self.peer.is_relaying() => follow.mind_the_runner(self.config),
                Event::Look => {
                    if self.peer.has_closed_relay() && closed.get_or_insert_with(Instant::now).elapsed() > LAST {
                        return Err(Stop::Gone("the laptop did not close the stream of its restore"));
                    }
                }
                Event::Gone(why) => return Err(Stop::Gone(why)),
                Event::Nonsense(error) => return Err(protocol(&error).into()),
                Event::Caught(caught) => tell_caught(self.host, &caught),
                Event::Said(_) => return Err(protocol("one request at a time").into()),
            }
        }
    }
}
