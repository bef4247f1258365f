//! A whole dump, as it is stored.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};

use amanda::crc::Crc;
use amanda::frames::{Frame, Table};
use wire::frame::MAX_DATA;
use wire::restore::{Packing, Told};

use super::packing::{self, Packed};
use super::serve::Stop;
use super::source::Stored;
use super::talk::Talk;

pub(super) fn answer<R: Read, W: Write>(stored: Stored, talk: &mut Talk<R, W>) -> Result<(), Stop> {
    let sum = stored.sum.filter(Crc::is_known).map(|sum| (format!("{:08x}", sum.crc), sum.bytes));
    let bytes = stored.bytes;
    let told = |packing| Told::Archive { packing, bytes, stored: sum };
    match packing::find(stored)? {
        Packed::Frames(table, dump) => {
            talk.tell(&told(Packing::Frames))?;
            Ok(frames(&table, dump, talk)?)
        }
        Packed::Stream(packing, dump) => {
            talk.tell(&told(packing))?;
            Ok(stream(dump, talk)?)
        }
    }
}

fn stream<R: Read, W: Write>(mut dump: impl Read, talk: &mut Talk<R, W>) -> io::Result<()> {
    let mut buffer = vec![0; MAX_DATA];
    loop {
        match read(&mut dump, &mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => talk.data(&buffer[..read])?,
            // Nothing comes behind it.
            Err(error) => return talk.tell(&Told::Hole { raw: None, why: error.to_string() }),
        }
    }
}

/// Sends frame after frame. One that cannot be read is a hole, or ends before it was said to, which is one, too.
fn frames<R: Read, W: Write>(table: &Table, mut dump: impl Read + Seek, talk: &mut Talk<R, W>) -> io::Result<()> {
    let mut buffer = vec![0; MAX_DATA];
    let mut at = 0;
    let data = table.data().iter().map(|Frame { packed, raw }| (packed, raw.end - raw.start));
    let names = table.members().iter().map(|Frame { packed, .. }| (packed, 0));
    for (packed, raw) in in_order(data, names) {
        piece(&mut dump, packed.start..packed.end, raw, &mut buffer, talk)?;
        at = packed.end;
    }
    // The table is stored, too, and its bytes belong to the checksum.
    let end = dump.seek(SeekFrom::End(0)).unwrap_or(at);
    if end > at { piece(&mut dump, at..end, 0, &mut buffer, talk) } else { Ok(()) }
}

/// Merges two lists of pieces, each in the order of the dump.
fn in_order<'a>(
    one: impl Iterator<Item = (&'a std::ops::Range<u64>, u64)>,
    other: impl Iterator<Item = (&'a std::ops::Range<u64>, u64)>,
) -> impl Iterator<Item = (&'a std::ops::Range<u64>, u64)> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some((first, _)), Some((second, _))) if second.start < first.start => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}

fn piece<R: Read, W: Write>(
    dump: &mut (impl Read + Seek),
    packed: std::ops::Range<u64>,
    raw: u64,
    buffer: &mut [u8],
    talk: &mut Talk<R, W>,
) -> io::Result<()> {
    let mut left = packed.end - packed.start;
    let some = |dump: &mut _, left: u64, buffer: &mut [u8]| {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match read(dump, &mut buffer[..most]) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            read => read,
        }
    };
    let mut first = Some(dump.seek(SeekFrom::Start(packed.start)).and_then(|_| some(dump, left, buffer)));
    if let Some(Err(error)) = &first {
        return talk.tell(&Told::Hole { raw: Some(raw), why: error.to_string() });
    }
    talk.tell(&Told::Frame { packed: left, raw })?;
    while left > 0 {
        let Ok(read) = first.take().unwrap_or_else(|| some(dump, left, buffer)) else { return Ok(()) };
        talk.data(&buffer[..read])?;
        left -= read as u64;
    }
    Ok(())
}

fn read(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
