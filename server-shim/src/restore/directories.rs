//! What directories had in them: the dumpdirs of GNU tar's incremental archives.

use std::io::{Read, Seek, Write};

use amanda::frames::{FramesError, Table};
use restore::archive::{Archive, Item};
use restore::member::{Kind, Pieces};
use wire::restore::{PathBytes, record};

use super::members::{is_in, listed, unpacked};
use super::packing::{self, Packed};
use super::runs::{Ranges, Runs};
use super::serve::{Stop, damaged};
use super::source::Stored;
use super::talk::{Gather, Talk};

pub(super) fn answer<R: Read, W: Write>(stored: Stored, of: &[PathBytes], deep: bool, talk: &mut Talk<R, W>) -> Result<(), Stop> {
    match packing::find(stored)? {
        Packed::Frames(table, mut dump) => match wanted(&table, &mut dump, of, deep) {
            Ok(ranges) => send(Runs::new(table, dump, ranges), of, deep, talk),
            Err(_) => send(Runs::whole(table, dump), of, deep, talk),
        },
        Packed::Stream(packing, stream) => send(unpacked(packing, stream)?, of, deep, talk),
    }
}

/// Says whether a directory is wanted: one that is named, those above it, and with `deep` those below.
fn is_wanted(directory: &PathBytes, of: &[PathBytes], deep: bool) -> bool {
    of.iter().any(|path| path.is_in(directory) || (deep && directory.is_in(path)))
}

/// Finds where in the archive they are.
fn wanted(table: &Table, dump: &mut (impl Read + Seek), of: &[PathBytes], deep: bool) -> Result<Ranges, FramesError> {
    let paths: Vec<Vec<u8>> = of.iter().map(listed).collect();
    let mut ranges = Ranges::default();
    let mut open: Option<u64> = None;
    table.each_member(dump, |name, at| {
        if let Some(from) = open.take() {
            ranges.add(from..at);
        }
        if let Some(name) = name.strip_suffix(b"/")
            && paths.iter().any(|path| is_in(path, name) || (deep && is_in(name, path)))
        {
            open = Some(at);
        }
    })?;
    if let Some(from) = open {
        ranges.add(from..table.raw());
    }
    Ok(ranges)
}

/// Reads members and sends directories. GNU tar puts the disk's own directory in front, all others next and everything else behind them, so nothing is
/// read from there on. Where it was given a list of names, the disk's own directory is not there, and files that were named stand between directories.
fn send<R: Read, W: Write>(pieces: impl Pieces, of: &[PathBytes], deep: bool, talk: &mut Talk<R, W>) -> Result<(), Stop> {
    let mut records = Gather::new(talk);
    let mut archive = Archive::new(pieces);
    let (mut lost, mut have_own) = (None, false);
    loop {
        match archive.next().map_err(|error| damaged("this dump", error))? {
            None => break,
            Some(Item::Damage(damage)) => lost = lost.or(Some(damage.why)),
            Some(Item::Member(member, _)) => match &member.kind {
                Kind::Directory { dumpdir: Some(dumpdir) } => {
                    let path = PathBytes::new(&member.path);
                    have_own |= path.as_bytes().is_empty();
                    if is_wanted(&path, of, deep) {
                        records.add(&record(&path, dumpdir))?;
                    }
                }
                Kind::Directory { dumpdir: None } => {}
                _ if have_own => break,
                _ => {}
            },
        }
    }
    records.send()?;
    lost.map_or(Ok(()), |why| Err(damaged("what some directories had in them", why)))
}
