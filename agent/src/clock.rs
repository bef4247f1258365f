//! The one place that asks what time it is. Everything that decides takes the answer as a parameter.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the seconds since the epoch; negative on a machine whose clock stands before it.
pub fn now() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds),
    }
}
