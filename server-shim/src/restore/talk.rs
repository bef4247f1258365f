//! The stream on which a restore is talked about: asks come, answers go.

use std::io::{self, ErrorKind, Read, Write};

use wire::frame::{CONTROL, HEADER, MAX_DATA, header, pack, unpack};
use wire::restore::{Ask, DATA, Told};
use wire::{Decoder, FrameError};

/// As much is read at a time: an ask is short.
const READ: usize = 8 * 1024;

/// The answering end of a conversation.
pub(super) struct Talk<R, W> {
    reader: R,
    writer: W,
    decoder: Decoder,
    /// Frames that have not been written.
    out: Vec<u8>,
}

fn nonsense(error: FrameError) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

impl<R: Read, W: Write> Talk<R, W> {
    pub fn new(reader: R, writer: W) -> Self {
        Self { reader, writer, decoder: Decoder::new(), out: Vec::new() }
    }

    /// Returns the next ask; nothing when the other side has closed the stream.
    pub fn hear(&mut self) -> io::Result<Option<Ask>> {
        loop {
            if let Some(frame) = self.decoder.next_frame().map_err(nonsense)? {
                if frame.channel != CONTROL {
                    return Err(nonsense(FrameError::UnknownChannel(frame.channel)));
                }
                return unpack(frame).map(Some).map_err(nonsense);
            }
            match self.decoder.read_from(&mut self.reader, READ) {
                Ok(0) => return self.decoder.finish().map(|()| None).map_err(nonsense),
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
    }

    /// Says something.
    pub fn tell(&mut self, told: &Told) -> io::Result<()> {
        let frame = pack(told).map_err(nonsense)?;
        self.out.extend(frame);
        if self.out.len() >= MAX_DATA { self.flush() } else { Ok(()) }
    }

    /// Sends bytes, in as many frames as they need.
    pub fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(MAX_DATA) {
            self.out.extend(header(DATA, piece.len()));
            self.out.extend_from_slice(piece);
            if self.out.len() >= MAX_DATA {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Writes what has been said.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.write_all(&self.out)?;
        self.out.clear();
        self.writer.flush()
    }
}

/// Puts small pieces of an answer together.
pub(super) struct Gather<'a, R, W> {
    talk: &'a mut Talk<R, W>,
    bytes: Vec<u8>,
}

impl<'a, R: Read, W: Write> Gather<'a, R, W> {
    pub fn new(talk: &'a mut Talk<R, W>) -> Self {
        Self { talk, bytes: Vec::with_capacity(MAX_DATA - HEADER) }
    }

    pub fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.bytes.len() + bytes.len() > MAX_DATA - HEADER {
            self.send()?;
        }
        if bytes.len() > MAX_DATA - HEADER {
            return self.talk.data(bytes);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Sends what has come together.
    pub fn send(&mut self) -> io::Result<()> {
        self.talk.data(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }
}
