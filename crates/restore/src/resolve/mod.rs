//! What of which dump: decisions on values, nothing here asks or reads.

mod state;

pub use self::state::{NoState, State, state_at};
