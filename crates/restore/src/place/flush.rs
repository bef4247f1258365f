//! Writes what was restored to the disk while more of it comes, so that little is left to be waited for in the end.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::dirs::Dir;

/// So many bytes are worth a sync of their own.
const ENOUGH: u64 = 64 << 20;

/// Who wakes the thread, and the thread: what came of its syncs.
type Running = (SyncSender<()>, JoinHandle<Result<(), Errno>>);

/// A thread that syncs the file system of the target when it is told to.
#[derive(Debug, Default)]
pub(super) struct Flush {
    waiting: u64,
    running: Option<Running>,
}

impl Flush {
    /// So many more bytes were written below the directory.
    pub(super) fn wrote(&mut self, bytes: u64, root: &Dir) {
        self.waiting = self.waiting.saturating_add(bytes);
        if self.waiting < ENOUGH {
            return;
        }
        self.waiting = 0;
        if self.running.is_none() {
            self.running = start(root);
        }
        if let Some((wake, _)) = &self.running {
            // One that is still at it will be told the next time.
            let _busy = wake.try_send(());
        }
    }

    /// Waits for the thread.
    ///
    /// # Errors
    /// When something that it synced could not be written: the system tells that once, and whoever syncs after that hears nothing of it.
    pub(super) fn finish(&mut self) -> Result<(), Errno> {
        let Some((wake, thread)) = self.running.take() else { return Ok(()) };
        drop(wake);
        thread.join().unwrap_or(Err(Errno::IO))
    }
}

/// Without a thread, or a directory that may be read, everything waits until the end.
fn start(root: &Dir) -> Option<Running> {
    let directory = rustix::fs::openat(&root.fd, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let (wake, woken) = sync_channel(1);
    let flush = move || {
        let mut first = Ok(());
        for () in woken {
            first = first.and(rustix::fs::syncfs(&directory));
        }
        first
    };
    let thread = std::thread::Builder::new().name("flush".to_owned()).spawn(flush).ok()?;
    Some((wake, thread))
}
