//! Real logs, cut and altered.

use proptest::prelude::*;

use super::*;
use crate::crc::{CrcAgreement, Transform};

const FULL: &[u8] = include_bytes!("../../tests/fixtures/log.full");
const INCREMENTAL: &[u8] = include_bytes!("../../tests/fixtures/log.incremental");
const FALSE_CRC: &[u8] = include_bytes!("../../tests/fixtures/log.false-client-crc");
const DUMPER_RETRIED: &[u8] = include_bytes!("../../tests/fixtures/log.killed-dumper-retried");
const KILLED_CHUNKER: &[u8] = include_bytes!("../../tests/fixtures/log.killed-chunker");
const KILLED_DRIVER: &[u8] = include_bytes!("../../tests/fixtures/log.killed-driver");
const KILLED_PLANNER: &[u8] = include_bytes!("../../tests/fixtures/log.killed-planner");
const KILLED_AMDUMP: &[u8] = include_bytes!("../../tests/fixtures/log.killed-amdump");
const PLANNER_FAILED: &[u8] = include_bytes!("../../tests/fixtures/log.planner-failed");
const DUMPER_FAILED: &[u8] = include_bytes!("../../tests/fixtures/log.dumper-failed");
const DATA_TIMEOUT: &[u8] = include_bytes!("../../tests/fixtures/log.data-timeout");
const DEGRADED: &[u8] = include_bytes!("../../tests/fixtures/log.degraded-skipped");
const SERVER_COMPRESSED: &[u8] = include_bytes!("../../tests/fixtures/log.server-compressed");
const DIRECT_TO_TAPE: &[u8] = include_bytes!("../../tests/fixtures/log.direct-to-tape");
const TAPED: &[u8] = include_bytes!("../../tests/fixtures/log.taped");
const FLUSH: &[u8] = include_bytes!("../../tests/fixtures/log.flush");

const CLIENT_COMPRESSES: Transform = Transform { server_side: false };

fn home() -> Dle {
    Dle::new("127.0.0.4", "/srv/aafx/src/home docs")
}

fn data() -> Dle {
    Dle::new("127.0.0.5", "/srv/aafx/src/data")
}

/// A log of one disk, `h /d`, with these lines about it.
fn story(lines: &[&str]) -> Option<LastWord> {
    let log = format!("START planner date 20261122023017\nDISK planner h /d\n{}\n", lines.join("\n"));
    RunLog::parse(log.as_bytes()).last_word(&Dle::new("h", "/d"))
}

#[test]
fn each_log_ends_with_the_right_word_for_both_disks() {
    use Outcome::{Failed, Ok, Strange};
    for (case, log, home_word, data_word) in [
        ("full", FULL, Some((Ok, 0)), Some((Ok, 0))),
        ("incremental", INCREMENTAL, Some((Ok, 1)), Some((Ok, 0))),
        ("false client crc", FALSE_CRC, Some((Ok, 0)), Some((Ok, 0))),
        ("killed dumper", DUMPER_RETRIED, Some((Ok, 0)), Some((Strange, 0))),
        ("killed chunker", KILLED_CHUNKER, Some((Ok, 0)), Some((Failed, 0))),
        ("killed driver", KILLED_DRIVER, Some((Ok, 0)), None),
        ("killed planner", KILLED_PLANNER, None, None),
        ("killed amdump", KILLED_AMDUMP, Some((Ok, 0)), Some((Ok, 0))),
        ("planner failed another", PLANNER_FAILED, Some((Ok, 0)), None),
        ("data timeout", DATA_TIMEOUT, Some((Failed, 0)), None),
        ("degraded mode", DEGRADED, Some((Failed, 0)), Some((Failed, 0))),
        ("server compresses", SERVER_COMPRESSED, Some((Ok, 0)), Some((Ok, 0))),
        ("direct to tape", DIRECT_TO_TAPE, Some((Ok, 0)), Some((Ok, 0))),
        ("taped after holding", TAPED, Some((Ok, 0)), Some((Ok, 0))),
        ("flush of an earlier run", FLUSH, None, None),
    ] {
        let run = RunLog::parse(log);
        let word = |dle| run.last_word(&dle).map(|word| (word.outcome, word.level));
        assert_eq!((word(home()), word(data())), (home_word, data_word), "{case}");
    }
}

#[test]
fn each_log_tells_how_the_run_ended() {
    for (case, log, writer, stamp, planner, driver, done) in [
        ("full", FULL, "amdump", "20261122023017", true, true, true),
        ("killed chunker", KILLED_CHUNKER, "amdump", "20261122023305", true, false, false),
        ("killed driver", KILLED_DRIVER, "amdump", "20261122023141", true, false, true),
        ("killed planner", KILLED_PLANNER, "amdump", "20261122023138", false, true, true),
        ("killed amdump", KILLED_AMDUMP, "amdump", "20261122023209", true, true, false),
        ("flush", FLUSH, "amflush", "20261122023850", false, true, true),
    ] {
        let run = RunLog::parse(log);
        let ended = (run.planner_finished, run.driver_finished, run.amdump_done());
        assert_eq!(ended, (planner, driver, done), "{case}");
        assert_eq!((run.writer.as_deref(), run.datestamp.as_deref()), (Some(writer), Some(stamp)), "{case}");
        assert_eq!(run.disks, [home(), data()], "{case}");
        assert!(run.fatal.is_empty() && run.errors.is_empty(), "{case}");
    }
}

#[test]
fn programs_are_named_and_the_killed_one_is_not_done() {
    let run = RunLog::parse(KILLED_CHUNKER);
    assert_eq!(run.amdump_pid(), Some(8631));
    assert_eq!(run.pids[0], Program { name: "amdump".into(), pid: 8631, done: false });
    let chunkers: Vec<_> = run.pids.iter().filter(|program| program.name == "chunker").collect();
    assert_eq!(chunkers.iter().map(|chunker| (chunker.pid, chunker.done)).collect::<Vec<_>>(), [(8685, true), (8684, false)]);
}

#[test]
fn sizes_and_checksums_are_those_of_the_log() {
    let word = RunLog::parse(FULL).last_word(&data()).unwrap();
    assert_eq!(word.datestamp, "20261122023017");
    assert_eq!(word.orig_kb, Some(3910));
    assert_eq!(word.native, Some(Crc { crc: 0xe044_fb5d, bytes: 4_003_840 }));
    assert_eq!(word.client, Some(Crc { crc: 0x2e69_ab16, bytes: 4_000_928 }));
    assert_eq!(word.server, word.client);
    assert_eq!(word.reason, "");
}

#[test]
fn a_false_checksum_is_seen_though_amanda_says_success() {
    let server_compresses = Transform { server_side: true };
    let agreement = |log, transform| RunLog::parse(log).last_word(&data()).unwrap().crc_agreement(transform);
    assert_eq!(agreement(FULL, CLIENT_COMPRESSES), CrcAgreement::Same);
    assert_eq!(
        agreement(FALSE_CRC, CLIENT_COMPRESSES),
        CrcAgreement::Differs { client: Crc { crc: 0x1234_5678, bytes: 4_000_928 }, server: Crc { crc: 0x2e69_ab16, bytes: 4_000_928 } }
    );
    // The very same log is no fault where the server compresses; and comparing there would always cry wolf.
    assert_eq!(agreement(SERVER_COMPRESSED, server_compresses), CrcAgreement::Unknown);
    assert!(matches!(agreement(SERVER_COMPRESSED, CLIENT_COMPRESSES), CrcAgreement::Differs { .. }));
    // The taper of 3.5.1 logs no checksum of its own.
    assert_eq!(agreement(DIRECT_TO_TAPE, CLIENT_COMPRESSES), CrcAgreement::Unknown);
}

#[test]
fn a_killed_dumper_makes_an_attempt_of_its_own() {
    let run = RunLog::parse(DUMPER_RETRIED);
    let [first, second] = run.attempts(&data()) else { panic!("two attempts") };
    assert_eq!(first.reason, "dumper0 died");
    assert!(matches!(first.standing(), Standing::Ended(LastWord { outcome: Outcome::Failed, .. })));
    let word = run.last_word(&data()).unwrap();
    assert_eq!(word.crc_agreement(CLIENT_COMPRESSES), CrcAgreement::Same);
    assert!(word.reason.contains("warning [renaming"), "{}", word.reason);
    assert_eq!(second.dumper.as_ref().map(|dumper| dumper.outcome), Some(Outcome::Strange));
}

#[test]
fn reasons_come_with_the_lines_after_them() {
    let missing = Dle::new("127.0.0.6", "/srv/aafx/src/missing");
    let refused = RunLog::parse(PLANNER_FAILED).last_word(&missing).unwrap();
    assert!(refused.reason.starts_with("/usr/lib/amanda/runtar exited with status 2"), "{}", refused.reason);
    let failed = RunLog::parse(DUMPER_FAILED);
    assert_eq!(failed.attempts(&missing).len(), 2);
    let reason = failed.last_word(&missing).unwrap().reason;
    assert!(reason.starts_with("dump (10202) /bin/tar returned 2\nsendbackup: start"), "{reason}");
    assert!(reason.ends_with("Got empty header"), "{reason}");
    let skipped = RunLog::parse(DEGRADED).last_word(&home()).unwrap();
    assert_eq!(skipped.reason, "Skipping: new disk can't be dumped in degraded mode");
}

#[test]
fn a_flush_is_of_the_earlier_run_and_tells_its_parts() {
    let run = RunLog::parse(FLUSH);
    let flushed: Vec<_> = run.flushed.iter().map(|dump| (&dump.dle, dump.datestamp.as_str(), dump.outcome)).collect();
    assert_eq!(flushed, [(&home(), "20261122023847", Outcome::Ok), (&data(), "20261122023847", Outcome::Ok)]);
    assert_eq!(run.flushed[1].server, Some(Crc { crc: 0x413f_4d73, bytes: 4_000_936 }));
    let parts: Vec<_> = run.parts.iter().map(|part| (part.file, part.part, part.whole)).collect();
    assert_eq!(parts, [(1, 1, true), (2, 1, true), (3, 2, true)]);
    assert_eq!(run.parts[2].label, b"fx1-001");
}

#[test]
fn words_pair_up_whatever_their_order() {
    use Outcome::{Failed, Ok, Partial, Strange};
    let dumper = "SUCCESS dumper h /d 20261122023017 0 1:1 2:2 [sec 1 kb 1 kps 1 orig-kb 1]";
    let chunker = "SUCCESS chunker h /d 20261122023017 0 2:2 [sec 1 kb 1 kps 1]";
    let strange = "STRANGE dumper h /d 0 1:1 2:2 [sec 1 kb 1 kps 1 orig-kb 1]";
    let partial = "PARTIAL chunker h /d 20261122023017 0 2:2 [sec 1 kb 1 kps 1]";
    let dumper_fails = "FAIL dumper h /d 20261122023017 0 [data timeout]";
    let chunker_fails = "FAIL chunker h /d 20261122023017 0 [shm_ring cancelled]";
    let driver_fails = "FAIL driver h /d 20261122023017 0 [too many dumper retry: x]";
    let retry = "RETRY dumper h /d 20261122023017 0 delay 5 level 0 message busy";
    let taped = "DONE taper \"ST:s\" \"POOL:p\" h /d 20261122023017 1 0 1:1 2:2 2:2 [sec 1 kb 1 kps 1 orig-kb 1]";
    let tape_fails = "FAIL taper \"ST:s\" \"POOL:p\" h /d 20261122023017 0 error \"no space\"";
    let half_taped = "PARTIAL taper \"ST:s\" \"POOL:p\" h /d 20261122023017 1 0 1:1 2:2 0:0 [sec 1 kb 1 kps 1] \"tape full\"";
    let dead = "WARNING driver dumper0 died while dumping h:/d lev 0.";
    let dead_for_good = "FAIL driver h /d 20261122023017 0 [dumper0 died]";
    let skipped = "SUCCESS planner h /d 20261122023017 0 [skipped: skip-full]";
    let script = "FAIL planner h /d 20261122023017 0 \"a script failed\"";
    let next_level = "SUCCESS chunker h /d 20261122023017 1 2:2 [sec 1 kb 1 kps 1]";
    for (case, lines, expected) in [
        ("both halves", &[dumper, chunker][..], Some(Ok)),
        ("chunker first", &[chunker, dumper], Some(Ok)),
        ("dumper only", &[dumper], None),
        ("chunker only", &[chunker], None),
        ("strange", &[strange, chunker], Some(Strange)),
        ("chunker is partial", &[dumper, partial], Some(Partial)),
        ("strange and partial", &[partial, strange], Some(Partial)),
        ("chunker failed", &[dumper, chunker_fails], Some(Failed)),
        ("dumper failed and chunker is partial", &[dumper_fails, partial], Some(Failed)),
        ("dumper failed", &[dumper_fails], Some(Failed)),
        ("failed, then well", &[dumper_fails, chunker_fails, dumper, chunker], Some(Ok)),
        ("failed, then half", &[dumper_fails, chunker_fails, dumper], None),
        ("well, then failed", &[dumper, chunker, dumper_fails, chunker_fails], Some(Failed)),
        ("dumper died, then well", &[dead, partial, dumper, chunker], Some(Ok)),
        ("dumper died after its chunker's word", &[partial, dead, chunker, dumper], Some(Ok)),
        ("died twice", &[dead, partial, dead_for_good, partial], Some(Failed)),
        ("client asks to try again", &[retry, chunker_fails], Some(Failed)),
        ("too many tries", &[dumper_fails, chunker_fails, driver_fails], Some(Failed)),
        ("straight to tape", &[dumper, taped], Some(Ok)),
        ("straight to tape, not all", &[dumper, half_taped], Some(Partial)),
        ("straight to tape, nothing", &[dumper, tape_fails], Some(Failed)),
        ("in the holding disk though the tape failed", &[dumper, chunker, tape_fails], Some(Ok)),
        ("skipped on purpose", &[skipped], None),
        ("the planner complained and the dump went well", &[script, dumper, chunker], Some(Ok)),
        ("another level is another attempt", &[dumper, next_level], None),
    ] {
        assert_eq!(story(lines).map(|word| word.outcome), expected, "{case}");
    }
    assert_eq!(story(&[dumper, half_taped]).unwrap().reason, "tape full");
    assert_eq!(story(&[retry, chunker_fails]).unwrap().reason, "delay 5 level 0 message busy\nshm_ring cancelled");
}

#[test]
fn skipped_unheard_and_unfinished_are_told_apart() {
    let log = b"START planner date 20261122\nSUCCESS planner h /d 20261122 1 [skipped: skip-incr]\n\
        SUCCESS dumper h /e 20261122 0 1:1 2:2 [sec 1]\n";
    let run = RunLog::parse(log);
    assert_eq!(run.standing(&Dle::new("h", "/d")), Standing::Skipped { reason: "skipped: skip-incr".into() });
    assert_eq!(run.standing(&Dle::new("h", "/e")), Standing::Unfinished);
    assert_eq!(run.standing(&Dle::new("h", "/f")), Standing::Unheard);
}

#[test]
fn fatal_and_error_lines_are_kept_and_made_printable() {
    let run = RunLog::parse(b"FATAL planner cannot \x1b[2J read\nERROR taper no-tape error [x]\nFATAL amdump killed by ctrl-c\n");
    assert_eq!(run.fatal, ["planner: cannot \\x1b[2J read", "amdump: killed by ctrl-c"]);
    assert_eq!(run.errors, ["taper: no-tape error [x]"]);
}

#[test]
fn a_reason_stops_at_4_kib() {
    let long = format!("FAIL dumper h /d 20261122023017 0 [x]\n{}", "  ü lines upon lines\n".repeat(1000));
    let reason = story(&[&long]).unwrap().reason;
    assert!(reason.len() <= 4096 && reason.len() > 4000, "{}", reason.len());
}

proptest! {
    #[test]
    fn a_log_cut_anywhere_says_nothing_that_the_whole_does_not(cut in 0..FULL.len()) {
        let run = RunLog::parse(&FULL[..cut]);
        let whole = RunLog::parse(FULL);
        for dle in [home(), data()] {
            let word = run.last_word(&dle);
            prop_assert!(word.is_none() || word == whole.last_word(&dle));
        }
    }

    #[test]
    fn it_does_not_matter_in_which_pieces_a_log_comes(cut in 0..DUMPER_FAILED.len()) {
        let mut run = RunLog::default();
        run.feed(&DUMPER_FAILED[..cut]);
        run.feed(&DUMPER_FAILED[cut..]);
        let missing = Dle::new("127.0.0.6", "/srv/aafx/src/missing");
        prop_assert_eq!(run.last_word(&missing), RunLog::parse(DUMPER_FAILED).last_word(&missing));
    }

    #[test]
    fn no_log_breaks_the_parser(
        words in prop::collection::vec(prop::sample::select(vec![
            "FAIL", "SUCCESS", "PART", "DONE", "DISK", "INFO", "WARNING", "dumper", "taper", "driver", "\"", "[", "]", "\\",
            "h", "/d", "20261122", "0", "1:1", "ST:", "pid", "\n", "  ", "died while dumping", "lev",
        ]), 0..40),
    ) {
        let _ = RunLog::parse(words.join(" ").as_bytes());
        let _ = RunLog::parse((words.join(" ").replace("\n ", "\n") + "\n").as_bytes());
    }
}
