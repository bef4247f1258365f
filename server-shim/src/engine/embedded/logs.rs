//! The logs of runs: which are still read, and which may go.
//!
//! A run that adds to a volume takes what earlier logs say of it into its own, so those are read by nobody any more. The newest of
//! them stay for a while, for people. Logs that Amanda wrote are left to Amanda.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use amanda::run_log::write::file_name;

use super::catalog::{Catalog, names};
use super::files;
use super::site::Site;

/// What our logs say of their writer, in their second line.
pub const OURS: &str = concat!("asyncamanda ", env!("CARGO_PKG_VERSION"));

/// So many logs stay that nobody reads any more.
const STAY: usize = 30;

/// Returns where a run's log is.
pub fn path(site: &Site, stamp: &str) -> PathBuf {
    site.config().logdir().join(file_name(stamp, 0))
}

/// Removes logs that are superseded, but for the newest.
pub fn trim(site: &Site, catalog: &Catalog) -> io::Result<()> {
    let logdir = site.config().logdir();
    let read: BTreeSet<&str> = catalog.tapelist.tapes().iter().map(|tape| tape.datestamp.as_str()).collect();
    let mut old: Vec<(String, String)> = Vec::new();
    for name in names(&logdir)? {
        let Some((date, name)) = name.to_str().and_then(|name| Some((date(name)?.to_owned(), name.to_owned()))) else { continue };
        if !read.contains(date.as_str()) {
            old.push((date, name));
        }
    }
    old.sort();
    old.truncate(old.len().saturating_sub(STAY));
    for (_, name) in old {
        let path = logdir.join(name);
        if is_ours(&path) {
            files::remove(&path)?;
        }
    }
    Ok(())
}

/// `log.20261123190624.0`
fn date(name: &str) -> Option<&str> {
    let (date, number) = name.strip_prefix("log.")?.split_once('.')?;
    let digits = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    (digits(date) && digits(number)).then_some(date)
}

/// Says whether a log is one of this engine's.
pub fn is_ours(path: &Path) -> bool {
    let mut beginning = [0; 256];
    let read = File::open(path).and_then(|mut file| file.read(&mut beginning)).unwrap_or(0);
    memchr::memmem::find(&beginning[..read], b" asyncamanda ").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_logs_have_a_date() {
        for (name, expected) in [
            ("log.20261123190624.0", Some("20261123190624")),
            ("log.20261123190624.0.asyncamanda-new", None),
            ("log.x.0", None),
            ("amdump.1", None),
        ] {
            assert_eq!(date(name), expected, "{name}");
        }
    }
}
