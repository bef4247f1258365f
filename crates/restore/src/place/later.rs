//! Directories' attributes: last, since everything that is put into one changes its time, and one may be shut to its own owner.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use super::attributes::{self, On};
use super::dirs::Dirs;
use super::error::PutError;
use super::owners::Owners;
use super::{Remark, Rules, name};
use crate::member::{Kind, Member};

/// What the extended attributes and ACLs of all directories may take until the end.
const MAX_KEPT: usize = 64 << 20;

/// What a directory gets in the end.
#[derive(Debug)]
enum Wish {
    /// What the archive says.
    As(Box<Member>, Acls),
    /// The archive has said nothing: like the one it is in, without what that lets others write.
    LikeParent,
}

/// What ACLs one may have that no archive has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acls {
    /// None: this restore has made it.
    None,
    /// Those that it had before.
    Old,
}

/// What all of them get.
#[derive(Debug, Default)]
pub(super) struct Later {
    wishes: BTreeMap<Vec<u8>, Wish>,
    /// What their extended attributes and ACLs take.
    kept: usize,
    /// Directories whose attributes were too much.
    bare: Vec<Vec<u8>>,
    /// When those that were there, and get something put into them, were last changed. They get that again: a restore that was cut off has set what its
    /// directories have, and the one that goes on where it ended must leave them so.
    found: BTreeMap<Vec<u8>, Timespec>,
}

impl Later {
    /// A directory was made on the way to something.
    pub(super) fn made(&mut self, path: Vec<u8>) {
        self.wishes.entry(path).or_insert(Wish::LikeParent);
    }

    /// The archive has a directory.
    pub(super) fn member(&mut self, path: &[u8], member: &Member, acls: Acls) {
        let acls_take = [&member.acl_access, &member.acl_default].into_iter().flatten().map(Vec::len).sum::<usize>();
        let bytes = member.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() + acls_take;
        // The dumpdir may be long, and is not wanted any more.
        let (mtime, atime, mode, size) = (member.mtime, member.atime, member.mode, member.size);
        let (owner, group) = (member.owner.clone(), member.group.clone());
        let (xattrs, acl_access, acl_default) = if self.kept.saturating_add(bytes) > MAX_KEPT {
            self.bare.push(path.to_vec());
            (Vec::new(), None, None)
        } else {
            self.kept += bytes;
            (member.xattrs.clone(), member.acl_access.clone(), member.acl_default.clone())
        };
        let kind = Kind::Directory { dumpdir: None };
        let member = Member { path: Vec::new(), kind, mode, owner, group, mtime, atime, size, xattrs, acl_access, acl_default };
        self.wishes.insert(path.to_vec(), Wish::As(Box::new(member), acls));
    }

    /// Something is put into a directory that was there, which was last changed then; only the first word counts.
    pub(super) fn found(&mut self, path: &[u8], time: Option<Timespec>) {
        if let Some(time) = time.filter(|_| !self.knows(path) && !self.found.contains_key(path)) {
            self.found.insert(path.to_vec(), time);
        }
    }

    /// Says whether this restore is to set what a directory has.
    pub(super) fn knows(&self, path: &[u8]) -> bool {
        self.wishes.contains_key(path)
    }

    /// Sets everything, what is deepest first.
    pub(super) fn apply(&self, dirs: &mut Dirs, rules: &Rules, owners: &mut Owners) -> Vec<Remark> {
        let too_much = "its extended attributes and ACLs are not set: all directories have more of them than fit into memory";
        let mut remarks: Vec<Remark> = self.bare.iter().map(|path| Remark { at: path.clone(), what: too_much.to_owned() }).collect();
        // A path is a prefix of what is below it, so what is below it comes first.
        for (path, wish) in self.wishes.iter().rev() {
            let said = match open(dirs, path) {
                Err(error) => vec![format!("its attributes could not be set: {error}")],
                Ok(dir) => {
                    attributes::finished(&dir);
                    match wish {
                        Wish::As(member, acls) => attributes::set(&On::Open(&dir), member, rules, owners, *acls == Acls::Old),
                        Wish::LikeParent => self.like_parent(&dir, path, dirs, rules, owners),
                    }
                }
            };
            remarks.extend(said.into_iter().map(|what| Remark { at: path.clone(), what }));
        }
        for (path, time) in self.found.iter().rev().filter(|(path, _)| !self.knows(path)) {
            // Not all that is written to may be read, or is ours: then it has the time of its last change, as it would have had by any other program.
            let _as_it_is = open(dirs, path).map(|dir| {
                let same = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
                rustix::fs::futimens(&dir, &Timestamps { last_access: same, last_modification: *time })
            });
        }
        remarks
    }

    fn like_parent(&self, dir: &OwnedFd, path: &[u8], dirs: &mut Dirs, rules: &Rules, owners: &mut Owners) -> Vec<String> {
        match self.parents(path, dirs, owners) {
            Ok((user, group, mode)) => attributes::like(dir, (user, group), mode & 0o755 | 0o700, rules),
            Err(error) => vec![format!("its owner and permissions could not be set: {error}")],
        }
    }

    /// Returns the owner, group and permissions that the nearest directory above has, or gets, of which something is known.
    fn parents(&self, path: &[u8], dirs: &mut Dirs, owners: &mut Owners) -> Result<(u32, u32, u32), PutError> {
        let mut parent = path;
        loop {
            parent = name::split(parent).0;
            match self.wishes.get(parent) {
                Some(Wish::LikeParent) => {}
                Some(Wish::As(member, _)) => return Ok((owners.of(true, &member.owner), owners.of(false, &member.group), member.mode)),
                None => {
                    let cannot = PutError::of("its directory cannot be looked at");
                    let above = dirs.get(parent)?.ok_or_else(|| cannot(Errno::NOENT))?;
                    let stat = rustix::fs::fstat(&above.fd).map_err(cannot)?;
                    return Ok((stat.st_uid, stat.st_gid, stat.st_mode));
                }
            }
        }
    }
}

fn open(dirs: &mut Dirs, path: &[u8]) -> Result<OwnedFd, PutError> {
    let cannot = PutError::of("it cannot be opened");
    let dir = dirs.get(path)?.ok_or_else(|| cannot(Errno::NOENT))?;
    rustix::fs::openat(&dir.fd, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(cannot)
}
