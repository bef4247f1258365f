//! A way to the dumps, whoever has them: a server's reader at the end of a stream of the ssh session, or the engine's in a thread of this
//! process when they are in a vault.
//!
//! The work is done in the caller's own thread, so that a person may type in between; the session lives in another one. When a signal or
//! the line ends it, the work sees its connection closed. Nothing is asked for but dumps: no backup, no receipt, no new vault.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::oneshot;
use wire::frame::{HEADER, MAX_DATA};
use wire::{Exit, HostName, Receipt};

use super::tunnel::Answer;
use super::{Caller, News, Next, Server, SessionError, Stop, Way, block_on};
use crate::client::Out;

/// The conversation about dumps.
pub type Depot = restore::depot::Depot<Input, Output>;
/// Its near end for reading.
pub type Input = Box<dyn Read + Send>;
/// Its near end for writing.
pub type Output = Box<dyn Write + Send>;

/// What came of the work, and why the connection had ended by then when it had.
#[derive(Debug)]
pub struct Worked<T> {
    /// What the work returned.
    pub value: T,
    /// Why the session was over before the work was.
    pub ended: Option<SessionError>,
}

/// Calls a server and does some work with the dumps that it has.
///
/// # Errors
/// When it does not come to that.
pub fn on_server<T>(
    way: &Way,
    expected: Option<&HostName>,
    work: impl FnOnce(&mut Depot, &HostName) -> T,
) -> Result<Worked<T>, SessionError> {
    let (tell, handed) = channel();
    thread::scope(|scope| {
        let session = scope.spawn(move || {
            let answer = Arc::new(Handing { tell: Mutex::new(Some(tell)), host: Mutex::default() });
            let called = super::call(way, &mut Visit { expected, answer });
            if let Err(SessionError::Interrupted { .. }) = called {
                interrupted();
            }
            called
        });
        // Nothing comes when the session ends before.
        let value = handed.recv().ok().map(|handed| {
            let mut depot = Depot::new(handed.input, Box::new(handed.output));
            // Both ends are dropped with it, and a closed stream lets the session end.
            work(&mut depot, &handed.host)
        });
        let ended = session.join().unwrap_or(Err(SessionError::OutOfTurn("a thread's end")));
        match (value, ended) {
            (Some(value), ended) => Ok(Worked { value, ended: ended.err() }),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Err(SessionError::Lost { said: String::new(), queued: false }),
        }
    })
}

/// The work waits for somebody to type: it may be left at any time.
static WAITS: AtomicBool = AtomicBool::new(false);
/// A signal has ended the connection.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Says, as long as it is there, that the work waits for somebody to type.
#[derive(Debug)]
pub struct Waiting(());

impl Waiting {
    /// From now on. Does not return when a signal has ended the connection meanwhile.
    pub fn begin() -> Self {
        WAITS.store(true, Ordering::SeqCst);
        if INTERRUPTED.load(Ordering::SeqCst) {
            leave();
        }
        Self(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITS.store(false, Ordering::SeqCst);
    }
}

/// A signal has ended the connection. The work sees that by itself unless it waits for somebody to type; a second signal ends it at once.
fn interrupted() {
    INTERRUPTED.store(true, Ordering::SeqCst);
    if WAITS.load(Ordering::SeqCst) {
        leave();
    }
    thread::spawn(move || {
        let waited = block_on(async {
            Stop::listen()?.wanted().await;
            Ok(())
        });
        if waited.is_ok() {
            leave();
        }
    });
}

fn leave() -> ! {
    crate::report::err("asyncamanda: stopped before the end");
    std::process::exit(i32::from(Exit::Later.code()))
}

/// A stream on its way to the thread that works with it.
struct Handed {
    host: HostName,
    input: Input,
    output: Pouring,
}

/// Gives the first stream away, and keeps it open until it is dropped there.
struct Handing {
    tell: Mutex<Option<Sender<Handed>>>,
    host: Mutex<Option<HostName>>,
}

fn taken<T>(from: &Mutex<Option<T>>) -> Option<T> {
    from.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Answer for Handing {
    fn answer(&self, input: Box<dyn Read + Send>, output: Arc<dyn Out>) {
        let (Some(tell), Some(host)) = (taken(&self.tell), taken(&self.host)) else { return };
        let (held, dropped) = channel();
        if tell.send(Handed { host, input, output: Pouring { out: output, _held: held } }).is_ok() {
            // Nothing is ever sent: the end of it is what is waited for.
            let _ = dropped.recv();
        }
    }

    fn holds_back(&self) -> bool {
        false
    }
}

/// Writes into a stream of the session.
struct Pouring {
    out: Arc<dyn Out>,
    _held: Sender<()>,
}

impl Write for Pouring {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(MAX_DATA);
        let mut buffer = vec![0; HEADER];
        buffer.extend_from_slice(&bytes[..length]);
        self.out.send(buffer)?;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Asks for a stream and for nothing else.
struct Visit<'e> {
    expected: Option<&'e HostName>,
    answer: Arc<Handing>,
}

impl Caller for Visit<'_> {
    fn greeted(&mut self, server: &Server) -> Result<(), SessionError> {
        if let Some(ours) = self.expected.filter(|ours| **ours != server.host) {
            return Err(SessionError::WrongHost { ours: ours.clone(), theirs: server.host.clone() });
        }
        *self.answer.host.lock().unwrap_or_else(PoisonError::into_inner) = Some(server.host.clone());
        Ok(())
    }

    fn restated(&mut self, _: Vec<Receipt>, _: Option<&str>) -> Result<Next, SessionError> {
        Ok(Next::Restore)
    }

    fn heard(&mut self, _: News) -> Result<(), SessionError> {
        Ok(())
    }

    fn client(&mut self) -> Option<Arc<dyn Answer>> {
        Some(Arc::clone(&self.answer) as Arc<dyn Answer>)
    }
}

/// Does some work with a conversation whose other half is held by `serve` in a thread of this process. A signal ends it from outside.
///
/// # Errors
/// When there can be no such thread.
pub fn in_process<T>(serve: impl FnOnce(UnixStream) + Send, work: impl FnOnce(&mut Depot) -> T) -> Result<Worked<T>, SessionError> {
    let (near, far) = UnixStream::pair().map_err(SessionError::Start)?;
    let (reading, writing) = (near.try_clone().map_err(SessionError::Start)?, near.try_clone().map_err(SessionError::Start)?);
    let (done, over) = oneshot::channel::<()>();
    let (listening, heard) = channel();
    thread::scope(|scope| {
        let serving = scope.spawn(move || serve(far));
        let watching = scope.spawn(move || {
            block_on(async {
                let stop = Stop::listen();
                let _ = listening.send(());
                let mut stop = stop?;
                tokio::select! {
                    () = stop.wanted() => {
                        let _ = near.shutdown(Shutdown::Both);
                        interrupted();
                        Err(SessionError::Interrupted { queued: false })
                    }
                    _ = over => Ok(()),
                }
            })
        });
        // A signal before that ends the process, and nothing has begun.
        let _ = heard.recv();
        let value = work(&mut Depot::new(Box::new(reading), Box::new(writing)));
        // The watcher's own descriptor is closed with it; then the other half reads an end.
        drop(done);
        let ended = watching.join().unwrap_or(Ok(()));
        let _ = serving.join();
        Ok(Worked { value, ended: ended.err() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps what is sent.
    #[derive(Default)]
    struct Sent(Mutex<Vec<Vec<u8>>>);

    impl Out for Sent {
        fn send(&self, buffer: Vec<u8>) -> io::Result<()> {
            self.0.lock().expect("whole").push(buffer);
            Ok(())
        }
    }

    #[test]
    fn a_stream_is_given_away_once_and_stays_open_until_it_is_dropped() {
        let (tell, handed) = channel();
        let host: HostName = "laptop1".parse().expect("a name");
        let answer = Arc::new(Handing { tell: Mutex::new(Some(tell)), host: Mutex::new(Some(host.clone())) });
        let sent = Arc::new(Sent::default());
        let (first, out) = (Arc::clone(&answer), Arc::clone(&sent));
        let serving = thread::spawn(move || first.answer(Box::new(&b"answer"[..]), out));
        let mut handed = handed.recv().expect("handed over");
        assert_eq!(handed.host, host);
        // Another one is closed at once.
        answer.answer(Box::new(io::empty()), Arc::new(Sent::default()));
        assert!(!serving.is_finished());
        handed.output.write_all(&vec![7; MAX_DATA + 1]).expect("taken");
        let lengths: Vec<usize> = sent.0.lock().expect("whole").iter().map(Vec::len).collect();
        assert_eq!(lengths, [HEADER + MAX_DATA, HEADER + 1]);
        drop(handed);
        serving.join().expect("it has ended");
    }

    #[test]
    fn work_in_this_process_talks_to_the_other_half_and_ends_it() {
        let echo = |stream: UnixStream| {
            let copied = io::copy(&mut &stream, &mut &stream);
            assert_eq!(copied.expect("until the end"), 5);
        };
        let worked = in_process(echo, |depot| {
            let (mut reader, mut writer) = std::mem::replace(depot, Depot::new(Box::new(io::empty()), Box::new(io::sink()))).into_parts();
            writer.write_all(b"hello").expect("sent");
            let mut back = [0; 5];
            reader.read_exact(&mut back).expect("echoed");
            back
        });
        let worked = worked.expect("it went");
        assert!(&worked.value == b"hello" && worked.ended.is_none());
    }
}
