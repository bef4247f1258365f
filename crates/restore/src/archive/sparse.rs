//! Where the data of a file with holes belongs.

use super::header::{BLOCK, Block};
use super::pax::{Wrong, number};

/// How many extents a file may have; their list takes 64 MiB then.
pub(super) const MAX_EXTENTS: usize = 4 << 20;

/// Data without a hole in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub offset: u64,
    pub length: u64,
}

/// The extents of one body, and how far it has been read.
#[derive(Debug, Default)]
pub(super) struct Extents {
    list: Vec<Extent>,
    next: usize,
    /// The current one, from the next byte on.
    current: Option<Extent>,
}

impl Extents {
    /// Returns those of a file without holes, which is so long.
    pub fn whole(length: u64) -> Self {
        Self { current: Some(Extent { offset: 0, length }), ..Self::default() }
    }

    /// Checks a map: ascending, inside a file of that length, and with as many bytes as the archive has for it.
    pub fn new(list: Vec<Extent>, size: u64, stored: u64) -> Result<Self, Wrong> {
        let (mut end, mut bytes) = (0, 0_u64);
        for extent in &list {
            // No file is longer than a system's number of its bytes can say.
            let behind = extent.offset.checked_add(extent.length).filter(|behind| *behind <= size);
            let wrong = Wrong("the map of a file with holes has no sense");
            if extent.offset < end {
                return Err(wrong);
            }
            end = behind.ok_or(wrong)?;
            bytes = bytes.checked_add(extent.length).ok_or(wrong)?;
        }
        if bytes == stored {
            Ok(Self { list, ..Self::default() })
        } else {
            Err(Wrong("the map of a file with holes is that of another one"))
        }
    }

    /// Returns where the next byte belongs and how many may follow it there; nothing at the end.
    pub fn current(&mut self) -> Option<Extent> {
        loop {
            if let Some(extent) = self.current.filter(|extent| extent.length > 0) {
                return Some(extent);
            }
            self.current = Some(*self.list.get(self.next)?);
            self.next += 1;
        }
    }

    /// Goes on by bytes of the current one.
    pub fn advance(&mut self, bytes: u64) {
        if let Some(extent) = &mut self.current {
            extent.offset = extent.offset.saturating_add(bytes);
            extent.length = extent.length.saturating_sub(bytes);
        }
    }
}

/// Reads the map of format 1.0, which stands in front of the data: numbers, each with a line feed behind it, and zeros up to the next block.
#[derive(Debug, Default)]
pub(super) struct MapReader {
    digits: Vec<u8>,
    count: Option<u64>,
    offset: Option<u64>,
    list: Vec<Extent>,
}

impl MapReader {
    /// Reads a block, and returns the map when it is complete.
    pub fn block(&mut self, block: &Block) -> Result<Option<Vec<Extent>>, Wrong> {
        let wrong = Wrong("the map of a file with holes has no sense");
        for byte in &block[..BLOCK] {
            if *byte != b'\n' {
                self.digits.push(*byte);
                if self.digits.len() > 20 {
                    return Err(wrong);
                }
                continue;
            }
            let number = number(&self.digits).ok_or(wrong)?;
            self.digits.clear();
            match (self.count, self.offset.take()) {
                (None, _) => self.count = Some(number),
                (Some(_), None) => self.offset = Some(number),
                (Some(_), Some(offset)) => self.list.push(Extent { offset, length: number }),
            }
            let count = self.count.unwrap_or(0);
            if count > MAX_EXTENTS as u64 {
                return Err(Wrong("a file has more holes than can be kept"));
            }
            if self.list.len() as u64 == count {
                return Ok(Some(std::mem::take(&mut self.list)));
            }
        }
        Ok(None)
    }
}

/// Returns the extents of an array in a block of GNU tar's old format, which ends at an empty one.
pub(super) fn old(array: &[tar::GnuSparseHeader]) -> Result<Vec<Extent>, Wrong> {
    let wrong = |_| Wrong("the map of a file with holes has no sense");
    let used = array.iter().take_while(|extent| !extent.is_empty());
    used.map(|extent| Ok(Extent { offset: extent.offset().map_err(wrong)?, length: extent.length().map_err(wrong)? })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extents(list: &[(u64, u64)]) -> Vec<Extent> {
        list.iter().map(|(offset, length)| Extent { offset: *offset, length: *length }).collect()
    }

    #[test]
    fn a_map_is_ascending_inside_the_file_and_as_long_as_its_data() {
        for (list, size, stored, good) in [
            (&[(0, 10), (20, 10), (40, 0)][..], 40, 20, true),
            (&[], 5, 0, true),
            (&[(0, 10), (9, 10)], 40, 20, false),
            (&[(20, 10), (0, 10)], 40, 20, false),
            (&[(20, 10)], 29, 10, false),
            (&[(u64::MAX, 1)], u64::MAX, 1, false),
            (&[(0, 10)], 40, 11, false),
        ] {
            assert_eq!(Extents::new(extents(list), size, stored).is_ok(), good, "{list:?}");
        }
    }

    #[test]
    fn extents_are_gone_through_in_pieces() {
        let mut map = Extents::new(extents(&[(0, 0), (5, 3), (10, 2)]), 12, 5).unwrap();
        let mut read = Vec::new();
        while let Some(extent) = map.current() {
            read.push((extent.offset, extent.length));
            map.advance(2);
        }
        assert_eq!(read, [(5, 3), (7, 1), (10, 2)]);
    }

    #[test]
    fn a_map_in_front_of_the_data_may_take_blocks() {
        let list: Vec<(u64, u64)> = (0..300).map(|at| (at * 8192, 4096)).collect();
        let mut text =
            format!("{}\n", list.len()) + &list.iter().map(|(offset, length)| format!("{offset}\n{length}\n")).collect::<String>();
        text.extend(std::iter::repeat_n('\0', BLOCK - text.len() % BLOCK));
        let mut reader = MapReader::default();
        let mut blocks = text.as_bytes().chunks(BLOCK).map(|block| reader.block(block.try_into().unwrap()).unwrap());
        assert!(blocks.by_ref().take(text.len() / BLOCK - 1).all(|map| map.is_none()));
        assert_eq!(blocks.next().flatten(), Some(extents(&list)));
        for text in ["x\n", "\n", "5000000\n", "123456789012345678901", "1\n-1\n"] {
            let mut block = [0; BLOCK];
            block[..text.len()].copy_from_slice(text.as_bytes());
            assert!(MapReader::default().block(&block).is_err(), "{text:?}");
        }
    }
}
