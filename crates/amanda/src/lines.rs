//! Lines out of a file that may still be growing, in bounded memory.

/// Splits a stream of chunks into lines. A line without its newline is kept until the newline comes, because the
/// program that writes it may be in the middle of it; a line above [`LONGEST`] is passed over.
#[derive(Debug, Default)]
pub struct Lines {
    begun: Vec<u8>,
    skipping: bool,
}

/// The longest line that is looked at, in bytes. Amanda's logfile.c cuts its own lines at 4 KiB; the trace has lines
/// with a whole dumptype in them.
pub const LONGEST: usize = 64 * 1024;

impl Lines {
    /// Gives every line that the chunk completes to `each`, without its newline.
    pub fn feed(&mut self, mut chunk: &[u8], mut each: impl FnMut(&[u8])) {
        while let Some(end) = memchr::memchr(b'\n', chunk) {
            let (line, rest) = (&chunk[..end], &chunk[end + 1..]);
            if self.skipping {
                self.skipping = false;
            } else if self.begun.is_empty() {
                if line.len() <= LONGEST {
                    each(line);
                }
            } else if self.begun.len() + line.len() <= LONGEST {
                self.begun.extend(line);
                each(&self.begun);
            }
            self.begun.clear();
            chunk = rest;
        }
        if self.skipping || self.begun.len() + chunk.len() > LONGEST {
            self.skipping = true;
            self.begun = Vec::new();
        } else {
            self.begun.extend(chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn collect(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for chunk in chunks {
            lines.feed(chunk, |line| found.push(line.to_vec()));
        }
        found
    }

    #[test]
    fn a_line_without_newline_waits() {
        assert_eq!(collect(&[b"one\ntw", b"o\nthr"]), [b"one".to_vec(), b"two".to_vec()]);
    }

    #[test]
    fn a_line_beyond_the_limit_is_passed_over_and_the_next_is_read() {
        let long = vec![b'x'; LONGEST + 1];
        assert_eq!(collect(&[&long, b"x\nnext\n"]), [b"next".to_vec()]);
        assert_eq!(collect(&[&long[1..], b"\nnext\n"]), [long[1..].to_vec(), b"next".to_vec()]);
    }

    proptest! {
        #[test]
        fn where_the_chunks_end_does_not_matter(text in "[ab\n]{0,60}", cut in 0usize..60) {
            let text = text.as_bytes();
            let (one, two) = text.split_at(cut.min(text.len()));
            prop_assert_eq!(collect(&[one, two]), collect(&[text]));
        }
    }
}
