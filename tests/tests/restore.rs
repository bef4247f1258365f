//! Laptops get their files back by themselves, over the key that backs them up: every state, from either engine, whoever made the dumps.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use asyncamanda_tests::laptop::assert_backed_up;
use asyncamanda_tests::relay::{Cut, Relay};
use asyncamanda_tests::{Host, Laptop, Plan, World, child, compare, life, torture};

const MINUTE: Duration = Duration::from_secs(60);
const ZSTD: &str = "client custom\n client_custom_compress \"/usr/bin/zstd\"";

/// A disk as it was when a dump of it was made.
struct State {
    datestamp: String,
    level: u8,
    saved: PathBuf,
}

/// Backs the laptop up, and keeps a copy of what there was.
fn back_up(world: &World, laptop: &Laptop, host: &Host) -> State {
    let receipts = laptop.back_up();
    assert_backed_up(&receipts, host);
    let datestamp = receipts[0].datestamp.clone();
    let saved = torture::save(&host.tree, &world.dir.join(format!("saved-{datestamp}")));
    State { level: receipts[0].level.expect("a dump"), datestamp, saved }
}

/// A full dump, one of level 1 and one of level 2, a tree that changes all the while, and a full one again.
fn history(world: &World, laptop: &Laptop, host: &Host) -> Vec<State> {
    let admin = |what: &str| {
        let mut admin = world.amanda.command("amadmin");
        admin.args([world.name.as_str(), what]).arg(&host.name).arg(&host.disk);
        child::must(admin);
    };
    let mut states = vec![back_up(world, laptop, host)];
    for (round, order) in [(1, None), (2, Some("force-bump")), (3, None), (4, Some("force"))] {
        life::go_on(&host.tree, round);
        order.into_iter().for_each(admin);
        states.push(back_up(world, laptop, host));
    }
    assert_eq!(states.iter().map(|state| state.level).collect::<Vec<_>>(), [0, 1, 2, 2, 0]);
    states
}

/// Restores the whole disk as it was into a directory of its own.
#[track_caller]
fn restored(laptop: &Laptop, host: &Host, at: &str, into: &Path) -> PathBuf {
    fs::create_dir(into).expect("a world of our own");
    let (disk, to) = (host.disk.display().to_string(), into.display().to_string());
    let done = child::run(laptop.agent(&["restore", &disk, "--at", at, "--to", &to]), 2 * MINUTE);
    assert_eq!(done.code, Some(0), "{done}");
    into.join(host.disk.file_name().expect("a name"))
}

#[track_caller]
fn every_state_comes_back(world: &World, laptop: &Laptop, host: &Host, states: &[State], where_from: &str) {
    for state in states {
        let into = world.dir.join(format!("back-{where_from}-{}", state.datestamp));
        let back = restored(laptop, host, &state.datestamp, &into);
        compare::assert_equal(&state.saved, &back, world.exactness(host));
        fs::remove_dir_all(into).expect("our own");
    }
}

/// Backs a difficult tree up while it changes, and gets every state of it back, from the holding disk and from volumes.
fn whole_life(plan: Plan) {
    let world = World::new(Plan { hosts: 2, far_away: vec![1], torture: vec![1], ..plan });
    let (host, laptop) = (&world.hosts[1], world.laptop(1));
    let states = history(&world, &laptop, host);
    every_state_comes_back(&world, &laptop, host, &states, "first");
    if world.plan.engine == "amanda" {
        child::run(world.shim_as_dump_user(&["flush", &world.name]), 2 * MINUTE).expect_code(0);
        every_state_comes_back(&world, &laptop, host, &states, "volumes");
    }
    world.assert_at_rest();
    world.assert_tunnels_are_gone();
}

#[test]
fn every_state_comes_back_from_the_embedded_engine() {
    whole_life(Plan { engine: "embedded", compress: ZSTD, ..Plan::default() });
}

#[test]
fn every_state_comes_back_from_an_amanda_that_our_client_fed() {
    std::thread::scope(|scope| {
        for compress in ["client fast", "none", ZSTD] {
            scope.spawn(move || whole_life(Plan { compress, ..Plan::default() }));
        }
    });
}

#[test]
fn every_state_comes_back_from_an_amanda_that_its_own_client_fed() {
    std::thread::scope(|scope| {
        for compress in ["client fast", "none", ZSTD] {
            scope.spawn(move || whole_life(Plan { compress, client: "amandad", ..Plan::default() }));
        }
    });
}

/// Files below a directory, by name, with their bytes.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut list = child::program("find");
    list.arg(dir).args(["-type", "f", "-printf", "%P\\0"]);
    let said = child::must(list);
    let names = said.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
    names.map(|name| (name.clone(), fs::read(dir.join(&name)).expect("just listed"))).collect()
}

#[test]
fn a_restore_that_was_cut_keeps_what_is_complete_and_goes_on_when_it_is_asked_for_again() {
    for (engine, compress) in [("embedded", ZSTD), ("amanda", "client fast")] {
        let world = World::new(Plan { far_away: vec![0], engine, compress, bulk: 3_000_000, ..Plan::default() });
        let (host, mut laptop) = (&world.hosts[0], world.laptop(0));
        for n in 0..40 {
            let noise = asyncamanda_tests::tree::Noise::new(n + 1).bytes(100_000);
            fs::write(host.tree.join(format!("file {n}")), noise).expect("a tree of our own");
        }
        assert_backed_up(&laptop.back_up(), host);
        let relay = Relay::open(laptop.cable.as_ref().expect("planned").server, world.door.port);
        laptop.call_through(relay.port);
        let saved = torture::save(&host.tree, &world.dir.join("saved"));
        let into = world.dir.join("back");
        fs::create_dir(&into).expect("a world of our own");
        let (disk, to) = (host.disk.display().to_string(), into.display().to_string());
        let restore = || child::run(laptop.agent(&["restore", &disk, "--to", &to]), 2 * MINUTE);
        let mut before = 0;
        for cut_at in [500_000, 2_000_000, 4_000_000] {
            relay.cut_back_after(cut_at, Cut::Reset);
            let cut = restore();
            assert_eq!(cut.code, Some(75), "{cut}");
            assert!(cut.stderr.contains("again"), "it says what to do: {cut}");
            let there = files(&into);
            assert!(there.len() >= before, "what was there stays");
            before = there.len();
            for (name, bytes) in there.iter().map(|(name, bytes)| (name.strip_prefix(host.disk.file_name().expect("a name")), bytes)) {
                let Ok(name) = name else { panic!("{name:?} is no file of the disk") };
                if !name.to_string_lossy().contains(".asyncamanda-") {
                    assert!(fs::read(saved.join(name)).is_ok_and(|whole| whole == *bytes), "{} is there and not whole", name.display());
                }
            }
        }
        assert_eq!(relay.cuts(), 3);
        let done = restore();
        assert_eq!(done.code, Some(0), "{done}");
        compare::assert_equal(&saved, &into.join(host.disk.file_name().expect("a name")), world.exactness(host));
        world.assert_at_rest();
    }
}

#[test]
fn a_laptop_gets_its_own_hosts_files_and_no_others() {
    let world = World::new(Plan { hosts: 2, far_away: vec![0, 1], ..Plan::default() });
    let laptops = [world.laptop(0), world.laptop(1)];
    for (laptop, host) in laptops.iter().zip(&world.hosts) {
        assert_backed_up(&laptop.back_up(), host);
    }
    let into = world.dir.join("back").display().to_string();
    fs::create_dir(&into).expect("a world of our own");
    let theirs = world.hosts[1].disk.join("whose").display().to_string();
    let no = child::run(laptops[0].agent(&["restore", &theirs, "--to", &into]), MINUTE);
    assert!(matches!(no.code, Some(1 | 77)), "{no}");
    assert_eq!(files(Path::new(&into)), []);
    let out = format!("{}/../../etc/passwd", world.hosts[0].disk.display());
    let no = child::run(laptops[0].agent(&["restore", &out, "--to", &into]), MINUTE);
    assert!(!matches!(no.code, Some(0)), "{no}");
    assert_eq!(files(Path::new(&into)), []);
    let own = world.hosts[0].disk.join("whose").display().to_string();
    let yes = child::run(laptops[0].agent(&["restore", &own, "--to", &into]), MINUTE);
    assert_eq!(yes.code, Some(0), "{yes}");
    assert_eq!(files(Path::new(&into)), [(PathBuf::from("whose"), fs::read(world.hosts[0].tree.join("whose")).expect("there"))]);
    world.assert_at_rest();
}

#[test]
fn files_come_back_while_a_backup_of_the_same_laptop_goes_on() {
    let world = World::new(Plan { far_away: vec![0], gated: vec![0], ..Plan::default() });
    let (host, laptop) = (&world.hosts[0], world.laptop(0));
    assert_backed_up(&laptop.back_up(), host);
    let gate = host.gate.as_ref().expect("planned");
    gate.close();
    // As long as a full dump, so that the gate is still shut while the file comes back.
    let bulk = host.tree.join("bulk");
    let changed: Vec<u8> = fs::read(&bulk).expect("there").iter().map(|byte| byte.wrapping_mul(31).wrapping_add(7)).collect();
    fs::write(bulk, changed).expect("a tree of our own");
    let watch = world.watch();
    let mut running = laptop.trigger();
    watch.until_dumping(&host.disk, &mut running);
    drop(watch);
    let whose = host.tree.join("whose");
    let before = fs::read(&whose).expect("there");
    fs::remove_file(&whose).expect("there");
    let back = child::run(laptop.agent(&["restore", &host.disk.join("whose").display().to_string()]), MINUTE);
    assert_eq!(back.code, Some(0), "{back}");
    assert_eq!(fs::read(&whose).expect("it came back"), before);
    gate.open();
    running.wait(2 * MINUTE).expect_code(0);
    world.assert_at_rest();
}

#[test]
fn a_program_that_a_dumps_header_names_is_never_run() {
    for engine in ["amanda", "embedded"] {
        let world = World::new(Plan { far_away: vec![0], engine, compress: ZSTD, ..Plan::default() });
        let (host, laptop) = (&world.hosts[0], world.laptop(0));
        assert_backed_up(&laptop.back_up(), host);
        // As long as what it takes the place of.
        let named = format!("/tmp/ev{:06}", std::process::id() % 1_000_000);
        let (evil, marker) = (PathBuf::from(&named), world.dir.join("ran"));
        assert_eq!(named.len(), "/usr/bin/zstd".len());
        fs::write(&evil, format!("#!/bin/sh\ntouch {}\nexec /usr/bin/zstd \"$@\"\n", marker.display())).expect("ours");
        fs::set_permissions(&evil, fs::Permissions::from_mode(0o755)).expect("ours");
        let mut forged = 0;
        for path in files(&world.amanda.root).into_iter().map(|(name, _)| world.amanda.root.join(name)) {
            let mut bytes = fs::read(&path).expect("just listed");
            let header = bytes.len().min(32 * 1024);
            let is_dump = bytes.starts_with(b"AMANDA: ") && !bytes.starts_with(b"AMANDA: TAPESTART") && header == 32 * 1024;
            if is_dump && let Some(at) = bytes[..header].windows(13).position(|word| word == b"/usr/bin/zstd") {
                bytes[at..at + 13].copy_from_slice(named.as_bytes());
                fs::write(&path, bytes).expect("root may");
                forged += 1;
            }
        }
        assert!(forged > 0, "{engine}: no header names its program");
        let into = world.dir.join("back");
        let back = restored(&laptop, host, "now", &into);
        compare::assert_equal(&host.tree, &back, world.exactness(host));
        assert!(!marker.exists(), "{engine}: what the header names was run");
        fs::remove_file(evil).expect("ours");
    }
}

#[test]
fn a_new_laptop_with_a_new_key_gets_the_old_ones_files() {
    let world = World::new(Plan { far_away: vec![0], ..Plan::default() });
    let host = &world.hosts[0];
    let old = world.laptop(0);
    assert_backed_up(&old.back_up(), host);
    let saved = torture::save(&host.tree, &world.dir.join("saved"));
    fs::remove_dir_all(&old.dir).expect("it is lost");
    drop(old);
    fs::remove_dir_all(&host.tree).expect("with all that was on it");
    let new = world.laptop(0);
    let done = child::run(new.agent(&["restore", &host.disk.display().to_string()]), 2 * MINUTE);
    assert_eq!(done.code, Some(0), "{done}");
    compare::assert_equal(&saved, &host.tree, world.exactness(host));
    world.assert_at_rest();
}
