//! What watches a dump while it comes.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Watch;
use crate::member::Body;
use crate::unpack::{Event, Packed};

/// How much came so far.
#[derive(Debug, Default, Clone)]
pub(super) struct Count {
    bytes: Rc<Cell<u64>>,
    has_holes: Rc<Cell<bool>>,
}

impl Count {
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Says whether a part of it did not come.
    pub fn has_holes(&self) -> bool {
        self.has_holes.get()
    }
}

/// A dump that is counted while it comes.
#[derive(Debug)]
pub(super) struct Meter<P> {
    packed: P,
    count: Count,
}

impl<P: Packed> Meter<P> {
    pub fn new(packed: P, count: &Count) -> Self {
        Self { packed, count: count.clone() }
    }
}

impl<P: Packed> Packed for Meter<P> {
    fn next(&mut self) -> io::Result<Option<Event<'_>>> {
        let event = self.packed.next()?;
        match &event {
            Some(Event::Bytes(bytes)) => self.count.bytes.set(self.count.bytes.get() + bytes.len() as u64),
            Some(Event::Hole { .. }) => self.count.has_holes.set(true),
            _ => {}
        }
        Ok(event)
    }
}

/// A file's content that ends when the restore is to stop, so that a long one does not hold it up.
pub(super) struct Halting<'a, B> {
    pub content: B,
    pub stop: &'a AtomicBool,
    pub watch: &'a mut dyn Watch,
    pub count: &'a Count,
}

impl<B: Body> Body for Halting<'_, B> {
    fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "the restore was stopped"));
        }
        self.watch.came(self.count.bytes());
        self.content.next()
    }
}
