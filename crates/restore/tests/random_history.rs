//! Random histories of a small disk, dumped by the real tar: every state comes back.

mod kit;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use kit::depot::members;
use kit::history::{Client, History};
use kit::tree::{Look, differences, tree};
use kit::{restore, wish};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use restore::dumpdir::{Code, Dumpdir};

/// One change of the disk. Numbers choose among what is there.
#[derive(Debug, Clone)]
enum Change {
    Write { dir: usize, name: usize },
    MakeDir { dir: usize, name: usize },
    Remove { what: usize },
    Rename { what: usize, dir: usize, name: usize },
    Swap { one: usize, other: usize },
    Link { what: usize, dir: usize, name: usize },
    Symlink { dir: usize, name: usize },
}

const NAMES: [&str; 5] = ["a", "b", "c", "d\n\\x", "e-"];

fn change() -> impl Strategy<Value = Change> {
    let at = || (any::<usize>(), 0..NAMES.len());
    prop_oneof![
        4 => at().prop_map(|(dir, name)| Change::Write { dir, name }),
        4 => at().prop_map(|(dir, name)| Change::MakeDir { dir, name }),
        2 => any::<usize>().prop_map(|what| Change::Remove { what }),
        5 => (any::<usize>(), at()).prop_map(|(what, (dir, name))| Change::Rename { what, dir, name }),
        2 => any::<[usize; 2]>().prop_map(|[one, other]| Change::Swap { one, other }),
        1 => (any::<usize>(), at()).prop_map(|(what, (dir, name))| Change::Link { what, dir, name }),
        1 => at().prop_map(|(dir, name)| Change::Symlink { dir, name }),
    ]
}

/// Everything on the disk, or only its directories; the disk itself first.
fn all(disk: &Path, only_dirs: bool) -> Vec<PathBuf> {
    let mut found = vec![disk.to_path_buf()];
    let mut at = 0;
    while at < found.len() {
        if found[at].is_dir() && !found[at].is_symlink() {
            let mut inner: Vec<_> = fs::read_dir(&found[at]).expect("ours").map(|entry| entry.expect("ours").path()).collect();
            inner.sort();
            found.extend(inner.into_iter().filter(|path| !only_dirs || (path.is_dir() && !path.is_symlink())));
        }
        at += 1;
    }
    found
}

/// Does it, when it can be done.
fn apply(disk: &Path, change: &Change, counter: &mut usize) {
    *counter += 1;
    let dirs = all(disk, true);
    let things = all(disk, false);
    let in_dir = |dir: &usize, name: &usize| dirs[dir % dirs.len()].join(NAMES[*name]);
    let thing = |what: &usize| things.get(1 + what % (things.len() - 1).max(1));
    let is_dir = |path: &Path| path.is_dir() && !path.is_symlink();
    match change {
        Change::Write { dir, name } if !is_dir(&in_dir(dir, name)) => {
            let _ = fs::remove_file(in_dir(dir, name));
            fs::write(in_dir(dir, name), format!("content {counter}")).expect("ours");
        }
        Change::MakeDir { dir, name } => drop(fs::create_dir(in_dir(dir, name))),
        Change::Remove { what } => match thing(what) {
            Some(path) if is_dir(path) => fs::remove_dir_all(path).expect("ours"),
            Some(path) => fs::remove_file(path).expect("ours"),
            None => {}
        },
        Change::Rename { what, dir, name } => {
            let to = in_dir(dir, name);
            if let Some(path) = thing(what).filter(|_| !to.exists() && !to.is_symlink()) {
                drop(fs::rename(path, to));
            }
        }
        Change::Swap { one, other } => {
            let (one, other) = (&dirs[one % dirs.len()], &dirs[other % dirs.len()]);
            if !one.starts_with(other) && !other.starts_with(one) {
                let aside = disk.join("aside");
                fs::rename(one, &aside).and_then(|()| fs::rename(other, one)).and_then(|()| fs::rename(&aside, other)).expect("ours");
            }
        }
        Change::Link { what, dir, name } => {
            if let Some(path) = thing(what).filter(|path| path.is_file() && !path.is_symlink()) {
                drop(fs::hard_link(path, in_dir(dir, name)));
            }
        }
        Change::Symlink { dir, name } => drop(symlink("somewhere", in_dir(dir, name))),
        Change::Write { .. } => {}
    }
}

/// GNU tar takes a directory for a file now and then, when directories were moved in and out of each other, and dumps nothing of it.
fn forgets_a_directory(history: &History, dump: usize) -> bool {
    let archive = fs::read(history.archive(dump)).expect("a dump");
    let copy = &history.dumps[dump].copy;
    members(&archive).iter().filter_map(|(path, _, dumpdir)| Some((path, dumpdir.as_ref()?))).any(|(path, body)| {
        let dir = copy.join(OsStr::from_bytes(path.as_bytes()));
        let mut files = Dumpdir::parse(body).expect("tar's").entries().filter(|entry| entry.code != Code::Directory);
        files.any(|entry| fs::symlink_metadata(dir.join(OsStr::from_bytes(entry.name))).is_ok_and(|meta| meta.is_dir()))
    })
}

#[test]
fn every_state_of_a_random_history_comes_back() {
    let steps = proptest::collection::vec((proptest::collection::vec(change(), 1..12), 1_u8..4), 1..5);
    let histories = (proptest::collection::vec(change(), 10..40), steps, any::<bool>());
    let cases = std::env::var("HISTORIES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 100, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let checked = runner.run(&histories, |(first, steps, is_ours)| {
        let mut history = History::new(if is_ours { Client::Ours } else { Client::Amandas });
        let mut counter = 0;
        first.iter().for_each(|change| apply(&history.disk(), change, &mut counter));
        history.dump(0);
        for (changes, level) in &steps {
            changes.iter().for_each(|change| apply(&history.disk(), change, &mut counter));
            let dump = history.dump(*level);
            if forgets_a_directory(&history, dump) {
                return Ok(());
            }
            let to = history.path(&format!("to{dump}"));
            let outcome = restore(&history, dump, &[wish("", "")], &to);
            // A name may be in this dump and another one of the same file in a lower one: then they are two files, here as with tar.
            let look = Look { links: false, ..Look::new(history.is_exact()) };
            let (found, expected) = (tree(&to, look), tree(&history.dumps[dump].copy, look));
            prop_assert!(
                outcome.is_whole() && outcome.remarks.is_empty() && found == expected,
                "dump {}: {:#?}\n{:#?}",
                dump,
                differences(&found, &expected),
                outcome
            );
        }
        Ok(())
    });
    checked.unwrap_or_else(|error| panic!("{error}"));
}
