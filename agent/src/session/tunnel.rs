//! Amanda's connections to this laptop, inside the session: each is a stream of frames, served by a thread of its own.
//!
//! The conversation owns the [`Tunnel`] and feeds it what comes. A thread sees two ends: an [`Input`] to read from, and an
//! [`Output`] that waits while the server has given no credit. Credit is counted by [`wire::Flow`].

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::mpsc;
use wire::frame::{self, HEADER, MAX_STREAMS};
use wire::{Flow, FlowError, FromAgent};

use super::come::Come;
use super::outgoing::Outgoing;
use crate::client::Out;

/// Who answers when Amanda connects.
pub trait Answer: Send + Sync {
    /// Serves one connection to its end; called in a thread of its own.
    fn answer(&self, input: Box<dyn Read + Send>, output: Arc<dyn Out>);
    /// The client's incremental state moves only with a receipt that is OK.
    fn holds_back(&self) -> bool;
}

/// A thread tells the conversation that its connection was served; what it had to say is on the way.
#[derive(Debug)]
pub struct Ended {
    /// The stream.
    pub stream: u8,
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

impl Out for Output {
    fn send(&self, mut buffer: Vec<u8>) -> io::Result<()> {
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
    come: Arc<Come>,
    flow: Arc<Mutex<Flow>>,
    words: mpsc::WeakUnboundedSender<Vec<u8>>,
}

impl Drop for Input {
    fn drop(&mut self) {
        self.come.forget();
    }
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.come.take(into)?;
        if bytes == 0 {
            return Ok(0);
        }
        let credit = self.flow.lock().unwrap_or_else(PoisonError::into_inner).passed_on(bytes);
        // Told from here, so that it cannot come behind the stream's own end. Nobody hears it when the session is over.
        if let Some(bytes) = credit
            && let Some(words) = self.words.upgrade()
            && let Ok(window) = frame::pack(&FromAgent::Window { stream: self.stream, bytes })
        {
            let _ = words.send(window);
        }
        Ok(bytes)
    }
}

#[derive(Debug)]
struct Stream {
    flow: Arc<Mutex<Flow>>,
    gate: Arc<Gate>,
    come: Arc<Come>,
    ended: bool,
    closed: bool,
    thread: JoinHandle<()>,
}

/// All streams of a session.
pub struct Tunnel {
    answer: Arc<dyn Answer>,
    streams: BTreeMap<u8, Stream>,
    out: Option<Outgoing>,
    ended: mpsc::UnboundedSender<Ended>,
}

impl Tunnel {
    /// Takes who answers, the queues of what goes out, and where threads tell that they have ended.
    pub fn new(answer: Arc<dyn Answer>, out: Outgoing, ended: mpsc::UnboundedSender<Ended>) -> Self {
        Self { answer, streams: BTreeMap::new(), out: Some(out), ended }
    }

    /// Amanda connects.
    pub fn open(&mut self, stream: u8) -> Result<(), StreamError> {
        if !(1..=MAX_STREAMS).contains(&stream) || self.streams.contains_key(&stream) {
            return Err(StreamError::NotFree(stream));
        }
        let Some(out) = &self.out else { return Err(StreamError::NotFree(stream)) };
        let gate = Arc::new(Gate::default());
        let come = Arc::new(Come::default());
        let flow = Arc::new(Mutex::new(Flow::default()));
        let input = Input { stream, come: Arc::clone(&come), flow: Arc::clone(&flow), words: out.words() };
        let output = Arc::new(Output { stream, gate: Arc::clone(&gate), frames: out.streams() });
        let (answer, frames, ended) = (Arc::clone(&self.answer), out.streams(), self.ended.clone());
        let thread = std::thread::spawn(move || {
            answer.answer(Box::new(input), output);
            // Told before the server can answer to it, so that the number is known to be free when it is used again.
            let _ = ended.send(Ended { stream });
            // Behind the stream's own frames, not before them.
            if let Ok(close) = frame::pack(&FromAgent::Close { stream }) {
                let _ = frames.blocking_send(close);
            }
        });
        self.streams.insert(stream, Stream { flow, gate, come, ended: false, closed: false, thread });
        Ok(())
    }

    /// Bytes of Amanda came.
    pub fn came(&mut self, stream: u8, bytes: &[u8]) -> Result<(), StreamError> {
        let open = self.streams.get_mut(&stream).filter(|open| !open.closed).ok_or(StreamError::NotOpen(stream))?;
        open.flow.lock().unwrap_or_else(PoisonError::into_inner).received(bytes.len())?;
        open.come.put(bytes);
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
        open.come.close();
        self.forget(stream);
        Ok(())
    }

    /// Takes in that a thread has ended.
    pub fn ended(&mut self, Ended { stream }: Ended) {
        if let Some(open) = self.streams.get_mut(&stream) {
            open.ended = true;
        }
        self.forget(stream);
    }

    fn forget(&mut self, stream: u8) {
        if self.streams.get(&stream).is_some_and(|open| open.ended && open.closed) {
            self.streams.remove(&stream);
        }
    }

    /// Opens nothing more, and leaves the queues: the conversation is over.
    pub fn hang_up(&mut self) {
        self.out = None;
    }

    /// Ends all connections and waits for their threads, which put an end to what they started. The queue of frames must be
    /// closed already.
    pub fn end(mut self) {
        self.hang_up();
        for open in self.streams.values_mut() {
            open.gate.close();
            open.come.close();
        }
        for (_, open) in std::mem::take(&mut self.streams) {
            let _ = open.thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::outgoing;
    use std::io::Write as _;
    use wire::Decoder;
    use wire::flow::WINDOW;

    /// Sends back what it hears, until the end.
    struct Echo;

    impl Answer for Echo {
        fn answer(&self, mut input: Box<dyn Read + Send>, output: Arc<dyn Out>) {
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

    /// Returns a tunnel, what it sends, and what its threads tell.
    fn tunnel() -> (Tunnel, Sent, mpsc::UnboundedReceiver<Ended>) {
        let (out, queues) = outgoing::queues();
        let (ended, told) = mpsc::unbounded_channel();
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("ours");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async { outgoing::write(tokio::net::UnixStream::from_std(ours).expect("a socket"), queues).await });
        });
        (Tunnel::new(Arc::new(Echo), out, ended), Sent { theirs, decoder: Decoder::new() }, told)
    }

    struct Sent {
        theirs: std::os::unix::net::UnixStream,
        decoder: Decoder,
    }

    impl Sent {
        fn next(&mut self) -> (u8, Vec<u8>) {
            loop {
                if let Some(frame) = self.decoder.next_frame().expect("our frames") {
                    return (frame.channel, frame.payload.to_vec());
                }
                let mut bytes = [0; 4096];
                let read = self.theirs.read(&mut bytes).expect("ours");
                assert!(read > 0, "nothing more comes");
                self.decoder.feed(&bytes[..read]);
            }
        }
        fn message(&mut self) -> FromAgent {
            let (channel, payload) = self.next();
            frame::unpack(frame::Frame { channel, payload: &payload }).expect("a message")
        }
    }

    #[test]
    fn a_stream_is_served_closed_and_its_number_used_again() {
        let (mut tunnel, mut sent, mut told) = tunnel();
        for _ in 0..3 {
            tunnel.open(5).expect("free");
            assert!(matches!(tunnel.open(5), Err(StreamError::NotFree(5))));
            tunnel.came(5, b"REQ").expect("open");
            assert_eq!(sent.next(), (5, b"REQ".to_vec()));
            tunnel.closed(5).expect("open");
            assert!(matches!(tunnel.came(5, b"more"), Err(StreamError::NotOpen(5))));
            tunnel.ended(told.blocking_recv().expect("it has ended"));
            assert_eq!(sent.message(), FromAgent::Close { stream: 5 });
        }
        assert!(matches!(tunnel.open(0), Err(StreamError::NotFree(0))));
        assert!(matches!(tunnel.open(MAX_STREAMS + 1), Err(StreamError::NotFree(_))));
        assert!(matches!(tunnel.closed(1), Err(StreamError::NotOpen(1))));
    }

    #[test]
    fn credit_is_told_before_the_end_and_a_thread_without_credit_waits() {
        let (mut tunnel, mut sent, _told) = tunnel();
        tunnel.open(1).expect("free");
        tunnel.came(1, &vec![7; WINDOW as usize]).expect("just its window");
        let (mut echoed, mut credit) = (0, 0);
        while echoed < WINDOW as usize {
            match sent.next() {
                (wire::frame::CONTROL, payload) => {
                    match frame::unpack(frame::Frame { channel: 0, payload: &payload }).expect("a message") {
                        FromAgent::Window { stream: 1, bytes } => credit += bytes,
                        other => panic!("{other:?}"),
                    }
                }
                (_, payload) => echoed += payload.len(),
            }
        }
        assert!(credit > WINDOW / 2, "{credit}");
        assert!(matches!(tunnel.credited(1, WINDOW + 1), Err(StreamError::Flow(FlowError::TooMuchCredit))));
        // It has more to send and no credit for it; the end of the session frees it.
        tunnel.came(1, b"more").expect("it has told credit");
        tunnel.end();
    }
}
