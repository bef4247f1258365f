use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use amanda::crc::Crc;
use amanda::dle::Dle;
use amanda::header::{Block, Header, Start};
use amanda::run_log::contents::contents;
use amanda::run_log::write::Shelf;
use amanda::vtape::changer::ChgDisk;
use amanda::vtape::name;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::place::Place;
use super::*;

const STAMP: &str = "20261124102037";
const OLDER: &str = "20261123000000";

fn crc(bytes: &[u8]) -> Crc {
    Crc { crc: crc32c::crc32c(bytes), bytes: bytes.len() as u64 }
}

/// A dump of three files, as gzip packs it.
fn dump() -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for name in ["./one", "./two", "./three"] {
        let bytes: Vec<u8> = name.bytes().cycle().take(3000).collect();
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        // The builder would take the beginning off.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// A directory with volumes that nothing tells of.
struct World {
    _keep: tempfile::TempDir,
    place: Place,
}

impl World {
    fn new() -> Self {
        let keep = tempfile::tempdir().unwrap();
        let inside = |name: &str| keep.path().join(name);
        let place = Place {
            name: "daily".parse().unwrap(),
            storage: "daily".into(),
            pool: "daily".into(),
            changer: ChgDisk::new(inside("vtapes")),
            holding: Vec::new(),
            tapelist: inside("tapelist"),
            logdir: inside("log"),
            indexdir: inside("index"),
            infofile: inside("info"),
            disks: vec![dle()],
        };
        Self { _keep: keep, place }
    }

    /// Puts a volume into a slot, with a dump's parts.
    fn volume(&self, slot: u32, date: &str, parts: &[(u32, u32, &[u8])], header: &Header) {
        let directory = self.place.changer.make_slot(slot).unwrap().directory().to_owned();
        let label = format!("daily-{slot:03}");
        write(&directory.join(name::label(&label)), &Block::Start(Start { datestamp: date.into(), label }).print().unwrap(), b"");
        for (number, part, bytes) in parts {
            write(&directory.join(name::part(*number, &header.dle, header.level)), &header.as_part(*part).print().unwrap(), bytes);
        }
    }

    fn reindex(&self) -> (Exit, String) {
        let (exit, lines) = reindex(&self.place).unwrap();
        (exit, lines.join("\n"))
    }

    fn log(&self, name: &str) -> String {
        String::from_utf8(fs::read(self.place.logdir.join(name)).unwrap()).unwrap()
    }

    fn index(&self) -> Vec<String> {
        let directory = self.place.indexdir.join(amanda::index::directory(&dle()));
        let mut names: Vec<String> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn dle() -> Dle {
    Dle::new("laptop1", "/home")
}

fn header(server: Option<Crc>) -> Header {
    Header { server, compression: Some(".gz".into()), ..Header::new(dle(), STAMP, 0) }
}

fn write(path: &Path, header: &[u8], bytes: &[u8]) {
    let mut file = File::create(path).unwrap();
    file.write_all(header).and_then(|()| file.write_all(bytes)).unwrap();
}

#[test]
fn parts_over_two_volumes_are_one_dump_and_each_line_stands_behind_its_volumes() {
    let (world, dump) = (World::new(), dump());
    let (first, rest) = dump.split_at(100);
    let (second, third) = rest.split_at(50);
    let header = header(Some(crc(&dump)));
    world.volume(2, STAMP, &[(1, 3, third)], &header);
    world.volume(1, STAMP, &[(1, 1, first), (2, 2, second)], &header);
    world.volume(3, "X", &[], &header);
    let (exit, said) = world.reindex();
    assert!(
        exit == Exit::Done && said.contains("3 volumes with 1 dump of 1 disk, 1 of them whole") && said.contains("tell of 2 volumes"),
        "{said}"
    );

    let log = world.log(&format!("log.{STAMP}.0"));
    let said = contents(log.as_bytes(), |_, stamp| stamp == STAMP);
    let pieces: Vec<_> =
        said.pieces.iter().map(|piece| (piece.part.label.clone(), piece.part.file, piece.part.part, piece.bytes)).collect();
    let piece = |label: &str, file, part, bytes: &[u8]| (label.as_bytes().to_vec(), file, part, Some(bytes.len() as u64));
    assert_eq!(pieces, [piece("daily-001", 1, 1, first), piece("daily-001", 2, 2, second), piece("daily-002", 1, 3, third)]);
    assert!(matches!(&said.dumps[..], [dump] if dump.parts == 3 && dump.whole), "{log}");
    let last = log.rfind("DONE taper").unwrap();
    assert!(last > log.rfind("PART taper").unwrap() && log.matches("START taper").count() == 2, "{log}");
    let tapes = fs::read_to_string(&world.place.tapelist).unwrap();
    let labels: Vec<&str> = tapes.lines().map(|line| line.split(' ').take(2).last().unwrap()).collect();
    assert_eq!(labels, ["daily-002", "daily-001", "daily-003"], "{tapes}");
    assert!(tapes.contains("0 daily-003 reuse"), "{tapes}");
    assert_eq!(world.index(), [format!("{STAMP}_0-unsorted.gz"), format!("{STAMP}_0.header")]);
    let info = fs::read_to_string(world.place.infofile.join(amanda::curinfo::path(&dle()))).unwrap();
    assert!(info.contains("daily-001"), "{info}");
}

#[test]
fn what_is_missing_or_damaged_is_named_and_listed_as_partial() {
    let dump = dump();
    let mut bent = dump.clone();
    bent[60] ^= 0x10;
    let (first, rest) = dump.split_at(100);
    let whole = header(Some(crc(&dump)));
    for (case, parts, header, said) in [
        ("the last part is gone", vec![(1, 1, first)], &whole, "100 of its"),
        ("the first part is gone", vec![(1, 2, rest)], &whole, "part 1 of at least 2 is missing"),
        ("a bit is another one", vec![(1, 1, &bent[..])], &whole, "another checksum"),
        ("cut, and nobody said how long it is", vec![(1, 1, &dump[..dump.len() - 20])], &header(None), "damaged"),
    ] {
        let world = World::new();
        world.volume(1, STAMP, &parts, header);
        let (exit, lines) = world.reindex();
        assert!(exit == Exit::Failed && lines.contains(said) && lines.contains("0 of them whole"), "{case}: {lines}");
        let log = world.log(&format!("log.{STAMP}.0"));
        assert!(!log.contains("DONE taper"), "{case}: {log}");
        assert!(!world.place.infofile.join(amanda::curinfo::path(&dle())).exists(), "{case}");
    }
}

#[test]
fn a_dump_that_went_straight_to_a_volume_gets_the_sums_that_it_has() {
    let (world, dump) = (World::new(), dump());
    world.volume(1, STAMP, &[(1, 1, &dump)], &header(None));
    assert_eq!(world.reindex().0, Exit::Done);
    let log = world.log(&format!("log.{STAMP}.0"));
    assert!(log.contains(&format!("{}", crc(&dump))) && log.contains("DONE taper"), "{log}");
    let beside = world.place.indexdir.join(amanda::index::directory(&dle())).join(amanda::index::header_name(STAMP, 0));
    assert!(fs::read_to_string(beside).unwrap().contains(&format!("SERVER-CRC={}", crc(&dump))));
}

#[test]
fn what_is_there_is_left_as_it_is() {
    let (world, dump) = (World::new(), dump());
    let header = header(Some(crc(&dump)));
    world.volume(1, STAMP, &[(1, 1, &dump)], &header);
    world.reindex();
    let log = world.place.logdir.join(format!("log.{STAMP}.0"));
    let edited = world.log(&format!("log.{STAMP}.0")) + "INFO amflush somebody's own line\n";
    fs::write(&log, &edited).unwrap();
    let tapes = fs::read_to_string(&world.place.tapelist).unwrap().replace(" reuse", " no-reuse");
    fs::write(&world.place.tapelist, &tapes).unwrap();
    // One more volume of the same run, and one of another.
    let second = Header { dle: Dle::new("laptop2", "/"), ..header.clone() };
    world.volume(2, STAMP, &[(1, 1, &dump)], &second);
    world.volume(3, OLDER, &[(1, 1, &dump)], &Header { datestamp: OLDER.into(), ..header.clone() });
    let (exit, said) = world.reindex();
    assert!(
        exit == Exit::Done && said.contains("tell of 2 volumes") && said.contains("Not in the disklist") && said.contains("laptop2:/"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(&log).unwrap(), edited);
    assert!(world.log(&format!("log.{STAMP}.1")).contains("daily-002") && world.log(&format!("log.{OLDER}.0")).contains("daily-003"));
    assert!(fs::read_to_string(&world.place.tapelist).unwrap().contains("daily-001 no-reuse"));
    assert!(world.reindex().1.contains("told of all volumes already"));
}

#[test]
fn volumes_of_several_runs_have_parts_in_the_log_of_each() {
    let dump = dump();
    let (first, rest) = dump.split_at(100);
    let file = |label: &str, part, bytes: &[u8]| crate::restore::loose::scan::LooseFile {
        path: format!("{label}.{part}").into(),
        bytes: bytes.len() as u64,
        header: header(Some(crc(&dump))).as_part(part),
        on: Some((label.to_owned(), 1)),
        written: STAMP.to_owned(),
    };
    let dumps = group(vec![file("a", 1, first), file("b", 2, rest)]).into_iter().map(|(key, dump)| {
        let looked = Dump { dump, sums: Sums::default(), orig_kb: 9, broken: None };
        (key, looked)
    });
    let dumps: BTreeMap<Key, Dump> = dumps.collect();
    let shelf = Shelf { storage: "s", pool: "p" };
    for (label, part) in [("a", 1), ("b", 2)] {
        let log = logs::log(shelf, STAMP, &BTreeSet::from([label]), &dumps);
        let said = contents(&log, |_, _| true);
        assert!(matches!(&said.pieces[..], [piece] if piece.part.part == part) && matches!(&said.dumps[..], [dump] if dump.parts == 2));
    }
}

#[test]
fn a_header_that_says_anything_names_no_file() {
    let (world, dump) = (World::new(), dump());
    let directory = world.place.changer.make_slot(1).unwrap().directory().to_owned();
    let label = |date: &str| {
        let text = format!("AMANDA: TAPESTART DATE {date} TAPE daily-001\n");
        [text.as_bytes(), &vec![0; 32768 - text.len()]].concat()
    };
    write(&directory.join("00000.daily-001"), &label("20261124102037"), b"");
    for (number, line) in [
        (1, "AMANDA: SPLIT_FILE ../../../x laptop1 /home  part 1/-1  lev 0 comp N program /bin/tar"),
        (2, "AMANDA: SPLIT_FILE 20261124102037 ../../x /home  part 1/-1  lev 0 comp N program /bin/tar"),
    ] {
        let text = format!("{line}\n\x0c\n");
        write(&directory.join(format!("{number:05}.x")), &[text.as_bytes(), &vec![0; 32768 - text.len()]].concat(), &dump);
    }
    let (exit, said) = world.reindex();
    assert!(exit == Exit::Failed && said.matches("that no dump has").count() == 1 && said.contains("with 1 dump"), "{said}");
    // The other one lies where it may.
    let index: Vec<_> = fs::read_dir(&world.place.indexdir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(index, [".._.._x"]);
    write(&directory.join("00000.daily-001"), &label("../../log"), b"");
    assert!(reindex(&world.place).is_err_and(|trouble| trouble.message.contains("no volume")));
}
