//! One connection to the control socket: what the ssh client that Amanda started has said so far, and the descriptors
//! that it passed.

use std::io::{self, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};

use super::mux::{self, Message, Session};

/// How long a client may take until its session is open: it has nothing to wait for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Standard input, output and error.
const STDIO: usize = 3;

/// What a client wants.
#[derive(Debug)]
pub enum Asked {
    /// Nothing yet.
    Nothing,
    /// To know whether the laptop is there.
    Alive(u32),
    /// A session, with these descriptors.
    Session(u32, Session, [OwnedFd; STDIO]),
    /// It is gone, or speaks another language.
    Gone,
}

/// A connection to the control socket.
#[derive(Debug)]
pub struct Client {
    socket: UnixStream,
    decoder: mux::Decoder,
    greeted: bool,
    wanted: Option<(u32, Session)>,
    /// Bytes that came with descriptors and were not taken away yet.
    missing: usize,
    descriptors: Vec<OwnedFd>,
    since: Instant,
}

impl Client {
    /// Greets whoever has connected.
    pub fn new(socket: UnixStream, now: Instant) -> Self {
        let mut client = Self {
            socket,
            decoder: mux::Decoder::default(),
            greeted: false,
            wanted: None,
            missing: 0,
            descriptors: Vec::new(),
            since: now,
        };
        client.say(&mux::hello());
        client
    }

    /// The socket, for poll.
    pub fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Tells when its patience with us should be over, and ours with it.
    pub fn is_late(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= PATIENCE
    }

    /// Says something short. One that does not take it is on its way out, which the next read tells.
    pub fn say(&mut self, packet: &[u8]) {
        let _ = self.socket.write(packet);
    }

    /// Reads what is there; call again for as long as something was asked.
    pub fn read(&mut self) -> Asked {
        match self.receive() {
            Ok(0) => Asked::Gone,
            Ok(_) => self.go_on(),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Asked::Nothing,
            Err(_) => Asked::Gone,
        }
    }

    /// Takes the next thing out of what was read.
    pub fn go_on(&mut self) -> Asked {
        loop {
            if let Some((request, session)) = self.wanted.take() {
                self.missing -= self.decoder.skip(self.missing);
                if self.missing > 0 {
                    self.wanted = Some((request, session));
                    return Asked::Nothing;
                }
                return match <[OwnedFd; STDIO]>::try_from(std::mem::take(&mut self.descriptors)) {
                    Ok(descriptors) => Asked::Session(request, session, descriptors),
                    Err(_) => Asked::Gone,
                };
            }
            let message = match self.decoder.next_message() {
                Ok(Some(message)) => message,
                Ok(None) => return Asked::Nothing,
                Err(_) => return Asked::Gone,
            };
            match message {
                Message::Hello { version } if version == mux::VERSION && !self.greeted => self.greeted = true,
                Message::Hello { .. } => return Asked::Gone,
                _ if !self.greeted => return Asked::Gone,
                Message::AliveCheck { request } => return Asked::Alive(request),
                Message::NewSession { request, session } => {
                    // It passes its descriptors without waiting for an answer, so a refusal waits for them.
                    self.missing = STDIO;
                    self.wanted = Some((request, session));
                }
                Message::Other { request, .. } => {
                    self.say(&mux::denied(request, "this connection carries Amanda only"));
                }
            }
        }
    }

    fn receive(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(STDIO))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        if self.descriptors.len() > STDIO || received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(io::Error::other("more descriptors than a session has"));
        }
        self.decoder.feed(&bytes[..received.bytes]);
        Ok(received.bytes)
    }
}
