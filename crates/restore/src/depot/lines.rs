//! Answers that come as bytes, cut anywhere: lines of an index, records of directories.

use wire::restore::{MAX_PATH_BYTES, PathBytes};

use super::DepotError;

/// The longest line of an index: Amanda's own reader splits longer ones.
const MAX_LINE: usize = 4096;
/// The longest list of one directory: some two million names of 30 bytes.
const MAX_DUMPDIR: usize = 64 << 20;
/// The two lengths before a record.
const LENGTHS: usize = 8;

/// Lines of an index.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
}

impl Lines {
    pub fn feed(&mut self, bytes: &[u8], each: &mut impl FnMut(&[u8])) -> Result<(), DepotError> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            if self.begun.is_empty() {
                each(&rest[..end]);
            } else {
                self.begun.extend_from_slice(&rest[..end]);
                each(&self.begun);
                self.begun.clear();
            }
            rest = &rest[end + 1..];
        }
        if self.begun.len() + rest.len() > MAX_LINE {
            return Err(DepotError::TooMuch { what: "a line that is too long", limit: MAX_LINE });
        }
        self.begun.extend_from_slice(rest);
        Ok(())
    }

    pub fn is_whole(&self) -> bool {
        self.begun.is_empty()
    }
}

/// Directories and what they had in them, as [`wire::restore::record`] packs them.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// A record whose end has not come.
    begun: Vec<u8>,
}

impl Records {
    pub fn feed(&mut self, bytes: &[u8], each: &mut impl FnMut(PathBytes, &[u8])) -> Result<(), DepotError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let wanted = match lengths(&self.begun)? {
                Some((path, dumpdir)) => LENGTHS + path + dumpdir,
                None => LENGTHS,
            };
            let (more, behind) = rest.split_at(rest.len().min(wanted - self.begun.len()));
            self.begun.extend_from_slice(more);
            rest = behind;
            let Some((path, dumpdir)) = lengths(&self.begun)? else { continue };
            if self.begun.len() == LENGTHS + path + dumpdir {
                let (path, dumpdir) = self.begun[LENGTHS..].split_at(path);
                each(PathBytes::new(path), dumpdir);
                self.begun.clear();
            }
        }
        Ok(())
    }

    pub fn is_whole(&self) -> bool {
        self.begun.is_empty()
    }
}

/// Reads both lengths of a record, which are few enough bytes; nothing before they have come.
fn lengths(record: &[u8]) -> Result<Option<(usize, usize)>, DepotError> {
    let Some(lengths) = record.first_chunk::<LENGTHS>() else { return Ok(None) };
    let [a, b, c, d, e, f, g, h] = *lengths;
    let length = |bytes| usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX);
    let (path, dumpdir) = (length([a, b, c, d]), length([e, f, g, h]));
    if path > MAX_PATH_BYTES {
        return Err(DepotError::TooMuch { what: "a path that is too long", limit: MAX_PATH_BYTES });
    }
    if dumpdir > MAX_DUMPDIR {
        return Err(DepotError::TooMuch { what: "a directory that is too large", limit: MAX_DUMPDIR });
    }
    Ok(Some((path, dumpdir)))
}
