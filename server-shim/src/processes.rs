//! What lives on this machine, from /proc: the proof that an earlier run is over, and the runs that others started.
//!
//! An inherited lock proves nothing (Amanda's programs close inherited descriptors) and neither does the death of amdump
//! (driver, dumpers, chunkers and amandad run on). What all of them keep is the environment of the amdump that started
//! them, and its session: a run carries a mark in its environment and has a session of its own.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use wire::ConfigName;

/// The environment variable that marks a run.
pub const MARK: &str = "ASYNCAMANDA_RUN";

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its parent.
    pub parent: u32,
    /// Its session.
    pub session: u32,
    /// `R`, `S`, `D`, `Z`…
    pub state: char,
    /// The program's name as the kernel has it, at most 15 bytes.
    pub comm: String,
    /// Clock ticks since boot at which it started: with the id, names a process for ever.
    pub start: u64,
    /// Clock ticks of processor time it used.
    pub cpu: u64,
}

/// Names a process for ever (within one boot).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// Its id.
    pub pid: u32,
    /// Clock ticks since boot at which it started.
    pub start: u64,
}

/// Returns the kernel's name for this boot; ids and ticks of another boot mean nothing.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// Reads one process; none when it is gone.
pub fn read(pid: u32) -> Option<Process> {
    parse_stat(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads `/proc/PID/stat` (proc(5)); the name stands in parentheses and may hold anything.
fn parse_stat(pid: u32, stat: &[u8]) -> Option<Process> {
    let text = String::from_utf8_lossy(stat);
    let (open, close) = (text.find('(')?, text.rfind(')')?);
    let fields: Vec<&str> = text.get(close + 2..)?.split_ascii_whitespace().collect();
    // Field 3 of proc(5) is fields[0].
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Process {
        pid,
        parent: u32::try_from(number(4)?).ok()?,
        session: u32::try_from(number(6)?).ok()?,
        state: fields.first()?.chars().next()?,
        comm: text.get(open + 1..close)?.to_owned(),
        start: number(22)?,
        cpu: number(14)? + number(15)?,
    })
}

/// Lists all processes.
pub fn all() -> io::Result<Vec<Process>> {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc")? {
        if let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok())
            && let Some(process) = read(pid)
        {
            processes.push(process);
        }
    }
    Ok(processes)
}

/// Tells whether this very process is alive; a zombie is not.
pub fn is_alive(identity: Identity) -> bool {
    read(identity.pid).is_some_and(|process| process.start == identity.start && process.state != 'Z')
}

/// What is alive of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remains {
    /// What carries its mark.
    pub marked: Vec<Process>,
    /// What its session holds that we may not look into: GNU tar, which Amanda runs as root. Waited for, never signalled.
    pub hidden: Vec<Process>,
}

impl Remains {
    /// Nothing of the run lives.
    pub fn is_empty(&self) -> bool {
        self.marked.is_empty() && self.hidden.is_empty()
    }

    /// Ends what carries the mark; what is hidden then loses its reader and ends by itself.
    pub fn signal(&self, signal: Signal) {
        for process in &self.marked {
            // One that is gone by now is what we want.
            let _ = kill(Pid::from_raw(process.pid as i32), signal);
        }
    }
}

/// Returns what is alive of a run. Zombies count as dead.
pub fn of_run(mark: &str, leader: Option<Identity>) -> io::Result<Remains> {
    let wanted = format!("{MARK}={mark}");
    let mut remains = Remains::default();
    // Once the leader's number has gone to somebody else, so has the session.
    let leader = leader.filter(|leader| leader.pid != 0 && read(leader.pid).is_none_or(|process| process.start == leader.start));
    for process in all()?.into_iter().filter(|process| process.state != 'Z') {
        match fs::read(format!("/proc/{}/environ", process.pid)) {
            Ok(environment) if environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes()) => {
                remains.marked.push(process);
            }
            // A session's number is not used again while a process has it, so what is older than the leader is not of its run.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let session_is_its = |leader: Identity| process.session == leader.pid && process.start >= leader.start;
                if leader.is_some_and(session_is_its) {
                    remains.hidden.push(process);
                }
            }
            _ => {}
        }
    }
    Ok(remains)
}

/// Reads a process's arguments; empty when it is gone.
pub fn arguments(pid: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty()).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// A run of Amanda that is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Its amdump or amflush, or what is left of it.
    pub pid: u32,
    /// Its program's name.
    pub program: String,
    /// Its config, as it was typed.
    pub config: String,
    /// The hosts it was asked for by their exact names; empty when it may be any (Amanda reads them as patterns).
    pub hosts: Vec<String>,
    /// Clock ticks since boot at which it started.
    pub start: u64,
    /// Its run log, when one of its programs names it.
    pub log: Option<PathBuf>,
}

impl Foreign {
    /// Returns its config, when it was typed as a plain name (Amanda also takes a path, or `.`).
    pub fn config_name(&self) -> Option<ConfigName> {
        self.config.parse().ok()
    }
}

/// Finds the runs of Amanda that belong to no session of ours: those typed by hand, by cron, or what is left of one.
///
/// Only processes of the dump user `owner` count: anybody may call a program of his own "amdump".
pub fn foreign(owner: u32, ours: &BTreeSet<u32>) -> io::Result<Vec<Foreign>> {
    let owned = |pid: u32| fs::metadata(format!("/proc/{pid}")).is_ok_and(|data| data.uid() == owner);
    let candidates = all()?
        .into_iter()
        .filter(|process| process.state != 'Z' && !ours.contains(&process.session) && may_be_amanda(&process.comm) && owned(process.pid));
    let parts: Vec<Foreign> =
        candidates.filter_map(|process| part_of_amanda(process.pid, process.start, &arguments(process.pid))).collect();
    Ok(group(parts))
}

/// Looks at names only, to leave most of the machine's processes unopened. Perl programs of Amanda are called after their
/// script or "perl", by the way they were started.
fn may_be_amdump_name(comm: &str) -> bool {
    ["amdump", "amflush", "driver", "planner", "taper", "chunker"].contains(&comm) || comm.starts_with("dumper")
}

fn may_be_amanda(comm: &str) -> bool {
    may_be_amdump_name(comm) || comm.starts_with("perl")
}

/// Recognises a program of an Amanda run by its arguments.
fn part_of_amanda(pid: u32, start: u64, arguments: &[String]) -> Option<Foreign> {
    let base = |path: &String| path.rsplit('/').next().unwrap_or_default().to_owned();
    let mut rest = arguments;
    let mut program = base(rest.first()?);
    if program.starts_with("perl") {
        rest = &rest[1..];
        program = base(rest.first()?);
    }
    rest = &rest[1..];
    if !may_be_amdump_name(&program) {
        return None;
    }
    let log = rest.iter().position(|word| word == "--log-filename").and_then(|at| rest.get(at + 1)).map(PathBuf::from);
    let mut words = rest.iter().filter(|word| !word.starts_with('-'));
    let config = words.next()?.clone();
    let by_hand = program == "amdump" && rest.iter().any(|word| word == "--exact-match");
    let hosts = if by_hand { words.filter(|word| !word.starts_with('/')).cloned().collect() } else { Vec::new() };
    Some(Foreign { pid, program, config, hosts, start, log })
}

/// Puts the programs of one run together: amdump itself speaks for it where it is alive, else the oldest part.
fn group(mut parts: Vec<Foreign>) -> Vec<Foreign> {
    parts.sort_by_key(|part| (part.program != "amdump" && part.program != "amflush", part.start));
    let mut runs: Vec<Foreign> = Vec::new();
    for part in parts {
        let whole =
            runs.iter_mut().find(|run| run.config == part.config && (run.log.is_none() || part.log.is_none() || run.log == part.log));
        match whole {
            Some(run) if part.program != "amdump" && part.program != "amflush" => run.log = run.log.take().or(part.log),
            _ => runs.push(part),
        }
    }
    runs
}

/// Returns the time at which a process started, in seconds since the epoch.
pub fn started(start: u64) -> i64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let boot: i64 = stat.lines().find_map(|line| line.strip_prefix("btime ")).and_then(|time| time.trim().parse().ok()).unwrap_or(0);
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100).max(1) as u64;
    boot + (start / ticks) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_is_read() {
        let stat = b"7 (a) b) c) S 1 2 3 0 -1 4194560 1 0 0 0 11 12 0 0 20 0 1 0 4242 0 0";
        let process = parse_stat(7, stat).expect("a process");
        assert_eq!(
            (process.parent, process.session, process.state, process.comm.as_str(), process.start, process.cpu),
            (1, 3, 'S', "a) b) c", 4242, 23)
        );
    }

    #[test]
    fn this_process_is_alive_and_another_one_with_its_id_is_not() {
        let me = read(std::process::id()).expect("we run");
        assert!(is_alive(Identity { pid: me.pid, start: me.start }));
        assert!(!is_alive(Identity { pid: me.pid, start: me.start + 1 }));
    }

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn parts_of_a_run_typed_by_hand_are_one_run() {
        let lines = [
            (10, "/usr/bin/perl /usr/sbin/amdump daily --exact-match laptop1 /home laptop2"),
            (12, "/usr/lib/amanda/driver daily --log-filename /l/log.1.0 --no-taper"),
            (13, "dumper0 daily --log-filename /l/log.1.0"),
            (14, "/usr/bin/perl /usr/lib/amanda/chunker daily --log-filename /l/log.1.0"),
            (15, "/usr/lib/amanda/driver weekly --log-filename /w/log.2.0"),
            (16, "/usr/bin/perl /usr/bin/something amdump"),
            (17, "vim amdump"),
        ];
        let runs = group(lines.iter().filter_map(|(pid, line)| part_of_amanda(*pid, u64::from(*pid), &words(line))).collect());
        assert_eq!(runs.len(), 2);
        assert_eq!((runs[0].pid, runs[0].config.as_str(), runs[0].log.as_deref()), (10, "daily", Some("/l/log.1.0".as_ref())));
        assert_eq!(runs[0].hosts, ["laptop1", "laptop2"]);
        assert_eq!((runs[1].pid, runs[1].program.as_str(), runs[1].config.as_str()), (15, "driver", "weekly"));
    }

    #[test]
    fn two_amdumps_of_one_config_are_two_runs() {
        let lines = [(10, "/usr/bin/perl /usr/sbin/amdump daily a"), (11, "/usr/bin/perl /usr/sbin/amdump daily b")];
        assert_eq!(group(lines.iter().filter_map(|(pid, line)| part_of_amanda(*pid, 1, &words(line))).collect()).len(), 2);
    }
}
