//! What was read of the dumps, by whom: a line for each ask, in the system's log and in a file of the dump user's own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use amanda::escape::printable;
use wire::HostName;

use super::serve::Asked;

/// So many paths are written out.
const PATHS: usize = 8;

/// The longest piece of a line, in characters: a path, a sentence.
const PIECE: usize = 200;

/// The size at which the file begins anew, in bytes; the one before it is kept.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Says what was asked for and what became of it, in one line. `key` is the host whose key asked.
#[must_use]
pub fn line(key: &HostName, asked: &Asked<'_>, outcome: &str) -> String {
    let Asked { what, host, dump, paths } = asked;
    let mut line = format!("event=restore host={key} of={host} ask={what}");
    if let Some(dump) = dump {
        line += &format!(" disk={} dump={}.{}", quoted(dump.disk.as_bytes()), quoted(dump.datestamp.as_bytes()), dump.level);
    }
    if !paths.is_empty() {
        let shown: Vec<String> = paths.iter().take(PATHS).map(|path| quoted(path.as_bytes())).collect();
        line += &format!(" paths={}", shown.join(","));
        if paths.len() > PATHS {
            line += &format!(",… ({} in all)", paths.len());
        }
    }
    line + &format!(" outcome={}", quoted(outcome.as_bytes()))
}

/// Puts quotes around what somebody else chose, shortened and without anything that could end a line or a quote.
fn quoted(text: &[u8]) -> String {
    let all = printable(text).replace('"', "\\x22");
    let short: String = all.chars().take(PIECE).collect();
    let dots = if short.len() < all.len() { "…" } else { "" };
    format!("\"{short}{dots}\"")
}

/// Adds a line to the file, with the time.
///
/// # Errors
/// When it cannot be written.
pub fn append(path: &Path, time: &str, line: &str) -> io::Result<()> {
    let mut file = current(path)?;
    // In one piece, since several readers write here.
    file.write_all(format!("{time} pid={} {line}\n", std::process::id()).as_bytes())
}

/// Opens the file, locked, and begins it anew when it is long. Another reader may have done that while this one waited for the lock: then what is
/// locked is the old file, and nobody may move the new one over it.
fn current(path: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(libc::O_NOFOLLOW).open(path)?;
        file.lock()?;
        let locked = file.metadata()?;
        let is_there = fs::symlink_metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (locked.dev(), locked.ino()));
        if is_there && locked.len() < MAX_FILE {
            return Ok(file);
        }
        if is_there {
            fs::rename(path, path.with_extension("log.1"))?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::DiskName;
    use wire::restore::{DumpId, PathBytes};

    #[test]
    fn a_line_is_one_line_whatever_is_asked_for() {
        let (key, host): (HostName, HostName) = ("new".parse().expect("name"), "old".parse().expect("name"));
        let dump =
            DumpId { host: host.clone(), disk: DiskName::new("/a \"b\"\n").expect("name"), datestamp: "20261124010203".into(), level: 1 };
        let evil = PathBytes::new(b"x\nevent=restore outcome=\"ok\"\x1b[2J\xff");
        let long = PathBytes::new(&[b'n'; 5000]);
        let paths = [&evil, &long, &evil, &evil, &evil, &evil, &evil, &evil, &evil, &evil];
        let asked = Asked { what: "fetch", host: &host, dump: Some(&dump), paths: paths.to_vec() };
        let line = line(&key, &asked, "ok");
        assert!(
            line.starts_with(
                "event=restore host=new of=old ask=fetch disk=\"/a \\x22b\\x22\\x0a\" dump=\"20261124010203\".1 paths=\"x\\x0a"
            ),
            "{line}"
        );
        assert!(line.ends_with("(10 in all) outcome=\"ok\"") && line.len() < 3000, "{line}");
        assert!(!line.contains(|c: char| c.is_control()));
        let none = Asked { what: "dumps", host: &host, dump: None, paths: Vec::new() };
        assert_eq!(super::line(&key, &none, "refused: no"), "event=restore host=new of=old ask=dumps outcome=\"refused: no\"");
    }

    #[test]
    fn lines_are_added_and_the_file_begins_anew_when_it_is_long() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("restores.log");
        append(&path, "T", "one").expect("written");
        append(&path, "T", "two").expect("written");
        assert_eq!(fs::read_to_string(&path).expect("read").lines().count(), 2);
        fs::File::options().write(true).open(&path).and_then(|file| file.set_len(MAX_FILE)).expect("long");
        append(&path, "T", "three").expect("written");
        assert!(fs::read_to_string(&path).expect("read").ends_with(" three\n") && directory.path().join("restores.log.1").exists());
    }

    #[test]
    fn many_readers_begin_the_file_anew_once() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("restores.log");
        for _ in 0..20 {
            fs::File::create(&path).and_then(|file| file.set_len(MAX_FILE)).expect("long");
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| append(&path, "T", "line").expect("written"));
                }
            });
            assert_eq!(fs::metadata(path.with_extension("log.1")).expect("the old file").len(), MAX_FILE);
            assert_eq!(fs::read_to_string(&path).expect("read").lines().count(), 8);
        }
    }
}
