//! A vault in a certain state, that can be put back to it, and what must hold whatever has happened to a backup meanwhile.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::child::{Background, Finished};
use crate::compare::{self, OURS};
use crate::faults::{Fault, Faults};
use crate::home::Home;
use crate::laptop::PATIENCE;
use crate::vault::{Dump, Identity, Vault};
use crate::{torture, tree};

/// A home with a vault in a certain state, that can be put back to it.
#[derive(Debug)]
pub struct Ordeal {
    /// Where it all is.
    pub home: Home,
    /// What may happen.
    pub faults: Faults,
    /// What is backed up. It is not put back: each moment has its own state of it.
    pub disks: Vec<PathBuf>,
    /// How far ahead the clock is now.
    pub now: i64,
    /// Dumps that a run may take away, since they are old and nothing needs them.
    pub may_go: BTreeSet<Identity>,
    changes: u32,
}

impl Ordeal {
    /// Makes one: trees with these names, and no vault yet.
    pub fn new(disks: &[&str]) -> Self {
        let home = Home::in_memory();
        let faults = Faults::make(&home.beside);
        let disks: Vec<PathBuf> = disks.iter().map(|disk| home.path(disk)).collect();
        for (number, disk) in disks.iter().enumerate() {
            tree::plant(disk, number as u64 + 7, 30_000);
        }
        Self { home, faults, disks, now: 0, may_go: BTreeSet::new(), changes: 0 }
    }

    /// Returns the vault.
    pub fn vault(&self) -> Vault {
        self.home.vault("vault")
    }

    /// Returns what a person types.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec!["now".to_owned()];
        words.extend(self.disks.iter().map(|disk| disk.display().to_string()));
        words.extend(["--to".to_owned(), self.vault().0.display().to_string()]);
        words
    }

    /// Backs all trees up, and something happens to that.
    pub fn back_up(&self, fault: Fault) -> Finished {
        self.begin(fault).wait(PATIENCE)
    }

    /// Begins to back all trees up, and something will happen to that.
    pub fn begin(&self, fault: Fault) -> Background {
        let mut command = self.home.command(self.home.program("asyncamanda"));
        command.args(self.words());
        self.faults.befall(&mut command, "asyncamanda", fault);
        self.faults.set_ahead(&mut command, "asyncamanda", self.now);
        Background::start(command)
    }

    /// Something happens to each tree: a file is made, changed, renamed, removed.
    pub fn live(&mut self) {
        self.changes += 1;
        let n = self.changes;
        for disk in &self.disks {
            fs::write(disk.join(format!("made {n}")), format!("made in {n}\n").repeat(20)).expect("ours");
            fs::write(disk.join("whose"), format!("changed in {n}\n")).expect("ours");
            let _not_yet = fs::rename(disk.join(format!("made {}", n - 1)), disk.join(format!("docs/renamed {n}")));
            let _not_yet = fs::remove_file(disk.join(format!("docs/renamed {}", n - 1)));
        }
    }

    /// Keeps vault and client's state as they are now.
    pub fn keep(&self) {
        let place = self.home.beside.join("kept");
        let _not_there = fs::remove_dir_all(&place);
        torture::save(&self.home.dir, &place);
    }

    /// Puts vault and client's state back to what was kept.
    pub fn put_back(&self) {
        let is_disk = |path: &PathBuf| self.disks.iter().any(|disk| disk == path);
        let entries = |dir: PathBuf| fs::read_dir(dir).expect("ours").map(|entry| entry.expect("ours").path()).collect::<Vec<_>>();
        for path in entries(self.home.dir.clone()).into_iter().filter(|path| !is_disk(path)) {
            if path.is_dir() { fs::remove_dir_all(path).expect("ours") } else { fs::remove_file(path).expect("ours") }
        }
        for path in entries(self.home.beside.join("kept")) {
            let place = self.home.path(&path.file_name().expect("it has one").to_string_lossy());
            if !is_disk(&place) {
                torture::save(&path, &place);
            }
        }
    }

    /// What was there is there, as it was, unless its time had come; and nothing is half.
    pub fn nothing_is_lost(&self, before: &BTreeSet<Identity>) {
        let dumps = self.vault().dumps();
        for dump in &dumps {
            assert!(dump.whole, "listed, and not whole: {dump:#?}");
        }
        let have = dumps.iter().map(Dump::identity).collect();
        let lost: Vec<_> = before.difference(&have).filter(|dump| !self.may_go.contains(*dump)).collect();
        assert!(lost.is_empty(), "lost: {lost:#?}\nthere are {have:#?}");
    }

    /// The next backup succeeds by itself, leaves nothing unfinished, and gives the trees back.
    pub fn goes_on(&self, before: &BTreeSet<Identity>, moment: u64) {
        self.back_up(Fault::None).expect_code(0);
        self.nothing_is_lost(before);
        let left = self.vault().unfinished();
        assert!(left.is_empty(), "left lying: {left:?}");
        self.gives_back(moment);
        for disk in &self.disks {
            let chain = self.vault().chain(disk, None);
            assert!(chain.iter().all(|dump| dump.slot.is_some()), "not on a volume: {chain:#?}");
        }
        // The program says so too.
        self.home.shim(&["verify", &self.vault().0.display().to_string()]).expect_code(0);
    }

    /// The vault gives the trees back as they are now, from volumes, and from the holding disk where a dump could not be put on one yet.
    pub fn gives_back(&self, moment: u64) {
        for (number, disk) in self.disks.iter().enumerate() {
            let chain = self.vault().chain(disk, None);
            let target = self.home.target(&format!("restored-{moment}-{number}"));
            self.vault().restore(&chain, &target);
            compare::assert_equal(disk, &target, OURS);
            fs::remove_dir_all(&target).expect("ours");
        }
    }
}
