//! What of an Amanda connection may pass: a dump is data, and what it says about itself chooses no program on the server.
//!
//! Amanda's requests pass and are read: they tell which handles are in use, and what the dumptype implies (`exchanges`); a
//! check is asked for in lines (`plain`). What the laptop says passes only on those handles and on the streams that its answer
//! to a request for a dump names. Answers are read and printed anew (`answers`). The dump's own bytes go through as they came,
//! without being copied; its names (`names`) and the lines of its message stream (`messages`) are looked at one by one.
//! Nothing is kept beyond one packet and one line.

mod answers;
#[cfg(test)]
mod answers_tests;
mod exchanges;
mod messages;
mod names;
mod plain;
mod streams;
#[cfg(test)]
mod tests;

use amanda::protocol::token::{HEADER, MAX_HANDLE, MAX_PAYLOAD, header};
use exchanges::{Answer, Exchanges};
use plain::Plain;
use streams::Streams;

/// Why a stream is ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Caught(String);

impl Caught {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
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

impl Default for Place {
    fn default() -> Self {
        Self::Header(Vec::new())
    }
}

/// Follows one Amanda connection.
#[derive(Debug, Default)]
pub struct Filter {
    plain: Plain,
    exchanges: Exchanges,
    streams: Streams,
    place: Place,
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
        if let Err(caught) = &verdict {
            self.fail(&caught.0, emit);
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
                    let left = *left;
                    if left == 0 {
                        self.place = Place::default();
                    }
                    let mut instead = Vec::new();
                    let filler = self.streams.filler(handle);
                    let verdict = self.streams.piece(handle, &rest[..taken], &mut instead);
                    if filler.is_none() || verdict.is_err() {
                        emit_some(emit, &bytes[begun..at]);
                        begun = at + taken;
                    }
                    if let (Some(filler), Err(_)) = (filler, &verdict) {
                        // The token is filled up, or what follows would be taken for its rest.
                        emit_some(emit, &vec![filler; taken + left]);
                    }
                    emit_some(emit, &instead);
                    verdict?;
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
                        self.place = Place::default();
                        let passes = self.packet(handle, &payload)?;
                        let mut token = Vec::new();
                        put_token(&mut token, handle, &passes);
                        emit(&token);
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
        self.place = Place::default();
        if self.streams.is_open(handle) {
            let mut instead = Vec::new();
            let verdict = self.streams.begin(handle, left, &mut instead);
            if verdict != Ok(true) {
                emit_some(emit, before);
                emit_some(emit, &instead);
            }
            if left > 0 {
                self.place = Place::Stream { handle, left };
            }
            return verdict;
        }
        emit_some(emit, before);
        match self.exchanges.longest(handle) {
            None if left > 0 => Err(Caught::new(format!("the laptop sent {left} bytes for the handle {handle}, which nobody has opened"))),
            Some(longest) if left > longest => {
                Err(Caught::new(format!("the laptop announced an answer of {left} bytes, and {longest} are enough for it")))
            }
            Some(_) if left > 0 => {
                self.place = Place::Packet { handle, left, payload: Vec::new() };
                Ok(false)
            }
            // Amanda's own client closes a request's handle, and Amanda passes over it.
            known => {
                if known.is_some() {
                    emit(&whole);
                }
                Ok(false)
            }
        }
    }

    /// Looks at a packet, which may open a dump's streams; returns what passes of it.
    fn packet(&mut self, handle: u32, payload: &[u8]) -> Result<Vec<u8>, Caught> {
        let Answer { passes, opens } = self.exchanges.answered(handle, payload)?;
        let Some((dle, streams)) = opens else { return Ok(passes) };
        self.streams.open(dle, &streams)?;
        Ok(passes)
    }

    /// Nothing more comes from the laptop. A dump that is on its way fails, with this reason in Amanda's report.
    pub fn cut(&mut self, why: &str, emit: &mut dyn FnMut(&[u8])) {
        if let Place::Stream { handle, left } = self.place
            && let Some(filler) = self.streams.filler(handle)
        {
            // The token is filled up, or what follows would be taken for its rest.
            emit_some(emit, &vec![filler; left]);
        }
        self.place = Place::default();
        self.fail(why, emit);
    }

    fn fail(&mut self, why: &str, emit: &mut dyn FnMut(&[u8])) {
        let mut ends = Vec::new();
        self.streams.fail(why, &mut ends);
        emit_some(emit, &ends);
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

/// Adds a token, or as many as it takes; none for nothing.
fn put_token(out: &mut Vec<u8>, handle: u32, payload: &[u8]) {
    // Lines that were looked at may be a little longer than what came, and are still far from what Amanda takes.
    for piece in payload.chunks(MAX_PAYLOAD) {
        out.extend(header(handle, piece.len() as u32));
        out.extend(piece);
    }
}
