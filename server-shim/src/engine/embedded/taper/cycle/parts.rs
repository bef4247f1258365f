//! A dump goes to volumes, part by part.

use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Instant;

use amanda::conf::rules::Split;
use amanda::crc::Crc;
use amanda::holding::unfinished;
use amanda::run_log::write::{Entry, Shelf, Statistics};

use super::begin::{free, words};
use super::extent::{BLOCK, Extent, Room, extent};
use super::{Denied, Run, named};
use crate::engine::Trouble;
use crate::engine::embedded::files;
use crate::engine::embedded::holding::{Held, Reader};
use crate::engine::embedded::site::{Site, failed};

/// So much is copied at once.
const PIECE: usize = 256 * 1024;

/// A dump on its way.
struct Way<'a> {
    held: &'a Held,
    /// The longest part, in bytes.
    part: Option<u64>,
    splits: bool,
    /// Parts that are on volumes.
    parts: u32,
    /// Bytes that are.
    bytes: u64,
    /// The checksum of these, when all of them were copied.
    crc: Option<u32>,
    began: Instant,
}

/// What became of a part.
enum Part {
    /// So many bytes of it are file number…
    Written(u64, u32, bool),
    /// Nothing of it: this volume takes no more.
    VolumeFailed(String),
    /// The dump cannot be read.
    Unreadable(String),
}

/// Returns how a dump is split; one of a disk that is listed no more, as the tapetype says.
pub(super) fn split(site: &Site, held: &Held) -> Split {
    let how = site.disk(&held.header.dle).and_then(|disk| disk.how(site.config()));
    how.map_or_else(|| site.config().part_kb().map_or(Split::AtEnd, Split::Parts), |how| how.split())
}

impl Run<'_> {
    /// Puts a dump on volumes, and off the holding disk when all of it is there. `waiting` is how much waits in all.
    pub(super) fn dump(&mut self, held: &Held, waiting: u64) -> Result<(), Trouble> {
        let (splits, part) = match split(self.site, held) {
            Split::No => (false, None),
            Split::AtEnd => (true, None),
            Split::Parts(kb) => (true, Some(kb.saturating_mul(1024))),
        };
        let mut way = Way { held, part, splits, parts: 0, bytes: 0, crc: Some(0), began: Instant::now() };
        let total = held.length.saturating_sub(BLOCK);
        let empty = Room { length: self.settings.length, used: BLOCK, free: u64::MAX, is_fresh: true };
        let never = || Denied {
            why: format!("it does not fit on an empty volume of {} KiB, and may not be split", empty.length / 1024),
            by_config: false,
            is_early: false,
        };
        if extent(&empty, total, way.part, way.splits) == Extent::Never {
            // No volume is begun for it.
            return self.stays(held, 0, 0, 0.0, &never());
        }
        loop {
            let Some(room) = self.room() else {
                let was_out = self.out.is_some();
                match self.begin(waiting.saturating_sub(way.bytes), way.bytes)? {
                    Ok(()) => continue,
                    // As in Amanda's log: only the dump that asked in vain for one more volume has a line of its own.
                    Err(denied) if way.parts == 0 && (was_out || self.count == 0) => {
                        self.waits(held, &denied);
                        return Ok(());
                    }
                    Err(denied) => return self.stays(held, way.parts, way.bytes, way.secs(), &denied),
                }
            };
            let left = total - way.bytes;
            let renamed = extent(&Room { free: u64::MAX, ..room }, left, way.part, way.splits) == Extent::Rest && self.is_renamed(&way);
            let extent = if renamed { Extent::Rest } else { extent(&room, left, way.part, way.splits) };
            let most = match extent {
                Extent::Rest => left,
                Extent::Part(bytes) | Extent::Last(bytes) => bytes,
                Extent::Nothing => {
                    self.close()?;
                    continue;
                }
                Extent::Never => {
                    return self.stays(held, way.parts, way.bytes, way.secs(), &never());
                }
            };
            let began = Instant::now();
            match self.part(&mut way, most, renamed) {
                Part::Written(bytes, file, is_cut) => {
                    self.part_done(&mut way, bytes, file, began)?;
                    if way.bytes == total {
                        return self.done(&way);
                    }
                    if is_cut || matches!(extent, Extent::Last(_)) {
                        self.close()?;
                    }
                }
                Part::VolumeFailed(why) => {
                    let label = self.volume.as_ref().map(|volume| volume.label.clone()).unwrap_or_default();
                    self.watch.noted(&format!("the volume {label} takes no more: {why}"));
                    self.add(&Entry::Info("taper", &format!("Will request retry of failed split part: {why}")))?;
                    self.close()?;
                }
                Part::Unreadable(why) => {
                    return self.stays(held, way.parts, way.bytes, way.secs(), &Denied { why, by_config: false, is_early: false });
                }
            }
        }
    }

    /// Returns what the volume that is written to has room for.
    fn room(&self) -> Option<Room> {
        let volume = self.volume.as_ref()?;
        Some(Room { length: self.settings.length, used: volume.bytes, free: free(&volume.volume), is_fresh: volume.last == 0 })
    }

    /// Says whether all of a dump is one file on the volume's file system: it needs no copy then, and no room.
    fn is_renamed(&self, way: &Way<'_>) -> bool {
        let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
        let volume = self.volume.as_ref().and_then(|volume| device(volume.volume.directory()));
        way.parts == 0 && way.held.chunks.len() == 1 && volume.is_some() && device(&way.held.path) == volume
    }

    /// Writes a part of at most so many bytes.
    fn part(&self, way: &mut Way<'_>, most: u64, is_renamed: bool) -> Part {
        let Some(volume) = &self.volume else { return Part::VolumeFailed("there is none".to_owned()) };
        let header = way.held.header.as_part(way.parts + 1);
        if is_renamed {
            way.crc = None;
            return match volume.volume.take(&way.held.path, &header) {
                Ok(file) => Part::Written(most, file.number, false),
                Err(error) => Part::VolumeFailed(words(&error)),
            };
        }
        let mut new = match volume.volume.begin() {
            Ok(new) => new,
            Err(error) => return Part::VolumeFailed(words(&error)),
        };
        let mut reader = match Reader::behind(way.held, way.bytes) {
            Ok(reader) => reader.take(most),
            Err(error) => return Part::Unreadable(format!("{} cannot be read: {error}", way.held.path.display())),
        };
        let mut crc = way.crc;
        let mut piece = vec![0; PIECE];
        let mut is_cut = false;
        while new.bytes() < most {
            let read = match reader.read(&mut piece) {
                Ok(0) => return Part::Unreadable(format!("{} is shorter than its header says", way.held.path.display())),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Part::Unreadable(format!("{} cannot be read: {error}", way.held.path.display())),
            };
            if let Err(error) = new.write_all(&piece[..read]) {
                // As at the volume's end: what has been written is a part.
                let whole = new.bytes() / BLOCK * BLOCK;
                if !is_full(&error) || !way.splits || whole == 0 {
                    return Part::VolumeFailed(format!("cannot write {}: {error}", new.path().display()));
                }
                if let Err(error) = new.cut(whole) {
                    return Part::VolumeFailed(words(&error));
                }
                self.watch.noted(&format!("the volume {} takes no more: {error}", volume.label));
                crc = None;
                is_cut = true;
                break;
            }
            crc = crc.map(|crc| crc32c::crc32c_append(crc, &piece[..read]));
        }
        let bytes = new.bytes();
        match new.finish(&header) {
            Ok(file) => {
                way.crc = crc;
                Part::Written(bytes, file.number, is_cut)
            }
            Err(error) => Part::VolumeFailed(words(&error)),
        }
    }

    /// A part is on the volume.
    fn part_done(&mut self, way: &mut Way<'_>, bytes: u64, file: u32, began: Instant) -> Result<(), Trouble> {
        way.parts += 1;
        way.bytes += bytes;
        let Some(volume) = &mut self.volume else { return Ok(()) };
        volume.bytes = volume.bytes.saturating_add(bytes + BLOCK);
        volume.written = volume.written.saturating_add(bytes);
        volume.last = file;
        let label = volume.label.clone();
        let (storage, pool) = self.shelf.clone();
        let shelf = Shelf { storage: &storage, pool: &pool };
        let (dump, _) = named(way.held);
        let statistics = Statistics { secs: began.elapsed().as_secs_f64(), bytes, orig_kb: way.held.header.orig_kb.unwrap_or(0) };
        self.add(&Entry::Part { dump, shelf, label: &label, file, part: way.parts, statistics })
    }

    /// All of a dump is on volumes.
    fn done(&mut self, way: &Way<'_>) -> Result<(), Trouble> {
        let held = way.held;
        let read = way.crc.map(|crc| Crc { crc, bytes: way.bytes });
        if let (Some(read), Some(server)) = (read, held.header.server.filter(Crc::is_known))
            && read != server
        {
            let why = format!("source server crc ({read}) and input server crc ({server}) differ)");
            return self.stays(held, way.parts, way.bytes, way.secs(), &Denied { why, by_config: false, is_early: false });
        }
        let (storage, pool) = self.shelf.clone();
        let shelf = Shelf { storage: &storage, pool: &pool };
        let (dump, sums) = named(held);
        let statistics = Statistics { secs: way.secs(), bytes: way.bytes, orig_kb: held.header.orig_kb.unwrap_or(0) };
        self.add(&Entry::Done(dump, shelf, way.parts, sums, statistics, true))?;
        remove(held).map_err(|error| failed("cannot remove", &held.path, &error))
    }
}

impl Way<'_> {
    fn secs(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// Removes a dump from the holding disk. One in chunks is unfinished first, so that what a killed call leaves is taken away.
pub(super) fn remove(held: &Held) -> io::Result<()> {
    let Some((first, later)) = held.chunks.split_first() else { return Ok(()) };
    if later.is_empty() {
        return files::remove(first);
    }
    let beside = first.with_file_name(unfinished(first.file_name().unwrap_or_default()));
    match fs::rename(first, &beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    later.iter().try_for_each(|chunk| files::remove(chunk))?;
    files::remove(&beside)
}
