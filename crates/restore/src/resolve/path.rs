//! Paths below a disk's directory, taken apart and put together.

use wire::restore::{MAX_PATHS, PathBytes};

/// What the paths of one question may take as JSON, in a frame of 64 KiB.
const MAX_ASKED: usize = 48 << 10;

/// Returns `path` below `dir`; either may be empty.
pub(crate) fn below(dir: &PathBytes, path: &[u8]) -> PathBytes {
    match (dir.as_bytes(), path) {
        (dir, b"") => PathBytes::new(dir),
        (b"", path) => PathBytes::new(path),
        (dir, path) => PathBytes::new(&[dir, b"/", path].concat()),
    }
}

/// Returns what `path` has behind `dir` when it is in it: nothing for itself.
pub(crate) fn behind<'a>(path: &'a PathBytes, dir: &PathBytes) -> Option<&'a [u8]> {
    let rest = path.as_bytes().strip_prefix(dir.as_bytes()).filter(|_| path.is_in(dir))?;
    Some(rest.strip_prefix(b"/").unwrap_or(rest))
}

/// Returns the directory that a path lies in and its name there; nothing for the disk's own directory.
pub(crate) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    match memchr::memrchr(b'/', path) {
        Some(slash) => Some((&path[..slash], &path[slash + 1..])),
        None if path.is_empty() => None,
        None => Some((&[], path)),
    }
}

/// Returns how much of a question a path takes, in bytes of JSON.
fn asked(path: &PathBytes) -> usize {
    match std::str::from_utf8(path.as_bytes()) {
        Ok(text) => {
            let escaped = |byte: u8| match byte {
                0..=0x1f => 6,
                b'"' | b'\\' => 2,
                _ => 1,
            };
            3 + text.bytes().map(escaped).sum::<usize>()
        }
        Err(_) => r#"{"hex":""},"#.len() + 2 * path.as_bytes().len(),
    }
}

/// Returns how many of the first paths one question may have: at least one, so that whoever asks gets on.
pub(crate) fn first_that_fit<'p>(paths: impl Iterator<Item = &'p PathBytes>) -> usize {
    let mut bytes = 0;
    let fit = paths.take(MAX_PATHS).take_while(|path| {
        bytes += asked(path);
        bytes <= MAX_ASKED
    });
    fit.count().max(1)
}

/// Says whether one question may have all of these paths.
pub(crate) fn fits(paths: &[PathBytes]) -> bool {
    paths.len() <= MAX_PATHS && paths.iter().map(asked).sum::<usize>() <= MAX_ASKED
}

/// Returns at most `most` paths, which fit into a question, that everything in `paths` lies in, as deep as can be: the disk's own directory in the end.
pub(crate) fn cover(mut paths: Vec<PathBytes>, most: usize) -> Vec<PathBytes> {
    loop {
        paths.sort_unstable();
        paths.dedup();
        // What lies in another one goes along with it. Sorted, all that is below a path need not follow it at once (`a`, `a-b`, `a/b`).
        let kept: Vec<PathBytes> = {
            let all: std::collections::HashSet<&[u8]> = paths.iter().map(PathBytes::as_bytes).collect();
            let is_covered = |path: &PathBytes| {
                let mut dir = path.as_bytes();
                while let Some((above, _)) = split(dir) {
                    if all.contains(above) {
                        return true;
                    }
                    dir = above;
                }
                false
            };
            paths.iter().filter(|path| !is_covered(path)).cloned().collect()
        };
        if kept.len() <= most && fits(&kept) {
            return kept;
        }
        // The deepest ones give way to the directories that they are in.
        let depth = |path: &PathBytes| path.as_bytes().iter().filter(|byte| **byte == b'/').count();
        let deepest = kept.iter().map(depth).max().unwrap_or(0);
        let lift = |path: PathBytes| {
            if depth(&path) < deepest { path } else { PathBytes::new(split(path.as_bytes()).map_or(b"", |(dir, _)| dir)) }
        };
        paths = kept.into_iter().map(lift).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(paths: &[&str]) -> Vec<PathBytes> {
        paths.iter().map(|path| PathBytes::new(path.as_bytes())).collect()
    }

    #[test]
    fn few_paths_cover_many() {
        for (given, most, covers) in [
            (&["a/b", "a", "a-b", "a/b/c"][..], 9, &["a", "a-b"][..]),
            (&["a/b/c", "a/b/d", "x"], 2, &["a/b", "x"]),
            (&["a/b", "a/c", "b/c", "x"], 3, &["a", "b", "x"]),
            (&["a/b", "a/c", "b/c", "x"], 2, &[""]),
            (&["a", "b"], 1, &[""]),
            (&["", "b"], 1, &[""]),
            (&[], 1, &[]),
        ] {
            assert_eq!(cover(paths(given), most), paths(covers), "{given:?}");
        }
    }

    #[test]
    fn long_paths_fit_into_one_question() {
        for filler in ["x", "\u{1}", "\u{e9}"] {
            let long = |at: usize| PathBytes::new(format!("d/{at:03}{}", filler.repeat(250 / filler.len())).as_bytes());
            let many: Vec<PathBytes> = (0..256).map(long).collect();
            assert!(!fits(&many));
            assert_eq!(cover(many.clone(), MAX_PATHS), paths(&["d"]));
            let some = first_that_fit(many.iter());
            let json = |paths: &[PathBytes]| serde_json::to_string(paths).expect("serialises").len();
            assert!(fits(&many[..some]) && json(&many[..some]) <= MAX_ASKED + 1 && json(&many[..=some]) > MAX_ASKED, "{filler:?} {some}");
        }
        let hex = PathBytes::new(b"\xff\xfe");
        assert_eq!(asked(&hex), serde_json::to_string(&hex).expect("serialises").len() + 1);
        assert_eq!(first_that_fit([PathBytes::new(&[1; 16_000])].iter()), 1);
    }

    #[test]
    fn a_path_is_taken_apart_and_put_together() {
        for (dir, name, path) in [("", "a", "a"), ("a", "b", "a/b"), ("a/b", "c", "a/b/c")] {
            let dir = PathBytes::new(dir.as_bytes());
            assert_eq!(below(&dir, name.as_bytes()).as_bytes(), path.as_bytes());
            assert_eq!(split(path.as_bytes()), Some((dir.as_bytes(), name.as_bytes())));
            assert_eq!(behind(&PathBytes::new(path.as_bytes()), &dir), Some(name.as_bytes()));
        }
        assert_eq!(split(b""), None);
        assert_eq!(behind(&PathBytes::new(b"ab"), &PathBytes::new(b"a")), None);
    }
}
