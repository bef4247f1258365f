//! The conversation with an agent: hello, what do you have of mine, back these up, the receipts. `check` is the one about a check, `restore` the one
//! about dumps.

mod check;
mod restore;

use std::io;
use std::time::{Duration, Instant};

use wire::message::MAX_DISKS;
use wire::{AbortCode, Exit, FromAgent, FromShim, Hello, HostName, PROTOCOL_VERSION};

use super::Granted;
use super::follow::{Follow, Place};
use super::peer::{Event, Peer};
use super::place::{full, place, unreachable_host};
use crate::authorise::{Grant, Refusal};
use crate::config::{Config, Reach};
use crate::door;
use crate::latest::Latest;
use crate::queue::spool::{Placed, Spool};
use crate::report::Words;
use crate::runner::clock;
use crate::runner::record::Settled;
use crate::tunnel::Tunnel;
use crate::tunnel::filter::Caught;
use crate::tunnel::listener::Listener;

/// How often a session looks at its ticket while nothing happens.
const LOOK: Duration = Duration::from_secs(1);

/// How long a laptop may take to say its first words, and between two requests.
const FIRST_WORDS: Duration = Duration::from_secs(60);

/// What ends a conversation early.
enum Stop {
    /// We refuse; the laptop is told.
    Refuse(Refusal),
    /// The laptop is gone, for this reason.
    Gone(&'static str),
    /// The pipe broke.
    Broken(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

/// Talks to an agent until it has what it wants or goes away.
///
/// With `perl`, it called with the Perl script's command line.
pub fn converse(config: &Config, host: &HostName, granted: Granted, perl: bool) -> Result<Exit, Words> {
    let broke = |error: io::Error| Err(Words::new(Exit::Failed, "the session broke").because(error.to_string()));
    let mut session = match Peer::stdio() {
        Ok(peer) => Session { config, host, peer, perl, holds_back: false },
        Err(error) => return broke(error),
    };
    let stop = session.run(granted).err();
    let why = match &stop {
        None => "it was over".to_owned(),
        Some(Stop::Gone(why)) => (*why).to_owned(),
        Some(Stop::Broken(error)) => error.to_string(),
        Some(Stop::Refuse(refusal)) => refusal.message.clone(),
    };
    match stop {
        None | Some(Stop::Gone(_)) => {
            session.peer.part(&why);
            Ok(Exit::Done)
        }
        Some(Stop::Broken(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Some(Stop::Broken(error)) => broke(error),
        Some(Stop::Refuse(refusal)) => {
            // The words go through the protocol; the exit status says the same to whoever only sees that.
            let exit = refusal.code.exit();
            let _ = session.peer.say(&FromShim::Abort { code: refusal.code, message: refusal.message, hint: refusal.hint });
            session.peer.part(&why);
            Ok(exit)
        }
    }
}

struct Session<'a> {
    config: &'a Config,
    host: &'a HostName,
    peer: Peer,
    perl: bool,
    /// The client that serves Amanda moves its incremental state only with a receipt that is OK. Never so for one that
    /// Amanda dials: that is another client.
    holds_back: bool,
}

impl Session<'_> {
    fn run(&mut self, granted: Granted) -> Result<(), Stop> {
        // We greet first: an agent with the Perl script's command line writes nothing before it knows that a shim is here.
        let grant = granted?;
        let program = concat!("asyncamanda-shim ", env!("CARGO_PKG_VERSION"));
        self.peer.say(&FromShim::Hello { hello: Hello::ours(program), host: self.host.clone(), config: grant.config().clone() })?;
        let FromAgent::Hello(hello) = self.hear(FIRST_WORDS)? else {
            return Err(protocol("the first message must be a hello").into());
        };
        if hello.version != PROTOCOL_VERSION {
            return Err(protocol(&format!("this server speaks protocol {PROTOCOL_VERSION}, the laptop {}", hello.version)).into());
        }
        loop {
            match self.hear(FIRST_WORDS)? {
                FromAgent::Query => self.answer_query(&grant)?,
                FromAgent::Trigger { disks } => {
                    if disks.len() > MAX_DISKS {
                        return Err(protocol(&format!("a trigger names {} disks, at most {MAX_DISKS} are allowed", disks.len())).into());
                    }
                    self.answer_trigger(&grant, disks)?;
                }
                FromAgent::Heartbeat => {}
                FromAgent::Serve { holds_back } => self.serve(holds_back)?,
                FromAgent::Measure { last: true, .. } => self.peer.say(&FromShim::Measured)?,
                FromAgent::Measure { .. } => {}
                FromAgent::Check => self.answer_check()?,
                FromAgent::Restore => self.answer_restore()?,
                FromAgent::Window { .. } | FromAgent::Close { .. } => {
                    return Err(protocol("it speaks of streams and serves none").into());
                }
                FromAgent::Hello(_) => return Err(protocol("a second hello").into()),
            }
        }
    }

    /// Lets Amanda reach the laptop through this session. For one that it dials by itself there is nothing to do.
    fn serve(&mut self, holds_back: bool) -> Result<(), Stop> {
        if self.reach() == Reach::Tunnel && !self.peer.serves() {
            self.peer.serve(Tunnel::new(self.host.clone(), Listener::open(self.config, self.host)?));
            self.holds_back = holds_back;
        }
        Ok(())
    }

    fn reach(&self) -> Reach {
        self.config.hosts.get(self.host).map(|rule| rule.reach).unwrap_or_default()
    }

    /// Waits for the next request.
    fn hear(&mut self, patience: Duration) -> Result<FromAgent, Stop> {
        let until = Instant::now() + patience;
        loop {
            match self.peer.next(until.saturating_duration_since(Instant::now()))? {
                Event::Said(message) => return Ok(message),
                // Something happened to somebody else's ticket.
                Event::Look | Event::Closed if Instant::now() < until => {}
                Event::Look | Event::Closed => return Err(protocol("nothing was asked for").into()),
                Event::Gone(why) => return Err(Stop::Gone(why)),
                Event::Nonsense(error) => return Err(protocol(&error).into()),
                Event::Caught(caught) => tell_caught(self.host, &caught),
            }
        }
    }

    fn answer_query(&mut self, grant: &Grant) -> Result<(), Stop> {
        let layout = self.config.layout();
        // Unreadable receipts are as good as none: the laptop's disks are then due.
        let latest = Latest::load(&layout, grant.host()).unwrap_or_default();
        // Those of a config that the host has left say nothing about where it belongs now.
        for receipt in latest.backup.into_iter().chain(latest.last).filter(|receipt| receipt.config == *grant.config()) {
            self.peer.say(&FromShim::Receipt(Box::new(receipt)))?;
        }
        let pending = Spool::new(layout).glance().unwrap_or_default();
        let ticket = pending.into_iter().find(|(_, host)| host == grant.host()).map(|(id, _)| id.as_str().to_owned());
        self.peer.say(&FromShim::Standing { ticket })?;
        self.peer.say(&FromShim::End { ticket: None })?;
        Ok(())
    }

    fn answer_trigger(&mut self, grant: &Grant, asked: Vec<wire::DiskName>) -> Result<(), Stop> {
        if self.reach() == Reach::Tunnel && !self.peer.serves() {
            return Err(unreachable_host(self.host, self.perl).into());
        }
        let disks = grant.disks(asked)?;
        let layout = self.config.layout();
        let spool = Spool::new(layout.clone());
        self.peer.watch(&layout.results());
        loop {
            let placed = place(self.config, &spool, grant, disks.clone(), self.holds_back)?;
            let (ticket, joined, answers) = match placed {
                Placed::New(ticket) => (ticket, false, true),
                Placed::Joined(ticket) => (ticket, true, true),
                Placed::After(ticket) => (ticket, true, false),
                Placed::Full => return Err(full(self.config).into()),
            };
            door::open(self.config, clock() as i64)?;
            let id = ticket.id.as_str().to_owned();
            let settled = self.wait(Follow::new(layout.clone(), ticket), joined)?;
            if answers {
                return self.hand_out(id, settled);
            }
        }
    }

    /// Waits until a ticket is settled, telling the laptop what changes.
    fn wait(&mut self, mut follow: Follow, joined: bool) -> Result<Settled, Stop> {
        // Told first of all, whatever follows: the laptop knows its ticket, and asks for it again if this session breaks.
        let ticket = follow.ticket.id.as_str().to_owned();
        let place = match follow.look() {
            Ok(Place::Waiting(position, words)) => (position, words),
            _ => (0, String::new()),
        };
        self.peer.say(&FromShim::Queued { ticket, joined, position: place.0, waits_for: place.1.clone() })?;
        let mut told = Some(Place::Waiting(place.0, place.1));
        loop {
            // A ticket whose files cannot be read at this moment is looked at again.
            if let Ok(place) = follow.look() {
                if let Place::Settled(settled) = place {
                    return Ok(settled);
                }
                if told.as_ref() != Some(&place) {
                    let message = match &place {
                        Place::Running(progress) => FromShim::Progress(progress.clone()),
                        Place::Waiting(position, words) => {
                            let ticket = follow.ticket.id.as_str().to_owned();
                            FromShim::Queued { ticket, joined, position: *position, waits_for: words.clone() }
                        }
                        Place::Settled(_) => continue,
                    };
                    self.peer.say(&message)?;
                    told = Some(place);
                }
            }
            match self.peer.next(LOOK)? {
                Event::Look | Event::Closed => follow.mind_the_runner(self.config),
                Event::Gone(why) => return Err(Stop::Gone(why)),
                Event::Nonsense(error) => return Err(protocol(&error).into()),
                Event::Caught(caught) => tell_caught(self.host, &caught),
                Event::Said(_) => return Err(protocol("one request at a time").into()),
            }
        }
    }

    fn hand_out(&mut self, ticket: String, settled: Settled) -> Result<(), Stop> {
        if let Some(code) = settled.code {
            return Err(Refusal { code, message: settled.error, hint: settled.hint }.into());
        }
        for receipt in settled.receipts {
            self.peer.say(&FromShim::Receipt(Box::new(receipt)))?;
        }
        self.peer.say(&FromShim::End { ticket: Some(ticket) })?;
        Ok(())
    }
}

/// Tells the system's log what a laptop tried to tell Amanda.
fn tell_caught(host: &HostName, caught: &Caught) {
    super::syslog(&format!("event=tunnel_caught host={host} why=\"{}\"", amanda::escape::printable(caught.to_string().as_bytes())));
}

fn protocol(why: &str) -> Refusal {
    Refusal {
        code: AbortCode::Protocol,
        message: format!("the server did not understand the laptop: {why}"),
        hint: "use the same release of asyncamanda on both sides".to_owned(),
    }
}
