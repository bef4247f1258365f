//! What the Tab key offers: commands, hosts, disks, and names in the directories of both sides.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use super::browse::{By, path, typed};
use super::shell::Shell;
use super::words::{COMMANDS, Word, words};

/// Names that are offered at most.
const MOST: usize = 500;

/// What may stand in the place of what begins there.
#[derive(Debug, PartialEq, Eq)]
pub struct Offer {
    /// Where the word begins, in bytes.
    pub start: usize,
    /// The words.
    pub words: Vec<String>,
}

impl Shell<'_> {
    /// Returns what the last word of a line may become.
    pub fn complete(&mut self, line: &str) -> Offer {
        let none = || Offer { start: line.len(), words: Vec::new() };
        let Ok(mut typed_words) = words(line.as_bytes()) else { return none() };
        let is_new = line.is_empty() || line.ends_with(|last: char| last.is_ascii_whitespace());
        let last = if is_new { None } else { typed_words.pop() };
        let begun = last.as_ref().map_or(&[][..], Word::as_typed);
        let Ok(begun) = std::str::from_utf8(begun) else { return none() };
        let start = line.len() - begun.len();
        let Some(command) = typed_words.first().map(Word::as_typed) else {
            let words = COMMANDS.iter().filter(|command| command.starts_with(begun));
            return Offer { start, words: words.map(|command| (*command).to_owned()).collect() };
        };
        let mut words = match command {
            b"sethost" => self.archive.hosts().iter().map(|host| host.as_str().to_owned()).collect(),
            b"setdisk" => self.disks().map(|disk| typed(disk.as_bytes())).collect(),
            b"cd" => self.there(begun, true),
            b"add" | b"delete" => self.there(begun, false),
            b"lcd" => here(begun),
            _ => Vec::new(),
        };
        words.retain(|word: &String| word.starts_with(begun));
        words.sort();
        words.dedup();
        words.truncate(MOST);
        Offer { start, words }
    }

    /// Names in a directory of the disk.
    fn there(&mut self, begun: &str, only_directories: bool) -> Vec<String> {
        let Some(view) = self.view.clone() else { return Vec::new() };
        let Some(state) = &view.state else { return Vec::new() };
        let before = before(begun);
        let typed_before = words(before.as_bytes()).ok().and_then(|words| words.first().map(Word::pattern));
        let directory = match typed_before {
            None => view.cwd.clone(),
            Some(Ok(typed)) => match view.directory(self.archive, &mut self.listings, &typed, By::Wildcards) {
                Ok(directory) => directory,
                Err(_) => return Vec::new(),
            },
            Some(Err(_)) => return Vec::new(),
        };
        let Ok(entries) = self.listings.of(self.archive, state, &directory) else { return Vec::new() };
        let offered = entries.iter().filter(|entry| entry.is_directory || !only_directories);
        offered.map(|entry| format!("{before}{}{}", typed(&entry.name), if entry.is_directory { "/" } else { "" })).collect()
    }
}

/// Local directories.
fn here(begun: &str) -> Vec<String> {
    let before = before(begun);
    let directory = match words(before.as_bytes()).ok().and_then(|words| words.first().map(Word::plain)) {
        None => ".".into(),
        Some(Ok(typed)) => path(&typed),
        Some(Err(_)) => return Vec::new(),
    };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.path().is_dir());
    directories.map(|entry| format!("{before}{}/", typed(entry.file_name().as_bytes()))).collect()
}

/// The part up to the last `/`, that included.
fn before(begun: &str) -> &str {
    begun.rfind('/').map_or("", |at| &begun[..=at])
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Listener, Trees, dump};
    use super::*;

    #[test]
    fn the_last_word_is_completed_from_what_there_is() {
        let mut trees =
            Trees { trees: vec![(dump("/etc", 0, 100), vec!["hosts", "two words", "ssh/sshd_config", "ssl/certs/a"])], ..Trees::default() };
        let mut listener = Listener::default();
        let mut shell = Shell::new(&mut trees, &mut listener, "server".parse().expect("a name"), None, false).expect("it begins");
        shell.line(b"setdisk /etc").expect("it goes on");
        for (line, start, expected) in [
            ("se", 0, &["setdate", "setdisk", "sethost"][..]),
            ("sethost ", 8, &["server"]),
            ("setdisk /e", 8, &["/etc"]),
            ("add h", 4, &["hosts"]),
            ("add two", 4, &[r"two\ words"]),
            (r"add two\ w", 4, &[r"two\ words"]),
            ("cd s", 3, &["ssh/", "ssl/"]),
            ("add hosts ssh/", 10, &["ssh/sshd_config"]),
            ("add /etc/ssl/", 4, &["/etc/ssl/certs/"]),
            ("cd h", 3, &[]),
            ("cd none/", 3, &[]),
            ("add \"two", 8, &[]),
            ("pwd x", 4, &[]),
        ] {
            assert_eq!(shell.complete(line), Offer { start, words: expected.iter().map(|word| (*word).to_owned()).collect() }, "{line:?}");
        }
    }
}
