//! What the reader of archives and the writer of files say to each other.

use std::io;

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory; with what it had in it when the dump is GNU tar's incremental one (the body of its dumpdir).
    Directory {
        /// Codes and names, each with a NUL behind it.
        dumpdir: Option<Vec<u8>>,
    },
    /// A symbolic link to this.
    Symlink(Vec<u8>),
    /// Another name of the member that the archive had before, as the archive names it (see [`Member::path`]).
    Link(Vec<u8>),
    /// A fifo.
    Fifo,
    /// A character device: major and minor number.
    Character(u32, u32),
    /// A block device.
    Block(u32, u32),
    /// Something that no restore can make, by its type flag.
    Other(u8),
}

/// One member of an archive, as the archive has it: nothing of it is to be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, raw bytes as they are in the archive: `./a/b`, with `/` at the end for a directory, or anything that a hostile archive says.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permissions, with set-id and sticky bits.
    pub mode: u32,
    /// The owner's number, and name where there is one.
    pub owner: (u32, Vec<u8>),
    /// The group's.
    pub group: (u32, Vec<u8>),
    /// Seconds and nanoseconds since 1970 of the last change.
    pub mtime: (i64, u32),
    /// The same of the last access, where the archive has it.
    pub atime: Option<(i64, u32)>,
    /// How long the file is, holes included.
    pub size: u64,
    /// Extended attributes, names as the system has them; `security.…` and `trusted.…` too. POSIX ACLs and SELinux labels are among the others below.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// The access ACL in words, as GNU tar keeps it (`user::rw-,…`).
    pub acl_access: Option<Vec<u8>>,
    /// The default ACL of a directory.
    pub acl_default: Option<Vec<u8>>,
}

/// A regular file's content, as it comes.
pub trait Body {
    /// Returns the next piece and where in the file it belongs, ascending; nothing at the end. What lies between the pieces is a hole.
    ///
    /// # Errors
    /// When the rest is damaged or missing: the file is then not complete. The error's words say why.
    fn next(&mut self) -> io::Result<Option<(u64, &[u8])>>;
}

/// A piece of an archive that has been uncompressed.
#[derive(Debug)]
pub enum Piece<'a> {
    /// Bytes, at least one.
    Bytes(&'a [u8]),
    /// Here something is missing.
    Hole {
        /// So many bytes, when that is known.
        bytes: Option<u64>,
        /// Why, a sentence.
        why: String,
    },
}

/// An archive as it comes out of a dump: bytes, and holes where a part is damaged. Its bytes lie where they were uncompressed, so that they need not
/// be copied before they are written into a file.
pub trait Pieces {
    /// Returns what comes next; nothing at the end. Bytes are returned again until they are consumed, a hole is told once.
    ///
    /// # Errors
    /// When there can be no more of it: the connection is lost.
    fn fill(&mut self) -> io::Result<Option<Piece<'_>>>;

    /// Says that so many of the bytes that were returned last have been read.
    fn consume(&mut self, bytes: usize);
}
