//! What there is of a host, for one who has not heard of it.

use wire::{HostName, Receipt};

use super::site::Site;
use crate::engine::Trouble;

/// Says of each disk of a host what its last dump is, with its chain as the volumes have it now; `FAILED` for one that was
/// dumped and of which nothing can be restored any more. Nothing is written.
///
/// # Errors
/// When the catalog cannot be read.
pub fn restate(site: &Site, host: &HostName) -> Result<Vec<Receipt>, Trouble> {
    let _ = (site, host);
    todo!()
}
