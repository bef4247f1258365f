//! What an administrator installs: the programs, shim.toml and its directories, the sudoers rule, ssh's drop-in.

use std::fs;
use std::path::Path;

use crate::child;
use crate::leave::{drop_in, sudoers};
use crate::system::{self, DUMP_USER, LOGIN};
use crate::world::World;

impl World {
    /// Writes what an administrator of a server with a tunnel has below /etc/ssh, for this world's own shim.
    pub(crate) fn write_drop_in(&self) {
        let shim = format!("{} --config {}", self.program("asyncamanda-shim").display(), self.shim_toml().display());
        let text = format!(
            "Match localuser {DUMP_USER} exec \"{shim} tunnel knows %n\"\n    ControlMaster no\n    ControlPath {dir}/run/hosts/%n/mux\n    \
             ProxyCommand {shim} tunnel absent %n\n",
            dir = self.dir.display()
        );
        fs::create_dir_all("/etc/ssh/ssh_config.d").expect("root may");
        let draft = self.dir.join("ssh_config");
        system::file(&draft, &text, "root", "root", 0o644);
        // Not there and then whole: ssh of another world may read the directory at any time.
        let place = drop_in(&self.name);
        let beside = place.with_extension("new");
        fs::copy(&draft, &beside).and_then(|_bytes| fs::rename(&beside, &place)).expect("root may");
    }

    /// Writes shim.toml, its directories and the sudoers rule.
    pub(crate) fn make_shim(&self) {
        let (state, run) = (self.dir.join("state"), self.dir.join("run"));
        system::directory(&state, "root", "root", 0o755);
        system::directory(&state.join("queue"), LOGIN, DUMP_USER, 0o2770);
        system::directory(&state.join("runner"), DUMP_USER, LOGIN, 0o2750);
        system::directory(&run, "root", "root", 0o755);
        system::directory(&run.join("locks"), DUMP_USER, LOGIN, 0o2750);
        // What the shim binds here belongs to the dump user's group.
        system::directory(&run.join("hosts"), LOGIN, DUMP_USER, 0o2750);
        // An office needs none: nothing there starts an ssh.
        if !self.plan.office && self.hosts.iter().any(|host| host.cable.is_some()) {
            self.write_drop_in();
        }
        self.write_shim_toml("");
        let rule = format!(
            "{LOGIN} ALL=({DUMP_USER}) NOPASSWD: {} --config {} runner\n",
            self.program("asyncamanda-shim").display(),
            self.shim_toml().display()
        );
        let draft = self.dir.join("sudoers");
        system::file(&draft, &rule, "root", "root", 0o440);
        let mut visudo = child::program("visudo");
        visudo.arg("-cf").arg(&draft);
        child::must(visudo);
        // Not there and then whole: sudo of another world may read the directory at any time.
        fs::rename(&draft, sudoers(&self.name)).or_else(|_| fs::copy(&draft, sudoers(&self.name)).map(|_| ())).expect("root may");
    }
}

/// Puts a built program where every account may run it: the build's directory may be closed to others.
pub(crate) fn install(program: &str, bin: &Path) {
    let own = std::env::current_exe().expect("a running program");
    // target/debug/deps/TEST, or target/debug/PROGRAM
    let built = own.ancestors().skip(1).take(2).map(|dir| dir.join(program)).find(|path| path.exists());
    let built = built.unwrap_or_else(|| panic!("{program} is not built; run: cargo build --workspace --bins"));
    let target = bin.join(program);
    // A second name for the same file costs nothing; across file systems it has to be a copy.
    fs::hard_link(&built, &target)
        .or_else(|_| fs::copy(&built, &target).map(|_bytes| ()))
        .unwrap_or_else(|error| panic!("{}: {error}", target.display()));
    let mut chmod = child::program("chmod");
    chmod.arg("a+rx").arg(&target);
    child::must(chmod);
}
