//! One Amanda connection: requests come in, each is acknowledged and served in a thread of its own, and its answer goes out.
//!
//! The server asks again when it has not heard for a while, under the same handle; that is acknowledged again, or answered again,
//! and starts nothing. Handles of requests are never closed from here: to Amanda's server that means that the whole connection is
//! used up, and it would open another one.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use amanda::protocol::features::Features;
use amanda::protocol::packet::{Kind as Packets, Packet};
use amanda::protocol::reply;
use amanda::protocol::request::{Request, RequestError, Service};
use amanda::protocol::token::Tokens;

use super::broken::{Asked, ServeError, Why};
use super::children::Children;
use super::lanes::{Lane, Wire};
use super::{Client, Kind, Out, allow, amandad, estimate, selfcheck, sendbackup};

/// Requests that one connection serves at a time; Amanda's server has one or two.
const MAX_SERVED: usize = 8;
/// Requests that one connection may bring.
const MAX_REQUESTS: usize = 1000;
/// How long an answer may stay without an ACK, as for Amanda's client: five tries of ten seconds.
const ACK_WAIT: Duration = Duration::from_secs(50);
/// The first stream's handle, as Amanda's client has it; handles of requests are far below.
const FIRST_STREAM: u32 = 499_999;

/// Serves one Amanda connection from its first byte to its last.
///
/// # Errors
/// When the bytes are not Amanda's, or cannot be read. What had been begun has ended then.
pub fn serve(input: impl Read + Send + 'static, out: Arc<dyn Out>, client: Arc<Client>) -> Result<(), ServeError> {
    if client.rules.kind != Kind::Native {
        return amandad::serve(input, out, client);
    }
    let connection = Connection::new(out, client);
    thread::scope(|scope| {
        let ended = connection.listen(input, |handle, request| {
            let connection = &connection;
            scope.spawn(move || connection.work(handle, &request));
        });
        connection.close();
        ended.map_err(|why| ServeError { asked: connection.state().asked.take(), why })
    })
}

/// What one connection's threads share.
pub struct Connection {
    pub wire: Arc<Wire>,
    pub client: Arc<Client>,
    state: Mutex<State>,
    changed: Condvar,
    next_stream: AtomicU32,
}

#[derive(Default)]
struct State {
    closed: bool,
    /// What was asked for last.
    asked: Option<Asked>,
    exchanges: HashMap<u32, Exchange>,
    /// Streams that are open, and what ends with each.
    streams: HashMap<u32, Arc<Children>>,
    /// Programs that live.
    children: Vec<Arc<Children>>,
}

enum Exchange {
    Working,
    Answered(Packet),
    Done,
}

impl Connection {
    fn new(out: Arc<dyn Out>, client: Arc<Client>) -> Self {
        Self { wire: Wire::new(out), client, state: Mutex::default(), changed: Condvar::new(), next_stream: AtomicU32::new(FIRST_STREAM) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self, mut input: impl Read, mut start: impl FnMut(u32, Request)) -> Result<(), Why> {
        let mut tokens = Tokens::new();
        let mut buffer = vec![0; 32 * 1024];
        loop {
            let read = match input.read(&mut buffer) {
                Ok(0) => return Ok(tokens.finish()?),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Why::Read(error)),
            };
            tokens.feed(&buffer[..read]);
            while let Some(token) = tokens.next_token()? {
                // An answer that cannot be sent: the server is gone, and the next read says so.
                if let Ok(Some(request)) = self.token(token.handle, token.payload) {
                    start(token.handle, request);
                }
            }
        }
    }

    /// Takes one token; returns the request that it brings.
    fn token(&self, handle: u32, payload: &[u8]) -> io::Result<Option<Request>> {
        let mut state = self.state();
        if let Some(dump) = state.streams.get(&handle) {
            // Nothing is ever sent to us on a stream, so it is the end that counts: the server wants no more of this dump.
            dump.kill();
            return Ok(None);
        }
        if payload.is_empty() || is_stream(handle) {
            return Ok(None);
        }
        let Ok(packet) = Packet::parse(payload) else { return Ok(None) };
        match (packet.kind, state.exchanges.get(&handle)) {
            (Packets::Ack, Some(Exchange::Answered(_))) => {
                state.exchanges.insert(handle, Exchange::Done);
                self.changed.notify_all();
                Ok(None)
            }
            (Packets::Req, Some(Exchange::Working | Exchange::Done)) => {
                drop(state);
                self.wire.packet(handle, &Packet::ack()).map(|()| None)
            }
            (Packets::Req, Some(Exchange::Answered(answer))) => {
                let answer = answer.clone();
                drop(state);
                self.wire.packet(handle, &answer).map(|()| None)
            }
            (Packets::Req, None) => {
                let served = state.exchanges.values().filter(|exchange| !matches!(exchange, Exchange::Done)).count();
                if served >= MAX_SERVED || state.exchanges.len() >= MAX_REQUESTS {
                    drop(state);
                    return self.refuse(handle, b"this client is asked for too much at once");
                }
                drop(state);
                self.request(handle, &packet.body)
            }
            _ => Ok(None),
        }
    }

    fn request(&self, handle: u32, body: &[u8]) -> io::Result<Option<Request>> {
        match Request::parse(body) {
            Ok(request) => {
                self.wire.packet(handle, &Packet::ack())?;
                let mut state = self.state();
                state.asked = Some(Asked::of(&request));
                state.exchanges.insert(handle, Exchange::Working);
                Ok(Some(request))
            }
            Err(RequestError::UnknownService(name)) => {
                self.client.watch.refused(&format!("service {name}: a server gets noop, selfcheck, sendsize and sendbackup here"));
                self.wire.packet(handle, &Packet::new(Packets::Nak, reply::unknown_service(&name))).map(|()| None)
            }
            Err(error) => {
                let words = words(&error);
                self.client.watch.refused(&words);
                self.refuse(handle, words.as_bytes())
            }
        }
    }

    fn refuse(&self, handle: u32, words: &[u8]) -> io::Result<Option<Request>> {
        self.wire.packet(handle, &Packet::new(Packets::Nak, reply::error(words))).map(|()| None)
    }

    /// Serves one request. What cannot be sent needs no answer: the server is gone.
    fn work(&self, handle: u32, request: &Request) {
        let (rules, options) = (&self.client.rules, &request.options);
        if let Err(refusal) = allow::host(rules, options).and_then(|()| allow::config(rules, request.service, options)) {
            self.client.watch.refused(&refusal.to_string());
            self.answer(handle, reply::error(format!("[{refusal}]").as_bytes()));
            return;
        }
        match request.service {
            Service::Noop => self.answer(handle, reply::noop(&Features::ours())),
            Service::Selfcheck => self.answer(handle, selfcheck::check(&self.client, request).print()),
            Service::Sendsize => {
                let Some(children) = self.children() else { return };
                let reply = estimate::estimate(&self.client, request, &children);
                self.forget(&children);
                self.answer(handle, reply.print());
            }
            Service::Sendbackup => sendbackup::serve(self, handle, request),
        }
    }

    /// Sends the answer to a request.
    pub fn answer(&self, handle: u32, body: Vec<u8>) {
        let answer = Packet::new(Packets::Rep, body);
        let mut state = self.state();
        if !state.closed {
            state.exchanges.insert(handle, Exchange::Answered(answer.clone()));
            drop(state);
            let _gone = self.wire.packet(handle, &answer);
        }
    }

    /// Waits until the server has acknowledged the answer; false when it never will.
    pub fn acknowledged(&self, handle: u32) -> bool {
        let waiting = |state: &mut State| !state.closed && matches!(state.exchanges.get(&handle), Some(Exchange::Answered(_)));
        let (state, timeout) = self.changed.wait_timeout_while(self.state(), ACK_WAIT, waiting).unwrap_or_else(PoisonError::into_inner);
        !state.closed && !timeout.timed_out()
    }

    /// Returns a place for the programs of one request; none when the connection is over.
    pub fn children(&self) -> Option<Arc<Children>> {
        let mut state = self.state();
        if state.closed {
            return None;
        }
        let children = Arc::new(Children::default());
        state.children.push(Arc::clone(&children));
        Some(children)
    }

    /// Forgets programs that have ended, and their streams.
    pub fn forget(&self, children: &Arc<Children>) {
        let mut state = self.state();
        state.children.retain(|other| !Arc::ptr_eq(other, children));
        state.streams.retain(|_, other| !Arc::ptr_eq(other, children));
    }

    /// Returns a new stream's handle. When the server ends the stream, these programs end.
    pub fn stream(&self, children: &Arc<Children>) -> u32 {
        let handle = self.next_stream.fetch_sub(1, Ordering::Relaxed);
        self.state().streams.insert(handle, Arc::clone(children));
        handle
    }

    /// Sends what there is on a stream and ends it.
    pub fn end(&self, stream: Option<u32>, lane: &mut Lane) -> io::Result<()> {
        if let Some(stream) = stream {
            self.ended(stream);
        }
        lane.finish()
    }

    /// Says, beforehand, that a stream is ended from here: the server ends it too, and that is no more than an echo. Tells whether it
    /// was open.
    pub fn ended(&self, stream: u32) -> bool {
        self.state().streams.remove(&stream).is_some()
    }

    /// Ends streams that are still open, as they are. Amanda's server waits for the end of each.
    pub fn cut(&self, streams: impl Iterator<Item = u32>) -> io::Result<()> {
        streams.filter(|stream| self.ended(*stream)).try_for_each(|stream| self.wire.token(stream, &[]))
    }

    fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.children.iter().for_each(|children| children.kill());
        self.changed.notify_all();
    }
}

/// Handles that this side gives out: at most [`MAX_REQUESTS`] dumps of four streams each.
fn is_stream(handle: u32) -> bool {
    (10_000..=FIRST_STREAM).contains(&handle)
}

/// An error and what is behind it, in a sentence.
pub fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        words.push_str(": ");
        words.push_str(&error.to_string());
        behind = error.source();
    }
    words
}
