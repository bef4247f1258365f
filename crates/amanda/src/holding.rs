//! The header in front of a dump: the first 32 KiB of a holding file, of its continuations, and of every file on a
//! vtape (common-src/fileheader.c).
//!
//! It is text, filled up with zeros. What it says about programs (`program`, `client_custom_compress`, the command line
//! to restore with) came from a client and is a claim: it is kept for people to read and never chooses a program. A
//! restore decodes by the server's own dumptype.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use crate::crc::Crc;
use crate::dle::Dle;
use crate::escape::printable;
use crate::quoting::{Words, split_words};

/// The length of a header in bytes; the dump follows. (A device may be configured to have longer ones.)
pub const HEADER_BYTES: usize = 32 * 1024;

/// Why a header cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// It does not begin with `AMANDA:`.
    #[error("this is no header of Amanda's")]
    NotAmanda,
    /// It is one that no dump follows.
    #[error("no dump follows a header of the kind {0:?}")]
    Kind(String),
    /// Its first line is cut or wrong.
    #[error("the header's first line has no {0}")]
    Field(&'static str),
}

/// What follows a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A dump, or the first chunk of one.
    File,
    /// A later chunk of a dump in a holding disk.
    Continuation,
    /// A part of a dump on a volume.
    Part {
        /// Counted from 1.
        number: u32,
        /// -1 when it was not known: Amanda 3.5.1 always writes that.
        of: i32,
    },
}

/// A dump's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What follows.
    pub kind: Kind,
    /// The run's datestamp.
    pub datestamp: String,
    /// Whose dump.
    pub dle: Dle,
    /// The level.
    pub level: u8,
    /// The suffix that names the compression (`.gz`, `cust`), made printable; `None` for a plain dump.
    pub compression: Option<String>,
    /// What the first line says after that, made printable: `program`, `crypt`, `client_custom_compress` and more.
    /// Claims of a client.
    pub claims: BTreeMap<String, String>,
    /// The dump is known not to be whole.
    pub partial: bool,
    /// Size before compression in KiB, as the client said.
    pub orig_kb: Option<u64>,
    /// What the client's backup program wrote, by the client's count. Checksums are filled in when the dump has ended.
    pub native: Option<Crc>,
    /// What the client sent, by its count.
    pub client: Option<Crc>,
    /// What the server wrote, by its count.
    pub server: Option<Crc>,
    /// The next chunk's path. It says where the chunk was, so a moved holding disk is searched by name.
    pub continued_in: Option<OsString>,
    /// The `<dle>` that the server asked the client for; XML.
    pub dle_xml: Option<Vec<u8>>,
}

impl Header {
    /// Parses the beginning of a file; what is beyond 32 KiB is not looked at.
    ///
    /// # Errors
    /// When it is no header of a dump.
    pub fn parse(file: &[u8]) -> Result<Self, HeaderError> {
        let text = &file[..file.len().min(HEADER_BYTES)];
        let text = &text[..memchr::memchr2(0, 0x0c, text).unwrap_or(text.len())];
        let mut lines = text.split(|&byte| byte == b'\n');
        let mut header = Self::first_line(lines.next().unwrap_or_default())?;
        while let Some(line) = lines.next() {
            if let Some(mark) = line.strip_prefix(b"DLE=<<") {
                let xml: Vec<_> = lines.by_ref().take_while(|line| *line != mark).collect();
                header.dle_xml = Some(xml.join(&b'\n'));
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
        let compression = Some(compression).filter(|suffix| *suffix != b"N").map(printable);
        let mut claims = BTreeMap::new();
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            claims.insert(printable(name), printable(value));
        }
        Ok(Self {
            kind,
            datestamp,
            dle,
            level,
            compression,
            claims,
            partial: false,
            orig_kb: None,
            native: None,
            client: None,
            server: None,
            continued_in: None,
            dle_xml: None,
        })
    }

    fn set(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"PARTIAL" => self.partial = value.eq_ignore_ascii_case(b"yes"),
            b"ORIGSIZE" => self.orig_kb = number(value),
            b"NATIVE-CRC" => self.native = Crc::parse(value),
            b"CLIENT-CRC" => self.client = Crc::parse(value),
            b"SERVER-CRC" => self.server = Crc::parse(value),
            b"CONT_FILENAME" => self.continued_in = Some(OsString::from_vec(value.to_vec())),
            _ => {}
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOLDING: &[u8] = include_bytes!("../tests/fixtures/header.holding");
    const CHUNKED: &[u8] = include_bytes!("../tests/fixtures/header.chunked");
    const CONTINUATION: &[u8] = include_bytes!("../tests/fixtures/header.cont");
    const PART: &[u8] = include_bytes!("../tests/fixtures/header.vtape-part");
    const LABEL: &[u8] = include_bytes!("../tests/fixtures/header.vtape-label");

    #[test]
    fn a_holding_file_tells_its_dump() {
        let header = Header::parse(HOLDING).unwrap();
        assert_eq!(header.kind, Kind::File);
        assert_eq!(header.dle, Dle::new("127.0.0.5", "/srv/aafx/src/data"));
        assert_eq!((header.datestamp.as_str(), header.level, header.partial), ("20261122023847", 0, false));
        assert_eq!(header.compression.as_deref(), Some(".gz"));
        assert_eq!(header.claims, BTreeMap::from([("program".to_owned(), "/bin/tar".to_owned())]));
        assert_eq!(header.orig_kb, Some(3910));
        assert_eq!(header.native, Some(Crc { crc: 0xe979_ba23, bytes: 4_003_840 }));
        assert_eq!((header.client, header.client), (header.server, Crc::parse(b"413f4d73:4000936")));
        assert_eq!(header.continued_in, None);
        let xml = header.dle_xml.unwrap();
        assert!(xml.starts_with(b"<dle>") && xml.ends_with(b"</dle>"));
    }

    #[test]
    fn chunks_and_parts_tell_their_place() {
        let first = Header::parse(CHUNKED).unwrap();
        assert_eq!(first.continued_in, Some("/srv/aafx/fx1/hold/20261122023856/127.0.0.5._srv_aafx_src_data.0.1".into()));
        let second = Header::parse(CONTINUATION).unwrap();
        assert_eq!((second.kind, second.server), (Kind::Continuation, None));
        let part = Header::parse(PART).unwrap();
        assert_eq!(part.kind, Kind::Part { number: 1, of: -1 });
        assert_eq!(part.dle, Dle::new("127.0.0.4", "/srv/aafx/src/home docs"));
    }

    #[test]
    fn what_is_no_dump_is_refused_with_its_reason() {
        for (case, text, error) in [
            ("a label", LABEL, HeaderError::Kind("TAPESTART".into())),
            ("nothing", b"", HeaderError::NotAmanda),
            ("a tar", b"home/\0\0", HeaderError::NotAmanda),
            ("cut", b"AMANDA: FILE 20261122 h", HeaderError::Field("disk")),
            ("cut in a name", b"AMANDA: FILE 20261122 h \"/home do", HeaderError::Field("disk")),
            ("no level", b"AMANDA: FILE 20261122 h /d comp N", HeaderError::Field("level")),
            ("a level beyond", b"AMANDA: FILE 20261122 h /d lev 1000 comp N", HeaderError::Field("level")),
            ("no part", b"AMANDA: SPLIT_FILE 20261122 h /d lev 0 comp N", HeaderError::Field("part")),
        ] {
            assert_eq!(Header::parse(text), Err(error), "{case}");
        }
    }

    #[test]
    fn a_forged_program_is_a_claim_and_a_partial_dump_is_marked() {
        let header =
            Header::parse(b"AMANDA: FILE 20261122 h /d lev 0 comp N program /bin/tar client_custom_compress /path/\x1bevil\nPARTIAL=YES\n");
        let header = header.unwrap();
        assert_eq!(header.compression, None);
        assert_eq!(header.claims["client_custom_compress"], "/path/\\x1bevil");
        assert!(header.partial);
    }

    #[test]
    fn nothing_beyond_32_kib_is_read() {
        let mut file = b"AMANDA: FILE 20261122 h /d lev 0 comp N\n".to_vec();
        file.resize(HEADER_BYTES, b'x');
        file.extend(b"\nPARTIAL=YES\n");
        assert!(!Header::parse(&file).unwrap().partial);
    }

    proptest! {
        #[test]
        fn a_header_cut_anywhere_is_an_error_or_the_same_dump(cut in 0..PART.len()) {
            if let Ok(header) = Header::parse(&PART[..cut]) {
                prop_assert_eq!(header.dle, Dle::new("127.0.0.4", "/srv/aafx/src/home docs"));
            }
        }

        #[test]
        fn no_bytes_break_the_parser(tail in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Header::parse(&[b"AMANDA: SPLIT_FILE ", &tail[..]].concat());
        }
    }
}
