//! Dumps in several files (`chunksize`): the header of each names the next one's path, `laptop1._home.0.1` behind `laptop1._home.0`.
//!
//! Only the name in that path is believed: it is looked for beside the chunk before it, and in the same run's directory on the other
//! holding disks. So a holding disk that was moved is read, and no header leads anywhere else.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use amanda::header::{HEADER_BYTES, Header, Kind};
use amanda::holding::unfinished;

use super::{Held, header_of, open};

/// So many chunks a dump may have.
const MOST: usize = 100_000;

/// The chunks behind the first one.
#[derive(Default)]
pub(super) struct Later {
    /// Their files, and how many bytes of the dump are in each.
    pub files: Vec<(PathBuf, u64)>,
    /// None is missing.
    pub is_complete: bool,
}

/// Follows a dump's headers from its first chunk to its last.
pub(super) fn later(first: &Path, header: &Header, disks: &[PathBuf]) -> io::Result<Later> {
    let mut found = Later::default();
    let mut next = header.continued_in.clone();
    let mut before = first.to_owned();
    while let Some(path) = next {
        let Some(name) = Path::new(&path).file_name() else { return Ok(found) };
        let Some((path, one, bytes)) = find(&before, name, header, disks)? else { return Ok(found) };
        if found.files.len() == MOST || path == first || found.files.iter().any(|(other, _)| *other == path) {
            return Ok(found);
        }
        next = one.continued_in;
        before.clone_from(&path);
        found.files.push((path, bytes));
    }
    found.is_complete = true;
    Ok(found)
}

/// Finds a chunk by its name. One that is still called `.tmp` counts when the first one is not: all of it had been written then.
fn find(before: &Path, name: &OsStr, header: &Header, disks: &[PathBuf]) -> io::Result<Option<(PathBuf, Header, u64)>> {
    let Some(directory) = before.parent() else { return Ok(None) };
    let stamp = directory.file_name().unwrap_or_default();
    let others = disks.iter().map(|disk| disk.join(stamp)).filter(|other| other != directory);
    for directory in std::iter::once(directory.to_owned()).chain(others) {
        for path in [directory.join(name), directory.join(unfinished(name))] {
            let file = match open(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                file => file?,
            };
            let Some((found, bytes)) = file.as_ref().map(header_of).transpose()?.flatten() else { continue };
            let is_its = (&found.dle, &found.datestamp, found.level) == (&header.dle, &header.datestamp, header.level);
            if is_its && found.kind == Kind::Continuation {
                return Ok(Some((path, found, bytes)));
            }
        }
    }
    Ok(None)
}

/// Returns the first chunk's name, of a later one's: `laptop1._home.0` of `laptop1._home.0.3`.
pub(super) fn first_of(path: &Path) -> Option<PathBuf> {
    let digits = path.extension()?.to_str()?;
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| path.with_extension(""))
}

/// A dump's bytes, chunk after chunk, without their headers.
pub struct Reader<'a> {
    chunks: std::slice::Iter<'a, PathBuf>,
    open: Option<File>,
}

impl<'a> Reader<'a> {
    /// Reads a dump behind so many of its bytes.
    ///
    /// # Errors
    /// When a chunk cannot be looked at.
    pub fn behind(held: &'a Held, bytes: u64) -> io::Result<Self> {
        let (mut chunks, mut left) = (held.chunks.iter(), bytes);
        loop {
            let Some(path) = chunks.clone().next() else { return Ok(Self { chunks, open: None }) };
            let mut file = open(path)?.ok_or_else(|| gone(path))?;
            let body = file.metadata()?.len().saturating_sub(HEADER_BYTES as u64);
            chunks.next();
            if left < body || body == 0 {
                file.seek(SeekFrom::Start(HEADER_BYTES as u64 + left.min(body)))?;
                return Ok(Self { chunks, open: Some(file) });
            }
            left -= body;
        }
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(file) = &mut self.open {
                match file.read(bytes)? {
                    0 => self.open = None,
                    read => return Ok(read),
                }
            }
            let Some(path) = self.chunks.next() else { return Ok(0) };
            let mut file = open(path)?.ok_or_else(|| gone(path))?;
            file.seek(SeekFrom::Start(HEADER_BYTES as u64))?;
            self.open = Some(file);
        }
    }
}

fn gone(path: &Path) -> io::Error {
    io::Error::other(format!("{} is no file any more", path.display()))
}
