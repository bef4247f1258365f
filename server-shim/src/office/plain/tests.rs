use super::*;
use crate::office::report::about::{About, Around};
use crate::office::report::run::Run;
use amanda::run_log::said::said;

fn words(log: &str, wanted: &[Option<&str>]) -> String {
    let run = Run::of(&said(log.as_bytes()));
    let about = About {
        config: "c".into(),
        storages: vec!["c".into()],
        tell_next: true,
        tell_used: true,
        unit: 'K',
        unit_kb: 1,
        tape_kb: 3072,
        ..About::default()
    };
    let volumes = wanted.iter().map(|label| label.map(str::to_owned)).collect();
    let around = Around { wanted: Wanted { volumes, labelled: vec![] }, ..Around::default() };
    plain(&Report::of(&run, &about, &around)).join("\n")
}

const HEAD: &str = "START planner date 20261122023901\nDISK planner h /a\nDISK planner h /b\n";

fn dumped(disk: &str) -> String {
    format!(
        "SUCCESS dumper h {disk} 20261122023901 0 1:2 1:2 [sec 1.0 kb 2 kps 2.0 orig-kb 10]\n\
         SUCCESS chunker h {disk} 20261122023901 0 1:2 [sec 1.0 kb 2 kps 2.0]\n\
         PART taper ST:c POOL:c c-04 1 h {disk} 20261122023901 1/-1 0 [sec 1.0 bytes 1550000000 kps 2.0 orig-kb 9]\n\
         DONE taper ST:c POOL:c h {disk} 20261122023901 1 0 1:2 1:2 1:2 [sec 1.0 bytes 1550000000 kps 2.0 orig-kb 9]\n"
    )
}

const END: &str = "FINISH driver date 20261122023901 time 720.0\n";

#[test]
fn a_good_night_takes_three_sentences() {
    assert_eq!(
        words(&format!("{HEAD}{}{}{END}", dumped("/a"), dumped("/b")), &[Some("c-05")]),
        "All 2 disks were backed up in 12 minutes; 3.1 GB went to c-04.\nNothing is wrong.\nFor the next run put in c-05."
    );
}

#[test]
fn what_went_wrong_comes_first_with_what_to_do() {
    let failed = "FAIL planner h /b 20261122023901 0 \"[Request to h failed: timeout waiting for ACK]\"\n";
    assert_eq!(
        words(&format!("{HEAD}{failed}{}{END}", dumped("/a")), &[None]),
        "1 of 2 disks was NOT backed up.\n  \
           h:/b: the machine did not answer (Request to h failed: timeout waiting for ACK).\n    \
             What to do: see that it is switched on and on the network, then `asyncamanda-shim check HOST`; the next run tries again.\n\
         1 disk was backed up in 12 minutes; 1.5 GB went to c-04.\nFor the next run put in a new volume."
    );
}

#[test]
fn a_missing_volume_is_told_in_words() {
    let log = format!(
        "{HEAD}ERROR taper no-tape error \"[No acceptable volumes found]\"\nWARNING taper Label 'c-04' not found\n\
         FAIL driver h /a 20261122023901 0 [can't dump in degraded mode]\nFAIL driver h /b 20261122023901 0 [can't dump in degraded mode]\n{END}"
    );
    let words = words(&log, &[]);
    for part in [
        "NOTHING was backed up: none of 2 disks.",
        "h:/a, h:/b: there was no volume to write to",
        "NO VOLUME could be written to.",
        "  The volume whose turn it is is in no slot (Label 'c-04' not found).\n    What to do: put it in.",
    ] {
        assert!(words.contains(part), "{part}\n{words}");
    }
    assert!(!words.contains("Nothing is wrong"), "{words}");
}

#[test]
fn a_run_that_was_killed_is_said_to_be_one() {
    assert!(words(HEAD, &[]).starts_with("The run did not come to its end"));
}

#[test]
fn real_nights_are_told_in_words() {
    for (log, told) in [
        (
            include_str!("../../../tests/fixtures/logs/log.no-volume"),
            "NO VOLUME could be written to.\n  The volume whose turn it is is in no slot (Label 'fx1-001' not found).\n    What to do: put it in.\n\
             All 2 disks were backed up in 7 seconds, to the holding disk.",
        ),
        (
            include_str!("../../../tests/fixtures/logs/log.runtapes"),
            "Not all dumps went to a volume.\n  \
             A run may not write more volumes than that (1 tapes filled; runtapes=1 does not allow additional tapes).\n    \
             What to do: raise `runtapes` in amanda.conf, or let the next run write the rest.\n\
             All 2 disks were backed up in 6 seconds, 1 of them to the holding disk; 2.9 MB went to fx1-001.",
        ),
        (
            include_str!("../../../tests/fixtures/logs/log.autoflush"),
            "All 2 disks were backed up in 6 seconds; 5.2 MB went to fx1-001.\n2 earlier dumps were put on volumes, too.\nNothing is wrong.",
        ),
        (
            include_str!("../../../tests/fixtures/logs/log.split"),
            "All 2 disks were backed up in 5 seconds; 4.0 MB went to fx1-001 and fx1-002.\nNothing is wrong.",
        ),
    ] {
        assert_eq!(words(log, &[]), told);
    }
}

#[test]
fn sizes_and_times_are_round() {
    for (kb, shown) in [(0, "0 bytes"), (1, "1 kB"), (3_027_344, "3.1 GB"), (500_000, "512 MB")] {
        assert_eq!(size(kb), shown);
    }
    for (secs, shown) in [(1.0, "1 second"), (89.0, "89 seconds"), (720.0, "12 minutes"), (7260.0, "2 hours 1 minute")] {
        assert_eq!(duration(secs), shown);
    }
}
