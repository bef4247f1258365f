//! Where a run writes its dumps: a directory of its own on each holding disk, and one beside the volumes for those that go to none.

use std::path::{Path, PathBuf};

use amanda::conf::holding::Use;

use crate::engine::Trouble;
use crate::engine::embedded::driver::Place;
use crate::engine::embedded::site::{Site, failed};
use crate::engine::embedded::{Watch, files, locks, taper};

/// Everything that is free.
const ALL: Use = Use::AllBut(0);

/// Returns the holding disks with what of each may be used.
fn holdings(site: &Site) -> Vec<(PathBuf, Use)> {
    let uses = site.config().holdingdisks().into_iter().map(|disk| disk.uses);
    let holdings = site.holdings().iter().filter(|directory| **directory != site.straight()).cloned();
    holdings.zip(uses.chain(std::iter::repeat(ALL))).collect()
}

/// Returns the bytes that dumps may take of all holding disks together.
///
/// # Errors
/// When a file system cannot be looked at.
pub fn holding_room(site: &Site) -> Result<u64, Trouble> {
    let rooms = holdings(site).into_iter().map(|(directory, uses)| room(&directory, uses));
    rooms.sum::<Result<u64, Trouble>>()
}

/// Returns the bytes of a directory's file system that dumps may take.
fn room(directory: &Path, uses: Use) -> Result<u64, Trouble> {
    Ok(uses.room_kb(taper::room(directory)? / 1024).saturating_mul(1024))
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
    /// What of it may be used.
    uses: Use,
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
        let room = |taken: &Taken| room(&taken.above, taken.uses);
        Ok((self.holdings.iter().map(room).collect::<Result<_, _>>()?, self.beside.as_ref().map_or(Ok(0), room)?))
    }
}

/// Makes the directories of a run and marks them. Whoever calls holds the tapelist's lock. Where volumes are full there is none beside
/// them, and dumps wait on the holding disk.
pub fn take(site: &Site, stamp: &str, wants_beside: bool, watch: &dyn Watch) -> Result<Places, Trouble> {
    let take = |(above, uses): (PathBuf, Use)| {
        let directory = above.join(stamp);
        let made = files::make_below(&above, &directory).and_then(|()| locks::own_run(&directory));
        let own = made.map_err(|error| failed("cannot make", &directory, &error))?;
        files::sync_parent(&directory).map_err(|error| failed("cannot make", &directory, &error))?;
        Ok::<_, Trouble>(Taken { directory, above, uses, _own: own })
    };
    let holdings = holdings(site).into_iter().map(take).collect::<Result<Vec<_>, _>>()?;
    let beside = wants_beside.then(|| {
        let beside = site.straight();
        let made = files::make_below(site.changer().directory(), &beside);
        made.map_err(|error| failed("cannot make", &beside, &error))?;
        take((beside, ALL))
    });
    let beside = beside.and_then(|taken: Result<Taken, Trouble>| {
        taken.inspect_err(|trouble| watch.noted(&format!("no dump can go straight to a volume: {trouble}"))).ok()
    });
    Ok(Places { holdings, beside })
}
