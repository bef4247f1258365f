//! Where a run writes its dumps: a directory of its own on each holding disk.

use std::path::{Path, PathBuf};

use crate::engine::Trouble;
use crate::engine::embedded::site::{Site, failed};
use crate::engine::embedded::{files, locks};

/// The directories of a run, marked as in use for as long as this lives.
pub struct Places {
    taken: Vec<Taken>,
}

struct Taken {
    directory: PathBuf,
    _own: locks::Held,
}

impl Places {
    /// Returns the directories, in the order of the holding disks.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.taken.iter().map(|taken| &*taken.directory)
    }
}

/// Makes the directories of a run and marks them. Whoever calls holds the tapelist's lock.
pub fn take(site: &Site, stamp: &str) -> Result<Places, Trouble> {
    let taken = [site.holding()].into_iter().map(|holding| {
        let directory = holding.join(stamp);
        let made = files::make_below(&holding, &directory).and_then(|()| locks::own_run(&directory));
        let own = made.map_err(|error| failed("cannot make", &directory, &error))?;
        files::sync_parent(&directory).map_err(|error| failed("cannot make", &directory, &error))?;
        Ok(Taken { directory, _own: own })
    });
    Ok(Places { taken: taken.collect::<Result<_, Trouble>>()? })
}
