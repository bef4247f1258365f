//! The files of a dump that is being made. Dropped before its commit, nothing of them is left.
//!
//! The order of a commit: the header gets its sums, then the dump, its index and the index's header are made durable under their
//! names, then the dump loses its `.tmp`. Whoever is cut off before that finds a `.tmp` that nobody lists, and perhaps an index
//! of a dump that there is not, which Amanda's amtrmidx takes away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use amanda::header::{Header, PrintError};
use amanda::holding;
use amanda::index::{self, Form};
use nix::errno::Errno;

use super::Place;
use super::sink::{Chunks, Sink};
use crate::durable;
use crate::engine::embedded::files::make_below;
use crate::engine::embedded::holding::writer::Writer;

/// So much is written out at once while the dump goes on, so that 10 ms are left for its end. Only to begin to write (sync_file_range, fadvise) would
/// leave 100: the first other file that is synced then waits for all of it, since ext4 has one journal for both.
const WRITE_OUT: u64 = 8 * 1024 * 1024;

/// Why a dump cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Something about one of its files.
    #[error("cannot {what} {}: {error}", .path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// The dump cannot be written.
    #[error("cannot write the dump to the holding disk: {0}")]
    Dump(#[source] io::Error),
    /// The index cannot be written.
    #[error("cannot write the index: {0}")]
    Index(#[source] io::Error),
    /// Amanda would not read its header.
    #[error("the dump cannot be named in a header: {0}")]
    Header(#[from] PrintError),
}

/// The files that the conversation writes to.
pub struct Files {
    pub dump: Sink,
    pub index: Option<File>,
    pub spoilt: Spoilt,
}

/// What the system said when it could not write out a part of the dump. It says so once for each time that a file is opened, and
/// nothing is wrong any more for whoever asks after that; so the first word is kept, and there is no dump.
#[derive(Debug, Clone, Default)]
pub struct Spoilt(Arc<OnceLock<Errno>>);

impl Spoilt {
    fn hear(&self, error: &io::Error) {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        let _first_counts = self.0.set(errno);
    }

    /// Refuses what cannot be whole any more.
    ///
    /// # Errors
    /// When a part of the dump was lost.
    pub fn check(&self) -> io::Result<()> {
        self.0.get().map_or(Ok(()), |errno| Err((*errno).into()))
    }
}

/// The dump itself.
enum Body {
    File(File),
    Chunks(Chunks),
}

/// The files, by their names.
pub struct Draft {
    dump: Body,
    /// The dump's name when it is one.
    name: PathBuf,
    index: Option<(File, PathBuf)>,
    /// The copy of the header that stands beside the index.
    beside: PathBuf,
    /// What is to be removed.
    traces: Vec<PathBuf>,
    written_out: AtomicU64,
    spoilt: Spoilt,
}

impl Draft {
    /// Makes the files, with the header in front.
    pub fn begin(place: &Place<'_>, header: &Header, wants_index: bool) -> Result<Self, StoreError> {
        let block = header.print()?;
        header.text()?;
        let name = place.holding.join(holding::file_name(&header.dle, header.level));
        if fs::symlink_metadata(&name).is_ok() {
            return Err(failed("make", &name, io::ErrorKind::AlreadyExists.into()));
        }
        let directory = place.indexdir.join(index::directory(&header.dle));
        for (base, directory) in [(place.holding.parent().unwrap_or(place.holding), place.holding), (place.indexdir, &*directory)] {
            make_below(base, directory).map_err(|error| failed("make", directory, error))?;
        }
        let beside = directory.join(index::header_name(&header.datestamp, header.level));
        let mut traces = Vec::new();
        let dump = match place.chunk {
            Some(bytes) => {
                Body::Chunks(Chunks::new(Writer::begin(&name, header, bytes).map_err(|error| failed("make", &unfinished(&name), error))?))
            }
            None => {
                let (mut dump, path) = create(&name)?;
                traces.push(path.clone());
                let written = dump.write_all(&block);
                if let Err(error) = written {
                    let _not_begun = fs::remove_file(&path);
                    return Err(failed("write", &path, error));
                }
                Body::File(dump)
            }
        };
        let (written_out, spoilt) = (AtomicU64::new(0), Spoilt::default());
        let mut draft = Self { dump, name, index: None, beside, traces, written_out, spoilt };
        if wants_index {
            let name = directory.join(index::file_name(&header.datestamp, header.level, Form::UnsortedGz));
            let (file, path) = create(&name)?;
            draft.traces.push(path);
            draft.index = Some((file, name));
        }
        Ok(draft)
    }

    /// Returns the files for the conversation, which may outlive this.
    pub fn files(&self) -> Result<Files, StoreError> {
        let again = |file: &File, name: &Path| file.try_clone().map_err(|error| failed("open", name, error));
        let index = self.index.as_ref().map(|(file, name)| again(file, name)).transpose()?;
        let dump = match &self.dump {
            Body::File(file) => Sink::File(again(file, &self.name)?),
            Body::Chunks(chunks) => Sink::Chunks(chunks.clone()),
        };
        Ok(Files { dump, index, spoilt: self.spoilt.clone() })
    }

    /// Hears how many bytes have come, and has the system write out what it still keeps in memory. When that fails the next piece
    /// of the dump is not taken any more.
    pub fn write_out(&self, bytes: u64) {
        if bytes >= self.written_out.load(Ordering::Relaxed) + WRITE_OUT {
            self.written_out.store(bytes, Ordering::Relaxed);
            // Chunks are written out when they are all there: each is short.
            if let Body::File(dump) = &self.dump
                && let Err(error) = dump.sync_data()
            {
                self.spoilt.hear(&error);
            }
        }
    }

    /// Gives the room back, also when somebody has the files open who hears nothing any more.
    pub fn clear(&self) {
        match &self.dump {
            Body::File(dump) => {
                let _removed_anyway = dump.set_len(0);
            }
            Body::Chunks(chunks) => chunks.clear(),
        }
    }

    /// Makes it a dump. Returns its name.
    pub fn commit(mut self, header: &Header) -> Result<PathBuf, StoreError> {
        let unfinished = unfinished(&self.name);
        self.spoilt.check().map_err(StoreError::Dump)?;
        if let Body::File(dump) = &self.dump {
            dump.write_all_at(&header.print()?, 0).map_err(|error| failed("write", &unfinished, error))?;
        }
        let text = header.beside_index().text()?;
        let (mut copy, path) = create(&self.beside)?;
        self.traces.push(path.clone());
        copy.write_all(&text).map_err(|error| failed("write", &path, error))?;
        if let Body::File(dump) = &self.dump {
            dump.sync_data().map_err(|error| failed("write", &unfinished, error))?;
        }
        let index = self.index.take();
        for (file, name) in index.iter().map(|(file, name)| (file, name)).chain([(&copy, &self.beside.clone())]) {
            file.sync_data().map_err(|error| failed("write", name, error))?;
            self.rename(name)?;
        }
        sync_directory_of(&self.beside)?;
        let name = self.name.clone();
        match &self.dump {
            Body::File(_) => {
                self.rename(&name)?;
                sync_directory_of(&name)?;
            }
            Body::Chunks(chunks) => {
                chunks.commit(header).map_err(|error| failed("write", &unfinished, error))?;
            }
        }
        self.traces.clear();
        Ok(name)
    }

    fn rename(&mut self, name: &Path) -> Result<(), StoreError> {
        fs::rename(unfinished(name), name).map_err(|error| failed("rename", &unfinished(name), error))?;
        self.traces.push(name.to_owned());
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Body::Chunks(chunks) = &self.dump {
            // Nothing is left to clear of those that are a dump.
            chunks.clear();
        }
        for trace in &self.traces {
            // Gone under one of its two names.
            let _gone = fs::remove_file(trace);
        }
    }
}

fn failed(what: &'static str, path: &Path, error: io::Error) -> StoreError {
    StoreError::File { what, path: path.to_owned(), error }
}

fn unfinished(name: &Path) -> PathBuf {
    name.with_file_name(holding::unfinished(name.file_name().unwrap_or_default()))
}

/// Makes a file that is not there, under its unfinished name.
fn create(name: &Path) -> Result<(File, PathBuf), StoreError> {
    let path = unfinished(name);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.map(|file| (file, path.clone())).map_err(|error| failed("make", &path, error))
}

fn sync_directory_of(name: &Path) -> Result<(), StoreError> {
    let directory = name.parent().unwrap_or(Path::new("/"));
    durable::sync_directory(directory).map_err(|error| failed("write", directory, error))
}

#[cfg(test)]
mod tests {
    use amanda::dle::Dle;

    use super::*;

    #[test]
    fn a_part_that_could_not_be_written_out_is_not_forgotten_at_the_end() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let place = Place { holding: directory.path(), indexdir: directory.path(), chunk: None };
        let header = Header::new(Dle::new("laptop1", "/home"), "20261122003709", 0);
        let mut draft = Draft::begin(&place, &header, true).expect("begun");
        let files = draft.files().expect("open");
        // What cannot be synced says so; afterwards all is well, as it is with a file whose error was told.
        let null = Body::File(OpenOptions::new().write(true).open("/dev/null").expect("there is one"));
        let dump = std::mem::replace(&mut draft.dump, null);
        draft.write_out(WRITE_OUT);
        draft.dump = dump;
        assert!(files.spoilt.check().is_err(), "the conversation ends");
        assert!(matches!(draft.commit(&header), Err(StoreError::Dump(_))));
        assert!(!directory.path().join("laptop1._home.0").exists());
    }

    #[test]
    fn a_long_dump_lies_in_chunks_and_one_that_is_given_up_in_none() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let place = Place { holding: directory.path(), indexdir: directory.path(), chunk: Some(64 * 1024) };
        let header = Header::new(Dle::new("laptop1", "/home"), "20261122003709", 0);
        let names = || {
            let entries = fs::read_dir(directory.path()).expect("there").map(|entry| entry.expect("an entry").file_name());
            let mut names: Vec<_> =
                entries.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.contains("_home.0")).collect();
            names.sort();
            names
        };
        for gives_up in [true, false] {
            let draft = Draft::begin(&place, &header, true).expect("begun");
            let mut files = draft.files().expect("open");
            files.dump.write_all(&[7; 80_000]).expect("written");
            if gives_up {
                draft.clear();
                assert!(files.dump.write_all(&[7]).is_err());
            } else {
                draft.commit(&header).expect("whole");
            }
        }
        assert_eq!(names(), ["laptop1._home.0", "laptop1._home.0.1", "laptop1._home.0.2"]);
    }
}
