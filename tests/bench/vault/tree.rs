//! A tree with sizes as in a home directory: mostly 1 to 20 KB, text and what cannot be compressed mixed. The seed decides it all.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How large a tree is to be.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Files.
    pub files: u64,
    /// Bytes in them, within one part of a hundred.
    pub bytes: u64,
}

/// Bytes of one small file, at least and at most.
const SMALL: (u64, u64) = (1_000, 14_000);

/// Makes the tree.
pub fn plant(root: &Path, size: Size, seed: u64) -> Result<(), Box<dyn Error>> {
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let noise: Vec<u8> = (0..(1 << 20)).flat_map(|_| chance.next().to_le_bytes()).collect();
    let prose = prose(&mut chance, 1 << 22);
    // One in twelve is larger, by as much as it takes to come to the sum.
    let small = (SMALL.0 + SMALL.1) / 2;
    let large = (size.bytes - size.files / 12 * 11 * small) / (size.files / 12);
    let now = SystemTime::now();
    for number in 0..size.files {
        let is_large = number % 12 == 0;
        let length = if is_large { large / 4 + chance.below(large * 3 / 2) } else { SMALL.0 + chance.below(SMALL.1 - SMALL.0) };
        // Of what is large, pictures and the like are more.
        let is_text = chance.below(100) < if is_large { 40 } else { 65 };
        let directory = root.join(format!("{:02}/{:03}", number / 2000, number / 40 % 50));
        fs::create_dir_all(&directory)?;
        let path = directory.join(format!("file {number:06}.{}", if is_text { "txt" } else { "jpg" }));
        let mut file = File::create(&path)?;
        let from = if is_text { &prose } else { &noise };
        let mut left = usize::try_from(length)?;
        while left > 0 {
            let at = usize::try_from(chance.below(from.len() as u64 / 2))?;
            let piece = &from[at..(at + left).min(from.len())];
            file.write_all(piece)?;
            left -= piece.len();
        }
        file.set_modified(now - Duration::from_secs(86_400 + chance.below(900 * 86_400)))?;
    }
    Ok(())
}

/// Returns words of a language that does not exist, as often as words of one that does.
fn prose(chance: &mut Chance, length: usize) -> Vec<u8> {
    let letters = b"eeeeeetttttaaaaooooiiiinnnnssssrrrhhhlllddccuummffggppwybvk";
    let mut word = || {
        let length = 2 + chance.below(8);
        (0..length).map(|_| letters[usize::try_from(chance.below(letters.len() as u64)).expect("small")]).collect::<Vec<u8>>()
    };
    let words: Vec<Vec<u8>> = (0..6000).map(|_| word()).collect();
    let mut text = Vec::with_capacity(length + 16);
    let mut line = 0;
    while text.len() < length {
        // Zipf's law, nearly: squares of what is even make the first words the most frequent.
        let at = chance.below(6000) * chance.below(6000) / 6000;
        let word = &words[usize::try_from(at).expect("small")];
        text.extend_from_slice(word);
        line += word.len() + 1;
        text.push(if line > 70 { b'\n' } else { b' ' });
        line = if line > 70 { 0 } else { line };
    }
    text
}

struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit.max(1)
    }
}
