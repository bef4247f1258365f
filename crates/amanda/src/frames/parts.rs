//! A dump in several pieces, read as one: chunks of a holding disk, parts on volumes.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;

/// Pieces of files, one behind the other.
#[derive(Debug)]
pub struct Parts<R> {
    /// Where each piece lies in its file, and where it ends in the whole.
    parts: Vec<(R, Range<u64>, u64)>,
    at: u64,
}

impl<R: Read + Seek> Parts<R> {
    /// Puts pieces together: a file, and the bytes of it that belong to the dump, behind its header.
    ///
    /// # Errors
    /// When they are longer than anything can be.
    pub fn new(parts: impl IntoIterator<Item = (R, Range<u64>)>) -> io::Result<Self> {
        let mut whole = 0_u64;
        let parts = parts.into_iter().map(|(file, range)| {
            whole = whole.checked_add(range.end.saturating_sub(range.start)).ok_or(ErrorKind::InvalidInput)?;
            Ok((file, range, whole))
        });
        Ok(Self { parts: parts.collect::<io::Result<_>>()?, at: 0 })
    }
}

impl<R: Read + Seek> Read for Parts<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let part = self.parts.partition_point(|(_, _, end)| *end <= self.at);
        let Some((file, range, end)) = self.parts.get_mut(part) else { return Ok(0) };
        let left = *end - self.at;
        file.seek(SeekFrom::Start(range.end - left))?;
        let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = file.read(&mut buffer[..length])?;
        if read == 0 && length > 0 {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "a part of the dump is shorter than it was"));
        }
        self.at += read as u64;
        Ok(read)
    }
}

impl<R: Read + Seek> Seek for Parts<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let whole = self.parts.last().map_or(0, |(_, _, end)| *end);
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => whole.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = to.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
