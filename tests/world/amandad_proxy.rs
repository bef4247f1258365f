//! Runs the real amandad for auth "ssh" and passes its stream on, truthfully or not.
//!
//! Usage: `aa-amandad-proxy MODE_FILE`. The mode is read when a line of interest comes by, so that a test can change its mind in
//! the middle of a run:
//! - empty or no file: every byte as it came;
//! - `false-crc`: the client's checksum (native and client, they are equal in what the server compares) has one digit changed;
//! - `cut-at-end`: when the client says that its dump ended well, the stream is cut instead: the client believes in the
//!   dump, the server does not have it;
//! - `cut-once`: the same for the next dump only; the one after it passes.
//!
//! The stream (Amanda's security-util.c): u32 length, u32 handle, payload; big-endian.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

const AMANDAD: &str = "/usr/lib/amanda/amandad";
const LONGEST: usize = 8 << 20;

fn main() -> ExitCode {
    let Some(mode_file) = std::env::args_os().nth(1).map(PathBuf::from) else { return ExitCode::from(2) };
    let mode = || std::fs::read_to_string(&mode_file).unwrap_or_default().trim().to_owned();
    let spawned = Command::new(AMANDAD).arg("-auth=ssh").stdin(Stdio::inherit()).stdout(Stdio::piped()).spawn();
    let Ok(mut amandad) = spawned else { return ExitCode::FAILURE };
    let from = amandad.stdout.take().expect("it was asked for");
    let told = pass(from, io::stdout().lock(), mode, || std::fs::write(&mode_file, ""));
    if told.is_err() {
        // A proxy that only fell silent would leave the dumper waiting for dtimeout.
        let _gone_already = amandad.kill();
    }
    let _status = amandad.wait();
    if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn pass(mut from: impl Read, mut to: impl Write, mode: impl Fn() -> String, forget: impl Fn() -> io::Result<()>) -> io::Result<()> {
    let mut header = [0_u8; 8];
    loop {
        match from.read_exact(&mut header) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
        let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        if length > LONGEST {
            return Err(io::Error::other("a token longer than any of amandad's"));
        }
        let mut payload = vec![0; length];
        from.read_exact(&mut payload)?;
        if is_message(&payload) {
            match mode().as_str() {
                "false-crc" => falsify(&mut payload),
                "cut-at-end" if find(&payload, b"sendbackup: end").is_some() => {
                    // By the time it says so, the client has moved its incremental state and written amandates.
                    return Err(io::Error::other("cut, as told"));
                }
                "cut-once" if find(&payload, b"sendbackup: end").is_some() => {
                    forget()?;
                    return Err(io::Error::other("cut, as told"));
                }
                _ => {}
            }
        }
        to.write_all(&header)?;
        to.write_all(&payload)?;
        to.flush()?;
    }
}

/// The message stream's lines all begin like this; archive and index do not.
fn is_message(payload: &[u8]) -> bool {
    payload.starts_with(b"sendbackup: ") || find(payload, b"\nsendbackup: ").is_some()
}

/// Changes the first digit of every checksum.
fn falsify(payload: &mut [u8]) {
    for label in [b"client-CRC ".as_slice(), b"native-CRC "] {
        if let Some(at) = find(payload, label) {
            let digit = &mut payload[at + label.len()];
            *digit = if *digit == b'0' { b'1' } else { b'0' };
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
