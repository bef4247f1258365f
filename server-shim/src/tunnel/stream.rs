//! One Amanda connection: its descriptors here, its stream in the laptop's session, and the credit between them.
//!
//! The two halves end on their own. Here it ends with a status for the ssh client; over there when both sides have said close.
//! The number is free again when both halves have ended.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use wire::FromShim;
use wire::flow::{Flow, FlowError};
use wire::frame::{HEADER, MAX_DATA, header};

use super::client::{Asked, Client};
use super::filter::{Caught, Filter};
use super::mux;
use super::pipe::Pipe;
use crate::serve::output::Output;

/// Requests are short; what goes to Amanda is what is long.
const READ: usize = 16 * 1024;

/// The longest sentence for Amanda's own log, below what a pipe takes in one piece.
const SENTENCE: usize = 1000;

/// The laptop breaks the rules of streams.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// It speaks on a stream that is not open.
    #[error("it speaks of stream {0}, which is not open")]
    NotOpen(u8),
    /// It speaks on a stream that it has closed.
    #[error("it speaks of stream {0}, which it has closed")]
    Closed(u8),
    /// It gives no credit, in a message of its own.
    #[error("it gives credit of 0 bytes")]
    NoCredit,
    /// Its credit is wrong.
    #[error(transparent)]
    Flow(#[from] FlowError),
}

/// The half that is here.
struct Local {
    client: Client,
    input: File,
    output: Pipe,
    errors: File,
    filter: Filter,
    /// Bytes that came from the laptop and have not been told as passed on.
    held: usize,
    /// Nothing more comes; when all is written, the client is told this status.
    ending: Option<u32>,
}

/// One Amanda connection.
pub struct Stream {
    number: u8,
    flow: Flow,
    said_close: bool,
    heard_close: bool,
    local: Option<Local>,
}

impl Stream {
    /// Opens a stream for an ssh client that has passed its standard input, output and error.
    pub fn open(number: u8, mut client: Client, request: u32, stdio: [OwnedFd; 3], out: &mut Output) -> io::Result<Self> {
        let [input, output, errors] = stdio;
        let output = Pipe::new(output)?;
        out.say_in_order(&FromShim::Open { stream: number })?;
        client.say(&mux::opened(request, u32::from(number)));
        let local = Local { client, input: input.into(), output, errors: errors.into(), filter: Filter::default(), held: 0, ending: None };
        Ok(Self { number, flow: Flow::default(), said_close: false, heard_close: false, local: Some(local) })
    }

    /// Tells whether nothing is left of it.
    pub fn is_over(&self) -> bool {
        self.said_close && self.heard_close && self.local.is_none()
    }

    /// Returns what to wait for: Amanda's input, Amanda's output, the ssh client.
    pub fn interests(&self, room: bool) -> [Option<PollFd<'_>>; 3] {
        let Some(local) = &self.local else { return [const { None }; 3] };
        let wanted = room && local.ending.is_none() && self.flow.may_send() > 0;
        let writes = if local.output.waiting() > 0 { PollFlags::POLLOUT } else { PollFlags::empty() };
        [
            wanted.then(|| PollFd::new(local.input.as_fd(), PollFlags::POLLIN)),
            // Without anything to write, a reader that is gone is still told.
            Some(PollFd::new(local.output.file().as_fd(), writes)),
            Some(PollFd::new(local.client.socket().as_fd(), PollFlags::POLLIN)),
        ]
    }

    /// Does what the three said that they are ready for.
    pub fn ready(&mut self, [input, output, client]: [PollFlags; 3], out: &mut Output) -> io::Result<Option<Caught>> {
        let mut caught = None;
        if let Some(local) = &mut self.local {
            if !client.is_empty() && local.client_is_gone() {
                self.local = None;
                self.say_close(out)?;
            } else if output.intersects(PollFlags::POLLERR | PollFlags::POLLNVAL) {
                self.drop_output(out)?;
            } else {
                if !input.is_empty() {
                    caught = self.read_amanda(out)?;
                }
                if !output.is_empty() {
                    self.settle(out)?;
                }
            }
        }
        Ok(caught)
    }

    /// Reads what Amanda says, one frame of it.
    fn read_amanda(&mut self, out: &mut Output) -> io::Result<Option<Caught>> {
        let Some(local) = &mut self.local else { return Ok(None) };
        let most = self.flow.may_send().min(READ).min(MAX_DATA);
        let mut frame = vec![0; HEADER + most];
        let read = match local.input.read(&mut frame[HEADER..]) {
            Ok(read) => read,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => return Ok(None),
            Err(_) => 0,
        };
        if read == 0 {
            self.end(0, out)?;
            return Ok(None);
        }
        if let Err(caught) = local.filter.from_amanda(&mut frame[HEADER..HEADER + read]) {
            self.fail(&caught, out)?;
            return Ok(Some(caught));
        }
        frame.truncate(HEADER + read);
        frame[..HEADER].copy_from_slice(&header(self.number, read));
        self.flow.sent(read);
        out.send(frame);
        Ok(None)
    }

    /// Takes what the laptop sent.
    pub fn from_laptop(&mut self, bytes: &[u8], out: &mut Output) -> Result<Option<Caught>, StreamError> {
        if self.heard_close {
            return Err(Breach::Closed(self.number).into());
        }
        self.flow.received(bytes.len()).map_err(Breach::Flow)?;
        let Some(local) = self.local.as_mut().filter(|local| local.ending.is_none()) else { return Ok(None) };
        let Local { filter, output, .. } = local;
        let verdict = filter.from_laptop(bytes, &mut |bytes| output.push(bytes));
        local.held += bytes.len();
        if let Err(caught) = verdict {
            self.fail(&caught, out)?;
            return Ok(Some(caught));
        }
        self.settle(out)?;
        Ok(None)
    }

    /// Takes the laptop's word that it has taken bytes in.
    pub fn credited(&mut self, bytes: u32) -> Result<(), Breach> {
        if self.heard_close {
            return Err(Breach::Closed(self.number));
        }
        if bytes == 0 {
            return Err(Breach::NoCredit);
        }
        Ok(self.flow.credited(bytes)?)
    }

    /// Takes the laptop's word that nothing more comes.
    pub fn heard_close(&mut self, out: &mut Output) -> Result<(), StreamError> {
        if self.heard_close {
            return Err(Breach::Closed(self.number).into());
        }
        self.heard_close = true;
        if let Some(Local { filter, output, ending: None, .. }) = &mut self.local {
            filter.cut("the laptop gave the dump up", &mut |bytes| output.push(bytes));
        }
        self.end(0, out)?;
        Ok(())
    }

    /// The session ends: Amanda is told why, and sees the end at once.
    pub fn cut(&mut self, why: &str) {
        if let Some(mut local) = self.local.take() {
            local.tell(why);
            // Amanda's report is told as well, if Amanda reads at this moment; nobody waits for it.
            if local.output.waiting() == 0 && local.ending.is_none() {
                let Local { filter, output, .. } = &mut local;
                filter.cut(why, &mut |bytes| output.push(bytes));
            }
            local.client.say(&mux::exited(u32::from(self.number), local.ending.unwrap_or(1)));
        }
    }

    /// Ends it because of what the laptop said; Amanda's log gets the reason.
    fn fail(&mut self, caught: &Caught, out: &mut Output) -> io::Result<()> {
        if let Some(local) = &mut self.local {
            local.tell(&format!("{caught}; the connection was ended"));
        }
        self.end(1, out)
    }

    /// Ends this half when all is written.
    fn end(&mut self, status: u32, out: &mut Output) -> io::Result<()> {
        if let Some(local) = &mut self.local {
            local.ending.get_or_insert(status);
        }
        self.say_close(out)?;
        self.settle(out)
    }

    /// Writes what Amanda takes, gives credit for it, and ends this half if it is to end.
    fn settle(&mut self, out: &mut Output) -> io::Result<()> {
        let Some(local) = &mut self.local else { return Ok(()) };
        local.output.flush();
        if local.output.is_broken() {
            local.ending.get_or_insert(1);
            self.say_close(out)?;
            return self.drop_output(out);
        }
        // What the filter adds or takes away counts for nothing: no more is held than waits.
        let held = local.held.min(local.output.waiting());
        let passed = std::mem::replace(&mut local.held, held) - held;
        if let Some(status) = local.ending
            && local.output.waiting() == 0
        {
            local.client.say(&mux::exited(u32::from(self.number), status));
            self.local = None;
        } else if let Some(bytes) = self.flow.passed_on(passed)
            && !self.said_close
        {
            out.say(&FromShim::Window { stream: self.number, bytes })?;
        }
        Ok(())
    }

    /// Amanda reads no more.
    fn drop_output(&mut self, out: &mut Output) -> io::Result<()> {
        if let Some(mut local) = self.local.take() {
            local.client.say(&mux::exited(u32::from(self.number), local.ending.unwrap_or(1)));
        }
        self.say_close(out)
    }

    fn say_close(&mut self, out: &mut Output) -> io::Result<()> {
        if std::mem::replace(&mut self.said_close, true) {
            return Ok(());
        }
        out.say_in_order(&FromShim::Close { stream: self.number })
    }
}

impl Local {
    /// Reads what the ssh client says: nothing any more, but that it is gone.
    fn client_is_gone(&mut self) -> bool {
        let mut asked = self.client.read();
        loop {
            asked = match asked {
                Asked::Gone => return true,
                Asked::Nothing => return false,
                Asked::Alive(request) => {
                    self.client.say(&mux::alive(request, std::process::id()));
                    self.client.go_on()
                }
                Asked::Session(request, ..) => {
                    self.client.say(&mux::denied(request, "one session for each connection"));
                    self.client.go_on()
                }
            };
        }
    }

    /// Says a sentence on Amanda's standard error, which ends in amdump's own log.
    fn tell(&mut self, what: &str) {
        let mut line: String = amanda::escape::printable(what.as_bytes()).chars().take(SENTENCE / 4).collect();
        line.insert_str(0, "asyncamanda: ");
        line.push('\n');
        // Others write there too, so it is not made non-blocking; one that has room for nothing is left alone.
        let mut descriptors = [PollFd::new(self.errors.as_fd(), PollFlags::POLLOUT)];
        if poll(&mut descriptors, PollTimeout::try_from(Duration::ZERO).unwrap_or(PollTimeout::ZERO)) == Ok(1)
            && descriptors[0].revents() == Some(PollFlags::POLLOUT)
        {
            let _ = self.errors.write(line.as_bytes());
        }
    }
}

/// Why a session cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The laptop breaks the rules.
    #[error(transparent)]
    Breach(#[from] Breach),
    /// Something here.
    #[error(transparent)]
    Io(#[from] io::Error),
}
