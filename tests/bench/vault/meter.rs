//! What a command costs: seconds, processor seconds of everything that it started, and the most memory of each of its processes.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use asyncamanda_tests::{child, procs};

/// A control group: it counts what all processes in it use, also those that nobody waits for.
pub struct Meter {
    group: PathBuf,
}

/// What one run cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// From start to end.
    pub wall: f64,
    /// Processor seconds, user and system.
    pub cpu: f64,
}

impl Meter {
    /// Makes the group.
    ///
    /// # Errors
    /// When there is no cgroup2.
    pub fn new(name: &str) -> Result<Self, Box<dyn Error>> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let mount = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|words| words.get(2) == Some(&"cgroup2"));
        let root = mount.and_then(|words| words.get(1).map(PathBuf::from)).ok_or("no cgroup2 is mounted, which counts processor time")?;
        let group = root.join(format!("asyncamanda-bench-{}-{name}", std::process::id()));
        match fs::create_dir(&group) {
            // That of the tree before, in which something had not ended yet: what it counts is read before and after.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
        Ok(Self { group })
    }

    /// Takes a process that is there already into the group; what it starts from now on counts.
    pub fn take(&self, pid: i32) -> Result<(), Box<dyn Error>> {
        Ok(fs::write(self.group.join("cgroup.procs"), pid.to_string())?)
    }

    /// Runs a command, which has to succeed.
    pub fn run(&self, command: Command) -> Result<Cost, Box<dyn Error>> {
        let mut inside = self.inside(&command);
        let (before, begin) = (self.cpu()?, Instant::now());
        let status = inside.status()?;
        let wall = begin.elapsed().as_secs_f64();
        if !status.success() {
            return Err(format!("{command:?}: {status}").into());
        }
        Ok(Cost { wall, cpu: self.cpu()? - before })
    }

    /// Runs a command and looks at its processes all the while: the most memory of each program, in KiB.
    pub fn watch(&self, command: Command) -> Result<BTreeMap<String, u64>, Box<dyn Error>> {
        let mut running = self.inside(&command).spawn()?;
        let mut most: BTreeMap<String, u64> = BTreeMap::new();
        while running.try_wait()?.is_none() {
            for pid in fs::read_to_string(self.group.join("cgroup.procs"))?.lines().filter_map(|pid| pid.parse().ok()) {
                let (Some(process), Some(kib)) = (procs::read(pid), procs::most_memory_kib(pid)) else { continue };
                let seen = most.entry(process.name).or_default();
                *seen = (*seen).max(kib);
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        Ok(most)
    }

    fn inside(&self, command: &Command) -> Command {
        let mut inside = child::program("sh");
        inside.args(["-c", "echo $$ > \"$0\"; exec \"$@\""]).arg(self.group.join("cgroup.procs"));
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside.current_dir(command.get_current_dir().unwrap_or(Path::new("/")));
        inside.stdin(Stdio::null()).stdout(Stdio::null());
        inside
    }

    fn cpu(&self) -> Result<f64, Box<dyn Error>> {
        let text = fs::read_to_string(self.group.join("cpu.stat"))?;
        let used = text.lines().find_map(|line| line.strip_prefix("usage_usec ")).ok_or("cpu.stat has no usage_usec")?;
        Ok(used.parse::<f64>()? / 1e6)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let _still_used = fs::remove_dir(&self.group);
    }
}
