//! Members of a dump, as a plain archive.

use std::io::{self, ErrorKind, Read, Seek, Write};

use amanda::crc::Crc;
use amanda::frames::Table;
use amanda::index;
use restore::member::{Piece, Pieces};
use restore::unpack::{Event, Packed as PackedBytes, Unpacked, unpack};
use wire::AbortCode;
use wire::restore::{Packing, PathBytes, Told};

use super::cut::{self, Sink};
use super::packing::{self, Packed};
use super::runs::{END, Ranges, Runs};
use super::serve::Stop;
use super::source::Stored;
use super::talk::Talk;
use crate::engine::Trouble;

/// As much of a dump is read at a time.
const READ: usize = 128 * 1024;

/// A directory with a longer name may have members whose names are too long for the list of members: a name takes at most four times 255 bytes there.
const NEARLY_TOO_LONG: usize = index::LONGEST - 4 * 256;

pub(super) fn answer<R: Read, W: Write>(stored: Stored, paths: &[PathBytes], talk: &mut Talk<R, W>) -> Result<(), Stop> {
    let told = |bytes| Told::Archive { packing: Packing::Plain, bytes, stored: None };
    let is_wanted = |path: &PathBytes| paths.iter().any(|wanted| path.is_in(wanted));
    let sum = stored.sum.filter(Crc::is_known);
    match packing::find(stored)? {
        Packed::Frames(table, mut dump) => match wanted(&table, &mut dump, paths) {
            Some(ranges) => {
                talk.tell(&told(ranges.bytes()))?;
                return pass(&mut Runs::new(table, dump, ranges), talk);
            }
            None => {
                talk.tell(&told(0))?;
                cut::cut(&mut Runs::whole(table, dump), is_wanted, talk)?;
            }
        },
        Packed::Stream(packing, stream) => {
            talk.tell(&told(0))?;
            let mut pieces = unpack(packing, Streamed::new(stream, sum))?;
            cut::cut(&mut pieces, is_wanted, talk)?;
            talk.data(&END)?;
            return sum.map_or(Ok(()), |sum| compare(pieces, sum));
        }
    }
    Ok(talk.data(&END)?)
}

/// Compares all that was stored with its checksum: a stream has none of its own for a member, and plain tar has none at all.
fn compare(pieces: Unpacked<Streamed>, sum: Crc) -> Result<(), Stop> {
    let (stored, from) = pieces.finish()?;
    if (stored.crc32c, stored.bytes) == (sum.crc, sum.bytes) {
        return Ok(());
    }
    let why = from.broken.unwrap_or_else(|| {
        let found = Crc { crc: stored.crc32c, bytes: stored.bytes };
        format!("its checksum and number of bytes are {found}, and were {sum} when it was stored")
    });
    Err(Stop::No(Trouble {
        code: AbortCode::Failed,
        message: format!("the dump is damaged: {why}"),
        hint: "what came of it may be damaged as well; an earlier dump may be whole, and the operator can read all of them back with asyncamanda-shim verify"
            .to_owned(),
    }))
}

/// Finds where in the archive the members are; `None` when the list of members does not tell for certain.
fn wanted(table: &Table, dump: &mut (impl Read + Seek), paths: &[PathBytes]) -> Option<Ranges> {
    let names: Vec<Vec<u8>> = paths.iter().map(listed).collect();
    let mut ranges = Ranges::default();
    let mut certain = names.iter().all(|name| name.len() <= NEARLY_TOO_LONG);
    let mut open: Option<u64> = None;
    let listed = table.each_member(dump, |name, at| {
        if let Some(from) = open.take() {
            ranges.add(from..at);
        }
        if names.iter().any(|wanted| is_in(name, wanted)) {
            open = Some(at);
            certain &= !name.ends_with(b"/") || name.len() <= NEARLY_TOO_LONG;
        }
    });
    if let Some(from) = open {
        ranges.add(from..table.raw());
    }
    (certain && listed.is_ok()).then_some(ranges)
}

/// Returns a path as the list of members has it, without the slash of a directory.
pub(super) fn listed(path: &PathBytes) -> Vec<u8> {
    if path.as_bytes().is_empty() { b".".to_vec() } else { index::escaped(&[b"./", path.as_bytes()].concat()) }
}

/// Says whether a member of the list is a path or lies below it.
pub(super) fn is_in(name: &[u8], path: &[u8]) -> bool {
    name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Sends pieces as they are.
fn pass<R: Read, W: Write>(pieces: &mut impl Pieces, talk: &mut Talk<R, W>) -> Result<(), Stop> {
    loop {
        let length = match pieces.fill()? {
            None => return Ok(()),
            Some(Piece::Hole { bytes, why }) => {
                Sink::hole(talk, bytes, why)?;
                continue;
            }
            Some(Piece::Bytes(bytes)) => {
                talk.data(bytes)?;
                bytes.len()
            }
        };
        pieces.consume(length);
    }
}

impl<R: Read, W: Write> Sink for Talk<R, W> {
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.data(bytes)
    }

    fn hole(&mut self, raw: Option<u64>, why: String) -> io::Result<()> {
        self.tell(&Told::Hole { raw, why })
    }
}

/// Unpacks a stream.
pub(super) fn unpacked(packing: Packing, stream: Box<dyn Read + Send>) -> io::Result<Unpacked<Streamed>> {
    unpack(packing, Streamed::new(stream, None))
}

/// A stream, for who unpacks it. Where it cannot be read any further there is a hole.
pub(super) struct Streamed {
    stream: Option<Box<dyn Read + Send>>,
    buffer: Vec<u8>,
    /// What is behind these bytes fills a volume's last block up.
    left: u64,
    /// Why it could not be read to its end.
    broken: Option<String>,
}

impl Streamed {
    fn new(stream: Box<dyn Read + Send>, sum: Option<Crc>) -> Self {
        Self { stream: Some(stream), buffer: vec![0; READ], left: sum.map_or(u64::MAX, |sum| sum.bytes), broken: None }
    }
}

impl PackedBytes for Streamed {
    fn next(&mut self) -> io::Result<Option<Event<'_>>> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        loop {
            return match stream.read(&mut self.buffer) {
                Ok(0) => {
                    self.stream = None;
                    Ok(None)
                }
                Ok(read) => {
                    let its = read.min(usize::try_from(self.left).unwrap_or(usize::MAX));
                    if its == 0 {
                        continue;
                    }
                    self.left -= its as u64;
                    Ok(Some(Event::Bytes(&self.buffer[..its])))
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.stream = None;
                    self.broken = Some(error.to_string());
                    Ok(Some(Event::Hole { raw: None, why: error.to_string() }))
                }
            };
        }
    }
}
