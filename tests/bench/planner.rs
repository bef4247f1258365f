//! A thousand disks: ours beside Debian's planner, on the same files.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use amanda::conf::Config;
use amanda::curinfo::{self, Dumped, Info};
use amanda::dle::Dle;
use amanda::tapelist::{Tape, Tapelist};
use asyncamanda_shim::engine::embedded::plan::{Ground, Known, ground};
use asyncamanda_shim::engine::embedded::planner::{Candidate, DiskRules, Presence, SiteRules, schedule};
use asyncamanda_shim::engine::embedded::site::Site;
use asyncamanda_shim::engine::embedded::stamp;
use asyncamanda_tests::child;
use nix::sys::resource::{UsageWho, getrusage};

use crate::Measured;
use crate::table::{Aim, Table};

const DISKS: usize = 1_000;
const ROUNDS: usize = 5;
const DAY: i64 = 86_400;
const PLANNER: &str = "/usr/lib/amanda/planner";

/// The config; gone when dropped.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn planner(table: &mut Table) -> Measured {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let place = Place(Path::new("/etc/amanda").join(format!("aa-bench-plan-{}", std::process::id())));
    make(&place.0, now)?;
    let (mut loads, mut plans, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (load, plan) = ours(&place.0, now)?;
        loads.push(load);
        plans.push(plan);
        theirs.push(real(&place.0, &stamp::of(now + i64::try_from(round)?))?);
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    let (load, plan, theirs) = (median(&mut loads), median(&mut plans), median(&mut theirs));
    table.time("1,000 disks: planning", plan, "planner, user time", theirs, Aim::Below(Duration::from_millis(100)));
    table.time("1,000 disks: config, histories and planning", load + plan, "planner, user time", theirs, Aim::None);
    let peak = fs::read_to_string("/proc/self/status")?
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
    let peak = peak.unwrap_or(0);
    let aim = if peak < 64 * 1024 { "< 64 MB" } else { "< 64 MB, MISSED" };
    table.row(
        "1,000 disks: memory of this whole process".to_owned(),
        format!("{peak} KiB"),
        String::new(),
        String::new(),
        String::new(),
        aim,
    );
    Ok(())
}

/// Disks of three hosts, with histories of some weeks.
fn make(directory: &Path, now: i64) -> Measured {
    for name in ["curinfo", "index", "log", "holding", "vtapes"] {
        fs::create_dir_all(directory.join(name))?;
    }
    let at = directory.display();
    fs::write(
        directory.join("amanda.conf"),
        format!(
            "org \"bench\"\ndumpuser \"backup\"\ndumpcycle 14\nrunspercycle 10\ntapecycle 20\ntapetype T\ntpchanger \"chg-disk:{at}/vtapes\"\n\
             infofile \"{at}/curinfo\"\nindexdir \"{at}/index\"\nlogdir \"{at}/log\"\ntapelist \"{at}/tapelist\"\n\
             define tapetype T {{\n length 900 gbytes\n}}\nholdingdisk hd {{\n directory \"{at}/holding\"\n}}\n\
             define dumptype d {{\n program \"GNUTAR\"\n auth \"local\"\n estimate server\n}}\n"
        ),
    )?;
    let mut list = Tapelist::default();
    (1..=20).for_each(|ago| list.put(Tape::new(stamp::of(now - ago * DAY), format!("L{ago:03}"), "bench")));
    fs::write(directory.join("tapelist"), list.print()?)?;
    let mut disklist = String::new();
    for number in 0..DISKS {
        let dle = Dle::new(format!("127.0.0.{}", 2 + number % 3), format!("/disk{number}"));
        writeln!(disklist, "{} /disk{number} d", dle.host)?;
        let mut info = Info::default();
        let since = i64::try_from(number % 13)? + 1;
        for ago in (1..=40).rev() {
            let level = u8::from((ago - since) % 14 != 0);
            let orig_kb = if level == 0 { 400_000 + i64::try_from(number)? * 300 } else { 4_000 + ago * 100 };
            info.dumped(Dumped { level, orig_kb, kb: orig_kb / 2, date: now - ago * DAY, secs: 60, compressed: true });
            if ago <= 20 {
                info.taped(level, &format!("L{ago:03}"), 1);
            }
        }
        let path = directory.join("curinfo").join(curinfo::path(&dle));
        fs::create_dir_all(path.parent().ok_or("no parent")?)?;
        fs::write(path, info.print())?;
    }
    fs::write(directory.join("disklist"), disklist)?;
    let status = child::program("chown").args(["-R", "backup:"]).arg(directory).status()?;
    if status.success() { Ok(()) } else { Err("chown failed".into()) }
}

/// How long reading everything took, and planning.
fn ours(directory: &Path, now: i64) -> Result<(Duration, Duration), Box<dyn std::error::Error>> {
    let begun = Instant::now();
    let (config, disks): (Config, _) = Site::config_of(directory).map_err(|trouble| trouble.to_string())?;
    let list = Tapelist::parse(&fs::read(directory.join("tapelist"))?)?;
    let site = SiteRules::of(&config, &list, now);
    let mut read = Vec::new();
    for disk in &disks {
        let info = Info::parse(&fs::read(directory.join("curinfo").join(curinfo::path(&disk.dle)))?)?;
        let how = disk.how(&config).ok_or("no dumptype")?;
        let ground = whole(&info, now);
        read.push((&disk.dle, info, ground, DiskRules::of(&how)));
    }
    let load = begun.elapsed();
    let begun = Instant::now();
    let candidates: Vec<Candidate<'_>> = read
        .iter()
        .map(|(dle, info, ground, rules)| Candidate {
            dle,
            info,
            ground: ground.clone(),
            rules: *rules,
            presence: Presence::Always,
            said: &[],
            full_overwritten_in: None,
            level_1_overwritten_in: None,
        })
        .collect();
    let planned = schedule(&site, &candidates);
    let plan = begun.elapsed();
    if planned.order.len() == DISKS { Ok((load, plan)) } else { Err(format!("{} disks are planned", planned.order.len()).into()) }
}

/// What the catalog would say: everything is there.
fn whole(info: &Info, now: i64) -> Result<Ground, String> {
    use amanda::admin::Place;
    use amanda::chains::{Bases, Restorable};
    let mut dumps: Vec<Restorable> = Vec::new();
    let mut full = String::new();
    for dump in info.history.iter().rev() {
        let datestamp = stamp::of(dump.date);
        let bases = if dump.level == 0 { Vec::new() } else { vec![full.clone()] };
        if dump.level == 0 {
            full.clone_from(&datestamp);
        }
        let places = vec![vec![Place::Volume { label: b"L".to_vec(), file: 1 }]];
        dumps.push(Restorable { level: dump.level, datestamp, places, bases: Bases::Complete(bases) });
    }
    ground(&Known { dumps: &dumps, info, moment: &stamp::seconds }, &stamp::of(now), now)
}

/// The user time of Debian's planner.
fn real(directory: &Path, datestamp: &str) -> Result<Duration, Box<dyn std::error::Error>> {
    let name = directory.file_name().ok_or("no name")?;
    let user = || getrusage(UsageWho::RUSAGE_CHILDREN).map(|usage| usage.user_time());
    let before = user()?;
    let mut planner = Command::new("/usr/sbin/runuser");
    planner.args(["-u", "backup", "--", PLANNER]).arg(name).args(["--starttime", datestamp, "--log-filename"]);
    planner.arg(directory.join(format!("log/log.{datestamp}.0"))).arg("--no-taper").current_dir(directory.join("holding"));
    let output = planner.output()?;
    let lines = String::from_utf8_lossy(&output.stdout).lines().filter(|line| line.starts_with("DUMP ")).count();
    if lines != DISKS {
        return Err(format!("the planner planned {lines} disks: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let took = user()? - before;
    Ok(Duration::from_micros(u64::try_from(took.tv_sec() * 1_000_000 + took.tv_usec())?))
}
