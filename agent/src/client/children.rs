//! Programs of one dump, and how all of them end together.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

/// The programs that live, each the leader of a process group of its own, so that its children end with it.
#[derive(Debug, Default)]
pub struct Children(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    over: bool,
    groups: Vec<Pid>,
}

impl Children {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a program, unless all have been told to end.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let mut inner = self.inner();
        if inner.over {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the server has closed the connection"));
        }
        let child = command.process_group(0).spawn()?;
        inner.groups.push(group(&child));
        Ok(child)
    }

    /// Waits for a program's end, and ends what it has left behind.
    pub fn wait(&self, child: &mut Child) -> io::Result<ExitStatus> {
        let leader = group(child);
        // Waiting without reaping keeps its number taken until nobody sends signals to it any more.
        while matches!(waitid(Id::Pid(leader), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT), Err(Errno::EINTR)) {}
        let mut inner = self.inner();
        let _none_left = killpg(leader, Signal::SIGKILL);
        inner.groups.retain(|group| *group != leader);
        child.wait()
    }

    /// Ends all programs at once and lets no other begin. Whoever waits for them still has to.
    pub fn kill(&self) {
        let mut inner = self.inner();
        inner.over = true;
        for group in &inner.groups {
            let _gone_already = killpg(*group, Signal::SIGKILL);
        }
    }

    /// Tells whether they were told to end.
    pub fn over(&self) -> bool {
        self.inner().over
    }
}

fn group(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("Linux numbers its processes with positive i32"))
}
