use proptest::prelude::*;

use super::*;

const DOCS: &[u8] = include_bytes!("../../tests/fixtures/files/info.docs");
const DATA: &[u8] = include_bytes!("../../tests/fixtures/files/info.data");
const PLAIN: &[u8] = include_bytes!("../../tests/fixtures/files/info.plain");
const FORCED: &[u8] = include_bytes!("../../tests/fixtures/files/info.forced");

#[test]
fn what_amanda_wrote_is_printed_byte_for_byte() {
    for (name, file) in [("docs", DOCS), ("data", DATA), ("plain", PLAIN)] {
        let info = Info::parse(file).unwrap();
        assert_eq!(String::from_utf8(info.print()).unwrap(), String::from_utf8_lossy(file), "{name}");
    }
    // amadmin writes the rates in another form.
    let forced = Info::parse(FORCED).unwrap();
    assert_eq!((forced.command, forced.full.rate.as_slice(), forced.full.comp.len()), (FORCE_FULL, &[3130.0][..], 0));
    assert_eq!(Info::parse(&Info::default().print()), Ok(Info::default()));
}

#[test]
fn the_path_is_that_of_amanda() {
    assert_eq!(path(&Dle::new("localhost", "/srv/home docs")), PathBuf::from("localhost/_srv_home docs/info"));
}

/// The three runs that made `info.data`: a full, a full, and a level 1 that stayed in the holding disk.
#[test]
fn dumps_are_put_in_as_amandas_driver_does() {
    let mut info = Info { command: FORCE_FULL, ..Info::default() };
    let full = Dumped { level: 0, orig_kb: 3130, kb: 2931, date: 1_795_460_784, secs: 1, compressed: true };
    info.dumped(full);
    info.taped(0, "files4711-001", 2);
    assert_eq!((info.command, info.consecutive_runs), (0, 1));
    info.dumped(Dumped { date: 1_795_461_155, ..full });
    info.taped(0, "files4711-002", 4);
    assert_eq!((info.last_level, info.consecutive_runs), (0, 2));
    info.dumped(Dumped { level: 1, orig_kb: 10, kb: 1, date: 1_795_461_170, secs: 0, compressed: true });
    assert_eq!(String::from_utf8(info.print()).unwrap(), String::from_utf8_lossy(DATA));
    info.dumped(Dumped { date: 1_795_470_000, ..full });
    assert_eq!(info.stats.keys().collect::<Vec<_>>(), [&0], "a full dump takes the level 1 away");
    info.dumped(Dumped { orig_kb: 0, ..full });
    assert_eq!(info.history.len(), 4);
}

#[test]
fn the_history_has_an_end() {
    let mut info = Info::default();
    for date in 1..=150 {
        info.dumped(Dumped { level: 1, orig_kb: 10, kb: 5, date, secs: 2, compressed: false });
    }
    assert_eq!((info.history.len(), info.history[0].date, info.history[99].date), (HISTORY, 150, 51));
    assert_eq!((info.incr.rate.as_slice(), info.consecutive_runs), (&[2.5; 3][..], 150));
    assert_eq!(Info::parse(&info.print()), Ok(info));
}

#[test]
fn a_damaged_file_is_an_error_with_its_line() {
    for (case, file, error) in [
        ("empty", "", InfoError::Cut),
        ("cut", "version: 0\ncommand: 0\nfull-rate:\n", InfoError::Cut),
        ("cut in a line", "version: 0\ncomm", InfoError::Cut),
        ("version", "version: 1\n", InfoError::Line { line: 1, what: "the version is not 0".into() }),
        ("order", "command: 0\n", InfoError::Line { line: 1, what: "\"version\" has to stand here".into() }),
        ("number", "version: 0\n\ncommand: x\n", InfoError::Line { line: 3, what: "a number is wrong".into() }),
        ("rate", "version: 0\ncommand: 0\nfull-rate: nan\n", InfoError::Line { line: 3, what: "a rate is wrong".into() }),
    ] {
        assert_eq!(Info::parse(file.as_bytes()), Err(error), "{case}");
    }
    let head = "version: 0\ncommand: 0\nfull-rate:\nfull-comp:\nincr-rate:\nincr-comp:\n";
    for (line, what) in [
        ("stats: 0 1 2 3", "a number is missing"),
        ("stats: 0 1 2 3 4 5", "the label is missing"),
        ("stats: 300 1 2 3 4", "a number is wrong"),
        ("history: 0 1 2 3 4 5", "something stands behind the last value"),
        ("future: 1", "Amanda has no such line here"),
    ] {
        let error = InfoError::Line { line: 7, what: what.to_owned() };
        assert_eq!(Info::parse(format!("{head}{line}\n//\n").as_bytes()), Err(error), "{line}");
    }
}

proptest! {
    #[test]
    fn an_info_file_is_read_back(
        command: u32,
        rates in prop::collection::vec(0u32..9_999_999, 0..=3),
        stats in prop::collection::btree_map(any::<u8>(), (any::<[i64; 4]>(), prop::option::of(("[!-~]{1,79}", any::<i64>()))), 0..5),
        last: (i32, i32),
        history in prop::collection::vec((any::<u8>(), any::<[i64; 4]>()), 0..HISTORY),
    ) {
        let rates: Vec<_> = rates.into_iter().map(|rate| f64::from(rate) / 64.0).collect();
        let info = Info {
            command,
            full: Perf { rate: rates.clone(), comp: Vec::new() },
            incr: Perf { rate: Vec::new(), comp: rates },
            stats: stats
                .into_iter()
                .map(|(level, ([orig_kb, kb, secs, date], place))| {
                    (level, Stats { orig_kb, kb, secs, date, place: place.map(|(label, file)| Place { label, file }) })
                })
                .collect(),
            last_level: last.0,
            consecutive_runs: last.1,
            history: history.into_iter().map(|(level, [orig_kb, kb, date, secs])| History { level, orig_kb, kb, date, secs }).collect(),
        };
        prop_assert_eq!(Info::parse(&info.print()), Ok(info));
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error(cut in 0..DOCS.len()) {
        prop_assert!(Info::parse(&DOCS[..cut]).is_err());
    }

    #[test]
    fn no_bytes_break_the_parser(tail in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = Info::parse(&[b"version: 0\ncommand: 0\nfull-rate:\nfull-comp:\nincr-rate:\nincr-comp:\nstats: ", &tail[..]].concat());
    }
}
