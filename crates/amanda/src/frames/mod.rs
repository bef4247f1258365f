//! A dump that can be read from the middle: what our client writes for `compress client custom` with a program that is called zstd. The
//! format is our own, and for everybody else it is a zstd stream: `zstd -d` gives the archive back.
//!
//! ```text
//! data      a zstd frame of the archive's next 4 MiB, with their length and a checksum; needs none of the others
//! members   a skippable frame: names of members, and where in the archive each begins
//! …         data and members, as they come
//! table     a skippable frame: the lengths of all of them; the last bytes of the dump
//! ```
//!
//! A decoder passes over skippable frames. Ours are marked 0x184D2A5A (the seekable format of zstd's authors has …5E), and all numbers are
//! little-endian:
//!
//! ```text
//! members   u32 0x184D2A5A, u32 length of the rest, "AmMb", u32 CRC-32C of what follows, a zstd frame of entries
//!           entry: bytes shared with the name before, bytes that follow, these bytes, 512-byte blocks since the member before
//! table     u32 0x184D2A5A, u32 length of the rest, a zstd frame of pieces, the trailer
//!           piece: twice its length in the dump (plus one when it is members), its length uncompressed
//! trailer   u32 length of that zstd frame, u32 the same uncompressed, u64 bytes of the dump before the table,
//!           u32 CRC-32C of the zstd frame and of the trailer so far, u16 version 1, u16 zero, "AmFrames"
//! ```
//!
//! Numbers in entries and pieces have seven bits in each byte, the lowest first, the eighth bit says that more follow. Names are as tar lists
//! them ([`index::escaped`](crate::index::escaped)), `./` in front. Each members frame is for itself, so whoever writes them holds one at a time,
//! however many files there are; a data frame may lie before or behind the one that names its members.
//!
//! Where a dump begins: its first 32 KiB are Amanda's header, on a holding disk and on a volume, and each chunk or part has one. The trailer
//! says how many bytes lie before the table, so the start is found from the end, and a file with one header can be read as it is;
//! [`Parts`] puts several together. `file:` devices and holding disks keep a dump's length to the byte. A tape's last block is filled with zeros,
//! which are passed over.
//!
//! What is read may be anybody's: every length is checked before memory is taken, and whatever does not fit together is an error. A stream that the
//! zstd program made has no table, and that is none ([`Table::read`] returns `None`).

mod members;
mod parts;
mod read;
mod table;
#[cfg(test)]
mod tests;
mod varint;

use std::io;

pub use self::members::{Collector, Section, each as each_member};
pub use self::parts::Parts;
pub use self::read::Found;
pub use self::table::{Frame, Layout, Table};

/// Bytes of the archive in a data frame. With 4 MiB a source tree takes as much room as in one stream (with 1 MiB 14 % more, with 2 MiB 5 %), and
/// one file is back after the hundredth part of a second that a frame takes.
pub const FRAME: usize = 4 << 20;

/// What a data frame may hold in a dump that is read.
const MAX_FRAME: u64 = 64 << 20;
/// What entries of a members frame may take.
const MAX_SECTION: u64 = 1 << 20;
/// How many frames a dump may have: 8 TiB of them. A longer one is written without a table.
const MAX_PIECES: usize = 1 << 21;
/// What the pieces of a table may take; see [`MAX_PIECES`].
const MAX_BODY: u64 = 16 << 20;
/// Zeros that a tape may have put behind a dump: less than a block, and no block is longer.
const MAX_PADDING: u64 = 16 << 20;

/// The mark of our skippable frames, one of zstd's sixteen.
const SKIPPABLE: u32 = 0x184d_2a5a;
/// Mark and length in front of a skippable frame.
const SKIPPABLE_HEADER: usize = 8;
/// What can be compressed is: 3 is zstd's own choice.
const LEVEL: i32 = 3;

/// Why a dump cannot be read by its table.
#[derive(Debug, thiserror::Error)]
pub enum FramesError {
    /// It cannot be read at all.
    #[error("the dump cannot be read")]
    Io(#[from] io::Error),
    /// The table was made by a later version.
    #[error("the table of the dump's frames has version {0}, and this program knows version 1")]
    Version(u16),
    /// Something in it cannot be true.
    #[error("the dump is damaged: {0}")]
    Damaged(&'static str),
    /// A frame cannot be uncompressed, or is not what it was.
    #[error("the dump is damaged: the frame at byte {at} cannot be uncompressed")]
    Frame {
        /// Where it begins.
        at: u64,
        /// What zstd said.
        #[source]
        source: io::Error,
    },
}

/// Returns a skippable frame of these pieces.
fn skippable(content: &[&[u8]]) -> io::Result<Vec<u8>> {
    let length = content.iter().map(|piece| piece.len()).sum::<usize>();
    let mut frame = Vec::with_capacity(SKIPPABLE_HEADER + length);
    frame.extend(SKIPPABLE.to_le_bytes());
    frame.extend(u32::try_from(length).map_err(|_| io::Error::other("a skippable frame is too long"))?.to_le_bytes());
    content.iter().for_each(|piece| frame.extend_from_slice(piece));
    Ok(frame)
}

/// Returns the content of a whole skippable frame of ours.
fn content(frame: &[u8]) -> Option<&[u8]> {
    let rest = frame.strip_prefix(&SKIPPABLE.to_le_bytes()[..])?;
    let (length, content) = rest.split_first_chunk::<4>()?;
    (u32::from_le_bytes(*length) as usize == content.len()).then_some(content)
}

/// Uncompresses what is said to have so many bytes, which were found to be few enough.
fn uncompress(packed: &[u8], bytes: u64) -> io::Result<Vec<u8>> {
    let capacity = usize::try_from(bytes).map_err(io::Error::other)?;
    let found = zstd::bulk::decompress(packed, capacity)?;
    if found.len() == capacity { Ok(found) } else { Err(io::Error::other("it is shorter than the table says")) }
}
