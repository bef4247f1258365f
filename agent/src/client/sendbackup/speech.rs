//! What is said about a dump: the message stream's lines, and the lines of programs that go into it.

use std::io::{self, ErrorKind, Read};
use std::sync::{Arc, Mutex, PoisonError};

use amanda::protocol::mesg::{LONGEST, Line};
use amanda::protocol::tar_words::{Class, classify};

use super::unread::{self, Unread};
use crate::client::lanes::Wire;

/// Lines of programs that are passed on; a disk on which every file changes must not fill the server's log.
const MAX_LINES: u64 = 10_000;

/// The message stream of one dump.
pub struct Speech {
    wire: Arc<Wire>,
    handle: u32,
    heard: Mutex<Heard>,
}

/// What programs have said so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// tar's last word, in bytes.
    pub size: Option<u64>,
    /// Lines that somebody should read.
    pub strange: u64,
    /// All lines but tar's last word.
    pub lines: u64,
    /// Lines of tar's that name something which is not in the dump; see [`unread`].
    pub unread: u64,
    /// Those of them that this account may not read, and that a next dump builds on all the same.
    pub denied: u64,
}

/// Whose words they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    Tar,
    /// A program behind it, whose words prove nothing about the dump.
    Filter,
}

impl Speech {
    pub fn new(wire: &Arc<Wire>, handle: u32) -> Self {
        Self { wire: Arc::clone(wire), handle, heard: Mutex::default() }
    }

    /// Says some lines at once.
    pub fn say(&self, lines: &[Line<'_>]) -> io::Result<()> {
        let text: Vec<u8> = lines.iter().flat_map(|line| line.print()).collect();
        self.wire.token(self.handle, &text)
    }

    /// Says that there is no more.
    pub fn finish(&self) -> io::Result<()> {
        self.wire.token(self.handle, &[])
    }

    /// Passes on what a program says on stderr, until it says no more.
    pub fn pass_on(&self, speaker: Speaker, program: impl Read) -> io::Result<()> {
        let root = nix::unistd::geteuid().is_root();
        let mut sent = Ok(());
        lines(program, |line| {
            if sent.is_ok() {
                sent = self.pass_line(speaker, root, line);
            }
        })?;
        sent
    }

    /// Says a line of ours that somebody should read.
    pub fn remark(&self, text: &str) -> io::Result<()> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).strange += 1;
        self.say(&[Line::Strange(text.as_bytes())])
    }

    fn pass_line(&self, speaker: Speaker, root: bool, line: &[u8]) -> io::Result<()> {
        let class = match classify(line) {
            Class::Size { .. } if speaker != Speaker::Tar => Class::Strange,
            class => class,
        };
        let lines = {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            match class {
                Class::Size { bytes } => heard.size = Some(bytes),
                Class::Normal => heard.lines += 1,
                Class::Strange => {
                    heard.lines += 1;
                    heard.strange += 1;
                    match unread::of(line, root) {
                        Unread::Spoils if speaker == Speaker::Tar => heard.unread += 1,
                        Unread::Denied if speaker == Speaker::Tar => heard.denied += 1,
                        _ => {}
                    }
                }
            }
            heard.lines
        };
        match class {
            Class::Size { .. } => self.say(&[Line::Normal(line)]),
            _ if lines > MAX_LINES => Ok(()),
            Class::Normal => self.say(&[Line::Normal(line)]),
            Class::Strange => self.say(&[Line::Strange(line)]),
        }
    }

    /// Says how many lines were not passed on, if any: to be said when the programs have ended.
    pub fn tell_left_out(&self) -> io::Result<()> {
        match self.heard().lines.saturating_sub(MAX_LINES) {
            0 => Ok(()),
            left => self.remark(&format!("{left} more lines like these were left out")),
        }
    }

    /// Returns what programs have said so far.
    pub fn heard(&self) -> Heard {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives every line of a program to `each`, without its newline and cut where the server would choke on it.
pub fn lines(mut program: impl Read, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let longest = LONGEST - b"? \n".len();
    let mut begun: Vec<u8> = Vec::new();
    let mut buffer = vec![0; 8192];
    loop {
        let read = match program.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for piece in buffer[..read].split_inclusive(|byte| *byte == b'\n') {
            let (text, whole) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            begun.extend(&text[..text.len().min(longest - begun.len())]);
            if whole {
                each(&begun);
                begun.clear();
            }
        }
    }
    if !begun.is_empty() {
        each(&begun);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_and_bounded() {
        let mut text = b"one\n\ntwo\n".to_vec();
        text.extend(vec![b'x'; 3 * LONGEST]);
        text.extend(b"\nlast");
        let mut heard = Vec::new();
        lines(&text[..], |line| heard.push(line.to_vec())).expect("memory");
        assert_eq!(heard.iter().map(Vec::len).collect::<Vec<_>>(), [3, 0, 3, LONGEST - 3, 4]);
    }
}
