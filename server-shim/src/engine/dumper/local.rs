//! This machine's own client: a program on two pipes of ours, in the place of an `ssh HOST amandad -auth=ssh`.
//!
//! It ends when its standard input does. What it says on standard error becomes the reason when the connection ends before it should.

use std::io::{self, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use wire::HostName;

use crate::engine::embedded::Connection;

/// The most that is read of what a client says on standard error.
const MAX_WORDS: u64 = 4096;

/// How long a client may take to end when nobody listens any more.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks at one that ends.
const LOOK: Duration = Duration::from_millis(5);

/// Opens a connection to a client that is started for it.
///
/// # Errors
/// When it cannot be started.
pub fn open(argv: &[String], host: &HostName) -> io::Result<Connection> {
    let Some((program, arguments)) = argv.split_first() else { return Err(io::ErrorKind::InvalidInput.into()) };
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LANG", "C.UTF-8");
    command.envs(std::env::var_os("TZ").map(|zone| ("TZ", zone)));
    let mut child =
        command.spawn().map_err(|error| io::Error::new(error.kind(), format!("its client, {program}, cannot be started: {error}")))?;
    let (Some(to), Some(from), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let heard = thread::spawn(move || hear(errors));
    let from = Listening { from, end: Some(End { child, heard, name: format!("the client of {host}, {program},") }) };
    Ok(Connection { from: Box::new(BufReader::with_capacity(128 * 1024, from)), to: Box::new(Speaking(to)) })
}

/// Reads all that is said, and keeps its beginning.
fn hear(errors: ChildStderr) -> String {
    let mut words = Vec::new();
    let mut beginning = errors.take(MAX_WORDS);
    let _what_came_counts = beginning.read_to_end(&mut words);
    let _nobody_wants_the_rest = io::copy(&mut beginning.into_inner(), &mut io::sink());
    let lines: Vec<String> = words.split(|byte| *byte == b'\n').map(|line| amanda::escape::printable(line).trim().to_owned()).collect();
    lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// What the client says.
struct Listening {
    from: ChildStdout,
    end: Option<End>,
}

struct End {
    child: Child,
    heard: JoinHandle<String>,
    name: String,
}

impl End {
    /// Waits for the client's end; says why it ended, unless it ended well.
    fn wait(mut self) -> Option<String> {
        let begun = Instant::now();
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if begun.elapsed() < PATIENCE => thread::sleep(LOOK),
                // Behind a sudo it is not ours to kill; it hears the end of its pipes.
                _ => {
                    let _ = self.child.kill();
                    break self.child.try_wait().ok().flatten();
                }
            }
        };
        if status.is_some_and(|status| status.success()) {
            return None;
        }
        // It has ended. Whoever else has its standard error is not waited for.
        while !self.heard.is_finished() && begun.elapsed() < PATIENCE {
            thread::sleep(LOOK);
        }
        let words = if self.heard.is_finished() { self.heard.join().unwrap_or_default() } else { String::new() };
        let how = status.map_or_else(|| "does not end".to_owned(), |status| format!("ended with {status}"));
        Some(if words.is_empty() { format!("{} {how}", self.name) } else { format!("{} {how}: {words}", self.name) })
    }
}

impl Read for Listening {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        if read > 0 || into.is_empty() {
            return Ok(read);
        }
        match self.end.take().and_then(End::wait) {
            Some(why) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, why)),
            None => Ok(0),
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // Nobody waits for it; somebody has to take its exit status.
        if let Some(end) = self.end.take() {
            thread::spawn(move || end.wait());
        }
    }
}

/// What is said to it; dropped, that is its end.
struct Speaking(ChildStdin);

impl Write for Speaking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(script: &str) -> Connection {
        super::open(&["/bin/sh", "-c", script].map(str::to_owned), &"server1".parse().expect("a name")).expect("started")
    }

    #[test]
    fn words_go_there_and_back_until_the_end_of_its_input() {
        let Connection { mut from, mut to } = open("cat");
        to.write_all(b"hello").expect("it reads");
        let mut heard = [0; 5];
        from.read_exact(&mut heard).expect("it answers");
        drop(to);
        assert_eq!((&heard, from.read(&mut [0; 1]).expect("the end")), (b"hello", 0));
    }

    #[test]
    fn what_it_says_on_standard_error_is_the_reason_of_its_end() {
        let mut connection = open("echo 'sudo: a password is required' >&2; exit 1");
        let why = connection.from.read(&mut [0; 1]).expect_err("it has ended").to_string();
        assert!(why.contains("the client of server1") && why.contains("exit status: 1: sudo: a password is required"), "{why}");
        let Err(missing) = super::open(&["/nowhere/asyncamanda".to_owned()], &"server1".parse().expect("a name")) else {
            panic!("it is not there")
        };
        assert!(missing.to_string().contains("/nowhere/asyncamanda, cannot be started"), "{missing}");
    }
}
