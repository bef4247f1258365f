//! Files as Amanda writes them, cut and altered.

use proptest::prelude::*;

use super::line::LATEST;
use super::*;
use crate::quoting;

type Given = Vec<(Vec<u8>, u8, i64)>;

fn read(text: &[u8]) -> (Given, ScanReport) {
    let mut given = Vec::new();
    let report = scan(text, |name, level, epoch| given.push((name.to_vec(), level, epoch))).unwrap();
    (given, report)
}

fn fault(line: &str) -> Option<Fault> {
    read(format!("{line}\n").as_bytes()).1.bad.first().map(|bad| bad.why)
}

#[test]
fn a_real_file_is_read() {
    let (given, report) = read(include_bytes!("../../tests/fixtures/amandates.two-disks"));
    assert_eq!(report, ScanReport { lines: 3, ..ScanReport::default() });
    assert_eq!(given[0], (b"/srv/aafx/src/data".to_vec(), 0, 1_795_314_622));
    assert_eq!(given[1], (b"/srv/aafx/src/home docs".to_vec(), 0, 1_795_314_617));
    assert_eq!(given[2], (b"/srv/aafx/src/home docs".to_vec(), 1, 1_795_314_622));
}

#[test]
fn every_fault_has_its_name() {
    for (line, expected) in [
        ("/home 0 1795312345", None),
        ("  /home \t0  1795312345  ", None),
        ("\"/home docs\" 12 1795312345", None),
        ("/home\\040docs 0 1", None),
        ("", None),
        ("   ", None),
        ("/home", Some(Fault::Fields)),
        ("/home 0", Some(Fault::Fields)),
        ("/home 0 1795312345 x", Some(Fault::Fields)),
        ("/home docs 0 1795312345", Some(Fault::Fields)),
        ("\"/home docs 0 1795312345", Some(Fault::Name)),
        ("/home\0 0 1795312345", Some(Fault::Name)),
        ("/home -1 1795312345", Some(Fault::Level)),
        ("/home 256 1795312345", Some(Fault::Level)),
        ("/home 99999999999999999999 1", Some(Fault::Level)),
        ("/home x 1795312345", Some(Fault::Level)),
        ("/home 0 -1", Some(Fault::Epoch)),
        ("/home 0 +1", Some(Fault::Epoch)),
        ("/home 0 253402300799", None),
        ("/home 0 253402300800", Some(Fault::Epoch)),
        ("/home 0 99999999999999999999", Some(Fault::Epoch)),
        ("/home 0 1795312345.5", Some(Fault::Epoch)),
    ] {
        assert_eq!(fault(line), expected, "{line:?}");
    }
}

#[test]
fn a_last_line_without_newline_is_bad_even_when_it_parses() {
    let (given, report) = read(b"/home 0 1795312345\n/srv 0 17953");
    assert_eq!(given, [(b"/home".to_vec(), 0, 1_795_312_345)]);
    assert_eq!(report.lines, 2);
    assert_eq!(report.bad, [BadLine { number: 2, why: Fault::NotEnded }]);
}

#[test]
fn bad_lines_are_numbered_and_the_first_twenty_kept() {
    let (given, report) = read("bad\n".repeat(30).as_bytes());
    assert!(given.is_empty());
    assert_eq!((report.lines, report.bad_total, report.bad.len()), (30, 30, 20));
    assert_eq!(report.bad[19].to_string(), "line 20: not a name, a level and a time");
}

#[test]
fn a_line_beyond_64_kib_is_bad_and_the_next_is_read() {
    for length in [LONGEST, LONGEST + 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
        let text = [vec![b'x'; length], b" 0 5\n/home 0 5\n".to_vec()].concat();
        let (given, report) = read(&text);
        assert_eq!(given, [(b"/home".to_vec(), 0, 5)], "{length}");
        assert_eq!((report.lines, report.bad), (2, vec![BadLine { number: 1, why: Fault::TooLong }]), "{length}");
    }
}

#[test]
fn both_of_two_equal_lines_are_given_and_the_newest_counts() {
    let text = b"/home 0 20\n/home 0 10\n/home 1 15\n/other 0 99\n";
    assert_eq!(read(text).0.len(), 4);
    let (dates, _) = newest_of(&text[..], [&b"/home"[..], b"/none"]).unwrap();
    assert_eq!(dates[&b"/home"[..]].newest(), Some((0, 20)));
    assert_eq!(dates[&b"/home"[..]].at_level(1), Some(15));
    assert_eq!(dates[&b"/none"[..]].newest(), None);
}

proptest! {
    #[test]
    fn what_amanda_writes_is_read_back(
        lines in prop::collection::vec((prop::collection::vec(1u8.., 1..30), any::<u8>(), 0..=LATEST), 0..20),
    ) {
        let mut text = Vec::new();
        for (name, level, epoch) in &lines {
            text.extend(quoting::quote(name));
            text.extend(format!(" {level} {epoch}\n").into_bytes());
        }
        let (given, report) = read(&text);
        prop_assert_eq!(report.bad_total, 0);
        prop_assert_eq!(given, lines);
    }

    #[test]
    fn a_cut_file_never_gives_a_line_it_did_not_have(cut in 0usize..40) {
        let text = b"/home 0 1795312345\n\"/home docs\" 1 1795312346\n";
        let whole = read(text).0;
        let (given, _) = read(&text[..cut]);
        prop_assert!(whole.starts_with(&given));
    }

    #[test]
    fn no_file_breaks_the_reader(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let (_, report) = read(&text);
        prop_assert!(report.bad_total <= report.lines);
    }
}

#[test]
fn one_more_dump_is_recorded_as_amanda_does_it() {
    for (case, before, disk, level, epoch, after) in [
        ("the first", "", "/home", 0, 10, "/home 0 10\n"),
        ("a new level", "/home 0 10\n", "/home", 1, 20, "/home 0 10\n/home 1 20\n"),
        (
            "a lower one, and the higher ones stay",
            "/home 0 10\n/home 1 20\n/home 2 30\n",
            "/home",
            0,
            40,
            "/home 0 40\n/home 1 20\n/home 2 30\n",
        ),
        ("an older one changes nothing", "/home 0 10\n", "/home", 0, 9, "/home 0 10\n"),
        ("another disk, in the order of names", "/srv 0 5\n/a 0 5\n", "/home", 0, 10, "/a 0 5\n/home 0 10\n/srv 0 5\n"),
        (
            "a quoted name stands where its bare one belongs",
            "noisy 0 1\ncrypt 0 1\n",
            "home docs",
            0,
            2,
            "crypt 0 1\n\"home docs\" 0 2\nnoisy 0 1\n",
        ),
        ("a level twice counts once", "/home 0 10\n/home 0 12\n", "/srv", 0, 1, "/home 0 12\n/srv 0 1\n"),
        ("what says nothing goes", "rubbish\n\n/home 0 0\n/home 1 5\n", "/srv", 0, 1, "/home 1 5\n/srv 0 1\n"),
    ] {
        let recorded = record(before.as_bytes(), disk.as_bytes(), level, epoch);
        assert_eq!(String::from_utf8(recorded).unwrap(), after, "{case}");
    }
}

#[test]
fn a_file_that_amandas_client_wrote_only_gains_a_line() {
    let before = include_bytes!("../../tests/fixtures/amandates.by-client");
    let after = record(before, b"noisy", 1, 1_795_460_200);
    assert_eq!(after, [&before[..], b"noisy 1 1795460200\n"].concat());
}
