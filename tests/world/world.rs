//! The world itself: what it is made of, in which order it comes up, and how it goes.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::amanda::Amanda;
use crate::gate::Gate;
use crate::laptop::Laptop;
use crate::net::{self, Cable};
use crate::procs::{self, Process};
use crate::sshd::{self, Sshd};
use crate::system::{self, CLIENT_LOGIN, DUMP_USER, LOGIN};
use crate::wait::until_true;
use crate::watch::Watch;
use crate::{child, torture, tree};

/// Bytes in a gated tree's big file: at the gate's trickle it lasts far longer than any test.
pub const GATED_BYTES: usize = 3 << 20;

const GLOBAL_KNOWN_HOSTS: &str = "/etc/ssh/ssh_known_hosts";

static NEXT: AtomicUsize = AtomicUsize::new(1);

/// What a test wants of its world. Indexes count hosts from 0.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many hosts, 1 to 8; up to [`net::MOST`] where those beyond the eighth are far away.
    pub hosts: usize,
    /// Hosts whose dumps pass a gate; the gates are open at first.
    pub gated: Vec<usize>,
    /// Hosts that Amanda reaches by auth "ssh"; the others by auth "local".
    pub over_ssh: Vec<usize>,
    /// Hosts in a network namespace of their own: Amanda cannot dial them, only their own session leads there (the tunnel).
    pub far_away: Vec<usize>,
    /// Hosts that have a tree with everything in it that makes backups difficult ([`crate::torture`]); the first host's is the whole one.
    pub torture: Vec<usize>,
    /// agent.toml's `client`, of those that are far away.
    pub client: &'static str,
    /// Their dumptypes' `compress`.
    pub compress: &'static str,
    /// amanda.conf's `inparallel`.
    pub inparallel: u32,
    /// Hosts whose config is the overlay.
    pub overlay: Vec<usize>,
    /// The dumptypes' `estimate`.
    pub estimate: &'static str,
    /// amanda.conf's `reserve`.
    pub reserve: u32,
    /// Bytes of each tree's big file, gated ones apart.
    pub bulk: usize,
    /// shim.toml's `engine`.
    pub engine: &'static str,
    /// shim.toml's `parallel_runs`.
    pub parallel_runs: u32,
    /// shim.toml's `second_run_after`.
    pub second_run_after: &'static str,
    /// shim.toml's `gather`.
    pub gather: &'static str,
    /// shim.toml's `stall`.
    pub stall: &'static str,
    /// shim.toml's `[flush]` with the shared config, and these further lines.
    pub flush: Option<&'static str>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            hosts: 1,
            gated: Vec::new(),
            over_ssh: Vec::new(),
            far_away: Vec::new(),
            torture: Vec::new(),
            client: "native",
            compress: "client fast",
            inparallel: 8,
            overlay: Vec::new(),
            estimate: "server",
            reserve: 0,
            bulk: 200_000,
            engine: "amanda",
            parallel_runs: 2,
            second_run_after: "5 min",
            gather: "500 ms",
            stall: "45 min",
            flush: Some(""),
        }
    }
}

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
        let door = Sshd::start(&dir.join("sshd"), &doors);
        let far = (!plan.over_ssh.is_empty()).then(|| far_sshd(&dir, &hosts));
        let key = dir.join("keys/amanda");
        let amanda = Amanda::make(&dir, &name, &plan, &hosts, far.as_ref().map(|far| (far.port, key.as_path())));
        let known_far = far.as_ref().map(Sshd::known_hosts).unwrap_or_default();
        system::add_lines(Path::new(GLOBAL_KNOWN_HOSTS), &known_far);
        let world = Self { dir, name, plan, hosts, amanda, door, far, known_far };
        world.make_shim();
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
        list.args([self.dir.join("state"), self.dir.join("run"), self.amanda.root.join("hold")]).args(["-printf", "%M %u:%g %s %P\n"]);
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

/// Returns the world's sudoers file. sudo passes over names with a dot in them.
pub(crate) fn sudoers(name: &str) -> PathBuf {
    Path::new("/etc/sudoers.d").join(format!("asyncamanda-test-{name}"))
}

/// Returns the file that tells the dump user's ssh where this world's laptops are.
pub(crate) fn drop_in(name: &str) -> PathBuf {
    Path::new("/etc/ssh/ssh_config.d").join(format!("{name}.conf"))
}

/// Ends all processes of a world and removes what it has.
fn end(name: &str, dir: &Path) {
    let overlay = format!("{name}-own");
    let kill_all = || {
        let left = procs::of_world(&[name, &overlay], &[dir]);
        left.iter().for_each(Process::kill_9);
        left.is_empty()
    };
    if std::thread::panicking() {
        // A second panic would end the process without a word.
        for _ in 0..50 {
            if kill_all() {
                break;
            }
            crate::wait::glance();
        }
    } else {
        until_true("the processes of a world to end", Duration::from_secs(30), kill_all);
    }
    // File systems that a test put into it, and could not take away itself.
    for mount in fs::read_to_string("/proc/self/mounts").unwrap_or_default().lines() {
        if let Some(path) = mount.split(' ').nth(1).filter(|path| Path::new(path).starts_with(dir)) {
            let _gone_already = Command::new("umount").arg("--lazy").arg(path).status();
        }
    }
    let _gone_already = fs::remove_file(sudoers(name));
    let _gone_already = fs::remove_file(drop_in(name));
    net::take_up(name);
    for config in [name, &overlay] {
        let _not_there = fs::remove_dir_all(Path::new(system::CONFIGS).join(config));
        for side in ["server", "client", "log"] {
            let _not_there = fs::remove_dir_all(Path::new("/var/log/amanda").join(side).join(config));
        }
    }
    let _not_there = fs::remove_dir_all(dir);
}

/// Removes worlds whose test process was killed.
fn sweep() {
    let Ok(entries) = fs::read_dir("/tmp") else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name
            .strip_prefix("aa")
            .and_then(|rest| rest.split_once('x'))
            .and_then(|(pid, number)| number.parse::<u32>().ok().and(pid.parse::<i32>().ok()));
        if pid.is_some_and(|pid| procs::read(pid).is_none()) && std::env::var_os("AA_KEEP_WORLD").is_none() {
            end(&name, &entry.path());
        }
    }
}

/// Ends and removes the worlds of this process, for one that ends without dropping them (^C, or a panic that aborts).
pub fn abandon() {
    let own = format!("aa{}x", std::process::id());
    for entry in fs::read_dir("/tmp").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&own) {
            end(&name, &entry.path());
        }
    }
}

/// Puts a built program where every account may run it: the build's directory may be closed to others.
fn install(program: &str, bin: &Path) {
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

    /// Writes what an administrator of a server with a tunnel has below /etc/ssh, for this world's own shim.
    fn write_drop_in(&self) {
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
    fn make_shim(&self) {
        let (state, run) = (self.dir.join("state"), self.dir.join("run"));
        system::directory(&state, "root", "root", 0o755);
        system::directory(&state.join("queue"), LOGIN, DUMP_USER, 0o2770);
        system::directory(&state.join("runner"), DUMP_USER, LOGIN, 0o2750);
        system::directory(&run, "root", "root", 0o755);
        system::directory(&run.join("locks"), DUMP_USER, LOGIN, 0o2750);
        // What the shim binds here belongs to the dump user's group.
        system::directory(&run.join("hosts"), LOGIN, DUMP_USER, 0o2750);
        if self.hosts.iter().any(|host| host.cable.is_some()) {
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
