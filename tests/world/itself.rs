//! A server that dumps its own disks by the embedded engine: its agent as the dump user starts it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::leave::sudoers;
use crate::system::{self, DUMP_USER};
use crate::world::{Host, World};

impl World {
    /// Makes a host this server's own: `reach = "local"`, an agent.toml with these disks, and the line in sudoers. Incremental state is
    /// where this world's Amanda client has it.
    ///
    /// # Panics
    /// When shim.toml does not know the host.
    pub fn serves_itself(&self, host: &Host, disks: &[&Path]) {
        let (dir, root) = (self.dir.display(), self.amanda.root.display());
        let agent = self.dir.join("itself.toml");
        let gate = host.gate.as_ref().map(|gate| format!(", \"{}\"", gate.program().display())).unwrap_or_default();
        let mut text = format!(
            "host = \"{}\"\nstate = \"{dir}/itself\"\namandates = \"{root}/amandates\"\nprograms = [\"/usr/bin/tar\"{gate}]\n\
             [client]\nlists = \"{root}/gnutar-lists\"\n",
            host.name
        );
        text.extend(disks.iter().map(|disk| format!("[[disk]]\npath = \"{}\"\n", disk.display())));
        system::file(&agent, &text, "root", "root", 0o644);
        let client = [self.program("asyncamanda"), PathBuf::from("--config"), agent, PathBuf::from("client")];
        let client: Vec<String> = client.iter().map(|word| word.display().to_string()).collect();
        let quoted: Vec<String> =
            ["/usr/bin/sudo", "-n"].into_iter().chain(client.iter().map(String::as_str)).map(|word| format!("\"{word}\"")).collect();
        self.write_shim_toml(&format!("[local]\nclient = [{}]\n", quoted.join(", ")));
        let heading = format!("[host.\"{}\"]\nconfig = \"{}\"\nreach = ", host.name, host.config);
        self.edit_shim_toml(&format!("{heading}\"network\""), &format!("{heading}\"local\""));
        let rules = sudoers(&self.name);
        let mut text = fs::read_to_string(&rules).expect("it was made with the world");
        text.push_str(&format!("{DUMP_USER} ALL=(root) NOPASSWD: {}\n", client.join(" ")));
        // Not there and then whole: sudo of another world may read the directory at any time.
        let draft = self.dir.join("sudoers");
        system::file(&draft, &text, "root", "root", 0o440);
        let beside = rules.with_extension("new");
        fs::copy(&draft, &beside).and_then(|_bytes| fs::rename(&beside, &rules)).expect("root may");
    }
}
