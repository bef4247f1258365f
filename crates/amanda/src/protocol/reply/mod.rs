//! What a client answers: the bodies of REP and NAK.
//!
//! Amanda's server reads each of them by its lines, and one line that it does not understand fails the disk, or all
//! disks of the host. The readers here take what Amanda's own client writes and what ours writes, and nothing else.

mod selfcheck;
mod sendbackup;
mod sendsize;
#[cfg(test)]
mod tests;

pub use selfcheck::{CheckLine, Selfcheck};
pub use sendbackup::{Connect, Sendbackup};
pub use sendsize::{Sendsize, Size, SizeLine};

use super::features::{Features, FeaturesError};
use super::request::{Options, OptionsError};

/// Lines that one reply may have.
pub const MAX_LINES: usize = 100_000;

/// Why an answer is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The last line was cut.
    #[error("the answer does not end with its line")]
    Cut,
    /// More than [`MAX_LINES`].
    #[error("the answer has too many lines")]
    Many,
    /// Its options are wrong.
    #[error("the answer's options are not understood")]
    Options(#[from] OptionsError),
    /// Its features are wrong.
    #[error("the answer's features are not understood")]
    Features(#[from] FeaturesError),
    /// A line means nothing to us.
    #[error("line {0} of the answer is not understood")]
    Line(usize),
    /// It names streams that it cannot have.
    #[error("the answer's streams are not understood")]
    Streams,
}

/// Returns the answer to a noop.
#[must_use]
pub fn noop(features: &Features) -> Vec<u8> {
    format!("OPTIONS features={features};\n").into_bytes()
}

/// Reads the answer to a noop.
///
/// # Errors
/// When it is more or less than a line of options.
pub fn parse_noop(body: &[u8]) -> Result<Options, ReplyError> {
    let mut lines = lines(body)?;
    let options = Options::parse(lines.next().ok_or(ReplyError::Cut)?)?;
    if lines.next().is_some() { Err(ReplyError::Line(2)) } else { Ok(options) }
}

/// Returns the body of the NAK for a service that is not served, in Amanda's words.
#[must_use]
pub fn unknown_service(name: &str) -> Vec<u8> {
    error(format!("{name}: invalid service, add '{name}' as argument to amandad").as_bytes())
}

/// Returns the body of a NAK, or of a REP that says nothing but that it went wrong.
#[must_use]
pub fn error(text: &[u8]) -> Vec<u8> {
    [b"ERROR ", one_line(text).as_slice(), b"\n"].concat()
}

/// Returns the texts of such a body, of which there can be several, each in a line.
///
/// # Errors
/// When any line says something else.
pub fn parse_errors(body: &[u8]) -> Result<Vec<&[u8]>, ReplyError> {
    lines(body)?.enumerate().map(|(at, line)| line.strip_prefix(b"ERROR ").ok_or(ReplyError::Line(at + 1))).collect()
}

/// Returns the text with everything that would end a line, or mean something to a terminal, made blank.
pub(crate) fn one_line(text: &[u8]) -> Vec<u8> {
    text.iter().map(|byte| if byte.is_ascii_control() { b' ' } else { *byte }).collect()
}

/// Returns the lines of a body, which must all be whole.
fn lines(body: &[u8]) -> Result<impl Iterator<Item = &[u8]>, ReplyError> {
    let whole = body.strip_suffix(b"\n").ok_or(ReplyError::Cut)?;
    if memchr::memchr_iter(b'\n', whole).nth(MAX_LINES - 1).is_some() {
        return Err(ReplyError::Many);
    }
    Ok(whole.split(|&byte| byte == b'\n'))
}
