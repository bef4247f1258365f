//! The names of the files on a volume.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use crate::dle::Dle;
use crate::quoting::sanitise;

/// The greatest number that Amanda gives a file.
pub const LAST: u32 = i32::MAX as u32;

/// A label that is being written.
pub(super) const HIDDEN_LABEL: &str = ".asyncamanda-label.tmp";

/// What the name of a file that is being written begins with.
const HIDDEN: &str = ".asyncamanda-file-";

/// Returns the name of a volume's label. Amanda looks for it by this name, too.
#[must_use]
pub fn label(label: &str) -> OsString {
    format!("00000.{label}").into()
}

/// The longest name that file systems take, in bytes.
const LONGEST: usize = 255;

/// Returns the name of a part of a dump. The number is all that counts; of a disk's name that is too long for a file's name, its
/// beginning is there.
#[must_use]
pub fn part(number: u32, dle: &Dle, level: u8) -> OsString {
    let mut name = [format!("{number:05}.").as_bytes(), dle.host.as_bytes(), b".", dle.disk_bytes()].concat();
    let level = format!(".{level}");
    name.truncate(LONGEST - level.len());
    name.extend(level.into_bytes());
    sanitise(&name)
}

/// Returns the number of a file of a volume; `None` for a name that Amanda passes over.
#[must_use]
pub fn number(name: &OsStr) -> Option<u32> {
    let name = name.as_bytes();
    let digits = name.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || name.get(digits) != Some(&b'.') {
        return None;
    }
    std::str::from_utf8(&name[..digits]).ok()?.parse().ok().filter(|number| *number <= LAST)
}

/// The name of a file that is being written.
pub(super) fn unfinished(process: u32, count: u32) -> String {
    format!("{HIDDEN}{process}-{count}.tmp")
}

pub(super) fn is_unfinished(name: &OsStr) -> bool {
    name == HIDDEN_LABEL || (name.as_bytes().starts_with(HIDDEN.as_bytes()) && name.as_bytes().ends_with(b".tmp"))
}
