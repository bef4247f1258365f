//! A stream of the session that is passed on to the reader of dumps as it is, with the credit of all streams.
//!
//! The reader's end or the laptop's ends both: there is nothing that one of them could want alone.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::poll::{PollFd, PollFlags};
use wire::FromShim;
use wire::flow::Flow;
use wire::frame::{HEADER, MAX_DATA, header};

use super::output::Output;
use super::private::Private;
use crate::tunnel::pipe::Pipe;
use crate::tunnel::stream::{Breach, StreamError};

/// The only stream of a session that serves no Amanda.
const NUMBER: u8 = 1;

/// What of a relay is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// The reader connects.
    Reader,
    /// It says something.
    Input,
    /// It takes something.
    Output,
}

/// The reader's end.
struct Local {
    input: File,
    output: Pipe,
    /// Bytes that came from the laptop and have not been told as passed on.
    held: usize,
}

/// Where it is.
enum State {
    /// The reader has not come.
    Awaited(Private),
    Open(Local),
    Ended,
}

/// A stream and whom it is for.
pub struct Relay {
    state: State,
    flow: Flow,
    opened: bool,
    said_close: bool,
    heard_close: bool,
}

impl Relay {
    /// Waits for the reader at this socket.
    pub fn new(socket: Private) -> Self {
        Self { state: State::Awaited(socket), flow: Flow::default(), opened: false, said_close: false, heard_close: false }
    }

    /// Tells whether the reader has come.
    pub fn is_open(&self) -> bool {
        self.opened
    }

    /// Tells whether it has ended here, whatever the laptop has said of that.
    pub fn has_closed(&self) -> bool {
        self.said_close
    }

    /// Tells whether it was open, and nothing is left of it.
    pub fn is_over(&self) -> bool {
        self.said_close && self.heard_close && matches!(self.state, State::Ended)
    }

    /// Returns what to wait for; the reader is read only when there is room for what it says.
    pub fn interests(&self, room: bool) -> Vec<(Ready, PollFd<'_>)> {
        match &self.state {
            State::Awaited(socket) => vec![(Ready::Reader, PollFd::new(socket.socket().as_fd(), PollFlags::POLLIN))],
            State::Ended => Vec::new(),
            State::Open(local) => {
                let mut interests = Vec::new();
                if room && self.flow.may_send() > 0 {
                    interests.push((Ready::Input, PollFd::new(local.input.as_fd(), PollFlags::POLLIN)));
                }
                // Not otherwise: a socket that the reader has closed would be ready all the time that its last words wait for the laptop.
                if local.output.waiting() > 0 {
                    interests.push((Ready::Output, PollFd::new(local.output.file().as_fd(), PollFlags::POLLOUT)));
                }
                interests
            }
        }
    }

    /// Does what is ready.
    ///
    /// # Errors
    /// When the reader cannot be let in, or a message not be said.
    pub fn ready(&mut self, what: Ready, out: &mut Output) -> io::Result<()> {
        match (what, &self.state) {
            (Ready::Reader, State::Awaited(socket)) => match socket.accept()? {
                Some(stream) => self.open(stream, out),
                None => Ok(()),
            },
            (Ready::Input, State::Open(_)) => self.read(out),
            (Ready::Output, State::Open(_)) => self.settle(out),
            _ => Ok(()),
        }
    }

    fn open(&mut self, stream: UnixStream, out: &mut Output) -> io::Result<()> {
        let input = File::from(OwnedFd::from(stream.try_clone()?));
        let local = Local { input, output: Pipe::new(OwnedFd::from(stream))?, held: 0 };
        self.state = State::Open(local);
        self.opened = true;
        out.say_in_order(&FromShim::Open { stream: NUMBER })
    }

    /// Reads what the reader says, one frame of it.
    fn read(&mut self, out: &mut Output) -> io::Result<()> {
        let State::Open(local) = &mut self.state else { return Ok(()) };
        let most = self.flow.may_send().min(MAX_DATA);
        let mut frame = vec![0; HEADER + most];
        let read = match local.input.read(&mut frame[HEADER..]) {
            Ok(read) => read,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => return Ok(()),
            Err(_) => 0,
        };
        if read == 0 {
            return self.end(out);
        }
        frame.truncate(HEADER + read);
        frame[..HEADER].copy_from_slice(&header(NUMBER, read));
        self.flow.sent(read);
        out.send(frame);
        Ok(())
    }

    /// Takes what the laptop sent.
    ///
    /// # Errors
    /// When it may not send that.
    pub fn from_laptop(&mut self, number: u8, bytes: &[u8], out: &mut Output) -> Result<(), StreamError> {
        self.check(number)?;
        self.flow.received(bytes.len()).map_err(Breach::Flow)?;
        if let State::Open(local) = &mut self.state {
            local.output.push(bytes);
            local.held += bytes.len();
        }
        Ok(self.settle(out)?)
    }

    /// Takes the laptop's credit.
    ///
    /// # Errors
    /// When it is none.
    pub fn credited(&mut self, number: u8, bytes: u32) -> Result<(), StreamError> {
        self.check(number)?;
        if bytes == 0 {
            return Err(Breach::NoCredit.into());
        }
        Ok(self.flow.credited(bytes).map_err(Breach::Flow)?)
    }

    /// Takes the laptop's word that the stream ends.
    ///
    /// # Errors
    /// When it has said so before.
    pub fn heard_close(&mut self, number: u8, out: &mut Output) -> Result<(), StreamError> {
        self.check(number)?;
        self.heard_close = true;
        Ok(self.end(out)?)
    }

    fn check(&self, number: u8) -> Result<(), Breach> {
        match (number, self.opened, self.heard_close) {
            (NUMBER, true, false) => Ok(()),
            (NUMBER, true, true) => Err(Breach::Closed(number)),
            _ => Err(Breach::NotOpen(number)),
        }
    }

    /// Writes what the reader takes, and gives credit for it.
    fn settle(&mut self, out: &mut Output) -> io::Result<()> {
        let State::Open(local) = &mut self.state else { return Ok(()) };
        local.output.flush();
        if local.output.is_broken() {
            return self.end(out);
        }
        let held = local.held.min(local.output.waiting());
        let passed = std::mem::replace(&mut local.held, held) - held;
        match self.flow.passed_on(passed) {
            Some(bytes) if !self.said_close => out.say(&FromShim::Window { stream: NUMBER, bytes }),
            _ => Ok(()),
        }
    }

    /// Closes the reader's end, and says so to the laptop.
    fn end(&mut self, out: &mut Output) -> io::Result<()> {
        self.state = State::Ended;
        if std::mem::replace(&mut self.said_close, true) {
            return Ok(());
        }
        out.say_in_order(&FromShim::Close { stream: NUMBER })
    }
}
