//! Dumps as they lie around, without any catalog: files, volumes in directories, directories of volumes, holding disks. All that is known of
//! them is what their headers say.
//!
//! ```text
//! scan ── group ── source ── from
//! headers   parts     chains    `asyncamanda-shim restore --from`
//!           of dumps  by date
//! ```
//!
//! [`reindex`](super::reindex) makes a catalog of the same.

pub mod from;
pub mod group;
pub mod scan;
pub mod source;
mod words;
