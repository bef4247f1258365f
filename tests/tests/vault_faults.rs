//! What else can go wrong with a vault: calls that fail, a full disk, a drive that is pulled out in the middle of a write, a bit that flips.
//! Nothing is lost by it, somebody is told in a sentence, and the next backup succeeds by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use asyncamanda_tests::faults::{Fault, seed};
use asyncamanda_tests::mount::Mount;
use asyncamanda_tests::ordeal::Ordeal;
use asyncamanda_tests::{Background, Finished, child, procs, tree, until};
use nix::libc::{EIO, ENOSPC};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: i64 = 86_400;

/// Two backups, a day apart, and changes since.
fn two_backups(disks: &[&str]) -> Ordeal {
    let mut ordeal = Ordeal::new(disks);
    for _ in 0..2 {
        ordeal.back_up(Fault::None).expect_code(0);
        ordeal.now += DAY;
        ordeal.live();
    }
    ordeal
}

/// It ended in words: no success that is none, no panic, nothing said in vain.
fn in_words(ended: &Finished) {
    assert!(matches!(ended.code, Some(0 | 1 | 75 | 78)), "{ended}");
    assert!(!ended.stderr.contains("panicked"), "{ended}");
    assert!(ended.code == Some(0) || ended.stderr.contains("asyncamanda: "), "{ended}");
}

#[test]
fn whatever_call_fails_nothing_is_lost() {
    let mut ordeal = two_backups(&["Documents"]);
    ordeal.keep();
    let mut chance = tree::Noise::new(seed());
    ordeal.back_up(Fault::None).expect_code(0);
    let calls = ordeal.faults.count();
    let moments = 40;
    for moment in 0..moments {
        let at = moment * calls / moments + 1 + chance.draw() % (calls / moments).max(1);
        let fault = [Fault::Fail(at, EIO), Fault::Fail(at, ENOSPC), Fault::Full(at)][usize::try_from(moment % 3).expect("small")];
        println!("moment {moment}: {fault:?} of {calls}");
        ordeal.put_back();
        let before = ordeal.vault().identities();
        ordeal.live();
        let ended = ordeal.back_up(fault);
        println!(
            "  from there on: {:?}",
            ordeal.faults.calls().iter().skip(usize::try_from(at).expect("small") - 1).take(3).collect::<Vec<_>>()
        );
        in_words(&ended);
        ordeal.nothing_is_lost(&before);
        if ended.code == Some(0) {
            ordeal.gives_back(moment);
        }
        ordeal.live();
        ordeal.goes_on(&before, 1000 + moment);
    }
}

#[test]
fn a_full_disk_fails_the_backup_and_loses_nothing() {
    let mut ordeal = two_backups(&["Documents"]);
    let before = ordeal.vault().identities();
    // What there is, and half a megabyte: much less than what has come in addition.
    let room = ordeal.vault().size().0 / 1024 + 512;
    let mount = Mount::over(&ordeal.vault().0, u32::try_from(room).expect("small"));
    let bulk = tree::Noise::new(3).bytes(3 << 20);
    fs::write(ordeal.disks[0].join("film"), bulk).expect("ours");
    let ended = ordeal.back_up(Fault::None);
    in_words(&ended);
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(["space", "room", "full"].iter().any(|word| ended.stderr.contains(word)), "{ended}");
    ordeal.nothing_is_lost(&before);
    // Without a byte left not even a small one.
    let ballast = mount.fill();
    let ended = ordeal.back_up(Fault::None);
    in_words(&ended);
    assert_ne!(ended.code, Some(0), "{ended}");
    ordeal.nothing_is_lost(&before);
    fs::remove_file(ballast).expect("ours");
    mount.remount("size=64m");
    ordeal.live();
    ordeal.goes_on(&before, 0);
}

/// Returns the call that writes into a dump on the holding disk for the second time: an undisturbed run tells.
fn a_write_of_a_dump(ordeal: &Ordeal) -> u64 {
    ordeal.back_up(Fault::None).expect_code(0);
    let calls = ordeal.faults.calls();
    let second = calls.iter().filter(|call| call.contains(" write") && call.contains("/holding/")).nth(1);
    let second = second.unwrap_or_else(|| panic!("no write of a dump: {calls:#?}"));
    second.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

/// Begins a backup that stops before a call.
fn stopped_at(ordeal: &Ordeal, call: u64) -> Background {
    let running = ordeal.begin(Fault::Stop(call));
    until("the backup to stop in the middle of a write", MINUTE, || procs::read(running.pid()).filter(|process| process.state == 'T'));
    running
}

fn go_on(running: Background) -> Finished {
    kill(Pid::from_raw(running.pid()), Signal::SIGCONT).expect("it is there");
    running.wait(MINUTE)
}

/// Says that nothing at all is at a path, or an empty directory.
#[track_caller]
fn nothing_is_at(path: &Path) {
    let mut find = child::program("find");
    find.arg(path).args(["-mindepth", "1"]);
    let found = child::run(find, MINUTE).stdout;
    assert!(found.is_empty(), "something was written where the vault had been, or is to be:\n{found}");
}

#[test]
fn a_drive_that_is_pulled_out_in_mid_write_is_left_alone_and_is_as_it_was_when_it_is_back() {
    let mut ordeal = two_backups(&["Documents"]);
    // A drive is what is mounted at the vault's place, and not below it; and it has a file system of its own, by which a vault that is
    // away is told from one that was removed.
    let (place, drive) = (ordeal.vault().0, ordeal.home.path("drive"));
    fs::rename(&place, &drive).and_then(|()| fs::create_dir(&place)).expect("ours");
    let own = Mount::over(&drive, 64 << 10);
    let (plug, pull) = (["mount", "--bind"], ["umount", "--lazy"]);
    let handle = |how: [&str; 2], paths: &[&Path]| {
        let mut program = child::program(how[0]);
        program.arg(how[1]).args(paths);
        child::must(program);
    };
    handle(plug, &[&drive, &place]);
    // Once, so that it is known to be there; and once to see what a run does.
    let film = |ordeal: &Ordeal, seed| fs::write(ordeal.disks[0].join("film"), tree::Noise::new(seed).bytes(3 << 20)).expect("ours");
    film(&ordeal, 3);
    ordeal.back_up(Fault::None).expect_code(0);
    ordeal.now += DAY;
    film(&ordeal, 4);
    let at = a_write_of_a_dump(&ordeal);
    ordeal.now += DAY;
    film(&ordeal, 5);
    let before = ordeal.vault().identities();
    let running = stopped_at(&ordeal, at);
    // It has mounts of its own.
    let mut inside = child::program("nsenter");
    inside.args(["--mount", "--target", &running.pid().to_string(), "umount", "--lazy"]).arg(&place);
    child::must(inside);
    handle(pull, &[&place]);
    let ended = go_on(running);
    in_words(&ended);
    assert_ne!(ended.code, Some(0), "{ended}");
    nothing_is_at(&place);
    // Not there: later, and nothing is made in its place.
    let ended = ordeal.back_up(Fault::None).expect_code(75);
    in_words(&ended);
    nothing_is_at(&place);
    handle(plug, &[&drive, &place]);
    ordeal.nothing_is_lost(&before);
    ordeal.live();
    ordeal.goes_on(&before, 0);
    handle(pull, &[&place]);
    drop(own);
}

#[test]
fn a_vault_that_goes_away_at_any_moment_is_as_it_was_when_it_is_back() {
    let mut ordeal = two_backups(&["Documents"]);
    ordeal.keep();
    let mut chance = tree::Noise::new(seed());
    ordeal.back_up(Fault::None).expect_code(0);
    let calls = ordeal.faults.count();
    let (place, away) = (ordeal.vault().0, ordeal.home.path("away"));
    let moments = 24;
    for moment in 0..moments {
        let at = moment * calls / moments + 1 + chance.draw() % (calls / moments).max(1);
        // What is left is nothing, or a directory with nothing in it, as below a drive.
        let is_drive = moment % 2 == 0;
        println!("moment {moment}: {at} of {calls}, {}", if is_drive { "a bare directory stays" } else { "nothing stays" });
        ordeal.put_back();
        let before = ordeal.vault().identities();
        ordeal.live();
        let running = stopped_at(&ordeal, at);
        println!("  the last call: {:?}", ordeal.faults.calls().last());
        fs::rename(&place, &away).expect("ours");
        if is_drive {
            fs::create_dir(&place).expect("ours");
        }
        let ended = go_on(running);
        in_words(&ended);
        // The call at which it was stopped goes on by the path that it had: a small file may lie there, and no dump.
        for dumps in ["vtapes", "holding", "index"] {
            assert!(!place.join(dumps).exists(), "{dumps} was made where the vault had been");
        }
        let _not_there = fs::remove_dir_all(&place);
        fs::rename(&away, &place).expect("ours");
        ordeal.nothing_is_lost(&before);
        if ended.code == Some(0) {
            ordeal.gives_back(moment);
        }
        ordeal.live();
        ordeal.goes_on(&before, 1000 + moment);
    }
}

#[test]
fn a_flipped_bit_is_found_and_named_and_the_next_backup_is_a_full_one() {
    let mut ordeal = two_backups(&["Documents", "Pictures"]);
    ordeal.back_up(Fault::None).expect_code(0);
    let vault = ordeal.vault().0.display().to_string();
    ordeal.home.shim(&["verify", &vault]).expect_code(0);
    // In the full dump of the first disk, on which all others of it build.
    let damaged = ordeal.vault().chain(&ordeal.disks[0], None)[0].clone();
    let file = File::options().read(true).write(true).open(&damaged.path).expect("root may");
    let (mut byte, at) = ([0], 32_768 + damaged.bytes / 2);
    file.read_exact_at(&mut byte, at).and_then(|()| file.write_all_at(&[byte[0] ^ 4], at)).expect("root may");
    drop(file);
    let said = ordeal.home.shim(&["verify", &vault]).expect_code(1);
    let text = format!("{}{}", said.stdout, said.stderr);
    for part in [ordeal.disks[0].display().to_string(), damaged.path.file_name().expect("it has one").to_string_lossy().into_owned()] {
        assert!(text.contains(&part), "{part:?} is not named:\n{said}");
    }
    assert!(!text.contains(&ordeal.disks[1].display().to_string()), "a sound one is named:\n{said}");
    ordeal.now += DAY;
    ordeal.live();
    let before: BTreeMap<_, _> = ordeal.vault().dumps().into_iter().map(|dump| (dump.identity(), dump)).collect();
    ordeal.back_up(Fault::None).expect_code(0);
    let new: Vec<_> = ordeal.vault().dumps().into_iter().filter(|dump| !before.contains_key(&dump.identity())).collect();
    let level = |disk: &Path| new.iter().find(|dump| dump.disk == disk.to_string_lossy()).map(|dump| dump.level);
    assert_eq!(level(&ordeal.disks[0]), Some(0), "the damaged one is built on: {new:#?}");
    assert!(level(&ordeal.disks[1]).is_some_and(|level| level > 0), "the sound one is not built on: {new:#?}");
    ordeal.gives_back(0);
    // It is still there, and still named, until its volume's time has come.
    ordeal.home.shim(&["verify", &vault]).expect_code(1);
}

/// What the tests of crashes stand on: no call to a file passes the library by, but for one kind. The crate tempfile renames without libc.
/// Such a rename comes right after a counted call, the fsync of what it renames, so that what is there before and after it is met all the
/// same.
#[test]
fn every_call_to_a_file_is_counted() {
    let ordeal = two_backups(&["Documents"]);
    ordeal.keep();
    ordeal.back_up(Fault::None).expect_code(0);
    let counted = tally(ordeal.faults.calls().iter().filter_map(|call| call.split(' ').nth(1)));
    ordeal.put_back();
    let trace = ordeal.home.beside.join("trace");
    let mut strace = ordeal.home.command("strace");
    let calls =
        "copy_file_range,sendfile,splice,fsync,fdatasync,syncfs,ftruncate,fallocate,/^rename,/^link,/^symlink,/^unlink,rmdir,/^mkdir";
    strace.args(["-f", "-qq", "-o"]).arg(&trace).args(["-e", &format!("trace=execve,{calls}")]);
    strace.arg(ordeal.home.program("asyncamanda")).args(ordeal.words());
    ordeal.faults.set_ahead(&mut strace, "asyncamanda", ordeal.now);
    child::run(strace, MINUTE).expect_code(0);
    let text = String::from_utf8_lossy(&fs::read(&trace).expect("strace made it")).into_owned();
    let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once(' ')).map(|(pid, call)| (pid, call.trim())).collect();
    // Whoever becomes another program is one that ours has started; the first one becomes ours.
    let others: BTreeSet<&str> = lines.iter().skip(1).filter(|(_, call)| call.starts_with("execve(")).map(|(pid, _)| *pid).collect();
    let mut seen = Vec::new();
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for (thread, call) in lines.into_iter().skip(1).filter(|(pid, _)| !others.contains(pid)) {
        // What another thread interrupted has a second line: `<... fsync resumed>`.
        let Some((name, _)) = call.split_once('(') else { continue };
        if name == "renameat" && call.contains("/.tmp") {
            assert_eq!(last.get(thread), Some(&"fsync"), "before {call}");
        } else {
            seen.push(name);
        }
        last.insert(thread, name);
    }
    let counted: BTreeMap<_, _> = counted.into_iter().filter(|(name, _)| !name.contains("write") && !name.contains("open")).collect();
    assert_eq!(tally(seen.into_iter()), counted, "by strace, and by the library");
}

/// Counts calls by name; `renameat2` and `rename` are one.
fn tally<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for name in names {
        let name = name.trim_end_matches("64").trim_end_matches('2').trim_end_matches("at");
        *tally.entry(name.replace("rmdir", "unlink")).or_default() += 1;
    }
    tally
}
