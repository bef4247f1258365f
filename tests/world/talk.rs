//! The protocol by hand and byte by byte, for either side: frames of `docs/wire-protocol.md`, and inside their streams the tokens and
//! packets of Amanda (client side of auth "ssh"). Little here is shared with the programs under test, so that a misreading is not either.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What one side heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A control message.
    Control(Value),
    /// Bytes of a stream.
    Data(u8, Vec<u8>),
}

/// One end of a session. Everything it says goes out at once; everything it hears is kept until asked for.
#[derive(Debug)]
pub struct Talk {
    say: Sender<Vec<u8>>,
    heard: Receiver<Heard>,
    kept: VecDeque<Heard>,
}

impl Talk {
    /// Talks over these two. Heartbeats are sent while the value lives, unless it is to be silent.
    pub fn over(reader: impl Read + Send + 'static, writer: impl Write + Send + 'static, heartbeats: bool) -> Self {
        let (say, to_say) = channel::<Vec<u8>>();
        let (hear, heard) = channel();
        std::thread::spawn(move || speak(writer, &to_say, heartbeats));
        std::thread::spawn(move || drop(listen(reader, &hear)));
        Self { say, heard, kept: VecDeque::new() }
    }

    /// Says a control message.
    pub fn say(&self, message: &Value) {
        self.frame(0, message.to_string().as_bytes());
    }

    /// Says a frame, whatever it is. When the other side has hung up, nothing happens: it shows in what is heard.
    pub fn frame(&self, channel: u8, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("short");
        self.bytes([&length.to_be_bytes()[..], &[channel], payload].concat());
    }

    /// Says bytes.
    pub fn bytes(&self, bytes: Vec<u8>) {
        let _hung_up = self.say.send(bytes);
    }

    /// Sends bytes of a stream, in frames of the size that is allowed, without asking for credit.
    pub fn data(&self, stream: u8, bytes: &[u8]) {
        bytes.chunks(wire::frame::MAX_DATA).for_each(|piece| self.frame(stream, piece));
    }

    /// Returns the next thing that is heard; none when the other side has hung up. What was taken of a stream is credited.
    ///
    /// # Panics
    /// When nothing is heard within the time.
    #[track_caller]
    pub fn next(&mut self, within: Duration) -> Option<Heard> {
        if let Some(kept) = self.kept.pop_front() {
            return Some(kept);
        }
        match self.heard.recv_timeout(within) {
            Ok(heard) => {
                if let Heard::Data(stream, bytes) = &heard {
                    self.say(&json!({"say": "window", "stream": stream, "bytes": bytes.len()}));
                }
                Some(heard)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing was heard within {within:?}"),
        }
    }

    /// Returns the next control message of this kind; what comes before it is dropped.
    ///
    /// # Panics
    /// When it does not come within the time, or the other side hangs up before.
    #[track_caller]
    pub fn hear(&mut self, say: &str, within: Duration) -> Value {
        let end = Instant::now() + within;
        loop {
            match self.next(end.saturating_duration_since(Instant::now())) {
                Some(Heard::Control(message)) if message["say"] == say => return message,
                Some(_) => {}
                None => panic!("hung up before {say:?} was heard"),
            }
        }
    }

    /// Puts something back that [`Talk::next`] gave.
    pub fn put_back(&mut self, heard: Heard) {
        self.kept.push_front(heard);
    }
}

fn speak(mut writer: impl Write, to_say: &Receiver<Vec<u8>>, heartbeats: bool) {
    let text = json!({"say": "heartbeat"}).to_string();
    let heartbeat = [&u32::try_from(text.len()).expect("short").to_be_bytes()[..], &[0], text.as_bytes()].concat();
    loop {
        let bytes = match to_say.recv_timeout(Duration::from_secs(wire::message::HEARTBEAT_SECONDS)) {
            Ok(bytes) => bytes,
            Err(RecvTimeoutError::Timeout) if heartbeats => heartbeat.clone(),
            Err(RecvTimeoutError::Timeout) => continue,
            // Dropping the writer is the end of our side.
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if writer.write_all(&bytes).and_then(|()| writer.flush()).is_err() {
            return;
        }
    }
}

fn listen(mut reader: impl Read, hear: &Sender<Heard>) -> std::io::Result<()> {
    loop {
        let mut header = [0; 5];
        reader.read_exact(&mut header)?;
        let [a, b, c, d, channel] = header;
        let mut payload = vec![0; u32::from_be_bytes([a, b, c, d]) as usize];
        reader.read_exact(&mut payload)?;
        let heard = match channel {
            0 => Heard::Control(serde_json::from_slice(&payload).map_err(std::io::Error::other)?),
            stream => Heard::Data(stream, payload),
        };
        if matches!(&heard, Heard::Control(message) if message["say"] == "heartbeat") {
            continue;
        }
        if hear.send(heard).is_err() {
            return Ok(());
        }
    }
}

// ---- Amanda's words

/// The kinds of packets, as their first byte has them.
pub const REQ: u8 = 0;
/// The answer.
pub const REP: u8 = 1;
/// A part of an answer.
pub const PREP: u8 = 2;
/// "I have it."
pub const ACK: u8 = 3;
/// "No."
pub const NAK: u8 = 4;

/// Returns a token: length, handle, payload.
pub fn token(handle: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short");
    [&length.to_be_bytes()[..], &handle.to_be_bytes(), payload].concat()
}

/// Returns a packet in its token.
pub fn packet(handle: u32, kind: u8, body: &str) -> Vec<u8> {
    let end: &[u8] = if kind == ACK { b"" } else { b"\0" };
    token(handle, &[&[kind], body.as_bytes(), end].concat())
}

/// Takes tokens apart that come in pieces.
#[derive(Debug, Default)]
pub struct Tokens(Vec<u8>);

impl Tokens {
    /// Takes a piece and returns the tokens that are whole now.
    pub fn feed(&mut self, piece: &[u8]) -> Vec<(u32, Vec<u8>)> {
        self.0.extend_from_slice(piece);
        let mut whole = Vec::new();
        while let Some([a, b, c, d, e, f, g, h]) = self.0.first_chunk::<8>().copied() {
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            if self.0.len() < 8 + length {
                break;
            }
            whole.push((u32::from_be_bytes([e, f, g, h]), self.0[8..8 + length].to_vec()));
            self.0.drain(..8 + length);
        }
        whole
    }
}

/// Returns CRC-32C (Castagnoli) of bytes, as Amanda writes it.
pub fn crc32c(bytes: &[u8]) -> String {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    format!("{:08x}:{}", !crc, bytes.len())
}
