//! The reader: a process of the dump user that reads dumps for one session.
//!
//! The account that laptops log in to may not read dumps. So the session asks for a reader by a file in the queue, the runner starts one, and it
//! connects to a socket of that session, which passes bytes on. The request is hostile: it names a host, and everything else comes from
//! shim.toml. Whose dumps the host may read is decided here, for each ask.
//!
//! It waits for no run and holds none up. When the laptop goes, the session closes the socket, and with it go the reader and what it started.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use wire::{Exit, HostName};

use super::audit;
use super::bounded::Bounded;
use super::grants::may_read;
use super::leash::Leash;
use super::pace::Pace;
use super::serve::{Asked, Library, serve};
use super::source::Source;
use super::source::embedded::Embedded;
use super::source::installed::Installed;
use crate::config::{Config, EngineKind};
use crate::durable;
use crate::engine::{Trouble, dumper};
use crate::layout::Layout;
use crate::lock::{self, Guard};
use crate::queue::ticket::Ticket;
use crate::report::Words;
use crate::runner::record::Settled;
use crate::runner::{clock, log, start, uptime};
use crate::serve::{private, syslog};

/// Readers of one host at a time.
pub const PER_HOST: u32 = 3;

/// Readers at a time.
pub const IN_ALL: u32 = 12;

/// So long a laptop may ask for nothing.
const IDLE: Duration = Duration::from_secs(30 * 60);

/// So long it may take nothing of an answer.
const STUCK: Duration = Duration::from_secs(2 * 60);

/// Reads dumps for the session that asked by this request, `HOST@ID`.
///
/// # Errors
/// When this is no request.
pub fn work(config: &Config, request: &str) -> Result<Exit, Words> {
    start::become_dump_user(config)?;
    start::leave_session();
    let (host, id) = Ticket::parse_file_name(&format!("{request}.json")).ok_or_else(|| {
        Words::new(Exit::Usage, "a reader is started by the runner").hint("a laptop that asks for its files gets them: asyncamanda restore")
    })?;
    let ticket = Ticket { id, host, disks: Vec::new(), holds_back: false };
    let layout = config.layout();
    let done = slots(&layout, &ticket.host).and_then(|slots| {
        let stream = private::connect(&layout, &ticket).map_err(|error| unreachable_session(&error))?;
        Ok((slots, stream))
    });
    let (_slots, stream) = match done {
        Ok(ready) => ready,
        Err(trouble) => {
            log(&format!("event=reader_not_started host={} why=\"{trouble}\"", ticket.host));
            // The session waits for this, or is gone.
            let _ = durable::publish_json(&layout.result(&ticket), &Settled::from(&trouble), 0o640);
            return Ok(Exit::Failed);
        }
    };
    let leash = Arc::new(Leash::default());
    watch(&stream, &leash).map_err(|error| Words::new(Exit::Failed, "the reader cannot watch its session").because(error.to_string()))?;
    // This process reads the stream only when it waits for an ask, and cannot write to it only when the laptop has given no credit.
    limit(&stream).map_err(|error| Words::new(Exit::Failed, "the reader cannot limit its session").because(error.to_string()))?;
    let mut library = Permitted { config, layout, own: &ticket.host, sources: BTreeMap::new(), leash, pace: Pace::default() };
    match serve(&mut library, &ticket.host, &stream, &stream) {
        Ok(()) => Ok(Exit::Done),
        // The laptop has gone, as it may.
        Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(Exit::Done),
        Err(error) => {
            log(&format!("event=reader_failed host={} why=\"{error}\"", ticket.host));
            Ok(Exit::Failed)
        }
    }
}

/// Has the stream fail for a laptop that says or takes nothing for too long: others may wait for its place, or for the drive.
fn limit(stream: &UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(STUCK))
}

fn unreachable_session(error: &io::Error) -> Trouble {
    Trouble::config(
        format!("the server's reader cannot reach the session that asked for it: {error}"),
        "the operator should look at `runtime` of shim.toml (asyncamanda-shim check says what its hosts directory must be like)",
    )
}

/// Takes a host's place and one of all, which are held as long as this process lives.
fn slots(layout: &Layout, host: &HostName) -> Result<[Guard; 2], Trouble> {
    let free = |name: &str, count: u32| -> Result<Guard, Trouble> {
        for number in 0..count {
            let path = layout.reader_lock(name, number);
            let taken = lock::try_take(&path, "", clock() as i64);
            if let Some(guard) = taken.map_err(|error| {
                Trouble::config(format!("{}: {error}", path.display()), "asyncamanda-shim check says what it must be like")
            })? {
                return Ok(guard);
            }
        }
        let whose = if name.is_empty() { String::new() } else { format!(" for {name}") };
        Err(Trouble::later(
            format!("the server reads dumps{whose} {count} times at once already, and no more"),
            "try again when one of them has ended",
        ))
    };
    Ok([free(host.as_str(), PER_HOST)?, free("", IN_ALL)?])
}

/// Pulls in what this process has started when the session goes: it may be waiting for a drive, and nobody waits for it.
fn watch(stream: &UnixStream, leash: &Arc<Leash>) -> io::Result<()> {
    let (stream, leash) = (stream.try_clone()?, Arc::clone(leash));
    thread::Builder::new().name("watch".into()).spawn(move || {
        loop {
            let mut closed = [PollFd::new(stream.as_fd(), PollFlags::empty())];
            match poll(&mut closed, PollTimeout::NONE) {
                Err(nix::errno::Errno::EINTR) => {}
                _ => return leash.pull(),
            }
        }
    })?;
    Ok(())
}

/// The dumps that shim.toml lets a host read.
struct Permitted<'a> {
    config: &'a Config,
    layout: Layout,
    own: &'a HostName,
    sources: BTreeMap<HostName, Bounded>,
    leash: Arc<Leash>,
    pace: Pace,
}

impl Library for Permitted<'_> {
    fn of(&mut self, host: &HostName) -> Result<&mut dyn Source, Trouble> {
        thread::sleep(self.pace.ask(Duration::from_secs_f64(uptime())));
        let may = may_read(self.config, self.own, host, chrono::Local::now().date_naive())?;
        if !self.sources.contains_key(host) {
            let source: Box<dyn Source> = match self.config.engine {
                EngineKind::Embedded => Box::new(Embedded::new(dumper::survey::open(self.config, &may.config)?)),
                EngineKind::Amanda => Box::new(Installed::open(self.config, &may.config, Arc::clone(&self.leash))?),
                EngineKind::None => {
                    return Err(Trouble::config(
                        "this server's engine makes no dumps, so there is nothing to restore",
                        "set engine in shim.toml",
                    ));
                }
            };
            self.sources.insert(host.clone(), Bounded::new(source, may.only));
        }
        match self.sources.get_mut(host) {
            Some(source) => Ok(source),
            None => Err(Trouble::later("the dumps were lost sight of", "ask again")),
        }
    }

    fn note(&mut self, asked: &Asked<'_>, outcome: &str) {
        let line = audit::line(self.own, asked, outcome);
        syslog(&line);
        let time = chrono::Local::now().format("%Y-%m-%dT%H:%M:%S%z").to_string();
        if let Err(error) = audit::append(&self.layout.restores_log(), &time, &line) {
            log(&format!("event=restore_not_noted why=\"{error}\" {line}"));
        }
    }
}
