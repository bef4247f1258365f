use proptest::prelude::*;

use super::*;

fn string(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes(), text].concat()
}

fn new_session(flags: [u32; 4], command: &[u8], environment: &[&[u8]]) -> Vec<u8> {
    let mut body = [NEW_SESSION.to_be_bytes(), 7u32.to_be_bytes()].concat();
    body.extend(string(b""));
    body.extend(flags.iter().flat_map(|flag| flag.to_be_bytes()));
    body.extend(0xffff_ffffu32.to_be_bytes());
    body.extend(string(b"xterm"));
    body.extend(string(command));
    body.extend(environment.iter().flat_map(|variable| string(variable)));
    [(body.len() as u32).to_be_bytes().as_slice(), &body].concat()
}

fn decode(bytes: &[u8]) -> Result<Option<Message>, MuxError> {
    let mut decoder = Decoder::default();
    decoder.feed(bytes);
    decoder.next_message()
}

#[test]
fn what_a_client_says_is_understood() {
    let session = |command: &[u8]| Session { command: command.to_vec(), ..Session::default() };
    for (bytes, message) in [
        (hello(), Message::Hello { version: 4 }),
        (alive_check(3), Message::AliveCheck { request: 3 }),
        (new_session([0; 4], b"amandad -auth=ssh", &[]), Message::NewSession { request: 7, session: session(b"amandad -auth=ssh") }),
        (new_session([0; 4], b"x", &[b"LANG=C", b""]), Message::NewSession { request: 7, session: session(b"x") }),
        (packet(&[0x1000_0006, 9], None), Message::Other { kind: 0x1000_0006, request: 9 }),
        (packet(&[0x1000_0006], None), Message::Other { kind: 0x1000_0006, request: 0 }),
    ] {
        assert_eq!(decode(&bytes), Ok(Some(message)), "{bytes:x?}");
    }
}

#[test]
fn only_amanda_is_let_in() {
    let amanda = b"/usr/lib/amanda/amandad -auth=ssh".as_slice();
    for (flags, command, verdict) in [
        ([0, 0, 0, 0], amanda, Ok(())),
        ([0, 0, 0, 0], b"amandad -auth=ssh", Ok(())),
        ([1, 0, 0, 0], amanda, Err(Refused::Has("terminal"))),
        ([0, 1, 0, 0], amanda, Err(Refused::Has("X11 forwarding"))),
        ([0, 0, 1, 0], amanda, Err(Refused::Has("agent forwarding"))),
        ([0, 0, 0, 1], b"sftp", Err(Refused::Has("subsystem"))),
        ([0, 0, 0, 0], b"", Err(Refused::Command)),
        ([0, 0, 0, 0], b"/bin/sh", Err(Refused::Command)),
        ([0, 0, 0, 0], b"amandad -auth=ssh; reboot", Err(Refused::Command)),
        ([0, 0, 0, 0], b"amandad -auth=bsdtcp", Err(Refused::Command)),
        ([0, 0, 0, 0], b"notamandad -auth=ssh", Err(Refused::Command)),
    ] {
        let Ok(Some(Message::NewSession { session, .. })) = decode(&new_session(flags, command, &[])) else { panic!("not a session") };
        assert_eq!(session.is_amanda(), verdict, "{flags:?} {command:?}");
    }
}

#[test]
fn lengths_are_looked_at_before_anything_is_kept() {
    assert_eq!(decode(&[0xff; 8]), Err(MuxError::TooLong(u32::MAX)));
    assert_eq!(decode(&(MAX_PACKET as u32 + 1).to_be_bytes()), Err(MuxError::TooLong(MAX_PACKET as u32 + 1)));
    // A string that claims more than its packet has.
    let mut lying = new_session([0; 4], b"amandad", &[]);
    let command = lying.len() - 7 - 4;
    lying[command..command + 4].copy_from_slice(&0xffff_fff0u32.to_be_bytes());
    assert_eq!(decode(&lying), Err(MuxError::Short(NEW_SESSION)));
    assert_eq!(decode(&[0, 0, 0, 0]), Err(MuxError::Short(0)));
}

#[test]
fn bytes_beside_the_packets_are_taken_away() {
    let mut decoder = Decoder::default();
    decoder.feed(&[hello().as_slice(), &[0, 0]].concat());
    assert!(decoder.next_message().expect("hello").is_some());
    assert_eq!((decoder.skip(3), decoder.skip(3)), (2, 0));
    decoder.feed(&alive_check(1));
    assert_eq!(decoder.next_message(), Ok(Some(Message::AliveCheck { request: 1 })));
}

#[test]
fn an_answer_is_known_by_its_request() {
    assert!(is_alive(&alive(3, 77), 3));
    assert!(!is_alive(&alive(2, 77), 3));
    assert!(!is_alive(&failed(3, "no"), 3));
}

proptest! {
    #[test]
    fn garbage_never_panics(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..20)) {
        let mut decoder = Decoder::default();
        for piece in &pieces {
            decoder.feed(piece);
            while let Ok(Some(_)) = decoder.next_message() {}
            prop_assert!(decoder.buffer.len() - decoder.taken <= MAX_PACKET + 64);
        }
    }

    #[test]
    fn a_session_survives_any_cutting(command in proptest::collection::vec(any::<u8>(), 0..60), cuts in proptest::collection::vec(1usize..9, 1..40)) {
        let bytes = new_session([0; 4], &command, &[b"A=b"]);
        let mut decoder = Decoder::default();
        let mut rest = bytes.as_slice();
        let mut seen = None;
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            prop_assert_eq!(&seen, &None);
            decoder.feed(piece);
            rest = after;
            seen = decoder.next_message().expect("our own");
            if rest.is_empty() { break; }
        }
        prop_assert_eq!(seen, Some(Message::NewSession { request: 7, session: Session { command, ..Session::default() } }));
    }
}
