//! Requests and their answers: which handles Amanda has opened, and which streams a laptop's answer opens.

use amanda::protocol::packet::{Kind, Packet};
use amanda::protocol::reply::{Connect, Sendbackup};
use amanda::protocol::request::{DleRequest, Request, Service};
use amanda::protocol::token::{MAX_PAYLOAD, Tokens};

use super::{Caught, answers};

/// Handles from here on are a client's streams.
const FIRST_STREAM: u32 = 10_000;

/// Requests of one connection. The planner has two, a dumper one for each disk that it dumps.
const MAX_EXCHANGES: usize = 256;

/// One request, and how far its answer is.
#[derive(Debug)]
struct Exchange {
    handle: u32,
    /// None for one that is not understood.
    request: Option<Request>,
    /// The streams that the answer opened: it is sent again when its acknowledgement is late.
    opened: Option<Connect>,
}

/// An answer of the laptop's.
#[derive(Debug)]
pub struct Answer {
    /// The packet that passes.
    pub passes: Vec<u8>,
    /// The streams that it opens, and for what.
    pub opens: Option<(DleRequest, Connect)>,
}

/// The requests of one connection.
#[derive(Debug)]
pub struct Exchanges {
    tokens: Tokens,
    open: Vec<Exchange>,
}

impl Default for Exchanges {
    fn default() -> Self {
        Self { tokens: Tokens::with_limit(MAX_PAYLOAD), open: Vec::new() }
    }
}

impl Exchanges {
    /// Reads what Amanda says.
    pub fn asked(&mut self, bytes: &[u8]) -> Result<(), Caught> {
        self.tokens.feed(bytes);
        let lost = |error| Caught::new(format!("what Amanda says cannot be followed: {error}"));
        while let Some(token) = self.tokens.next_token().map_err(lost)? {
            let Ok(packet) = Packet::parse(token.payload) else { continue };
            if token.handle >= FIRST_STREAM || packet.kind != Kind::Req || self.open.iter().any(|exchange| exchange.handle == token.handle)
            {
                continue;
            }
            if self.open.len() == MAX_EXCHANGES {
                // Of the oldest nothing is to be expected any more.
                self.open.remove(0);
            }
            self.open.push(Exchange { handle: token.handle, request: Request::parse(&packet.body).ok(), opened: None });
        }
        Ok(())
    }

    /// Returns how long a packet under this handle may be; none when Amanda has asked nothing under it.
    pub fn longest(&self, handle: u32) -> Option<usize> {
        let exchange = self.open.iter().find(|exchange| exchange.handle == handle)?;
        Some(answers::longest(exchange.request.as_ref()))
    }

    /// Reads what the laptop answers.
    pub fn answered(&mut self, handle: u32, payload: &[u8]) -> Result<Answer, Caught> {
        let packet = Packet::parse(payload).map_err(|error| Caught::new(format!("the laptop sent {error}")))?;
        let Some(exchange) = self.open.iter_mut().find(|exchange| exchange.handle == handle) else {
            return Err(Caught::new("the laptop answered what nobody has asked"));
        };
        let dle = exchange.request.as_ref().filter(|request| request.service == Service::Sendbackup);
        let (Some(dle), Kind::Rep) = (dle.and_then(|request| request.dles.first()), packet.kind) else {
            return Ok(Answer { passes: answers::judged(exchange.request.as_ref(), &packet)?.print(), opens: None });
        };
        let answer = Sendbackup::parse(&packet.body)
            .map_err(|error| Caught::new(format!("the laptop's answer to a request for a dump cannot be followed: {error}")))?;
        let opens = match &answer {
            Sendbackup::Error(_) => None,
            Sendbackup::Connect { streams, .. } if exchange.opened == Some(*streams) => None,
            Sendbackup::Connect { .. } if exchange.opened.is_some() => {
                return Err(Caught::new("the laptop answered a request for a dump in two ways"));
            }
            Sendbackup::Connect { streams, .. } => {
                exchange.opened = Some(*streams);
                Some((dle.clone(), *streams))
            }
        };
        Ok(Answer { passes: answers::dump(answer).print(), opens })
    }
}
