//! The names on a holding disk (server-src/holding.c, server-src/driver.c).
//!
//! ```text
//! HOLDING/20261122023856/                      a run, named by its datestamp
//!         20261122023856/pid                   the process that writes there; others keep away while it lives
//!         20261122023856/laptop1._home.0       a dump, or its first chunk
//!         20261122023856/laptop1._home.0.1     the second chunk
//!         20261122023856/laptop1._srv.1.tmp    a dump that is being made; each of its chunks ends in .tmp
//! ```
//!
//! Amanda goes by the [`header`](crate::header) of a file, not by its name: the name of a disk cannot be told from it.
//! A file that is named `.tmp` is listed nowhere.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use crate::dle::Dle;
use crate::quoting::sanitise;

/// The file that holds the process id of the run that writes in its directory, in decimal, without a newline.
pub const PID_FILE: &str = "pid";

/// What the name of a file that is being written ends in.
pub const UNFINISHED: &str = ".tmp";

/// Returns the name of a dump's first chunk, in its run's directory.
#[must_use]
pub fn file_name(dle: &Dle, level: u8) -> OsString {
    let mut name = sanitise(dle.host.as_bytes());
    name.push(".");
    name.push(sanitise(dle.disk_bytes()));
    name.push(format!(".{level}"));
    name
}

/// Returns the name of a chunk; the first one has the number 0 and keeps the dump's name.
#[must_use]
pub fn chunk_name(first: &OsStr, number: u32) -> OsString {
    let mut name = first.to_owned();
    if number > 0 {
        name.push(format!(".{number}"));
    }
    name
}

/// Returns the name that a file has while it is being written.
#[must_use]
pub fn unfinished(name: &OsStr) -> OsString {
    let mut name = name.to_owned();
    name.push(UNFINISHED);
    name
}

/// Says whether Amanda would pass over a file because it is being written.
#[must_use]
pub fn is_unfinished(name: &OsStr) -> bool {
    name.len() >= 7 && name.as_bytes().ends_with(UNFINISHED.as_bytes())
}

/// Says whether a directory on a holding disk is one that Amanda looks into: a datestamp.
#[must_use]
pub fn is_run_directory(name: &OsStr) -> bool {
    matches!(name.len(), 8 | 14) && name.as_bytes().iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_amanda_made() {
        let dle = Dle::new("localhost", "docs home");
        assert_eq!(file_name(&dle, 1), "localhost.docs home.1");
        let first = file_name(&Dle::new("127.0.0.5", "/srv/aafx/src/data"), 0);
        assert_eq!(first, "127.0.0.5._srv_aafx_src_data.0");
        assert_eq!(chunk_name(&first, 0), first);
        assert_eq!(unfinished(&chunk_name(&first, 2)), "127.0.0.5._srv_aafx_src_data.0.2.tmp");
    }

    #[test]
    fn what_is_being_written_is_known_by_its_name() {
        for (name, expected) in [("h._d.0.tmp", true), ("h._d.0", false), ("a.tmp", false), (".tmp", false), ("abc.tmp", true)] {
            assert_eq!(is_unfinished(OsStr::new(name)), expected, "{name}");
        }
        for (name, expected) in [("20261122", true), ("20261122023856", true), ("2026112202385", false), ("lost+found", false)] {
            assert_eq!(is_run_directory(OsStr::new(name)), expected, "{name}");
        }
    }
}
