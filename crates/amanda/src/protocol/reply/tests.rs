//! Answers as Amanda's client gives them, and altered.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const OPTIONS: &str = "OPTIONS features=ff00000000000000000000000000000000000000;";

#[test]
fn a_noop_is_answered_with_features() {
    let features = Features::ours();
    assert_eq!(parse_noop(&noop(&features)).unwrap().features, Some(features));
    assert_eq!(parse_noop(b"OPTIONS features=ff;"), Err(ReplyError::Cut));
    assert_eq!(parse_noop(b"OPTIONS features=ff;\n/home 0 SIZE 10\n"), Err(ReplyError::Line(2)));
    assert_eq!(parse_noop(b"\n"), Err(ReplyError::Options(OptionsError::Missing)));
}

#[test]
fn errors_are_one_line() {
    assert_eq!(error(b"no\nway\x1b"), b"ERROR no way \n");
    assert_eq!(unknown_service("restore"), b"ERROR restore: invalid service, add 'restore' as argument to amandad\n");
    assert_eq!(parse_errors(b"ERROR a\nERROR b\n"), Ok(vec![&b"a"[..], b"b"]));
    assert_eq!(parse_errors(b"ERROR a\nCONNECT\n"), Err(ReplyError::Line(2)));
    assert_eq!(parse_errors(b"ERROR a"), Err(ReplyError::Cut));
}

#[test]
fn checks_are_read_and_printed() {
    let text = format!("{OPTIONS}\nOK /home\nERROR [no tar]\nERROR bare\n");
    let reply = Selfcheck::parse(text.as_bytes()).unwrap();
    assert_eq!(reply.lines, [CheckLine::Ok(b"/home".to_vec()), CheckLine::Error(b"no tar".to_vec()), CheckLine::Error(b"bare".to_vec())]);
    for (text, line) in [("MESSAGE JSON\n{}\n", 1), ("OK x\n\n", 2), ("OK x\nremark\n", 2)] {
        assert_eq!(Selfcheck::parse(text.as_bytes()), Err(ReplyError::Line(line)), "{text:?}");
    }
    let unquiet = Selfcheck { lines: vec![CheckLine::Error(b"a \"quoted\nname".to_vec())], ..Selfcheck::default() };
    assert_eq!(unquiet.print(), b"OPTIONS ;\nERROR [a 'quoted name]\n");
}

#[test]
fn sizes_are_read() {
    for (line, expected) in [
        ("/home 0 SIZE 10", Some(("/home", 0, Size::Kib(10)))),
        ("\"home docs\" 1 SIZE 0", Some(("home docs", 1, Size::Kib(0)))),
        ("/home 0 SIZE -1", Some(("/home", 0, Size::Unknown))),
        ("/home 0 SIZE -2", Some(("/home", 0, Size::Impossible))),
        ("/home 0 ERROR \"no tar\"", Some(("/home", 0, Size::Error(b"no tar".to_vec())))),
        ("/home 0 WARNING odd", Some(("/home", 0, Size::Warning(b"odd".to_vec())))),
        ("/home 0 SIZE", None),
        ("/home 0 SIZE x", None),
        ("/home 0 SIZE +5", None),
        ("/home 0 SIZE -", None),
        ("/home 0 SIZE 9999999999999999999", None),
        ("/home 0 SIZE 10 11", None),
        ("/home 0 ERROR two words", None),
        ("/home 0 ERROR \"open", None),
        ("/home 400 SIZE 10", None),
        ("/home -1 SIZE 10", None),
        ("/home SIZE 10", None),
        ("ERROR no tar", None),
        ("\"\" 0 SIZE 10", None),
        ("", None),
    ] {
        let read = Sendsize::parse(format!("{OPTIONS}\n{line}\n").as_bytes());
        let expected =
            expected.map(|(disk, level, size)| vec![SizeLine { disk: disk.as_bytes().to_vec(), level, size }]).ok_or(ReplyError::Line(2));
        assert_eq!(read.map(|reply| reply.lines), expected, "{line}");
    }
    assert_eq!(Sendsize::parse(b"/home 0 SIZE 10"), Err(ReplyError::Cut));
    assert_eq!(Sendsize::parse("/h 0 SIZE 1\n".repeat(MAX_LINES + 1).as_bytes()), Err(ReplyError::Many));
}

#[test]
fn streams_are_read() {
    let read = |connect: &str| Sendbackup::parse(format!("{connect}\nOPTIONS ;\n").as_bytes());
    let streams = |index, state| Connect { data: 499_999, mesg: 499_998, index, state };
    for (line, expected) in [
        ("CONNECT DATA 499999 MESG 499998 INDEX 499997", streams(Some(499_997), None)),
        ("CONNECT DATA 499999 MESG 499998 INDEX -1", streams(None, None)),
        ("CONNECT DATA 499999 MESG 499998 INDEX -1 STATE 499997", streams(None, Some(Some(499_997)))),
        ("CONNECT DATA 499999 MESG 499998 INDEX 499997 STATE -1", streams(Some(499_997), Some(None))),
    ] {
        assert_eq!(read(line), Ok(Sendbackup::Connect { streams: expected, options: Options::default() }), "{line}");
        let printed = Sendbackup::Connect { streams: expected, options: Options::default() }.print();
        assert_eq!(String::from_utf8(printed).unwrap(), format!("{line}\nOPTIONS ;\n"));
    }
    for (line, error) in [
        ("CONNECT DATA -1 MESG 499998 INDEX 499997", ReplyError::Streams),
        ("CONNECT DATA 499999 MESG -1 INDEX 499997", ReplyError::Streams),
        ("CONNECT DATA 499999 MESG 499999 INDEX -1", ReplyError::Streams),
        ("CONNECT DATA 9999 MESG 499998 INDEX -1", ReplyError::Streams),
        ("CONNECT DATA +499999 MESG 499998 INDEX -1", ReplyError::Streams),
        ("CONNECT DATA 2147483648 MESG 499998 INDEX -1", ReplyError::Streams),
        ("CONNECT DATA 499999 MESG 499998", ReplyError::Line(1)),
        ("CONNECT MESG 499999 DATA 499998 INDEX -1", ReplyError::Line(1)),
        ("CONNECT DATA 499999 MESG 499998 INDEX -1 STATE -1 MORE 5", ReplyError::Line(1)),
        ("RETRY delay 5 level 0 message \"x\"", ReplyError::Line(1)),
        ("", ReplyError::Line(1)),
    ] {
        assert_eq!(read(line), Err(error), "{line}");
    }
    assert_eq!(Sendbackup::parse(b"ERROR [a]\nERROR b\n"), Ok(Sendbackup::Error(b"[a]; b".to_vec())));
    assert_eq!(Sendbackup::parse(b"CONNECT DATA 499999 MESG 499998 INDEX -1\n"), Err(ReplyError::Cut));
    assert_eq!(Sendbackup::parse(b"CONNECT DATA 499999 MESG 499998 INDEX -1\nOPTIONS ;\nx\n"), Err(ReplyError::Line(3)));
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    vec(32u8..127, 0..20)
}

fn size() -> impl Strategy<Value = Size> {
    prop_oneof![
        (0u64..10_u64.pow(18)).prop_map(Size::Kib),
        Just(Size::Unknown),
        Just(Size::Impossible),
        text().prop_map(Size::Error),
        text().prop_map(Size::Warning),
    ]
}

proptest! {
    #[test]
    fn sizes_come_back(lines in vec((vec(1u8.., 1..12), 0u16..400, size()), 0..5)) {
        let lines = lines.into_iter().map(|(disk, level, size)| SizeLine { disk, level, size }).collect();
        let reply = Sendsize { options: Options { features: Some(Features::ours()), ..Options::default() }, lines };
        prop_assert_eq!(Sendsize::parse(&reply.print()), Ok(reply));
    }

    #[test]
    fn checks_come_back(lines in vec(("[a-z /.-]{1,12}", any::<bool>()), 0..5)) {
        let line = |(text, ok): (String, bool)| if ok { CheckLine::Ok(text.into_bytes()) } else { CheckLine::Error(text.into_bytes()) };
        let reply = Selfcheck { options: Options::default(), lines: lines.into_iter().map(line).collect() };
        prop_assert_eq!(Selfcheck::parse(&reply.print()), Ok(reply));
    }

    #[test]
    fn whatever_we_print_is_lines_of_their_kind(lines in vec((vec(any::<u8>(), 0..20), any::<bool>()), 0..5)) {
        let line = |(text, ok): (Vec<u8>, bool)| if ok { CheckLine::Ok(text) } else { CheckLine::Error(text) };
        let reply = Selfcheck { options: Options::default(), lines: lines.into_iter().map(line).collect() };
        prop_assert_eq!(Selfcheck::parse(&reply.print()).unwrap().lines.len(), reply.lines.len());
    }

    #[test]
    fn garbage_never_panics(body in "[A-Z 0-9\\n\"/=;-]{0,60}") {
        let _ = Selfcheck::parse(body.as_bytes());
        let _ = Sendsize::parse(body.as_bytes());
        let _ = Sendbackup::parse(format!("CONNECT {body}").as_bytes());
        let _ = parse_noop(body.as_bytes());
    }
}
