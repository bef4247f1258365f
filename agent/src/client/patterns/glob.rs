//! Which names below a directory match `./…` patterns: glob(3) without following symlinks on the way.
//!
//! What is not found is in no dump, so nothing is left out without a word: a pattern that comes to nothing is remarked on, and a
//! directory that cannot be looked through is an error.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Names that one request may come to.
pub const MAX_NAMES: usize = 100_000;
/// Remarks that one request may come to.
const MAX_REMARKS: usize = 100;

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// What a remark calls it.
    pub called: String,
    /// Its words.
    pub text: Vec<u8>,
}

/// What is there.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The names, as tar wants them: `./a/b`.
    pub names: BTreeSet<Vec<u8>>,
    /// What an operator should know.
    pub remarks: Vec<String>,
}

/// Why a request's names are not known.
#[derive(Debug, thiserror::Error)]
pub enum GlobError {
    /// There are more than [`MAX_NAMES`].
    #[error("what the server wants to include comes to more than {MAX_NAMES} names: include directories, not what is in them")]
    TooMany,
    /// Something cannot be looked at.
    #[error("cannot look for what the server wants to include in {}: {source}", path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Returns the names that are there. A pattern that does not begin with `./`, or has `..` in it, matches nothing.
pub fn names(device: &Path, patterns: &[Pattern], most: usize) -> Result<Found, GlobError> {
    let mut found = Found::default();
    let mut left = 0_usize;
    for Pattern { called, text } in patterns {
        let mut search = Search { names: &mut found.names, most, hits: 0, link: false };
        let why = match text.strip_prefix(b"./") {
            None => Some("does not begin with ./"),
            Some(rest) => {
                let parts: Vec<&[u8]> = rest.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && part != b".").collect();
                if parts.is_empty() {
                    search.names.insert(b".".to_vec());
                    None
                } else if parts.contains(&&b".."[..]) {
                    Some("has .. in it")
                } else {
                    search.below(device, &parts, b".")?;
                    match search {
                        Search { link: true, .. } => Some("passes through a link, which is not followed"),
                        Search { hits: 0, .. } => Some("is not there"),
                        _ => None,
                    }
                }
            }
        };
        match why {
            Some(why) if found.remarks.len() < MAX_REMARKS => found.remarks.push(format!("{called} {why}")),
            Some(_) => left += 1,
            None => {}
        }
    }
    if left > 0 {
        found.remarks.push(format!("{left} more of what the server wants to include is not there"));
    }
    Ok(found)
}

struct Search<'a> {
    names: &'a mut BTreeSet<Vec<u8>>,
    most: usize,
    hits: usize,
    link: bool,
}

impl Search<'_> {
    fn below(&mut self, dir: &Path, parts: &[&[u8]], prefix: &[u8]) -> Result<(), GlobError> {
        let Some((part, rest)) = parts.split_first() else { return Ok(()) };
        for name in matching(dir, part, self.most)? {
            let path = dir.join(std::ffi::OsStr::from_bytes(&name));
            let Some(metadata) = there(fs::symlink_metadata(&path), &path)? else { continue };
            let full = [prefix, b"/", &name].concat();
            if rest.is_empty() {
                self.hits += 1;
                self.names.insert(full);
                if self.names.len() > self.most {
                    return Err(GlobError::TooMany);
                }
            } else if metadata.is_dir() {
                self.below(&path, rest, &full)?;
            } else if metadata.is_symlink() && path.is_dir() {
                self.link = true;
            }
        }
        Ok(())
    }
}

/// What is gone, or was never there, is no error.
fn there<T>(looked: io::Result<T>, path: &Path) -> Result<Option<T>, GlobError> {
    match looked {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(source) => Err(GlobError::Unreadable { path: path.to_path_buf(), source }),
    }
}

fn matching(dir: &Path, part: &[u8], most: usize) -> Result<Vec<Vec<u8>>, GlobError> {
    if !part.iter().any(|byte| b"*?[\\".contains(byte)) {
        return Ok(vec![part.to_vec()]);
    }
    let mut found = Vec::new();
    for entry in there(fs::read_dir(dir), dir)?.into_iter().flatten() {
        let Some(entry) = there(entry, dir)? else { continue };
        let name = entry.file_name().as_bytes().to_vec();
        // A leading dot is matched only by a dot.
        if (name.first() != Some(&b'.') || part.first() == Some(&b'.')) && matches(part, &name) {
            found.push(name);
        }
        if found.len() > most {
            return Err(GlobError::TooMany);
        }
    }
    Ok(found)
}

/// Tells whether a name matches: `*`, `?`, `[…]`, `[!…]` and backslashes. Goes back only to the last star, so no pattern is slow.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut in_name) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at + 1, in_name));
            at += 1;
        } else if let Some(length) = one(&pattern[at..], name[in_name]) {
            at += length;
            in_name += 1;
        } else if let Some((after_star, from)) = star {
            at = after_star;
            in_name = from + 1;
            star = Some((after_star, from + 1));
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// Matches one byte and returns how much of the pattern that took.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [b'[', class @ ..] => match bracket(class, byte) {
            Some((true, length)) => Some(1 + length),
            Some((false, _)) => None,
            None => (byte == b'[').then_some(1),
        },
        [plain, ..] => (*plain == byte).then_some(1),
        [] => None,
    }
}

/// Reads the inside of `[…]`: whether the byte is in it, and its length with the closing bracket. None when it is never closed.
fn bracket(class: &[u8], byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(class.first(), Some(b'!' | b'^'));
    let mut at = usize::from(negated);
    let (first, mut hit) = (at, false);
    loop {
        match class[at..] {
            [] => return None,
            [b']', ..] if at > first => return Some((hit != negated, at + 1)),
            [low, b'-', high, ..] if high != b']' => {
                hit |= (low..=high).contains(&byte);
                at += 3;
            }
            [single, ..] => {
                hit |= single == byte;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_a_shell_would() {
        for (pattern, name, expected) in [
            ("*", "abc", true),
            ("a*c", "abc", true),
            ("a*c", "abd", false),
            ("a*b*c", "axbxbxc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[x", "[x", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("", "", true),
            ("**", "", true),
            ("\\", "\\", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
        let (slow, name) = ("a*".repeat(30) + "b", "a".repeat(200));
        assert!(!matches(slow.as_bytes(), name.as_bytes()), "and comes to an end");
    }

    fn pattern(text: &str) -> Pattern {
        Pattern { called: format!("include {text}"), text: text.as_bytes().to_vec() }
    }

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["a/one", "a/two", "b/one", ".hidden/one"] {
            fs::create_dir_all(dir.path().join(name)).expect("ours");
        }
        std::os::unix::fs::symlink("/", dir.path().join("out")).expect("ours");
        std::os::unix::fs::symlink("nowhere", dir.path().join("dangling")).expect("ours");
        dir
    }

    #[test]
    fn only_names_that_are_there_and_below_are_found_and_the_rest_is_remarked_on() {
        let dir = tree();
        for (text, expected, remark) in [
            ("./a", vec!["./a"], ""),
            ("./*", vec!["./a", "./b", "./dangling", "./out"], ""),
            ("./*/two", vec!["./a/two"], "passes through a link"),
            ("./[ab]/one", vec!["./a/one", "./b/one"], ""),
            ("./.h*/one", vec!["./.hidden/one"], ""),
            (".//a/./one", vec!["./a/one"], ""),
            ("./out/etc", vec![], "passes through a link"),
            ("./dangling/x", vec![], "is not there"),
            ("./../etc", vec![], "has .. in it"),
            ("./a/../../etc", vec![], "has .. in it"),
            ("./none", vec![], "is not there"),
            ("./none/*", vec![], "is not there"),
            ("/etc", vec![], "does not begin with ./"),
            ("a", vec![], "does not begin with ./"),
            ("./", vec!["."], ""),
        ] {
            let found = names(dir.path(), &[pattern(text)], MAX_NAMES).expect("readable");
            assert_eq!(found.names, expected.iter().map(|name| name.as_bytes().to_vec()).collect(), "{text}");
            match found.remarks.as_slice() {
                [] => assert_eq!(remark, "", "{text}"),
                [one] => assert!(!remark.is_empty() && one.starts_with(&format!("include {text} {remark}")), "{text}: {one}"),
                more => panic!("{text}: {more:?}"),
            }
        }
        let many: Vec<Pattern> = (0..250).map(|number| pattern(&format!("./none{number}"))).collect();
        let remarks = names(dir.path(), &many, MAX_NAMES).expect("readable").remarks;
        assert_eq!((remarks.len(), remarks[100].as_str()), (101, "150 more of what the server wants to include is not there"));
    }

    #[test]
    fn too_many_names_and_what_cannot_be_looked_at_are_errors() {
        let dir = tree();
        assert!(names(dir.path(), &[pattern("./*")], 4).is_ok());
        for patterns in [vec![pattern("./*")], vec![pattern("./a"), pattern("./b"), pattern("./a/one"), pattern("./b/one")]] {
            assert!(matches!(names(dir.path(), &patterns, 3), Err(GlobError::TooMany)));
        }
        // A name that no file system has, so that it fails for root as well.
        let long = pattern(&format!("./{}", "x".repeat(300)));
        assert!(matches!(names(dir.path(), &[long], MAX_NAMES), Err(GlobError::Unreadable { .. })));
        assert!(there(Err::<(), _>(ErrorKind::PermissionDenied.into()), dir.path()).is_err());
        assert!(matches!(there(Err::<(), _>(ErrorKind::NotFound.into()), dir.path()), Ok(None)));
    }
}
