//! Two checksums of a dump that is read back: of its stored bytes, and of what comes out of them.
//!
//! The second one finds what the first cannot: a dump that was damaged before it was stored, in the client's memory or by its compression.

use std::io;

use amanda::crc::Crc;
use restore::member::{Piece, Pieces as _};
use restore::unpack::{Event, Packed, unpack};
use wire::restore::Packing;

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    /// The stored bytes.
    pub stored: Crc,
    /// What came out of them, or why they cannot be uncompressed; nothing when nobody wanted to know, or could.
    pub unpacked: Option<Result<Crc, String>>,
}

/// Reads all of a dump; uncompresses it when it is said how it is packed.
///
/// # Errors
/// When it cannot be read to its end.
pub fn read(mut dump: impl Packed, packing: Option<Packing>) -> io::Result<Sums> {
    let Some(packing) = packing else {
        let mut stored = Crc { crc: 0, bytes: 0 };
        while let Some(event) = dump.next()? {
            if let Event::Bytes(piece) = event {
                add(&mut stored, piece);
            }
        }
        return Ok(Sums { stored, unpacked: None });
    };
    let mut pieces = unpack(packing, dump)?;
    let (mut crc, mut hole) = (Crc { crc: 0, bytes: 0 }, None);
    loop {
        let length = match pieces.fill()? {
            Some(Piece::Bytes(piece)) => {
                add(&mut crc, piece);
                piece.len()
            }
            Some(Piece::Hole { why, .. }) => {
                hole.get_or_insert(why);
                continue;
            }
            None => break,
        };
        pieces.consume(length);
    }
    let (stored, _) = pieces.finish()?;
    Ok(Sums { stored: Crc { crc: stored.crc32c, bytes: stored.bytes }, unpacked: Some(hole.map_or(Ok(crc), Err)) })
}

fn add(crc: &mut Crc, piece: &[u8]) {
    crc.crc = crc32c::crc32c_append(crc.crc, piece);
    crc.bytes += piece.len() as u64;
}

impl Sums {
    /// Says what is wrong, a sentence, when the server stored `server` and the client dumped `native`, where that is known.
    pub fn fault(&self, server: Option<Crc>, native: Option<Crc>) -> Option<String> {
        let Self { stored, unpacked } = self;
        if let Some(said) = server.filter(|said| said.is_known() && said != stored) {
            return Some(format!("{said} was stored and {stored} is there (CRC-32C and bytes)"));
        }
        match (unpacked.as_ref()?, native.filter(Crc::is_known)) {
            // Whoever made it allowed zstd more memory than we do: then only the first checksum tells.
            (Err(why), _) if why.contains("too much memory") => None,
            (Err(why), _) => Some(format!("it is what was stored, and it cannot be uncompressed: {why}")),
            (Ok(found), Some(native)) if *found != native => Some(format!(
                "it is what was stored, and not what was dumped: {native} was dumped and {found} comes out of it (CRC-32C and bytes)"
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_what_is_known_and_another_one() {
        let (a, b, unknown) = (Crc { crc: 1, bytes: 1 }, Crc { crc: 2, bytes: 1 }, Crc { crc: 0, bytes: 0 });
        let sums = |unpacked| Sums { stored: a, unpacked };
        for (unpacked, server, native, fault) in [
            (None, Some(a), Some(b), None),
            (None, Some(b), None, Some("was stored and")),
            (None, Some(unknown), None, None),
            (Some(Ok(b)), Some(a), Some(b), None),
            (Some(Ok(b)), None, Some(a), Some("not what was dumped")),
            (Some(Ok(b)), None, Some(unknown), None),
            (Some(Err("cut".to_owned())), Some(a), Some(b), Some("cannot be uncompressed: cut")),
            (Some(Err("Frame requires too much memory for decoding".to_owned())), Some(a), Some(b), None),
        ] {
            let found = sums(unpacked.clone()).fault(server, native);
            assert_eq!(found.is_some(), fault.is_some(), "{unpacked:?} {server:?} {native:?}: {found:?}");
            assert!(found.unwrap_or_default().contains(fault.unwrap_or_default()));
        }
    }
}
