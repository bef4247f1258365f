//! The asking half of [`wire::restore`]: one question at a time to whoever has the dumps.
//!
//! What is answered may be anybody's: it is limited before memory is taken for it, and what comes out of turn ends the conversation.

mod fetch;
mod lines;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};

use wire::frame::{self, CONTROL, Decoder, FrameError, HEADER, MAX_DATA};
use wire::message::AbortCode;
use wire::names::HostName;
use wire::restore::{Ask, DATA, Dump, DumpId, MAX_PATHS, PathBytes, Told, What};

pub use self::fetch::Fetch;
use self::lines::{Lines, Records};

/// The most dumps that one answer may have.
const MAX_DUMPS: usize = 100_000;

/// Why an answer did not come.
#[derive(Debug, thiserror::Error)]
pub enum DepotError {
    /// The server says no; something else may be asked.
    #[error("{message}")]
    No {
        /// What kind of no.
        code: AbortCode,
        /// What happened and why, one sentence.
        message: String,
        /// What to do next; empty when nothing can be said.
        hint: String,
    },
    /// The connection is lost.
    #[error("the connection to the dumps is lost")]
    Lost(#[source] io::Error),
    /// It ended in the middle of an answer.
    #[error("the connection to the dumps ended in the middle of an answer")]
    Ended,
    /// What came is no frame, or no message that this version knows.
    #[error("what the server sent cannot be understood")]
    NotUnderstood(#[from] FrameError),
    /// Something came that does not belong to this answer.
    #[error("the server sent {what} in answer to a question for {asked}")]
    OutOfTurn {
        /// What was asked for.
        asked: &'static str,
        /// What came.
        what: &'static str,
    },
    /// An answer is longer than any that can be true.
    #[error("the server's answer has {what}, and at most {limit} are taken")]
    TooMuch {
        /// Too many of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A question with more paths than one may have.
    #[error("{0} paths are too many for one question, which may have {MAX_PATHS}")]
    TooManyPaths(usize),
    /// A question that does not fit into a frame.
    #[error("the paths of one question take {0} bytes, which is too much for one message")]
    TooLongToAsk(usize),
    /// An answer before this one was not read to its end.
    #[error("the conversation about dumps was given up in the middle of an answer, and a new one is needed")]
    GivenUp,
}

impl DepotError {
    /// Says whether something else may be asked.
    #[must_use]
    pub fn is_no(&self) -> bool {
        matches!(self, Self::No { .. } | Self::TooManyPaths(_) | Self::TooLongToAsk(_))
    }
}

impl From<DepotError> for io::Error {
    fn from(error: DepotError) -> Self {
        Self::other(error)
    }
}

/// Where the conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Something may be asked.
    Ours,
    /// An answer comes.
    Theirs,
}

/// What came next of an answer.
enum Came<'a> {
    Told(Told),
    Data(&'a [u8]),
}

/// The other side of a conversation about dumps.
#[derive(Debug)]
pub struct Depot<R: Read, W: Write> {
    reader: R,
    writer: W,
    decoder: Decoder,
    turn: Turn,
}

impl<R: Read, W: Write> Depot<R, W> {
    /// Begins a conversation; nothing is said yet.
    pub fn new(reader: R, writer: W) -> Self {
        Self { reader, writer, decoder: Decoder::new(), turn: Turn::Ours }
    }

    /// Says whether something may be asked: not any more when an answer was given up half-way.
    pub fn is_usable(&self) -> bool {
        self.turn == Turn::Ours
    }

    /// Ends the conversation and returns both directions.
    pub fn into_parts(self) -> (R, W) {
        (self.reader, self.writer)
    }

    /// Asks which dumps there are, of this key's own host when none is named; oldest first for each disk.
    ///
    /// # Errors
    /// See [`DepotError`].
    pub fn dumps(&mut self, host: Option<&HostName>) -> Result<Vec<Dump>, DepotError> {
        const ASKED: &str = "the list of dumps";
        self.ask(&Ask::Dumps { host: host.cloned() })?;
        let mut dumps = Vec::new();
        while let Some(came) = self.answer()? {
            match came {
                Came::Told(Told::Dump(_)) if dumps.len() == MAX_DUMPS => {
                    return Err(DepotError::TooMuch { what: "too many dumps", limit: MAX_DUMPS });
                }
                Came::Told(Told::Dump(dump)) => dumps.push(*dump),
                other => return Err(other.out_of_turn(ASKED)),
            }
        }
        Ok(dumps)
    }

    /// Asks for the names in a dump by its index and gives each line of it to `each`, without its newline: `/a/b`, `/` at the end for a
    /// directory, escaped as tar lists names ([`amanda::index::unescaped`]).
    ///
    /// # Errors
    /// See [`DepotError`].
    pub fn names(&mut self, dump: &DumpId, below: &PathBytes, deep: bool, mut each: impl FnMut(&[u8])) -> Result<(), DepotError> {
        const ASKED: &str = "names";
        self.ask(&Ask::Names { dump: dump.clone(), below: below.clone(), deep })?;
        let mut lines = Lines::default();
        while let Some(came) = self.answer()? {
            match came {
                Came::Data(bytes) => lines.feed(bytes, &mut each)?,
                other => return Err(other.out_of_turn(ASKED)),
            }
        }
        if lines.is_whole() { Ok(()) } else { Err(DepotError::OutOfTurn { asked: ASKED, what: "half a name" }) }
    }

    /// Asks for what directories had in them and gives each one's path and its dumpdir's body ([`crate::dumpdir`]) to `each`. Directories
    /// above those that are named come along.
    ///
    /// # Errors
    /// See [`DepotError`].
    pub fn directories(
        &mut self,
        dump: &DumpId,
        of: &[PathBytes],
        deep: bool,
        mut each: impl FnMut(PathBytes, &[u8]),
    ) -> Result<(), DepotError> {
        const ASKED: &str = "what directories had in them";
        few(of)?;
        self.ask(&Ask::Directories { dump: dump.clone(), of: of.to_vec(), deep })?;
        let mut records = Records::default();
        while let Some(came) = self.answer()? {
            match came {
                Came::Data(bytes) => records.feed(bytes, &mut each)?,
                other => return Err(other.out_of_turn(ASKED)),
            }
        }
        if records.is_whole() { Ok(()) } else { Err(DepotError::OutOfTurn { asked: ASKED, what: "half a directory" }) }
    }

    /// Asks for a dump, or for members of it. What is returned must be read to its end before something else can be asked.
    ///
    /// # Errors
    /// See [`DepotError`].
    pub fn fetch(&mut self, dump: &DumpId, what: What) -> Result<Fetch<'_, R, W>, DepotError> {
        const ASKED: &str = "a dump";
        if let What::Members(paths) = &what {
            few(paths)?;
        }
        self.ask(&Ask::Fetch { dump: dump.clone(), what })?;
        match self.answer()? {
            Some(Came::Told(Told::Archive { packing, bytes, stored })) => Ok(Fetch::new(self, packing, bytes, stored)),
            Some(other) => Err(other.out_of_turn(ASKED)),
            None => Err(DepotError::OutOfTurn { asked: ASKED, what: "nothing" }),
        }
    }

    fn ask(&mut self, ask: &Ask) -> Result<(), DepotError> {
        if !self.is_usable() {
            return Err(DepotError::GivenUp);
        }
        let question = frame::pack(ask).map_err(|error| match error {
            FrameError::TooLongToSend(bytes) => DepotError::TooLongToAsk(bytes),
            error => error.into(),
        })?;
        self.turn = Turn::Theirs;
        self.writer.write_all(&question).and_then(|()| self.writer.flush()).map_err(DepotError::Lost)
    }

    /// Returns what comes next of the answer, nothing when it is complete.
    fn answer(&mut self) -> Result<Option<Came<'_>>, DepotError> {
        if self.turn == Turn::Ours {
            return Ok(None);
        }
        while !self.decoder.is_ready()? {
            match self.decoder.read_from(&mut self.reader, MAX_DATA + HEADER) {
                Ok(0) => return Err(DepotError::Ended),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(DepotError::Lost(error)),
            }
        }
        let Some(came) = self.decoder.next_frame()? else { return Err(DepotError::Ended) };
        match came.channel {
            CONTROL => match frame::unpack(came)? {
                Told::Done => {
                    self.turn = Turn::Ours;
                    Ok(None)
                }
                Told::No { code, message, hint } => {
                    self.turn = Turn::Ours;
                    Err(DepotError::No { code, message, hint })
                }
                told => Ok(Some(Came::Told(told))),
            },
            DATA => Ok(Some(Came::Data(came.payload))),
            other => Err(FrameError::UnknownChannel(other).into()),
        }
    }
}

impl Came<'_> {
    fn out_of_turn(self, asked: &'static str) -> DepotError {
        let what = match self {
            Self::Data(_) => "bytes",
            Self::Told(Told::Dump(_)) => "a dump's name",
            Self::Told(Told::Archive { .. }) => "an archive",
            Self::Told(Told::Frame { .. }) => "a frame",
            Self::Told(Told::Hole { .. }) => "a hole",
            Self::Told(Told::Done | Told::No { .. }) => "an end",
        };
        DepotError::OutOfTurn { asked, what }
    }
}

fn few(paths: &[PathBytes]) -> Result<(), DepotError> {
    if paths.len() > MAX_PATHS { Err(DepotError::TooManyPaths(paths.len())) } else { Ok(()) }
}
