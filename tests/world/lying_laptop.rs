//! A laptop played by a test over a real ssh, that tells a real server what it must not believe.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use wire::request;

use crate::laptop::Laptop;
use crate::talk::{ACK, Heard, REP, REQ, Talk, Tokens, crc32c, packet, token};

/// Every bit that a client of 3.5.1 has, except for the state stream: `CONNECT` names three streams then.
pub const FEATURES: &str = "ffffffff9efefbffffffffffffffd3fffbf71f";

const MINUTE: Duration = Duration::from_secs(60);
/// Longer than the silence after which the server gives up, and a run with its retries.
const LONG: Duration = Duration::from_secs(150);
const DATA: u32 = 499_999;
const MESG: u32 = 499_998;
const INDEX: u32 = 499_997;

/// What it does that it should not.
#[derive(Debug, Clone)]
pub enum Lie {
    /// Nothing: an honest client.
    None,
    /// Lines in the message stream, before `info end`.
    Lines(&'static str),
    /// Lines in the message stream, when the dump is over.
    Late(&'static str),
    /// This in the stream in place of the dump, over and over, so many times, whatever credit there is.
    Bytes(Vec<u8>, usize),
    /// The same, but only as much as there is credit for.
    Patiently(Vec<u8>, usize),
    /// From its CONNECT on it says nothing any more, not even that it lives.
    Stalls,
}

/// Triggers, serves, and lies. Ends when the server ends the session or has said `end`; returns the receipts that it was given.
pub fn play(laptop: &Laptop, archive: &[u8], lie: &Lie) -> Vec<Value> {
    let mut ssh = laptop.ssh(Some(request::AGENT));
    ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = Ssh(ssh.spawn().expect("ssh is installed"));
    let (stdin, stdout) = (child.0.stdin.take().expect("asked for"), child.0.stdout.take().expect("asked for"));
    let talk = Talk::over(stdout, stdin, !matches!(lie, Lie::Stalls));
    let mut player =
        Player { talk, laptop, archive, lie, streams: BTreeMap::new(), dumps: BTreeSet::new(), credit: BTreeMap::new(), waits: Vec::new() };
    player.run()
}

struct Player<'a> {
    talk: Talk,
    laptop: &'a Laptop,
    archive: &'a [u8],
    lie: &'a Lie,
    streams: BTreeMap<u8, Tokens>,
    /// Stream and handle of the requests for a dump that have been answered, not acknowledged.
    dumps: BTreeSet<(u8, u32)>,
    credit: BTreeMap<u8, usize>,
    /// What waits for credit: stream, bytes.
    waits: Vec<(u8, Vec<u8>)>,
}

impl Player<'_> {
    fn run(&mut self) -> Vec<Value> {
        self.talk.say(&json!({"say": "hello", "version": 1, "program": "a test"}));
        self.talk.hear("hello", MINUTE);
        self.talk.say(&json!({"say": "serve", "holds_back": true}));
        self.talk.say(&json!({"say": "trigger", "disks": [self.laptop.disk.to_str().expect("plain")]}));
        let mut receipts = Vec::new();
        loop {
            match self.talk.next(LONG) {
                Some(Heard::Control(message)) => match message["say"].as_str() {
                    Some("receipt") => receipts.push(message),
                    Some("end") => return receipts,
                    _ => self.control(&message),
                },
                Some(Heard::Data(stream, bytes)) => {
                    let whole = self.streams.get_mut(&stream).map(|tokens| tokens.feed(&bytes)).unwrap_or_default();
                    whole.into_iter().for_each(|(handle, payload)| self.serve(stream, handle, &payload));
                }
                None => return receipts,
            }
        }
    }

    fn control(&mut self, message: &Value) {
        let Some(stream) = message["stream"].as_u64().and_then(|stream| u8::try_from(stream).ok()) else { return };
        match message["say"].as_str() {
            Some("open") => {
                self.streams.insert(stream, Tokens::default());
                self.credit.insert(stream, wire::flow::WINDOW as usize);
            }
            // Said once by either side.
            Some("close") if self.streams.remove(&stream).is_some() => {
                self.waits.retain(|(waits, _)| *waits != stream);
                self.talk.say(&json!({"say": "close", "stream": stream}));
            }
            Some("window") => {
                let more = message["bytes"].as_u64().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
                *self.credit.entry(stream).or_default() += more;
                self.send_what_may_go();
            }
            _ => {}
        }
    }

    /// Sends bytes of a stream as far as there is credit, and the rest later.
    fn send(&mut self, stream: u8, bytes: Vec<u8>) {
        self.waits.push((stream, bytes));
        self.send_what_may_go();
    }

    fn send_what_may_go(&mut self) {
        let mut later = Vec::new();
        for (stream, mut bytes) in std::mem::take(&mut self.waits) {
            let credit = self.credit.entry(stream).or_default();
            // What waits already goes first.
            let count = if later.iter().any(|(waits, _)| *waits == stream) { 0 } else { (*credit).min(bytes.len()) };
            self.talk.data(stream, &bytes[..count]);
            *credit -= count;
            bytes.drain(..count);
            if !bytes.is_empty() {
                later.push((stream, bytes));
            }
        }
        self.waits = later;
    }

    fn serve(&mut self, stream: u8, handle: u32, payload: &[u8]) {
        let disk = self.laptop.disk.display();
        let options = format!("OPTIONS features={FEATURES};\n");
        let text = String::from_utf8_lossy(payload.get(1..).unwrap_or_default()).into_owned();
        match payload.first() {
            Some(&REQ) => self.send(stream, packet(handle, ACK, "")),
            Some(&ACK) if self.dumps.remove(&(stream, handle)) => return self.dump(stream),
            _ => return,
        }
        let body = match text.split_once('\n').map(|(service, _)| service) {
            Some("SERVICE noop") => options,
            Some("SERVICE sendsize") => format!("{options}{disk} 0 SIZE 100\n"),
            Some("SERVICE selfcheck") => format!("{options}OK {disk}\n"),
            Some("SERVICE sendbackup") => {
                self.dumps.insert((stream, handle));
                format!("CONNECT DATA {DATA} MESG {MESG} INDEX {INDEX}\n{options}")
            }
            other => panic!("the server asks for {other:?}"),
        };
        self.send(stream, packet(handle, REP, &body));
    }

    /// What sendbackup says, in the order in which it does.
    fn dump(&mut self, stream: u8) {
        let lie = self.lie;
        let mesg = |text: &str| token(MESG, text.as_bytes());
        let (before, late) = match lie {
            Lie::Lines(lines) => (*lines, ""),
            Lie::Late(lines) => ("", *lines),
            _ => ("", ""),
        };
        let (host, disk) = (&self.laptop.host, self.laptop.disk.display());
        self.send(
            stream,
            mesg(&format!(
                "sendbackup: start [{host}:{disk} level 0]\nsendbackup: info BACKUP=/usr/bin/tar\n\
                 sendbackup: info RECOVER_CMD=/usr/bin/tar -xpGf - ...\n{before}sendbackup: info end\n"
            )),
        );
        match lie {
            Lie::Stalls => return,
            Lie::Bytes(bytes, times) => return (0..*times).for_each(|_| self.talk.data(stream, bytes)),
            Lie::Patiently(bytes, times) => return (0..*times).for_each(|_| self.send(stream, bytes.clone())),
            _ => {}
        }
        for piece in self.archive.chunks(32_768) {
            self.send(stream, token(DATA, piece));
        }
        let (size, crc) = (self.archive.len().div_ceil(1024), crc32c(self.archive));
        self.send(stream, token(DATA, b""));
        self.send(stream, [token(INDEX, b"/\n/forged\n"), token(INDEX, b"")].concat());
        let end = format!(
            "| Total bytes written: {}\n{late}sendbackup: native-CRC {crc}\nsendbackup: client-CRC {crc}\nsendbackup: size {size}\nsendbackup: end\n",
            self.archive.len()
        );
        self.send(stream, [mesg(&end), token(MESG, b"")].concat());
    }
}

/// The ssh client; it goes with the player.
struct Ssh(Child);

impl Drop for Ssh {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _status = self.0.wait();
    }
}
