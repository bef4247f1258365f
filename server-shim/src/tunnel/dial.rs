//! How the embedded engine gets to a laptop: it connects to the laptop's control socket as Amanda's ssh would, speaks the same
//! protocol, and has no ssh beside it.
//!
//! The session behind the socket gets the far ends of three pipes and writes the laptop's bytes straight into one of them. Why a
//! connection ended is told on the third one, as a sentence for a log; here it becomes the error of the next read or write.

use std::fs::File;
use std::io::{self, BufReader, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::pipe::{PipeFlags, pipe_with};
use wire::HostName;

use super::mux_client::{Answer, answer, new_session};
use super::{alive, ask, mux};
use crate::config::{Config, Reach};
use crate::engine::embedded::{Connection, Link};

/// What a client of Amanda's is called over ssh; the session lets nothing else in.
const COMMAND: &str = "amandad -auth=ssh";

/// How long the session may take to open a connection: it has nothing to wait for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the reason for an end is waited for, which comes with it.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The most that is read of such a reason.
const MAX_WORDS: usize = 4096;

/// As much as the session makes a pipe hold.
const BUFFER: usize = 128 * 1024;

/// The way to hosts through their own sessions.
#[derive(Debug)]
pub struct Sessions<'a> {
    config: &'a Config,
}

impl<'a> Sessions<'a> {
    /// Takes shim.toml, which knows the hosts.
    pub fn new(config: &'a Config) -> Self {
        Self { config }
    }
}

impl Link for Sessions<'_> {
    fn connect(&self, host: &HostName) -> io::Result<Connection> {
        match self.config.hosts.get(host).map(|rule| rule.reach) {
            Some(Reach::Tunnel) => {}
            Some(Reach::Network) => {
                let why = format!("{host} has reach = \"network\", and this server's engine reaches a host through its own session only");
                return Err(io::Error::new(io::ErrorKind::Unsupported, why));
            }
            Some(Reach::Local) => {
                return Err(io::Error::new(io::ErrorKind::Unsupported, format!("{host} is this machine, and calls nobody")));
            }
            None => return Err(io::Error::new(io::ErrorKind::NotFound, format!("shim.toml has no {}", Config::heading(host)))),
        }
        let socket = ask::reach(self.config, host).map_err(|error| absent(host, &error))?;
        open(socket, host)
    }

    fn absent(&self, host: &HostName) -> Option<String> {
        let calls = self.config.hosts.get(host).is_some_and(|rule| rule.reach == Reach::Tunnel);
        (calls && !alive(self.config, host)).then(|| "it calls by itself, and has no session now".to_owned())
    }
}

fn absent(host: &HostName, error: &io::Error) -> io::Error {
    use io::ErrorKind::{ConnectionRefused, NotADirectory, NotFound};
    let words = if matches!(error.kind(), NotFound | ConnectionRefused | NotADirectory) {
        format!("{host} is not connected: a laptop is backed up through its own session, and there is none now")
    } else {
        format!("the session of {host} cannot be reached: {error}")
    };
    io::Error::new(error.kind(), words)
}

/// Opens a connection to Amanda's client through a control socket. How long the client may be silent is its user's business.
///
/// # Errors
/// When whoever is behind the socket refuses, in his words.
pub fn open(mut socket: UnixStream, host: &HostName) -> io::Result<Connection> {
    let failed = |error: io::Error| io::Error::new(error.kind(), format!("the session of {host} did not take the connection: {error}"));
    let (input, to) = pipe_with(PipeFlags::CLOEXEC)?;
    let (from, output) = pipe_with(PipeFlags::CLOEXEC)?;
    let (errors, far_errors) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut answers = Answers { decoder: mux::Decoder::default(), until: Instant::now() + PATIENCE };
    let session = ask_for_session(&mut socket, &mut answers, [&input, &output, &far_errors]).map_err(failed)?;
    // Their ends are the session's alone now, or an end would never be seen.
    drop((input, output, far_errors));
    let end = Arc::new(Mutex::new(End { host: host.clone(), session, socket, answers, errors: errors.into(), known: None }));
    let from = Listening { pipe: from.into(), end: end.clone() };
    Ok(Connection { from: Box::new(BufReader::with_capacity(BUFFER, from)), to: Box::new(Speaking { pipe: to.into(), end }) })
}

fn ask_for_session(socket: &mut UnixStream, answers: &mut Answers, stdio: [&OwnedFd; 3]) -> io::Result<u32> {
    const REQUEST: u32 = 1;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.write_all(&mux::hello())?;
    match answers.next(socket)? {
        Answer::Hello { version: mux::VERSION } => {}
        other => return Err(nonsense(&other)),
    }
    socket.write_all(&new_session(REQUEST, COMMAND))?;
    for descriptor in stdio {
        pass(socket, descriptor.as_fd())?;
    }
    loop {
        match answers.next(socket)? {
            Answer::Opened { request: REQUEST, session } => return Ok(session),
            Answer::Refused { request: REQUEST, why } => return Err(io::Error::new(io::ErrorKind::ConnectionRefused, why)),
            Answer::Other(_) => {}
            other => return Err(nonsense(&other)),
        }
    }
}

/// Passes a descriptor with one byte of payload, as OpenSSH does.
fn pass(socket: &UnixStream, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let descriptors = [descriptor];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(socket, &[IoSlice::new(&[0])], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn nonsense(answer: &Answer) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it answers with something else: {answer:?}"))
}

/// What the session says on the control socket, as it comes.
#[derive(Debug)]
struct Answers {
    decoder: mux::Decoder,
    until: Instant,
}

impl Answers {
    fn next(&mut self, socket: &mut UnixStream) -> io::Result<Answer> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        loop {
            if let Some(packet) = self.decoder.next_packet().map_err(invalid)? {
                return answer(packet).map_err(invalid);
            }
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer"));
            }
            socket.set_read_timeout(Some(left))?;
            let mut bytes = [0; 512];
            match socket.read(&mut bytes) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it has closed the socket")),
                Ok(read) => self.decoder.feed(&bytes[..read]),
                // The clock above says when it is enough.
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// What is known of a connection's end. The control socket in it keeps the connection open.
#[derive(Debug)]
struct End {
    host: HostName,
    session: u32,
    socket: UnixStream,
    answers: Answers,
    errors: File,
    known: Option<Option<String>>,
}

impl End {
    /// Says why the connection ended; none when it just came to its end.
    fn why(&mut self) -> Option<String> {
        if self.known.is_none() {
            self.known = Some(self.ask());
        }
        self.known.clone().flatten()
    }

    fn ask(&mut self) -> Option<String> {
        let words = self.words();
        self.answers.until = Instant::now() + LAST_WORDS;
        loop {
            match self.answers.next(&mut self.socket) {
                Ok(Answer::Exited { session, status }) if session == self.session => {
                    return (status != 0)
                        .then(|| words.unwrap_or_else(|| format!("the client of {} ended with status {status}", self.host)));
                }
                Ok(_) => {}
                Err(_) => return words.or_else(|| Some(format!("the session of {} broke", self.host))),
            }
        }
    }

    /// Reads what the session has written for a log.
    fn words(&mut self) -> Option<String> {
        let until = Instant::now() + LAST_WORDS;
        let mut said = Vec::new();
        let mut bytes = [0; 1024];
        while said.len() < MAX_WORDS && comes(&self.errors, until.saturating_duration_since(Instant::now())).unwrap_or(false) {
            match self.errors.read(&mut bytes) {
                Ok(0) | Err(_) => break,
                Ok(read) => said.extend_from_slice(&bytes[..read]),
            }
        }
        let lines = said.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let lines: Vec<String> = lines.map(|line| amanda::escape::printable(line.strip_prefix(b"asyncamanda: ").unwrap_or(line))).collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }
}

/// Waits until something can be read, or the end.
fn comes(pipe: &File, patience: Duration) -> io::Result<bool> {
    let until = Instant::now() + patience;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut descriptors = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        match poll(&mut descriptors, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(0) if until > Instant::now() => {}
            Ok(ready) => return Ok(ready > 0),
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn ask_why(end: &Mutex<End>) -> Option<String> {
    end.lock().unwrap_or_else(std::sync::PoisonError::into_inner).why()
}

/// What the client says.
struct Listening {
    pipe: File,
    end: Arc<Mutex<End>>,
}

impl Read for Listening {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.pipe.read(bytes) {
            Ok(0) if !bytes.is_empty() => match ask_why(&self.end) {
                Some(why) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, why)),
                None => Ok(0),
            },
            other => other,
        }
    }
}

/// What is said to the client.
struct Speaking {
    pipe: File,
    end: Arc<Mutex<End>>,
}

impl Write for Speaking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pipe.write(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => ask_why(&self.end).map_or(error, |why| io::Error::new(io::ErrorKind::BrokenPipe, why)),
            _ => error,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
