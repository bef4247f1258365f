//! What each incremental dump builds on, kept in `.asyncamanda/bases`.
//!
//! Names and levels alone do not tell it: where the full dump that an incremental one was made after is gone, an older full dump is
//! there in its place and looks as good. So a run notes what its dumps will build on before it makes them. Of dumps that are gone
//! while something that has no such note (a dump of Amanda's) may build on them, it is noted that they were there.
//!
//! A line is added for each, and the last one on a dump counts. Whoever writes holds the tapelist's lock.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use amanda::dle::Dle;
use serde::{Deserialize, Serialize};
use wire::DiskName;

use super::catalog::Catalog;
use super::files::{self, Sure};
use super::site::Site;
use super::volumes::Key;

/// The longest file that is read, in bytes.
const LONGEST: u64 = 256 * 1024 * 1024;

/// So many lines that nobody needs may stay.
const STAY: usize = 64;

/// What is noted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bases {
    /// The datestamp of the dump, one level below, that a dump builds on.
    pub on: BTreeMap<Key, String>,
    /// Dumps that were there.
    pub gone: BTreeSet<Key>,
    lines: usize,
}

#[derive(Serialize, Deserialize)]
struct Line {
    host: String,
    disk: DiskName,
    datestamp: String,
    level: u8,
    /// `None` for a dump that is gone.
    on: Option<String>,
}

fn path(site: &Site) -> PathBuf {
    site.own().join("bases")
}

/// Reads the notes. What a crash cut off is passed over: the dump that it was for was not begun.
pub fn load(site: &Site) -> io::Result<Bases> {
    let text = files::read(&path(site), LONGEST)?.unwrap_or_default();
    let mut bases = Bases::default();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        bases.lines += 1;
        let Ok(line) = serde_json::from_slice::<Line>(line) else { continue };
        let key = (Dle::new(line.host, line.disk.as_os_str().to_owned()), line.datestamp, line.level);
        match line.on {
            Some(on) => drop(bases.on.insert(key, on)),
            None => drop(bases.gone.insert(key)),
        }
    }
    Ok(bases)
}

fn print<'a>(notes: impl IntoIterator<Item = (&'a Key, Option<&'a str>)>) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for (key, on) in notes {
        let Ok(disk) = DiskName::new(OsStr::new(&key.0.disk).to_owned()) else { continue };
        let line = Line { host: key.0.host.clone(), disk, datestamp: key.1.clone(), level: key.2, on: on.map(str::to_owned) };
        // Behind a line that a crash cut off, too, a new one begins.
        text.push(b'\n');
        serde_json::to_writer(&mut text, &line)?;
    }
    if !text.is_empty() {
        text.push(b'\n');
    }
    Ok(text)
}

/// Adds notes, durably: what a dump builds on, or, with `None`, that it is gone.
pub fn note<'a>(site: &Site, notes: impl IntoIterator<Item = (&'a Key, Option<&'a str>)>) -> io::Result<()> {
    let text = print(notes)?;
    if text.is_empty() {
        return Ok(());
    }
    let path = path(site);
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().append(true).mode(0o600).custom_flags(flags).open(&path);
    match file.and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_data())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => files::replace(&path, &text, Sure::Durable),
        written => written,
    }
}

/// Takes away what nobody needs any more, when there is much of it.
pub fn trim(site: &Site, catalog: &Catalog) -> io::Result<()> {
    let bases = &catalog.bases;
    // A run that goes on has a directory, and its dumps may be anywhere on their way.
    let goes_on = |stamp: &str| catalog.runs.iter().any(|run| run.path.file_name() == Some(OsStr::new(stamp)));
    let on = bases.on.iter().filter(|(key, _)| catalog.dumps.contains_key(*key) || goes_on(&key.1));
    let on: Vec<_> = on.map(|(key, on)| (key, Some(on.as_str()))).collect();
    let gone: Vec<_> = bases.gone.iter().filter(|key| may_matter(catalog, key)).map(|key| (key, None)).collect();
    let needed = on.len() + gone.len();
    if catalog.doubts_bases || bases.lines <= needed.saturating_mul(2).saturating_add(STAY) {
        return Ok(());
    }
    files::replace(&path(site), &print(on.into_iter().chain(gone))?, Sure::Durable)
}

/// Says whether something may build on this dump that has no note of it.
pub fn may_matter(catalog: &Catalog, gone: &Key) -> bool {
    let above = |key: &&Key| key.0 == gone.0 && key.2 > gone.2 && key.1 > gone.1;
    catalog.dumps.keys().filter(above).any(|key| !catalog.bases.on.contains_key(key))
}

/// Notes what a catalog found lost, before the log that had it is written anew.
pub fn lose(site: &Site, catalog: &Catalog) -> io::Result<()> {
    let lost = catalog.lost.iter().filter_map(|lost| lost.key.as_ref());
    let new = lost.filter(|key| !catalog.dumps.contains_key(*key) && !catalog.bases.gone.contains(*key) && may_matter(catalog, key));
    note(site, new.collect::<BTreeSet<_>>().into_iter().map(|key| (key, None)))
}
