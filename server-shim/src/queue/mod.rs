//! The queue: tickets on disk, and whose turn it is.
//!
//! [`ticket`] is the small file, [`spool`] the directory, [`order`] the decision.

pub mod order;
pub mod spool;
pub mod ticket;
