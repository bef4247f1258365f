//! Damaged archives: what is whole is read, and nothing else.

use std::collections::BTreeSet;
use std::io::{self, Cursor, Read as _};

use amanda::frames::{Collector, FRAME, Layout, Table};
use proptest::prelude::*;
use restore::unpack::{Event, Packed, unpack};
use wire::restore::Packing;

use crate::reading::{Memory, Read, read};
use crate::tree::{self, tar};

/// Small archives of all that can be in one.
fn archives() -> Vec<(&'static str, Vec<u8>)> {
    let world = tempfile::tempdir().unwrap();
    let root = world.path().join("root");
    std::fs::create_dir(&root).unwrap();
    tree::strange(&root);
    tree::posix(&root);
    std::fs::write(root.join("larger"), vec![1; 9000]).unwrap();
    let list = |format: &str| format!("--listed-incremental={}", world.path().join(format).display());
    vec![
        ("gnu", tar(&root, &["--format=gnu", "--sparse", &list("gnu"), "."])),
        ("posix", tar(&root, &["--format=posix", "--sparse", "--xattrs", "--acls", &list("posix"), "."])),
        ("old map", tar(&root, &["--format=posix", "--sparse", "--sparse-version=0.1", "."])),
    ]
}

/// Members with where each begins and ends.
fn ranges(archive: &[u8]) -> Vec<(std::ops::Range<usize>, Read)> {
    let (members, damages) = read(Memory::new(archive, 4096));
    assert!(damages.is_empty());
    let begins: Vec<usize> = members.iter().map(|read| read.begins as usize).collect();
    let mark = archive.iter().rposition(|byte| *byte != 0).unwrap().next_multiple_of(512);
    let ends = begins.iter().copied().skip(1).chain([mark]);
    begins.iter().zip(ends).map(|(begin, end)| *begin..end).zip(members.clone()).collect()
}

/// What has been read without error, as it would have been read of the whole archive.
fn good(members: Vec<Read>) -> Vec<Read> {
    members.into_iter().filter(|read| read.content.is_some()).map(|read| Read { begins: 0, in_doubt: false, ..read }).collect()
}

#[test]
fn a_hole_costs_the_members_that_it_lies_in_and_no_others() {
    for (format, archive) in archives() {
        let members = ranges(&archive);
        for length in [1, 512, 700, 1536, 5000] {
            // Around each member's headers; in the middle of a content there is nothing new.
            let starts: BTreeSet<usize> =
                members.iter().flat_map(|(range, _)| (range.start.saturating_sub(1024)..range.start + 2048).step_by(256)).collect();
            for start in starts {
                let hole = start..start + length;
                let (read, damages) = read(Memory::with_hole(&archive, 4096, hole.clone()));
                let touched = |range: &std::ops::Range<usize>| range.start < hole.end && hole.start < range.end;
                let whole = members.iter().filter(|(range, _)| !touched(range)).map(|(_, read)| Read {
                    begins: 0,
                    in_doubt: false,
                    ..read.clone()
                });
                let (read, expected) = (good(read), whole.collect::<Vec<_>>());
                // A hole may lie in what fills the last block of a member, and that may be known.
                let surplus: Vec<&Read> = read.iter().filter(|read| !expected.contains(read)).collect();
                let known = |read: &Read| {
                    members.iter().any(|(range, whole)| touched(range) && Read { begins: 0, in_doubt: false, ..whole.clone() } == *read)
                };
                assert!(surplus.iter().all(|read| known(read)) && surplus.len() <= 1, "{format} {hole:?}: {surplus:?}");
                let missing: Vec<&Read> = expected.iter().filter(|whole| !read.contains(whole)).collect();
                assert!(
                    missing.is_empty(),
                    "{format} {hole:?}: {missing:?} {damages:?} {:?}",
                    members
                        .iter()
                        .map(|(range, read)| (range, String::from_utf8_lossy(&read.member.path)))
                        .filter(|(range, _)| range.end + 3000 > hole.start && range.start < hole.end + 3000)
                        .collect::<Vec<_>>()
                );
                let last = members.last().unwrap().0.end;
                assert!(!damages.is_empty() || hole.start >= last + 1024, "{format} {hole:?}");
            }
        }
    }
}

#[test]
fn a_cut_archive_has_all_members_before_the_cut_and_says_that_it_is_cut() {
    for (format, archive) in archives() {
        let members = ranges(&archive);
        let mark = members.last().unwrap().0.end;
        for end in (0..mark + 512).step_by(300) {
            let (read, damages) = read(Memory::new(&archive[..end], 4096));
            let before = members.iter().take_while(|(range, _)| range.end <= end).count();
            let read = good(read);
            assert!(read.len() == before || read.len() == before + 1, "{format} {end}: {} of {before}", read.len());
            assert!(
                read.iter().zip(&members).all(|(read, (_, whole))| read.member == whole.member && read.content == whole.content),
                "{format} {end}"
            );
            assert!(end == 0 || end >= mark + 512 || !damages.is_empty(), "{format} {end}");
        }
    }
}

#[test]
fn an_archive_in_a_file_is_not_unpacked_behind_a_hole_in_it() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("planted"), "x").unwrap();
    let inner = tar(root.path(), &["./planted"]);
    std::fs::write(root.path().join("inner.tar"), inner.repeat(3)).unwrap();
    std::fs::remove_file(root.path().join("planted")).unwrap();
    std::fs::write(root.path().join("last"), "x").unwrap();
    let archive = tar(root.path(), &["./inner.tar", "./last"]);
    let names = |hole: std::ops::Range<usize>| {
        read(Memory::with_hole(&archive, 4096, hole)).0.into_iter().map(|read| (read.member.path, read.in_doubt)).collect::<Vec<_>>()
    };
    // Where the file ends is known, as long as its header is.
    assert_eq!(names(1024..9000), [(b"./inner.tar".to_vec(), false), (b"./last".to_vec(), false)]);
    // Otherwise it is said that members were found by looking.
    assert!(names(0..600).iter().all(|(_, in_doubt)| *in_doubt));
}

/// A dump in frames, one of them damaged.
struct Framed {
    dump: Vec<u8>,
    events: std::vec::IntoIter<Told>,
}

#[derive(Clone)]
enum Told {
    Frame(u64, u64),
    Bytes(std::ops::Range<usize>),
}

impl Packed for Framed {
    fn next(&mut self) -> io::Result<Option<Event<'_>>> {
        Ok(self.events.next().map(|told| match told {
            Told::Frame(packed, raw) => Event::Frame { packed, raw },
            Told::Bytes(range) => Event::Bytes(&self.dump[range]),
        }))
    }
}

#[test]
fn a_damaged_frame_of_a_dump_costs_the_members_in_it() {
    let root = tempfile::tempdir().unwrap();
    let mut state = 7_u64;
    for at in 0..40 {
        let bytes = (0..60_000 * (at % 9)).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 60) as u8
        });
        std::fs::write(root.path().join(format!("{at:02}")), bytes.collect::<Vec<u8>>()).unwrap();
    }
    let archive = tar(root.path(), &["--format=posix", "--sort=name", "."]);
    let members = ranges(&archive);
    let (mut dump, mut layout, mut collector) = (Vec::new(), Layout::default(), Collector::default());
    let mut compressor = zstd::bulk::Compressor::new(3).unwrap();
    compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true)).unwrap();
    for piece in archive.chunks(FRAME) {
        let packed = compressor.compress(piece).unwrap();
        layout.data(packed.len(), piece.len());
        dump.extend(packed);
    }
    collector.add(b"./", 0).unwrap();
    let names = collector.finish().unwrap().unwrap();
    layout.members(&names);
    dump.extend_from_slice(names.bytes());
    dump.extend(layout.finish().unwrap());

    let table = Table::read(&mut Cursor::new(&dump)).unwrap().unwrap();
    assert!(table.data().len() > 2);
    for lost in 0..table.data().len() {
        let frames = table.data().iter().flat_map(|frame| {
            let packed = frame.packed.start as usize..frame.packed.end as usize;
            [Told::Frame(packed.len() as u64, frame.raw.end - frame.raw.start), Told::Bytes(packed)]
        });
        let mut bent = dump.clone();
        let frame = &table.data()[lost];
        bent[frame.packed.start as usize + 1000] ^= 1;
        bent[frame.packed.end as usize - 1000] ^= 1;
        let framed = Framed { dump: bent, events: frames.collect::<Vec<_>>().into_iter() };
        let (read, damages) = read(unpack(Packing::Frames, framed).unwrap());
        let touched = |range: &std::ops::Range<usize>| (range.start as u64) < frame.raw.end && frame.raw.start < range.end as u64;
        let expected: Vec<&Read> = members.iter().filter(|(range, _)| !touched(range)).map(|(_, read)| read).collect();
        let read = good(read);
        assert_eq!(damages.len(), 1, "{damages:?}");
        assert!(damages[0].bytes == Some(frame.raw.end - frame.raw.start) && damages[0].to_string().contains("missing"), "{damages:?}");
        assert!(
            read.len() == expected.len()
                && read.iter().zip(expected).all(|(read, whole)| read.member == whole.member && read.content == whole.content),
            "{lost}"
        );
    }
    let mut plain = Vec::new();
    zstd::stream::read::Decoder::new(&dump[..]).unwrap().read_to_end(&mut plain).unwrap();
    assert!(plain == archive);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn bent_archives_have_an_end(flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..20), kind in 0..3_usize, chunk in 1..5000_usize) {
        static ARCHIVES: std::sync::OnceLock<Vec<(&'static str, Vec<u8>)>> = std::sync::OnceLock::new();
        let mut archive = ARCHIVES.get_or_init(archives)[kind].1.clone();
        for (at, byte) in flips {
            let at = at.index(archive.len());
            archive[at] = byte;
        }
        read(Memory::new(&archive, chunk));
    }

    #[test]
    fn any_bytes_have_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..3000), chunk in 1..600_usize) {
        read(Memory::new(&bytes, chunk));
    }
}
