//! The safe writer: puts members below one directory, and nothing anywhere else, whatever an archive says.
//!
//! ```text
//! put ── name ─── dirs ────────── file, special ── attributes ── the name
//!        parts    one open        nameless, or     owner, mode,   linkat, or a
//!                 name at a time  in a stage       xattrs, ACLs   rename that replaces nothing
//! ```
//!
//! Made to be run as root over a directory that others may write while it runs, with an archive that wants to get out. Names are refused when they could mean
//! anything else than what is below; no symbolic link is followed below the directory, whoever made it; nothing that is there is
//! opened for writing; a hard link is made only to what this restore has made; and a file has its name only when it is complete. Links on the
//! path of the directory itself are the user's.
//!
//! What is there is kept, unless [`Rules::overwrite`] says otherwise. Then a file or link replaces whatever is no directory; a directory is never
//! removed.
//!
//! Files are not synced one by one: the dump is still there when the power fails in the middle. [`Target::finish`] syncs all of it, so that a restore
//! that says done is done. When the power fails before that, a file may have its name and not its content; the next restore keeps it, and says that it is
//! not what is in the dump ([`Put::Kept`]).

mod acl;
mod attributes;
mod dirs;
mod error;
mod file;
mod flush;
mod later;
mod name;
mod owners;
mod special;
mod stage;

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;
use wire::restore::PathBytes;

use crate::member::{Body, Kind, Member};
use dirs::{Dir, Dirs, Made};
use flush::Flush;
use later::{Acls, Later};
use owners::Owners;
use stage::Stages;

pub use error::PutError;
pub use name::Fault;

/// How members are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// What is there is replaced, and directories that are there get the archive's owner, permissions and so on.
    pub overwrite: bool,
    /// As root may: owners, device nodes, all attributes. Otherwise what an ordinary user may have, and no word about the rest.
    pub as_root: bool,
    /// Owners by number alone. Otherwise by name where this machine has the name, as GNU tar does.
    pub numeric: bool,
    /// What was written is waited for in the end, until it is on the disks: all that is written to these file systems at that moment.
    pub sync: bool,
}

impl Rules {
    /// Returns those of this process: nothing is replaced; as root when it is root; synced.
    pub fn of_this_process() -> Self {
        Self { overwrite: false, as_root: nix::unistd::geteuid().is_root(), numeric: false, sync: true }
    }
}

/// What became of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// It is there now. Remarks are clauses that begin with "its": what could not be set.
    Made(Vec<String>),
    /// Something is there already and was left alone: of the same kind, size, time and so on, or not. A directory is used.
    Kept {
        /// It looks like the member.
        is_same: bool,
    },
    /// It is nothing that this user, or any restore, can make: a clause says why.
    Skipped(String),
}

/// What is under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum There {
    /// A regular file.
    File {
        /// Its bytes.
        size: u64,
        /// Seconds since 1970 of its last change.
        mtime: i64,
    },
    /// A directory.
    Directory,
    /// Anything else; a symbolic link is not followed.
    Other,
}

/// Something about a directory that could not be set in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Which, below the target.
    pub at: Vec<u8>,
    /// What, a clause that begins with "its".
    pub what: String,
}

/// How a restore ended.
#[derive(Debug)]
pub struct Finished {
    /// What directories have not got.
    pub remarks: Vec<Remark>,
    /// The system could not make sure of what was written: some of it may be lost.
    pub unsure: Option<io::Error>,
}

/// A directory below which members are put.
#[derive(Debug)]
pub struct Target {
    rules: Rules,
    dirs: Dirs,
    stages: Stages,
    later: Later,
    flush: Flush,
    owners: Owners,
    /// Hashes of the paths that this restore has made, directories apart: some 16 bytes for each.
    made: HashSet<u64>,
    hasher: RandomState,
    /// Open files can be named by their number.
    has_proc: bool,
}

/// Where something is put.
struct Place<'a> {
    dir: Arc<Dir>,
    name: &'a [u8],
    there: Option<Stat>,
}

impl Target {
    /// Opens a directory that is there, and takes away what killed restores of this account left in it.
    ///
    /// # Errors
    /// When it is none, or may not be entered.
    pub fn open(directory: &Path, rules: Rules) -> Result<Self, PutError> {
        let root = dirs::target(directory).map_err(PutError::of("the directory cannot be opened"))?;
        stage::sweep(&root);
        Ok(Self {
            rules,
            dirs: Dirs::new(root, rules.as_root),
            stages: Stages::default(),
            later: Later::default(),
            flush: Flush::default(),
            owners: Owners::new(!rules.numeric),
            made: HashSet::new(),
            hasher: RandomState::new(),
            has_proc: Path::new("/proc/self/fd").is_dir(),
        })
    }

    /// Returns how members are put.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Puts a member at a path below the directory; the member's own name does not count. Directories on the way are made.
    /// Content is read only when the member is a file that is not kept. An empty path is the directory itself.
    ///
    /// # Errors
    /// [`PutError`]; nothing has the name then that had it not before.
    pub fn put(&mut self, at: &PathBytes, member: &Member, body: &mut dyn Body) -> Result<Put, PutError> {
        let at = at.as_bytes();
        name::parts(at)?;
        match member.kind {
            Kind::Directory { .. } => return self.directory(at, member),
            Kind::Character(..) | Kind::Block(..) if !self.rules.as_root => {
                return Ok(Put::Skipped("it is a device node, which only root may make".to_owned()));
            }
            Kind::Link(_) => return Ok(Put::Skipped("it is another name of a file, and which one is not known".to_owned())),
            Kind::Other(flag) => {
                return Ok(Put::Skipped(format!("it is something that cannot be made (type {})", flag.escape_ascii())));
            }
            _ => {}
        }
        let place = self.place(at)?;
        if let Some(stat) = &place.there
            && !self.rules.overwrite
        {
            return Ok(Put::Kept { is_same: is_same(&place, stat, member) });
        }
        let replace = self.rules.overwrite;
        let done = match member.kind {
            Kind::File => self.file(&place.dir, place.name, member, body, replace && place.there.is_some()),
            _ => self.special(&place, member, replace && place.there.is_some()),
        };
        match done {
            Ok(Some(remarks)) => {
                self.made.insert(self.hasher.hash_one(at));
                if self.rules.sync {
                    self.flush.wrote(member.size, &self.dirs.root);
                }
                Ok(Put::Made(remarks))
            }
            Ok(None) => Ok(Put::Kept { is_same: false }),
            Err(PutError::System { source, .. }) if is_node(&member.kind) && source.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
                Ok(Put::Skipped("it is a device node, which may not be made here".to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    /// Gives a file that this restore has put another name.
    ///
    /// # Errors
    /// [`PutError::NotMade`] when it has not put it: the content has to be fetched, then. Others as [`Target::put`].
    pub fn link(&mut self, at: &PathBytes, existing: &PathBytes) -> Result<Put, PutError> {
        let (at, existing) = (at.as_bytes(), existing.as_bytes());
        name::parts(at)?;
        name::parts(existing)?;
        let not_made = || PutError::NotMade { at: existing.to_vec() };
        if !self.made.contains(&self.hasher.hash_one(existing)) {
            return Err(not_made());
        }
        let place = self.place(at)?;
        let (parent, name) = name::split(existing);
        let from = self.dirs.get(parent)?.ok_or_else(not_made)?;
        let original = from.look(name)?.ok_or_else(not_made)?;
        if let Some(there) = &place.there {
            let is_same = (there.st_dev, there.st_ino) == (original.st_dev, original.st_ino);
            if is_same || !self.rules.overwrite {
                return Ok(Put::Kept { is_same });
            }
        }
        if !self.other_name(&place, (&from, name), place.there.is_some())? {
            return Ok(Put::Kept { is_same: false });
        }
        self.made.insert(self.hasher.hash_one(at));
        Ok(Put::Made(Vec::new()))
    }

    /// Says what is at a path, so that nobody need fetch what is there.
    ///
    /// # Errors
    /// When that cannot be found out: something is on the way.
    pub fn is_there(&mut self, at: &PathBytes) -> Result<Option<There>, PutError> {
        let at = at.as_bytes();
        if name::parts(at)?.is_empty() {
            return Ok(Some(There::Directory));
        }
        let (parent, name) = name::split(at);
        let Some(dir) = self.dirs.get(parent)? else { return Ok(None) };
        Ok(dir.look(name)?.map(|stat| match kind(&stat) {
            FileType::RegularFile => There::File { size: u64::try_from(stat.st_size).unwrap_or(0), mtime: seconds(&stat) },
            FileType::Directory => There::Directory,
            _ => There::Other,
        }))
    }

    /// Sets what directories have, deepest first, and syncs all that was written. To be called also after a restore that was cut off: without it
    /// directories stay shut to everybody else, until another restore comes and goes on in them.
    pub fn finish(mut self) -> Finished {
        self.stages = Stages::default();
        let remarks = self.later.apply(&mut self.dirs, &self.rules, &mut self.owners);
        let synced = self.flush.finish().and_then(|()| if self.rules.sync { self.dirs.sync() } else { Ok(()) });
        let unsure = synced.err().map(io::Error::from);
        Finished { remarks, unsure }
    }

    /// Finds where something goes. What is there is no directory.
    fn place<'a>(&mut self, at: &'a [u8]) -> Result<Place<'a>, PutError> {
        if at.is_empty() {
            return Err(PutError::Directory);
        }
        let (parent, name) = name::split(at);
        let dir = self.way(parent)?;
        let there = dir.look(name)?;
        if there.is_none() {
            self.later.found(parent, dir.changed());
        }
        match &there {
            Some(stat) if kind(stat) == FileType::Directory => Err(PutError::Directory),
            _ => Ok(Place { dir, name, there }),
        }
    }

    /// Opens a directory, and makes what is missing of its path.
    fn way(&mut self, path: &[u8]) -> Result<Arc<Dir>, PutError> {
        let mut made = Made::default();
        let dir = self.dirs.make(path, &mut made);
        made.into.into_iter().for_each(|(path, time)| self.later.found(&path, time));
        made.paths.into_iter().for_each(|path| self.later.made(path));
        dir
    }

    fn directory(&mut self, at: &[u8], member: &Member) -> Result<Put, PutError> {
        if !at.is_empty() {
            let (parent, name) = name::split(at);
            let above = self.way(parent)?;
            if self.rules.overwrite
                && let Some(stat) = above.look(name)?
                && kind(&stat) != FileType::Directory
            {
                rustix::fs::unlinkat(&above.fd, name, AtFlags::empty()).map_err(PutError::of("what is in its way cannot be removed"))?;
            }
        }
        let was_known = self.later.knows(at);
        let dir = self.way(at)?;
        if self.later.knows(at) {
            self.later.member(at, member, if dir.is_made { Acls::None } else { Acls::Old });
            return Ok(if was_known { Put::Kept { is_same: true } } else { Put::Made(Vec::new()) });
        }
        if self.rules.overwrite {
            self.later.member(at, member, Acls::Old);
        }
        Ok(Put::Kept { is_same: true })
    }
}

fn is_node(member: &Kind) -> bool {
    matches!(member, Kind::Character(..) | Kind::Block(..))
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn seconds(stat: &Stat) -> i64 {
    #[expect(clippy::useless_conversion, reason = "its type differs among systems")]
    stat.st_mtime.try_into().unwrap_or(0)
}

/// Says whether what is there looks like the member.
fn is_same(place: &Place<'_>, stat: &Stat, member: &Member) -> bool {
    match (&member.kind, kind(stat)) {
        (Kind::File, FileType::RegularFile) => u64::try_from(stat.st_size) == Ok(member.size) && seconds(stat) == member.mtime.0,
        (Kind::Symlink(to), FileType::Symlink) => {
            rustix::fs::readlinkat(&place.dir.fd, place.name, Vec::new()).is_ok_and(|there| there.to_bytes() == to)
        }
        (Kind::Fifo, FileType::Fifo) => true,
        (Kind::Character(major, minor), FileType::CharacterDevice) | (Kind::Block(major, minor), FileType::BlockDevice) => {
            stat.st_rdev == rustix::fs::makedev(*major, *minor)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
