//! From a dump's stored bytes to the archive in it.
//!
//! gzip and zstd are uncompressed by a thread of their own, zstd in frames by two, while the caller reads the dump and uses what is there. What is
//! damaged becomes a hole, and reading goes on behind it where the packing allows that: at the next frame. A damaged gzip or zstd stream ends there.
//!
//! ```text
//! Packed ── count ── plain ───────────────────┐
//! stored    bytes,   stream ── gzip | zstd ───┼── Pieces
//! bytes     CRC      frames ── two threads ───┘
//! ```
//!
//! Memory: at most some 1 MiB for plain, gzip and zstd beside zstd's own window (128 MiB at most); four frames for the last (4 MiB each as we write
//! them, 64 MiB at most, and then not more than two at once).

mod count;
mod frames;
mod gzip;
mod packed;
mod stream;
#[cfg(test)]
mod tests;
mod zstd;

use std::io;

use ::wire::restore::Packing;

use self::count::Counted;
pub use self::count::Stored;
pub use self::packed::{Event, Packed};
use crate::member::{Piece, Pieces};

/// What is read at once.
const CHUNK: usize = 128 << 10;

/// An archive, unpacked while it is read. See [`unpack`].
#[derive(Debug)]
pub struct Unpacked<P> {
    packed: Counted<P>,
    how: How,
}

#[derive(Debug)]
enum How {
    Plain { buffer: Vec<u8>, at: usize },
    Stream(stream::Stream),
    Frames(frames::Frames),
}

/// Unpacks what `packed` has.
///
/// # Errors
/// When no thread can be started.
pub fn unpack<P: Packed>(packing: Packing, packed: P) -> io::Result<Unpacked<P>> {
    let how = match packing {
        Packing::Plain => How::Plain { buffer: Vec::new(), at: 0 },
        Packing::Gzip => How::Stream(stream::Stream::start(gzip::unpack)?),
        Packing::Zstd => How::Stream(stream::Stream::start(zstd::unpack)?),
        Packing::Frames => How::Frames(frames::Frames::start()?),
    };
    Ok(Unpacked { packed: Counted::new(packed), how })
}

impl<P: Packed> Unpacked<P> {
    /// Reads the rest of the stored bytes, if there is one, without unpacking it, and returns what all of them were: the proof of a whole
    /// dump, and the end of a server's answer.
    ///
    /// # Errors
    /// When there can be no more: the connection is lost.
    pub fn finish(self) -> io::Result<(Stored, P)> {
        let mut packed = self.packed;
        while packed.next()?.is_some() {}
        Ok(packed.into_parts())
    }

    /// Returns what the stored bytes were so far, for a progress. Some of them may not be unpacked yet.
    pub fn stored(&self) -> Stored {
        self.packed.stored()
    }
}

impl<P: Packed> Pieces for Unpacked<P> {
    fn fill(&mut self) -> io::Result<Option<Piece<'_>>> {
        match &mut self.how {
            How::Stream(stream) => stream.fill(&mut self.packed),
            How::Frames(frames) => frames.fill(&mut self.packed),
            How::Plain { buffer, at } => {
                if *at == buffer.len() {
                    buffer.clear();
                    *at = 0;
                    loop {
                        match self.packed.next()? {
                            Some(Event::Bytes([]) | Event::Frame { .. }) => {}
                            Some(Event::Bytes(bytes)) => {
                                buffer.extend_from_slice(bytes);
                                break;
                            }
                            Some(Event::Hole { raw, why }) => return Ok(Some(Piece::Hole { bytes: raw, why })),
                            None => return Ok(None),
                        }
                    }
                }
                Ok(Some(Piece::Bytes(&buffer[*at..])))
            }
        }
    }

    fn consume(&mut self, bytes: usize) {
        match &mut self.how {
            How::Plain { buffer, at } => *at = buffer.len().min(*at + bytes),
            How::Stream(stream) => stream.consume(bytes),
            How::Frames(frames) => frames.consume(bytes),
        }
    }
}
