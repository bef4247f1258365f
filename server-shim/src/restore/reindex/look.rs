//! Looks into a dump: the names in it, its checksums, and whether all of it is there.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use amanda::crc::Crc;
use amanda::index::{self, Form};
use amanda::run_log::write::Sums;
use restore::archive::{Archive, Item};
use restore::member::{Kind, Piece, Pieces};

use super::Dump;
use super::place::Place;
use crate::engine::Trouble;
use crate::engine::embedded::catalog::names;
use crate::engine::embedded::files::{self, Sure};
use crate::engine::embedded::site::failed;
use crate::restore::loose::group::{Key, LooseDump, State};
use crate::restore::loose::source::stored;
use crate::restore::members::unpacked;
use crate::restore::packing::{self, Packed};

/// Looks into a dump, and writes its index when there is none.
pub(super) fn look(place: &Place, key: &Key, dump: LooseDump) -> Result<Dump, Trouble> {
    let header = dump.header().cloned();
    let (native, client) = header.as_ref().map_or((None, None), |header| (header.native, header.client));
    let mut looked = Dump {
        sums: Sums { native, client, server: None },
        orig_kb: header.as_ref().and_then(|header| header.orig_kb).unwrap_or(0),
        broken: None,
        dump,
    };
    match &looked.dump.state {
        State::Whole(server) => looked.sums.server = Some(*server),
        State::Unknown => {}
        State::Lacking(why) => looked.broken = Some(why.clone()),
    }
    let directory = place.indexdir.join(index::directory(&key.0));
    let names = names(&directory).map_err(|error| failed("cannot list", &directory, &error))?;
    let has_index =
        names.iter().filter_map(|name| index::parse_name(name)).any(|(stamp, level, _)| (stamp, level) == (key.1.clone(), key.2));
    let beside = directory.join(index::header_name(&key.1, key.2));
    let is_known = has_index && beside.exists() && looked.dump.state != State::Unknown;
    if is_known || looked.dump.files.is_empty() {
        return Ok(looked);
    }
    files::make_below(&place.indexdir, &directory).map_err(|error| failed("cannot make", &directory, &error))?;
    if has_index {
        read(&mut looked, io::sink())?;
    } else {
        let path = directory.join(index::file_name(&key.1, key.2, Form::UnsortedGz));
        write(&mut looked, &path)?;
    }
    if let (Some(header), false) = (header, beside.exists()) {
        let mut header = header.beside_index();
        (header.native, header.client, header.server) = (looked.sums.native, looked.sums.client, looked.sums.server);
        header.orig_kb = header.orig_kb.or(Some(looked.orig_kb)).filter(|kb| *kb > 0);
        // One that Amanda would not read is of no use to it; the dump is there without.
        if let Ok(text) = header.text() {
            files::replace(&beside, &text, Sure::Cheap).map_err(|error| failed("cannot write", &beside, &error))?;
        }
    }
    Ok(looked)
}

/// Writes an index, under its name when it is complete.
fn write(looked: &mut Dump, path: &Path) -> Result<(), Trouble> {
    let error = |error: io::Error| failed("cannot write", path, &error);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let beside = path.with_file_name(name);
    let options = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).clone();
    let file = options.open(&beside).map_err(error)?;
    let has_names = read(looked, file)?;
    if has_names { std::fs::rename(&beside, path) } else { files::remove(&beside) }.map_err(error)
}

/// Reads a dump and lists its names. Says whether it has any.
fn read(looked: &mut Dump, list: impl Write) -> Result<bool, Trouble> {
    let mut list = index::Writer::new(list);
    let mut failed_to = None;
    let mut count = 0_u64;
    let mut name = |name: &[u8]| {
        let Some(line) = index::line(name) else { return };
        count += 1;
        if failed_to.is_none() {
            failed_to = list.add(line).err();
        }
    };
    match stored(&looked.dump).and_then(packing::find) {
        Err(trouble) => {
            // Its content says nothing; its length may.
            if looked.dump.state == State::Unknown {
                looked.broken = Some(format!("nobody can tell whether it is: {trouble}"));
            }
            return Ok(false);
        }
        Ok(Packed::Frames(table, mut parts)) => {
            let listed = table.each_member(&mut parts, |listed, _| name(listed));
            if let Err(error) = listed {
                looked.broken.get_or_insert(error.to_string());
            }
            looked.orig_kb = looked.orig_kb.max(table.raw() / 1024);
        }
        Ok(Packed::Stream(packing, stream)) => {
            let unpacked =
                unpacked(packing, stream).map_err(|error| Trouble::later(format!("the dump cannot be unpacked: {error}"), ""))?;
            archive(looked, Counted { inner: unpacked, crc: 0, bytes: 0 }, &mut name)?;
        }
    }
    let ended = match failed_to {
        Some(error) => Err(error),
        None => list.finish().map(drop),
    };
    ended.map_err(|error| Trouble::later(format!("the index cannot be written: {error}"), "make room on the file system of the index"))?;
    Ok(count > 0)
}

/// Reads all of an archive.
fn archive<P: restore::unpack::Packed>(
    looked: &mut Dump,
    pieces: Counted<restore::unpack::Unpacked<P>>,
    name: &mut dyn FnMut(&[u8]),
) -> Result<(), Trouble> {
    let error = |error: io::Error| Trouble::later(format!("the dump cannot be read: {error}"), "look at the file system");
    let mut archive = Archive::new(pieces);
    let mut damage = None;
    while let Some(item) = archive.next().map_err(error)? {
        match item {
            Item::Damage(what) => damage = damage.or(Some(what.to_string())),
            Item::Member(member, _) => {
                let mut listed = index::escaped(&member.path);
                if matches!(member.kind, Kind::Directory { .. }) && !listed.ends_with(b"/") {
                    listed.push(b'/');
                }
                name(&listed);
            }
        }
    }
    let mut pieces = archive.into_inner();
    loop {
        match pieces.fill().map_err(error)? {
            None => break,
            Some(Piece::Hole { why, .. }) => damage = damage.or(Some(why)),
            Some(Piece::Bytes(bytes)) => {
                let length = bytes.len();
                pieces.consume(length);
            }
        }
    }
    let native = Crc { crc: pieces.crc, bytes: pieces.bytes };
    let (sum, _) = pieces.inner.finish().map_err(error)?;
    let server = Crc { crc: sum.crc32c, bytes: sum.bytes };
    match looked.sums.server {
        Some(said) if said != server => {
            looked
                .broken
                .get_or_insert_with(|| "it is damaged: its bytes have another checksum than they had when they were stored".to_owned());
        }
        Some(_) => {}
        // What a client sent straight to a volume was counted by nobody else.
        None if damage.is_none() && looked.broken.is_none() => {
            looked.sums =
                Sums { native: looked.sums.native.or(Some(native)), client: looked.sums.client.or(Some(server)), server: Some(server) };
        }
        None => {}
    }
    looked.orig_kb = looked.orig_kb.max(native.bytes / 1024);
    if let Some(damage) = damage {
        looked.broken.get_or_insert(damage.trim_end_matches('.').to_owned());
    }
    Ok(())
}

/// Counts what is read.
struct Counted<P> {
    inner: P,
    crc: u32,
    bytes: u64,
}

impl<P: Pieces> Pieces for Counted<P> {
    fn fill(&mut self) -> io::Result<Option<Piece<'_>>> {
        self.inner.fill()
    }

    fn consume(&mut self, bytes: usize) {
        // What was returned last is returned again.
        if let (true, Ok(Some(Piece::Bytes(piece)))) = (bytes > 0, self.inner.fill()) {
            let read = &piece[..bytes.min(piece.len())];
            self.crc = crc32c::crc32c_append(self.crc, read);
            self.bytes += read.len() as u64;
        }
        self.inner.consume(bytes);
    }
}
