//! Reads an archive: from its bytes, and holes in them, to members.
//!
//! What GNU tar writes is read, in all its formats: v7, ustar, its own and posix, with long names, nanoseconds, extended attributes, ACLs and labels, files
//! with holes (its old format and pax 0.0, 0.1 and 1.0), and the dumpdirs of incremental archives. Members that mean something else (parts of a
//! multi-volume archive, its label, …) come as [`Kind::Other`](crate::member::Kind::Other). Two blocks of zeros are the end; what lies behind them is padding.
//!
//! ```text
//! Pieces ── feed ── header, pax, sparse ── group ── Item::Member, content
//!           blocks  what they say          one member's headers
//!              └─── damage ── resync ───────────── Item::Damage
//! ```
//!
//! **Damage**: a member that a hole lies in gives an error from its content, and what was lost is told before the next member. When it is known where
//! the next one begins, nothing else is lost. Otherwise blocks are passed over until one looks like a header. A file's own content may look like
//! one, when somebody put an archive into it: see [`Archive::in_doubt`].
//!
//! The archive is hostile: what it says is taken into memory only as it really comes, and not beyond the limits in `group.rs`. Nothing is believed of a name; that
//! is the matter of whoever writes files.

mod content;
mod damage;
mod feed;
mod group;
mod header;
mod member;
mod pax;
mod resync;
mod sparse;

use std::io;

pub use self::content::Content;
pub use self::damage::Damage;
use self::feed::{Feed, Got, Hole};
use self::group::Step;
use self::pax::Extension;
use self::sparse::Extents;
use crate::member::{Member, Pieces};

/// What comes next of an archive.
#[derive(Debug)]
pub enum Item<'a, P> {
    /// A member, and its content when it is a regular file. What is not read of it is passed over.
    Member(Box<Member>, Content<'a, P>),
    /// Something was lost before the next member.
    Damage(Damage),
}

/// A reader of archives.
#[derive(Debug)]
pub struct Archive<P> {
    feed: Feed<P>,
    /// What holds for all members.
    global: Extension,
    body: Body,
    /// What was lost and has not been told.
    pending: Option<Damage>,
    /// The next header must be looked for.
    lost: bool,
    /// The next header has been found, and is the last block that was read.
    found: bool,
    ended: bool,
    /// Where the headers of the current member begin.
    begins: u64,
    /// Whether members had extended headers, and whether some had none: in the first kind of archive none goes without.
    seen: (bool, bool),
    in_doubt: bool,
}

/// What is left of the member that was returned last.
#[derive(Debug, Default)]
struct Body {
    path: Vec<u8>,
    /// Bytes in the archive, with what fills the last block.
    left: u64,
    extents: Extents,
    /// Why it is not whole.
    broken: Option<String>,
}

impl<P: Pieces> Archive<P> {
    /// Reads an archive from its beginning on.
    pub fn new(pieces: P) -> Self {
        Self {
            feed: Feed::new(pieces),
            global: Extension::default(),
            body: Body::default(),
            pending: None,
            lost: false,
            found: false,
            ended: false,
            begins: 0,
            seen: (false, false),
            in_doubt: false,
        }
    }

    /// Returns what comes next; nothing at the end.
    ///
    /// # Errors
    /// When there can be no more of the archive: the connection is lost.
    #[allow(clippy::should_implement_trait, reason = "an item borrows the archive, as no iterator's may")]
    pub fn next(&mut self) -> io::Result<Option<Item<'_, P>>> {
        self.leave()?;
        if self.lost {
            self.resync()?;
        }
        if let Some(damage) = self.pending.take() {
            return Ok(Some(Item::Damage(damage)));
        }
        if self.ended {
            return Ok(None);
        }
        match self.group()? {
            Step::Member(member) => Ok(Some(Item::Member(member, Content::new(self)))),
            Step::End => {
                self.ended = true;
                Ok(self.pending.take().map(Item::Damage))
            }
            Step::Lost => self.again(),
        }
    }

    fn again(&mut self) -> io::Result<Option<Item<'_, P>>> {
        self.leave()?;
        if self.lost {
            self.resync()?;
        }
        Ok(self.pending.take().map(Item::Damage))
    }

    /// Says whether the members that come now were found by looking for them behind a damage. A file's content may look like members; those that are expected
    /// (by a dumpdir or an index) are the ones to believe.
    pub fn in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Returns where in the archive the headers of the member that was returned last begin; as long as nothing of unknown length is missing.
    pub fn begins(&self) -> u64 {
        self.begins
    }

    /// Returns what the archive is read from, for what is left there behind its end.
    pub fn into_inner(self) -> P {
        self.feed.into_inner()
    }

    /// Passes over what is left of the current member.
    fn leave(&mut self) -> io::Result<()> {
        while self.body.left > 0 {
            let mut left = self.body.left;
            let got = self.feed.skip(&mut left)?;
            self.body.left = left;
            match got {
                Got::Bytes(()) => {}
                Got::Hole(hole) => self.hole_in_body(hole),
                Got::End => self.end_in_body(),
            }
        }
        Ok(())
    }

    /// The current member has a hole, and with it everything up to its end.
    fn hole_in_body(&mut self, hole: Hole) {
        let inside = hole.bytes.filter(|bytes| *bytes <= self.body.left);
        let damage = Damage { bytes: hole.bytes, names: vec![self.body.path.clone()], others: inside.is_none(), ..Damage::new(hole.why) };
        match inside {
            Some(bytes) => self.body.left -= bytes,
            None => {
                self.body.left = 0;
                self.lost = true;
            }
        }
        self.body.broken.get_or_insert_with(|| damage.why.clone());
        self.damaged(damage);
    }

    /// The archive ends in the middle of the current member.
    fn end_in_body(&mut self) {
        let damage =
            Damage { names: vec![self.body.path.clone()], others: true, ..Damage::new("the archive ends in the middle of a member") };
        self.body.left = 0;
        self.body.broken.get_or_insert_with(|| damage.why.clone());
        self.ended = true;
        self.damaged(damage);
    }

    /// Keeps a damage until it is told.
    fn damaged(&mut self, damage: Damage) {
        match &mut self.pending {
            Some(pending) => pending.add(&damage),
            None => self.pending = Some(damage),
        }
    }
}
