//! An archive, in pieces and with holes. Headers get their checksums here, which no fuzzer would guess.
#![no_main]

use std::io;

use libfuzzer_sys::fuzz_target;
use restore::archive::{Archive, Item};
use restore::member::{Body as _, Piece, Pieces};

/// The first byte says how large pieces are, the second how many of them are read before one is missing.
struct Input {
    bytes: Vec<u8>,
    at: usize,
    piece: usize,
    before_hole: usize,
}

impl Pieces for Input {
    fn fill(&mut self) -> io::Result<Option<Piece<'_>>> {
        // What was filled and not consumed is filled again the next time; a hole is given once.
        if self.before_hole == 1 {
            self.before_hole = 0;
            let from = self.at;
            self.at = self.bytes.len().min(self.at + self.piece);
            return Ok(Some(Piece::Hole { bytes: (self.piece % 2 == 0).then_some((self.at - from) as u64), why: "missing".into() }));
        }
        let piece = &self.bytes[self.at..self.bytes.len().min(self.at + self.piece)];
        Ok(if piece.is_empty() { None } else { Some(Piece::Bytes(piece)) })
    }

    fn consume(&mut self, bytes: usize) {
        self.at += bytes;
        self.before_hole = if self.before_hole > 1 { self.before_hole - 1 } else { 0 };
    }
}

fuzz_target!(|input: &[u8]| {
    let Some(([piece, before_hole], archive)) = input.split_first_chunk::<2>() else { return };
    let mut bytes = archive.to_vec();
    for block in bytes.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
        let sum = block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum::<u32>();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    let mut archive = Archive::new(Input { bytes, at: 0, piece: usize::from(*piece) * 8 + 1, before_hole: usize::from(*before_hole) });
    while let Some(item) = archive.next().unwrap() {
        match item {
            Item::Damage(damage) => assert!(!damage.to_string().is_empty()),
            Item::Member(member, mut content) => {
                let mut end = 0;
                while let Ok(Some((at, bytes))) = content.next() {
                    assert!(at >= end && !bytes.is_empty());
                    end = at + bytes.len() as u64;
                    assert!(end <= member.size);
                }
            }
        }
    }
});
