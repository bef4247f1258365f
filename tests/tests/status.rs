//! `asyncamanda-shim status` while something goes on: it names everything, to everybody who may look, and disturbs nobody.

use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use asyncamanda_tests::child::{self, Background};
use asyncamanda_tests::laptop::{PATIENCE, assert_backed_up, receipts};
use asyncamanda_tests::shim::column;
use asyncamanda_tests::wait::until_true;
use asyncamanda_tests::{Caller, Host, Plan, World, procs, system, until};
use serde_json::{Value, json};
use wire::request;

const MINUTE: Duration = Duration::from_secs(60);

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    i64::try_from(now).expect("for a long time")
}

/// Returns `status` as an account types it.
fn status_as(world: &World, account: &str, args: &[&str]) -> Command {
    let mut command = child::program_as(account, world.program("asyncamanda-shim"));
    command.arg("--config").arg(world.shim_toml()).arg("status").args(args);
    command
}

fn status_json_as(world: &World, account: &str) -> Value {
    serde_json::from_str(&child::must(status_as(world, account, &["--json"]))).expect("JSON")
}

/// Returns the run of a config out of a status; other worlds' runs are none of ours.
fn run_of(status: &Value, config: &str) -> Option<Value> {
    status["runs"].as_array().expect("a list").iter().find(|run| run["config"] == config).cloned()
}

fn lock<'v>(status: &'v Value, name: &str) -> &'v Value {
    let locks = status["locks"].as_array().expect("a list");
    locks.iter().find(|lock| lock["name"] == name).unwrap_or_else(|| panic!("no lock {name}: {status:#}"))
}

/// Waits until a status shows the run of the world's config in the middle of its dump, with an estimate.
fn until_dumping(world: &World) -> Value {
    let mut last = Value::Null;
    let begin = Instant::now();
    until("a status with a dump under way", 2 * MINUTE, || {
        last = world.status();
        let run = run_of(&last, &world.name);
        let shown = run.as_ref().is_some_and(|run| run["phase"] == "dumping" && run["percent"].is_u64());
        assert!(shown || begin.elapsed() < MINUTE, "no status shows the dump that is under way: {run:#?}");
        shown.then(|| last.clone())
    })
}

/// Says that a run is the one of this host's disk, in mid-dump.
#[track_caller]
fn assert_run(run: &Value, world: &World, host: &Host, amdump: i32, earliest: i64) {
    assert_eq!(run["config"], world.name.as_str());
    assert_eq!(column(&json!([run]), "pid"), [amdump.to_string()], "{run:#}");
    assert_eq!(run["hosts"], json!([host.name]));
    let since = run["since"].as_i64().expect("a time");
    assert!((earliest..=now()).contains(&since), "since {since}: {run:#}");
    assert_eq!(run["phase"], "dumping");
    assert!(run["percent"].as_u64().is_some_and(|percent| percent < 100), "{run:#}");
    let [disk] = &run["disks"].as_array().expect("a list")[..] else { panic!("one disk: {run:#}") };
    assert_eq!((disk["host"].as_str(), disk["disk"].as_str()), (Some(host.name.as_str()), host.disk.to_str()));
    assert_eq!((disk["state"].as_str(), disk["level"].as_u64()), (Some("dumping"), Some(0)));
    assert!(disk["estimate"].as_u64().is_some_and(|estimate| estimate > 0), "{disk:#}");
}

/// Says that a text has these parts, one after the other.
#[track_caller]
fn assert_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} does not stand (in its place) in:\n{text}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn in_mid_run_everything_is_named_to_everybody_who_may_look_and_nobody_is_disturbed() {
    let world = World::new(Plan { hosts: 3, gated: vec![0], second_run_after: "10 min", ..Plan::default() });
    let begin = now();
    let watch = world.watch();
    let laptops: Vec<_> = (0..3).map(|index| world.laptop(index)).collect();
    let gate = world.hosts[0].gate.as_ref().expect("planned");
    gate.close();
    let mut running = laptops[0].trigger();
    watch.until_dumping(&world.hosts[0].disk, &mut running);
    // Not in the order of their names, so that the queue's order is one of time.
    let mut waiting: Vec<(Caller, String)> = Vec::new();
    for index in [2, 1] {
        let mut caller = Caller::call(laptops[index].ssh(Some(request::AGENT)));
        let (ticket, _new) = caller.trigger(&laptops[index].disk, MINUTE).expect("it waits");
        waiting.push((caller, ticket));
    }
    until_dumping(&world);
    let status = until("reasons to wait", MINUTE, || {
        let status = world.status();
        let told = column(&status["queue"], "waits_for");
        (told.len() == 2 && told.iter().all(|words| !words.is_empty())).then_some(status)
    });

    let run = run_of(&status, &world.name).expect("it goes on");
    let amdump = world.amanda.part("amdump").expect("it goes on").pid;
    assert_run(&run, &world, &world.hosts[0], amdump, begin);
    assert_eq!(run["foreign"], false);
    assert_eq!(status["runner"]["alive"], true);
    let runner = i32::try_from(status["runner"]["pid"].as_i64().expect("a pid")).expect("small");
    assert!(procs::read(runner).is_some_and(|process| process.args.iter().any(|arg| arg == "runner")), "{status:#}");
    for (name, holder) in [("runner".to_owned(), runner), (format!("run.{}.0", world.name), runner)] {
        let lock = lock(&status, &name);
        assert_eq!((lock["held"].as_bool(), lock["pid"].as_i64()), (Some(true), Some(i64::from(holder))), "{lock:#}");
        assert!(lock["since"].as_i64().is_some_and(|since| (begin..=now()).contains(&since)), "{lock:#}");
        assert!(lock["what"].as_str().is_some_and(|what| !what.is_empty()), "{lock:#}");
    }
    let queue = &status["queue"];
    assert_eq!(column(queue, "host"), [&world.hosts[2].name, &world.hosts[1].name].map(String::as_str));
    assert_eq!(column(queue, "ticket"), [waiting[0].1.as_str(), &waiting[1].1]);
    assert_eq!(column(queue, "position"), ["1", "2"]);
    assert_eq!(column(queue, "config"), [world.name.as_str(), &world.name]);
    let id = run["run"].as_str().expect("a name").to_owned();
    assert!(column(queue, "waits_for").iter().all(|words| words.contains(&id)), "{queue:#}");
    assert!(
        queue.as_array().expect("a list").iter().all(|entry| entry["since"].as_i64().is_some_and(|since| (begin..=now()).contains(&since)))
    );

    // In words, the same.
    let text = child::must(world.shim(&["status"]));
    let pid = amdump.to_string();
    assert_in_order(
        &text,
        &[
            "Runs",
            &id,
            &world.name,
            &pid,
            "dumping",
            "%",
            &world.hosts[0].name,
            "Queue",
            &world.hosts[2].name,
            &world.hosts[1].name,
            "Locks",
        ],
    );
    let (runner, run_lock) = (runner.to_string(), format!("run.{}.0", world.name));
    assert_in_order(&text, &["Locks", &run_lock, &runner]);
    assert_in_order(&text, &["Locks", "runner", &runner]);

    // The account that laptops log in to and Amanda's own see the same.
    for account in [system::LOGIN, system::DUMP_USER] {
        let seen = status_json_as(&world, account);
        let theirs = run_of(&seen, &world.name).unwrap_or_else(|| panic!("{account} sees no run: {seen:#}"));
        assert_run(&theirs, &world, &world.hosts[0], amdump, begin);
        for part in ["queue", "locks", "runner", "strange", "unreadable"] {
            assert_eq!(seen[part], status[part], "{part} as {account}");
        }
        assert_in_order(&child::must(status_as(&world, account, &[])), &[&id, &pid, "dumping", "%", &world.hosts[2].name, &run_lock]);
    }

    // All those looks, and some more: the locks are the same ones, the run and the queue go on.
    for _ in 0..20 {
        assert_eq!(world.status()["locks"], status["locks"]);
    }
    assert!(running.is_running());
    gate.open();
    assert_backed_up(&receipts(&running.wait(PATIENCE).expect_code(0)), &world.hosts[0]);
    for ((mut caller, _), index) in waiting.into_iter().zip([2, 1]) {
        assert_backed_up(&caller.receipts(PATIENCE), &world.hosts[index]);
    }
    watch.assert_no_clash();
    world.assert_at_rest();
}

#[test]
fn an_amdump_that_was_typed_by_hand_is_named_and_waited_for() {
    let world = World::new(Plan { hosts: 2, gated: vec![0], second_run_after: "10 min", ..Plan::default() });
    let begin = now();
    let watch = world.watch();
    let laptop = world.laptop(1);
    let gate = world.hosts[0].gate.as_ref().expect("planned");
    gate.close();
    let mut typed = Background::start(world.amanda.amdump(&world.name, &[&world.hosts[0]]));
    watch.until_dumping(&world.hosts[0].disk, &mut typed);
    let status = until_dumping(&world);
    let run = run_of(&status, &world.name).expect("it goes on");
    let amdump = world.amanda.part("amdump").expect("it goes on").pid;
    // The start of a process is known in ticks since boot; the two clocks may differ by a second.
    assert_run(&run, &world, &world.hosts[0], amdump, begin - 1);
    assert_eq!(run["foreign"], true);
    assert_eq!(status["runner"]["alive"], false);

    let mut waiting = Caller::call(laptop.ssh(Some(request::AGENT)));
    waiting.trigger(&laptop.disk, MINUTE).expect("it waits");
    let by_hand = format!("pid {amdump}");
    until_true("the ticket to wait for the one by hand", MINUTE, || {
        column(&world.status()["queue"], "waits_for").iter().any(|words| words.contains("by hand") && words.contains(&by_hand))
    });
    let text = child::must(world.shim(&["status"]));
    assert_in_order(
        &text,
        &[
            "Runs",
            &world.name,
            &amdump.to_string(),
            "dumping",
            "by hand",
            "%",
            &world.hosts[0].name,
            "Queue",
            &world.hosts[1].name,
            &by_hand,
        ],
    );

    // The account that laptops log in to may not read Amanda's logs; whose run it is, since when and which hosts it has, it can tell.
    let seen = status_json_as(&world, system::LOGIN);
    let theirs = run_of(&seen, &world.name).unwrap_or_else(|| panic!("it sees no run: {seen:#}"));
    for part in ["config", "hosts", "pid", "since", "foreign"] {
        assert_eq!(theirs[part], run[part], "{part}: {theirs:#}");
    }
    assert!(theirs["phase"].as_str().is_some_and(|phase| !phase.is_empty()), "{theirs:#}");

    assert_eq!(world.amanda.good_dumps(&world.hosts[1]), 0, "it did not wait");
    gate.open();
    typed.wait(PATIENCE).expect_code(0);
    assert_backed_up(&waiting.receipts(PATIENCE), &world.hosts[1]);
    watch.assert_no_clash();
    assert_eq!(watch.most_runs(), 1);
    world.assert_at_rest();
}

#[test]
fn watching_looks_again_and_again() {
    let world = World::new(Plan { engine: "none", ..Plan::default() });
    let mut watching = Background::start(world.shim(&["status", "--watch"]));
    until_true("two looks", MINUTE, || watching.so_far().0.matches("Nobody waits.").count() >= 2);
    assert!(watching.so_far().0.contains('\u{1b}'), "it clears the screen in between");
    assert!(watching.is_running());
    watching.kill_9();
}

/// How many laptops wait at once.
const MANY: usize = 200;

/// The bound is 100 ms, and tests/bench measures it; here a machine that has other things to do must not fail.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// A waiting shim's own memory, in debug and in release builds alike.
const OWN_KIB: u64 = 2048;

#[test]
fn two_hundred_sessions_wait_in_order_cost_little_and_status_answers_at_once() {
    let world = World::new(Plan { gated: vec![0], second_run_after: "10 min", ..Plan::default() });
    let names: Vec<String> = (0..MANY).map(|n| format!("h{:03}", (n * 7) % MANY)).collect();
    world.add_hosts(&names);
    let watch = world.watch();
    let (host, laptop) = (&world.hosts[0], world.laptop(0));
    let gate = host.gate.as_ref().expect("planned");
    gate.close();
    let mut running = laptop.trigger();
    watch.until_dumping(&host.disk, &mut running);
    let mut sessions: Vec<Caller> = Vec::new();
    let mut tickets: Vec<String> = Vec::new();
    for name in &names {
        let mut session = Caller::call(world.serve(name, Some(request::AGENT)));
        let (ticket, joined) = session.trigger(&host.disk, MINUTE).unwrap_or_else(|| panic!("{name} does not wait"));
        assert!(!joined, "{name} joined another one's ticket");
        tickets.push(ticket);
        sessions.push(session);
    }

    let asked = Instant::now();
    let status = world.status();
    let took = asked.elapsed();
    assert!(took < ANSWER_WITHIN, "status took {took:?}");
    assert_eq!(column(&status["queue"], "host"), names);
    assert_eq!(column(&status["queue"], "ticket"), tickets);
    assert_eq!(column(&status["queue"], "position"), (1..=MANY).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(run_of(&status, &world.name).expect("it goes on")["hosts"], json!([host.name]));
    let text = child::must(world.shim(&["status"]));
    assert_in_order(&text, &names.iter().map(String::as_str).collect::<Vec<_>>());

    // runuser becomes the shim, so the child that was started is it.
    for (session, name) in sessions.iter().zip(&names) {
        let process = procs::read(session.pid()).unwrap_or_else(|| panic!("the shim of {name} has ended"));
        assert!(process.mentions("asyncamanda-shim"), "{process:?}");
        let own = procs::own_memory_kib(session.pid()).expect("root may look");
        assert!(own < OWN_KIB, "the shim of {name} has {own} KiB of its own");
    }

    // The run is as it was. These hosts cannot be dumped, so the operator takes them out before it ends.
    assert!(running.is_running());
    drop(sessions);
    for (name, ticket) in names.iter().zip(&tickets) {
        std::fs::remove_file(world.dir.join(format!("state/queue/{name}@{ticket}.json"))).expect("a ticket outlives its session");
    }
    gate.open();
    assert_backed_up(&receipts(&running.wait(PATIENCE).expect_code(0)), host);
    world.assert_at_rest();
}
