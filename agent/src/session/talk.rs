//! The conversation itself, over any two streams: hello, query, and if the caller still wants a backup, trigger.
//!
//! A receipt that got lost on the way is asked for at the next contact, before anything is decided: so the query comes
//! first, always. Only an END frame is an end; a stream that stops without one is a lost connection.

use std::future::Future;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use wire::message::{HEARTBEAT_SECONDS, MAX_DISKS, Progress, SILENCE_SECONDS};
use wire::{ConfigName, Decoder, DiskName, FrameError, FromAgent, FromShim, Hello, HostName, PROTOCOL_VERSION, Receipt, frame};

use super::SessionError;

/// More receipts than this in one answer are no answer.
const MOST_RECEIPTS: usize = 4 * MAX_DISKS;
/// How much of a stranger's words is shown.
const FIRST_WORDS: usize = 120;

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
    Querying { receipts: Vec<Receipt>, ticket: Option<String> },
    Waiting { queued: bool, receipts: usize },
}

struct Talk<'c, W> {
    writer: W,
    caller: &'c mut dyn Caller,
    stage: Stage,
    opening: Opening,
}

/// Holds the conversation. `stop` ends it early, as when a person presses Ctrl-C.
pub async fn converse<R, W>(
    mut reader: R,
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
    let mut talk = Talk { writer, caller, stage: Stage::Greeting, opening };
    if opening == Opening::Speak {
        talk.open().await?;
    }
    let mut decoder = Decoder::new();
    let mut first_words: Vec<u8> = already_read.iter().copied().take(FIRST_WORDS).collect();
    let mut chunk = vec![0; 16 * 1024];
    let silence = Duration::from_secs(SILENCE_SECONDS);
    let mut deadline = Instant::now() + silence;
    let mut heartbeat = interval(Duration::from_secs(HEARTBEAT_SECONDS));
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat.reset();
    tokio::pin!(stop);
    decoder.feed(already_read);
    loop {
        loop {
            let message = match decoder.next_frame().and_then(|frame| frame.map(frame::unpack).transpose()) {
                Ok(None) => break,
                Ok(Some(message)) => message,
                Err(error) => return Err(talk.misunderstood(error, &first_words)),
            };
            if talk.hear(message).await? {
                return Ok(());
            }
        }
        tokio::select! {
            read = reader.read(&mut chunk) => match read {
                Ok(0) => return Err(talk.lost()),
                Ok(read) => {
                    deadline = Instant::now() + silence;
                    let missing = FIRST_WORDS.saturating_sub(first_words.len());
                    first_words.extend_from_slice(&chunk[..read.min(missing)]);
                    decoder.feed(&chunk[..read]);
                }
                Err(_) => return Err(talk.lost()),
            },
            () = sleep_until(deadline) => return Err(SessionError::Silent { queued: talk.is_queued() }),
            _ = heartbeat.tick() => talk.say(&FromAgent::Heartbeat).await?,
            () = &mut stop => return Err(SessionError::Interrupted { queued: talk.is_queued() }),
        }
    }
}

impl<W: AsyncWrite + Unpin> Talk<'_, W> {
    async fn open(&mut self) -> Result<(), SessionError> {
        self.say(&FromAgent::Hello(Hello::ours(concat!("asyncamanda ", env!("CARGO_PKG_VERSION"))))).await?;
        // The question does not wait for the answer to the greeting: that would be one more round trip.
        self.say(&FromAgent::Query).await
    }

    /// Sends. A stream that takes nothing is no error yet: what the server said before it closed is still to be read.
    async fn say(&mut self, message: &FromAgent) -> Result<(), SessionError> {
        let bytes = frame::pack(message).map_err(SessionError::Protocol)?;
        let queued = self.is_queued();
        let sent = timeout(Duration::from_secs(SILENCE_SECONDS), async {
            let _ = self.writer.write_all(&bytes).await;
            let _ = self.writer.flush().await;
        });
        sent.await.map_err(|_| SessionError::Silent { queued })
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
    async fn hear(&mut self, message: FromShim) -> Result<bool, SessionError> {
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
                    self.open().await?;
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
                        self.say(&FromAgent::Trigger { disks }).await?;
                        self.stage = Stage::Waiting { queued: false, receipts: 0 };
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
            (FromShim::End { .. }, Stage::Waiting { .. }) => {
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
        FromShim::Heartbeat => "a heartbeat",
    }
}
