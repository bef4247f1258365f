//! How a dump is packed, by its first bytes.

use std::io::{self, Read, Seek as _, SeekFrom};

use amanda::frames::{FramesError, Table};
use wire::restore::Packing;

use super::source::{Data, Stored};
use crate::engine::Trouble;

/// As much is looked at: the first header of an archive.
pub const BLOCK: usize = 512;

/// A dump, and how it is packed.
pub enum Packed {
    /// In frames of our own, which can be read one by one.
    Frames(Table, amanda::frames::Parts<std::fs::File>),
    /// In one stream; from its beginning.
    Stream(Packing, Box<dyn Read + Send>),
}

/// Says how bytes are packed with which a dump begins; `None` when they say nothing.
#[must_use]
pub fn of(first: &[u8]) -> Option<Packing> {
    match first {
        [0x1f, 0x8b, 8, ..] => Some(Packing::Gzip),
        // A frame, or one that is to be passed over.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Packing::Zstd),
        // An archive's header has a checksum; one without members begins with the blocks of zeros at its end.
        _ if first.len() == BLOCK && (super::cut::is_header(first) || first.iter().all(|byte| *byte == 0)) => Some(Packing::Plain),
        _ => None,
    }
}

/// Finds out how a dump is packed.
///
/// # Errors
/// When it cannot be read, or is packed in a way that nobody unpacks here.
pub fn find(stored: Stored) -> Result<Packed, Trouble> {
    let (mut data, mut why): (Box<dyn Read + Send>, Option<io::Error>) = match stored.data {
        Data::Stream(stream) => (stream, None),
        Data::Files(mut parts) => match Table::read(&mut parts) {
            Ok(Some(table)) => return Ok(Packed::Frames(table, parts)),
            // What it has is read as one stream, as far as that goes.
            Ok(None) | Err(FramesError::Io(_) | FramesError::Damaged(_) | FramesError::Frame { .. }) => {
                let why = parts.seek(SeekFrom::Start(0)).err();
                (Box::new(parts), why)
            }
            Err(error @ FramesError::Version(_)) => {
                return Err(Trouble::config(
                    format!("the dump cannot be read: {error}"),
                    "a later release of asyncamanda made it, and such a one reads it",
                ));
            }
        },
    };
    let mut first = Vec::with_capacity(BLOCK);
    if why.is_none() {
        why = (&mut data).take(BLOCK as u64).read_to_end(&mut first).err();
    }
    let known = of(&first).or(stored.is_plain.then_some(Packing::Plain));
    let Some(packing) = known else { return Err(unknown(&first, why)) };
    // What could not be read once is told when it is read again.
    Ok(Packed::Stream(packing, Box::new(io::Cursor::new(first).chain(data))))
}

fn unknown(first: &[u8], why: Option<io::Error>) -> Trouble {
    if let Some(error) = why {
        return Trouble::later(
            format!("the dump's first bytes cannot be read: {error}"),
            "the operator should look at the disk or volume that it is on; an earlier dump may be whole",
        );
    }
    if first.is_empty() {
        return Trouble::later("the dump is empty", "an earlier dump may have what is missing");
    }
    Trouble::config(
        "the dump is packed in a way that this program does not unpack: it is no tar archive, and neither gzip nor zstd",
        "the operator can restore it with Amanda's own programs; a dumptype that compresses with gzip or zstd and does not encrypt can be restored from here",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_say_how_a_dump_is_packed() {
        let mut header = tar::Header::new_gnu();
        header.set_path("./").expect("a name");
        header.set_size(0);
        header.set_cksum();
        for (first, packing) in [
            (&[0x1f, 0x8b, 8, 0][..], Some(Packing::Gzip)),
            (&[0x28, 0xb5, 0x2f, 0xfd, 0][..], Some(Packing::Zstd)),
            (&[0x5a, 0x2a, 0x4d, 0x18][..], Some(Packing::Zstd)),
            (&header.as_bytes()[..], Some(Packing::Plain)),
            (&[0; 512][..], Some(Packing::Plain)),
            (&header.as_bytes()[..511], None),
            (b"BZh91AY&SY", None),
            (&[0; 8][..], None),
            (b"", None),
        ] {
            assert_eq!(of(first), packing, "{first:?}");
        }
    }
}
