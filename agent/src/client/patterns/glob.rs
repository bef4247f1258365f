//! Which names below a directory match `./…` patterns: glob(3) without following symlinks on the way.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Names that one request may come to.
const MAX_NAMES: usize = 100_000;

/// Returns the names that are there, as tar wants them: `./a/b`. A pattern that does not begin with `./`, or has `..` in it, matches
/// nothing.
pub fn names(device: &Path, patterns: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut found = BTreeSet::new();
    for pattern in patterns {
        let Some(rest) = pattern.strip_prefix(b"./") else { continue };
        let parts: Vec<&[u8]> = rest.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && part != b".").collect();
        if parts.is_empty() {
            found.insert(b".".to_vec());
        } else if !parts.contains(&&b".."[..]) {
            below(device, &parts, b".", &mut found);
        }
    }
    found.into_iter().collect()
}

fn below(dir: &Path, parts: &[&[u8]], prefix: &[u8], found: &mut BTreeSet<Vec<u8>>) {
    let Some((part, rest)) = parts.split_first() else { return };
    for name in matching(dir, part) {
        if found.len() >= MAX_NAMES {
            return;
        }
        let path = dir.join(std::ffi::OsStr::from_bytes(&name));
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        let full = [prefix, b"/", &name].concat();
        if rest.is_empty() {
            found.insert(full);
        } else if metadata.is_dir() {
            below(&path, rest, &full, found);
        }
    }
}

fn matching(dir: &Path, part: &[u8]) -> Vec<Vec<u8>> {
    if !part.iter().any(|byte| b"*?[\\".contains(byte)) {
        return vec![part.to_vec()];
    }
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().as_bytes().to_vec());
    // A leading dot is matched only by a dot.
    names.filter(|name| (name[0] != b'.' || part[0] == b'.') && matches(part, name)).collect()
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

    #[test]
    fn only_names_that_are_there_and_below_are_found() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["a/one", "a/two", "b/one", ".hidden/one"] {
            fs::create_dir_all(dir.path().join(name)).expect("ours");
        }
        std::os::unix::fs::symlink("/", dir.path().join("out")).expect("ours");
        for (pattern, expected) in [
            ("./a", vec!["./a"]),
            ("./*", vec!["./a", "./b", "./out"]),
            ("./*/one", vec!["./a/one", "./b/one"]),
            ("./.h*/one", vec!["./.hidden/one"]),
            (".//a/./one", vec!["./a/one"]),
            ("./out/etc", vec![]),
            ("./../etc", vec![]),
            ("./a/../../etc", vec![]),
            ("./none", vec![]),
            ("/etc", vec![]),
            ("a", vec![]),
            ("./", vec!["."]),
        ] {
            let found = names(dir.path(), &[pattern.as_bytes().to_vec()]);
            assert_eq!(found, expected.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>(), "{pattern}");
        }
    }
}
