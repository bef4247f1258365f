//! A fresh home, as on a machine that was set up a minute ago: no configuration, an environment with nothing of anybody in it, and no
//! network.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::child::{self, Finished};
use crate::faults::Faults;
use crate::install::install;
use crate::laptop::PATIENCE;
use crate::leave::sweep;
use crate::system::{self, LOGIN};
use crate::vault::{Vault, give_all};

static NEXT: AtomicUsize = AtomicUsize::new(1);

/// Hides what this machine has of ours, and goes on as another program, in the same process.
const ALONE: &str =
    "mount --bind \"$0/home/.var-lib\" /var/lib; [ ! -e /etc/asyncamanda ] || mount --bind \"$0/nothing\" /etc/asyncamanda; exec \"$@\"";

/// Whose home it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// root's.
    Root,
    /// Somebody's who may read and write what is his own.
    User,
}

/// A fresh home. Everything lies below one directory, which goes with it.
#[derive(Debug)]
pub struct Home {
    /// `$HOME`.
    pub dir: PathBuf,
    /// Beside it, for what a test keeps: copies, restored trees.
    pub beside: PathBuf,
    whose: Whose,
    bin: PathBuf,
    root: PathBuf,
}

impl Home {
    /// Makes one.
    ///
    /// # Panics
    /// When something is missing on this machine.
    pub fn new(whose: Whose) -> Self {
        Self::make(whose, false)
    }

    /// Makes one of root's in memory, where a thousand fsyncs take no time. There are no attributes and ACLs in it.
    ///
    /// # Panics
    /// When something is missing on this machine.
    pub fn in_memory() -> Self {
        Self::make(Whose::Root, true)
    }

    fn make(whose: Whose, in_memory: bool) -> Self {
        system::require();
        let lock = system::lock();
        sweep();
        system::prepare();
        drop(lock);
        // A world's kind of name, so that a later test sweeps it away when this one is killed. Worlds count from 1.
        let root = Path::new("/tmp").join(format!("aa{}x{}", std::process::id(), 1000 + NEXT.fetch_add(1, Ordering::Relaxed)));
        let (dir, bin, beside) = (root.join("home"), root.join("bin"), root.join("beside"));
        for part in [&root, &dir, &bin, &beside] {
            system::directory(part, "root", "root", 0o755);
        }
        for part in [&dir, &beside].into_iter().filter(|_| in_memory) {
            let mut mount = child::program("mount");
            mount.args(["-t", "tmpfs", "-o", "size=1g,mode=755", "tmpfs"]).arg(part);
            child::must(mount);
        }
        // In the home, so that it is kept and put back with it.
        let (var, nothing) = (dir.join(".var-lib"), root.join("nothing"));
        for part in [&var, &nothing] {
            system::directory(part, "root", "root", 0o755);
        }
        for program in ["asyncamanda", "asyncamanda-shim"] {
            install(program, &bin);
        }
        let home = Self { dir, beside, whose, bin, root };
        fs::set_permissions(&home.dir, fs::Permissions::from_mode(0o700)).expect("our own");
        home.hand_over();
        home
    }

    /// Makes its owner's all that is in it.
    pub fn hand_over(&self) {
        if self.whose == Whose::User {
            give_all(&self.dir, LOGIN);
        }
    }

    /// Returns a path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Returns the vault at a path in it.
    pub fn vault(&self, name: &str) -> Vault {
        Vault(self.path(name))
    }

    /// Returns a program under test.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Returns a command that its owner types: without a network, and on a machine where /var/lib has nothing in it but what came from here,
    /// and /etc/asyncamanda nothing at all.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = child::program("unshare");
        command.args(["--net", "--mount", "--", "sh", "-ec", ALONE]).arg(&self.root);
        if self.whose == Whose::User {
            command.args(["setpriv", &format!("--reuid={LOGIN}"), &format!("--regid={LOGIN}"), "--init-groups", "--"]);
        }
        command.arg(program).env("HOME", &self.dir).env("TZ", "UTC").current_dir(&self.dir);
        command
    }

    /// Returns a command of the agent.
    pub fn agent(&self, args: &[&str]) -> Command {
        let mut command = self.command(self.program("asyncamanda"));
        command.args(args);
        command
    }

    /// Runs a command of the agent to its end.
    pub fn ask(&self, args: &[&str]) -> Finished {
        child::run(self.agent(args), PATIENCE)
    }

    /// Runs a command of the agent as if it were so many seconds later.
    pub fn ask_later(&self, faults: &Faults, seconds: i64, args: &[&str]) -> Finished {
        let mut command = self.agent(args);
        faults.set_ahead(&mut command, "asyncamanda", seconds);
        child::run(command, PATIENCE)
    }

    /// Runs a line of a shell to its end.
    pub fn sh(&self, line: &str) -> Finished {
        let mut shell = self.command("sh");
        shell.args(["-c", line]);
        child::run(shell, PATIENCE)
    }

    /// Runs a command of the shim to its end.
    pub fn shim(&self, args: &[&str]) -> Finished {
        let mut command = self.command(self.program("asyncamanda-shim"));
        command.args(args);
        child::run(command, PATIENCE)
    }

    /// Returns an empty directory beside it.
    ///
    /// # Panics
    /// When there is one of that name.
    pub fn target(&self, name: &str) -> PathBuf {
        let target = self.beside.join(name);
        fs::create_dir(&target).expect("a new name");
        target
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("AA_KEEP_WORLD").is_some() {
            eprintln!("kept: {}", self.root.display());
            return;
        }
        for mount in fs::read_to_string("/proc/self/mounts").unwrap_or_default().lines() {
            if let Some(path) = mount.split(' ').nth(1).filter(|path| Path::new(path).starts_with(&self.root)) {
                let _gone_already = Command::new("umount").arg("--lazy").arg(path).status();
            }
        }
        let _gone_already = fs::remove_dir_all(&self.root);
    }
}
