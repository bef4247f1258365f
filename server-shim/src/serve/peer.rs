//! The laptop at the other end of a session's pipe, in frames, and the tunnel beside it. One thread: it sleeps in poll(2)
//! until the laptop speaks, Amanda speaks, something happens to a ticket, or it is time to say "still here".

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use wire::frame::{CONTROL, unpack};
use wire::message::{HEARTBEAT_SECONDS, SILENCE_SECONDS};
use wire::{Decoder, FromAgent, FromShim};

use super::allowance::Allowance;
use super::output::Output;
use super::relay::{self, Relay};
use crate::tunnel::filter::Caught;
use crate::tunnel::stream::StreamError;
use crate::tunnel::{Source, Tunnel};

const HEARTBEAT: Duration = Duration::from_secs(HEARTBEAT_SECONDS);
const SILENCE: Duration = Duration::from_secs(SILENCE_SECONDS);

/// As much is read at a time; the pipe from sshd is made as large, where it is one.
const READ: usize = 256 * 1024;

/// Credit for so many bytes is not counted as a message. What our agent gives at a time is four times that.
const PAYS: u32 = 64 * 1024;

/// How often the tunnel looks after what changes with time, while it is busy.
const TICK: Duration = Duration::from_millis(200);

/// The same while nothing happens: then it is woken up.
const IDLE_TICK: Duration = Duration::from_secs(1);

/// What came.
#[derive(Debug)]
pub enum Event {
    /// The laptop said something.
    Said(FromAgent),
    /// The time to look again has come, or something happened in the watched directory.
    Look,
    /// The laptop has closed its end, or was silent for too long.
    Gone(&'static str),
    /// It speaks no language of ours.
    Nonsense(String),
    /// It said something on a stream that Amanda must not read; the stream was ended.
    Caught(Caught),
    /// Both ends of what was relayed have been closed.
    Closed,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    Laptop,
    Output,
    Watch,
    Tunnel(Source),
    Relay(relay::Ready),
}

/// The laptop at the other end of standard input and output.
pub struct Peer {
    input: File,
    output: Output,
    decoder: Decoder,
    /// As much is read at a time.
    most: usize,
    heard: Instant,
    spoke: Instant,
    ticked: Instant,
    allowance: Allowance,
    watch: Option<Inotify>,
    tunnel: Option<Tunnel>,
    relay: Option<Relay>,
}

impl Peer {
    /// Talks through standard input and output.
    pub fn stdio() -> io::Result<Self> {
        // Not through io::stdin() and io::stdout(): their buffers would hide bytes from poll, and cannot be told to give up.
        Ok(Self::new(io::stdin().as_fd().try_clone_to_owned()?, io::stdout().as_fd().try_clone_to_owned()?))
    }

    /// Talks through these two.
    pub fn new(input: OwnedFd, output: OwnedFd) -> Self {
        for pipe in [&input, &output] {
            // Fewer turns between sshd and us; what is no pipe has its own size.
            let _ = rustix::pipe::fcntl_setpipe_size(pipe, READ);
        }
        let now = Instant::now();
        Self {
            input: input.into(),
            output: Output::new(output),
            decoder: Decoder::new(),
            most: 8 * 1024,
            heard: now,
            spoke: now,
            ticked: now,
            allowance: Allowance::new(now),
            watch: None,
            tunnel: None,
            relay: None,
        }
    }

    /// Wakes up when a file appears in this directory.
    pub fn watch(&mut self, directory: &Path) {
        // Without a watch the session still looks every second.
        self.watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
            .and_then(|watch| watch.add_watch(directory, AddWatchFlags::IN_MOVED_TO).map(|_| watch))
            .ok();
    }

    /// Lets Amanda reach the laptop from now on.
    pub fn serve(&mut self, tunnel: Tunnel) {
        self.tunnel = Some(tunnel);
        // Dumps will come; until now there were messages.
        self.most = READ;
    }

    /// Tells whether Amanda can reach the laptop.
    pub fn serves(&self) -> bool {
        self.tunnel.is_some()
    }

    /// Passes on a stream from now on.
    pub fn relay(&mut self, relay: Relay) {
        self.relay = Some(relay);
        // Answers come, and what is said for them is short.
        self.most = self.most.max(32 * 1024);
    }

    /// Gives up what is relayed.
    pub fn end_relay(&mut self) {
        self.relay = None;
    }

    /// Tells whether a reader has come for what is relayed.
    pub fn is_relaying(&self) -> bool {
        self.relay.as_ref().is_some_and(Relay::is_open)
    }

    /// Tells whether what is relayed has ended here.
    pub fn has_closed_relay(&self) -> bool {
        self.relay.as_ref().is_some_and(Relay::has_closed)
    }

    /// Says something, before whatever streams have to say. It waits only for a laptop that has let very much come together.
    pub fn say(&mut self, message: &FromShim) -> io::Result<()> {
        self.output.say(message)?;
        self.output.flush()?;
        self.spoke = Instant::now();
        while self.output.is_full() {
            self.wait_for_room()?;
        }
        Ok(())
    }

    /// Ends the tunnel, for this reason, and then waits until all that was said is on its way.
    pub fn part(&mut self, why: &str) {
        if let Some(mut tunnel) = self.tunnel.take() {
            tunnel.end(why);
        }
        self.relay = None;
        while self.output.is_waiting() && self.wait_for_room().is_ok() {}
    }

    /// Waits until the laptop has read something; one that reads nothing for as long as it may be silent is gone.
    fn wait_for_room(&mut self) -> io::Result<()> {
        let mut descriptors = [PollFd::new(self.output.file().as_fd(), PollFlags::POLLOUT)];
        match poll(&mut descriptors, PollTimeout::try_from(SILENCE).unwrap_or(PollTimeout::MAX)) {
            Ok(0) => return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the laptop reads nothing")),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        self.output.flush()
    }

    /// Waits for what comes next, at most `patience`; the tunnel is served meanwhile.
    pub fn next(&mut self, patience: Duration) -> io::Result<Event> {
        let look_at = Instant::now() + patience;
        loop {
            if let Some(event) = self.take_frames()? {
                return Ok(event);
            }
            self.output.flush()?;
            if self.relay.as_ref().is_some_and(Relay::is_over) {
                self.relay = None;
                return Ok(Event::Closed);
            }
            let now = Instant::now();
            if now >= look_at {
                return Ok(Event::Look);
            }
            if now.duration_since(self.heard) >= SILENCE {
                return Ok(Event::Gone("the laptop was silent for too long"));
            }
            if self.output.stuck_for(now) >= SILENCE {
                return Ok(Event::Gone("the laptop reads nothing"));
            }
            if now.duration_since(self.spoke) >= HEARTBEAT {
                self.say(&FromShim::Heartbeat)?;
            }
            if let Some(tunnel) = self.tunnel.as_mut().filter(|_| now.duration_since(self.ticked) >= TICK) {
                tunnel.tick(now, now.duration_since(self.heard));
                self.ticked = now;
            }
            let mut until = look_at.min(self.heard + SILENCE).min(self.spoke + HEARTBEAT);
            if self.tunnel.is_some() {
                until = until.min(self.ticked + IDLE_TICK);
            }
            if let Some(event) = self.sleep(until.saturating_duration_since(now))? {
                return Ok(event);
            }
        }
    }

    /// Takes the frames that are there: streams' to the tunnel, until a message is for the session.
    fn take_frames(&mut self) -> io::Result<Option<Event>> {
        loop {
            let frame = match self.decoder.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(None),
                Err(error) => return Ok(Some(Event::Nonsense(error.to_string()))),
            };
            let done = if frame.channel == CONTROL {
                let message = unpack::<FromAgent>(frame);
                if !message.as_ref().is_ok_and(is_paid_for) && !self.allowance.take(Instant::now()) {
                    return Ok(Some(Event::Nonsense("it says too much at a time".to_owned())));
                }
                match message {
                    Err(error) => return Ok(Some(Event::Nonsense(error.to_string()))),
                    Ok(FromAgent::Heartbeat) => Ok(()),
                    Ok(FromAgent::Window { stream, bytes }) if self.tunnel.is_some() => {
                        self.tunnel.as_mut().map_or(Ok(()), |tunnel| tunnel.credited(stream, bytes))
                    }
                    Ok(FromAgent::Close { stream }) if self.tunnel.is_some() => {
                        self.tunnel.as_mut().map_or(Ok(()), |tunnel| tunnel.heard_close(stream, &mut self.output))
                    }
                    Ok(FromAgent::Window { stream, bytes }) if self.is_relaying() => {
                        self.relay.as_mut().map_or(Ok(()), |relay| relay.credited(stream, bytes))
                    }
                    Ok(FromAgent::Close { stream }) if self.is_relaying() => {
                        self.relay.as_mut().map_or(Ok(()), |relay| relay.heard_close(stream, &mut self.output))
                    }
                    Ok(message) => return Ok(Some(Event::Said(message))),
                }
            } else if let Some(relay) = &mut self.relay {
                relay.from_laptop(frame.channel, frame.payload, &mut self.output)
            } else if let Some(tunnel) = &mut self.tunnel {
                tunnel.from_laptop(frame.channel, frame.payload, &mut self.output)
            } else {
                return Ok(Some(Event::Nonsense(format!("it speaks on channel {}, and nothing is open", frame.channel))));
            };
            match done {
                Ok(()) => {}
                Err(StreamError::Breach(breach)) => return Ok(Some(Event::Nonsense(breach.to_string()))),
                Err(StreamError::Io(error)) => return Err(error),
            }
            if let Some(caught) = self.tunnel.as_mut().and_then(Tunnel::caught) {
                return Ok(Some(Event::Caught(caught)));
            }
        }
    }

    /// Sleeps, and does what is ready then.
    fn sleep(&mut self, patience: Duration) -> io::Result<Option<Event>> {
        let ready = self.poll(patience)?;
        let mut event = None;
        let mut tunnel = Vec::new();
        for (waits, flags) in ready {
            match waits {
                Waits::Output => self.output.flush()?,
                Waits::Watch => {
                    event = Some(Event::Look);
                    if let Some(watch) = &self.watch {
                        while watch.read_events().is_ok_and(|events| !events.is_empty()) {}
                    }
                }
                Waits::Laptop => {
                    if !self.read()? {
                        // One that leaves in the middle of a word was cut off, or speaks another language.
                        let end = |()| Event::Gone("the laptop has closed it");
                        return Ok(Some(self.decoder.finish().map_or_else(|error| Event::Nonsense(error.to_string()), end)));
                    }
                }
                Waits::Tunnel(source) => tunnel.push((source, flags)),
                Waits::Relay(ready) => {
                    if let Some(relay) = &mut self.relay {
                        relay.ready(ready, &mut self.output)?;
                    }
                }
            }
        }
        if let Some(serving) = self.tunnel.as_mut().filter(|_| !tunnel.is_empty()) {
            serving.ready(&tunnel, self.heard.elapsed(), &mut self.output)?;
            event = serving.caught().map(Event::Caught).or(event);
        }
        Ok(event)
    }

    fn poll(&self, patience: Duration) -> io::Result<Vec<(Waits, PollFlags)>> {
        let mut waits = vec![(Waits::Laptop, PollFd::new(self.input.as_fd(), PollFlags::POLLIN))];
        if self.output.is_waiting() {
            waits.push((Waits::Output, PollFd::new(self.output.file().as_fd(), PollFlags::POLLOUT)));
        }
        if let Some(watch) = &self.watch {
            waits.push((Waits::Watch, PollFd::new(watch.as_fd(), PollFlags::POLLIN)));
        }
        if let Some(tunnel) = &self.tunnel {
            let mut interests = Vec::new();
            tunnel.interests(self.output.has_room(), &mut interests);
            waits.extend(interests.into_iter().map(|(source, descriptor)| (Waits::Tunnel(source), descriptor)));
        }
        if let Some(relay) = &self.relay {
            waits.extend(relay.interests(self.output.has_room()).into_iter().map(|(ready, descriptor)| (Waits::Relay(ready), descriptor)));
        }
        let (names, mut descriptors): (Vec<Waits>, Vec<PollFd<'_>>) = waits.into_iter().unzip();
        // Rounded up: a wait of less than a millisecond would be none, again and again.
        let timeout = PollTimeout::try_from(patience + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        match poll(&mut descriptors, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        // A flag that nix does not know is one to act upon.
        let flags = descriptors.iter().map(|descriptor| descriptor.revents().unwrap_or(PollFlags::POLLERR));
        Ok(names.into_iter().zip(flags).filter(|(_, flags)| !flags.is_empty()).collect())
    }

    /// Reads what is there; false at the end of the stream.
    fn read(&mut self) -> io::Result<bool> {
        let read = match self.decoder.read_from(&self.input, self.most) {
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => return Ok(true),
            other => other?,
        };
        self.heard = Instant::now();
        Ok(read > 0)
    }
}

/// Says whether a message may come as often as it does: credit for so many bytes comes after so many bytes, and no more is taken.
fn is_paid_for(message: &FromAgent) -> bool {
    matches!(message, FromAgent::Window { bytes, .. } if *bytes >= PAYS)
}
