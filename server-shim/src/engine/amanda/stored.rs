//! What really lies on the holding disk of a dump that Amanda says is done: every chunk, under its final name, and as many
//! bytes as the server counted.
//!
//! Two runs on one holding disk do each other harm in 3.5.1: `can_take_holding` (server-src/holding.c) removes the `pid`
//! file of a run that lives, and every driver that ends then "salvages" the unfinished dumps of the others by renaming
//! `X.tmp` to `X`. [`guard`](super::guard) keeps them from it; should one get through, the chunks that such a dump writes afterwards keep their `.tmp` for ever; amdump says SUCCESS, find says OK,
//! and a restore waits for a file that is not there. Nothing is lost, so the names are put right here.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use amanda::header::{HEADER_BYTES, Header};

use crate::durable;

/// The most chunks that are followed: a terabyte in chunks of 10 MB.
const MAX_CHUNKS: usize = 100_000;

/// Follows a dump from its first chunk, gives chunks their final names, and returns the bytes of the dump without headers.
///
/// The error is a sentence about what is missing. A chunk outside `holding` is an error: headers are data.
pub fn mend_and_measure(first: &Path, holding: &[PathBuf]) -> Result<u64, String> {
    let mut next = Some(first.to_owned());
    let mut total = 0;
    for _ in 0..MAX_CHUNKS {
        let Some(path) = next else { return Ok(total) };
        if !holding.iter().any(|directory| path.starts_with(directory)) || path.components().any(|part| part.as_os_str() == "..") {
            return Err(format!("its chunk {} is outside the holding disks", path.display()));
        }
        let (header, size) = open_chunk(&path).map_err(|error| format!("its chunk {} cannot be read: {error}", path.display()))?;
        if header.partial {
            return Err(format!("its chunk {} is marked as partial", path.display()));
        }
        total += size.saturating_sub(HEADER_BYTES as u64);
        next = header.continued_in.map(PathBuf::from);
    }
    Err(format!("it has more than {MAX_CHUNKS} chunks"))
}

fn open_chunk(path: &Path) -> io::Result<(Header, u64)> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut unfinished = OsString::from(path);
            unfinished.push(".tmp");
            fs::rename(&unfinished, path).map_err(|_| error)?;
            crate::runner::log(&format!("event=chunk_mended path={}", path.display()));
            path.parent().map_or(Ok(()), durable::sync_directory)?;
            File::open(path)?
        }
        opened => opened?,
    };
    let size = file.metadata()?.len();
    let mut bytes = Vec::new();
    file.take(HEADER_BYTES as u64).read_to_end(&mut bytes)?;
    let header = Header::parse(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok((header, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(path: &Path, kind: &str, next: Option<&Path>, bytes: usize) {
        let more = next.map_or_else(String::new, |next| format!("CONT_FILENAME={}\n", next.display()));
        let mut text = format!("AMANDA: {kind} 20261122031500 laptop1 /home lev 0 comp .gz program /bin/tar\n{more}To restore, position tape at start of file and run:\n\tdd if=<tape> bs=32k skip=1 | /bin/gzip -dc | /bin/tar -xpGf - ...\n\x0c\n").into_bytes();
        text.resize(HEADER_BYTES + bytes, 0);
        fs::write(path, text).expect("write");
    }

    #[test]
    fn a_chunk_that_kept_its_temporary_name_is_mended() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = |name: &str| directory.path().join(name);
        chunk(&path("d"), "FILE", Some(&path("d.1")), 100);
        chunk(&path("d.1.tmp"), "CONT_FILE", Some(&path("d.2")), 50);
        chunk(&path("d.2"), "CONT_FILE", None, 7);
        let holding = [directory.path().to_owned()];
        assert_eq!(mend_and_measure(&path("d"), &holding), Ok(157));
        assert!(path("d.1").exists() && !path("d.1.tmp").exists());
    }

    #[test]
    fn a_chunk_that_is_gone_or_elsewhere_is_named() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = |name: &str| directory.path().join(name);
        let holding = [directory.path().to_owned()];
        chunk(&path("d"), "FILE", Some(&path("d.1")), 100);
        assert!(mend_and_measure(&path("d"), &holding).expect_err("gone").contains("d.1"));
        chunk(&path("e"), "FILE", Some(Path::new("/etc/passwd")), 100);
        assert!(mend_and_measure(&path("e"), &holding).expect_err("elsewhere").contains("outside"));
        chunk(&path("f"), "FILE", Some(&path("f")), 1);
        assert!(mend_and_measure(&path("f"), &holding).is_err(), "a ring of chunks ends");
    }
}
