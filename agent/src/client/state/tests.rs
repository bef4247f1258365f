//! Attempts, promoted, discarded and cut off in between.

use std::fs;

use wire::{Base, Outcome, Receipt};

use super::*;

pub fn pending(disk: &str, level: u8, crc: u32, bytes: u64) -> Pending {
    Pending {
        id: "1".to_owned(),
        disk: DiskName::new(disk).expect("a name"),
        level,
        started: 1000,
        client_crc: Some(crc),
        bytes: Some(bytes),
        system: None,
        denied: 0,
        undo: Undo::Forget,
    }
}

pub fn receipt(disk: &str, level: u8, crc: u32, bytes: u64) -> Receipt {
    let crc = format!("{crc:08x}");
    Receipt {
        run: "run".to_owned(),
        host: "laptop1".parse().expect("a host"),
        config: "daily".parse().expect("a config"),
        disk: DiskName::new(disk).expect("a name"),
        outcome: Outcome::Ok,
        level: Some(level),
        datestamp: "20261122003709".to_owned(),
        started: 1000,
        finished: 2000,
        bytes: Some(bytes),
        crc32c: Some(crc.clone()),
        sent_crc32c: Some(crc),
        orig_kb: None,
        reason: String::new(),
        chain: vec![Base { level: 0, datestamp: "20261122003709".to_owned(), places: Vec::new() }],
    }
}

const STAMP: &str = "20261122003709";

/// What every list begins with: a time long ago.
const HEAD: &str = "GNU tar-1.35-2\n1000\x000\0";

struct World {
    dir: tempfile::TempDir,
    state: State,
    disk: DiskName,
}

fn world() -> World {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State::at(&dir.path().join("state"));
    World { dir, state, disk: DiskName::new("/home").expect("a name") }
}

impl World {
    /// Makes an attempt whose list says `words`, on top of what its base says.
    fn attempt(&self, level: u8, words: &str) -> Pending {
        let attempt = self.state.begin(&self.disk, level, 1000 + i64::from(level)).expect("begun");
        let base = fs::read_to_string(attempt.snapshot()).expect("a copy of the base");
        let base = if base.is_empty() { HEAD.to_owned() } else { base };
        fs::write(attempt.snapshot(), format!("{base}{words};")).expect("ours");
        attempt.keep(Crc { crc: 7, bytes: 9 }, 0).expect("kept")
    }

    fn list(&self, level: u8) -> Option<String> {
        let list = fs::read_to_string(self.state.list(&self.disk, level)).ok()?;
        Some(list.strip_prefix(HEAD).expect("a head").to_owned())
    }

    fn promote(&self, pending: &Pending) {
        assert_eq!(self.state.promote(pending, STAMP, Some(&self.amandates())).expect("promoted"), None);
    }

    fn amandates(&self) -> PathBuf {
        self.dir.path().join("amandates")
    }
}

#[test]
fn a_dump_builds_on_the_highest_promoted_list_below_its_level() {
    let world = world();
    world.promote(&world.attempt(0, "zero"));
    world.promote(&world.attempt(1, "one"));
    assert_eq!(world.list(1).as_deref(), Some("zero;one;"));
    let second = world.attempt(3, "three");
    assert_eq!(world.list(3), None, "nothing moves before the server's word");
    world.promote(&second);
    assert_eq!(world.list(3).as_deref(), Some("zero;one;three;"));
    world.promote(&world.attempt(1, "again"));
    assert_eq!((world.list(1).as_deref(), world.list(3)), (Some("zero;again;"), None), "higher ones built on the old list");
    assert_eq!(fs::read_to_string(world.amandates()).expect("written"), "/home 0 1000\n/home 1 1001\n/home 3 1003\n");
    assert!(world.state.pending().is_empty());
    assert_eq!(fs::read_dir(world.state.attempts()).expect("there").count(), 0);
}

#[test]
fn a_discarded_attempt_leaves_the_next_one_on_the_old_base() {
    let world = world();
    world.promote(&world.attempt(0, "zero"));
    let failed = world.attempt(1, "failed");
    world.state.discard(&failed).expect("discarded");
    world.state.discard(&failed).expect("discarded again");
    world.promote(&world.attempt(1, "good"));
    assert_eq!(world.list(1).as_deref(), Some("zero;good;"));
}

#[test]
fn a_list_of_the_future_is_not_built_on() {
    let world = world();
    world.promote(&world.attempt(0, "zero"));
    world.promote(&world.attempt(1, "one"));
    world.promote(&world.attempt(2, "two"));
    let begin = |level| {
        let attempt = world.state.begin(&world.disk, level, 1).expect("begun");
        let list = fs::read_to_string(attempt.snapshot()).expect("a copy of the base");
        (list.strip_prefix(HEAD).unwrap_or(&list).to_owned(), attempt.remark().map(str::to_owned))
    };
    assert_eq!(begin(3), ("zero;one;two;".to_owned(), None));
    for (list, why) in [("GNU tar-1.35-2\n9999999999\x000\0ahead", "clock was ahead"), ("garbage", "no time that is known")] {
        fs::write(world.state.list(&world.disk, 1), list).expect("ours");
        fs::write(world.state.list(&world.disk, 2), list).expect("ours");
        let (base, remark) = begin(3);
        assert_eq!(base, "zero;");
        let remark = remark.expect("a remark");
        assert!(remark.contains(why) && remark.contains("/home more than usual"), "{remark}");
    }
    fs::write(world.state.list(&world.disk, 0), "GNU tar-1.35-2\n9999999999\x000\0").expect("ours");
    let (base, remark) = begin(3);
    assert_eq!(base, "");
    assert!(remark.expect("a remark").contains("everything"));
    assert_eq!(begin(0), (String::new(), None), "a full dump needs none");
}

#[test]
fn a_clock_that_was_set_back_while_the_dump_was_made_fails_the_attempt() {
    let world = world();
    let mut attempt = world.state.begin(&world.disk, 0, 1).expect("begun");
    attempt.begun.0 += std::time::Duration::from_secs(3600);
    let error = attempt.keep(Crc { crc: 1, bytes: 1 }, 0).expect_err("set back by an hour");
    assert!(error.source.to_string().contains("set back"), "{error:?}");
    assert!(world.state.pending().is_empty());
}

#[test]
fn of_two_attempts_each_has_its_own_copy() {
    let world = world();
    let (one, two) = (world.attempt(0, "one"), world.attempt(0, "two"));
    assert_eq!(world.state.pending(), [one.clone(), two.clone()], "oldest first");
    world.promote(&two);
    world.state.discard(&one).expect("discarded");
    assert_eq!(world.list(0).as_deref(), Some("two;"));
}

#[test]
fn an_attempt_that_was_dropped_leaves_nothing() {
    let world = world();
    drop(world.state.begin(&world.disk, 0, 1).expect("begun"));
    assert!(world.state.pending().is_empty());
    assert_eq!(fs::read_dir(world.state.attempts()).expect("there").count(), 0);
}

#[test]
fn the_file_system_of_a_list_is_remembered_with_it() {
    let world = world();
    let (root, proc) = (FileSystem::of(Path::new("/")).expect("/"), FileSystem::of(Path::new("/proc")).expect("/proc"));
    let promote = |level, system: Option<FileSystem>| {
        let mut attempt = world.state.begin(&world.disk, level, 1).expect("begun");
        system.into_iter().for_each(|system| attempt.is_on(system));
        world.promote(&attempt.keep(Crc { crc: 1, bytes: 1 }, 0).expect("kept"));
    };
    let known = || [0, 1, 2, 3].map(|level| world.state.was_on(&world.disk, level).map(|(system, _)| system));
    assert_eq!(known(), [None; 4]);
    promote(0, Some(root));
    promote(2, Some(proc));
    assert_eq!(known(), [Some(root), Some(root), Some(root), Some(proc)]);
    promote(1, None);
    assert_eq!(known(), [Some(root), Some(root), None, None], "an agent that did not know wrote nothing down");
    assert_eq!(world.state.restated(&[]).expect("dropped"), 2);
    assert_eq!(known(), [Some(root); 4], "also when the lists are gone");
    promote(0, None);
    assert_eq!(known(), [None; 4]);
    assert_eq!(fs::read_dir(world.state.lists()).expect("there").count(), 2, "the list, and the dump that it belongs to");
}

#[test]
fn lists_that_the_server_cannot_restore_are_dropped_with_those_above() {
    let base = |level, datestamp: &str| Base { level, datestamp: datestamp.to_owned(), places: Vec::new() };
    let backup = |chain| Receipt { chain, ..receipt("/home", 2, 7, 9) };
    let all = || backup(vec![base(0, "A"), base(1, "B"), base(2, "C")]);
    for (case, receipts, left) in [
        ("all of them", vec![all()], 3),
        ("all of them, and a failure since", vec![all(), Receipt { outcome: Outcome::Failed, chain: Vec::new(), ..all() }], 3),
        ("the last was lost", vec![backup(vec![base(0, "A"), base(1, "B")])], 2),
        ("an older one of level 1", vec![backup(vec![base(0, "A"), base(1, "b"), base(2, "C")])], 1),
        ("an older one of level 0", vec![backup(vec![base(0, "a")])], 0),
        ("another disk's", vec![Receipt { disk: DiskName::new("/srv").expect("a name"), ..all() }], 0),
        ("no backup", vec![Receipt { outcome: Outcome::Failed, ..all() }], 0),
        ("nothing", vec![], 0),
    ] {
        let world = world();
        for (level, datestamp) in [(0, "A"), (1, "B"), (2, "C")] {
            world.state.promote(&world.attempt(level, "x"), datestamp, None).expect("promoted");
        }
        assert_eq!(world.state.restated(&receipts).expect("readable"), 3 - left, "{case}");
        assert_eq!(world.state.levels(&world.disk), (0..u8::try_from(left).expect("few")).collect::<Vec<_>>(), "{case}");
        assert_eq!(fs::read_dir(world.state.lists()).expect("there").count(), 2 * left, "{case}");
    }
}

#[test]
fn a_list_of_an_older_agent_or_of_the_future_is_dropped() {
    let receipts = [receipt("/home", 0, 7, 9)];
    let world = world();
    world.promote(&world.attempt(0, "zero"));
    assert_eq!(world.state.restated(&receipts).expect("readable"), 0);
    let list = world.state.list(&world.disk, 0);
    fs::write(&list, "GNU tar-1.35-2\n9999999999\x000\0").expect("ours");
    assert_eq!(world.state.restated(&receipts).expect("readable"), 1);
    world.promote(&world.attempt(0, "zero"));
    fs::remove_file(beside(&list, ".dump")).expect("ours");
    assert_eq!((world.state.restated(&receipts).expect("readable"), list.exists()), (1, false));
}

#[test]
fn a_promotion_that_was_cut_off_is_healed_by_another() {
    let world = world();
    world.promote(&world.attempt(0, "zero"));
    world.promote(&world.attempt(2, "old"));
    let cut = world.attempt(1, "one");
    // What a power cut behind the first step leaves: the list in place, everything else as it was.
    fs::rename(world.state.attempts().join(&cut.id).join(attempt::SNAPSHOT), world.state.list(&world.disk, 1)).expect("ours");
    assert_eq!(world.state.pending(), std::slice::from_ref(&cut));
    world.promote(&cut);
    assert_eq!((world.list(1).as_deref(), world.list(2)), (Some("zero;one;"), None));
    assert!(world.state.pending().is_empty());
    world.promote(&cut);
    assert_eq!(world.list(1).as_deref(), Some("zero;one;"), "and again");
}

#[test]
fn an_amandates_that_cannot_be_written_is_a_warning() {
    let world = world();
    let pending = world.attempt(0, "zero");
    let warning = world.state.promote(&pending, STAMP, Some(&world.dir.path().join("none/amandates"))).expect("promoted");
    assert!(warning.expect("a warning").contains("none/amandates"));
    assert_eq!(world.list(0).as_deref(), Some("zero;"));
}

#[test]
fn names_stay_below_the_state_and_apart() {
    let world = world();
    for name in ["/", "..", "../../x", "/a/b", "/a_b", "a\nb"] {
        let disk = DiskName::new(name).expect("a name");
        let attempt = world.state.begin(&disk, 0, 1).expect("begun");
        world.state.promote(&attempt.keep(Crc { crc: 1, bytes: 1 }, 0).expect("kept"), STAMP, None).expect("promoted");
    }
    assert_eq!(world.state.restated(&[]).expect("dropped"), 6, "each has a list of its own");
    assert_eq!(fs::read_dir(world.dir.path()).expect("there").count(), 1);
}

#[test]
fn a_record_of_garbage_is_no_attempt() {
    let world = world();
    let kept = world.attempt(0, "zero");
    let record = world.state.attempts().join(&kept.id).join(RECORD);
    let whole = fs::read(&record).expect("written");
    for text in [&b""[..], b"garbage", b"{}", &whole[..whole.len() / 2]] {
        fs::write(&record, text).expect("ours");
        assert!(world.state.pending().is_empty());
    }
}

/// The state of an installed client: a list that says `words`, and its line in amandates.
fn stock_dump(world: &World, list: &Path, level: u8, words: &str, at: i64) -> Pending {
    let (pending, _living) = world.state.before_stock(&world.disk, level, at, list.to_path_buf(), &world.amandates()).expect("kept");
    fs::write(list, words).expect("ours");
    amandates::change(&world.amandates(), &world.disk, level, amandates::Change::Advance(at)).expect("ours");
    world.state.told(&pending, Crc { crc: 5, bytes: 6 }).expect("told")
}

#[test]
fn amandas_own_state_is_put_back_or_left_in_every_order() {
    // Two attempts after a good dump; which of them the server has, and which is decided about first.
    for (case, first_good, second_good, newest_first, expected) in [
        ("none", false, false, false, ("old", Some(10))),
        ("none, newest first", false, false, true, ("old", Some(10))),
        ("the second", false, true, false, ("two", Some(30))),
        ("the second, newest first", false, true, true, ("two", Some(30))),
        ("the first", true, false, false, ("one", Some(20))),
        ("the first, newest first", true, false, true, ("one", Some(20))),
        ("both", true, true, false, ("two", Some(30))),
    ] {
        let world = world();
        let list = world.dir.path().join("host_home_1");
        world.state.promote(&stock_dump(&world, &list, 1, "old", 10), STAMP, None).expect("promoted");
        let mut both = vec![(stock_dump(&world, &list, 1, "one", 20), first_good), (stock_dump(&world, &list, 1, "two", 30), second_good)];
        if newest_first {
            both.reverse();
        }
        for (pending, good) in &both {
            let current = world.state.pending().into_iter().find(|other| other.id == pending.id);
            let Some(pending) = current else { continue };
            if *good {
                drop(world.state.promote(&pending, STAMP, None).expect("promoted"));
            } else {
                world.state.discard(&pending).expect("discarded");
            }
        }
        let line = amandates::look(&world.amandates(), &world.disk, 1).expect("readable");
        assert_eq!((fs::read_to_string(&list).expect("there").as_str(), line), expected, "{case}");
        assert!(world.state.pending().is_empty(), "{case}");
    }
}

#[test]
fn nothing_is_decided_about_a_dump_of_amandas_client_that_lives() {
    let world = world();
    let list = world.dir.path().join("host_home_1");
    fs::write(&list, "old").expect("ours");
    let begin = |at| world.state.before_stock(&world.disk, 1, at, list.clone(), &world.amandates()).expect("kept");
    let (first, second) = (stock_dump(&world, &list, 1, "first", 10), begin(20));
    assert_eq!(world.state.pending(), std::slice::from_ref(&first), "the second lives");
    world.state.discard(&first).expect("discarded");
    assert_eq!(fs::read_to_string(&list).expect("there"), "first", "the one that lives will put it back");
    let told = world.state.told(&second.0, Crc { crc: 5, bytes: 6 }).expect("told");
    assert!(world.state.pending().is_empty());
    drop(second.1);
    assert_eq!(world.state.pending(), std::slice::from_ref(&told));
    world.state.discard(&told).expect("discarded");
    assert_eq!(fs::read_to_string(&list).expect("there"), "old", "what was there before both");

    let (older, newer) = (begin(30), stock_dump(&world, &list, 1, "newer", 40));
    world.promote(&newer);
    drop(older.1);
    assert_eq!(world.state.pending(), [older.0], "it is still there to be decided about");
}

#[test]
fn a_checksum_from_before_the_clock_was_set_back_is_not_written_down() {
    let world = world();
    let (pending, _living) =
        world.state.before_stock(&world.disk, 0, 9_999_999_999, world.dir.path().join("list"), &world.amandates()).expect("kept");
    assert!(world.state.told(&pending, Crc { crc: 5, bytes: 6 }).is_err());
}

#[test]
fn what_amandas_client_would_build_on_is_looked_at() {
    let world = world();
    let of = |level| stock::base_of_the_future(world.dir.path(), b"laptop1", &world.disk, level, SystemTime::now()).expect("readable");
    let list = |level| stock::list_of(world.dir.path(), b"laptop1", &world.disk, level);
    assert_eq!(of(1), None);
    fs::write(list(0), HEAD).expect("ours");
    fs::write(list(1), "GNU tar-1.35-2\n9999999999\x000\0").expect("ours");
    assert_eq!((of(0), of(1), of(2), of(3)), (None, None, Some(list(1)), Some(list(1))));
    fs::write(list(2), "another tool's").expect("ours");
    assert_eq!(of(3), None, "what other applications keep is theirs");
}

#[test]
fn a_list_that_was_not_there_goes_away_again() {
    let world = world();
    let list = world.dir.path().join("host_home_0");
    let pending = stock_dump(&world, &list, 0, "new", 20);
    world.state.discard(&pending).expect("discarded");
    assert!(!list.exists());
    assert_eq!(amandates::look(&world.amandates(), &world.disk, 0).expect("readable"), None);
}
