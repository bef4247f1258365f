use std::collections::BTreeMap;
use std::path::Path;

use amanda::protocol::packet::Packet;
use amanda::protocol::token::{Tokens, put};
use proptest::prelude::*;

use super::names::MAX_NAME;
use super::*;

const DATA: u32 = 499_999;
const MESG: u32 = 499_998;
const INDEX: u32 = 499_997;
const STATE: u32 = 499_996;

pub(super) fn recorded(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/amanda/tests/fixtures/protocol").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands under each handle, and whether it was ended.
pub(super) fn by_handle(bytes: &[u8]) -> BTreeMap<u32, (Vec<u8>, u32)> {
    let mut tokens = Tokens::new();
    tokens.feed(bytes);
    let mut all: BTreeMap<u32, (Vec<u8>, u32)> = BTreeMap::new();
    while let Some(token) = tokens.next_token().expect("tokens") {
        let (seen, ends) = all.entry(token.handle).or_default();
        seen.extend(token.payload);
        *ends += u32::from(token.is_end());
    }
    tokens.finish().expect("whole tokens");
    all
}

/// Sends the laptop's side through in pieces of this length.
pub(super) fn pass(filter: &mut Filter, bytes: &[u8], piece: usize) -> (Vec<u8>, Option<Caught>) {
    let mut out = Vec::new();
    for piece in bytes.chunks(piece) {
        if let Err(caught) = filter.from_laptop(piece, &mut |bytes| out.extend_from_slice(bytes)) {
            return (out, Some(caught));
        }
    }
    (out, None)
}

/// A filter that has seen a request for a dump with gzip, and the laptop's answer to it.
fn dumping() -> Filter {
    let mut filter = Filter::default();
    filter.from_amanda(&mut recorded("dump-fast.server")).expect("Amanda's own");
    let mut tokens = Tokens::new();
    tokens.feed(&recorded("dump-fast.client"));
    // ACK and REP.
    let mut answer = Vec::new();
    while let Some(token) = tokens.next_token().expect("tokens") {
        if token.handle < 10_000 {
            put(&mut answer, token.handle, token.payload);
        }
    }
    assert_eq!(pass(&mut filter, &answer, 100).1, None);
    filter
}

pub(super) fn token(handle: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(&mut bytes, handle, payload);
    bytes
}

#[test]
fn what_debians_programs_say_passes_as_it_is() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/amanda/tests/fixtures/protocol");
    let mut seen = 0;
    for entry in std::fs::read_dir(directory).expect("fixtures") {
        let name = entry.expect("entry").file_name().into_string().expect("UTF-8");
        let Some(name) = name.strip_suffix(".client") else { continue };
        if name == "check" {
            continue;
        }
        let client = recorded(&format!("{name}.client"));
        let mut passes = by_handle(&client);
        if name == "check-lines" {
            // In our own print: one line of options, and without quotation marks, which amcheck would join lines at.
            let text = String::from_utf8(passes[&2].0.clone()).expect("UTF-8").replace('"', "'");
            let line = text.lines().find(|line| line.starts_with("OPTIONS ")).expect("options").to_owned() + "\n";
            let short = line.replace("hostname=aa-rec.invalid;", "");
            let body = text.replace(&line, "").replacen("\u{1}", &format!("\u{1}{short}"), 1);
            passes.get_mut(&2).expect("the check").0 = body.into_bytes();
        }
        for piece in [1, 7, 4096, usize::MAX] {
            let mut filter = Filter::default();
            filter.from_amanda(&mut recorded(&format!("{name}.server"))).expect("Amanda's own");
            let (out, caught) = pass(&mut filter, &client, piece);
            assert_eq!(caught, None, "{name} in pieces of {piece}");
            assert_eq!(by_handle(&out), passes, "{name} in pieces of {piece}");
        }
        seen += 1;
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn a_forged_word_for_the_header_fails_the_dump() {
    let start = "sendbackup: info BACKUP=/bin/tar\n";
    for (lines, words) in [
        ("sendbackup: info CLIENT_CUSTOM_COMPRESS=/tmp/evil\n", "CLIENT_CUSTOM_COMPRESS=/tmp/evil\" about its dump, which its dumptype"),
        ("sendbackup: info SERVER_ENCRYPT=/tmp/evil\n", "dumptype does not imply"),
        ("sendbackup: info BACKUP=APPLICATION\nsendbackup: info APPLICATION=evil\n", "BACKUP=APPLICATION"),
        ("sendbackup: info COMPRESS_SUFFIX=.evil\n", "dumptype does not imply"),
        ("sendbackup: info RECOVER_CMD=/bin/sh [x] ...\n", "dumptype does not imply"),
        ("sendbackup: info end\n", "names no program"),
        ("sendbackup: state anything\n", "a state that its program does not have"),
        ("sendbackup: retry delay 0 level 7 message x\n", "does not choose itself"),
        (&format!("{start}sendbackup: info end\nsendbackup: info RECOVER_CMD=/bin/gzip -dc |/bin/tar -xpGf - ...\n"), "is complete"),
        (&format!("sendbackup: info BACKUP={}\n", "x".repeat(10_000)), "more than 8192 bytes"),
    ] {
        for piece in [1, 5, 1000] {
            let mut filter = dumping();
            let (out, caught) = pass(&mut filter, &token(MESG, lines.as_bytes()), piece);
            let caught = caught.expect(lines).to_string();
            assert!(caught.contains(words), "{caught}");
            let said = by_handle(&out);
            let mesg = String::from_utf8(said[&MESG].0.clone()).expect("UTF-8");
            let error = mesg.lines().last().expect("a line");
            assert!(error.starts_with("sendbackup: error [asyncamanda: the laptop"), "{error}");
            assert_eq!(error.find(']'), Some(error.len() - 1), "{error}");
            let info = |line: &&str| {
                line.starts_with("sendbackup: info") && *line != "sendbackup: info BACKUP=/bin/tar" && *line != "sendbackup: info end"
            };
            assert_eq!(mesg.lines().find(info), None, "{mesg}");
            // Nothing is left that the dumper would wait for.
            for handle in [DATA, MESG, INDEX] {
                assert_eq!(said[&handle].1, 1, "{handle} of {lines}");
            }
        }
    }
}

#[test]
fn a_dump_before_its_header_would_kill_the_dumper() {
    let mut filter = dumping();
    let caught = pass(&mut filter, &token(DATA, b"x"), 3).1.expect("caught").to_string();
    assert!(caught.contains("before the dump's header was complete"), "{caught}");
    // Its end alone is what a dump looks like that failed early: it waits for the messages.
    let mut filter = dumping();
    let mut out = pass(&mut filter, &token(DATA, b""), 3).0;
    assert_eq!(out, b"");
    let messages = [token(MESG, b"sendbackup: error [no tar]\n"), token(MESG, b"")].concat();
    out.extend(pass(&mut filter, &messages, 3).0);
    assert_eq!(out[out.len() - 16..], [token(MESG, b""), token(DATA, b"")].concat());
    let mut filter = dumping();
    let header = token(MESG, b"sendbackup: info BACKUP=/bin/tar\nsendbackup: info end\n");
    let (out, caught) = pass(&mut filter, &[token(DATA, b""), header.clone()].concat(), 1000);
    assert_eq!((out, caught), ([header, token(DATA, b"")].concat(), None));
}

#[test]
fn nobody_says_that_a_dump_is_good_before_it_has_ended() {
    let header = "sendbackup: info BACKUP=/bin/tar\nsendbackup: info end\nsendbackup: size 1\n";
    let last = "sendbackup: end\n| more\n";
    let begun = [token(MESG, header.as_bytes()), token(MESG, last.as_bytes()), token(MESG, b""), token(DATA, b"abc")].concat();
    for piece in [1, 10_000] {
        // Cut off in the middle of the dump.
        let mut filter = dumping();
        let (mut out, caught) = pass(&mut filter, &begun[..begun.len() - 1], piece);
        assert_eq!(caught, None);
        filter.cut("gone", &mut |bytes| out.extend_from_slice(bytes));
        let said = by_handle(&out);
        assert_eq!(String::from_utf8_lossy(&said[&MESG].0), format!("{header}sendbackup: error [asyncamanda: gone]\n"));
        assert_eq!((said[&MESG].1, said[&DATA].1), (1, 1));
        // And ended as it should be.
        let mut filter = dumping();
        let bytes = [begun.as_slice(), &token(DATA, b""), &token(INDEX, b"/a\n")].concat();
        let (out, caught) = pass(&mut filter, &bytes, piece);
        assert_eq!(caught, None);
        assert_eq!(by_handle(&out), by_handle(&bytes));
    }
    // What comes after the end has one.
    let flood = [token(MESG, header.as_bytes()), token(MESG, last.as_bytes()), token(MESG, &b"| x\n".repeat(20_000))].concat();
    assert!(pass(&mut dumping(), &flood, 10_000).1.expect("caught").to_string().contains("after the last one"));
    let more = [begun.as_slice(), &token(MESG, b"| x\n")].concat();
    assert!(pass(&mut dumping(), &more, 10_000).1.expect("caught").to_string().contains("after their end"));
}

#[test]
fn a_connection_that_is_cut_tells_the_report_why() {
    let header = token(MESG, b"sendbackup: info BACKUP=/bin/tar\nsendbackup: info end\n");
    let begun = token(DATA, &[7; 100]);
    for (case, sent) in [
        ("before the header", Vec::new()),
        ("between tokens", header.clone()),
        ("in a token's header", [header.as_slice(), &begun[..5]].concat()),
        ("in the dump", [header.as_slice(), &begun[..50]].concat()),
        ("in a name", [header.as_slice(), &token(INDEX, b"/a\n/b\n")[..10]].concat()),
        ("in a line", token(MESG, b"sendbackup: info BACKUP")[..20].to_vec()),
    ] {
        let mut filter = dumping();
        let (mut out, caught) = pass(&mut filter, &sent, 1000);
        assert_eq!(caught, None, "{case}");
        filter.cut("the session of laptop1 ended", &mut |bytes| out.extend_from_slice(bytes));
        let said = by_handle(&out);
        assert!(said[&MESG].0.ends_with(b"sendbackup: error [asyncamanda: the session of laptop1 ended]\n"), "{case}");
        assert_eq!([DATA, MESG, INDEX].map(|handle| said[&handle].1), [1; 3], "{case}");
        let mut nothing = Vec::new();
        filter.cut("again", &mut |bytes| nothing.extend_from_slice(bytes));
        assert_eq!(nothing, b"", "{case}");
    }
}

#[test]
fn another_spelling_is_something_strange_to_amanda() {
    for line in [
        "sendbackup:  info CLIENT_ENCRYPT=/tmp/evil",
        "sendbackup: info  BACKUP=x",
        "sendbackup: info =BACKUP=x",
        "sendbackup: info x",
        "",
        "hello",
    ] {
        let mut filter = dumping();
        let (out, caught) = pass(&mut filter, &token(MESG, format!("{line}\n").as_bytes()), 3);
        assert_eq!(caught, None, "{line}");
        assert_eq!(by_handle(&out)[&MESG].0, format!("? {line}\n").into_bytes());
    }
}

#[test]
fn a_long_word_of_tars_is_cut_and_the_next_line_is_whole() {
    let mut filter = dumping();
    let lines = format!("? {}\n| next\n", "x".repeat(20_000));
    let (out, caught) = pass(&mut filter, &token(MESG, lines.as_bytes()), 999);
    assert_eq!(caught, None);
    let mesg = by_handle(&out)[&MESG].0.clone();
    assert_eq!(mesg.len(), 8192 + 1 + "| next\n".len());
    assert!(mesg.ends_with(b"x\n| next\n"));
}

#[test]
fn a_line_without_its_end_is_looked_at_when_the_stream_ends() {
    let mut filter = dumping();
    let bytes = [token(MESG, b"sendbackup: info SERVER_ENCRYPT=/tmp/evil"), token(MESG, b"")].concat();
    let (out, caught) = pass(&mut filter, &bytes, 1000);
    assert!(caught.is_some());
    assert!(!String::from_utf8_lossy(&out).contains("info SERVER_ENCRYPT=/tmp/evil\n"));
    assert_eq!(by_handle(&out)[&MESG].1, 1);
}

#[test]
fn what_is_no_token_or_belongs_nowhere_ends_the_connection() {
    let packet = |kind, body: &str| Packet::new(kind, body).print();
    use amanda::protocol::packet::Kind::{Prep, Rep, Req};
    let request = *by_handle(&recorded("dump-fast.server")).keys().next().expect("a handle");
    let big = vec![b'/'; MAX_NAME + 1];
    for (case, bytes, words) in [
        ("a shell's words", b"Last login: Mon".to_vec(), "none of Amanda's tokens"),
        ("a handle that nobody has opened", token(77, b"x"), "which nobody has opened"),
        ("handle 0", [0, 0, 0, 1, 0, 0, 0, 0].to_vec(), "none of Amanda's tokens"),
        ("a long token", [0, 0x10, 0, 1, 0, 0, 0, 1].to_vec(), "none of Amanda's tokens"),
        ("a request", token(request, &packet(Req, "SERVICE noop\nOPTIONS ;\n")), "a REQ where none belongs"),
        ("a part of an answer", token(request, &packet(Prep, "OPTIONS ;\n")), "a PREP where none belongs"),
        ("another answer", token(request, &packet(Rep, "CONNECT DATA 10001 MESG 10002 INDEX 10003\nOPTIONS ;\n")), "in two ways"),
        ("an answer that is none", token(request, &packet(Rep, "RETRY level 3\n")), "cannot be followed"),
        ("no packet", token(request, &[9, 9]), "kind 9"),
        ("a long name", token(INDEX, &big), "a name of more than"),
        ("a name that is none", token(INDEX, b"/a\nevil\n"), "does not begin with a slash"),
        ("state without an application", token(STATE, b"0 /\n"), "more of an application's state"),
    ] {
        for piece in [1, 10_000] {
            let (out, caught) = pass(&mut dumping(), &bytes, piece);
            let caught = caught.map(|caught| caught.to_string());
            assert!(caught.as_ref().is_some_and(|caught| caught.contains(words)), "{case}: {caught:?}");
            if piece == 10_000 {
                // The dump that is on its way fails with the same words, and nothing is left to wait for.
                let said = by_handle(&out);
                assert!(String::from_utf8_lossy(&said[&MESG].0).contains("sendbackup: error [asyncamanda: the laptop"), "{case}");
                assert_eq!([DATA, MESG, INDEX].map(|handle| said[&handle].1), [1; 3], "{case}");
            }
        }
    }
}

#[test]
fn an_answer_that_is_sent_again_passes_and_an_ended_handle_is_quiet() {
    let mut filter = dumping();
    let mut tokens = Tokens::new();
    tokens.feed(&recorded("dump-fast.client"));
    let mut again = Vec::new();
    while let Some(token) = tokens.next_token().expect("tokens") {
        if token.handle < 10_000 {
            put(&mut again, token.handle, token.payload);
        }
    }
    assert_eq!(pass(&mut filter, &again, 50), (again.clone(), None));
    let ends = [token(INDEX, b"/a\n"), token(INDEX, b""), token(INDEX, b"")].concat();
    assert_eq!(pass(&mut filter, &ends, 4), ([token(INDEX, b"/a\n"), token(INDEX, b"")].concat(), None));
}

#[test]
fn the_dumps_bytes_pass_in_one_piece() {
    let mut filter = dumping();
    let header = token(MESG, b"sendbackup: info BACKUP=/bin/tar\nsendbackup: info end\n");
    assert_eq!(pass(&mut filter, &header, 1000).1, None);
    let bytes = [token(DATA, &[7; 30_000]), token(DATA, &[8; 30_000]), token(DATA, b"")].concat();
    let mut pieces = Vec::new();
    filter.from_laptop(&bytes, &mut |piece| pieces.push(piece.len())).expect("passes");
    assert_eq!(pieces, [bytes.len()]);
}

proptest! {
    #[test]
    fn garbage_never_panics_and_never_grows(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..30)) {
        let mut filter = dumping();
        for piece in &pieces {
            if filter.from_laptop(piece, &mut |_| {}).is_err() { break; }
        }
        let mut other = Filter::default();
        for piece in &pieces {
            if other.from_amanda(&mut piece.clone()).is_err() { break; }
        }
    }

    #[test]
    fn cutting_changes_nothing(cuts in proptest::collection::vec(1usize..4000, 1..50)) {
        let client = recorded("dump-fast.client");
        let mut filter = Filter::default();
        filter.from_amanda(&mut recorded("dump-fast.server")).expect("Amanda's own");
        let mut out = Vec::new();
        let mut rest = client.as_slice();
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            filter.from_laptop(piece, &mut |bytes| out.extend_from_slice(bytes)).expect("Debian's own");
            rest = after;
            if rest.is_empty() { break; }
        }
        prop_assert_eq!(by_handle(&out), by_handle(&client));
    }

    #[test]
    fn whatever_is_said_no_forged_info_line_passes(words in proptest::collection::vec("(sendbackup:|info|end|BACKUP=|SERVER_ENCRYPT=|/x| |\n|=)", 0..12), piece in 1usize..20) {
        let mut filter = dumping();
        let (out, _) = pass(&mut filter, &token(MESG, words.concat().as_bytes()), piece);
        let mesg = by_handle(&out).remove(&MESG).unwrap_or_default().0;
        for line in mesg.split(|byte| *byte == b'\n') {
            // As Amanda splits it: delimiters side by side are one.
            let text = String::from_utf8(line.to_vec()).expect("ASCII");
            let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
            let is_info = line.first() == Some(&b's') && words.first() == Some(&"sendbackup:") && words.get(1) == Some(&"info");
            prop_assert!(!is_info || words.get(2) == Some(&"end"), "{}", text);
        }
    }
}
