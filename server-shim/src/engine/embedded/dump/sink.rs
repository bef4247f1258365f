//! Where the bytes of a dump go: one file, or one file after the other.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use amanda::header::Header;

use crate::engine::embedded::holding::writer::Writer;

/// Chunks of a dump, which the conversation writes and the draft ends.
#[derive(Clone)]
pub struct Chunks(Arc<Mutex<Option<Writer>>>);

impl Chunks {
    /// Takes a dump that was begun.
    pub fn new(writer: Writer) -> Self {
        Self(Arc::new(Mutex::new(Some(writer))))
    }

    fn take(&self) -> Option<Writer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Makes them a dump, durably.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn commit(&self, header: &Header) -> io::Result<PathBuf> {
        self.take().ok_or_else(|| io::Error::other("it was given up"))?.commit(header)
    }

    /// Takes them away, whoever still writes to them.
    pub fn clear(&self) {
        drop(self.take());
    }
}

/// What the conversation writes to.
pub enum Sink {
    /// One file.
    File(File),
    /// Chunks.
    Chunks(Chunks),
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Chunks(chunks) => match chunks.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                Some(writer) => writer.write(bytes),
                None => Err(io::Error::other("it was given up")),
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
