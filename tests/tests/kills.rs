//! kill -9, one part after the other, and then all of them at once. Each time a plain trigger succeeds afterwards, and
//! nobody has cleaned up by hand: no ticket is lost or run twice, no lock stays, and no disk is dumped twice at once by what
//! was left behind.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use asyncamanda_tests::laptop::{PATIENCE, receipts};
use asyncamanda_tests::procs::{self, Process};
use asyncamanda_tests::wait::until_true;
use asyncamanda_tests::watch::Watch;
use asyncamanda_tests::{Background, Host, Laptop, Plan, World, until};
use serde_json::Value;
use wire::Receipt;

const MINUTE: Duration = Duration::from_secs(60);

/// A backup that is really in progress, and the laptop that asked for it.
struct Scene {
    first: Background,
    ticket: String,
    laptop: Laptop,
    watch: Watch,
    world: World,
}

impl Scene {
    /// A dump that is held at its gate: amdump, driver, dumper and chunker are at work, the client's tar too.
    fn in_mid_dump() -> Self {
        Self::of(Plan::default())
    }

    fn of(plan: Plan) -> Self {
        let world = World::new(Plan { gated: vec![0], ..plan });
        let (laptop, watch) = (world.laptop(0), world.watch());
        gate(&world.hosts[0]).close_after(1 << 18);
        let mut first = laptop.trigger();
        watch.until_dumping(&world.hosts[0].disk, &mut first);
        for part in ["amdump", "driver", "dumper", "chunker"] {
            until(part, MINUTE, || world.amanda.part(part));
        }
        until_true("bytes of it on the holding disk", MINUTE, || held(&world) > 1 << 17);
        let ticket = only(pending(&world));
        Self { first, ticket, laptop, watch, world }
    }

    fn host(&self) -> &Host {
        &self.world.hosts[0]
    }

    /// Waits for a part of Amanda and kills it. Returns it.
    fn kill(&self, part: &str) -> Process {
        let process = until(part, MINUTE, || self.world.amanda.part(part));
        put_down(&process);
        // Made after what was lost began, and before anything else does: a level that builds on the lost one misses it.
        self.plant("between");
        process
    }

    /// Adds a file to the laptop's disk.
    fn plant(&self, name: &str) {
        fs::write(self.host().disk.join(name), format!("{name}\n")).expect("a tree of our own");
    }

    /// Lets the dump through once another one of the same disk has begun in place of the one that was lost.
    fn open_for_the_next_dump(&self) {
        until_true("the dump to begin again", MINUTE, || self.watch.dumps_of(&self.host().disk) > 1);
        gate(self.host()).open();
    }

    /// The plain trigger afterwards, and then everything that must be so: `runs` is how many runs of amdump there were.
    fn ends_well(self, first: First, runs: usize) {
        let host = &self.world.hosts[0];
        let heard = match first {
            First::IsAnswered => {
                let receipts = receipts(&self.first.wait(PATIENCE).expect_code(0));
                assert_backed_up(&receipts, host);
                Some(receipts)
            }
            // Its ticket lives on without it.
            First::IsGone => {
                drop(self.first);
                until_true("the ticket to be settled", PATIENCE, || answers(&self.world).contains_key(&self.ticket));
                None
            }
        };
        let settled = answers(&self.world)[&self.ticket].clone();
        assert!(heard.is_none_or(|heard| heard == settled), "another receipt was given than kept");
        assert_backed_up(&settled, host);

        fs::write(host.disk.join("after"), "made after all that\n").expect("a tree of our own");
        assert_backed_up(&self.laptop.back_up(), host);
        self.watch.assert_no_clash();
        at_rest(&self.world, &[(host, 2)]);
        assert_eq!(self.world.amanda.run_logs().len(), runs, "runs of amdump");
        self.world.assert_restores(&self.world.name, host);
    }
}

/// What became of the agent that triggered first.
enum First {
    /// It lives, and gets its receipt.
    IsAnswered,
    /// It was killed, or lost its session.
    IsGone,
}

#[test]
fn the_agent_in_the_queue() {
    let world = World::new(Plan { hosts: 2, gated: vec![0], second_run_after: "10 min", ..Plan::default() });
    let watch = world.watch();
    let (long, waits) = (world.laptop(0), world.laptop(1));
    gate(&world.hosts[0]).close();
    let mut running = long.trigger();
    watch.until_dumping(&world.hosts[0].disk, &mut running);
    let long_ticket = only(pending(&world));

    let agent = waits.trigger();
    let ticket = until("the ticket", MINUTE, || pending(&world).into_iter().find(|ticket| *ticket != long_ticket));
    agent.kill_9();
    until_true("its session to end", MINUTE, || session(&world, &waits).is_none());
    assert!(pending(&world).contains(&ticket), "the ticket went with its agent");

    fs::write(world.hosts[1].disk.join("after"), "made before the next trigger\n").expect("a tree of our own");
    let mut next = Background::start(waits.agent(&["now"]));
    until_true("the next agent to be told its place", MINUTE, || {
        assert!(next.is_running(), "it has ended: {:?}", next.so_far());
        next.so_far().1.contains("queued")
    });
    assert_eq!(pending(&world), [long_ticket.clone(), ticket.clone()], "it joined its own ticket");
    gate(&world.hosts[0]).open();
    next.wait(PATIENCE).expect_code(0);
    running.wait(PATIENCE).expect_code(0);

    let answers = answers(&world);
    assert_backed_up(&answers[&long_ticket], &world.hosts[0]);
    assert_backed_up(&answers[&ticket], &world.hosts[1]);
    watch.assert_no_clash();
    at_rest(&world, &[(&world.hosts[0], 1), (&world.hosts[1], 1)]);
    assert_eq!(world.amanda.run_logs().len(), 2);
    for host in &world.hosts {
        world.assert_restores(&world.name, host);
    }
}

#[test]
fn the_agent_in_mid_run() {
    let scene = Scene::in_mid_dump();
    scene.first.kill_9();
    until_true("its session to end", MINUTE, || session(&scene.world, &scene.laptop).is_none());
    assert!(scene.world.amanda.part("dumper").is_some(), "the dump went with the agent");
    gate(scene.host()).open();
    scene.ends_well(First::IsGone, 2);
}

#[test]
fn the_shim_of_the_session() {
    let mut scene = Scene::in_mid_dump();
    put_down(&session(&scene.world, &scene.laptop).expect("it waits with its laptop"));
    until_true("the agent to notice", MINUTE, || !scene.first.is_running());
    let (_, said) = scene.first.so_far();
    assert!(said.contains("lost"), "the agent does not say what happened: {said}");
    assert!(scene.world.amanda.part("dumper").is_some(), "the dump went with the session");
    gate(scene.host()).open();
    scene.ends_well(First::IsGone, 2);
}

#[test]
fn the_runner() {
    let scene = Scene::in_mid_dump();
    let amdump = scene.world.amanda.part("amdump").expect("it runs");
    let runner = runner(&scene.world).expect("it follows the run");
    put_down(&runner);
    until_true("another runner", MINUTE, || self::runner(&scene.world).is_some());
    // The run that goes on is taken up, not ended and not begun again.
    assert!(amdump.is_alive(), "amdump went with the runner");
    gate(scene.host()).open();
    scene.ends_well(First::IsAnswered, 2);
}

#[test]
fn amdump() {
    let scene = Scene::in_mid_dump();
    scene.kill("amdump");
    scene.open_for_the_next_dump();
    scene.ends_well(First::IsAnswered, 3);
}

#[test]
fn the_planner() {
    let world = World::new(Plan { estimate: "client", ..Plan::default() });
    let (laptop, watch) = (world.laptop(0), world.watch());
    let first = laptop.trigger();
    // It lives for two seconds at least, which Amanda waits in it.
    let planner = until("the planner", MINUTE, || world.amanda.part("planner"));
    put_down(&planner);
    let logs = world.amanda.run_logs();
    assert!(logs.iter().all(|(_, log)| !log.contains("FINISH planner")), "it was done already: {logs:#?}");
    let ticket = only(pending(&world));
    let scene = Scene { first, ticket, laptop, watch, world };
    scene.plant("between");
    scene.ends_well(First::IsAnswered, 3);
}

#[test]
fn the_driver() {
    let scene = Scene::in_mid_dump();
    scene.kill("driver");
    scene.open_for_the_next_dump();
    scene.ends_well(First::IsAnswered, 3);
}

#[test]
fn a_dumper() {
    let scene = Scene::in_mid_dump();
    scene.kill("dumper");
    // A client on the server's own machine writes into the chunker's memory and does not notice: the driver waits for it to
    // end, and then tries again by itself, in the same run.
    gate(scene.host()).open();
    scene.ends_well(First::IsAnswered, 2);
}

#[test]
fn a_dumper_whose_client_is_elsewhere() {
    let scene = Scene::of(Plan { over_ssh: vec![0], ..Plan::default() });
    scene.kill("dumper");
    gate(scene.host()).open();
    let Scene { first, laptop, world, .. } = scene;
    let host = &world.hosts[0];
    // Amanda's driver tries again by itself and at once, while the client of the dead dumper still runs, or it waits for ever and
    // the run is ended and made anew, or it gives up: that depends on whose death it hears of first. Whatever it does, the
    // receipt is true.
    let first = first.wait(PATIENCE);
    let [receipt] = &receipts(&first)[..] else { panic!("one receipt was expected: {first}") };
    assert_eq!(first.code, Some(if receipt.is_backup() { 0 } else { 1 }), "{first}");
    if receipt.is_backup() {
        world.assert_restores(&world.name, host);
    }
    let log = fs::read_to_string(world.amanda.root.join(format!("log/log.{}.0", receipt.datestamp))).unwrap_or_default();
    fs::write(host.disk.join("after"), "made after all that\n").expect("a tree of our own");
    let next = laptop.back_up();
    assert_backed_up(&next, host);
    if !receipt.is_backup() || log.contains(" died while dumping ") {
        // Two of the client's tars may have kept their books in one file, so nothing may build on what they say.
        assert_eq!(next[0].level, Some(0), "{next:#?}");
    }
    world.assert_restores(&world.name, host);
    world.assert_at_rest();
}

#[test]
fn a_chunker() {
    let scene = Scene::in_mid_dump();
    scene.kill("chunker");
    scene.open_for_the_next_dump();
    scene.ends_well(First::IsAnswered, 3);
}

#[test]
fn all_of_them_at_once() {
    let Scene { first, ticket, laptop, watch, world } = Scene::in_mid_dump();
    let host = &world.hosts[0];
    // Those that would start others, or write a last word about others, go first.
    let mut victims: Vec<Process> = session(&world, &laptop).into_iter().chain(runner(&world)).collect();
    victims.extend(["amdump", "driver", "dumper", "chunker"].iter().filter_map(|part| world.amanda.part(part)));
    assert_eq!(victims.len(), 6, "{victims:#?}");
    first.kill_9();
    victims.iter().for_each(Process::kill_9);
    victims.iter().for_each(put_down);
    assert!(runner(&world).is_none(), "somebody started another runner");

    fs::write(host.disk.join("after"), "made before the next trigger\n").expect("a tree of our own");
    let mut next = laptop.trigger();
    until_true("the dump to begin again", MINUTE, || {
        assert!(next.is_running(), "nothing began, and the agent has ended: {:?}", next.so_far());
        watch.dumps_of(&host.disk) > 1
    });
    gate(host).open();
    let next = receipts(&next.wait(PATIENCE).expect_code(0));
    assert_backed_up(&next, host);
    // It joined the ticket that was left.
    let answers = answers(&world);
    assert_eq!(answers.into_iter().collect::<Vec<_>>(), [(ticket, next)]);
    watch.assert_no_clash();
    at_rest(&world, &[(host, 1)]);
    assert_eq!(world.amanda.run_logs().len(), 2);
    world.assert_restores(&world.name, host);
}

/// Says that nothing is left over, and that every host has had as many tickets as these, each answered by one good dump.
#[track_caller]
fn at_rest(world: &World, tickets: &[(&Host, usize)]) {
    until_true("the runner to go home", MINUTE, || runner(world).is_none());
    world.assert_at_rest();
    let answers = answers(world);
    for (host, count) in tickets {
        let own: Vec<_> = answers.values().flatten().filter(|receipt| receipt.host.as_str() == host.name).collect();
        assert_eq!(own.len(), *count, "tickets that were answered: {own:#?}");
        own.iter().for_each(|receipt| assert!(receipt.is_backup(), "{receipt:#?}"));
        assert_eq!(world.amanda.good_dumps(host), *count, "good dumps; a ticket was run twice:\n{:#?}", world.amanda.words_on(host));
    }
    assert_eq!(answers.len(), tickets.iter().map(|(_, count)| count).sum::<usize>(), "{answers:#?}");
    for part in ["queue", "runner/runs", "runner/retries", "runner/orders"] {
        let left = names(world, part);
        assert!(left.is_empty(), "{part} is not empty: {left:?}");
    }
    // An ssh master that nobody uses goes after ten seconds.
    let ours = |process: &Process| process.name.starts_with("asyncamanda") || process.name == "ssh";
    until_true("our own programs to end", Duration::from_secs(30), || !world.processes().iter().any(ours));
}

/// Says that these are one receipt, and that it is a backup of this host's disk. What was killed may have made it STRANGE.
#[track_caller]
fn assert_backed_up(receipts: &[Receipt], host: &Host) {
    let [receipt] = receipts else { panic!("one receipt was expected: {receipts:#?}") };
    assert!(receipt.is_backup() && receipt.host.as_str() == host.name && receipt.disk.as_os_str() == host.disk, "{receipt:#?}");
}

/// Kills a process and returns when it is dead.
fn put_down(process: &Process) {
    process.kill_9();
    until_true("a killed process to be dead", MINUTE, || !process.is_alive());
}

fn gate(host: &Host) -> &asyncamanda_tests::gate::Gate {
    host.gate.as_ref().expect("planned")
}

fn only(tickets: Vec<String>) -> String {
    let [ticket] = &tickets[..] else { panic!("one ticket was expected: {tickets:?}") };
    ticket.clone()
}

/// Adds up what lies on the holding disk.
fn held(world: &World) -> u64 {
    let size = |name: String| fs::metadata(world.amanda.root.join("hold").join(name)).map_or(0, |file| file.len());
    world.holding_files().into_iter().map(size).sum()
}

/// Returns the tickets on the server's disk, oldest first: `HOST@ID.json`.
fn pending(world: &World) -> Vec<String> {
    let names = names(world, "queue");
    let mut ids: Vec<String> = names.iter().filter_map(|name| Some(name.strip_suffix(".json")?.split_once('@')?.1.to_owned())).collect();
    ids.sort();
    ids
}

/// Returns the receipts of every ticket that was ever settled.
fn answers(world: &World) -> BTreeMap<String, Vec<Receipt>> {
    let read = |name: String| {
        let id = name.strip_suffix(".json")?.split_once('@')?.1.to_owned();
        let text = fs::read(world.dir.join("state/runner/results").join(&name)).expect("it is kept for a week");
        let settled: Value = serde_json::from_slice(&text).expect("written by the runner");
        Some((id, serde_json::from_value(settled["receipts"].clone()).expect("receipts")))
    };
    names(world, "runner/results").into_iter().filter_map(read).collect()
}

/// Returns what lies in a directory of the shim's state, hidden files left out.
fn names(world: &World, part: &str) -> Vec<String> {
    let entries = fs::read_dir(world.dir.join("state").join(part)).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(|name| !name.starts_with('.')).collect()
}

/// Returns the runner's process.
fn runner(world: &World) -> Option<Process> {
    ours(world).into_iter().find(|process| process.args.iter().any(|arg| arg == "runner"))
}

/// Returns the process that serves a laptop's session.
fn session(world: &World, laptop: &Laptop) -> Option<Process> {
    ours(world).into_iter().find(|process| process.args.iter().any(|arg| arg == "serve") && process.args.contains(&laptop.host))
}

/// Returns the processes of the world's shim itself: not sudo or a shell that name it.
fn ours(world: &World) -> Vec<Process> {
    let program = world.program("asyncamanda-shim");
    procs::all().into_iter().filter(|process| process.args.first().is_some_and(|arg| *arg == program.to_string_lossy())).collect()
}
