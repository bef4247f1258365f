//! The world itself: what it is made of, in which order it comes up, and how it goes.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::amanda::Amanda;
use crate::gate::Gate;
use crate::install::install;
use crate::laptop::Laptop;
use crate::leave::{drop_in, end, sudoers, sweep};
use crate::net::{self, Cable};
use crate::plan::Plan;
use crate::procs::{self, Process};
use crate::sshd::{self, Sshd};
use crate::system::{self, CLIENT_LOGIN, DUMP_USER};
use crate::watch::Watch;
use crate::{child, torture, tree};

/// Bytes in a gated tree's big file: at the gate's trickle it lasts far longer than any test.
pub const GATED_BYTES: usize = 3 << 20;

const GLOBAL_KNOWN_HOSTS: &str = "/etc/ssh/ssh_known_hosts";

static NEXT: AtomicUsize = AtomicUsize::new(1);

/// One line of the disklist, and what stands behind it.
#[derive(Debug)]
pub struct Host {
    /// From 0.
    pub index: usize,
    /// Its name in disklist and shim.toml.
    pub name: String,
    /// The disk, which is also the source tree unless it is far away. One of them has a space in its name.
    pub disk: PathBuf,
    /// The source tree: the directory that is dumped.
    pub tree: PathBuf,
    /// The config that dumps it.
    pub config: String,
    /// Reached by auth "ssh".
    pub over_ssh: bool,
    /// The gate in its dumps' way.
    pub gate: Option<Gate>,
    /// Its only way to the server, when it is far away.
    pub cable: Option<Cable>,
}

/// A whole closed world; see the crate's page.
#[derive(Debug)]
pub struct World {
    /// Everything lies below it.
    pub dir: PathBuf,
    /// The shared config's name, unique on this machine.
    pub name: String,
    /// What was asked for.
    pub plan: Plan,
    /// The hosts.
    pub hosts: Vec<Host>,
    /// The engine.
    pub amanda: Amanda,
    /// The sshd that laptops call.
    pub door: Sshd,
    /// The sshd that Amanda calls for auth "ssh".
    pub far: Option<Sshd>,
    known_far: Vec<String>,
}

impl World {
    /// Builds a world.
    ///
    /// # Panics
    /// When something is missing on this machine or refuses.
    pub fn new(plan: Plan) -> Self {
        system::require();
        assert!((1..=net::MOST).contains(&plan.hosts), "hosts: 1 to {}", net::MOST);
        assert!((8..plan.hosts).all(|index| plan.far_away.contains(&index)), "there are eight local names");
        let name = format!("aa{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = Path::new("/tmp").join(&name);
        let lock = system::lock();
        sweep();
        system::prepare();
        system::directory(&dir, "root", "root", 0o755);
        for part in ["bin", "keys", "gates", "src", "l"] {
            system::directory(&dir.join(part), "root", "root", 0o755);
        }
        for program in ["asyncamanda", "asyncamanda-shim", "aa-amandad-proxy", "aa-plug"] {
            install(program, &dir.join("bin"));
        }
        let config_of = |index| if plan.overlay.contains(&index) { format!("{name}-own") } else { name.clone() };
        let mut cables = plan.far_away.iter().zip(net::lay(&name, &plan.far_away)).collect::<Vec<_>>();
        let hosts: Vec<Host> = (0..plan.hosts)
            .map(|index| {
                let cable = cables.iter().position(|(at, _)| **at == index).map(|at| cables.swap_remove(at).1);
                // The top-level name that no resolver will ever know (RFC 2606).
                let host = if cable.is_some() { format!("{name}-lap{index}.invalid") } else { format!("127.0.0.{}", index + 2) };
                let tree = dir.join("src").join(if index == 1 { "home docs".to_owned() } else { format!("home{index}") });
                // One of those has a disk whose name is not its directory.
                let disk = if cable.is_some() && index == 2 { PathBuf::from("/pictures") } else { tree.clone() };
                let gated = plan.gated.contains(&index);
                if plan.torture.contains(&index) {
                    torture::plant(&tree, index as u64 + 1, if index == 0 { torture::Size::Whole } else { torture::Size::Small });
                } else {
                    tree::plant(&tree, index as u64 + 1, if gated { GATED_BYTES } else { plan.bulk });
                }
                let gate = gated.then(|| Gate::make(&dir.join("gates"), &host));
                let over_ssh = plan.over_ssh.contains(&index);
                Host { index, name: host, disk, tree, config: config_of(index), over_ssh, gate, cable }
            })
            .collect();
        let doors: Vec<Ipv4Addr> =
            std::iter::once(Ipv4Addr::LOCALHOST).chain(hosts.iter().filter_map(|host| Some(host.cable.as_ref()?.server))).collect();
        let empty = dir.join("empty");
        system::directory(&empty, "root", "root", 0o755);
        let door =
            if plan.office { Sshd::start_in_an_office(&dir.join("sshd"), &doors, &empty) } else { Sshd::start(&dir.join("sshd"), &doors) };
        let far = (!plan.over_ssh.is_empty()).then(|| far_sshd(&dir, &hosts));
        let key = dir.join("keys/amanda");
        let amanda = if plan.office {
            Amanda::absent(&dir, &name)
        } else {
            Amanda::make(&dir, &name, &plan, &hosts, far.as_ref().map(|far| (far.port, key.as_path())))
        };
        let known_far = far.as_ref().map(Sshd::known_hosts).unwrap_or_default();
        system::add_lines(Path::new(GLOBAL_KNOWN_HOSTS), &known_far);
        let world = Self { dir, name, plan, hosts, amanda, door, far, known_far };
        world.make_shim();
        if world.plan.office {
            world.make_office();
        }
        drop(lock);
        world
    }

    /// Returns the program under test, where every account may run it.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join("bin").join(name)
    }

    /// Makes the laptop of one host, with a key of its own that the server knows.
    pub fn laptop(&self, index: usize) -> Laptop {
        Laptop::make(self, &self.hosts[index])
    }

    /// Begins to watch who dumps what.
    pub fn watch(&self) -> Watch {
        Watch::begin(&self.dir.join("src"), &[self.amanda.config.clone(), self.amanda.overlay.clone()])
    }

    /// Returns all processes of this world.
    pub fn processes(&self) -> Vec<Process> {
        procs::of_world(&[&self.amanda.config, &self.amanda.overlay], &[&self.dir])
    }

    /// Returns everything that helps to see why a test failed: logs, queue, holding disk, processes.
    pub fn told(&self) -> String {
        let mut told = format!("== world {}\n", self.dir.display());
        for process in self.processes() {
            let _a_string = writeln!(told, "process {} (parent {}): {}", process.pid, process.parent, process.args.join(" "));
        }
        let mut list = child::program("find");
        list.args([self.dir.join("state"), self.dir.join("run"), self.amanda.hold.clone()]).args(["-printf", "%M %u:%g %s %P\n"]);
        let _a_string = writeln!(told, "== files\n{}", child::run(list, Duration::from_secs(20)).stdout);
        for (name, text) in self.amanda.logs() {
            let _a_string = writeln!(told, "== {name}\n{text}");
        }
        let log = self.door.log();
        let last: Vec<&str> = log.lines().rev().take(25).collect();
        let _a_string = writeln!(told, "== sshd, newest first\n{}", last.join("\n"));
        told
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.told());
            if std::env::var_os("AA_KEEP_WORLD").is_some() {
                eprintln!("kept, with all its processes: {}", self.dir.display());
                return;
            }
        }
        // First the ways in, so that nothing new begins; then what runs.
        let _gone_already = fs::remove_file(sudoers(&self.name));
        let _gone_already = fs::remove_file(drop_in(&self.name));
        self.door.down();
        if let Some(far) = &mut self.far {
            far.down();
        }
        let lock = system::lock();
        end(&self.name, &self.dir);
        system::remove_lines(Path::new(GLOBAL_KNOWN_HOSTS), &self.known_far);
        drop(lock);
    }
}

/// Starts the sshd behind auth "ssh": the dump user's key runs amandad, through a proxy that does what its mode file says.
fn far_sshd(dir: &Path, hosts: &[Host]) -> Sshd {
    let addresses: Vec<Ipv4Addr> =
        hosts.iter().filter(|host| host.over_ssh).map(|host| host.name.parse().expect("a local address")).collect();
    let far = Sshd::start(&dir.join("far-sshd"), &addresses);
    let key = dir.join("keys/amanda");
    sshd::keypair(&key);
    system::give(&key, DUMP_USER, DUMP_USER);
    let proxy = format!("{}/bin/aa-amandad-proxy {}", dir.display(), dir.join("lie").display());
    far.allow(CLIENT_LOGIN, &sshd::public_key(&key), &proxy);
    far
}

impl World {
    /// Makes amandad's proxy lie from now on: "false-crc", "cut-at-end", "cut-once", or "" for the truth.
    pub fn lie(&self, how: &str) {
        fs::write(self.dir.join("lie"), how).expect("a world of our own");
        // The proxy takes "cut-once" back itself, as the account that Amanda logs in to.
        system::give(&self.dir.join("lie"), DUMP_USER, DUMP_USER);
    }

    /// Tells whether a lie is still to be told.
    pub fn lies(&self) -> bool {
        fs::read_to_string(self.dir.join("lie")).is_ok_and(|how| !how.is_empty())
    }
}
