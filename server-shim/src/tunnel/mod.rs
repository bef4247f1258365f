//! The way from Amanda's dumper to a laptop that it cannot reach: through the laptop's own session.
//!
//! While a session serves its host, the ssh that Amanda starts finds a control socket ([`listener`]) and speaks OpenSSH's own
//! protocol to it ([`mux`], [`client`]). Each connection becomes a stream of the session ([`stream`], [`pipe`]), and what the
//! laptop says on it is looked at before Amanda reads it ([`filter`]). The embedded engine connects to the same socket, and needs
//! no ssh for that ([`dial`], [`mux_client`]). [`ask`] is for everybody else: is that laptop there? [`check`] is what an
//! administrator is told.
//!
//! One thread, the session's own: [`Tunnel`] says what it waits for and does what is ready; it never sleeps.

pub mod ask;
pub mod check;
pub mod client;
pub mod dial;
pub mod filter;
pub mod listener;
pub mod mux;
pub mod mux_client;
pub mod pipe;
pub mod stream;

use std::io;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use wire::HostName;
use wire::frame::MAX_STREAMS;

pub use ask::alive;
use client::{Asked, Client};
use filter::Caught;
use listener::Listener;
use stream::{Breach, Stream, StreamError};

use crate::serve::output::Output;

/// A laptop that has been silent for so long is not said to be alive: it speaks every ten seconds.
pub const FRESH: Duration = Duration::from_secs(15);

/// Connections that have not become streams yet.
const MAX_CLIENTS: usize = 16;

/// What of the tunnel is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The control socket.
    Listener,
    /// A connection that wants something.
    Client(usize),
    /// A stream, and which of its three descriptors.
    Stream(usize, usize),
}

/// A host's tunnel: its socket, and the streams that came through it.
pub struct Tunnel {
    host: HostName,
    listener: Option<Listener>,
    clients: Vec<Client>,
    streams: [Option<Stream>; MAX_STREAMS as usize],
    caught: Vec<Caught>,
}

impl Tunnel {
    /// Begins with a socket of its own.
    pub fn new(host: HostName, listener: Listener) -> Self {
        Self { host, listener: Some(listener), clients: Vec::new(), streams: [const { None }; MAX_STREAMS as usize], caught: Vec::new() }
    }

    /// Tells what to wait for; streams are read only when there is room for what they say.
    pub fn interests<'a>(&'a self, room: bool, wait: &mut Vec<(Source, PollFd<'a>)>) {
        if let Some(socket) = self.listener.as_ref().and_then(Listener::socket).filter(|_| self.clients.len() < MAX_CLIENTS) {
            wait.push((Source::Listener, PollFd::new(socket.as_fd(), PollFlags::POLLIN)));
        }
        for (index, client) in self.clients.iter().enumerate() {
            wait.push((Source::Client(index), PollFd::new(client.socket().as_fd(), PollFlags::POLLIN)));
        }
        for (index, stream) in self.streams.iter().enumerate() {
            for (which, interest) in stream.iter().flat_map(|stream| stream.interests(room).into_iter().enumerate()) {
                wait.extend(interest.map(|interest| (Source::Stream(index, which), interest)));
            }
        }
    }

    /// Does what is ready; `quiet` is how long the laptop has been silent.
    pub fn ready(&mut self, sources: &[(Source, PollFlags)], quiet: Duration, out: &mut Output) -> io::Result<()> {
        let mut events = [[PollFlags::empty(); 3]; MAX_STREAMS as usize];
        let mut asking = Vec::new();
        let mut knocked = false;
        for (source, flags) in sources {
            match source {
                Source::Listener => knocked = true,
                Source::Client(index) => asking.push(*index),
                Source::Stream(index, which) => events[*index][*which] = *flags,
            }
        }
        for (index, events) in events.into_iter().enumerate() {
            if events.iter().any(|flags| !flags.is_empty())
                && let Some(stream) = &mut self.streams[index]
            {
                self.caught.extend(stream.ready(events, out)?);
                self.forget(index);
            }
        }
        // From the last one on, so that the numbers of the others stay.
        for index in asking.into_iter().rev() {
            let client = self.clients.swap_remove(index);
            if let Some(client) = self.answer(client, quiet, out)? {
                self.clients.push(client);
            }
        }
        if knocked {
            self.let_in();
        }
        Ok(())
    }

    /// Gives back a client that is to be heard further.
    fn answer(&mut self, mut client: Client, quiet: Duration, out: &mut Output) -> io::Result<Option<Client>> {
        let mut asked = client.read();
        loop {
            asked = match asked {
                Asked::Nothing => return Ok(Some(client)),
                Asked::Gone => return Ok(None),
                // A closed socket makes ssh go on to its ProxyCommand, which says why nobody is there.
                Asked::Alive(_) if quiet >= FRESH => return Ok(None),
                Asked::Alive(request) => {
                    client.say(&mux::alive(request, std::process::id()));
                    client.go_on()
                }
                Asked::Session(request, session, stdio) => {
                    if let Err(refused) = session.is_amanda() {
                        client.say(&mux::denied(request, &refused.to_string()));
                        return Ok(None);
                    }
                    let Some(index) = self.streams.iter().position(Option::is_none) else {
                        let why = format!("{} has {MAX_STREAMS} connections of Amanda already, and takes no more", self.host);
                        client.say(&mux::failed(request, &why));
                        return Ok(None);
                    };
                    self.streams[index] = Some(Stream::open(index as u8 + 1, client, request, stdio, out)?);
                    return Ok(None);
                }
            };
        }
    }

    fn let_in(&mut self) {
        let now = Instant::now();
        while self.clients.len() < MAX_CLIENTS {
            let Some(socket) = self.listener.as_mut().and_then(|listener| listener.accept(now)) else { return };
            self.clients.push(Client::new(socket, now));
        }
    }

    /// Looks after what changes with time: a newer session that has taken the socket over, or has left; clients that say
    /// nothing. `quiet` is how long the laptop has been silent.
    pub fn tick(&mut self, now: Instant, quiet: Duration) {
        if self.listener.as_ref().is_some_and(Listener::is_lost) {
            // Whoever connected before that is still let in.
            self.let_in();
        }
        if let Some(listener) = &mut self.listener {
            if listener.is_lost() {
                listener.give_up();
            }
            // A laptop that may be gone does not get in the way of another session that waits for the path.
            listener.tick(now, quiet < FRESH);
        }
        self.clients.retain(|client| !client.is_late(now));
    }

    /// Takes a stream's bytes from the laptop.
    pub fn from_laptop(&mut self, number: u8, bytes: &[u8], out: &mut Output) -> Result<(), StreamError> {
        let caught = self.stream(number)?.from_laptop(bytes, out)?;
        self.caught.extend(caught);
        Ok(())
    }

    /// Takes the laptop's credit.
    pub fn credited(&mut self, number: u8, bytes: u32) -> Result<(), StreamError> {
        Ok(self.stream(number)?.credited(bytes)?)
    }

    /// Takes the laptop's word that a stream ends.
    pub fn heard_close(&mut self, number: u8, out: &mut Output) -> Result<(), StreamError> {
        self.stream(number)?.heard_close(out)?;
        self.forget(usize::from(number - 1));
        Ok(())
    }

    /// Returns what the filter has caught and was not told yet.
    pub fn caught(&mut self) -> Option<Caught> {
        self.caught.pop()
    }

    /// Ends everything: Amanda sees the end at once, and is told why.
    pub fn end(&mut self, why: &str) {
        self.listener = None;
        self.clients.clear();
        for stream in self.streams.iter_mut().filter_map(Option::take) {
            let mut stream = stream;
            stream.cut(&format!("the session of {} ended: {why}", self.host));
        }
    }

    fn stream(&mut self, number: u8) -> Result<&mut Stream, Breach> {
        let index = usize::from(number).checked_sub(1);
        index.and_then(|index| self.streams.get_mut(index)).and_then(Option::as_mut).ok_or(Breach::NotOpen(number))
    }

    fn forget(&mut self, index: usize) {
        if self.streams[index].as_ref().is_some_and(Stream::is_over) {
            self.streams[index] = None;
        }
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.end("the server gave it up");
    }
}
