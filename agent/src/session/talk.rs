//! The conversation itself, over any two streams: hello, query, and if the caller still wants a backup, trigger.
//!
//! A receipt that got lost on the way is asked for at the next contact, before anything is decided: so the query comes
//! first, always. Only an END frame is an end; a stream that stops without one is a lost connection.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use wire::frame::CONTROL;
use wire::message::{HEARTBEAT_SECONDS, MAX_CHECK_LINES, MAX_DISKS, Progress, SILENCE_SECONDS};
use wire::{ConfigName, Decoder, DiskName, Frame, FrameError, FromAgent, FromShim, Hello, HostName, PROTOCOL_VERSION, Receipt, frame};

use super::SessionError;
use super::measure::{Measured, Rounds};
use super::outgoing::{self, Outgoing};
use super::tunnel::{Answer, Ended, Tunnel};

/// More receipts than this in one answer are no answer.
const MOST_RECEIPTS: usize = 4 * MAX_DISKS;
/// How much of a stranger's words is shown.
const FIRST_WORDS: usize = 120;
/// How often the caller may look at what the laptop's own client does.
const LOOK: Duration = Duration::from_millis(500);
/// How long the last words may take to leave.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Who answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its protocol version.
    pub version: u32,
    /// Its program, fit for a terminal.
    pub program: String,
    /// The host that our key stands for.
    pub host: HostName,
    /// The config that its dumps belong to.
    pub config: ConfigName,
}

/// What to do after the query was answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Done,
    /// Ask for a backup of these disks, of all when none is named.
    Trigger(Vec<DiskName>),
    /// Ask whether a backup would work.
    Check,
    /// Look at dumps: the server opens one stream, which [`Caller::client`] gets to its end, and then everything has been said.
    Restore,
}

/// What the server says while we wait.
#[derive(Debug)]
pub enum News {
    /// The ticket's place in the queue.
    Queued {
        /// The ticket.
        ticket: String,
        /// An earlier ticket of this host was joined.
        joined: bool,
        /// Place in the queue from 1.
        position: u32,
        /// What it waits for.
        waits_for: String,
    },
    /// The run goes on.
    Progress(Progress),
    /// A receipt.
    Receipt(Box<Receipt>),
    /// How many bytes a second the line to the server takes.
    Rate(u64),
    /// What amcheck found.
    Checked {
        /// It was content.
        ok: bool,
        /// Its words.
        lines: Vec<String>,
    },
    /// Everything has been said.
    End,
}

/// The one who called: decides with values, and stores what it hears.
pub trait Caller {
    /// Hears who answered; an error hangs up.
    fn greeted(&mut self, server: &Server) -> Result<(), SessionError>;
    /// Hears what the server has, and whether a ticket of ours waits there; decides.
    fn restated(&mut self, receipts: Vec<Receipt>, ticket: Option<&str>) -> Result<Next, SessionError>;
    /// Hears how it goes.
    fn heard(&mut self, news: News) -> Result<(), SessionError>;
    /// Returns who answers when Amanda, or the server's reader of dumps, comes through this session; asked before anything is asked of the server.
    fn client(&mut self) -> Option<Arc<dyn Answer>> {
        None
    }
    /// Hears something that only the curious want to know.
    fn noted(&mut self, words: &str) {
        let _ = words;
    }
    /// May look at what the laptop's own client does; called every half second while it may be doing something.
    fn look(&mut self) {}
}

/// Who speaks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// We do: the other end is known to be a shim.
    Speak,
    /// The shim does; these bytes of it were read already.
    Listen,
}

enum Stage {
    Greeting,
    Querying {
        receipts: Vec<Receipt>,
        ticket: Option<String>,
    },
    Measuring {
        rounds: Rounds,
        since: Instant,
    },
    Waiting {
        queued: bool,
        receipts: usize,
    },
    /// For the one stream, or when that has been opened for its end.
    Restoring {
        opened: bool,
    },
}

struct Talk<'c> {
    out: Outgoing,
    caller: &'c mut dyn Caller,
    stage: Stage,
    opening: Opening,
    tunnel: Option<Tunnel>,
    ended: mpsc::UnboundedSender<Ended>,
}

/// Holds the conversation. `stop` ends it early, as when a person presses Ctrl-C.
pub async fn converse<R, W>(
    reader: R,
    writer: W,
    caller: &mut dyn Caller,
    opening: Opening,
    already_read: &[u8],
    stop: impl Future<Output = ()>,
) -> Result<(), SessionError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (out, queues) = outgoing::queues();
    let (ended, told) = mpsc::unbounded_channel();
    let mut talk = Talk { out, caller, stage: Stage::Greeting, opening, tunnel: None, ended };
    let mut writing = Box::pin(outgoing::write(writer, queues));
    let mut written = false;
    let talked = {
        let talking = talk.run(reader, already_read, told, stop);
        tokio::pin!(talking);
        loop {
            tokio::select! {
                talked = &mut talking => break talked,
                // What the server said before it stopped reading is still to be heard.
                () = &mut writing, if !written => written = true,
            }
        }
    };
    let Talk { out, mut tunnel, .. } = talk;
    drop(out);
    if let Some(tunnel) = &mut tunnel {
        tunnel.hang_up();
    }
    if !written {
        let _ = timeout(LAST_WORDS, &mut writing).await;
    }
    // With it the queue that a stream's thread may be waiting for.
    drop(writing);
    if let Some(tunnel) = tunnel {
        tunnel.end();
    }
    talked
}

impl Talk<'_> {
    async fn run<R: AsyncRead + Unpin>(
        &mut self,
        mut reader: R,
        already_read: &[u8],
        mut told: mpsc::UnboundedReceiver<Ended>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), SessionError> {
        if self.opening == Opening::Speak {
            self.open()?;
        }
        let mut decoder = Decoder::new();
        let mut first_words: Vec<u8> = already_read.iter().copied().take(FIRST_WORDS).collect();
        let mut chunk = vec![0; 16 * 1024];
        let silence = Duration::from_secs(SILENCE_SECONDS);
        let mut deadline = Instant::now() + silence;
        let mut heartbeat = interval(Duration::from_secs(HEARTBEAT_SECONDS));
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.reset();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(stop);
        decoder.feed(already_read);
        loop {
            loop {
                let frame = match decoder.next_frame() {
                    Ok(None) => break,
                    Ok(Some(frame)) => frame,
                    Err(error) => return Err(self.misunderstood(error, &first_words)),
                };
                // A number that a thread has given back may be in use again with the next frame.
                while let Ok(ended) = told.try_recv() {
                    self.ended(ended);
                }
                if frame.channel != CONTROL {
                    self.stream(frame)?;
                    continue;
                }
                let message = frame::unpack(frame).map_err(|error| self.misunderstood(error, &first_words))?;
                if self.hear(message)? {
                    return Ok(());
                }
            }
            tokio::select! {
                read = reader.read(&mut chunk) => match read {
                    Ok(0) | Err(_) => return Err(self.lost()),
                    Ok(read) => {
                        deadline = Instant::now() + silence;
                        let missing = FIRST_WORDS.saturating_sub(first_words.len());
                        first_words.extend_from_slice(&chunk[..read.min(missing)]);
                        decoder.feed(&chunk[..read]);
                    }
                },
                Some(ended) = told.recv() => self.ended(ended),
                () = sleep_until(deadline) => return Err(SessionError::Silent { queued: self.is_queued() }),
                _ = heartbeat.tick() => self.say(&FromAgent::Heartbeat)?,
                _ = look.tick(), if self.tunnel.is_some() => self.caller.look(),
                () = &mut stop => return Err(SessionError::Interrupted { queued: self.is_queued() }),
            }
        }
    }

    fn open(&mut self) -> Result<(), SessionError> {
        self.say(&FromAgent::Hello(Hello::ours(concat!("asyncamanda ", env!("CARGO_PKG_VERSION")))))?;
        // The question does not wait for the answer to the greeting: that would be one more round trip.
        self.say(&FromAgent::Query)
    }

    fn say(&mut self, message: &FromAgent) -> Result<(), SessionError> {
        self.out.control(frame::pack(message).map_err(SessionError::Protocol)?);
        Ok(())
    }

    /// Lets Amanda reach this laptop through the session, if the caller has a client to answer it.
    fn serve(&mut self) -> Result<(), SessionError> {
        let Some(client) = self.caller.client() else { return Ok(()) };
        self.say(&FromAgent::Serve { holds_back: client.holds_back() })?;
        self.tunnel = Some(Tunnel::new(client, self.out.clone(), self.ended.clone()));
        Ok(())
    }

    fn ended(&mut self, ended: Ended) {
        if let Some(tunnel) = &mut self.tunnel {
            tunnel.ended(ended);
        }
    }

    fn stream(&mut self, frame: Frame<'_>) -> Result<(), SessionError> {
        match &mut self.tunnel {
            Some(tunnel) => Ok(tunnel.came(frame.channel, frame.payload)?),
            None => Err(SessionError::OutOfTurn("a stream's bytes")),
        }
    }

    fn is_queued(&self) -> bool {
        matches!(self.stage, Stage::Waiting { queued: true, .. })
    }

    fn lost(&self) -> SessionError {
        match self.stage {
            Stage::Greeting => SessionError::NoGreeting,
            _ => SessionError::Lost { said: String::new(), queued: self.is_queued() },
        }
    }

    fn misunderstood(&self, error: FrameError, first_words: &[u8]) -> SessionError {
        match (&self.stage, error) {
            (Stage::Greeting, FrameError::TooLong { .. } | FrameError::UnknownChannel(_)) => {
                SessionError::NotAShim(amanda::escape::printable(first_words.trim_ascii()))
            }
            (_, error) => SessionError::Protocol(error),
        }
    }

    /// Takes one message in; true when everything has been said.
    fn hear(&mut self, message: FromShim) -> Result<bool, SessionError> {
        match (message, &mut self.stage) {
            (FromShim::Heartbeat, _) => {}
            (FromShim::Abort { code, message, hint }, _) => {
                return Err(SessionError::Abort {
                    code,
                    message: amanda::escape::printable(message.as_bytes()),
                    hint: amanda::escape::printable(hint.as_bytes()),
                });
            }
            (FromShim::Hello { hello, host, config }, Stage::Greeting) => {
                if hello.version != PROTOCOL_VERSION {
                    return Err(SessionError::Version { theirs: hello.version });
                }
                let program = amanda::escape::printable(hello.program.as_bytes());
                self.caller.greeted(&Server { version: hello.version, program, host, config })?;
                if self.opening == Opening::Listen {
                    self.open()?;
                }
                self.stage = Stage::Querying { receipts: Vec::new(), ticket: None };
            }
            (FromShim::Receipt(receipt), Stage::Querying { receipts, .. }) if receipts.len() < MOST_RECEIPTS => receipts.push(*receipt),
            (FromShim::Standing { ticket }, Stage::Querying { ticket: standing, .. }) => *standing = ticket,
            (FromShim::End { .. }, Stage::Querying { receipts, ticket }) => {
                let (receipts, ticket) = (std::mem::take(receipts), ticket.take());
                match self.caller.restated(receipts, ticket.as_deref())? {
                    Next::Done => return Ok(true),
                    Next::Trigger(disks) => {
                        self.serve()?;
                        self.say(&FromAgent::Trigger { disks })?;
                        self.stage = Stage::Waiting { queued: false, receipts: 0 };
                    }
                    Next::Check => {
                        let rounds = Rounds::default();
                        rounds.messages().try_for_each(|message| self.say(&message))?;
                        self.stage = Stage::Measuring { rounds, since: Instant::now() };
                    }
                    Next::Restore => {
                        // Nothing is said of Amanda: a backup that goes through another session goes on there.
                        let Some(client) = self.caller.client() else { return Ok(true) };
                        self.tunnel = Some(Tunnel::new(client, self.out.clone(), self.ended.clone()));
                        self.say(&FromAgent::Restore)?;
                        self.stage = Stage::Restoring { opened: false };
                    }
                }
            }
            (FromShim::Queued { ticket, joined, position, waits_for }, Stage::Waiting { queued, .. }) => {
                *queued = true;
                self.caller.heard(News::Queued { ticket, joined, position, waits_for })?;
            }
            (FromShim::Progress(progress), Stage::Waiting { .. }) => self.caller.heard(News::Progress(progress))?,
            (FromShim::Receipt(receipt), Stage::Waiting { receipts, .. }) if *receipts < MOST_RECEIPTS => {
                *receipts += 1;
                self.caller.heard(News::Receipt(receipt))?;
            }
            (FromShim::Measured, Stage::Measuring { rounds, since }) => match rounds.after(since.elapsed()) {
                Measured::Again(next) => {
                    next.messages().try_for_each(|message| self.say(&message))?;
                    self.stage = Stage::Measuring { rounds: next, since: Instant::now() };
                }
                Measured::Rate(bytes) => {
                    self.caller.heard(News::Rate(bytes))?;
                    self.serve()?;
                    self.say(&FromAgent::Check)?;
                    self.stage = Stage::Waiting { queued: false, receipts: 0 };
                }
            },
            (FromShim::Checked { ok, mut lines }, Stage::Waiting { .. }) => {
                lines.truncate(MAX_CHECK_LINES);
                let lines = lines.iter().map(|line| amanda::escape::printable(line.as_bytes())).collect();
                self.caller.heard(News::Checked { ok, lines })?;
            }
            (FromShim::Open { .. }, Stage::Restoring { opened: true }) => return Err(SessionError::OutOfTurn("a second stream")),
            (FromShim::Open { stream }, stage) if self.tunnel.is_some() => {
                if let Stage::Restoring { opened } = stage {
                    *opened = true;
                }
                self.tunnel.as_mut().map_or(Ok(()), |tunnel| tunnel.open(stream))?;
            }
            (FromShim::Window { stream, bytes }, _) if self.tunnel.is_some() => {
                self.tunnel.as_mut().map_or(Ok(()), |tunnel| tunnel.credited(stream, bytes))?;
            }
            (FromShim::Close { stream }, _) if self.tunnel.is_some() => {
                self.tunnel.as_mut().map_or(Ok(()), |tunnel| tunnel.closed(stream))?;
            }
            (FromShim::End { .. }, Stage::Waiting { .. } | Stage::Restoring { .. }) => {
                self.caller.heard(News::End)?;
                return Ok(true);
            }
            (unexpected, _) => return Err(SessionError::OutOfTurn(kind(&unexpected))),
        }
        Ok(false)
    }
}

fn kind(message: &FromShim) -> &'static str {
    match message {
        FromShim::Hello { .. } => "a second hello",
        FromShim::Abort { .. } => "an abort",
        FromShim::Standing { .. } => "a standing",
        FromShim::Queued { .. } => "a place in the queue",
        FromShim::Progress(_) => "progress",
        FromShim::Receipt(_) => "a receipt",
        FromShim::End { .. } => "an end",
        FromShim::Open { .. } => "a stream",
        FromShim::Window { .. } => "credit",
        FromShim::Close { .. } => "a stream's end",
        FromShim::Checked { .. } => "a check's answer",
        FromShim::Measured => "a measurement's end",
        FromShim::Heartbeat => "a heartbeat",
    }
}
