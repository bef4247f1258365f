//! The table at a dump's end: how long each of its frames is.

use std::io;
use std::ops::Range;

use super::members::Section;
use super::{FramesError, LEVEL, MAX_BODY, MAX_FRAME, MAX_PIECES, MAX_SECTION, SKIPPABLE_HEADER, skippable, varint};

const MAGIC: &[u8; 8] = b"AmFrames";
const VERSION: u16 = 1;
/// Bytes of the trailer.
pub(super) const TRAILER: usize = 32;
/// What the trailer's checksum covers of it.
const CHECKED: usize = 16;
/// Compressed, a frame may be a little longer than what is in it.
const SLACK: u64 = 1 << 16;

/// A frame of the dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its bytes in the dump.
    pub packed: Range<u64>,
    /// Those of the archive that it holds; for a members frame how much the entries take, from 0.
    pub raw: Range<u64>,
}

/// Writes down what a dump is made of, while it is made.
#[derive(Debug, Default)]
pub struct Layout {
    body: Vec<u8>,
    pieces: usize,
    bytes: u64,
}

impl Layout {
    /// A data frame follows: its length, and how much of the archive it holds.
    pub fn data(&mut self, packed: usize, raw: usize) {
        self.piece(packed, raw, 0);
    }

    /// A members frame follows.
    pub fn members(&mut self, section: &Section) {
        self.piece(section.bytes().len(), section.raw(), 1);
    }

    fn piece(&mut self, packed: usize, raw: usize, kind: u64) {
        self.bytes += packed as u64;
        self.pieces += 1;
        if self.pieces <= MAX_PIECES {
            varint::put(&mut self.body, (packed as u64) << 1 | kind);
            varint::put(&mut self.body, raw as u64);
        }
    }

    /// Returns the table, to be written last. It is empty for a dump that is too long to have one.
    ///
    /// # Errors
    /// When there is no memory to compress with.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        if self.pieces > MAX_PIECES || self.body.len() as u64 > MAX_BODY {
            return Ok(Vec::new());
        }
        let packed = zstd::bulk::compress(&self.body, LEVEL)?;
        let trailer = Trailer { packed: short(packed.len())?, body: short(self.body.len())?, before: self.bytes };
        skippable(&[&packed, &trailer.print(&packed)])
    }
}

fn short(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(io::Error::other)
}

/// The last bytes of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trailer {
    /// Length of the compressed pieces.
    pub packed: u32,
    /// Length of the pieces.
    pub body: u32,
    /// Bytes of the dump in front of the table.
    pub before: u64,
}

impl Trailer {
    pub(super) fn print(self, packed: &[u8]) -> [u8; TRAILER] {
        let mut bytes = [0; TRAILER];
        bytes[..4].copy_from_slice(&self.packed.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.body.to_le_bytes());
        bytes[8..CHECKED].copy_from_slice(&self.before.to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(packed), &bytes[..CHECKED]);
        bytes[CHECKED..20].copy_from_slice(&crc.to_le_bytes());
        bytes[20..22].copy_from_slice(&VERSION.to_le_bytes());
        bytes[24..].copy_from_slice(MAGIC);
        bytes
    }

    /// Reads a trailer; `None` for other bytes.
    pub fn parse(bytes: &[u8; TRAILER]) -> Result<Option<Self>, FramesError> {
        if !bytes.ends_with(MAGIC) {
            return Ok(None);
        }
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        match u16::from_le_bytes([bytes[20], bytes[21]]) {
            VERSION => {}
            other => return Err(FramesError::Version(other)),
        }
        let trailer = Self { packed: word(0), body: word(4), before: u64::from(word(8)) | u64::from(word(12)) << 32 };
        if u64::from(trailer.body) > MAX_BODY || u64::from(trailer.packed) > MAX_BODY + SLACK {
            return Err(FramesError::Damaged("its table is larger than a table may be"));
        }
        Ok(Some(trailer))
    }

    /// Returns the length of the whole frame.
    pub fn frame(self) -> u64 {
        (SKIPPABLE_HEADER + TRAILER) as u64 + u64::from(self.packed)
    }

    /// Says whether this is the trailer of that content, which ends with it.
    pub fn proves(self, content: &[u8]) -> bool {
        let Some((packed, trailer)) = content.split_last_chunk::<TRAILER>() else { return false };
        packed.len() as u64 == u64::from(self.packed) && *trailer == self.print(packed)
    }
}

/// What a dump is made of, as its table says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Data frames, in order.
    data: Vec<Frame>,
    /// Members frames, in order.
    members: Vec<Frame>,
    raw: u64,
}

impl Table {
    /// Reads the pieces of a table, of a dump that begins and ends (without the table) at these bytes.
    ///
    /// # Errors
    /// When they cannot be those of such a dump.
    pub fn parse(mut body: &[u8], dump: Range<u64>) -> Result<Self, FramesError> {
        let mut table = Self { data: Vec::new(), members: Vec::new(), raw: 0 };
        let (mut at, mut pieces) = (dump.start, 0);
        let damaged = || FramesError::Damaged("its table has no sense");
        while !body.is_empty() {
            let (length, raw) = varint::take(&mut body).zip(varint::take(&mut body)).ok_or_else(damaged)?;
            let (length, is_members) = (length >> 1, length & 1 == 1);
            let end = at.checked_add(length).filter(|end| *end <= dump.end).ok_or_else(damaged)?;
            let most = if is_members { MAX_SECTION } else { MAX_FRAME };
            pieces += 1;
            if raw > most || length > most + SLACK || length == 0 || pieces > MAX_PIECES {
                return Err(damaged());
            }
            if is_members {
                table.members.push(Frame { packed: at..end, raw: 0..raw });
            } else {
                let raw_end = table.raw.checked_add(raw).ok_or_else(damaged)?;
                table.data.push(Frame { packed: at..end, raw: table.raw..raw_end });
                table.raw = raw_end;
            }
            at = end;
        }
        if at == dump.end { Ok(table) } else { Err(FramesError::Damaged("its table is that of another one")) }
    }

    /// Returns the frames that hold the archive, in order.
    #[must_use]
    pub fn data(&self) -> &[Frame] {
        &self.data
    }

    /// Returns the frames that name its members.
    #[must_use]
    pub fn members(&self) -> &[Frame] {
        &self.members
    }

    /// Returns the length of the archive.
    #[must_use]
    pub fn raw(&self) -> u64 {
        self.raw
    }

    /// Returns the frames that hold these bytes of the archive.
    #[must_use]
    pub fn frames(&self, raw: &Range<u64>) -> &[Frame] {
        let first = self.data.partition_point(|frame| frame.raw.end <= raw.start);
        let behind = self.data.partition_point(|frame| frame.raw.start < raw.end);
        self.data.get(first..behind).unwrap_or_default()
    }
}
