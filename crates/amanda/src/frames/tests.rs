use std::io::{Cursor, Read as _, Seek as _, SeekFrom};

use proptest::prelude::*;

use super::*;

/// A dump: pieces of an archive, and members in sections of their own before the piece of the same number, the rest at the end.
fn dump(archive: &[Vec<u8>], sections: &[Vec<(Vec<u8>, u64)>]) -> Vec<u8> {
    let (mut dump, mut layout, mut collector) = (Vec::new(), Layout::default(), Collector::default());
    let mut compressor = zstd::bulk::Compressor::new(LEVEL).unwrap();
    compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true)).unwrap();
    let mut section = |dump: &mut Vec<u8>, layout: &mut Layout, members: &[(Vec<u8>, u64)]| {
        let full: Vec<Section> = members.iter().filter_map(|(name, block)| collector.add(name, *block).unwrap()).collect();
        for section in full.into_iter().chain(collector.finish().unwrap()) {
            layout.members(&section);
            dump.extend_from_slice(section.bytes());
        }
    };
    let mut sections = sections.iter();
    for piece in archive {
        sections.next().into_iter().for_each(|members| section(&mut dump, &mut layout, members));
        let packed = compressor.compress(piece).unwrap();
        layout.data(packed.len(), piece.len());
        dump.extend(packed);
    }
    sections.for_each(|members| section(&mut dump, &mut layout, members));
    dump.extend(layout.finish().unwrap());
    dump
}

/// Everything that a dump says: the archive and its members.
type Said = (Vec<u8>, Vec<(Vec<u8>, u64)>);

fn said(dump: &[u8]) -> Result<Option<Said>, FramesError> {
    let mut dump = Cursor::new(dump);
    let Some(table) = Table::read(&mut dump)? else { return Ok(None) };
    let (mut archive, mut members) = (Vec::new(), Vec::new());
    table.copy(&mut dump, &(0..table.raw()), &mut archive)?;
    table.each_member(&mut dump, |name, at| members.push((name.to_vec(), at)))?;
    Ok(Some((archive, members)))
}

fn small() -> (Vec<u8>, Said) {
    let archive: Vec<Vec<u8>> = (0..3_u8).map(|piece| vec![piece; 2048]).collect();
    let member = |name: &str, block| (name.as_bytes().to_vec(), block);
    let sections = [vec![member("./", 0), member("./a", 1)], vec![member("./ab", 3)], vec![], vec![member("./b\\n", 7)]];
    let members = sections.iter().flatten().map(|(name, block)| (name.clone(), block * 512)).collect();
    (dump(&archive, &sections), (archive.concat(), members))
}

#[test]
fn a_member_is_read_with_its_own_frames_and_no_others() {
    let (dump, (archive, _)) = small();
    let mut file = Cursor::new(dump.clone());
    let table = Table::read(&mut file).unwrap().unwrap();
    for (name, raw, frames) in [("./", 0..512, 0..1), ("./a", 512..1536, 0..1), ("./ab", 1536..3584, 0..2), ("./b\\n", 3584..6144, 1..3)] {
        let found = table.find(&mut file, |other| other == name.as_bytes()).unwrap();
        assert_eq!(found, [Found { name: name.as_bytes().to_vec(), raw: raw.clone() }]);
        assert_eq!(table.frames(&raw), &table.data()[frames.clone()], "{name}");
        // All the other bytes of the archive are gone.
        let mut rest = vec![0xff; dump.len()];
        table.data()[frames].iter().map(|frame| frame.packed.start as usize..frame.packed.end as usize).for_each(|range| {
            rest[range.clone()].copy_from_slice(&dump[range]);
        });
        let mut member = Vec::new();
        table.copy(&mut Cursor::new(rest), &raw, &mut member).unwrap();
        assert_eq!(member, archive[raw.start as usize..raw.end as usize], "{name}");
    }
    assert!(table.find(&mut file, |name| name == b"./c").unwrap().is_empty());
}

#[test]
fn the_table_is_found_behind_a_header_before_zeros_and_over_parts() {
    let (dump, expected) = small();
    let header = vec![b'h'; 32 << 10];
    assert_eq!(said(&[&header, &dump[..]].concat()).unwrap().unwrap(), expected);
    for zeros in [1, 31, 32 << 10, MAX_PADDING as usize - 1] {
        assert_eq!(said(&[&dump[..], &vec![0; zeros]].concat()).unwrap().unwrap(), expected, "{zeros}");
    }
    let cuts = [0, 1, dump.len() / 2, dump.len() / 2, dump.len() - 9, dump.len()];
    let parts = cuts.windows(2).map(|cut| (Cursor::new([&header, &dump[cut[0]..cut[1]]].concat()), 32 << 10, cut[1] - cut[0]));
    let mut parts = Parts::new(parts.map(|(file, start, length)| (file, start..start + length as u64))).unwrap();
    let mut whole = Vec::new();
    parts.read_to_end(&mut whole).unwrap();
    assert_eq!(whole, dump);
    assert_eq!(parts.seek(SeekFrom::End(-3)).unwrap(), dump.len() as u64 - 3);
    assert!(parts.seek(SeekFrom::Current(-(dump.len() as i64))).is_err());
    let table = Table::read(&mut parts).unwrap().unwrap();
    let mut archive = Vec::new();
    table.copy(&mut parts, &(0..table.raw()), &mut archive).unwrap();
    assert_eq!(archive, expected.0);
}

#[test]
fn a_stream_of_the_zstd_program_and_no_stream_have_no_table() {
    for other in [zstd::bulk::compress(&[7; 5000], LEVEL).unwrap(), Vec::new(), vec![0; 5000], vec![1; 31], b"AmFrames".to_vec()] {
        assert!(said(&other).unwrap().is_none());
    }
}

#[test]
fn a_dump_that_is_cut_anywhere_is_not_read() {
    let (dump, _) = small();
    for length in 0..dump.len() {
        assert!(!matches!(said(&dump[..length]), Ok(Some(_))), "{length}");
    }
    for from in 1..dump.len() {
        assert!(!matches!(said(&dump[from..]), Ok(Some(_))), "without the first {from}");
    }
}

#[test]
fn a_byte_that_was_altered_is_found_or_changes_nothing() {
    let (dump, expected) = small();
    for at in 0..dump.len() {
        for bits in [1, 0x10, 0x80, 0xff] {
            let mut altered = dump.clone();
            altered[at] ^= bits;
            if let Ok(Some(found)) = said(&altered) {
                assert_eq!(found, expected, "byte {at} ^ {bits:x}");
            }
        }
    }
}

#[test]
fn a_later_version_is_told_from_damage() {
    let (mut dump, _) = small();
    let version = dump.len() - 12;
    dump[version] = 2;
    assert!(matches!(said(&dump), Err(FramesError::Version(2))));
}

#[test]
fn lengths_beyond_the_limits_are_refused_before_memory_is_taken() {
    let piece = |length: u64, raw: u64| {
        let mut body = Vec::new();
        varint::put(&mut body, length);
        varint::put(&mut body, raw);
        body
    };
    for (case, body, bytes, good) in [
        ("data", piece(100 << 1, MAX_FRAME), 100, true),
        ("too much data", piece(100 << 1, MAX_FRAME + 1), 100, false),
        ("too much compressed", piece((MAX_FRAME + (1 << 20)) << 1, 1), MAX_FRAME + (1 << 20), false),
        ("members", piece(100 << 1 | 1, MAX_SECTION), 100, true),
        ("too many members", piece(100 << 1 | 1, MAX_SECTION + 1), 100, false),
        ("an empty piece", piece(0, 0), 0, false),
        ("longer than the dump", piece(101 << 1, 1), 100, false),
        ("shorter than the dump", piece(99 << 1, 1), 100, false),
        ("cut", piece(100 << 1, 500)[..2].to_vec(), 100, false),
        ("around the corner", [piece(100 << 1, 1), piece(u64::MAX, 1)].concat(), 100, false),
        ("too many pieces", piece(1 << 1, 1).repeat(MAX_PIECES + 1), MAX_PIECES as u64 + 1, false),
    ] {
        assert_eq!(Table::parse(&body, 10..10 + bytes).is_ok(), good, "{case}");
    }
    for (packed, body, before) in [(u32::MAX, 10, 0), (10, u32::MAX, 0), (10, 10, u64::MAX), (10, 10, 1 << 40), (1 << 20, 10, 0)] {
        let trailer = table::Trailer { packed, body, before };
        let mut bytes = vec![1; 5000];
        bytes.extend(trailer.print(&[]));
        assert!(said(&bytes).is_err(), "{trailer:?}");
    }
}

#[test]
fn a_dump_that_is_too_long_for_a_table_has_none() {
    let mut layout = Layout::default();
    (0..=MAX_PIECES).for_each(|_| layout.data(1, 1));
    assert_eq!(layout.finish().unwrap(), Vec::<u8>::new());
}

#[test]
fn a_hundred_thousand_names_take_a_few_bytes_each_and_little_memory() {
    let (mut collector, mut bytes, mut sections) = (Collector::default(), 0, 0);
    let name = |file: u64| format!("./home/user{}/project{:02}/source-{file}.rs", file / 50_000, file / 500 % 100);
    for file in 0..100_000 {
        if let Some(section) = collector.add(name(file).as_bytes(), file * 21 + file % 7).unwrap() {
            assert!(section.raw() < 300_000);
            (bytes, sections) = (bytes + section.bytes().len(), sections + 1);
        }
    }
    bytes += collector.finish().unwrap().unwrap().bytes().len();
    assert!(sections > 1 && bytes < 200_000, "{sections}: {bytes}");
}

#[test]
fn an_empty_dump_costs_little() {
    let archive = vec![0; 32 << 10];
    let plain = zstd::bulk::compress(&archive, LEVEL).unwrap().len();
    let framed = dump(&[archive], &[vec![(b"./".to_vec(), 0)]]).len();
    assert!(framed < plain + 110, "{framed} beside {plain}");
}

#[test]
fn a_name_longer_than_an_index_has_and_a_block_that_goes_back_are_left_out() {
    let mut collector = Collector::default();
    for (name, block) in
        [(vec![b'x'; 4096], 1), (b"./a".to_vec(), 9), (b"./b".to_vec(), 8), (b"./c".to_vec(), u64::MAX), (b"./d".to_vec(), 9)]
    {
        assert!(collector.add(&name, block).unwrap().is_none());
    }
    let section = collector.finish().unwrap().unwrap();
    let mut names = Vec::new();
    each_member(&members::open(section.bytes(), section.raw() as u64).unwrap(), |name, at| names.push((name.to_vec(), at))).unwrap();
    assert_eq!(names, [(b"./a".to_vec(), 9 * 512), (b"./d".to_vec(), 9 * 512)]);
    assert!(collector.finish().unwrap().is_none());
}

fn members() -> impl Strategy<Value = Vec<Vec<(Vec<u8>, u64)>>> {
    let name = prop_oneof!["\\./[ab/]{0,9}".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..40)];
    prop::collection::vec(prop::collection::vec((name, 0..6_u64), 0..6), 0..8)
}

proptest! {
    #[test]
    fn what_was_put_in_comes_out(archive in prop::collection::vec(prop::collection::vec(0..4_u8, 512..3000), 0..6), mut sections in members()) {
        let blocks = archive.iter().map(Vec::len).sum::<usize>() as u64 / 512;
        let mut block = 0;
        for (_, step) in sections.iter_mut().flatten() {
            block = (block + *step).min(blocks);
            *step = block;
        }
        let dump = dump(&archive, &sections);
        let expected = sections.iter().flatten().map(|(name, block)| (name.clone(), block * 512)).collect::<Vec<_>>();
        let (found, names) = said(&dump).unwrap().unwrap();
        prop_assert_eq!(&found, &archive.concat());
        prop_assert_eq!(names, expected);
        // And a decoder that knows nothing of it gives the archive back.
        prop_assert_eq!(zstd::stream::decode_all(&dump[..]).unwrap(), found);
    }

    #[test]
    fn garbage_is_refused(garbage in prop::collection::vec(any::<u8>(), 0..300), end in 0_u64..2000) {
        let _ = said(&garbage);
        let _ = Table::parse(&garbage, 0..end);
        let _ = each_member(&garbage, |_, _| {});
        let _ = members::open(&garbage, end);
    }

    #[test]
    fn garbage_before_a_true_trailer_is_refused(garbage in prop::collection::vec(any::<u8>(), 0..300), packed in 0_u32..400, body in 0_u32..400, before in 0_u64..400) {
        let trailer = table::Trailer { packed, body, before }.print(&garbage);
        let content = [&garbage[..], &trailer].concat();
        let framed = skippable(&[&content]).unwrap();
        prop_assert!(!matches!(said(&framed), Ok(Some(_))) || garbage.is_empty());
    }
}
