//! Bytes on their way from one thread to another: what a connection of Amanda's brings to the client's thread.

use std::collections::VecDeque;
use std::io::{self, Read as _};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What has come and was not read yet: one buffer, so that a server which sends single bytes gets no more memory than
/// its credit says.
#[derive(Debug, Default)]
pub struct Come {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: VecDeque<u8>,
    /// No more comes, or nobody reads any more.
    over: bool,
}

impl Come {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes bytes; false when nobody reads them any more.
    pub fn put(&self, bytes: &[u8]) -> bool {
        let mut waiting = self.lock();
        // A thread that has ended takes nothing in.
        if !waiting.over {
            waiting.bytes.extend(bytes);
            self.changed.notify_all();
        }
        !waiting.over
    }

    /// Says that no more comes.
    pub fn close(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    /// Waits for bytes; none at the end.
    pub fn take(&self, into: &mut [u8]) -> io::Result<usize> {
        let waiting = self.changed.wait_while(self.lock(), |waiting| !waiting.over && waiting.bytes.is_empty());
        waiting.unwrap_or_else(PoisonError::into_inner).bytes.read(into)
    }

    /// Drops what has come, and says that nobody reads any more.
    pub fn forget(&self) {
        *self.lock() = Waiting { bytes: VecDeque::new(), over: true };
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::flow::WINDOW;

    #[test]
    fn single_bytes_take_no_more_room_than_they_are_and_come_out_together() {
        let come = Come::default();
        for _ in 0..WINDOW {
            come.put(&[7]);
        }
        assert!(come.lock().bytes.capacity() <= 2 * WINDOW as usize);
        let mut bytes = vec![0; 2 * WINDOW as usize];
        come.close();
        let mut read = 0;
        while let Ok(more @ 1..) = come.take(&mut bytes[read..]) {
            read += more;
        }
        assert_eq!((read, bytes[read - 1]), (WINDOW as usize, 7));
        come.put(&[8]);
        assert_eq!(come.take(&mut bytes).expect("the end"), 0, "nothing comes behind the end");
    }
}
