//! OpenSSH's control-socket protocol as ssh itself speaks it to a master: a request out, answers in. [`super::mux`] is the
//! other side.

use super::mux::{EXIT_MESSAGE, FAILURE, Fields, HELLO, MuxError, NEW_SESSION, PERMISSION_DENIED, SESSION_OPENED};

/// What whoever is behind the socket says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// First of all.
    Hello {
        /// The version it speaks.
        version: u32,
    },
    /// The session is open.
    Opened {
        /// The request's number.
        request: u32,
        /// The session's.
        session: u32,
    },
    /// No.
    Refused {
        /// The request's number.
        request: u32,
        /// In words.
        why: String,
    },
    /// The session's command has ended.
    Exited {
        /// The session.
        session: u32,
        /// With this status.
        status: u32,
    },
    /// Anything else: a terminal that was not had, somebody who is alive.
    Other(u32),
}

/// Reads a packet.
///
/// # Errors
/// When it ends before what it must have.
pub fn answer(packet: &[u8]) -> Result<Answer, MuxError> {
    let (kind, mut fields) = Fields::of(packet)?;
    Ok(match kind {
        HELLO => Answer::Hello { version: fields.number()? },
        SESSION_OPENED => Answer::Opened { request: fields.number()?, session: fields.number()? },
        PERMISSION_DENIED | FAILURE => Answer::Refused { request: fields.number()?, why: amanda::escape::printable(fields.string()?) },
        EXIT_MESSAGE => Answer::Exited { session: fields.number()?, status: fields.number()? },
        kind => Answer::Other(kind),
    })
}

/// Asks for a session without a terminal or any forwarding; three descriptors are to follow.
pub fn new_session(request: u32, command: &str) -> Vec<u8> {
    let mut body = Vec::new();
    let number = |body: &mut Vec<u8>, number: u32| body.extend_from_slice(&number.to_be_bytes());
    let string = |body: &mut Vec<u8>, text: &str| {
        body.extend_from_slice(&(text.len() as u32).to_be_bytes());
        body.extend_from_slice(text.as_bytes());
    };
    number(&mut body, NEW_SESSION);
    number(&mut body, request);
    string(&mut body, "");
    // Terminal, X11, the agent, a subsystem.
    (0..4).for_each(|_| number(&mut body, 0));
    // No escape character.
    number(&mut body, u32::MAX);
    string(&mut body, "");
    string(&mut body, command);
    let mut packet = (body.len() as u32).to_be_bytes().to_vec();
    packet.append(&mut body);
    packet
}

#[cfg(test)]
mod tests {
    use super::super::mux::{self, ALIVE, Decoder, Message};
    use super::*;

    #[test]
    fn what_is_asked_for_is_what_the_other_side_lets_in() {
        let mut decoder = Decoder::default();
        decoder.feed(&new_session(7, "amandad -auth=ssh"));
        let Ok(Some(Message::NewSession { request: 7, session })) = decoder.next_message() else { panic!("no session") };
        assert_eq!(session.is_amanda(), Ok(()));
    }

    #[test]
    fn answers_are_understood() {
        for (packet, expected) in [
            (mux::hello(), Answer::Hello { version: mux::VERSION }),
            (mux::opened(7, 3), Answer::Opened { request: 7, session: 3 }),
            (mux::denied(7, "not you"), Answer::Refused { request: 7, why: "not you".to_owned() }),
            (mux::failed(7, "full"), Answer::Refused { request: 7, why: "full".to_owned() }),
            (mux::exited(3, 1), Answer::Exited { session: 3, status: 1 }),
            (mux::alive(7, 99), Answer::Other(ALIVE)),
        ] {
            let mut decoder = Decoder::default();
            decoder.feed(&packet);
            let packet = decoder.next_packet().expect("short").expect("whole");
            assert_eq!(answer(packet), Ok(expected));
        }
        assert_eq!(answer(&[0, 0, 0, 1]), Err(MuxError::Short(HELLO)));
        assert_eq!(answer(&[]), Err(MuxError::Short(0)));
    }
}
