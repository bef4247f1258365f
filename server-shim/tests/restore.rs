//! A laptop's restore through its session: the forced command, the runner, the reader, and dumps as the embedded engine keeps them.

#[path = "tunnel/world.rs"]
mod world;

#[path = "tunnel/dumps.rs"]
mod dumps;

use std::fs;

use amanda::crc::Crc;
use amanda::dle::Dle;
use amanda::header::Header;
use amanda::holding;
use asyncamanda_shim::restore::reader::PER_HOST;
use dumps::{ask, close, restoring};
use wire::frame::pack;
use wire::restore::{Ask, Dump, DumpId, PathBytes, Told, What};
use wire::{AbortCode, DiskName, FromAgent, FromShim};
use world::{Heard, Laptop, World, until};

const STAMP: &str = "20261124010203";

const HOSTS: &str =
    "engine = \"embedded\"\n[runner]\ndoor = \"self\"\n[host.laptop1]\nconfig = \"daily\"\n[host.laptop2]\nconfig = \"daily\"\n";

/// An archive of three files, the last one long enough to fill a stream's window many times.
fn archive() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in [("./a", &b"first"[..]), ("./d/b", b"second"), ("./long", &[7; 12 << 20])] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_path(name).expect("a name");
        // The crate takes "./" away, and tar does not.
        header.as_gnu_mut().expect("gnu").name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, bytes).expect("memory");
    }
    tar.into_inner().expect("memory")
}

/// A server with a dump of each of two hosts on its holding disk.
fn world() -> World {
    let world = World::with(HOSTS);
    fs::create_dir_all(world.path("etc")).expect("made");
    fs::create_dir_all(world.path("state/runner")).expect("made");
    fs::create_dir_all(world.path("run/locks")).expect("made");
    let (status, said) = world.shim(&["vault", "daily", "--disk", "laptop1:/home", "--disk", "laptop2:/home"]);
    assert_eq!(status, 0, "{said}");
    for host in ["laptop1", "laptop2"] {
        let (dle, bytes) = (Dle::new(host, "/home"), archive());
        let crc = Crc { crc: crc32c::crc32c(&bytes), bytes: bytes.len() as u64 };
        let mut header = Header::new(dle.clone(), STAMP, 0);
        (header.native, header.client, header.server) = (Some(crc), Some(crc), Some(crc));
        let directory = world.path("etc/daily/holding").join(STAMP);
        fs::create_dir_all(&directory).expect("made");
        fs::write(directory.join(holding::file_name(&dle, 0)), [header.print().expect("a header"), bytes].concat()).expect("written");
    }
    world
}

fn id(host: &str) -> DumpId {
    DumpId { host: host.parse().expect("a name"), disk: DiskName::new("/home").expect("a name"), datestamp: STAMP.to_owned(), level: 0 }
}

/// The audit's lines, without times and numbers.
fn audit(world: &World) -> Vec<String> {
    let text = fs::read_to_string(world.path("state/runner/restores.log")).unwrap_or_default();
    text.lines().map(|line| line.split_once("event=restore ").expect("an event").1.to_owned()).collect()
}

fn readers(world: &World) -> usize {
    let config = world.config().display().to_string();
    let is_one = |line: &[u8]| {
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        words.contains(&config.as_bytes()) && words.contains(&&b"reader"[..])
    };
    let processes = fs::read_dir("/proc").expect("proc").flatten();
    processes.filter(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|line| is_one(&line))).count()
}

#[test]
fn a_laptop_reads_its_dumps_and_the_session_goes_on() {
    let world = world();
    let mut laptop = restoring(&world, "laptop1");
    let (told, ..) = ask(&mut laptop, &Ask::Dumps { host: None });
    let [Told::Dump(dump), Told::Done] = &told[..] else { panic!("{told:?}") };
    let Dump { id: found, chain, why_not, places, .. } = &**dump;
    assert_eq!((found, why_not.as_str(), chain.len(), places.len()), (&id("laptop1"), "", 1, 1));
    let (told, bytes) = ask(&mut laptop, &Ask::Fetch { dump: id("laptop1"), what: What::All });
    let whole = archive();
    assert!(matches!(told.last(), Some(Told::Done)), "{told:?}");
    assert!(bytes == whole);
    let few = What::Members(vec![PathBytes::new(b"d")]);
    let (_, bytes) = ask(&mut laptop, &Ask::Fetch { dump: id("laptop1"), what: few });
    assert_eq!(bytes.len(), 1024 + 1024, "one member and the end");
    close(&mut laptop);
    laptop.sync();
    let mut again = restoring(&world, "laptop1");
    close(&mut again);
    assert_eq!(
        audit(&world),
        [
            "host=laptop1 of=laptop1 ask=dumps outcome=\"asked\"",
            "host=laptop1 of=laptop1 ask=dumps outcome=\"ok\"",
            "host=laptop1 of=laptop1 ask=fetch disk=\"/home\" dump=\"20261124010203\".0 outcome=\"asked\"",
            "host=laptop1 of=laptop1 ask=fetch disk=\"/home\" dump=\"20261124010203\".0 outcome=\"ok\"",
            "host=laptop1 of=laptop1 ask=fetch disk=\"/home\" dump=\"20261124010203\".0 paths=\"d\" outcome=\"asked\"",
            "host=laptop1 of=laptop1 ask=fetch disk=\"/home\" dump=\"20261124010203\".0 paths=\"d\" outcome=\"ok\"",
        ]
    );
}

#[test]
fn another_hosts_dumps_are_refused_and_noted_until_they_are_granted() {
    let world = world();
    let asked = Ask::Fetch { dump: id("laptop2"), what: What::All };
    let mut laptop = restoring(&world, "laptop1");
    for refused in [&asked, &Ask::Dumps { host: Some("laptop2".parse().expect("a name")) }] {
        let (told, bytes) = ask(&mut laptop, refused);
        assert!(matches!(&told[..], [Told::No { code: AbortCode::Refused, .. }]) && bytes.is_empty(), "{told:?}");
    }
    close(&mut laptop);
    assert!(audit(&world)[0].contains("host=laptop1 of=laptop2 ask=fetch"), "{:?}", audit(&world));
    let outcome = |line: &String| line.split_once(" outcome=").expect("an outcome").1.to_owned();
    for asked in audit(&world).iter().map(outcome).collect::<Vec<_>>().chunks(2) {
        assert!(asked[0] == "\"asked\"" && asked[1].starts_with("\"refused: this key reads the dumps of laptop1"), "{asked:?}");
    }
    for (until, granted) in [("2001-01-01", false), ("2999-12-31", true)] {
        let rule = format!("[host.laptop1]\nrestore = [{{ host = \"laptop2\", until = \"{until}\" }}]");
        world.configure(&HOSTS.replace("[host.laptop1]", &rule));
        let mut laptop = restoring(&world, "laptop1");
        let (told, bytes) = ask(&mut laptop, &asked);
        assert_eq!((matches!(told.last(), Some(Told::Done)), !bytes.is_empty()), (granted, granted), "{told:?}");
        close(&mut laptop);
    }
}

#[test]
fn a_disk_that_the_host_may_not_have_is_not_there_for_it() {
    let world = world();
    world.configure(&HOSTS.replace("[host.laptop1]", "[host.laptop1]\ndisks = [\"/srv\"]"));
    let mut laptop = restoring(&world, "laptop1");
    assert_eq!(ask(&mut laptop, &Ask::Dumps { host: None }).0, [Told::Done]);
    let (told, ..) = ask(&mut laptop, &Ask::Names { dump: id("laptop1"), below: PathBytes::default(), deep: true });
    assert!(matches!(&told[..], [Told::No { code: AbortCode::Refused, .. }]), "{told:?}");
    close(&mut laptop);
}

#[test]
fn a_laptop_that_leaves_takes_its_reader_along() {
    let world = world();
    let mut laptop = restoring(&world, "laptop1");
    assert_eq!(readers(&world), 1);
    // In the middle of an answer, without credit for the rest.
    laptop.send(1, &pack(&Ask::Fetch { dump: id("laptop1"), what: What::All }).expect("short"));
    until(|| audit(&world).len() == 1);
    laptop.kill();
    until(|| readers(&world) == 0);
    assert!(audit(&world)[1].contains("outcome=\"cut off: "), "{:?}", audit(&world));
}

#[test]
fn a_reader_that_is_killed_ends_the_stream_and_no_more() {
    let world = world();
    let mut laptop = restoring(&world, "laptop1");
    ask(&mut laptop, &Ask::Dumps { host: None });
    let log = fs::read_to_string(world.path("state/runner/runner.log")).expect("a log");
    let pid = log.lines().find_map(|line| line.split_once("reader=")?.1.parse().ok()).expect("its number");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).expect("it lives");
    assert_eq!(laptop.hear_but_credit(), Heard::Said(FromShim::Close { stream: 1 }));
    laptop.say(&FromAgent::Close { stream: 1 });
    assert_eq!(laptop.hear(), Heard::Said(FromShim::End { ticket: None }));
    laptop.sync();
}

#[test]
fn a_session_that_serves_amanda_goes_on_beside_a_restore_of_its_host() {
    let world = world();
    let mut serving = Laptop::serving(&world);
    let mut laptop = restoring(&world, "laptop1");
    assert!(world.is_alive());
    ask(&mut laptop, &Ask::Dumps { host: None });
    close(&mut laptop);
    assert!(world.is_alive());
    serving.sync();
    serving.say(&FromAgent::Restore);
    assert_eq!(serving.hear_abort().0, AbortCode::Protocol);
}

#[test]
fn more_readers_than_a_host_may_have_are_for_later() {
    let world = world();
    let mut laptops: Vec<Laptop> = (0..PER_HOST).map(|_| restoring(&world, "laptop1")).collect();
    let mut one_more = Laptop::greeting(&world, "laptop1");
    one_more.say(&FromAgent::Restore);
    let (code, message) = one_more.hear_abort();
    assert!(code == AbortCode::Later && message.contains("for laptop1 3 times at once"), "{message}");
    let mut other = restoring(&world, "laptop2");
    close(&mut other);
    laptops.iter_mut().for_each(close);
    until(|| readers(&world) == 0);
    close(&mut restoring(&world, "laptop1"));
}

#[test]
fn a_dump_that_goes_while_it_is_looked_at_is_said_to_be_gone() {
    let world = world();
    let mut laptop = restoring(&world, "laptop1");
    ask(&mut laptop, &Ask::Dumps { host: None });
    let file = |host: &str| world.path("etc/daily/holding").join(STAMP).join(holding::file_name(&Dle::new(host, "/home"), 0));
    // Another dump's bytes under its name, as on a volume that was written again.
    fs::copy(file("laptop2"), file("laptop1")).expect("copied");
    let (told, bytes) = ask(&mut laptop, &Ask::Fetch { dump: id("laptop1"), what: What::All });
    assert!(matches!(&told[..], [Told::No { message, .. }] if message.contains("there is no dump")) && bytes.is_empty(), "{told:?}");
    close(&mut laptop);
}

#[test]
fn nothing_of_a_session_stays_behind() {
    let world = world();
    close(&mut restoring(&world, "laptop1"));
    let names = |path: &str| {
        let entries = fs::read_dir(world.path(path)).expect("a directory").flatten();
        entries.map(|entry| entry.file_name().into_string().expect("text")).filter(|name| !name.contains(".lock")).collect::<Vec<_>>()
    };
    until(|| names("state/queue").is_empty());
    assert_eq!(names("run/hosts/laptop1"), [""; 0]);
}

#[test]
fn a_reader_is_for_sessions_only() {
    let world = world();
    for request in ["laptop1", "laptop1@x", "../laptop1@00000000000000000001-1", "laptop9@00000000000000000001-1"] {
        let (status, said) = world.shim(&["reader", request]);
        assert!(status == 1 || status == 2, "{request}: {status} {said}");
    }
}
