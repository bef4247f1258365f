//! The lines of a dump's message stream (`process_dumpline` in server-src/dumper.c).
//!
//! Amanda's server splits these lines with `strtok`, which passes over delimiters that stand side by side, so
//! `sendbackup:  info =BACKUP=x` is an `info` line to it. The reader here takes one spelling of each line, and calls
//! everything else [`Line::Other`], which is printed in a way that Amanda takes for nothing but strange.

mod implied;
mod introduction;
#[cfg(test)]
mod tests;

pub use implied::{InfoRefusal, header_words, implied};
pub use introduction::{Introduction, Unfit};

use crate::crc::Crc;

/// A longer line is none that a client writes, in bytes. The server keeps a begun line in memory without limit.
pub const LONGEST: usize = 4096;

/// What one line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line<'a> {
    /// `| …`: what a program said, and it is as usual.
    Normal(&'a [u8]),
    /// `? …`: what a program said, and somebody should read it.
    Strange(&'a [u8]),
    /// The dump begins: `sendbackup: start [host:disk level N]`.
    Start(&'a [u8]),
    /// Something for the dump's header. Which of these a server should believe, [`implied()`] says.
    Info {
        /// What it is.
        key: &'a [u8],
        /// Its value, as it stands.
        value: &'a [u8],
    },
    /// The header is complete: the dump's bytes may begin.
    InfoEnd,
    /// The size before compression, in KiB.
    Size(u64),
    /// What the program wrote.
    NativeCrc(Crc),
    /// What the client sends.
    ClientCrc(Crc),
    /// Nothing, to show that the client lives.
    NoOp,
    /// A line for the server's state file.
    State(&'a [u8]),
    /// Asks the server for another dump, at another level.
    Retry(&'a [u8]),
    /// Something went wrong that does not spoil the dump.
    Warning(&'a [u8]),
    /// The dump is spoilt: the text between the brackets.
    Error(&'a [u8]),
    /// The dump is done.
    End,
    /// Anything else; the server counts it as strange.
    Other(&'a [u8]),
}

impl<'a> Line<'a> {
    /// Reads a line, without its newline.
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Self {
        Self::understood(line).unwrap_or(Self::Other(line))
    }

    fn understood(line: &'a [u8]) -> Option<Self> {
        if line.contains(&0) || line.contains(&b'\n') {
            return None;
        }
        if let [mark @ (b'|' | b'?'), text @ ..] = line {
            let text = text.strip_prefix(b" ").unwrap_or(text);
            return Some(if *mark == b'|' { Self::Normal(text) } else { Self::Strange(text) });
        }
        let said = line.strip_prefix(b"sendbackup: ")?;
        let (word, rest) = memchr::memchr(b' ', said).map_or((said, None), |space| (&said[..space], Some(&said[space + 1..])));
        Some(match (word, rest) {
            (b"start", rest) => Self::Start(rest.unwrap_or_default()),
            (b"info", Some(b"end")) => Self::InfoEnd,
            (b"info", Some(pair)) => {
                let equals = memchr::memchr(b'=', pair)?;
                let (key, value) = (&pair[..equals], &pair[equals + 1..]);
                let is_key = !key.is_empty() && key.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
                if !is_key {
                    return None;
                }
                Self::Info { key, value }
            }
            (b"size", Some(kib)) => Self::Size(number(kib)?),
            (b"native-CRC", Some(crc)) => Self::NativeCrc(plain_crc(crc)?),
            (b"client-CRC", Some(crc)) => Self::ClientCrc(plain_crc(crc)?),
            (b"no-op", None) => Self::NoOp,
            (b"state", Some(text)) => Self::State(text),
            (b"retry", rest) => Self::Retry(rest.unwrap_or_default()),
            (b"warning", rest) => Self::Warning(rest.unwrap_or_default()),
            (b"error", Some(text)) => Self::Error(text.strip_prefix(b"[")?.strip_suffix(b"]")?),
            (b"end", None) => Self::End,
            _ => return None,
        })
    }

    /// Returns the line with its newline. Newlines and zero bytes in its texts become blanks, and a line of ours
    /// never is another one than its variant says.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let mut line = match self {
            Self::Normal(text) => join(b"| ", text),
            Self::Strange(text) | Self::Other(text) => join(b"? ", text),
            Self::Start(text) => join(b"sendbackup: start ", text),
            Self::Info { key, value } => [b"sendbackup: info ", *key, b"=", value].concat(),
            Self::InfoEnd => b"sendbackup: info end".to_vec(),
            Self::Size(kib) => format!("sendbackup: size {kib}").into_bytes(),
            Self::NativeCrc(crc) => format!("sendbackup: native-CRC {crc}").into_bytes(),
            Self::ClientCrc(crc) => format!("sendbackup: client-CRC {crc}").into_bytes(),
            Self::NoOp => b"sendbackup: no-op".to_vec(),
            Self::State(text) => join(b"sendbackup: state ", text),
            Self::Retry(text) => join(b"sendbackup: retry ", text),
            Self::Warning(text) => join(b"sendbackup: warning ", text),
            Self::Error(text) => [b"sendbackup: error [", *text, b"]"].concat(),
            Self::End => b"sendbackup: end".to_vec(),
        };
        line.iter_mut().filter(|byte| matches!(byte, b'\n' | 0)).for_each(|byte| *byte = b' ');
        line.push(b'\n');
        line
    }
}

fn join(mark: &[u8], text: &[u8]) -> Vec<u8> {
    [mark, text].concat()
}

fn plain_crc(word: &[u8]) -> Option<Crc> {
    if word.contains(&b'"') { None } else { Crc::parse(word) }
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
