//! A new vault.

use std::ffi::OsString;
use std::path::Path;

use super::site::Site;
use crate::engine::Trouble;

/// What a new vault is to be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Days within which every disk wants a full dump.
    pub dumpcycle: u32,
    /// Days for which a dump is kept.
    pub retention_days: u32,
    /// What a volume holds, in KiB; by the size of the file system when it is not said.
    pub volume_kb: Option<u64>,
    /// What is left out.
    pub exclude: Vec<OsString>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { dumpcycle: 14, retention_days: 30, volume_kb: None, exclude: Vec::new() }
    }
}

/// Makes a vault in a directory that is not there, is empty, or has what a killed call left.
///
/// # Errors
/// When the directory has something else in it, or cannot be written.
pub fn make(directory: &Path, plan: &Plan) -> Result<Site, Trouble> {
    let _ = (directory, plan);
    todo!()
}
