//! What of which dump: decisions on values, nothing here asks or reads.

mod moves;
pub(crate) mod nameset;
pub(crate) mod path;
pub(crate) mod plan;
pub(crate) mod records;
mod state;
pub(crate) mod walk;
pub(crate) mod wanted;

pub use self::state::{NoState, State, state_at};
