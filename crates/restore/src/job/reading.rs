//! Reads one dump and puts what is wanted of it where it goes.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use wire::restore::{DumpId, MAX_PATHS, PathBytes, What};

use super::absent;
use super::expect::Expect;
use super::meter::{Count, Halting, Meter};
use super::names::OtherNames;
use super::planning::name;
use super::{Failure, Outcome, Watch};
use crate::archive::{Archive, Content, Item};
use crate::depot::{Depot, DepotError, Fetch};
use crate::dumpdir::{Code, Dumpdir};
use crate::member::{Kind, Member, Piece, Pieces};
use crate::place::{Put, PutError, Target, There};
use crate::resolve::nameset::NameSet;
use crate::resolve::path::{below, cover, fits};
use crate::resolve::plan::{Goes, Part, Plan};
use crate::unpack::{Stored, unpack};

pub(super) const NOT_IN_IT: &str = "the dump that should have it does not";
pub(super) const DAMAGED: &str = "it is in a part of the dump that is damaged";

/// One dump, and everything that is needed to restore from it.
pub(super) struct Reading<'a> {
    pub dump: &'a DumpId,
    pub plan: &'a mut Plan,
    pub part: Part,
    pub target: &'a mut Target,
    pub watch: &'a mut dyn Watch,
    pub stop: &'a AtomicBool,
    pub outcome: &'a mut Outcome,
}

/// What is known of a dump while it is read.
#[derive(Default)]
pub(super) struct Seen {
    expect: Expect,
    others: OtherNames,
    pub is_damaged: bool,
}

/// Level 0 names what it was told to leave out, or could not read, as if it were in a dump below: it is not missed. Returns how many there are.
fn meet_left_out(names: &mut NameSet, dumpdir: &Dumpdir<'_>) -> u64 {
    let left_out = dumpdir.entries().filter(|entry| entry.code == Code::Unchanged);
    left_out.map(|entry| u64::from(names.is_missing(entry.name) && names.meet(entry.name))).sum()
}

impl Reading<'_> {
    /// Reads it.
    ///
    /// # Errors
    /// When the whole restore cannot go on. A dump that cannot be had is no error: what it costs is in the outcome.
    pub fn run<R: Read, W: Write>(mut self, depot: &mut Depot<R, W>, what: What) -> Result<(), Failure> {
        let mut seen = Seen::default();
        let is_whole = super::choose::is_whole(&what);
        match depot.fetch(self.dump, what) {
            Ok(fetch) => {
                self.watch.begins(self.dump, fetch.bytes());
                self.read(fetch, &mut seen, is_whole)?;
            }
            Err(error) => self.refused(error, &mut seen)?,
        }
        self.leave_out(depot, &seen)?;
        let missed = self.miss(&seen);
        for (path, is_indexed) in absent::look_up(depot, self.dump, missed)? {
            if is_indexed {
                self.outcome.missing(path, NOT_IN_IT);
            } else {
                self.outcome.absent.add(path);
            }
        }
        let others = std::mem::take(&mut seen.others);
        for some in others.groups() {
            self.other_names(depot, some)?;
        }
        Ok(())
    }

    /// Reads an answer to its end.
    fn read<R: Read, W: Write>(&mut self, fetch: Fetch<'_, R, W>, seen: &mut Seen, is_whole: bool) -> Result<(), Failure> {
        let (packing, stored) = (fetch.packing(), fetch.stored().filter(|_| is_whole));
        let count = Count::default();
        let unpacked = unpack(packing, Meter::new(fetch, &count)).map_err(Failure::Unpack)?;
        let mut archive = Archive::new(unpacked);
        let ended = self.members(&mut archive, &count, seen);
        let mut unpacked = archive.into_inner();
        let ended = match ended {
            Ok(()) if is_whole => self.behind_the_end(&mut unpacked, seen),
            ended => ended,
        };
        let ended = ended.and_then(|()| unpacked.finish().map(|(found, _)| found).map_err(Failure::Cut));
        self.outcome.fetched += count.bytes();
        let found = match ended {
            Ok(found) => found,
            // The rest was refused, and something else may be asked.
            Err(Failure::Cut(error)) => match error.downcast::<DepotError>() {
                Ok(error) => return self.refused(error, seen),
                Err(error) => return Err(Failure::Cut(error)),
            },
            Err(failure) => return Err(failure),
        };
        match stored {
            Some((crc32c, bytes)) if found != (Stored { crc32c, bytes }) && !count.has_holes() => {
                let what = format!(
                    "What came is not what was stored: {} bytes with checksum {:08x}, and the catalog has {bytes} with {crc32c:08x}.{}",
                    found.bytes,
                    found.crc32c,
                    if seen.is_damaged { "" } else { " No file is known to be damaged; compare what matters with another copy." }
                );
                self.outcome.damaged(self.dump, what, String::new());
            }
            _ => {}
        }
        Ok(())
    }

    /// Unpacks what a whole dump has behind the archive's end: nothing, when all is well. A damage there is heard before what came is believed.
    fn behind_the_end(&mut self, unpacked: &mut impl Pieces, seen: &mut Seen) -> Result<(), Failure> {
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::Stopped);
            }
            let bytes = match unpacked.fill().map_err(Failure::Cut)? {
                None => return Ok(()),
                Some(Piece::Bytes(bytes)) => bytes.len(),
                Some(Piece::Hole { why, .. }) => {
                    seen.is_damaged = true;
                    self.outcome.damaged(self.dump, format!("Behind the archive's end: {}.", why.trim_end_matches('.')), String::new());
                    continue;
                }
            };
            unpacked.consume(bytes);
        }
    }

    /// The dump, or the rest of it, cannot be had.
    pub(super) fn refused(&mut self, error: DepotError, seen: &mut Seen) -> Result<(), Failure> {
        match error {
            DepotError::No { message, hint, .. } => {
                seen.is_damaged = true;
                self.outcome.damaged(self.dump, format!("It cannot be read: {}.", message.trim_end_matches('.')), hint);
                Ok(())
            }
            error => Err(error.into()),
        }
    }

    fn members<P: Pieces>(&mut self, archive: &mut Archive<P>, count: &Count, seen: &mut Seen) -> Result<(), Failure> {
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::Stopped);
            }
            let is_doubtful = archive.in_doubt();
            match archive.next().map_err(Failure::Cut)? {
                None => return Ok(()),
                Some(Item::Damage(damage)) => {
                    seen.is_damaged = true;
                    self.outcome.damaged(self.dump, damage.to_string(), String::new());
                }
                Some(Item::Member(member, content)) => self.member(&member, content, count, seen, is_doubtful)?,
            }
            self.watch.came(count.bytes());
        }
    }

    fn member<P: Pieces>(
        &mut self,
        member: &Member,
        content: Content<'_, P>,
        count: &Count,
        seen: &mut Seen,
        is_doubtful: bool,
    ) -> Result<(), Failure> {
        let path = PathBytes::new(&member.path);
        let is_directory = matches!(member.kind, Kind::Directory { .. });
        let goes = self.part.goes(&self.plan.places, &path, is_directory);
        if let Kind::Directory { dumpdir: Some(body) } = &member.kind
            && self.part.names_are_whole
            && let Ok(dumpdir) = Dumpdir::parse(body)
        {
            self.listed(&path, &dumpdir, goes.is_some(), seen);
        }
        let Some(goes) = goes else { return Ok(()) };
        let is_expected = !self.part.names_are_whole || seen.expect.meet(&path, is_directory).unwrap_or(true);
        // Behind a damage, the content of a file may look like members.
        if is_doubtful && !is_expected {
            return Ok(());
        }
        self.part.meet(&path);
        if goes.place.is_some_and(|place| self.plan.places[place].is_filled) {
            return Ok(());
        }
        if let Kind::Link(first) = &member.kind {
            return self.link(&path, &PathBytes::new(first), goes.to, &mut seen.others);
        }
        let mut body = Halting { content, stop: self.stop, watch: &mut *self.watch, count };
        let put = self.target.put(&goes.to, member, &mut body);
        self.put(&path, goes, member, put)
    }

    /// Level 0 has a list of this directory.
    fn listed(&mut self, path: &PathBytes, dumpdir: &Dumpdir<'_>, is_wanted: bool, seen: &mut Seen) {
        if is_wanted {
            self.outcome.left_out += seen.expect.add(path, dumpdir);
        } else if let Some(dir) = self.part.dirs.get_mut(path) {
            self.outcome.left_out += meet_left_out(&mut dir.names, dumpdir);
        }
    }

    /// Counts what became of a member.
    pub(super) fn put(&mut self, path: &PathBytes, goes: Goes, member: &Member, put: Result<Put, PutError>) -> Result<(), Failure> {
        if let Some(place) = goes.place {
            self.plan.places[place].is_filled = true;
        }
        match put {
            Ok(Put::Made(remarks)) => {
                for remark in remarks {
                    self.outcome.remarks.add(format!("{:?}: {remark}.", String::from_utf8_lossy(goes.to.as_bytes())));
                }
                match member.kind {
                    Kind::File => {
                        self.outcome.files += 1;
                        self.outcome.bytes = self.outcome.bytes.saturating_add(member.size);
                    }
                    Kind::Directory { .. } => self.outcome.directories += 1,
                    _ => self.outcome.others += 1,
                }
                self.watch.made(&goes.to);
            }
            Ok(Put::Kept { .. }) if matches!(member.kind, Kind::Directory { .. }) => {}
            Ok(Put::Kept { is_same }) => {
                self.outcome.kept_different += u64::from(!is_same);
                self.outcome.kept.add(goes.to);
            }
            Ok(Put::Skipped(why)) => self.outcome.missing(path.clone(), why),
            Err(PutError::Body(_)) if self.stop.load(Ordering::Relaxed) => return Err(Failure::Stopped),
            Err(error) if error.is_final() => return Err(Failure::Full(error.to_string())),
            // A connection that is lost is told by what comes next.
            Err(PutError::Body(error)) if error.kind() != io::ErrorKind::InvalidData => return Err(Failure::Cut(error)),
            Err(error) => self.outcome.missing(path.clone(), error.to_string()),
        }
        Ok(())
    }

    /// Another name of a file that the archive had before.
    fn link(&mut self, path: &PathBytes, first: &PathBytes, to: PathBytes, others: &mut OtherNames) -> Result<(), Failure> {
        let there = self.target.is_there(&to).ok().flatten();
        if matches!(there, Some(There::Directory)) {
            self.outcome.missing(path.clone(), "a directory is in its place");
            return Ok(());
        }
        if !self.target.rules().overwrite && there.is_some() {
            self.outcome.kept_as_it_is(to);
            return Ok(());
        }
        let linked = match self.part.goes(&self.plan.places, first, false) {
            Some(goes) => self.target.link(&to, &goes.to),
            None => Err(PutError::NotMade { at: Vec::new() }),
        };
        match linked {
            Ok(Put::Made(_)) => {
                self.outcome.links += 1;
                self.watch.made(&to);
            }
            Ok(_) => self.outcome.kept_as_it_is(to),
            Err(PutError::NotMade { .. }) => others.add(first.clone(), path.clone(), to),
            Err(error) if error.is_final() => return Err(Failure::Full(error.to_string())),
            Err(error) => self.outcome.missing(path.clone(), error.to_string()),
        }
        Ok(())
    }

    /// Finds out which of the names that did not come no dump has: their directories did not come, since only names were asked for.
    fn leave_out<R: Read, W: Write>(&mut self, depot: &mut Depot<R, W>, seen: &Seen) -> Result<(), Failure> {
        let missing = self.part.dirs.iter().filter(|(_, dir)| dir.names.missing().next().is_some());
        let dirs: Vec<PathBytes> = missing.map(|(path, _)| path.clone()).collect();
        if dirs.is_empty() || seen.is_damaged || !self.part.names_are_whole {
            return Ok(());
        }
        let is_deep = !fits(&dirs);
        let of = if is_deep { cover(dirs, MAX_PATHS) } else { dirs };
        let mut left_out = 0;
        let asked = depot.directories(self.dump, &of, is_deep, |path, body| {
            if let (Some(dir), Ok(dumpdir)) = (self.part.dirs.get_mut(&path), Dumpdir::parse(body)) {
                left_out += meet_left_out(&mut dir.names, &dumpdir);
            }
        });
        self.outcome.left_out += left_out;
        match asked {
            Err(error) if !error.is_no() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Says what was wanted and did not come. Returns what a directory's list has and the dump, which is whole, has not.
    fn miss(&mut self, seen: &Seen) -> Vec<PathBytes> {
        for (path, whole) in &self.part.whole {
            if !whole.is_met && !self.plan.places[whole.to].is_filled {
                let why = if seen.is_damaged { DAMAGED.to_owned() } else { format!("it is not in {}", name(self.dump)) };
                self.outcome.missing(path.clone(), why);
            }
        }
        let of_dirs = self.part.dirs.iter().flat_map(|(path, dir)| dir.names.missing().map(|name| below(path, name)));
        let missed = of_dirs.chain(seen.expect.missing()).chain(seen.expect.missing_directories());
        if !seen.is_damaged {
            return missed.collect();
        }
        missed.for_each(|path| self.outcome.missing(path, DAMAGED));
        Vec::new()
    }
}
