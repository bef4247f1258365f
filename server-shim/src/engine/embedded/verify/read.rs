//! Reads one dump back, and compares its checksums.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use amanda::crc::Crc;
use amanda::header::{HEADER_BYTES, Header};
use restore::unpack::{Event, Packed};

use super::Key;
use crate::engine::embedded::catalog::Dump;
use crate::restore::packing;
use crate::verified::sums;

/// So much is read at once.
const PIECE: usize = 1024 * 1024;

/// What a dump was found to be.
pub(super) enum Read {
    /// What was stored, so many bytes.
    Sound(u64),
    /// Its file is not there any more.
    Gone,
    /// Something else.
    Damaged(PathBuf, String),
    /// The system says that it cannot be read.
    Unreadable(PathBuf, String),
}

/// Reads a dump; `moved` hears how many bytes there were so far.
pub(super) fn read_back(key: &Key, dump: &Dump, moved: &dyn Fn(u64)) -> Read {
    let mut stored = Stored::new(key, dump, moved);
    let mut native = dump.sums.native;
    let read = stored.more().and_then(|_| {
        native = native.or(stored.native);
        // Nobody has counted it, or it is packed in a way that only its client knows: encrypted.
        let packing = native.filter(Crc::is_known).and(packing::of(stored.first()));
        sums::read(&mut stored, packing)
    });
    let path = dump.files.last().cloned().unwrap_or_default();
    match (stored.wrong.take(), read) {
        (Some(wrong), _) => wrong,
        (None, Err(error)) => Read::Unreadable(path, format!("it cannot be read: {error}")),
        // Amanda does not count what goes straight to a volume.
        (None, Ok(sums)) => match sums.fault(dump.sums.server.or(stored.server), native) {
            Some(what) => Read::Damaged(path, what),
            None => Read::Sound(sums.stored.bytes),
        },
    }
}

/// A dump's stored bytes, file after file, without headers, and their checksum.
struct Stored<'a> {
    key: &'a Key,
    files: std::slice::Iter<'a, PathBuf>,
    open: Option<(&'a PathBuf, File)>,
    /// What is behind that is the rest of a block.
    left: Option<u64>,
    piece: Vec<u8>,
    /// The piece has been read and not given out.
    is_ahead: bool,
    bytes: u64,
    server: Option<Crc>,
    native: Option<Crc>,
    wrong: Option<Read>,
    moved: &'a dyn Fn(u64),
}

impl<'a> Stored<'a> {
    fn new(key: &'a Key, dump: &'a Dump, moved: &'a dyn Fn(u64)) -> Self {
        Self {
            key,
            files: dump.files.iter(),
            open: None,
            left: dump.sums.server.map(|crc| crc.bytes),
            piece: Vec::new(),
            is_ahead: false,
            bytes: 0,
            server: None,
            native: None,
            wrong: None,
            moved,
        }
    }

    /// Reads the next piece. Says whether there was one.
    fn more(&mut self) -> io::Result<bool> {
        loop {
            let (path, file) = match &mut self.open {
                Some((path, file)) => (*path, file),
                None => {
                    let Some(path) = self.files.next() else {
                        self.piece.clear();
                        return Ok(false);
                    };
                    match open(path, self.key) {
                        Ok(Ok((file, header))) => {
                            (self.server, self.native) = (self.server.or(header.server), self.native.or(header.native));
                            self.open = Some((path, file));
                        }
                        Ok(Err(what)) => return self.stop(Read::Damaged(path.clone(), what.to_owned())),
                        Err(error) => return self.stop(unreadable(path, &error)),
                    }
                    continue;
                }
            };
            let most = self.left.map_or(PIECE, |left| usize::try_from(left).unwrap_or(PIECE).min(PIECE));
            self.piece.clear();
            match file.take(most as u64).read_to_end(&mut self.piece) {
                Ok(0) => self.open = None,
                Ok(read) => {
                    self.bytes += read as u64;
                    self.left = self.left.map(|left| left - read as u64);
                    self.is_ahead = true;
                    (self.moved)(self.bytes);
                    return Ok(true);
                }
                Err(error) => return self.stop(unreadable(path, &error)),
            }
        }
    }

    /// Returns the first bytes, by which one can tell how a dump is packed.
    fn first(&self) -> &[u8] {
        &self.piece[..self.piece.len().min(packing::BLOCK)]
    }

    fn stop(&mut self, wrong: Read) -> io::Result<bool> {
        self.wrong = Some(wrong);
        Err(io::Error::other("the rest is not read"))
    }
}

impl Packed for Stored<'_> {
    fn next(&mut self) -> io::Result<Option<Event<'_>>> {
        if !self.is_ahead && !self.more()? {
            return Ok(None);
        }
        self.is_ahead = false;
        Ok(Some(Event::Bytes(&self.piece)))
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Read {
    match error.kind() {
        ErrorKind::NotFound => Read::Gone,
        _ => Read::Unreadable(path.to_path_buf(), format!("it cannot be read: {error}")),
    }
}

/// Opens a file behind its header. The inner error says what is wrong with it.
fn open(path: &Path, key: &Key) -> io::Result<Result<(File, Header), &'static str>> {
    let mut file = File::open(path)?;
    // From the disk, and not from what the system still remembers of it; what is not written yet has to be, before it is forgotten.
    file.sync_data()?;
    let _read_anyway = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    let mut block = Vec::with_capacity(HEADER_BYTES);
    (&mut file).take(HEADER_BYTES as u64).read_to_end(&mut block)?;
    let header = match Header::parse(&block) {
        Ok(header) if block.len() == HEADER_BYTES => header,
        _ => return Ok(Err("its header cannot be read")),
    };
    if (&header.dle, header.datestamp.as_str(), header.level) != (&key.0, key.1.as_str(), key.2) {
        return Ok(Err("its header is that of another dump"));
    }
    Ok(Ok((file, header)))
}
