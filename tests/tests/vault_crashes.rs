//! kill -9 at moments drawn over everything that a backup into a vault does to files: writes, fsyncs, renames, links, removals. After
//! each: nothing that was there before is lost, nothing half is listed, and the next backup succeeds by itself and can be restored.
//!
//! An undisturbed run counts the calls; the moments are spread over all of them, and the seed is printed (`ASYNCAMANDA_SEED`
//! chooses it). Calls that fail are in `vault_faults.rs`.

use std::collections::BTreeSet;

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
        let fault = if chance.draw().is_multiple_of(3) { Fault::Torn(at) } else { Fault::Kill(at) };
        println!("moment {moment}: {fault:?} of {calls}");
        ordeal.put_back();
        let before = ordeal.vault().identities();
        ordeal.live();
        let ended = ordeal.back_up(fault);
        println!("  the last calls: {:?}", ordeal.faults.calls().iter().rev().take(3).collect::<Vec<_>>());
        // Threads do not always come in the same order: near the end a run may have made less calls than the counted one.
        if ended.signal == Some(9) {
            killed += 1;
        } else {
            ended.expect_code(0);
        }
        ordeal.nothing_is_lost(&before);
        // What killed the first may kill the one that mends, too.
        if chance.draw().is_multiple_of(4) {
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
    // More days than those for which a volume is written to. The last run is the one that takes a volume again.
    let dumps = loop {
        ordeal.now += 9 * DAY;
        ordeal.live();
        ordeal.keep();
        let before = ordeal.vault().dumps();
        ordeal.back_up(Fault::None).expect_code(0);
        let after = ordeal.vault().identities();
        if before.iter().any(|dump| !after.contains(&dump.identity())) {
            break before;
        }
        assert!(ordeal.now < 100 * DAY, "no volume is taken again: {:?}", ordeal.vault().labels());
    };
    ordeal.put_back();
    // Nothing of the newest chain may go, nothing younger than 30 days, nor what such a dump builds on.
    let young = stamp(ordeal.now - 30 * DAY);
    let kept = dumps.iter().filter(|dump| dump.datestamp >= young).chain(dumps.last());
    let needed: BTreeSet<Identity> =
        kept.flat_map(|dump| ordeal.vault().chain(&ordeal.disks[0], Some(&dump.datestamp))).map(|dump| dump.identity()).collect();
    ordeal.may_go = dumps.iter().map(Dump::identity).filter(|dump| !needed.contains(dump)).collect();
    assert!(!ordeal.may_go.is_empty(), "nothing is old: {dumps:#?}");
    die_at(&mut ordeal, 30, 3);
}

/// Returns the datestamp of a time so many seconds from now, in the world's time zone, which is UTC.
fn stamp(ahead: i64) -> String {
    let mut date = child::program("date");
    date.args(["-u", "+%Y%m%d%H%M%S", "-d", &format!("{ahead} seconds")]);
    child::must(date).trim().to_owned()
}
