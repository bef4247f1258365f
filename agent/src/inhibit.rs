//! Keeps a laptop awake while a dump is being made, where systemd is there: closing the lid for a moment should not cost
//! an hour's work.

use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// There only where systemd runs this machine.
const SYSTEMD: &str = "/run/systemd/system";
const PROGRAM: &str = "/usr/bin/systemd-inhibit";

/// Holds sleep back until it is dropped, or this process ends.
#[derive(Debug)]
pub struct Inhibitor {
    child: Child,
    /// Its end is what the child waits for.
    stdin: Option<ChildStdin>,
}

impl Inhibitor {
    /// Holds sleep back; none where nobody could be asked. One that is refused (an ordinary user without a seat) ends by
    /// itself, and the dump goes on without.
    pub fn hold() -> Option<Self> {
        if Path::new(SYSTEMD).is_dir() { Self::with(Path::new(PROGRAM)) } else { None }
    }

    fn with(program: &Path) -> Option<Self> {
        let mut command = Command::new(program);
        command.args(["--what=sleep", "--who=asyncamanda", "--why=a backup is being made", "--mode=block", "/bin/cat"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        let stdin = child.stdin.take();
        Some(Self { child, stdin })
    }
}

impl Drop for Inhibitor {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn it_lasts_as_long_as_the_value_and_asks_for_sleep_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let (program, told) = (dir.path().join("inhibit"), dir.path().join("told"));
        // What systemd-inhibit does: it holds its lock while the command runs.
        std::fs::write(
            &program,
            format!("#!/bin/sh\necho \"$1 $4\" > {0}\nfor last; do :; done\n\"$last\"\necho over >> {0}\n", told.display()),
        )
        .expect("written");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("ours");
        let held = Inhibitor::with(&program).expect("it is there");
        drop(held);
        assert_eq!(std::fs::read_to_string(&told).expect("told"), "--what=sleep --mode=block\nover\n");
        assert!(Inhibitor::with(&dir.path().join("none")).is_none());
    }
}
