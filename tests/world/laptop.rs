//! One laptop: its agent's configuration, key, state and amandates, and the agent as its user runs it.

use std::ffi::OsStr;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use wire::Receipt;

use crate::child::{self, Background, Finished};
use crate::net::Cable;
use crate::sshd;
use crate::system::LOGIN;
use crate::world::{Host, World};

/// How long a backup may take on two busy cores before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// A laptop that a server knows.
#[derive(Debug)]
pub struct Laptop {
    /// Everything of this laptop lies below it.
    pub dir: PathBuf,
    /// Its host name.
    pub host: String,
    /// Its one disk.
    pub disk: PathBuf,
    /// The directory that is dumped.
    pub tree: PathBuf,
    /// Its only way to the server, when it is far away.
    pub cable: Option<Cable>,
    /// The amandates that its agent reads; Amanda's client side of this world writes the same file.
    pub amandates: PathBuf,
    /// Where the stock client keeps its lists, when it is the one that serves this laptop.
    pub stock_lists: Option<PathBuf>,
    program: PathBuf,
    destination: String,
    client: String,
    wrapper: Vec<String>,
}

impl Laptop {
    pub(crate) fn make(world: &World, host: &Host) -> Self {
        let dir = world.dir.join("l").join(&host.name);
        fs::create_dir_all(&dir).expect("a world of our own");
        sshd::keypair(&dir.join("key"));
        world.door.allow(LOGIN, &sshd::public_key(&dir.join("key")), &world.forced_command(&host.name));
        let shared = world.amanda.root.join("amandates");
        let laptop = Self {
            host: host.name.clone(),
            disk: host.disk.clone(),
            tree: host.tree.clone(),
            cable: host.cable.clone(),
            // Our own client keeps one for each laptop; Amanda's has one for the machine.
            amandates: if host.cable.is_some() && world.plan.client == "native" { dir.join("amandates") } else { shared },
            stock_lists: (host.cable.is_none() || world.plan.client != "native").then(|| world.amanda.root.join("gnutar-lists")),
            program: world.program("asyncamanda"),
            destination: format!("{LOGIN}@{}:{}", host.cable.as_ref().map_or(Ipv4Addr::LOCALHOST, |cable| cable.server), world.door.port),
            client: if host.cable.is_some() { client(world, host) } else { String::new() },
            wrapper: Vec::new(),
            dir,
        };
        if !laptop.amandates.exists() {
            fs::write(&laptop.amandates, "").expect("a world of our own");
        }
        fs::write(laptop.known_hosts(), world.door.known_hosts().join("\n") + "\n").expect("a world of our own");
        laptop.configure(&laptop.destination, "");
        laptop
    }

    /// Returns its known_hosts file.
    pub fn known_hosts(&self) -> PathBuf {
        self.dir.join("known_hosts")
    }

    /// Returns where the agent keeps receipts.
    pub fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// Writes agent.toml: where to call, and further lines before the first table.
    pub fn configure(&self, destination: &str, more: &str) {
        let dir = self.dir.display();
        let text = format!(
            "host = \"{host}\"\ninterval = \"1 day\"\nstate = \"{dir}/state\"\namandates = \"{amandates}\"\n{more}{client}\
             [server]\ndestination = \"{destination}\"\nidentity = \"{dir}/key\"\nknown_hosts = \"{dir}/known_hosts\"\nconnect_timeout = \"5 s\"\n\
             [[disk]]\npath = \"{disk}\"\n{device}",
            client = self.client,
            device = if self.tree == self.disk { String::new() } else { format!("device = \"{}\"\n", self.tree.display()) },
            host = self.host,
            amandates = self.amandates.display(),
            disk = self.disk.display(),
        );
        fs::write(self.config(), text).expect("a world of our own");
    }

    /// Returns the path of agent.toml.
    pub fn config(&self) -> PathBuf {
        self.dir.join("agent.toml")
    }

    /// Lets this laptop read another amandates than the one that Amanda's client writes.
    pub fn use_amandates(&mut self, path: &Path) {
        path.clone_into(&mut self.amandates);
        self.configure(&self.destination.clone(), "");
    }

    /// Returns a command of the agent.
    pub fn agent(&self, args: &[&str]) -> Command {
        let mut command = self.here(&self.program);
        command.env("HOME", &self.dir).arg("--config").arg(self.config()).args(args);
        command
    }

    /// Returns a command that runs on this laptop.
    pub fn here(&self, program: impl AsRef<OsStr>) -> Command {
        let mut words = self.wrapper.iter().map(OsStr::new).chain([program.as_ref()]);
        let first = words.next().expect("the program at least");
        let mut command = self.cable.as_ref().map_or_else(|| child::program(first), |cable| cable.program(first));
        command.args(words);
        command
    }

    /// Runs the agent without root's right to read what is not its own, as a user's agent is.
    pub fn read_only_its_own(&mut self) {
        self.wrapper = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", "--"].map(str::to_owned).to_vec();
    }

    /// Runs the agent as root with all its rights again.
    pub fn read_everything(&mut self) {
        self.wrapper.clear();
    }

    /// Lets this laptop call another port of the server's end of its cable from now on: a [`crate::relay::Relay`]'s.
    pub fn call_through(&mut self, port: u16) {
        let (account, place) = self.destination.split_once('@').expect("we wrote it");
        let (address, real) = place.split_once(':').expect("we wrote it");
        let known = fs::read_to_string(self.known_hosts()).expect("we wrote it");
        let (old, new) = (format!("[{address}]:{real} "), format!("[{address}]:{port} "));
        let lines: String = known.lines().filter(|line| line.starts_with(&old)).map(|line| line.replacen(&old, &new, 1) + "\n").collect();
        fs::write(self.known_hosts(), known + &lines).expect("a world of our own");
        self.destination = format!("{account}@{address}:{port}");
        self.configure(&self.destination.clone(), "");
    }

    /// Runs a command of the agent to its end.
    pub fn ask(&self, args: &[&str]) -> Finished {
        child::run(self.agent(args), PATIENCE)
    }

    /// Starts `now --json` and lets it go on.
    pub fn trigger(&self) -> Background {
        Background::start(self.agent(&["now", "--json"]))
    }

    /// Backs up now and returns the receipts.
    ///
    /// # Panics
    /// When the agent does not succeed.
    #[track_caller]
    pub fn back_up(&self) -> Vec<Receipt> {
        receipts(&self.ask(&["now", "--json"]).expect_code(0))
    }

    /// Returns a bare ssh call with this laptop's key, for what an agent would not say. The server runs the forced command.
    pub fn ssh(&self, remote: Option<&str>) -> Command {
        let mut command = self.here("ssh");
        command.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"]);
        command.arg("-o").arg(format!("UserKnownHostsFile={}", self.known_hosts().display()));
        command.arg("-i").arg(self.dir.join("key"));
        let (account, place) = self.destination.split_once('@').expect("we wrote it");
        let (address, port) = place.split_once(':').expect("we wrote it");
        command.args(["-p", port, "-l", account, address]);
        command.args(remote);
        command
    }
}

/// Returns agent.toml's lines about Amanda's client side.
fn client(world: &World, host: &Host) -> String {
    let gate = host.gate.as_ref().map(|gate| format!(", \"{}\"", gate.program().display())).unwrap_or_default();
    format!(
        "client = \"{}\"\nprograms = [\"/usr/bin/tar\", \"/usr/bin/gzip\", \"/usr/bin/zstd\"{gate}]\ngnutar_lists = \"{}/gnutar-lists\"\n",
        world.plan.client,
        world.amanda.root.display()
    )
}

/// Returns the receipts that `now --json` printed.
///
/// # Panics
/// When it printed something else.
#[track_caller]
pub fn receipts(finished: &Finished) -> Vec<Receipt> {
    let said: Value =
        serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("now --json said no JSON ({error}):\n{finished}"));
    serde_json::from_value(said["receipts"].clone()).unwrap_or_else(|error| panic!("no receipts ({error}):\n{finished}"))
}

/// Says that these are one receipt, and that it is a backup of this host's disk.
///
/// # Panics
/// When they are not.
#[track_caller]
pub fn assert_backed_up(receipts: &[Receipt], host: &Host) {
    let [receipt] = receipts else { panic!("one receipt was expected: {receipts:#?}") };
    assert_eq!(receipt.outcome, wire::Outcome::Ok, "{receipt:#?}");
    assert!(receipt.is_backup(), "{receipt:#?}");
    assert_eq!(receipt.host.as_str(), host.name);
    assert_eq!(receipt.config.as_str(), host.config);
    assert_eq!(receipt.disk.as_os_str(), host.disk.as_os_str());
}
