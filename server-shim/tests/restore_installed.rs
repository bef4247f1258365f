//! Restores of what Debian's Amanda has dumped: on the holding disk, on vtapes, split over two of them, read as files and by amfetchdump.

#[path = "tunnel/dumps.rs"]
mod dumps;
#[path = "tunnel/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use dumps::{ask, close, restoring};
use nix::unistd::User;
use wire::frame::pack;
use wire::restore::{Ask, Dump, DumpId, Packing, PathBytes, Told, What};
use wire::{AbortCode, DiskName};
use world::{Laptop, World, until};

const DUMP_USER: &str = "backup";

/// Disks, by how their dumps are packed.
const DISKS: [(&str, Packing); 4] =
    [("plain", Packing::Plain), ("gzip disk", Packing::Gzip), ("custom", Packing::Zstd), ("amgtar", Packing::Gzip)];

/// An Amanda of its own, and a shim beside it.
struct Office {
    world: World,
    config: String,
}

impl Office {
    fn new(case: &str) -> Self {
        let config = format!("restore-{case}-{}", std::process::id());
        let text = format!("[runner]\ndoor = \"self\"\n[host.localhost]\nconfig = \"{config}\"\n[host.other]\nconfig = \"{config}\"\n");
        let office = Self { world: World::of(DUMP_USER, &text), config };
        let parts = [
            "",
            "state",
            "state/queue",
            "state/runner",
            "run",
            "run/locks",
            "run/hosts",
            "amanda",
            "amanda/hold",
            "amanda/log",
            "amanda/index",
            "amanda/info",
            "amanda/lists",
            "amanda/vtapes",
            "amanda/vtapes/slot1",
            "amanda/vtapes/slot2",
            "amanda/vtapes/slot3",
            "amanda/disks",
        ];
        parts.iter().for_each(|part| office.directory(&office.world.path(part)));
        // What sessions make there is for the dump user's group.
        fs::set_permissions(office.world.path("run/hosts"), fs::Permissions::from_mode(0o2755)).expect("ours");
        fs::set_permissions(office.world.config(), fs::Permissions::from_mode(0o644)).expect("ours");
        office.directory(&office.etc());
        let root = office.world.path("amanda");
        let root = root.display();
        let conf = format!(
            "org \"{name}\"\nmailto \"\"\ndumpuser \"{DUMP_USER}\"\ninfofile \"{root}/info\"\nlogdir \"{root}/log\"\nindexdir \"{root}/index\"\n\
             tapelist \"{root}/tapelist\"\ntpchanger \"chg-disk:{root}/vtapes\"\nlabelstr \"^{name}-[0-9][0-9]*$\"\nautolabel \"{name}-%%%\" any\n\
             tapetype T\ndefine tapetype T {{\n length 3 mbytes\n part_size 1 mbytes\n}}\nruntapes 3\n\
             holdingdisk hd1 {{\n directory \"{root}/hold\"\n use 500 Mb\n chunksize 1 Mb\n}}\ndumpcycle 7 days\ntapecycle 3\ninparallel 1\n\
             etimeout 60\ndtimeout 60\nreserve 0\nbumpsize 1000 mbytes\n\
             define application app_amgtar {{\n plugin \"amgtar\"\n property \"GNUTAR-LISTDIR\" \"{root}/lists\"\n}}\n\
             define dumptype base {{\n program \"GNUTAR\"\n auth \"local\"\n estimate server\n index yes\n maxpromoteday 0\n}}\n\
             define dumptype plain {{\n base\n compress none\n}}\ndefine dumptype gzip {{\n base\n compress client fast\n}}\n\
             define dumptype custom {{\n base\n compress server custom\n server_custom_compress \"/usr/bin/zstd\"\n}}\n\
             define dumptype amgtar {{\n gzip\n program \"APPLICATION\"\n application \"app_amgtar\"\n}}\n",
            name = office.config,
        );
        office.file("amanda.conf", &conf);
        office.file("amanda-client.conf", &format!("amandates \"{root}/amandates\"\ngnutar_list_dir \"{root}/lists\"\n"));
        let mut disklist = String::new();
        for (disk, _) in DISKS {
            let path = office.disk(disk);
            office.directory(&path);
            office.directory(&path.join("sub"));
            fs::write(path.join("sub/small"), format!("small {disk}")).expect("written");
            fs::write(path.join("large"), noise(3_500_000)).expect("written");
            let dumptype = disk.split(' ').next().expect("a word");
            disklist += &format!("localhost \"{}\" {dumptype}\n", path.display());
        }
        office.file("disklist", &disklist);
        fs::write(office.world.path("amanda/amandates"), "").expect("written");
        office.give(&office.world.path("amanda/amandates"));
        office
    }

    fn etc(&self) -> PathBuf {
        Path::new("/etc/amanda").join(&self.config)
    }

    fn disk(&self, name: &str) -> PathBuf {
        self.world.path("amanda/disks").join(name)
    }

    fn give(&self, path: &Path) {
        let user = User::from_name(DUMP_USER).expect("users").expect("Amanda is installed");
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("root may");
    }

    fn directory(&self, path: &Path) {
        fs::create_dir_all(path).expect("made");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("ours");
        self.give(path);
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.etc().join(name);
        fs::write(&path, text).expect("written");
        self.give(&path);
    }

    fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.etc().join("amanda.conf")).expect("read");
        assert!(text.contains(from), "{from} in {text}");
        self.file("amanda.conf", &text.replace(from, to));
    }

    /// Runs one of Amanda's programs as its administrator does.
    fn amanda(&self, program: &str, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new("setpriv")
            .args(["--reuid", DUMP_USER, "--regid", DUMP_USER, "--init-groups", "--"])
            .arg(Path::new("/usr/sbin").join(program))
            .arg(&self.config)
            .args(arguments)
            .current_dir(self.world.path("amanda"))
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program} {arguments:?}: {} {said} {}", output.status, String::from_utf8_lossy(&output.stdout));
        output.stdout
    }

    fn dump(&self) {
        self.amanda("amdump", &["--no-taper"]);
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.etc());
    }
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

/// What the laptop sees of a disk, oldest first.
fn dumps_of(laptop: &mut Laptop, disk: &Path) -> Vec<Dump> {
    let (told, _) = ask(laptop, &Ask::Dumps { host: None });
    let dumps = told.into_iter().filter_map(|told| if let Told::Dump(dump) = told { Some(*dump) } else { None });
    dumps.filter(|dump| dump.id.disk.as_os_str() == disk).collect()
}

/// Files of a plain archive.
fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().expect("an archive").map(|entry| {
        let mut entry = entry.expect("a member");
        let name = String::from_utf8(entry.path_bytes().into_owned()).expect("our names");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("whole");
        (name, bytes)
    });
    entries.filter(|(name, _)| !name.ends_with('/')).collect()
}

/// Everything that can be asked of a disk's dumps is answered.
fn all_is_there(office: &Office, place: &str) {
    let mut laptop = restoring(&office.world, "localhost");
    for (disk, packing) in DISKS {
        let path = office.disk(disk);
        let dumps = dumps_of(&mut laptop, &path);
        let chains: Vec<(u8, usize, &str)> = dumps.iter().map(|dump| (dump.id.level, dump.chain.len(), dump.why_not.as_str())).collect();
        assert_eq!(chains, [(0, 1, ""), (1, 2, "")], "{disk} {place}");
        assert!(
            dumps.iter().all(|dump| dump.bytes > 0 && dump.orig_kb > 0 && dump.places.iter().all(|found| found.contains(place))),
            "{dumps:?}"
        );
        let (full, next) = (dumps[0].id.clone(), dumps[1].id.clone());
        let (told, bytes) = ask(&mut laptop, &Ask::Fetch { dump: full.clone(), what: What::All });
        let stored = Some((format!("{:08x}", crc32c::crc32c(&bytes)), bytes.len() as u64));
        assert_eq!(told, [Told::Archive { packing, bytes: bytes.len() as u64, stored }, Told::Done], "{disk} {place}");
        let few = What::Members(vec![PathBytes::new(b"sub")]);
        let (told, bytes) = ask(&mut laptop, &Ask::Fetch { dump: full.clone(), what: few });
        assert!(matches!(told[..], [Told::Archive { packing: Packing::Plain, .. }, Told::Done]), "{told:?}");
        assert_eq!(files(&bytes), BTreeMap::from([("./sub/small".to_owned(), format!("small {disk}").into_bytes())]), "{disk} {place}");
        let (_, bytes) = ask(&mut laptop, &Ask::Fetch { dump: next.clone(), what: What::Members(vec![PathBytes::default()]) });
        assert_eq!(files(&bytes), BTreeMap::from([("./new".to_owned(), b"new".to_vec())]), "{disk} {place}");
        let (told, bytes) = ask(&mut laptop, &Ask::Directories { dump: next, of: vec![PathBytes::new(b"sub")], deep: false });
        assert_eq!(told, [Told::Done], "{disk} {place}");
        let text = bytes.escape_ascii().to_string();
        assert!(text.contains("Nlarge\\x00Ynew\\x00Dsub\\x00") && text.contains("Nsmall\\x00"), "{disk} {place}: {text}");
        let (_, bytes) = ask(&mut laptop, &Ask::Names { dump: full, below: PathBytes::default(), deep: false });
        let mut names: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        names.sort_unstable();
        assert_eq!(names, [&b"/large\n"[..], b"/sub/\n"], "{disk} {place}");
    }
    close(&mut laptop);
}

#[test]
fn what_amanda_dumped_is_read_wherever_it_lies() {
    let office = Office::new("all");
    office.dump();
    for (disk, _) in DISKS {
        fs::write(office.disk(disk).join("new"), "new").expect("written");
    }
    office.dump();
    all_is_there(&office, "holding disk");
    // Fourteen megabytes go to volumes of three: dumps are split.
    office.edit("length 3 mbytes", "length 8 mbytes");
    office.amanda("amflush", &["-f", "-b"]);
    let listed = String::from_utf8(office.amanda("amadmin", &["find"])).expect("text");
    assert!(listed.contains(" 1/4 OK") && listed.contains("-002 "), "{listed}");
    all_is_there(&office, &office.config);
    // A changer of another name: only Amanda knows what is behind it.
    let tpchanger = format!("tpchanger \"chg-disk:{}/vtapes\"", office.world.path("amanda").display());
    office.edit(&tpchanger, &format!("define changer drives {{\n {tpchanger}\n}}\ntpchanger \"drives\""));
    all_is_there(&office, &office.config);
    amfetchdump_ends_with_whoever_wanted_it(&office);
    a_missing_volume_is_a_hole(&office);
    what_cannot_be_read_here_is_refused_by_name(&office);
}

/// Processes whose command line has these words.
fn processes(words: [&str; 2]) -> Vec<i32> {
    let is_one = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        words.iter().all(|word| line.split('\0').any(|part| part.ends_with(word)))
    };
    let entries = fs::read_dir("/proc").expect("proc").flatten();
    let pids = entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, fs::read(entry.path().join("cmdline")).ok()?)));
    pids.filter(|(_, line)| is_one(line)).map(|(pid, _)| pid).collect()
}

/// A dump that is longer than a stream's credit: amfetchdump stands in the middle of it when the laptop, or the reader, is gone.
fn amfetchdump_ends_with_whoever_wanted_it(office: &Office) {
    let fetching = || processes(["amfetchdump", &office.config]);
    let begin = || {
        let mut laptop = restoring(&office.world, "localhost");
        let id = dumps_of(&mut laptop, &office.disk("plain"))[0].id.clone();
        laptop.send(1, &pack(&Ask::Fetch { dump: id, what: What::All }).expect("short"));
        until(|| !fetching().is_empty());
        laptop
    };
    begin().kill();
    until(|| fetching().is_empty());
    let laptop = begin();
    let reader = processes(["reader", &office.world.config().display().to_string()]);
    assert_eq!(reader.len(), 1);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(reader[0]), nix::sys::signal::Signal::SIGKILL).expect("it lives");
    until(|| fetching().is_empty());
    drop(laptop);
}

/// One of the volumes of a split dump is taken away: what came before it comes, and then the reason.
fn a_missing_volume_is_a_hole(office: &Office) {
    let listed = String::from_utf8(office.amanda("amadmin", &["find"])).expect("text");
    let mut laptop = restoring(&office.world, "localhost");
    let mut split = 0;
    let away = office.world.path("amanda/away");
    fs::rename(office.world.path("amanda/vtapes/slot2"), &away).expect("ours");
    for (disk, _) in DISKS {
        let dumps = dumps_of(&mut laptop, &office.disk(disk));
        let labels = &dumps[0].places;
        if !labels.iter().any(|label| label.contains("-001")) || !labels.iter().any(|label| label.contains("-002")) {
            continue;
        }
        split += 1;
        let (told, bytes) = ask(&mut laptop, &Ask::Fetch { dump: dumps[0].id.clone(), what: What::All });
        let [Told::Archive { .. }, Told::Hole { raw: None, why }, Told::Done] = &told[..] else { panic!("{told:?}") };
        assert!(why.contains("amfetchdump: ") && why.contains("-002") && !bytes.is_empty(), "{why}");
    }
    fs::rename(&away, office.world.path("amanda/vtapes/slot2")).expect("ours");
    assert!(split > 0, "{listed}");
    close(&mut laptop);
}

fn what_cannot_be_read_here_is_refused_by_name(office: &Office) {
    office.edit("compress none", "compress none\n encrypt client\n client_encrypt \"/usr/sbin/amcrypt\"");
    let disklist = fs::read_to_string(office.etc().join("disklist")).expect("read");
    let without: String = disklist.lines().filter(|line| !line.ends_with(" custom")).map(|line| format!("{line}\n")).collect();
    let mut laptop = restoring(&office.world, "localhost");
    let dumps = dumps_of(&mut laptop, &office.disk("plain"));
    assert!(dumps.iter().all(|dump| dump.chain.is_empty() && dump.why_not.contains("encrypted (client)")), "{dumps:?}");
    let (told, bytes) = ask(&mut laptop, &Ask::Fetch { dump: dumps[0].id.clone(), what: What::All });
    assert!(
        matches!(&told[..], [Told::No { code: AbortCode::Refused, message, .. }] if message.contains("encrypted")) && bytes.is_empty(),
        "{told:?}"
    );
    let custom = dumps_of(&mut laptop, &office.disk("custom"))[0].id.clone();
    close(&mut laptop);
    office.file("disklist", &without);
    let mut laptop = restoring(&office.world, "localhost");
    let (told, _) = ask(&mut laptop, &Ask::Fetch { dump: custom, what: What::All });
    assert!(matches!(&told[..], [Told::No { code: AbortCode::Refused, .. }]), "{told:?}");
    let foreign = DumpId { disk: DiskName::new("/etc").expect("a name"), ..dumps[0].id.clone() };
    let (told, _) = ask(&mut laptop, &Ask::Fetch { dump: foreign, what: What::All });
    assert!(matches!(&told[..], [Told::No { code: AbortCode::Refused, .. }]), "{told:?}");
    close(&mut laptop);
    let mut other = restoring(&office.world, "other");
    let (told, _) = ask(&mut other, &Ask::Fetch { dump: dumps[0].id.clone(), what: What::All });
    assert!(
        matches!(&told[..], [Told::No { code: AbortCode::Refused, message, .. }] if message.contains("reads the dumps of other")),
        "{told:?}"
    );
    close(&mut other);
}
