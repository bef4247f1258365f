//! zstd in independent frames: two threads uncompress them, and they come back in order. A damaged one costs itself.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::{Event, Packed};
use crate::member::Piece;

/// What a frame may hold.
const MAX_RAW: u64 = 64 << 20;
/// Compressed, a frame may be a little longer than what is in it.
const SLACK: u64 = 1 << 16;
/// What is taken in advance for a frame that was announced, at most; the rest as it comes.
const ADVANCE: u64 = 4 << 20;
/// Frames that are on the way at once, and what they may hold together beyond the first.
const AHEAD: usize = 4;
const AHEAD_RAW: u64 = 64 << 20;

/// A frame to uncompress, and where to.
#[derive(Debug, Default)]
struct Job {
    packed: Vec<u8>,
    buffer: Vec<u8>,
    raw: usize,
}

/// A frame and what was in it, or why that cannot be said.
type Done = (Job, Result<(), String>);

#[derive(Debug)]
struct Worker {
    to: Sender<Job>,
    from: Receiver<Done>,
}

/// What will come next, in order.
#[derive(Debug)]
enum Next {
    Frame { worker: usize, raw: u64 },
    Hole { raw: Option<u64>, why: String },
}

#[derive(Debug)]
pub(super) struct Frames {
    workers: [Worker; 2],
    turn: usize,
    next: VecDeque<Next>,
    /// What the frames on the way hold.
    ahead: u64,
    /// An announcement that ended the frame before it.
    announced: Option<(u64, u64)>,
    ended: bool,
    spare: Vec<Job>,
    current: Job,
    at: usize,
}

impl Worker {
    fn start() -> io::Result<Self> {
        let (to, jobs) = channel::<Job>();
        let (out, from) = channel();
        let mut decompressor = ::zstd::bulk::Decompressor::new()?;
        thread::Builder::new().name("unpack".into()).spawn(move || {
            for mut job in jobs {
                job.buffer.clear();
                job.buffer.reserve_exact(job.raw);
                let done = match decompressor.decompress_to_buffer(&job.packed, &mut job.buffer) {
                    Ok(length) if length == job.raw => Ok(()),
                    Ok(_) => Err("a frame of the dump has another length than was said".to_owned()),
                    Err(error) => Err(format!("a frame of the dump is damaged ({error})")),
                };
                if out.send((job, done)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { to, from })
    }
}

impl Frames {
    pub fn start() -> io::Result<Self> {
        Ok(Self {
            workers: [Worker::start()?, Worker::start()?],
            turn: 0,
            next: VecDeque::new(),
            ahead: 0,
            announced: None,
            ended: false,
            spare: Vec::new(),
            current: Job::default(),
            at: 0,
        })
    }

    pub fn fill(&mut self, packed: &mut impl Packed) -> io::Result<Option<Piece<'_>>> {
        while self.at == self.current.buffer.len() {
            while !self.ended && self.next.len() < AHEAD && (self.next.is_empty() || self.ahead < AHEAD_RAW) {
                self.read(packed)?;
            }
            match self.next.pop_front() {
                None => return Ok(None),
                Some(Next::Hole { raw, why }) => return Ok(Some(Piece::Hole { bytes: raw, why })),
                Some(Next::Frame { worker, raw }) => {
                    let (job, done) = self.workers[worker].from.recv().map_err(|_| lost())?;
                    self.ahead -= raw;
                    match done {
                        Ok(()) => {
                            self.spare.push(std::mem::replace(&mut self.current, job));
                            self.at = 0;
                        }
                        Err(why) => {
                            self.spare.push(job);
                            return Ok(Some(Piece::Hole { bytes: Some(raw), why }));
                        }
                    }
                }
            }
        }
        Ok(Some(Piece::Bytes(&self.current.buffer[self.at..])))
    }

    pub fn consume(&mut self, bytes: usize) {
        self.at = self.current.buffer.len().min(self.at + bytes);
    }

    /// Reads until there is one more thing to come, or the end.
    fn read(&mut self, packed: &mut impl Packed) -> io::Result<()> {
        loop {
            if let Some((length, raw)) = self.announced.take() {
                return self.frame(packed, length, raw);
            }
            match packed.next()? {
                None => {
                    self.ended = true;
                    return Ok(());
                }
                Some(Event::Frame { packed, raw }) => self.announced = Some((packed, raw)),
                Some(Event::Hole { raw, why }) => {
                    self.next.push_back(Next::Hole { raw, why });
                    return Ok(());
                }
                // In no frame: what lies between them is not the archive's.
                Some(Event::Bytes(_)) => {}
            }
        }
    }

    /// Reads one frame and has it uncompressed.
    fn frame(&mut self, packed: &mut impl Packed, length: u64, raw: u64) -> io::Result<()> {
        let mut job = self.spare.pop().unwrap_or_default();
        job.packed.clear();
        let fits = raw <= MAX_RAW && length <= raw.saturating_add(SLACK);
        if fits {
            job.packed.reserve(usize::try_from(length.min(ADVANCE)).unwrap_or(0));
        }
        let mut missing = length;
        let mut behind = None;
        while missing > 0 {
            match packed.next()? {
                Some(Event::Bytes(bytes)) => {
                    let taken = bytes.len().min(usize::try_from(missing).unwrap_or(usize::MAX));
                    if fits && raw > 0 {
                        job.packed.extend_from_slice(&bytes[..taken]);
                    }
                    missing -= taken as u64;
                }
                Some(Event::Frame { packed, raw }) => {
                    self.announced = Some((packed, raw));
                    break;
                }
                Some(Event::Hole { raw, why }) => {
                    behind = Some(Next::Hole { raw, why });
                    break;
                }
                None => {
                    self.ended = true;
                    break;
                }
            }
        }
        if raw > 0 {
            self.frame_read(
                job,
                raw,
                if !fits {
                    Some("it is larger than a frame may be")
                } else if missing > 0 {
                    Some("it is cut off")
                } else {
                    None
                },
            )?;
        } else {
            self.spare.push(job);
        }
        self.next.extend(behind);
        Ok(())
    }

    fn frame_read(&mut self, mut job: Job, raw: u64, wrong: Option<&str>) -> io::Result<()> {
        if let Some(wrong) = wrong {
            self.spare.push(job);
            self.next.push_back(Next::Hole { raw: Some(raw), why: format!("a frame of the dump is damaged ({wrong})") });
            return Ok(());
        }
        job.raw = usize::try_from(raw).map_err(io::Error::other)?;
        let worker = self.turn;
        self.turn = 1 - worker;
        self.workers[worker].to.send(job).map_err(|_| lost())?;
        self.ahead += raw;
        self.next.push_back(Next::Frame { worker, raw });
        Ok(())
    }
}

fn lost() -> io::Error {
    io::Error::other("a thread that uncompresses the dump has ended")
}
