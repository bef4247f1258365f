//! The names in a dump: counted, and passed on as Amanda's client would find them by reading the archive once more
//! (`tar -tf - | sed -e 's/^\.//'`). In a dump of frames tar tells with each where its member begins, which goes into the dump itself.

use std::io::{self, ErrorKind, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;

use amanda::frames::{Collector, Section};
use amanda::index;

use crate::client::lanes::Lane;
use crate::client::tar;

/// Where members of a dump of frames go.
pub struct Members {
    collector: Collector,
    to: Sender<Section>,
}

impl Members {
    pub fn new(to: Sender<Section>) -> Self {
        Self { collector: Collector::default(), to }
    }

    fn add(&mut self, name: &[u8], block: u64) -> io::Result<()> {
        self.collector.add(name, block).map(|section| self.send(section))
    }

    fn finish(mut self) -> io::Result<()> {
        self.collector.finish().map(|section| self.send(section))
    }

    /// Whoever writes the dump may have failed, and has ended the programs then.
    fn send(&self, section: Option<Section>) {
        let _nobody = section.map(|section| self.to.send(section));
    }
}

/// Reads names until tar has no more, counts them, and sends them where an index is wanted. With `members` each begins with a number.
pub fn pass_on(names: impl Read, index: Option<&mut Lane>, files: &AtomicU64, mut members: Option<Members>) -> io::Result<()> {
    match &mut members {
        None => plain(names, index, files)?,
        Some(members) => numbered(names, index, files, |name, block| members.add(name, block))?,
    }
    members.map_or(Ok(()), Members::finish)
}

/// Gives what is read to `each` in pieces that end with a line, or with a buffer.
fn pieces(mut names: impl Read, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        match names.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => buffer[..read].split_inclusive(|byte| *byte == b'\n').try_for_each(&mut each)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn plain(names: impl Read, mut index: Option<&mut Lane>, files: &AtomicU64) -> io::Result<()> {
    let mut at_start = true;
    pieces(names, |piece| {
        let name = if at_start { piece.strip_prefix(b".").unwrap_or(piece) } else { piece };
        if let Some(index) = index.as_deref_mut() {
            index.put(name)?;
        }
        at_start = piece.ends_with(b"\n");
        files.fetch_add(u64::from(at_start), Ordering::Relaxed);
        Ok(())
    })
}

/// Lines of any length, of which the index gets what is behind the number, and `member` the name where it is short enough for an index.
fn numbered(
    names: impl Read,
    mut index: Option<&mut Lane>,
    files: &AtomicU64,
    mut member: impl FnMut(&[u8], u64) -> io::Result<()>,
) -> io::Result<()> {
    // The line so far, up to what an index may have; and, once all of the number is there and the index gets the rest as it comes, the number
    // and where the name begins.
    let (mut line, mut passed): (Vec<u8>, Option<(Option<u64>, usize)>) = (Vec::new(), None);
    let kept = tar::LONGEST_NUMBER + index::LONGEST + 1;
    pieces(names, |piece| {
        let ends = piece.ends_with(b"\n");
        let begun = line.len();
        line.extend_from_slice(&piece[..piece.len().min(kept.saturating_sub(begun))]);
        if passed.is_none() && !ends && line.len() <= tar::LONGEST_NUMBER + 1 {
            return Ok(());
        }
        let is_first = passed.is_none();
        let (number, start) = *passed.get_or_insert_with(|| {
            let (number, name) = tar::split_number(&line);
            (number, line.len() - name.len())
        });
        if let Some(index) = index.as_deref_mut() {
            if is_first {
                let name = &line[start..];
                index.put(name.strip_prefix(b".").unwrap_or(name))?;
                index.put(&piece[line.len() - begun..])?;
            } else {
                index.put(piece)?;
            }
        }
        if ends {
            files.fetch_add(1, Ordering::Relaxed);
            if let (Some(number), Some(name)) = (number, line.strip_suffix(b"\n")) {
                member(&name[start..], number)?;
            }
            line.clear();
            passed = None;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use amanda::protocol::token::Tokens;

    use super::*;
    use crate::client::Out;
    use crate::client::lanes::Wire;

    #[derive(Default)]
    struct Kept(Mutex<Vec<u8>>);

    impl Out for Kept {
        fn send(&self, frame: Vec<u8>) -> io::Result<()> {
            self.0.lock().expect("no panic").extend(&frame[wire::frame::HEADER..]);
            Ok(())
        }
    }

    /// A pipe that gives so many bytes at once.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(buffer.len());
            self.0.read(&mut buffer[..length])
        }
    }

    #[test]
    fn numbers_go_to_the_members_and_names_to_the_index_however_they_come() {
        let long = "y".repeat(5000);
        let names = [
            (0, "./", true),
            (3, "./block 7: a", true),
            (9, "./block 12345678901234567890: ./b", true),
            (11, ".hidden", true),
            (40, &format!("./{}", "x".repeat(index::LONGEST - 2)), true),
            (41, &format!("./{long}"), false),
            (u64::MAX, "./z", true),
            (0, "", true),
        ];
        let text: String = names.iter().map(|(block, name, _)| format!("block {block}: {name}\n")).collect();
        let expected: String = names.iter().map(|(_, name, _)| format!("{}\n", name.strip_prefix('.').unwrap_or(name))).collect();
        for step in [1, 2, 5, 27, 28, 29, 30, 31, 1000, 100_000] {
            let kept = Arc::new(Kept::default());
            let mut lane = Lane::new(&Wire::new(Arc::clone(&kept) as Arc<dyn Out>), 5);
            let (files, mut members) = (AtomicU64::new(0), Vec::new());
            numbered(Slow(text.as_bytes(), step), Some(&mut lane), &files, |name, block| {
                members.push((block, String::from_utf8(name.to_vec()).expect("ours")));
                Ok(())
            })
            .expect("memory");
            lane.finish().expect("memory");
            let (mut tokens, mut index) = (Tokens::new(), Vec::new());
            tokens.feed(&kept.0.lock().expect("no panic"));
            while let Some(token) = tokens.next_token().expect("tokens") {
                index.extend_from_slice(token.payload);
            }
            assert!(index == expected.as_bytes(), "{step}: {}", String::from_utf8_lossy(&index));
            assert_eq!(files.load(Ordering::Relaxed), names.len() as u64);
            let listed = names.iter().filter(|(_, _, short)| *short).map(|(block, name, _)| (*block, (*name).to_owned()));
            assert!(members.iter().cloned().eq(listed), "{step}: {members:?}");
        }
    }
}
