//! The installed amandad: how it is started as the dump user, and ended with everything that it has started.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};

use crate::client::Kind;
use crate::client::children::Children;

/// Becomes another user, with all groups and no shell; util-linux's, so on every Debian.
const SETPRIV: &str = "/usr/bin/setpriv";
/// The services that it may serve; named, it serves no others.
const SERVICES: [&str; 4] = ["noop", "selfcheck", "sendsize", "sendbackup"];

/// Starts amandad with its standard input and output as pipes.
pub fn start(kind: &Kind, children: &Children) -> io::Result<Child> {
    let Kind::Amandad { program, user, .. } = kind else { return Err(ErrorKind::InvalidInput.into()) };
    let mut command = command(program, user)?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{} cannot be run: {error}", program.display()));
    children.spawn(&mut command).map_err(named)
}

fn command(program: &Path, user: &str) -> io::Result<Command> {
    let mut command = if geteuid().is_root() {
        let found = User::from_name(user)?.ok_or_else(|| io::Error::new(ErrorKind::NotFound, format!("there is no user {user}")))?;
        let mut command = Command::new(SETPRIV);
        command.env_clear().env("HOME", found.dir).env("USER", user).env("LOGNAME", user);
        command.arg(format!("--reuid={}", found.uid)).arg(format!("--regid={}", found.gid)).arg("--init-groups").arg("--").arg(program);
        command
    } else {
        let mut command = Command::new(program);
        command.env_clear();
        command
    };
    // It wants to have been started by sshd; the server that it logs is this machine.
    command.env("SSH_CONNECTION", "127.0.0.1 22 127.0.0.1 22").env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C");
    command.current_dir("/").arg("-auth=ssh").args(SERVICES);
    Ok(command)
}

/// Ends it, its services and their programs, of which some have process groups of their own.
pub fn end(leader: u32, children: &Children) {
    end_below(leader);
    children.kill();
}

/// Ends what a process has started, and what that has.
pub fn end_below(leader: u32) {
    for process in descendants(leader) {
        let _gone_or_not_ours = kill(Pid::from_raw(process), Signal::SIGKILL);
    }
}

/// Returns the processes below one, by the system's list.
fn descendants(of: u32) -> Vec<i32> {
    let mut parents: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(stat) = fs::read(process.path().join("stat")) else { continue };
        if let Some(parent) = parent(&stat) {
            parents.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut open = parents.get(&i32::try_from(of).unwrap_or(-1)).cloned().unwrap_or_default();
    while let Some(pid) = open.pop() {
        found.push(pid);
        open.extend(parents.get(&pid).into_iter().flatten());
    }
    found
}

/// Reads `PID (NAME) STATE PARENT …`; a name may have anything in it.
fn parent(stat: &[u8]) -> Option<i32> {
    stat_field(stat, 1)?.parse().ok()
}

/// Returns one field behind a process's name: the state is 0.
pub fn stat_field(stat: &[u8], field: usize) -> Option<&str> {
    let behind = stat.iter().rposition(|byte| *byte == b')')?;
    std::str::from_utf8(&stat[behind + 1..]).ok()?.split_whitespace().nth(field)
}
