//! Who is alive, read from /proc: processes with their families, and those that belong to one world.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// One process, as it was when looked at.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its parent's id.
    pub parent: i32,
    /// The program's short name.
    pub name: String,
    /// The state letter; `Z` is a zombie.
    pub state: char,
    /// Start time in ticks: with the id it names a process for good.
    pub start: u64,
    /// Its arguments.
    pub args: Vec<String>,
}

impl Process {
    /// Tells whether any argument has this text in it.
    pub fn mentions(&self, text: &str) -> bool {
        self.args.iter().any(|arg| arg.contains(text))
    }

    /// Tells whether any argument has this path, or one below it, in it.
    pub fn mentions_below(&self, path: &Path) -> bool {
        let path = path.to_string_lossy();
        // Of two worlds of one test process, one's name may begin with the other's.
        let ends = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphanumeric());
        self.args.iter().any(|arg| arg.match_indices(&*path).any(|(at, _)| ends(&arg[at + path.len()..])))
    }

    /// Tells whether this very process is alive now.
    pub fn is_alive(&self) -> bool {
        read(self.pid).is_some_and(|now| now.start == self.start && now.state != 'Z')
    }

    /// Kills this very process, and nobody who got its id since.
    pub fn kill_9(&self) {
        if self.is_alive() {
            let _gone_already = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
    }

    /// Stops it in its tracks (SIGSTOP), as a machine that hangs would.
    pub fn freeze(&self) {
        let _gone_already = kill(Pid::from_raw(self.pid), Signal::SIGSTOP);
    }
}

/// Returns one process, if it is there.
pub fn read(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may have anything in it, so split at the last one.
    let (head, tail) = stat.rsplit_once(") ")?;
    let name = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = tail.split(' ').collect();
    let cmdline = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let args = cmdline.split(|byte| *byte == 0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        name,
        state: fields.first()?.chars().next()?,
        start: fields.get(19)?.parse().ok()?,
        args,
    })
}

/// Returns all processes, zombies left out.
pub fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(read)
        .filter(|process| process.state != 'Z' && !process.args.is_empty())
        .collect()
}

/// Returns the processes below these, and these.
pub fn with_descendants(table: &[Process], roots: &[i32]) -> Vec<Process> {
    let mut family: BTreeMap<i32, &Process> = BTreeMap::new();
    let mut open: Vec<i32> = roots.to_vec();
    while let Some(pid) = open.pop() {
        for process in table {
            let belongs = process.pid == pid || process.parent == pid;
            if belongs && family.insert(process.pid, process).is_none() && process.pid != pid {
                open.push(process.pid);
            }
        }
    }
    family.into_values().cloned().collect()
}

/// Returns every process that has to do with a world: it names one of these in its arguments, works or has a file
/// open below one of these directories, or descends from one that does. Amanda's client side carries no name, so
/// an amandad above a process of the world belongs too.
pub fn of_world(config_names: &[&str], directories: &[&Path]) -> Vec<Process> {
    let table = all();
    let me = i32::try_from(std::process::id()).expect("process ids are small");
    let direct: Vec<i32> = table
        .iter()
        .filter(|process| process.pid != me)
        .filter(|process| {
            process.args.iter().any(|arg| config_names.contains(&arg.as_str()))
                || directories.iter().any(|dir| process.mentions_below(dir) || holds(process.pid, dir))
        })
        .map(|process| process.pid)
        .collect();
    let mut roots = direct.clone();
    for pid in direct {
        let mut above = table.iter().find(|process| process.pid == pid).map_or(0, |process| process.parent);
        while let Some(parent) =
            table.iter().find(|process| process.pid == above && matches!(process.name.as_str(), "amandad" | "sendbackup" | "sendsize"))
        {
            roots.push(parent.pid);
            above = parent.parent;
        }
    }
    let mut found = with_descendants(&table, &roots);
    found.retain(|process| process.pid != me);
    found
}

/// Tells whether a process works in, or has a descriptor below, a directory.
fn holds(pid: i32, dir: &Path) -> bool {
    let below = |link: std::io::Result<std::path::PathBuf>| link.is_ok_and(|target| target.starts_with(dir));
    if below(fs::read_link(format!("/proc/{pid}/cwd"))) || below(fs::read_link(format!("/proc/{pid}/exe"))) {
        return true;
    }
    fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|fds| fds.flatten().any(|fd| below(fs::read_link(fd.path()))))
}

/// Returns a process's own memory in KiB: what would be free again if it ended (`Private_Clean` + `Private_Dirty`).
pub fn own_memory_kib(pid: i32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let value = |key: &str| -> Option<u64> { rollup.lines().find(|line| line.starts_with(key))?.split_whitespace().nth(1)?.parse().ok() };
    Some(value("Private_Clean:")? + value("Private_Dirty:")?)
}

/// Returns the most memory that a process has had resident so far, in KiB (`VmHWM`).
pub fn most_memory_kib(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}
