//! A server that asks a laptop for what its own configuration does not allow. The laptop refuses each with a sentence that names it, runs
//! nothing, says nothing of what lies outside, and goes on serving what is allowed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use asyncamanda_tests::lying_server::{Answer, Server, ask};
use asyncamanda_tests::{Background, Plan, World};
use serde_json::json;

const MINUTE: Duration = Duration::from_secs(60);
const FEATURES: &str = "ffffffff9efefbfffffffffffffff3fffbf71f";

fn far(hosts: usize) -> World {
    World::new(Plan { hosts, far_away: (0..hosts).collect(), engine: "none", gather: "0 s", ..Plan::default() })
}

/// Returns a request of a service for one disk.
fn request(world: &World, host: &str, service: &str, dle: &str) -> String {
    format!("SERVICE {service}\nOPTIONS features={FEATURES};maxdumps=1;hostname={host};config={};\n<dle>\n{dle}</dle>\n", world.name)
}

#[test]
fn what_a_laptop_does_not_allow_is_refused_and_named_and_runs_nothing() {
    let world = far(1);
    let laptop = world.laptop(0);
    let (evil, victim) = (world.dir.join("evil"), world.dir.join("victim"));
    fs::write(&evil, format!("#!/bin/sh\ntouch {}\nexec cat\n", victim.display())).expect("a world of our own");
    fs::set_permissions(&evil, fs::Permissions::from_mode(0o755)).expect("our own");
    let server = Server::instead_of_the_shim(&world, &laptop);
    let mut agent = Background::start(laptop.agent(&["-v", "now"]));
    let mut talk = server.take(true);

    let (disk, evil) = (laptop.disk.display().to_string(), evil.display().to_string());
    let dle = |disk: &str, more: &str| {
        format!("  <program>GNUTAR</program>\n  <disk>{disk}</disk>\n  <level>0</level>\n  <auth>ssh</auth>\n  <record>YES</record>\n  <index>YES</index>\n{more}")
    };
    let of = |program: &str| dle(&disk, "").replace("GNUTAR", program);
    let good = request(&world, &laptop.host, "sendbackup", &dle(&disk, ""));
    let connects = |answer: &Answer| matches!(answer, Answer::Rep(text) if text.starts_with("CONNECT DATA"));
    let first = ask(&mut talk, 1, &good);
    assert!(connects(&first), "an honest request is refused, so this proves nothing: {first:?}; the agent: {:?}", agent.so_far());

    let touch = format!("--checkpoint-action=exec=touch {}", victim.display());
    let custom = |program: &str| format!("  <compress>CUSTOM<custom-compress-program>{program}</custom-compress-program>\n  </compress>\n");
    let cases: Vec<(&str, &str, String)> = vec![
        ("another disk", "sendbackup", dle("/etc", "")),
        ("a disk above", "sendbackup", dle(&format!("{disk}/../.."), "")),
        ("a relative disk", "sendbackup", dle("../../../etc", "")),
        ("a disk below", "sendbackup", dle(&format!("{disk}/docs"), "")),
        ("another device", "sendbackup", dle(&disk, "  <diskdevice>/etc</diskdevice>\n")),
        ("a device above", "sendbackup", dle(&disk, &format!("  <diskdevice>{disk}/..</diskdevice>\n"))),
        ("an option for a disk", "sendbackup", dle(&touch, "")),
        ("program DUMP", "sendbackup", of("DUMP")),
        ("an application", "sendbackup", of("APPLICATION") + "  <backup-program>\n    <plugin>amraw</plugin>\n  </backup-program>\n"),
        (
            "an application beside GNUTAR",
            "sendbackup",
            dle(&disk, &format!("  <backup-program>\n    <plugin>amgtar</plugin>\n    <property><name>GNUTAR-PATH</name><value>{evil}</value></property>\n  </backup-program>\n")),
        ),
        ("a property", "sendbackup", dle(&disk, &format!("  <property><name>GNUTAR-PATH</name><value>{evil}</value></property>\n"))),
        ("a program that compresses", "sendbackup", dle(&disk, &custom(&evil))),
        ("a listed program with more behind it", "sendbackup", dle(&disk, &custom(&format!("/usr/bin/gzip;{evil}")))),
        ("a way to a listed program", "sendbackup", dle(&disk, &custom("/usr/bin/../bin/gzip"))),
        (
            "a program that encrypts",
            "sendbackup",
            dle(&disk, &format!("  <encrypt>CUSTOM<custom-encrypt-program>{evil}</custom-encrypt-program>\n  </encrypt>\n")),
        ),
        (
            "a script",
            "sendbackup",
            dle(&disk, "  <script>\n    <plugin>script-email</plugin>\n    <execute_where>CLIENT</execute_where>\n    <execute_on>PRE-DLE-BACKUP</execute_on>\n  </script>\n"),
        ),
        ("an element that nobody knows", "sendbackup", dle(&disk, &format!("  <to-command>{evil}</to-command>\n"))),
        ("direct TCP", "sendbackup", dle(&disk, "  <datapath>DIRECTTCP\n    <directtcp>10.0.0.1:10000</directtcp>\n  </datapath>\n")),
        ("a list of excludes outside", "sendbackup", dle(&disk, "  <exclude>\n    <list>/etc/shadow</list>\n  </exclude>\n")),
        ("a list of includes outside", "sendbackup", dle(&disk, "  <include>\n    <list>../../../etc/shadow</list>\n  </include>\n")),
        ("an include outside", "sendbackup", dle(&disk, "  <include>\n    <file>./../../../etc</file>\n  </include>\n")),
        ("an option for an include", "sendbackup", dle(&disk, &format!("  <include>\n    <file>{touch}</file>\n  </include>\n"))),
        ("XML without end", "sendbackup", "<disk>".repeat(20_000)),
        ("restoring", "restore", dle(&disk, "")),
        ("browsing the server", "amindexd", dle(&disk, "")),
        ("the tape server", "amidxtaped", dle(&disk, "")),
        ("a backup of its own", "ambackupd", dle(&disk, "")),
        ("a shell", "/bin/sh", dle(&disk, "")),
        ("a program by its way", &evil, dle(&disk, "")),
        ("an estimate of another disk", "sendsize", dle("/etc", "  <estimate>CLIENT </estimate>\n")),
        ("a check of another disk", "selfcheck", dle("/etc/ssl/private", "  <estimate>CLIENT </estimate>\n")),
    ];
    let mut faults = Vec::new();
    for (what, service, dle) in &cases {
        let answer = ask(&mut talk, 1, &request(&world, &laptop.host, service, dle));
        let refusal = match &answer {
            Answer::Nak(text) => text.clone(),
            Answer::Rep(text) => text.clone(),
            Answer::Closed => "closed without a word".to_owned(),
            Answer::HungUp => panic!("{what}: it left; the agent: {:?}", agent.so_far()),
        };
        let raw = refusal.chars().any(|one| one.is_control() && one != '\n');
        let tells = refusal.contains(" SIZE ") || refusal.contains("OK /etc");
        if !refusal.contains("ERROR") || connects(&answer) || tells || raw || victim.exists() {
            faults.push(format!("{what}: {refusal:?}"));
        }
    }
    assert!(faults.is_empty() && !victim.exists(), "{}", faults.join("\n"));
    // Patterns are data: what looks like an option of tar's is a name that nothing has.
    let harmless = dle(&disk, &format!("  <exclude>\n    <file>{touch}</file>\n    <file>--to-command={evil}</file>\n  </exclude>\n"));
    ask(&mut talk, 1, &request(&world, &laptop.host, "sendbackup", &harmless));
    let again = ask(&mut talk, 2, &good);
    assert!(connects(&again), "it does not serve any more: {again:?}");
    assert!(!victim.exists(), "something was run");

    // It is told to the laptop's own log, with names.
    let (_, said) = agent.so_far();
    for name in ["/etc", "DUMP", &evil, "/bin/sh"] {
        assert!(said.contains(name), "{name} is not logged:\n{said}");
    }
    assert!(!said.chars().any(|one| one.is_control() && one != '\n'), "{said:?}");
    talk.say(&json!({"say": "end", "ticket": "a-ticket"}));
    agent.wait(MINUTE);
    let left = world.hosts[0].cable.as_ref().expect("planned").processes();
    assert!(left.iter().all(|process| process.name != "tar"), "{left:#?}");
}

#[test]
fn a_server_that_breaks_the_rules_of_streams_is_left() {
    type Break = fn(&asyncamanda_tests::talk::Talk);
    let breaks: Vec<(&str, bool, Break)> = vec![
        ("a stream that was not opened", true, |talk| talk.frame(3, b"hello")),
        ("a stream that cannot be", true, |talk| talk.say(&json!({"say": "open", "stream": 200}))),
        ("a stream opened twice", true, |talk| (0..2).for_each(|_| talk.say(&json!({"say": "open", "stream": 1})))),
        ("more than there is credit for", true, |talk| {
            talk.say(&json!({"say": "open", "stream": 1}));
            // A token that never ends, so that nobody takes it in.
            talk.data(1, &[&[0x00, 0x3f, 0xff, 0xff, 0, 0, 0, 7][..], &[0; 16 << 20]].concat());
        }),
        ("credit without end", true, |talk| {
            talk.say(&json!({"say": "open", "stream": 1}));
            (0..4000).for_each(|_| talk.say(&json!({"say": "window", "stream": 1, "bytes": u32::MAX})));
        }),
        ("nonsense for tokens", false, |talk| {
            talk.say(&json!({"say": "open", "stream": 1}));
            talk.data(1, b"GET / HTTP/1.1\r\n\r\n");
        }),
        ("silence", true, |_| {}),
    ];
    let world = far(breaks.len());
    let world = &world;
    // One that is not left would hang for as long as it has heartbeats.
    let within = Duration::from_secs(100);
    std::thread::scope(|scope| {
        for (index, (what, ends, breaks)) in breaks.into_iter().enumerate() {
            scope.spawn(move || {
                let laptop = world.laptop(index);
                let server = Server::instead_of_the_shim(world, &laptop);
                let agent = Background::start(laptop.agent(&["now"]));
                let mut talk = server.take(what != "silence");
                breaks(&talk);
                if ends {
                    let begin = std::time::Instant::now();
                    while talk.next(within).is_some() {
                        assert!(begin.elapsed() < within, "{what}: the agent goes on as if nothing had happened");
                    }
                } else {
                    // Its own stream suffers, and nothing else.
                    assert_eq!(talk.hear("close", MINUTE)["stream"], 1, "{what}");
                    talk.say(&json!({"say": "end", "ticket": "a-ticket"}));
                }
                let memory = asyncamanda_tests::procs::most_memory_kib(agent.pid());
                let ended = agent.wait(MINUTE);
                asyncamanda_tests::shim::assert_own_exit(&ended);
                assert_ne!(ended.code, Some(0), "{what}: {ended}");
                assert!(!ended.stderr.is_empty(), "{what}: it does not say why it left");
                assert!(memory.is_none_or(|kib| kib < 32 * 1024), "{what}: it took {memory:?} KiB");
            });
        }
    });
    world.assert_tunnels_are_gone();
}
