//! The answer to a check (client-src/selfcheck.c, server-src/amcheck.c).

use super::{ReplyError, lines, one_line};
use crate::protocol::request::Options;

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckLine {
    /// Something is as it should be. Nobody sees it.
    Ok(Vec<u8>),
    /// Something is not, and amcheck says so.
    Error(Vec<u8>),
}

/// The whole of it. Amanda 3.5 sends its own in JSON, which amcheck reads with a parser that aborts on surprise; the
/// older lines are understood by every amcheck and are the only form here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selfcheck {
    /// The client's features and name.
    pub options: Options,
    /// What was found.
    pub lines: Vec<CheckLine>,
}

impl Selfcheck {
    /// Returns the body of the REP.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let mut body = self.options.print();
        body.push(b'\n');
        for line in &self.lines {
            match line {
                CheckLine::Ok(text) => body.extend([b"OK ", quiet(text).as_slice(), b"\n"].concat()),
                CheckLine::Error(text) => body.extend([b"ERROR [", quiet(text).as_slice(), b"]\n"].concat()),
            }
        }
        body
    }

    /// Reads the body of a REP in lines.
    ///
    /// # Errors
    /// When it has anything but OPTIONS, OK and ERROR. The JSON of Amanda's own client is such a thing; it answers in
    /// lines when the request's features lack [`SelfcheckMessage`](crate::protocol::features::Feature::SelfcheckMessage).
    pub fn parse(body: &[u8]) -> Result<Self, ReplyError> {
        let mut reply = Self::default();
        for (at, line) in lines(body)?.enumerate() {
            if let Some(text) = line.strip_prefix(b"OK ") {
                reply.lines.push(CheckLine::Ok(text.to_vec()));
            } else if let Some(text) = line.strip_prefix(b"ERROR ") {
                let bare = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")).unwrap_or(text);
                reply.lines.push(CheckLine::Error(bare.to_vec()));
            } else if line.starts_with(b"OPTIONS ") {
                // Amanda's client says them twice, the second time with its name.
                reply.options = Options::parse(line)?;
            } else {
                return Err(ReplyError::Line(at + 1));
            }
        }
        Ok(reply)
    }
}

/// amcheck joins lines while a quotation mark is open, so none goes out.
fn quiet(text: &[u8]) -> Vec<u8> {
    let mut text = one_line(text);
    text.iter_mut().filter(|byte| matches!(byte, b'"' | b'\\')).for_each(|byte| *byte = b'\'');
    text
}
