//! What a client says about its dump, line by line, and what has to be said before a dump is believed (`process_dumpline` in
//! server-src/dumper.c).

use amanda::crc::Crc;
use amanda::escape::printable;
use amanda::protocol::mesg::{Introduction, Line, Unfit};
use amanda::protocol::request::DleRequest;

use crate::engine::embedded::dialogue::clients_words;

/// The longest line. One that only tells something is cut there.
const MAX_LINE: usize = 8 * 1024;
/// All lines of one dump: one for each of half a million files that cannot be read.
const MAX_TOTAL: usize = 64 * 1024 * 1024;
/// Lines that are kept for the log, and how much of each.
const MAX_KEPT: usize = 200;
const MAX_SHOWN: usize = 1000;
/// Sizes from here on (KiB) are none that a host has: 1 EiB.
const BIGGEST: u64 = 1 << 50;

/// Why a dump is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The client says that it has failed.
    #[error("the client says: {0}")]
    Client(String),
    /// It says what a client may not.
    #[error("the client sent \"{line}\" about its dump, which {unfit}")]
    Unfit {
        /// The line.
        line: String,
        /// Why it may not.
        unfit: Unfit,
    },
    /// A line that cannot be cut.
    #[error("the client sent a message of more than {MAX_LINE} bytes about its dump")]
    LongLine,
    /// Too many lines.
    #[error("the client sent more than {} MiB of messages about one dump", MAX_TOTAL >> 20)]
    Talkative,
    /// Bytes came too early.
    #[error("the client sent its dump before the dump's header was complete")]
    Early,
    /// It said nothing of the dump's end.
    #[error("the client never said that its dump is complete")]
    NoEnd,
    /// Amanda's dumper fails a dump without.
    #[error("the client said no size")]
    NoSize,
    /// Nothing is that large.
    #[error("the client says that its dump has {0} KiB, which is not believed")]
    Size(u64),
    /// It counts, and said no count.
    #[error("the client said no checksum")]
    NoChecksum,
    /// What came is not what was sent.
    #[error("the dump is damaged: the client sent {sent} and {came} came (CRC-32C and bytes)")]
    Damaged {
        /// By the client's count.
        sent: Crc,
        /// By ours.
        came: Crc,
    },
    /// Not one byte.
    #[error("the client sent no dump")]
    Empty,
    /// A stream that was ended goes on.
    #[error("the client sent more on a stream that it had ended")]
    AfterEnd,
    /// Bytes on a stream that its program does not have.
    #[error("the client sent a state, which its program does not have")]
    State,
    /// The client opened no stream for the names that the dumptype wants.
    #[error("the client sends no index")]
    NoIndex,
    /// All names together are too long.
    #[error("the client's index has more than {} GiB", super::receive::MAX_NAMES >> 30)]
    LongIndex,
}

impl Unproven {
    /// Says whether it was the client's own programs that failed, or the way between: another try may go better.
    #[must_use]
    pub fn may_go_better(&self) -> bool {
        matches!(self, Self::Client(_) | Self::NoEnd | Self::Damaged { .. } | Self::Empty)
    }
}

/// What was said so far.
#[derive(Debug)]
pub struct Heard {
    dle: DleRequest,
    introduction: Introduction,
    line: Vec<u8>,
    total: usize,
    strange: Vec<String>,
    left_out: u64,
    size: Option<u64>,
    native: Option<Crc>,
    client: Option<Crc>,
    ended: bool,
}

/// What was said in all, and holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The size before compression, in KiB.
    pub size: u64,
    /// What the program wrote, by the client's count.
    pub native: Option<Crc>,
    /// What the client sent, by its count; `None` for a client that does not count.
    pub client: Option<Crc>,
}

impl Heard {
    /// Nothing was said yet about this dump.
    pub fn new(dle: DleRequest) -> Self {
        Self {
            dle,
            introduction: Introduction::default(),
            line: Vec::new(),
            total: 0,
            strange: Vec::new(),
            left_out: 0,
            size: None,
            native: None,
            client: None,
            ended: false,
        }
    }

    /// Says whether the dump's bytes may come.
    pub fn is_introduced(&self) -> bool {
        self.introduction.is_complete()
    }

    /// Says whether somebody should read something.
    pub fn is_strange(&self) -> bool {
        !self.strange.is_empty()
    }

    /// Returns the lines that somebody should read, as Amanda's dumper logs them.
    pub fn strange(&self) -> Vec<String> {
        let mut lines = self.strange.clone();
        if self.left_out > 0 {
            lines.push(format!("? {} more lines like these were left out", self.left_out));
        }
        lines
    }

    /// Hears a piece of the stream.
    pub fn take(&mut self, piece: &[u8]) -> Result<(), Unproven> {
        self.total = self.total.saturating_add(piece.len());
        if self.total > MAX_TOTAL {
            return Err(Unproven::Talkative);
        }
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let (text, whole) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            let room = MAX_LINE - self.line.len();
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            // What is only told may be cut, what is acted upon may not.
            if text.len() > room && !matches!(self.line[0], b'|' | b'?') {
                return Err(Unproven::LongLine);
            }
            if whole {
                self.end_line()?;
            }
        }
        Ok(())
    }

    /// Hears the end of the stream; a line without its newline counts.
    pub fn end(&mut self) -> Result<(), Unproven> {
        if self.line.is_empty() { Ok(()) } else { self.end_line() }
    }

    fn end_line(&mut self) -> Result<(), Unproven> {
        let line = std::mem::take(&mut self.line);
        let heard = self.line_heard(&line);
        // The memory serves the next line.
        self.line = line;
        self.line.clear();
        heard
    }

    fn line_heard(&mut self, line: &[u8]) -> Result<(), Unproven> {
        let understood = Line::parse(line);
        self.introduction
            .hear(&self.dle, &understood)
            .map_err(|unfit| Unproven::Unfit { line: printable(&line[..line.len().min(MAX_SHOWN / 5)]), unfit })?;
        match understood {
            Line::Strange(_) | Line::Warning(_) => self.keep(line),
            // As Amanda's dumper marks what it does not know.
            Line::Other(_) => self.keep(&[b"??", line].concat()),
            Line::Size(kib) if kib >= BIGGEST => return Err(Unproven::Size(kib)),
            Line::Size(kib) => self.size = Some(kib),
            Line::NativeCrc(crc) => self.native = Some(crc),
            Line::ClientCrc(crc) => self.client = Some(crc),
            Line::End => self.ended = true,
            Line::Error(text) => return Err(Unproven::Client(clients_words(text))),
            _ => {}
        }
        Ok(())
    }

    fn keep(&mut self, line: &[u8]) {
        if self.strange.len() < MAX_KEPT {
            self.strange.push(printable(&line[..line.len().min(MAX_SHOWN)]));
        } else {
            self.left_out += 1;
        }
    }

    /// Decides whether what was said makes these bytes a dump. `counts`: the client is one that says checksums.
    pub fn proof(&self, came: Crc, counts: bool) -> Result<Proof, Unproven> {
        if !self.ended {
            return Err(Unproven::NoEnd);
        }
        let size = self.size.ok_or(Unproven::NoSize)?;
        match self.client {
            None if counts => return Err(Unproven::NoChecksum),
            Some(sent) if sent != came => return Err(Unproven::Damaged { sent, came }),
            _ => {}
        }
        // Amanda's taper cannot write a dump of nothing, and tar writes at least one block.
        if came.bytes == 0 {
            return Err(Unproven::Empty);
        }
        Ok(Proof { size, native: self.native, client: self.client })
    }
}
