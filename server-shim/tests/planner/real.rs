//! Debian's planner on a config of its own, and what it says beside ours.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use amanda::quoting::{split_words, unquote};
use asyncamanda_shim::engine::embedded::planner::{DiskRules, Planned, SiteRules, Verdict, schedule};
use asyncamanda_shim::engine::embedded::site::Site;
use asyncamanda_shim::engine::embedded::stamp;
use nix::unistd::{User, geteuid};

use super::case::{Case, Level, Read, tapelist};

const PLANNER: &str = "/usr/lib/amanda/planner";

/// A config with its disks.
pub struct Config {
    pub name: &'static str,
    /// What a volume holds.
    pub length: &'static str,
    /// Lines that come last, and count.
    pub more: &'static str,
    /// One volume a day for so many days.
    pub tapes: i64,
    pub cases: Vec<Case>,
}

/// What is compared of a dump.
#[derive(Debug, Clone, PartialEq)]
struct Line {
    level: u8,
    priority: i64,
    raw_kb: i64,
    kb: i64,
    kps: i64,
    /// A level, or why there is none.
    degraded: Result<(u8, i64), String>,
}

pub fn is_there() -> bool {
    let there = [PLANNER, "/usr/lib/amanda/amandad"].iter().all(|program| Path::new(program).exists())
        && geteuid().is_root()
        && User::from_name("backup").ok().flatten().is_some();
    if !there {
        assert!(std::env::var_os("CI").is_none(), "CI has Debian's Amanda");
        eprintln!("not judged: it takes root, the account backup, amanda-server and amanda-client");
    }
    there
}

/// A directory below /etc/amanda; gone when dropped.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn conf(config: &Config, directory: &Path, dumptypes: &[(&str, &str)]) -> String {
    let at = directory.display();
    let mut text = format!(
        "org \"planner\"\ndumpuser \"backup\"\ndumpcycle 14\nrunspercycle 10\ntapecycle 20\nruntapes 1\ntapetype T\n\
         tpchanger \"chg-disk:{at}/vtapes\"\ninfofile \"{at}/curinfo\"\nindexdir \"{at}/index\"\nlogdir \"{at}/log\"\n\
         tapelist \"{at}/tapelist\"\ndefine tapetype T {{\n length {}\n filemark 1 kbytes\n}}\n\
         holdingdisk hd {{\n directory \"{at}/holding\"\n}}\n{}\n",
        config.length, config.more
    );
    for (name, settings) in dumptypes {
        let _ = writeln!(text, "define dumptype {name} {{\n program \"GNUTAR\"\n auth \"local\"\n estimate server\n {settings}\n}}");
    }
    text
}

/// Runs both planners; returns what is not as it should be.
pub fn judged(config: &Config, dumptypes: &[(&str, &str)]) -> Vec<String> {
    let place = Place(Path::new("/etc/amanda").join(format!("aa-plan-{}-{}", config.name, std::process::id())));
    let directory = &place.0;
    for name in ["curinfo", "index", "log", "holding", "vtapes"] {
        fs::create_dir_all(directory.join(name)).expect("made");
    }
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("now").as_secs()).expect("now");
    let name = directory.file_name().expect("a name").to_string_lossy().into_owned();
    let list = tapelist(&name, config.tapes, now);
    let disklist = config.cases.iter().map(|case| format!("{} {} {}\n", case.dle.host, case.dle.disk.to_string_lossy(), case.dumptype));
    fs::write(directory.join("amanda.conf"), conf(config, directory, dumptypes)).expect("written");
    fs::write(directory.join("disklist"), disklist.collect::<String>()).expect("written");
    fs::write(directory.join("tapelist"), list.print().expect("prints")).expect("written");
    config.cases.iter().for_each(|case| case.write(&directory.join("curinfo"), now));

    // Ours first: a planner writes what was skipped.
    let (conf, disks) = Site::config_of(directory).expect("read");
    let site = SiteRules::of(&conf, &list, now);
    let read: Vec<Read<'_>> = config
        .cases
        .iter()
        .map(|case| {
            let disk = disks.iter().find(|disk| disk.dle == case.dle).expect("listed");
            Read::of(case, DiskRules::of(&disk.how(&conf).expect("a dumptype")), now)
        })
        .collect();
    let datestamp = stamp::of(now);
    let candidates: Vec<_> = read.iter().map(|read| read.candidate(&site, &list, &datestamp)).collect();
    let ours = schedule(&site, &candidates);

    let said = real(directory, &name, &datestamp);
    let theirs = parse(&said);
    let mut wrong = Vec::new();
    for (case, verdict) in config.cases.iter().zip(&ours.verdicts) {
        let key = (case.dle.host.clone(), case.dle.disk.to_string_lossy().into_owned());
        let (ours, theirs) = (line(verdict), theirs.get(&key).cloned());
        let levels: (Level, Level) = (theirs.as_ref().map(|line| line.level), ours.as_ref().map(|line| line.level));
        let is_right = match case.differs {
            Some((expected, wanted, _)) => levels == (expected, wanted),
            None => ours == theirs,
        };
        if !is_right {
            wrong.push(format!("{} {}: theirs {theirs:?}, ours {ours:?}, {verdict:?}", config.name, case.dle));
        }
    }
    if !wrong.is_empty() {
        wrong.push(said);
        wrong.push(format!("{:?}\n{:?}", ours.balance, ours.lines));
    }
    wrong
}

/// What the real planner says, on both of its outputs.
fn real(directory: &Path, name: &str, datestamp: &str) -> String {
    let status = Command::new("chown").args(["-R", "backup:"]).arg(directory).status().expect("chown");
    assert!(status.success());
    let mut planner = Command::new("/usr/sbin/runuser");
    planner.args(["-u", "backup", "--", PLANNER, name, "--starttime", datestamp, "--log-filename"]);
    planner.arg(directory.join(format!("log/log.{datestamp}.0"))).arg("--no-taper");
    let output = planner.current_dir(directory.join("holding")).stdin(Stdio::null()).output().expect("started");
    let log = fs::read_to_string(directory.join(format!("log/log.{datestamp}.0"))).unwrap_or_default();
    format!("{}\n{}\n{log}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn parse(said: &str) -> BTreeMap<(String, String), Line> {
    let mut lines = BTreeMap::new();
    for text in said.lines().filter(|line| line.starts_with("DUMP ")) {
        let words: Vec<String> =
            split_words(text.as_bytes()).map(|word| String::from_utf8_lossy(&unquote(word).expect("quoted")).into_owned()).collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<i64>().ok()).unwrap_or_else(|| panic!("{at} of {text}"));
        let degraded = match words.len() {
            // Amanda's own way of spelling it.
            ..=13 => Err(words.get(12).map(|why| why.replace("Skpping", "Skipping")).unwrap_or_default()),
            _ => Ok((u8::try_from(number(12)).expect("a level"), number(15))),
        };
        let line = Line {
            level: u8::try_from(number(6)).expect("a level"),
            priority: number(5),
            raw_kb: number(8),
            kb: number(9),
            kps: number(11),
            degraded,
        };
        lines.insert((words[1].clone(), words[3].clone()), line);
    }
    lines
}

#[expect(clippy::cast_possible_truncation, reason = "Amanda prints whole ones")]
fn line(verdict: &Verdict) -> Option<Line> {
    let Verdict::Dump(Planned { level, priority, size, kps, degraded, .. }) = verdict else { return None };
    let degraded = match degraded {
        Ok(degraded) => Ok((degraded.level, degraded.size.kb)),
        Err(why) => Err(why.clone()),
    };
    let (level, priority, raw_kb, kb, kps) = (*level, *priority, size.raw_kb, size.kb, kps.round() as i64);
    Some(Line { level, priority, raw_kb, kb, kps, degraded })
}
