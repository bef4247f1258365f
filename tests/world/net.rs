//! Laptops that nothing can reach: each in a network namespace of its own, with one cable to the server and nothing else.
//!
//! In a namespace nothing listens, no name resolves and no default route leads anywhere; the laptop can call the server's end of its
//! cable, that is all. The cable can fall silent (every packet is lost, and nobody is told), and the laptop can move to another
//! address.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use crate::child;
use crate::procs::{self, Process};

/// The most laptops of one world that are far away.
pub const MOST: usize = 16;

const MINUTE: Duration = Duration::from_secs(60);
/// Nobody's: a packet for it is thrown away by whoever gets it.
const NOBODY: &str = "02:00:00:00:00:fe";

/// One laptop's namespace and its cable.
#[derive(Debug, Clone)]
pub struct Cable {
    /// The namespace's name.
    pub namespace: String,
    /// The server's end of the cable, an interface of this machine. The laptop's end is `eth0` in its namespace.
    pub link: String,
    /// The server's address on this cable.
    pub server: Ipv4Addr,
    /// The laptop's address.
    pub laptop: Ipv4Addr,
    /// The address that the laptop has after [`Cable::move_away`].
    pub elsewhere: Ipv4Addr,
}

/// Lays the cables of a world, in a network that no interface of this machine has; to be called under [`crate::system::lock`].
///
/// # Panics
/// When the kernel refuses, or every network of ours is taken.
pub fn lay(world: &str, indexes: &[usize]) -> Vec<Cable> {
    assert!(indexes.len() <= MOST, "a world's network has room for {MOST} cables");
    if indexes.is_empty() {
        return Vec::new();
    }
    let mut ip = child::program("ip");
    ip.args(["-o", "-4", "addr", "show"]);
    let taken = child::must(ip);
    // 10.213.x.0/25 and 10.213.x.128/25.
    let base = (0..512_u32)
        .map(|n| u32::from(Ipv4Addr::new(10, 213, 0, 0)) + n * 128)
        .find(|base| !(0..128).any(|n| taken.contains(&format!(" {}/", Ipv4Addr::from(base + n)))))
        .expect("512 worlds at once");
    (0_u32..).zip(indexes).map(|(n, index)| one(world, *index, base + n * 8)).collect()
}

fn one(world: &str, index: usize, base: u32) -> Cable {
    let cable = Cable {
        namespace: format!("{world}-lap{index}"),
        // An interface's name has at most 15 letters.
        link: format!("{world}v{index}"),
        server: Ipv4Addr::from(base + 1),
        laptop: Ipv4Addr::from(base + 2),
        elsewhere: Ipv4Addr::from(base + 3),
    };
    let (namespace, link) = (cable.namespace.as_str(), cable.link.as_str());
    ip(&["netns", "add", namespace]);
    ip(&["link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", namespace]);
    ip(&["addr", "add", &format!("{}/29", cable.server), "dev", link]);
    ip(&["link", "set", link, "up"]);
    ip(&["-n", namespace, "link", "set", "lo", "up"]);
    ip(&["-n", namespace, "addr", "add", &format!("{}/29", cable.laptop), "dev", "eth0"]);
    ip(&["-n", namespace, "link", "set", "eth0", "up"]);
    cable
}

impl Cable {
    /// Returns a command that runs on the laptop, as root.
    pub fn program(&self, name: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = child::program("ip");
        command.args(["netns", "exec", &self.namespace]).arg(name);
        command
    }

    /// Returns the sockets of the laptop that somebody could call, one line each.
    pub fn listening(&self) -> Vec<String> {
        let mut ss = self.program("ss");
        ss.args(["--no-header", "--listening", "--tcp", "--udp", "--numeric"]);
        child::must(ss).lines().map(str::to_owned).collect()
    }

    /// Returns the processes that run on the laptop.
    pub fn processes(&self) -> Vec<Process> {
        let mut pids = child::program("ip");
        pids.args(["netns", "pids", &self.namespace]);
        let pids = child::must(pids);
        pids.lines().filter_map(|pid| procs::read(pid.trim().parse().ok()?)).filter(|process| process.state != 'Z').collect()
    }

    /// Loses every packet in both directions from now on. Neither side is told.
    pub fn fall_silent(&self) {
        ip(&["-n", &self.namespace, "neigh", "replace", &self.server.to_string(), "lladdr", NOBODY, "dev", "eth0", "nud", "permanent"]);
        for laptop in [self.laptop, self.elsewhere] {
            ip(&["neigh", "replace", &laptop.to_string(), "lladdr", NOBODY, "dev", &self.link, "nud", "permanent"]);
        }
    }

    /// Carries packets again.
    pub fn speak_again(&self) {
        ip(&["-n", &self.namespace, "neigh", "del", &self.server.to_string(), "dev", "eth0"]);
        for laptop in [self.laptop, self.elsewhere] {
            ip(&["neigh", "del", &laptop.to_string(), "dev", &self.link]);
        }
    }

    /// Gives the laptop another address in the old one's place: what was sent to the old one is lost, and nobody is told.
    pub fn move_away(&self) {
        ip(&["-n", &self.namespace, "addr", "add", &format!("{}/29", self.elsewhere), "dev", "eth0"]);
        // The kernel chooses among addresses in the order in which they came; with the first one the second would go too, as its
        // secondary, if it were not told otherwise.
        let mut promote = self.program("sh");
        promote.args(["-c", "echo 1 > /proc/sys/net/ipv4/conf/eth0/promote_secondaries"]);
        child::must(promote);
        ip(&["-n", &self.namespace, "addr", "del", &format!("{}/29", self.laptop), "dev", "eth0"]);
    }
}

/// Takes up what a world has laid, and what is left of a world that was killed.
pub fn take_up(world: &str) {
    let names = |dir: &str, prefix: String| -> BTreeSet<String> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(|name| name.starts_with(&prefix)).collect()
    };
    // A link's other end goes with it at once; with its namespace it would go some time later.
    for link in names("/sys/class/net", format!("{world}v")) {
        try_ip(&["link", "del", &link]);
    }
    for namespace in names("/run/netns", format!("{world}-lap")) {
        try_ip(&["netns", "del", &namespace]);
    }
}

/// Returns what there is of a world's network: links and namespaces.
pub fn remains(world: &str) -> Vec<String> {
    let in_dir =
        |dir: &str| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut found: Vec<String> = in_dir("/sys/class/net").filter(|name| name.starts_with(&format!("{world}v"))).collect();
    found.extend(in_dir("/run/netns").filter(|name| name.starts_with(&format!("{world}-lap"))));
    found
}

fn ip(args: &[&str]) {
    let mut command = child::program("ip");
    command.args(args);
    child::must(command);
}

fn try_ip(args: &[&str]) {
    let mut command = child::program("ip");
    command.args(args);
    drop(child::run(command, MINUTE));
}
