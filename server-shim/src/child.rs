//! Programs that print a little and end soon: run to their end, or to the end of our patience.

use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// The most that a program may print for us: a find over years of history stays below.
const MAX_OUTPUT: u64 = 64 * 1024 * 1024;

/// What a program printed and how it ended.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// Runs a program without input. When `patience` is over, it and everything it started in its process group is killed, and
/// that is an error.
pub fn finish(command: &mut Command, patience: Duration) -> io::Result<Output> {
    finish_on(command, Stdio::null(), patience)
}

/// The same, with a file as its input.
pub fn finish_on(command: &mut Command, input: Stdio, patience: Duration) -> io::Result<Output> {
    let mut child = command.process_group(0).stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (sender, ended) = mpsc::channel::<()>();
    let group = Pid::from_raw(child.id() as i32);
    std::thread::scope(|scope| {
        let stdout = scope.spawn(|| drain(out));
        let stderr = scope.spawn(|| drain(err));
        let watch = scope.spawn(move || {
            let late = ended.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout);
            if late {
                let _ = killpg(group, Signal::SIGKILL);
            }
            late
        });
        let read = |thread: std::thread::ScopedJoinHandle<'_, io::Result<Vec<u8>>>| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a reader failed")))
        };
        let (stdout, stderr) = (read(stdout), read(stderr));
        let status = child.wait();
        drop(sender);
        if watch.join().unwrap_or(true) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("it did not end within {}", humantime::format_duration(patience))));
        }
        Ok(Output { status: status?, stdout: stdout?, stderr: stderr? })
    })
}

fn drain(pipe: Option<impl Read>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.by_ref().take(MAX_OUTPUT).read_to_end(&mut bytes)?;
        io::copy(&mut pipe, &mut io::sink())?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_status_come_back() {
        let output = finish(Command::new("/bin/sh").args(["-c", "echo out; echo err >&2; exit 3"]), Duration::from_secs(60)).expect("runs");
        assert_eq!((output.status.code(), output.stdout.as_slice(), output.stderr.as_slice()), (Some(3), &b"out\n"[..], &b"err\n"[..]));
    }

    #[test]
    fn a_program_that_hangs_with_its_children_is_ended() {
        let hanging = finish(Command::new("/bin/sh").args(["-c", "sleep 1000 & sleep 1000"]), Duration::from_millis(50));
        assert_eq!(hanging.expect_err("hangs").kind(), io::ErrorKind::TimedOut);
    }
}
