//! Reading a dump by its table: from the end to the table, from a name to the frames that hold it.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use super::table::{Frame, TRAILER, Table, Trailer};
use super::{FramesError, MAX_PADDING, content, members, uncompress};

/// Zeros behind a dump are looked through in pieces of this length.
const LOOK: u64 = 64 << 10;

/// A member that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name, as tar lists it.
    pub name: Vec<u8>,
    /// Its bytes in the archive: from its first block to the next member's. The last one's end is the archive's, with the blocks of zeros there.
    pub raw: Range<u64>,
}

impl Table {
    /// Finds and reads the table of a dump. One header of Amanda's in front of the dump does no harm, and no zeros behind it. `None`
    /// when it has no table: then it can only be read from its beginning.
    ///
    /// # Errors
    /// When it cannot be read, or the table is damaged or of a later version.
    pub fn read(dump: &mut (impl Read + Seek)) -> Result<Option<Self>, FramesError> {
        let end = end(dump)?;
        let Some(at) = end.checked_sub(TRAILER as u64) else { return Ok(None) };
        let mut last = [0; TRAILER];
        dump.seek(SeekFrom::Start(at))?;
        dump.read_exact(&mut last)?;
        let Some(trailer) = Trailer::parse(&last)? else { return Ok(None) };
        let damaged = || FramesError::Damaged("its table does not fit it");
        let table = end.checked_sub(trailer.frame()).ok_or_else(damaged)?;
        let start = table.checked_sub(trailer.before).ok_or_else(damaged)?;
        let frame = bytes(dump, &(table..end))?;
        let content = content(&frame).filter(|content| trailer.proves(content)).ok_or_else(damaged)?;
        let packed = &content[..content.len() - TRAILER];
        let body = uncompress(packed, u64::from(trailer.body)).map_err(|source| FramesError::Frame { at: table, source })?;
        Self::parse(&body, start..table).map(Some)
    }

    /// Gives each member's name, as tar lists it, and the byte of the archive at which it begins, in the archive's order.
    ///
    /// # Errors
    /// When the dump cannot be read or a frame is damaged.
    pub fn each_member(&self, dump: &mut (impl Read + Seek), mut member: impl FnMut(&[u8], u64)) -> Result<(), FramesError> {
        let (mut last, mut in_order) = (0, true);
        for frame in self.members() {
            let entries = members::open(&bytes(dump, &frame.packed)?, frame.raw.end);
            let read = entries.and_then(|entries| {
                members::each(&entries, |name, at| {
                    in_order &= (last..=self.raw()).contains(&at);
                    last = at;
                    if in_order {
                        member(name, at);
                    }
                })
            });
            read.filter(|()| in_order).ok_or(FramesError::Damaged("its list of members has no sense"))?;
        }
        Ok(())
    }

    /// Finds the members whose names are wanted, in the archive's order. A name may be there more than once.
    ///
    /// # Errors
    /// When the dump cannot be read or a frame is damaged.
    pub fn find(&self, dump: &mut (impl Read + Seek), mut wanted: impl FnMut(&[u8]) -> bool) -> Result<Vec<Found>, FramesError> {
        let mut found: Vec<Found> = Vec::new();
        let mut open = false;
        self.each_member(dump, |name, at| {
            if let Some(last) = found.last_mut().filter(|_| open) {
                last.raw.end = at;
            }
            open = wanted(name);
            if open {
                found.push(Found { name: name.to_vec(), raw: at..self.raw() });
            }
        })?;
        Ok(found)
    }

    /// Returns the bytes of the archive in one frame. Their checksum was compared.
    ///
    /// # Errors
    /// When the dump cannot be read or the frame is damaged.
    pub fn uncompress(&self, dump: &mut (impl Read + Seek), frame: &Frame) -> Result<Vec<u8>, FramesError> {
        let packed = bytes(dump, &frame.packed)?;
        let uncompressed = uncompress(&packed, frame.raw.end - frame.raw.start);
        uncompressed.map_err(|source| FramesError::Frame { at: frame.packed.start, source })
    }

    /// Writes these bytes of the archive, and reads no frames but those that hold them.
    ///
    /// # Errors
    /// When the dump cannot be read or a frame is damaged, or they cannot be written.
    pub fn copy(&self, dump: &mut (impl Read + Seek), raw: &Range<u64>, to: &mut impl Write) -> Result<(), FramesError> {
        for frame in self.frames(raw) {
            let archive = self.uncompress(dump, frame)?;
            // Both lie within the frame, which is in memory.
            let from = raw.start.saturating_sub(frame.raw.start) as usize;
            let behind = (raw.end.min(frame.raw.end) - frame.raw.start) as usize;
            to.write_all(&archive[from..behind])?;
        }
        Ok(())
    }
}

/// Reads bytes whose number was found to be allowed.
fn bytes(dump: &mut (impl Read + Seek), range: &Range<u64>) -> Result<Vec<u8>, FramesError> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    dump.seek(SeekFrom::Start(range.start))?;
    let mut bytes = vec![0; length];
    dump.read_exact(&mut bytes).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => FramesError::Damaged("it ends before its table says so"),
        _ => error.into(),
    })?;
    Ok(bytes)
}

/// Returns where a dump ends, without the zeros that a tape has put behind it: our own last byte is none.
fn end(dump: &mut (impl Read + Seek)) -> io::Result<u64> {
    let whole = dump.seek(SeekFrom::End(0))?;
    let mut end = whole;
    while end > 0 && whole - end < MAX_PADDING {
        let from = end.saturating_sub(LOOK);
        let mut piece = vec![0; usize::try_from(end - from).map_err(io::Error::other)?];
        dump.seek(SeekFrom::Start(from))?;
        dump.read_exact(&mut piece)?;
        match piece.iter().rposition(|byte| *byte != 0) {
            Some(last) => return Ok(from + last as u64 + 1),
            None => end = from,
        }
    }
    Ok(whole)
}
