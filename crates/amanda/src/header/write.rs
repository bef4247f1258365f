//! Printing a block.

use std::os::unix::ffi::OsStrExt as _;

use super::read::RESTORE_LINE;
use super::{Block, HEADER_BYTES, Header, Kind, Start};
use crate::quoting::quote;

/// Amanda keeps each word of a header in so many bytes, one of which is its end, and cuts a longer one when it reads.
const LONGEST_WORD: usize = 255;

/// The `<dle>` is left out when it is longer, as Amanda leaves it out.
const LONGEST_XML: usize = HEADER_BYTES - 2048;

/// Why a header cannot be printed: Amanda would read something else, or stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrintError {
    /// A word is empty.
    #[error("a header needs a {0}")]
    Empty(&'static str),
    /// A word is longer than Amanda reads.
    #[error("the header's {0} is longer than Amanda reads")]
    TooLong(&'static str),
    /// A word has a blank or a control character in it.
    #[error("the header's {0} cannot stand in a header")]
    Unprintable(&'static str),
    /// It is neither 8 nor 14 digits nor `X`.
    #[error("{0:?} is no datestamp")]
    Datestamp(String),
    /// Both the client's and the server's are set.
    #[error("a header has the client's or the server's {0}, not both")]
    Both(&'static str),
    /// The part's number is 0, or above the number of parts.
    #[error("the header's part number is wrong")]
    Part,
    /// A command to uncompress or decrypt without one to unpack.
    #[error("a header that says how to uncompress has to say how to unpack")]
    Restore,
    /// Everything together is longer than a header.
    #[error("the header is longer than 32 KiB")]
    Full,
}

impl Block {
    /// Prints the block: 32 KiB, filled up with zeros.
    ///
    /// # Errors
    /// When Amanda would not read it back.
    pub fn print(&self) -> Result<Vec<u8>, PrintError> {
        let text = match self {
            Self::Dump(header) => return header.print(),
            Self::Start(Start { datestamp, label }) => {
                check_datestamp(datestamp)?;
                word(label.as_bytes(), "label")?;
                format!("AMANDA: TAPESTART DATE {datestamp} TAPE {label}\n\x0c\n")
            }
            Self::End { datestamp } => {
                check_datestamp(datestamp)?;
                format!("AMANDA: TAPEEND DATE {datestamp}\n\x0c\n")
            }
            Self::Noop => "AMANDA: NOOP\n\x0c\n".to_owned(),
        };
        filled_up(text.into_bytes())
    }
}

impl Header {
    /// Prints the header: 32 KiB, filled up with zeros.
    ///
    /// # Errors
    /// When Amanda would not read it back.
    pub fn print(&self) -> Result<Vec<u8>, PrintError> {
        filled_up(self.text()?)
    }

    /// Prints the header without the zeros behind it, as it stands beside the index.
    ///
    /// # Errors
    /// When Amanda would not read it back.
    pub fn text(&self) -> Result<Vec<u8>, PrintError> {
        let mut text = Vec::with_capacity(1024);
        self.name_line(&mut text)?;
        self.lines(&mut text)?;
        self.restore_line(&mut text)?;
        Ok(text)
    }

    fn name_line(&self, text: &mut Vec<u8>) -> Result<(), PrintError> {
        check_datestamp(&self.datestamp)?;
        let (kind, part) = match self.kind {
            Kind::File => ("FILE", String::new()),
            Kind::Continuation => ("CONT_FILE", String::new()),
            Kind::Part { number, of } if number == 0 || (of >= 0 && i64::from(number) > i64::from(of)) => return Err(PrintError::Part),
            Kind::Part { number, of } => ("SPLIT_FILE", format!(" part {number}/{of} ")),
        };
        let disk = self.dle.disk_bytes();
        if disk.is_empty() {
            return Err(PrintError::Empty("disk"));
        }
        if disk.contains(&0) {
            return Err(PrintError::Unprintable("disk"));
        }
        if disk.len() > LONGEST_WORD {
            return Err(PrintError::TooLong("disk"));
        }
        let host = word(self.dle.host.as_bytes(), "host")?;
        let suffix = word(self.compression.as_deref().unwrap_or("N").as_bytes(), "compression")?;
        let program = word(&self.programs.program, "program")?;
        for piece in [b"AMANDA: ", kind.as_bytes(), b" ", self.datestamp.as_bytes(), b" ", host, b" ", &quote(disk), b" "] {
            text.extend(piece);
        }
        text.extend(format!("{part} lev {} comp ", self.level).into_bytes());
        for piece in [suffix, b" program ", program] {
            text.extend(piece);
        }
        self.programs(text)?;
        text.push(b'\n');
        Ok(())
    }

    fn programs(&self, text: &mut Vec<u8>) -> Result<(), PrintError> {
        let programs = &self.programs;
        let pairs = [
            ("custom_compress", &programs.server_compress, &programs.client_compress),
            ("encrypt", &programs.server_encrypt, &programs.client_encrypt),
            ("decrypt_option", &programs.server_decrypt_option, &programs.client_decrypt_option),
        ];
        if let Some(crypt) = &programs.crypt {
            text.extend(b" crypt ");
            text.extend(word(crypt, "crypt")?);
        }
        for (name, server, client) in pairs {
            let (side, value) = match (server, client) {
                (None, None) => continue,
                (Some(_), Some(_)) => return Err(PrintError::Both(name)),
                (Some(server), None) => ("server", server),
                (None, Some(client)) => ("client", client),
            };
            text.extend(format!(" {side}_{name} ").into_bytes());
            text.extend(word(value, name)?);
        }
        Ok(())
    }

    fn lines(&self, text: &mut Vec<u8>) -> Result<(), PrintError> {
        if let Some(path) = &self.continued_in {
            line(text, b"CONT_FILENAME=", path.as_bytes(), "next chunk")?;
        }
        if let Some(application) = &self.application {
            line(text, b"APPLICATION=", application, "application")?;
        }
        if self.partial {
            text.extend(b"PARTIAL=YES\n");
        }
        if let Some(kb) = self.orig_kb.filter(|kb| *kb > 0) {
            text.extend(format!("ORIGSIZE={kb}\n").into_bytes());
        }
        for (name, crc) in [("NATIVE", self.native), ("CLIENT", self.client), ("SERVER", self.server)] {
            if let Some(crc) = crc.filter(super::Crc::is_known) {
                text.extend(format!("{name}-CRC={crc}\n").into_bytes());
            }
        }
        if let Some(xml) = self.dle_xml.as_ref().filter(|xml| xml.len() < LONGEST_XML) {
            if xml.iter().any(|byte| matches!(byte, 0 | 0x0c)) {
                return Err(PrintError::Unprintable("dle"));
            }
            let mark = end_mark(xml);
            for piece in [b"DLE=<<", mark.as_bytes(), b"\n", xml, b"\n", mark.as_bytes(), b"\n"] {
                text.extend(piece);
            }
        }
        Ok(())
    }

    fn restore_line(&self, text: &mut Vec<u8>) -> Result<(), PrintError> {
        let restore = &self.restore;
        text.extend(b"To restore, position tape at start of file and run:\n");
        text.extend(RESTORE_LINE);
        if let Some(kb) = self.block_kb {
            text.extend(format!("bs={kb}k ").into_bytes());
        }
        text.extend(b"skip=1 | ");
        let before = [(&restore.decrypt, "decrypt command"), (&restore.uncompress, "uncompress command")];
        for (command, name) in before.into_iter().filter_map(|(command, name)| Some((command.as_ref()?, name))) {
            if restore.recover.is_empty() {
                return Err(PrintError::Restore);
            }
            // A bar more would be another command to those who read it.
            if command.contains(&b'|') {
                return Err(PrintError::Unprintable(name));
            }
            line_of(command, name)?;
            text.extend(command);
            text.extend(b" | ");
        }
        if !restore.recover.is_empty() {
            line_of(&restore.recover, "recover command")?;
            text.extend(&restore.recover);
            text.push(b' ');
        }
        text.extend(b"\n\x0c\n");
        Ok(())
    }
}

/// The line that ends the `<dle>`: one that is not in it.
fn end_mark(xml: &[u8]) -> String {
    let mut mark = "ENDDLE".to_owned();
    let mut tried = 0;
    while xml.split(|&byte| byte == b'\n').any(|line| line == mark.as_bytes()) {
        tried += 1;
        mark = format!("ENDDLE{tried}");
    }
    mark
}

fn filled_up(mut text: Vec<u8>) -> Result<Vec<u8>, PrintError> {
    if text.len() > HEADER_BYTES {
        return Err(PrintError::Full);
    }
    text.resize(HEADER_BYTES, 0);
    Ok(text)
}

fn check_datestamp(datestamp: &str) -> Result<(), PrintError> {
    let digits = matches!(datestamp.len(), 8 | 14) && datestamp.bytes().all(|digit| digit.is_ascii_digit());
    if digits || datestamp == "X" { Ok(()) } else { Err(PrintError::Datestamp(datestamp.to_owned())) }
}

/// A word that stands unquoted.
fn word<'a>(word: &'a [u8], name: &'static str) -> Result<&'a [u8], PrintError> {
    if word.is_empty() {
        return Err(PrintError::Empty(name));
    }
    if word.len() > LONGEST_WORD {
        return Err(PrintError::TooLong(name));
    }
    if word.iter().any(|byte| byte.is_ascii_control() || matches!(byte, b' ' | b'"' | b'\\')) {
        return Err(PrintError::Unprintable(name));
    }
    Ok(word)
}

/// Text that stands on a line of its own or to the end of one.
fn line_of(text: &[u8], name: &'static str) -> Result<(), PrintError> {
    if text.len() > LONGEST_WORD {
        return Err(PrintError::TooLong(name));
    }
    if text.is_empty() || text != text.trim_ascii() || text.iter().any(u8::is_ascii_control) {
        return Err(PrintError::Unprintable(name));
    }
    Ok(())
}

fn line(text: &mut Vec<u8>, name: &[u8], value: &[u8], field: &'static str) -> Result<(), PrintError> {
    if value.len() > LONGEST_WORD {
        return Err(PrintError::TooLong(field));
    }
    if value.is_empty() || value.iter().any(|byte| matches!(byte, 0 | b'\n' | 0x0c)) {
        return Err(PrintError::Unprintable(field));
    }
    for piece in [name, value, b"\n"] {
        text.extend(piece);
    }
    Ok(())
}
