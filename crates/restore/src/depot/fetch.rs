//! A dump's data as it comes, for [`unpack`](crate::unpack).

use std::io::{self, Read, Write};

use wire::restore::{Packing, Told};

use super::{Came, Depot};
use crate::unpack::{Event, Packed};

/// A dump, or members of one, on its way. Read it to its end ([`Packed::next`] returns nothing); then the depot may be asked again.
#[derive(Debug)]
pub struct Fetch<'a, R: Read, W: Write> {
    depot: &'a mut Depot<R, W>,
    packing: Packing,
    bytes: u64,
    stored: Option<(u32, u64)>,
}

impl<'a, R: Read, W: Write> Fetch<'a, R, W> {
    pub(super) fn new(depot: &'a mut Depot<R, W>, packing: Packing, bytes: u64, stored: Option<(String, u64)>) -> Self {
        let stored = stored.and_then(|(crc, bytes)| Some((u32::from_str_radix(&crc, 16).ok()?, bytes)));
        Self { depot, packing, bytes, stored }
    }

    /// Returns how it is packed.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// Returns how many bytes will come; 0 when that is not known.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns CRC-32C and number of the stored bytes, when all of them come as they are stored and the catalog knows them.
    pub fn stored(&self) -> Option<(u32, u64)> {
        self.stored
    }
}

impl<R: Read, W: Write> Packed for Fetch<'_, R, W> {
    fn next(&mut self) -> io::Result<Option<Event<'_>>> {
        match self.depot.answer()? {
            None => Ok(None),
            Some(Came::Data(bytes)) => Ok(Some(Event::Bytes(bytes))),
            Some(Came::Told(Told::Frame { packed, raw })) => Ok(Some(Event::Frame { packed, raw })),
            Some(Came::Told(Told::Hole { raw, why })) => Ok(Some(Event::Hole { raw, why })),
            Some(other) => Err(other.out_of_turn("a dump").into()),
        }
    }
}
