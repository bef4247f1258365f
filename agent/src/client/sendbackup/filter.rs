//! The way of the dump's bytes: out of tar, through gzip, [`frames`] or a program, to the server; counted at both ends.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use amanda::crc::Crc;
use amanda::frames::Section;
use flate2::{Compress, Compression, FlushCompress, Status};
use nix::fcntl::{FcntlArg, fcntl};

use super::names::Members;
use super::speech::{Speaker, Speech};
use super::{Progress, frames};
use crate::client::allow::Filter;
use crate::client::children::Children;
use crate::client::lanes::Lane;
use crate::client::tar;

/// Room in a pipe: the programs at its ends take turns less often.
const PIPE: i32 = 1024 * 1024;
/// Bytes taken from tar at once, where they do not go into a token directly.
pub const CHUNK: usize = 128 * 1024;
/// What gzip writes: the largest window there is.
const WINDOW: u8 = 15;

/// Makes a pipe roomy; it works without.
pub fn widen(pipe: &impl AsFd) {
    let _limited = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(PIPE));
}

/// Between two reads of a pipe that had little in it.
const PAUSE: Duration = Duration::from_micros(1000);

/// Reads a pipe in larger pieces than tar writes: 10 KiB of an archive, or one name. Whoever is woken for each of them takes turns with tar
/// and with what compresses, a hundred thousand times in a GB, and that costs a tenth of all the time there is. So one that has found little lets the
/// pipe fill for a moment; what it holds is enough for tar to go on meanwhile.
pub struct Unhurried<R> {
    pipe: R,
    was_short: bool,
}

impl<R: AsFd> Unhurried<R> {
    /// Takes a pipe, and makes it roomy.
    pub fn new(pipe: R) -> Self {
        widen(&pipe);
        Self { pipe, was_short: false }
    }
}

impl<R: Read> Read for Unhurried<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.was_short {
            thread::sleep(PAUSE);
        }
        let read = self.pipe.read(buffer)?;
        self.was_short = read < buffer.len() / 2;
        Ok(read)
    }
}

/// A program between tar and the server, when there is one.
pub struct Program {
    pub child: Child,
    pub path: std::path::PathBuf,
}

/// What the bytes pass, set up.
pub enum Way {
    Straight,
    Gzip(u32),
    /// The names' end puts the members' sections into it.
    Zstd(Receiver<Section>),
    Program(Program),
}

impl Way {
    /// Starts the program, when there is one. As Amanda does it: without arguments, and without a shell.
    pub fn open(filter: &Filter, children: &Children) -> io::Result<Self> {
        Ok(match filter {
            Filter::None => Self::Straight,
            Filter::Gzip(level) => Self::Gzip(*level),
            // Nobody puts anything in until somebody asks for the other end.
            Filter::Zstd => Self::Zstd(channel().1),
            Filter::Program(path) => {
                let mut command = tar::bare(path);
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
                Self::Program(Program { child: children.spawn(&mut command)?, path: path.clone() })
            }
        })
    }
}

impl Way {
    /// Returns where the names' end puts members, when the dump holds them: to be asked for once, and the dump ends after it is gone.
    pub fn members(&mut self) -> Option<Members> {
        let Self::Zstd(sections) = self else { return None };
        let (to, from) = channel();
        *sections = from;
        Some(Members::new(to))
    }
}

/// Takes all of tar's output to the server. Returns the checksum of what tar wrote.
pub fn pass_on(tar: ChildStdout, way: &mut Way, lane: &mut Lane, speech: &Speech, progress: &Progress<'_>) -> io::Result<Crc> {
    let tar = Unhurried::new(tar);
    match way {
        Way::Straight => {
            copy(tar, lane, |sent| progress.moved(sent, sent))?;
            Ok(lane.sent())
        }
        Way::Gzip(level) => gzip(tar, *level, lane, progress),
        Way::Zstd(sections) => frames::pass_on(tar, sections, lane, progress),
        Way::Program(program) => through(tar, program, lane, speech, progress),
    }
}

/// Reads into the tokens themselves.
fn copy(mut from: impl Read, lane: &mut Lane, moved: impl Fn(u64)) -> io::Result<()> {
    loop {
        match from.read(lane.spare()) {
            Ok(0) => return Ok(()),
            Ok(read) => lane.advance(read)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        moved(lane.sent().bytes);
    }
}

fn gzip(mut tar: impl Read, level: u32, lane: &mut Lane, progress: &Progress<'_>) -> io::Result<Crc> {
    let mut native = Crc { crc: 0, bytes: 0 };
    let mut gzip = Compress::new_gzip(Compression::new(level), WINDOW);
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = match tar.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        count(&mut native, &buffer[..read]);
        let mut rest = &buffer[..read];
        let flush = if read == 0 { FlushCompress::Finish } else { FlushCompress::None };
        loop {
            let (was_in, was_out) = (gzip.total_in(), gzip.total_out());
            let status = gzip.compress(rest, lane.spare(), flush).map_err(io::Error::other)?;
            // Both counts move by less than a buffer.
            let (taken, made) = ((gzip.total_in() - was_in) as usize, (gzip.total_out() - was_out) as usize);
            rest = &rest[taken..];
            lane.advance(made)?;
            match status {
                Status::StreamEnd => return Ok(native),
                _ if rest.is_empty() && read > 0 => break,
                _ => {}
            }
        }
        progress.moved(native.bytes, lane.sent().bytes);
    }
}

/// Lets a program do it: one thread feeds it, one reads it, one hears what it says.
fn through(tar: impl Read + Send, program: &mut Program, lane: &mut Lane, speech: &Speech, progress: &Progress<'_>) -> io::Result<Crc> {
    let stdin = program.child.stdin.take().expect("it was asked for");
    let stdout = program.child.stdout.take().expect("it was asked for");
    let stderr = program.child.stderr.take().expect("it was asked for");
    widen(&stdin);
    widen(&stdout);
    thread::scope(|scope| {
        let feeding = scope.spawn(|| feed(tar, stdin, progress));
        let hearing = scope.spawn(|| speech.pass_on(Speaker::Filter, stderr));
        let copied = copy(stdout, lane, |sent| progress.sent(sent));
        if copied.is_err() {
            // Otherwise the others would wait for programs that wait for us.
            progress.children.kill();
        }
        let native = feeding.join().expect("no panic");
        hearing.join().expect("no panic")?;
        copied?;
        native
    })
}

fn feed(mut tar: impl Read, mut program: impl Write, progress: &Progress<'_>) -> io::Result<Crc> {
    let mut native = Crc { crc: 0, bytes: 0 };
    let mut buffer = vec![0; CHUNK];
    let mut open = true;
    loop {
        let read = match tar.read(&mut buffer) {
            Ok(0) => return Ok(native),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        count(&mut native, &buffer[..read]);
        // A program that reads no more says with its status whether that was right; tar must not be blamed for it.
        if open && program.write_all(&buffer[..read]).is_err() {
            open = false;
        }
        progress.raw(native.bytes);
    }
}

pub fn count(crc: &mut Crc, bytes: &[u8]) {
    crc.crc = crc32c::crc32c_append(crc.crc, bytes);
    crc.bytes += bytes.len() as u64;
}
