use std::fs;
use std::io::{BufReader, Read as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amanda::crc::Crc;
use amanda::header::{HEADER_BYTES, Header};
use amanda::protocol::packet::{Kind as Packets, Packet};
use amanda::protocol::request::{DleRequest, Request};
use flate2::bufread::MultiGzDecoder;

use super::sink::Sink;
use super::*;
use crate::engine::embedded::dialogue::scripted::{DATA, INDEX, Kept, MESG, Script, config, recording, tokens};

const STAMP: &str = "20261122003709";

/// Makes the scripted dump, and checks that nothing is left of one that failed.
fn dumped(script: &Script, settings: &str) -> (tempfile::TempDir, Result<Made, DumpError>, Kept) {
    let directory = tempfile::tempdir().expect("temporary directory");
    let (config, disk) = config(settings);
    let (host, name) = ("localhost".parse().expect("name"), "daily".parse().expect("name"));
    let how = disk.how(&config).expect("defined");
    let ask = Ask { host: &host, config: &name, disk: &disk, how, level: 0, stamp: STAMP, patience: Patience::default() };
    let (holding, indexdir) = (directory.path().join("holding").join(STAMP), directory.path().join("index"));
    for directory in [directory.path().join("holding"), indexdir.clone()] {
        std::fs::create_dir(directory).expect("made");
    }
    let (connection, kept) = script.connection();
    let moved = AtomicU64::new(0);
    let made = dump(connection, &ask, &Place { holding: &holding, indexdir: &indexdir, chunk: None }, &|bytes| {
        moved.store(bytes, Ordering::Relaxed);
    });
    match &made {
        Ok(made) => assert_eq!(Some(moved.load(Ordering::Relaxed)), made.header.server.map(|server| server.bytes)),
        Err(_) => assert_eq!(files(directory.path()), Vec::<PathBuf>::new()),
    }
    (directory, made, kept)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("ours").flatten() {
        if entry.path().is_dir() { found.extend(files(&entry.path())) } else { found.push(entry.path()) }
    }
    found.sort();
    found
}

fn failed(script: &Script) -> String {
    dumped(script, "").1.expect_err("no dump").to_string()
}

fn begun() -> Script {
    Script::connected().introduced()
}

#[test]
fn a_dump_is_a_header_with_its_sums_the_bytes_and_an_index() {
    let data = vec![7; 100_000];
    let (directory, made, kept) = dumped(&begun().dumped(&data), "");
    let made = made.expect("a dump");
    assert_eq!((made.outcome, made.level, made.strange.len()), (Outcome::Ok, 0, 0));
    let names: Vec<_> = files(directory.path()).iter().map(|path| path.strip_prefix(directory.path()).expect("below").to_owned()).collect();
    assert_eq!(
        names.iter().map(|name| name.to_str().expect("text")).collect::<Vec<_>>(),
        [
            "holding/20261122003709/localhost._home.0",
            "index/localhost/_home/20261122003709_0-unsorted.gz",
            "index/localhost/_home/20261122003709_0.header"
        ]
    );
    let bytes = fs::read(&made.file).expect("there");
    let header = Header::parse(&bytes[..HEADER_BYTES]).expect("a header");
    let crc = Crc { crc: crc32c::crc32c(&data), bytes: 100_000 };
    assert_eq!((header.native, header.client, header.server, header.orig_kb), (Some(crc), Some(crc), Some(crc), Some(10)));
    assert_eq!((&header, &bytes[HEADER_BYTES..]), (&made.header, data.as_slice()));
    assert!(header.dle_xml.as_ref().is_some_and(|xml| xml.starts_with(b"<dle>\n") && xml.ends_with(b"</dle>")));
    // What is asked is what the dumptype says, and every stream's end comes back.
    let said = kept.tokens();
    let request = Request::parse(&Packet::parse(&said[2].1).expect("a packet").body).expect("a request");
    assert_eq!(request.dles[0].levels[0].level, 0);
    let echoes: Vec<u32> = said.iter().filter(|(_, payload)| payload.is_empty()).map(|(handle, _)| *handle).collect();
    assert_eq!(echoes, [DATA, INDEX, MESG]);
}

#[test]
fn the_dumptype_says_what_the_header_says() {
    let words = "compress client custom\n client-custom-compress \"/usr/bin/zstd\"";
    let (_directory, made, _) = dumped(&begun().dumped(b"x"), words);
    let header = made.expect("a dump").header;
    assert_eq!((header.compression.as_deref(), header.programs.client_compress.as_deref()), (Some("cust"), Some(&b"/usr/bin/zstd"[..])));
    assert_eq!(header.restore.uncompress.as_deref(), Some(&b"/usr/bin/zstd -d"[..]));
    let words = "encrypt client\n client-encrypt \"/usr/bin/crypt\"\n client-decrypt-option \"-d\"";
    let header = dumped(&begun().dumped(b"x"), words).1.expect("a dump").header;
    assert_eq!((header.programs.crypt.as_deref(), header.restore.decrypt.as_deref()), (Some(&b"enc"[..]), Some(&b"/usr/bin/crypt -d"[..])));
    let (directory, made, _) = dumped(&Script::noop().connect(None).introduced().dumped_without_names(b"x"), "index no");
    made.expect("a dump");
    assert_eq!(files(directory.path()).len(), 2);
}

impl Script {
    fn dumped_without_names(self, data: &[u8]) -> Self {
        let crc = Crc { crc: crc32c::crc32c(data), bytes: data.len() as u64 };
        let last = format!("sendbackup: client-CRC {crc}\nsendbackup: size 10\nsendbackup: end\n");
        self.say(DATA, data).say(DATA, "").say(MESG, last).say(MESG, "")
    }
}

#[test]
fn recorded_dumps_of_debians_client_are_taken_as_they_were() {
    for (name, strange) in [
        ("dump-plain-0", false),
        ("dump-plain-1", false),
        ("dump-fast", false),
        ("dump-best", false),
        ("dump-custom", false),
        ("dump-include", false),
        ("dump-encrypted", true),
        ("dump-strange", true),
        ("dump-three-streams", false),
    ] {
        let (data, index, received) = replayed(name);
        let received = received.unwrap_or_else(|error| panic!("{name}: {error}"));
        let of = |handle: u32| {
            let client = tokens(&recording(&format!("{name}.client"))).into_iter();
            client.filter(|(other, _)| *other == handle).flat_map(|(_, payload)| payload).collect::<Vec<u8>>()
        };
        assert_eq!(data, of(499_999), "{name}");
        assert_eq!((received.client, received.is_strange), (Some(received.server), strange), "{name}");
        assert!(received.native.is_some() && received.size >= 10, "{name}");
        if let Some(index) = index {
            let mut names = Vec::new();
            MultiGzDecoder::new(BufReader::new(index.as_slice())).read_to_end(&mut names).expect("gzip");
            assert_eq!(names, of(499_997), "{name}");
        }
        if name == "dump-strange" {
            assert_eq!(received.strange, ["? noisy: something odd"]);
        }
    }
    let error = replayed("dump-failing").2.expect_err("it failed");
    assert_eq!(error.to_string(), "the client says: compress (28816) compress returned 3");
    assert_eq!(error.strange, ["? failing: broken"]);
}

type Replayed = (Vec<u8>, Option<Vec<u8>>, Result<receive::Received, DumpError>);

/// The conversation alone, with the dumptype that Debian's server had.
fn replayed(name: &str) -> Replayed {
    let requests = tokens(&recording(&format!("{name}.server"))).into_iter();
    let dle: DleRequest = requests
        .filter_map(|(_, payload)| Packet::parse(&payload).ok().filter(|packet| packet.kind == Packets::Req))
        .find_map(|packet| Request::parse(&packet.body).ok()?.dles.pop())
        .expect("a request");
    let directory = tempfile::tempdir().expect("temporary directory");
    let file = |name: &str| fs::File::create(directory.path().join(name)).expect("ours");
    let files = draft::Files { dump: Sink::File(file("dump")), index: dle.index.then(|| file("index")), spoilt: draft::Spoilt::default() };
    let asker = Asker { host: "localhost".parse().expect("name"), config: "daily".parse().expect("name"), stamp: None };
    let receiver = receive::Receiver::new(asker, dle, Patience::default(), files);
    let received = dialogue::talk(Script::recorded(name).connection().0, &|_| {}, move |peer| receiver.receive(peer));
    (fs::read(directory.path().join("dump")).expect("there"), fs::read(directory.path().join("index")).ok(), received)
}

#[test]
fn a_conversation_that_is_cut_anywhere_leaves_nothing() {
    let whole = begun().dumped(&[7; 3000]).0;
    let mut last = String::new();
    for cut in (0..whole.len()).step_by(13).chain(whole.len() - 30..whole.len()) {
        let error = failed(&Script(whole[..cut].to_vec()));
        assert!(!error.is_empty());
        last = error;
    }
    assert_eq!(last, "the client said something that is not Amanda's: the connection ended 1 bytes short of a whole token");
}

#[test]
fn what_is_not_proven_is_no_dump() {
    let sums = |crc: &str| format!("sendbackup: client-CRC {crc}\nsendbackup: size 10\nsendbackup: end\n");
    let right = format!("{:08x}:3", crc32c::crc32c(b"abc"));
    let data = || begun().say(DATA, "abc").say(DATA, "").say(INDEX, "/\n").say(INDEX, "");
    let ended = |lines: &str| data().say(MESG, lines).say(MESG, "");
    let other = format!("{:08x}:3", crc32c::crc32c(b"abd"));
    for (case, script, words) in [
        ("no end", ended("sendbackup: size 10\n"), "never said that its dump is complete"),
        ("no words at all", ended("| a\n"), "never said that its dump is complete"),
        ("no size", ended("sendbackup: end\n"), "said no size"),
        ("no sum", ended("sendbackup: size 10\nsendbackup: end\n"), "said no checksum"),
        ("another sum", ended(&sums(&other)), "the dump is damaged: the client sent"),
        ("another length", ended(&sums(&right.replace(":3", ":4"))), "the dump is damaged"),
        ("a size of all there is", ended("sendbackup: size 999999999999999999\n"), "999999999999999999 KiB, which is not believed"),
        ("an error after the end", ended(&[&sums(&right), "sendbackup: error [x]\n"].concat()), "the client says: x"),
        ("nothing", begun().say(DATA, "").say(INDEX, "").say(MESG, sums("00000000:0")).say(MESG, ""), "the client sent no dump"),
        ("a refusal", Script::noop().answer(2, "ERROR [no such [disk]\x07]\n"), "the client refuses: (no such (disk)\\x07)"),
        ("no index", Script::noop().connect(None), "the client sends no index"),
        ("another answer", Script::noop().answer(2, "CONNECT DATA 1 MESG 2 INDEX 3\nOPTIONS ;\n"), "sendbackup is not understood"),
        ("a retry in its place", Script::noop().answer(2, "RETRY delay 1 level 0\n"), "sendbackup is not understood"),
    ] {
        let error = failed(&script);
        assert!(error.contains(words), "{case}: {error}");
    }
    dumped(&ended(&sums(&right)), "").1.expect("this one is");
    let older = Script::older().introduced().say(DATA, "abc").say(DATA, "").say(INDEX, "").say(MESG, "sendbackup: size 1\nsendbackup: end");
    let made = dumped(&older.say(MESG, ""), "").1.expect("a client that cannot count");
    assert_eq!(made.header.client, None);
}

#[test]
fn what_a_client_may_not_say_fails_the_dump() {
    let long = "x".repeat(9000);
    let first = Script::connected;
    for (case, script, words) in [
        ("a forged program", first().say(MESG, "sendbackup: info CLIENT_CUSTOM_COMPRESS=/tmp/evil\n"), "its dumptype does not imply"),
        ("an application", first().say(MESG, "sendbackup: info APPLICATION=evil\n"), "its dumptype does not imply"),
        ("no program", first().say(MESG, "sendbackup: info end\n"), "completes a header that names no program"),
        ("a late word", begun().say(MESG, "sendbackup: info BACKUP=/bin/tar\n"), "after the dump's header is complete"),
        ("a retry", begun().say(MESG, "sendbackup: retry delay 0 level 7 message x\n"), "at a level that it does not choose itself"),
        ("a state", begun().say(MESG, "sendbackup: state x\n"), "a state that its program does not have"),
        ("an early dump", first().say(DATA, "x"), "before the dump's header was complete"),
        ("a long line", begun().say(MESG, format!("sendbackup: {long}\n")), "a message of more than 8192 bytes"),
        ("bytes after the end", begun().say(DATA, "").say(DATA, "x"), "more on a stream that it had ended"),
        ("names after the end", begun().say(INDEX, "").say(INDEX, "/\n"), "more on a stream that it had ended"),
        ("an unknown stream", begun().say(400_000, "x"), "for the handle 400000, which nobody has opened"),
        ("a request", begun().packet(3, Packets::Req, "SERVICE noop\nOPTIONS ;\n"), "for the handle 3, which nobody has opened"),
        ("ends without end", (0..20_000).fold(begun(), |script, _| script.say(400_000, "")), "goes on sending what says nothing"),
        ("a shell's last words", Script([begun().0, b"Connection to x closed.".to_vec()].concat()), "something that is not Amanda's"),
    ] {
        let error = failed(&script);
        assert!(error.contains(words), "{case}: {error}");
    }
}

#[test]
fn strange_lines_are_kept_as_amanda_marks_them_and_not_without_end() {
    let lines = "| normal\n? tar: \x1b[2J\nnobody knows\nsendbackup: warning odd\n";
    let made = dumped(&begun().say(MESG, lines).dumped(b"abc"), "").1.expect("a dump");
    assert_eq!(made.outcome, Outcome::Strange);
    assert_eq!(made.strange, ["? tar: \\x1b[2J", "??nobody knows", "sendbackup: warning odd"]);
    let flood = format!("? {}\n", "x".repeat(20_000)).repeat(40);
    let script = (0..10).fold(begun(), |script, _| script.say(MESG, &flood));
    let made = dumped(&script.dumped(b"abc"), "").1.expect("a dump");
    assert_eq!((made.strange.len(), made.strange[0].len()), (201, 1000));
    assert_eq!(made.strange[200], "? 200 more lines like these were left out");
    let mebibyte = format!("| {}\n", "x".repeat(1000)).repeat(1000);
    let script = (0..80).fold(begun(), |script, _| script.say(MESG, &mebibyte));
    assert!(failed(&script).contains("more than 64 MiB of messages"));
}

#[test]
fn names_that_amanda_could_not_offer_are_left_out_wherever_tokens_end() {
    let long = format!("/{}", "x".repeat(6000));
    let list = format!("/\n/a\nb\n{long}\n/c\x1b\n/d\n/e");
    for piece in [1, 7, 5000, 100_000] {
        let script = list.as_bytes().chunks(piece).fold(begun(), |script, piece| script.say(INDEX, piece));
        let (directory, made, _) = dumped(&script.say(INDEX, "").dumped_without_names(b"x"), "");
        made.expect("a dump");
        let list = files(directory.path()).into_iter().find(|path| path.extension().is_some_and(|end| end == "gz")).expect("an index");
        let mut names = String::new();
        MultiGzDecoder::new(BufReader::new(fs::File::open(list).expect("there"))).read_to_string(&mut names).expect("gzip");
        assert_eq!(names, "/\n/a\n/d\n", "{piece}");
    }
}

#[test]
fn a_full_disk_is_said_in_words() {
    let (config, disk) = config("");
    let dle = header::at_level(Wish { disk: &disk, how: disk.how(&config).expect("defined") }.dle().expect("served"), 0);
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has one");
    for (case, files, words) in [
        (
            "the dump",
            draft::Files { dump: Sink::File(full()), index: None, spoilt: draft::Spoilt::default() },
            "cannot write the dump to the holding disk: No space left on device",
        ),
        (
            "the index",
            draft::Files { dump: Sink::File(tempfile::tempfile().expect("a file")), index: Some(full()), spoilt: draft::Spoilt::default() },
            "cannot write the index: No space left",
        ),
    ] {
        let asker = Asker { host: "localhost".parse().expect("name"), config: "daily".parse().expect("name"), stamp: None };
        let receiver = receive::Receiver::new(asker, dle.clone(), Patience::default(), files);
        let script = begun().dumped(&[7; 50_000]);
        let error = dialogue::talk(script.connection().0, &|_| {}, move |peer| receiver.receive(peer)).expect_err(case);
        assert!(error.to_string().contains(words), "{case}: {error}");
    }
}

/// Under strace, whose system cannot write out the first of 40 MB; it says so once, as Linux does. Nothing is tested without one.
#[test]
fn a_write_error_in_the_middle_of_a_dump_is_told() {
    const ASKED: &str = "ASYNCAMANDA_TEST_WRITE_ERROR";
    if std::env::var_os(ASKED).is_some() {
        let script = (0..40).fold(begun(), |script, _| script.say(DATA, [7; 1_000_000]));
        let error = failed(&script.dumped(b"end"));
        assert_eq!(error, "cannot write the dump to the holding disk: Input/output error (os error 5)");
        return;
    }
    let trace = tempfile::NamedTempFile::new().expect("temporary file");
    let mut command = std::process::Command::new("strace");
    command.args(["-f", "-qq", "-e", "inject=fdatasync:error=EIO:when=1", "-e", "trace=fdatasync", "-o"]).arg(trace.path());
    command.arg(std::env::current_exe().expect("this")).args(["--exact"]);
    command.args(["engine::embedded::dump::tests::a_write_error_in_the_middle_of_a_dump_is_told", "--nocapture"]);
    let Ok(output) = command.env(ASKED, "1").output() else {
        assert!(std::env::var_os("CI").is_none(), "there is no strace");
        return;
    };
    let trace = fs::read_to_string(trace.path()).unwrap_or_default();
    if trace.is_empty() {
        assert!(std::env::var_os("CI").is_none(), "strace may not trace");
        return;
    }
    assert!(output.status.success() && trace.contains("(INJECTED)"), "{trace}{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_client_that_stops_in_the_middle_is_given_up_and_its_bytes_are_gone() {
    use std::os::unix::net::UnixStream;
    let directory = tempfile::tempdir().expect("temporary directory");
    let (config, disk) = config("");
    let (host, name) = ("localhost".parse().expect("name"), "daily".parse().expect("name"));
    let patience = Patience { data: Duration::from_millis(200), ..Patience::default() };
    let ask = Ask { host: &host, config: &name, disk: &disk, how: disk.how(&config).expect("defined"), level: 0, stamp: STAMP, patience };
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let mut client = theirs.try_clone().expect("a descriptor");
    let script = begun().say(DATA, [7; 5000]).0;
    let saying = std::thread::spawn(move || std::io::Write::write_all(&mut client, &script));
    let from = BufReader::new(ours.try_clone().expect("a descriptor"));
    let connection = crate::engine::embedded::Connection { from: Box::new(from), to: Box::new(ours) };
    let place = Place { holding: directory.path(), indexdir: directory.path(), chunk: None };
    let error = dump(connection, &ask, &place, &|_| {}).expect_err("silent");
    assert_eq!(error.to_string(), "nothing came from the client for 200ms: the next piece of the dump is missing");
    assert_eq!(files(directory.path()), Vec::<PathBuf>::new());
    saying.join().expect("no panic").expect("said");
    drop(theirs);
}

#[test]
fn a_dump_that_is_there_is_not_overwritten() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let (config, disk) = config("");
    let (host, name) = ("localhost".parse().expect("name"), "daily".parse().expect("name"));
    let how = disk.how(&config).expect("defined");
    let ask = Ask { host: &host, config: &name, disk: &disk, how, level: 0, stamp: STAMP, patience: Patience::default() };
    let place = Place { holding: directory.path(), indexdir: directory.path(), chunk: None };
    let there = directory.path().join("localhost._home.0");
    for path in [there.clone(), there.with_file_name("localhost._home.0.tmp")] {
        fs::write(&path, "precious").expect("ours");
        let error = dump(begun().dumped(b"x").connection().0, &ask, &place, &|_| {}).expect_err("it is there");
        assert!(error.to_string().starts_with("cannot make ") && error.to_string().contains("exists"), "{error}");
        assert_eq!(fs::read(&path).expect("there"), b"precious");
        fs::remove_file(&path).expect("ours");
    }
}
