//! A stream that is uncompressed from its beginning on, by a thread of its own.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use super::{CHUNK, Event, Packed};
use crate::member::Piece;

/// Stored chunks that are on the way to the thread.
const AHEAD: usize = 3;
/// Unpacked buffers that are on the way back.
const BEHIND: usize = 3;
/// What a buffer of the archive holds.
const BUFFER: usize = 256 << 10;

/// What the thread says.
#[derive(Debug)]
enum Said {
    /// It needs more of the dump.
    Took,
    /// A piece of the archive.
    Bytes(Vec<u8>),
    /// The stream is damaged; nothing comes behind it.
    Damaged(String),
}

/// The caller's side.
#[derive(Debug)]
pub(super) struct Stream {
    /// Gone when all of the dump has been sent.
    to: Option<Sender<Vec<u8>>>,
    from: Receiver<Said>,
    spare: Sender<Vec<u8>>,
    ahead: usize,
    /// Why the dump has a hole: nothing of it is used behind that.
    cut: Option<String>,
    buffer: Vec<u8>,
    at: usize,
}

/// The thread's side of the dump's bytes.
pub(super) struct Input {
    from: Receiver<Vec<u8>>,
    took: SyncSender<Said>,
    chunk: Vec<u8>,
    at: usize,
}

/// The thread's side of the archive's bytes.
pub(super) struct Output {
    to: SyncSender<Said>,
    spare: Receiver<Vec<u8>>,
}

/// What a thread says when nobody listens any more; so nobody reads it.
const GONE: &str = "nobody reads it";

impl Input {
    /// Passes over the zeros that a tape may have put behind the stream. Says whether that was all.
    pub fn only_zeros(&mut self) -> io::Result<bool> {
        loop {
            let chunk = self.fill_buf()?;
            let length = chunk.len();
            if length == 0 {
                return Ok(true);
            }
            if chunk.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            self.consume(length);
        }
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.chunk.len() {
            match self.from.recv() {
                Ok(chunk) => (self.chunk, self.at) = (chunk, 0),
                Err(_) => break,
            }
            self.took.send(Said::Took).map_err(|_| io::Error::other(GONE))?;
        }
        Ok(&self.chunk[self.at..])
    }

    fn consume(&mut self, bytes: usize) {
        self.at = self.chunk.len().min(self.at + bytes);
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

impl Output {
    /// Returns an empty buffer with room.
    pub fn buffer(&mut self) -> Vec<u8> {
        let mut buffer = self.spare.try_recv().unwrap_or_default();
        buffer.clear();
        buffer.reserve(BUFFER);
        buffer
    }

    /// Hands a buffer over.
    pub fn give(&mut self, buffer: Vec<u8>) -> io::Result<()> {
        if buffer.is_empty() {
            return Ok(());
        }
        self.to.send(Said::Bytes(buffer)).map_err(|_| io::Error::other(GONE))
    }
}

/// Uncompresses all of the input. The error says what is damaged; what came before it has been handed over.
pub(super) type Unpack = fn(&mut Input, &mut Output) -> io::Result<()>;

impl Stream {
    pub fn start(unpack: Unpack) -> io::Result<Self> {
        let (to, chunks) = channel();
        let (out, from) = sync_channel(AHEAD + BEHIND);
        let (spare, spares) = channel();
        let mut input = Input { from: chunks, took: out.clone(), chunk: Vec::new(), at: 0 };
        let mut output = Output { to: out, spare: spares };
        thread::Builder::new().name("unpack".into()).spawn(move || {
            if let Err(error) = unpack(&mut input, &mut output) {
                // Whoever does not listen any more need not know.
                let _ = output.to.send(Said::Damaged(error.to_string()));
            }
        })?;
        Ok(Self { to: Some(to), from, spare, ahead: 0, cut: None, buffer: Vec::new(), at: 0 })
    }

    pub fn fill(&mut self, packed: &mut impl Packed) -> io::Result<Option<Piece<'_>>> {
        while self.at == self.buffer.len() {
            while self.ahead < AHEAD && self.to.is_some() {
                self.send(packed)?;
            }
            match self.from.recv() {
                Ok(Said::Took) => self.ahead -= 1,
                Ok(Said::Bytes(bytes)) => {
                    // The thread may be gone, and then needs no buffers.
                    let _ = self.spare.send(std::mem::replace(&mut self.buffer, bytes));
                    self.at = 0;
                }
                Ok(Said::Damaged(why)) => {
                    self.to = None;
                    return Ok(Some(Piece::Hole { bytes: None, why: self.cut.take().unwrap_or(why) }));
                }
                Err(_) => {
                    self.to = None;
                    return Ok(self.cut.take().map(|why| Piece::Hole { bytes: None, why }));
                }
            }
        }
        Ok(Some(Piece::Bytes(&self.buffer[self.at..])))
    }

    pub fn consume(&mut self, bytes: usize) {
        self.at = self.buffer.len().min(self.at + bytes);
    }

    /// Sends a chunk of the dump to the thread.
    fn send(&mut self, packed: &mut impl Packed) -> io::Result<()> {
        let mut chunk = Vec::new();
        let mut more = true;
        while more && chunk.len() < CHUNK {
            match packed.next()? {
                Some(Event::Bytes(bytes)) => chunk.extend_from_slice(bytes),
                Some(Event::Frame { .. }) => {}
                Some(Event::Hole { why, .. }) => {
                    self.cut = Some(why);
                    more = false;
                }
                None => more = false,
            }
        }
        if let Some(to) = &self.to
            && !chunk.is_empty()
            && to.send(chunk).is_ok()
        {
            self.ahead += 1;
        } else {
            // At the end of the dump, or the thread has ended before it.
            self.to = None;
        }
        if !more {
            self.to = None;
        }
        Ok(())
    }
}
