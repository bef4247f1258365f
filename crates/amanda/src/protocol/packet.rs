//! Packets: what a token under a control handle carries (`parse_pkt` and `stream_sendpkt` in
//! common-src/security-util.c).
//!
//! One byte for the kind, the body, a zero byte. The line `Amanda 3.5 REQ HANDLE … SEQ …` of Amanda's UDP connections
//! does not exist here: the token's handle says which exchange a packet belongs to.

use std::fmt;

/// What a packet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The server asks for a service.
    Req,
    /// The service's answer; the receiver acknowledges it.
    Rep,
    /// A part of the answer, before the whole; not acknowledged.
    Prep,
    /// A REQ or REP has arrived.
    Ack,
    /// A REQ is refused.
    Nak,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Req, Self::Rep, Self::Prep, Self::Ack, Self::Nak];

    fn byte(self) -> u8 {
        match self {
            Self::Req => 0,
            Self::Rep => 1,
            Self::Prep => 2,
            Self::Ack => 3,
            Self::Nak => 4,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Req => "REQ",
            Self::Rep => "REP",
            Self::Prep => "PREP",
            Self::Ack => "ACK",
            Self::Nak => "NAK",
        })
    }
}

/// One packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// What it is for.
    pub kind: Kind,
    /// Its text, without the zero byte at the end. Nothing above [`MAX_PAYLOAD`](super::token::MAX_PAYLOAD) gets here.
    pub body: Vec<u8>,
}

/// Why a payload is no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Not even a kind.
    #[error("a packet without a byte in it")]
    Empty,
    /// No kind has this number.
    #[error("a packet of kind {0}, which does not exist")]
    Kind(u8),
    /// Amanda would pass over what stands behind it, and somebody else might not.
    #[error("a packet with a zero byte before its end")]
    Zero,
}

impl Packet {
    /// Returns a packet with a body.
    #[must_use]
    pub fn new(kind: Kind, body: impl Into<Vec<u8>>) -> Self {
        Self { kind, body: body.into() }
    }

    /// Returns the packet that says that a REQ or REP has arrived.
    #[must_use]
    pub fn ack() -> Self {
        Self::new(Kind::Ack, [])
    }

    /// Reads the payload of a token. The zero byte at the end may be missing.
    ///
    /// # Errors
    /// When it is no packet.
    pub fn parse(payload: &[u8]) -> Result<Self, PacketError> {
        let (&kind, body) = payload.split_first().ok_or(PacketError::Empty)?;
        let kind = Kind::ALL.into_iter().find(|known| known.byte() == kind).ok_or(PacketError::Kind(kind))?;
        let body = body.strip_suffix(&[0]).unwrap_or(body);
        if body.contains(&0) {
            return Err(PacketError::Zero);
        }
        Ok(Self { kind, body: body.to_vec() })
    }

    /// Returns the payload of a token.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(self.body.len() + 2);
        payload.push(self.kind.byte());
        payload.extend(&self.body);
        payload.push(0);
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packets_are_a_kind_a_body_and_a_zero() {
        for (payload, expected) in [
            (&b"\x03\0"[..], Ok(Packet::ack())),
            (b"\x03", Ok(Packet::ack())),
            (b"\0SERVICE noop\n\0", Ok(Packet::new(Kind::Req, *b"SERVICE noop\n"))),
            (b"\x01OPTIONS ;\n", Ok(Packet::new(Kind::Rep, *b"OPTIONS ;\n"))),
            (b"\x02\0", Ok(Packet::new(Kind::Prep, []))),
            (b"\x04ERROR x\n\0", Ok(Packet::new(Kind::Nak, *b"ERROR x\n"))),
            (b"", Err(PacketError::Empty)),
            (b"\x05\0", Err(PacketError::Kind(5))),
            (b"Amanda 3.5 REQ", Err(PacketError::Kind(b'A'))),
            (b"\x01OK\0ERROR\0", Err(PacketError::Zero)),
            (b"\x01OK\0\0", Err(PacketError::Zero)),
        ] {
            assert_eq!(Packet::parse(payload), expected, "{payload:?}");
        }
        assert_eq!(Kind::ALL.map(|kind| kind.to_string()), ["REQ", "REP", "PREP", "ACK", "NAK"]);
    }

    proptest! {
        #[test]
        fn round_trip(kind in 0usize..5, body in prop::collection::vec(1u8.., 0..60)) {
            let packet = Packet::new(Kind::ALL[kind], body);
            prop_assert_eq!(Packet::parse(&packet.print()), Ok(packet));
        }

        #[test]
        fn garbage_never_panics(payload in prop::collection::vec(any::<u8>(), 0..20)) {
            if let Ok(packet) = Packet::parse(&payload) {
                prop_assert_eq!(Packet::parse(&packet.print()), Ok(packet));
            }
        }
    }
}
