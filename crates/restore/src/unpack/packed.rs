//! What the unpackers read: a dump's data as it is stored.

use std::io;

/// What comes next of a dump's data. A reader of `wire::restore` makes one of each frame on the stream: data is [`Event::Bytes`], `Told::Frame`
/// and `Told::Hole` are the others.
#[derive(Debug)]
pub enum Event<'a> {
    /// Stored bytes, any number, cut anywhere.
    Bytes(&'a [u8]),
    /// The next bytes are one frame, which can be uncompressed without any other. Only with `Packing::Frames`; a frame ends where it was said to, or
    /// at the next event that is not bytes.
    Frame {
        /// Bytes that come.
        packed: u64,
        /// Bytes of the archive that they hold. 0: none, the bytes are passed over (names of members, the table at a dump's end).
        raw: u64,
    },
    /// A part could not be read; what comes next is behind it.
    Hole {
        /// So many bytes of the plain archive are missing, when that is known.
        raw: Option<u64>,
        /// Why, a sentence.
        why: String,
    },
}

/// The data of one dump, as it is stored or sent: for one answer of a server, or a file.
pub trait Packed {
    /// Returns what comes next; nothing when the answer is complete (`Told::Done`).
    ///
    /// # Errors
    /// When there can be no more: the connection is lost, or the other side says `Told::No` in the middle.
    fn next(&mut self) -> io::Result<Option<Event<'_>>>;
}

impl<P: Packed + ?Sized> Packed for &mut P {
    fn next(&mut self) -> io::Result<Option<Event<'_>>> {
        (**self).next()
    }
}
