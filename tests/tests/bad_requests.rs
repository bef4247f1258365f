//! What nobody should say: garbage and truncated frames, unknown versions, requests outside the grammar, odd names. Refused with
//! the right status, no ticket from nothing, and nothing raw on a terminal or in a log.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;
use std::time::Duration;

use asyncamanda_tests::child;
use asyncamanda_tests::says::{MINUTE, assert_no_ticket, assert_printable, assert_says, without_dumps};
use asyncamanda_tests::shim::assert_own_exit;
use asyncamanda_tests::{Caller, Finished, Laptop, World, system};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use wire::message::MAX_DISKS;
use wire::{AbortCode, Decoder, FromAgent, FromShim, Hello, frame, request};

/// Gives bytes to the forced command, ends its input, and returns how it ended and what it said in frames.
fn feed(world: &World, original: &str, bytes: &[u8]) -> (Finished, Vec<FromShim>) {
    let mut command = world.serve(&world.hosts[0].name, Some(original));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut shim = command.spawn().expect("it starts");
    let mut stdin = shim.stdin.take().expect("asked for");
    let bytes = bytes.to_vec();
    // It may hang up before it has heard everything.
    let speaks = std::thread::spawn(move || drop(stdin.write_all(&bytes)));
    let mut said = Vec::new();
    shim.stdout.take().expect("asked for").read_to_end(&mut said).expect("a pipe");
    let mut stderr = String::new();
    shim.stderr.take().expect("asked for").read_to_string(&mut stderr).expect("text");
    let status = shim.wait().expect("our own child");
    speaks.join().expect("it does not panic");
    let mut decoder = Decoder::new();
    decoder.feed(&said);
    let mut messages = Vec::new();
    while let Some(frame) = decoder.next_frame().expect("the shim's own frames") {
        messages.push(frame::unpack(frame).expect("the shim's own messages"));
    }
    let finished = Finished { code: status.code(), signal: None, stdout: String::new(), stderr, took: Duration::ZERO };
    (finished, messages)
}

/// Lets this laptop's key run a shell line in the shim's place.
fn relay(world: &World, laptop: &Laptop, line: &str) {
    let keys = world.dir.join("sshd").join(format!("keys-{}", system::LOGIN));
    let text = fs::read_to_string(&keys).expect("it has keys");
    let forced = world.forced_command(&laptop.host);
    assert!(text.contains(&forced));
    system::file(&keys, &text.replace(&forced, line), "root", "root", 0o644);
}

fn hello() -> Vec<u8> {
    frame::pack(&FromAgent::Hello(Hello::ours("a test"))).expect("short")
}

fn framed(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short");
    [&length.to_be_bytes()[..], &[frame::CONTROL], payload].concat()
}

/// Returns the words of the abort that a talk ended with.
#[track_caller]
fn abort(messages: &[FromShim], expected: AbortCode) -> String {
    match messages.last() {
        Some(FromShim::Abort { code, message, hint }) if *code == expected => format!("{message} {hint}"),
        _ => panic!("no abort with {expected:?}: {messages:#?}"),
    }
}

#[test]
fn bytes_that_are_no_frames_are_answered_with_a_refusal_and_76() {
    let world = without_dumps(1);
    let after_hello = |bytes: &[u8]| [&hello()[..], bytes].concat();
    let too_long = (u32::try_from(frame::MAX_CONTROL).expect("small") + 1).to_be_bytes();
    let trigger = frame::pack(&FromAgent::Trigger { disks: vec![] }).expect("short");
    let many: Vec<String> = (0..=MAX_DISKS).map(|n| format!("\"/d{n}\"")).collect();
    for (case, bytes, part) in [
        ("another protocol", b"GET / HTTP/1.1\r\nHost: amanda\r\n\r\n".to_vec(), "channel"),
        ("a terminal", b"\x1b[2J\x1b]0;owned\x07\r\n\r\n".to_vec(), "channel"),
        ("the largest length", vec![0xff, 0xff, 0xff, 0xff, frame::CONTROL], "4294967295 bytes"),
        ("one byte too long", after_hello(&[&too_long[..], &[frame::CONTROL]].concat()), "65537 bytes"),
        ("another channel", after_hello(&[0, 0, 0, 1, 9, 0]), "channel 9"),
        ("no JSON", after_hello(&framed(b"trigger")), "cannot be understood"),
        ("an empty frame", after_hello(&framed(b"")), "cannot be understood"),
        ("not UTF-8", after_hello(&framed(b"{\"say\":\"\xff\xfe\"}")), "cannot be understood"),
        ("brackets without end", after_hello(&framed(&vec![b'['; frame::MAX_CONTROL])), "cannot be understood"),
        ("an unknown message", after_hello(&framed(b"{\"say\":\"reboot\"}")), "cannot be understood"),
        ("a disk with a NUL", after_hello(&framed(b"{\"say\":\"trigger\",\"disks\":[\"/a\\u0000b\"]}")), "NUL"),
        ("a disk without a name", after_hello(&framed(b"{\"say\":\"trigger\",\"disks\":[\"\"]}")), "empty"),
        ("too many disks", after_hello(&framed(format!("{{\"say\":\"trigger\",\"disks\":[{}]}}", many.join(",")).as_bytes())), "257 disks"),
        ("no hello first", trigger, "first message"),
        ("a second hello", after_hello(&hello()), "second hello"),
    ] {
        let (finished, messages) = feed(&world, request::AGENT, &bytes);
        assert_own_exit(&finished);
        println!("{case}");
        let words = abort(&messages, AbortCode::Protocol);
        assert!(words.contains(part), "{case}: {words:?} has no {part:?}");
        assert!(!words.chars().any(char::is_control), "{case}: {words:?}");
        assert_eq!(finished.code, Some(76), "{case}: {finished}");
        assert_no_ticket(&world);
    }
}

#[test]
fn a_stream_that_ends_inside_a_frame_is_refused_and_no_message() {
    let world = without_dumps(1);
    let trigger = frame::pack(&FromAgent::Trigger { disks: vec![] }).expect("short");
    let first_words = hello();
    for cut in [1, frame::HEADER - 1, frame::HEADER, frame::HEADER + 1, first_words.len() - 1] {
        let (finished, messages) = feed(&world, request::AGENT, &first_words[..cut]);
        assert!(abort(&messages, AbortCode::Protocol).contains("middle of a frame"));
        assert_eq!(finished.code, Some(76), "{finished}");
    }
    for cut in [1, frame::HEADER, trigger.len() - 1] {
        let (finished, messages) = feed(&world, request::AGENT, &[&first_words[..], &trigger[..cut]].concat());
        assert!(abort(&messages, AbortCode::Protocol).contains("middle of a frame"));
        assert_eq!(finished.code, Some(76), "{finished}");
    }
    assert_no_ticket(&world);
    // Between two frames a laptop may hang up as it likes.
    let (finished, messages) = feed(&world, request::AGENT, &first_words);
    assert!(!messages.iter().any(|message| matches!(message, FromShim::Abort { .. })), "{messages:?}");
    assert_eq!(finished.code, Some(0), "{finished}");
}

#[test]
fn an_unknown_version_is_named_and_refused_with_76_on_both_sides() {
    let world = without_dumps(1);
    for version in [0, 2, u32::MAX] {
        let hello = frame::pack(&FromAgent::Hello(Hello { version, program: "a test".to_owned() })).expect("short");
        let (finished, messages) =
            feed(&world, request::AGENT, &[hello, frame::pack(&FromAgent::Trigger { disks: vec![] }).expect("short")].concat());
        let words = abort(&messages, AbortCode::Protocol);
        assert!(words.contains(&version.to_string()), "{words}");
        assert_eq!(finished.code, Some(76), "{finished}");
    }
    assert_no_ticket(&world);

    // And a server of tomorrow, met by today's agent.
    let laptop = world.laptop(0);
    let greeting = world.dir.join("greeting");
    fs::write(&greeting, framed(b"{\"say\":\"hello\",\"version\":7,\"program\":\"new\",\"host\":\"127.0.0.2\",\"config\":\"daily\"}"))
        .expect("write");
    relay(&world, &laptop, &format!("cat {}; cat > /dev/null", greeting.display()));
    assert_says(&laptop.ask(&["now"]), 76, &["version 7", "hint: "]);
}

#[test]
fn no_bytes_whatsoever_make_a_ticket_or_an_ending_that_is_not_ours() {
    let world = without_dumps(1);
    let mut runner = TestRunner::new_with_rng(
        ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let noise = proptest::collection::vec(any::<u8>(), 0..600);
    // Half of them behind a good hello, half of those in a good frame.
    let bytes = (any::<bool>(), any::<bool>(), noise).prop_map(|(greets, frames, noise)| {
        let rest = if frames { framed(&noise) } else { noise };
        if greets { [hello(), rest].concat() } else { rest }
    });
    let tried = runner.run(&bytes, |bytes| {
        let (finished, messages) = feed(&world, request::AGENT, &bytes);
        assert_own_exit(&finished);
        prop_assert!(matches!(finished.code, Some(0 | 76)), "{}", finished);
        prop_assert!(!messages.iter().any(|message| matches!(message, FromShim::Queued { .. } | FromShim::End { .. })), "{:?}", messages);
        Ok(())
    });
    tried.unwrap_or_else(|error| panic!("{error}"));
    assert_no_ticket(&world);
}

// ---- SSH_ORIGINAL_COMMAND

#[test]
fn a_request_outside_the_grammar_is_refused_with_77_and_runs_nothing() {
    let world = without_dumps(2);
    let laptop = world.laptop(0);
    let victim = world.dir.join("victim");
    let (config, other, touch) = (&world.name, &world.hosts[1].name, format!("touch {}", victim.display()));
    for asked in [
        format!("/usr/sbin/amdump {config}; {touch}"),
        format!("/usr/sbin/amdump {config} && {touch}"),
        format!("/usr/sbin/amdump {config} | {touch}"),
        format!("/usr/sbin/amdump $({touch})"),
        format!("/usr/sbin/amdump `{touch}`"),
        format!("/usr/sbin/amdump {config}\n{touch}"),
        format!("/usr/sbin/amdump {config}\r"),
        format!("/usr/sbin/amdump \"{config}\""),
        format!("/usr/sbin/amdump {config} \u{1b}[2J"),
        format!("/usr/sbin/amdump {config} {other}"),
        format!("/usr/sbin/amdump {config} {} {other}", world.hosts[0].name),
        format!("/usr/sbin/amdump {config} -oreserve=0"),
        "/usr/sbin/amdump".to_owned(),
        format!("/usr/sbin/amdump {config} {}", "x".repeat(4000)),
        format!("{}; {touch}", request::AGENT),
        "asyncamanda-agent 2".to_owned(),
        touch.clone(),
        "/bin/sh".to_owned(),
        format!("/usr/sbin/amrecover {config}"),
    ] {
        let finished = child::run(laptop.ssh(Some(&asked)), MINUTE);
        assert_says(&finished, 77, &["asyncamanda-shim: ", "hint: "]);
        assert!(finished.stdout.is_empty() && !finished.stderr.contains(&touch), "{asked:?}: {finished}");
        assert_no_ticket(&world);
        assert!(!victim.exists(), "{asked:?} ran something");
    }
    // A login without a command, and bytes that are no text.
    assert_says(&child::run(world.serve(&world.hosts[0].name, None), MINUTE), 77, &["it opens no shell", "hint: "]);
    child::run(laptop.ssh(None), MINUTE).expect_code(77);
    let mut odd = world.serve(&world.hosts[0].name, None);
    odd.env("SSH_ORIGINAL_COMMAND", OsStr::from_bytes(b"/usr/sbin/amdump \xff\xfe"));
    assert_says(&child::run(odd, MINUTE), 77, &["hint: "]);
    assert_no_ticket(&world);
}

#[test]
fn another_hosts_name_is_refused_in_frames_too() {
    let world = without_dumps(2);
    let asked = format!("/usr/sbin/amdump {} {}{}", world.name, world.hosts[1].name, request::MARKER);
    let (finished, messages) = feed(&world, &asked, &hello());
    let words = abort(&messages, AbortCode::Refused);
    assert!(words.contains(&world.hosts[0].name) && words.contains(&world.hosts[1].name), "{words}");
    assert_eq!(finished.code, Some(77), "{finished}");
    assert_no_ticket(&world);
}

// ---- names

#[test]
fn host_names_with_odd_characters_are_usage_errors_of_the_forced_command() {
    let world = without_dumps(1);
    let long = "x".repeat(64);
    for host in ["", "../queue", "-rf", ".hidden", "a b", "a;id", "$(id)", "a\nb", "\u{1b}[2J", "läptop", "a/b", &long] {
        let mut command = world.serve("x", Some(request::AGENT));
        // `--host=` keeps clap from taking a dash for an option.
        let program = command.get_program().to_owned();
        let mut arguments: Vec<_> = command.get_args().map(OsStr::to_owned).collect();
        arguments.truncate(arguments.len() - 2);
        command = child::program(program);
        command.args(arguments).arg(format!("--host={host}")).env("SSH_ORIGINAL_COMMAND", request::AGENT);
        let finished = child::run(command, MINUTE);
        assert_says(&finished, 2, &["host"]);
        assert_eq!(finished.stdout, "", "prose on stdout breaks the protocol");
        assert_no_ticket(&world);
    }
}

#[test]
fn odd_names_in_either_configuration_are_named_by_line_and_tamed() {
    let world = without_dumps(1);
    let laptop = world.laptop(0);
    let good = fs::read_to_string(laptop.config()).expect("we wrote it");
    for host in ["../x", "a b", "\\u001b[2J"] {
        fs::write(laptop.config(), good.replace(&format!("host = \"{}\"", laptop.host), &format!("host = \"{host}\""))).expect("write");
        assert_says(&laptop.ask(&["run"]), 78, &["agent.toml:1", "host"]);
    }
    let good = fs::read_to_string(world.shim_toml()).expect("we wrote it");
    for table in [
        "[host.\"../x\"]\nconfig = \"a\"\n",
        "[host.\"\\u001b[2J\"]\nconfig = \"a\"\n",
        "[host.x]\nconfig = \"\\u001b[2J\"\n",
        "[\"\\u001b[2J\"]\n",
    ] {
        system::file(&world.shim_toml(), &format!("{good}{table}"), "root", "root", 0o644);
        assert_says(&child::run(world.shim(&["status"]), MINUTE), 78, &["shim.toml", "line "]);
        // The laptop hears that it is not its fault, and keeps trying.
        fs::write(
            laptop.config(),
            fs::read_to_string(laptop.config()).expect("ours").replace("host = \"\\u001b[2J\"", &format!("host = \"{}\"", laptop.host)),
        )
        .expect("write");
        assert_says(&laptop.ask(&["now"]), 78, &["hint: "]);
    }
    assert_no_ticket(&world);
}

#[test]
fn a_disk_name_with_terminal_escapes_reaches_no_terminal_and_no_log_raw() {
    let world = without_dumps(1);
    let laptop = world.laptop(0);
    let good = fs::read_to_string(laptop.config()).expect("we wrote it");
    let evil = "/x\\u001b]0;owned\\u0007\\u001b[2J\\r\\n";
    fs::write(laptop.config(), good.replace(&format!("path = \"{}\"", laptop.disk.display()), &format!("path = \"{evil}\"")))
        .expect("write");
    for args in [&["why"][..], &["status"], &["now"], &["-v", "run"], &["check"], &["show-config"]] {
        let finished = laptop.ask(args);
        assert_own_exit(&finished);
        assert_printable(&finished);
        let names = matches!(args, ["why" | "status" | "show-config"]);
        assert!(
            !names || format!("{}{}", finished.stdout, finished.stderr).contains("owned"),
            "{args:?} does not name the disk: {finished}"
        );
    }
    let typed = laptop.ask(&["now", "/y\u{1b}[2J\u{7}"]);
    assert_printable(&typed);
    assert_printable(&laptop.ask(&["run", "--interval", "\u{1b}[2J"]));
    assert_printable(&laptop.ask(&["run", "--destination", "a\u{1b}[2J"]));
    assert_printable(&laptop.ask(&["\u{1b}[2J"]));
    // The same names as somebody else's program sends them, its own name odd as well.
    let mut caller = Caller::call(laptop.ssh(Some(request::AGENT)));
    caller.say_bytes(framed(b"{\"say\":\"trigger\",\"disks\":[\"/z\\u001b[2J\\u0007\"]}"));
    let words = caller.hear("an answer", MINUTE, |message| match message {
        FromShim::Abort { message, hint, .. } => Some(format!("{message}{hint}")),
        FromShim::Receipt(receipt) => Some(receipt.reason.clone()),
        _ => None,
    });
    assert!(!words.chars().any(char::is_control), "{words:?}");
    drop(caller);
    let log = fs::read(world.dir.join("state/runner/runner.log")).expect("the runner was there");
    assert!(!log.iter().any(|byte| byte.is_ascii_control() && *byte != b'\n'), "{:?}", String::from_utf8_lossy(&log));
    assert_printable(&child::run(world.shim(&["status"]), MINUTE));
}
