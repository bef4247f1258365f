//! The answer to a request for a dump (client-src/sendbackup.c, `sendbackup_response` in server-src/dumper.c).

use super::{ReplyError, lines, parse_errors};
use crate::protocol::request::Options;
use crate::protocol::token::MAX_HANDLE;

/// Handles below belong to requests.
const FIRST_STREAM: u32 = 10_000;

/// The streams of a dump, by their handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connect {
    /// The dump.
    pub data: u32,
    /// What is said about it.
    pub mesg: u32,
    /// The names in it, when the request wants them.
    pub index: Option<u32>,
    /// `STATE` stands on the line: the server wants it there exactly when both sides have the feature
    /// `sendbackup_stream_state`. The inner value is the handle, which a client without such a stream writes as -1.
    pub state: Option<Option<u32>>,
}

impl Connect {
    /// Returns the handles of all streams there are.
    pub fn handles(&self) -> impl Iterator<Item = u32> {
        [Some(self.data), Some(self.mesg), self.index, self.state.flatten()].into_iter().flatten()
    }
}

/// The whole of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sendbackup {
    /// The dump begins, once the server has acknowledged this.
    Connect {
        /// On these streams.
        streams: Connect,
        /// From a client with these features.
        options: Options,
    },
    /// There is no dump, and why.
    Error(Vec<u8>),
}

impl Sendbackup {
    /// Returns the body of the REP.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        match self {
            Self::Error(text) => super::error(text),
            Self::Connect { streams, options } => {
                let number = |handle: Option<u32>| handle.map_or("-1".to_owned(), |handle| handle.to_string());
                let mut body = format!("CONNECT DATA {} MESG {} INDEX {}", streams.data, streams.mesg, number(streams.index));
                if let Some(state) = streams.state {
                    body.push_str(&format!(" STATE {}", number(state)));
                }
                [body.as_bytes(), b"\n", &options.print(), b"\n"].concat()
            }
        }
    }

    /// Reads the body of a REP. `RETRY`, with which Amanda's client asks for another level, is not understood: it
    /// comes from applications only.
    ///
    /// # Errors
    /// When it is anything else, or two streams are one, or a stream has a handle for requests.
    pub fn parse(body: &[u8]) -> Result<Self, ReplyError> {
        if body.starts_with(b"ERROR ") {
            return Ok(Self::Error(parse_errors(body)?.join(&b"; "[..])));
        }
        let mut lines = lines(body)?;
        let streams = connect(lines.next().ok_or(ReplyError::Cut)?)?;
        let options = Options::parse(lines.next().ok_or(ReplyError::Cut)?)?;
        if lines.next().is_some() {
            return Err(ReplyError::Line(3));
        }
        Ok(Self::Connect { streams, options })
    }
}

fn connect(line: &[u8]) -> Result<Connect, ReplyError> {
    let line = std::str::from_utf8(line).map_err(|_| ReplyError::Line(1))?;
    let words: Vec<&str> = line.splitn(16, ' ').collect();
    let (data, mesg, index, state) = match words.as_slice() {
        ["CONNECT", "DATA", data, "MESG", mesg, "INDEX", index] => (data, mesg, index, None),
        ["CONNECT", "DATA", data, "MESG", mesg, "INDEX", index, "STATE", state] => (data, mesg, index, Some(state)),
        _ => return Err(ReplyError::Line(1)),
    };
    let streams = Connect {
        data: handle(data)?.ok_or(ReplyError::Streams)?,
        mesg: handle(mesg)?.ok_or(ReplyError::Streams)?,
        index: handle(index)?,
        state: state.map(|state| handle(state)).transpose()?,
    };
    let mut handles: Vec<u32> = streams.handles().collect();
    handles.sort_unstable();
    if handles.windows(2).any(|pair| pair[0] == pair[1]) { Err(ReplyError::Streams) } else { Ok(streams) }
}

/// Reads a handle, or -1 for no stream.
fn handle(word: &str) -> Result<Option<u32>, ReplyError> {
    if word == "-1" {
        return Ok(None);
    }
    let digits = Some(word).filter(|word| word.bytes().all(|digit| digit.is_ascii_digit()));
    let handle = digits.and_then(|digits| digits.parse().ok()).filter(|handle| (FIRST_STREAM..=MAX_HANDLE).contains(handle));
    handle.map(Some).ok_or(ReplyError::Streams)
}
