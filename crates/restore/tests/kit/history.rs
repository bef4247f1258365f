//! A disk, and its dumps as a client makes them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use wire::names::DiskName;
use wire::restore::{Dump, DumpId, Packing};

/// Whose tar it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Ours: posix format, nanoseconds, attributes.
    Ours,
    /// Amanda's: GNU format, whole seconds.
    Amandas,
}

/// A disk with a past.
pub struct History {
    dir: TempDir,
    client: Client,
    pub packing: Packing,
    pub dumps: Vec<Made>,
    /// What tar is told to leave out.
    pub exclude: Vec<&'static str>,
    /// What alone it is told to read.
    pub include: Vec<&'static str>,
}

/// One dump.
#[derive(Debug, Clone)]
pub struct Made {
    pub level: u8,
    /// By number, level 0 first.
    pub chain: Vec<usize>,
    pub archive: PathBuf,
    /// The disk as it was.
    pub copy: PathBuf,
}

impl History {
    pub fn new(client: Client) -> Self {
        let dir = tempfile::Builder::new().prefix("restore").tempdir().expect("a directory");
        for name in ["disk", "snapshots", "dumps", "copies"] {
            fs::create_dir(dir.path().join(name)).expect("new");
        }
        Self { dir, client, packing: Packing::Plain, dumps: Vec::new(), exclude: Vec::new(), include: Vec::new() }
    }

    pub fn disk(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    /// A path for whatever a test wants.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs a shell script in the disk's directory.
    pub fn change(&self, script: &str) {
        let done = Command::new("bash").args(["-euc", script]).current_dir(self.disk()).status().expect("a shell");
        assert!(done.success(), "{script}");
    }

    /// Makes a dump, on a copy of the list of the last dump below it, and returns its number.
    pub fn dump(&mut self, level: u8) -> usize {
        let number = self.dumps.len();
        let snapshot = |number: usize| self.dir.path().join("snapshots").join(number.to_string());
        let base = self.dumps.iter().rposition(|made| made.level < level);
        match base {
            Some(base) => drop(fs::copy(snapshot(base), snapshot(number)).expect("a list")),
            None => fs::write(snapshot(number), "").expect("new"),
        }
        let archive = self.dir.path().join("dumps").join(format!("{number}.tar"));
        let mut tar = Command::new("tar");
        tar.env("LC_ALL", "C").args(["--create", "--file"]).arg(&archive).arg("--directory").arg(self.disk());
        tar.args(["--one-file-system", "--sparse", "--ignore-failed-read", "--totals", "--listed-incremental"]).arg(snapshot(number));
        match self.client {
            Client::Ours => tar.args(["--format=posix", "--xattrs", "--xattrs-include=*", "--acls"]),
            Client::Amandas => tar.arg("--format=gnu"),
        };
        tar.args(self.exclude.iter().map(|pattern| format!("--exclude={pattern}")));
        if self.include.is_empty() {
            tar.arg(".")
        } else {
            tar.args(&self.include)
        };
        let said = tar.stderr(Stdio::piped()).output().expect("tar");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        let mut chain = base.map_or_else(Vec::new, |base| self.dumps[base].chain.clone());
        chain.push(number);
        let copy = self.dir.path().join("copies").join(number.to_string());
        let copied = Command::new("cp").arg("-a").arg("--sparse=always").arg(self.disk()).arg(&copy).status().expect("cp");
        assert!(copied.success());
        self.dumps.push(Made { level, chain, archive, copy });
        number
    }

    pub fn id(&self, number: usize) -> DumpId {
        DumpId {
            host: "laptop1".parse().expect("a name"),
            disk: DiskName::new("/home").expect("a name"),
            datestamp: format!("20261101{number:06}"),
            level: self.dumps[number].level,
        }
    }

    pub fn catalog(&self) -> Vec<Dump> {
        let dump = |(number, made): (usize, &Made)| Dump {
            id: self.id(number),
            time: i64::try_from(number).expect("few"),
            chain: made.chain.iter().map(|base| (self.dumps[*base].level, self.id(*base).datestamp)).collect(),
            why_not: String::new(),
            bytes: fs::metadata(&made.archive).expect("a dump").len(),
            orig_kb: 0,
            places: Vec::new(),
            verified: None,
        };
        self.dumps.iter().enumerate().map(dump).collect()
    }

    /// Whether fractions of seconds and attributes are in the dumps.
    pub fn is_exact(&self) -> bool {
        self.client == Client::Ours
    }

    pub fn archive(&self, number: usize) -> &Path {
        &self.dumps[number].archive
    }
}
