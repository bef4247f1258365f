//! The tunnel: an unmodified Amanda backs up a laptop that it cannot reach, and every state of it comes back.

use std::net::ToSocketAddrs as _;
use std::time::Duration;

use asyncamanda_tests::laptop::assert_backed_up;
use asyncamanda_tests::wait::until_true;
use asyncamanda_tests::{Background, Host, Laptop, Plan, World, child, compare, life};
use wire::Receipt;

const MINUTE: Duration = Duration::from_secs(60);

fn world(client: &'static str, compress: &'static str) -> World {
    World::new(Plan { far_away: vec![0], torture: vec![0], client, compress, estimate: "client", ..Plan::default() })
}

/// Backs up and says that the dump has this level and that what was dumped is what is there.
#[track_caller]
fn back_up(world: &World, laptop: &Laptop, level: u8) -> Receipt {
    let host = &world.hosts[0];
    let receipts = laptop.back_up();
    // Of a socket GNU tar says that it ignores it, which Amanda knows; of nothing else there is anything to say.
    assert_backed_up(&receipts, host);
    assert_eq!(receipts[0].level, Some(level), "{receipts:#?}");
    world.assert_restores(&world.name, host);
    receipts[0].clone()
}

/// Tells Amanda to go one level further the next time.
fn bump(world: &World, host: &Host) {
    let mut bump = world.amanda.command("amadmin");
    bump.args([world.name.as_str(), "force-bump"]).arg(&host.name).arg(&host.disk);
    child::must(bump);
}

fn three_levels_and_back(world: &World, laptop: &Laptop) {
    let host = &world.hosts[0];
    let cable = host.cable.as_ref().expect("planned");
    assert_eq!(cable.listening(), Vec::<String>::new());
    assert!((host.name.as_str(), 22).to_socket_addrs().is_err());

    let full = back_up(world, laptop, 0);
    life::go_on(&host.tree, 1);
    let one = back_up(world, laptop, 1);
    assert!(one.bytes < full.bytes.map(|bytes| bytes / 2), "{one:#?}");
    bump(world, host);
    life::go_on(&host.tree, 2);
    let two = back_up(world, laptop, 2);
    assert_eq!(two.chain.iter().map(|base| base.level).collect::<Vec<_>>(), [0, 1, 2]);

    // What a person browses and gets back.
    let names = world.browse(&world.name, host);
    assert!(names.iter().any(|name| name == "made in 2") && !names.iter().any(|name| name == "aside"), "{names:?}");
    let recovered = world.recover(&world.name, host);
    let mut found = compare::differences(&host.tree, &recovered, world.exactness_of_recover());
    // amrecover asks the index for names, and of a directory that was only renamed GNU tar does not name again what is in it: that is
    // not found, whichever client made the dump. (It comes back above, where tar knows the old name.) And amrecover's own directory is not dumped.
    let renamed = ["many/renamed in 1/", "many/renamed in 2/", "many/05/040/moved here in 1/", "many/05/040/moved here in 2/"];
    found.retain(|found| {
        !found.starts_with("\"\" was")
            && !renamed.iter().any(|dir| found.starts_with(&format!("\"{dir}file ")) && found.ends_with(" is missing"))
    });
    assert!(found.is_empty(), "{found:#?}");
    assert_eq!(cable.listening(), Vec::<String>::new());
    world.assert_at_rest();
    world.assert_tunnels_are_gone();
}

#[test]
fn a_laptop_that_nothing_can_reach_is_dumped_at_three_levels_and_every_state_comes_back() {
    let world = world("native", "client fast");
    three_levels_and_back(&world, &world.laptop(0));
}

#[test]
fn so_it_is_by_amandas_own_client() {
    let world = world("amandad", "client fast");
    // Its own answer to a check would be JSON, which the tunnel does not pass.
    let laptop = world.laptop(0);
    let check = laptop.ask(&["check"]).expect_code(0);
    assert!(check.stdout.contains("amcheck"), "{check}");
    three_levels_and_back(&world, &laptop);
}

#[test]
fn every_way_to_compress_goes_through() {
    std::thread::scope(|scope| {
        for compress in ["none", "client best", "client custom\n client_custom_compress \"/usr/bin/zstd\"", "server fast"] {
            scope.spawn(move || {
                let world = World::new(Plan { far_away: vec![0], compress, ..Plan::default() });
                let (host, laptop) = (&world.hosts[0], world.laptop(0));
                assert_backed_up(&laptop.back_up(), host);
                world.assert_restores(&world.name, host);
                world.assert_at_rest();
            });
        }
    });
}

#[test]
fn check_goes_the_whole_way_and_amcheck_typed_by_hand_is_content_while_a_laptop_waits() {
    let world = World::new(Plan { hosts: 2, far_away: vec![0, 1], gated: vec![0], ..Plan::default() });
    let (host, laptop) = (&world.hosts[0], world.laptop(0));
    let check = laptop.ask(&["check"]).expect_code(0);
    assert!(check.stdout.contains("amcheck"), "{check}");

    let amcheck = |host: &Host| {
        let mut amcheck = world.amanda.command("amcheck");
        amcheck.args(["-c", &world.name, &host.name]);
        child::run(amcheck, MINUTE)
    };
    // Without a session there is an answer at once, and it says why.
    let absent = amcheck(host);
    assert_ne!(absent.code, Some(0), "{absent}");
    assert!(absent.took < Duration::from_secs(25), "{absent}");
    assert!(format!("{}{}", absent.stdout, absent.stderr).contains(&host.name), "{absent}");

    let gate = host.gate.as_ref().expect("planned");
    gate.close();
    let mut waits = laptop.trigger();
    let watch = world.watch();
    watch.until_dumping(&host.tree, &mut waits);
    let content = amcheck(host).expect_code(0);
    assert!(content.stdout.contains("0 problems found"), "{content}");
    gate.open();
    waits.wait(asyncamanda_tests::laptop::PATIENCE).expect_code(0);
    world.assert_restores(&world.name, host);
    world.assert_at_rest();
    world.assert_tunnels_are_gone();
}

#[test]
fn an_amdump_typed_by_hand_reaches_a_laptop_whose_agent_is_there_and_fails_at_once_for_one_that_is_not() {
    let world = World::new(Plan { hosts: 3, far_away: vec![0, 1, 2], gated: vec![0], ..Plan::default() });
    // A session of laptop 0 lives as long as its gate is closed; laptop 1 is served by hand through a session that only waits.
    let (first, second) = (world.laptop(0), world.laptop(1));
    world.hosts[0].gate.as_ref().expect("planned").close();
    let mut waits = first.trigger();
    let watch = world.watch();
    watch.until_dumping(&world.hosts[0].tree, &mut waits);
    let mut queued = second.trigger();
    until_true("the second laptop's tunnel", MINUTE, || {
        assert!(queued.is_running(), "it has ended: {:?}", queued.so_far());
        world.dir.join("run/hosts").join(&second.host).join("mux").exists()
    });
    let by_hand = Background::start(world.amanda.amdump(&world.name, &[&world.hosts[1], &world.hosts[2]])).wait(MINUTE);
    assert_ne!(by_hand.code, Some(0), "the one that is not there was dumped: {by_hand}");
    world.assert_restores(&world.name, &world.hosts[1]);
    let words = world.amanda.words_on(&world.hosts[2]);
    assert!(words.iter().any(|word| word.what == "FAIL"), "{words:?}");
    world.hosts[0].gate.as_ref().expect("planned").open();
    for trigger in [waits, queued] {
        trigger.wait(asyncamanda_tests::laptop::PATIENCE).expect_code(0);
    }
    world.assert_restores(&world.name, &world.hosts[0]);
    world.assert_at_rest();
}

#[test]
fn a_laptop_that_leaves_the_queue_is_passed_over_and_its_next_call_is_served() {
    let world = World::new(Plan { hosts: 3, far_away: vec![0, 1, 2], gated: vec![0], second_run_after: "10 h", ..Plan::default() });
    world.edit_shim_toml("[limits]\n", "[limits]\naway = \"1 s\"\n");
    let laptops: Vec<_> = (0..3).map(|index| world.laptop(index)).collect();
    world.hosts[0].gate.as_ref().expect("planned").close();
    let watch = world.watch();
    let mut first = laptops[0].trigger();
    watch.until_dumping(&world.hosts[0].tree, &mut first);
    let (leaves, mut stays) = (laptops[1].trigger(), laptops[2].trigger());
    for laptop in &laptops[1..] {
        until_true("its tunnel", MINUTE, || world.dir.join("run/hosts").join(&laptop.host).join("mux").exists());
        until_true("its ticket", MINUTE, || world.tickets().iter().any(|name| name.starts_with(&laptop.host)));
    }
    leaves.kill_9();
    assert!(stays.is_running());
    world.hosts[0].gate.as_ref().expect("planned").open();
    for trigger in [first, stays] {
        trigger.wait(asyncamanda_tests::laptop::PATIENCE).expect_code(0);
    }
    // Nobody comes for its ticket, and no runner waits for it for ever.
    until_true("the ticket to be answered", MINUTE, || world.tickets().is_empty());
    assert_backed_up(&laptops[1].back_up(), &world.hosts[1]);
    (0..3).for_each(|index| world.assert_restores(&world.name, &world.hosts[index]));
    world.assert_at_rest();
    world.assert_tunnels_are_gone();
}
