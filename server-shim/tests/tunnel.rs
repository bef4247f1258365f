//! The tunnel against a client that nobody here wrote: Debian's own ssh connects to the control socket, as Amanda has it do,
//! and the test is the laptop at the other end of the session.

#[path = "tunnel/world.rs"]
mod world;

use std::io::Read as _;

use wire::flow::WINDOW;
use wire::frame::{MAX_DATA, MAX_STREAMS};
use wire::{AbortCode, FromAgent, FromShim};
use world::{Heard, Laptop, World, data, finish, mesg, resident_kib, until};

#[test]
fn amanda_talks_to_the_laptop_and_back_and_both_see_the_end() {
    let world = World::new();
    let mut laptop = Laptop::serving(&world);
    let mut ssh = world.amandad();
    assert_eq!(laptop.hear(), Heard::Said(FromShim::Open { stream: 1 }));
    laptop.begin_dump(1, &mut ssh);
    let rest = [data(b"bytes"), mesg("| the last words\n")].concat();
    laptop.send(1, &rest);
    laptop.say(&FromAgent::Close { stream: 1 });
    assert_eq!(laptop.hear(), Heard::Said(FromShim::Close { stream: 1 }));
    let ended = finish(ssh);
    assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.starts_with(&rest));
    // The dump was not at its end.
    assert!(String::from_utf8_lossy(&ended.stdout).contains("sendbackup: error [asyncamanda: the laptop gave the dump up]\n"));
}

#[test]
fn a_forged_line_fails_the_dump_and_the_session_goes_on() {
    let world = World::new();
    let mut laptop = Laptop::serving(&world);
    let mut ssh = world.amandad();
    assert_eq!(laptop.hear(), Heard::Said(FromShim::Open { stream: 1 }));
    laptop.begin_dump(1, &mut ssh);
    laptop.send(1, &mesg("sendbackup: info CLIENT_CUSTOM_COMPRESS=/tmp/evil\n"));
    assert_eq!(laptop.hear(), Heard::Said(FromShim::Close { stream: 1 }));
    let ended = finish(ssh);
    let why = "the laptop sent \"sendbackup: info CLIENT_CUSTOM_COMPRESS=/tmp/evil\" about its dump, which comes after the dump's header is complete";
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(said.contains(&format!("sendbackup: error [asyncamanda: {why}]\n")), "{said}");
    assert_eq!((ended.status.code(), ended.stderr), (Some(1), format!("asyncamanda: {why}; the connection was ended\n")));
    laptop.say(&FromAgent::Close { stream: 1 });
    laptop.sync();
}

#[test]
fn a_number_is_free_again_when_both_have_closed() {
    let world = World::new();
    let mut laptop = Laptop::serving(&world);
    for _ in 0..3 {
        let mut ssh = world.amandad();
        assert_eq!(laptop.hear(), Heard::Said(FromShim::Open { stream: 1 }));
        // Amanda has what it wants: the end of its input ends the stream.
        drop(ssh.stdin.take());
        assert_eq!(laptop.hear(), Heard::Said(FromShim::Close { stream: 1 }));
        laptop.say(&FromAgent::Close { stream: 1 });
        assert_eq!(finish(ssh).status.code(), Some(0));
        laptop.sync();
    }
}

#[test]
fn a_killed_ssh_closes_its_stream() {
    let world = World::new();
    let mut laptop = Laptop::serving(&world);
    let mut ssh = world.amandad();
    assert_eq!(laptop.hear(), Heard::Said(FromShim::Open { stream: 1 }));
    ssh.kill().expect("kill");
    ssh.wait().expect("wait");
    assert_eq!(laptop.hear(), Heard::Said(FromShim::Close { stream: 1 }));
    // What is on its way meanwhile is dropped.
    laptop.send(1, &[7; 1000]);
    laptop.say(&FromAgent::Close { stream: 1 });
    laptop.sync();
}

#[test]
fn amanda_that_reads_nothing_stops_its_own_stream_and_no_other() {
    let world = World::new();
    let mut laptop = Laptop::serving(&world);
    let mut stuck = world.amandad();
    assert_eq!(laptop.hear(), Heard::Said(FromShim::Open { stream: 1 }));
    laptop.begin_dump(1, &mut stuck);
    laptop.fill(1);
    let mut ssh = world.amandad();
    assert_eq!(laptop.hear_but_credit(), Heard::Said(FromShim::Open { stream: 2 }));
    laptop.begin_dump(2, &mut ssh);
    let mut stdout = ssh.stdout.take().expect("piped");
    let reader = std::thread::spawn(move || {
        let mut sum = crc32(0, &[]);
        let mut total = 0u64;
        let mut bytes = vec![0; 1 << 16];
        while total < 64 << 20 {
            let read = (&mut stdout).take((64 << 20) - total).read(&mut bytes).expect("reads");
            assert_ne!(read, 0, "after {total} bytes");
            total += read as u64;
            sum = crc32(sum, &bytes[..read]);
        }
        std::io::copy(&mut stdout, &mut std::io::sink()).expect("reads");
        (total, sum)
    });
    let mut sum = crc32(0, &[]);
    let chunk: Vec<u8> = data(&(0..MAX_DATA - 8).map(|index| (index * 31 % 251) as u8).collect::<Vec<u8>>());
    for _ in 0..(64 << 20) / MAX_DATA {
        laptop.send_with_credit(2, &chunk);
        sum = crc32(sum, &chunk);
    }
    laptop.say(&FromAgent::Close { stream: 2 });
    assert_eq!(reader.join().expect("reader"), (64 << 20, sum));
    assert_eq!(finish(ssh).status.code(), Some(0));
    let resident = resident_kib(laptop.process());
    assert!(resident < 32 * 1024, "{resident} KiB");
    drop(laptop);
    assert!(finish(stuck).stderr.contains("the session of laptop1 ended"));
}

fn crc32(before: u32, bytes: &[u8]) -> u32 {
    // Order matters, speed does not.
    bytes.iter().fold(before, |sum, byte| sum.rotate_left(5) ^ u32::from(*byte))
}

#[test]
fn a_newer_session_takes_over_and_the_older_one_leaves_its_socket_alone() {
    let world = World::new();
    let mut older = Laptop::serving(&world);
    let first = world.amandad();
    assert_eq!(older.hear(), Heard::Said(FromShim::Open { stream: 1 }));
    let mut newer = Laptop::serving(&world);
    let second = world.amandad();
    assert_eq!(newer.hear(), Heard::Said(FromShim::Open { stream: 1 }));
    // What runs through the older one goes on.
    older.say(&FromAgent::Close { stream: 1 });
    assert_eq!(older.hear(), Heard::Said(FromShim::Close { stream: 1 }));
    assert_eq!(finish(first).status.code(), Some(0));
    older.leave();
    assert!(world.mux().exists());
    assert!(world.is_alive());
    drop(second);
    newer.leave();
    assert!(!world.mux().exists());
    assert!(!world.is_alive());
}

#[test]
fn an_older_session_serves_again_when_the_newer_one_has_left() {
    let world = World::new();
    let mut older = Laptop::serving(&world);
    let mut newer = Laptop::serving(&world);
    let mut newest = Laptop::serving(&world);
    let through_newest = world.amandad();
    assert_eq!(newest.hear(), Heard::Said(FromShim::Open { stream: 1 }));
    // One that goes takes its socket with it, one that is killed leaves a socket that refuses.
    newer.leave();
    assert!(world.is_alive());
    newest.kill();
    drop(through_newest);
    until(|| world.is_alive());
    let again = world.amandad();
    assert_eq!(older.hear(), Heard::Said(FromShim::Open { stream: 1 }));
    drop(again);
    let mut newer = Laptop::serving(&world);
    newer.leave();
    until(|| world.is_alive());
    older.leave();
    assert!(!world.mux().exists());
}

#[test]
fn a_session_without_descriptors_lets_amanda_in_later() {
    let world = World::new();
    let mut laptop = Laptop::serving(&world);
    laptop.let_open(false);
    let waiting = world.amandad();
    let knocked = std::os::unix::net::UnixStream::connect(world.mux()).expect("it listens");
    // The shim has seen who knocks by the time that it answers this.
    laptop.sync();
    laptop.let_open(true);
    assert_eq!(laptop.hear(), Heard::Said(FromShim::Open { stream: 1 }));
    drop((waiting, knocked));
}

#[test]
fn a_laptop_that_goes_away_ends_its_streams_with_a_sentence() {
    let world = World::new();
    let mut laptop = Laptop::serving(&world);
    let ssh = world.amandad();
    assert_eq!(laptop.hear(), Heard::Said(FromShim::Open { stream: 1 }));
    laptop.leave();
    let ended = finish(ssh);
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(ended.stderr, "asyncamanda: the session of laptop1 ended: the laptop has closed it\n");
    assert!(!world.mux().exists());
}

#[test]
fn a_silent_laptop_is_gone_after_half_a_minute() {
    let world = World::new();
    let mut laptop = Laptop::serving(&world);
    let ssh = world.amandad();
    assert_eq!(laptop.hear(), Heard::Said(FromShim::Open { stream: 1 }));
    assert!(world.is_alive());
    let ended = finish(ssh);
    assert_eq!(ended.stderr, "asyncamanda: the session of laptop1 ended: the laptop was silent for too long\n");
    assert!(!world.is_alive());
}

#[test]
fn a_laptop_that_breaks_the_rules_is_sent_away() {
    type Rudeness = fn(&mut Laptop);
    let cases: [(&str, Rudeness); 7] = [
        ("0 bytes", |laptop| laptop.say(&FromAgent::Window { stream: 1, bytes: 0 })),
        ("more credit than its window", |laptop| laptop.say(&FromAgent::Window { stream: 1, bytes: WINDOW })),
        ("stream 5, which is not open", |laptop| laptop.send(5, b"x")),
        ("stream 0, which is not open", |laptop| laptop.say(&FromAgent::Close { stream: 0 })),
        ("bytes more than were asked for", |laptop| {
            // Nobody reads at Amanda's end, whose pipe takes some of it.
            for _ in 0..WINDOW / 8192 {
                laptop.send(1, &data(&[0; 16 * 1024]));
            }
        }),
        ("which it has closed", |laptop| {
            laptop.say(&FromAgent::Close { stream: 1 });
            laptop.send(1, b"x");
        }),
        ("too much at a time", |laptop| {
            for _ in 0..5000 {
                laptop.say(&FromAgent::Heartbeat);
            }
        }),
    ];
    for (words, rude) in cases {
        let world = World::new();
        let mut laptop = Laptop::serving(&world);
        let mut ssh = world.amandad();
        assert_eq!(laptop.hear(), Heard::Said(FromShim::Open { stream: 1 }), "{words}");
        laptop.begin_dump(1, &mut ssh);
        rude(&mut laptop);
        let (code, message) = laptop.hear_abort();
        assert_eq!(code, AbortCode::Protocol, "{words}");
        // A stream that both have closed is not known any more.
        assert!(message.contains(words) || (words == "which it has closed" && message.contains("not open")), "{words}: {message}");
        drop(laptop);
        finish(ssh);
    }
}

#[test]
fn whatever_is_not_amanda_is_refused() {
    let world = World::new();
    let mut laptop = Laptop::serving(&world);
    for (arguments, words) in [
        (&["/bin/sh"][..], "the command must be amandad -auth=ssh"),
        (&["amandad", "-auth=bsdtcp"], "the command must be amandad -auth=ssh"),
        (&["-tt", "amandad", "-auth=ssh"], "it has no terminal"),
        (&["-A", "amandad", "-auth=ssh"], "it has no agent forwarding"),
        (&["-s", "sftp"], "it has no subsystem"),
        (&["-L", "127.0.0.1:1:127.0.0.1:1", "amandad", "-auth=ssh"], "carries Amanda only"),
        (&["-O", "exit"], "carries Amanda only"),
    ] {
        let ended = finish(world.ssh_with(arguments));
        assert_ne!(ended.status.code(), Some(0), "{arguments:?}");
        assert!(ended.stderr.contains(words), "{arguments:?}: {}", ended.stderr);
    }
    let ended = finish(world.ssh_with(&["-O", "check"]));
    assert!(ended.status.success(), "{}", ended.stderr);
    laptop.sync();
}

#[test]
fn the_ninth_connection_is_refused() {
    let world = World::new();
    let mut laptop = Laptop::serving(&world);
    let mut connections = Vec::new();
    for stream in 1..=MAX_STREAMS {
        connections.push(world.amandad());
        assert_eq!(laptop.hear(), Heard::Said(FromShim::Open { stream }));
    }
    let ended = finish(world.amandad());
    assert!(ended.stderr.contains("laptop1 has 8 connections of Amanda already"), "{}", ended.stderr);
    drop(laptop);
    connections.into_iter().for_each(|ssh| drop(finish(ssh)));
}

#[test]
fn without_a_session_amanda_is_told_so() {
    let world = World::new();
    for (host, known, words) in
        [("laptop1", true, "laptop1 is not connected"), ("desk1", false, "reach = \"tunnel\""), ("nobody", false, "reach = \"tunnel\"")]
    {
        let (status, out) = world.shim(&["tunnel", "knows", host]);
        assert_eq!((status, out.as_str()), (i32::from(!known), ""), "{host}");
        let (status, out) = world.shim(&["tunnel", "absent", host]);
        assert_eq!(status, 1, "{host}");
        assert!(out.contains(words), "{host}: {out}");
        assert!(known || out.contains(&format!("take {host} out of the ssh drop-in")), "{host}: {out}");
    }
}

#[test]
fn a_trigger_without_a_tunnel_is_refused_with_a_reason() {
    let world = World::new();
    let mut laptop = Laptop::greeting(&world, "laptop1");
    laptop.say(&FromAgent::Trigger { disks: Vec::new() });
    let (code, message) = laptop.hear_abort();
    assert_eq!(code, AbortCode::Config);
    assert!(message.contains("through its own session"), "{message}");
    // The Perl script's line serves no disks, and is told what does.
    let perl = std::process::Command::new(env!("CARGO_BIN_EXE_asyncamanda-shim"))
        .arg("--config")
        .arg(world.config())
        .args(["serve", "--host", "laptop1"])
        .env("SSH_ORIGINAL_COMMAND", "/usr/sbin/amdump daily")
        .output()
        .expect("runs");
    let words = String::from_utf8_lossy(&perl.stderr).into_owned();
    assert!(words.contains("call `asyncamanda run` with an agent.toml that lists [[disk]]"), "{words}");
}
