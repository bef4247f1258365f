//! A laptop that lies to Amanda through the tunnel. What a dump says about itself never chooses a program on the server, and what one
//! laptop does is nothing to the others of its batch: the dump fails with a sentence, nothing is run, and the shim's memory stays small.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use asyncamanda_tests::lying_laptop::{Lie, play};
use asyncamanda_tests::wait::{glance, until_true};
use asyncamanda_tests::{Laptop, Plan, World, child, procs};
use serde_json::Value;
use wire::Receipt;

const MINUTE: Duration = Duration::from_secs(60);
/// What a shim may take, whatever a laptop does (KiB).
const MOST_MEMORY: u64 = 32 * 1024;

/// A world of laptops far away whose dumps come as they are, and one run for all.
fn batch(hosts: usize) -> World {
    World::new(Plan { hosts, far_away: (0..hosts).collect(), compress: "none", gather: "3 s", inparallel: 16, ..Plan::default() })
}

/// Returns a whole archive of a host's tree.
fn archive(tree: &Path) -> Vec<u8> {
    let mut tar = child::program("tar");
    tar.args(["--create", "--listed-incremental=/dev/null", "--file", "-", "--directory"]).arg(tree).arg(".");
    tar.stderr(std::process::Stdio::null()).output().expect("tar is installed").stdout
}

/// Lets each laptop play its part at the same time, and returns for each the last receipt that the server has of it, and the most memory
/// that a shim of its took.
fn play_all(world: &World, parts: &[(&'static str, Lie)]) -> BTreeMap<&'static str, (Receipt, u64)> {
    let over = AtomicBool::new(false);
    let mut memory: BTreeMap<String, u64> = BTreeMap::new();
    let laptops: Vec<Laptop> = (0..parts.len()).map(|index| world.laptop(index)).collect();
    std::thread::scope(|scope| {
        let players: Vec<_> =
            parts.iter().zip(&laptops).map(|((_, lie), laptop)| scope.spawn(|| play(laptop, &archive(&laptop.tree), lie))).collect();
        let watch = scope.spawn(|| watch_memory(world, &over));
        for player in players {
            player.join().expect("a player does not panic");
        }
        // A laptop whose session was ended has its receipt all the same.
        until_true("every ticket to be answered", Duration::from_secs(150), || {
            world.hosts[..parts.len()].iter().all(|host| world.last_receipt(host).is_some())
        });
        over.store(true, Ordering::Relaxed);
        memory = watch.join().expect("it only looks");
    });
    let told = |(host, (what, _)): (&asyncamanda_tests::Host, &(&'static str, Lie))| {
        let receipt = world.last_receipt(host).expect("it was waited for");
        (*what, (receipt, memory.get(&host.name).copied().unwrap_or(0)))
    };
    world.hosts.iter().zip(parts).map(told).collect()
}

/// Looks at the shims' high water marks until it is over: host, KiB.
fn watch_memory(world: &World, over: &AtomicBool) -> BTreeMap<String, u64> {
    let program = world.program("asyncamanda-shim").to_string_lossy().into_owned();
    let mut most: BTreeMap<String, u64> = BTreeMap::new();
    while !over.load(Ordering::Relaxed) {
        for process in procs::all().into_iter().filter(|process| process.args.first() == Some(&program)) {
            let host = process.args.iter().position(|arg| arg == "--host").and_then(|at| process.args.get(at + 1));
            if let (Some(host), Some(kib)) = (host, procs::most_memory_kib(process.pid)) {
                let entry = most.entry(host.clone()).or_default();
                *entry = kib.max(*entry);
            }
        }
        glance();
    }
    most
}

/// A program that a forged line names, and what it leaves when it is run.
struct Trap {
    program: String,
    victim: std::path::PathBuf,
}

impl Trap {
    fn set(world: &World) -> Self {
        let (program, victim) = (world.dir.join("evil"), world.dir.join("l/victim"));
        fs::set_permissions(world.dir.join("l"), fs::Permissions::from_mode(0o777)).expect("a world of our own");
        fs::write(&program, format!("#!/bin/sh\ntouch {}\nexec cat\n", victim.display())).expect("a world of our own");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("our own");
        Self { program: program.display().to_string(), victim }
    }

    /// Restores whatever Amanda lists of a host, as an administrator would, and says that nothing was run.
    #[track_caller]
    fn assert_unsprung(&self, world: &World) {
        for host in &world.hosts {
            for dump in world.amanda.find(&world.name, host) {
                let mut fetch = world.amanda.command("amfetchdump");
                fetch.args(["-a", "-p", &world.name, &format!("={}", host.name), &format!("={}", host.disk.display()), &dump.datestamp]);
                let image = tempfile::tempfile().expect("a temporary file");
                let _whatever = asyncamanda_tests::Background::start_into(fetch, image).wait(MINUTE);
            }
        }
        assert!(!self.victim.exists(), "a forged line became a program");
    }
}

/// Leaks a text: lies are told by threads, and a test is short.
fn forged(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

#[track_caller]
fn assert_refused(what: &str, (receipt, memory): &(Receipt, u64)) {
    assert!(!receipt.is_backup(), "{what} was believed: {receipt:#?}");
    assert!(!receipt.reason.is_empty(), "{what}: {receipt:#?}");
    assert!(!receipt.reason.chars().any(char::is_control), "{what}: {receipt:#?}");
    assert!((1..MOST_MEMORY).contains(memory), "{what}: the shim took {memory} KiB");
}

#[test]
fn forged_lines_fail_the_dump_and_run_nothing() {
    let world = batch(12);
    let trap = Trap::set(&world);
    let evil = &trap.program;
    let line = |text: &str| forged(format!("sendbackup: info {text}\n"));
    let parts: Vec<(&'static str, Lie)> = vec![
        ("nothing", Lie::None),
        (
            "a program that decompresses",
            Lie::Lines(line(&format!("CLIENT_CUSTOM_COMPRESS={evil}\nsendbackup: info COMPRESS_SUFFIX=.evil"))),
        ),
        ("a program that decompresses on the server", Lie::Lines(line(&format!("SERVER_CUSTOM_COMPRESS={evil}")))),
        ("a program that decrypts", Lie::Lines(line(&format!("SERVER_ENCRYPT={evil}\nsendbackup: info SERVER_DECRYPT_OPTION=-d")))),
        ("a program that decrypts on the client", Lie::Lines(line(&format!("CLIENT_ENCRYPT={evil}")))),
        ("an application", Lie::Lines(line("APPLICATION=../../../tmp/evil"))),
        ("another program", Lie::Lines(line(&format!("BACKUP={evil}")))),
        ("a suffix where nothing is compressed", Lie::Lines(line("COMPRESS_SUFFIX=.gz"))),
        ("a line for an operator to paste", Lie::Lines(line("RECOVER_CMD=rm -rf / #"))),
        ("a line after the last", Lie::Late(line(&format!("CLIENT_CUSTOM_COMPRESS={evil}")))),
        ("a retry at a level of its own", Lie::Late("sendbackup: retry delay 0 level 7 message now\n")),
        ("a state file", Lie::Late("sendbackup: state anything\n")),
    ];
    let told = play_all(&world, &parts);
    let honest = &told["nothing"];
    assert!(honest.0.is_backup(), "the honest one is refused, so this proves nothing: {honest:#?}\n{}", world.told());
    for (what, _) in &parts[1..] {
        assert_refused(what, &told[what]);
    }
    trap.assert_unsprung(&world);
    world.assert_at_rest();
    world.assert_tunnels_are_gone();
}

#[test]
fn floods_nonsense_and_silence_cost_little_and_nobody_else() {
    let world = batch(8);
    // How long a dumper waits for one that says nothing of use.
    world.amanda.edit("dtimeout 60", "dtimeout 15");
    let trap = Trap::set(&world);
    let mesg = 499_998_u32;
    let token = |handle: u32, payload: &[u8]| asyncamanda_tests::talk::token(handle, payload);
    let parts: Vec<(&'static str, Lie)> = vec![
        ("nothing", Lie::None),
        ("more than its credit", Lie::Bytes(token(499_999, &[0; 32_768]), 2000)),
        ("a line without end", Lie::Patiently(token(mesg, &[b'x'; 32_768]), 2000)),
        ("lines without end", Lie::Patiently(token(mesg, &b"? what\n".repeat(4000)), 2000)),
        ("a token without end", Lie::Patiently([&[0x7f, 0xff, 0xff, 0xff, 0, 7, 0xa1, 0x1f][..], &[0; 32_760]].concat(), 1000)),
        ("handles that nobody has", Lie::Patiently(token(77, b"\0SERVICE evil\n"), 20_000)),
        ("noise", Lie::Patiently((0..32_768_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect(), 500)),
        ("silence", Lie::Stalls),
    ];
    let told = play_all(&world, &parts);
    let honest = &told["nothing"];
    assert!(honest.0.is_backup(), "the honest one had to suffer: {honest:#?}\n{}", world.told());
    for (what, _) in &parts[1..] {
        assert_refused(what, &told[what]);
    }
    trap.assert_unsprung(&world);
    assert_eq!(world.amanda.run_logs().len(), 1, "runs of amdump");
    // Amanda's own files did not grow without bounds either.
    let report: u64 = world.amanda.logs().iter().map(|(_, text)| text.len() as u64).sum();
    assert!(report < 1 << 20, "{report} bytes of logs");
    world.assert_at_rest();
    world.assert_tunnels_are_gone();
}

#[test]
fn a_laptop_cannot_speak_for_another_or_without_serving() {
    let world = batch(2);
    // Host 0 triggers and serves nothing: it is told so, and Amanda is not sent to a laptop that cannot be reached.
    let laptop = world.laptop(0);
    let mut silent = asyncamanda_tests::Caller::call(laptop.ssh(Some(wire::request::AGENT)));
    silent.say(&wire::FromAgent::Trigger { disks: vec![] });
    let words = silent.hear("a refusal", MINUTE, |message| match message {
        wire::FromShim::Abort { message, hint, .. } => Some(format!("{message} {hint}")),
        _ => None,
    });
    assert!(words.contains(&laptop.host) && words.contains("reach"), "{words}");
    assert!(!world.dir.join("run/hosts").join(&laptop.host).join("mux").exists());
    let honest = world.laptop(1);
    let receipts: Vec<Value> = play(&honest, &archive(&honest.tree), &Lie::None);
    assert!(receipts.iter().any(|receipt| receipt["outcome"] == "OK"), "{receipts:#?}\n{}", world.told());
    assert_eq!(world.amanda.good_dumps(&world.hosts[0]), 0);
}
