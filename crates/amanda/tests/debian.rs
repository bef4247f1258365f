//! The judge of what we write: a vault made with this crate alone, read by the installed Amanda.
//!
//! It needs Amanda's server, zstd, GNU tar, root (Amanda's programs run as its own account, from `/etc/amanda`), and does
//! nothing where they are not. Where they are is said on standard error.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use amanda::conf::vault::{Vault, disklist};
use amanda::crc::Crc;
use amanda::curinfo::{self, Dumped, Info};
use amanda::dle::Dle;
use amanda::frames::{Collector, Layout, Parts, Table};
use amanda::header::{Compression, HEADER_BYTES, Header, Start};
use amanda::holding;
use amanda::index;
use amanda::run_log::carried_over;
use amanda::run_log::write::{self as log, Dump, Entry, Shelf, Statistics, Sums};
use amanda::tapelist::{Tape, Tapelist};
use amanda::vtape::changer::ChgDisk;

const NEEDED: [&str; 7] = [
    "/usr/sbin/amadmin",
    "/usr/sbin/amfetchdump",
    "/usr/sbin/amcheckdump",
    "/usr/sbin/amrestore",
    "/usr/sbin/amflush",
    "/usr/bin/zstd",
    "/usr/bin/tar",
];

/// A config of the installed Amanda that is a vault; gone when dropped.
struct World {
    vault: Vault,
    directory: PathBuf,
    owner: (u32, u32),
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// What is dumped, and the datestamps of two runs.
const DATES: [(&str, i64); 2] = [("20261123190624", 1_795_460_784), ("20261124010203", 1_795_482_123)];

fn world(case: &str) -> Option<World> {
    let missing = NEEDED.iter().find(|program| !Path::new(program).exists());
    let account = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = account.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        (fields.first() == Some(&"backup")).then(|| Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?)))?
    });
    let (None, Some(owner), true) = (missing, ids, rustix::process::geteuid().is_root()) else {
        assert!(std::env::var_os("CI").is_none(), "CI has Debian's Amanda");
        eprintln!("not judged: it takes root, the account backup, and {NEEDED:?}");
        return None;
    };
    let name = format!("asyncamanda-{case}-{}", std::process::id());
    let directory = Path::new("/etc/amanda").join(&name);
    let vault = Vault {
        name,
        directory: directory.clone(),
        dumpuser: "backup".into(),
        dumpcycle: 7,
        retention_days: 30,
        volumes: 3,
        volume_kb: 1_000_000,
        compress: "/usr/bin/zstd".into(),
        exclude: vec!["*.iso".into()],
    };
    Some(World { vault, directory, owner })
}

/// A dump of a small tree: its bytes as they are stored, the names in it, and the checksums.
struct Made {
    stored: Vec<u8>,
    names: Vec<Vec<u8>>,
    sums: Sums,
    orig_kb: u64,
}

fn piped(program: &str, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program}");
    output.stdout
}

fn crc(bytes: &[u8]) -> Crc {
    Crc { crc: crc32c::crc32c(bytes), bytes: bytes.len() as u64 }
}

fn dump(tree: &Path) -> Made {
    let tar = Command::new("/usr/bin/tar").arg("-cf-").arg("-C").arg(tree).arg(".").output().unwrap().stdout;
    let listed = piped("/usr/bin/tar", &["-tf-"], &tar);
    let names = listed.split(|byte| *byte == b'\n').filter_map(index::line).map(<[u8]>::to_vec).collect();
    let stored = piped("/usr/bin/zstd", &[], &tar);
    let sums = Sums { native: Some(crc(&tar)), client: Some(crc(&stored)), server: Some(crc(&stored)) };
    Made { orig_kb: tar.len() as u64 / 1024, names, sums, stored }
}

impl World {
    fn changer(&self) -> ChgDisk {
        ChgDisk::new(self.directory.join("vtapes"))
    }

    fn make(&self, dle: &Dle) {
        fs::create_dir(&self.directory).unwrap();
        for directory in ["curinfo", "index", "log", "holding"] {
            fs::create_dir(self.directory.join(directory)).unwrap();
        }
        fs::write(self.directory.join("amanda.conf"), self.vault.conf()).unwrap();
        fs::write(self.directory.join("disklist"), disklist([(dle, None)], "vault")).unwrap();
        let mut tapes = Tapelist::default();
        for slot in 1..=self.vault.volumes {
            let volume = self.changer().make_slot(slot).unwrap();
            volume.relabel(&Start { datestamp: "X".into(), label: self.vault.label(slot) }).unwrap();
            tapes.put(Tape::new("0", self.vault.label(slot), &self.vault.name));
        }
        fs::write(self.directory.join("tapelist"), tapes.print().unwrap()).unwrap();
        self.changer().set_current(1).unwrap();
    }

    /// A run that adds a dump to the first volume; what a former run wrote is carried over.
    fn run(&self, dle: &Dle, (date, seconds): (&str, i64), level: u8, made: &Made, before: Option<&str>) {
        let label = self.vault.label(1);
        let (_, volume) = self.changer().find(&label).unwrap().unwrap();
        let mut header = Header::new(dle.clone(), date, level).compressed(Compression::ClientCustom(b"/usr/bin/zstd"));
        header.orig_kb = Some(made.orig_kb);
        (header.native, header.client, header.server) = (made.sums.native, made.sums.client, made.sums.server);
        header.dle_xml = Some(b"<dle>\n  <program>GNUTAR</program>\n  <disk>/home</disk>\n</dle>".to_vec());
        let mut file = volume.begin().unwrap();
        file.write_all(&made.stored).unwrap();
        let file = file.finish(&header.as_part(1)).unwrap();

        let directory = self.directory.join("index").join(index::directory(dle));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(index::header_name(date, level)), header.beside_index().text().unwrap()).unwrap();
        let mut names = index::Writer::new(Vec::new());
        made.names.iter().for_each(|name| names.add(name).unwrap());
        fs::write(directory.join(index::file_name(date, level, index::Form::UnsortedGz)), names.finish().unwrap()).unwrap();

        let path = self.directory.join("curinfo").join(curinfo::path(dle));
        let mut info = fs::read(&path).map_or_else(|_| Info::default(), |text| Info::parse(&text).unwrap());
        let kb = curinfo::kib(made.stored.len() as u64);
        info.dumped(Dumped { level, orig_kb: made.orig_kb as i64, kb, date: seconds, secs: 2, compressed: true });
        info.taped(level, &label, file.number.into());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, info.print()).unwrap();

        let shelf = Shelf { storage: &self.vault.name, pool: &self.vault.name };
        let whole = Dump { dle, datestamp: date, level };
        let statistics = Statistics { secs: 2.5, bytes: made.stored.len() as u64, orig_kb: made.orig_kb };
        let mut text = Vec::new();
        for entry in [
            Entry::Pid("amdump", 1),
            Entry::Start("planner", date),
            Entry::Disk(dle),
            Entry::Finish("planner", date, 0.1),
            Entry::Start("driver", date),
            Entry::Hostname("here"),
            Entry::Dumped(whole, made.sums, statistics),
            Entry::Chunked(whole, made.sums.server, statistics, true),
            Entry::Volume { datestamp: date, shelf, label: &label, number: 1 },
        ] {
            entry.print(&mut text);
        }
        if let Some(before) = before {
            let old = fs::read(self.directory.join("log").join(log::file_name(before, 0))).unwrap();
            for line in carried_over(&old, &label) {
                text.extend(line);
                text.push(b'\n');
            }
        }
        for entry in [
            Entry::Part { dump: whole, shelf, label: &label, file: file.number, part: 1, statistics },
            Entry::Done(whole, shelf, 1, made.sums, statistics, true),
            Entry::VolumeDone { label: &label, kb: made.stored.len() as u64 / 1024, files: file.number },
            Entry::Finish("driver", date, 3.0),
            Entry::PidDone("amdump", 1),
        ] {
            entry.print(&mut text);
        }
        fs::write(self.directory.join("log").join(log::file_name(date, 0)), text).unwrap();
        volume.redate(date).unwrap();
        let path = self.directory.join("tapelist");
        let mut tapes = Tapelist::parse(&fs::read(&path).unwrap()).unwrap();
        tapes.put(Tape::new(date, &label, &self.vault.name));
        fs::write(path, tapes.print().unwrap()).unwrap();
    }

    /// Everything to the account that Amanda runs as.
    fn hand_over(&self) {
        let mut directories = vec![self.directory.clone()];
        while let Some(directory) = directories.pop() {
            chown(&directory, Some(self.owner.0), Some(self.owner.1)).unwrap();
            for entry in fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                match entry.file_type().unwrap() {
                    kind if kind.is_dir() => directories.push(entry.path()),
                    kind if kind.is_file() => chown(entry.path(), Some(self.owner.0), Some(self.owner.1)).unwrap(),
                    _ => {}
                }
            }
        }
    }

    /// Runs a program of Amanda's as its account; `CONFIG` stands for the config.
    fn amanda(&self, program: &str, args: &[&str]) -> Output {
        let args = args.iter().map(|arg| if *arg == "CONFIG" { &self.vault.name } else { *arg });
        let mut command = Command::new("/usr/sbin/runuser");
        command.args(["-u", "backup", "--"]).arg(format!("/usr/sbin/{program}")).args(args);
        command.current_dir(self.directory.join("holding")).stdin(Stdio::null()).output().unwrap()
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn amanda_reads_a_vault_that_it_did_not_write() {
    let Some(world) = world("judge") else { return };
    let tree = tempfile::tempdir().unwrap();
    fs::write(tree.path().join("a file"), b"first").unwrap();
    let dle = Dle::new("localhost", "/home");
    world.make(&dle);
    let first = dump(tree.path());
    world.run(&dle, DATES[0], 0, &first, None);
    fs::write(tree.path().join("later"), vec![b'x'; 40_000]).unwrap();
    let second = dump(tree.path());
    world.run(&dle, DATES[1], 1, &second, Some(DATES[0].0));
    world.hand_over();

    let find = text(&world.amanda("amadmin", &["CONFIG", "find"]));
    let rows: Vec<Vec<_>> = find.lines().filter(|line| line.starts_with("2026-")).map(|line| line.split_whitespace().collect()).collect();
    let label = world.vault.label(1);
    let expected = |date, level, file| {
        let pool = world.vault.name.as_str();
        [date, "localhost", "/home", level, pool, pool, label.as_str(), file, "1/1", "OK"].map(str::to_owned).to_vec()
    };
    let rows: Vec<Vec<String>> = rows.iter().map(|row| [row[0]].iter().chain(&row[2..]).map(ToString::to_string).collect()).collect();
    assert_eq!(rows, [expected("2026-11-23", "0", "1"), expected("2026-11-24", "1", "2")], "{find}");

    let info = text(&world.amanda("amadmin", &["CONFIG", "info"]));
    assert!(info.contains("0  20261123") && info.contains("1  20261124") && info.contains(&label), "{info}");
    let show = text(&world.amanda("amtape", &["CONFIG", "show"])).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(show.contains(&format!("slot 1: date 20261124010203 label {label}")), "{show}");
    assert!(show.contains(&format!("slot 2: date X label {}", world.vault.label(2))), "{show}");
    let check = world.amanda("amcheckdump", &["CONFIG"]);
    assert!(check.status.success() && text(&check).contains("All images (2) successfully validated"), "{}", text(&check));

    for ((date, _), made) in DATES.into_iter().zip([&first, &second]) {
        let fetched = world.amanda("amfetchdump", &["-a", "-p", "CONFIG", "localhost", "^/home$", date]);
        assert_eq!(made.sums.native, Some(crc(&fetched.stdout)), "{}", String::from_utf8_lossy(&fetched.stderr));
    }
    // As the header says, amrestore uncompresses with the program that it names.
    let (_, volume) = world.changer().find(&label).unwrap().unwrap();
    let device = format!("file:{}", volume.directory().display());
    let restored = world.amanda("amrestore", &["-p", &device, "localhost", "^/home$", DATES[1].0]);
    assert_eq!(second.sums.native, Some(crc(&restored.stdout)), "{}", String::from_utf8_lossy(&restored.stderr));

    let settings = text(&world.amanda("amadmin", &["CONFIG", "disklist"]));
    assert!(settings.contains("CLIENT-CUSTOM-COMPRESS") && settings.contains("/usr/bin/zstd"), "{settings}");
    let noted = world.amanda("amadmin", &["CONFIG", "no-reuse", &label]);
    assert!(noted.status.success(), "{}", text(&noted));
    let tapes = Tapelist::parse(&fs::read(world.directory.join("tapelist")).unwrap()).unwrap();
    assert_eq!(tapes.get(&label).map(|tape| (tape.reuse, tape.datestamp.as_str())), Some((false, DATES[1].0)));
    assert_eq!(world.directory.file_name(), Some(OsStr::new(&world.vault.name)));
}

/// A dump in frames, of an archive that is nothing but noise.
fn framed(archive: &[u8]) -> Vec<u8> {
    let (mut dump, mut layout, mut members) = (Vec::new(), Layout::default(), Collector::default());
    for piece in archive.chunks(100_000) {
        let packed = piped("/usr/bin/zstd", &[], piece);
        layout.data(packed.len(), piece.len());
        dump.extend(packed);
    }
    members.add(b"./", 0).unwrap();
    let section = members.finish().unwrap().unwrap();
    layout.members(&section);
    dump.extend(section.bytes());
    dump.extend(layout.finish().unwrap());
    dump
}

#[test]
fn amanda_takes_a_dump_in_frames_to_a_volume_in_parts_and_adds_no_byte() {
    let Some(world) = world("frames") else { return };
    let dle = Dle::new("localhost", "/home");
    world.make(&dle);
    let conf = String::from_utf8(world.vault.conf()).unwrap();
    fs::write(world.directory.join("amanda.conf"), conf.replace("tapetype VAULT {", "tapetype VAULT {\n    part-size 1 mbytes")).unwrap();
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let archive: Vec<u8> = (0..2_500_000).map(|_| noise()).collect();
    let stored = framed(&archive);
    assert!(stored.len() > 2 << 20 && !stored.len().is_multiple_of(512), "three parts, and no whole block: {}", stored.len());
    let mut header = Header::new(dle.clone(), DATES[0].0, 0).compressed(Compression::ClientCustom(b"/usr/bin/zstd"));
    (header.native, header.client, header.server) = (Some(crc(&archive)), Some(crc(&stored)), Some(crc(&stored)));
    let run = world.directory.join("holding").join(DATES[0].0);
    fs::create_dir(&run).unwrap();
    let head = header.print().unwrap();
    fs::write(run.join(holding::file_name(&dle, 0)), [&head[..], &stored].concat()).unwrap();
    world.hand_over();

    let flushed = world.amanda("amflush", &["-b", "-f", "CONFIG"]);
    let (_, volume) = world.changer().find(&world.vault.label(1)).unwrap().unwrap();
    let files = volume.files().unwrap();
    let lengths: Vec<u64> = files[1..].iter().map(|file| file.bytes - HEADER_BYTES as u64).collect();
    assert_eq!(lengths, [1 << 20, 1 << 20, stored.len() as u64 - (2 << 20)], "{}", text(&flushed));
    let mut parts =
        Parts::new(files[1..].iter().map(|file| (fs::File::open(&file.path).unwrap(), HEADER_BYTES as u64..file.bytes))).unwrap();
    let table = Table::read(&mut parts).unwrap().unwrap();
    let mut read = Vec::new();
    table.copy(&mut parts, &(0..table.raw()), &mut read).unwrap();
    assert!(read == archive);
    assert_eq!(table.find(&mut parts, |name| name == b"./").unwrap().len(), 1);
    let fetched = world.amanda("amfetchdump", &["-a", "-p", "CONFIG", "localhost", "^/home$", DATES[0].0]);
    assert!(fetched.stdout == archive, "{}", String::from_utf8_lossy(&fetched.stderr));
}
