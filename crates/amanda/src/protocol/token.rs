//! Tokens, the frames of Amanda's TCP and ssh connections (common-src/security-util.c).
//!
//! A token is a length and a handle, both 32 bits and big-endian, and as many bytes as the length says. No bytes at all
//! mean that the sender is done with that handle. Requests and the packets that answer them travel under small handles
//! that the server counts up from 1; a dump's streams have the handles that its REP names, from 499999 downwards in
//! Amanda's own client.
//!
//! There is no way to find the next token after a bad one, as in Amanda: the connection is over.

/// The longest payload a peer may announce. Amanda allows 4 MiB and never comes near it: streams are read in pieces of
/// 32 KiB, and the largest packet is a request with all disks of a host.
pub const MAX_PAYLOAD: usize = 1024 * 1024;

/// The payload of the stream tokens that Amanda's own client writes, at most.
pub const STREAM_PAYLOAD: usize = 32 * 1024;

/// Bytes in front of the payload.
pub const HEADER: usize = 8;

/// The highest handle: Amanda keeps them in a signed integer and has its own meanings for the negative ones.
pub const MAX_HANDLE: u32 = i32::MAX as u32;

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// Whom it is for.
    pub handle: u32,
    /// What it carries; empty when the sender is done with the handle.
    pub payload: &'a [u8],
}

impl Token<'_> {
    /// Says whether the sender is done with this handle.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.payload.is_empty()
    }
}

/// What ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Often the words of a login shell in front of the protocol.
    #[error("a token announces {announced} bytes, more than the {limit} that are allowed")]
    TooLong {
        /// The length announced.
        announced: u32,
        /// The longest that is taken.
        limit: usize,
    },
    /// Amanda has no such handle.
    #[error("a token is for handle {0}, which does not exist")]
    Handle(u32),
    /// The connection ended inside a token.
    #[error("the connection ended {missing} bytes short of a whole token")]
    Cut {
        /// Bytes that are known to be missing.
        missing: usize,
    },
}

/// Makes tokens of bytes as they come.
#[derive(Debug)]
pub struct Tokens {
    bytes: Vec<u8>,
    taken: usize,
    limit: usize,
}

impl Default for Tokens {
    fn default() -> Self {
        Self::new()
    }
}

impl Tokens {
    /// Returns a reader that takes payloads up to [`MAX_PAYLOAD`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(MAX_PAYLOAD)
    }

    /// Returns a reader that takes payloads up to `limit` bytes.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self { bytes: Vec::new(), taken: 0, limit }
    }

    /// Takes bytes from the connection. Memory stays within one token and one such chunk when all tokens are taken
    /// between two calls.
    pub fn feed(&mut self, chunk: &[u8]) {
        if self.taken > 0 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(chunk);
    }

    /// Returns the next whole token, or `None` until more bytes come.
    ///
    /// # Errors
    /// When the header cannot be right. Every later call says so again.
    pub fn next_token(&mut self) -> Result<Option<Token<'_>>, TokenError> {
        let Some((announced, handle)) = self.header()? else { return Ok(None) };
        let start = self.taken + HEADER;
        let end = start + announced;
        if self.bytes.len() < end {
            return Ok(None);
        }
        self.taken = end;
        Ok(Some(Token { handle, payload: &self.bytes[start..end] }))
    }

    /// Says whether the connection may end here.
    ///
    /// # Errors
    /// When it ends inside a token.
    pub fn finish(&self) -> Result<(), TokenError> {
        let rest = self.bytes.len() - self.taken;
        match self.header()? {
            None if rest == 0 => Ok(()),
            None => Err(TokenError::Cut { missing: HEADER - rest }),
            Some((announced, _)) => match (HEADER + announced).saturating_sub(rest) {
                0 => Ok(()),
                missing => Err(TokenError::Cut { missing }),
            },
        }
    }

    /// Reads and checks the header of the next token, when it is there.
    fn header(&self) -> Result<Option<(usize, u32)>, TokenError> {
        let Some(&[a, b, c, d, e, f, g, h]) = self.bytes[self.taken..].first_chunk::<HEADER>() else { return Ok(None) };
        let (announced, handle) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        let length = usize::try_from(announced)
            .ok()
            .filter(|&length| length <= self.limit)
            .ok_or(TokenError::TooLong { announced, limit: self.limit })?;
        if handle == 0 || handle > MAX_HANDLE {
            return Err(TokenError::Handle(handle));
        }
        Ok(Some((length, handle)))
    }
}

/// Returns the eight bytes in front of a payload of `length` bytes.
#[must_use]
pub fn header(handle: u32, length: u32) -> [u8; HEADER] {
    let ([a, b, c, d], [e, f, g, h]) = (length.to_be_bytes(), handle.to_be_bytes());
    [a, b, c, d, e, f, g, h]
}

/// Appends a whole token to `out`. An empty payload says that we are done with the handle. How long a payload may be is
/// for the receiver to say.
///
/// # Panics
/// When the payload has more bytes than 32 bits can count.
pub fn put(out: &mut Vec<u8>, handle: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("an answer is a small multiple of a request, and that is bounded");
    out.extend(header(handle, length));
    out.extend(payload);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Owned = (u32, Vec<u8>);

    fn read(tokens: &mut Tokens, chunk: &[u8], found: &mut Vec<Owned>) -> Result<(), TokenError> {
        tokens.feed(chunk);
        while let Some(token) = tokens.next_token()? {
            found.push((token.handle, token.payload.to_vec()));
        }
        Ok(())
    }

    #[test]
    fn an_ack_is_ten_bytes() {
        let mut out = Vec::new();
        put(&mut out, 1, &[3, 0]);
        assert_eq!(out, [0, 0, 0, 2, 0, 0, 0, 1, 3, 0]);
    }

    #[test]
    fn no_payload_is_the_end_of_a_handle() {
        let mut tokens = Tokens::new();
        tokens.feed(&header(499_999, 0));
        assert!(tokens.next_token().unwrap().unwrap().is_end());
        assert_eq!(tokens.next_token(), Ok(None));
        assert_eq!(tokens.finish(), Ok(()));
    }

    #[test]
    fn what_cannot_be_a_header_is_refused_before_its_payload_comes() {
        let longest = u32::try_from(MAX_PAYLOAD).unwrap();
        for (length, handle, refusal) in [
            (longest, 1, None),
            (longest + 1, 1, Some(TokenError::TooLong { announced: longest + 1, limit: MAX_PAYLOAD })),
            (u32::MAX, 1, Some(TokenError::TooLong { announced: u32::MAX, limit: MAX_PAYLOAD })),
            (1, 0, Some(TokenError::Handle(0))),
            (1, MAX_HANDLE, None),
            (1, MAX_HANDLE + 1, Some(TokenError::Handle(MAX_HANDLE + 1))),
            (
                u32::from_be_bytes(*b"Welc"),
                u32::from_be_bytes(*b"ome!"),
                Some(TokenError::TooLong { announced: 0x5765_6c63, limit: MAX_PAYLOAD }),
            ),
        ] {
            let mut tokens = Tokens::new();
            tokens.feed(&header(handle, length));
            assert_eq!(tokens.next_token().err(), refusal, "{length} {handle}");
            assert_eq!(tokens.next_token().err(), refusal, "{length} {handle}, asked again");
        }
    }

    #[test]
    fn a_cut_connection_says_how_much_is_missing() {
        let mut whole = Vec::new();
        put(&mut whole, 7, b"four");
        for cut in 1..whole.len() {
            let mut tokens = Tokens::new();
            tokens.feed(&whole[..cut]);
            assert_eq!(tokens.next_token(), Ok(None));
            let missing = if cut < HEADER { HEADER - cut } else { whole.len() - cut };
            assert_eq!(tokens.finish(), Err(TokenError::Cut { missing }), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn tokens_come_back_however_they_are_cut(
            sent in prop::collection::vec((1..=MAX_HANDLE, prop::collection::vec(any::<u8>(), 0..60)), 0..8),
            piece in 1usize..40,
        ) {
            let mut bytes = Vec::new();
            sent.iter().for_each(|(handle, payload)| put(&mut bytes, *handle, payload));
            let (mut tokens, mut found) = (Tokens::new(), Vec::new());
            for chunk in bytes.chunks(piece) {
                read(&mut tokens, chunk, &mut found).unwrap();
            }
            prop_assert_eq!(found, sent);
            prop_assert_eq!(tokens.finish(), Ok(()));
        }

        #[test]
        fn garbage_never_panics(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
            let (mut tokens, mut found) = (Tokens::with_limit(30), Vec::new());
            for chunk in chunks {
                let _ = read(&mut tokens, &chunk, &mut found);
            }
            prop_assert!(found.iter().all(|(_, payload)| payload.len() <= 30));
            let _ = tokens.finish();
        }
    }
}
