//! Owner, permissions, extended attributes, ACLs and times, in the order in which none undoes another.
//!
//! An owner takes set-id bits and capabilities away, so it comes first; attributes need a file that may be written, so they come before the
//! permissions; an ACL's mask is in the permissions, so it follows them; and the times are last.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use amanda::escape::printable;
use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

use super::dirs::{ACL_ACCESS, ACL_DEFAULT, UNFINISHED, by_number};
use super::owners::Owners;
use super::{Rules, acl};
use crate::member::{Kind, Member};

/// The bits that let a program run as its owner, or as its group.
const SET_USER: u32 = 0o4000;
const SET_GROUP: u32 = 0o2000;

/// What gets them.
pub(super) enum On<'a> {
    /// A file or directory that is open.
    Open(&'a OwnedFd),
    /// Something else, in a directory that nobody else may enter.
    Staged(&'a OwnedFd, &'a CStr),
}

impl On<'_> {
    fn owner(&self, user: Option<u32>, group: Option<u32>) -> Result<(), Errno> {
        // The number that means "as it is" in this call is nobody's.
        if user == Some(u32::MAX) || group == Some(u32::MAX) {
            return Err(Errno::INVAL);
        }
        let (user, group) = (user.map(Uid::from_raw), group.map(Gid::from_raw));
        match self {
            Self::Open(fd) => rustix::fs::fchown(fd, user, group),
            Self::Staged(dir, name) => rustix::fs::chownat(dir, *name, user, group, AtFlags::SYMLINK_NOFOLLOW),
        }
    }

    fn attribute(&self, name: &[u8], value: &[u8]) -> Result<(), Errno> {
        match self {
            Self::Open(fd) => rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()),
            Self::Staged(dir, entry) => rustix::fs::lsetxattr(staged(dir, entry), name, value, XattrFlags::empty()),
        }
    }

    fn no_attribute(&self, name: &str) {
        let _there_may_be_none = match self {
            Self::Open(fd) => rustix::fs::fremovexattr(fd, name),
            Self::Staged(dir, entry) => rustix::fs::lremovexattr(staged(dir, entry), name),
        };
    }

    fn permissions(&self, mode: u32) -> Result<(), Errno> {
        let mode = Mode::from_raw_mode(mode & 0o7777);
        match self {
            Self::Open(fd) => rustix::fs::fchmod(fd, mode),
            Self::Staged(dir, name) => rustix::fs::chmodat(dir, *name, mode, AtFlags::empty()),
        }
    }

    fn times(&self, times: &Timestamps) -> Result<(), Errno> {
        match self {
            Self::Open(fd) => rustix::fs::futimens(fd, times),
            Self::Staged(dir, name) => rustix::fs::utimensat(dir, *name, times, AtFlags::SYMLINK_NOFOLLOW),
        }
    }
}

fn staged(dir: &OwnedFd, entry: &CStr) -> Vec<u8> {
    [by_number(dir).as_bytes(), b"/", entry.to_bytes()].concat()
}

/// Sets all of them, as far as may be; returns a remark, a clause with "its", for each that could not be set though this process may expect it.
pub(super) fn set(on: &On<'_>, member: &Member, rules: &Rules, owners: &mut Owners, has_foreign_acl: bool) -> Vec<String> {
    let mut remarks = Vec::new();
    let is_link = matches!(member.kind, Kind::Symlink(_));
    let (is_owner, is_group) = owner(on, member, rules, owners, &mut remarks);
    for (name, value) in &member.xattrs {
        attribute(on, name, value, rules, &mut remarks);
    }
    if !is_link {
        let mut mode = member.mode;
        for (bit, may, whose) in [(SET_USER, is_owner, "owner"), (SET_GROUP, is_group, "group")] {
            if mode & bit != 0 && !may {
                mode &= !bit;
                remarks.push(format!("its set-id bit was left out, since its {whose} is not the one in the dump"));
            }
        }
        noted(&mut remarks, "permissions", on.permissions(mode));
        for (words, name, what) in [(&member.acl_access, ACL_ACCESS, "ACL"), (&member.acl_default, ACL_DEFAULT, "default ACL")] {
            let is_default = name == ACL_DEFAULT;
            match words {
                Some(_) if is_default && !matches!(member.kind, Kind::Directory { .. }) => {}
                Some(words) => access(on, words, name, what, owners, &mut remarks),
                // Somebody could read it who may not by the archive.
                None if has_foreign_acl => on.no_attribute(name),
                None => {}
            }
        }
    }
    let time = |(seconds, nanoseconds): (i64, u32)| Timespec { tv_sec: seconds, tv_nsec: nanoseconds.min(999_999_999).into() };
    let as_it_is = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let times = Timestamps { last_access: member.atime.map_or(as_it_is, time), last_modification: time(member.mtime) };
    noted(&mut remarks, "time", on.times(&times));
    remarks
}

/// Takes off what says that a directory has not got its attributes.
pub(super) fn finished(dir: &OwnedFd) {
    let _there_may_be_none = rustix::fs::fremovexattr(dir, UNFINISHED);
}

/// Gives a directory owner and permissions, and nothing else.
pub(super) fn like(dir: &OwnedFd, (user, group): (u32, u32), mode: u32, rules: &Rules) -> Vec<String> {
    let (mut remarks, on) = (Vec::new(), On::Open(dir));
    if rules.as_root {
        noted(&mut remarks, "owner", on.owner(Some(user), Some(group)));
    }
    noted(&mut remarks, "permissions", on.permissions(mode));
    remarks
}

/// Sets owner and group; says which of them are those of the archive now.
fn owner(on: &On<'_>, member: &Member, rules: &Rules, owners: &mut Owners, remarks: &mut Vec<String>) -> (bool, bool) {
    let (user, group) = (owners.of(true, &member.owner), owners.of(false, &member.group));
    if rules.as_root {
        let done = on.owner(Some(user), Some(group));
        noted(remarks, "owner", done);
        return (done.is_ok(), done.is_ok());
    }
    // What an ordinary user makes is his; among his groups he may choose.
    (owners.is_me(user), owners.is_my_group(group) && on.owner(None, Some(group)).is_ok())
}

fn attribute(on: &On<'_>, name: &[u8], value: &[u8], rules: &Rules, remarks: &mut Vec<String>) {
    let is_users = name.starts_with(b"user.");
    // ACLs come as words; what else the system keeps there is its own.
    if name == UNFINISHED.as_bytes()
        || !(is_users || rules.as_root && (name.starts_with(b"trusted.") || name.starts_with(b"security.")))
        || name.contains(&0)
    {
        return;
    }
    match on.attribute(name, value) {
        // Where there is no SELinux there are no labels.
        Err(Errno::OPNOTSUPP) if name == b"security.selinux" => {}
        done => noted(remarks, &format!("attribute {}", printable(name)), done),
    }
}

fn access(on: &On<'_>, words: &[u8], name: &str, what: &str, owners: &mut Owners, remarks: &mut Vec<String>) {
    let Some(read) = acl::read(words, |is_user, name| owners.named(is_user, name)) else {
        remarks.push(format!("its {what} was left out, since it makes no sense"));
        return;
    };
    for name in read.unknown {
        remarks.push(format!("its {what} is without {}, whom this machine does not know", printable(&name)));
    }
    noted(remarks, what, on.attribute(name.as_bytes(), &read.bytes));
}

fn noted(remarks: &mut Vec<String>, what: &str, done: Result<(), Errno>) {
    if let Err(errno) = done {
        remarks.push(format!("its {what} could not be set: {}", std::io::Error::from(errno)));
    }
}
