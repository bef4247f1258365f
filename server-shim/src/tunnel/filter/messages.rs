//! The lines of a dump's message stream. Amanda puts some of them into the dump's header, which later chooses the programs of
//! a restore: of those, only what the dumptype implies may pass.

use amanda::escape::printable;
use amanda::protocol::mesg::{Line, implied};
use amanda::protocol::request::DleRequest;

use super::Caught;

/// The longest line. One that only tells something is cut there.
const MAX_LINE: usize = 8 * 1024;

/// All lines of one dump: Amanda writes them to a file. A line for each of half a million files that cannot be read.
const MAX_LINES: usize = 64 * 1024 * 1024;

/// How much of a line is shown in the sentence about it.
const SHOWN: usize = 200;

/// The message stream of one dump.
#[derive(Debug)]
pub struct Messages {
    dle: DleRequest,
    line: Vec<u8>,
    /// The line was cut, and passes to its end.
    cut: bool,
    /// The header has a program.
    named: bool,
    /// The header is complete.
    complete: bool,
    total: usize,
}

impl Messages {
    /// Follows the lines about this dump.
    pub fn new(dle: DleRequest) -> Self {
        Self { dle, line: Vec::new(), cut: false, named: false, complete: false, total: 0 }
    }

    /// Tells whether the dump's header is complete.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Takes the end of the stream; a line without its newline counts.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Caught> {
        if self.line.is_empty() { Ok(()) } else { self.take(b"\n", out) }
    }

    /// Takes a piece of the stream, and adds the whole lines that pass.
    pub fn take(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Caught> {
        self.total = self.total.saturating_add(piece.len());
        if self.total > MAX_LINES {
            return Err(Caught::new(format!("the laptop sent more than {} MiB of messages about one dump", MAX_LINES >> 20)));
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
                self.judge(&line, out)?;
            }
        }
        Ok(())
    }

    fn judge(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<(), Caught> {
        let understood = Line::parse(line);
        let refused = |why: &str| {
            let shown = printable(&line[..line.len().min(SHOWN)]);
            Err(Caught::new(format!("the laptop sent \"{shown}\" about its dump, which {why}")))
        };
        match understood {
            Line::Info { .. } if self.complete => return refused("comes after the dump's header is complete"),
            Line::Info { key, value } => {
                if implied(&self.dle, key, value).is_err() {
                    return refused("its dumptype does not imply");
                }
                self.named |= key == b"BACKUP";
            }
            // Amanda's dumper dies of a header that names no program.
            Line::InfoEnd if !self.named => return refused("completes a header that names no program"),
            Line::InfoEnd => self.complete = true,
            Line::Retry(_) => return refused("would have Amanda make another dump, at a level that it does not choose itself"),
            // To Amanda some other spelling may mean what this one does not: it is said as something strange.
            Line::Other(_) => {
                out.extend(understood.print());
                return Ok(());
            }
            _ => {}
        }
        out.extend_from_slice(line);
        out.push(b'\n');
        Ok(())
    }
}

/// Says it as the client's own error. Amanda reads it to the first closing bracket.
pub fn error_line(what: &str) -> Vec<u8> {
    let text = format!("asyncamanda: {what}").replace(['[', ']'], "|");
    Line::Error(text.as_bytes()).print()
}
