use std::io::{BufReader, Read as _, Write as _, pipe};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use amanda::protocol::packet::{Kind, Packet};
use amanda::protocol::reply;
use amanda::protocol::request::{Compress, Encrypt, Estimate, Patterns, Request};
use proptest::prelude::*;

use super::scripted::{Script, amandas, config};
use super::*;
use crate::engine::embedded::Connection;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(100);

fn asker() -> Asker {
    Asker { host: "localhost".parse().expect("name"), config: "daily".parse().expect("name"), stamp: Some("20261122003709".into()) }
}

fn noop(script: &Script) -> Result<amanda::protocol::features::Features, Broken> {
    talk(script.connection().0, &|_| {}, |peer| peer.noop(LONG))
}

/// A check after a noop, as far as its answer.
fn ask(script: &Script) -> Result<Vec<u8>, Broken> {
    talk(script.connection().0, &|_| {}, |peer| {
        peer.noop(LONG)?;
        asker().ask(peer, Service::Selfcheck, Vec::new(), LONG)
    })
}

#[test]
fn requests_count_up_and_answers_are_acknowledged() {
    let script = Script::noop().answer(2, "OPTIONS ;\nOK a\n");
    let (connection, kept) = script.connection();
    let answer = talk(connection, &|_| {}, |peer| {
        assert_eq!(peer.noop(LONG)?, amandas());
        asker().ask(peer, Service::Selfcheck, Vec::new(), LONG)
    });
    assert_eq!(answer.expect("answered"), b"OPTIONS ;\nOK a\n");
    let said = kept.tokens();
    let ack = Packet::ack().print();
    assert_eq!(said.iter().map(|(handle, _)| *handle).collect::<Vec<_>>(), [1, 1, 2, 2]);
    assert_eq!((&said[1].1, &said[3].1), (&ack, &ack));
    let request = Request::parse(&Packet::parse(&said[2].1).expect("a packet").body).expect("a request");
    assert_eq!(request.options.config.as_deref(), Some(&b"daily"[..]));
    assert_eq!(request.options.hostname.as_deref(), Some(&b"localhost"[..]));
    assert_eq!(request.options.timestamp.as_deref(), Some(&b"20261122003709"[..]));
}

#[test]
fn a_client_that_understands_less_is_told_less() {
    let script = Script::default().answer(1, "OPTIONS features=0100;\n").answer(2, "OPTIONS ;\n");
    let (connection, kept) = script.connection();
    talk(connection, &|_| {}, |peer| {
        peer.noop(LONG)?;
        asker().ask(peer, Service::Selfcheck, Vec::new(), LONG)
    })
    .expect("answered");
    let request = Request::parse(&Packet::parse(&kept.tokens()[2].1).expect("a packet").body).expect("a request");
    assert_eq!(request.options, Options { features: Some(peer::offered()), ..Options::default() });
}

#[test]
fn what_is_said_twice_does_no_harm() {
    let features = reply::noop(&amandas());
    let script = Script::noop()
        .packet(1, Kind::Ack, [])
        .packet(1, Kind::Rep, features.clone())
        .say(1, "")
        .packet(2, Kind::Ack, [])
        .packet(2, Kind::Ack, [])
        .packet(2, Kind::Prep, "OPTIONS ;\n")
        .packet(1, Kind::Rep, features)
        .packet(2, Kind::Rep, "OPTIONS ;\n");
    assert_eq!(ask(&script).expect("answered"), b"OPTIONS ;\n");
}

#[test]
fn what_does_not_belong_ends_the_conversation_with_words() {
    let noop = Script::noop;
    let long = vec![b'x'; 100_000];
    for (case, script, words) in [
        ("nothing", Script::default(), "the client ended the connection before the answer to noop"),
        ("an end in a header", Script(vec![0, 0, 0]), "does not speak Amanda's protocol: its first word is"),
        ("a shell", Script(b"bash: amandad: command not found\n".to_vec()), "its first word is \"bash: amandad: command not found"),
        ("an end in an answer", Script([0, 0, 0, 9, 0, 0, 0, 1, 1, b'O'].to_vec()), "7 bytes short of a whole token"),
        ("handle 0", Script([0, 0, 0, 1, 0, 0, 0, 0].to_vec()), "its first word is"),
        ("a shell's words later", Script([noop().0, b"Killed by signal".to_vec()].concat()), "not Amanda's: a token announces"),
        ("an unknown handle", noop().say(7, "x"), "1 bytes for the handle 7, which nobody has opened"),
        ("a stream before its time", noop().say(499_999, "x"), "for the handle 499999, which nobody has opened"),
        ("no packet", noop().say(2, [9, 9]), "a packet of kind 9"),
        ("a request", noop().packet(2, Kind::Req, "SERVICE noop\nOPTIONS ;\n"), "sent a REQ where none belongs"),
        ("an answer that is too long", noop().packet(2, Kind::Rep, long), "an answer of 100002 bytes, and 65536 are enough"),
        ("a NAK", noop().packet(2, Kind::Nak, "ERROR [no [way]\x1b]\n"), "the client refuses: (no (way)\\x1b)"),
        ("a NAK without words", noop().packet(2, Kind::Nak, "x\n"), "the client's answer to selfcheck is not understood: line 1"),
        ("an error", noop().answer(2, "ERROR [not today]\nERROR b\n"), "the client refuses: not today; b"),
        ("an error that is cut", noop().answer(2, "ERROR a"), "the client refuses: a"),
        ("ends without end", (0..20_000).fold(noop(), |script, _| script.say(2, "")), "goes on sending what says nothing"),
        ("acknowledgements without end", (0..20_000).fold(noop(), |script, _| script.packet(1, Kind::Ack, [])), "what says nothing"),
    ] {
        let error = ask(&script).expect_err(case);
        assert!(error.to_string().contains(words), "{case}: {error}");
    }
    assert!(super::tests::noop(&Script::default().answer(1, "OPTIONS features=xx;\n")).is_err());
}

/// A connection over a socket pair; the other end is the test's.
fn pair() -> (Connection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let from = BufReader::new(ours.try_clone().expect("a descriptor"));
    (Connection { from: Box::new(from), to: Box::new(Shut(ours)) }, theirs)
}

/// Ends its direction when it is dropped, as a pipe does.
struct Shut(UnixStream);

impl Drop for Shut {
    fn drop(&mut self) {
        let _ = self.0.shutdown(std::net::Shutdown::Write);
    }
}

impl std::io::Write for Shut {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_silent_client_is_given_up_and_sees_its_connection_end() {
    let (connection, mut client) = pair();
    let begun = Instant::now();
    let error = talk(connection, &|_| {}, |peer| peer.noop(SHORT)).expect_err("silent");
    assert!(begun.elapsed() < LONG / 2);
    assert_eq!(error.to_string(), "nothing came from the client for 100ms: the answer to noop is missing");
    assert!(error.is_passing());
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).expect("the end");
    assert!(!heard.is_empty());
}

#[test]
fn a_client_that_only_acknowledges_is_silent() {
    let (connection, mut client) = pair();
    let talker = std::thread::spawn(move || {
        let ack = Script::default().packet(1, Kind::Ack, []).0;
        while client.write_all(&ack).is_ok() {
            std::thread::sleep(SHORT / 10);
        }
    });
    let error = talk(connection, &|_| {}, |peer| peer.noop(SHORT)).expect_err("silent");
    assert!(matches!(error, Broken::Silent { .. }), "{error}");
    talker.join().expect("its connection ended");
}

#[test]
fn a_client_that_reads_nothing_is_given_up() {
    let (from_client, _silent) = pipe().expect("a pipe");
    let (_unread, to_client) = pipe().expect("a pipe");
    let connection = Connection { from: Box::new(BufReader::new(from_client)), to: Box::new(to_client) };
    let error = talk(connection, &|_| {}, |peer| {
        // More than a pipe holds.
        let dles = vec![amanda::protocol::request::DleRequest::of(amanda::protocol::request::Program::Gnutar, "/home"); 2000];
        let request = Request { service: Service::Selfcheck, options: Options::default(), dles };
        peer.ask(&request, SHORT)
    });
    assert!(matches!(error, Err(Broken::Silent { .. })));
}

#[test]
fn a_panic_of_ours_is_an_error_and_no_hang() {
    let (connection, _) = Script::default().connection();
    let ended: Result<(), Broken> = talk(connection, &|_| {}, |_| panic!("this test says so"));
    assert!(matches!(ended, Err(Broken::Panicked)));
}

#[test]
fn amanda_conf_says_how_long_a_client_may_be_silent() {
    let (config, _) = config("");
    let patience = Patience::of(&config);
    assert_eq!((patience.check, patience.data), (Duration::from_secs(2), Duration::from_secs(1800)));
    assert_eq!(patience.for_estimates(3), Duration::from_secs(900));
    assert_eq!(Patience { estimate: None, ..patience }.for_estimates(3), Duration::from_secs(300));
}

#[test]
fn a_dumptype_becomes_a_request() {
    let wish = |settings: &str| {
        let (config, disk) = config(settings);
        let how = disk.how(&config).expect("defined");
        Wish { disk: &disk, how }.dle()
    };
    let plain = wish("").expect("served");
    assert_eq!((plain.disk.as_slice(), plain.index, plain.record, &plain.compress), (&b"/home"[..], true, true, &Compress::None));
    assert_eq!(plain.auth, None);
    let zstd = "compress client custom\n client-custom-compress \"/usr/bin/zstd\"";
    assert_eq!(wish(zstd).expect("served").compress, Compress::ClientCustom(b"/usr/bin/zstd".to_vec()));
    let more = wish("record no\n index no\n exclude \"*.o\"\n exclude list optional \".ex\"\n include \"./a\"").expect("served");
    assert_eq!((more.record, more.index), (false, false));
    let bytes = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
    assert_eq!(more.exclude, Patterns { files: bytes(&["*.o"]), lists: bytes(&[".ex"]), optional: true });
    assert_eq!(more.include, Patterns { files: bytes(&["./a"]), lists: Vec::new(), optional: false });
    let crypt = wish("encrypt client\n client-encrypt \"/usr/bin/crypt\"\n client-decrypt-option \"-d\"").expect("served");
    assert_eq!(crypt.encrypt, Encrypt::Client { program: b"/usr/bin/crypt".to_vec(), decrypt_option: Some(b"-d".to_vec()) });
    for (settings, words) in [
        ("program \"DUMP\"", "dumptype type has program DUMP, which the embedded engine does not do"),
        ("compress server fast", "compresses on the server"),
        ("encrypt server", "encrypts on the server"),
        ("compress client custom", "without a client-custom-compress"),
        ("encrypt client", "without a client-encrypt"),
    ] {
        let unserved = wish(settings).expect_err(settings).to_string();
        assert!(unserved.contains(words), "{settings}: {unserved}");
    }
}

#[test]
fn an_estimate_asks_the_client_whatever_the_dumptype_prefers() {
    for (settings, expected) in [
        ("estimate server", vec![Estimate::Client]),
        ("estimate client", vec![Estimate::Client]),
        ("estimate server calcsize", vec![Estimate::Calcsize]),
    ] {
        let (config, disk) = config(settings);
        let dle = Wish { disk: &disk, how: disk.how(&config).expect("defined") }.estimate(&[0, 1]).expect("served");
        assert_eq!((dle.estimates, dle.levels.len()), (expected, 2), "{settings}");
    }
}

#[test]
fn what_a_client_does_not_understand_is_named() {
    let (config, disk) = config("compress client custom\n client-custom-compress \"/usr/bin/zstd\"");
    let dle = Wish { disk: &disk, how: disk.how(&config).expect("defined") }.dle().expect("served");
    assert_eq!(understood(amandas(), &dle), Ok(()));
    let mut fewer = amandas();
    fewer.clear(Feature::OptionsCompressCust);
    assert_eq!(understood(fewer, &dle).expect_err("fewer").to_string(), "the client does not understand compress client custom");
}

proptest! {
    #[test]
    fn garbage_ends_and_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), known: bool) {
        let script = if known { Script([Script::noop().0, bytes].concat()) } else { Script(bytes) };
        let _ = ask(&script);
    }
}
