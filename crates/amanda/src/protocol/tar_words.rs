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
