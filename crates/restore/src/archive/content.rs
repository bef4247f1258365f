//! A member's content, where it lies.

use std::io;

use super::Archive;
use super::feed::Got;
use crate::member::{Body, Pieces};

/// The content of the member that an archive returned last.
#[derive(Debug)]
pub struct Content<'a, P> {
    archive: &'a mut Archive<P>,
}

impl<'a, P> Content<'a, P> {
    pub(super) fn new(archive: &'a mut Archive<P>) -> Self {
        Self { archive }
    }
}

impl<P: Pieces> Body for Content<'_, P> {
    fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        let body = &mut self.archive.body;
        if let Some(why) = &body.broken {
            return Err(broken(why));
        }
        let Some(extent) = body.extents.current() else { return Ok(None) };
        match self.archive.feed.some(extent.length)? {
            Got::Bytes(length) => {
                body.extents.advance(length as u64);
                body.left -= length as u64;
                return Ok(Some((extent.offset, self.archive.feed.given()?)));
            }
            Got::Hole(hole) => self.archive.hole_in_body(hole),
            Got::End => self.archive.end_in_body(),
        }
        Err(broken(self.archive.body.broken.as_deref().unwrap_or_default()))
    }
}

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
