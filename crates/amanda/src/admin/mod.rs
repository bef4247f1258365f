//! The words of Amanda's programs for administrators. Both `amadmin` calls take about 15 ms on a small catalog; `find`
//! reads every log that the tapelist knows, so it grows with the history.
//!
//! - [`disklist`]: `amadmin CONFIG disklist`, what a disk's dumptype amounts to
//! - [`find`]: `amadmin CONFIG find`, which dumps are where
//! - [`getconf`]: `amgetconf CONFIG NAME`, one value

pub mod disklist;
pub mod find;
pub mod getconf;

pub use disklist::DiskEntry;
pub use find::{Found, Place};
