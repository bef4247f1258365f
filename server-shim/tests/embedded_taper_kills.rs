//! A flush in parts that is killed at each of its system calls that change something, under strace: nothing is lost, and the next one is right.
//!
//! The program is this test itself, called again for one flush. It does nothing where there is no strace.

mod shelf;

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use asyncamanda_shim::engine::embedded::verify::verify;
use shelf::{Conf, DAY, KIB, NOW, Notes, World, temporary};

/// Everything that changes a file system.
const CALLS: [&str; 9] = ["rename", "unlink", "unlinkat", "rmdir", "mkdir", "write", "pwrite64", "ftruncate", "symlink"];

const SITE: &str = "EMBEDDED_TAPER_KILLS_SITE";

#[test]
fn one_flush_for_those_who_kill_it() {
    let Some(site) = env::var_os(SITE) else { return };
    let world = World { directory: site.clone().into(), conf: Conf::default(), site: World::open(Path::new(&site), "ifh") };
    world.flush(NOW + 2 * DAY);
}

/// A config in which a flush takes a volume again, splits a dump over two, and renames another one.
fn world(directory: &Path) -> World {
    let world = World::make(directory, Conf { tapecycle: 2, runtapes: 2, ..Conf::default() }, &["/etc", "/home"]).label(5);
    for day in 0..2 {
        world.dump("/etc", NOW + day * DAY, 0, 20 * KIB);
        world.flush(NOW + day * DAY + 60);
    }
    world.dump_to(&world.directory.join("hd1"), "/home", NOW + 2 * DAY - 60, 0, 900 * KIB, 512 * KIB);
    world.dump("/etc", NOW + 2 * DAY - 60, 1, 30 * KIB);
    world
}

fn strace(world: &World, args: &[String]) -> bool {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq"]).args(args).arg(env::current_exe().expect("this program"));
    command.args(["--exact", "one_flush_for_those_who_kill_it", "--nocapture", "--test-threads=1"]);
    command.env(SITE, &world.directory).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().expect("started").success()
}

#[test]
fn whatever_call_a_flush_is_killed_at_nothing_is_lost_and_the_next_one_is_right() {
    if !Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        assert!(env::var_os("CI").is_none(), "CI has strace");
        eprintln!("nothing is killed: it takes strace");
        return;
    }
    let keep = temporary();
    let trace = keep.path().join("trace");
    let counted = world(&keep.path().join("counted"));
    let args = ["-o".to_owned(), trace.display().to_string(), "-e".to_owned(), format!("trace={}", CALLS.join(","))];
    assert!(strace(&counted, &args));
    assert_eq!((counted.held(), counted.are_whole()), (0, 3));
    let text = fs::read_to_string(trace).expect("a trace");
    let count = |call: &str| {
        let is_it = |line: &&str| line.split_whitespace().nth(1).is_some_and(|word| word.starts_with(&format!("{call}(")));
        text.lines().filter(is_it).count()
    };
    let kills: Vec<_> = CALLS.iter().flat_map(|call| (1..=count(call)).map(move |at| (*call, at))).collect();
    let mut killed = 0;
    for (call, at) in &kills {
        let case = format!("{call} {at}");
        let directory = keep.path().join("world");
        let world = world(&directory);
        let inject = ["-o".to_owned(), "/dev/null".to_owned(), "-e".to_owned(), format!("trace={call}")];
        let ended = strace(&world, &[&inject[..], &["-e".to_owned(), format!("inject={call}:signal=KILL:when={at}")]].concat());
        killed += usize::from(!ended);
        assert_eq!(world.are_whole(), world.catalog().dumps.len(), "{case}: what is listed is whole");
        let (_, notes) = world.flush(NOW + 3 * DAY);
        // What did not fit for want of volumes comes with the night after, as the oldest is free then.
        world.flush(NOW + 4 * DAY);
        let catalog = world.catalog();
        assert_eq!((world.held(), catalog.lost.len()), (0, 0), "{case}: {}\n{:?}", notes.all(), catalog.lost);
        for disk in ["/etc", "/home"] {
            let dle = amanda::dle::Dle::new("amandahost", disk);
            let newest = catalog.of(&dle).last().unwrap_or_else(|| panic!("{case}: {disk} is lost"));
            assert!(newest.is_certain() && newest.datestamp.starts_with("2026"), "{case}: {newest:?}");
        }
        assert_eq!(world.are_whole(), catalog.dumps.len(), "{case}");
        assert_eq!(verify(&world.site, &Notes::default()).expect("verified"), [], "{case}");
        fs::remove_dir_all(&directory).expect("removed");
    }
    eprintln!("{killed} kills of {}", kills.len());
    assert!(killed > 40, "{killed}");
}
