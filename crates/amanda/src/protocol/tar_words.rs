//! Which of the words that GNU tar and its filters say on stderr an operator should read (`re_table` in
//! client-src/sendbackup-gnutar.c, the table of Debian's build).

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// tar's last word: how many bytes it wrote. Printed as a normal line.
    Size {
        /// Bytes before compression.
        bytes: u64,
    },
    /// As usual: printed behind `|`.
    Normal,
    /// Somebody should read it: printed behind `?`, and the dump counts as strange.
    Strange,
}

/// Says what a line is, without its newline. The first rule that fits counts.
#[must_use]
pub fn classify(line: &[u8]) -> Class {
    if let Some(bytes) = size(line) {
        return Class::Size { bytes };
    }
    let begins = |word: &[u8]| line.starts_with(word);
    let normal = begins(b"Elapsed time:")
        || begins(b"Throughput")
        || line.ends_with(b": socket ignored")
        || begins(b"Added interface")
        || begins(b"added interface")
        || begins(b"session request to ")
        || begins(b"Domain=")
        || dumped_files(line);
    if normal { Class::Normal } else { Class::Strange }
}

/// Reads `Total bytes written: 10240 (10KiB, 5.5MiB/s)`.
fn size(line: &[u8]) -> Option<u64> {
    let blanks = line.iter().take_while(|&&byte| byte == b' ').count();
    let rest = line[blanks..].strip_prefix(b"Total bytes written: ")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

/// Whether the line begins like smbtar's last word: `tar: dumped 12 files` or `tar: dumped 12 tar files`.
fn dumped_files(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"tar: dumped ") else { return false };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && [&b" files"[..], b" tar files"].iter().any(|words| rest[digits..].starts_with(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_classified_as_debians_sendbackup_does() {
        use Class::{Normal, Size, Strange};
        for (line, class) in [
            ("Total bytes written: 10240 (10KiB, 11MiB/s)", Size { bytes: 10240 }),
            ("  Total bytes written: 0", Size { bytes: 0 }),
            ("Total bytes written: ", Strange),
            ("Total bytes written: x", Strange),
            ("Total bytes written: 99999999999999999999999", Strange),
            ("/bin/tar: Total bytes written: 10240", Strange),
            ("\tTotal bytes written: 10240", Strange),
            ("Elapsed time: 3 s", Normal),
            ("Throughput 12", Normal),
            ("/bin/tar: ./sock: socket ignored", Normal),
            ("/bin/tar: ./sock: socket ignored ", Strange),
            ("/bin/tar: ./fifo: door ignored", Strange),
            ("/bin/tar: ./a: file changed as we read it", Strange),
            ("/bin/tar: ./a: File removed before we read it", Strange),
            ("/bin/tar: ./a: File shrunk by 12 bytes; padding with zeros", Strange),
            ("/bin/tar: ./a: File shrunk by 12 bytes, padding with zeros", Strange),
            ("/bin/tar: ./a: Cannot open: Permission denied", Strange),
            ("/bin/tar: ./a: Cannot add file ./a: No such file or directory", Strange),
            ("/bin/tar: Error exit delayed from previous errors", Strange),
            ("added interface ip=127.0.0.1", Normal),
            ("Added interface", Normal),
            ("ADDED interface", Strange),
            ("session request to HOST failed", Normal),
            ("Domain=[X]", Normal),
            ("tar: dumped 12 files and directories", Normal),
            ("tar: dumped 12 tar files", Normal),
            ("tar: dumped files", Strange),
            ("tar: dumped 12 zip files", Strange),
            ("ERRDOS - ERRbadpath Directory invalid.", Strange),
            ("noisy: something odd", Strange),
            ("", Strange),
        ] {
            assert_eq!(classify(line.as_bytes()), class, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(line in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = classify(&line);
        }
    }
}
