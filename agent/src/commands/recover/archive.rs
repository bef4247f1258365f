//! What the shell asks of the dumps, and of whoever types.

use std::path::Path;

use wire::restore::{Dump, PathBytes};
use wire::{DiskName, HostName};

use crate::restore_time::At;

/// An entry of a directory as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: Vec<u8>,
    /// It is a directory.
    pub is_directory: bool,
    /// When the dump began that has it, seconds since 1970; none when that is not known.
    pub dumped: Option<i64>,
}

/// Why an answer did not come.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// Something else may be asked.
    #[error("{0}")]
    No(String),
    /// Nothing can be asked any more.
    #[error("the connection to the dumps was lost")]
    Lost,
}

/// How an extraction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extracted {
    /// Everything that was asked for is there.
    All,
    /// Something is missing or damaged, and was named.
    NotAll,
}

/// The dumps, as the shell sees them.
pub trait Archive {
    /// Returns the hosts that can be asked about.
    fn hosts(&mut self) -> Vec<HostName>;
    /// Returns the dumps of a host, oldest first for each disk.
    fn dumps(&mut self, host: &HostName) -> Result<Vec<Dump>, Unanswered>;
    /// Returns what was in a directory at the time of a dump.
    fn entries(&mut self, dump: &Dump, directory: &PathBytes) -> Result<Vec<Entry>, Unanswered>;
    /// Writes files and directories as they were at the time of a dump into a directory that stands for the disk's own.
    fn extract(&mut self, dump: &Dump, paths: &[PathBytes], into: &Path, overwrite: bool) -> Result<Extracted, Unanswered>;
    /// Returns where a disk of this machine is, when its name does not say so.
    fn directory(&self, disk: &DiskName) -> Option<std::path::PathBuf>;
}

/// Whoever types, or the script.
pub trait Person {
    /// Says a line.
    fn say(&mut self, line: &str);
    /// Asks something that is yes or no; nothing when nobody is there to answer.
    fn ask(&mut self, question: &str, default: bool) -> Option<bool>;
}

/// Returns the dump whose state is meant: the newest one that can be restored, at that time or before it.
pub fn at<'d>(dumps: &'d [Dump], disk: &DiskName, at: Option<&At>) -> Option<&'d Dump> {
    let whole = || dumps.iter().filter(|dump| dump.id.disk == *disk && !dump.chain.is_empty());
    let named = at.and_then(|at| at.datestamp.as_ref());
    let exactly = named.and_then(|stamp| whole().filter(|dump| dump.id.datestamp == *stamp).max_by_key(|dump| dump.time));
    let by_then = whole().filter(|dump| at.is_none_or(|at| dump.time <= at.second));
    exactly.or_else(|| by_then.max_by(|one, other| (one.time, &one.id.datestamp).cmp(&(other.time, &other.id.datestamp))))
}
