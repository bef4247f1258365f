//! `client = "amandad"` with the installed amandad, run as Amanda's account. Needs root and Debian's amanda-client, and fails without
//! them, as the tests with a whole Amanda do; tests/run sees to both.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use amanda::protocol::packet::{Kind as Packets, Packet};
use amanda::protocol::reply::{CheckLine, Selfcheck, Sendsize, Size, parse_noop};
use amanda::protocol::request::{Application, Compress, DleRequest, Estimate, Level, Patterns, Program, Service};
use asyncamanda::client::Kind;
use nix::unistd::{User, chown, geteuid};

#[allow(dead_code, reason = "shared with the tests of the native client, each of which uses a part of it")]
mod amanda_server;
use amanda_server::{CONFIG, Laptop, Server, at, request};

const AMANDAD: &str = "/usr/lib/amanda/amandad";
const USER: &str = "backup";

/// The client's side of a config, for as long as it lives.
struct Stock {
    laptop: Laptop,
    lists: PathBuf,
    amandates: PathBuf,
}

impl Drop for Stock {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(config());
    }
}

fn config() -> PathBuf {
    Path::new("/etc/amanda").join(CONFIG)
}

fn stock() -> Stock {
    assert!(geteuid().is_root(), "this test needs root: amandad runs as another account; use tests/run");
    assert!(Path::new(AMANDAD).exists(), "this test needs Debian's amanda-client; tests/run installs it");
    let user = User::from_name(USER).ok().flatten().expect("amanda-common made it");
    let mut laptop = Laptop::new();
    fs::set_permissions(laptop.dir.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let (lists, amandates) = (laptop.dir.path().join("lists"), laptop.dir.path().join("amandates"));
    fs::create_dir(&lists).expect("ours");
    fs::write(&amandates, "").expect("ours");
    for path in [&lists, &amandates] {
        chown(path, Some(user.uid), Some(user.gid)).expect("root may");
    }
    fs::create_dir_all(config()).expect("root may");
    let text = format!("gnutar_list_dir \"{}\"\namandates \"{}\"\n", lists.display(), amandates.display());
    fs::write(config().join("amanda-client.conf"), text).expect("root may");
    laptop.rules.kind =
        Kind::Amandad { program: AMANDAD.into(), gnutar_lists: lists.clone(), amandates: amandates.clone(), user: USER.to_owned() };
    laptop.rules.disks[0].exclude = vec!["*.iso".to_owned(), "./cache\\[1]".to_owned()];
    Stock { laptop, lists, amandates }
}

/// One test, since the config's directory is one.
#[test]
fn the_installed_amandad_serves_what_is_allowed_and_its_state_follows_the_receipts() {
    let stock = stock();
    let Stock { laptop, lists, amandates } = &stock;
    for number in 0..40 {
        laptop.write(&format!("file{number}"), vec![number; 10_000]);
    }
    // What only agent.toml leaves out, and what only the server does.
    laptop.write("big.iso", vec![1; 3_000_000]);
    laptop.write("cache[1]/big", vec![1; 3_000_000]);
    laptop.write("x.tmp", vec![1; 3_000_000]);
    laptop.write("cache1", "kept");
    let tmp = Patterns { files: vec![b"*.tmp".to_vec()], ..Patterns::default() };
    let dle = || DleRequest { exclude: tmp.clone(), ..laptop.dle() };
    let (list, line) = (lists.join("laptop1_home_0"), || fs::read_to_string(amandates).expect("there"));

    let mut server = laptop.connect();
    let answer = server.ask(Service::Noop, Vec::new());
    assert!(parse_noop(&answer.body).expect("features").features.is_some());
    let foreign = || DleRequest { disk: b"/etc".to_vec(), device: None, levels: vec![Level { level: 0, server: false }], ..laptop.dle() };
    let sizes = server.ask(Service::Sendsize, vec![foreign(), at(0, dle())]);
    let sizes = Sendsize::parse(&sizes.body).expect("sizes").lines;
    assert!(matches!(sizes.as_slice(), [one] if one.disk == b"/home" && matches!(one.size, Size::Kib(400..=500))), "{sizes:?}");
    server.close().expect("served");

    // A connection of its own for each: Amanda's server has them for its planner, its check and its dumpers.
    let mut server = laptop.connect();
    let check = Selfcheck::parse(&server.ask(Service::Selfcheck, vec![foreign()]).body).expect("lines");
    assert!(matches!(check.lines.as_slice(), [CheckLine::Error(_)]), "{check:?}");
    // Amanda's own check of the same request, in JSON.
    let answer = server.ask(Service::Selfcheck, vec![DleRequest { estimates: vec![Estimate::Client], ..dle() }]);
    let said = String::from_utf8_lossy(&answer.body);
    assert!(said.contains(r#""disk" : "/home""#) && !said.contains(r#""severity" : "error""#), "{said}");
    assert!(server.refusal(DleRequest { program: Program::Dump, ..dle() }).contains("take exclude away"));
    assert!(server.refusal(foreign()).contains("disk /etc is not served here"));
    assert_eq!(server.ask_raw(b"SERVICE amindexd\nOPTIONS hostname=laptop1;\n").1.kind, Packets::Nak);
    // A handle that is known brings no other request past the gate.
    let asked = request(Service::Noop, Vec::new());
    let (handle, _) = server.ask_raw(&asked.print());
    server.send(handle, &Packet::new(Packets::Req, request(Service::Sendbackup, vec![at(0, dle())]).print()).print());
    assert_eq!(server.packet(handle).kind, Packets::Nak);
    assert!(laptop.heard.refused.lock().expect("no panic").iter().any(|words| words.contains("under a handle that it has used already")));
    assert!(laptop.state.pending().is_empty() && !list.exists());
    server.close().expect("served");

    let dump = laptop.dump(0, DleRequest { compress: Compress::ClientFast, ..dle() });
    assert!(dump.is_good(), "{}", dump.mesg);
    let pending = laptop.state.pending();
    let [first] = pending.as_slice() else { panic!("{pending:?}") };
    assert_eq!((first.level, first.client_crc, first.bytes), (0, Some(crc32c::crc32c(&dump.data)), Some(dump.data.len() as u64)));
    assert!(list.exists() && line().starts_with("/home 0 "), "Amanda moved its state by itself");
    laptop.state.discard(first).expect("discarded");
    assert!(!list.exists() && line().is_empty(), "and it is as it was: {}", line());

    let amgtar = Application { plugin: b"amgtar".to_vec(), properties: Vec::new(), client_name: None };
    for dle in [dle(), DleRequest { program: Program::Application, application: Some(amgtar), ..dle() }] {
        let program = format!("{:?}", dle.program);
        let dump = laptop.dump(0, dle);
        assert!(dump.is_good(), "{program}: {}", dump.mesg);
        let names = dump.names();
        let has = |name: &str| names.iter().any(|taken| taken.starts_with(name));
        assert!(has("./file0") && has("./cache1"), "{program}: {names:?}");
        assert!(!has("./big.iso") && !has("./cache[1]") && !has("./x.tmp"), "{program}: {names:?}");
        assert_eq!(laptop.promote_all().len(), 1);
    }
    let (good, good_line) = (fs::read(&list).expect("there"), line());
    laptop.write("late", "one more");
    laptop.dump(0, laptop.dle());
    assert_ne!(fs::read(&list).expect("there"), good);
    let owner = |path: &Path| std::os::unix::fs::MetadataExt::uid(&fs::metadata(path).expect("there"));
    let was = owner(&list);
    laptop.state.pending().iter().for_each(|pending| laptop.state.discard(pending).expect("discarded"));
    assert_eq!((fs::read(&list).expect("there"), line(), owner(&list)), (good, good_line, was));

    // Closed in the middle.
    laptop.write("big", (0..20_000_000_u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 29) as u8).collect::<Vec<_>>());
    let mut server = Server::connect(laptop.client(), 1_000_000);
    let streams = server.begin(0, laptop.dle());
    while server.token().0 != streams.data {}
    server.close().expect("served");
    // What was killed below a parent that was killed too is reaped by somebody else, a moment later.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !laptop.processes().is_empty() && std::time::Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(laptop.processes(), [""; 0]);
    let left = laptop.state.pending();
    assert!(matches!(left.as_slice(), [one] if one.client_crc.is_none()), "{left:?}");
    left.iter().for_each(|pending| laptop.state.discard(pending).expect("discarded"));
}
