//! Parts of an archive out of frames: only the frames that hold them are read.

use std::io::{self, Read, Seek};
use std::ops::Range;

use amanda::frames::Table;
use restore::member::{Piece, Pieces};

/// So many parts are told apart; what lies between later ones comes along.
const MAX_RUNS: usize = 1 << 20;

/// What ends an archive.
pub(super) const END: [u8; 1024] = [0; 1024];

/// Collects ranges of an archive, ascending; those that touch become one.
#[derive(Debug, Default)]
pub(super) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    pub fn add(&mut self, range: Range<u64>) {
        let many = self.0.len() == MAX_RUNS;
        match self.0.last_mut().filter(|last| many || last.end >= range.start) {
            Some(last) => last.end = last.end.max(range.end),
            None if range.is_empty() => {}
            None => self.0.push(range),
        }
    }

    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }
}

/// Reads ranges of an archive, and an end behind them. A frame that is damaged costs what of it was wanted.
pub(super) struct Runs<R> {
    table: Table,
    dump: R,
    ranges: std::vec::IntoIter<Range<u64>>,
    /// What is left of the current range.
    range: Range<u64>,
    /// The frame that was uncompressed last: where in the archive it begins, and its bytes.
    frame: (u64, Vec<u8>),
    /// How much of the end has been read.
    end: usize,
}

impl<R: Read + Seek> Runs<R> {
    pub fn new(table: Table, dump: R, ranges: Ranges) -> Self {
        Self { table, dump, ranges: ranges.0.into_iter(), range: 0..0, frame: (0, Vec::new()), end: 0 }
    }

    /// Reads all of it.
    pub fn whole(table: Table, dump: R) -> Self {
        let all = Ranges(std::iter::once(0..table.raw()).collect());
        Self::new(table, dump, all)
    }

    /// Returns where the next wanted bytes are in the frame at hand.
    fn at_hand(&self) -> Option<Range<usize>> {
        let (start, frame) = (self.frame.0, &self.frame.1);
        let from = usize::try_from(self.range.start.checked_sub(start)?).ok().filter(|from| *from < frame.len())?;
        let wanted = usize::try_from(self.range.end - self.range.start).unwrap_or(usize::MAX);
        Some(from..frame.len().min(from.saturating_add(wanted)))
    }
}

impl<R: Read + Seek> Pieces for Runs<R> {
    fn fill(&mut self) -> io::Result<Option<Piece<'_>>> {
        while self.range.is_empty() {
            let Some(next) = self.ranges.next() else {
                let end = &END[self.end..];
                return Ok((!end.is_empty()).then_some(Piece::Bytes(end)));
            };
            self.range = next;
        }
        if self.at_hand().is_none() {
            let first = self.range.start..self.range.start + 1;
            let Some(frame) = self.table.frames(&first).first().cloned() else {
                self.range = 0..0;
                return Ok(Some(Piece::Hole { bytes: None, why: "the dump's table names bytes that it does not have".to_owned() }));
            };
            match self.table.uncompress(&mut self.dump, &frame) {
                Ok(bytes) => self.frame = (frame.raw.start, bytes),
                Err(error) => {
                    let end = frame.raw.end.min(self.range.end);
                    let lost = end - self.range.start;
                    self.range.start = end;
                    let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), |source| format!("{error} ({source})"));
                    return Ok(Some(Piece::Hole { bytes: Some(lost), why }));
                }
            }
        }
        let at = self.at_hand().unwrap_or(0..0);
        Ok(Some(Piece::Bytes(&self.frame.1[at])))
    }

    fn consume(&mut self, bytes: usize) {
        if self.range.is_empty() {
            self.end = END.len().min(self.end + bytes);
            return;
        }
        self.range.start = self.range.end.min(self.range.start + bytes as u64);
    }
}
