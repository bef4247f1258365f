//! The one place that starts Amanda's programs: by absolute path, with a list of arguments, a clean environment and an end.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use amanda::dle::Dle;
use nix::unistd::{User, geteuid};

use wire::{ConfigName, HostName};

use crate::child;
use crate::engine::Trouble;
use crate::processes::{self, Identity, MARK};

/// How long a program may take that only looks something up or notes something down.
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts programs of one Amanda installation.
#[derive(Debug, Clone)]
pub struct Programs {
    sbin: PathBuf,
}

impl Programs {
    /// Takes the directory of `amdump`, `amadmin` and `amflush`.
    pub fn new(sbin: &Path) -> Self {
        Self { sbin: sbin.to_owned() }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.sbin.join(program));
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LANG", "C.UTF-8").env("SHELL", "/bin/sh").current_dir("/");
        if let Ok(Some(user)) = User::from_uid(geteuid()) {
            command.env("HOME", user.dir).env("USER", &user.name).env("LOGNAME", &user.name);
        }
        command
    }

    /// Runs `amadmin` and returns what it printed; its failure is told in its own words.
    pub fn amadmin(&self, arguments: &[OsString]) -> Result<Vec<u8>, Trouble> {
        self.run("amadmin", arguments)
    }

    /// Runs `amcleanupdisk`, which makes partial dumps of unfinished ones.
    pub fn amcleanupdisk(&self, config: &ConfigName) -> Result<(), Trouble> {
        self.run("amcleanupdisk", &[config.as_str().into()]).map(drop)
    }

    /// Returns `amcheck -c`: it talks to one client and touches nothing.
    pub fn amcheck(&self, config: &ConfigName, host: &HostName) -> Command {
        let mut command = self.command("amcheck");
        command.args(["-c", "--exact-match", config.as_str(), host.as_str()]);
        command
    }

    /// Runs `amgetconf` for one value.
    pub fn amgetconf(&self, config: &ConfigName, value: &str) -> Result<Vec<u8>, Trouble> {
        self.run("amgetconf", &[config.as_str().into(), value.into()])
    }

    /// Returns the command that writes a dump to its standard output as it is stored, and asks nothing.
    pub fn amfetchdump(&self, config: &ConfigName, dle: &Dle, stamp: &str, level: u8) -> Command {
        let mut command = self.command("amfetchdump");
        command
            .args(["-l", "-p", "-a", "--exact-match", "--", config.as_str(), &dle.host])
            .arg(&dle.disk)
            .args([stamp, &level.to_string()]);
        command
    }

    fn run(&self, program: &str, arguments: &[OsString]) -> Result<Vec<u8>, Trouble> {
        let shown = || format!("{program} {}", arguments.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "));
        let output = child::finish(self.command(program).args(arguments), PATIENCE).map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::NotFound => {
                    format!("install amanda-server, or set amanda_sbin in shim.toml ({} has no {program})", self.sbin.display())
                }
                _ => "see the runner's log".to_owned(),
            };
            Trouble::config(format!("cannot run {}: {error}", shown()), hint)
        })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let words = String::from_utf8_lossy(if output.stderr.is_empty() { &output.stdout } else { &output.stderr }).into_owned();
        let first: Vec<&str> = words.lines().filter(|line| !line.trim().is_empty()).take(3).collect();
        Err(Trouble::config(format!("{} failed: {}", shown(), first.join("; ")), format!("try it as the dump user: {}", shown())))
    }

    /// Starts a run in a session of its own, its words going into `words`; returns its leading process.
    pub fn start_run(&self, program: &str, arguments: &[OsString], mark: &str, words: File) -> io::Result<Identity> {
        let inner = self.command(program);
        // setsid(1) becomes the program: a child that was just forked leads no process group.
        let mut command = Command::new("/usr/bin/setsid");
        command.env_clear().envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?)))).env(MARK, mark);
        command.arg(inner.get_program()).args(arguments).current_dir("/").stdin(Stdio::null()).stdout(words.try_clone()?).stderr(words);
        if !self.sbin.join(program).exists() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{} does not exist", self.sbin.join(program).display())));
        }
        let pid = command.spawn()?.id();
        let start = processes::read(pid).map_or(0, |process| process.start);
        Ok(Identity { pid, start })
    }
}
