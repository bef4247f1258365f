//! The one ssh session: connect, run the one command, talk, hang up. Async stays in here.
//!
//! [`ssh`] starts the program and [`ssh_words`] reads what it says; [`key`] looks at the private key first; [`talk`] is
//! the conversation, [`outgoing`] what it sends, [`tunnel`] Amanda's connections inside it, [`measure`]
//! how fast the line is; [`plain`] is a command on a server
//! without a shim. `vault` is the same for a directory: the engine in this process is the server.

mod come;
pub mod depot;
pub mod key;
pub mod measure;
pub mod outgoing;
pub mod plain;
pub mod ssh;
pub mod ssh_words;
pub mod talk;
#[cfg(test)]
mod talk_tests;
pub mod tunnel;
pub mod vault;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use openssh::Stdio;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::signal::unix::{Signal, SignalKind, signal};
use wire::{AbortCode, Exit, FrameError, HostName};

pub use ssh::{Login, Way};
pub use ssh_words::SshFailure;
pub use talk::{Caller, News, Next, Opening, Server};

use crate::history::StoreError;

/// How long a command that has closed its output may take to end.
const ENDING: Duration = Duration::from_secs(5);
/// Bytes that wait in the pipe to ssh at most.
const PIPE: i32 = 512 * 1024;
/// How much of the server's standard error is kept.
const TAIL: usize = 4096;

/// Why there was no conversation, or none to its end.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The private key cannot be used.
    #[error(transparent)]
    Key(#[from] key::KeyError),
    /// A path that ssh_config cannot hold.
    #[error("the path {} has characters that ssh's configuration cannot hold", .0.display())]
    OddPath(PathBuf),
    /// No room for the control socket.
    #[error("cannot make a directory for ssh's control socket")]
    Directory(#[source] io::Error),
    /// No ssh program.
    #[error("there is no ssh program on this machine")]
    NoSsh,
    /// The program did not start.
    #[error("cannot start ssh")]
    Start(#[source] io::Error),
    /// ssh made no connection.
    #[error("{line}")]
    Ssh {
        /// What kind of failure.
        failure: SshFailure,
        /// ssh's own line.
        line: String,
    },
    /// The running ssh master refused something.
    #[error("ssh opened no session: {0}")]
    Master(String),
    /// The connection ended in the middle.
    #[error("the connection to the server was lost")]
    Lost {
        /// The last line of the server's standard error.
        said: String,
        /// A ticket of ours is on the server's disk.
        queued: bool,
    },
    /// Half a minute without a sign of life.
    #[error("the server has been silent for {} s", wire::message::SILENCE_SECONDS)]
    Silent {
        /// A ticket of ours is on the server's disk.
        queued: bool,
    },
    /// A person or the system wants us to stop.
    #[error("interrupted")]
    Interrupted {
        /// A ticket of ours is on the server's disk.
        queued: bool,
    },
    /// The command ended before it said a word.
    #[error("the server's command ended without a greeting")]
    NoGreeting,
    /// The command ended with a status, and without a word of the protocol.
    #[error("the server's command ended with status {status} and without a greeting")]
    Ended {
        /// Its exit status.
        status: u8,
        /// The last line of its standard error.
        said: String,
    },
    /// Something answered that is no shim.
    #[error("what answers there is no asyncamanda-shim; it says \"{0}\"")]
    NotAShim(String),
    /// Not the protocol.
    #[error("the server breaks the protocol")]
    Protocol(#[source] FrameError),
    /// Not the rules of streams.
    #[error("the server breaks the protocol: {0}")]
    Stream(#[from] tunnel::StreamError),
    /// A message that has no place here.
    #[error("the server breaks the protocol: {0} out of turn")]
    OutOfTurn(&'static str),
    /// Another version.
    #[error("the server speaks version {theirs} of the protocol, this program version {}", wire::PROTOCOL_VERSION)]
    Version {
        /// The server's.
        theirs: u32,
    },
    /// The server said no.
    #[error("{message}")]
    Abort {
        /// The kind of no.
        code: AbortCode,
        /// Its sentence, fit for a terminal.
        message: String,
        /// Its hint, fit for a terminal.
        hint: String,
    },
    /// The key stands for another host than the configuration says.
    #[error("the server knows this key as \"{theirs}\", the configuration says \"{ours}\"")]
    WrongHost {
        /// The configuration's.
        ours: HostName,
        /// The server's.
        theirs: HostName,
    },
    /// A receipt cannot be kept.
    #[error("a receipt cannot be stored")]
    Store(#[from] StoreError),
    /// There is no backup into a vault.
    #[error(transparent)]
    Vault(#[from] vault::VaultError),
}

impl SessionError {
    /// Returns the exit status that this becomes.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Key(_) | Self::OddPath(_) | Self::Directory(_) | Self::NoSsh | Self::Start(_) | Self::WrongHost { .. } => Exit::Config,
            Self::Ssh { failure, .. } => match failure {
                SshFailure::Resolve | SshFailure::Unreachable | SshFailure::HungUp => Exit::Unreachable,
                SshFailure::KeyRefused
                | SshFailure::HostKeyChanged
                | SshFailure::HostKeyUnknown
                | SshFailure::HostKeyRevoked
                | SshFailure::NoAlgorithm => Exit::Refused,
                SshFailure::BadIdentity | SshFailure::BadConfiguration => Exit::Config,
                SshFailure::Other => Exit::Unreachable,
            },
            Self::Master(_) => Exit::Refused,
            Self::Lost { .. } | Self::Silent { .. } | Self::Interrupted { .. } | Self::NoGreeting => Exit::Later,
            Self::Ended { status, .. } => match status {
                69 | 75 => Exit::Later,
                77 => Exit::Refused,
                78 => Exit::Config,
                _ => Exit::Protocol,
            },
            Self::NotAShim(_) | Self::Protocol(_) | Self::Stream(_) | Self::OutOfTurn(_) | Self::Version { .. } => Exit::Protocol,
            Self::Abort { code, .. } => code.exit(),
            Self::Store(_) => Exit::Failed,
            Self::Vault(error) => error.exit(),
        }
    }
}

/// Calls a server that is known to have a shim, and lets the caller talk to it.
pub fn call(way: &Way, caller: &mut dyn Caller) -> Result<(), SessionError> {
    block_on(async {
        let mut stop = Stop::listen()?;
        let connection = tokio::select! {
            connection = ssh::connect(way) => connection?,
            () = stop.wanted() => return Err(SessionError::Interrupted { queued: false }),
        };
        let mut child = connection
            .session
            .raw_command(ssh::raw(wire::request::AGENT))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .await
            .map_err(ssh::understand)?;
        let (stdin, stdout, stderr) = pipes(&mut child);
        let mut tail = Tail::default();
        let talked = {
            let drain = tail.drain(stderr);
            let talk = talk::converse(stdout, stdin, caller, Opening::Speak, &[], stop.wanted());
            tokio::pin!(drain, talk);
            let mut drained = false;
            let mut result = None;
            while result.is_none() {
                tokio::select! {
                    talked = &mut talk => result = Some(talked),
                    () = &mut drain, if !drained => drained = true,
                }
            }
            // What it wrote just before it ended is on the way.
            if matches!(result, Some(Err(SessionError::NoGreeting | SessionError::Lost { .. }))) && !drained {
                let _ = tokio::time::timeout(ENDING, drain).await;
            }
            result.unwrap_or(Err(SessionError::NoGreeting))
        };
        match talked {
            Err(SessionError::NoGreeting) => Err(ended(child, tail.last_line()).await),
            Err(SessionError::Lost { queued, .. }) => Err(SessionError::Lost { said: tail.last_line(), queued }),
            other => other,
        }
    })
}

type Child<'s> = openssh::Child<&'s openssh::Session>;

fn pipes(child: &mut Child<'_>) -> (openssh::ChildStdin, openssh::ChildStdout, openssh::ChildStderr) {
    let stdin = child.stdin().take().expect("stdin was piped");
    // Fewer turns between us and ssh while a dump goes through; what is no pipe has its own size.
    let _ = nix::fcntl::fcntl(&stdin, nix::fcntl::FcntlArg::F_SETPIPE_SZ(PIPE));
    let stdout = child.stdout().take().expect("stdout was piped");
    let stderr = child.stderr().take().expect("stderr was piped");
    (stdin, stdout, stderr)
}

/// Tells what became of a command that never greeted us.
async fn ended(child: Child<'_>, said: String) -> SessionError {
    match tokio::time::timeout(ENDING, status(child)).await.ok().flatten() {
        Some(status) => SessionError::Ended { status, said },
        None => SessionError::Lost { said, queued: false },
    }
}

/// Returns a command's exit status; none when the connection went with it. The crate masks 127.
async fn status(child: Child<'_>) -> Option<u8> {
    match child.wait().await {
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()),
        Err(openssh::Error::Remote(_)) => Some(127),
        Err(_) => None,
    }
}

/// The end of what somebody wrote.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Tail {
    async fn drain(&mut self, mut reader: impl AsyncRead + Unpin) {
        let mut chunk = [0; 1024];
        while let Ok(read @ 1..) = reader.read(&mut chunk).await {
            self.0.extend_from_slice(&chunk[..read]);
            let over = self.0.len().saturating_sub(TAIL);
            self.0.drain(..over);
        }
    }

    fn last_line(&self) -> String {
        let line = self.0.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).rfind(|line| !line.is_empty());
        amanda::escape::printable(line.unwrap_or_default())
    }
}

fn block_on<T>(work: impl Future<Output = Result<T, SessionError>>) -> Result<T, SessionError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(SessionError::Start)?;
    runtime.block_on(work)
}

/// Hears a wish to stop, so that the session is closed and its directory removed.
pub(crate) struct Stop([Signal; 3]);

impl Stop {
    /// From now on the signals end nothing by themselves.
    pub(crate) fn listen() -> Result<Self, SessionError> {
        let listen = |kind| signal(kind).map_err(SessionError::Start);
        Ok(Self([listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?]))
    }

    /// Waits for the next one.
    pub(crate) async fn wanted(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
