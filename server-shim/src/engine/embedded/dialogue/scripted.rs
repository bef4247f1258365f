//! Clients for tests: what they say is written down beforehand, and what is said to them is kept.

use std::io::{BufReader, Cursor, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use amanda::conf::disklist::{self, Disk};
use amanda::conf::{Config, Source};
use amanda::protocol::features::{Feature, Features};
use amanda::protocol::packet::{Kind, Packet};
use amanda::protocol::reply::{self, Connect, Sendbackup};
use amanda::protocol::request::Options;
use amanda::protocol::token::{Tokens, put};

use crate::engine::embedded::Connection;

/// The streams of the scripted dump.
pub const DATA: u32 = 499_999;
pub const MESG: u32 = 499_998;
pub const INDEX: u32 = 499_997;

/// What a client says, in tokens.
#[derive(Default, Clone)]
pub struct Script(pub Vec<u8>);

/// What was said to it.
#[derive(Default, Clone)]
pub struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Kept {
    pub fn tokens(&self) -> Vec<(u32, Vec<u8>)> {
        tokens(&self.0.lock().expect("no panic"))
    }
}

pub fn tokens(bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let (mut tokens, mut found) = (Tokens::new(), Vec::new());
    tokens.feed(bytes);
    while let Some(token) = tokens.next_token().expect("tokens") {
        found.push((token.handle, token.payload.to_vec()));
    }
    tokens.finish().expect("whole");
    found
}

/// What Amanda 3.5.1's own programs understand.
pub fn amandas() -> Features {
    Features::parse(b"ffffffff9efefbfffffffffffffff3fffbf71f").expect("Amanda's own")
}

impl Script {
    pub fn say(mut self, handle: u32, payload: impl AsRef<[u8]>) -> Self {
        put(&mut self.0, handle, payload.as_ref());
        self
    }

    pub fn packet(self, handle: u32, kind: Kind, body: impl Into<Vec<u8>>) -> Self {
        self.say(handle, Packet::new(kind, body).print())
    }

    /// An acknowledgement and an answer.
    pub fn answer(self, handle: u32, body: impl Into<Vec<u8>>) -> Self {
        self.packet(handle, Kind::Ack, []).packet(handle, Kind::Rep, body)
    }

    /// The answer to a noop.
    pub fn noop() -> Self {
        Self::default().answer(1, reply::noop(&amandas()))
    }

    /// A client that does not count its bytes.
    pub fn older() -> Self {
        let mut features = amandas();
        features.clear(Feature::SendbackupCrc);
        Self::default().answer(1, reply::noop(&features)).connect(Some(INDEX))
    }

    /// Up to the answer that names the streams.
    pub fn connected() -> Self {
        Self::noop().connect(Some(INDEX))
    }

    pub fn connect(self, index: Option<u32>) -> Self {
        let streams = Connect { data: DATA, mesg: MESG, index, state: None };
        self.answer(2, Sendbackup::Connect { streams, options: Options { features: Some(amandas()), ..Options::default() } }.print())
    }

    /// The lines before the dump.
    pub fn introduced(self) -> Self {
        self.say(MESG, "sendbackup: start [localhost:/home level 0]\nsendbackup: info BACKUP=/bin/tar\nsendbackup: info end\n")
    }

    /// A dump that is as it should be, from its first byte.
    pub fn dumped(self, data: &[u8]) -> Self {
        let crc = amanda::crc::Crc { crc: crc32c::crc32c(data), bytes: data.len() as u64 };
        let last = format!("sendbackup: native-CRC {crc}\nsendbackup: client-CRC {crc}\nsendbackup: size 10\nsendbackup: end\n");
        self.say(DATA, data).say(DATA, "").say(INDEX, "/\n/a\n").say(INDEX, "").say(MESG, last).say(MESG, "")
    }

    /// A client that Debian's programs once were: `NAME.client`, behind an answer to a noop.
    pub fn recorded(name: &str) -> Self {
        tokens(&recording(&format!("{name}.client")))
            .into_iter()
            .fold(Self::noop(), |script, (handle, payload)| script.say(if handle < 10_000 { 2 } else { handle }, payload))
    }

    pub fn connection(&self) -> (Connection, Kept) {
        let kept = Kept::default();
        // A buffer that is smaller than a token, as one may be.
        let from = BufReader::with_capacity(1000, Cursor::new(self.0.clone()));
        (Connection { from: Box::new(from), to: Box::new(kept.clone()) }, kept)
    }
}

pub fn recording(name: &str) -> Vec<u8> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/amanda/tests/fixtures/protocol");
    std::fs::read(directory.join(name)).expect(name)
}

struct Text(String, &'static str);

impl Source for Text {
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        Ok(if path.ends_with("disklist") { self.1.as_bytes().to_vec() } else { self.0.clone().into_bytes() })
    }
}

/// A config with one dumptype, `type`, that has these settings beside `program "GNUTAR"`, and its one disk.
pub fn config(settings: &str) -> (Config, Disk) {
    let text = Text(
        format!("ctimeout 2\ndefine dumptype type {{\n program \"GNUTAR\"\n compress none\n {settings}\n}}\n"),
        "localhost /home type\n",
    );
    let directory = Path::new("/etc/amanda/test");
    let mut config = Config::load(directory, &text).unwrap_or_else(|error| panic!("{error}"));
    let mut disks = disklist::load(&mut config, &directory.join("disklist"), &text).unwrap_or_else(|error| panic!("{error}"));
    (config, disks.remove(0))
}
