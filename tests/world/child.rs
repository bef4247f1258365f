//! Programs that a test starts: each has an end, within a time, and its words are kept.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait;

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status; none when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
}

impl Finished {
    /// Returns itself when the exit status is the one expected.
    ///
    /// # Panics
    /// When it is another one, with all that the program said.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit status; the program said:\n{self}");
        self
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "code {:?} signal {:?} after {:?}\n-- stdout\n{}\n-- stderr\n{}",
            self.code, self.signal, self.took, self.stdout, self.stderr
        )
    }
}

/// A program that goes on while the test looks at other things. Dropping it kills it.
#[derive(Debug)]
pub struct Background {
    name: String,
    child: Child,
    begin: Instant,
    stdout: File,
    stderr: File,
    ended: bool,
}

impl Background {
    /// Starts a program without a terminal, in a process group of its own. Its output goes into unlinked files, so that
    /// nobody has to read along and a grandchild that keeps the descriptor holds nothing up.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: Command) -> Self {
        Self::start_into(command, tempfile::tempfile().expect("a temporary file"))
    }

    /// Starts a program whose stdout goes into a file of the caller's.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_into(mut command: Command, stdout: File) -> Self {
        let stderr = tempfile::tempfile().expect("a temporary file");
        command.stdin(Stdio::null());
        command.stdout(stdout.try_clone().expect("a descriptor")).stderr(stderr.try_clone().expect("a descriptor"));
        command.process_group(0);
        let name = format!("{command:?}");
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self { name, child, begin: Instant::now(), stdout, stderr, ended: false }
    }

    /// Returns its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("process ids are small")
    }

    /// Tells whether it is still there.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_none()
    }

    /// Returns what it has said so far: stdout, stderr.
    pub fn so_far(&mut self) -> (String, String) {
        (text(&mut self.stdout), text(&mut self.stderr))
    }

    /// Kills it as nobody can refuse.
    pub fn kill_9(&self) {
        let _gone_already = kill(Pid::from_raw(self.pid()), Signal::SIGKILL);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it has not ended within the time.
    pub fn wait(mut self, within: Duration) -> Finished {
        let mut status: Option<ExitStatus> = None;
        while status.is_none() && self.begin.elapsed() < within {
            status = self.child.try_wait().expect("our own child");
            if status.is_none() {
                wait::blink(self.begin.elapsed());
            }
        }
        let took = self.begin.elapsed();
        let (stdout, stderr) = self.so_far();
        let Some(status) = status else {
            panic!("{} has not ended within {within:?}; so far\n-- stdout\n{stdout}\n-- stderr\n{stderr}", self.name);
        };
        self.ended = true;
        Finished { code: status.code(), signal: status.signal(), stdout, stderr, took }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if !self.ended {
            let _gone_already = self.child.kill();
            let _status = self.child.wait();
        }
    }
}

fn text(file: &mut File) -> String {
    // The offset is shared with the program that writes; reading from a fresh open leaves it alone.
    use std::os::fd::AsRawFd as _;
    let mut bytes = Vec::new();
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let mut again = File::open(path).expect("our own descriptor");
    again.rewind().and_then(|()| again.read_to_end(&mut bytes)).expect("a temporary file can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Runs a program to its end, within a time.
pub fn run(command: Command, within: Duration) -> Finished {
    Background::start(command).wait(within)
}

/// Runs a program that has to succeed, and returns what it said on stdout.
///
/// # Panics
/// When it does not succeed within a minute.
#[track_caller]
pub fn must(command: Command) -> String {
    let name = format!("{command:?}");
    let finished = run(command, Duration::from_secs(60));
    assert_eq!(finished.code, Some(0), "{name} failed:\n{finished}");
    finished.stdout
}

/// Returns a command with an environment of its own: nothing of the person who runs the tests gets in.
pub fn program(name: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(name);
    command
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .current_dir("/");
    command
}

/// Returns a command that runs as another account, with that account's groups.
pub fn program_as(account: &str, name: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = program("/usr/sbin/runuser");
    command.arg("-u").arg(account).arg("--").arg(name);
    command
}
