//! The conversation in memory: every answer a server can give, and the stream cut at every byte.

use std::io::Read;
use std::sync::{Arc, Mutex};

use super::SessionError;
use super::talk::{Caller, News, Next, Opening, Server, converse};
use super::tunnel::Answer;
use crate::client::Out;
use crate::history::tests::receipt;
use wire::message::Progress;
use wire::{FromAgent, FromShim, Hello, Outcome, Receipt, frame};

#[derive(Default)]
struct Recorder {
    trigger: bool,
    reader: Option<Arc<Reader>>,
    restated: Vec<Receipt>,
    receipts: Vec<Receipt>,
    ended: bool,
}

impl Caller for Recorder {
    fn greeted(&mut self, _: &Server) -> Result<(), SessionError> {
        Ok(())
    }
    fn restated(&mut self, receipts: Vec<Receipt>, _: Option<&str>) -> Result<Next, SessionError> {
        self.restated = receipts;
        Ok(match (self.trigger, &self.reader) {
            (true, _) => Next::Trigger(Vec::new()),
            (false, Some(_)) => Next::Restore,
            (false, None) => Next::Done,
        })
    }
    fn client(&mut self) -> Option<Arc<dyn Answer>> {
        self.reader.clone().map(|reader| reader as Arc<dyn Answer>)
    }
    fn heard(&mut self, news: News) -> Result<(), SessionError> {
        match news {
            News::Receipt(receipt) => self.receipts.push(*receipt),
            News::End => self.ended = true,
            News::Queued { .. } | News::Progress(_) | News::Rate(_) | News::Checked { .. } => {}
        }
        Ok(())
    }
}

/// Hears all that comes on its stream.
#[derive(Default)]
struct Reader(Mutex<Vec<u8>>);

impl Answer for Reader {
    fn answer(&self, mut input: Box<dyn Read + Send>, _: Arc<dyn Out>) {
        let mut heard = Vec::new();
        input.read_to_end(&mut heard).expect("a stream");
        *self.0.lock().expect("lock") = heard;
    }
    fn holds_back(&self) -> bool {
        false
    }
}

fn hello(version: u32) -> FromShim {
    let hello = Hello { version, program: "shim 1".into() };
    FromShim::Hello { hello, host: "laptop1".parse().expect("a host"), config: "laptops".parse().expect("a config") }
}

fn whole() -> Vec<FromShim> {
    let queued = FromShim::Queued { ticket: "t1".into(), joined: false, position: 1, waits_for: String::new() };
    vec![
        hello(1),
        FromShim::Receipt(Box::new(receipt("/home", Outcome::Ok, 1))),
        FromShim::Standing { ticket: None },
        FromShim::End { ticket: None },
        queued,
        FromShim::Heartbeat,
        FromShim::Progress(Progress::default()),
        FromShim::Receipt(Box::new(receipt("/home", Outcome::Ok, 2))),
        FromShim::End { ticket: Some("t1".into()) },
    ]
}

fn bytes(messages: &[FromShim]) -> Vec<u8> {
    messages.iter().flat_map(|message| frame::pack(message).expect("short")).collect()
}

/// Plays a server that says these bytes and closes, or stays silent; returns what came of it and what we said.
fn play(caller: &mut Recorder, said: &[u8], stays: bool) -> (Result<(), SessionError>, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let (ours, theirs) = tokio::io::duplex(1024 * 1024);
        let (mut to_us, open) = tokio::io::duplex(1024 * 1024);
        tokio::io::AsyncWriteExt::write_all(&mut to_us, said).await.expect("room");
        let held = stays.then_some(to_us);
        let result = converse(open, ours, caller, Opening::Speak, &[], std::future::pending()).await;
        drop(held);
        let mut heard = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut { theirs }, &mut heard).await.expect("readable");
        (result, heard)
    })
}

fn said_by_us(mut bytes: &[u8]) -> Vec<FromAgent> {
    let mut decoder = wire::Decoder::new();
    decoder.feed(std::mem::take(&mut bytes));
    let mut said = Vec::new();
    while let Some(frame) = decoder.next_frame().expect("our frames") {
        said.push(frame::unpack(frame).expect("ours"));
    }
    said
}

#[test]
fn the_query_comes_before_the_trigger() {
    let mut caller = Recorder { trigger: true, ..Recorder::default() };
    let (result, said) = play(&mut caller, &bytes(&whole()), true);
    assert!(result.is_ok(), "{result:?}");
    assert!(matches!(said_by_us(&said)[..], [FromAgent::Hello(_), FromAgent::Query, FromAgent::Trigger { .. }]));
    assert_eq!((caller.restated.len(), caller.receipts.len(), caller.ended), (1, 1, true));
}

#[test]
fn nothing_is_triggered_when_the_answer_to_the_query_is_enough() {
    let mut caller = Recorder::default();
    let (result, said) = play(&mut caller, &bytes(&whole()[..4]), true);
    assert!(result.is_ok());
    assert_eq!(said_by_us(&said).len(), 2);
}

#[test]
fn a_stream_cut_at_any_byte_is_a_lost_connection_and_never_an_end() {
    let all = bytes(&whole());
    let greeting = bytes(&whole()[..1]).len();
    let queued = bytes(&whole()[..5]).len();
    for cut in 0..all.len() {
        let mut caller = Recorder { trigger: true, ..Recorder::default() };
        let (result, _) = play(&mut caller, &all[..cut], false);
        match result.expect_err("cut") {
            SessionError::NoGreeting => assert!(cut < greeting, "cut at {cut}"),
            SessionError::Lost { queued: is_queued, .. } => assert_eq!(is_queued, cut >= queued, "cut at {cut}"),
            other => panic!("cut at {cut}: {other:?}"),
        }
        assert!(!caller.ended);
    }
}

#[test]
fn what_is_not_the_protocol_is_told_apart() {
    let oversize = [&[0xff, 0xff, 0xff, 0xff, 0][..], b"x"].concat();
    let late_oversize = [bytes(&whole()[..1]), oversize.clone()].concat();
    let unknown = [&[0, 0, 0, 17, 0][..], b"{\"say\":\"whatever\"}"].concat();
    for (case, said, part) in [
        ("a shell's words", b"Welcome to Debian!\r\n".to_vec(), "NotAShim(\"Welcome to Debian!\")"),
        ("an oversize frame", oversize, "NotAShim"),
        ("an oversize frame after the hello", late_oversize, "Protocol(TooLong"),
        ("an unknown message", unknown, "Protocol(NotAMessage"),
        ("an unknown version", bytes(&[hello(2)]), "Version { theirs: 2 }"),
        ("a receipt before the hello", bytes(&whole()[1..2]), "OutOfTurn(\"a receipt\")"),
        ("two hellos", bytes(&[hello(1), hello(1)]), "OutOfTurn(\"a second hello\")"),
    ] {
        let (result, _) = play(&mut Recorder::default(), &said, true);
        let error = format!("{:?}", result.expect_err(case));
        assert!(error.contains(part), "{case}: {error}");
    }
}

#[test]
fn a_flood_of_receipts_is_cut_off() {
    let mut messages = vec![hello(1)];
    messages.extend((0..2000).map(|at| FromShim::Receipt(Box::new(receipt("/home", Outcome::Ok, at)))));
    let (result, _) = play(&mut Recorder::default(), &bytes(&messages), true);
    assert!(matches!(result, Err(SessionError::OutOfTurn("a receipt"))), "{result:?}");
}

#[test]
fn a_silent_server_is_given_up_and_hears_our_heartbeats_meanwhile() {
    let mut caller = Recorder { trigger: true, ..Recorder::default() };
    let (result, said) = play(&mut caller, &bytes(&whole()[..5]), true);
    assert!(matches!(result, Err(SessionError::Silent { queued: true })), "{result:?}");
    let beats = said_by_us(&said).iter().filter(|message| matches!(message, FromAgent::Heartbeat)).count();
    assert!((2..=3).contains(&beats), "{beats}");
}

#[test]
fn words_of_an_abort_are_made_harmless() {
    let abort = FromShim::Abort { code: wire::AbortCode::Refused, message: "no\u{1b}[2J".into(), hint: "a\nb".into() };
    let (result, _) = play(&mut Recorder::default(), &bytes(&[hello(1), abort]), true);
    let Err(SessionError::Abort { message, hint, .. }) = result else { panic!("{result:?}") };
    assert_eq!((message.as_str(), hint.as_str()), ("no\\x1b[2J", "a\\x0ab"));
}

/// What a server says in a restore: a stream is opened, has some bytes, and is closed.
fn restored() -> Vec<Vec<u8>> {
    let said = |message: &FromShim| frame::pack(message).expect("short");
    let data = [&frame::header(1, 5)[..], b"dumps"].concat();
    let end = FromShim::End { ticket: None };
    let mut all: Vec<Vec<u8>> = [hello(1), FromShim::Standing { ticket: None }, end.clone()].iter().map(said).collect();
    all.extend([said(&FromShim::Open { stream: 1 }), data, said(&FromShim::Close { stream: 1 }), said(&end)]);
    all
}

#[test]
fn a_restore_has_one_stream_and_offers_amanda_nothing() {
    let reader = Arc::new(Reader::default());
    let mut caller = Recorder { reader: Some(Arc::clone(&reader)), ..Recorder::default() };
    let (result, said) = play(&mut caller, &restored().concat(), true);
    assert!(result.is_ok(), "{result:?}");
    assert_eq!((reader.0.lock().expect("lock").as_slice(), caller.ended), (&b"dumps"[..], true));
    let messages = said_by_us(&said);
    assert!(matches!(messages[..3], [FromAgent::Hello(_), FromAgent::Query, FromAgent::Restore]), "{messages:?}");
    assert!(!messages.iter().any(|message| matches!(message, FromAgent::Serve { .. })));
}

#[test]
fn a_restore_that_is_cut_off_is_a_lost_connection_and_its_stream_ends() {
    let all = restored().concat();
    for cut in restored()[..3].concat().len()..all.len() {
        let mut caller = Recorder { reader: Some(Arc::default()), ..Recorder::default() };
        let (result, _) = play(&mut caller, &all[..cut], false);
        assert!(matches!(result, Err(SessionError::Lost { queued: false, .. })), "cut at {cut}: {result:?}");
        assert!(!caller.ended);
    }
}

#[test]
fn a_second_stream_is_out_of_turn_in_a_restore() {
    let opened = restored()[..4].concat();
    let again = frame::pack(&FromShim::Open { stream: 2 }).expect("short");
    let mut caller = Recorder { reader: Some(Arc::default()), ..Recorder::default() };
    let (result, _) = play(&mut caller, &[opened, again].concat(), true);
    assert!(matches!(result, Err(SessionError::OutOfTurn("a second stream"))), "{result:?}");
}
