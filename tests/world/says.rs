//! What tests of bad input say over and over: a status, a sentence, and no ticket.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::shim::assert_own_exit;
use crate::{Finished, Plan, World};

/// Long enough for anything that is not a dump.
pub const MINUTE: Duration = Duration::from_secs(60);

/// A world whose engine makes no dumps: for what never comes so far, or where the way there is enough.
pub fn without_dumps(hosts: usize) -> World {
    World::new(Plan { hosts, engine: "none", gather: "0 s", ..Plan::default() })
}

/// Returns the time some hours ago, in seconds since the epoch.
///
/// # Panics
/// Before 1970.
pub fn hours_ago(hours: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    i64::try_from(now).expect("for a long time") - hours * 3600
}

/// Returns the names in the queue that are not the shim's own.
///
/// # Panics
/// Without a queue.
pub fn queued(world: &World) -> Vec<String> {
    let names = fs::read_dir(world.dir.join("state/queue")).expect("it is there").flatten();
    names.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(|name| !name.starts_with('.')).collect()
}

/// Says that no ticket waits and none was answered.
///
/// # Panics
/// When there is one.
#[track_caller]
pub fn assert_no_ticket(world: &World) {
    assert_eq!(queued(world), Vec::<String>::new(), "a ticket came of it");
    let results = fs::read_dir(world.dir.join("state/runner/results")).map_or(0, Iterator::count);
    assert_eq!(results, 0, "a ticket came of it and was answered");
}

/// Says that a program ended with this status and one sentence that has these parts, a cause or a hint included.
///
/// # Panics
/// When it did not.
#[track_caller]
pub fn assert_says(finished: &Finished, code: i32, parts: &[&str]) {
    assert_own_exit(finished);
    assert_eq!(finished.code, Some(code), "{finished}");
    for part in parts {
        assert!(finished.stderr.contains(part), "{part:?} is not said:\n{finished}");
    }
    assert_printable(finished);
}

/// Says that nothing in it makes a terminal do something.
///
/// # Panics
/// When something would.
#[track_caller]
pub fn assert_printable(finished: &Finished) {
    for (name, text) in [("stdout", &finished.stdout), ("stderr", &finished.stderr)] {
        let raw = text.chars().find(|character| character.is_control() && *character != '\n');
        assert_eq!(raw, None, "{name} has a raw control character:\n{text:?}");
    }
}
