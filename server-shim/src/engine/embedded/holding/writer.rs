//! Writes a dump to a holding disk in chunks, as Amanda's chunker does (`chunksize`; server-src/xfer-dest-holding.c).
//!
//! Each chunk is a file of at most `chunksize` bytes, header included, that ends in `.tmp` until the dump is whole. At the commit the
//! last chunk loses its `.tmp` first and the first one last: the dump is there from then on, and not before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use amanda::header::{HEADER_BYTES, Header};
use amanda::holding::{chunk_name, unfinished};

use crate::durable;

/// The smallest chunk: Amanda refuses a chunksize below a header and a block.
const LEAST: u64 = 2 * HEADER_BYTES as u64;

/// A dump that is being written. Dropped before its commit, nothing of it is left.
pub struct Writer {
    /// The dump's name when it is whole.
    name: PathBuf,
    /// What the header of a later chunk has.
    header: Header,
    /// Bytes of the dump in one chunk.
    room: u64,
    files: Vec<File>,
    /// Bytes of the dump in the last chunk.
    bytes: u64,
    is_whole: bool,
}

impl Writer {
    /// Begins a dump, with its header in front; `chunksize` is in bytes, and 0 for one file, however long.
    ///
    /// # Errors
    /// When the first file cannot be made, also when it is there.
    pub fn begin(name: &Path, header: &Header, chunksize: u64) -> io::Result<Self> {
        let room = if chunksize == 0 { u64::MAX } else { chunksize.max(LEAST) - HEADER_BYTES as u64 };
        let mut writer = Self { name: name.to_owned(), header: header.clone(), room, files: Vec::new(), bytes: 0, is_whole: false };
        writer.add(header)?;
        Ok(writer)
    }

    fn chunk(&self, number: usize) -> PathBuf {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.name.with_file_name(chunk_name(self.name.file_name().unwrap_or_default(), number))
    }

    fn unfinished(&self, number: usize) -> PathBuf {
        let chunk = self.chunk(number);
        chunk.with_file_name(unfinished(chunk.file_name().unwrap_or_default()))
    }

    fn add(&mut self, header: &Header) -> io::Result<()> {
        let block = header.print().map_err(io::Error::other)?;
        let path = self.unfinished(self.files.len());
        if fs::symlink_metadata(self.chunk(self.files.len())).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let written = file.write_all(&block);
        self.files.push(file);
        self.bytes = 0;
        written
    }

    /// Ends a chunk: its header names the next one.
    fn continued(&mut self) -> io::Result<()> {
        let last = self.files.len() - 1;
        let next = self.chunk(last + 1).into_os_string();
        let ended = if last == 0 { self.header.clone() } else { self.header.as_continuation() };
        let ended = Header { continued_in: Some(next), ..ended };
        self.files[last].write_all_at(&ended.print().map_err(io::Error::other)?, 0)?;
        self.add(&self.header.as_continuation())
    }

    /// Makes it a dump, durably; `header` has the sums that are known now. Returns its file.
    ///
    /// # Errors
    /// When something cannot be written. Nothing is left of it then.
    pub fn commit(mut self, header: &Header) -> io::Result<PathBuf> {
        let next = (self.files.len() > 1).then(|| self.chunk(1).into_os_string());
        let header = Header { continued_in: next, ..header.clone() };
        self.files[0].write_all_at(&header.print().map_err(io::Error::other)?, 0)?;
        for file in &self.files {
            file.sync_data()?;
        }
        for number in (0..self.files.len()).rev() {
            fs::rename(self.unfinished(number), self.chunk(number))?;
        }
        self.is_whole = true;
        durable::sync_directory(self.name.parent().unwrap_or(Path::new("/")))?;
        Ok(self.name.clone())
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.bytes >= self.room {
            self.continued()?;
        }
        let room = usize::try_from(self.room - self.bytes).unwrap_or(usize::MAX);
        let last = self.files.last_mut().ok_or_else(|| io::Error::other("the dump was not begun"))?;
        let written = last.write(&bytes[..bytes.len().min(room)])?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.is_whole {
            for number in 0..self.files.len() {
                // Gone under one of its two names.
                let _ = fs::remove_file(self.unfinished(number));
                let _ = fs::remove_file(self.chunk(number));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use amanda::crc::Crc;
    use amanda::dle::Dle;

    use super::super::{Reader, runs};
    use super::*;

    const STAMP: &str = "20261122003709";

    /// Writes a dump to `DISK/STAMP`, and returns its bytes.
    fn write(disk: &Path, bytes: usize, chunksize: u64, is_whole: bool) -> Vec<u8> {
        let directory = disk.join(STAMP);
        fs::create_dir_all(&directory).expect("made");
        let header = Header::new(Dle::new("amandahost", "/etc"), STAMP, 0);
        let body: Vec<u8> = (0..bytes).map(|at| u8::try_from(at % 251).unwrap_or(0)).collect();
        let mut writer = Writer::begin(&directory.join("amandahost._etc.0"), &header, chunksize).expect("begun");
        for piece in body.chunks(7_000) {
            writer.write_all(piece).expect("written");
        }
        let server = Some(Crc { crc: crc32c::crc32c(&body), bytes: body.len() as u64 });
        if is_whole {
            writer.commit(&Header { server, ..header }).expect("whole");
        }
        body
    }

    fn names(disk: &Path) -> Vec<String> {
        let list = fs::read_dir(disk.join(STAMP)).expect("list");
        let mut names: Vec<_> = list.map(|entry| entry.expect("entry").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }

    #[test]
    fn chunks_are_read_back_as_one_dump() {
        for (bytes, chunksize, files) in [(300_000, 100 * 1024, 5), (69_632, 100 * 1024, 1), (69_633, 100 * 1024, 2), (300_000, 0, 1)] {
            let disk = tempfile::tempdir().expect("directory");
            let body = write(disk.path(), bytes, chunksize, true);
            let runs = runs(&[disk.path().to_owned()]).expect("listed");
            assert_eq!((runs[0].odd.len(), runs[0].unfinished.len(), runs[0].held.len()), (0, 0, 1), "{runs:?}");
            let held = &runs[0].held[0];
            assert_eq!((held.chunks.len(), held.length), (files, bytes as u64 + 32_768));
            let mut read = Vec::new();
            Reader::behind(held, 0).expect("opened").read_to_end(&mut read).expect("read");
            assert!(read == body, "{bytes} in chunks of {chunksize}");
            for behind in [1, 69_632, 139_265, bytes].map(|behind| behind.min(bytes)) {
                let mut read = Vec::new();
                Reader::behind(held, behind as u64).expect("opened").read_to_end(&mut read).expect("read");
                assert!(read == body[behind..], "{bytes} behind {behind}");
            }
            let largest = held.chunks.iter().map(|path| fs::metadata(path).expect("there").len()).max();
            assert!(chunksize == 0 || largest <= Some(chunksize));
        }
    }

    #[test]
    fn a_holding_disk_that_was_moved_and_chunks_on_another_one_are_read() {
        let (here, there, gone) =
            (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"), tempfile::tempdir().expect("three"));
        write(gone.path(), 300_000, 100 * 1024, true);
        for (name, to) in [("amandahost._etc.0", &here), ("amandahost._etc.0.1", &there), ("amandahost._etc.0.2", &here)] {
            fs::create_dir_all(to.path().join(STAMP)).expect("made");
            fs::rename(gone.path().join(STAMP).join(name), to.path().join(STAMP).join(name)).expect("moved");
        }
        let disks = [here.path().to_owned(), there.path().to_owned()];
        let runs_now = runs(&disks).expect("listed");
        assert!(runs_now[0].odd[0].contains("a chunk is missing"), "{runs_now:?}");
        assert_eq!(runs_now[1].odd.len() + runs_now[1].unfinished.len(), 0, "what belongs to it stays");
        for name in ["amandahost._etc.0.3", "amandahost._etc.0.4"] {
            fs::rename(gone.path().join(STAMP).join(name), there.path().join(STAMP).join(name)).expect("moved");
        }
        assert_eq!(runs(&disks).expect("listed")[0].held[0].chunks.len(), 5);
    }

    #[test]
    fn a_dump_that_was_cut_off_is_gone_or_unfinished_at_every_step() {
        let disk = tempfile::tempdir().expect("directory");
        write(disk.path(), 300_000, 100 * 1024, false);
        assert_eq!(names(disk.path()), [""; 0], "dropped");
        write(disk.path(), 300_000, 100 * 1024, true);
        let run = disk.path().join(STAMP);
        // As far as a commit came: from the last chunk to the first.
        for done in 0..5 {
            for number in 0..5u32 {
                let name = chunk_name("amandahost._etc.0".as_ref(), number);
                let (whole, begun) = (run.join(&name), run.join(unfinished(&name)));
                let (from, to) = if number < 5 - done { (whole, begun) } else { (begun, whole) };
                let _ = fs::rename(from, to);
            }
            let runs = runs(&[disk.path().to_owned()]).expect("listed");
            assert_eq!((runs[0].held.len(), runs[0].unfinished.len(), runs[0].odd.len()), (0, 5, 0), "{done}: {runs:?}");
        }
        // Amanda goes the other way: what is still called .tmp behind a first chunk that is not is all there.
        let name = unfinished("amandahost._etc.0".as_ref());
        fs::rename(run.join(name), run.join("amandahost._etc.0")).expect("renamed");
        let name = run.join("amandahost._etc.0.3");
        fs::rename(&name, run.join(unfinished("amandahost._etc.0.3".as_ref()))).expect("renamed");
        let runs = runs(&[disk.path().to_owned()]).expect("listed");
        assert_eq!((runs[0].held.len(), runs[0].unfinished.len()), (1, 0), "{runs:?}");
    }
}
