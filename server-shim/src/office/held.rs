//! Dumps on holding disks, in as many files as they are (server-src/holding.c).

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use amanda::admin::{Found, Place};
use amanda::header::{HEADER_BYTES, Header, Kind};
use amanda::holding::{PID_FILE, is_run_directory, is_unfinished};

use crate::engine::embedded::catalog::names;

/// More files than this no dump has.
const MOST: usize = 100_000;

/// A dump on a holding disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Its first file.
    pub path: PathBuf,
    /// Its header.
    pub header: Header,
    /// Its size without headers, in KiB: each of its files counts as whole KiB.
    pub kb: u64,
}

/// Lists the dumps on a holding disk, also those that are in part there.
///
/// # Errors
/// When the directory cannot be listed.
pub fn held(holding: &Path) -> io::Result<Vec<Held>> {
    let mut all = Vec::new();
    let mut runs = names(holding)?;
    runs.retain(|name| is_run_directory(name) && holding.join(name).is_dir());
    runs.sort();
    for run in runs {
        let directory = holding.join(run);
        let mut files = names(&directory)?;
        files.sort();
        let files = files.into_iter().filter(|name| name != PID_FILE && !is_unfinished(name));
        all.extend(files.filter_map(|name| dump(directory.join(name))));
    }
    Ok(all)
}

/// Reads the header of a file and its length; `None` for what is none of Amanda's files.
fn header(path: &Path) -> Option<(Header, u64)> {
    let file = File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path).ok()?;
    let length = file.metadata().ok().filter(fs::Metadata::is_file)?.len();
    let mut block = Vec::with_capacity(HEADER_BYTES);
    file.take(HEADER_BYTES as u64).read_to_end(&mut block).ok()?;
    Some((Header::parse(&block).ok()?, length))
}

fn dump(path: PathBuf) -> Option<Held> {
    let (first, length) = header(&path)?;
    if !matches!(first.kind, Kind::File | Kind::Part { .. }) {
        return None;
    }
    let size = |length: u64| length.div_ceil(1024).saturating_sub(HEADER_BYTES as u64 / 1024);
    let (mut kb, mut next) = (size(length), first.continued_in.clone());
    for _ in 0..MOST {
        let Some((chunk, length)) = next.as_ref().and_then(|path| header(Path::new(path))) else { break };
        kb += size(length);
        next = chunk.continued_in;
    }
    Some(Held { path, header: first, kb })
}

impl Held {
    /// Returns the row that `amadmin find` has of it.
    pub fn row(&self) -> Found {
        Found {
            dle: self.header.dle.clone(),
            datestamp: self.header.datestamp.clone(),
            level: self.header.level,
            storage: "HOLDING".to_owned(),
            pool: "HOLDING".to_owned(),
            place: Place::Holding(self.path.clone().into_os_string()),
            part: -1,
            parts: -1,
            status: if self.header.partial { "PARTIAL PARTIAL" } else { "OK" }.to_owned(),
        }
    }
}
