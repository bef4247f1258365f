//! The archive's bytes, taken in blocks or as they lie.

use std::io;

use super::header::{BLOCK, Block};
use crate::member::{Piece, Pieces};

/// Something is missing in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hole {
    /// So many bytes, when that is known.
    pub bytes: Option<u64>,
    /// Why.
    pub why: String,
}

/// What came when bytes were wanted.
#[derive(Debug)]
pub(super) enum Got<T> {
    Bytes(T),
    Hole(Hole),
    /// The archive has ended.
    End,
}

#[derive(Debug)]
pub(super) struct Feed<P> {
    pieces: P,
    /// Bytes of the archive before the next one, those that are missing included.
    at: u64,
    /// What was handed out last and is not consumed yet.
    given: usize,
    block: Block,
}

impl<P: Pieces> Feed<P> {
    pub fn new(pieces: P) -> Self {
        Self { pieces, at: 0, given: 0, block: [0; BLOCK] }
    }

    pub fn into_inner(self) -> P {
        self.pieces
    }

    /// Returns where in the archive the next byte is.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Returns the block that was read last.
    pub fn last(&self) -> &Block {
        &self.block
    }

    /// Returns some bytes, at most so many. They count as read.
    pub fn bytes(&mut self, most: u64) -> io::Result<Got<&[u8]>> {
        take(&mut self.pieces, &mut self.at, &mut self.given, most)
    }

    /// Takes as many bytes, and says how many; [`Feed::given`] has them.
    pub fn some(&mut self, most: u64) -> io::Result<Got<usize>> {
        Ok(match self.bytes(most)? {
            Got::Bytes(bytes) => Got::Bytes(bytes.len()),
            Got::Hole(hole) => Got::Hole(hole),
            Got::End => Got::End,
        })
    }

    /// Returns the bytes that were taken last.
    pub fn given(&mut self) -> io::Result<&[u8]> {
        match self.pieces.fill()? {
            Some(Piece::Bytes(bytes)) => Ok(bytes.get(..self.given).unwrap_or_default()),
            _ => Ok(&[]),
        }
    }

    /// Reads a block; see [`Feed::last`]. What came of it before a hole or the end is lost.
    pub fn block(&mut self) -> io::Result<Got<()>> {
        let mut filled = 0;
        while filled < BLOCK {
            match take(&mut self.pieces, &mut self.at, &mut self.given, (BLOCK - filled) as u64)? {
                Got::Bytes(bytes) => {
                    self.block[filled..filled + bytes.len()].copy_from_slice(bytes);
                    filled += bytes.len();
                }
                Got::Hole(hole) => return Ok(Got::Hole(hole)),
                Got::End => return Ok(Got::End),
            }
        }
        Ok(Got::Bytes(()))
    }

    /// Passes over bytes, and counts `left` down to 0. Stops before that at a hole or the end.
    pub fn skip(&mut self, left: &mut u64) -> io::Result<Got<()>> {
        while *left > 0 {
            match self.bytes(*left)? {
                Got::Bytes(bytes) => *left -= bytes.len() as u64,
                Got::Hole(hole) => return Ok(Got::Hole(hole)),
                Got::End => return Ok(Got::End),
            }
        }
        Ok(Got::Bytes(()))
    }

    /// Appends bytes to `to`, and counts `left` down to 0. Stops before that at a hole or the end. Memory is taken for what really comes.
    pub fn append(&mut self, to: &mut Vec<u8>, left: &mut u64) -> io::Result<Got<()>> {
        while *left > 0 {
            match self.bytes(*left)? {
                Got::Bytes(bytes) => {
                    to.extend_from_slice(bytes);
                    *left -= bytes.len() as u64;
                }
                Got::Hole(hole) => return Ok(Got::Hole(hole)),
                Got::End => return Ok(Got::End),
            }
        }
        Ok(Got::Bytes(()))
    }
}

fn take<'a>(pieces: &'a mut impl Pieces, at: &mut u64, given: &mut usize, most: u64) -> io::Result<Got<&'a [u8]>> {
    pieces.consume(std::mem::take(given));
    match pieces.fill()? {
        None => Ok(Got::End),
        Some(Piece::Hole { bytes, why }) => {
            // When nobody knows how much is missing: what is behind it most likely begins at a block, as volumes' parts do.
            *at = at.saturating_add(bytes.unwrap_or_else(|| at.wrapping_neg() % BLOCK as u64));
            Ok(Got::Hole(Hole { bytes, why }))
        }
        Some(Piece::Bytes(bytes)) => {
            let taken = bytes.len().min(usize::try_from(most).unwrap_or(usize::MAX));
            *given = taken;
            *at = at.saturating_add(taken as u64);
            Ok(Got::Bytes(&bytes[..taken]))
        }
    }
}
