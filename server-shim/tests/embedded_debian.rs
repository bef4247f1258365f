//! The judge of what runs of the embedded engine leave: the installed Amanda, which reads it as the config that it is, and goes on with it.
//!
//! It needs root, Debian's amanda-server and amanda-client, zstd and GNU tar, and does nothing where they are not. Where they are is said on
//! standard error.

mod vault;

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use amanda::conf::disklist::Disk;
use amanda::crc::Crc;
use amanda::dle::Dle;
use amanda::header::{Compression, HEADER_BYTES, Header};
use amanda::{holding, index};
use asyncamanda_shim::engine::embedded::make::{Plan, make};
use asyncamanda_shim::engine::embedded::run::{Done, Dumper, NoDump, Task, run_with};
use asyncamanda_shim::engine::embedded::site::Site;
use asyncamanda_shim::engine::embedded::{Order, stamp};
use nix::unistd::{User, geteuid};
use vault::{DAY, Ears};
use wire::Receipt;

const NEEDED: [&str; 7] = [
    "/usr/sbin/amadmin",
    "/usr/sbin/amfetchdump",
    "/usr/sbin/amcheckdump",
    "/usr/sbin/amreport",
    "/usr/sbin/amdump",
    "/usr/lib/amanda/amandad",
    "/usr/bin/zstd",
];

/// GNU tar and zstd instead of a client.
struct Tar {
    lists: PathBuf,
    indexdir: PathBuf,
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().expect("started");
    output.stdout
}

fn piped(program: &str, args: &[&str], input: &[u8]) -> Vec<u8> {
    let file = tempfile::tempfile().and_then(|mut file| {
        file.write_all(input)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    });
    let output = Command::new(program).args(args).stdin(file.expect("a file")).output().expect("started");
    assert!(output.status.success(), "{program}");
    output.stdout
}

fn crc(bytes: &[u8]) -> Crc {
    Crc { crc: crc32c::crc32c(bytes), bytes: bytes.len() as u64 }
}

impl Dumper for Tar {
    fn dump(&self, task: &Task<'_>, _: &dyn Fn(u64)) -> Result<Done, NoDump> {
        let list = self.lists.join(task.level.to_string());
        let _ = fs::remove_file(&list);
        if let Some(below) = task.level.checked_sub(1) {
            fs::copy(self.lists.join(below.to_string()), &list).expect("a list");
        }
        let mut tar = Command::new("/usr/bin/tar");
        tar.args(["-c", "-f", "-", "--sparse", "-C"]).arg(task.disk.directory()).arg("--listed-incremental").arg(&list).arg(".");
        let archive = output(&mut tar);
        let stored = piped("/usr/bin/zstd", &["-q", "-c"], &archive);
        let dle = &task.disk.dle;
        let mut header = Header::new(dle.clone(), task.stamp, task.level).compressed(Compression::ClientCustom(b"/usr/bin/zstd"));
        header.orig_kb = Some(archive.len() as u64 / 1024);
        (header.native, header.client, header.server) = (Some(crc(&archive)), Some(crc(&stored)), Some(crc(&stored)));
        header.dle_xml =
            Some(format!("<dle>\n  <program>GNUTAR</program>\n  <disk>{}</disk>\n</dle>", task.disk.directory().display()).into());
        let directory = self.indexdir.join(index::directory(dle));
        fs::create_dir_all(&directory).expect("made");
        fs::write(directory.join(index::header_name(task.stamp, task.level)), header.beside_index().text().expect("prints"))
            .expect("written");
        let mut names = index::Writer::new(Vec::new());
        let listed = piped("/usr/bin/tar", &["-tf-"], &archive);
        listed.split(|byte| *byte == b'\n').filter_map(index::line).for_each(|line| names.add(line).expect("added"));
        let list = index::file_name(task.stamp, task.level, index::Form::UnsortedGz);
        fs::write(directory.join(list), names.finish().expect("finished")).expect("written");
        let mut file = File::create(task.directory.join(holding::file_name(dle, task.level))).expect("made");
        file.write_all(&header.print().expect("prints")).and_then(|()| file.write_all(&stored)).expect("written");
        Ok(Done { header, strange: Vec::new(), secs: 1.5 })
    }

    fn estimate(&self, _: &Disk, _: u8) -> Option<u64> {
        None
    }
}

/// A vault that became a config of the installed Amanda; gone when dropped.
struct World {
    name: String,
    directory: PathBuf,
    _keep: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
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

/// Everything to the account that Amanda runs as.
fn hand_over(directory: &Path) {
    let user = User::from_name("backup").expect("passwd").expect("an account");
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let give = |path: &Path| chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("root may");
        give(&directory);
        for entry in fs::read_dir(directory).expect("list") {
            let entry = entry.expect("entry");
            match entry.file_type().expect("type") {
                kind if kind.is_dir() => directories.push(entry.path()),
                kind if kind.is_file() => give(&entry.path()),
                _ => {}
            }
        }
    }
}

impl World {
    /// Runs a program of Amanda's as its account; `CONFIG` stands for the config.
    fn amanda(&self, program: &str, args: &[&str]) -> Output {
        let args = args.iter().map(|arg| if *arg == "CONFIG" { self.name.as_str() } else { *arg });
        let mut command = Command::new("/usr/sbin/runuser");
        command.args(["-u", "backup", "--"]).arg(format!("/usr/sbin/{program}")).args(args);
        command.current_dir(self.directory.join("holding")).stdin(Stdio::null()).output().expect("started")
    }

    fn says(&self, program: &str, args: &[&str]) -> String {
        text(&self.amanda(program, args))
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn amanda_reads_what_runs_have_left_and_goes_on_with_it() {
    if !is_there() {
        return;
    }
    let keep = tempfile::tempdir().expect("directory");
    let tree = keep.path().join("my docs");
    fs::create_dir(&tree).expect("made");
    fs::create_dir(keep.path().join("lists")).expect("made");
    let site = make(&keep.path().join("vault"), &Plan { volume_kb: Some(64 * 1024), ..Plan::default() });
    let mut site = site.expect("made");
    site.add_disk(&Dle::new("localhost", tree.as_os_str()), None).expect("added");
    let tar = Tar { lists: keep.path().join("lists"), indexdir: site.indexdir() };
    let order = Order { host: "localhost".parse().expect("name"), disks: Vec::new() };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("now").as_secs() as i64;
    let mut receipts: Vec<Receipt> = Vec::new();
    // Twelve days: two volumes, since one is written to for a quarter of thirty days.
    for day in 0..12 {
        fs::write(tree.join(format!("file {day}")), vec![b'a' + day as u8; 3_000 + day * 7]).expect("written");
        let at = now - (13 - day as i64) * DAY;
        let made = run_with(&site, &format!("run-{day}"), std::slice::from_ref(&order), &tar, &Ears::default(), &|| at).expect("a run");
        assert!(made[0].is_backup(), "{made:?}");
        receipts.extend(made);
    }
    let name = site.name().to_string();
    let directory = Path::new("/etc/amanda").join(&name);
    let status = Command::new("cp").arg("-a").arg(site.directory()).arg(&directory).status().expect("cp");
    assert!(status.success());
    let world = World { name: name.clone(), directory: directory.clone(), _keep: keep };
    Site::open(&directory, None).and_then(|site| site.for_writing()).expect("moved");
    let conf = fs::read_to_string(directory.join("amanda.conf")).expect("read").replace("dumpuser \"root\"", "dumpuser \"backup\"");
    fs::write(directory.join("amanda.conf"), conf).expect("written");
    hand_over(&directory);
    Command::new("chmod").args(["-R", "a+rX"]).arg(world._keep.path()).status().expect("chmod");

    let find = world.says("amadmin", &["CONFIG", "find"]);
    let rows = amanda::admin::find::parse(find.as_bytes());
    assert_eq!(rows.len(), 12, "{find}");
    for (row, receipt) in rows.iter().zip(&receipts) {
        assert!(row.is_ok() && (row.part, row.parts) == (1, 1), "{find}");
        assert_eq!((&row.datestamp, Some(row.level)), (&receipt.datestamp, receipt.level), "{find}");
        assert_eq!(receipt.chain.last().map(|base| base.places[0].clone()), Some(row.place.to_string()), "{find}");
    }
    let info = world.says("amadmin", &["CONFIG", "info"]);
    assert!(info.contains(&format!("{name}-001")) && info.contains("  0  ") && info.contains("  1  "), "{info}");
    let show = world.says("amtape", &["CONFIG", "show"]).split_whitespace().collect::<Vec<_>>().join(" ");
    for slot in 1..=2 {
        let seen = format!("slot {slot}: date");
        assert!(show.contains(&seen) && show.contains(&format!("label {name}-00{slot}")), "{show}");
    }
    let check = world.amanda("amcheckdump", &["CONFIG"]);
    assert!(check.status.success() && text(&check).contains("successfully validated"), "{}", text(&check));
    let last = receipts.last().expect("twelve");
    for receipt in [&receipts[0], last] {
        let fetched = world.amanda("amfetchdump", &["-a", "-p", "CONFIG", "localhost", ".*", &receipt.datestamp]);
        let listed = piped("/usr/bin/tar", &["-tf-"], &fetched.stdout);
        assert!(String::from_utf8_lossy(&listed).contains("./file "), "{}", String::from_utf8_lossy(&fetched.stderr));
    }
    let log = directory.join("log").join(format!("log.{}.0", last.datestamp));
    let file = directory.join("holding/report");
    let said = world.says("amreport", &["CONFIG", "-l", &log.to_string_lossy(), "-f", &file.to_string_lossy()]);
    let report = fs::read_to_string(&file).unwrap_or(said);
    let _ = fs::remove_file(&file);

    assert!(report.contains("DUMP SUMMARY") && report.contains("my docs") && !report.contains("MISSING"), "{report}");
    assert!(report.contains("not older than dumpcycle") || report.contains("stays at level"), "the planner's reason: {report}");

    // Amanda's own run goes on: with a level that builds on what is there, on a volume of its own.
    fs::write(tree.join("of amdump"), b"later").expect("written");
    let overrides = "-oreserve=0";
    let dumped = world.amanda("amdump", &["CONFIG", overrides]);
    let find = world.says("amadmin", &["CONFIG", "find"]);
    let rows = amanda::admin::find::parse(find.as_bytes());
    assert_eq!(rows.len(), 13, "{} {find}\n{}", text(&dumped), newest_log(&directory));
    let new = rows.iter().find(|row| !receipts.iter().any(|receipt| receipt.datestamp == row.datestamp)).expect("one more");
    assert!(new.is_ok() && new.level >= 1, "{find}");
    assert_eq!(new.place.to_string(), format!("{name}-003:1"), "{find}");

    // And back again: this engine reads what Amanda wrote, and its next dump builds on it.
    let user = geteuid();
    let give_back = Command::new("chown").arg("-R").arg(user.to_string()).arg(&directory).status().expect("chown");
    assert!(give_back.success());
    let site = Site::open(&directory, None).expect("opened");
    let tar = Tar { lists: world._keep.path().join("lists"), indexdir: site.indexdir() };
    for level in 0..3 {
        let list = tar.lists.join(level.to_string());
        if !list.exists() {
            File::create(list).expect("made");
        }
    }
    let ears = Ears::default();
    let made = run_with(&site, "after", std::slice::from_ref(&order), &tar, &ears, &|| now + 3_600).expect("a run");
    assert!(made[0].is_backup() && made[0].level >= Some(1), "{made:?} {:?} {:?}", ears.planned, ears.notes);
    assert!(made[0].datestamp > new.datestamp && stamp::seconds(&made[0].datestamp).is_some());
    let newest = made[0].chain.iter().map(|base| base.datestamp.clone()).collect::<Vec<_>>();
    assert!(new.level == 1 || newest.contains(&new.datestamp) || new.level == made[0].level.unwrap_or(0), "{made:?}");
    hand_over(&directory);
    let find = world.says("amadmin", &["CONFIG", "find"]);
    assert_eq!(amanda::admin::find::parse(find.as_bytes()).iter().filter(|row| row.is_ok()).count(), 14, "{find}");
    let mut beginning = vec![0; HEADER_BYTES];
    let place = amanda::vtape::changer::ChgDisk::new(directory.join("vtapes")).volume(1).files().expect("files");
    File::open(&place[1].path).and_then(|mut file| file.read_exact(&mut beginning)).expect("read");
    assert!(Header::parse(&beginning).is_ok());
}

fn newest_log(directory: &Path) -> String {
    let mut logs: Vec<_> = fs::read_dir(directory.join("log")).expect("list").flatten().map(|entry| entry.path()).collect();
    logs.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("log.2")));
    logs.sort();
    logs.last().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default()
}
