//! The lines of a dump's message stream. Amanda puts some of them into the dump's header, which later chooses the programs of
//! a restore: of those, only what the dumptype implies may pass.

use amanda::escape::printable;
use amanda::protocol::mesg::{Introduction, Line};
use amanda::protocol::request::DleRequest;

use super::Caught;

/// The longest line. One that only tells something is cut there.
const MAX_LINE: usize = 8 * 1024;

/// The bytes of all lines of one dump: Amanda writes them to a file. A line for each of half a million files that cannot be read.
const MAX_TOTAL: usize = 64 * 1024 * 1024;

/// What may be held back: after the last line nothing is to be said.
const MAX_HELD: usize = 64 * 1024;

/// How much of a line is shown in the sentence about it.
const SHOWN: usize = 200;

/// The message stream of one dump.
#[derive(Debug)]
pub struct Messages {
    dle: DleRequest,
    line: Vec<u8>,
    /// The line was cut, and passes to its end.
    cut: bool,
    introduction: Introduction,
    /// The last line and what came after it, while the dump goes on.
    held: Option<Vec<u8>>,
    total: usize,
}

impl Messages {
    /// Follows the lines about this dump.
    pub fn new(dle: DleRequest) -> Self {
        Self { dle, line: Vec::new(), cut: false, introduction: Introduction::default(), held: None, total: 0 }
    }

    /// Tells whether the dump's header is complete.
    pub fn is_complete(&self) -> bool {
        self.introduction.is_complete()
    }

    /// Tells whether something waits for the dump's end.
    pub fn is_holding(&self) -> bool {
        self.held.is_some()
    }

    /// Gives up what was held back.
    pub fn release(&mut self) -> Vec<u8> {
        self.held.take().unwrap_or_default()
    }

    /// Takes the end of the stream; a line without its newline counts.
    pub fn end(&mut self, may_end: bool, out: &mut Vec<u8>) -> Result<(), Caught> {
        if self.line.is_empty() { Ok(()) } else { self.take(b"\n", may_end, out) }
    }

    /// Takes a piece of the stream, and adds the whole lines that pass; from the last one on they are held back until the
    /// dump `may_end`.
    pub fn take(&mut self, piece: &[u8], may_end: bool, out: &mut Vec<u8>) -> Result<(), Caught> {
        self.total = self.total.saturating_add(piece.len());
        if self.total > MAX_TOTAL {
            return Err(Caught::new(format!("the laptop sent more than {} MiB of messages about one dump", MAX_TOTAL >> 20)));
        }
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let (text, whole) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            self.line.extend_from_slice(&text[..text.len().min(MAX_LINE - self.line.len())]);
            if self.line.len() == MAX_LINE && !self.cut {
                // What is only told may be cut, what is acted upon may not.
                if !matches!(self.line[0], b'|' | b'?') {
                    return Err(Caught::new(format!("the laptop sent a message of more than {MAX_LINE} bytes about its dump")));
                }
                self.cut = true;
            }
            if whole {
                let line = std::mem::take(&mut self.line);
                self.cut = false;
                self.judge(&line, may_end, out)?;
            }
        }
        Ok(())
    }

    fn judge(&mut self, line: &[u8], may_end: bool, out: &mut Vec<u8>) -> Result<(), Caught> {
        let understood = Line::parse(line);
        if let Err(unfit) = self.introduction.hear(&self.dle, &understood) {
            let shown = printable(&line[..line.len().min(SHOWN)]);
            return Err(Caught::new(format!("the laptop sent \"{shown}\" about its dump, which {unfit}")));
        }
        if matches!(understood, Line::End) && !may_end && self.held.is_none() {
            self.held = Some(Vec::new());
        }
        let out = self.held.as_mut().unwrap_or(out);
        // To Amanda some other spelling may mean what this one does not: it is said as something strange.
        if matches!(understood, Line::Other(_)) {
            out.extend(understood.print());
        } else {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
        if self.held.as_ref().is_some_and(|held| held.len() > MAX_HELD) {
            return Err(Caught::new("the laptop goes on sending messages after the last one about its dump"));
        }
        Ok(())
    }
}

/// Says it as the client's own error. Amanda reads it to the first closing bracket.
pub fn error_line(what: &str) -> Vec<u8> {
    let text = format!("asyncamanda: {what}").replace(['[', ']'], "|");
    Line::Error(text.as_bytes()).print()
}
