//! The holding disks: whole dumps that are on no volume yet, and what runs that are gone left unfinished.

mod chunks;
pub mod writer;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use amanda::header::{HEADER_BYTES, Header, Kind};
use amanda::holding::{PID_FILE, is_run_directory, is_unfinished, unfinished};

use super::site::{Rotation, Site};

pub use chunks::Reader;

/// A dump that is whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Its file; the first one, when it is in several chunks.
    pub path: PathBuf,
    /// All its files, in order.
    pub chunks: Vec<PathBuf>,
    /// Its header.
    pub header: Header,
    /// The length that it has in one file, header included.
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

/// A run's directory while it is looked at.
#[derive(Default)]
struct Seen {
    run: RunDirectory,
    /// Later chunks of dumps.
    later: Vec<PathBuf>,
}

/// Lists the runs' directories on all holding disks, by disk and datestamp.
///
/// # Errors
/// When a holding disk that is there cannot be read.
pub fn runs(disks: &[PathBuf]) -> io::Result<Vec<RunDirectory>> {
    let mut seen = Vec::new();
    // Files that belong to a dump, whatever became of it.
    let mut taken = BTreeSet::new();
    for disk in disks {
        for name in run_directories(disk)? {
            seen.push(look(disk.join(name), disks, &mut taken)?);
        }
    }
    for Seen { run, later } in &mut seen {
        // A chunk that was to lose its `.tmp` when the run was cut off, and belongs to a dump that is whole.
        run.unfinished.retain(|path| !taken.contains(path));
        for path in later.iter().filter(|path| !taken.contains(*path)) {
            if chunks::first_of(path).is_some_and(|first| run.unfinished.contains(&first.with_file_name(unfinished_name(&first)))) {
                run.unfinished.push(path.clone());
            } else {
                run.odd.push(format!("{} is a later chunk of a dump that is not there", path.display()));
            }
        }
    }
    Ok(seen.into_iter().map(|seen| seen.run).collect())
}

/// Returns the directories in which dumps wait: the holding disks, and beside the volumes the one for dumps that go to none. A vault
/// has one.
pub fn directories(site: &Site) -> Vec<PathBuf> {
    let mut all = site.holdings().to_vec();
    // Where there is no holding disk it stands for one.
    if matches!(site.rotation(), Rotation::Cycle { .. }) && !all.contains(&site.straight()) {
        all.push(site.straight());
    }
    all
}

fn unfinished_name(path: &Path) -> OsString {
    unfinished(path.file_name().unwrap_or_default())
}

fn run_directories(disk: &Path) -> io::Result<Vec<OsString>> {
    let mut names: Vec<OsString> = Vec::new();
    let list = match fs::read_dir(disk) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(names),
        list => list?,
    };
    for entry in list {
        let entry = entry?;
        if is_run_directory(&entry.file_name()) && entry.file_type()?.is_dir() {
            names.push(entry.file_name());
        }
    }
    names.sort();
    Ok(names)
}

fn look(path: PathBuf, disks: &[PathBuf], taken: &mut BTreeSet<PathBuf>) -> io::Result<Seen> {
    let mut seen = Seen::default();
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
            seen.run.unfinished.push(file);
            continue;
        }
        match dump(&file, disks, taken) {
            Ok(Ok(Found::Dump(held))) => seen.run.held.push(*held),
            Ok(Ok(Found::Later)) => seen.later.push(file),
            Ok(Ok(Found::Nothing)) => {}
            Ok(Err(why)) => seen.run.odd.push(format!("{} {why}", file.display())),
            // It was put on a volume meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => seen.run.odd.push(format!("{} cannot be read: {error}", file.display())),
        }
    }
    seen.run.path = path;
    Ok(seen)
}

/// What a file on a holding disk is.
enum Found {
    /// A dump, or its first chunk.
    Dump(Box<Held>),
    /// A later chunk.
    Later,
    /// Nothing that is looked at.
    Nothing,
}

/// Opens what is a file itself: a pipe makes its reader wait for ever, and a symlink leads to whatever somebody else's dump may be.
fn open(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    Ok(file.metadata()?.is_file().then_some(file))
}

/// Reads a file's header and its length behind that.
fn header_of(file: &File) -> io::Result<Option<(Header, u64)>> {
    let mut block = Vec::with_capacity(HEADER_BYTES);
    file.take(HEADER_BYTES as u64).read_to_end(&mut block)?;
    let Ok(header) = Header::parse(&block) else { return Ok(None) };
    Ok(Some((header, file.metadata()?.len().saturating_sub(HEADER_BYTES as u64))))
}

/// Reads what a file on the holding disk says of itself. The inner error says why it is no dump that this engine takes.
fn dump(path: &Path, disks: &[PathBuf], taken: &mut BTreeSet<PathBuf>) -> io::Result<Result<Found, &'static str>> {
    let Some(file) = open(path)? else { return Ok(Ok(Found::Nothing)) };
    let Some((header, body)) = header_of(&file)? else { return Ok(Err("has no header of Amanda's")) };
    // One with a part's header was on its way to a volume.
    match header.kind {
        Kind::Continuation => return Ok(Ok(Found::Later)),
        Kind::File | Kind::Part { number: 1, .. } => {}
        Kind::Part { .. } => return Ok(Err("is a part of a dump")),
    }
    let later = chunks::later(path, &header, disks)?;
    taken.extend(later.files.iter().map(|(path, _)| path.clone()));
    if header.partial {
        return Ok(Err("is a dump that is not whole"));
    }
    let Some(server) = header.server else { return Ok(Err("was never completed")) };
    if !later.is_complete {
        return Ok(Err("is a dump of which a chunk is missing"));
    }
    let all = later.files.iter().fold(body, |all, (_, bytes)| all.saturating_add(*bytes));
    if all != server.bytes {
        return Ok(Err("is not as long as its header says"));
    }
    let chunks = std::iter::once(path.to_owned()).chain(later.files.into_iter().map(|(path, _)| path)).collect();
    let length = server.bytes.saturating_add(HEADER_BYTES as u64);
    Ok(Ok(Found::Dump(Box::new(Held { path: path.to_owned(), chunks, header, length }))))
}
