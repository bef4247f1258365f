//! Where a run writes its dumps: a directory of its own on each holding disk, and one beside the volumes for those that go to none.

use std::path::{Path, PathBuf};

use crate::engine::Trouble;
use crate::engine::embedded::driver::Place;
use crate::engine::embedded::driver::room::allowed;
use crate::engine::embedded::site::{Site, failed};
use crate::engine::embedded::{files, locks, taper};

/// The directory beside the volumes. A changer knows only its slots.
const BESIDE: &str = ".asyncamanda-dumps";

/// Returns the directories that runs make their own in: those of the holding disks, and the one beside the volumes, which is made when it
/// is needed.
pub fn roots(site: &Site) -> Vec<PathBuf> {
    holdings(site).into_iter().map(|(directory, _)| directory).chain([beside(site)]).collect()
}

/// Returns the holding disks with their `use` in KiB.
fn holdings(site: &Site) -> Vec<(PathBuf, i64)> {
    vec![(site.holding(), 0)]
}

fn beside(site: &Site) -> PathBuf {
    site.changer().directory().join(BESIDE)
}

/// The directories of a run, marked as in use for as long as this lives.
pub struct Places {
    holdings: Vec<Taken>,
    beside: Option<Taken>,
}

struct Taken {
    directory: PathBuf,
    /// The file system that it is on has this directory, too.
    above: PathBuf,
    /// As `use` of a holding disk.
    use_kib: i64,
    _own: locks::Held,
}

impl Places {
    /// Returns the directories, in the order of the holding disks.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.holdings.iter().chain(&self.beside).map(|taken| &*taken.directory)
    }

    /// Returns the directory of a place; none of one that this run has not taken.
    pub fn of(&self, place: Place) -> Option<&Path> {
        let taken = match place {
            Place::Holding(at) => self.holdings.get(at),
            Place::Beside => self.beside.as_ref(),
        };
        taken.map(|taken| &*taken.directory)
    }

    /// Returns the bytes that dumps may take now: on each holding disk, and beside the volumes, where that was taken.
    ///
    /// # Errors
    /// When a file system cannot be looked at.
    pub fn room(&self) -> Result<(Vec<u64>, u64), Trouble> {
        let room = |taken: &Taken| Ok::<_, Trouble>(allowed(taken.use_kib, taper::room(&taken.above)?));
        Ok((self.holdings.iter().map(room).collect::<Result<_, _>>()?, self.beside.as_ref().map_or(Ok(0), room)?))
    }
}

/// Makes the directories of a run and marks them. Whoever calls holds the tapelist's lock.
pub fn take(site: &Site, stamp: &str, wants_beside: bool) -> Result<Places, Trouble> {
    let take = |(above, use_kib): (PathBuf, i64)| {
        let directory = above.join(stamp);
        let made = files::make_below(&above, &directory).and_then(|()| locks::own_run(&directory));
        let own = made.map_err(|error| failed("cannot make", &directory, &error))?;
        files::sync_parent(&directory).map_err(|error| failed("cannot make", &directory, &error))?;
        Ok::<_, Trouble>(Taken { directory, above, use_kib, _own: own })
    };
    let holdings = holdings(site).into_iter().map(take).collect::<Result<_, _>>()?;
    let beside = wants_beside.then(|| {
        let beside = beside(site);
        let made = files::make_below(site.changer().directory(), &beside);
        made.map_err(|error| failed("cannot make", &beside, &error))?;
        take((beside, 0))
    });
    Ok(Places { holdings, beside: beside.transpose()? })
}
