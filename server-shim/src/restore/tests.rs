use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, Cursor, Write as _};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use amanda::crc::Crc;
use amanda::frames::{Collector, Layout, Parts};
use amanda::index;
use flate2::write::GzEncoder;
use restore::archive::{Archive, Item};
use restore::member::Kind;
use restore::unpack::{Event, Packed, unpack};
use wire::frame::{CONTROL, pack, unpack as message};
use wire::restore::{Ask, DATA, Dump, DumpId, Packing, PathBytes, Told, What};
use wire::{AbortCode, Decoder, HostName};

use super::source::{Data, Source, Stored, no_such_dump};
use super::*;

mod harm;

/// A frame's part of the archive: small, so that there are many.
const FRAME: usize = 16 << 10;

fn host(name: &str) -> HostName {
    name.parse().expect("a name")
}

fn id(level: u8) -> DumpId {
    DumpId { host: host("laptop1"), disk: wire::DiskName::new("/home").expect("a name"), datestamp: "20261124010203".into(), level }
}

fn path(path: &str) -> PathBytes {
    PathBytes::new(path.as_bytes())
}

/// A tree, and GNU tar's incremental archive of it.
fn archive(format: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a directory");
    let tree = directory.path().join("tree");
    let long = format!("long/{}", "n".repeat(200));
    for name in ["a/deep", "b", &long] {
        fs::create_dir_all(tree.join(name)).expect("made");
    }
    for (name, bytes) in [("a/one", 50_000), ("a/deep/two", 10), ("b/three", 30_000), ("ab", 7), ("top", 0)] {
        fs::write(tree.join(name), fill(name, bytes)).expect("written");
    }
    fs::write(tree.join(&long).join("four"), fill("four", 600)).expect("written");
    symlink("../b/three", tree.join("a/link")).expect("a link");
    fs::hard_link(tree.join("a/one"), tree.join("b/same")).expect("a link");
    let holes = fs::File::create(tree.join("a/holes")).expect("made");
    holes.set_len(1 << 20).expect("long");
    std::os::unix::fs::FileExt::write_all_at(&holes, b"in the middle", 500_000).expect("written");
    let out = directory.path().join("dump");
    let tar = Command::new("tar")
        .args(["--create", "--sparse", format])
        .arg("--listed-incremental")
        .arg(directory.path().join("state"))
        .arg("--file")
        .arg(&out)
        .arg("--directory")
        .arg(&tree)
        .arg(".")
        .status();
    assert!(tar.expect("tar").success());
    fs::read(out).expect("read")
}

fn fill(seed: &str, bytes: usize) -> Vec<u8> {
    seed.bytes().cycle().zip(0u32..).map(|(byte, at)| byte ^ (at.wrapping_mul(2_654_435_761) >> 24) as u8).take(bytes).collect()
}

/// Returns where in an archive the middle of a file's content is.
fn find(archive: &[u8], seed: &str, bytes: usize) -> usize {
    memchr::memmem::find(archive, &fill(seed, bytes)[bytes / 2..][..16]).expect("it is there")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).expect("memory");
    gzip.finish().expect("memory")
}

/// All there is in an answer's data, as one who unpacks it reads it.
struct Answered(Vec<Part>, usize);

#[derive(Debug, Clone)]
enum Part {
    Bytes(Vec<u8>),
    Frame(u64, u64),
    Hole(Option<u64>, String),
}

impl Packed for Answered {
    fn next(&mut self) -> io::Result<Option<Event<'_>>> {
        let part = self.0.get(self.1);
        self.1 += 1;
        Ok(part.map(|part| match part {
            Part::Bytes(bytes) => Event::Bytes(bytes),
            Part::Frame(packed, raw) => Event::Frame { packed: *packed, raw: *raw },
            Part::Hole(raw, why) => Event::Hole { raw: *raw, why: why.clone() },
        }))
    }
}

/// Names and what they are of an archive, and what was lost.
fn members(packing: Packing, parts: Vec<Part>) -> (BTreeMap<String, Vec<u8>>, usize) {
    let mut archive = Archive::new(unpack(packing, Answered(parts, 0)).expect("a thread"));
    let (mut members, mut damages) = (BTreeMap::new(), 0);
    while let Some(item) = archive.next().expect("in memory") {
        let Item::Member(member, mut content) = item else {
            damages += 1;
            continue;
        };
        let mut bytes = vec![0; usize::try_from(member.size).expect("small")];
        let mut whole = true;
        if member.kind == Kind::File {
            use restore::member::Body as _;
            loop {
                match content.next() {
                    Ok(Some((at, piece))) => bytes[at as usize..at as usize + piece.len()].copy_from_slice(piece),
                    Ok(None) => break,
                    Err(_) => {
                        whole = false;
                        break;
                    }
                }
            }
        }
        if whole {
            members.insert(String::from_utf8(member.path).expect("our names"), bytes);
        }
    }
    (members, damages)
}

/// The dump in frames, as our client writes it, and where frames begin.
fn frames(archive: &[u8]) -> Vec<u8> {
    let (mut layout, mut collector, mut dump) = (Layout::default(), Collector::default(), Vec::new());
    let mut zstd = zstd::bulk::Compressor::new(3).expect("memory");
    zstd.include_checksum(true).expect("a flag");
    for piece in archive.chunks(FRAME) {
        let packed = zstd.compress(piece).expect("memory");
        layout.data(packed.len(), piece.len());
        dump.extend(packed);
    }
    let mut read = Archive::new(unpack(Packing::Plain, Answered(vec![Part::Bytes(archive.to_vec())], 0)).expect("plain"));
    loop {
        let name = match read.next().expect("in memory") {
            Some(Item::Member(member, _)) => index::escaped(&member.path),
            Some(Item::Damage(damage)) => panic!("{damage:?}"),
            None => break,
        };
        assert!(collector.add(&name, read.begins() / 512).expect("memory").is_none());
    }
    let section = collector.finish().expect("memory").expect("members");
    layout.members(&section);
    dump.extend_from_slice(section.bytes());
    dump.extend(layout.finish().expect("memory"));
    dump
}

/// One dump, which is bytes.
struct One<'a> {
    directory: &'a Path,
    dump: Vec<u8>,
    index: Option<Vec<u8>>,
    as_stream: bool,
    notes: Vec<String>,
}

impl Source for One<'_> {
    fn dumps(&mut self, _: &HostName) -> Result<Vec<Dump>, Trouble> {
        Ok(Vec::new())
    }
    fn index(&mut self, _: &DumpId) -> Result<Option<Box<dyn BufRead>>, Trouble> {
        Ok(self.index.clone().map(|list| Box::new(Cursor::new(list)) as Box<dyn BufRead>))
    }
    fn stored(&mut self, dump: &DumpId) -> Result<Stored, Trouble> {
        if dump.level > 0 {
            return Err(no_such_dump(dump));
        }
        let sum = Some(Crc { crc: crc32c::crc32c(&self.dump), bytes: self.dump.len() as u64 });
        let data = if self.as_stream {
            Data::Stream(Box::new(Cursor::new(self.dump.clone())))
        } else {
            let path = self.directory.join("dump");
            fs::write(&path, &self.dump).expect("written");
            let (first, length) = (self.dump.len() as u64 / 3, self.dump.len() as u64);
            let open = || fs::File::open(&path).expect("there");
            Data::Files(Parts::new([(open(), 0..first), (open(), first..length)]).expect("short"))
        };
        Ok(Stored { data, sum, native: None, bytes: self.dump.len() as u64, is_plain: false })
    }
}

impl Library for One<'_> {
    fn of(&mut self, host: &HostName) -> Result<&mut dyn Source, Trouble> {
        if host.as_str() == "laptop1" { Ok(self) } else { Err(Trouble::refused(format!("{host} is not yours"), "")) }
    }
    fn note(&mut self, asked: &Asked<'_>, outcome: &str) {
        self.notes.push(format!("{} {} {outcome}", asked.what, asked.host));
    }
}

/// What was answered: what was told, and the data between.
fn ask(library: &mut dyn Library, ask: &Ask) -> (Vec<Told>, Vec<Part>) {
    let (mut out, question) = (Vec::new(), pack(ask).expect("short"));
    serve(library, &host("laptop1"), &*question, &mut out).expect("in memory");
    let mut decoder = Decoder::new();
    decoder.feed(&out);
    let (mut told, mut parts) = (Vec::new(), Vec::new());
    while let Some(frame) = decoder.next_frame().expect("our frames") {
        match frame.channel {
            CONTROL => match message(frame).expect("our message") {
                Told::Frame { packed, raw } => parts.push(Part::Frame(packed, raw)),
                Told::Hole { raw, why } => parts.push(Part::Hole(raw, why)),
                other => told.push(other),
            },
            DATA => parts.push(Part::Bytes(frame.payload.to_vec())),
            other => panic!("channel {other}"),
        }
    }
    decoder.finish().expect("whole");
    (told, parts)
}

fn data(parts: &[Part]) -> Vec<u8> {
    let bytes = |part: &Part| if let Part::Bytes(bytes) = part { bytes.clone() } else { Vec::new() };
    parts.iter().flat_map(bytes).collect()
}

/// Asks about a dump in each of its forms.
fn in_all_forms(format: &str, each: impl Fn(&str, Packing, &mut One<'_>)) {
    let directory = tempfile::tempdir().expect("a directory");
    let archive = archive(format);
    let zstd = zstd::bulk::compress(&archive, 3).expect("memory");
    for (case, packing, dump) in [
        ("plain", Packing::Plain, archive.clone()),
        ("gzip", Packing::Gzip, gzip(&archive)),
        ("zstd", Packing::Zstd, zstd),
        ("frames", Packing::Frames, frames(&archive)),
    ] {
        for as_stream in [false, true] {
            let packing = if as_stream && packing == Packing::Frames { Packing::Zstd } else { packing };
            let mut one = One { directory: directory.path(), dump: dump.clone(), index: None, as_stream, notes: Vec::new() };
            each(&format!("{case} as_stream={as_stream} {format}"), packing, &mut one);
        }
    }
}

const FORMATS: [&str; 2] = ["--format=gnu", "--format=posix"];

#[test]
fn a_whole_dump_comes_as_it_is_stored() {
    in_all_forms("--format=gnu", |case, packing, one| {
        let (told, parts) = ask(one, &Ask::Fetch { dump: id(0), what: What::All });
        let stored = Some((format!("{:08x}", crc32c::crc32c(&one.dump)), one.dump.len() as u64));
        assert_eq!(told, [Told::Archive { packing, bytes: one.dump.len() as u64, stored }, Told::Done], "{case}");
        assert!(data(&parts) == one.dump, "{case}");
        let (members, damages) = members(packing, parts);
        assert_eq!((members.len(), damages), (15, 0), "{case}");
        assert_eq!(members["./b/three"], fill("b/three", 30_000), "{case}");
    });
}

#[test]
fn members_come_with_all_below_them_and_little_else() {
    for format in FORMATS {
        in_all_forms(format, |case, packing, one| {
            let what = What::Members(vec![path("a"), path("long"), path("nothing")]);
            let (told, parts) = ask(one, &Ask::Fetch { dump: id(0), what });
            assert!(matches!(told[..], [Told::Archive { packing: Packing::Plain, stored: None, .. }, Told::Done]), "{case}: {told:?}");
            let (members, damages) = members(Packing::Plain, parts);
            let long = format!("./long/{}/", "n".repeat(200));
            let four = format!("{long}four");
            let names: Vec<&str> = members.keys().map(String::as_str).collect();
            // Hard links are members of their own, and the first name is wherever tar met it.
            let expected = ["./a/", "./a/deep/", "./a/deep/two", "./a/holes", "./a/link", "./a/one", "./long/", &long, &four];
            assert_eq!((names, damages), (expected.to_vec(), 0), "{case} {packing:?}");
            assert_eq!(members[&four], fill("four", 600), "{case}");
            assert_eq!(members["./a/holes"][500_000..500_013], *b"in the middle", "{case}");
        });
    }
}

#[test]
fn directories_come_with_those_above_them() {
    for format in FORMATS {
        in_all_forms(format, |case, _, one| {
            for (of, deep, expected) in [
                ("a/deep", false, &["", "a", "a/deep"][..]),
                ("a", false, &["", "a"]),
                ("a", true, &["", "a", "a/deep"]),
                ("", false, &[""]),
                ("none", false, &[""]),
            ] {
                let (told, parts) = ask(one, &Ask::Directories { dump: id(0), of: vec![path(of)], deep });
                assert_eq!(told, [Told::Done], "{case}");
                let (mut bytes, mut found) = (&data(&parts)[..], BTreeMap::new());
                while let Some((lengths, rest)) = bytes.split_first_chunk::<8>() {
                    let length = |at: usize| u32::from_le_bytes(lengths[at..at + 4].try_into().expect("four")) as usize;
                    let (path, rest) = rest.split_at(length(0));
                    let (dumpdir, rest) = rest.split_at(length(4));
                    found.insert(String::from_utf8(path.to_vec()).expect("text"), dumpdir.to_vec());
                    bytes = rest;
                }
                assert_eq!(found.keys().collect::<Vec<_>>(), expected, "{case} {of} {deep}");
                let top = found[""].split(|byte| *byte == 0).filter(|name| !name.is_empty()).count();
                assert_eq!(top, 5, "{case}: {:?}", found[""].escape_ascii().to_string());
            }
        });
    }
}

#[test]
fn names_come_from_the_index_and_without_one_from_the_archive() {
    in_all_forms("--format=gnu", |case, _, one| {
        for index in [None, Some(b"/\n/a/\n/a/one\n/a/deep/\n/a/deep/two\n/a/holes\n/a/link\n/ab\n".to_vec())] {
            one.index = index;
            for (below, deep, expected) in [
                ("a", false, &["/a/deep/", "/a/holes", "/a/link", "/a/one"][..]),
                ("a", true, &["/a/deep/", "/a/deep/two", "/a/holes", "/a/link", "/a/one"]),
            ] {
                let (told, parts) = ask(one, &Ask::Names { dump: id(0), below: path(below), deep });
                let bytes = data(&parts);
                let text = String::from_utf8(bytes).expect("escaped");
                let mut lines: Vec<&str> = text.lines().collect();
                lines.sort_unstable();
                assert_eq!((told.as_slice(), lines.as_slice()), (&[Told::Done][..], expected), "{case}");
            }
        }
    });
}

#[test]
fn a_damaged_frame_costs_only_itself() {
    let directory = tempfile::tempdir().expect("a directory");
    let archive = archive("--format=gnu");
    let mut dump = frames(&archive);
    // In the first file's data, far from any member's header.
    let at = find(&archive, "a/one", 50_000);
    let table = amanda::frames::Table::read(&mut Cursor::new(&dump)).expect("whole").expect("a table");
    let frame = table.frames(&(at as u64..at as u64 + 1))[0].clone();
    dump[frame.packed.start as usize + 20] ^= 0x55;
    let mut one = One { directory: directory.path(), dump, index: None, as_stream: false, notes: Vec::new() };
    for (what, packing) in [(What::All, Packing::Frames), (What::Members(vec![path("")]), Packing::Plain)] {
        let (told, parts) = ask(&mut one, &Ask::Fetch { dump: id(0), what });
        assert_eq!(told.last(), Some(&Told::Done));
        let (members, damages) = members(packing, parts);
        assert_eq!((members.len(), damages), (14, 1), "{:?}", members.keys());
        assert!(!members.contains_key("./a/one") && members.contains_key("./b/three"));
    }
}

#[test]
fn a_stream_that_is_cut_off_gives_what_is_whole() {
    let archive = archive("--format=posix");
    let directory = tempfile::tempdir().expect("a directory");
    let cut = find(&archive, "b/three", 30_000);
    for dump in [archive[..cut].to_vec(), gzip(&archive[..cut])] {
        let mut one = One { directory: directory.path(), dump, index: None, as_stream: true, notes: Vec::new() };
        let (told, parts) = ask(&mut one, &Ask::Fetch { dump: id(0), what: What::Members(vec![path("a"), path("b")]) });
        assert_eq!(told.last(), Some(&Told::Done));
        let holes = parts.iter().filter(|part| matches!(part, Part::Hole(..))).count();
        let (members, damages) = members(Packing::Plain, parts);
        assert_eq!((holes, damages, members.contains_key("./a/one"), members.contains_key("./b/three")), (1, 1, true, false));
    }
}

#[test]
fn what_is_not_yours_is_refused_and_noted_and_the_conversation_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut one = One { directory: directory.path(), dump: vec![0; 1024], index: None, as_stream: false, notes: Vec::new() };
    let other = DumpId { host: host("laptop2"), ..id(0) };
    let dots = PathBytes::new(b"a/../../b");
    for (case, code, asked) in [
        ("another host", AbortCode::Refused, Ask::Fetch { dump: other, what: What::All }),
        ("another host's list", AbortCode::Refused, Ask::Dumps { host: Some(host("laptop2")) }),
        ("dots", AbortCode::Refused, Ask::Fetch { dump: id(0), what: What::Members(vec![dots.clone()]) }),
        ("dots in names", AbortCode::Refused, Ask::Names { dump: id(0), below: dots.clone(), deep: true }),
        ("dots in directories", AbortCode::Refused, Ask::Directories { dump: id(0), of: vec![dots], deep: true }),
        ("an absolute path", AbortCode::Refused, Ask::Names { dump: id(0), below: path("/etc"), deep: true }),
        ("no such dump", AbortCode::Refused, Ask::Fetch { dump: id(3), what: What::All }),
        ("no datestamp", AbortCode::Refused, Ask::Fetch { dump: DumpId { datestamp: "../x".into(), ..id(0) }, what: What::All }),
        ("too many", AbortCode::Refused, Ask::Fetch { dump: id(0), what: What::Members(vec![path("a"); 257]) }),
    ] {
        one.notes.clear();
        let (told, parts) = ask(&mut one, &asked);
        assert!(matches!(&told[..], [Told::No { code: said, .. }] if *said == code) && parts.is_empty(), "{case}: {told:?}");
        assert!(one.notes[0].ends_with(" asked") && one.notes[1].contains("refused: "), "{case}: {:?}", one.notes);
        assert_eq!(one.notes.len(), 2, "{case}");
    }
    let two: Vec<u8> =
        [Ask::Dumps { host: Some(host("laptop2")) }, Ask::Dumps { host: None }].iter().flat_map(|ask| pack(ask).expect("short")).collect();
    let mut out = Vec::new();
    serve(&mut one, &host("laptop1"), &*two, &mut out).expect("in memory");
    assert!(out.ends_with(&pack(&Told::Done).expect("short")));
}

#[test]
fn what_is_no_ask_ends_the_conversation() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut one = One { directory: directory.path(), dump: vec![], index: None, as_stream: false, notes: Vec::new() };
    let data = [&wire::frame::header(DATA, 1)[..], b"x"].concat();
    let half = pack(&Ask::Dumps { host: None }).expect("short");
    for (case, bytes) in [("bytes", &data[..]), ("half an ask", &half[..half.len() - 1]), ("too long", &[0xff; 8])] {
        assert!(serve(&mut one, &host("laptop1"), bytes, &mut Vec::new()).is_err(), "{case}");
    }
    let (told, _) = ask(&mut one, &Ask::Fetch { dump: id(0), what: What::All });
    assert!(matches!(&told[..], [Told::No { message, .. }] if message.contains("empty")), "{told:?}");
    one.dump = b"BZh91AY&SY and more".to_vec();
    let (told, _) = ask(&mut one, &Ask::Fetch { dump: id(0), what: What::All });
    assert!(matches!(&told[..], [Told::No { code: AbortCode::Config, .. }]), "{told:?}");
}
