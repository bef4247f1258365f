use proptest::prelude::*;

use super::*;

const TAPED: &[u8] = include_bytes!("../../../tests/fixtures/log.taped");
const DEGRADED: &[u8] = include_bytes!("../../../tests/fixtures/log.degraded-skipped");

fn one(line: &str) -> Option<Said> {
    said(line.as_bytes()).pop()
}

#[test]
fn every_figure_of_a_real_log_is_there() {
    let all = said(TAPED);
    let parts: Vec<_> = all.iter().filter_map(|said| if let Said::Part(part) = said { Some(part) } else { None }).collect();
    assert_eq!(parts.len(), 3);
    assert_eq!((parts[1].label.as_str(), parts[1].file, parts[1].part, parts[1].figures.kb), ("fx1-001", 2, 2, 1859));
    let verdicts: Vec<_> = all.iter().filter_map(|said| if let Said::Verdict(verdict) = said { Some(verdict) } else { None }).collect();
    let dumped = verdicts[0].figures.expect("figures");
    assert_eq!((dumped.secs, dumped.kb, dumped.kps, dumped.orig_kb), (0.161, 3907, 24176.8, Some(3910)));
    assert!(all.contains(&Said::Hostname("vm".into())));
    assert!(all.contains(&Said::Finish(Program::Planner, 1.133)));
    assert_eq!(said(b"FINISH driver date 20261122023901 time inf\n"), [Said::Finish(Program::Driver, 0.0)], "no time is endless");
    assert!(all.contains(&Said::Volume {
        datestamp: "20261122023901".into(),
        storage: Some("fx1".into()),
        pool: Some("fx1".into()),
        label: "fx1-001".into()
    }));
    assert!(all.contains(&Said::Estimate(Dle::new("127.0.0.5", "/srv/aafx/src/data"), 0, 51232)));
    let notes = all.iter().filter(|said| matches!(said, Said::Note(..))).count();
    assert_eq!(notes, 7, "gzip's pids are no notes");
}

#[test]
fn reasons_lose_their_brackets_and_quotation_marks() {
    let Some(Said::Verdict(verdict)) = said(DEGRADED).into_iter().find(|said| matches!(said, Said::Verdict(_))) else {
        panic!("a verdict")
    };
    assert_eq!((verdict.word, verdict.reason.as_str()), (Word::Fail, "Skipping: new disk can't be dumped in degraded mode"));
    for (line, reason, by_config) in [
        ("FAIL planner h /d 20261122023628 0 \"[Request to h failed: timeout]\"", "Request to h failed: timeout", false),
        ("FAIL taper \"ST:s\" \"POOL:p\" h /d 20261122023628 0 config \"No more volumes\"", "No more volumes", true),
        ("PARTIAL taper ST:s POOL:p h /d 20261122023628 1 0 1:2 1:2 1:2 [sec 1.0 bytes 2048 kps 2.0] \"[x y]\"", "[x y]", false),
        ("RETRY dumper h /d 20261122023628 1 delay 5 level 0 message \"a b\"", "a b", false),
    ] {
        let Some(Said::Verdict(verdict)) = one(line) else { panic!("{line}") };
        assert_eq!((verdict.reason.as_str(), verdict.by_config), (reason, by_config), "{line}");
    }
    assert_eq!(one("ERROR taper no-tape error \"[none found]\""), Some(Said::NoTape(false, "[none found]".into())));
    assert_eq!(one("ERROR taper no-tape config \"[runtapes=1]\""), Some(Said::NoTape(true, "[runtapes=1]".into())));
}

#[test]
fn a_strange_dump_is_of_the_run_and_its_words_follow() {
    let all = said(b"STRANGE dumper h \"/d e\" 0 1:2 1:2 [sec 1.0 kb 2 kps 2.0 orig-kb 10]\n  ? tar: x\n   sendbackup: size 1\n");
    let Said::Verdict(verdict) = &all[0] else { panic!("a verdict") };
    assert_eq!((verdict.word, verdict.datestamp.as_deref(), verdict.level), (Word::Strange, None, 0));
    assert_eq!(all[1..], [Said::Continued("? tar: x".into()), Said::Continued("sendbackup: size 1".into())]);
}

proptest! {
    #[test]
    fn no_log_breaks_it(cut in 0..TAPED.len(), junk in "[ -~\n]{0,80}") {
        let _ = said(&[&TAPED[..cut], junk.as_bytes()].concat());
    }
}
