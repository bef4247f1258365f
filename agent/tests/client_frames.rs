//! Dumps in frames, of Amanda's client side with a real GNU tar: read by their table, and by the real zstd.

use std::fs;
use std::io::Cursor;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::Path;
use std::process::Command;

use amanda::crc::Crc;
use amanda::frames::{FRAME, Table};
use amanda::protocol::request::{Compress, DleRequest};

mod amanda_server;
use amanda_server::{Dump, Laptop, listed, piped};

fn zstd(laptop: &Laptop) -> DleRequest {
    DleRequest { compress: Compress::ClientCustom(b"/usr/bin/zstd".to_vec()), ..laptop.dle() }
}

/// Bytes that nothing compresses.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn table(dump: &Dump) -> Table {
    assert!(dump.is_good(), "{}", dump.mesg);
    Table::read(&mut Cursor::new(&dump.data)).expect("read").expect("there")
}

/// Every member's name, and its bytes of the archive, decoded from its own frames.
fn members(dump: &Dump) -> Vec<(String, Vec<u8>)> {
    let (table, mut file) = (table(dump), Cursor::new(&dump.data));
    let found = table.find(&mut file, |_| true).expect("read");
    let members = found.into_iter().map(|found| {
        let mut bytes = Vec::new();
        table.copy(&mut file, &found.raw, &mut bytes).expect("decoded");
        (String::from_utf8(found.name).expect("escaped"), bytes)
    });
    members.collect()
}

/// Files of all kinds, with names and attributes of all kinds.
fn nasty(laptop: &Laptop) {
    let name = |bytes: &[u8]| std::ffi::OsStr::from_bytes(bytes).to_os_string();
    for file in
        [&b"a"[..], b"block 7: a", b"block 7: block 8: b", b"new\nline", b"back\\slash", b"\xff\x01\x7f\t\"'", b".hidden", b"-option", b" "]
    {
        fs::write(laptop.source.join(name(file)), file).expect("ours");
    }
    laptop.write(&format!("{}file", "long/".repeat(60)), "deep");
    laptop.write(&format!("dir/{}/{}", "d".repeat(200), "f".repeat(250)), noise(100_000));
    laptop.write("empty", "");
    laptop.write("exactly-one-block", [7; 512]);
    fs::create_dir_all(laptop.source.join("dir/none/in it")).expect("ours");
    fs::hard_link(laptop.source.join("a"), laptop.source.join("dir/link")).expect("ours");
    symlink("t".repeat(300), laptop.source.join("far")).expect("ours");
    let sparse = fs::File::create(laptop.source.join("sparse")).expect("ours");
    (0..70).for_each(|hole| sparse.write_all_at(b"data", hole * 1_000_003).expect("ours"));
    fs::File::create(laptop.source.join("only a hole")).expect("ours").set_len(9_000_000_000).expect("ours");
    for (program, arguments) in [
        ("mkfifo", &["fifo"][..]),
        ("setfattr", &["-n", "user.one", "-v", "a value that takes some room", "a"]),
        ("setfattr", &["-n", "user.two", "-v", "0xff0a3d00", "dir"]),
        ("setfacl", &["-m", "u:4711:r", "empty"]),
    ] {
        let status = Command::new(program).args(arguments).current_dir(&laptop.source).status();
        assert!(status.expect("it is there").success(), "{program}");
    }
}

#[test]
fn every_member_is_a_tar_stream_of_its_own_from_the_recorded_place_to_the_next() {
    let laptop = Laptop::new();
    nasty(&laptop);
    for level in 0..2 {
        if level == 1 {
            laptop.write("new\nline", "changed");
            fs::rename(laptop.source.join("dir"), laptop.source.join("moved")).expect("ours");
            fs::remove_file(laptop.source.join("empty")).expect("ours");
        }
        let dump = laptop.backup(level, zstd(&laptop));
        let (members, archive) = (members(&dump), dump.archive(Some("zstd")));
        let names: Vec<String> = members.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(names, listed(&archive), "level {level}");
        let index: String = names.iter().map(|name| format!("{}\n", name.strip_prefix('.').expect("below the disk"))).collect();
        assert_eq!(dump.index, index, "level {level}");
        for (name, bytes) in &members {
            assert_eq!(listed(bytes), std::slice::from_ref(name), "level {level}");
        }
        assert_eq!(members.into_iter().flat_map(|(_, bytes)| bytes).collect::<Vec<_>>(), archive, "level {level}");
    }
}

#[test]
fn one_file_comes_back_from_its_frames_alone() {
    let laptop = Laptop::new();
    for file in 0..5 {
        laptop.write(&format!("big{file}"), noise(3 * FRAME / 2));
        laptop.write(&format!("small{file}"), format!("the content of {file}"));
    }
    let dump = laptop.backup(0, zstd(&laptop));
    let table = table(&dump);
    assert!((8..=9).contains(&table.data().len()), "{}", table.data().len());
    for (name, content, own_frames) in [("small3", b"the content of 3".to_vec(), 1..=1), ("big2", noise(3 * FRAME / 2), 2..=3)] {
        let file = &mut Cursor::new(&dump.data);
        let found = table.find(file, |other| other == format!("./{name}").as_bytes()).expect("read");
        let [one] = found.as_slice() else { panic!("{found:?}") };
        let own = table.frames(&one.raw);
        assert!(own_frames.contains(&own.len()), "{name}: {}", own.len());
        let mut rest = vec![0; dump.data.len()];
        for frame in own {
            let bytes = frame.packed.start as usize..frame.packed.end as usize;
            rest[bytes.clone()].copy_from_slice(&dump.data[bytes]);
        }
        let mut bytes = Vec::new();
        table.copy(&mut Cursor::new(rest), &one.raw, &mut bytes).expect("decoded");
        let into = laptop.dir.path().join("restored");
        fs::create_dir_all(&into).expect("ours");
        piped(Command::new("tar").args(["-xpf", "-", "--directory"]).arg(&into), &bytes);
        assert!(fs::read(into.join(name)).expect("restored") == content, "{name}");
        assert_eq!(fs::read_dir(&into).expect("ours").count(), 1, "{name}");
        fs::remove_file(into.join(name)).expect("ours");
    }
}

#[test]
fn the_real_zstd_reads_a_dump_of_many_frames_and_its_checksums_are_true() {
    let laptop = Laptop::new();
    laptop.write("noise", noise(5 * FRAME + 12_345));
    laptop.write("zeros", vec![0; 3 * FRAME]);
    for file in 0..300 {
        laptop.write(&format!("dir{}/file{file}", file % 7), format!("file {file} ").repeat(file * 30));
    }
    let dump = laptop.backup(0, zstd(&laptop));
    let archive = dump.archive(Some("zstd"));
    for (word, bytes) in [("native", &archive), ("client", &dump.data)] {
        let crc = Crc { crc: crc32c::crc32c(bytes), bytes: bytes.len() as u64 };
        assert_eq!(dump.lines(&format!("sendbackup: {word}-CRC")), [format!("sendbackup: {word}-CRC {crc}")]);
    }
    assert_eq!(dump.lines("sendbackup: size"), [format!("sendbackup: size {}", archive.len() / 1024)]);
    assert_eq!(table(&dump).raw(), archive.len() as u64);
    let plain = piped(Command::new("zstd").args(["-3", "-c"]), &archive).len();
    assert!(dump.data.len() * 100 <= plain * 102, "{} beside {plain}", dump.data.len());
    let restored = laptop.dir.path().join("restored");
    dump.restore(Some("zstd"), &restored);
    assert!(same(&restored, &laptop.source));
    // The checksums of its frames are compared: a bit that has changed does not get into a file.
    let mut altered = dump.data.clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    let file = &mut Cursor::new(altered);
    let table = Table::read(file).expect("read").expect("there");
    assert!(table.copy(file, &(0..table.raw()), &mut Vec::new()).is_err());
}

fn same(one: &Path, other: &Path) -> bool {
    Command::new("diff").arg("-r").args([one, other]).status().expect("diff").success()
}

#[test]
fn nothing_changed_is_a_small_dump() {
    let laptop = Laptop::new();
    for file in 0..50 {
        laptop.write(&format!("dir/{file}"), "as it was");
    }
    laptop.backup(0, zstd(&laptop));
    let dump = laptop.backup(1, zstd(&laptop));
    assert_eq!(members(&dump).iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["./", "./dir/"]);
    assert!(dump.data.len() < 1000, "{}", dump.data.len());
    assert_eq!(laptop.dump(1, laptop.dle()).names(), ["./", "./dir/"]);
}

#[test]
fn no_program_is_needed_and_none_is_run() {
    let mut laptop = Laptop::new();
    laptop.write("a", "one");
    laptop.rules.programs.push("/none/such/zstd".into());
    let dump = laptop.dump(0, DleRequest { compress: Compress::ClientCustom(b"/none/such/zstd".to_vec()), ..laptop.dle() });
    assert_eq!(members(&dump).len(), 2);
    // But it must be listed, spelled as there.
    let mut server = laptop.connect();
    for other in [&b"/usr/local/bin/zstd"[..], b"zstd", b"/usr/bin/zstd -9", b"/usr/bin/../bin/zstd"] {
        let words = server.refusal(DleRequest { compress: Compress::ClientCustom(other.to_vec()), ..laptop.dle() });
        assert!(words.contains("programs in agent.toml"), "{words}");
    }
    server.close().expect("served");
}

#[test]
fn an_archive_that_is_not_whole_is_an_error() {
    for (case, script) in [
        ("status 2", "/usr/bin/tar \"$@\"; exit 2"),
        ("killed", "/usr/bin/tar \"$@\"; kill -9 $$"),
        ("cut", "/usr/bin/tar \"$@\" | head -c 5000000; exit 2"),
        ("no size", "/usr/bin/tar \"$@\" 2>/dev/null"),
        ("gone at once", "exit 0"),
    ] {
        let mut laptop = Laptop::new();
        laptop.write("a", noise(2 * FRAME));
        laptop.tar_is(script);
        laptop.rules.programs.push("/usr/bin/zstd".into());
        let dump = laptop.dump(0, zstd(&laptop));
        assert!(!dump.is_good(), "{case}");
        assert_eq!(dump.lines("sendbackup: error [").len(), 1, "{case}: {}", dump.mesg);
        assert!(laptop.state.pending().is_empty(), "{case}");
        assert_eq!(laptop.processes(), [""; 0], "{case}");
    }
}
