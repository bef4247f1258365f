//! OpenSSH's control-socket protocol (PROTOCOL.mux, version 4), the server's side of it: bytes in, requests out. ([`super::mux_client`] is the other side.)
//!
//! Packets are `u32` length, `u32` type, body; numbers big-endian. Of all that a client may ask for, three things are
//! understood: hello, "are you alive" and "open a session". The rest is named by its number, to be refused. The descriptors
//! that follow a session's request travel beside the bytes; each comes with one byte, which [`Decoder::skip`] takes away.

/// The version that is spoken.
pub const VERSION: u32 = 4;

/// The longest packet that is taken in. A session's request carries the command and the variables of `SendEnv`.
pub const MAX_PACKET: usize = 64 * 1024;

pub(super) const HELLO: u32 = 0x0000_0001;
pub(super) const NEW_SESSION: u32 = 0x1000_0002;
pub(super) const ALIVE_CHECK: u32 = 0x1000_0004;
pub(super) const PERMISSION_DENIED: u32 = 0x8000_0002;
pub(super) const FAILURE: u32 = 0x8000_0003;
pub(super) const EXIT_MESSAGE: u32 = 0x8000_0004;
pub(super) const ALIVE: u32 = 0x8000_0005;
pub(super) const SESSION_OPENED: u32 = 0x8000_0006;

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// First of all.
    Hello {
        /// The version it speaks.
        version: u32,
    },
    /// Is anybody there?
    AliveCheck {
        /// Its number, which the answer repeats.
        request: u32,
    },
    /// Open a session; three descriptors follow.
    NewSession {
        /// Its number, which the answer repeats.
        request: u32,
        /// What kind of session.
        session: Session,
    },
    /// Anything else.
    Other {
        /// The packet's type.
        kind: u32,
        /// Its number; 0 when there is none.
        request: u32,
    },
}

/// What kind of session is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// A terminal.
    pub tty: bool,
    /// X11 forwarding.
    pub x11: bool,
    /// The agent's forwarding.
    pub agent: bool,
    /// A subsystem such as sftp.
    pub subsystem: bool,
    /// The command.
    pub command: Vec<u8>,
}

/// Why a session is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Something that this socket has not.
    #[error("this connection carries Amanda only; it has no {0}")]
    Has(&'static str),
    /// Some other command.
    #[error("this connection carries Amanda only; the command must be amandad -auth=ssh")]
    Command,
}

impl Session {
    /// Looks whether this is Amanda, as its auth "ssh" calls its client: `[PATH/]amandad -auth=ssh`.
    pub fn is_amanda(&self) -> Result<(), Refused> {
        for (wanted, name) in
            [(self.tty, "terminal"), (self.x11, "X11 forwarding"), (self.agent, "agent forwarding"), (self.subsystem, "subsystem")]
        {
            if wanted {
                return Err(Refused::Has(name));
            }
        }
        let words: Vec<&[u8]> = self.command.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [program, b"-auth=ssh"] if program.rsplit(|byte| *byte == b'/').next() == Some(b"amandad") => Ok(()),
            _ => Err(Refused::Command),
        }
    }
}

/// Why bytes are not this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MuxError {
    /// Longer than any packet of ours; no memory was taken for it.
    #[error("a packet announces {0} bytes")]
    TooLong(u32),
    /// It ends before what it must have.
    #[error("a packet of type {0:#x} is too short")]
    Short(u32),
}

/// Turns bytes into messages. Holds at most one packet and one feed.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    taken: usize,
}

impl Decoder {
    /// Takes bytes as they were read.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes away up to so many bytes that belong to no packet; returns how many there were.
    pub fn skip(&mut self, count: usize) -> usize {
        let skipped = count.min(self.buffer.len() - self.taken);
        self.taken += skipped;
        skipped
    }

    /// Returns what a client says next, none when more bytes are needed.
    pub fn next_message(&mut self) -> Result<Option<Message>, MuxError> {
        self.next_packet()?.map(parse).transpose()
    }

    /// Returns the next whole packet.
    pub(super) fn next_packet(&mut self) -> Result<Option<&[u8]>, MuxError> {
        let rest = &self.buffer[self.taken..];
        let Some(announced) = rest.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes)) else { return Ok(None) };
        let length = usize::try_from(announced).unwrap_or(usize::MAX);
        if length > MAX_PACKET {
            return Err(MuxError::TooLong(announced));
        }
        let Some(packet) = rest.get(4..4 + length) else { return Ok(None) };
        self.taken += 4 + length;
        Ok(Some(packet))
    }
}

/// Takes numbers and strings off the front of a packet.
pub(super) struct Fields<'a>(&'a [u8], u32);

impl<'a> Fields<'a> {
    /// Takes the packet's type off its front.
    pub(super) fn of(packet: &'a [u8]) -> Result<(u32, Self), MuxError> {
        let mut fields = Self(packet, 0);
        let kind = fields.number()?;
        fields.1 = kind;
        Ok((kind, fields))
    }
    pub(super) fn number(&mut self) -> Result<u32, MuxError> {
        let (number, rest) = self.0.split_first_chunk::<4>().ok_or(MuxError::Short(self.1))?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*number))
    }
    pub(super) fn string(&mut self) -> Result<&'a [u8], MuxError> {
        let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        let (string, rest) = self.0.split_at_checked(length).ok_or(MuxError::Short(self.1))?;
        self.0 = rest;
        Ok(string)
    }
}

fn parse(packet: &[u8]) -> Result<Message, MuxError> {
    let (kind, mut fields) = Fields::of(packet)?;
    Ok(match kind {
        // Extensions follow, none of which matters here.
        HELLO => Message::Hello { version: fields.number()? },
        ALIVE_CHECK => Message::AliveCheck { request: fields.number()? },
        NEW_SESSION => {
            let request = fields.number()?;
            let _reserved = fields.string()?;
            let mut flag = || Ok(fields.number()? != 0);
            let (tty, x11, agent, subsystem) = (flag()?, flag()?, flag()?, flag()?);
            let _escape = fields.number()?;
            let _terminal = fields.string()?;
            let command = fields.string()?.to_vec();
            // What is left is the environment: nothing is started that could have one.
            Message::NewSession { request, session: Session { tty, x11, agent, subsystem, command } }
        }
        kind => Message::Other { kind, request: fields.number().unwrap_or(0) },
    })
}

fn packet(numbers: &[u32], text: Option<&str>) -> Vec<u8> {
    let text = text.map(str::as_bytes);
    let length = numbers.len() * 4 + text.map_or(0, |text| 4 + text.len());
    let mut bytes = Vec::with_capacity(4 + length);
    for number in std::iter::once(length as u32).chain(numbers.iter().copied()) {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    if let Some(text) = text {
        bytes.extend_from_slice(&(text.len() as u32).to_be_bytes());
        bytes.extend_from_slice(text);
    }
    bytes
}

/// Either side's first packet.
pub fn hello() -> Vec<u8> {
    packet(&[HELLO, VERSION], None)
}
/// The question whether somebody is there.
pub fn alive_check(request: u32) -> Vec<u8> {
    packet(&[ALIVE_CHECK, request], None)
}
/// Yes, this process.
pub fn alive(request: u32, process: u32) -> Vec<u8> {
    packet(&[ALIVE, request, process], None)
}
/// Tells whether a packet is the answer [`alive`] to this request.
pub fn is_alive(bytes: &[u8], request: u32) -> bool {
    bytes.len() == 16 && bytes.starts_with(&alive(request, 0)[..12])
}
/// The session is open, under this number.
pub fn opened(request: u32, session: u32) -> Vec<u8> {
    packet(&[SESSION_OPENED, request, session], None)
}
/// This is not for you.
pub fn denied(request: u32, why: &str) -> Vec<u8> {
    packet(&[PERMISSION_DENIED, request], Some(why))
}
/// This cannot be done.
pub fn failed(request: u32, why: &str) -> Vec<u8> {
    packet(&[FAILURE, request], Some(why))
}
/// The session's command has ended; the socket must be closed after it, or the client waits for ever.
pub fn exited(session: u32, status: u32) -> Vec<u8> {
    packet(&[EXIT_MESSAGE, session, status], None)
}

#[cfg(test)]
#[path = "mux_tests.rs"]
mod tests;
