//! A volume in a directory: what Amanda's `file:` device keeps in one (device-src/vfs-device.c).
//!
//! ```text
//! slot1/00000.daily-001             the label: a header and nothing behind it
//! slot1/00001.laptop1._home.0       a part of a dump: a header of 32 KiB, then the bytes
//! slot1/00002.laptop1._srv.1
//! ```
//!
//! Amanda goes by the number in front: it opens whatever file has it, and asks for the next greater one when a number is
//! missing. A new file gets the greatest number plus one. Whatever begins with digits and a dot or a hyphen belongs to
//! the volume, and goes when it is labelled anew; other names are passed over.
//!
//! How much fits: the tapetype's `length` becomes the device's `MAX_VOLUME_USAGE`, and headers count. Four blocks before it the
//! device says "logical end of medium", at which a taper ends its part; a block that would pass it is refused.
//!
//! This module is about files, so it has effects; the pure part is [`name`]. A file that is being written has a name that
//! Amanda does not see, and gets its own when it is whole and on the disk: nobody else may add to the volume meanwhile,
//! which is the caller's to see to (Amanda has no lock for it either).

pub mod changer;
pub mod name;
mod new_file;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::header::{Block, HEADER_BYTES, Header, HeaderError, PrintError, Start};

pub use self::new_file::NewFile;

/// So many bytes before a volume's end the device says that it is near.
pub const EARLY_WARNING: u64 = 4 * 32 * 1024;

/// What went wrong with a volume.
#[derive(Debug, thiserror::Error)]
pub enum VtapeError {
    /// A file or the directory cannot be read or written.
    #[error("{what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file's header is none.
    #[error("{} has no header of Amanda's", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: HeaderError,
    },
    /// A header cannot be written.
    #[error("the header of {} cannot be written", path.display())]
    Print {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: PrintError,
    },
    /// The directory has no label, or more than one.
    #[error("{} is not one labelled volume", path.display())]
    Label {
        /// The directory.
        path: PathBuf,
    },
    /// The volume has as many files as it can number.
    #[error("{} has no number left for another file", path.display())]
    Full {
        /// The directory.
        path: PathBuf,
    },
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> VtapeError {
    let path = path.to_owned();
    move |source| VtapeError::Io { what, path, source }
}

/// A file on a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeFile {
    /// Its number; 0 is the label.
    pub number: u32,
    /// Where it is.
    pub path: PathBuf,
    /// Its length, header included.
    pub bytes: u64,
}

impl VolumeFile {
    /// Reads the file's header.
    ///
    /// # Errors
    /// When the file cannot be read, or has none.
    pub fn read(&self) -> Result<Block, VtapeError> {
        read_block(&self.path)
    }
}

/// Opens what is a file itself. A symlink on a drive that somebody else has had in his hands leads to whatever he likes, and a pipe
/// makes its reader wait for ever.
fn open_own(options: &OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.clone().custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(ErrorKind::InvalidData, "not a regular file")),
    }
}

fn read_block(path: &Path) -> Result<Block, VtapeError> {
    let mut block = Vec::with_capacity(HEADER_BYTES);
    let file = open_own(OpenOptions::new().read(true), path).map_err(io_error("cannot open", path))?;
    file.take(HEADER_BYTES as u64).read_to_end(&mut block).map_err(io_error("cannot read", path))?;
    Block::parse(&block).map_err(|source| VtapeError::Header { path: path.to_owned(), source })
}

/// A directory that holds a volume, or is to.
#[derive(Debug, Clone)]
pub struct Volume {
    directory: PathBuf,
}

impl Volume {
    /// Names the directory; nothing is read.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Returns the directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the files of the volume, the label among them, by number.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn files(&self) -> Result<Vec<VolumeFile>, VtapeError> {
        let fail = || io_error("cannot list", &self.directory);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(fail())? {
            let entry = entry.map_err(fail())?;
            let Some(number) = name::number(&entry.file_name()) else { continue };
            // As Amanda does: through a symlink, and only what is a file then. One that is gone by now is no file.
            match fs::metadata(entry.path()) {
                Ok(metadata) if metadata.is_file() => files.push(VolumeFile { number, path: entry.path(), bytes: metadata.len() }),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // One that nobody can look at has a number all the same, and nobody can read it.
                Err(_) => files.push(VolumeFile { number, path: entry.path(), bytes: 0 }),
            }
        }
        files.sort_by(|one, other| (one.number, &one.path).cmp(&(other.number, &other.path)));
        Ok(files)
    }

    /// Returns the label; `None` for a directory without one.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or there are two.
    pub fn label(&self) -> Result<Option<Start>, VtapeError> {
        Ok(self.label_file()?.map(|(_, start)| start))
    }

    fn label_file(&self) -> Result<Option<(VolumeFile, Start)>, VtapeError> {
        let mut labels = self.files()?.into_iter().filter(|file| file.number == 0);
        match (labels.next(), labels.next()) {
            (None, _) => Ok(None),
            (Some(file), None) => match file.read()? {
                Block::Start(start) => Ok(Some((file, start))),
                _ => Err(VtapeError::Label { path: self.directory.clone() }),
            },
            (Some(_), Some(_)) => Err(VtapeError::Label { path: self.directory.clone() }),
        }
    }

    /// Returns how many bytes are on the volume, as the device counts them against its limit.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn bytes(&self) -> Result<u64, VtapeError> {
        Ok(self.files()?.iter().map(|file| file.bytes).sum())
    }

    /// Labels the volume and takes everything off it, as the device does before it writes a volume again. The label comes last:
    /// a volume on which this ended half way has the one that it had, or, when that was another one, none.
    ///
    /// # Errors
    /// When a file cannot be taken away or the label cannot be written.
    pub fn relabel(&self, start: &Start) -> Result<(), VtapeError> {
        let path = self.directory.join(name::label(&start.label));
        self.sweep()?;
        let beside = match self.write_label(start, &path) {
            // Not even a label has room: what is on the volume goes first.
            Err(VtapeError::Io { source, .. }) if source.kind() == ErrorKind::StorageFull => {
                self.clear(|file| file.number > 0)?;
                self.write_label(start, &path)
            }
            written => written,
        }?;
        // A label of the same name is replaced by the rename, so that the slot is never without one.
        self.clear(|file| file.path != path)?;
        fs::rename(&beside, &path).map_err(io_error("cannot rename", &beside))?;
        self.sync()
    }

    /// Takes files off the volume, the last one first.
    fn clear(&self, which: impl Fn(&VolumeFile) -> bool) -> Result<(), VtapeError> {
        for file in self.files()?.iter().rev().filter(|file| which(file)) {
            fs::remove_file(&file.path).map_err(io_error("cannot remove", &file.path))?;
        }
        Ok(())
    }

    /// Makes sure that the volume can be written to, by a file that Amanda does not see and that is gone again.
    ///
    /// # Errors
    /// When the directory is not there, is write-protected, or its file system has no room for a name.
    pub fn probe(&self) -> Result<(), VtapeError> {
        let probe = NewFile::create(self)?;
        let path = probe.path().to_owned();
        drop(probe);
        // It was removed, or it can be: a directory where files cannot be removed is none to write to.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error("cannot remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// Gives the volume another date under the label that it has: it is written to by a later run. Its files stay.
    ///
    /// # Errors
    /// When it has no label, or the new one cannot be written.
    pub fn redate(&self, datestamp: &str) -> Result<(), VtapeError> {
        let (file, start) = self.label_file()?.ok_or_else(|| VtapeError::Label { path: self.directory.clone() })?;
        let beside = self.write_label(&Start { datestamp: datestamp.to_owned(), ..start }, &file.path)?;
        fs::rename(&beside, &file.path).map_err(io_error("cannot rename", &beside))?;
        self.sync()
    }

    /// Writes a label under a name that Amanda does not see.
    fn write_label(&self, start: &Start, path: &Path) -> Result<PathBuf, VtapeError> {
        let print = |source| VtapeError::Print { path: path.to_owned(), source };
        let block = Block::Start(start.clone()).print().map_err(print)?;
        let beside = self.directory.join(name::HIDDEN_LABEL);
        // What a killed call left, or somebody has put there; never what that leads to.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io_error("cannot remove", &beside)(error)),
            _ => {}
        }
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
        let written = opened.and_then(|mut file| file.write_all(&block).and_then(|()| file.sync_all()));
        written.map_err(io_error("cannot write", &beside))?;
        Ok(beside)
    }

    /// Begins a file behind the last one. Its header is written again when it is finished, since the checksums are known
    /// only then.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn begin(&self) -> Result<NewFile, VtapeError> {
        NewFile::create(self)
    }

    /// Makes a file in a holding disk a file of this volume, without copying it: the header is written over its own, and the
    /// file is renamed. They have to be on the same file system. When this ends half way the file is still in the holding disk,
    /// perhaps with a header for volumes, and the call can be repeated.
    ///
    /// # Errors
    /// When a header cannot be written or the file not renamed.
    pub fn take(&self, holding: &Path, header: &Header) -> Result<VolumeFile, VtapeError> {
        let file = open_own(OpenOptions::new().read(true).write(true), holding).map_err(io_error("cannot open", holding))?;
        new_file::complete(self, file, holding, header)
    }

    /// Returns the number that the next file gets.
    ///
    /// # Errors
    /// When the directory cannot be read, or has no label.
    pub fn next_number(&self) -> Result<u32, VtapeError> {
        let last = self.files()?.last().map(|file| file.number).ok_or_else(|| VtapeError::Label { path: self.directory.clone() })?;
        last.checked_add(1).filter(|next| *next <= name::LAST).ok_or_else(|| VtapeError::Full { path: self.directory.clone() })
    }

    /// Removes what a killed process left behind: files that were never finished.
    ///
    /// # Errors
    /// When the directory cannot be read or a file not removed.
    pub fn sweep(&self) -> Result<(), VtapeError> {
        let fail = || io_error("cannot list", &self.directory);
        for entry in fs::read_dir(&self.directory).map_err(fail())? {
            let entry = entry.map_err(fail())?;
            if name::is_unfinished(&entry.file_name()) {
                fs::remove_file(entry.path()).map_err(io_error("cannot remove", &entry.path()))?;
            }
        }
        Ok(())
    }

    /// Makes the names in the directory durable.
    fn sync(&self) -> Result<(), VtapeError> {
        let synced = File::open(&self.directory).and_then(|directory| directory.sync_all());
        synced.map_err(io_error("cannot sync", &self.directory))
    }
}
