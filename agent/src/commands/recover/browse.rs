//! Directories of a disk as they were: where we are, what is there, which names a pattern means.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use restore::resolve::State;
use wire::DiskName;
use wire::restore::{DumpId, PathBytes};

use super::archive::{Archive, Entry, Unanswered};
use super::patterns::{Pattern, PatternError, has_wildcard};
use crate::report::show;

/// Listings that are kept.
const KEPT: usize = 64;

/// The disk that is looked at.
#[derive(Debug, Clone)]
pub struct View {
    /// Its name.
    pub disk: DiskName,
    /// Where it is mounted, or said to be.
    pub mount: PathBuf,
    /// As it was; none when there is no dump at that time.
    pub state: Option<State>,
    /// The directory.
    pub cwd: PathBytes,
}

/// How a name is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Shell wildcards.
    Wildcards,
    /// Regular expressions.
    Expression,
}

/// Why a name is none.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// No such directory.
    #[error("Invalid directory - {0}")]
    NoDirectory(String),
    /// Above the disk, or beside it.
    #[error("Invalid directory - Can't cd outside mount point \"{}\"", .0.display())]
    Outside(PathBuf),
    /// More than one.
    #[error("Too many directories matching '{0}'")]
    TooMany(String),
    /// No pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// No dump.
    #[error("No dump of the disk at that date")]
    NoDump,
    /// No answer.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
}

/// Listings that were asked for.
#[derive(Debug, Default)]
pub struct Listings(BTreeMap<(DumpId, PathBytes), Vec<Entry>>);

impl Listings {
    /// Returns what was in a directory, sorted by name.
    pub fn of(&mut self, archive: &mut dyn Archive, state: &State, directory: &PathBytes) -> Result<&[Entry], Unanswered> {
        let key = (state.last().clone(), directory.clone());
        if !self.0.contains_key(&key) {
            let mut entries = archive.entries(state, directory)?;
            entries.sort_by(|one, other| one.name.cmp(&other.name));
            if self.0.len() >= KEPT {
                self.0.clear();
            }
            self.0.insert(key.clone(), entries);
        }
        Ok(self.0.get(&key).map_or(&[], Vec::as_slice))
    }
}

/// Returns bytes as a path.
pub fn path(bytes: &[u8]) -> PathBuf {
    OsStr::from_bytes(bytes).into()
}

/// Returns a path for people.
pub fn shown(path: &Path) -> String {
    show(path.as_os_str().as_bytes())
}

/// Returns a path below a directory.
pub fn below(directory: &PathBytes, name: &[u8]) -> PathBytes {
    match directory.as_bytes() {
        [] => PathBytes::new(name),
        above => PathBytes::new(&[above, b"/", name].concat()),
    }
}

/// Splits a path into the directory it is in, and its name.
pub fn split(path: &PathBytes) -> (PathBytes, &[u8]) {
    let bytes = path.as_bytes();
    match bytes.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (PathBytes::new(&bytes[..at]), &bytes[at + 1..]),
        None => (PathBytes::default(), bytes),
    }
}

/// Splits what was typed into the part before the last `/`, and the rest; nothing before it when there is none.
pub fn last_part(typed: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match typed.iter().rposition(|byte| *byte == b'/') {
        Some(0) => (Some(b"/"), &typed[1..]),
        Some(at) => (Some(&typed[..at]), &typed[at + 1..]),
        None => (None, typed),
    }
}

impl View {
    /// Returns a path of this disk as it is called on the machine.
    pub fn full(&self, below: &PathBytes) -> PathBuf {
        match below.as_bytes() {
            [] => self.mount.clone(),
            bytes => self.mount.join(path(bytes)),
        }
    }

    /// Finds the one directory that is meant, from here or by its whole name.
    pub fn directory(&self, archive: &mut dyn Archive, listings: &mut Listings, typed: &[u8], by: By) -> Result<PathBytes, NameError> {
        let state = self.state.as_ref().ok_or(NameError::NoDump)?;
        let outside = || NameError::Outside(self.mount.clone());
        let (mut here, rest) = match typed.first() {
            Some(b'/') => {
                let mount = self.mount.as_os_str().as_bytes();
                let rest = typed.strip_prefix(mount).or_else(|| mount.strip_suffix(b"/").and_then(|mount| typed.strip_prefix(mount)));
                let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with(b"/") || mount == b"/");
                (PathBytes::default(), rest.ok_or_else(outside)?)
            }
            _ => (self.cwd.clone(), typed),
        };
        let mut parts = rest.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
        for part in &mut parts {
            if part == b".." {
                if here == PathBytes::default() {
                    return Err(outside());
                }
                here = split(&here).0;
                continue;
            }
            let pattern = match by {
                By::Wildcards if !has_wildcard(part) => None,
                By::Wildcards => Some(Pattern::wildcards(part)?),
                By::Expression => Some(Pattern::expression(part)?),
            };
            let entries = listings.of(archive, state, &here)?;
            // What is called just so is meant, whatever else the pattern may mean.
            let exactly = |entry: &&Entry| entry.name == part;
            let fits = |entry: &&Entry| pattern.as_ref().map_or(entry.name == part, |pattern| pattern.matches(&entry.name));
            let directories = || entries.iter().filter(|entry| entry.is_directory);
            let mut found = directories().filter(exactly).chain(directories().filter(fits).filter(|entry| entry.name != part));
            let one = found.next().ok_or_else(|| NameError::NoDirectory(show(typed)))?;
            if one.name != part && found.next().is_some() {
                return Err(NameError::TooMany(show(typed)));
            }
            here = below(&here, &one.name);
        }
        Ok(here)
    }

    /// Tells whether a directory was there.
    pub fn has(&self, archive: &mut dyn Archive, listings: &mut Listings, directory: &PathBytes) -> Result<bool, NameError> {
        let state = self.state.as_ref().ok_or(NameError::NoDump)?;
        if directory.as_bytes().is_empty() {
            return Ok(true);
        }
        let (above, name) = split(directory);
        match listings.of(archive, state, &above) {
            Ok(entries) => Ok(entries.iter().any(|entry| entry.is_directory && entry.name == name)),
            Err(Unanswered::No(_)) => Ok(false),
            Err(Unanswered::Lost) => Err(Unanswered::Lost.into()),
        }
    }

    /// Returns the entries that are meant, each with its path. `.` is the directory itself.
    pub fn entries(
        &self,
        archive: &mut dyn Archive,
        listings: &mut Listings,
        typed: &[u8],
        by: By,
    ) -> Result<Vec<(PathBytes, bool)>, NameError> {
        let state = self.state.as_ref().ok_or(NameError::NoDump)?;
        let (directory, pattern) = match self.meant(archive, listings, typed, by)? {
            Meant::Directory(directory) => return Ok(vec![(directory, true)]),
            Meant::In(directory, pattern) => (directory, pattern),
        };
        let entries = listings.of(archive, state, &directory)?;
        let meant = entries.iter().filter(|entry| pattern.matches(&entry.name));
        Ok(meant.map(|entry| (below(&directory, &entry.name), entry.is_directory)).collect())
    }

    /// Returns those of the paths that are meant.
    pub fn among<'p>(
        &self,
        archive: &mut dyn Archive,
        listings: &mut Listings,
        paths: impl Iterator<Item = &'p PathBytes>,
        typed: &[u8],
        by: By,
    ) -> Result<Vec<PathBytes>, NameError> {
        let meant = self.meant(archive, listings, typed, by)?;
        let is_meant = |path: &&PathBytes| match &meant {
            Meant::Directory(directory) => *path == directory,
            Meant::In(directory, pattern) => {
                let (above, name) = split(path);
                above == *directory && !name.is_empty() && pattern.matches(name)
            }
        };
        Ok(paths.filter(is_meant).cloned().collect())
    }

    fn meant(&self, archive: &mut dyn Archive, listings: &mut Listings, typed: &[u8], by: By) -> Result<Meant, NameError> {
        let trimmed = match typed.iter().rposition(|byte| *byte != b'/') {
            Some(last) => &typed[..=last],
            None => typed,
        };
        let (before, name) = last_part(trimmed);
        // The disk's own name means the disk.
        if matches!(name, b"" | b"." | b"..") || trimmed == self.mount.as_os_str().as_bytes() {
            return Ok(Meant::Directory(self.directory(archive, listings, trimmed, by)?));
        }
        let directory = before.map_or(Ok(self.cwd.clone()), |before| self.directory(archive, listings, before, by))?;
        let pattern = match by {
            By::Wildcards => Pattern::wildcards(name)?,
            By::Expression => Pattern::expression(name)?,
        };
        Ok(Meant::In(directory, pattern))
    }
}

/// Where a name that was typed is looked for.
#[derive(Debug)]
enum Meant {
    /// It is a directory itself.
    Directory(PathBytes),
    /// In a directory, by this pattern.
    In(PathBytes, Pattern),
}

/// Returns a name as it can be typed into the shell: blanks and wildcards behind a backslash, what is no text in octal digits.
pub fn typed(name: &[u8]) -> String {
    let mut text = String::new();
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            if show(character.to_string()) != character.to_string() {
                character.to_string().bytes().for_each(|byte| text.push_str(&format!("\"\\{byte:03o}\"")));
            } else {
                if r#" "'*?[\#"#.contains(character) {
                    text.push('\\');
                }
                text.push(character);
            }
        }
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\"\\{byte:03o}\"")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::words::{self, Line};
    use super::*;

    #[test]
    fn what_completion_offers_means_the_name_itself() {
        for name in [
            &b"plain.txt"[..],
            b"two words",
            b"a*b?c[d]",
            b"back\\slash",
            b"\"quoted\"",
            b"\xff\xfe",
            "gr\u{fc}n".as_bytes(),
            b"tab\tnew\nline",
            b"#x",
            b"\xe2\x80\xae",
        ] {
            let line = format!("add {}", typed(name));
            let Ok(Line::Add(words)) = words::parse(line.as_bytes()) else { panic!("{line}") };
            assert_eq!(words.len(), 1, "{line}");
            assert!(Pattern::wildcards(&words[0].pattern().expect("a word")).expect("a pattern").matches(name), "{line}");
            assert_eq!(words[0].plain().expect("a word"), name, "{line}");
        }
    }

    #[test]
    fn paths_are_put_together_and_taken_apart() {
        let path = |text: &str| PathBytes::new(text.as_bytes());
        assert_eq!(below(&path(""), b"a"), path("a"));
        assert_eq!(below(&path("a"), b"b"), path("a/b"));
        assert_eq!(split(&path("a/b")), (path("a"), &b"b"[..]));
        assert_eq!(split(&path("a")), (path(""), &b"a"[..]));
        assert_eq!(last_part(b"/a"), (Some(&b"/"[..]), &b"a"[..]));
        assert_eq!(last_part(b"a/b/c"), (Some(&b"a/b"[..]), &b"c"[..]));
        assert_eq!(last_part(b"a"), (None, &b"a"[..]));
    }
}
