//! The judge of what the office says: Debian's amreport and amadmin, on the same files.
//!
//! It needs root and Debian's amanda-server, and does nothing where they are not. Where they are is said on standard error.

mod shelf;
mod vault;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use amanda::admin::{Found, find as amadmin_find};
use amanda::run_log::said::{Said, said};
use amanda::tapelist::{Tape, Tapelist};
use asyncamanda_shim::office::place::Place;
use asyncamanda_shim::office::{self, Wish, find, tape};
use nix::unistd::{User, geteuid};

const NEEDED: [&str; 2] = ["/usr/sbin/amreport", "/usr/sbin/amadmin"];
const NOW: i64 = 1_795_460_784;

/// A config of the installed Amanda; gone when dropped.
struct World {
    name: String,
    directory: PathBuf,
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

fn conf(directory: &Path, more: &str) -> String {
    let directory = directory.display();
    format!(
        "org \"office\"\ndumpuser \"backup\"\ndumpcycle 7 days\nrunspercycle 7\ntapecycle 3\n\
         infofile \"{directory}/curinfo\"\nlogdir \"{directory}/log\"\nindexdir \"{directory}/index\"\ntapelist \"{directory}/tapelist\"\n\
         holdingdisk hd {{\n  directory \"{directory}/holding\"\n  use 1 Gb\n}}\n\
         define tapetype VT {{\n  length 100 mbytes\n  filemark 4 kbytes\n  part_size 2 mbytes\n}}\n\
         define storage fx1 {{\n  tpchanger \"chg-disk:{directory}/vtapes\"\n  tapetype \"VT\"\n  tapepool \"fx1\"\n  runtapes 2\n  labelstr \"^fx1-[0-9]+$\"\n}}\n\
         storage \"fx1\"\ndefine dumptype plain {{\n  program \"GNUTAR\"\n  auth \"local\"\n}}\n{more}"
    )
}

impl World {
    fn new(case: &str, more: &str) -> Self {
        let name = format!("asyncamanda-office-{case}-{}", std::process::id());
        let directory = Path::new("/etc/amanda").join(&name);
        let world = Self { name, directory };
        for path in ["", "log", "curinfo", "index", "holding", "vtapes"] {
            fs::create_dir(world.directory.join(path)).expect("made");
        }
        world.write("amanda.conf", conf(&world.directory, more).as_bytes());
        world.write("disklist", b"localhost /etc plain\n");
        world.write("tapelist", b"");
        world.own(&world.directory);
        world
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.directory.join(name), bytes).expect("written");
    }

    /// Gives all of it to Amanda's account.
    fn own(&self, path: &Path) {
        let user = User::from_name("backup").expect("looked up").expect("there");
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("given");
        if path.is_dir() {
            for entry in fs::read_dir(path).expect("list") {
                self.own(&entry.expect("entry").path());
            }
        }
    }

    /// Puts a dump on the holding disk: the header of a real one, and some bytes.
    fn held(&self, run: &str, header: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/amanda/tests/fixtures/files").join(header);
        let mut dump = fs::read(path).expect("a header");
        dump.resize(32 * 1024 + 5000, 0);
        fs::create_dir_all(self.directory.join("holding").join(run)).expect("made");
        self.write(&format!("holding/{run}/{header}"), &dump);
    }

    fn amanda(&self, program: &str, args: &[&str]) -> Vec<u8> {
        self.own(&self.directory);
        let mut command = Command::new("/usr/sbin/runuser");
        command.args(["-u", "backup", "--"]).arg(format!("/usr/sbin/{program}")).args(args);
        command.env("LANG", "C").current_dir("/").stdin(Stdio::null()).output().expect("started").stdout
    }

    fn place(&self) -> Place {
        Place::read(&self.directory, &self.name.parse().expect("name")).expect("opened")
    }

    fn ours(&self, log: &Path) -> String {
        office::report(&self.place(), &Wish { log: Some(log.to_owned()), ..Wish::default() }, NOW).expect("a report").1
    }
}

/// Logs of real runs, and of runs of our own engine.
fn logs() -> Vec<PathBuf> {
    let mut logs = Vec::new();
    for directory in ["../crates/amanda/tests/fixtures", "tests/fixtures/logs"] {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.expect("entry").path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("log.")) {
                logs.push(path.canonicalize().expect("a path"));
            }
        }
    }
    logs.sort();
    logs
}

/// Lines of a report, word by word: what is only layout is left out, and the rules behind MISSING and its like.
fn words(report: &str) -> Vec<String> {
    let layout = |line: &str| {
        let line = line.trim();
        line.is_empty()
            || line.starts_with("(brought to you")
            || line.starts_with("DUMPER STATS")
            || line.starts_with("HOSTNAME")
            || line.starts_with("Total ")
            || line.bytes().all(|byte| byte == b'-' || byte == b' ')
    };
    let words = |line: &str| {
        line.split_whitespace().filter(|word| word.len() < 5 || !word.bytes().all(|byte| byte == b'-')).collect::<Vec<_>>().join(" ")
    };
    report.lines().filter(|line| !layout(line)).map(words).collect()
}

#[test]
fn every_name_and_figure_of_amreport_is_in_our_report() {
    if !is_there() {
        return;
    }
    let world = World::new("report", "");
    world.write("tapelist", b"20261122023901 fx1-001 reuse POOL:fx1 STORAGE:fx1\n20261122023801 fx1-002 reuse POOL:fx1 STORAGE:fx1\n20261122023701 fx1-003 reuse POOL:fx1 STORAGE:fx1\n");
    let logs = logs();
    assert!(logs.len() >= 16, "{logs:?}");
    for path in logs {
        // Amanda's account cannot read everybody's directories.
        let log = world.directory.join("log/fixture");
        fs::copy(&path, &log).expect("copied");
        let theirs = world.amanda("amreport", &[&world.name, &format!("--log={}", log.display())]);
        let theirs = String::from_utf8(theirs).expect("text");
        let ours = world.ours(&log);
        let (_, tables) = ours.split_once("\n\n").expect("plain words come first");
        assert_eq!(words(tables), words(&theirs), "{}\n{theirs}\n{tables}", path.display());
    }
}

#[test]
fn the_logs_of_our_own_runs_are_reported_alike() {
    if !is_there() {
        return;
    }
    let judge = World::new("ours", "");
    let office = vault::world(&["/home", "/etc", "/srv/a b"]);
    office.fake.set(&vault::dle("/etc"), vault::Next::Strange(40_000, "? tar: ./x: odd".to_owned()));
    office.run();
    office.later(vault::DAY);
    office.fake.set(&vault::dle("/home"), vault::Next::Fails("data timeout".to_owned()));
    office.run();
    let mut seen = String::new();
    for entry in fs::read_dir(office.site.config().logdir()).expect("list") {
        let path = entry.expect("entry").path();
        let log = judge.directory.join("log/ours");
        fs::copy(&path, &log).expect("copied");
        let theirs = judge.amanda("amreport", &[&judge.name, &format!("--log={}", log.display())]);
        let theirs = String::from_utf8(theirs).expect("text");
        let ours = judge.ours(&log);
        let (plain, tables) = ours.split_once("\n\n").expect("plain words come first");
        assert_eq!(words(tables), words(&theirs), "{theirs}\n{tables}");
        seen.push_str(plain);
    }
    for told in
        ["All 3 disks were backed up", "? tar: ./x: odd".trim_start_matches("? "), "1 of 3 disks was NOT backed up", "(data timeout)"]
    {
        assert!(seen.contains(told), "{told}\n{seen}");
    }
}

#[test]
fn our_own_volumes_that_come_round_are_reported_and_found_alike() {
    if !is_there() {
        return;
    }
    let keep = vault::temporary();
    let conf = shelf::Conf { runtapes: 2, tapecycle: 2, length: 2_000, part: Some(500), ..shelf::Conf::default() };
    let office = shelf::World::make(keep.path(), conf, &["/etc", "/home", "/srv"]).label(3);
    for (day, sizes) in [[300, 1_400, 800], [900, 900, 1_900], [10, 20, 30]].iter().enumerate() {
        let at = shelf::NOW + day as i64 * shelf::DAY;
        for (disk, size) in ["/etc", "/home", "/srv"].iter().zip(sizes) {
            office.dump(disk, at, 0, size * shelf::KIB);
        }
        office.flush(at + 60);
    }
    let judge = World::new("round", "");
    let tapelist = fs::read_to_string(office.directory.join("tapelist")).expect("a list");
    judge.write("tapelist", tapelist.replace(":ifh", &format!(":{}", judge.name)).as_bytes());
    let mut words_of = String::new();
    for entry in fs::read_dir(office.directory.join("log")).expect("list") {
        let entry = entry.expect("entry");
        let log = judge.directory.join("log").join(entry.file_name());
        fs::copy(entry.path(), &log).expect("copied");
        let theirs = String::from_utf8(judge.amanda("amreport", &[&judge.name, &format!("--log={}", log.display())])).expect("text");
        let ours = judge.ours(&log);
        let (plain, tables) = ours.split_once("\n\n").expect("plain words come first");
        assert_eq!(words(tables), words(&theirs), "{theirs}\n{tables}");
        words_of.push_str(plain);
    }
    assert!(words_of.contains(" went to ifh01 and ifh02."), "{words_of}");
    let theirs = amadmin_find::parse(&judge.amanda("amadmin", &[&judge.name, "find"]));
    assert_eq!(find::rows(&judge.place()).expect("found"), theirs);
    assert!(theirs.len() > 6, "{theirs:?}");
}

#[test]
fn the_newest_run_tells_what_is_left_and_what_is_wanted() {
    if !is_there() {
        return;
    }
    let tape = |date: &str, label: &str| format!("{date} {label} reuse POOL:fx1 STORAGE:fx1\n");
    let log = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/amanda/tests/fixtures/log.full")).expect("a log");
    for (case, tapes) in [
        ("none", String::new()),
        ("new", tape("0", "fx1-007") + &tape("0", "fx1-008")),
        ("few", tape("20261122023901", "fx1-001") + &tape("20261121023901", "fx1-002")),
        (
            "enough",
            tape("20261122023901", "fx1-001")
                + &tape("20261121023901", "fx1-002")
                + &tape("20261120023901", "fx1-003")
                + "20261119023901 fx1-004 no-reuse POOL:fx1 STORAGE:fx1\n20261118023901 foreign reuse\n",
        ),
    ] {
        let world = World::new(case, "");
        world.write("tapelist", tapes.as_bytes());
        world.write("log/log.20261122023017.0", &log);
        world.held("20261122023017", "header.holding-data.1");
        let theirs = String::from_utf8(world.amanda("amreport", &[&world.name])).expect("text");
        let (_, ours) = office::report(&world.place(), &Wish::default(), NOW).expect("a report");
        let (_, tables) = ours.split_once("\n\n").expect("plain words come first");
        // Its grammar is not ours.
        let theirs = theirs.replace("2 tape already", "2 new tapes already").replace("fx1-008,", "fx1-008, ");
        // What amreport 3.5.1 never finds.
        let left = ["There are 5K of dumps left in the holding disk.", "Run amflush to flush them to tape."];
        let (held, rest): (Vec<_>, Vec<_>) = words(tables).into_iter().partition(|line| left.contains(&line.as_str()));
        assert_eq!((held, rest), (left.map(str::to_owned).to_vec(), words(&theirs)), "{case}\n{theirs}\n{tables}");
        // amadmin tape names the same volumes.
        let theirs = String::from_utf8(world.amanda("amadmin", &[&world.name, "tape"])).expect("text");
        let named: Vec<&str> =
            theirs.split_whitespace().filter(|word| word.starts_with("fx1-")).map(|word| word.trim_matches([',', '.'])).collect();
        let volumes = tape::look(&world.place(), NOW).expect("looked");
        let ours: Vec<&str> = volumes.wanted.volumes.iter().flatten().chain(&volumes.wanted.labelled).map(String::as_str).collect();
        assert_eq!(ours, named, "{case}\n{theirs}");
    }
}

#[test]
fn find_has_the_rows_of_amadmin_find() {
    if !is_there() {
        return;
    }
    let mut listed = 0;
    let world = World::new("find", "");
    for header in ["header.holding-docs-home.1", "header.holding-plain.0", "header.holding-data.1"] {
        world.held("20261122023851", header);
    }
    for path in logs() {
        let log = fs::read(&path).expect("a log");
        let begun: BTreeSet<(String, String)> = said(&log)
            .into_iter()
            .filter_map(|said| if let Said::Volume { datestamp, label, .. } = said { Some((datestamp, label)) } else { None })
            .collect();
        let Some((datestamp, _)) = begun.first() else { continue };
        let mut tapes = Tapelist::default();
        begun.iter().for_each(|(datestamp, label)| tapes.put(Tape::new(datestamp, label, &world.name)));
        world.write("tapelist", &tapes.print().expect("prints"));
        let name = format!("log/log.{datestamp}.0");
        world.write(&name, &log);
        let theirs: Vec<Found> = amadmin_find::parse(&world.amanda("amadmin", &[&world.name, "find"]));
        assert_eq!(find::rows(&world.place()).expect("found"), theirs, "{}", path.display());
        listed += theirs.len();
        fs::remove_file(world.directory.join(name)).expect("removed");
    }
    assert!(listed > 20, "{listed}");
}
