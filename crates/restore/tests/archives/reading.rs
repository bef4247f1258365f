//! Reads archives out of memory, with holes where a test wants them.

use std::io;
use std::ops::Range;

use restore::archive::{Archive, Damage, Item};
use restore::member::{Body as _, Kind, Member, Piece, Pieces};

/// An archive in memory, handed out some bytes at a time.
pub struct Memory {
    bytes: Vec<u8>,
    chunk: usize,
    at: usize,
    /// What is missing, ascending.
    holes: Vec<Range<usize>>,
    /// Whether it is known how much is missing.
    known: bool,
}

impl Memory {
    pub fn new(bytes: &[u8], chunk: usize) -> Self {
        Self { bytes: bytes.to_vec(), chunk, at: 0, holes: Vec::new(), known: true }
    }

    pub fn with_hole(bytes: &[u8], chunk: usize, hole: Range<usize>) -> Self {
        Self { holes: vec![hole], ..Self::new(bytes, chunk) }
    }
}

impl Pieces for Memory {
    fn fill(&mut self) -> io::Result<Option<Piece<'_>>> {
        if let Some(hole) = self.holes.first().cloned().filter(|hole| hole.start == self.at) {
            self.holes.remove(0);
            self.at = hole.end;
            return Ok(Some(Piece::Hole { bytes: self.known.then_some(hole.len() as u64), why: "a piece was lost".into() }));
        }
        let end = self.holes.first().map_or(self.bytes.len(), |hole| hole.start).min(self.at + self.chunk);
        Ok(if end == self.at { None } else { Some(Piece::Bytes(&self.bytes[self.at..end])) })
    }

    fn consume(&mut self, bytes: usize) {
        self.at += bytes;
    }
}

/// A member with its content; none when that is not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub member: Member,
    pub content: Option<Vec<u8>>,
    /// Bytes of the content that were in the archive.
    pub stored: u64,
    pub begins: u64,
    pub in_doubt: bool,
}

/// Reads everything.
pub fn read(pieces: impl Pieces) -> (Vec<Read>, Vec<Damage>) {
    let mut archive = Archive::new(pieces);
    let (mut members, mut damages) = (Vec::new(), Vec::new());
    loop {
        let read = match archive.next().expect("nothing is cut off") {
            None => return (members, damages),
            Some(Item::Damage(damage)) => {
                damages.push(damage);
                continue;
            }
            Some(Item::Member(member, mut body)) => {
                let (mut content, mut stored, mut whole) = (Vec::new(), 0, true);
                loop {
                    match body.next() {
                        Ok(Some((at, bytes))) => {
                            let at = usize::try_from(at).expect("small");
                            assert!(at >= content.len() && !bytes.is_empty() && at + bytes.len() <= member.size as usize);
                            content.resize(at, 0);
                            content.extend_from_slice(bytes);
                            stored += bytes.len() as u64;
                        }
                        Ok(None) => break,
                        Err(_) => {
                            whole = false;
                            break;
                        }
                    }
                }
                if whole && member.kind == Kind::File && member.size < 1 << 30 {
                    content.resize(member.size as usize, 0);
                }
                Read { member: *member, content: whole.then_some(content), stored, begins: 0, in_doubt: false }
            }
        };
        members.push(Read { begins: archive.begins(), in_doubt: archive.in_doubt(), ..read });
    }
}
