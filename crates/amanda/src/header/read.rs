//! Reading a block.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use super::{Block, HEADER_BYTES, Header, HeaderError, Kind, Programs, Restore, Start};
use crate::crc::Crc;
use crate::dle::Dle;
use crate::escape::printable;
use crate::quoting::{Words, split_words};

/// How the line that restores the dump begins.
pub(super) const RESTORE_LINE: &[u8] = b"\tdd if=<tape> ";

impl Block {
    /// Parses the beginning of a file; what is beyond 32 KiB is not looked at.
    ///
    /// # Errors
    /// When it is none of Amanda's.
    pub fn parse(file: &[u8]) -> Result<Self, HeaderError> {
        let text = text(file);
        let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let mut words = split_words(line);
        if words.next() != Some(b"AMANDA:") {
            return Err(HeaderError::NotAmanda);
        }
        match words.next().ok_or(HeaderError::Field("kind"))? {
            b"TAPESTART" => {
                let datestamp = printable(labelled(&mut words, b"DATE", "datestamp")?);
                let label = printable(labelled(&mut words, b"TAPE", "label")?);
                Ok(Self::Start(Start { datestamp, label }))
            }
            b"TAPEEND" => Ok(Self::End { datestamp: printable(labelled(&mut words, b"DATE", "datestamp")?) }),
            b"NOOP" => Ok(Self::Noop),
            _ => Header::parse(file).map(|header| Self::Dump(Box::new(header))),
        }
    }
}

/// The text of a header: up to its first zero or form feed.
fn text(file: &[u8]) -> &[u8] {
    let text = &file[..file.len().min(HEADER_BYTES)];
    &text[..memchr::memchr2(0, 0x0c, text).unwrap_or(text.len())]
}

impl Header {
    /// Parses the beginning of a file; what is beyond 32 KiB is not looked at.
    ///
    /// # Errors
    /// When it is no header of a dump.
    pub fn parse(file: &[u8]) -> Result<Self, HeaderError> {
        let mut lines = text(file).split(|&byte| byte == b'\n');
        let mut header = Self::first_line(lines.next().unwrap_or_default())?;
        while let Some(line) = lines.next() {
            if let Some(mark) = line.strip_prefix(b"DLE=<<") {
                let xml: Vec<_> = lines.by_ref().take_while(|line| *line != mark).collect();
                header.dle_xml = Some(xml.join(&b'\n'));
            } else if let Some(command) = line.strip_prefix(RESTORE_LINE) {
                header.set_restore(command);
            } else if let Some(at) = memchr::memchr(b'=', line) {
                header.set(&line[..at], &line[at + 1..]);
            }
        }
        Ok(header)
    }

    fn first_line(line: &[u8]) -> Result<Self, HeaderError> {
        let mut words = split_words(line);
        if words.next() != Some(b"AMANDA:") {
            return Err(HeaderError::NotAmanda);
        }
        let kind = words.next().ok_or(HeaderError::Field("kind"))?;
        let mut kind = match kind {
            b"FILE" => Kind::File,
            b"CONT_FILE" => Kind::Continuation,
            b"SPLIT_FILE" => Kind::Part { number: 0, of: -1 },
            other => return Err(HeaderError::Kind(printable(other))),
        };
        let datestamp = words.next().map(printable).ok_or(HeaderError::Field("datestamp"))?;
        let host = words.next().ok_or(HeaderError::Field("host"))?;
        let disk = words.next_name().ok_or(HeaderError::Field("disk"))?;
        let dle = Dle::from_names(host, disk).ok_or(HeaderError::Field("host"))?;
        if let Kind::Part { .. } = kind {
            let parts = labelled(&mut words, b"part", "part")?;
            kind = part(parts).ok_or(HeaderError::Field("part"))?;
        }
        let level = number(labelled(&mut words, b"lev", "level")?).ok_or(HeaderError::Field("level"))?;
        let compression = labelled(&mut words, b"comp", "compression")?;
        let mut header = Self::new(dle, datestamp, level);
        header.kind = kind;
        header.compression = Some(compression).filter(|suffix| *suffix != b"N").map(printable);
        header.programs = programs(words);
        header.block_kb = None;
        header.restore = Restore::default();
        Ok(header)
    }

    fn set(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"PARTIAL" => self.partial = value.eq_ignore_ascii_case(b"yes"),
            b"APPLICATION" => self.application = Some(value.to_vec()),
            // Zero is Amanda's word for "not known" in all four.
            b"ORIGSIZE" => self.orig_kb = number(value).filter(|kb| *kb > 0),
            b"NATIVE-CRC" => self.native = Crc::parse(value).filter(Crc::is_known),
            b"CLIENT-CRC" => self.client = Crc::parse(value).filter(Crc::is_known),
            b"SERVER-CRC" => self.server = Crc::parse(value).filter(Crc::is_known),
            b"CONT_FILENAME" => self.continued_in = Some(OsString::from_vec(value.to_vec())),
            _ => {}
        }
    }

    /// `bs=32k skip=1 | decrypt | uncompress | recover`; of two commands the first is taken for the one that
    /// uncompresses, as Amanda takes it.
    fn set_restore(&mut self, command: &[u8]) {
        let Some(bar) = memchr::memchr(b'|', command) else { return };
        let size = command.strip_prefix(b"bs=").and_then(|rest| rest.split(|&byte| byte == b'k').next());
        self.block_kb = size.and_then(number);
        let mut pieces: Vec<_> = command[bar + 1..].splitn(3, |&byte| byte == b'|').map(<[u8]>::trim_ascii).collect();
        self.restore.recover = pieces.pop().unwrap_or_default().to_vec();
        self.restore.uncompress = pieces.pop().map(<[u8]>::to_vec);
        self.restore.decrypt = pieces.pop().map(<[u8]>::to_vec);
    }
}

/// Reads pairs of a name and a value.
fn programs(mut words: Words<'_>) -> Programs {
    let mut programs = Programs::default();
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        let place = match name {
            b"program" => {
                programs.program = value.to_vec();
                continue;
            }
            b"crypt" => &mut programs.crypt,
            b"server_custom_compress" => &mut programs.server_compress,
            b"client_custom_compress" => &mut programs.client_compress,
            b"server_encrypt" => &mut programs.server_encrypt,
            b"client_encrypt" => &mut programs.client_encrypt,
            b"server_decrypt_option" => &mut programs.server_decrypt_option,
            b"client_decrypt_option" => &mut programs.client_decrypt_option,
            _ => continue,
        };
        *place = Some(value.to_vec());
    }
    programs
}

/// Takes a label and the word after it.
fn labelled<'a>(words: &mut Words<'a>, label: &[u8], field: &'static str) -> Result<&'a [u8], HeaderError> {
    let found = words.next() == Some(label);
    words.next().filter(|_| found).ok_or(HeaderError::Field(field))
}

/// `2/-1`
fn part(word: &[u8]) -> Option<Kind> {
    let slash = memchr::memchr(b'/', word)?;
    Some(Kind::Part { number: number(&word[..slash])?, of: number(&word[slash + 1..])? })
}

fn number<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}
