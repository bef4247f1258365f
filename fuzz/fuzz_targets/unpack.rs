//! A dump's stored bytes, as each packing; the first byte says how long a frame is announced to be.
#![no_main]

use std::io;

use libfuzzer_sys::fuzz_target;
use restore::member::{Piece, Pieces as _};
use restore::unpack::{Event, Packed, unpack};
use wire::restore::Packing;

struct Input<'a>(std::slice::Chunks<'a, u8>, bool);

impl Packed for Input<'_> {
    fn next(&mut self) -> io::Result<Option<Event<'_>>> {
        self.1 = !self.1;
        if self.1 {
            let length = self.0.clone().next().map_or(0, <[u8]>::len) as u64;
            return Ok(Some(Event::Frame { packed: length, raw: length * 3 }));
        }
        Ok(self.0.next().map(Event::Bytes))
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((length, dump)) = input.split_first() else { return };
    for packing in [Packing::Gzip, Packing::Zstd, Packing::Frames] {
        let mut unpacked = unpack(packing, Input(dump.chunks(usize::from(*length) + 1), false)).unwrap();
        let mut most = 64 << 20;
        while let Some(piece) = unpacked.fill().unwrap() {
            let Piece::Bytes(bytes) = piece else { continue };
            let length = bytes.len();
            unpacked.consume(length);
            // A small dump may be a large archive.
            most -= length.min(most);
            if most == 0 {
                break;
            }
        }
        assert_eq!(unpacked.finish().unwrap().0.bytes, dump.len() as u64);
    }
});
