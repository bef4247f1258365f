//! What of an Amanda connection may pass: a dump is data, and what it says about itself chooses no program on the server.
//!
//! Amanda's requests pass and are read: they tell which handles are in use, and what the dumptype implies ([`exchanges`]); a
//! check is asked for in lines ([`plain`]). What the laptop says passes only on those handles and on the streams that its answer
//! to a request for a dump names. Answers are read and printed anew ([`answers`]). The dump's own bytes go through as they came,
//! without being copied; the lines of its message stream are looked at one by one ([`messages`]).
//! Nothing is kept beyond one packet and one line.

mod answers;
mod exchanges;
mod messages;
mod plain;
#[cfg(test)]
mod tests;

use amanda::protocol::token::{HEADER, MAX_HANDLE, MAX_PAYLOAD, header};
use exchanges::{Answer, Exchanges};
use messages::{Messages, error_line};
use plain::Plain;

/// The longest name in an index: a path of 4096 bytes, each of them spelled as `\ooo`.
const MAX_NAME: usize = 4 * 4096 + 2;

/// Why a stream is ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; the connection was ended")]
pub struct Caught(String);

impl Caught {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// What a stream of the laptop's carries.
#[derive(Debug)]
enum Kind {
    /// The dump: any bytes, after its header.
    Dump {
        /// Its messages.
        mesg: u32,
        /// Its end came before its header was complete, and was kept back.
        ended: bool,
    },
    /// The application's state: any bytes.
    State,
    /// Names, each in a line; so much of the last one came.
    Names(usize),
    /// Lines about the dump.
    Messages(Box<Messages>),
}

/// Where in a token of the laptop's we are.
#[derive(Debug)]
enum Place {
    /// In its header, of which this came.
    Header(Vec<u8>),
    /// In the payload of a stream.
    Stream { handle: u32, left: usize },
    /// In a packet.
    Packet { handle: u32, left: usize, payload: Vec<u8> },
}

/// Follows one Amanda connection.
#[derive(Debug)]
pub struct Filter {
    plain: Plain,
    exchanges: Exchanges,
    streams: Vec<(u32, Kind)>,
    place: Place,
    /// What was emitted ends inside a token.
    inside: bool,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            plain: Plain::default(),
            exchanges: Exchanges::default(),
            streams: Vec::new(),
            place: Place::Header(Vec::new()),
            inside: false,
        }
    }
}

impl Filter {
    /// Follows what Amanda says; all of it passes, as it is when this returns.
    pub fn from_amanda(&mut self, bytes: &mut [u8]) -> Result<(), Caught> {
        self.plain.mask(bytes);
        self.exchanges.asked(bytes)
    }

    /// Follows what the laptop says; what may pass is emitted, in pieces of any length. When something is caught, what was
    /// emitted ends in a way that makes Amanda's dumper fail at once, as far as there was a dump.
    pub fn from_laptop(&mut self, bytes: &[u8], emit: &mut dyn FnMut(&[u8])) -> Result<(), Caught> {
        let verdict = self.pass(bytes, emit);
        if let Err(caught) = &verdict
            && !self.inside
        {
            self.fail(caught, emit);
        }
        verdict
    }

    fn pass(&mut self, bytes: &[u8], emit: &mut dyn FnMut(&[u8])) -> Result<(), Caught> {
        // What passes is emitted in as few pieces as can be: bytes[begun..at] pass and were not emitted yet.
        let (mut begun, mut at) = (0, 0);
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.place {
                Place::Header(part) => {
                    if part.is_empty()
                        && let Some(whole) = rest.first_chunk::<HEADER>()
                    {
                        let passes = self.begin(*whole, emit, &bytes[begun..at])?;
                        at += HEADER;
                        if !passes {
                            begun = at;
                        }
                        continue;
                    }
                    emit_some(emit, &bytes[begun..at]);
                    let taken = rest.len().min(HEADER - part.len());
                    part.extend_from_slice(&rest[..taken]);
                    at += taken;
                    begun = at;
                    if let Some(whole) = part.first_chunk::<HEADER>().copied()
                        && self.begin(whole, emit, &[])?
                    {
                        emit(&whole);
                    }
                }
                Place::Stream { handle, left } => {
                    let (handle, taken) = (*handle, rest.len().min(*left));
                    *left -= taken;
                    if *left == 0 {
                        self.place = Place::Header(Vec::new());
                    }
                    let piece = &rest[..taken];
                    match self.streams.iter_mut().find(|(open, _)| *open == handle).map(|(_, kind)| kind) {
                        Some(Kind::Dump { .. } | Kind::State) => {}
                        Some(Kind::Names(long)) => {
                            let longest = names(piece, *long);
                            self.inside = longest.is_err();
                            *long = longest?;
                        }
                        Some(Kind::Messages(messages)) => {
                            // Whole lines make a token of their own.
                            emit_some(emit, &bytes[begun..at]);
                            begun = at + taken;
                            let mut lines = Vec::with_capacity(taken);
                            let verdict = messages.take(piece, &mut lines);
                            emit_token(emit, handle, &lines);
                            verdict?;
                            self.let_go(emit);
                        }
                        None => begun = at + taken,
                    }
                    at += taken;
                }
                Place::Packet { handle, left, payload } => {
                    emit_some(emit, &bytes[begun..at]);
                    let taken = rest.len().min(*left);
                    payload.extend_from_slice(&rest[..taken]);
                    *left -= taken;
                    at += taken;
                    begun = at;
                    if *left == 0 {
                        let (handle, payload) = (*handle, std::mem::take(payload));
                        self.place = Place::Header(Vec::new());
                        let passes = self.packet(handle, &payload)?;
                        emit_token(emit, handle, &passes);
                    }
                }
            }
        }
        emit_some(emit, &bytes[begun..at]);
        Ok(())
    }

    /// Begins a token; tells whether its header passes as it came. `before` is emitted first when something else is.
    fn begin(&mut self, whole: [u8; HEADER], emit: &mut dyn FnMut(&[u8]), before: &[u8]) -> Result<bool, Caught> {
        let [a, b, c, d, e, f, g, h] = whole;
        let (announced, handle) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        let left = usize::try_from(announced).ok().filter(|length| *length <= MAX_PAYLOAD);
        let Some(left) = left.filter(|_| (1..=MAX_HANDLE).contains(&handle)) else {
            emit_some(emit, before);
            return Err(Caught::new(format!(
                "the laptop announced {announced} bytes for the handle {handle}, which is none of Amanda's tokens"
            )));
        };
        self.place = Place::Header(Vec::new());
        let position = self.streams.iter().position(|(open, _)| *open == handle);
        if let Some(position) = position
            && let Kind::Dump { mesg, ended } = self.streams[position].1
            && (ended || self.wants_header(mesg))
        {
            // Amanda's dumper dies of a dump, or of its end, that comes before the header is complete.
            emit_some(emit, before);
            if left > 0 {
                return Err(Caught::new("the laptop sent its dump before the dump's header was complete"));
            }
            self.streams[position].1 = Kind::Dump { mesg, ended: true };
            return Ok(false);
        }
        match position {
            Some(position) if left == 0 => {
                if let Kind::Messages(messages) = &mut self.streams[position].1 {
                    let mut lines = Vec::new();
                    let verdict = messages.end(&mut lines);
                    emit_some(emit, before);
                    emit_token(emit, handle, &lines);
                    verdict?;
                    emit(&end_of(handle));
                }
                let (_, kind) = self.streams.swap_remove(position);
                self.let_go(emit);
                Ok(!matches!(kind, Kind::Messages(_)))
            }
            Some(position) => {
                self.place = Place::Stream { handle, left };
                let passes = !matches!(self.streams[position].1, Kind::Messages(_));
                if !passes {
                    emit_some(emit, before);
                }
                Ok(passes)
            }
            None if left > 0 => {
                emit_some(emit, before);
                let Some(longest) = self.exchanges.longest(handle) else {
                    return Err(Caught::new(format!("the laptop sent {left} bytes for the handle {handle}, which nobody has opened")));
                };
                if left > longest {
                    return Err(Caught::new(format!("the laptop announced an answer of {left} bytes, and {longest} are enough for it")));
                }
                self.place = Place::Packet { handle, left, payload: Vec::new() };
                Ok(false)
            }
            // Amanda's own client closes a request's handle, and Amanda passes over it.
            None => {
                let passes = self.exchanges.knows(handle);
                if !passes {
                    emit_some(emit, before);
                }
                Ok(passes)
            }
        }
    }

    /// Looks at a packet, which may open a dump's streams; returns what passes of it.
    fn packet(&mut self, handle: u32, payload: &[u8]) -> Result<Vec<u8>, Caught> {
        let Answer { passes, opens } = self.exchanges.answered(handle, payload)?;
        let Some((dle, streams)) = opens else { return Ok(passes) };
        if streams.handles().any(|handle| self.streams.iter().any(|(open, _)| *open == handle)) {
            return Err(Caught::new("the laptop named a stream that is in use"));
        }
        let state = streams.state.flatten();
        self.streams.push((streams.data, Kind::Dump { mesg: streams.mesg, ended: false }));
        self.streams.extend(state.map(|handle| (handle, Kind::State)));
        self.streams.extend(streams.index.map(|handle| (handle, Kind::Names(0))));
        self.streams.push((streams.mesg, Kind::Messages(Box::new(Messages::new(dle)))));
        Ok(passes)
    }

    /// Tells whether a dump's header is not complete.
    fn wants_header(&self, mesg: u32) -> bool {
        self.streams.iter().any(|(open, kind)| *open == mesg && matches!(kind, Kind::Messages(messages) if !messages.is_complete()))
    }

    /// Lets the end of a dump go that was kept back, now that its header is complete or will never be.
    fn let_go(&mut self, emit: &mut dyn FnMut(&[u8])) {
        let ready = |(_, kind): &(u32, Kind)| matches!(kind, Kind::Dump { mesg, ended: true } if !self.wants_header(*mesg));
        if let Some(position) = self.streams.iter().position(ready) {
            let (handle, _) = self.streams.swap_remove(position);
            emit(&end_of(handle));
        }
    }

    /// Nothing more comes from the laptop. A dump that is on its way fails, with this reason in Amanda's report.
    pub fn cut(&mut self, why: &str, emit: &mut dyn FnMut(&[u8])) {
        let begun = match self.place {
            Place::Stream { handle, left } => self.streams.iter().find(|(open, _)| *open == handle).map(|(_, kind)| (kind, left)),
            Place::Header(_) | Place::Packet { .. } => None,
        };
        if let Some((Kind::Dump { .. } | Kind::State | Kind::Names(_), left)) = begun {
            // The token is filled up, or what follows would be taken for its rest.
            emit(&vec![0; left]);
        }
        self.place = Place::Header(Vec::new());
        if !std::mem::take(&mut self.inside) {
            self.fail(&Caught::new(why), emit);
        }
    }

    /// Ends all dumps in a way that Amanda's dumper waits for nothing more: it counts the error line as the dump's end, and is
    /// done when all streams are. The messages come first, since it dies of a dump that ends before its header.
    fn fail(&mut self, caught: &Caught, emit: &mut dyn FnMut(&[u8])) {
        let (messages, others): (Vec<_>, Vec<_>) = self.streams.drain(..).partition(|(_, kind)| matches!(kind, Kind::Messages(_)));
        for (handle, _) in messages {
            emit_token(emit, handle, &error_line(&caught.0));
            emit(&end_of(handle));
        }
        for (handle, _) in others {
            emit(&end_of(handle));
        }
    }
}

/// What ends a handle.
fn end_of(handle: u32) -> [u8; HEADER] {
    header(handle, 0)
}

fn emit_some(emit: &mut dyn FnMut(&[u8]), bytes: &[u8]) {
    if !bytes.is_empty() {
        emit(bytes);
    }
}

fn emit_token(emit: &mut dyn FnMut(&[u8]), handle: u32, payload: &[u8]) {
    // Lines that were looked at may be a little longer than what came, and are still far from what Amanda takes.
    for piece in payload.chunks(MAX_PAYLOAD) {
        emit(&header(handle, piece.len() as u32));
        emit(piece);
    }
}

/// Looks at a piece of an index; returns how long its last name is so far.
fn names(piece: &[u8], before: usize) -> Result<usize, Caught> {
    let mut long = before;
    for (at, name) in piece.split(|byte| *byte == b'\n').enumerate() {
        long = if at == 0 { before + name.len() } else { name.len() };
        if long > MAX_NAME {
            return Err(Caught::new(format!("the laptop's index has a name of more than {MAX_NAME} bytes")));
        }
    }
    Ok(long)
}
