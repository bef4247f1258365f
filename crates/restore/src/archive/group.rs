//! The headers of one member: extended ones, then its own, then the map of a file with holes.

use std::io;

use super::feed::{Got, Hole};
use super::header::{self, BLOCK, Head};
use super::member::{self, Long};
use super::pax::{Extension, Wrong};
use super::sparse::{Extent, Extents, MapReader, old};
use super::{Archive, Body, Damage};
use crate::member::{Kind, Member, Pieces};

/// What all extended headers of a member may take. A directory's dumpdir stands in it: 256 MiB have ten million names.
const MAX_EXTENDED: u64 = 256 << 20;
/// What the dumpdir of GNU tar's own format may take.
const MAX_DUMPDIR: u64 = 256 << 20;
/// What a global header may take.
const MAX_GLOBAL: u64 = 1 << 20;
/// How long a name may be. The system takes 4096 bytes at once, and a tree may be deeper.
const MAX_NAME: u64 = 64 << 10;
/// Extended headers of one member; GNU tar writes three at most.
const MAX_HEADERS: usize = 16;

/// What came of reading a member's headers.
pub(super) enum Step {
    Member(Box<Member>),
    /// There is no such member; the archive knows what was lost.
    Lost,
    End,
}

/// Why a member cannot be read.
enum Stop {
    Io(io::Error),
    Damage(Damage),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Hole> for Stop {
    fn from(hole: Hole) -> Self {
        Self::Damage(Damage { bytes: hole.bytes, others: true, ..Damage::new(hole.why) })
    }
}

impl From<Wrong> for Stop {
    fn from(wrong: Wrong) -> Self {
        Self::Damage(Damage { others: true, ..Damage::new(wrong.0) })
    }
}

/// What the archive's end in the middle of something is.
fn cut() -> Stop {
    Stop::Damage(Damage { others: true, ..Damage::new("the archive ends in the middle of a member") })
}

impl<P: Pieces> Archive<P> {
    /// Reads the headers of the next member.
    pub(super) fn group(&mut self) -> io::Result<Step> {
        match self.headers() {
            Ok(step) => Ok(step),
            Err(Stop::Io(error)) => Err(error),
            Err(Stop::Damage(damage)) => {
                self.damaged(damage);
                self.lost = true;
                Ok(Step::Lost)
            }
        }
    }

    fn headers(&mut self) -> Result<Step, Stop> {
        // Nothing says whether a header that was found by looking had others before it.
        let by_looking = self.found;
        let (mut extension, mut long) = (None::<Extension>, Long::default());
        let mut zeros = false;
        let mut room = MAX_EXTENDED;
        self.begins = if self.found { self.feed.at() - BLOCK as u64 } else { self.feed.at() };
        for _ in 0..=MAX_HEADERS {
            if !std::mem::take(&mut self.found) {
                match self.feed.block()? {
                    Got::Bytes(()) => {}
                    Got::Hole(hole) => return Err(hole.into()),
                    Got::End if zeros || self.feed.at() == 0 => return Ok(Step::End),
                    Got::End if extension.is_none() && long.is_empty() => {
                        self.damaged(Damage {
                            others: true,
                            ..Damage::new("the archive ends without the mark of its end: it may be cut off")
                        });
                        return Ok(Step::End);
                    }
                    Got::End => return Err(cut()),
                }
            }
            if header::is_zero(self.feed.last()) {
                if zeros {
                    return Ok(Step::End);
                }
                zeros = true;
                continue;
            }
            if std::mem::take(&mut zeros) {
                self.begins = self.feed.at() - BLOCK as u64;
            }
            let block = *self.feed.last();
            let head = header::read(&block).ok_or(Wrong("a block of the archive is no header, and one must be there"))?;
            match head.flag {
                b'x' | b'X' => {
                    let body = self.extended(head.size, room)?;
                    room -= head.size;
                    extension.get_or_insert_with(|| self.global.clone()).local(&body)?;
                }
                b'g' => {
                    let body = self.extended(head.size, MAX_GLOBAL)?;
                    self.global.global(&body)?;
                }
                b'L' => long.path = Some(name(self.extended(head.size, MAX_NAME)?)),
                b'K' => long.link = Some(name(self.extended(head.size, MAX_NAME)?)),
                _ => return self.member(&head, extension, long, by_looking),
            }
        }
        Err(Wrong("a member has more extended headers than a member may have").into())
    }

    /// Reads what follows the member's own header in front of its data, and makes the member.
    fn member(&mut self, head: &Head<'_>, extension: Option<Extension>, long: Long, by_looking: bool) -> Result<Step, Stop> {
        let is_extended = extension.is_some();
        let whole = !by_looking || self.is_whole(head, is_extended, &long);
        if whole && !head.is_gnu() {
            self.seen.0 |= is_extended;
            self.seen.1 |= !is_extended;
        }
        let mut extension = extension.unwrap_or_else(|| self.global.clone());
        let map = std::mem::take(&mut extension.sparse);
        let stored = if head.flag == b'1' && extension.size.is_none() { 0 } else { extension.size.unwrap_or(head.size) };
        let mut member = member::make(head, extension, long, &map);
        self.body = Body { left: padded(stored), ..Body::default() };
        self.body.path.extend_from_slice(&member.path);
        if !whole {
            self.unusable("its extended headers are missing: its name and more may be other ones");
            return Ok(Step::Lost);
        }
        let extents = match (head.flag, map.size) {
            (b'S', _) => {
                let list = self.old_map(head).map_err(|stop| self.given_up(stop))?;
                Extents::new(list, member.size, stored)
            }
            (b'D', _) => self.dumpdir(&mut member, stored)?.map(|()| Extents::default()),
            (_, Some(_)) if map.major == 1 => {
                let list = self.map_before_data()?;
                let data = stored.saturating_sub(padded(stored) - self.body.left);
                list.and_then(|list| Extents::new(list, member.size, data))
            }
            (_, Some(_)) => Extents::new(map.map, member.size, stored),
            (_, None) if member.kind == Kind::File => Ok(Extents::whole(stored)),
            (_, None) => Ok(Extents::default()),
        };
        if self.body.broken.is_some() {
            return Ok(Step::Lost);
        }
        match extents {
            Ok(extents) => self.body.extents = extents,
            Err(wrong) => {
                self.unusable(wrong.0);
                return Ok(Step::Lost);
            }
        }
        Ok(Step::Member(Box::new(member)))
    }

    /// Reads the body of an extended header.
    fn extended(&mut self, size: u64, most: u64) -> Result<Vec<u8>, Stop> {
        if size > most {
            return Err(Wrong("the extended headers of a member are longer than they may be").into());
        }
        let mut body = Vec::new();
        self.take(&mut body, size)?;
        Ok(body)
    }

    /// Reads bytes, and what fills their last block.
    fn take(&mut self, to: &mut Vec<u8>, size: u64) -> Result<(), Stop> {
        let (mut left, mut fill) = (size, padded(size) - size);
        let got = match self.feed.append(to, &mut left)? {
            Got::Bytes(()) => self.feed.skip(&mut fill)?,
            other => other,
        };
        match got {
            Got::Bytes(()) => Ok(()),
            Got::Hole(hole) => Err(hole.into()),
            Got::End => Err(cut()),
        }
    }

    /// Reads the dumpdir of GNU tar's own format: the member's data.
    fn dumpdir(&mut self, member: &mut Member, stored: u64) -> io::Result<Result<(), Wrong>> {
        if stored > MAX_DUMPDIR {
            return Ok(Err(Wrong("a directory's list of names is longer than can be kept")));
        }
        let (mut dumpdir, mut left) = (Vec::new(), stored);
        let got = self.feed.append(&mut dumpdir, &mut left)?;
        self.body.left -= stored - left;
        match got {
            Got::Bytes(()) => member.kind = Kind::Directory { dumpdir: Some(dumpdir) },
            Got::Hole(hole) => self.hole_in_body(hole),
            Got::End => self.end_in_body(),
        }
        Ok(Ok(()))
    }

    /// Reads the map of GNU tar's old format: in the header, and in blocks behind it.
    fn old_map(&mut self, head: &Head<'_>) -> Result<Vec<Extent>, Stop> {
        let gnu = head.header.as_gnu().ok_or(Wrong("a file with holes has no map"))?;
        let mut list = old(&gnu.sparse)?;
        let mut more = gnu.is_extended();
        while more {
            match self.feed.block()? {
                Got::Bytes(()) => {}
                Got::Hole(hole) => return Err(hole.into()),
                Got::End => return Err(cut()),
            }
            let mut extended = tar::GnuExtSparseHeader::new();
            extended.as_mut_bytes().copy_from_slice(self.feed.last());
            list.extend(old(extended.sparse())?);
            more = extended.is_extended();
            if list.len() > super::sparse::MAX_EXTENTS {
                return Err(Wrong("a file has more holes than can be kept").into());
            }
        }
        Ok(list)
    }

    /// Reads the map of pax's format 1.0: the first blocks of the data.
    fn map_before_data(&mut self) -> io::Result<Result<Vec<Extent>, Wrong>> {
        let mut reader = MapReader::default();
        while self.body.left > 0 {
            let before = self.feed.at();
            match self.feed.block()? {
                Got::Bytes(()) => self.body.left -= BLOCK as u64,
                Got::Hole(hole) => {
                    let read = self.feed.at().saturating_sub(before).saturating_sub(hole.bytes.unwrap_or(0));
                    self.body.left = self.body.left.saturating_sub(read);
                    self.hole_in_body(hole);
                }
                Got::End => self.end_in_body(),
            }
            if self.body.broken.is_some() {
                break;
            }
            match reader.block(self.feed.last()) {
                Ok(None) => {}
                Ok(Some(list)) => return Ok(Ok(list)),
                Err(wrong) => return Ok(Err(wrong)),
            }
        }
        Ok(Err(Wrong("the map of a file with holes is cut off")))
    }

    /// The current member is lost, and nobody knows where the next one begins.
    fn given_up(&mut self, mut stop: Stop) -> Stop {
        self.body.left = 0;
        if let Stop::Damage(damage) = &mut stop {
            damage.name(&self.body.path);
        }
        stop
    }

    /// The current member cannot be used; where the next one begins is known.
    fn unusable(&mut self, why: &str) {
        self.damaged(Damage { names: vec![self.body.path.clone()], ..Damage::new(why) });
    }
}

fn padded(size: u64) -> u64 {
    size.checked_next_multiple_of(BLOCK as u64).unwrap_or(u64::MAX)
}

/// A long name has a NUL behind it.
fn name(mut body: Vec<u8>) -> Vec<u8> {
    if let Some(end) = memchr::memchr(0, &body) {
        body.truncate(end);
    }
    body
}
