//! Whole connections between the programs of Debian's Amanda 3.5.1, as they were recorded on a machine that was its own
//! server and client with auth "ssh": what the server sent in `NAME.server`, what the client sent in `NAME.client`.
//! `check-lines` and `dump-three-streams` are the client's answers to the same requests with one or two features fewer in them.

use std::collections::BTreeMap;
use std::path::Path;

use amanda::crc::Crc;
use amanda::index;
use amanda::lines::Lines;
use amanda::protocol::features::{Feature, Features};
use amanda::protocol::mesg::{Line, header_words, implied};
use amanda::protocol::packet::{Kind, Packet};
use amanda::protocol::reply::{self, CheckLine, Connect, ReplyError, Selfcheck, Sendbackup, Sendsize, Size, SizeLine};
use amanda::protocol::request::{Compress, DleRequest, Encrypt, Estimate, Level, Patterns, Program, Request, Service};
use amanda::protocol::token::{Tokens, put};

/// What each handle carried, in order; an empty payload is its end.
type Tape = Vec<(u32, Vec<u8>)>;

fn play(name: &str) -> Tape {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/protocol").join(name);
    let bytes = std::fs::read(&path).expect(name);
    let (mut tokens, mut tape) = (Tokens::new(), Tape::new());
    for chunk in bytes.chunks(1000) {
        tokens.feed(chunk);
        while let Some(token) = tokens.next_token().expect(name) {
            tape.push((token.handle, token.payload.to_vec()));
        }
    }
    tokens.finish().expect(name);
    let mut printed = Vec::new();
    tape.iter().for_each(|(handle, payload)| put(&mut printed, *handle, payload));
    assert_eq!(printed, bytes, "{name}: the tokens put together again");
    tape
}

/// The packets that came under small handles, without acknowledgements.
fn packets(name: &str, kind: Kind) -> Vec<Packet> {
    let control = play(name).into_iter().filter(|(handle, payload)| *handle < 10_000 && !payload.is_empty());
    let packets = control.map(|(_, payload)| {
        let packet = Packet::parse(&payload).expect(name);
        assert_eq!(packet.print(), payload, "{name}: the packet printed again");
        packet
    });
    packets.filter(|packet| packet.kind == kind).collect()
}

fn requests(name: &str) -> Vec<Request> {
    let bodies = packets(&format!("{name}.server"), Kind::Req).into_iter();
    bodies
        .map(|packet| {
            let request = Request::parse(&packet.body).expect(name);
            assert_eq!(Request::parse(&request.print()).as_ref(), Ok(&request), "{name}: the request printed again");
            request
        })
        .collect()
}

fn replies(name: &str) -> Vec<Vec<u8>> {
    packets(&format!("{name}.client"), Kind::Rep).into_iter().map(|packet| packet.body).collect()
}

fn amandas() -> Features {
    Features::parse(b"ffffffff9efefbfffffffffffffff3fffbf71f").expect("Amanda's own")
}

/// One recorded dump.
struct Dump {
    dle: DleRequest,
    streams: Connect,
    mesg: Vec<u8>,
    data: Vec<u8>,
    index: Vec<u8>,
}

impl Dump {
    fn of(name: &str) -> Self {
        let mut request = requests(name).pop().expect("a request");
        assert_eq!(request.service, Service::Sendbackup);
        let body = replies(name).pop().expect("a reply");
        let reply = Sendbackup::parse(&body).expect(name);
        assert_eq!(reply.print(), body, "{name}: the reply printed again");
        let Sendbackup::Connect { streams, options } = reply else { panic!("{name}: {reply:?}") };
        assert_eq!(options.features, Some(amandas()));
        let mut carried: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        let mut ended = Vec::new();
        for (handle, payload) in play(&format!("{name}.client")).into_iter().filter(|(handle, _)| *handle >= 10_000) {
            assert!(!ended.contains(&handle), "{name}: {handle} goes on after its end");
            if payload.is_empty() {
                ended.push(handle);
            }
            carried.entry(handle).or_default().extend(payload);
        }
        ended.sort_unstable();
        let mut named: Vec<u32> = streams.handles().collect();
        named.sort_unstable();
        assert_eq!(ended, named, "{name}: every stream that the reply names is ended");
        let mut take = |handle: Option<u32>| handle.and_then(|handle| carried.remove(&handle)).unwrap_or_default();
        let (mesg, data, index) = (take(Some(streams.mesg)), take(Some(streams.data)), take(streams.index));
        Self { dle: request.dles.remove(0), streams, mesg, data, index }
    }

    /// Gives every line of the message stream to `each`, and asserts that it is one that Amanda's client says.
    fn lines(&self, mut each: impl FnMut(&Line<'_>)) {
        assert!(self.mesg.ends_with(b"\n"));
        Lines::default().feed(&self.mesg, |text| {
            let line = Line::parse(text);
            assert!(!matches!(line, Line::Other(_)), "{:?}", String::from_utf8_lossy(text));
            assert_eq!(line.print(), [text, b"\n"].concat());
            each(&line);
        });
    }

    fn info(&self) -> Vec<(String, String)> {
        let mut info = Vec::new();
        self.lines(|line| {
            if let Line::Info { key, value } = line {
                assert_eq!(implied(&self.dle, key, value), Ok(()));
                info.push((String::from_utf8_lossy(key).into_owned(), String::from_utf8_lossy(value).into_owned()));
            }
        });
        info
    }

    fn ends_well(&self) -> bool {
        let (mut sized, mut ended, mut spoilt) = (false, false, false);
        self.lines(|line| match line {
            Line::Size(kib) => sized = *kib > 0,
            Line::End => ended = true,
            Line::Error(_) => spoilt = true,
            _ => {}
        });
        sized && ended && !spoilt
    }

    fn crcs(&self) -> (Option<Crc>, Option<Crc>) {
        let mut crcs = (None, None);
        self.lines(|line| match line {
            Line::NativeCrc(crc) => crcs.0 = Some(*crc),
            Line::ClientCrc(crc) => crcs.1 = Some(*crc),
            _ => {}
        });
        crcs
    }

    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        Lines::default().feed(&self.index, |line| {
            assert!(index::is_line(line));
            names.push(String::from_utf8_lossy(line).into_owned());
        });
        names
    }
}

#[test]
fn a_check_begins_with_a_noop_and_names_every_disk() {
    let [noop, check] = requests("check").try_into().expect("two requests");
    assert_eq!(noop.service, Service::Noop);
    assert_eq!(noop.options.features, Some(amandas()));
    assert_eq!(check.service, Service::Selfcheck);
    assert_eq!(check.options.hostname.as_deref(), Some(&b"aa-rec.invalid"[..]));
    assert_eq!(check.options.config.as_deref(), Some(&b"protorec"[..]));
    assert_eq!((check.options.maxdumps, check.options.timestamp), (Some(1), None));
    assert_eq!(check.dles.len(), 8);
    assert!(check.dles.iter().all(|dle| dle.levels.is_empty() && dle.unknown.is_empty() && dle.auth.as_deref() == Some(b"ssh")));
    assert_eq!(check.dles[0].estimates, [Estimate::Server]);
    assert!(!check.dles[0].record);
}

#[test]
fn a_noop_is_answered_as_we_answer_it() {
    let answer = replies("check").remove(0);
    assert_eq!(answer, reply::noop(&amandas()));
    assert_eq!(reply::parse_noop(&answer).unwrap().features, Some(amandas()));
}

#[test]
fn amandas_client_checks_in_json_unless_the_request_lacks_the_feature() {
    let json = &replies("check")[1];
    assert!(json.starts_with(b"MESSAGE JSON\n"));
    assert_eq!(Selfcheck::parse(json), Err(ReplyError::Cut));
    let asked = requests("check-lines").pop().unwrap().options.features.unwrap();
    assert!(!asked.has(Feature::SelfcheckMessage));
    let reply = Selfcheck::parse(&replies("check-lines")[1]).unwrap();
    assert_eq!(reply.options.hostname.as_deref(), Some(&b"aa-rec.invalid"[..]));
    let errors: Vec<_> = reply.lines.iter().filter(|line| matches!(line, CheckLine::Error(_))).collect();
    let missing = "aa-rec.invalid: Could not access missing (/srv/protorec/src/missing): No such file or directory";
    assert_eq!(errors, [&CheckLine::Error(missing.into())]);
    assert!(reply.lines.contains(&CheckLine::Ok(b"\"home docs\"".to_vec())));
}

#[test]
fn estimates_are_asked_and_answered_for_every_disk() {
    let request = requests("estimate-0").pop().unwrap();
    assert_eq!(request.service, Service::Sendsize);
    assert_eq!(request.options.timestamp.as_deref(), Some(&b"20261123185247"[..]));
    let dle = |disk: &str| request.dles.iter().find(|dle| dle.disk == disk.as_bytes()).expect(disk);
    let plain = dle("/srv/protorec/src/plain");
    assert_eq!(plain.exclude.files, [b"*.iso".to_vec(), b"./.cache dir".to_vec()]);
    assert_eq!((plain.directory(), &plain.compress, plain.spindle), (&b"/srv/protorec/src/plain"[..], &Compress::None, Some(-1)));
    let home = dle("home docs");
    assert_eq!((home.directory(), &home.compress), (&b"/srv/protorec/src/home docs"[..], &Compress::ClientFast));
    let some = dle("/srv/protorec/src/incl");
    assert_eq!(some.estimates, [Estimate::Calcsize]);
    assert_eq!(some.include, Patterns { files: vec![b"./a".to_vec(), b"./b".to_vec()], ..Patterns::default() });
    assert_eq!(some.exclude, Patterns { lists: vec![b".excl".to_vec()], optional: true, ..Patterns::default() });
    assert_eq!(some.compress, Compress::ServerFast);
    assert_eq!(dle("noisy").compress, Compress::ClientCustom(b"/srv/protorec/noisy.sh".to_vec()));
    assert_eq!(dle("best").compress, Compress::ClientBest);

    let reply = Sendsize::parse(&replies("estimate-0")[1]).unwrap();
    let said =
        |disk: &str| -> Vec<&Size> { reply.lines.iter().filter(|line| line.disk == disk.as_bytes()).map(|line| &line.size).collect() };
    assert_eq!(said("home docs"), [&Size::Kib(10)]);
    assert_eq!(said("/srv/protorec/src/incl"), [&Size::Kib(5)]);
    assert_eq!(said("best"), [&Size::Unknown]);
    assert!(
        matches!(said("missing")[..], [Size::Unknown, Size::Error(why)] if why.starts_with(b"/usr/lib/amanda/runtar exited with status 2"))
    );
    assert!(request.dles.iter().all(|dle| reply.lines.iter().any(|line| line.disk == dle.disk)));
}

#[test]
fn a_part_of_the_estimates_comes_before_the_whole() {
    let part = packets("estimate-0.client", Kind::Prep).remove(0);
    let part = Sendsize::parse(&part.body).unwrap();
    assert_eq!(part.lines, [SizeLine { disk: b"/srv/protorec/src/plain".to_vec(), level: 0, size: Size::Kib(10) }]);
}

#[test]
fn the_second_run_asks_for_several_levels() {
    let request = requests("estimate-1").pop().unwrap();
    let levels: Vec<Level> = request.dles[0].levels.clone();
    assert_eq!(levels, [Level { level: 0, server: true }, Level { level: 1, server: false }]);
    let reply = Sendsize::parse(&replies("estimate-1")[1]).unwrap();
    assert_eq!(reply.lines.iter().map(|line| line.level).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn applications_and_scripts_are_read() {
    let request = requests("estimate-application").pop().unwrap();
    let app = &request.dles[0];
    let application = app.application.as_ref().expect("one");
    assert_eq!((&app.program, application.plugin.as_slice()), (&Program::Application, &b"amgtar"[..]));
    let two = application.properties.iter().find(|property| property.name == b"two").expect("one");
    assert_eq!(two.values, [b"first value".to_vec(), b"second".to_vec()]);
    assert_eq!(app.scripts[0].plugin, b"script-email");
    assert_eq!(app.scripts[0].execute_on, [b"PRE-DLE-BACKUP".to_vec(), b"POST-DLE-BACKUP".to_vec()]);
    assert_eq!(app.compress, Compress::ServerCustom(b"/bin/gzip".to_vec()));
    let encrypt = Encrypt::Client { program: b"/srv/protorec/noisy.sh".to_vec(), decrypt_option: Some(b"-d".to_vec()) };
    assert_eq!(request.dles[1].encrypt, encrypt);
}

#[test]
fn a_plain_dump_is_read_to_its_end() {
    let dump = Dump::of("dump-plain-0");
    assert_eq!(dump.dle.levels, [Level { level: 0, server: false }]);
    let streams = Connect { data: 499_999, mesg: 499_998, index: Some(499_997), state: Some(Some(499_996)) };
    assert_eq!(dump.streams, streams);
    assert!(dump.ends_well());
    assert_eq!(dump.names(), ["/", "/sub/", "/a.txt", "/sub/b", "/sub/new\\nline"]);
    assert_eq!(dump.data.len(), 10_240);
    let (native, client) = dump.crcs();
    assert_eq!(native, client);
    assert_eq!(client.map(|crc| crc.bytes), Some(10_240));
    let mut said = Vec::new();
    dump.lines(|line| {
        if let Line::Normal(text) = line {
            said.push(String::from_utf8_lossy(text).into_owned());
        }
    });
    assert_eq!(said, ["/bin/tar: ./sock: socket ignored", "Total bytes written: 10240 (10KiB, 11MiB/s)"]);
}

#[test]
fn a_level_1_dump_has_what_is_new() {
    let dump = Dump::of("dump-plain-1");
    assert_eq!(dump.dle.levels, [Level { level: 1, server: false }]);
    assert_eq!(dump.names(), ["/", "/sub/", "/c2"]);
    assert!(dump.ends_well());
}

#[test]
fn what_amandas_client_says_for_the_header_is_what_we_say_and_what_the_dumptype_implies() {
    for name in
        ["plain-0", "plain-1", "fast", "best", "custom", "include", "strange", "failing", "encrypted", "three-streams", "application"]
    {
        let dump = Dump::of(&format!("dump-{name}"));
        let said = dump.info();
        assert_eq!(said[0].0, "BACKUP", "{name}");
        if name == "application" {
            assert_eq!(said[1], ("APPLICATION".into(), "amgtar".into()));
            continue;
        }
        let ours: Vec<_> = header_words(&dump.dle)
            .into_iter()
            .map(|(key, value)| (String::from_utf8_lossy(key).into_owned(), String::from_utf8_lossy(&value).into_owned()))
            .collect();
        assert_eq!(said, ours, "{name}");
    }
}

#[test]
fn compression_is_seen_in_the_checksums() {
    for (name, compressed) in
        [("plain-1", false), ("include", false), ("strange", false), ("fast", true), ("best", true), ("custom", true), ("encrypted", true)]
    {
        let dump = Dump::of(&format!("dump-{name}"));
        let (Some(native), Some(client)) = dump.crcs() else { panic!("{name} has no checksums") };
        assert_eq!(native.bytes, 10_240, "{name}");
        assert_eq!(client.bytes, dump.data.len() as u64, "{name}");
        assert_eq!(native != client, compressed, "{name}");
        assert!(dump.ends_well(), "{name}");
    }
}

#[test]
fn a_dump_without_index_has_no_such_stream() {
    let dump = Dump::of("dump-custom");
    assert!(!dump.dle.index);
    assert_eq!((dump.streams.index, dump.streams.state), (None, Some(Some(499_997))));
    assert!(dump.names().is_empty());
}

#[test]
fn only_what_is_included_is_in_the_index() {
    assert_eq!(Dump::of("dump-include").names(), ["/a/", "/b/", "/a/one", "/b/two"]);
}

#[test]
fn a_filters_words_are_strange_and_its_failure_an_error() {
    let mut strange = Vec::new();
    Dump::of("dump-strange").lines(|line| {
        if let Line::Strange(text) = line {
            strange.push(text.to_vec());
        }
    });
    assert_eq!(strange, [b"noisy: something odd".to_vec()]);

    let dump = Dump::of("dump-failing");
    let mut errors = Vec::new();
    dump.lines(|line| {
        if let Line::Error(text) = line {
            errors.push(text.to_vec());
        }
    });
    // Amanda's client says it twice.
    assert_eq!(errors, [b"compress (28816) compress returned 3", b"compress (28816) compress returned 3"]);
    assert!(!dump.ends_well());
    assert_eq!(dump.crcs(), (None, None));
}

#[test]
fn a_client_asked_without_state_streams_has_three() {
    let asked = requests("dump-three-streams").pop().unwrap().options.features.unwrap();
    assert!(!asked.has(Feature::SendbackupStreamState));
    let dump = Dump::of("dump-three-streams");
    assert_eq!(dump.streams, Connect { data: 499_999, mesg: 499_998, index: Some(499_997), state: None });
    assert_eq!(dump.names(), ["/", "/d e", "/new", "/r.bin"]);
}

#[test]
fn a_word_forged_into_a_recorded_dump_is_refused() {
    let dump = Dump::of("dump-fast");
    for (key, value) in
        [("CLIENT_CUSTOM_COMPRESS", "/path/evil"), ("SERVER_ENCRYPT", "/path/evil"), ("RECOVER_CMD", "/path/evil"), ("BACKUP", "")]
    {
        assert!(implied(&dump.dle, key.as_bytes(), value.as_bytes()).is_err(), "{key}={value}");
    }
}
