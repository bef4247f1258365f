//! Amanda's client side against a server in memory, with a real GNU tar.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use amanda::crc::Crc;
use amanda::protocol::packet::{Kind as Packets, Packet};
use amanda::protocol::reply::{CheckLine, Selfcheck, Sendsize, Size, parse_noop};
use amanda::protocol::request::{
    Application, Compress, DataPath, DleRequest, Encrypt, Estimate, Level, Patterns, Program, Property, Script, Service,
};

mod amanda_server;
use amanda_server::{Laptop, Server, at, listed, request};

/// Everything that a restore must bring back: kind, mode, owner, time to the nanosecond, size, target and content.
fn tree(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(path) = open.pop() {
        let is = fs::symlink_metadata(&path).expect("there");
        let name = path.strip_prefix(dir).expect("below").to_path_buf();
        let content = if is.is_file() { format!("{:x}", crc32c::crc32c(&fs::read(&path).expect("ours"))) } else { String::new() };
        let target = fs::read_link(&path).unwrap_or_default();
        let length = if is.is_dir() { 0 } else { is.len() };
        found.push(format!("{name:?} {:o} {} {}.{:09} {length} {target:?} {content}", is.mode(), is.uid(), is.mtime(), is.mtime_nsec()));
        if is.is_dir() {
            open.extend(fs::read_dir(&path).expect("ours").map(|entry| entry.expect("ours").path()));
        }
    }
    found.sort();
    found
}

fn populate(laptop: &Laptop) {
    laptop.write("a", "one");
    laptop.write("dir/b", vec![7; 300_000]);
    laptop.write("dir/deep/c", "three");
    laptop.write("new\nline and \"quotes\" \\", "odd");
    laptop.write(&"x".repeat(200), "long");
    fs::hard_link(laptop.source.join("a"), laptop.source.join("link")).expect("ours");
    symlink("nowhere", laptop.source.join("symlink")).expect("ours");
}

#[test]
fn three_levels_bring_back_changes_deletions_and_renames() {
    for (case, compress, unpack) in [
        ("plain", Compress::None, None),
        ("server", Compress::ServerFast, None),
        ("fast", Compress::ClientFast, Some("gzip")),
        ("best", Compress::ClientBest, Some("gzip")),
        ("custom", Compress::ClientCustom(b"/usr/bin/gzip".to_vec()), Some("gzip")),
        ("zstd", Compress::ClientCustom(b"/usr/bin/zstd".to_vec()), Some("zstd")),
    ] {
        let laptop = Laptop::new();
        populate(&laptop);
        let dle = || DleRequest { compress: compress.clone(), ..laptop.dle() };
        let restored = laptop.dir.path().join("restored");
        for level in 0..3 {
            match level {
                1 => {
                    laptop.write("dir/b", "changed");
                    fs::remove_file(laptop.source.join("a")).expect("ours");
                    fs::rename(laptop.source.join("dir/deep"), laptop.source.join("moved")).expect("ours");
                }
                2 => {
                    laptop.write("late", "four");
                    fs::remove_dir_all(laptop.source.join("moved")).expect("ours");
                }
                _ => {}
            }
            let dump = laptop.backup(level, dle());
            assert!(dump.is_good(), "{case} {level}: {}", dump.mesg);
            assert_eq!(dump.lines("?"), [""; 0], "{case} {level}");
            let sent = Crc { crc: crc32c::crc32c(&dump.data), bytes: dump.data.len() as u64 };
            assert_eq!(dump.lines("sendbackup: client-CRC"), [format!("sendbackup: client-CRC {sent}")], "{case} {level}");
            let archive = dump.archive(unpack);
            let native = Crc { crc: crc32c::crc32c(&archive), bytes: archive.len() as u64 };
            assert_eq!(dump.lines("sendbackup: native-CRC"), [format!("sendbackup: native-CRC {native}")], "{case} {level}");
            dump.restore(unpack, &restored);
            assert_eq!(tree(&restored), tree(&laptop.source), "{case} {level}");
            if level == 0 {
                let names: Vec<String> = listed(&archive).iter().map(|name| name[1..].to_owned()).collect();
                assert_eq!(dump.index.lines().collect::<Vec<_>>(), names, "{case}");
                assert!(dump.index.contains("/new\\nline and \"quotes\" \\\\\n"), "{}", dump.index);
            }
        }
        assert!(laptop.state.pending().is_empty());
        assert_eq!(laptop.processes(), [""; 0]);
    }
}

#[test]
fn a_dump_without_its_receipt_is_made_again_at_the_same_level() {
    let laptop = Laptop::new();
    populate(&laptop);
    laptop.backup(0, laptop.dle());
    laptop.write("between", "two dumps");
    let lost = laptop.dump(1, laptop.dle());
    let pending = laptop.state.pending();
    let [one] = pending.as_slice() else { panic!("{pending:?}") };
    assert_eq!((one.level, one.client_crc, one.bytes), (1, Some(crc32c::crc32c(&lost.data)), Some(lost.data.len() as u64)));
    laptop.state.discard(one).expect("discarded");
    let again = laptop.backup(1, laptop.dle());
    assert!(again.names().contains(&"./between".to_owned()), "{:?}", again.names());
    assert!(!laptop.backup(2, laptop.dle()).names().contains(&"./between".to_owned()));
}

#[test]
fn after_a_clock_that_was_ahead_everything_is_dumped_and_it_is_said() {
    let laptop = Laptop::new();
    populate(&laptop);
    laptop.backup(0, laptop.dle());
    let lists = fs::read_dir(laptop.state.root().join("lists")).expect("made").map(|entry| entry.expect("ours").path());
    let list = lists.into_iter().find(|path| path.extension().is_none()).expect("a list");
    let old = fs::read(&list).expect("ours");
    let (head, rest) =
        (old.iter().position(|byte| *byte == b'\n').expect("a head") + 1, old.iter().position(|byte| *byte == 0).expect("a time"));
    fs::write(&list, [&old[..head], b"9999999999", &old[rest..]].concat()).expect("ours");
    laptop.write("after", "the clock was set right");
    let dump = laptop.dump(1, laptop.dle());
    assert!(dump.is_good(), "{}", dump.mesg);
    assert!(dump.names().contains(&"./after".to_owned()) && dump.names().contains(&"./dir/b".to_owned()), "{:?}", dump.names());
    assert!(matches!(dump.lines("?").as_slice(), [line] if line.contains("clock was ahead")), "{}", dump.mesg);
}

#[test]
fn without_record_and_without_index_there_is_neither() {
    let laptop = Laptop::new();
    populate(&laptop);
    let dump = laptop.dump(0, DleRequest { record: false, index: false, ..laptop.dle() });
    assert!(dump.is_good(), "{}", dump.mesg);
    assert!(dump.index.is_empty());
    assert!(laptop.state.pending().is_empty());
}

#[test]
fn excludes_are_the_union_of_both_sides_and_includes_are_looked_up() {
    let mut laptop = Laptop::new();
    for name in ["keep", "x.iso", "x.tmp", "listed", "cache/big", "trail ", "other/keep"] {
        laptop.write(name, name);
    }
    laptop.write("excludes", "./listed\n\n");
    laptop.rules.disks[0].exclude = vec!["*.iso".to_owned(), "./cache".to_owned(), "trail ".to_owned()];
    let exclude = Patterns { files: vec![b"*.tmp".to_vec()], lists: vec![b"excludes".to_vec()], optional: false };
    let dump = laptop.dump(0, DleRequest { exclude: exclude.clone(), ..laptop.dle() });
    assert_eq!(sorted(dump.names()), ["./", "./excludes", "./keep", "./other/", "./other/keep"]);

    let include =
        Patterns { files: vec![b"./k*".to_vec(), b"./*/keep".to_vec(), b"./../*".to_vec(), b"/etc".to_vec()], ..Patterns::default() };
    let dump = laptop.dump(0, DleRequest { include, exclude, ..laptop.dle() });
    assert_eq!(sorted(dump.names()), ["./keep", "./other/keep"]);
    assert!(dump.is_good());
    assert_eq!(dump.lines("?"), ["? include ./../* has .. in it", "? include /etc does not begin with ./"]);

    let nothing = Patterns { files: vec![b"./none".to_vec()], ..Patterns::default() };
    let dump = laptop.dump(0, DleRequest { include: nothing, ..laptop.dle() });
    assert_eq!((dump.names().len(), dump.lines("?").len()), (0, 1), "{}", dump.mesg);
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

#[test]
fn a_list_outside_the_disk_is_not_read_and_no_line_of_a_list_is_told() {
    let laptop = Laptop::new();
    laptop.write("a", "a");
    fs::write(laptop.dir.path().join("secret"), "./secret-line\n").expect("ours");
    symlink(laptop.dir.path().join("secret"), laptop.source.join("way-out")).expect("ours");
    laptop.write("inside", "./secret-line\n");
    let list = |name: &str| Patterns { lists: vec![name.as_bytes().to_vec()], ..Patterns::default() };
    let mut server = laptop.connect();
    for outside in ["../secret", "/etc/passwd", "dir/../../secret"] {
        let words = server.refusal(DleRequest { exclude: list(outside), ..laptop.dle() });
        assert!(words.contains("is not below"), "{words}");
    }
    for inside in ["way-out", "none", "."] {
        let dump = server.dump(0, DleRequest { exclude: list(inside), ..laptop.dle() });
        assert_eq!(dump.lines("?").len(), 1, "{inside}: {}", dump.mesg);
        let words = server.refusal(DleRequest { include: list(inside), ..laptop.dle() });
        assert!(words.contains("cannot be read") && !words.contains("secret-line"), "{inside}: {words}");
    }
    let optional = server.dump(0, DleRequest { include: Patterns { optional: true, ..list("none") }, ..laptop.dle() });
    assert!(optional.is_good(), "{}", optional.mesg);
    let dump = server.dump(0, DleRequest { include: list("inside"), ..laptop.dle() });
    assert_eq!(dump.lines("?"), ["? line 1 of include list inside is not there"], "and not what it says");
    server.close().expect("served");
}

#[test]
fn what_tar_says_is_strange_or_an_error_and_never_silent() {
    for (case, script, good, strange) in [
        ("as it is", "exec /usr/bin/tar \"$@\"", true, 0),
        ("a file changed", "/usr/bin/tar \"$@\"; echo 'tar: ./a: file changed as we read it' >&2; exit 1", true, 1),
        ("a socket", "/usr/bin/tar \"$@\"; echo 'tar: ./s: socket ignored' >&2", true, 0),
        ("status 2", "/usr/bin/tar \"$@\"; echo 'tar: ./a: Cannot open: Input/output error' >&2; exit 2", false, 1),
        ("killed", "/usr/bin/tar \"$@\"; kill -9 $$", false, 0),
        ("no size", "/usr/bin/tar \"$@\" 2>/dev/null", false, 0),
        ("gone at once", "exit 0", false, 0),
    ] {
        let mut laptop = Laptop::new();
        laptop.write("a", "one");
        laptop.tar_is(script);
        let dump = laptop.dump(0, laptop.dle());
        assert_eq!(dump.is_good(), good, "{case}: {}", dump.mesg);
        assert_eq!(dump.lines("?").len(), strange, "{case}: {}", dump.mesg);
        assert_eq!(dump.lines("sendbackup: error [").len(), usize::from(!good), "{case}: {}", dump.mesg);
        assert_eq!(laptop.state.pending().len(), usize::from(good), "{case}");
    }
}

#[test]
fn a_dump_without_a_file_that_cannot_be_read_is_no_base() {
    let mut laptop = Laptop::new();
    laptop.write("a", "one");
    laptop.backup(0, laptop.dle());
    laptop.write("new", "two");
    // tar takes the file for dumped, as it does when the disk under it fails.
    laptop.tar_is("/usr/bin/tar \"$@\"; echo 'tar: ./new: Warning: Read error at byte 0, while reading 3 bytes: Input/output error' >&2");
    let dump = laptop.dump(1, laptop.dle());
    assert!(dump.is_good(), "what there is, is kept: {}", dump.mesg);
    assert!(matches!(dump.lines("?").as_slice(), [_, line] if line.contains("does not build on this one")), "{}", dump.mesg);
    assert!(laptop.state.pending().is_empty());
    laptop.rules.programs = vec!["/usr/bin/tar".into()];
    assert!(laptop.backup(1, laptop.dle()).names().contains(&"./new".to_owned()));
    assert!(!laptop.backup(2, laptop.dle()).names().contains(&"./new".to_owned()));
}

#[test]
fn a_size_that_a_compress_program_tells_is_none() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut laptop = Laptop::new();
    laptop.write("a", "one");
    let program = laptop.dir.path().join("compress");
    fs::write(&program, "#!/bin/sh\necho 'Total bytes written: 10240 (10KiB, 1MiB/s)' >&2\nexec cat\n").expect("ours");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("ours");
    laptop.tar_is("/usr/bin/tar \"$@\" 2>/dev/null");
    laptop.rules.programs.push(program.clone());
    let compress = Compress::ClientCustom(std::os::unix::ffi::OsStrExt::as_bytes(program.as_os_str()).to_vec());
    let dump = laptop.dump(0, DleRequest { compress, ..laptop.dle() });
    assert!(!dump.is_good() && dump.lines("sendbackup: error")[0].contains("no backup size line"), "{}", dump.mesg);
}

#[test]
fn a_disk_that_has_moved_to_another_file_system_is_remarked_on_and_dumped() {
    let mut laptop = Laptop::new();
    laptop.write("a", "one");
    let elsewhere = tempfile::tempdir_in("/dev/shm").expect("another file system than that of temporary files");
    fs::write(elsewhere.path().join("b"), "two").expect("ours");
    let home = laptop.source.clone();
    let mut dump = |level, device: &Path| {
        laptop.rules.disks[0].device = device.to_path_buf();
        laptop.source = device.to_path_buf();
        let dump = laptop.backup(level, laptop.dle());
        let heard = std::mem::take(&mut *laptop.heard.remarked.lock().expect("no panic"));
        assert!(dump.is_good(), "{}", dump.mesg);
        assert_eq!(dump.lines("? ").len(), heard.len(), "{}", dump.mesg);
        heard
    };
    assert_eq!(dump(0, &home), [""; 0]);
    assert_eq!(dump(1, &home), [""; 0]);
    let remark = format!("{} was on another file system when it was last dumped: is it mounted?", elsewhere.path().display());
    assert_eq!(dump(1, elsewhere.path()), std::slice::from_ref(&remark));
    assert_eq!(dump(1, elsewhere.path()), std::slice::from_ref(&remark), "it builds on the full dump, which was made before");
    assert_eq!(dump(0, elsewhere.path()), [remark], "a full dump takes the place of one");
    assert_eq!(dump(1, elsewhere.path()), [""; 0]);
}

#[test]
fn a_disk_that_is_not_mounted_is_refused_until_a_person_says_that_it_is_to_stay_so() {
    let laptop = Laptop::new();
    laptop.write("a", "one");
    laptop.backup(0, laptop.dle());
    let lists = || fs::read_dir(laptop.state.root().join("lists")).expect("made").map(|entry| entry.expect("ours").path());
    let file = lists().find(|path| path.extension().is_some_and(|end| end == "system")).expect("written");
    let text = fs::read_to_string(&file).expect("ours");
    assert!(text.contains(r#""mounted":false"#), "{text}");
    fs::write(&file, text.replace(r#""mounted":false"#, r#""mounted":true"#)).expect("ours");
    let mut server = laptop.connect();
    let expected = format!(
        "{} was a file system of its own when it was last dumped and is not mounted now; mount it, or remove {} if it is to stay so",
        laptop.source.display(),
        file.display()
    );
    for level in [0, 1] {
        let answer = server.ask(Service::Sendbackup, vec![at(level, laptop.dle())]);
        assert!(String::from_utf8_lossy(&answer.body).contains(&expected), "{level}: {answer:?}");
    }
    let check = String::from_utf8(server.ask(Service::Selfcheck, vec![laptop.dle()]).body).expect("text");
    assert!(check.contains("is not mounted now"), "{check}");
    fs::remove_file(&file).expect("ours");
    assert!(server.dump(1, laptop.dle()).is_good());
    server.close().expect("served");
}

#[test]
fn lines_beyond_the_limit_are_counted_whether_the_dump_ends_well_or_not() {
    for (lines, status, expected, left) in [
        (10_000, 0, 10_000, None),
        (10_001, 0, 10_001, Some("? 1 more lines like these were left out")),
        (12_345, 2, 10_001, Some("? 2345 more lines like these were left out")),
    ] {
        let mut laptop = Laptop::new();
        laptop.write("a", "one");
        laptop.tar_is(&format!("seq -f 'tar: ./%g: file changed as we read it' {lines} >&2; /usr/bin/tar \"$@\"; exit {status}"));
        let dump = laptop.dump(0, laptop.dle());
        assert_eq!(dump.is_good(), status == 0, "{lines}");
        let strange = dump.lines("?");
        assert_eq!((strange.len(), strange.last().copied().filter(|line| line.contains("left out"))), (expected, left));
    }
}

#[test]
fn a_compress_program_that_fails_fails_the_dump() {
    let mut laptop = Laptop::new();
    laptop.write("a", vec![1; 3_000_000]);
    laptop.rules.programs.push("/bin/false".into());
    let dump = laptop.dump(0, DleRequest { compress: Compress::ClientCustom(b"/bin/false".to_vec()), ..laptop.dle() });
    assert!(!dump.is_good());
    assert!(dump.lines("sendbackup: error")[0].contains("/bin/false"), "{}", dump.mesg);
    assert!(laptop.state.pending().is_empty());
}

#[test]
fn when_the_server_closes_in_mid_dump_nothing_stays() {
    for (compress, bytes) in [
        (Compress::None, 8_000_000_u64),
        (Compress::ClientFast, 8_000_000),
        (Compress::ClientCustom(b"/usr/bin/gzip".to_vec()), 8_000_000),
        // More than it holds at a time.
        (Compress::ClientCustom(b"/usr/bin/zstd".to_vec()), 40_000_000),
    ] {
        let laptop = Laptop::new();
        let noise: Vec<u8> = (0..bytes).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 29) as u8).collect();
        laptop.write("big", noise);
        let mut server = Server::connect(laptop.client(), 1_000_000);
        let streams = server.begin(0, DleRequest { compress: compress.clone(), ..laptop.dle() });
        while server.token().0 != streams.data {}
        server.close().expect("served");
        assert_eq!(laptop.processes(), [""; 0], "{compress:?}");
        assert!(laptop.state.pending().is_empty());
        assert_eq!(fs::read_dir(laptop.state.root().join("pending")).expect("made").count(), 0);
        let ended = laptop.heard.ended.lock().expect("no panic").clone();
        assert!(ended.len() == 1 && ended[0].starts_with("the server has closed the connection"), "{ended:?}");
    }
}

#[test]
fn when_the_server_ends_one_stream_the_dump_ends() {
    let mut laptop = Laptop::new();
    laptop.write("a", "one");
    laptop.tar_is("echo begun; exec sleep 1000");
    let mut server = laptop.connect();
    let streams = server.begin(0, laptop.dle());
    server.send(streams.data, &[]);
    let mut open: Vec<u32> = streams.handles().collect();
    while !open.is_empty() {
        let (handle, payload) = server.token();
        if payload.is_empty() {
            open.retain(|other| *other != handle);
        }
    }
    assert!(laptop.state.pending().is_empty());
    server.close().expect("served");
    assert_eq!(laptop.processes(), [""; 0]);
}

#[test]
fn what_is_not_allowed_is_refused_by_a_sentence() {
    let laptop = Laptop::new();
    let property = || Property { name: b"tar-blocksize".to_vec(), priority: false, values: vec![b"1".to_vec()] };
    let mut server = laptop.connect();
    let change = |change: &dyn Fn(&mut DleRequest)| {
        let mut dle = laptop.dle();
        change(&mut dle);
        dle
    };
    for (case, dle, words) in [
        ("another disk", change(&|dle| dle.disk = b"/etc".to_vec()), "add [[disk]] path = \"/etc\""),
        ("another directory", change(&|dle| dle.device = Some(b"/etc".to_vec())), "set device"),
        ("its name as directory", change(&|dle| dle.device = None), "set device"),
        ("a way around", change(&|dle| dle.device.as_mut().expect("given").extend(b"/../source")), "set device"),
        ("a slash more", change(&|dle| dle.device.as_mut().expect("given").push(b'/')), "set device"),
        ("DUMP", change(&|dle| dle.program = Program::Dump), "client = \"amandad\""),
        ("another program", change(&|dle| dle.program = Program::Other(b"STAR".to_vec())), "client = \"amandad\""),
        (
            "an application",
            change(&|dle| {
                dle.program = Program::Application;
                dle.application = Some(Application { plugin: b"amgtar".to_vec(), properties: Vec::new(), client_name: None });
            }),
            "runs no application",
        ),
        ("a property", change(&|dle| dle.properties = vec![property()]), "takes no properties"),
        (
            "encryption",
            change(&|dle| dle.encrypt = Encrypt::Client { program: b"/usr/bin/gzip".to_vec(), decrypt_option: None }),
            "encrypts",
        ),
        ("Kerberos", change(&|dle| dle.kencrypt = true), "Kerberos"),
        ("DIRECTTCP", change(&|dle| dle.data_path = DataPath::DirectTcp(vec![b"127.0.0.1:1".to_vec()])), "DIRECTTCP"),
        ("another auth", change(&|dle| dle.auth = Some(b"bsdtcp".to_vec())), "auth"),
        ("an unlisted program", change(&|dle| dle.compress = Compress::ClientCustom(b"/bin/sh".to_vec())), "add \"/bin/sh\" to programs"),
        ("its arguments", change(&|dle| dle.compress = Compress::ClientCustom(b"/usr/bin/gzip -9".to_vec())), "programs"),
        ("a relative program", change(&|dle| dle.compress = Compress::ClientCustom(b"gzip".to_vec())), "programs"),
        ("two patterns in one", change(&|dle| dle.exclude.files = vec![b"a\n--checkpoint-action=exec=id".to_vec()]), "no pattern"),
    ] {
        let said = server.refusal(dle);
        assert!(said.contains(words), "{case}: {said}");
        assert!(laptop.heard.refused.lock().expect("no panic").last().expect("told").contains(words), "{case}");
    }
    let script = Script {
        plugin: b"email".to_vec(),
        execute_on: vec![b"PRE-DLE-BACKUP".to_vec()],
        execute_where: b"CLIENT".to_vec(),
        properties: Vec::new(),
        client_name: None,
    };
    assert!(server.refusal(change(&|dle| dle.scripts = vec![script.clone()])).contains("runs no scripts"));
    // In a vault a dumptype says what the real Amanda on this machine would use.
    assert!(server.dump(0, change(&|dle| dle.auth = Some(b"local".to_vec()))).is_good());
    // An option in a pattern's place is a pattern.
    let dump = server.dump(0, change(&|dle| dle.exclude.files = vec![b"--checkpoint-action=exec=id".to_vec(), b"-C/etc".to_vec()]));
    assert!(dump.is_good(), "{}", dump.mesg);
    server.close().expect("served");
}

#[test]
fn services_hosts_and_words_that_are_not_known_are_refused() {
    let laptop = Laptop::new();
    let mut server = laptop.connect();
    for service in ["amindexd", "amidxtaped", "amdumpd", "restore", "../noop", "senddiscover"] {
        let (_, answer) = server.ask_raw(format!("SERVICE {service}\nOPTIONS hostname=laptop1;\n").as_bytes());
        assert_eq!(answer.kind, Packets::Nak, "{service}");
    }
    for garbage in [&b""[..], b"SERVICE sendbackup\n", b"SERVICE sendbackup\nOPTIONS hostname=laptop1;\n<dle><program>", b"\xff\xfe"] {
        assert_eq!(server.ask_raw(garbage).1.kind, Packets::Nak, "{garbage:?}");
    }
    let unknown = String::from_utf8(request(Service::Sendbackup, vec![at(0, laptop.dle())]).print()).expect("text");
    let unknown = unknown.replace("</dle>", "<checkpoint>1</checkpoint>\n</dle>");
    let (_, answer) = server.ask_raw(unknown.as_bytes());
    assert!(String::from_utf8_lossy(&answer.body).contains("checkpoint"), "{answer:?}");
    let (_, answer) = server.ask_raw(b"SERVICE noop\nOPTIONS hostname=laptop2;\n");
    assert!(String::from_utf8_lossy(&answer.body).contains("set host in agent.toml"), "{answer:?}");
    let (_, answer) = server.ask_raw(b"SERVICE noop\nOPTIONS hostname=laptop1;\n");
    assert!(parse_noop(&answer.body).expect("an answer").features.is_some());
    server.close().expect("served");
}

#[test]
fn another_config_than_the_sessions_gets_neither_sizes_nor_dumps() {
    let laptop = Laptop::new();
    laptop.write("a", "one");
    let mut server = laptop.connect();
    for (service, config, refused) in [
        (Service::Sendsize, Some("other"), true),
        (Service::Sendbackup, Some("other"), true),
        (Service::Sendsize, Some(amanda_server::CONFIG), false),
        (Service::Sendsize, None, false),
        (Service::Selfcheck, Some("other"), false),
    ] {
        let mut asked = request(service, vec![at(0, laptop.dle())]);
        asked.options.config = config.map(|config| config.as_bytes().to_vec());
        let answer = String::from_utf8(server.ask_raw(&asked.print()).1.body).expect("text");
        let sentence = "this session is for config aa-agent-client; the server's Amanda asks for other";
        assert_eq!(answer.contains(sentence), refused, "{service:?} {config:?}: {answer}");
    }
    server.close().expect("served");
    assert!(laptop.state.pending().is_empty());
}

#[test]
fn a_connection_that_breaks_says_what_it_was_about() {
    let laptop = Laptop::new();
    for (ask, sentence) in [(false, "before anything was asked for"), (true, "asked for the size of /home, and then the connection broke")]
    {
        let mut server = laptop.connect();
        if ask {
            server.ask(Service::Sendsize, vec![at(0, laptop.dle())]);
        }
        server.send(u32::MAX, b"no such handle");
        let error = server.close().expect_err("no Amanda says this").to_string();
        assert!(error.contains(sentence) && error.contains("not Amanda's protocol"), "{error}");
    }
}

#[test]
fn a_request_that_comes_twice_is_served_once() {
    let laptop = Laptop::new();
    laptop.write("a", "one");
    let mut server = laptop.connect();
    let req = Packet::new(Packets::Req, request(Service::Sendbackup, vec![at(0, laptop.dle())]).print()).print();
    server.send(1, &req);
    assert_eq!(server.packet(1).kind, Packets::Ack);
    let first = server.packet(1);
    assert_eq!(first.kind, Packets::Rep);
    server.send(1, &req);
    assert_eq!(server.packet(1), first, "the same answer, since it was not acknowledged");
    server.send(1, &Packet::ack().print());
    let mut ends = 0;
    while ends < 3 {
        ends += usize::from(server.token().1.is_empty());
    }
    server.close().expect("served");
    assert_eq!(laptop.state.pending().len(), 1);
}

#[test]
fn sizes_are_found_without_reading_and_refused_one_by_one() {
    let laptop = Laptop::new();
    laptop.write("a", vec![1; 2_000_000]);
    laptop.backup(0, laptop.dle());
    let level = |level, server| Level { level, server };
    let sizes = |estimates: &[Estimate]| DleRequest {
        levels: vec![level(0, false), level(1, true)],
        estimates: estimates.to_vec(),
        ..laptop.dle()
    };
    let other = DleRequest { disk: b"/etc".to_vec(), ..sizes(&[Estimate::Client]) };
    let mut server = laptop.connect();
    let answer = server.ask(Service::Sendsize, vec![sizes(&[Estimate::Client]), other, sizes(&[Estimate::Server, Estimate::Client])]);
    let lines = Sendsize::parse(&answer.body).expect("sizes").lines;
    let [full, second, no, because, _, _, ours, theirs] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(matches!(full.size, Size::Kib(kib) if (1953..2100).contains(&kib)), "{full:?}");
    assert!(matches!(second.size, Size::Kib(kib) if kib < 100), "{second:?}");
    assert_eq!((no.disk.as_slice(), &no.size), (&b"/etc"[..], &Size::Impossible));
    assert!(matches!(&because.size, Size::Error(words) if words.starts_with(b"disk /etc is not served here")), "{because:?}");
    assert_eq!(&ours.size, &full.size);
    assert_eq!(theirs.size, Size::Unknown);
    server.close().expect("served");
    assert_eq!(laptop.heard.estimates.load(std::sync::atomic::Ordering::Relaxed), 0, "each has ended");
    assert!(laptop.state.pending().is_empty());
    assert_eq!(fs::read_dir(laptop.state.root().join("pending")).expect("made").count(), 0);
}

#[test]
fn a_check_names_what_would_not_work() {
    let mut laptop = Laptop::new();
    let errors = |laptop: &Laptop, dle: DleRequest| {
        let mut server = laptop.connect();
        let answer = server.ask(Service::Selfcheck, vec![dle]);
        server.close().expect("served");
        let lines = Selfcheck::parse(&answer.body).expect("lines").lines;
        lines
            .into_iter()
            .filter_map(|line| if let CheckLine::Error(text) = line { String::from_utf8(text).ok() } else { None })
            .collect::<Vec<_>>()
    };
    assert_eq!(errors(&laptop, laptop.dle()), [""; 0]);
    assert!(errors(&laptop, DleRequest { disk: b"/etc".to_vec(), ..laptop.dle() })[0].contains("disk /etc is not served here"));
    let include = |files: &[&str], lists: &[&str]| {
        let bytes = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect();
        DleRequest { include: Patterns { files: bytes(files), lists: bytes(lists), optional: false }, ..laptop.dle() }
    };
    assert_eq!(errors(&laptop, include(&["./none"], &[])), ["include ./none is not there"]);
    assert!(errors(&laptop, include(&["./*"], &["none"]))[0].contains("cannot be read"));
    fs::remove_dir(&laptop.source).expect("ours");
    assert!(errors(&laptop, laptop.dle())[0].contains("cannot read"));
    fs::create_dir(&laptop.source).expect("ours");
    laptop.rules.programs = vec!["/usr/bin/gzip".into()];
    assert!(errors(&laptop, laptop.dle())[0].contains("add '/usr/bin/tar' to programs"), "{:?}", errors(&laptop, laptop.dle()));
    laptop.rules.programs = vec![laptop.dir.path().join("tar")];
    assert!(errors(&laptop, laptop.dle())[0].contains("cannot be run"));
}
