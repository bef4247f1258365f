//! The judge of dumps in parts: the installed Amanda finds them, validates them, fetches them and restores them from volumes, byte for byte;
//! and what its own amdump leaves on the holding disk in chunks is put on volumes.
//!
//! It needs root, Debian's amanda-server and amanda-client, and GNU tar, and does nothing where they are not.

mod shelf;

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use amanda::dle::Dle;
use amanda::header::HEADER_BYTES;
use asyncamanda_shim::engine::embedded::stamp;
use nix::unistd::{User, geteuid};
use shelf::{Conf, DAY, KIB, NOW, World, body, bytes_of, temporary};

const NEEDED: [&str; 6] = [
    "/usr/sbin/amadmin",
    "/usr/sbin/amfetchdump",
    "/usr/sbin/amcheckdump",
    "/usr/sbin/amrestore",
    "/usr/sbin/amdump",
    "/usr/lib/amanda/amandad",
];

/// A config in /etc/amanda, which goes with this value.
struct Office {
    world: World,
}

impl Drop for Office {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.world.directory);
    }
}

fn is_there() -> bool {
    let missing = NEEDED.iter().find(|program| !Path::new(program).exists());
    let there = missing.is_none() && geteuid().is_root() && User::from_name("backup").ok().flatten().is_some();
    if !there {
        assert!(std::env::var_os("CI").is_none(), "CI has Debian's Amanda");
        eprintln!("not judged: it takes root, the account backup, and {NEEDED:?}");
    }
    there
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

impl Office {
    fn make(conf: Conf, disks: &[&str]) -> Self {
        let directory = Path::new("/etc/amanda");
        let _ = fs::remove_dir_all(directory.join(conf.name));
        Self { world: World::make(directory, Conf { dumpuser: "backup", ..conf }, disks).label(4) }
    }

    /// Gives everything to an account.
    fn give(&self, account: &str) {
        let user = User::from_name(account).expect("passwd").expect("an account");
        let mut directories = vec![self.world.directory.clone()];
        while let Some(directory) = directories.pop() {
            chown(&directory, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("root may");
            for entry in fs::read_dir(&directory).expect("list").map(|entry| entry.expect("entry")) {
                match entry.file_type().expect("type") {
                    kind if kind.is_dir() => directories.push(entry.path()),
                    kind if kind.is_file() => chown(entry.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("root may"),
                    _ => {}
                }
            }
        }
    }

    /// Runs a program of Amanda's as its account, in a directory of its own.
    fn amanda(&self, program: &str, args: &[&str], at: &Path) -> Output {
        let mut command = Command::new("/usr/sbin/runuser");
        command.args(["-u", "backup", "--"]).arg(format!("/usr/sbin/{program}")).args(args);
        command.current_dir(at).stdin(Stdio::null()).output().expect("started")
    }
}

/// An archive that is about so large.
fn archive(keep: &Path, kib: usize) -> Vec<u8> {
    let tree = keep.join("tree");
    fs::create_dir_all(&tree).expect("made");
    fs::write(tree.join("file"), body(&Dle::new("h", "/d"), "x", 0, kib * KIB)).expect("written");
    let output = Command::new("/usr/bin/tar").args(["-c", "-f", "-", "-C"]).arg(&tree).arg(".").output().expect("tar");
    assert!(output.status.success());
    output.stdout
}

/// A directory that Amanda's account may write to.
fn scratch(keep: &Path) -> PathBuf {
    let scratch = keep.join("scratch");
    fs::create_dir(&scratch).expect("made");
    let user = User::from_name("backup").expect("passwd").expect("an account");
    chown(&scratch, Some(user.uid.as_raw()), None).expect("root may");
    Command::new("chmod").arg("a+rx").arg(keep).status().expect("chmod");
    scratch
}

#[test]
fn amanda_reads_dumps_in_parts_back_byte_for_byte() {
    if !is_there() {
        return;
    }
    for (name, part, kib, parts) in [
        ("ifh-two", None, 900, 2),
        ("ifh-three", None, 2_000, 3),
        ("ifh-parts-two", Some(320), 1_300, 5),
        ("ifh-parts-three", Some(512), 2_100, 5),
    ] {
        let keep = temporary();
        let conf = Conf { name, runtapes: 3, tapecycle: 4, part, ..Conf::default() };
        let office = Office::make(conf, &["/etc", "/home"]);
        let bytes = archive(keep.path(), kib);
        let dle = Dle::new("amandahost", "/etc");
        let hd1 = office.world.directory.join("hd1");
        office.world.put(&hd1, &dle, NOW, 0, &bytes, 0);
        office.world.put(&hd1, &Dle::new("amandahost", "/home"), NOW, 0, &archive(keep.path(), 20), 0);
        let (flushed, notes) = office.world.flush(NOW + 60);
        assert_eq!(flushed.left, 0, "{}", notes.all());
        office.give("backup");
        let scratch = scratch(keep.path());

        let find = text(&office.amanda("amadmin", &[name, "find"], &scratch));
        let rows = amanda::admin::find::parse(find.as_bytes());
        let of_etc: Vec<_> = rows.iter().filter(|row| row.dle == dle).collect();
        assert_eq!((of_etc.len(), rows.len()), (parts, parts + 1), "{find}");
        assert!(rows.iter().all(amanda::admin::Found::is_ok), "{find}");
        let check = office.amanda("amcheckdump", &[name], &scratch);
        assert!(check.status.success() && text(&check).contains("successfully validated"), "{}", text(&check));
        let fetched = office.amanda("amfetchdump", &["-a", "-p", name, "amandahost", "^/etc$"], &scratch);
        assert!(fetched.stdout == bytes, "{} bytes of {}: {}", fetched.stdout.len(), bytes.len(), String::from_utf8_lossy(&fetched.stderr));
        // Without any config: volume after volume, part after part.
        let mut restored = Vec::new();
        for slot in 1..=3 {
            let at = scratch.join(slot.to_string());
            fs::create_dir(&at).expect("made");
            chown(&at, Some(User::from_name("backup").expect("passwd").expect("an account").uid.as_raw()), None).expect("root may");
            let device = format!("file:{}", office.world.vtapes().join(format!("slot{slot}")).display());
            office.amanda("amrestore", &["-r", &device, "amandahost", "^/etc$"], &at);
            let mut files: Vec<_> = fs::read_dir(&at).expect("list").map(|entry| entry.expect("entry").path()).collect();
            files.sort();
            restored.extend(files);
        }
        let restored = bytes_of(&restored);
        assert!(restored[..bytes.len()] == bytes, "amrestore");
        assert!(restored.len() - bytes.len() < HEADER_BYTES, "but for the rest of a block");
        let log = office.world.directory.join(format!("log/log.{}.0", stamp::of(NOW + 60)));
        let report = text(&office.amanda("amreport", &[name, "-l", &log.to_string_lossy(), "-f", "-"], &scratch));
        assert!(!report.contains("MISSING") && !report.contains("FAILED"), "{report}");
        assert!(report.contains("ifh01"), "{report}");
    }
}

#[test]
fn what_amdump_left_in_chunks_is_put_on_volumes() {
    if !is_there() {
        return;
    }
    let keep = temporary();
    let name = "ifh-chunks";
    let tree = keep.path().join("tree");
    fs::create_dir(&tree).expect("made");
    fs::write(tree.join("file"), body(&Dle::new("h", "/d"), "x", 0, 1_500 * KIB)).expect("written");
    Command::new("chmod").arg("-R").arg("a+rX").arg(keep.path()).status().expect("chmod");
    let conf = Conf { name, runtapes: 3, tapecycle: 4, ..Conf::default() };
    let office = Office::make(conf, &[]);
    let own = office.world.directory.clone();
    let conf = fs::read_to_string(own.join("amanda.conf")).expect("read").replace("hd1\"\n}", "hd1\"\nchunksize 320 kbytes\n}");
    fs::write(own.join("amanda.conf"), conf).expect("written");
    fs::write(own.join("disklist"), format!("localhost {} plain\n", tree.display())).expect("written");
    office.give("backup");
    let scratch = scratch(keep.path());
    let dumped = office.amanda("amdump", &[name, "--no-taper", "-oreserve=0"], &scratch);
    office.give("root");
    let world = World { site: World::open(&own, name), directory: own.clone(), conf: office.world.conf.clone() };
    let held: Vec<_> = world.catalog().held().cloned().collect();
    assert!(held.len() == 1 && held[0].chunks.len() >= 5, "{held:?} {}", text(&dumped));
    let bytes = bytes_of(&held[0].chunks);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("now").as_secs() as i64;
    let (flushed, notes) = world.flush(now + DAY);
    assert_eq!((flushed.dumps, flushed.left), (1, 0), "{}", notes.all());
    let catalog = world.catalog();
    let dump = catalog.dumps.values().next().expect("a dump");
    assert!(dump.files.len() == 2 && bytes_of(&dump.files) == bytes, "{dump:?}");
    office.give("backup");
    let fetched = office.amanda("amfetchdump", &["-a", "-p", name, "localhost"], &scratch);
    assert!(fetched.stdout == bytes, "{}", String::from_utf8_lossy(&fetched.stderr));
    // And Amanda goes on: on the next volume, with a level that builds on it.
    fs::write(tree.join("new"), "later").expect("written");
    let dumped = office.amanda("amdump", &[name, "-oreserve=0"], &scratch);
    let find = text(&office.amanda("amadmin", &[name, "find"], &scratch));
    let rows = amanda::admin::find::parse(find.as_bytes());
    assert_eq!(rows.len(), 3, "{find} {}", text(&dumped));
    let places: Vec<_> = rows.iter().filter(|row| row.is_ok()).map(|row| row.place.to_string()).collect();
    assert!(places.contains(&"ifh03:1".to_owned()) && places.contains(&"ifh01:1".to_owned()), "{find}");
}
