//! The engine's way to this laptop's client: both are in this process, and what ssh would carry goes from thread to thread.
//!
//! Bytes of a dump are handed over in the buffers that the client filled, without a copy; the few words of the engine go through a
//! small pipe. When the engine drops its end the client hears that the server has gone, and ends its programs; when the client has
//! said everything the engine reads the end.

use std::io::{self, BufRead, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

use asyncamanda_shim::engine::embedded::{Connection, Link};
use wire::HostName;
use wire::frame::HEADER;

use crate::client::Out;
use crate::session::come::Come;
use crate::session::tunnel::Answer;

/// Buffers of 64 KiB that may wait for the engine.
const WAITING: usize = 16;

/// A way into this process, for one host.
pub struct InProcess {
    host: HostName,
    answer: Arc<dyn Answer>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    over: bool,
    pipes: Vec<Weak<Come>>,
    threads: Vec<JoinHandle<()>>,
}

impl InProcess {
    /// Leads to this client, under this host's name.
    pub fn new(host: HostName, answer: Arc<dyn Answer>) -> Self {
        Self { host, answer, open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all connections, as when a server goes away, and opens no more.
    pub fn hang_up(&self) {
        let mut open = self.open();
        open.over = true;
        open.pipes.iter().filter_map(Weak::upgrade).for_each(|pipe| pipe.close());
    }

    /// Waits until everything that a connection started has ended.
    pub fn settle(&self) {
        let threads = std::mem::take(&mut self.open().threads);
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Link for InProcess {
    fn connect(&self, host: &HostName) -> io::Result<Connection> {
        if *host != self.host {
            return Err(io::Error::other(format!("{host} is another host, and this run is only for {}", self.host)));
        }
        let mut open = self.open();
        if open.over {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the backup was stopped"));
        }
        let pipe = Arc::new(Come::default());
        let (frames, come) = sync_channel(WAITING);
        open.pipes.retain(|pipe| pipe.strong_count() > 0);
        open.pipes.push(Arc::downgrade(&pipe));
        let (answer, input) = (Arc::clone(&self.answer), FromEngine(Arc::clone(&pipe)));
        open.threads.push(std::thread::spawn(move || answer.answer(Box::new(input), Arc::new(ToEngine(frames)))));
        Ok(Connection { from: Box::new(FromClient { come, frame: Vec::new(), read: 0 }), to: Box::new(ToClient(pipe)) })
    }
}

/// What the client reads.
struct FromEngine(Arc<Come>);

impl Read for FromEngine {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.take(into)
    }
}

impl Drop for FromEngine {
    fn drop(&mut self) {
        self.0.forget();
    }
}

/// What the engine writes to; its end is the connection's.
struct ToClient(Arc<Come>);

impl Write for ToClient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.put(bytes) { Ok(bytes.len()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ToClient {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What the client sends to.
struct ToEngine(SyncSender<Vec<u8>>);

impl Out for ToEngine {
    fn send(&self, frame: Vec<u8>) -> io::Result<()> {
        self.0.send(frame).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// What the engine reads: the client's buffers, one after the other, without the room for a header that nothing needs here.
struct FromClient {
    come: Receiver<Vec<u8>>,
    frame: Vec<u8>,
    read: usize,
}

impl BufRead for FromClient {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.read >= self.frame.len() {
            // The client has said everything when it has dropped its end.
            let Ok(frame) = self.come.recv() else { return Ok(&[]) };
            (self.frame, self.read) = (frame, HEADER);
        }
        Ok(&self.frame[self.read..])
    }

    fn consume(&mut self, amount: usize) {
        self.read += amount;
    }
}

impl Read for FromClient {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Answers each word with a frame, and counts how many connections have ended.
    #[derive(Default)]
    struct Echo {
        ended: AtomicUsize,
    }

    impl Answer for Echo {
        fn answer(&self, mut input: Box<dyn Read + Send>, output: Arc<dyn Out>) {
            let mut bytes = [0; 100];
            while let Ok(read @ 1..) = input.read(&mut bytes) {
                if output.send([&[0; HEADER][..], &bytes[..read]].concat()).is_err() {
                    break;
                }
            }
            self.ended.fetch_add(1, Ordering::SeqCst);
        }
        fn holds_back(&self) -> bool {
            true
        }
    }

    fn link() -> (Arc<Echo>, InProcess, HostName) {
        let (echo, host): (_, HostName) = (Arc::new(Echo::default()), "laptop1".parse().expect("a host"));
        (Arc::clone(&echo), InProcess::new(host.clone(), echo), host)
    }

    #[test]
    fn words_go_there_and_back_without_their_headers() {
        let (_, link, host) = link();
        let Connection { mut from, mut to } = link.connect(&host).expect("here");
        let mut said = vec![0; 250];
        for (at, byte) in said.iter_mut().enumerate() {
            *byte = at as u8;
        }
        to.write_all(&said).expect("somebody reads");
        let mut heard = vec![0; 250];
        from.read_exact(&mut heard).expect("answered");
        assert_eq!(heard, said);
        drop(to);
        assert_eq!(from.read(&mut heard).expect("the end"), 0);
    }

    #[test]
    fn either_end_is_the_others_end() {
        let (echo, link, host) = link();
        let ended = || {
            link.settle();
            echo.ended.swap(0, Ordering::SeqCst)
        };
        drop(link.connect(&host).expect("here"));
        assert_eq!(ended(), 1, "the engine has gone");
        let Connection { from, mut to } = link.connect(&host).expect("here");
        drop(from);
        to.write_all(b"anybody?").expect("it still reads");
        assert_eq!(ended(), 1, "nobody takes what the client sends");
        assert!(to.write_all(b"anybody?").is_err());
    }

    #[test]
    fn hanging_up_ends_all_and_opens_nothing_more() {
        let (echo, link, host) = link();
        let (mut one, two) = (link.connect(&host).expect("here"), link.connect(&host).expect("here"));
        link.hang_up();
        link.settle();
        assert_eq!(echo.ended.load(Ordering::SeqCst), 2);
        assert_eq!(one.from.read(&mut [0; 1]).expect("the end"), 0);
        assert!(link.connect(&host).is_err());
        drop(two);
    }

    #[test]
    fn another_host_is_not_here() {
        let (_, link, _) = link();
        assert!(link.connect(&"laptop2".parse().expect("a host")).is_err());
    }
}
