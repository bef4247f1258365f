//! From dumps to files: which member of which dump, and safely into a directory.
//!
//! ```text
//! depot ── unpack ── archive ──────── job ─────── place
//! asks for  gzip,     members of      what of      one file at a time, below one
//! dumps     zstd,     GNU tar's       which dump   directory, whatever the archive says
//!           frames    archives        (resolve)
//! ```
//!
//! Used by the agent over a session or in a local vault, and by the shim on the server. Nothing in a dump ever names a program: what is
//! compressed is uncompressed here.

pub mod archive;
pub mod depot;
pub mod dumpdir;
pub mod job;
pub mod member;
pub mod place;
pub mod resolve;
pub mod unpack;
pub mod when;
