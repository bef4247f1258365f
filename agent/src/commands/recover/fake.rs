//! Dumps that the tests of the shell look into.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use restore::resolve::State;
use wire::restore::{Dump, DumpId, PathBytes};
use wire::{DiskName, HostName};

use super::archive::{Archive, Entry, Extracted, Person, Unanswered};

/// Returns a dump of host "server" that can be restored.
pub fn dump(disk: &str, level: u8, time: i64) -> Dump {
    let id = DumpId {
        host: "server".parse().expect("a name"),
        disk: DiskName::new(disk).expect("a name"),
        datestamp: format!("{:014}", 20_261_120_000_000 + time),
        level,
    };
    let own = (level, id.datestamp.clone());
    let chain = if level == 0 { vec![own] } else { vec![(0, format!("{:014}", 20_261_120_000_000_i64)), own] };
    Dump { id, time, chain, why_not: String::new(), bytes: 0, orig_kb: 0, places: vec!["vault-001:1".to_owned()], verified: None }
}

/// Returns the state that such a dump makes by itself.
pub fn state(disk: &str, level: u8, time: i64) -> State {
    let dump = dump(disk, level, time);
    State { chain: vec![dump.id], bytes: vec![0], time, passed_over: None, doubt: None }
}

/// Trees of files, each as it was at the time of a dump.
#[derive(Default)]
pub struct Trees {
    /// For each dump its files' paths.
    pub trees: Vec<(Dump, Vec<&'static str>)>,
    /// What was extracted: from which date, what, where to, over existing files or not.
    pub extracted: Vec<(i64, Vec<String>, PathBuf, bool)>,
    /// How often a directory was asked for.
    pub asked: usize,
    /// What an extraction ends in.
    pub damaged: bool,
    /// Nobody answers any more.
    pub lost: bool,
}

impl Archive for Trees {
    fn hosts(&mut self) -> Vec<HostName> {
        vec!["server".parse().expect("a name")]
    }

    fn dumps(&mut self, host: &HostName) -> Result<Vec<Dump>, Unanswered> {
        match host.as_str() {
            "secret" => Err(Unanswered::No("this key may not read the dumps of secret".to_owned())),
            _ => Ok(self.trees.iter().map(|(dump, _)| dump.clone()).filter(|dump| dump.id.host == *host).collect()),
        }
    }

    fn entries(&mut self, state: &State, directory: &PathBytes) -> Result<Vec<Entry>, Unanswered> {
        if self.lost {
            return Err(Unanswered::Lost);
        }
        self.asked += 1;
        let (_, files) = self.trees.iter().find(|(known, _)| known.id == *state.last()).expect("a dump of ours");
        let mut entries = BTreeMap::new();
        for file in files {
            let path = PathBytes::new(file.as_bytes());
            if !path.is_in(directory) || path == *directory {
                continue;
            }
            let start = if directory.as_bytes().is_empty() { 0 } else { directory.as_bytes().len() + 1 };
            let rest = &file[start..];
            let (name, is_directory) = rest.split_once('/').map_or((rest, false), |(name, _)| (name, true));
            entries.insert(name.to_owned(), Entry { name: name.into(), is_directory, dumped: Some(state.time) });
        }
        Ok(entries.into_values().collect())
    }

    fn extract(&mut self, state: &State, paths: &[PathBytes], into: &Path, overwrite: bool) -> Result<Extracted, Unanswered> {
        let paths = paths.iter().map(|path| String::from_utf8_lossy(path.as_bytes()).into_owned()).collect();
        self.extracted.push((state.time, paths, into.to_path_buf(), overwrite));
        Ok(if self.damaged { Extracted::NotAll } else { Extracted::All })
    }

    fn directory(&self, _: &DiskName) -> Option<PathBuf> {
        None
    }
}

/// Hears everything, and answers as it was told to.
#[derive(Default)]
pub struct Listener {
    /// What was said.
    pub said: Vec<String>,
    /// What is answered, the last one first; nobody is there when it is empty.
    pub answers: Vec<bool>,
}

impl Person for Listener {
    fn say(&mut self, line: &str) {
        self.said.extend(line.lines().map(str::to_owned));
    }

    fn ask(&mut self, question: &str, _: bool) -> Option<bool> {
        let answer = self.answers.pop()?;
        self.said.push(format!("{question} {answer}"));
        Some(answer)
    }
}
