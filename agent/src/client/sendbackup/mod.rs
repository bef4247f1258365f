//! One dump, from the request to the last word about it (client-src/sendbackup.c, sendbackup-gnutar.c).
//!
//! Everything that can be refused or can fail beforehand does so before the answer, where it becomes one sentence. Then the server
//! acknowledges, hears what goes into the dump's header, and gets the three streams. When all programs have ended well the attempt is
//! written down, unless something could not be read ([`unread`]), and only then the server hears `sendbackup: end`. In every other case it hears an error, or nothing at
//! all because it has gone, and the attempt is forgotten.

mod filter;
mod frames;
mod names;
pub mod speech;
mod unread;

use std::io;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::SystemTime;

use amanda::crc::Crc;
use amanda::escape::printable;
use amanda::protocol::features::Features;
use amanda::protocol::mesg::{Line, header_words};
use amanda::protocol::reply::{Connect, Sendbackup};
use amanda::protocol::request::{Options, Request};
use wire::DiskName;

use super::allow::{self, Filter, Grant, Refusal};
use super::children::Children;
use super::connection::{self, Connection};
use super::lanes::Lane;
use super::mounts;
use super::patterns::{self, Files};
use super::state::{Attempt, StateError};
use super::tar::{Run, Tar};
use super::{Client, Watch};
use filter::Way;
use speech::{Heard, Speaker, Speech};

/// Counts of a dump in the making.
pub struct Progress<'a> {
    watch: &'a dyn Watch,
    disk: &'a DiskName,
    pub children: &'a Children,
    files: AtomicU64,
    raw: AtomicU64,
    sent: AtomicU64,
}

impl Progress<'_> {
    fn moved(&self, raw: u64, sent: u64) {
        self.raw.store(raw, Ordering::Relaxed);
        self.sent(sent);
    }

    fn raw(&self, raw: u64) {
        self.raw.store(raw, Ordering::Relaxed);
    }

    fn sent(&self, sent: u64) {
        self.sent.store(sent, Ordering::Relaxed);
        self.watch.moved(self.disk, self.raw.load(Ordering::Relaxed), sent, self.files.load(Ordering::Relaxed));
    }
}

/// Everything that a dump needs, found to be in order.
struct Ready<'a> {
    grant: Grant<'a>,
    level: u8,
    tar: Tar,
    attempt: Attempt,
    files: Files,
    children: Arc<Children>,
}

/// Why a dump is none.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the server has closed the connection")]
    Gone(#[source] io::Error),
    #[error("{0}")]
    Program(String),
    #[error("no backup size line")]
    NoSize,
    #[error(transparent)]
    State(#[from] StateError),
}

/// Serves a request for a dump.
pub fn serve(connection: &Connection, handle: u32, request: &Request) {
    let client = &*connection.client;
    let ready = match ready(connection, request) {
        Ok(Some(ready)) => ready,
        Ok(None) => return,
        Err(refusal) => {
            client.watch.refused(&refusal.to_string());
            return connection.answer(handle, Sendbackup::Error(format!("[{refusal}]").into_bytes()).print());
        }
    };
    let dle = &request.dles[0];
    let children = Arc::clone(&ready.children);
    let mut stream = || connection.stream(&children);
    let streams = Connect { data: stream(), mesg: stream(), index: dle.index.then(&mut stream), state: None };
    let options = Options { features: Some(Features::ours()), ..Options::default() };
    connection.answer(handle, Sendbackup::Connect { streams, options }.print());
    if connection.acknowledged(handle) {
        let disk = &ready.grant.disk.name;
        client.watch.dumping(disk, ready.level);
        let how = match dump(connection, request, &ready, streams) {
            Ok(counts) => finish(connection, ready.attempt, dle.record, streams, counts),
            Err(fault) => failed(connection, streams, &fault),
        };
        client.watch.ended(disk, &how);
    }
    children.kill();
    connection.forget(&children);
}

fn ready<'a>(connection: &'a Connection, request: &Request) -> Result<Option<Ready<'a>>, Refusal> {
    let client: &'a Client = &connection.client;
    // The parser knows requests for a dump with just one disk and level.
    let (Some(dle), Some(level)) = (request.dles.first(), request.dles.first().and_then(|dle| dle.levels.first())) else {
        return Err(Refusal::new("the request names no disk and level"));
    };
    let grant = allow::dle(&client.rules, dle)?;
    let level = u8::try_from(level.level).map_err(|_| Refusal::new(format!("there is no level {}", level.level)))?;
    let device = &grant.disk.device;
    std::fs::read_dir(device).map_err(|error| Refusal::new(format!("cannot read {}: {error}", device.display())))?;
    let tar = Tar::probe(allow::tar(&client.rules)?).map_err(Refusal::new)?;
    let started = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0));
    let (is_on, moved) = mounts::look(&client.state, grant.disk, level)?;
    let mut attempt = client.state.begin(&grant.disk.name, level, started).map_err(|error| Refusal::new(connection::words(&error)))?;
    let mut files = patterns::write(attempt.dir(), grant.disk, dle)?;
    is_on.into_iter().for_each(|system| attempt.is_on(system));
    for remark in attempt.remark().map(str::to_owned).into_iter().chain(moved) {
        client.watch.remarked(&remark);
        files.remarks.push(remark);
    }
    let Some(children) = connection.children() else { return Ok(None) };
    Ok(Some(Ready { grant, level, tar, attempt, files, children }))
}

/// Makes the dump.
fn dump(connection: &Connection, request: &Request, ready: &Ready<'_>, streams: Connect) -> Result<Counts, Fault> {
    let speech = Speech::new(&connection.wire, streams.mesg);
    introduce(&speech, request, ready).map_err(Fault::Gone)?;
    let children = &*ready.children;
    let disk = &ready.grant.disk.name;
    let zero = || AtomicU64::new(0);
    let progress = Progress { watch: &*connection.client.watch, disk, children, files: zero(), raw: zero(), sent: zero() };

    let cannot = |error| Fault::Program(format!("{} cannot be run: {error}", ready.tar.program().display()));
    let numbered = ready.grant.filter == Filter::Zstd;
    let run = Run { device: &ready.grant.disk.device, snapshot: &ready.attempt.snapshot(), files: &ready.files, estimate: false, numbered };
    let (names, names_in) = io::pipe().map_err(cannot)?;
    let names = filter::Unhurried::new(names);
    let mut command = ready.tar.command(&run);
    command.stdin(Stdio::from(names_in)).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tar = children.spawn(&mut command).map_err(cannot)?;
    // The command still holds the names' writing end, and their reader waits for the last one to be closed.
    drop(command);
    let mut way = match Way::open(&ready.grant.filter, children) {
        Ok(way) => way,
        Err(error) => {
            children.kill();
            let _killed = children.wait(&mut tar);
            return Err(Fault::Program(format!("the compress program cannot be run: {error}")));
        }
    };

    let members = way.members();
    let mut data = Lane::new(&connection.wire, streams.data);
    let mut index = streams.index.map(|handle| Lane::new(&connection.wire, handle));
    let (stdout, stderr) = (tar.stdout.take().expect("it was asked for"), tar.stderr.take().expect("it was asked for"));
    let passed = thread::scope(|scope| {
        // Whoever cannot go on ends the programs, so that the others see the end of what they read.
        let hearing = scope.spawn(|| speech.pass_on(Speaker::Tar, stderr).inspect_err(|_| children.kill()));
        let naming = scope.spawn(|| {
            let passed = names::pass_on(names, index.as_mut(), &progress.files, members);
            let ended = passed.and_then(|()| index.as_mut().map_or(Ok(()), |index| connection.end(streams.index, index)));
            ended.inspect_err(|_| children.kill())
        });
        let native = filter::pass_on(stdout, &mut way, &mut data, &speech, &progress);
        let ended =
            native.and_then(|native| connection.end(Some(streams.data), &mut data).map(|()| native)).inspect_err(|_| children.kill());
        let (heard, named) = (hearing.join().expect("no panic"), naming.join().expect("no panic"));
        ended.and_then(|native| heard.and(named).map(|()| native))
    });
    let was_killed = children.over();
    let tar_ended = children.wait(&mut tar).map_err(cannot)?;
    let filter_ended = wait_for(&mut way, children)?;

    let native = passed.map_err(Fault::Gone)?;
    if was_killed {
        return Err(Fault::Gone(io::ErrorKind::ConnectionAborted.into()));
    }
    speech.tell_left_out().map_err(Fault::Gone)?;
    if !matches!(tar_ended.code(), Some(0 | 1)) {
        return Err(Fault::Program(format!("{} ended with {tar_ended}", ready.tar.program().display())));
    }
    if let Some((program, status)) = filter_ended
        && !status.success()
    {
        return Err(Fault::Program(format!("{} ended with {status}", program.display())));
    }
    let Heard { size, unread, denied, .. } = speech.heard();
    let size = size.ok_or(Fault::NoSize)?;
    if unread > 0 && request.dles[0].record {
        let remark =
            format!("{unread} times something could not be read: the next dump does not build on this one, and has it once it can be read");
        speech.remark(&remark).map_err(Fault::Gone)?;
        connection.client.watch.remarked(&format!("{}: {remark}", printable(ready.grant.disk.name.as_bytes())));
    }
    if let missing @ 1.. = ready.attempt.denied_below() {
        let remark = format!(
            "{missing} times something could not be read for want of permission when a dump was made that this one builds on: it is in none of \
             them until it changes or everything is dumped"
        );
        speech.remark(&remark).map_err(Fault::Gone)?;
    }
    Ok(Counts { native, sent: data.sent(), size, strange: speech.heard().strange, unread, denied })
}

/// Checksums and size of a dump that ended well.
struct Counts {
    native: Crc,
    sent: Crc,
    size: u64,
    /// Lines that somebody should read.
    strange: u64,
    /// Those that name something which is not in it.
    unread: u64,
    /// Those that name something which this account may not read.
    denied: u64,
}

fn wait_for(way: &mut Way, children: &Children) -> Result<Option<(std::path::PathBuf, ExitStatus)>, Fault> {
    let Way::Program(program) = way else { return Ok(None) };
    let child: &mut Child = &mut program.child;
    let status = children.wait(child).map_err(|error| Fault::Program(format!("{}: {error}", program.path.display())))?;
    Ok(Some((program.path.clone(), status)))
}

/// Says what goes into the dump's header. It follows from the request, as the server expects it.
fn introduce(speech: &Speech, request: &Request, ready: &Ready<'_>) -> io::Result<()> {
    let dle = &request.dles[0];
    let host = request.options.hostname.as_deref().unwrap_or_default();
    let start = [b"[", host, b":", &dle.disk, format!(" level {}]", ready.level).as_bytes()].concat();
    let words = header_words(dle);
    let mut lines = vec![Line::Start(&start)];
    lines.extend(words.iter().map(|(key, value)| Line::Info { key, value }));
    lines.push(Line::InfoEnd);
    speech.say(&lines)?;
    ready.files.remarks.iter().try_for_each(|remark| speech.remark(remark))
}

/// Writes the attempt down and says the last words. Returns how it ended.
fn finish(connection: &Connection, attempt: Attempt, record: bool, streams: Connect, counts: Counts) -> String {
    let Counts { native, sent, size, strange, unread, denied } = counts;
    let state = &connection.client.state;
    let pending = if record && unread == 0 { state.keep(attempt, sent, denied) } else { Ok(None) };
    let pending = match pending {
        Ok(pending) => pending,
        Err(error) => return failed(connection, streams, &error.into()),
    };
    let speech = Speech::new(&connection.wire, streams.mesg);
    let kib = size.div_ceil(1024);
    connection.ended(streams.mesg);
    let said = speech.say(&[Line::NativeCrc(native), Line::ClientCrc(sent), Line::Size(kib), Line::End]).and_then(|()| speech.finish());
    match said {
        Ok(()) if strange == 0 => "sent".to_owned(),
        Ok(()) => format!("sent; {strange} lines to read"),
        Err(error) => {
            // The server never heard of its end, so no receipt will speak of it.
            if let Some(pending) = pending {
                let _next_time = state.discard(&pending);
            }
            connection::words(&Fault::Gone(error))
        }
    }
}

/// Says that there is no dump, if anybody is there to hear it. Returns the same for our own report.
fn failed(connection: &Connection, streams: Connect, fault: &Fault) -> String {
    let words = connection::words(fault);
    let speech = Speech::new(&connection.wire, streams.mesg);
    // A bracket in the middle would end the sentence for the server.
    let line = words.replace(['[', ']'], "'");
    let said = speech.say(&[Line::Error(line.as_bytes())]);
    let _gone = said.and_then(|()| connection.cut(streams.handles()));
    words
}
