//! Counts what is read, whatever becomes of it.

use std::io;

use super::{Event, Packed};

/// What the stored bytes of a dump were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stored {
    /// Their CRC-32C.
    pub crc32c: u32,
    /// How many.
    pub bytes: u64,
}

/// A dump that is counted.
#[derive(Debug)]
pub(super) struct Counted<P> {
    packed: P,
    stored: Stored,
}

impl<P: Packed> Counted<P> {
    pub fn new(packed: P) -> Self {
        Self { packed, stored: Stored::default() }
    }

    pub fn stored(&self) -> Stored {
        self.stored
    }

    pub fn into_parts(self) -> (Stored, P) {
        (self.stored, self.packed)
    }
}

impl<P: Packed> Packed for Counted<P> {
    fn next(&mut self) -> io::Result<Option<Event<'_>>> {
        let event = self.packed.next()?;
        if let Some(Event::Bytes(bytes)) = event {
            self.stored.crc32c = crc32c::crc32c_append(self.stored.crc32c, bytes);
            self.stored.bytes += bytes.len() as u64;
        }
        Ok(event)
    }
}
