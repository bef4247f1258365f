//! From headers to a member.

use super::header::Head;
use super::pax::{Extension, Sparse};
use crate::member::{Kind, Member};

/// What GNU tar's own format says of long names, in headers before the member's.
#[derive(Debug, Default)]
pub(super) struct Long {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
}

impl Long {
    pub fn is_empty(&self) -> bool {
        self.path.is_none() && self.link.is_none()
    }
}

/// Makes a member. What extended headers say goes before what the header says.
pub(super) fn make(head: &Head<'_>, extension: Extension, long: Long, sparse: &Sparse) -> Member {
    let path = sparse.name.clone().or(extension.path).or(long.path).unwrap_or_else(|| head.path());
    let link = || extension.link.or(long.link).unwrap_or_else(|| head.link());
    let number = |number: std::io::Result<Option<u32>>| number.ok().flatten().unwrap_or(0);
    let device = || (number(head.header.device_major()), number(head.header.device_minor()));
    let kind = match head.flag {
        0 | b'0' | b'7' if path.ends_with(b"/") => Kind::Directory { dumpdir: extension.dumpdir },
        0 | b'0' | b'7' | b'S' => Kind::File,
        b'1' => Kind::Link(link()),
        b'2' => Kind::Symlink(link()),
        b'3' => Kind::Character(device().0, device().1),
        b'4' => Kind::Block(device().0, device().1),
        b'5' | b'D' => Kind::Directory { dumpdir: extension.dumpdir },
        b'6' => Kind::Fifo,
        other => Kind::Other(other),
    };
    let size = match (&kind, head.flag) {
        (Kind::File, b'S') => head.header.as_gnu().and_then(|gnu| gnu.real_size().ok()).unwrap_or(0),
        (Kind::File, _) => sparse.size.or(extension.size).unwrap_or(head.size),
        _ => 0,
    };
    let owner = |number: Option<u64>, said: Option<u64>| {
        // What is no number, or none of this system's, is nobody's: -1, which leaves the owner of a file as it is.
        number.or(said).and_then(|number| u32::try_from(number).ok()).unwrap_or(u32::MAX)
    };
    let text = |name: Option<Vec<u8>>, said: Option<&[u8]>| name.unwrap_or_else(|| said.unwrap_or_default().to_vec());
    let mut xattrs = extension.xattrs;
    // With --xattrs-include=* GNU tar has ACLs twice.
    xattrs.retain(|(name, _)| match name.as_slice() {
        b"system.posix_acl_access" => extension.acl_access.is_none(),
        b"system.posix_acl_default" => extension.acl_default.is_none(),
        _ => true,
    });
    Member {
        path,
        kind,
        mode: head.header.mode().unwrap_or(0) & 0o7777,
        owner: (owner(extension.uid, head.header.uid().ok()), text(extension.uname, head.header.username_bytes())),
        group: (owner(extension.gid, head.header.gid().ok()), text(extension.gname, head.header.groupname_bytes())),
        mtime: extension.mtime.unwrap_or_else(|| (head.mtime(), 0)),
        atime: extension.atime.or_else(|| head.atime().map(|atime| (atime, 0))),
        size,
        xattrs,
        acl_access: extension.acl_access,
        acl_default: extension.acl_default,
    }
}
