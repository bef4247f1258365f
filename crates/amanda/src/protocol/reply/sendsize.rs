//! The answer to a request for sizes (client-src/sendsize.c, `handle_result` in server-src/planner.c).

use super::{ReplyError, lines, one_line};
use crate::protocol::request::{MAX_LEVEL, Options};
use crate::quoting;

/// What is said about one disk at one level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SizeLine {
    /// The disk's name, as the request has it.
    pub disk: Vec<u8>,
    /// The level.
    pub level: u16,
    /// The size, or words.
    pub size: Size,
}

/// A size, or words in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Size {
    /// So many KiB. The server counts a disk whose sizes are all 0 among the failed.
    Kib(u64),
    /// -1: the server may estimate this one itself, or there stands an error beside it.
    Unknown,
    /// There is no such dump: -2, or any number below. The server drops the level.
    Impossible,
    /// Why there is no size.
    Error(Vec<u8>),
    /// The server makes no difference between this and an error.
    Warning(Vec<u8>),
}

/// The whole of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sendsize {
    /// The client's features.
    pub options: Options,
    /// A line for each disk and level.
    pub lines: Vec<SizeLine>,
}

impl Sendsize {
    /// Returns the body of the REP.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let mut body = self.options.print();
        body.push(b'\n');
        for SizeLine { disk, level, size } in &self.lines {
            body.extend(quoting::quote(disk));
            body.extend(format!(" {level} ").into_bytes());
            match size {
                Size::Kib(kib) => body.extend(format!("SIZE {kib}").into_bytes()),
                Size::Unknown => body.extend(b"SIZE -1"),
                Size::Impossible => body.extend(b"SIZE -2"),
                Size::Error(text) => body.extend([b"ERROR ", words(text).as_slice()].concat()),
                Size::Warning(text) => body.extend([b"WARNING ", words(text).as_slice()].concat()),
            }
            body.push(b'\n');
        }
        body
    }

    /// Reads the body of a REP.
    ///
    /// # Errors
    /// When a line is not about a disk; `ERROR` and `WARNING` about a whole host are such lines, and so is one without a number.
    pub fn parse(body: &[u8]) -> Result<Self, ReplyError> {
        let mut reply = Self::default();
        for (at, line) in lines(body)?.enumerate() {
            if line.starts_with(b"OPTIONS ") && at == 0 {
                reply.options = Options::parse(line)?;
            } else {
                reply.lines.push(size_line(line).ok_or(ReplyError::Line(at + 1))?);
            }
        }
        Ok(reply)
    }
}

/// Returns a text as one word in quotation marks, which is how the server wants it.
fn words(text: &[u8]) -> Vec<u8> {
    let quoted = quoting::quote(&one_line(text));
    if quoted.starts_with(b"\"") { quoted } else { [b"\"", quoted.as_slice(), b"\""].concat() }
}

fn size_line(line: &[u8]) -> Option<SizeLine> {
    let mut fields = quoting::split_words(line);
    let disk = fields.next_name().filter(|disk| !disk.is_empty() && !disk.contains(&0))?;
    let level = number(fields.next()?).and_then(|level| u16::try_from(level).ok()).filter(|&level| level <= MAX_LEVEL)?;
    let what = fields.next()?;
    let size = match what {
        b"SIZE" => match fields.next()? {
            b"-1" => Size::Unknown,
            [b'-', digits @ ..] => number(digits).map(|_| Size::Impossible)?,
            digits => Size::Kib(number(digits)?),
        },
        b"ERROR" => Size::Error(fields.next_name()?),
        b"WARNING" => Size::Warning(fields.next_name()?),
        _ => return None,
    };
    fields.next().is_none().then_some(SizeLine { disk, level, size })
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
