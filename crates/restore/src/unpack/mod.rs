//! From a dump's stored bytes to the archive in it.

mod packed;

pub use self::packed::{Event, Packed};
