//! What goes to the laptop: messages before streams' bytes, nothing torn apart, nothing waited for.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use serde::Serialize;
use wire::frame::pack;

use crate::tunnel::pipe::written;

/// Streams are read no further while so much of theirs waits.
const ENOUGH: usize = 256 * 1024;

/// The most that waits; a laptop that lets it come to this does not read.
pub const MOST: usize = 2 * 1024 * 1024;

/// The laptop's end that is written to.
pub struct Output {
    file: File,
    /// The frame that is being written, and how far it is.
    current: (Vec<u8>, usize),
    messages: VecDeque<Vec<u8>>,
    ordered: VecDeque<Vec<u8>>,
    waiting: usize,
    moved: Instant,
}

impl Output {
    /// Takes the descriptor and never waits for it.
    pub fn new(descriptor: OwnedFd) -> Self {
        // Where this fails, a laptop that does not read can hold this one process, and nothing else.
        let _ = fcntl(&descriptor, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        Self {
            file: descriptor.into(),
            current: (Vec::new(), 0),
            messages: VecDeque::new(),
            ordered: VecDeque::new(),
            waiting: 0,
            moved: Instant::now(),
        }
    }

    /// The descriptor, for poll.
    pub fn file(&self) -> &File {
        &self.file
    }
    /// Tells whether something waits.
    pub fn is_waiting(&self) -> bool {
        self.waiting > 0
    }
    /// Tells whether too much waits.
    pub fn is_full(&self) -> bool {
        self.waiting > MOST
    }
    /// Tells whether streams may be read.
    pub fn has_room(&self) -> bool {
        self.waiting < ENOUGH
    }
    /// Returns for how long something has waited without any of it being taken.
    pub fn stuck_for(&self, now: Instant) -> Duration {
        if self.waiting == 0 { Duration::ZERO } else { now.saturating_duration_since(self.moved) }
    }

    /// Says something before all streams' bytes that wait.
    pub fn say<M: Serialize>(&mut self, message: &M) -> io::Result<()> {
        let frame = pack(message).map_err(io::Error::other)?;
        self.count(frame.len());
        self.messages.push_back(frame);
        Ok(())
    }

    /// Says something that has its place among the streams' bytes: that a stream begins or ends.
    pub fn say_in_order<M: Serialize>(&mut self, message: &M) -> io::Result<()> {
        let frame = pack(message).map_err(io::Error::other)?;
        self.send(frame);
        Ok(())
    }

    /// Sends a stream's frame.
    pub fn send(&mut self, frame: Vec<u8>) {
        self.count(frame.len());
        self.ordered.push_back(frame);
    }

    fn count(&mut self, bytes: usize) {
        if self.waiting == 0 {
            self.moved = Instant::now();
        }
        self.waiting += bytes;
    }

    /// Writes as much as is taken.
    pub fn flush(&mut self) -> io::Result<()> {
        loop {
            if self.current.1 == self.current.0.len() {
                let Some(next) = self.messages.pop_front().or_else(|| self.ordered.pop_front()) else { return Ok(()) };
                self.current = (next, 0);
            }
            let written = written(self.file.write(&self.current.0[self.current.1..]))?;
            if written == 0 {
                return Ok(());
            }
            self.current.1 += written;
            self.waiting -= written;
            self.moved = Instant::now();
        }
    }
}
