//! What a reader has started, so that it can be ended from another thread.

use std::sync::{Mutex, PoisonError};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// Holds at most one process and its group.
#[derive(Debug, Default)]
pub struct Leash {
    state: Mutex<(Option<Pid>, bool)>,
}

impl Leash {
    /// Takes a process that leads a group of its own and has not been waited for; ends it at once when the leash has been pulled.
    pub fn hold(&self, process: u32) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let process = i32::try_from(process).ok().map(Pid::from_raw);
        state.0 = process;
        if let (Some(process), true) = *state {
            end(process);
        }
    }

    /// Lets go of a process that is about to be waited for: its number may become another one's.
    pub fn let_go(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0 = None;
    }

    /// Ends the process that is held.
    pub fn end(&self) {
        if let Some(process) = self.state.lock().unwrap_or_else(PoisonError::into_inner).0 {
            end(process);
        }
    }

    /// Tells whether nothing more is wanted.
    pub fn is_pulled(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Ends the process that is held, and every later one.
    pub fn pull(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 = true;
        if let Some(process) = state.0 {
            end(process);
        }
    }
}

/// Asks the whole group to end: a changer has something to put back. Whoever does not is killed by its parent's end.
fn end(process: Pid) {
    let _ = killpg(process, Signal::SIGTERM).or_else(|_| kill(process, Signal::SIGTERM));
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_held_ends_when_it_is_pulled_and_so_does_what_comes_later() {
        let leash = Leash::default();
        let start = || Command::new("/bin/sleep").arg("1000").process_group(0).spawn().expect("it starts");
        let mut first = start();
        leash.hold(first.id());
        leash.pull();
        assert_eq!(first.wait().expect("it ends").signal(), Some(15));
        leash.let_go();
        let mut second = start();
        leash.hold(second.id());
        assert_eq!(second.wait().expect("it ends").signal(), Some(15));
    }
}
