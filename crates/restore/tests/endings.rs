//! Restores that do not go to their end, dumps that are not what they were, and what is left alone.

mod kit;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use kit::depot::{Faults, start};
use kit::history::{Client, History};
use kit::tree::{Look, assert_same, tree};
use kit::{restore, restore_with, state, wish};
use restore::job::{End, Entry, ListError, Part, Watch, list};
use restore::place::{Rules, Target};
use wire::restore::{Ask, Packing, PathBytes, What};

fn history() -> History {
    let mut history = History::new(Client::Ours);
    history.change(
        "mkdir -p a/b c; printf -v x %01000d 0; for i in $(seq 400); do printf $x > a/$i; echo $i > a/b/$i; done; echo c > c/c; ln c/c c/d",
    );
    history.dump(0);
    history.change("echo new > a/7; rm a/8; mv c e; echo f > e/f");
    history.dump(1);
    history
}

#[test]
fn a_cut_connection_leaves_what_is_whole_and_the_same_call_goes_on() {
    let mut history = history();
    let cuts = [(Packing::Plain, 0), (Packing::Plain, 100_000), (Packing::Plain, 400_000), (Packing::Zstd, 3000), (Packing::Frames, 9000)];
    for (packing, cut) in cuts {
        history.packing = packing;
        let to = history.path("to");
        let faults = Faults { cut: Some(cut), ..Faults::default() };
        let outcome = restore_with(&history, faults, 1, &[wish("", "")], &to);
        let look = Look { directory_times: false, links: false, ..Look::new(true) };
        let (found, expected) = (tree(&to, look), tree(&history.dumps[1].copy, look));
        if matches!(outcome.end, End::Done) {
            assert_same(&found, &expected, "it was never cut");
        }
        for (path, is) in &found {
            assert!(is.starts_with("directory") || expected.get(path) == Some(is), "{packing:?} {cut} {path:?} {is}");
        }
        let again = restore(&history, 1, &[wish("", "")], &to);
        assert!(again.is_whole(), "{packing:?} {cut}: {again:#?}");
        assert_same(&tree(&to, look), &expected, &format!("{packing:?} cut at {cut}"));
        assert_eq!(again.kept.count, outcome.files + outcome.links, "{packing:?} {cut}: {again:#?}");
        fs::remove_dir_all(&to).expect("ours");
    }
}

#[test]
fn what_is_there_is_kept_and_not_fetched() {
    let history = history();
    let to = history.path("to");
    restore(&history, 1, &[wish("", "")], &to);
    fs::write(to.join("a/7"), "mine").expect("ours");
    fs::remove_file(to.join("a/9")).expect("ours");
    let faults = Faults::default();
    let outcome = restore_with(&history, faults.clone(), 1, &[wish("", "")], &to);
    assert_eq!((outcome.files, outcome.kept.count, outcome.is_whole()), (1, 801, true), "{outcome:#?}");
    assert_eq!(outcome.kept_uncompared, 801, "{outcome:#?}");
    assert_eq!(fs::read(to.join("a/7")).expect("there"), b"mine");
    let fetched = |ask: &Ask| match ask {
        Ask::Fetch { dump, what } => Some((dump.level, what.clone())),
        _ => None,
    };
    let asked: Vec<_> = faults.asked.lock().expect("no panic").iter().filter_map(fetched).collect();
    assert_eq!(asked, [(0, What::Members(vec![PathBytes::new(b"a/9")]))]);
}

#[test]
fn nobody_is_asked_for_what_cannot_be_and_all_else_comes() {
    let history = history();
    let to = history.path("to");
    let outcome =
        restore(&history, 1, &[wish("a/8", "8"), wish("c/c", "c"), wish("none/x", "x"), wish("a/9", "9"), wish("a/9/x", "y")], &to);
    let missing: Vec<_> = outcome.missing.first.iter().map(|missing| missing.path.clone()).collect();
    assert_eq!(missing.len(), 3, "{outcome:#?}");
    assert!(outcome.missing.first.iter().all(|missing| missing.why == "it was not there then"), "{outcome:#?}");
    assert_eq!(tree(&to, Look::new(true)).keys().collect::<Vec<_>>(), [b"9"]);
}

#[test]
fn a_damaged_part_is_named_and_everything_else_comes() {
    let history = history();
    let to = history.path("to");
    let size = usize::try_from(fs::metadata(history.archive(0)).expect("a dump").len()).expect("small");
    let faults = Faults { hole: Some((0, size / 2, 4096)), ..Faults::default() };
    let outcome = restore_with(&history, faults, 0, &[wish("", "")], &to);
    assert!(!outcome.is_whole() && matches!(outcome.end, End::Done), "{outcome:#?}");
    assert!(outcome.damaged[0].what.contains("a block of the volume cannot be read"), "{outcome:#?}");
    let (found, expected) = (tree(&to, Look::new(true)), tree(&history.dumps[0].copy, Look::new(true)));
    let lost = expected.len() - found.len();
    assert!(lost > 0 && lost < 20 && outcome.missing.count == lost as u64, "{lost}: {outcome:#?}");
    assert!(found.iter().all(|(path, is)| expected.get(path) == Some(is)));
}

#[test]
fn another_checksum_than_the_catalogs_is_a_damage() {
    let history = history();
    let to = history.path("to");
    let faults = Faults { wrong_crc: true, ..Faults::default() };
    let outcome = restore_with(&history, faults, 0, &[wish("", "")], &to);
    assert!(outcome.damaged.len() == 1 && outcome.damaged[0].what.starts_with("What came is not what was stored"), "{outcome:#?}");
    assert_same(&tree(&to, Look::new(true)), &tree(&history.dumps[0].copy, Look::new(true)), "all came");
}

#[test]
fn a_damage_behind_the_archives_end_is_heard() {
    let mut history = History::new(Client::Ours);
    history.change("echo a > a");
    history.dump(0);
    for packing in [Packing::Gzip, Packing::Zstd] {
        history.packing = packing;
        let to = history.path(&format!("{packing:?}"));
        let faults = Faults { wrong_end: true, ..Faults::default() };
        let outcome = restore_with(&history, faults, 0, &[wish("", "")], &to);
        assert!(!outcome.is_whole() && outcome.damaged.len() == 1, "{packing:?} {outcome:#?}");
    }
}

#[test]
fn a_second_name_is_not_kept_where_a_directory_is() {
    let mut history = History::new(Client::Ours);
    history.change("echo a > a; ln a b");
    history.dump(0);
    let to = history.path("to");
    // The archive has one of the names first: whichever, the other one is in the way.
    fs::create_dir_all(to.join("b")).expect("new");
    fs::create_dir_all(to.join("a")).expect("new");
    let outcome = restore(&history, 0, &[wish("", "")], &to);
    assert!(!outcome.is_whole() && outcome.kept.is_empty() && outcome.missing.count == 2, "{outcome:#?}");
}

#[test]
fn a_dump_that_is_gone_costs_what_it_had() {
    let history = history();
    let to = history.path("to");
    let faults = Faults { gone: Some(1), ..Faults::default() };
    let outcome = restore_with(&history, faults, 1, &[wish("", "")], &to);
    assert_eq!(outcome.damaged[0].what, "It cannot be read: volume V1 is not there.");
    assert_eq!(outcome.damaged[0].hint, "Insert it and try again.");
    let missing: Vec<_> =
        outcome.missing.first.iter().map(|missing| String::from_utf8_lossy(missing.path.as_bytes()).into_owned()).collect();
    assert!(missing.contains(&"a/7".to_owned()) && missing.contains(&"e/f".to_owned()) && missing.len() == 2, "{missing:?}");
    assert!(to.join("e/c").exists() && to.join("a/9").exists());
}

#[test]
fn what_is_left_out_is_no_loss() {
    let mut history = History::new(Client::Ours);
    history.exclude = vec!["*.iso", "./cache"];
    history.change("mkdir -p cache d; echo > cache/x; echo > d/a.iso; echo > d/b; echo > gone.iso");
    history.dump(0);
    history.change("echo > d/c");
    history.dump(1);
    for dump in [0, 1] {
        let to = history.path(&format!("to{dump}"));
        let outcome = restore(&history, dump, &[wish("", "")], &to);
        assert!(outcome.is_whole() && outcome.left_out == 3, "{outcome:#?}");
        assert_eq!(tree(&to, Look::new(true)).len(), 2 + dump);
    }
}

#[test]
fn a_disk_of_which_only_some_directories_are_dumped_comes_back() {
    let mut history = History::new(Client::Ours);
    history.include = vec!["./b", "./a"];
    history.change("mkdir -p a/in b; echo a > a/in/a; echo b > b/b; echo c > c");
    history.dump(0);
    history.change("mv a/in b/out; echo new > a/new");
    history.dump(1);
    let to = history.path("to");
    let outcome = restore(&history, 1, &[wish("", "")], &to);
    assert!(outcome.is_whole() && outcome.remarks.count == 1, "{outcome:#?}");
    let mut expected = tree(&history.dumps[1].copy, Look::new(true));
    expected.remove(&b"c"[..]);
    assert_same(&tree(&to, Look::new(true)), &expected, "a and b");
}

#[test]
fn a_file_that_was_dumped_by_its_own_name_comes_as_it_was_last() {
    let mut history = History::new(Client::Ours);
    history.include = vec!["./b", "./c", "./new", "./e/f"];
    history.change("mkdir b e; echo b > b/b; echo old > c; echo old > e/f; echo first > new; touch -d 2001-01-01 c e/f b/b");
    history.dump(0);
    history.change("echo newer > c; echo newer > e/f; rm b/b; echo x > b/x");
    history.dump(1);
    for (case, wishes, paths) in [
        ("all", vec![wish("", "")], &["c", "e/f", "b/x"][..]),
        ("one file", vec![wish("c", "c")], &["c"]),
        ("a file in a directory that is not dumped", vec![wish("e/f", "e/f")], &["e/f"]),
        ("a directory that is not dumped", vec![wish("e", "e")], &["e/f"]),
    ] {
        let to = history.path(case);
        let outcome = restore(&history, 1, &wishes, &to);
        assert!(outcome.is_whole(), "{case}: {outcome:#?}");
        for path in paths {
            let expected = fs::read(history.disk().join(path)).expect("a file");
            assert_eq!(fs::read(to.join(path)).unwrap_or_default(), expected, "{case}: {path}");
        }
        assert!(!to.join("b/b").exists() && to.join("new").exists() == (case == "all"), "{case}");
        assert_eq!(outcome.kept.count, 0, "{case}: {outcome:#?}");
    }
    let mut depot = start(&history, Faults::default());
    let listed = list(&mut depot, &state(&history, 1), &PathBytes::default()).expect("there");
    let c = listed.iter().find(|entry| entry.name == b"c").expect("a file");
    assert_eq!((c.is_directory, c.of), (false, 1));
}

/// Stops at a file.
struct StopAt<'a>(&'a AtomicBool, Vec<Part>);

impl Watch for StopAt<'_> {
    fn planned(&mut self, parts: &[Part]) {
        self.1 = parts.to_vec();
    }

    fn made(&mut self, at: &PathBytes) {
        if at.as_bytes() == b"a/100" {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_restore_that_is_stopped_says_what_it_planned_and_ends() {
    let history = history();
    let to = history.path("to");
    fs::create_dir(&to).expect("new");
    let stop = AtomicBool::new(false);
    let mut watch = StopAt(&stop, Vec::new());
    let mut depot = start(&history, Faults::default());
    let target = Target::open(&to, Rules::of_this_process()).expect("a directory");
    let outcome = restore::job::restore(&mut depot, &state(&history, 1), &[wish("", "")], target, &mut watch, &stop);
    assert!(matches!(outcome.end, End::Stopped), "{outcome:#?}");
    assert!(to.join("a/100").exists() && !to.join("a/b/400").exists());
    assert!(!depot.is_usable());
    let planned: Vec<_> = watch.1.iter().map(|part| (part.dump.level, part.whole, part.files)).collect();
    assert_eq!(planned, [(1, true, Some(2)), (0, true, Some(800))]);
}

#[test]
fn a_directory_is_listed_as_it_was() {
    let history = history();
    let mut depot = start(&history, Faults::default());
    let mut names = |dump: usize, path: &str| {
        let entries = list(&mut depot, &state(&history, dump), &PathBytes::new(path.as_bytes()))?;
        let shown =
            |entry: &Entry| format!("{}{} {}", String::from_utf8_lossy(&entry.name), if entry.is_directory { "/" } else { "" }, entry.of);
        Ok::<_, ListError>(entries.iter().map(shown).collect::<Vec<_>>())
    };
    assert_eq!(names(0, "").expect("there"), ["a/ 0", "c/ 0"]);
    assert_eq!(names(1, "").expect("there"), ["a/ 1", "e/ 1"]);
    assert_eq!(names(0, "c").expect("there"), ["c 0", "d 0"]);
    assert_eq!(names(1, "e").expect("there"), ["c 0", "d 0", "f 1"]);
    assert_eq!(names(1, "a/b").expect("there").len(), 400);
    let a = names(1, "a").expect("there");
    assert!(a.contains(&"7 1".to_owned()) && a.contains(&"9 0".to_owned()) && !a.iter().any(|name| name.starts_with("8 ")), "{a:?}");
    for (dump, path) in [(1, "c"), (1, "none"), (0, "e"), (0, "a/none")] {
        assert!(matches!(names(dump, path), Err(ListError::NotThere)), "{dump} {path}");
    }
    for (dump, path) in [(0, "c/c"), (1, "e/f")] {
        assert!(matches!(names(dump, path), Err(ListError::NotADirectory)), "{dump} {path}");
    }
}
