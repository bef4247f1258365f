//! A run.

use wire::Receipt;

use super::site::Site;
use super::{Link, Order, Watch};
use crate::engine::Trouble;

/// Makes the dumps that were asked for, puts them on volumes, and says what it has of each disk. A disk that fails stops no other.
///
/// # Errors
/// When no disk can be dumped at all: nothing was begun.
pub fn run(
    site: &Site,
    id: &str,
    orders: &[Order],
    link: &dyn Link,
    watch: &dyn Watch,
    clock: &(dyn Fn() -> i64 + Sync),
) -> Result<Vec<Receipt>, Trouble> {
    let _ = (site, id, orders, link, watch, clock);
    todo!()
}
