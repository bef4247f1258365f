//! Archives that GNU tar makes here, read back: all of its formats, incremental ones, and damaged ones.

mod damage;
mod formats;
mod incremental;
mod reading;
mod tree;
