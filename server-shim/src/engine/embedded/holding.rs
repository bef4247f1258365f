//! The holding disk: whole dumps that are on no volume yet, and what runs that are gone left unfinished.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use amanda::header::{HEADER_BYTES, Header, Kind};
use amanda::holding::{PID_FILE, is_run_directory, is_unfinished};

/// A dump that is whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Its file.
    pub path: PathBuf,
    /// Its header.
    pub header: Header,
    /// The length of the file, header included.
    pub length: u64,
}

/// What is in one run's directory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunDirectory {
    /// The directory.
    pub path: PathBuf,
    /// Whole dumps.
    pub held: Vec<Held>,
    /// Dumps that were never finished.
    pub unfinished: Vec<PathBuf>,
    /// Dumps that this engine leaves alone, with the reason in words.
    pub odd: Vec<String>,
}

/// Lists the runs' directories, by their datestamps.
pub fn runs(holding: &Path) -> io::Result<Vec<RunDirectory>> {
    let mut names: Vec<OsString> = Vec::new();
    let list = match fs::read_dir(holding) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        list => list?,
    };
    for entry in list {
        let entry = entry?;
        if is_run_directory(&entry.file_name()) && entry.file_type()?.is_dir() {
            names.push(entry.file_name());
        }
    }
    names.sort();
    names.iter().map(|name| look(holding.join(name))).collect()
}

fn look(path: PathBuf) -> io::Result<RunDirectory> {
    let mut run = RunDirectory::default();
    let mut names: Vec<OsString> = Vec::new();
    match fs::read_dir(&path) {
        // The run has ended meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        list => {
            for entry in list? {
                names.push(entry?.file_name());
            }
        }
    }
    names.sort();
    for name in names.into_iter().filter(|name| name != PID_FILE) {
        let file = path.join(&name);
        if is_unfinished(&name) {
            run.unfinished.push(file);
            continue;
        }
        match dump(&file) {
            Ok(Ok(Some(held))) => run.held.push(held),
            Ok(Ok(None)) => {}
            Ok(Err(why)) => run.odd.push(format!("{} {why}", file.display())),
            // It was put on a volume meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => run.odd.push(format!("{} cannot be read: {error}", file.display())),
        }
    }
    run.path = path;
    Ok(run)
}

/// Reads what a file on the holding disk says of itself; nothing for a later chunk of a dump. The inner error says why it is no
/// dump that this engine takes.
fn dump(path: &Path) -> io::Result<Result<Option<Held>, &'static str>> {
    // A pipe makes its reader wait for ever, and a symlink leads to whatever somebody else's dump may be.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(Ok(None));
    }
    let mut block = Vec::with_capacity(HEADER_BYTES);
    file.take(HEADER_BYTES as u64).read_to_end(&mut block)?;
    let Ok(header) = Header::parse(&block) else { return Ok(Err("has no header of Amanda's")) };
    // One with a part's header was on its way to a volume.
    match header.kind {
        Kind::Continuation => return Ok(Ok(None)),
        Kind::File | Kind::Part { number: 1, .. } => {}
        Kind::Part { .. } => return Ok(Err("is a part of a dump")),
    }
    if header.continued_in.is_some() {
        return Ok(Err("is a dump in several chunks, which Amanda's amflush can put on a volume"));
    }
    if header.partial {
        return Ok(Err("is a dump that is not whole"));
    }
    let Some(server) = header.server else { return Ok(Err("was never completed")) };
    if metadata.len().checked_sub(HEADER_BYTES as u64) != Some(server.bytes) {
        return Ok(Err("is not as long as its header says"));
    }
    Ok(Ok(Some(Held { path: path.to_owned(), header, length: metadata.len() })))
}
