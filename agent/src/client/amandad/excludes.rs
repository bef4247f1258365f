//! What agent.toml leaves out, added to a request for the installed amandad.
//!
//! Amanda's client writes a pattern for tar only when it has quoted it (`add_exclude` in client-src/client_util.c), so that a backslash
//! means itself there. What such a backslash was to protect is said in other words here; a pattern for which there are
//! none is refused, since one that means something else would leave out too little or too much.

use amanda::escape::printable;
use amanda::protocol::request::{DleRequest, Program};

use crate::client::Disk;
use crate::client::allow::Refusal;
use crate::client::patterns;

/// Adds the disk's own patterns to what the server leaves out.
pub fn add(disk: &Disk, request: &mut DleRequest) -> Result<(), Refusal> {
    if disk.exclude.is_empty() {
        return Ok(());
    }
    // Amanda would take no notice of them, without a word: dump(8) knows none, and a device like this is smbclient's.
    if request.program == Program::Dump || request.directory().starts_with(b"//") {
        return Err(Refusal::new(format!(
            "disk {} has an exclude in agent.toml, which program DUMP and Windows shares do not know: change the dumptype, or take exclude away",
            printable(&request.disk)
        )));
    }
    let own = disk.exclude.iter().map(|pattern| as_amanda_reads(pattern)).collect::<Result<Vec<_>, _>>()?;
    request.exclude.files.splice(0..0, own);
    Ok(())
}

/// Returns a pattern that means for Amanda what this one means for tar.
fn as_amanda_reads(pattern: &str) -> Result<Vec<u8>, Refusal> {
    let line = patterns::own_line(pattern)?;
    let cannot =
        || Refusal::new(format!("{pattern:?} cannot be said to amandad: write exclude of this [[disk]] without backslashes and tabs"));
    let mut said = String::new();
    let mut in_brackets = false;
    let mut rest = line.chars();
    while let Some(character) = rest.next() {
        match character {
            // Amanda turns them into a backslash and a letter.
            '\t' | '\r' | '\x0c' => return Err(cannot()),
            '\\' => match rest.next() {
                // Amanda doubles it.
                Some('\\') => said.push('\\'),
                Some(protected @ ('*' | '?' | '[')) if !in_brackets => said.extend(['[', protected, ']']),
                Some(plain) if !in_brackets && !plain.is_control() => said.push(plain),
                _ => return Err(cannot()),
            },
            _ => {
                in_brackets |= character == '[';
                said.push(character);
            }
        }
    }
    Ok(said.into_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;
    use amanda::protocol::request::Patterns;
    use amanda::quoting::quote;
    use wire::DiskName;

    fn disk(exclude: &[&str]) -> Disk {
        let exclude = exclude.iter().map(|pattern| (*pattern).to_owned()).collect();
        Disk { name: DiskName::new("/home").expect("a name"), device: "/home".into(), exclude }
    }

    /// Returns the names that tar takes with one line in a file of patterns.
    fn taken(dir: &std::path::Path, line: &[u8]) -> Vec<String> {
        let file = dir.join("patterns");
        fs::write(&file, [line, b"\n"].concat()).expect("ours");
        let mut tar = Command::new("tar");
        tar.args(["-c", "-v", "-f", "/dev/null", "--no-recursion", "-C"]).arg(dir.join("tree")).arg("-X").arg(file);
        let names = fs::read_dir(dir.join("tree")).expect("ours").map(|entry| format!("./{}", entry.expect("ours").file_name().display()));
        let mut names: Vec<String> = names.collect();
        names.sort();
        let said = tar.args(["--verbatim-files-from", "--quoting-style=literal"]).args(names).output().expect("tar");
        String::from_utf8(said.stdout).expect("text").lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_pattern_leaves_out_the_same_through_amanda() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("tree")).expect("ours");
        let names = ["a.iso", "a", "ab", "a*b", "a?b", "axb", "a[b", "a]b", "a\\b", "a\\xb", "a b", "a ", "a\"b", "ä", "cache"];
        for name in names {
            fs::write(dir.path().join("tree").join(name), "").expect("ours");
        }
        for pattern in [
            "*.iso", "./cache", "cache", "a*b", "a?b", "a\\*b", "a\\?b", "a\\[b", "a\\]b", "a\\\\b", "a\\\\*", "a b", "a ", "a\"b",
            "a\\\"b", "[a]b", "a[*]b", "a[x?]b", "\\a", "ä", "none", "a[^x]b",
        ] {
            let tars = taken(dir.path(), patterns::own_line(pattern).expect("a pattern").as_bytes());
            let quoted = quote(&as_amanda_reads(pattern).expect("can be said"));
            let amandas = quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(&quoted);
            assert_eq!(taken(dir.path(), amandas), tars, "{pattern} became {}", String::from_utf8_lossy(amandas));
            assert!(!tars.is_empty() && (tars.len() < names.len() || pattern == "none"), "{pattern}: {tars:?}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        for pattern in ["", "a\nb", "a\tb", "a\\", "[a\\]b]", "a\\\tb"] {
            assert!(as_amanda_reads(pattern).is_err(), "{pattern:?}");
        }
        let exclude = Patterns { files: vec![b"*.tmp".to_vec()], ..Patterns::default() };
        let request = |program| DleRequest { exclude: exclude.clone(), ..DleRequest::of(program, "/home") };
        let mut gnutar = request(Program::Gnutar);
        add(&disk(&["*.iso", "./x"]), &mut gnutar).expect("added");
        assert_eq!(gnutar.exclude.files, [&b"*.iso"[..], b"./x", b"*.tmp"]);
        let mut dump = request(Program::Dump);
        assert!(add(&disk(&["*.iso"]), &mut dump).is_err());
        add(&disk(&[]), &mut dump).expect("nothing to add");
        assert_eq!(dump, request(Program::Dump));
    }
}
