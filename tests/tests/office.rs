//! A small office in Amanda's own style: a config with a tapetype, labelled volumes that go round and a holding disk, this machine's own
//! disks and a laptop that calls in, run by the embedded engine. Debian's Amanda reads what it wrote, goes on with it, and is gone on from.

use std::fs;
use std::path::Path;
use std::time::Duration;

use asyncamanda_tests::laptop::{PATIENCE, assert_backed_up};
use asyncamanda_tests::world::GATED_BYTES;
use asyncamanda_tests::{Background, Host, Plan, World, child, compare, tree, until};

const MINUTE: Duration = Duration::from_secs(60);

/// Makes the config of an office: two disks of the server, one of a laptop.
fn office(plan: Plan) -> (World, Host) {
    let world = World::new(Plan { hosts: 2, far_away: vec![1], engine: "embedded", flush: None, ..plan });
    let server = &world.hosts[0];
    let tree = world.dir.join("src/second");
    tree::plant(&tree, 7, 50_000);
    let second = Host {
        index: 9,
        name: server.name.clone(),
        disk: tree.clone(),
        tree,
        config: server.config.clone(),
        over_ssh: false,
        gate: None,
        cable: None,
    };
    let disklist = world.amanda.dir(&world.name).join("disklist");
    let text = fs::read_to_string(&disklist).expect("we wrote it");
    fs::write(&disklist, format!("{text}{} {} laptop-0\n", second.name, second.disk.display())).expect("root may");
    // Nothing is promoted: incremental dumps are looked for.
    world
        .amanda
        .edit("define dumptype laptop-0 {\n laptop\n", "define dumptype laptop-0 {\n laptop\n dump-limit server\n maxpromoteday 0\n");
    world.amanda.edit("tapecycle 4\n", "tapecycle 4\nautoflush yes\n");
    for slot in ["1", "2", "3", "4"] {
        let mut label = world.amanda.command("amlabel");
        label.args([&world.name, &format!("{}-00{slot}", world.name), "slot", slot]);
        child::must(label);
    }
    world.serves_itself(server, &[&server.disk, &second.disk]);
    (world, second)
}

/// Returns the levels of a disk's dumps that are on volumes, oldest first.
fn on_volumes(world: &World, host: &Host) -> Vec<u8> {
    let found = world.amanda.find(&world.name, host).into_iter();
    found.filter(|dump| dump.status == "OK" && dump.place.starts_with(&world.name)).map(|dump| dump.level).collect()
}

fn nightly(world: &World, code: i32) -> String {
    child::run(world.shim_as_dump_user(&["run", &world.name]), PATIENCE).expect_code(code).stdout
}

fn made_since(tree: &Path, what: &str) {
    fs::write(tree.join(what), what).expect("a tree of our own");
}

#[test]
fn an_office_is_run_and_amanda_goes_on_with_it_and_is_gone_on_from() {
    let (world, second) = office(Plan::default());
    let (server, laptop) = (&world.hosts[0], &world.hosts[1]);
    child::must(world.shim(&["check"]));

    // A laptop's dump waits on the holding disk.
    let held = world.laptop(1).back_up();
    assert_backed_up(&held, laptop);
    assert!(held[0].chain[0].places.iter().all(|place| place.starts_with('/')), "{held:#?}");
    assert_eq!(on_volumes(&world, laptop), [0; 0]);

    // The nightly run dumps the server's own disks and takes the laptop's dump along.
    let said = nightly(&world, 0);
    for host in [server, laptop, &second] {
        let name = format!("{} {} level 0", host.name, host.disk.display());
        let line = said.lines().find(|line| line.starts_with(&name)).unwrap_or_else(|| panic!("nothing about {name}:\n{said}"));
        assert!(line.contains(" OK, on ") && line.contains(&format!("{}-001", world.name)), "{line}");
        assert_eq!(on_volumes(&world, host), [0]);
        world.assert_restores(&world.name, host);
    }
    assert_eq!(world.holding_files(), Vec::<String>::new());
    world.assert_at_rest();
    // Debian's amrecover browses and brings back what was written.
    assert!(world.browse(&world.name, &second).iter().any(|name| name == "docs"), "{:?}", world.browse(&world.name, &second));
    let mut differs = compare::differences(&second.tree, &world.recover(&world.name, &second), world.exactness_of_recover());
    // The directory that it was called in is its own.
    differs.retain(|found| !found.starts_with("\"\" was"));
    assert!(differs.is_empty(), "{differs:#?}");

    // Debian's Amanda takes over, with its own client.
    for host in [server, &second] {
        made_since(&host.tree, "made before Amanda came");
    }
    world.edit_shim_toml("engine = \"embedded\"", "engine = \"amanda\"");
    nightly(&world, 0);
    for host in [server, &second] {
        assert_eq!(on_volumes(&world, host), [0, 1]);
        world.assert_restores(&world.name, host);
    }

    // And back again: the embedded engine builds on what Amanda's client left.
    for host in [server, &second] {
        made_since(&host.tree, "made after Amanda left");
    }
    world.edit_shim_toml("engine = \"amanda\"", "engine = \"embedded\"");
    nightly(&world, 0);
    for host in [server, &second] {
        assert_eq!(on_volumes(&world, host), [0, 1, 1]);
        world.assert_restores(&world.name, host);
    }
    world.assert_at_rest();
}

#[test]
fn an_office_is_run_in_parts_and_what_is_wrong_is_said() {
    let (world, second) = office(Plan::default());
    let server = &world.hosts[0];
    let run = |words: &[&str], code| child::run(world.shim(&[&["run", &world.name], words].concat()), PATIENCE).expect_code(code);
    let unknown = run(&[&server.name, "/nowhere"], 78);
    assert!(unknown.stderr.contains("\"/nowhere\""), "{unknown}");

    // A disk that is not there fails, and no other does.
    let unplugged = world.dir.join("unplugged");
    fs::rename(&second.disk, &unplugged).expect("a world of our own");
    let failed = run(&[], 1).stdout;
    assert!(failed.lines().any(|line| line.contains(&second.disk.display().to_string()) && line.contains("FAILED")), "{failed}");
    assert_eq!((on_volumes(&world, server).len(), on_volumes(&world, &second).len()), (1, 0));
    fs::rename(&unplugged, &second.disk).expect("a world of our own");
    let one = run(&[&server.name, &second.disk.display().to_string()], 0).stdout;
    assert!(!one.contains(&format!("{} level", server.disk.display())), "{one}");
    assert_eq!((on_volumes(&world, server).len(), on_volumes(&world, &second).len()), (1, 1));
    let nothing = child::run(world.shim(&["flush", &world.name]), MINUTE).expect_code(0);
    assert_eq!(nothing.stderr, "", "{nothing}");
    world.assert_at_rest();

    // Without its line in sudoers the client is not reached, and check says how it would be.
    world.edit_shim_toml("\"/usr/bin/sudo\", \"-n\"", "\"/usr/bin/sudo\", \"-n\", \"--\", \"/bin/echo\"");
    let check = child::run(world.shim(&["check"]), MINUTE).expect_code(78);
    assert!(check.stdout.contains("cannot be asked") && check.stdout.contains("NOPASSWD"), "{check}");
}

#[test]
fn a_nightly_run_that_is_killed_says_so_and_the_next_one_makes_it_good() {
    let (world, second) = office(Plan { gated: vec![0], ..Plan::default() });
    let server = &world.hosts[0];
    let gate = server.gate.as_ref().expect("planned");
    nightly(&world, 0);
    fs::write(server.tree.join("more"), vec![7; GATED_BYTES]).expect("a tree of our own");
    gate.close();
    let mut killed = Background::start(world.shim_as_dump_user(&["run", &world.name]));
    world.watch().until_dumping(&server.tree, &mut killed);
    until("a dumper", MINUTE, || world.dumpers().pop()).kill_9();
    gate.open();
    let killed = killed.wait(PATIENCE).expect_code(1);
    assert!(killed.stdout.contains("the run was cut off") && killed.stdout.contains("FAILED"), "{killed}");
    world.assert_at_rest();
    // Nobody knows how far the client came, so nothing builds on that.
    let said = nightly(&world, 0);
    assert!(said.lines().any(|line| line.contains(&format!("{} level 0 OK", server.disk.display()))), "{said}");
    for host in [server, &second] {
        world.assert_restores(&world.name, host);
    }
    world.assert_at_rest();
}
