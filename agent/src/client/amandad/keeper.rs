//! The keeper of an amandad: this program once more, that waits until the agent is gone and ends then what the agent can end no more.
//!
//! An agent that is killed says nothing, and amandad does not look: its sendbackup writes into memory that they share, so nobody hears
//! of a closed pipe. It would go on to its end, or for ever. The keeper holds one end of a pipe of which only the agent has the other.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::program;

/// What it is called, in the place of a program's name; no command line of a person begins so.
pub const NAME: &str = "asyncamanda-keeper";
/// However it was started, this is the program that runs, also when it was replaced meanwhile.
const SELF: &str = "/proc/self/exe";

/// A keeper; dropping it lets it look around and end.
pub struct Keeper(Child);

impl Keeper {
    /// Starts one for an amandad.
    pub fn start(amandad: &Child) -> io::Result<Self> {
        let mut command = Command::new(SELF);
        command.arg0(NAME).arg(amandad.id().to_string()).env_clear().current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Self)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ended = self.0.wait();
    }
}

/// Is the keeper of the process with this number: waits for the end of standard input, and ends it with everything below it.
pub fn run(amandad: &str) {
    let Ok(pid) = amandad.parse::<u32>() else { return };
    // Numbers are used again; with its start time a process is named for good. The agent has not reaped it yet.
    let Some(start) = start_time(pid) else { return };
    let _until_its_end = io::stdin().read_to_end(&mut Vec::new());
    if start_time(pid) == Some(start) {
        program::end_below(pid);
        let _gone_already = kill(Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX)), Signal::SIGKILL);
    }
}

fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    program::stat_field(&stat, 19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_one_start_time() {
        let me = std::process::id();
        assert!(start_time(me).is_some_and(|start| start > 0));
        assert_eq!(start_time(me), start_time(me));
        assert_eq!(start_time(u32::MAX), None);
    }
}
