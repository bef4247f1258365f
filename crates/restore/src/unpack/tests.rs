use std::io::Write as _;

use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

/// What a dump's data comes as, owned.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    Bytes(Vec<u8>),
    Frame(u64, u64),
    Hole(Option<u64>),
}

struct Parts(std::vec::IntoIter<Part>, Vec<u8>);

impl Packed for Parts {
    fn next(&mut self) -> io::Result<Option<Event<'_>>> {
        Ok(self.0.next().map(|part| match part {
            Part::Bytes(bytes) => {
                self.1 = bytes;
                Event::Bytes(&self.1)
            }
            Part::Frame(packed, raw) => Event::Frame { packed, raw },
            Part::Hole(raw) => Event::Hole { raw, why: "it was lost.".into() },
        }))
    }
}

fn parts(parts: Vec<Part>) -> Parts {
    Parts(parts.into_iter(), Vec::new())
}

/// Stored bytes, a few at a time.
fn cut(bytes: &[u8], piece: usize) -> Vec<Part> {
    bytes.chunks(piece).map(|chunk| Part::Bytes(chunk.to_vec())).collect()
}

type Holes = Vec<(Option<u64>, String)>;

/// All bytes of the archive; holes as their lengths and reasons.
fn read(packing: Packing, dump: Vec<Part>) -> (Vec<u8>, Holes, Stored) {
    let mut unpacked = unpack(packing, parts(dump)).unwrap();
    let (mut archive, mut holes) = (Vec::new(), Vec::new());
    while let Some(piece) = unpacked.fill().unwrap() {
        match piece {
            Piece::Bytes(bytes) => {
                let some = bytes.len().min(100_000);
                archive.extend_from_slice(&bytes[..some]);
                unpacked.consume(some);
            }
            Piece::Hole { bytes, why } => holes.push((bytes, why)),
        }
    }
    (archive, holes, unpacked.finish().unwrap().0)
}

fn stored(dump: &[u8]) -> Stored {
    Stored { crc32c: crc32c::crc32c(dump), bytes: dump.len() as u64 }
}

/// Bytes that compress a little.
fn some_bytes(length: usize) -> Vec<u8> {
    (0..length as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> (20 + at / 4096 % 8)) as u8).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd_frame(bytes: &[u8]) -> Vec<u8> {
    let mut compressor = ::zstd::bulk::Compressor::new(3).unwrap();
    compressor.set_parameter(::zstd::zstd_safe::CParameter::ChecksumFlag(true)).unwrap();
    compressor.compress(bytes).unwrap()
}

fn skippable(bytes: &[u8]) -> Vec<u8> {
    [&0x184d_2a5a_u32.to_le_bytes()[..], &(bytes.len() as u32).to_le_bytes(), bytes].concat()
}

#[test]
fn what_was_packed_comes_out() {
    let (one, two) = (some_bytes(3_000_000), some_bytes(70_000));
    let both = [&one[..], &two].concat();
    let zeros = vec![0; 9000];
    for (packing, dump) in [
        (Packing::Plain, both.clone()),
        (Packing::Gzip, gzip(&both)),
        (Packing::Gzip, [gzip(&one), gzip(&two)].concat()),
        (Packing::Gzip, [gzip(&one), gzip(b""), gzip(&two), zeros.clone()].concat()),
        (Packing::Zstd, zstd_frame(&both)),
        (Packing::Zstd, [zstd_frame(&one), skippable(b"names"), zstd_frame(&two), skippable(b"table")].concat()),
        (Packing::Zstd, [skippable(b"names"), zstd_frame(&one), zstd_frame(b""), zstd_frame(&two), zeros].concat()),
    ] {
        for piece in [997, 1 << 16, dump.len()] {
            assert_eq!(read(packing, cut(&dump, piece)), (both.clone(), Vec::new(), stored(&dump)), "{packing:?} {piece}");
        }
    }
}

#[test]
fn an_empty_archive_is_one_and_an_empty_dump_is_damaged() {
    assert_eq!(read(Packing::Gzip, cut(&gzip(b""), 7)).1, []);
    assert_eq!(read(Packing::Zstd, cut(&zstd_frame(b""), 7)).1, []);
    assert_eq!(read(Packing::Frames, Vec::new()).1, []);
    for packing in [Packing::Gzip, Packing::Zstd] {
        let (archive, holes, _) = read(packing, Vec::new());
        assert!(archive.is_empty() && holes.len() == 1 && holes[0].1.contains("empty"), "{holes:?}");
    }
}

#[test]
fn a_damaged_stream_ends_there_and_its_bytes_are_counted_all_the_same() {
    let whole = some_bytes(2_000_000);
    for (packing, dump) in [(Packing::Gzip, gzip(&whole)), (Packing::Zstd, zstd_frame(&whole))] {
        let mut bent = dump.clone();
        let last = bent.len() - 2;
        bent[last] ^= 0x55;
        let behind = [&dump[..], b"garbage"].concat();
        for (case, dump) in [("checksum", bent), ("cut", dump[..dump.len() / 2].to_vec()), ("behind", behind)] {
            let (archive, holes, counted) = read(packing, cut(&dump, 5000));
            assert!(whole.starts_with(&archive) && holes.len() == 1 && holes[0].0.is_none(), "{case} {packing:?}: {holes:?}");
            assert!(archive.len() > 500_000, "{case} {packing:?}: {}", archive.len());
            assert_eq!(counted, stored(&dump), "{case} {packing:?}");
        }
        let (half, rest) = dump.split_at(dump.len() / 2);
        let holed = [cut(half, 5000), vec![Part::Hole(None)], cut(rest, 5000)].concat();
        let (archive, holes, counted) = read(packing, holed);
        assert!(whole.starts_with(&archive) && archive.len() < whole.len());
        assert_eq!(holes, [(None, "it was lost.".to_owned())], "{packing:?}");
        assert_eq!(counted, stored(&dump));
    }
}

#[test]
fn a_window_that_is_too_large_is_refused() {
    // Magic, no single segment, a window of 2^31 bytes; then a last, empty raw block.
    let dump = [&0xfd2f_b528_u32.to_le_bytes()[..], &[0, 21 << 3], &[1, 0, 0]].concat();
    let (_, holes, _) = read(Packing::Zstd, cut(&dump, 100));
    assert!(holes.len() == 1 && holes[0].1.contains("memory"), "{holes:?}");
}

/// Frames of these pieces, with what stands between them in a dump of ours.
fn framed(pieces: &[Vec<u8>]) -> Vec<Part> {
    let mut dump = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let names = skippable(format!("names of {at}").as_bytes());
        dump.push(Part::Frame(names.len() as u64, 0));
        dump.extend(cut(&names, 5));
        let packed = zstd_frame(piece);
        dump.push(Part::Frame(packed.len() as u64, piece.len() as u64));
        dump.extend(cut(&packed, 4000));
    }
    dump.extend(cut(&skippable(b"table"), 5));
    dump
}

fn bytes_of(dump: &[Part]) -> Vec<u8> {
    dump.iter().flat_map(|part| if let Part::Bytes(bytes) = part { bytes.clone() } else { Vec::new() }).collect()
}

#[test]
fn frames_come_in_order_and_what_lies_between_them_is_only_counted() {
    let pieces: Vec<Vec<u8>> = (0..20).map(|at| some_bytes(at * 30_000 + 1)).collect();
    let dump = framed(&pieces);
    assert_eq!(read(Packing::Frames, dump.clone()), (pieces.concat(), Vec::new(), stored(&bytes_of(&dump))));
}

#[test]
fn a_damaged_frame_costs_itself() {
    let pieces: Vec<Vec<u8>> = (1..9).map(|at| some_bytes(at * 30_000)).collect();
    let whole = framed(&pieces);
    let frames: Vec<usize> = (0..whole.len()).filter(|at| matches!(whole[*at], Part::Frame(_, raw) if raw > 0)).collect();
    for (lost, at) in frames.iter().copied().enumerate() {
        let mut bent = whole.clone();
        let Part::Bytes(bytes) = &mut bent[at + 2] else { panic!("bytes come behind a frame's announcement") };
        bytes[100] ^= 1;
        let mut short = whole.clone();
        short.remove(at + 1);
        let mut holed = short.clone();
        holed[at] = Part::Hole(Some(pieces[lost].len() as u64));
        let mut wrong = whole.clone();
        let Part::Frame(_, raw) = &mut wrong[at] else { panic!("frames are frames") };
        *raw += 1;
        let mut huge = whole.clone();
        huge[at] = Part::Frame(1 << 40, 1 << 40);
        for (case, dump) in [("bent", bent), ("short", short), ("holed", holed), ("wrong", wrong), ("huge", huge)] {
            let (archive, holes, counted) = read(Packing::Frames, dump.clone());
            let rest: Vec<u8> = pieces.iter().enumerate().filter(|(at, _)| *at != lost).flat_map(|(_, piece)| piece.clone()).collect();
            assert!(archive == rest, "{case} {lost}");
            assert!(holes.len() == 1 && holes[0].0.is_some(), "{case} {lost}: {holes:?}");
            assert_eq!(counted, stored(&bytes_of(&dump)), "{case} {lost}");
        }
    }
}

#[test]
fn a_caller_that_stops_early_still_gets_the_count() {
    let mut state = 1_u64;
    let whole: Vec<u8> = (0..2_000_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect();
    for (packing, dump) in [(Packing::Gzip, gzip(&whole)), (Packing::Zstd, zstd_frame(&whole)), (Packing::Plain, whole.clone())] {
        let mut unpacked = unpack(packing, parts(cut(&dump, 5000))).unwrap();
        assert!(matches!(unpacked.fill().unwrap(), Some(Piece::Bytes(_))));
        assert!(unpacked.stored().bytes < dump.len() as u64);
        assert_eq!(unpacked.finish().unwrap().0, stored(&dump));
    }
}

fn part() -> impl Strategy<Value = Part> {
    let frame = zstd_frame(b"something");
    let length = frame.len() as u64;
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Part::Bytes),
        Just(Part::Bytes(frame)),
        Just(Part::Frame(length, 9)),
        Just(Part::Bytes(gzip(b"something"))),
        (0..50_u64, prop_oneof![0..50_u64, Just(u64::MAX)]).prop_map(|(packed, raw)| Part::Frame(packed, raw)),
        proptest::option::of(any::<u64>()).prop_map(Part::Hole),
    ]
}

proptest! {
    #[test]
    fn any_dump_has_an_end(dump in proptest::collection::vec(part(), 0..12)) {
        for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd, Packing::Frames] {
            let (_, _, counted) = read(packing, dump.clone());
            prop_assert_eq!(counted, stored(&bytes_of(&dump)));
        }
    }
}
