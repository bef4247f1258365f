//! Looks for dumps by their headers.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use amanda::header::{Block, HEADER_BYTES, Header, HeaderError, Kind, Start};
use amanda::holding;
use amanda::vtape::changer::ChgDisk;
use amanda::vtape::{Volume, VolumeFile};

use crate::engine::embedded::catalog::words;

/// So far below a directory dumps are looked for: a holding disk has a directory for each run.
const DEPTH: usize = 2;

/// A file that has a dump or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LooseFile {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes behind its header.
    pub bytes: u64,
    /// What its header says.
    pub header: Header,
    /// The volume, and the file's number there.
    pub on: Option<(String, u32)>,
    /// The date of that volume's label: the run that wrote it. Empty on a holding disk.
    pub written: String,
}

/// A volume that has a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LooseVolume {
    /// Its directory.
    pub directory: PathBuf,
    /// Its label.
    pub label: String,
    /// When it was written last; `X` when never.
    pub date: String,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Volumes.
    pub volumes: Vec<LooseVolume>,
    /// Files.
    pub files: Vec<LooseFile>,
    /// What could not be used, and why: sentences without a full stop.
    pub odd: Vec<String>,
}

impl Scanned {
    /// Looks at a file, a volume, a directory of volumes or a vault, or a holding disk.
    ///
    /// # Errors
    /// When it is not there or cannot be read. What is in it and cannot be read is noted.
    pub fn add(&mut self, path: &Path) -> io::Result<()> {
        let path = &*path.canonicalize()?;
        if fs::metadata(path)?.is_file() {
            let bytes = fs::metadata(path)?.len();
            match read(path) {
                Ok(Ok(Block::Dump(header))) => self.file(path, bytes, *header, None),
                Ok(Ok(_)) => self.odd.push(format!("{}: it is a label, and no dump", path.display())),
                Ok(Err(error)) => self.odd.push(format!("{}: {error}", path.display())),
                Err(error) => return Err(error),
            }
            return Ok(());
        }
        self.directory(path, DEPTH)
    }

    /// Looks at all volumes of a changer.
    ///
    /// # Errors
    /// When its directory cannot be read.
    pub fn changer(&mut self, changer: &ChgDisk) -> io::Result<()> {
        for slot in changer.slots()? {
            self.volume(&changer.volume(slot));
        }
        Ok(())
    }

    fn directory(&mut self, path: &Path, depth: usize) -> io::Result<()> {
        let vtapes = path.join("vtapes");
        for changer in [ChgDisk::new(path), ChgDisk::new(vtapes)] {
            if changer.slots().is_ok_and(|slots| !slots.is_empty()) {
                self.changer(&changer)?;
                // A vault has a holding disk beside its volumes.
                let holding = path.join("holding");
                return if holding.is_dir() { self.directory(&holding, depth) } else { Ok(()) };
            }
        }
        let volume = Volume::new(path);
        if volume.files().is_ok_and(|files| !files.is_empty()) {
            self.volume(&volume);
            return Ok(());
        }
        let mut entries: Vec<PathBuf> = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        entries.sort();
        for entry in entries {
            match fs::symlink_metadata(&entry) {
                Ok(metadata) if metadata.is_dir() && depth > 0 => match self.directory(&entry, depth - 1) {
                    Ok(()) => {}
                    Err(error) => self.odd.push(format!("{}: {error}", entry.display())),
                },
                Ok(metadata) if metadata.is_file() && !entry.file_name().is_none_or(holding::is_unfinished) => {
                    // What is no dump is not worth a word here.
                    if let Ok(Ok(Block::Dump(header))) = read(&entry) {
                        self.file(&entry, metadata.len(), *header, None);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn volume(&mut self, volume: &Volume) {
        let files = match volume.files() {
            Ok(files) if files.is_empty() => return,
            Ok(files) => files,
            Err(error) => return self.odd.push(words(&error)),
        };
        let label = match volume.label() {
            Ok(Some(start)) => start,
            Ok(None) => return self.odd.push(format!("{} has files and no label", volume.directory().display())),
            Err(error) => return self.odd.push(words(&error)),
        };
        if label.datestamp != "X" && !is_datestamp(&label.datestamp) {
            return self.odd.push(format!("{} has a label whose date is none", volume.directory().display()));
        }
        if let Some(other) = self.volumes.iter().find(|other| other.label == label.label) {
            return self.odd.push(format!(
                "{} and {} are both the volume {}: only the first one is looked at",
                other.directory.display(),
                volume.directory().display(),
                label.label
            ));
        }
        for file in files.iter().filter(|file| file.number > 0) {
            self.volume_file(file, &label);
        }
        self.volumes.push(LooseVolume { directory: volume.directory().to_owned(), label: label.label, date: label.datestamp });
    }

    fn volume_file(&mut self, file: &VolumeFile, label: &Start) {
        match file.read() {
            Ok(Block::Dump(header)) => self.file(&file.path, file.bytes, *header, Some((label, file.number))),
            Ok(_) => {}
            Err(error) => self.odd.push(words(&error)),
        }
    }

    fn file(&mut self, path: &Path, bytes: u64, header: Header, on: Option<(&Start, u32)>) {
        let bytes = bytes.saturating_sub(HEADER_BYTES as u64);
        // Files are named by it, and a header may say anything.
        if !is_datestamp(&header.datestamp) {
            return self.odd.push(format!("{}: its header has a datestamp that no dump has", path.display()));
        }
        // The same file by two names on the command line is one.
        if self.files.iter().all(|other| other.path != path) {
            let written = on.map_or_else(String::new, |(label, _)| label.datestamp.clone());
            let on = on.map(|(label, number)| (label.label.clone(), number));
            self.files.push(LooseFile { path: path.to_owned(), bytes, header, on, written });
        }
    }
}

/// Reads a file's header.
fn read(path: &Path) -> io::Result<Result<Block, HeaderError>> {
    let mut block = Vec::with_capacity(HEADER_BYTES);
    open(path)?.take(HEADER_BYTES as u64).read_to_end(&mut block)?;
    Ok(Block::parse(&block))
}

fn is_datestamp(text: &str) -> bool {
    matches!(text.len(), 8 | 14) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Opens what is a regular file itself.
pub fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::new(ErrorKind::InvalidData, "not a regular file")) }
}

impl LooseFile {
    /// Returns its place in the dump, from 1 on; a chunk of a holding disk has its number at the end of its name.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        match self.header.kind {
            Kind::File => Some(1),
            Kind::Part { number, .. } => Some(number).filter(|number| *number > 0),
            Kind::Continuation => {
                let (_, number) = self.path.file_name()?.to_str()?.rsplit_once('.')?;
                number.parse::<u32>().ok()?.checked_add(1)
            }
        }
    }
}
