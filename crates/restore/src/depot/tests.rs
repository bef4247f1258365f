use std::io::{self, Cursor};

use proptest::prelude::*;
use wire::frame::{header, pack};
use wire::restore::{Packing, record};

use super::*;
use crate::unpack::{Event, Packed as _};

fn id() -> DumpId {
    DumpId {
        host: "laptop1".parse().expect("a name"),
        disk: wire::names::DiskName::new("/home").expect("a name"),
        datestamp: "20261120010203".to_owned(),
        level: 0,
    }
}

fn dump() -> Dump {
    Dump { id: id(), time: 5, chain: Vec::new(), why_not: String::new(), bytes: 0, orig_kb: 0, places: Vec::new(), verified: None }
}

fn told(told: &Told) -> Vec<u8> {
    pack(told).expect("short")
}

fn data(bytes: &[u8]) -> Vec<u8> {
    [&header(DATA, bytes.len())[..], bytes].concat()
}

fn no() -> Vec<u8> {
    told(&Told::No { code: AbortCode::Failed, message: "the volume is not there".to_owned(), hint: "insert it".to_owned() })
}

fn depot(answers: &[Vec<u8>]) -> Depot<Cursor<Vec<u8>>, Vec<u8>> {
    Depot::new(Cursor::new(answers.concat()), Vec::new())
}

fn names(depot: &mut Depot<impl Read, impl Write>) -> Result<Vec<Vec<u8>>, DepotError> {
    let mut names = Vec::new();
    depot.names(&id(), &PathBytes::default(), true, |line| names.push(line.to_vec()))?;
    Ok(names)
}

#[test]
fn a_no_leaves_room_for_the_next_question() {
    let mut depot = depot(&[no(), told(&Told::Dump(Box::new(dump()))), told(&Told::Done)]);
    let error = depot.dumps(None).expect_err("a no");
    assert!(error.is_no() && error.to_string() == "the volume is not there" && depot.is_usable());
    assert_eq!(depot.dumps(None).expect("dumps"), [dump()]);
}

#[test]
fn lines_come_whole_however_they_were_cut() {
    let mut depot = depot(&[data(b"/a\n/b"), data(b"/c\n"), data(b"\n"), told(&Told::Done)]);
    assert_eq!(names(&mut depot).expect("names"), [&b"/a"[..], b"/b/c", b""]);
}

#[test]
fn records_come_whole_however_they_were_cut() {
    let sent = [record(&PathBytes::new(b""), b"Da\0\0"), record(&PathBytes::new(b"a"), b"\0"), record(&PathBytes::new(b"b"), b"")].concat();
    for size in 1..=sent.len() {
        let mut answers: Vec<_> = sent.chunks(size).map(data).collect();
        answers.push(told(&Told::Done));
        let mut came = Vec::new();
        depot(&answers).directories(&id(), &[], true, |path, body| came.push((path, body.to_vec()))).expect("records");
        let expected: [(&[u8], &[u8]); 3] = [(b"", b"Da\0\0"), (b"a", b"\0"), (b"b", b"")];
        assert_eq!(came, expected.map(|(path, body)| (PathBytes::new(path), body.to_vec())), "{size} at a time");
    }
}

#[test]
fn what_is_out_of_turn_or_too_much_ends_the_conversation() {
    let archive = Told::Archive { packing: Packing::Plain, bytes: 0, stored: None };
    for answer in [
        vec![told(&archive)],
        vec![told(&Told::Dump(Box::new(dump())))],
        vec![data(&[b'x'; 4097])],
        vec![data(b"/half"), told(&Told::Done)],
        vec![header(2, 1).to_vec(), b"x".to_vec()],
        vec![pack(&"nonsense").expect("short")],
        vec![],
        vec![data(b"/a\n")],
    ] {
        let mut depot = depot(&answer);
        let error = names(&mut depot).expect_err("nonsense");
        assert!(!error.is_no(), "{error}");
        let given_up = matches!(names(&mut depot), Err(DepotError::GivenUp));
        assert!(given_up || matches!(error, DepotError::OutOfTurn { what: "half a name", .. }), "{error}");
    }
}

#[test]
fn lengths_are_looked_at_before_memory_is_taken() {
    for lengths in [[20_000_u32.to_le_bytes(), [0; 4]], [[0; 4], u32::MAX.to_le_bytes()]] {
        let error = depot(&[data(&lengths.concat())]).directories(&id(), &[], false, |_, _| {}).expect_err("too long");
        assert!(matches!(error, DepotError::TooMuch { .. }), "{error}");
    }
    let many = vec![PathBytes::default(); MAX_PATHS + 1];
    let mut depot = depot(&[]);
    assert!(matches!(depot.directories(&id(), &many, false, |_, _| {}), Err(DepotError::TooManyPaths(257))));
    assert!(depot.is_usable() && depot.into_parts().1.is_empty());
}

#[test]
fn a_dump_comes_as_events_and_must_be_read_to_its_end() {
    let archive = told(&Told::Archive { packing: Packing::Frames, bytes: 9, stored: Some(("0000ff00".to_owned(), 9)) });
    let hole = Told::Hole { raw: Some(4), why: "damaged".to_owned() };
    let answer = [archive.clone(), told(&Told::Frame { packed: 3, raw: 8 }), data(b"abc"), told(&hole), told(&Told::Done), no()];
    let mut whole = depot(&answer);
    let mut fetch = whole.fetch(&id(), What::All).expect("an archive");
    assert_eq!((fetch.packing(), fetch.bytes(), fetch.stored()), (Packing::Frames, 9, Some((0xff00, 9))));
    assert!(matches!(fetch.next(), Ok(Some(Event::Frame { packed: 3, raw: 8 }))));
    assert!(matches!(fetch.next(), Ok(Some(Event::Bytes(b"abc")))));
    assert!(matches!(fetch.next(), Ok(Some(Event::Hole { raw: Some(4), .. }))));
    assert!(matches!(fetch.next(), Ok(None)) && matches!(fetch.next(), Ok(None)));
    assert!(whole.dumps(None).expect_err("a no").is_no());

    let mut given_up = depot(&answer);
    given_up.fetch(&id(), What::All).expect("an archive").next().expect("a frame");
    assert!(!given_up.is_usable() && matches!(given_up.dumps(None), Err(DepotError::GivenUp)));

    let mut refused = depot(&[archive, data(b"abc"), no(), told(&Told::Done)]);
    let mut fetch = refused.fetch(&id(), What::All).expect("an archive");
    assert!(fetch.next().is_ok());
    assert_eq!(fetch.next().expect_err("a no").to_string(), "the volume is not there");
    assert!(refused.dumps(None).expect("nothing").is_empty());
}

#[test]
fn a_lost_connection_is_an_io_error() {
    struct Torn;
    impl Read for Torn {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    assert!(matches!(Depot::new(Torn, Vec::new()).dumps(None), Err(DepotError::Lost(_))));
}

proptest! {
    #[test]
    fn any_answer_ends_in_dumps_names_directories_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200), data_first: bool) {
        let mut answer = if data_first && !bytes.is_empty() { data(&bytes) } else { bytes };
        answer.extend(told(&Told::Done));
        let depot = || Depot::new(Cursor::new(answer.clone()), Vec::new());
        let _ = depot().dumps(None);
        let _ = names(&mut depot());
        let _ = depot().directories(&id(), &[], true, |_, _| {});
        if let Ok(mut fetch) = depot().fetch(&id(), What::All) {
            while let Ok(Some(_)) = fetch.next() {}
        }
    }
}
