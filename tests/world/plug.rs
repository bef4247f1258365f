//! Stands in the shim's place as a forced command and plugs the session into a unix socket, behind which a test plays the server.
//!
//! Usage: `aa-plug SOCKET`.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(socket) = std::env::args_os().nth(1) else { return ExitCode::from(2) };
    let Ok(mut from) = UnixStream::connect(socket) else { return ExitCode::FAILURE };
    let Ok(mut to) = from.try_clone() else { return ExitCode::FAILURE };
    std::thread::spawn(move || {
        let _ended = io::copy(&mut io::stdin().lock(), &mut to);
        let _gone_already = to.shutdown(Shutdown::Write);
    });
    let copied = io::copy(&mut from, &mut Unbuffered);
    if copied.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Rust's stdout waits for a newline.
struct Unbuffered;

impl io::Write for Unbuffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        nix::unistd::write(io::stdout(), bytes).map_err(io::Error::from)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
