//! Behind a damage of which nobody knows where the next member begins.

use std::io;

use super::feed::Got;
use super::header::{self, BLOCK, Head};
use super::member::Long;
use super::{Archive, Damage};
use crate::member::Pieces;

impl<P: Pieces> Archive<P> {
    /// Passes over blocks until one looks like a member's header. What is passed over belongs to the damage that is told next.
    pub(super) fn resync(&mut self) -> io::Result<()> {
        self.lost = false;
        self.in_doubt = true;
        loop {
            // Members begin at a block, and holes end anywhere.
            let mut fill = self.feed.at().next_multiple_of(BLOCK as u64) - self.feed.at();
            let got = match self.feed.skip(&mut fill)? {
                Got::Bytes(()) => self.feed.block()?,
                other => other,
            };
            match got {
                Got::Bytes(()) if header::is_plausible(self.feed.last()) => {
                    self.found = true;
                    return Ok(());
                }
                Got::Bytes(()) => {}
                Got::Hole(hole) => self.damaged(Damage { bytes: hole.bytes, others: true, ..Damage::new(hole.why) }),
                Got::End => {
                    self.ended = true;
                    return Ok(());
                }
            }
        }
    }

    /// Says whether a header that was found by looking has all that belongs to it: otherwise its name may be a piece of another one.
    pub(super) fn is_whole(&self, head: &Head<'_>, is_extended: bool, long: &Long) -> bool {
        let (full_name, full_link) = head.is_full();
        let complete = (!full_name || long.path.is_some()) && (!full_link || long.link.is_some());
        // In GNU tar's posix format each member has an extended header, in the plain ustar format none has.
        is_extended || if head.is_gnu() { complete } else { complete && self.seen.1 }
    }
}
