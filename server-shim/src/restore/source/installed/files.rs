//! Dumps of Amanda's that are files: on a holding disk, and on volumes that are directories.
//!
//! What is not as it should be is left to Amanda's own program: these files are opened without a lock, and only as what they say that they are.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use amanda::admin::Place;
use amanda::crc::Crc;
use amanda::escape::printable;
use amanda::frames::Parts;
use amanda::header::{HEADER_BYTES, Header, Kind};
use amanda::vtape::changer::ChgDisk;
use amanda::vtape::name;

use crate::restore::source::embedded::Key;

/// The most chunks that are followed: a terabyte in chunks of 10 MB.
const MAX_CHUNKS: usize = 100_000;

/// The directories of a config.
pub(super) struct Files {
    holding: Vec<PathBuf>,
    volumes: Option<ChgDisk>,
}

impl Files {
    /// Takes the holding disks and what amanda.conf calls `tpchanger`.
    pub fn new(holding: Vec<PathBuf>, tpchanger: &str) -> Self {
        Self { holding, volumes: ChgDisk::named(tpchanger) }
    }

    /// Opens a copy of a dump; `None` when it does not all lie in files that are its own.
    pub fn open(&self, copy: &[Place], key: &Key, sum: Option<Crc>) -> Option<Parts<File>> {
        let mut parts = match copy {
            [Place::Holding(first)] => self.chunks(PathBuf::from(first), key)?,
            places => places.iter().zip(1..).map(|(place, number)| self.part(place, number, key)).collect::<Option<Vec<_>>>()?,
        };
        // Behind the last byte there may be the rest of a block.
        if let (Some(sum), Some((_, last))) = (sum, parts.last()) {
            let before: u64 = parts[..parts.len() - 1].iter().map(|(_, range)| range.end - range.start).sum();
            let left = sum.bytes.checked_sub(before).filter(|left| *left <= last.end - last.start)?;
            let end = last.start + left;
            if let Some((_, last)) = parts.last_mut() {
                last.end = end;
            }
        }
        Parts::new(parts).ok()
    }

    /// Says what is wrong with a copy on volumes that are directories and all there; nothing when that is not so, or nothing is.
    pub fn fault(&self, copy: &[Place], key: &Key, sum: Option<Crc>) -> Option<String> {
        let (mut length, mut fault) = (0, None);
        for (place, number) in copy.iter().zip(1..) {
            let Place::Volume { label, file } = place else { return None };
            self.volumes.as_ref()?.find(std::str::from_utf8(label).ok()?).ok()??;
            match self.part(place, number, key) {
                Some((_, range)) => length += range.end - range.start,
                None => fault = Some(format!("its file {file} on the volume {} is gone, or another one", printable(label))),
            }
        }
        fault.or_else(|| sum.filter(|sum| length < sum.bytes).map(|sum| format!("{} bytes were stored and {length} are there", sum.bytes)))
    }

    /// Follows a dump on a holding disk from chunk to chunk. A header is data: it leads to no file outside.
    fn chunks(&self, first: PathBuf, key: &Key) -> Option<Vec<(File, Range<u64>)>> {
        let mut chunks = Vec::new();
        let mut next = Some(first);
        while let Some(path) = next {
            let is_inside = self.holding.iter().any(|directory| path.starts_with(directory));
            if !is_inside || path.components().any(|part| part.as_os_str() == "..") || chunks.len() == MAX_CHUNKS {
                return None;
            }
            let (file, header, bytes) = open(&path).ok()?;
            let is_kind = if chunks.is_empty() { header.kind == Kind::File } else { header.kind == Kind::Continuation };
            if !is_kind || header.partial || !is_its(&header, key) {
                return None;
            }
            chunks.push((file, HEADER_BYTES as u64..bytes));
            next = header.continued_in.map(PathBuf::from);
        }
        Some(chunks)
    }

    /// Opens a part on a volume, if the volume is a directory.
    fn part(&self, place: &Place, number: u32, key: &Key) -> Option<(File, Range<u64>)> {
        let Place::Volume { label, file } = place else { return None };
        let (_, volume) = self.volumes.as_ref()?.find(std::str::from_utf8(label).ok()?).ok()??;
        let files = std::fs::read_dir(volume.directory()).ok()?.flatten();
        let path = files.map(|entry| entry.path()).find(|path| path.file_name().and_then(name::number).map(u64::from) == Some(*file))?;
        let (file, header, bytes) = open(&path).ok()?;
        let is_part =
            matches!(header.kind, Kind::Part { number: found, .. } if found == number) || (number == 1 && header.kind == Kind::File);
        (is_part && is_its(&header, key)).then_some((file, HEADER_BYTES as u64..bytes))
    }
}

fn is_its(header: &Header, (dle, stamp, level): &Key) -> bool {
    (&header.dle, &header.datestamp, header.level) == (dle, stamp, *level)
}

/// Opens a file and reads its header; returns its length, too.
fn open(path: &Path) -> io::Result<(File, Header, u64)> {
    let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() < HEADER_BYTES as u64 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut block = vec![0; HEADER_BYTES];
    file.read_exact(&mut block)?;
    let header = Header::parse(&block).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok((file, header, metadata.len()))
}
