//! Members frames: where each member of the archive begins, collected while the archive is made.

use std::io;

use super::{LEVEL, MAX_SECTION, content, skippable, uncompress, varint};
use crate::index;

/// What marks the content of a members frame.
const MAGIC: &[u8] = b"AmMb";
/// Bytes of a block of the archive, the unit in which tar counts.
const BLOCK: u64 = 512;
/// Entries are compressed when they take so much: ten to twenty thousand of them.
const FULL: usize = 256 << 10;

/// A members frame, to be put anywhere between two other frames of the dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    bytes: Vec<u8>,
    raw: usize,
}

impl Section {
    /// Returns the whole frame.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns how much its entries take.
    #[must_use]
    pub fn raw(&self) -> usize {
        self.raw
    }
}

/// Collects members until there are enough for a frame.
#[derive(Debug, Default)]
pub struct Collector {
    entries: Vec<u8>,
    name: Vec<u8>,
    /// The last member's block, as its frame counts: the first entry of each begins at 0.
    counted: u64,
    last: u64,
}

impl Collector {
    /// Adds a member: its name as tar lists it, and the number of its first block (with what the posix format puts before its header), which
    /// tar tells with `--block-number`. Returns a frame when one is full.
    ///
    /// A name that is longer than a line of an index may be is left out, and so is a block before the last one, which tar never tells.
    ///
    /// # Errors
    /// When there is no memory to compress with.
    pub fn add(&mut self, name: &[u8], block: u64) -> io::Result<Option<Section>> {
        if name.len() > index::LONGEST || block < self.last || block > u64::MAX / BLOCK {
            return Ok(None);
        }
        let shared = self.name.iter().zip(name).take_while(|(one, other)| one == other).count();
        let rest = &name[shared..];
        varint::put(&mut self.entries, shared as u64);
        varint::put(&mut self.entries, rest.len() as u64);
        self.entries.extend_from_slice(rest);
        varint::put(&mut self.entries, block - self.counted);
        self.name.truncate(shared);
        self.name.extend_from_slice(rest);
        (self.counted, self.last) = (block, block);
        if self.entries.len() < FULL { Ok(None) } else { self.finish() }
    }

    /// Returns a frame of those that are in none yet, if there are any.
    ///
    /// # Errors
    /// When there is no memory to compress with.
    pub fn finish(&mut self) -> io::Result<Option<Section>> {
        if self.entries.is_empty() {
            return Ok(None);
        }
        let packed = zstd::bulk::compress(&self.entries, LEVEL)?;
        let bytes = skippable(&[MAGIC, &crc32c::crc32c(&packed).to_le_bytes(), &packed])?;
        let section = Section { bytes, raw: self.entries.len() };
        self.entries.clear();
        self.name.clear();
        self.counted = 0;
        Ok(Some(section))
    }
}

/// Returns the entries of a members frame; `None` when it is damaged.
pub(super) fn open(frame: &[u8], raw: u64) -> Option<Vec<u8>> {
    let (crc, packed) = content(frame)?.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*crc) != crc32c::crc32c(packed) || raw > MAX_SECTION {
        return None;
    }
    uncompress(packed, raw).ok()
}

/// Gives each member's name and the byte of the archive at which it begins. `None` when the entries are none.
pub fn each(mut entries: &[u8], mut member: impl FnMut(&[u8], u64)) -> Option<()> {
    let (mut name, mut block) = (Vec::new(), 0_u64);
    while !entries.is_empty() {
        let shared = usize::try_from(varint::take(&mut entries)?).ok().filter(|shared| *shared <= name.len())?;
        let length = varint::take(&mut entries)?;
        let rest = varint::take_bytes(&mut entries, length)?;
        name.truncate(shared);
        name.extend_from_slice(rest);
        if name.len() > index::LONGEST {
            return None;
        }
        block = block.checked_add(varint::take(&mut entries)?)?;
        member(&name, block.checked_mul(BLOCK)?);
    }
    Some(())
}
