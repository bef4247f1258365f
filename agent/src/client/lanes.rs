//! Tokens on their way out: frames with room for the frame's header, whole tokens in them, no copies on the way of the dump.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};

use amanda::crc::Crc;
use amanda::protocol::packet::Packet;
use amanda::protocol::token;
use wire::frame::{HEADER, MAX_DATA};

use super::Out;

/// Payload of a stream's token. Two whole tokens fill a frame, and each is a little shorter than the 32 KiB of Amanda's own
/// client, around which the server's buffers are built.
const PAYLOAD: usize = MAX_DATA / 2 - token::HEADER;

/// The way out of one connection. What is longer than a frame keeps its place in the stream of bytes.
pub struct Wire {
    out: Arc<dyn Out>,
    turn: Mutex<()>,
}

impl Wire {
    pub fn new(out: Arc<dyn Out>) -> Arc<Self> {
        Arc::new(Self { out, turn: Mutex::new(()) })
    }

    fn frames(&self, frames: impl IntoIterator<Item = Vec<u8>>) -> io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        frames.into_iter().try_for_each(|frame| self.out.send(frame))
    }

    /// Sends a token of any length.
    pub fn token(&self, handle: u32, payload: &[u8]) -> io::Result<()> {
        if payload.len() > token::MAX_PAYLOAD {
            return Err(io::Error::new(ErrorKind::InvalidInput, "an answer is longer than the server would take"));
        }
        let mut bytes = Vec::with_capacity(token::HEADER + payload.len());
        token::put(&mut bytes, handle, payload);
        self.bytes(&bytes)
    }

    /// Sends bytes of the connection.
    pub fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        self.frames(bytes.chunks(MAX_DATA).map(|piece| {
            let mut frame = Vec::with_capacity(HEADER + piece.len());
            frame.resize(HEADER, 0);
            frame.extend_from_slice(piece);
            frame
        }))
    }

    /// Sends a packet.
    pub fn packet(&self, handle: u32, packet: &Packet) -> io::Result<()> {
        self.token(handle, &packet.print())
    }
}

/// A stream of a dump: fills tokens in place and counts what goes out.
pub struct Lane {
    wire: Arc<Wire>,
    handle: u32,
    frame: Vec<u8>,
    /// Where the token being filled begins.
    token: usize,
    /// Where its next byte goes.
    end: usize,
    sent: Crc,
}

impl Lane {
    pub fn new(wire: &Arc<Wire>, handle: u32) -> Self {
        let mut lane = Self { wire: Arc::clone(wire), handle, frame: Vec::new(), token: 0, end: 0, sent: Crc { crc: 0, bytes: 0 } };
        lane.restart();
        lane
    }

    fn restart(&mut self) {
        self.frame = vec![0; HEADER + MAX_DATA];
        self.token = HEADER;
        self.end = HEADER + token::HEADER;
    }

    /// Returns the room in the token being filled; never empty.
    pub fn spare(&mut self) -> &mut [u8] {
        &mut self.frame[self.end..self.token + token::HEADER + PAYLOAD]
    }

    /// Counts the first bytes of the room as filled, and sends what is full.
    pub fn advance(&mut self, filled: usize) -> io::Result<()> {
        let filled = &self.frame[self.end..self.end + filled];
        self.sent.crc = crc32c::crc32c_append(self.sent.crc, filled);
        self.sent.bytes += filled.len() as u64;
        self.end += filled.len();
        if self.end < self.token + token::HEADER + PAYLOAD {
            return Ok(());
        }
        self.seal();
        if self.end + token::HEADER + PAYLOAD > self.frame.len() {
            return self.flush();
        }
        self.token = self.end;
        self.end += token::HEADER;
        Ok(())
    }

    /// Sends bytes that lie elsewhere.
    pub fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let spare = self.spare();
            let length = spare.len().min(bytes.len());
            spare[..length].copy_from_slice(&bytes[..length]);
            self.advance(length)?;
            bytes = &bytes[length..];
        }
        Ok(())
    }

    /// Sends what there is.
    pub fn flush(&mut self) -> io::Result<()> {
        self.seal();
        if self.end == HEADER {
            self.end += token::HEADER;
            return Ok(());
        }
        self.frame.truncate(self.end);
        let frame = std::mem::take(&mut self.frame);
        self.wire.frames([frame])?;
        self.restart();
        Ok(())
    }

    /// Sends what there is and says that there is no more.
    pub fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.wire.token(self.handle, &[])
    }

    /// Returns the checksum and count of all bytes of the stream so far.
    pub fn sent(&self) -> Crc {
        self.sent
    }

    /// Ends the token being filled; an empty one is taken back, since it would end the stream.
    fn seal(&mut self) {
        let length = self.end.saturating_sub(self.token + token::HEADER);
        if length == 0 {
            self.end = self.token.min(self.end);
        } else {
            let header = token::header(self.handle, u32::try_from(length).expect("below MAX_DATA"));
            self.frame[self.token..self.token + token::HEADER].copy_from_slice(&header);
            self.token = self.end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amanda::protocol::token::Tokens;

    #[derive(Default)]
    struct Kept(Mutex<Vec<Vec<u8>>>);

    impl Out for Kept {
        fn send(&self, frame: Vec<u8>) -> io::Result<()> {
            self.0.lock().expect("no panic").push(frame);
            Ok(())
        }
    }

    /// Returns the tokens that went out, and checks that each frame can be sent as it is.
    fn tokens(kept: &Kept) -> Vec<(u32, Vec<u8>)> {
        let (mut tokens, mut found) = (Tokens::new(), Vec::new());
        for frame in kept.0.lock().expect("no panic").iter() {
            assert!((HEADER + 1..=HEADER + MAX_DATA).contains(&frame.len()), "{}", frame.len());
            tokens.feed(&frame[HEADER..]);
            while let Some(token) = tokens.next_token().expect("tokens") {
                found.push((token.handle, token.payload.to_vec()));
            }
        }
        tokens.finish().expect("whole");
        found
    }

    #[test]
    fn whatever_the_pieces_the_stream_is_the_same_and_ends_once() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|at| at as u8).collect();
        for piece in [1, 7, PAYLOAD - 1, PAYLOAD, PAYLOAD + 1, MAX_DATA, 200_000] {
            for (flush, total) in
                [(false, 200_000), (true, 200_000), (false, PAYLOAD), (false, 2 * PAYLOAD), (true, 2 * PAYLOAD), (true, 0)]
            {
                let kept = Arc::new(Kept::default());
                let mut lane = Lane::new(&Wire::new(Arc::clone(&kept) as Arc<dyn Out>), 5);
                for chunk in bytes[..total].chunks(piece) {
                    lane.put(chunk).expect("memory");
                    if flush && piece > 1000 {
                        lane.flush().expect("memory");
                        lane.flush().expect("memory");
                    }
                }
                let sent = lane.sent();
                lane.finish().expect("memory");
                let (last, data) = tokens(&kept).split_last().map(|(last, data)| (last.clone(), data.to_vec())).expect("an end");
                assert_eq!(last, (5, Vec::new()));
                assert!(data.iter().all(|(handle, payload)| *handle == 5 && !payload.is_empty()), "{piece} {flush} {total}");
                assert_eq!(data.into_iter().flat_map(|(_, payload)| payload).collect::<Vec<_>>(), bytes[..total], "{piece} {flush}");
                assert_eq!(sent, Crc { crc: crc32c::crc32c(&bytes[..total]), bytes: total as u64 });
            }
        }
    }

    #[test]
    fn a_long_answer_is_one_token_in_several_frames() {
        let kept = Arc::new(Kept::default());
        let answer = vec![b'x'; 300_000];
        Wire::new(Arc::clone(&kept) as Arc<dyn Out>).token(3, &answer).expect("memory");
        assert_eq!(tokens(&kept), [(3, answer)]);
        let longer = vec![0; token::MAX_PAYLOAD + 1];
        assert!(Wire::new(kept as Arc<dyn Out>).token(3, &longer).is_err());
    }
}
