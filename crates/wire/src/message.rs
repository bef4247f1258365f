//! What is said: one JSON object per control frame, its kind in the field `say`.
//!
//! The first message of either side is its hello; it carries the version. Unknown fields are passed over (a newer
//! peer may say more), unknown messages are an error (it may mean more).

use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::names::{ConfigName, DiskName, HostName};
use crate::receipt::Receipt;

/// The version of this protocol. Raised with the first field that matters.
pub const PROTOCOL_VERSION: u32 = 1;

/// Seconds between two signs of life while there is nothing else to say.
pub const HEARTBEAT_SECONDS: u64 = 10;

/// Seconds of silence after which the other side is taken for gone.
pub const SILENCE_SECONDS: u64 = 30;

/// The most disks one trigger may name.
pub const MAX_DISKS: usize = 256;

/// The most lines of amcheck that are passed on.
pub const MAX_CHECK_LINES: usize = 200;

/// The first message of either side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`] of the sender.
    pub version: u32,
    /// Name and version of the program, for logs.
    #[serde(default)]
    pub program: String,
}

impl Hello {
    /// Returns the hello of this build.
    pub fn ours(program: &str) -> Self {
        Self { version: PROTOCOL_VERSION, program: program.to_owned() }
    }
}

/// What the laptop says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case")]
pub enum FromAgent {
    /// First of all.
    Hello(Hello),
    /// What do you have of mine? Answered by [`FromShim::Receipt`]s and [`FromShim::Standing`], then [`FromShim::End`].
    Query,
    /// Back these disks up; all that the disklist has for this host when none is named.
    Trigger {
        /// Disk names as in the disklist, at most [`MAX_DISKS`].
        #[serde(default)]
        disks: Vec<DiskName>,
    },
    /// From now on, until this session ends or a newer one says the same, Amanda may reach the laptop through it.
    Serve {
        /// The client's incremental state moves only with a receipt that is OK, so that a dump that failed on the server is
        /// simply dumped again.
        holds_back: bool,
    },
    /// Bytes to measure the line with; the server forgets them.
    Measure {
        /// Anything, so long that it fits into a message.
        filler: String,
        /// The last of a round: answered by [`FromShim::Measured`].
        last: bool,
    },
    /// Would it work? Amanda's own amcheck asks this laptop. Answered by [`FromShim::Checked`], then [`FromShim::End`].
    Check,
    /// Let me look at the dumps of my host. The server opens one stream, on which both speak as in [`crate::restore`]; when it has been closed,
    /// [`FromShim::End`] follows.
    Restore,
    /// This much of a stream has been taken in: as much again may be sent.
    Window {
        /// The stream.
        stream: u8,
        /// Bytes.
        bytes: u32,
    },
    /// Nothing more will be sent on this stream, and what comes is dropped. Said once by either side; then its number is free.
    Close {
        /// The stream.
        stream: u8,
    },
    /// Still here.
    Heartbeat,
}

/// What the server says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case")]
pub enum FromShim {
    /// First of all: who the key says that the laptop is.
    Hello {
        /// Version and program.
        #[serde(flatten)]
        hello: Hello,
        /// The host that this key stands for.
        host: HostName,
        /// The config that its dumps belong to.
        config: ConfigName,
    },
    /// The polite refusal; nothing follows.
    Abort {
        /// What kind of no.
        code: AbortCode,
        /// What happened and why, one sentence.
        message: String,
        /// What to do next; empty when nothing can be said.
        #[serde(default)]
        hint: String,
    },
    /// Answers a query: where this host stands.
    Standing {
        /// The ticket, when one waits or runs.
        #[serde(default)]
        ticket: Option<String>,
    },
    /// The trigger was let in and is on disk.
    Queued {
        /// Its ticket.
        ticket: String,
        /// An earlier ticket of this host was joined.
        joined: bool,
        /// Place in the queue from 1; it changes. 0 when the ticket is in a run already.
        position: u32,
        /// What it waits for, one sentence.
        #[serde(default)]
        waits_for: String,
    },
    /// The run goes on.
    Progress(Progress),
    /// One disk's receipt.
    Receipt(Box<Receipt>),
    /// All receipts of this ticket, or all answers to a query, have been sent.
    End {
        /// The ticket; none after a query.
        #[serde(default)]
        ticket: Option<String>,
    },
    /// Amanda connects: what comes on this stream is for the laptop's Amanda client.
    Open {
        /// The stream, from 1 to [`crate::frame::MAX_STREAMS`].
        stream: u8,
    },
    /// As [`FromAgent::Window`].
    Window {
        /// The stream.
        stream: u8,
        /// Bytes.
        bytes: u32,
    },
    /// As [`FromAgent::Close`].
    Close {
        /// The stream.
        stream: u8,
    },
    /// A round of measuring has come in whole.
    Measured,
    /// What amcheck found.
    Checked {
        /// It was content.
        ok: bool,
        /// What it printed, at most [`MAX_CHECK_LINES`] lines.
        lines: Vec<String>,
    },
    /// Still here.
    Heartbeat,
}

/// How far a run is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The run.
    pub run: String,
    /// What it does now: "starting", "estimating", "dumping", "finishing".
    pub phase: String,
    /// This host's disks.
    #[serde(default)]
    pub disks: Vec<DiskProgress>,
}

/// How far one disk is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskProgress {
    /// The disk.
    pub disk: DiskName,
    /// "waiting", "estimating", "dumping", "done" or "failed".
    pub state: String,
    /// Level, when it is known.
    #[serde(default)]
    pub level: Option<u8>,
    /// Bytes on the holding disk or volume so far.
    #[serde(default)]
    pub bytes: u64,
    /// Bytes expected, by the planner's estimate; 0 when unknown.
    #[serde(default)]
    pub estimate: u64,
}

/// The kinds of no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AbortCode {
    /// This key, host or request is not allowed.
    Refused,
    /// The server's configuration is wrong; its administrator must act.
    Config,
    /// Not now: a budget is used up, the queue is full, the server is short of something.
    Later,
    /// The two sides do not understand each other.
    Protocol,
    /// The server failed in a way that trying again may or may not mend.
    Failed,
}

impl AbortCode {
    /// Returns the exit status that this no becomes.
    pub fn exit(self) -> Exit {
        match self {
            Self::Refused => Exit::Refused,
            Self::Config => Exit::Config,
            Self::Later => Exit::Later,
            Self::Protocol => Exit::Protocol,
            Self::Failed => Exit::Failed,
        }
    }
}
