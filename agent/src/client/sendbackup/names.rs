//! The names in a dump: counted, and passed on as Amanda's client would find them by reading the archive once more
//! (`tar -tf - | sed -e 's/^\.//'`).

use std::io::{self, ErrorKind, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::client::lanes::Lane;

/// Reads names until tar has no more, counts them, and sends them where an index is wanted.
pub fn pass_on(mut names: impl Read, mut index: Option<&mut Lane>, files: &AtomicU64) -> io::Result<()> {
    let mut buffer = vec![0; 32 * 1024];
    let mut at_start = true;
    loop {
        let read = match names.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let mut begun = 0;
        for piece in buffer[..read].split_inclusive(|byte| *byte == b'\n') {
            let name = if at_start { piece.strip_prefix(b".").unwrap_or(piece) } else { piece };
            if let Some(index) = index.as_deref_mut() {
                index.put(name)?;
            }
            at_start = piece.ends_with(b"\n");
            begun += u64::from(at_start);
        }
        files.fetch_add(begun, Ordering::Relaxed);
    }
}
