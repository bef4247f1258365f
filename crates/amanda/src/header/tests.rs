use proptest::prelude::*;

use super::*;

const HOLDING: &[u8] = include_bytes!("../../tests/fixtures/header.holding");
const CHUNKED: &[u8] = include_bytes!("../../tests/fixtures/header.chunked");
const CONTINUATION: &[u8] = include_bytes!("../../tests/fixtures/header.cont");
const PART: &[u8] = include_bytes!("../../tests/fixtures/header.vtape-part");
const LABEL: &[u8] = include_bytes!("../../tests/fixtures/header.vtape-label");

#[test]
fn a_holding_file_tells_its_dump() {
    let header = Header::parse(HOLDING).unwrap();
    assert_eq!(header.kind, Kind::File);
    assert_eq!(header.dle, Dle::new("127.0.0.5", "/srv/aafx/src/data"));
    assert_eq!((header.datestamp.as_str(), header.level, header.partial), ("20261122023847", 0, false));
    assert_eq!(header.compression.as_deref(), Some(".gz"));
    assert_eq!(header.programs, Programs { program: b"/bin/tar".to_vec(), ..Programs::default() });
    assert_eq!(header.restore.uncompress.as_deref(), Some(&b"/bin/gzip -dc"[..]));
    assert_eq!(header.orig_kb, Some(3910));
    assert_eq!(header.native, Some(Crc { crc: 0xe979_ba23, bytes: 4_003_840 }));
    assert_eq!((header.client, header.client), (header.server, Crc::parse(b"413f4d73:4000936")));
    assert_eq!(header.continued_in, None);
    let xml = header.dle_xml.unwrap();
    assert!(xml.starts_with(b"<dle>") && xml.ends_with(b"</dle>"));
}

#[test]
fn chunks_and_parts_tell_their_place() {
    let first = Header::parse(CHUNKED).unwrap();
    assert_eq!(first.continued_in, Some("/srv/aafx/fx1/hold/20261122023856/127.0.0.5._srv_aafx_src_data.0.1".into()));
    let second = Header::parse(CONTINUATION).unwrap();
    assert_eq!((second.kind, second.server), (Kind::Continuation, None));
    let part = Header::parse(PART).unwrap();
    assert_eq!(part.kind, Kind::Part { number: 1, of: -1 });
    assert_eq!(part.dle, Dle::new("127.0.0.4", "/srv/aafx/src/home docs"));
}

#[test]
fn what_is_no_dump_is_refused_with_its_reason() {
    for (case, text, error) in [
        ("a label", LABEL, HeaderError::Kind("TAPESTART".into())),
        ("nothing", b"", HeaderError::NotAmanda),
        ("a tar", b"home/\0\0", HeaderError::NotAmanda),
        ("cut", b"AMANDA: FILE 20261122 h", HeaderError::Field("disk")),
        ("cut in a name", b"AMANDA: FILE 20261122 h \"/home do", HeaderError::Field("disk")),
        ("no level", b"AMANDA: FILE 20261122 h /d comp N", HeaderError::Field("level")),
        ("a level beyond", b"AMANDA: FILE 20261122 h /d lev 1000 comp N", HeaderError::Field("level")),
        ("no part", b"AMANDA: SPLIT_FILE 20261122 h /d lev 0 comp N", HeaderError::Field("part")),
    ] {
        assert_eq!(Header::parse(text), Err(error), "{case}");
    }
}

#[test]
fn a_forged_program_is_a_claim_and_a_partial_dump_is_marked() {
    let header =
        Header::parse(b"AMANDA: FILE 20261122 h /d lev 0 comp N program /bin/tar client_custom_compress /path/\x1bevil\nPARTIAL=YES\n");
    let header = header.unwrap();
    assert_eq!(header.compression, None);
    assert_eq!(header.programs.client_compress.as_deref(), Some(&b"/path/\x1bevil"[..]));
    assert!(header.partial);
}

#[test]
fn nothing_beyond_32_kib_is_read() {
    let mut file = b"AMANDA: FILE 20261122 h /d lev 0 comp N\n".to_vec();
    file.resize(HEADER_BYTES, b'x');
    file.extend(b"\nPARTIAL=YES\n");
    assert!(!Header::parse(&file).unwrap().partial);
}

proptest! {
    #[test]
    fn a_header_cut_anywhere_is_an_error_or_the_same_dump(cut in 0..PART.len()) {
        if let Ok(header) = Header::parse(&PART[..cut]) {
            prop_assert_eq!(header.dle, Dle::new("127.0.0.4", "/srv/aafx/src/home docs"));
        }
    }

    #[test]
    fn no_bytes_break_the_parser(tail in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = Header::parse(&[b"AMANDA: SPLIT_FILE ", &tail[..]].concat());
    }
}

/// What Amanda wrote: the last one is beside the index.
const BY_AMANDA: &[(&str, &[u8])] = &[
    ("holding", HOLDING),
    ("chunked", CHUNKED),
    ("continuation", CONTINUATION),
    ("part", PART),
    ("label", LABEL),
    ("label of a run", include_bytes!("../../tests/fixtures/files/header.label")),
    ("zstd", include_bytes!("../../tests/fixtures/files/header.part-zstd")),
    ("gzip", include_bytes!("../../tests/fixtures/files/header.part-gzip")),
    ("second part", include_bytes!("../../tests/fixtures/files/header.part-plain-2")),
    ("level 1 in holding", include_bytes!("../../tests/fixtures/files/header.holding-docs-home.1")),
    ("chunk in holding", include_bytes!("../../tests/fixtures/files/header.holding-plain.0.1")),
];

#[test]
fn what_amanda_wrote_is_printed_byte_for_byte() {
    for (name, file) in BY_AMANDA {
        let printed = Block::parse(file).unwrap().print().unwrap();
        let end = printed.iter().rposition(|byte| *byte != 0).unwrap();
        assert_eq!(String::from_utf8_lossy(&printed[..=end]).trim_end(), String::from_utf8_lossy(file).trim_end(), "{name}");
        assert_eq!((printed.len(), &printed[end - 2..=end]), (HEADER_BYTES, &b"\n\x0c\n"[..]), "{name}");
    }
    let beside_index = include_bytes!("../../tests/fixtures/files/header.index");
    let header = Header::parse(beside_index).unwrap();
    assert_eq!(header.text().unwrap(), beside_index);
    assert_eq!(header.beside_index(), header);
}

#[test]
fn a_dump_is_followed_from_holding_disk_to_volume_and_index() {
    let holding = Header::parse(include_bytes!("../../tests/fixtures/files/header.holding-docs-home.1")).unwrap();
    let mut made =
        Header::new(Dle::new("localhost", "docs home"), "20261123191250", 1).compressed(Compression::ClientCustom(b"/usr/bin/zstd"));
    made.orig_kb = holding.orig_kb;
    (made.native, made.client, made.server) = (holding.native, holding.client, holding.server);
    made.dle_xml = holding.dle_xml.clone();
    assert_eq!(made, holding);
    assert_eq!(made.restore.uncompress.as_deref(), Some(&b"/usr/bin/zstd -d"[..]));
    let part = Header::parse(include_bytes!("../../tests/fixtures/files/header.part-zstd")).unwrap();
    assert_eq!((part.as_part(1), part.beside_index().block_kb), (part.clone(), None));
    let first = Header::parse(include_bytes!("../../tests/fixtures/files/header.holding-plain.0")).unwrap();
    let last = Header::parse(include_bytes!("../../tests/fixtures/files/header.holding-plain.0.3")).unwrap();
    assert_eq!(first.as_continuation(), last);
}

#[test]
fn what_amanda_would_read_otherwise_is_not_printed() {
    let plain = Header::new(Dle::new("h", "/d"), "20261122", 0);
    let changed = |change: fn(&mut Header)| {
        let mut header = plain.clone();
        change(&mut header);
        header.print().err()
    };
    assert_eq!(changed(|_| ()), None);
    assert_eq!(changed(|header| header.dle.host.clear()), Some(PrintError::Empty("host")));
    assert_eq!(changed(|header| header.dle.host = "a b".into()), Some(PrintError::Unprintable("host")));
    assert_eq!(changed(|header| header.dle.disk = "x".repeat(256).into()), Some(PrintError::TooLong("disk")));
    assert_eq!(changed(|header| header.datestamp = "today".into()), Some(PrintError::Datestamp("today".into())));
    assert_eq!(changed(|header| header.kind = Kind::Part { number: 0, of: -1 }), Some(PrintError::Part));
    assert_eq!(changed(|header| header.kind = Kind::Part { number: 3, of: 2 }), Some(PrintError::Part));
    assert_eq!(
        changed(|header| header.programs.client_compress = Some(b"zstd -3".to_vec())),
        Some(PrintError::Unprintable("custom_compress"))
    );
    assert_eq!(
        changed(|header| {
            header.programs.client_compress = Some(b"/c".to_vec());
            header.programs.server_compress = Some(b"/s".to_vec());
        }),
        Some(PrintError::Both("custom_compress"))
    );
    assert_eq!(changed(|header| header.continued_in = Some("a\nPARTIAL=YES".into())), Some(PrintError::Unprintable("next chunk")));
    assert_eq!(
        changed(|header| header.restore.uncompress = Some(b"zcat | sh".to_vec())),
        Some(PrintError::Unprintable("uncompress command"))
    );
    assert_eq!(
        changed(|header| header.restore = Restore { uncompress: Some(b"zcat".to_vec()), ..Restore::default() }),
        Some(PrintError::Restore)
    );
    // Amanda leaves a longer one out, too.
    assert_eq!(changed(|header| header.dle_xml = Some(vec![b'x'; 40_000])), None);
}

/// Found by fuzzing.
#[test]
fn zero_is_not_known() {
    let header = Header::parse(b"AMANDA: FILE 20261122 h /d lev 0 comp N program /bin/tar\nORIGSIZE=0\nNATIVE-CRC=00000000:0\n").unwrap();
    assert_eq!((header.orig_kb, header.native), (None, None));
    assert_eq!(Header::parse(&header.print().unwrap()), Ok(header));
}

#[test]
fn a_dle_may_have_the_line_that_ends_it() {
    let mut header = Header::new(Dle::new("h", "/d"), "20261122", 0);
    header.dle_xml = Some(b"<dle>\nENDDLE\nENDDLE1\n</dle>".to_vec());
    let printed = header.print().unwrap();
    assert!(memchr::memmem::find(&printed, b"DLE=<<ENDDLE2\n").is_some());
    assert_eq!(Header::parse(&printed), Ok(header));
}

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9./_=:-]{1,40}"
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    word().prop_map(String::into_bytes)
}

prop_compose! {
    fn any_header()(
        kind in prop_oneof![Just(Kind::File), Just(Kind::Continuation), (1..99u32).prop_map(|number| Kind::Part { number, of: -1 })],
        datestamp in "[0-9]{8}|[0-9]{14}|X",
        host in word(),
        disk in prop::collection::vec(1..=255u8, 1..100),
        level: u8,
        program in bytes(),
        custom in prop::option::of(bytes()),
        recover in bytes(),
        partial: bool,
        orig_kb in prop::option::of(1..u64::MAX),
        crc in prop::option::of((1..=u32::MAX, any::<u64>())),
        continued_in in prop::option::of(word()),
        application in prop::option::of(bytes()),
        xml in prop::option::of("[a-zA-Z <>/\"\n]{0,200}"),
        block_kb in prop::option::of(1..4096u32),
    ) -> Header {
        use std::os::unix::ffi::OsStringExt as _;
        let header = Header::new(Dle::new(host, OsString::from_vec(disk)), datestamp, level);
        let mut header = match &custom {
            Some(custom) => header.compressed(Compression::ServerCustom(custom)),
            None => header,
        };
        header.programs.program = program;
        header.restore.recover = recover;
        Header {
            kind,
            partial,
            orig_kb,
            client: crc.map(|(crc, bytes)| Crc { crc, bytes }),
            continued_in: continued_in.map(OsString::from),
            application,
            dle_xml: xml.map(String::into_bytes),
            block_kb,
            ..header
        }
    }
}

proptest! {
    #[test]
    fn what_was_printed_is_read_back(header in any_header()) {
        let printed = header.print().unwrap();
        prop_assert_eq!(printed.len(), HEADER_BYTES);
        prop_assert_eq!(Header::parse(&printed), Ok(header));
    }

    #[test]
    fn a_label_is_read_back(datestamp in "[0-9]{14}|X", label in word()) {
        let start = Block::Start(Start { datestamp, label });
        prop_assert_eq!(Block::parse(&start.print().unwrap()), Ok(start));
    }

    #[test]
    fn a_block_is_the_same_after_a_second_reading(tail in prop::collection::vec(prop::sample::select(&b"AMANDA: FILE part 1/-1 lev 0 comp N\n=|<\"\\\x80"[..]), 0..200)) {
        if let Ok(block) = Block::parse(&[b"AMANDA: FILE 20261122 h /d lev 0 comp N program /bin/tar", &tail[..]].concat())
            && let Ok(printed) = block.print()
        {
            prop_assert_eq!(Block::parse(&printed), Ok(block));
        }
    }
}
