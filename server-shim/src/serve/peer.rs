//! The two ends of a session's pipe, in frames. One thread: it sleeps in poll(2) until the laptop speaks, something
//! happens to a ticket, or it is time to say "still here".

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use wire::frame::{pack, unpack};
use wire::message::{HEARTBEAT_SECONDS, SILENCE_SECONDS};
use wire::{Decoder, FrameError, FromAgent, FromShim};

/// What came.
#[derive(Debug)]
pub enum Event {
    /// The laptop said something.
    Said(FromAgent),
    /// The time to look again has come, or something happened in the watched directory.
    Look,
    /// The laptop has closed its end, or was silent for too long.
    Gone,
    /// It speaks no language of ours.
    Nonsense(FrameError),
}

/// Waits until the laptop has read something; one that reads nothing for as long as it may be silent is gone.
fn wait_for_room(out: &std::fs::File) -> io::Result<()> {
    let mut descriptors = [PollFd::new(out.as_fd(), PollFlags::POLLOUT)];
    match poll(&mut descriptors, PollTimeout::try_from(Duration::from_secs(SILENCE_SECONDS)).unwrap_or(PollTimeout::MAX)) {
        Ok(0) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the laptop reads nothing")),
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// The laptop at the other end of standard input and output.
pub struct Peer {
    decoder: Decoder,
    heard: Instant,
    spoke: Instant,
    watch: Option<Inotify>,
}

impl Default for Peer {
    fn default() -> Self {
        // Where this fails, a laptop that does not read can hold this one process, and nothing else.
        let _ = fcntl(io::stdout().as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        Self { decoder: Decoder::new(), heard: Instant::now(), spoke: Instant::now(), watch: None }
    }
}

impl Peer {
    /// Wakes up when a file appears in this directory.
    pub fn watch(&mut self, directory: &Path) {
        // Without a watch the session still looks every second.
        self.watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
            .and_then(|watch| watch.add_watch(directory, AddWatchFlags::IN_MOVED_TO).map(|_| watch))
            .ok();
    }

    /// Says something.
    pub fn say(&mut self, message: &FromShim) -> io::Result<()> {
        let bytes = pack(message).map_err(io::Error::other)?;
        // Not through io::stdout(), whose buffer cannot be told to give up.
        let mut out = std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match out.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for_room(&out)?,
                Err(error) => return Err(error),
            }
        }
        self.spoke = Instant::now();
        Ok(())
    }

    /// Waits for what comes next, at most `patience`.
    pub fn next(&mut self, patience: Duration) -> io::Result<Event> {
        let look_at = Instant::now() + patience;
        loop {
            match self.decoder.next_frame().and_then(|frame| frame.map(unpack::<FromAgent>).transpose()) {
                Ok(Some(FromAgent::Heartbeat)) => continue,
                Ok(Some(message)) => return Ok(Event::Said(message)),
                Ok(None) => {}
                Err(error) => return Ok(Event::Nonsense(error)),
            }
            let now = Instant::now();
            if now >= look_at {
                return Ok(Event::Look);
            }
            if now.duration_since(self.heard) >= Duration::from_secs(SILENCE_SECONDS) {
                return Ok(Event::Gone);
            }
            if now.duration_since(self.spoke) >= Duration::from_secs(HEARTBEAT_SECONDS) {
                self.say(&FromShim::Heartbeat)?;
            }
            let woken = self.sleep((look_at - now).min(Duration::from_secs(HEARTBEAT_SECONDS)))?;
            if woken.0 && !self.read()? {
                // One that leaves in the middle of a word was cut off, or speaks another language.
                return Ok(self.decoder.finish().map_or_else(Event::Nonsense, |()| Event::Gone));
            }
            if woken.1 {
                return Ok(Event::Look);
            }
        }
    }

    /// Sleeps; tells whether the laptop spoke and whether the watched directory changed.
    fn sleep(&self, patience: Duration) -> io::Result<(bool, bool)> {
        let stdin = io::stdin();
        let mut descriptors = vec![PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        if let Some(watch) = &self.watch {
            descriptors.push(PollFd::new(watch.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut descriptors, PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let woken: Vec<bool> = descriptors.iter().map(|descriptor| descriptor.any().unwrap_or(true)).collect();
        if let Some(watch) = &self.watch
            && woken.get(1) == Some(&true)
        {
            while watch.read_events().is_ok_and(|events| !events.is_empty()) {}
        }
        Ok((woken[0], woken.get(1) == Some(&true)))
    }

    /// Reads what is there; false at the end of the stream.
    fn read(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 8192];
        // Not through io::stdin(): its buffer would hide bytes from poll.
        let read = std::fs::File::from(io::stdin().as_fd().try_clone_to_owned()?).read(&mut bytes)?;
        self.decoder.feed(&bytes[..read]);
        self.heard = Instant::now();
        Ok(read > 0)
    }
}
