//! Requests and their answers: which handles Amanda has opened, and which streams a laptop's answer opens.

use amanda::protocol::packet::{Kind, Packet};
use amanda::protocol::reply::{Connect, Sendbackup};
use amanda::protocol::request::{DleRequest, Request, Service};
use amanda::protocol::token::{MAX_PAYLOAD, Tokens};

use super::Caught;

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

    /// Tells whether Amanda has asked something under this handle.
    pub fn knows(&self, handle: u32) -> bool {
        self.open.iter().any(|exchange| exchange.handle == handle)
    }

    /// Reads what the laptop answers; returns the streams that it opens, and for what.
    pub fn answered(&mut self, handle: u32, payload: &[u8]) -> Result<Option<(DleRequest, Connect)>, Caught> {
        let packet = Packet::parse(payload).map_err(|error| Caught::new(format!("the laptop sent {error}")))?;
        let Some(exchange) = self.open.iter_mut().find(|exchange| exchange.handle == handle) else { return Ok(None) };
        let service = exchange.request.as_ref().map(|request| request.service);
        match (packet.kind, service) {
            (Kind::Ack | Kind::Nak, _) | (Kind::Prep, Some(Service::Sendsize)) => return Ok(None),
            (Kind::Rep, Some(Service::Sendbackup)) => {}
            // Without a request that we understand there are no streams that we would let pass.
            (Kind::Rep, _) => return Ok(None),
            (kind @ (Kind::Req | Kind::Prep), _) => return Err(Caught::new(format!("the laptop sent a {kind} where none belongs"))),
        }
        let Some(dle) = exchange.request.as_ref().and_then(|request| request.dles.first()) else { return Ok(None) };
        match Sendbackup::parse(&packet.body) {
            Ok(Sendbackup::Error(_)) => Ok(None),
            Ok(Sendbackup::Connect { streams, .. }) if exchange.opened == Some(streams) => Ok(None),
            Ok(Sendbackup::Connect { .. }) if exchange.opened.is_some() => {
                Err(Caught::new("the laptop answered a request for a dump in two ways"))
            }
            Ok(Sendbackup::Connect { streams, .. }) => {
                exchange.opened = Some(streams);
                Ok(Some((dle.clone(), streams)))
            }
            Err(error) => Err(Caught::new(format!("the laptop's answer to a request for a dump cannot be followed: {error}"))),
        }
    }
}
