//! A server that is not as it should be: forged tickets, unknown hosts, a changed key, no answer, no room. A clear sentence, the
//! right status, no ticket lost, and the next one who behaves is served.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::time::Duration;

use asyncamanda_tests::child;
use asyncamanda_tests::laptop::{PATIENCE, assert_backed_up, receipts};
use asyncamanda_tests::mount::Mount;
use asyncamanda_tests::says::{MINUTE, assert_no_ticket, assert_printable, assert_says, hours_ago, queued, without_dumps};
use asyncamanda_tests::shim::{assert_own_exit, column};
use asyncamanda_tests::wait::until_true;
use asyncamanda_tests::{Caller, Laptop, Plan, World, procs, sshd, system, until};
use serde_json::Value;
use wire::request;

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
    world.edit_shim_toml(&format!("[host.\"{host}\"]\nconfig = \"{}\"\nreach = \"network\"\n", world.name), "");
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

// ---- no room

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
