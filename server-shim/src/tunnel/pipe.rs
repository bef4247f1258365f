//! What goes to Amanda: written at once as far as it is taken, the rest kept in order.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// The pipe to Amanda is made this large: fewer turns between us and the dumper.
const PIPE: usize = 128 * 1024;

/// A queue that is larger than this gives its memory back when it is empty.
const KEPT: usize = 64 * 1024;

/// A descriptor that takes bytes when it likes.
#[derive(Debug)]
pub struct Pipe {
    file: File,
    queue: VecDeque<u8>,
    broken: bool,
}

impl Pipe {
    /// Takes a descriptor that nobody else writes to at this time.
    pub fn new(descriptor: OwnedFd) -> io::Result<Self> {
        // The flag is the open file's, which the ssh client shares; it only waits, as it does with OpenSSH's own master.
        let flags = OFlag::from_bits_retain(fcntl(&descriptor, FcntlArg::F_GETFL)?);
        fcntl(&descriptor, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        // Something else than a pipe has its own size.
        let _ = rustix::pipe::fcntl_setpipe_size(&descriptor, PIPE);
        Ok(Self { file: descriptor.into(), queue: VecDeque::new(), broken: false })
    }

    /// The descriptor, for poll.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Returns how many bytes wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Tells whether nobody reads any more.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Writes bytes behind all that went before; what is not taken waits.
    pub fn push(&mut self, mut bytes: &[u8]) {
        if self.queue.is_empty() {
            while !bytes.is_empty() {
                let written = self.write(bytes);
                if written == 0 {
                    break;
                }
                bytes = &bytes[written..];
            }
        }
        if !self.broken {
            self.queue.extend(bytes);
        }
    }

    /// Writes what waits, as far as it is taken.
    pub fn flush(&mut self) {
        while !self.queue.is_empty() {
            let result = self.file.write(self.queue.as_slices().0);
            let written = self.judge(result);
            if written == 0 {
                return;
            }
            self.queue.drain(..written);
        }
        if self.queue.capacity() > KEPT {
            self.queue = VecDeque::new();
        }
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        let result = self.file.write(bytes);
        self.judge(result)
    }

    fn judge(&mut self, result: io::Result<usize>) -> usize {
        written(result).unwrap_or_else(|_| {
            self.broken = true;
            self.queue.clear();
            0
        })
    }
}

/// Returns how much was taken; none when nothing is taken now.
pub fn written(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        // A signal: poll says at once that there is room.
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        other => other,
    }
}
