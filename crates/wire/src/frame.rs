//! How messages are packed: `u32` payload length, `u8` channel, payload; numbers big-endian.
//!
//! Channel 0 is control: one JSON message. Channels from 1 to [`MAX_STREAMS`] carry the bytes of one Amanda connection
//! each ([`crate::flow`]); others are refused. A length is looked at before memory is taken, and nothing is kept beyond one
//! frame and what one read brought.

use std::io::{self, Read};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest control payload, in bytes.
pub const MAX_CONTROL: usize = 64 * 1024;

/// The longest payload of a stream's frame, in bytes.
pub const MAX_DATA: usize = 64 * 1024;

/// How many Amanda connections one session carries at a time: the planner's, a few dumpers', a check's.
pub const MAX_STREAMS: u8 = 8;

/// Bytes before the payload.
pub const HEADER: usize = 5;

/// The control channel.
pub const CONTROL: u8 = 0;

/// One frame, as it lies in the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The channel.
    pub channel: u8,
    /// What it carries.
    pub payload: &'a [u8],
}

/// Why a stream of bytes is not one of frames.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Longer than its channel allows; no memory was taken for it.
    #[error("a frame announces {length} bytes, at most {limit} are allowed")]
    TooLong {
        /// Announced.
        length: u64,
        /// Allowed.
        limit: usize,
    },
    /// A channel that this version does not know.
    #[error("a frame names channel {0}, which this version does not know")]
    UnknownChannel(u8),
    /// The stream ended inside a frame.
    #[error("the stream ended in the middle of a frame")]
    Truncated,
    /// The payload is not a message that we know.
    #[error("a control message cannot be understood: {0}")]
    NotAMessage(#[source] serde_json::Error),
    /// A stream's frame that carries nothing.
    #[error("a frame of stream {0} is empty")]
    Empty(u8),
    /// A message of ours is too long to send.
    #[error("a message of {0} bytes is too long to send")]
    TooLongToSend(usize),
}

/// Packs one message for the control channel.
pub fn pack<M: Serialize>(message: &M) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0; HEADER];
    serde_json::to_writer(&mut bytes, message).map_err(FrameError::NotAMessage)?;
    let length = bytes.len() - HEADER;
    if length > MAX_CONTROL {
        return Err(FrameError::TooLongToSend(length));
    }
    bytes[..HEADER].copy_from_slice(&header(CONTROL, length));
    Ok(bytes)
}

/// Returns what stands before a payload; a stream's is at most [`MAX_DATA`] bytes long and not empty.
pub fn header(channel: u8, length: usize) -> [u8; HEADER] {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [a, b, c, d, channel]
}

/// Reads a control frame's message.
pub fn unpack<M: DeserializeOwned>(frame: Frame<'_>) -> Result<M, FrameError> {
    serde_json::from_slice(frame.payload).map_err(FrameError::NotAMessage)
}

/// Turns bytes, in whatever pieces they arrive, into frames.
///
/// Feed what was read, then take frames until there is none; the buffer never holds more than one frame and one feed.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Bytes at the front that have been given out.
    taken: usize,
    /// Bytes at the front that came; behind them is room.
    filled: usize,
}

impl Decoder {
    /// Returns an empty decoder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes as they were read.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
        self.filled += bytes.len();
    }

    /// Reads once, at most so many bytes, straight into its own memory; returns how many came, none at the end.
    pub fn read_from(&mut self, mut reader: impl Read, most: usize) -> io::Result<usize> {
        let read = reader.read(self.room(most))?;
        self.filled += read;
        Ok(read)
    }

    /// Returns room for so many bytes behind those that came.
    fn room(&mut self, bytes: usize) -> &mut [u8] {
        self.buffer.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.taken = 0;
        if self.buffer.len() < self.filled + bytes {
            self.buffer.resize(self.filled + bytes, 0);
        }
        &mut self.buffer[self.filled..self.filled + bytes]
    }

    /// Says whether the next frame is whole.
    pub fn is_ready(&self) -> Result<bool, FrameError> {
        Ok(self.announced()?.is_some_and(|(_, length)| self.filled - self.taken >= HEADER + length))
    }

    /// Returns the next whole frame, none when more bytes are needed.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        let Some((channel, length)) = self.announced()? else { return Ok(None) };
        if self.filled - self.taken < HEADER + length {
            return Ok(None);
        }
        let start = self.taken + HEADER;
        self.taken = start + length;
        Ok(Some(Frame { channel, payload: &self.buffer[start..self.taken] }))
    }

    /// Returns the channel and the length of the next frame, which is one that is allowed.
    fn announced(&self) -> Result<Option<(u8, usize)>, FrameError> {
        let Some(header) = self.buffer[self.taken..self.filled].first_chunk::<HEADER>() else { return Ok(None) };
        let [a, b, c, d, channel] = *header;
        let limit = match channel {
            CONTROL => MAX_CONTROL,
            1..=MAX_STREAMS => MAX_DATA,
            _ => return Err(FrameError::UnknownChannel(channel)),
        };
        let announced = u32::from_be_bytes([a, b, c, d]);
        let length = usize::try_from(announced).unwrap_or(usize::MAX);
        if length > limit {
            return Err(FrameError::TooLong { length: u64::from(announced), limit });
        }
        if length == 0 && channel != CONTROL {
            return Err(FrameError::Empty(channel));
        }
        Ok(Some((channel, length)))
    }

    /// Says that the stream has ended; an error when it ended inside a frame.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.filled == self.taken { Ok(()) } else { Err(FrameError::Truncated) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{FromAgent, Hello};
    use proptest::prelude::*;

    #[test]
    fn an_oversize_length_is_refused_before_any_payload() {
        let mut decoder = Decoder::new();
        decoder.feed(&[0xff, 0xff, 0xff, 0xff, CONTROL]);
        assert!(matches!(decoder.next_frame(), Err(FrameError::TooLong { length: 0xffff_ffff, .. })));
        assert!(decoder.buffer.capacity() < 1024);
    }

    #[test]
    fn an_unknown_channel_is_refused() {
        let mut decoder = Decoder::new();
        decoder.feed(&[0, 0, 0, 1, MAX_STREAMS + 1, 0]);
        assert!(matches!(decoder.next_frame(), Err(FrameError::UnknownChannel(9))));
    }

    #[test]
    fn what_is_read_and_what_is_fed_is_the_same() {
        let stream = [header(2, 3).as_slice(), b"abc", &header(2, 2), b"de"].concat();
        for most in 1..stream.len() + 2 {
            let (mut decoder, mut reader, mut seen) = (Decoder::new(), stream.as_slice(), Vec::new());
            while decoder.read_from(&mut reader, most).expect("memory") > 0 {
                while let Some(frame) = decoder.next_frame().expect("our frames") {
                    seen.extend_from_slice(frame.payload);
                }
            }
            assert_eq!((seen.as_slice(), decoder.finish().is_ok()), (&b"abcde"[..], true), "{most} at a time");
        }
    }

    #[test]
    fn a_streams_bytes_come_out_as_they_went_in_and_have_their_own_limit() {
        let mut decoder = Decoder::new();
        decoder.feed(&header(3, 4));
        decoder.feed(b"dump");
        assert_eq!(decoder.next_frame().expect("whole"), Some(Frame { channel: 3, payload: b"dump" }));
        assert!(decoder.finish().is_ok());
        decoder.feed(&header(1, MAX_DATA + 1));
        assert!(matches!(decoder.next_frame(), Err(FrameError::TooLong { limit: MAX_DATA, .. })));
        let mut empty = Decoder::new();
        empty.feed(&header(1, 0));
        assert!(matches!(empty.next_frame(), Err(FrameError::Empty(1))));
    }

    #[test]
    fn a_stream_cut_at_any_byte_is_truncated_not_a_message() {
        let whole = pack(&FromAgent::Hello(Hello::ours("test"))).expect("short");
        for cut in 1..whole.len() {
            let mut decoder = Decoder::new();
            decoder.feed(&whole[..cut]);
            assert!(decoder.next_frame().expect("so far so good").is_none());
            assert!(matches!(decoder.finish(), Err(FrameError::Truncated)), "cut at {cut}");
        }
    }

    #[test]
    fn the_longest_message_goes_through_and_a_longer_one_is_not_sent() {
        let fits = "x".repeat(MAX_CONTROL - 2);
        let mut decoder = Decoder::new();
        decoder.feed(&pack(&fits).expect("exactly the limit"));
        assert_eq!(decoder.next_frame().expect("fits").expect("whole").payload.len(), MAX_CONTROL);
        assert!(matches!(pack(&"x".repeat(MAX_CONTROL)), Err(FrameError::TooLongToSend(_))));
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_never_grows(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..40)) {
            let mut decoder = Decoder::new();
            'stream: for piece in &pieces {
                decoder.feed(piece);
                loop {
                    match decoder.next_frame() {
                        Ok(Some(frame)) => { let _: Result<FromAgent, _> = unpack(frame); }
                        Ok(None) => break,
                        Err(_) => break 'stream,
                    }
                }
                prop_assert!(decoder.buffer.len() <= HEADER + MAX_CONTROL + 300);
            }
        }

        #[test]
        fn frames_survive_any_cutting(texts in proptest::collection::vec(".{0,50}", 1..8), cuts in proptest::collection::vec(1usize..40, 1..60)) {
            let stream: Vec<u8> = texts.iter().flat_map(|text| pack(text).expect("short")).collect();
            let mut decoder = Decoder::new();
            let mut seen = Vec::new();
            let mut rest = stream.as_slice();
            let mut cuts = cuts.iter().cycle();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at((*cuts.next().expect("cycles")).min(rest.len()));
                decoder.feed(piece);
                rest = after;
                while let Some(frame) = decoder.next_frame().expect("our own frames") {
                    seen.push(unpack::<String>(frame).expect("our own text"));
                }
            }
            prop_assert!(decoder.finish().is_ok());
            prop_assert_eq!(seen, texts);
        }
    }
}
