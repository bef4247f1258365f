//! The dumps of a config that the embedded engine serves, from its own files: nothing is locked and nothing is written.
//!
//! A run may put a dump on a volume meanwhile, or take its volume: a file that is gone, or has become another dump's, is looked for once more in
//! the catalog as it is then. What has been opened stays readable to its end.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read as _};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use amanda::admin::Place;
use amanda::chains::{Bases, Restorable};
use amanda::dle::Dle;
use amanda::frames::Parts;
use amanda::header::{HEADER_BYTES, Header};
use amanda::index::{self, Form};
use amanda::vtape::name;
use flate2::bufread::MultiGzDecoder;
use wire::restore::{Dump, DumpId};
use wire::{AbortCode, DiskName, HostName};

use super::{Data, Source, Stored, no_such_dump};
use crate::engine::Trouble;
use crate::engine::embedded::catalog::{self, Catalog};
use crate::engine::embedded::site::Site;
use crate::engine::embedded::stamp;

/// A dump, as the catalog names it.
pub(super) type Key = (Dle, String, u8);

/// The dumps of one config.
pub struct Embedded<S> {
    site: S,
    known: Option<Known>,
}

/// What there was when somebody looked.
struct Known {
    catalog: Catalog,
    /// Also dumps that a verification found damaged: what is whole in them can still be restored.
    chains: BTreeMap<Dle, Vec<Restorable>>,
}

impl<S: Borrow<Site>> Embedded<S> {
    /// Reads a config's files when they are asked for.
    pub fn new(site: S) -> Self {
        Self { site, known: None }
    }

    fn known(&mut self) -> Result<&Known, Trouble> {
        let known = match self.known.take() {
            Some(known) => known,
            None => {
                let catalog = catalog::load(self.site.borrow())?;
                Known { chains: catalog.even_damaged(), catalog }
            }
        };
        Ok(self.known.insert(known))
    }

    /// Opens the files of a dump.
    fn open(&mut self, key: &Key) -> Result<Option<Result<Stored, Changed>>, Trouble> {
        let known = self.known()?;
        let Some((dump, files)) = known.catalog.dumps.get(key).zip(known.files(key)) else { return Ok(None) };
        let (sum, mut left) = (dump.sums.server, dump.sums.server.map(|sum| sum.bytes));
        let mut parts = Vec::new();
        for path in files {
            match part(path, key, &mut left) {
                Ok(part) => parts.push(part),
                Err(changed) => return Ok(Some(Err(changed))),
            }
        }
        let (bytes, native) = (dump.bytes, dump.sums.native);
        let parts = Parts::new(parts).map_err(|error| unreadable(&error.to_string()))?;
        let is_plain = self.is_plain(&key.0);
        Ok(Some(Ok(Stored { data: Data::Files(parts), sum, native, bytes, is_plain })))
    }

    /// Says whether the dumptype packs nothing.
    fn is_plain(&self, dle: &Dle) -> bool {
        let site = self.site.borrow();
        let how = site.disk(dle).and_then(|disk| disk.how(site.config()));
        how.is_some_and(|how| matches!(how.compress(), amanda::conf::Compress::None))
    }
}

impl Known {
    /// Returns the files of one whole copy of a dump, in the order of its parts.
    fn files(&self, (dle, stamp, level): &Key) -> Option<Vec<&Path>> {
        let whole = self.chains.get(dle)?.iter().find(|dump| dump.datestamp == *stamp && dump.level == *level)?;
        let dump = self.catalog.dumps.get(&(dle.clone(), stamp.clone(), *level))?;
        // One in a holding disk is named by its first chunk.
        let held =
            |copy: &[Place]| matches!(copy, [Place::Holding(path)] if dump.files.first().is_some_and(|first| first.as_os_str() == path));
        if whole.places.iter().any(|copy| held(copy)) {
            return Some(dump.files.iter().map(PathBuf::as_path).collect());
        }
        let file = |place: &Place| match place {
            Place::Volume { label, file: number } => {
                let volume = self.catalog.volumes.iter().find(|volume| volume.label.as_deref().map(str::as_bytes) == Some(label))?;
                let is_it = |file: &&PathBuf| {
                    file.parent() == Some(volume.volume.directory())
                        && file.file_name().and_then(name::number).is_some_and(|found| u64::from(found) == *number)
                };
                dump.files.iter().find(is_it)
            }
            Place::Holding(_) | Place::Nowhere => None,
        };
        whole.places.iter().find_map(|copy| copy.iter().map(|place| file(place).map(PathBuf::as_path)).collect())
    }
}

impl<S: Borrow<Site>> Source for Embedded<S> {
    fn dumps(&mut self, host: &HostName) -> Result<Vec<Dump>, Trouble> {
        // What is asked for later is looked up as it is now.
        self.known = None;
        let Known { catalog, chains } = self.known()?;
        let mut dumps = Vec::new();
        for (dle, all) in chains.iter().filter(|(dle, _)| dle.host == host.as_str()) {
            let Ok(disk) = DiskName::new(dle.disk.clone()) else { continue };
            dumps.extend(all.iter().map(|dump| told(catalog, host, &disk, dle, dump)));
        }
        Ok(dumps)
    }

    fn index(&mut self, dump: &DumpId) -> Result<Option<Box<dyn BufRead>>, Trouble> {
        let key = key(dump);
        if !self.known()?.catalog.dumps.contains_key(&key) {
            return Err(no_such_dump(dump));
        }
        open_index(&self.site.borrow().indexdir(), &key)
            .map_err(|error| unreadable(&format!("the index of this dump cannot be read: {error}")))
    }

    fn stored(&mut self, dump: &DumpId) -> Result<Stored, Trouble> {
        let key = key(dump);
        if let Some(Ok(stored)) = self.open(&key)? {
            return Ok(stored);
        }
        self.known = None;
        match self.open(&key)? {
            None => Err(no_such_dump(dump)),
            Some(Ok(stored)) => Ok(stored),
            Some(Err(changed)) => Err(unreadable(&changed.0)),
        }
    }
}

pub(super) fn key(dump: &DumpId) -> Key {
    (Dle::new(dump.host.as_str(), dump.disk.as_os_str()), dump.datestamp.clone(), dump.level)
}

pub(super) fn unreadable(why: &str) -> Trouble {
    Trouble {
        code: AbortCode::Failed,
        message: why.to_owned(),
        hint: "list again what there is: a run may have changed it; the operator can read all dumps back with asyncamanda-shim verify"
            .to_owned(),
    }
}

/// Returns what is said of a dump.
fn told(catalog: &Catalog, host: &HostName, disk: &DiskName, dle: &Dle, dump: &Restorable) -> Dump {
    let id = |stamp: &str, level: u8| (dle.clone(), stamp.to_owned(), level);
    let (chain, mut why_not) = chain(dump);
    let known = catalog.dumps.get(&id(&dump.datestamp, dump.level));
    for (level, stamp) in &chain {
        let damage = catalog.dumps.get(&id(stamp, *level)).and_then(|dump| dump.damage.as_ref());
        if let Some(damage) = damage.filter(|_| why_not.is_empty()) {
            why_not = format!("the dump of level {level} of {stamp} is damaged: {damage}");
        }
    }
    Dump {
        id: DumpId { host: host.clone(), disk: disk.clone(), datestamp: dump.datestamp.clone(), level: dump.level },
        time: stamp::seconds(&dump.datestamp).unwrap_or(0),
        chain,
        why_not,
        bytes: known.map_or(0, |dump| dump.bytes),
        orig_kb: known.map_or(0, |dump| dump.orig_kb),
        places: places(dump),
        verified: known.and_then(|dump| dump.verified),
    }
}

/// Returns what a restore reads, level 0 first, and what is to be said against it.
pub(in crate::restore) fn chain(dump: &Restorable) -> (Vec<(u8, String)>, String) {
    let (bases, why_not) = match &dump.bases {
        Bases::Complete(bases) => (bases, String::new()),
        Bases::Doubtful { bases, broken } => {
            (bases, format!("the dump of {broken} is not whole, and if this one was made after it, files are missing"))
        }
        Bases::Missing { level } => return (Vec::new(), format!("the dump of level {level} that it builds on is gone or not whole")),
    };
    let mut chain: Vec<(u8, String)> = (0..dump.level).rev().zip(bases.iter().cloned()).collect();
    chain.reverse();
    chain.push((dump.level, dump.datestamp.clone()));
    (chain, why_not)
}

/// Returns where a dump is, in words.
pub(super) fn places(dump: &Restorable) -> Vec<String> {
    let of = |place: &Place| match place {
        Place::Holding(_) => "holding disk".to_owned(),
        place => place.to_string(),
    };
    let places: BTreeSet<String> = dump.places.iter().flatten().map(of).collect();
    places.into_iter().collect()
}

/// A file is not what the catalog has it for, in words.
struct Changed(String);

/// Opens a part of a dump: where its bytes are, behind the header.
fn part(path: &Path, (dle, stamp, level): &Key, left: &mut Option<u64>) -> Result<(File, Range<u64>), Changed> {
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => Changed("the dump is gone: a run has taken its volume meanwhile".to_owned()),
        _ => Changed(format!("{} cannot be read: {error}", path.display())),
    };
    // A symlink leads to whatever somebody likes who has had the drive, and a pipe makes its reader wait for ever.
    let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(Changed(format!("{} is not a regular file", path.display())));
    }
    let mut block = Vec::with_capacity(HEADER_BYTES);
    (&mut file).take(HEADER_BYTES as u64).read_to_end(&mut block).map_err(failed)?;
    let header = Header::parse(&block).map_err(|error| Changed(format!("{}: {error}", path.display())))?;
    if (&header.dle, &header.datestamp, header.level) != (dle, stamp, *level) {
        return Err(Changed("the dump is gone: its file has become another dump's meanwhile".to_owned()));
    }
    let body = metadata.len().saturating_sub(HEADER_BYTES as u64);
    // Behind the last one there may be the rest of a block.
    let bytes = left.map_or(body, |left| left.min(body));
    if let Some(left) = left {
        *left -= bytes;
    }
    let from = HEADER_BYTES as u64;
    Ok((file, from..from + bytes))
}

/// Opens the index of a dump.
pub(super) fn open_index(indexdir: &Path, (dle, stamp, level): &Key) -> io::Result<Option<Box<dyn BufRead>>> {
    let directory = indexdir.join(index::directory(dle));
    for form in [Form::SortedGz, Form::Old, Form::UnsortedGz, Form::Sorted, Form::Unsorted] {
        let path = directory.join(index::file_name(stamp, *level, form));
        let file = match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            file => BufReader::with_capacity(128 * 1024, file?),
        };
        return Ok(Some(if form.is_compressed() { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) }));
    }
    Ok(None)
}
