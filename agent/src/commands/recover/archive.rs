//! What the shell asks of the dumps, and of whoever types.

use std::path::Path;

use restore::resolve::State;
use wire::restore::{Dump, PathBytes};
use wire::{DiskName, HostName};

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
    /// Returns what was in a directory of a disk as it was.
    fn entries(&mut self, state: &State, directory: &PathBytes) -> Result<Vec<Entry>, Unanswered>;
    /// Writes files and directories as they were into a directory that stands for the disk's own.
    fn extract(&mut self, state: &State, paths: &[PathBytes], into: &Path, overwrite: bool) -> Result<Extracted, Unanswered>;
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
