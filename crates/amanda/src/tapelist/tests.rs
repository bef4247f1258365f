use proptest::prelude::*;

use super::*;

const BY_AMANDA: &[u8] = include_bytes!("../../tests/fixtures/files/tapelist");

#[test]
fn amandas_list_is_read_and_printed_byte_for_byte() {
    let list = Tapelist::parse(BY_AMANDA).unwrap();
    let [two, one] = list.tapes() else { panic!("{list:?}") };
    assert_eq!(two, &Tape::new("20261123191235", "files4711-002", "files4711"));
    assert_eq!((one.label.as_str(), one.reuse), ("files4711-001", false));
    assert_eq!(list.print().unwrap(), BY_AMANDA);
}

#[test]
fn every_field_is_read() {
    let line = b"20261122 A-1 no-reuse BARCODE:b1 META:m BLOCKSIZE:512 POOL:p STORAGE:s CONFIG:c #off site, shelf 3\n";
    let list = Tapelist::parse(line).unwrap();
    let tape = list.get("A-1").unwrap();
    assert_eq!((tape.barcode.as_deref(), tape.meta.as_deref(), tape.block_kb), (Some("b1"), Some("m"), Some(512)));
    assert_eq!((tape.pool.as_deref(), tape.storage.as_deref(), tape.config.as_deref()), (Some("p"), Some("s"), Some("c")));
    assert_eq!(tape.comment.as_deref(), Some("off site, shelf 3"));
    assert_eq!(list.print().unwrap(), line);
}

#[test]
fn lines_of_older_amandas_are_read() {
    let list = Tapelist::parse(b"\n20261122 A-1\n0 A-2 reuse\n").unwrap();
    assert_eq!(list.tapes().iter().map(|tape| (tape.label.as_str(), tape.reuse)).collect::<Vec<_>>(), [("A-1", true), ("A-2", true)]);
    assert_eq!(list.print().unwrap(), b"20261122 A-1 reuse\n0 A-2 reuse\n");
}

#[test]
fn what_amanda_would_stop_at_is_an_error_with_its_line() {
    for (case, file, line, what) in [
        ("no label", "20261122\n", 1, "it has no label"),
        ("unknown word", "0 A reuse\n0 B reuse SLOT:3\n", 2, "\"SLOT:3\" is nothing that Amanda knows at this place"),
        ("order of words", "0 A POOL:p reuse\n", 1, "\"reuse\" is nothing that Amanda knows at this place"),
        ("a cut word", "0 A reu", 1, "\"reu\" is nothing that Amanda knows at this place"),
        ("no date", "A-1 0 reuse\n", 1, "\"A-1\" is no datestamp"),
        ("block size", "0 A reuse BLOCKSIZE:32k\n", 1, "its BLOCKSIZE is no number"),
    ] {
        assert_eq!(Tapelist::parse(file.as_bytes()), Err(TapelistError::Line { line, what: what.to_owned() }), "{case}");
    }
    assert!(Tapelist::parse(b"0 \xff reuse\n").is_err());
}

#[test]
fn a_volume_that_was_written_moves_to_the_top() {
    let mut list = Tapelist::parse(b"20261122 A reuse\n20261121 B reuse\n0 C reuse\n").unwrap();
    list.put(Tape::new("20261123", "B", "v"));
    list.put(Tape::new("20261122", "D", "v"));
    let order: Vec<_> = list.tapes().iter().map(|tape| tape.label.as_str()).collect();
    assert_eq!(order, ["B", "A", "D", "C"]);
    assert_eq!(list.remove("A").map(|tape| tape.datestamp), Some("20261122".to_owned()));
    assert_eq!(list.get("A"), None);
}

#[test]
fn words_with_blanks_are_not_printed() {
    for (label, config, field) in [("A 1", "v", "label"), ("", "v", "label"), ("A", "v w", "POOL")] {
        let mut list = Tapelist::default();
        list.put(Tape::new("0", label, config));
        assert_eq!(list.print(), Err(TapelistError::Unprintable { label: label.to_owned(), field }), "{label:?}");
    }
}

prop_compose! {
    fn any_tape()(
        datestamp in "0|[0-9]{8}|[0-9]{14}",
        label in "[!-~]{1,20}",
        reuse: bool,
        block_kb in prop::option::of(any::<u64>()),
        words in prop::array::uniform5(prop::option::of("[!-~]{1,20}")),
        comment in prop::option::of("[ -~]{0,30}"),
    ) -> Tape {
        let [barcode, meta, pool, storage, config] = words;
        Tape { datestamp, label, reuse, barcode, meta, block_kb, pool, storage, config, comment }
    }
}

proptest! {
    #[test]
    fn a_list_is_read_back(tapes in prop::collection::vec(any_tape(), 0..8)) {
        let mut list = Tapelist::default();
        for tape in tapes {
            list.put(tape);
        }
        prop_assert_eq!(Tapelist::parse(&list.print().unwrap()), Ok(list));
    }

    #[test]
    fn no_bytes_break_the_parser(file in prop::collection::vec(prop::sample::select(&b"0123 A\n\treuse-no#POOL:BLOCKSIZE:\xff"[..]), 0..200)) {
        if let Ok(list) = Tapelist::parse(&file) && let Ok(printed) = list.print() {
            prop_assert_eq!(Tapelist::parse(&printed), Ok(list));
        }
    }
}
