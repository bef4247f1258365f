//! What nobody should say, store or configure, said, stored and configured: each time a clear sentence and the right status,
//! no ticket from nothing, no ticket lost, and the next one who behaves is served.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use asyncamanda_tests::child;
use asyncamanda_tests::laptop::{PATIENCE, assert_backed_up, receipts};
use asyncamanda_tests::shim::{assert_own_exit, column};
use asyncamanda_tests::wait::until_true;
use asyncamanda_tests::{Caller, Finished, Laptop, Plan, World, procs, sshd, system, until};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use wire::message::MAX_DISKS;
use wire::{AbortCode, Decoder, FromAgent, FromShim, Hello, frame, request};

const MINUTE: Duration = Duration::from_secs(60);

/// A world whose engine makes no dumps: for what never comes so far, or where the way there is enough.
fn without_dumps(hosts: usize) -> World {
    World::new(Plan { hosts, engine: "none", gather: "0 s", ..Plan::default() })
}

fn hours_ago(hours: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    i64::try_from(now).expect("for a long time") - hours * 3600
}

/// Returns the names in the queue that are not the shim's own.
fn queued(world: &World) -> Vec<String> {
    let names = fs::read_dir(world.dir.join("state/queue")).expect("it is there").flatten();
    names.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(|name| !name.starts_with('.')).collect()
}

#[track_caller]
fn assert_no_ticket(world: &World) {
    assert_eq!(queued(world), Vec::<String>::new(), "a ticket came of it");
    let results = fs::read_dir(world.dir.join("state/runner/results")).map_or(0, Iterator::count);
    assert_eq!(results, 0, "a ticket came of it and was answered");
}

/// Says that a program ended with this status and one sentence that has these parts, a cause or a hint included.
#[track_caller]
fn assert_says(finished: &Finished, code: i32, parts: &[&str]) {
    assert_own_exit(finished);
    assert_eq!(finished.code, Some(code), "{finished}");
    for part in parts {
        assert!(finished.stderr.contains(part), "{part:?} is not said:\n{finished}");
    }
    assert_printable(finished);
}

/// Says that nothing in it makes a terminal do something.
#[track_caller]
fn assert_printable(finished: &Finished) {
    for (name, text) in [("stdout", &finished.stdout), ("stderr", &finished.stderr)] {
        let raw = text.chars().find(|character| character.is_control() && *character != '\n');
        assert_eq!(raw, None, "{name} has a raw control character:\n{text:?}");
    }
}

// ---- amandates

/// Writes amandates, asks `why`, and says whether the laptop is due; what it said beside that comes back.
#[track_caller]
fn due(laptop: &Laptop, amandates: &str) -> (bool, Finished) {
    fs::write(&laptop.amandates, amandates).expect("a world of our own");
    let said = laptop.ask(&["why", "--json"]).expect_code(0);
    let why: Value = serde_json::from_str(&said.stdout).expect("JSON");
    (why["due"].as_bool().expect("it decides"), said)
}

/// Says that `run` calls the server, or does not.
#[track_caller]
fn assert_calls(world: &World, laptop: &Laptop, calls: bool) -> Finished {
    let before = world.door.sessions();
    let run = laptop.ask(&["run"]);
    assert_eq!(world.door.sessions() > before, calls, "{run}");
    run
}

#[test]
fn amandates_that_is_missing_means_that_nothing_was_ever_backed_up() {
    let world = without_dumps(1);
    let mut laptop = world.laptop(0);
    laptop.use_amandates(&world.dir.join("nowhere/amandates"));
    let why = laptop.ask(&["why"]).expect_code(0);
    assert!(why.stdout.contains("has no backup that this laptop knows of"), "{why}");
    assert_calls(&world, &laptop, true);
}

#[test]
fn amandates_that_cannot_be_read_is_no_backup_and_no_silence() {
    let world = without_dumps(1);
    let mut laptop = world.laptop(0);
    let secret = laptop.dir.join("secret");
    system::file(&secret, &format!("{} 0 {}\n", laptop.disk.display(), hours_ago(1)), "root", "root", 0o600);
    laptop.use_amandates(&secret);
    let mut own = child::program("chown");
    own.args(["-R", "nobody"]).arg(laptop.dir.join("key"));
    child::must(own);
    let mut command = child::program_as("nobody", world.program("asyncamanda"));
    command.arg("--config").arg(laptop.config()).arg("run");
    let before = world.door.connections();
    assert_says(
        &child::run(command, MINUTE),
        78,
        &["cannot read", secret.to_str().expect("plain"), "because: ", "Permission denied", "hint: "],
    );
    assert_eq!(world.door.connections(), before);

    // A directory in its place cannot be read by root either.
    laptop.use_amandates(&laptop.dir.clone());
    assert_says(&laptop.ask(&["run"]), 78, &["cannot read", "because: ", "hint: "]);
}

#[test]
fn amandates_that_is_half_written_is_passed_over_by_line_number() {
    let world = without_dumps(1);
    let laptop = world.laptop(0);
    let disk = laptop.disk.display();
    let fresh = format!("{disk} 0 {}\n", hours_ago(1));
    for (case, text, is_due) in [
        ("without its level and time", format!("{disk}"), true),
        ("without its time", format!("{disk} 0"), true),
        ("in the middle of its name", fresh[..fresh.len() / 3].to_owned(), true),
        ("in the middle of an open quote", format!("\"{disk} 0 {}", hours_ago(1)), true),
        ("after the line that matters", format!("{fresh}/other 1 "), false),
        ("zeros where a crash left no data", format!("{fresh}{}", "\0".repeat(64)), false),
    ] {
        let (due, said) = due(&laptop, &text);
        assert_eq!(due, is_due, "{case}: {said}");
        let line = if is_due { "line 1" } else { "line 2" };
        assert!(said.stderr.contains(line), "{case}: the line is not named: {said}");
        assert_printable(&said);
        assert_calls(&world, &laptop, is_due);
    }
    // Cut in the middle of its time it is a line from long ago, and never a fresh one.
    assert!(due(&laptop, &format!("{disk} 0 {}", &hours_ago(1).to_string()[..7])).0);
}

#[test]
fn amandates_with_quoted_names_is_understood() {
    let world = without_dumps(2);
    let laptop = world.laptop(1);
    let disk = laptop.disk.display();
    assert!(disk.to_string().contains(' '));
    for (hours, is_due) in [(1, false), (8 * 24, true)] {
        assert_eq!(due(&laptop, &format!("\"{disk}\" 0 {}\n", hours_ago(hours))).0, is_due);
        assert_calls(&world, &laptop, is_due);
    }
    // Of many levels the newest counts.
    assert!(!due(&laptop, &format!("\"{disk}\" 0 {}\n\"{disk}\" 1 {}\n", hours_ago(999), hours_ago(2))).0);
}

#[test]
fn amandates_with_a_date_in_the_future_is_due_and_says_that_a_clock_is_wrong() {
    let world = without_dumps(1);
    let laptop = world.laptop(0);
    let (due, said) = due(&laptop, &format!("{} 0 {}\n", laptop.disk.display(), hours_ago(-30 * 24)));
    assert!(due && said.stdout.contains("in the future") && said.stdout.contains("clock"), "{said}");
    assert_calls(&world, &laptop, true);
}

// ---- bytes

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
        messages.push(frame::unpack(&frame).expect("the shim's own messages"));
    }
    let finished = Finished { code: status.code(), signal: None, stdout: String::new(), stderr, took: Duration::ZERO };
    (finished, messages)
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

// ---- the queue

#[test]
fn forged_tickets_links_fifos_and_directories_in_the_queue_are_named_and_block_nobody() {
    let world = World::new(Plan { hosts: 3, ..Plan::default() });
    let watch = world.watch();
    let queue = world.dir.join("state/queue");
    let victim = world.dir.join("victim");
    system::file(&victim, "not to be touched\n", system::DUMP_USER, system::DUMP_USER, 0o600);
    let before = fs::metadata(&victim).expect("it is there");
    let id = |n: u32| format!("{:020}-{n}", 1_700_000_000_000_000_000_u64 + u64::from(n));
    // What the account that laptops log in to could leave there if somebody took it over.
    let put = |name: &str, text: &str| system::file(&queue.join(name), text, system::LOGIN, system::DUMP_USER, 0o640);
    let [one, two, three] = [0, 1, 2].map(|index| world.hosts[index].name.as_str());
    let ticket = |host: &str, n: u32, more: &str| format!("{{\"id\":\"{}\",\"host\":\"{host}\",\"disks\":[{more}]}}", id(n));
    put("README", "hello\n");
    put("rm -rf.json", "{}");
    put("\u{1b}[2J\u{7}.json", "{}");
    put(&format!("{two}@{}.json", id(1)), "");
    put(&format!("{two}@{}.json", id(2)), &ticket(two, 2, "")[..20]);
    put(&format!("{two}@{}.json", id(3)), &ticket(three, 3, ""));
    put(&format!("{two}@{}.json", id(4)), &ticket(two, 4, "").replace('}', ",\"config\":\"evil\"}"));
    put(&format!("{two}@{}.json", id(5)), &"[".repeat(100_000));
    symlink(&victim, queue.join(format!("{two}@{}.json", id(6)))).expect("root may");
    symlink("/dev/zero", queue.join(format!("{two}@{}.json", id(7)))).expect("root may");
    nix::unistd::mkfifo(&queue.join(format!("{three}@{}.json", id(8))), nix::sys::stat::Mode::S_IRWXU).expect("root may");
    fs::create_dir(queue.join(format!("{three}@{}.json", id(9)))).expect("root may");
    fs::write(queue.join(format!("{three}@{}.json", id(9))).join("inside"), "x").expect("root may");
    fs::File::create(queue.join(format!("{three}@{}.json", id(10)))).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    nix::unistd::mkfifo(&queue.join(format!("ghost@{}.json", id(13))), nix::sys::stat::Mode::S_IRWXU).expect("root may");
    // Well-formed ones: for a host that nobody knows, for disks that are not in the disklist, options for names.
    put(&format!("nobody@{}.json", id(11)), &ticket("nobody", 11, ""));
    put(&format!("{one}@{}.json", id(12)), &ticket(one, 12, "\"/etc/shadow\",\"--help\",\"-oreserve=0\""));

    let strange = |status: &Value| -> Vec<String> {
        status["strange"].as_array().expect("a list").iter().map(|entry| entry[0].as_str().expect("a name").to_owned()).collect()
    };
    let named = strange(&world.status());
    assert_eq!(named.len(), 14, "{named:#?}");
    let text = child::run(world.shim(&["status"]), MINUTE).expect_code(0);
    assert_printable(&text);
    assert_eq!(text.stdout.matches("Not a ticket: ").count(), 14, "{text}");

    // Every host is served, also those in whose name something lies there.
    let triggers = [0, 1, 2].map(|index| world.laptop(index).trigger());
    for (trigger, host) in triggers.into_iter().zip(&world.hosts) {
        assert_backed_up(&receipts(&trigger.wait(PATIENCE).expect_code(0)), host);
        assert_eq!(world.amanda.good_dumps(host), 1);
    }
    watch.assert_no_clash();
    let after = fs::metadata(&victim).expect("it is still there");
    assert_eq!(fs::read_to_string(&victim).expect("root may"), "not to be touched\n");
    assert_eq!(
        (before.mtime_nsec(), before.ino(), before.mode(), before.ctime_nsec()),
        (after.mtime_nsec(), after.ino(), after.mode(), after.ctime_nsec())
    );

    // What stays keeps no runner alive, and none spinning.
    until_true("the runner to end", MINUTE, || world.status()["runner"]["alive"] == false);
    let left = queued(&world);
    assert!(!left.iter().any(|name| name.starts_with("nobody@") || name.contains(&id(12))), "{left:?}");
    assert!(left.contains(&"README".to_owned()), "a file of somebody else's was removed: {left:?}");
    let log = fs::read(world.dir.join("state/runner/runner.log")).expect("it is there");
    assert!(!log.contains(&0x1b), "{}", String::from_utf8_lossy(&log));
}

// ---- the server

#[test]
fn a_host_that_is_not_in_the_configuration_is_refused_with_the_line_to_add() {
    let world = without_dumps(2);
    let laptop = world.laptop(1);
    let host = &world.hosts[1].name;
    world.edit_shim_toml(&format!("[host.\"{host}\"]\nconfig = \"{}\"\n", world.name), "");
    let shim_toml = world.shim_toml();
    for args in [&["now"][..], &["run"]] {
        // The name has dots, so the table needs its quotes: what is shown is what has to be typed.
        assert_says(&laptop.ask(args), 77, &[host, "hint: ", &format!("[host.\"{host}\"]"), shim_toml.to_str().expect("plain")]);
    }
    assert_no_ticket(&world);
}

#[test]
fn a_changed_host_key_is_refused_with_77_before_anything_is_said() {
    let mut world = without_dumps(1);
    let laptop = world.laptop(0);
    world.door.down();
    world.door.change_host_key();
    assert!(world.door.up(), "{}", world.door.log());
    for args in [&["now"][..], &["run"], &["check"]] {
        let finished = laptop.ask(args);
        assert_own_exit(&finished);
        assert_eq!(finished.code, Some(77), "{finished}");
        let said = format!("{}{}", finished.stdout, finished.stderr);
        assert!(said.contains("is not the server that was pinned") && said.contains("ssh-keygen"), "{finished}");
    }
    assert_eq!(world.door.sessions(), 0);
    assert_no_ticket(&world);
}

/// Writes agent.toml with another destination and a short connect timeout.
fn call_elsewhere(laptop: &Laptop, port: u16, timeout: &str) {
    laptop.configure(&format!("{}@127.0.0.1:{port}", system::LOGIN), "");
    let text = fs::read_to_string(laptop.config()).expect("we wrote it");
    fs::write(laptop.config(), text.replace("connect_timeout = \"5 s\"", &format!("connect_timeout = \"{timeout}\"")))
        .expect("a world of our own");
}

#[test]
fn an_unreachable_server_is_69_within_the_connect_timeout() {
    let world = without_dumps(1);
    let laptop = world.laptop(0);
    call_elsewhere(&laptop, sshd::free_port(&[Ipv4Addr::LOCALHOST]), "20 s");
    let closed = laptop.ask(&["now"]);
    assert_says(&closed, 69, &["cannot be reached", "because: ", "hint: "]);
    assert!(closed.took < Duration::from_secs(10), "a closed port needs no timeout: {:?}", closed.took);
    // A scheduler's call is silent about it while the last backup is not too old.
    fs::write(&laptop.amandates, format!("{} 0 {}\n", laptop.disk.display(), hours_ago(30))).expect("write");
    let silent = laptop.ask(&["run"]);
    assert_eq!((silent.code, silent.stderr.as_str()), (Some(69), ""), "{silent}");
    fs::write(&laptop.amandates, format!("{} 0 {}\n", laptop.disk.display(), hours_ago(8 * 24))).expect("write");
    assert_says(&laptop.ask(&["run"]), 69, &["cannot be reached", "hint: "]);

    // Somebody takes the call and says nothing: the kernel does, behind a listener that nobody asks.
    let hole = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    call_elsewhere(&laptop, hole.local_addr().expect("bound").port(), "2 s");
    let silence = laptop.ask(&["now"]);
    assert_says(&silence, 69, &["because: ", "hint: "]);
    assert!((Duration::from_secs(2)..Duration::from_secs(8)).contains(&silence.took), "{:?}", silence.took);
    drop(hole);
}

/// Lets this laptop's key run a shell line in the shim's place.
fn relay(world: &World, laptop: &Laptop, line: &str) {
    let keys = world.dir.join("sshd").join(format!("keys-{}", system::LOGIN));
    let text = fs::read_to_string(&keys).expect("it has keys");
    let forced = world.forced_command(&laptop.host);
    assert!(text.contains(&forced));
    system::file(&keys, &text.replace(&forced, line), "root", "root", 0o644);
}

// ---- no room

/// A file system of its own below a directory; goes before the world does.
struct Mount(PathBuf);

impl Mount {
    /// Puts a small one there, with what the directory has.
    fn over(path: &Path, kib: u32) -> Self {
        let kept = path.with_extension("kept");
        run("cp", &["-a".as_ref(), path.as_os_str(), kept.as_os_str()]);
        run(
            "mount",
            &["-t".as_ref(), "tmpfs".as_ref(), "-o".as_ref(), OsStr::new(&format!("size={kib}k")), "tmpfs".as_ref(), path.as_os_str()],
        );
        let mount = Self(path.to_owned());
        run("cp", &["-a".as_ref(), kept.join(".").as_os_str(), path.as_os_str()]);
        mount
    }

    fn remount(&self, how: &str) {
        run("mount", &["-o".as_ref(), OsStr::new(&format!("remount,{how}")), self.0.as_os_str()]);
    }

    /// Leaves no byte free, and says where the room went.
    fn fill(&self) -> PathBuf {
        let ballast = self.0.join("ballast");
        let mut file = fs::File::create(&ballast).expect("root may");
        for size in [65_536, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        ballast
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let mut umount = child::program("umount");
        umount.arg("--lazy").arg(&self.0);
        drop(child::run(umount, MINUTE));
    }
}

fn run(program: &str, args: &[&OsStr]) {
    let mut command: Command = child::program(program);
    command.args(args);
    child::must(command);
}

#[test]
fn a_state_directory_without_room_is_said_and_the_next_trigger_after_it_has_some_is_served() {
    let world = World::new(Plan::default());
    let laptop = world.laptop(0);
    let state = Mount::over(&world.dir.join("state"), 256);
    let ballast = state.fill();
    assert_says(&laptop.ask(&["now"]), 75, &["No space left", "hint: ", "room"]);
    // An old client hears it too.
    assert_says(
        &child::run(laptop.ssh(Some(&format!("/usr/sbin/amdump {}", world.name))), MINUTE),
        75,
        &["No space left", "hint: ", "room"],
    );
    assert_no_ticket(&world);
    child::must(world.shim(&["status"]));
    fs::remove_file(ballast).expect("we made it");
    assert_backed_up(&laptop.back_up(), &world.hosts[0]);
    world.assert_at_rest();
}

#[test]
fn a_state_directory_that_fills_up_in_mid_run_loses_no_ticket_and_no_receipt() {
    let world = World::new(Plan { hosts: 2, gated: vec![0], second_run_after: "10 min", ..Plan::default() });
    let state = Mount::over(&world.dir.join("state"), 512);
    let watch = world.watch();
    let (first, second) = (world.laptop(0), world.laptop(1));
    let gate = world.hosts[0].gate.as_ref().expect("planned");
    gate.close();
    let mut running = first.trigger();
    watch.until_dumping(&world.hosts[0].disk, &mut running);
    let mut waiting = Caller::call(second.ssh(Some(request::AGENT)));
    let (ticket, _new) = waiting.trigger(&second.disk, MINUTE).expect("it waits");
    let ballast = state.fill();
    gate.open();
    until_true("the dump to end while there is no room to write it down", MINUTE, || {
        world.amanda.good_dumps(&world.hosts[0]) == 1 && world.amanda.part("amdump").is_none()
    });
    assert!(running.is_running(), "it was answered without a receipt: {:?}", running.so_far());
    assert!(queued(&world).iter().any(|name| name.contains(&ticket)), "the ticket of the one who waits is gone: {:?}", queued(&world));
    fs::remove_file(ballast).expect("we made it");
    assert_backed_up(&receipts(&running.wait(PATIENCE).expect_code(0)), &world.hosts[0]);
    assert_backed_up(&waiting.receipts(PATIENCE), &world.hosts[1]);
    for host in &world.hosts {
        assert_eq!(world.amanda.good_dumps(host), 1, "{} was dumped again", host.name);
    }
    watch.assert_no_clash();
    world.assert_at_rest();
}

#[test]
fn a_read_only_state_directory_is_the_operators_to_mend_and_the_next_trigger_is_served() {
    let world = World::new(Plan::default());
    let laptop = world.laptop(0);
    let state = Mount::over(&world.dir.join("state"), 512);
    state.remount("ro");
    assert_says(&laptop.ask(&["now"]), 78, &["Read-only file system", "hint: ", "operator"]);
    assert_no_ticket(&world);
    child::must(world.shim(&["status"]));
    state.remount("rw");
    assert_backed_up(&laptop.back_up(), &world.hosts[0]);
    world.assert_at_rest();
}

#[test]
fn a_full_holding_disk_is_no_backup_and_the_next_trigger_after_it_has_room_is_one() {
    let world = World::new(Plan::default());
    let (host, laptop) = (&world.hosts[0], world.laptop(0));
    let hold = Mount::over(&world.amanda.root.join("hold"), 128);
    let failed = laptop.ask(&["now", "--json"]);
    assert_eq!(failed.code, Some(1), "{failed}");
    let receipt = receipts(&failed).pop().expect("a receipt");
    assert!(!receipt.is_backup() && !receipt.reason.is_empty(), "{receipt:#?}");
    assert!(failed.stderr.contains("hint: "), "{failed}");
    hold.remount("size=64m");
    assert_backed_up(&laptop.back_up(), host);
    world.assert_restores(&world.name, host);
    // Of the one that failed nothing is left in the way.
    until("nothing but the good dump on the holding disk", MINUTE, || {
        let bad = world.amanda.find(&world.name, host).into_iter().filter(|dump| dump.status != "OK").count();
        (world.amanda.find(&world.name, host).len() > bad).then_some(())
    });
    assert_eq!(column(&world.status()["queue"], "host"), Vec::<String>::new());
    assert!(procs::all().iter().all(|process| !process.name.starts_with("chunker") || !process.mentions(&world.name)));
    world.assert_at_rest();
}
