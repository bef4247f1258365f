//! Directories to back up, vaults, and the way back with dd, zstd and tar.
#![allow(dead_code, reason = "every test uses its own part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::{Ran, World};

/// Any ordinary user's.
const NOBODY: u32 = 65534;

/// What stands before the command for those who have only zstd and tar.
pub const WITHOUT: &str = "Without asyncamanda, with zstd and tar alone: ";

/// A world with two trees.
pub struct Vaults {
    pub world: World,
    user: Option<u32>,
}

impl Vaults {
    pub fn new() -> Self {
        let world = World::without_key();
        for directory in ["docs/deep", "pictures"] {
            fs::create_dir_all(world.path(directory)).expect("made");
        }
        for (name, text) in [("docs/one", "one\n"), ("docs/two words", "two\n"), ("docs/deep/three", "three\n"), ("pictures/cat", "miau\n")]
        {
            world.write(name, text);
        }
        world.write("docs/large", (0..2_000_000_u32).map(|at| (at / 7 % 251) as u8).collect::<Vec<_>>());
        std::os::unix::fs::symlink("one", world.path("docs/link")).expect("made");
        fs::hard_link(world.path("docs/one"), world.path("docs/hard")).expect("made");
        fs::set_permissions(world.path("docs/two words"), fs::Permissions::from_mode(0o640)).expect("set");
        let attribute = Command::new("setfattr").args(["-n", "user.why", "-v", "because"]).arg(world.path("docs/one")).status();
        // A file system without attributes has none to lose.
        let _ = attribute;
        Self { world, user: None }
    }

    /// The same for a user who is not root.
    pub fn as_nobody() -> Self {
        let mut vaults = Self::new();
        if nix::unistd::geteuid().is_root() {
            vaults.user = Some(NOBODY);
            give(vaults.world.path("").as_path());
        }
        vaults
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.world.path(name)
    }

    pub fn name(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Runs the agent as the world's user; its state is in `state` unless the arguments say otherwise.
    pub fn ran(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        Ran::of(command.output().expect("it starts"))
    }

    /// The same, to be run in other ways.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        let configured = self.path("agent.toml").exists();
        if !configured && !arguments.iter().any(|word| word == "--state") {
            arguments.extend(["--state".to_owned(), self.name("state")]);
        }
        let mut command = self.world.command(&arguments);
        if !configured {
            command.env_remove("ASYNCAMANDA_CONFIG");
        }
        let Some(user) = self.user else { return command };
        let mut other = Command::new("setpriv");
        other.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups", "--"]);
        other.arg(command.get_program()).args(command.get_args()).env_clear();
        other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(self.path("home"));
        other
    }

    /// Runs the agent as whoever runs the tests.
    pub fn as_root(&self, arguments: &[&str]) -> Ran {
        let state = self.name("roots-state");
        let arguments = [arguments, &["--state", &state]].concat();
        let mut command = self.world.command(&arguments);
        Ran::of(command.env_remove("ASYNCAMANDA_CONFIG").output().expect("it starts"))
    }

    /// `now`, which succeeds.
    #[track_caller]
    pub fn now(&self, vault: &str, directories: &[&str]) -> Ran {
        let directories: Vec<String> = directories.iter().map(|name| self.name(name)).collect();
        let vault = self.name(vault);
        let mut arguments = vec!["now"];
        arguments.extend(directories.iter().map(String::as_str));
        arguments.extend(["--to", &vault]);
        let ran = self.ran(&arguments);
        assert_eq!(ran.status, 0, "out: {}\nerr: {}", ran.out, ran.err);
        ran
    }

    /// Writes agent.toml for a vault.
    pub fn configure(&self, vault: &str, disks: &[&str]) {
        self.configure_with(vault, disks, "");
    }

    fn configure_with(&self, vault: &str, disks: &[&str], more: &str) {
        let disks: String = disks.iter().map(|disk| format!("[[disk]]\npath = \"{}\"\n", self.name(disk))).collect();
        let vault = self.name(vault);
        self.world.write("agent.toml", format!("{more}state = \"state\"\n[server]\ndestination = \"{vault}\"\n{disks}"));
    }

    /// Writes agent.toml with a tar that waits at a gate before it dumps.
    pub fn gated_tar(&self, vault: &str, disks: &[&str]) {
        let (gate, pid) = (self.name("gate"), self.name("gate-pid"));
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *--listed-incremental*) while [ -e {gate} ]; do echo $$ > {pid}; sleep 0.02; done;; esac\nexec /usr/bin/tar \"$@\"\n"
        );
        let tar = self.world.write("bin/tar", script);
        fs::set_permissions(&tar, fs::Permissions::from_mode(0o755)).expect("set");
        self.configure_with(vault, disks, &format!("programs = [\"{}\", \"/usr/bin/zstd\"]\n", tar.display()));
    }

    pub fn close_gate(&self) {
        self.world.write("gate", "");
    }

    pub fn open_gate(&self) {
        let _ = fs::remove_file(self.path("gate"));
        let _ = fs::remove_file(self.path("gate-pid"));
    }

    pub fn at_gate(&self) -> bool {
        self.path("gate-pid").exists()
    }

    pub fn gate_lives(&self) -> bool {
        let pid = self.world.read("gate-pid");
        let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
        !status.is_empty() && !status.contains("State:\tZ")
    }

    /// Moves a directory away as if it had been the mount point of a drive: on a file system of its own.
    pub fn unplug(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("unplugged");
        for record in self.world.records() {
            let destination = record.ancestors().nth(2).expect("DESTINATION/CONFIG/DISK.json");
            let peer = destination.join("peer.json");
            let mut was: serde_json::Value = serde_json::from_slice(&fs::read(&peer).expect("there")).expect("JSON");
            was["file_system"] = 1.into();
            fs::write(&peer, was.to_string()).expect("written");
        }
    }

    /// Makes every record two days older.
    pub fn make_due(&self) {
        for path in self.world.records() {
            let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&path).expect("there")).expect("JSON");
            for receipt in ["last", "last_backup"] {
                for time in ["started", "finished"] {
                    record[receipt][time] = (record[receipt][time].as_i64().expect("a time") - 172_800).into();
                }
            }
            fs::write(&path, record.to_string()).expect("written");
        }
    }

    /// The last receipts of a vault's disks, by the last part of their names.
    pub fn receipts(&self, vault: &str) -> BTreeMap<String, serde_json::Value> {
        let status = if self.path("agent.toml").exists() {
            self.ran(&["status", "--json"]).json()
        } else {
            self.ran(&["status", "--json", "--destination", &self.name(vault)]).json()
        };
        let root = self.name("");
        let disks = status["disks"].as_array().cloned().unwrap_or_default();
        let pair = |disk: serde_json::Value| {
            let receipt = disk["record"]["last"].clone();
            (receipt["disk"].as_str().unwrap_or_default().replace(root.trim_end_matches('/'), ""), receipt)
        };
        disks.into_iter().map(pair).collect()
    }

    /// The level of a disk's last dump, and the files of its chain, the full one first.
    #[track_caller]
    pub fn chain(&self, vault: &str, disk: &str) -> (u64, Vec<PathBuf>) {
        let receipt = self.receipts(vault).remove(&format!("/{disk}")).expect("a receipt");
        let chain = receipt["chain"].as_array().expect("a chain");
        let file = |base: &serde_json::Value| {
            let (label, number) = base["places"][0].as_str().expect("a place").rsplit_once(':').expect("LABEL:NUMBER");
            let number: u32 = number.parse().expect("a number");
            let slots = fs::read_dir(self.path(vault).join("vtapes")).expect("there").flatten().map(|entry| entry.path());
            let slot =
                slots.filter(|slot| slot.join(format!("00000.{label}")).exists()).find(|slot| !slot.is_symlink()).expect("its volume");
            let found = fs::read_dir(slot).expect("there").flatten().map(|entry| entry.path());
            let starts = format!("{number:05}.");
            found.into_iter().find(|path| path.file_name().expect("named").to_string_lossy().starts_with(&starts)).expect("its file")
        };
        (receipt["level"].as_u64().expect("a level"), chain.iter().map(file).collect())
    }

    /// Brings a disk back, level by level.
    #[track_caller]
    pub fn restore(&self, vault: &str, disk: &str, into: &str) {
        fs::create_dir(self.path(into)).expect("made");
        for file in self.chain(vault, disk).1 {
            self.shell(&format!(
                "dd if='{}' bs=32k skip=1 status=none | zstd -dc | tar -C {into} --xattrs --xattrs-include='*' --acls -xpGf -",
                file.display()
            ));
        }
    }

    /// Runs a line as somebody would type it, in the world's directory.
    #[track_caller]
    pub fn shell(&self, line: &str) {
        let ran = Command::new("bash").args(["-o", "pipefail", "-ec", line]).current_dir(self.path("")).output().expect("bash");
        assert!(ran.status.success() && ran.stderr.is_empty(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    /// All files below a directory.
    pub fn files(&self, name: &str) -> Vec<PathBuf> {
        let (mut found, mut waiting) = (Vec::new(), vec![self.path(name)]);
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    waiting.push(entry.path());
                } else {
                    found.push(entry.path());
                }
            }
        }
        found
    }

    /// Everything about a tree that a restore must bring back.
    pub fn tree(&self, name: &str) -> BTreeMap<String, String> {
        let root = self.path(name);
        let mut paths = vec![root.clone()];
        let mut tree = BTreeMap::new();
        while let Some(path) = paths.pop() {
            let meta = fs::symlink_metadata(&path).expect("there");
            let content = if meta.is_dir() {
                paths.extend(fs::read_dir(&path).expect("readable").flatten().map(|entry| entry.path()));
                String::new()
            } else if meta.is_symlink() {
                fs::read_link(&path).expect("a link").display().to_string()
            } else {
                format!("{:08x} {}", crc32c::crc32c(&fs::read(&path).expect("readable")), attribute(&path))
            };
            let time = if meta.is_symlink() { (0, 0) } else { (meta.mtime(), meta.mtime_nsec()) };
            let below = path.strip_prefix(&root).expect("below").display().to_string();
            let links = if meta.is_file() { meta.nlink() } else { 0 };
            tree.insert(below, format!("{:o} {}:{} {time:?} {links} {content}", meta.mode(), meta.uid(), meta.gid()));
        }
        tree
    }
}

fn attribute(path: &Path) -> String {
    let said = Command::new("getfattr").args(["--absolute-names", "--only-values", "-n", "user.why"]).arg(path).output();
    said.map_or_else(|_| String::new(), |said| String::from_utf8_lossy(&said.stdout).into_owned())
}

fn give(path: &Path) {
    std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
    if path.is_dir() && !path.is_symlink() {
        fs::read_dir(path).expect("readable").flatten().for_each(|entry| give(&entry.path()));
    }
}

/// The names in a directory, sorted.
pub fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
