//! Cuts members out of an archive that comes as a stream, with all their headers, as they are.
//!
//! Nothing is kept but a member's extended headers while its name is not known, and those only when they are short: a longer one belongs to a
//! directory with very many names, which goes along whoever wanted it. Where the archive is damaged, everything behind that goes along: whoever
//! reads it looks for the next member.

use std::io;

use restore::member::{Piece, Pieces};
use tar::Header;
use wire::restore::PathBytes;

/// Bytes of a block.
const BLOCK: usize = 512;

/// Extended headers of one member that are kept, in bytes.
const MAX_KEPT: u64 = 1 << 20;

/// What is said of an archive that ends too soon.
const CUT: &str = "the archive ends in the middle of a member";

/// Takes what was cut out.
pub(super) trait Sink {
    /// Bytes of the archive.
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Something is missing.
    fn hole(&mut self, raw: Option<u64>, why: String) -> io::Result<()>;
}

/// Says whether a block is a member's header: its checksum is right.
pub(super) fn is_header(block: &[u8]) -> bool {
    let Ok(block) = <&[u8; BLOCK]>::try_from(block) else { return false };
    let Ok(said) = Header::from_byte_slice(block).cksum() else { return false };
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    said == sum(&block[..148]) + sum(&block[156..]) + 8 * u32::from(b' ')
}

/// Cuts out the members that are wanted. What is behind the archive's end is read as well: what packs it has its checksum there.
///
/// # Errors
/// When the archive's pieces do not come, or the sink takes nothing any more.
pub(super) fn cut(pieces: &mut impl Pieces, is_wanted: impl Fn(&PathBytes) -> bool, sink: &mut dyn Sink) -> io::Result<()> {
    let mut cutter = Cutter { pieces, sink, group: Group::default(), kept: Vec::new() };
    loop {
        match cutter.member(&is_wanted)? {
            Next::Member => {}
            Next::End => return cutter.drain(),
            Next::Lost => return cutter.rest(),
        }
    }
}

enum Next {
    Member,
    End,
    /// Nobody knows where the next member begins.
    Lost,
}

/// What extended headers say of the member that they belong to.
#[derive(Default)]
struct Group {
    path: Option<Vec<u8>>,
    size: Option<u64>,
    /// Some of them went along unread, so all of it does.
    goes_along: bool,
}

struct Cutter<'a, P> {
    pieces: &'a mut P,
    sink: &'a mut dyn Sink,
    group: Group,
    /// Blocks of the member whose name is not known.
    kept: Vec<u8>,
}

impl<P: Pieces> Cutter<'_, P> {
    /// Reads one member with its extended headers.
    fn member(&mut self, is_wanted: &impl Fn(&PathBytes) -> bool) -> io::Result<Next> {
        self.group = Group::default();
        self.kept.clear();
        loop {
            let Some(block) = self.block()? else { return Ok(Next::Lost) };
            if block.iter().all(|byte| *byte == 0) {
                return Ok(Next::End);
            }
            if !is_header(&block) {
                self.kept.extend_from_slice(&block);
                return Ok(Next::Lost);
            }
            let header = Header::from_byte_slice(&block);
            let (flag, Ok(size)) = (header.entry_type().as_byte(), header.entry_size()) else {
                self.kept.extend_from_slice(&block);
                return Ok(Next::Lost);
            };
            if matches!(flag, b'x' | b'X' | b'g' | b'L' | b'K') {
                self.kept.extend_from_slice(&block);
                if !self.extended(flag, size)? {
                    return Ok(Next::Lost);
                }
                continue;
            }
            let path = self.group.path.take().unwrap_or_else(|| header.path_bytes().into_owned());
            let wanted = self.group.goes_along || is_wanted(&PathBytes::new(&path));
            let body = match (flag, self.group.size) {
                (_, Some(size)) => size,
                // A hard link has no content, whatever it says of the other name's.
                (b'1', None) => 0,
                (_, None) => size,
            };
            self.kept.extend_from_slice(&block);
            if wanted {
                self.sink.bytes(&self.kept)?;
            }
            self.kept.clear();
            let mut more = flag == b'S' && block[482] != 0;
            while more {
                let Some(map) = self.block()? else { return Ok(Next::Lost) };
                if wanted {
                    self.sink.bytes(&map)?;
                }
                more = map[504] != 0;
            }
            return Ok(if self.body(padded(body), wanted)? { Next::Member } else { Next::Lost });
        }
    }

    /// Reads an extended header's body; false when there was a hole in it.
    fn extended(&mut self, flag: u8, size: u64) -> io::Result<bool> {
        if (self.kept.len() as u64).saturating_add(size) > MAX_KEPT {
            // Nothing is known of the member but that it may be wanted.
            self.group.goes_along = true;
            self.sink.bytes(&self.kept)?;
            self.kept.clear();
            return self.body(padded(size), true);
        }
        let from = self.kept.len();
        let mut left = padded(size);
        while left > 0 {
            let taken = match self.pieces.fill()? {
                Some(Piece::Bytes(bytes)) => {
                    let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.kept.extend_from_slice(&bytes[..taken]);
                    taken
                }
                Some(Piece::Hole { why, .. }) => {
                    self.hole(why)?;
                    return Ok(false);
                }
                None => {
                    self.hole(CUT.to_owned())?;
                    return Ok(false);
                }
            };
            self.pieces.consume(taken);
            left -= taken as u64;
        }
        let body = self.kept.get(from..from + usize::try_from(size).unwrap_or(0)).unwrap_or_default();
        match flag {
            b'L' => self.group.path = Some(body.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()),
            b'x' | b'X' => self.group.read(body),
            _ => {}
        }
        Ok(true)
    }

    /// Passes over bytes, or them on; false when it is not known any more where they end.
    fn body(&mut self, mut left: u64, wanted: bool) -> io::Result<bool> {
        while left > 0 {
            let taken = match self.pieces.fill()? {
                Some(Piece::Bytes(bytes)) => {
                    let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    if wanted {
                        self.sink.bytes(&bytes[..taken])?;
                    }
                    taken
                }
                Some(Piece::Hole { bytes: Some(bytes), why }) if bytes <= left => {
                    if wanted {
                        self.sink.hole(Some(bytes), why)?;
                    }
                    left -= bytes;
                    continue;
                }
                Some(Piece::Hole { bytes, why }) => {
                    self.sink.hole(bytes.filter(|_| wanted), why)?;
                    return Ok(false);
                }
                None => {
                    self.sink.hole(None, CUT.to_owned())?;
                    return Ok(false);
                }
            };
            self.pieces.consume(taken);
            left -= taken as u64;
        }
        Ok(true)
    }

    /// Reads a block; nothing when a hole or the end is where it should be.
    fn block(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let taken = match self.pieces.fill()? {
                Some(Piece::Bytes(bytes)) => {
                    let taken = bytes.len().min(BLOCK - filled);
                    block[filled..filled + taken].copy_from_slice(&bytes[..taken]);
                    taken
                }
                Some(Piece::Hole { why, .. }) => {
                    self.hole(why)?;
                    return Ok(None);
                }
                None => {
                    self.hole("the archive ends without the mark of its end: it may be cut off".to_owned())?;
                    return Ok(None);
                }
            };
            self.pieces.consume(taken);
            filled += taken;
        }
        Ok(Some(block))
    }

    /// Tells a hole outside of a member that is passed on, whose length helps nobody.
    fn hole(&mut self, why: String) -> io::Result<()> {
        self.kept.clear();
        self.sink.hole(None, why)
    }

    /// Reads what is behind the end, and tells only what is damaged there.
    fn drain(&mut self) -> io::Result<()> {
        loop {
            let length = match self.pieces.fill()? {
                None => return Ok(()),
                Some(Piece::Hole { why, .. }) => {
                    self.sink.hole(None, why)?;
                    continue;
                }
                Some(Piece::Bytes(bytes)) => bytes.len(),
            };
            self.pieces.consume(length);
        }
    }

    /// Passes on all that is left.
    fn rest(&mut self) -> io::Result<()> {
        self.sink.bytes(&self.kept)?;
        loop {
            let length = match self.pieces.fill()? {
                None => return Ok(()),
                Some(Piece::Hole { bytes, why }) => {
                    self.sink.hole(bytes, why)?;
                    continue;
                }
                Some(Piece::Bytes(bytes)) => {
                    self.sink.bytes(bytes)?;
                    bytes.len()
                }
            };
            self.pieces.consume(length);
        }
    }
}

impl Group {
    /// Reads the records of an extended header: `LENGTH KEY=VALUE` and a newline each. The last one of a kind counts.
    fn read(&mut self, mut body: &[u8]) {
        let mut sparse = None;
        while let Some((value, rest)) = record(body) {
            body = rest;
            let Some(at) = value.iter().position(|byte| *byte == b'=') else { continue };
            let (key, value) = (&value[..at], &value[at + 1..]);
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"GNU.sparse.name" => sparse = Some(value.to_vec()),
                b"size" => self.size = std::str::from_utf8(value).ok().and_then(|size| size.parse().ok()),
                _ => {}
            }
        }
        // A file with holes has a name of its own in the other record.
        self.path = sparse.or(self.path.take());
    }
}

/// Splits the first record off.
fn record(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = body.iter().take(20).position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&body[..space]).ok()?.parse().ok()?;
    let record = body.get(space + 1..length)?.strip_suffix(b"\n")?;
    Some((record, &body[length..]))
}

fn padded(size: u64) -> u64 {
    size.checked_next_multiple_of(BLOCK as u64).unwrap_or(u64::MAX)
}
