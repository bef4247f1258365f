//! amandates in every state that a power cut, another program or a wrong clock can leave it in: never a panic, never a backup
//! that is not one.

use std::fs;

use asyncamanda_tests::child;
use asyncamanda_tests::says::{MINUTE, assert_printable, assert_says, hours_ago, without_dumps};
use asyncamanda_tests::{Finished, Laptop, World, system};
use serde_json::Value;

/// Writes amandates, asks `why`, and says whether the laptop is due; what it said beside that comes back.
#[track_caller]
fn due(laptop: &Laptop, amandates: &str) -> (bool, Finished) {
    fs::write(&laptop.amandates, amandates).expect("a world of our own");
    let said = laptop.ask(&["why", "--json"]).expect_code(0);
    let why: Value = serde_json::from_str(&said.stdout).expect("JSON");
    (why["due"].as_bool().expect("it decides"), said)
}

/// Says that `run` calls the server, or does not.
#[track_caller]
fn assert_calls(world: &World, laptop: &Laptop, calls: bool) -> Finished {
    let before = world.door.sessions();
    let run = laptop.ask(&["run"]);
    assert_eq!(world.door.sessions() > before, calls, "{run}");
    run
}

#[test]
fn amandates_that_is_missing_means_that_nothing_was_ever_backed_up() {
    let world = without_dumps(1);
    let mut laptop = world.laptop(0);
    laptop.use_amandates(&world.dir.join("nowhere/amandates"));
    let why = laptop.ask(&["why"]).expect_code(0);
    assert!(why.stdout.contains("has no backup that this laptop knows of"), "{why}");
    assert_calls(&world, &laptop, true);
}

#[test]
fn amandates_that_cannot_be_read_is_no_backup_and_no_silence() {
    let world = without_dumps(1);
    let mut laptop = world.laptop(0);
    let secret = laptop.dir.join("secret");
    system::file(&secret, &format!("{} 0 {}\n", laptop.disk.display(), hours_ago(1)), "root", "root", 0o600);
    laptop.use_amandates(&secret);
    let mut own = child::program("chown");
    own.args(["-R", "nobody"]).arg(laptop.dir.join("key"));
    child::must(own);
    let mut command = child::program_as("nobody", world.program("asyncamanda"));
    command.arg("--config").arg(laptop.config()).arg("run");
    let before = world.door.connections();
    assert_says(
        &child::run(command, MINUTE),
        78,
        &["cannot read", secret.to_str().expect("plain"), "because: ", "Permission denied", "hint: "],
    );
    assert_eq!(world.door.connections(), before);

    // A directory in its place cannot be read by root either.
    laptop.use_amandates(&laptop.dir.clone());
    assert_says(&laptop.ask(&["run"]), 78, &["cannot read", "because: ", "hint: "]);
}

#[test]
fn amandates_that_is_half_written_is_passed_over_by_line_number() {
    let world = without_dumps(1);
    let laptop = world.laptop(0);
    let disk = laptop.disk.display();
    let fresh = format!("{disk} 0 {}\n", hours_ago(1));
    for (case, text, is_due) in [
        ("without its level and time", format!("{disk}"), true),
        ("without its time", format!("{disk} 0"), true),
        ("in the middle of its name", fresh[..fresh.len() / 3].to_owned(), true),
        ("in the middle of an open quote", format!("\"{disk} 0 {}", hours_ago(1)), true),
        ("after the line that matters", format!("{fresh}/other 1 "), false),
        ("zeros where a crash left no data", format!("{fresh}{}", "\0".repeat(64)), false),
    ] {
        let (due, said) = due(&laptop, &text);
        assert_eq!(due, is_due, "{case}: {said}");
        let line = if is_due { "line 1" } else { "line 2" };
        assert!(said.stderr.contains(line), "{case}: the line is not named: {said}");
        assert_printable(&said);
        assert_calls(&world, &laptop, is_due);
    }
    // Cut in the middle of its time it is a line from long ago, and never a fresh one.
    assert!(due(&laptop, &format!("{disk} 0 {}", &hours_ago(1).to_string()[..7])).0);
}

#[test]
fn amandates_with_quoted_names_is_understood() {
    let world = without_dumps(2);
    let laptop = world.laptop(1);
    let disk = laptop.disk.display();
    assert!(disk.to_string().contains(' '));
    for (hours, is_due) in [(1, false), (8 * 24, true)] {
        assert_eq!(due(&laptop, &format!("\"{disk}\" 0 {}\n", hours_ago(hours))).0, is_due);
        assert_calls(&world, &laptop, is_due);
    }
    // Of many levels the newest counts.
    assert!(!due(&laptop, &format!("\"{disk}\" 0 {}\n\"{disk}\" 1 {}\n", hours_ago(999), hours_ago(2))).0);
}

#[test]
fn amandates_with_a_date_in_the_future_is_due_and_says_that_a_clock_is_wrong() {
    let world = without_dumps(1);
    let laptop = world.laptop(0);
    let (due, said) = due(&laptop, &format!("{} 0 {}\n", laptop.disk.display(), hours_ago(-30 * 24)));
    assert!(due && said.stdout.contains("in the future") && said.stdout.contains("clock"), "{said}");
    assert_calls(&world, &laptop, true);
}
