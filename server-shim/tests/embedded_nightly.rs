//! What the planner's choices are in a nightly run: commands, dumptypes that leave dumps out, hosts that are away; and what the log and
//! curinfo say of it.

mod shelf;
mod vault;

use std::fs;

use amanda::curinfo::{self, FORCE_FULL, Info};
use amanda::dle::Dle;
use asyncamanda_shim::engine::embedded::run::{Call, Done, Dumper, NoDump, Ran, Task, make};
use asyncamanda_shim::engine::embedded::{Kind, Order, stamp};
use shelf::{Conf, NOW, World, temporary};
use vault::{DAY, Ears, Fake, FakeAt};
use wire::HostName;

const HOST: &str = "amandahost";

/// Dumps of bytes; some hosts are away.
struct Hosts<'a>(FakeAt<'a>, &'static [&'static str]);

impl Dumper for Hosts<'_> {
    fn dump(&self, task: &Task<'_>, moved: &dyn Fn(u64)) -> Result<Done, NoDump> {
        self.0.dump(task, moved)
    }

    fn estimate(&self, _: &amanda::conf::disklist::Disk, _: u8) -> Option<u64> {
        None
    }

    fn absent(&self, host: &HostName) -> Option<String> {
        self.1.contains(&host.as_str()).then(|| "it calls in, and is not connected".to_owned())
    }
}

fn nightly(world: &World, fake: &Fake, at: i64, away: &'static [&'static str]) -> (Ran, Ears, String) {
    let dumper = Hosts(FakeAt(fake, world.site.indexdir()), away);
    let mut hosts: Vec<&str> = world.site.disks().iter().map(|disk| disk.dle.host.as_str()).collect();
    hosts.dedup();
    let orders: Vec<Order> = hosts.iter().map(|host| Order { host: host.parse().expect("name"), disks: Vec::new() }).collect();
    let ears = Ears::default();
    let call = Call { id: "nightly", kind: Kind::Nightly, orders: &orders, everything: true };
    let ran = make(&world.site, &call, &dumper, &ears, &|| at).expect("a run");
    let log = world.directory.join(format!("log/log.{}.0", stamp::of(at)));
    (ran, ears, fs::read_to_string(log).expect("a log"))
}

fn info(world: &World, disk: &str) -> Info {
    let path = world.directory.join("curinfo").join(curinfo::path(&Dle::new(HOST, disk)));
    Info::parse(&fs::read(path).expect("read")).expect("curinfo")
}

fn levels(ran: &Ran) -> Vec<Option<u8>> {
    ran.receipts.iter().map(|receipt| receipt.level).collect()
}

#[test]
fn what_was_asked_for_is_done_once() {
    let keep = temporary();
    let world = World::make(keep.path(), Conf { tapecycle: 6, dumptype: "maxpromoteday 0\n", ..Conf::default() }, &["/a"]).label(6);
    let fake = Fake::default();
    assert_eq!(levels(&nightly(&world, &fake, NOW, &[]).0), [Some(0)]);
    assert_eq!(levels(&nightly(&world, &fake, NOW + DAY, &[]).0), [Some(1)]);
    let mut asked = info(&world, "/a");
    asked.command = FORCE_FULL;
    fs::write(world.directory.join("curinfo").join(curinfo::path(&Dle::new(HOST, "/a"))), asked.print()).expect("written");
    let (ran, ears, log) = nightly(&world, &fake, NOW + 2 * DAY, &[]);
    assert_eq!(levels(&ran), [Some(0)]);
    assert!(log.contains("INFO planner Forcing full dump of amandahost:/a as directed.\n"), "{log}");
    let planned = ears.planned.lock().expect("lock").clone();
    assert_eq!(planned, [("/a".to_owned(), 0, "a full dump was asked for".to_owned())]);
    assert_eq!(info(&world, "/a").command, 0);
    assert_eq!(levels(&nightly(&world, &fake, NOW + 3 * DAY, &[]).0), [Some(1)]);
}

#[test]
fn full_dumps_that_are_made_elsewhere_are_counted() {
    let keep = temporary();
    let world = World::make(keep.path(), Conf { tapecycle: 6, dumptype: "skip-full yes\n", ..Conf::default() }, &["/a"]).label(6);
    let fake = Fake::default();
    let mut made = Vec::new();
    for day in [0, 1, 2, 14, 15] {
        let (ran, _, log) = nightly(&world, &fake, NOW + day * DAY, &[]);
        assert_eq!(ran.receipts.is_empty(), log.contains("SUCCESS planner amandahost /a"), "{log}");
        assert_eq!(log.contains("[skipped: skip-full]\n"), ran.skipped.iter().any(|skipped| skipped.why.contains("elsewhere")), "{log}");
        made.push(ran.receipts.first().and_then(|receipt| receipt.level));
    }
    assert_eq!(made, [None, Some(1), Some(1), None, Some(1)]);
}

#[test]
fn a_host_that_is_away_is_passed_over_and_counted() {
    let keep = temporary();
    let world = World::make(keep.path(), Conf { tapecycle: 6, ..Conf::default() }, &["/a", "/b"]).label(6);
    let list = world.directory.join("disklist");
    let text = fs::read_to_string(&list).expect("read");
    fs::write(&list, format!("{text}laptop1 /home plain\n")).expect("written");
    let world = World { site: World::open(&world.directory, "ifh"), ..world };
    let (ran, _, log) = nightly(&world, &Fake::default(), NOW, &["laptop1"]);
    assert_eq!(levels(&ran), [Some(0), Some(0)]);
    assert_eq!(ran.skipped.len(), 1);
    assert!(log.contains("is passed over: it calls in, and is not connected"), "{log}");
    assert!(!log.contains("DISK planner laptop1"), "{log}");
}

#[test]
fn a_dump_that_is_too_large_for_its_volumes_is_named() {
    let keep = temporary();
    let world = World::make(keep.path(), Conf { tapecycle: 6, ..Conf::default() }, &["/a"]).label(6);
    let fake = Fake::default();
    assert_eq!(levels(&nightly(&world, &fake, NOW, &[]).0), [Some(0)]);
    let path = world.directory.join("curinfo").join(curinfo::path(&Dle::new(HOST, "/a")));
    let mut history = info(&world, "/a");
    // It is remembered as larger than it is.
    for dump in &mut history.history {
        (dump.orig_kb, dump.kb) = (5_000, 5_000);
    }
    history.command = FORCE_FULL;
    fs::write(&path, history.print()).expect("written");
    let (ran, _, log) = nightly(&world, &fake, NOW + DAY, &[]);
    assert!(log.contains("full dump (5000KB) will be larger than available tape space"), "{log}");
    assert!(
        ran.receipts.iter().all(|receipt| !receipt.is_backup() && receipt.reason.contains("larger than available tape space")),
        "{ran:?}"
    );
    assert!(log.contains("FAIL planner amandahost /a"), "{log}");
}
