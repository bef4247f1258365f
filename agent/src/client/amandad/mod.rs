//! `client = "amandad"`: the installed amandad answers, for what this program does not do itself (applications, scripts, encryption).
//!
//! Requests pass the same gate and are written anew from what was understood of them, so that amandad reads nothing that we did not, and
//! with what agent.toml leaves out.
//! Its answers go out as they are. Before a dump, what Amanda's client is about to change is kept; the checksum
//! that it sends along is written down before the server hears the end of the dump.

mod excludes;
mod gate;
pub mod keeper;
mod program;

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write as _};
use std::process::ChildStdin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use amanda::lines::Lines;
use amanda::protocol::mesg::Line;
use amanda::protocol::packet::{Kind as Packets, Packet};
use amanda::protocol::reply::{self, Sendbackup};
use amanda::protocol::token::{self, Tokens};
use wire::DiskName;

use super::broken::{Asked, ServeError, Why};
use super::children::Children;
use super::connection::words;
use super::lanes::Wire;
use super::state::{Living, Pending};
use super::{Client, Out};
use gate::Passed;

/// Requests that one connection may bring.
const MAX_REQUESTS: usize = 1000;

/// Serves one connection with the installed amandad.
pub fn serve(input: impl Read + Send + 'static, out: Arc<dyn Out>, client: Arc<Client>) -> Result<(), ServeError> {
    let relay = Arc::new(Relay { wire: Wire::new(out), client, state: Mutex::default() });
    let served = relayed(input, &relay);
    relay.over();
    served.map_err(|why| ServeError { asked: relay.state().asked.take(), why })
}

fn relayed(input: impl Read + Send + 'static, relay: &Arc<Relay>) -> Result<(), Why> {
    let children = Arc::new(Children::default());
    let mut child = program::start(&relay.client.rules.kind, &children).map_err(Why::Amandad)?;
    // Dropped when amandad has ended; or, when this process is killed, its pipe is.
    let _keeper = match keeper::Keeper::start(&child) {
        Ok(keeper) => keeper,
        Err(error) => {
            program::end(child.id(), &children);
            children.wait(&mut child).map_err(Why::Amandad)?;
            return Err(Why::Amandad(error));
        }
    };
    let stdin = child.stdin.take().expect("it was asked for");
    let stdout = child.stdout.take().expect("it was asked for");
    // Not waited for: when amandad ends by itself nothing more comes in, and this thread ends when the connection is closed.
    let inwards = {
        let (relay, children, leader) = (Arc::clone(relay), Arc::clone(&children), child.id());
        move || {
            let ended = relay.inwards(input, stdin);
            program::end(leader, &children);
            ended
        }
    };
    let inwards = thread::spawn(inwards);
    let outwards = relay.outwards(stdout);
    if !matches!(outwards, Ok(Ended::Amandad)) {
        program::end(child.id(), &children);
    }
    children.wait(&mut child).map_err(Why::Amandad)?;
    let inwards = if inwards.is_finished() { inwards.join().unwrap_or(Ok(())) } else { Ok(()) };
    inwards.and(outwards.map(drop))
}

/// Who ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Amandad,
    Server,
}

struct Relay {
    wire: Arc<Wire>,
    client: Arc<Client>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What was asked for last.
    asked: Option<Asked>,
    /// Handles of requests that amandad has.
    requests: HashMap<u32, Begun>,
    /// Streams of dumps that go on: what they carry, and for which request.
    streams: HashMap<u32, (Carries, u32)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Carries {
    Data,
    Messages,
    Names,
    Other,
}

/// A request that amandad has.
struct Begun {
    /// As it came: what comes again under its handle must be the same.
    body: Vec<u8>,
    dump: Option<Dump>,
}

/// A dump that amandad makes.
struct Dump {
    disk: DiskName,
    level: u8,
    /// What was kept; none for a dump without record.
    pending: Option<Pending>,
    /// Held until amandad has ended: until then its state may still move, whatever receipts say.
    living: Option<Living>,
    lines: Lines,
    sent: u64,
    files: u64,
    /// The last word about it.
    ended: Option<String>,
}

impl Relay {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From the server to amandad.
    fn inwards(&self, mut input: impl Read, mut amandad: ChildStdin) -> Result<(), Why> {
        let mut tokens = Tokens::new();
        let mut buffer = vec![0; 32 * 1024];
        loop {
            let read = match input.read(&mut buffer) {
                Ok(0) => return Ok(tokens.finish()?),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Why::Read(error)),
            };
            tokens.feed(&buffer[..read]);
            while let Some(token) = tokens.next_token()? {
                // What cannot be written or answered: one of the two has gone, and the other direction notices.
                let Ok(passed) = self.let_in(token.handle, token.payload) else { return Ok(()) };
                if let Some(payload) = passed {
                    let mut bytes = Vec::with_capacity(token::HEADER + payload.len());
                    token::put(&mut bytes, token.handle, &payload);
                    if amandad.write_all(&bytes).is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Returns what amandad gets of one token.
    fn let_in(&self, handle: u32, payload: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let known = {
            let state = self.state();
            if state.streams.contains_key(&handle) {
                return Ok(Some(payload.to_vec()));
            }
            state.requests.contains_key(&handle)
        };
        if payload.is_empty() {
            return Ok(known.then(Vec::new));
        }
        let Ok(packet) = Packet::parse(payload) else { return Ok(None) };
        if packet.kind != Packets::Req {
            return Ok((known && packet.kind == Packets::Ack).then(|| payload.to_vec()));
        }
        if self.state().requests.get(&handle).is_some_and(|begun| begun.body != packet.body) {
            // Not one that was let in and kept for.
            let words = "the server's Amanda asks for something else under a handle that it has used already";
            self.client.watch.refused(words);
            return self.wire.packet(handle, &Packet::new(Packets::Nak, reply::error(words.as_bytes()))).map(|()| None);
        }
        match gate::pass(&self.client, &packet.body) {
            Passed::Answer(kind, body) => {
                if kind == Packets::Rep {
                    self.wire.packet(handle, &Packet::ack())?;
                }
                self.wire.packet(handle, &Packet::new(kind, body)).map(|()| None)
            }
            Passed::On { asked, body, dump } => {
                self.state().asked = Some(asked);
                if !known {
                    let full = self.state().requests.len() >= MAX_REQUESTS;
                    let kept = dump.map(|dump| gate::keep(&self.client, &dump)).transpose();
                    let kept = if full { Err(super::allow::Refusal::new("this client is asked for too much")) } else { kept };
                    match kept {
                        Ok(dump) => drop(self.state().requests.insert(handle, Begun { body: packet.body, dump })),
                        Err(refusal) => {
                            self.client.watch.refused(&refusal.to_string());
                            self.wire.packet(handle, &Packet::ack())?;
                            let body = Sendbackup::Error(format!("[{refusal}]").into_bytes()).print();
                            return self.wire.packet(handle, &Packet::new(Packets::Rep, body)).map(|()| None);
                        }
                    }
                }
                Ok(Some(Packet::new(Packets::Req, body).print()))
            }
        }
    }

    /// From amandad to the server.
    fn outwards(&self, mut amandad: impl Read) -> Result<Ended, Why> {
        let mut tokens = Tokens::with_limit(token::MAX_PAYLOAD);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = match amandad.read(&mut buffer) {
                Ok(0) => return Ok(Ended::Amandad),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Why::Amandad(error)),
            };
            tokens.feed(&buffer[..read]);
            while let Some(token) = tokens.next_token().map_err(Why::AmandadsTokens)? {
                self.overhear(token.handle, token.payload);
                if self.wire.token(token.handle, token.payload).is_err() {
                    return Ok(Ended::Server);
                }
            }
        }
    }

    /// Looks at what amandad says, before the server hears it.
    fn overhear(&self, handle: u32, payload: &[u8]) {
        let mut state = self.state();
        let State { requests, streams, .. } = &mut *state;
        if let Some(&(carries, request)) = streams.get(&handle) {
            if let Some(Begun { dump: Some(dump), .. }) = requests.get_mut(&request) {
                dump.hears(&self.client, carries, payload);
            }
        } else if let Some(Begun { dump: Some(dump), .. }) = requests.get_mut(&handle)
            && let Ok(Packet { kind: Packets::Rep, body }) = Packet::parse(payload)
        {
            match Sendbackup::parse(&body) {
                Ok(Sendbackup::Connect { streams: named, .. }) => {
                    for stream in named.handles() {
                        let carries = match stream {
                            stream if stream == named.data => Carries::Data,
                            stream if stream == named.mesg => Carries::Messages,
                            stream if Some(stream) == named.index => Carries::Names,
                            _ => Carries::Other,
                        };
                        streams.insert(stream, (carries, handle));
                    }
                    self.client.watch.dumping(&dump.disk, dump.level);
                }
                // Nothing was begun, so nothing has moved.
                _ => dump.forget(&self.client),
            }
        }
    }

    /// The connection is over: what has not ended well is left for the receipts to decide.
    fn over(&self) {
        for dump in self.state().requests.values_mut().filter_map(|begun| begun.dump.as_mut()) {
            let how = dump.ended.take().unwrap_or_else(|| "the connection has ended".to_owned());
            dump.living = None;
            self.client.watch.ended(&dump.disk, &how);
        }
    }
}

impl Dump {
    fn hears(&mut self, client: &Client, carries: Carries, payload: &[u8]) {
        match carries {
            Carries::Data => self.sent += payload.len() as u64,
            Carries::Names => self.files += payload.iter().filter(|byte| **byte == b'\n').count() as u64,
            Carries::Messages => {
                let Self { pending, lines, ended, .. } = self;
                lines.feed(payload, |line| match Line::parse(line) {
                    Line::ClientCrc(crc) => {
                        if let Some(kept) = pending.as_mut() {
                            match client.state.told(kept, crc) {
                                Ok(told) => *kept = told,
                                // Without it no receipt fits, and the state is put back: the next dump is larger, not wrong.
                                Err(error) => client.watch.refused(&words(&error)),
                            }
                        }
                    }
                    Line::Error(text) => *ended = Some(amanda::escape::printable(text)),
                    Line::End => *ended = Some("sent".to_owned()),
                    _ => {}
                });
            }
            Carries::Other => {}
        }
        client.watch.moved(&self.disk, self.sent, self.sent, self.files);
    }

    fn forget(&mut self, client: &Client) {
        if let Some(kept) = self.pending.take() {
            let _next_time = client.state.discard(&kept);
        }
        self.ended = Some("refused by amandad".to_owned());
    }
}
