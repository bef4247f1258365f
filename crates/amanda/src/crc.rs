//! The checksums of a dump, and which of them must agree.
//!
//! Amanda writes them as `2e69ab16:4000928`: a CRC-32C in hexadecimal and the number of bytes it covers
//! (`parse_crc` in common-src). A CRC of zero means "not known" everywhere in Amanda. A dump has three:
//!
//! ```text
//! tar ─ native ─> client's compression, encryption ─ client ─> network ─> server's compression, encryption ─ server ─> disk
//! ```
//!
//! - **native**: what the backup program wrote, counted by the client.
//! - **client**: what the client sent, counted by the client, as it told it in its message stream. (When it told
//!   nothing, dumper.c puts its own count here, or, with the shared memory it uses between dumper and chunker, nothing.)
//! - **server**: what the chunker or taper received after the server's own filters, counted by it.
//!
//! `client` and `server` cover the same bytes, unless the server compresses or encrypts (`compress server …`,
//! `encrypt server`): then only a restore can tell. driver.c withholds the client's CRC from the chunker in just these
//! cases. `native` and `client` are the same when the client neither compresses nor encrypts, but both come from the
//! client, so their agreement proves nothing about the server.

use std::fmt;

/// A checksum and the number of bytes it covers. Two are equal when both are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Crc {
    /// CRC-32C (Castagnoli); 0 is Amanda's word for "not known".
    pub crc: u32,
    /// Bytes covered.
    pub bytes: u64,
}

impl Crc {
    /// Returns the checksum that a word such as `2e69ab16:4000928` stands for. Quotation marks around it are allowed:
    /// the driver's trace has them.
    #[must_use]
    pub fn parse(word: &[u8]) -> Option<Self> {
        let word = std::str::from_utf8(word).ok()?.trim_matches('"');
        let (crc, bytes) = word.split_once(':')?;
        let is_hex = (1..=8).contains(&crc.len()) && crc.bytes().all(|digit| digit.is_ascii_hexdigit());
        let is_decimal = !bytes.is_empty() && bytes.bytes().all(|digit| digit.is_ascii_digit());
        if !is_hex || !is_decimal {
            return None;
        }
        Some(Self { crc: u32::from_str_radix(crc, 16).ok()?, bytes: bytes.parse().ok()? })
    }

    /// Says whether this is a checksum at all: Amanda writes `00000000:0` where it knows none.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.crc != 0
    }
}

impl fmt::Display for Crc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}:{}", self.crc, self.bytes)
    }
}

/// What happens to a dump between the client's count and the server's. It comes from the server's own dumptype, never
/// from a log or a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transform {
    /// The server compresses or encrypts.
    pub server_side: bool,
}

/// Whether the server has what the client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrcAgreement {
    /// Both counted the same bytes and the same checksum.
    Same,
    /// They did not: the dump is not what the client sent.
    Differs {
        /// What the client sent.
        client: Crc,
        /// What the server wrote.
        server: Crc,
    },
    /// One of them is not known, or the server changed the bytes on the way.
    Unknown,
}

/// Compares what the client sent with what the server wrote.
#[must_use]
pub fn agreement(client: Option<Crc>, server: Option<Crc>, transform: Transform) -> CrcAgreement {
    match (client.filter(Crc::is_known), server.filter(Crc::is_known)) {
        _ if transform.server_side => CrcAgreement::Unknown,
        (Some(client), Some(server)) if client == server => CrcAgreement::Same,
        (Some(client), Some(server)) => CrcAgreement::Differs { client, server },
        _ => CrcAgreement::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: Transform = Transform { server_side: false };

    #[test]
    fn only_amandas_form_is_a_checksum() {
        assert_eq!(Crc::parse(b"006b4519:6001280"), Some(Crc { crc: 0x006b_4519, bytes: 6_001_280 }));
        assert_eq!(Crc::parse(b"\"80676e52:215\""), Some(Crc { crc: 0x8067_6e52, bytes: 215 }));
        for word in ["", "80676e52", "80676e52:", ":5", "xyz:5", "180676e52:5", "+1:5", "1:-5", "1:+5", "[sec"] {
            assert_eq!(Crc::parse(word.as_bytes()), None, "{word}");
        }
    }

    #[test]
    fn only_what_covers_the_same_bytes_is_compared() {
        let sent = Crc { crc: 7, bytes: 10 };
        let nothing = Crc { crc: 0, bytes: 0 };
        for (case, client, server, transform, expected) in [
            ("same", Some(sent), Some(sent), PLAIN, CrcAgreement::Same),
            ("server compresses", Some(sent), Some(sent), Transform { server_side: true }, CrcAgreement::Unknown),
            ("client told nothing", Some(nothing), Some(sent), PLAIN, CrcAgreement::Unknown),
            ("server counted nothing", Some(sent), Some(nothing), PLAIN, CrcAgreement::Unknown),
            ("no server word", Some(sent), None, PLAIN, CrcAgreement::Unknown),
        ] {
            assert_eq!(agreement(client, server, transform), expected, "{case}");
        }
    }

    #[test]
    fn equal_checksums_over_different_lengths_differ() {
        let client = Crc { crc: 7, bytes: 10 };
        let server = Crc { crc: 7, bytes: 11 };
        assert_eq!(agreement(Some(client), Some(server), PLAIN), CrcAgreement::Differs { client, server });
    }

    proptest! {
        #[test]
        fn a_checksum_is_read_back(crc: u32, bytes: u64) {
            let crc = Crc { crc, bytes };
            prop_assert_eq!(Crc::parse(crc.to_string().as_bytes()), Some(crc));
        }
    }
}
