//! Gives up a client that says nothing. A read that blocks cannot be interrupted here, since a connection is any reader: so the
//! conversation has a thread of its own, and whoever started it waits for the thread or for its patience to end. When it is
//! given up, the way to the client is closed, which ends a client that is alive; the thread ends when its read does.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Broken, Peer};
use crate::engine::embedded::Connection;

/// So many bytes come between two words about how far a dump is.
const STEP: u64 = 1024 * 1024;
/// More than this nobody waits.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The way to the client. Whoever gives the client up takes it away.
pub type Way = Arc<Mutex<Option<Box<dyn Write + Send>>>>;

/// What the two threads share.
pub struct Pulse {
    begun: Instant,
    /// Milliseconds since then, when something came last.
    last: AtomicU64,
    moved: AtomicU64,
    given_up: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    what: &'static str,
    patience: Duration,
    /// So many bytes were there when the other thread was woken last.
    told: u64,
    ended: bool,
}

impl Pulse {
    fn new() -> Self {
        let state = State { what: "its first word", patience: LONGEST, told: 0, ended: false };
        Self {
            begun: Instant::now(),
            last: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            given_up: AtomicBool::new(false),
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this is waited for.
    pub fn expect(&self, what: &'static str, patience: Duration) {
        let mut state = self.state();
        (state.what, state.patience) = (what, patience.min(LONGEST));
        self.beat();
        self.changed.notify_all();
    }

    /// Something came that was waited for.
    pub fn beat(&self) {
        self.last.store(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// So many more bytes of the dump have been taken.
    pub fn moved(&self, bytes: u64) {
        let moved = self.moved.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if moved / STEP != (moved - bytes) / STEP {
            self.state().told = moved;
            self.changed.notify_all();
        }
    }

    /// Says whether nobody waits for the conversation any more.
    pub fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Waits until the conversation has ended, or its patience has. Returns why when it is the latter.
    fn wait(&self, moved: &dyn Fn(u64)) -> Result<(), Broken> {
        let mut told = 0;
        let mut state = self.state();
        while !state.ended {
            if state.told != told {
                told = state.told;
                drop(state);
                moved(told);
                state = self.state();
                continue;
            }
            let last = self.begun + Duration::from_millis(self.last.load(Ordering::Relaxed));
            let left = (last + state.patience).saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.given_up.store(true, Ordering::Relaxed);
                return Err(Broken::Silent { what: state.what, patience: state.patience });
            }
            (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        let all = self.moved.load(Ordering::Relaxed);
        if all != told {
            moved(all);
        }
        Ok(())
    }
}

/// Says at the end of the conversation that it has ended, however it did.
struct AtEnd(Arc<Pulse>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        self.0.state().ended = true;
        self.0.changed.notify_all();
    }
}

/// Talks to a client in a thread of its own, and returns what came of it. `moved` hears, in the caller's thread, how many bytes of a
/// dump have come in all. The connection is closed when this returns, unless the client is one that neither reads nor writes.
///
/// # Errors
/// What the conversation says, or that the client was given up.
pub fn talk<T, E>(
    connection: Connection,
    moved: &dyn Fn(u64),
    conversation: impl FnOnce(&mut Peer) -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Broken> + Send + 'static,
{
    let pulse = Arc::new(Pulse::new());
    let way: Way = Arc::new(Mutex::new(Some(connection.to)));
    let mut peer = Peer::new(connection.from, Arc::clone(&way), Arc::clone(&pulse));
    let at_end = AtEnd(Arc::clone(&pulse));
    let spawned = thread::Builder::new().name("client".to_owned()).spawn(move || {
        let _at_end = at_end;
        let result = conversation(&mut peer);
        // Closed before anybody hears of the end.
        drop(peer);
        result
    });
    let thread = spawned.map_err(Broken::Failed)?;
    if let Err(silent) = pulse.wait(moved) {
        // A write that blocks holds the lock; then there is nothing to close it with.
        if let Ok(mut way) = way.try_lock() {
            way.take();
        }
        return Err(silent.into());
    }
    drop(way);
    thread.join().unwrap_or_else(|_| Err(Broken::Panicked.into()))
}
