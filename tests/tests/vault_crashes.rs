//! kill -9 at moments drawn over everything that a backup into a vault does to files: writes, fsyncs, renames, links, removals. After
//! each: nothing that was there before is lost, nothing half is listed, and the next backup succeeds by itself and can be restored.
//!
//! An undisturbed run counts the calls; the moments are spread over all of them, and the seed is printed (`ASYNCAMANDA_SEED`
//! chooses it). Calls that fail are in `vault_faults.rs`.

use std::collections::BTreeSet;
use std::fs;

use asyncamanda_tests::faults::{Fault, seed};
use asyncamanda_tests::ordeal::Ordeal;
use asyncamanda_tests::vault::{Dump, Identity};
use asyncamanda_tests::{child, tree};

const DAY: i64 = 86_400;

/// Draws moments, spread over all calls of an undisturbed run from the kept state, and lets each happen.
fn die_at(ordeal: &mut Ordeal, moments: u64, salt: u64) {
    let mut chance = tree::Noise::new(seed().wrapping_add(salt));
    ordeal.put_back();
    ordeal.live();
    ordeal.back_up(Fault::None).expect_code(0);
    let calls = ordeal.faults.count();
    assert!(calls > moments, "{calls} calls are few for a backup");
    let mut killed = 0;
    for moment in 0..moments {
        let (from, until) = (moment * calls / moments, (moment + 1) * calls / moments);
        let at = from + 1 + chance.draw() % (until - from).max(1);
        let fault = if chance.draw() % 3 == 0 { Fault::Torn(at) } else { Fault::Kill(at) };
        println!("moment {moment}: {fault:?} of {calls}");
        ordeal.put_back();
        let before = ordeal.vault().identities();
        ordeal.live();
        let ended = ordeal.back_up(fault);
        println!("  the last calls: {:?}", ordeal.faults.calls().iter().rev().take(3).collect::<Vec<_>>());
        // Threads do not always come in the same order: near the end a run may have made less calls than the counted one.
        if ended.signal == Some(9) {
            killed += 1
        } else {
            ended.expect_code(0);
        }
        ordeal.nothing_is_lost(&before);
        // What killed the first may kill the one that mends, too.
        if chance.draw() % 4 == 0 {
            ordeal.live();
            ordeal.back_up(Fault::Kill(1 + chance.draw() % calls));
            println!("  and once more: {:?}", ordeal.faults.calls().last());
            ordeal.nothing_is_lost(&before);
        }
        ordeal.live();
        ordeal.goes_on(&before, moment);
    }
    assert!(killed * 10 >= moments * 9, "only {killed} of {moments} moments were met");
}

#[test]
fn a_vault_in_the_making_is_begun_again() {
    let mut ordeal = Ordeal::new(&["Documents"]);
    ordeal.keep();
    die_at(&mut ordeal, 30, 1);
}

#[test]
fn a_backup_that_dies_takes_nothing_with_it() {
    let mut ordeal = Ordeal::new(&["Documents", "Pictures"]);
    for _ in 0..2 {
        ordeal.back_up(Fault::None).expect_code(0);
        ordeal.now += DAY;
        ordeal.live();
    }
    ordeal.keep();
    die_at(&mut ordeal, 40, 2);
}

#[test]
fn a_volume_that_is_taken_again_goes_only_with_what_is_old() {
    let mut ordeal = Ordeal::new(&["Documents"]);
    ordeal.back_up(Fault::None).expect_code(0);
    // Few volumes and full ones each time, so that the oldest has to be taken when its time has come.
    let tapecycle = |text: &str| text.lines().find(|line| line.starts_with("tapecycle ")).expect("it has one").to_owned();
    let conf = fs::read_to_string(ordeal.vault().0.join("amanda.conf")).expect("it has one");
    ordeal.vault().edit(&tapecycle(&conf), "tapecycle 5 tapes");
    // A volume is written to for a fourth of the retention, 30 days.
    while ordeal.vault().labels().len() < 5 || ordeal.now < 45 * DAY {
        ordeal.now += 9 * DAY;
        ordeal.live();
        ordeal.back_up(Fault::None).expect_code(0);
        assert!(ordeal.now < 200 * DAY, "volumes are not filled: {:?}", ordeal.vault().labels());
    }
    ordeal.now += 9 * DAY;
    // Nothing of the newest chain and nothing younger than 30 days may go, nor what such a dump builds on.
    let dumps = ordeal.vault().dumps();
    let young = stamp(ordeal.now - 30 * DAY);
    let needed: BTreeSet<Identity> = dumps
        .iter()
        .filter(|dump| dump.datestamp >= young)
        .map(|dump| dump.datestamp.clone())
        .chain(dumps.last().map(|dump| dump.datestamp.clone()))
        .flat_map(|at| ordeal.vault().chain(&ordeal.disks[0], Some(&at)))
        .map(|dump| dump.identity())
        .collect();
    ordeal.may_go = dumps.iter().map(Dump::identity).filter(|dump| !needed.contains(dump)).collect();
    assert!(!ordeal.may_go.is_empty(), "nothing is old: {dumps:#?}");
    ordeal.keep();
    ordeal.live();
    let labels = ordeal.vault().labels();
    ordeal.back_up(Fault::None).expect_code(0);
    assert!(
        ordeal.vault().identities().intersection(&ordeal.may_go).count() < ordeal.may_go.len(),
        "no volume was taken again: {labels:?}"
    );
    die_at(&mut ordeal, 30, 3);
}

/// Returns the datestamp of a time so many seconds from now, in the world's time zone, which is UTC.
fn stamp(ahead: i64) -> String {
    let mut date = child::program("date");
    date.args(["-u", "+%Y%m%d%H%M%S", "-d", &format!("{ahead} seconds")]);
    child::must(date).trim().to_owned()
}
