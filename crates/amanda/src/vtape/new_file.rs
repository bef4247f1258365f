//! A file that is being written to a volume.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{Volume, VolumeFile, VtapeError, io_error, name};
use crate::header::{HEADER_BYTES, Header};

/// A file that is not yet one of the volume: write the dump to it, then [`finish`](Self::finish). Dropped before that,
/// it is gone.
#[derive(Debug)]
pub struct NewFile {
    volume: Volume,
    path: PathBuf,
    /// `None` when it is finished.
    file: Option<File>,
    bytes: u64,
}

impl NewFile {
    pub(super) fn create(volume: &Volume) -> Result<Self, VtapeError> {
        let (file, path) = (0..)
            .find_map(|count| {
                let path = volume.directory().join(name::unfinished(std::process::id(), count));
                match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => None,
                    Err(error) => Some(Err(io_error("cannot make", &path)(error))),
                    Ok(file) => Some(Ok((file, path))),
                }
            })
            .ok_or_else(|| VtapeError::Full { path: volume.directory().to_owned() })??;
        let mut new = Self { volume: volume.clone(), path, file: Some(file), bytes: 0 };
        // The header is a hole until it is known.
        new.open().and_then(|file| file.seek(SeekFrom::Start(HEADER_BYTES as u64))).map_err(io_error("cannot seek in", &new.path))?;
        Ok(new)
    }

    fn open(&mut self) -> io::Result<&mut File> {
        self.file.as_mut().ok_or_else(|| io::Error::other("the file is finished"))
    }

    /// Returns how many bytes of the dump were written.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Cuts off what was written behind so many bytes of the dump: where the file system was full, the part ends before that.
    ///
    /// # Errors
    /// When it cannot be cut.
    pub fn cut(&mut self, bytes: u64) -> Result<(), VtapeError> {
        let (path, end) = (self.path.clone(), HEADER_BYTES as u64 + bytes);
        let cut = self.open().and_then(|file| file.set_len(end).and_then(|()| file.seek(SeekFrom::Start(end))));
        cut.map_err(io_error("cannot cut", &path))?;
        self.bytes = bytes;
        Ok(())
    }

    /// Returns where the file is until it is finished.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the header, waits until all of it is on the disk, and makes it the last file of the volume. The header has to be a
    /// part's ([`Header::as_part`]).
    ///
    /// # Errors
    /// When that cannot be done; the file is gone then.
    pub fn finish(mut self, header: &Header) -> Result<VolumeFile, VtapeError> {
        let file = self.file.take().ok_or_else(|| VtapeError::Label { path: self.path.clone() })?;
        let done = complete(&self.volume, file, &self.path, header);
        if done.is_err() {
            let _ = fs::remove_file(&self.path);
        }
        done
    }
}

/// Writes a header over the one of a whole file, syncs it and makes it the last of the volume.
pub(super) fn complete(volume: &Volume, file: File, path: &Path, header: &Header) -> Result<VolumeFile, VtapeError> {
    let block = header.print().map_err(|source| VtapeError::Print { path: path.to_owned(), source })?;
    file.write_all_at(&block, 0).and_then(|()| file.sync_all()).map_err(io_error("cannot write", path))?;
    let bytes = file.metadata().map_err(io_error("cannot look at", path))?.len();
    let number = volume.next_number()?;
    let target = volume.directory().join(name::part(number, &header.dle, header.level));
    fs::rename(path, &target).map_err(io_error("cannot rename", path))?;
    volume.sync()?;
    // Where it was it must not come back after a power cut: it would be put on a volume twice.
    if let Some(before) = path.parent().filter(|before| *before != volume.directory()) {
        File::open(before).and_then(|directory| directory.sync_all()).map_err(io_error("cannot sync", before))?;
    }
    Ok(VolumeFile { number, path: target, bytes })
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.open()?.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open()?.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.file.is_some() {
            // What stays is taken away by the next sweep.
            let _ = fs::remove_file(&self.path);
        }
    }
}
