//! One connection to a client: requests under handles that count up from 1, their answers, and the tokens of streams.
//!
//! Over a stream nothing is lost, so nothing is asked twice. What a client says twice does no harm: an answer that comes again is
//! acknowledged again. But what says nothing (an ACK, an end that was there before) does not count as a sign of life, and there is a limit to it.

use std::io::{self, BufRead, ErrorKind};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use amanda::protocol::features::Features;
use amanda::protocol::packet::{Kind, Packet};
use amanda::protocol::reply::{self, ReplyError};
use amanda::protocol::request::{Options, Request, Service};
use amanda::protocol::token::{self, HEADER, MAX_HANDLE, MAX_PAYLOAD, TokenError};

use super::Broken;
use super::broken::clients_words;
use super::pulse::{Pulse, Way};

/// Tokens that say nothing.
const MAX_NOISE: u32 = 10_000;
/// What an answer may have beside its disks, and for each of them: twice what a client has to say.
const LONGEST: usize = 64 * 1024;
const LONGEST_DISK: usize = 4 * 1024;
/// What is shown of a first word that is none of Amanda's.
const SHOWN: usize = 80;

/// What this server understands: what our own client does. Not among it is `selfcheck_message`, since checks are read in lines, and
/// `sendbackup_stream_state`, since no program here has a state.
#[must_use]
pub fn offered() -> Features {
    Features::ours()
}

/// A client.
pub struct Peer {
    from: Box<dyn BufRead + Send>,
    to: Way,
    pulse: Arc<Pulse>,
    features: Features,
    next: u32,
    noise: u32,
    /// Something of Amanda's has come.
    known: bool,
}

/// What is left to be read of a token's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Token {
    /// Whom it is for.
    pub handle: u32,
    /// Its length; 0 ends the handle.
    pub length: usize,
}

impl Peer {
    pub(super) fn new(from: Box<dyn BufRead + Send>, to: Way, pulse: Arc<Pulse>) -> Self {
        Self { from, to, pulse, features: Features::default(), next: 1, noise: 0, known: false }
    }

    /// Returns what the client understands: nothing before [`Self::noop`].
    #[must_use]
    pub fn features(&self) -> Features {
        self.features
    }

    /// Asks the client what it understands, and keeps it.
    ///
    /// # Errors
    /// When it does not say so within `patience`.
    pub fn noop(&mut self, patience: Duration) -> Result<Features, Broken> {
        let options = Options { features: Some(offered()), ..Options::default() };
        let answer = self.ask(&Request { service: Service::Noop, options, dles: Vec::new() }, patience)?;
        let understood = reply::parse_noop(&answer).map_err(|why| Broken::Answer { service: Service::Noop.name(), why })?;
        self.features = understood.features.unwrap_or_default();
        Ok(self.features)
    }

    /// Asks for a service and returns the body of the answer, acknowledged.
    ///
    /// # Errors
    /// When there is no answer, or a NAK or an ERROR in its place.
    pub fn ask(&mut self, request: &Request, patience: Duration) -> Result<Vec<u8>, Broken> {
        let handle = self.next;
        self.next += 1;
        let what = match request.service {
            Service::Noop => "the answer to noop",
            Service::Selfcheck => "the answer to selfcheck",
            Service::Sendsize => "the answer to sendsize",
            Service::Sendbackup => "the answer to sendbackup",
        };
        self.pulse.expect(what, patience);
        self.say(handle, &Packet::new(Kind::Req, request.print()).print()).map_err(Broken::Failed)?;
        let longest = LONGEST + LONGEST_DISK * request.dles.len();
        loop {
            let token = self.token(what)?;
            if token.handle != handle || token.length == 0 {
                self.stray(token)?;
                continue;
            }
            let packet = self.packet(token.length, longest)?;
            match packet.kind {
                // A part of an answer comes again in the whole.
                Kind::Ack | Kind::Prep => self.noise()?,
                Kind::Req => return Err(Broken::Misplaced(packet.kind)),
                Kind::Nak => return Err(refused(request.service, &packet.body)),
                Kind::Rep => {
                    self.say(handle, &Packet::ack().print()).map_err(Broken::Failed)?;
                    if packet.body.starts_with(b"ERROR ") {
                        return Err(refused(request.service, &packet.body));
                    }
                    return Ok(packet.body);
                }
            }
        }
    }

    /// From now on pieces of streams are waited for, each of them so long.
    pub fn listen(&mut self, patience: Duration) {
        self.pulse.expect("the next piece of the dump", patience);
    }

    /// Returns the next token that is for one of these streams. Its payload has to be taken with [`Self::payload`].
    ///
    /// # Errors
    /// When the connection ends, or something comes that belongs nowhere.
    pub fn next(&mut self, is_stream: impl Fn(u32) -> bool) -> Result<Token, Broken> {
        loop {
            let token = self.token("the dump's end")?;
            if is_stream(token.handle) {
                return Ok(token);
            }
            self.stray(token)?;
        }
    }

    /// Gives a token's payload to `each`, in pieces as they come, out of the connection's own buffer.
    ///
    /// # Errors
    /// When the connection ends within it, or `each` says so.
    pub fn payload<E: From<Broken>>(&mut self, token: Token, mut each: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut left = token.length;
        while left > 0 {
            let buffer = fill(&mut *self.from).map_err(Broken::Failed)?;
            if buffer.is_empty() {
                return Err(Broken::Token(TokenError::Cut { missing: left }).into());
            }
            let taken = buffer.len().min(left);
            self.pulse.beat();
            each(&buffer[..taken])?;
            self.from.consume(taken);
            left -= taken;
        }
        Ok(())
    }

    /// So many more bytes of the dump have been taken.
    pub fn moved(&self, bytes: u64) {
        self.pulse.moved(bytes);
    }

    /// Ends a stream that the client has ended, as Amanda's server does. A client that has left meanwhile misses nothing.
    pub fn echo(&self, stream: u32) {
        let _gone = self.say(stream, &[]);
    }

    /// Something came that says nothing.
    ///
    /// # Errors
    /// When it is too much.
    pub fn noise(&mut self) -> Result<(), Broken> {
        self.noise += 1;
        if self.noise > MAX_NOISE { Err(Broken::Noise) } else { Ok(()) }
    }

    fn say(&self, handle: u32, payload: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        token::put(&mut bytes, handle, payload);
        let mut way = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        let way = way.as_mut().ok_or(ErrorKind::ConnectionAborted)?;
        way.write_all(&bytes)?;
        way.flush()
    }

    /// Takes a token that nobody waits for: one of an earlier request, or one that says nothing.
    fn stray(&mut self, token: Token) -> Result<(), Broken> {
        self.noise()?;
        if token.length == 0 {
            return Ok(());
        }
        if token.handle >= self.next {
            return Err(Broken::Unopened { handle: token.handle, length: token.length });
        }
        if self.packet(token.length, LONGEST)?.kind == Kind::Rep {
            // Our acknowledgement was late.
            self.say(token.handle, &Packet::ack().print()).map_err(Broken::Failed)?;
        }
        Ok(())
    }

    /// Reads a packet, whose length is checked before memory is taken for it.
    fn packet(&mut self, length: usize, longest: usize) -> Result<Packet, Broken> {
        if length > longest {
            return Err(Broken::Long { length, longest });
        }
        let mut payload = Vec::with_capacity(length);
        while payload.len() < length {
            let buffer = fill(&mut *self.from).map_err(Broken::Failed)?;
            if buffer.is_empty() {
                return Err(Broken::Token(TokenError::Cut { missing: length - payload.len() }));
            }
            let taken = buffer.len().min(length - payload.len());
            payload.extend_from_slice(&buffer[..taken]);
            self.from.consume(taken);
        }
        Packet::parse(&payload).map_err(Broken::Packet)
    }

    /// Reads the header of the next token.
    fn token(&mut self, what: &'static str) -> Result<Token, Broken> {
        let mut header = [0; HEADER];
        let (mut filled, mut more) = (0, 0);
        while filled < HEADER {
            if self.pulse.is_given_up() {
                return Err(Broken::Failed(ErrorKind::TimedOut.into()));
            }
            let buffer = fill(&mut *self.from).map_err(Broken::Failed)?;
            if buffer.is_empty() {
                return Err(match filled {
                    0 => Broken::Ended(what),
                    _ if !self.known => Broken::Stranger(clients_words(&header[..filled])),
                    _ => Broken::Token(TokenError::Cut { missing: HEADER - filled }),
                });
            }
            let taken = buffer.len().min(HEADER - filled);
            header[filled..filled + taken].copy_from_slice(&buffer[..taken]);
            more = buffer.len() - taken;
            self.from.consume(taken);
            filled += taken;
        }
        let [a, b, c, d, e, f, g, h] = header;
        let (announced, handle) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        let length = usize::try_from(announced).ok().filter(|length| *length <= MAX_PAYLOAD);
        let wrong = match length {
            None => TokenError::TooLong { announced, limit: MAX_PAYLOAD },
            Some(_) if !(1..=MAX_HANDLE).contains(&handle) => TokenError::Handle(handle),
            Some(length) => {
                self.known = true;
                return Ok(Token { handle, length });
            }
        };
        if self.known {
            return Err(Broken::Token(wrong));
        }
        // A login shell's greeting, or a program's complaint: whoever reads this wants to see it. Only what is there already.
        let mut said = header.to_vec();
        if more > 0
            && let Ok(more) = fill(&mut *self.from)
        {
            said.extend(&more[..more.len().min(SHOWN - HEADER)]);
        }
        Err(Broken::Stranger(clients_words(&said)))
    }
}

fn fill(from: &mut (dyn BufRead + Send)) -> io::Result<&[u8]> {
    // The borrow of a buffer that is returned would last over the loop, so it is asked for once more.
    loop {
        match from.fill_buf() {
            Ok(_) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    from.fill_buf()
}

/// The words of a client that refuses.
fn refused(service: Service, body: &[u8]) -> Broken {
    match reply::parse_errors(body) {
        Ok(texts) => Broken::Refused(texts.iter().map(|text| clients_words(text)).collect::<Vec<_>>().join("; ")),
        Err(why @ ReplyError::Cut) if !body.contains(&b'\n') => {
            // Without its newline it says the same.
            let text = body.strip_prefix(b"ERROR ").map(clients_words);
            text.map_or(Broken::Answer { service: service.name(), why }, Broken::Refused)
        }
        Err(why) => Broken::Answer { service: service.name(), why },
    }
}
