//! A small office: a server that has never seen an Amanda. The shim makes the dumps itself (`engine = "embedded"`), into a vault
//! that it has made.
//!
//! This machine does have an Amanda, since other tests need one. So all of the server's side runs where it cannot be seen: in a
//! mount namespace in which Amanda's directories are empty and its programs are no programs. What a vault has is then looked at
//! with `zstd` and GNU tar alone.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use wire::Receipt;

use crate::child;
use crate::compare;
use crate::procs::{self, Process};
use crate::vault::Vault;
use crate::world::{Host, World};

/// Takes Amanda out of sight, and becomes what the arguments say.
const HIDE: &str = "empty=$1; shift
for dir in /usr/lib/amanda /usr/lib/*/amanda /usr/share/perl5/Amanda /etc/amanda /var/lib/amanda; do
    if [ -d \"$dir\" ]; then mount --bind \"$empty\" \"$dir\"; fi
done
for program in /usr/sbin/am*; do mount --bind /dev/null \"$program\"; done
exec \"$@\"";

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Returns a command that runs where there is no Amanda. `empty` is a directory with nothing in it.
pub fn without_amanda(program: impl AsRef<OsStr>, empty: &Path) -> Command {
    let mut command = child::program("unshare");
    command.args(["--mount", "--", "sh", "-ec", HIDE, "sh"]).arg(empty).arg(program);
    command
}

impl World {
    /// Has the shim make the vault and put all hosts' disks into it.
    pub(crate) fn make_office(&self) {
        let mut vault = without_amanda(self.program("asyncamanda-shim"), &self.dir.join("empty"));
        vault.arg("--config").arg(self.shim_toml()).args(["vault", &self.name]);
        for host in &self.hosts {
            let directory = if host.tree == host.disk { String::new() } else { format!("={}", host.tree.display()) };
            vault.arg("--disk").arg(format!("{}:{}{directory}", host.name, host.disk.display()));
        }
        child::must(vault);
        for host in self.hosts.iter().filter(|host| host.gate.is_some()) {
            self.put_behind_its_gate(host);
        }
    }

    /// Gives a host a dumptype of its own, as the administrator's editor would.
    fn put_behind_its_gate(&self, host: &Host) {
        let gate = host.gate.as_ref().expect("it has one").program().display().to_string();
        let change = |file: &str, change: &dyn Fn(String) -> String| {
            let path = self.amanda.root.join(file);
            let text = fs::read_to_string(&path).expect("a vault has one");
            fs::write(&path, change(text)).expect("root may");
        };
        change("amanda.conf", &|text| {
            format!(
                "{text}define dumptype gated-{} {{\n \"laptop\"\n compress client custom\n client-custom-compress \"{gate}\"\n}}\n",
                host.index
            )
        });
        change("disklist", &|text| {
            let gated = |line: &str| match line.strip_suffix(" laptop").filter(|_| line.starts_with(&format!("{} ", host.name))) {
                Some(line) => format!("{line} gated-{}\n", host.index),
                None => format!("{line}\n"),
            };
            text.lines().map(gated).collect()
        });
    }

    /// The office gets an Amanda, and the administrator hands the vault to it, under its own name.
    ///
    /// # Panics
    /// When it is refused.
    pub fn outgrow(&mut self) -> String {
        let mut adopt = self.shim(&["adopt"]);
        adopt.arg(&self.amanda.root).arg(&self.name);
        let said = child::must(adopt);
        self.edit_shim_toml("engine = \"embedded\"", "engine = \"amanda\"");
        self.write_drop_in();
        self.door.leave_the_office();
        said
    }

    /// Returns the office's vault.
    pub fn vault(&self) -> Vault {
        Vault(self.amanda.root.clone())
    }

    /// Returns a command in the place where the server's side runs.
    pub fn in_the_office(&self, program: impl AsRef<OsStr>) -> Command {
        let pid = self.door.pid().expect("the sshd runs");
        let mut command = child::program("nsenter");
        command.args(["--mount", "--target", &pid.to_string(), "--"]).arg(program);
        command
    }

    /// Returns what the server would tell a laptop of its backups now.
    ///
    /// # Panics
    /// When the server has published something else.
    pub fn published(&self, host: &Host) -> Vec<Receipt> {
        let text = fs::read(self.dir.join("state/runner/latest").join(format!("{}.json", host.name))).expect("it has been dumped");
        let latest: serde_json::Value = serde_json::from_slice(&text).expect("written by the runner");
        serde_json::from_value(latest["last"].clone()).expect("receipts")
    }

    /// Returns the processes of runs that go on.
    pub fn dumpers(&self) -> Vec<Process> {
        let is_dumper = |process: &Process| {
            process.name.starts_with("asyncamanda") && process.args.iter().any(|arg| arg == "dumper") && process.state != 'Z'
        };
        procs::of_world(&[], &[&self.dir]).into_iter().filter(is_dumper).collect()
    }

    /// Says that a restore of a disk's newest state from the volumes gives its source back.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn assert_vault_restores(&self, host: &Host) {
        let vault = self.vault();
        let target = self.dir.join(format!("restored-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&target).expect("a world of our own");
        let chain: Vec<_> = vault.chain_of(Some(&host.name), &host.disk, None);
        assert!(chain.iter().all(|dump| dump.slot.is_some()), "not on a volume: {chain:#?}");
        vault.restore(&chain, &target);
        compare::assert_equal(&host.tree, &target, self.exactness(host));
        fs::remove_dir_all(&target).expect("our own");
    }
}
