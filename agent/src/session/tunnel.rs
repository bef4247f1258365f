//! Amanda's connections to this laptop, inside the session: each is a stream of frames, served by a thread of its own.
//!
//! The conversation owns the [`Tunnel`] and feeds it what comes. A thread sees two ends: an [`Input`] to read from, and an
//! [`Output`] that waits while the server has given no credit. Credit is counted by [`wire::Flow`].

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::mpsc as plain;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::mpsc;
use wire::frame::{self, HEADER, MAX_STREAMS};
use wire::{Flow, FlowError, FromAgent};

/// Who answers when Amanda connects.
pub trait Answer: Send + Sync {
    /// Serves one connection to its end; called in a thread of its own.
    fn answer(&self, input: Input, output: Arc<Output>);
    /// The client's incremental state moves only with a receipt that is OK.
    fn holds_back(&self) -> bool;
}

/// What a thread tells the conversation.
#[derive(Debug)]
pub enum Event {
    /// Bytes of a stream were taken in.
    Taken {
        /// The stream.
        stream: u8,
        /// How many.
        bytes: usize,
    },
    /// The connection was served; what it had to say is on the way.
    Ended {
        /// The stream.
        stream: u8,
    },
}

/// The server breaks the rules of streams.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// A number that is not free, or does not exist.
    #[error("it opens stream {0}, which is not free")]
    NotFree(u8),
    /// Bytes on a stream that is not open.
    #[error("it writes to stream {0}, which is not open")]
    NotOpen(u8),
    /// It overruns its credit, or gives too much.
    #[error(transparent)]
    Flow(#[from] FlowError),
}

/// What may be sent on a stream, shared with its thread.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<(Flow, bool)>,
    changed: Condvar,
}

impl Gate {
    fn credited(&self, bytes: u32) -> Result<(), FlowError> {
        let credited = self.state.lock().unwrap_or_else(PoisonError::into_inner).0.credited(bytes);
        self.changed.notify_all();
        credited
    }

    fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.changed.notify_all();
    }

    /// Waits until this many bytes may be sent; false when the stream is closed.
    fn pass(&self, bytes: usize) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_while(state, |(flow, closed)| !*closed && flow.may_send() < bytes);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.0.sent(bytes);
        !state.1
    }
}

/// Where a thread writes to.
#[derive(Debug)]
pub struct Output {
    stream: u8,
    gate: Arc<Gate>,
    frames: mpsc::Sender<Vec<u8>>,
}

impl Output {
    /// Sends a buffer whose first [`HEADER`] bytes are free for the frame's header, and which carries at most
    /// [`frame::MAX_DATA`] bytes behind them. Waits for credit; an error means that nobody listens any more.
    pub fn send(&self, mut buffer: Vec<u8>) -> io::Result<()> {
        let length = buffer.len().saturating_sub(HEADER);
        if length == 0 {
            return Ok(());
        }
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        if length > frame::MAX_DATA {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if !self.gate.pass(length) {
            return Err(gone());
        }
        buffer[..HEADER].copy_from_slice(&frame::header(self.stream, length));
        self.frames.blocking_send(buffer).map_err(|_| gone())
    }
}

/// Where a thread reads from; its end comes when the server closes the stream or the session ends.
#[derive(Debug)]
pub struct Input {
    stream: u8,
    pieces: plain::Receiver<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
    events: mpsc::UnboundedSender<Event>,
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            let Ok(piece) = self.pieces.recv() else { return Ok(0) };
            (self.piece, self.at) = (piece, 0);
        }
        let bytes = into.len().min(self.piece.len() - self.at);
        into[..bytes].copy_from_slice(&self.piece[self.at..self.at + bytes]);
        self.at += bytes;
        // Nobody hears it when the session is over.
        let _ = self.events.send(Event::Taken { stream: self.stream, bytes });
        Ok(bytes)
    }
}

#[derive(Debug)]
struct Stream {
    flow: Flow,
    gate: Arc<Gate>,
    pieces: Option<plain::Sender<Vec<u8>>>,
    ended: bool,
    closed: bool,
    thread: JoinHandle<()>,
}

/// All streams of a session.
pub struct Tunnel {
    answer: Arc<dyn Answer>,
    streams: BTreeMap<u8, Stream>,
    frames: mpsc::Sender<Vec<u8>>,
    events: mpsc::UnboundedSender<Event>,
}

impl Tunnel {
    /// Takes who answers, the queue of frames that go out, and where threads tell what happens.
    pub fn new(answer: Arc<dyn Answer>, frames: mpsc::Sender<Vec<u8>>, events: mpsc::UnboundedSender<Event>) -> Self {
        Self { answer, streams: BTreeMap::new(), frames, events }
    }

    /// Amanda connects.
    pub fn open(&mut self, stream: u8) -> Result<(), StreamError> {
        if !(1..=MAX_STREAMS).contains(&stream) || self.streams.contains_key(&stream) {
            return Err(StreamError::NotFree(stream));
        }
        let gate = Arc::new(Gate::default());
        let (pieces, to_read) = plain::channel();
        let input = Input { stream, pieces: to_read, piece: Vec::new(), at: 0, events: self.events.clone() };
        let output = Arc::new(Output { stream, gate: Arc::clone(&gate), frames: self.frames.clone() });
        let (answer, frames, events) = (Arc::clone(&self.answer), self.frames.clone(), self.events.clone());
        let thread = std::thread::spawn(move || {
            answer.answer(input, output);
            // Told before the server can answer to it, so that the number is known to be free when it is used again.
            let _ = events.send(Event::Ended { stream });
            // Behind the stream's own frames, not before them.
            if let Ok(close) = frame::pack(&FromAgent::Close { stream }) {
                let _ = frames.blocking_send(close);
            }
        });
        self.streams.insert(stream, Stream { flow: Flow::default(), gate, pieces: Some(pieces), ended: false, closed: false, thread });
        Ok(())
    }

    /// Bytes of Amanda came.
    pub fn came(&mut self, stream: u8, bytes: &[u8]) -> Result<(), StreamError> {
        let open = self.streams.get_mut(&stream).filter(|open| !open.closed).ok_or(StreamError::NotOpen(stream))?;
        open.flow.received(bytes.len())?;
        if let Some(pieces) = &open.pieces {
            // A thread that has ended takes nothing in.
            let _ = pieces.send(bytes.to_vec());
        }
        Ok(())
    }

    /// The server has taken bytes in.
    pub fn credited(&mut self, stream: u8, bytes: u32) -> Result<(), StreamError> {
        // Told about a stream that we have closed meanwhile.
        self.streams.get(&stream).map_or(Ok(()), |open| open.gate.credited(bytes))?;
        Ok(())
    }

    /// The server has closed a stream.
    pub fn closed(&mut self, stream: u8) -> Result<(), StreamError> {
        let open = self.streams.get_mut(&stream).filter(|open| !open.closed).ok_or(StreamError::NotOpen(stream))?;
        open.closed = true;
        open.gate.close();
        open.pieces = None;
        self.forget(stream);
        Ok(())
    }

    /// Takes in what a thread tells; returns what the server is to be told.
    pub fn told(&mut self, event: &Event) -> Option<FromAgent> {
        match *event {
            Event::Taken { stream, bytes } => {
                let open = self.streams.get_mut(&stream)?;
                open.flow.passed_on(bytes).map(|bytes| FromAgent::Window { stream, bytes })
            }
            Event::Ended { stream } => {
                self.streams.get_mut(&stream)?.ended = true;
                self.forget(stream);
                None
            }
        }
    }

    fn forget(&mut self, stream: u8) {
        if self.streams.get(&stream).is_some_and(|open| open.ended && open.closed) {
            self.streams.remove(&stream);
        }
    }

    /// Ends all connections and waits for their threads, which put an end to what they started. The queue of frames must be
    /// closed already.
    pub fn end(mut self) {
        for open in self.streams.values_mut() {
            open.gate.close();
            open.pieces = None;
        }
        for (_, open) in std::mem::take(&mut self.streams) {
            let _ = open.thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use wire::flow::WINDOW;

    /// Sends back what it hears, until the end.
    struct Echo;

    impl Answer for Echo {
        fn answer(&self, mut input: Input, output: Arc<Output>) {
            let mut bytes = [0; 1000];
            while let Ok(read @ 1..) = input.read(&mut bytes) {
                let mut buffer = vec![0; HEADER];
                buffer.write_all(&bytes[..read]).expect("memory");
                if output.send(buffer).is_err() {
                    return;
                }
            }
        }
        fn holds_back(&self) -> bool {
            true
        }
    }

    fn tunnel(room: usize) -> (Tunnel, mpsc::Receiver<Vec<u8>>, mpsc::UnboundedReceiver<Event>) {
        let (frames, out) = mpsc::channel(room);
        let (events, told) = mpsc::unbounded_channel();
        (Tunnel::new(Arc::new(Echo), frames, events), out, told)
    }

    #[test]
    fn a_stream_is_served_closed_and_its_number_used_again() {
        let (mut tunnel, mut out, mut told) = tunnel(8);
        for _ in 0..3 {
            tunnel.open(5).expect("free");
            assert!(matches!(tunnel.open(5), Err(StreamError::NotFree(5))));
            tunnel.came(5, b"REQ").expect("open");
            assert_eq!(out.blocking_recv().expect("echoed")[HEADER..], *b"REQ");
            tunnel.closed(5).expect("open");
            assert!(matches!(tunnel.came(5, b"more"), Err(StreamError::NotOpen(5))));
            assert!(tunnel.told(&told.blocking_recv().expect("taken")).is_none());
            assert!(matches!(told.blocking_recv(), Some(ended @ Event::Ended { stream: 5 }) if tunnel.told(&ended).is_none()));
            assert_eq!(out.blocking_recv().expect("the close"), frame::pack(&FromAgent::Close { stream: 5 }).expect("short"));
        }
        assert!(matches!(tunnel.open(0), Err(StreamError::NotFree(0))));
        assert!(matches!(tunnel.open(MAX_STREAMS + 1), Err(StreamError::NotFree(_))));
        assert!(matches!(tunnel.closed(1), Err(StreamError::NotOpen(1))));
    }

    #[test]
    fn a_thread_without_credit_waits_and_the_sessions_end_frees_it() {
        let (mut tunnel, mut out, _told) = tunnel(4096);
        tunnel.open(1).expect("free");
        let piece = [7; 1000];
        let mut fed = 0;
        while fed < WINDOW as usize - 1000 {
            tunnel.came(1, &piece).expect("within the window");
            fed += piece.len();
        }
        let mut echoed = 0;
        while echoed < fed {
            echoed += out.blocking_recv().expect("within its credit").len() - HEADER;
        }
        let rest = WINDOW as usize - fed;
        tunnel.came(1, &vec![7; rest]).expect("the last of the window");
        assert!(matches!(tunnel.came(1, b"x"), Err(StreamError::Flow(FlowError::Overrun(1)))));
        assert_eq!(out.blocking_recv().expect("the last of its credit").len() - HEADER, rest);
        assert!(matches!(tunnel.credited(1, WINDOW + 1), Err(StreamError::Flow(FlowError::TooMuchCredit))));
        drop(out);
        tunnel.end();
    }
}
