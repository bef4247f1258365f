//! Why a conversation with a client has come to nothing, in words for Amanda's log and the receipt.

use std::io;
use std::time::Duration;

use amanda::escape::printable;
use amanda::protocol::packet::{Kind, PacketError};
use amanda::protocol::reply::ReplyError;
use amanda::protocol::token::TokenError;

/// How much of a client's words goes into a sentence of ours.
const SHOWN: usize = 1000;

/// Why a conversation is over.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// Nothing came for too long.
    #[error("nothing came from the client for {}: {what} is missing", humantime::format_duration(*.patience))]
    Silent {
        /// What was waited for.
        what: &'static str,
        /// How long.
        patience: Duration,
    },
    /// The connection ended in the middle.
    #[error("the client ended the connection before {0}")]
    Ended(&'static str),
    /// The connection failed.
    #[error("the connection to the client failed: {0}")]
    Failed(#[source] io::Error),
    /// It speaks, and not Amanda's language.
    #[error("the client does not speak Amanda's protocol: its first word is \"{0}\"")]
    Stranger(String),
    /// What came is no token.
    #[error("the client said something that is not Amanda's: {0}")]
    Token(#[source] TokenError),
    /// What came is no packet.
    #[error("the client said something that is not Amanda's: {0}")]
    Packet(#[source] PacketError),
    /// A packet that a client does not send.
    #[error("the client sent a {0} where none belongs")]
    Misplaced(Kind),
    /// A handle that is neither a request's nor a stream's.
    #[error("the client sent {length} bytes for the handle {handle}, which nobody has opened")]
    Unopened {
        /// The handle.
        handle: u32,
        /// What was announced.
        length: usize,
    },
    /// An answer longer than any.
    #[error("the client announced an answer of {length} bytes, and {longest} are enough for it")]
    Long {
        /// What was announced.
        length: usize,
        /// What is enough.
        longest: usize,
    },
    /// Tokens that say nothing, without an end.
    #[error("the client goes on sending what says nothing")]
    Noise,
    /// An answer that cannot be read.
    #[error("the client's answer to {service} is not understood: {why}")]
    Answer {
        /// What was asked.
        service: &'static str,
        /// What is wrong with it.
        #[source]
        why: ReplyError,
    },
    /// The client will not: its words.
    #[error("the client refuses: {0}")]
    Refused(String),
    /// A thread of ours has failed.
    #[error("the conversation with the client failed in this program")]
    Panicked,
}

impl Broken {
    /// Says whether another try may go better without anybody changing anything: the client was gone or silent.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Silent { .. } | Self::Ended(_) | Self::Failed(_))
    }
}

/// Returns words of the client's for a sentence: printable, in one line, not too many, and without brackets, which end a
/// sentence in Amanda's log.
pub fn clients_words(text: &[u8]) -> String {
    let mut shown = printable(&text[..text.len().min(SHOWN)]).replace('[', "(").replace(']', ")");
    let end = (0..=SHOWN.min(shown.len())).rev().find(|end| shown.is_char_boundary(*end)).unwrap_or(0);
    shown.truncate(end);
    let inner = shown.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).filter(|inner| !inner.contains(['(', ')']));
    inner.map_or(shown.trim(), str::trim).to_owned()
}
