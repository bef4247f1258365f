//! A closed world for whole runs of the agent: a home, a configuration, a cleared environment, and where wanted a real
//! sshd on a port of its own whose forced command is a fake shim that follows a script.
#![allow(dead_code, reason = "every test binary uses its own part of the world")]

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const SSHD: &str = "/usr/sbin/sshd";

/// What a run of the agent came to.
pub struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("only text is printed");
        Self { status: output.status.code().expect("no signal"), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Ended so, and said all of these on standard error.
    #[track_caller]
    pub fn says(&self, status: i32, parts: &[&str]) {
        assert_eq!(self.status, status, "out: {}\nerr: {}", self.out, self.err);
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is not in {:?}", self.err);
        }
    }

    /// Ended so, without a word.
    #[track_caller]
    pub fn is_silent(&self, status: i32) {
        assert_eq!((self.status, self.out.as_str(), self.err.as_str()), (status, "", ""));
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {:?} {:?}", self.out, self.err))
    }
}

/// A directory with everything in it.
pub struct World {
    dir: tempfile::TempDir,
}

/// Returns the seconds since the epoch.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("fits")
}

impl World {
    /// Makes an empty one, with a key.
    pub fn new() -> Self {
        let world = Self::without_key();
        keygen(&world.path("id"));
        world
    }

    /// Makes an empty one.
    pub fn without_key() -> Self {
        // Short, because sockets are in it; every user may pass, because sshd's children do.
        let dir = tempfile::Builder::new().prefix("aaw-").tempdir_in("/tmp").expect("a directory");
        let world = Self { dir };
        for name in ["home", "state", "bin", "server"] {
            fs::create_dir(world.path(name)).expect("a directory");
        }
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("written");
        path
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Writes agent.toml for a server at this port; `more` comes first, at the top of the file.
    pub fn configure(&self, port: u16, more: &str, disks: &[&str]) {
        let disks: String = disks.iter().map(|disk| format!("[[disk]]\npath = \"{disk}\"\n")).collect();
        let text = format!(
            "{more}\nstate = \"state\"\namandates = \"amandates\"\n[server]\ndestination = \"{}@127.0.0.1:{port}\"\nidentity = \"id\"\nknown_hosts = \"known_hosts\"\nconnect_timeout = 5\n{disks}",
            user()
        );
        self.write("agent.toml", text);
    }

    /// A command of the agent with nothing in its environment but this world.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_asyncamanda"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()))
            .env("ASYNCAMANDA_CONFIG", self.path("agent.toml"))
            .env("TZ", "UTC")
            .current_dir(self.path("home"))
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().expect("the agent starts"))
    }

    /// The Perl script's line, for a server at this port.
    pub fn perl_line(&self, port: u16, command: &str) -> Vec<String> {
        let host = format!("{}@127.0.0.1:{port}", user());
        let key = self.path("id").display().to_string();
        let amandates = self.path("amandates").display().to_string();
        ["-i", "24", "-h", &host, "-k", &key, "-c", command, "-a", &amandates].map(str::to_owned).to_vec()
    }

    pub fn perl(&self, arguments: &[String]) -> Ran {
        let mut command = self.command(arguments);
        Ran::of(command.env("ASYNCAMANDA_STATE", self.path("state")).output().expect("the agent starts"))
    }

    /// Waits for something that another process does, and fails when it never comes.
    #[track_caller]
    pub fn wait_for(&self, what: &str, happened: impl Fn() -> bool) {
        let begun = Instant::now();
        while !happened() {
            assert!(begun.elapsed() < Duration::from_secs(20), "{what}: never");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// All files below state/receipts.
    pub fn records(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut directories = vec![self.path("state/receipts")];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    directories.push(entry.path());
                } else if entry.file_name() != "peer.json" {
                    found.push(entry.path());
                }
            }
        }
        found
    }
}

/// Returns the name of the user who runs the tests: sshd lets others in only as root.
pub fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

pub fn keygen(path: &Path) {
    let status = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status();
    assert!(status.expect("ssh-keygen is installed").success());
}

/// Returns a port where nobody listens.
pub fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port()
}

/// A real sshd in the foreground; it ends with the world.
pub struct Sshd {
    child: Child,
    pub port: u16,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sshd {
    /// Starts one whose forced command is the fake shim.
    pub fn with_shim(world: &World, script: &str) -> Self {
        let shim = world.write("server/shim.py", include_str!("shim.py"));
        fs::set_permissions(&shim, fs::Permissions::from_mode(0o755)).expect("set");
        world.write("server/script", script);
        Self::start(world, Some(&format!("/usr/bin/python3 {}", shim.display())))
    }

    /// Starts one; without a forced command the key may run anything.
    pub fn start(world: &World, forced: Option<&str>) -> Self {
        assert!(Path::new(SSHD).exists(), "{SSHD} is missing: apt-get install openssh-server");
        keygen(&world.path("server/host_key"));
        let public = world.read("id.pub");
        let options = forced.map_or_else(String::new, |forced| format!("restrict,command=\"{forced}\" "));
        world.write("server/authorized_keys", format!("{options}{public}"));
        // The port may be taken between asking for it and sshd's own bind: then another one is tried.
        for _ in 0..20 {
            let port = closed_port();
            if let Some(child) = listen(world, port) {
                pin(world, port, "server/host_key.pub");
                return Self { child, port };
            }
        }
        panic!("sshd does not start: {}", world.read("server/log"));
    }

    /// How often somebody got in.
    pub fn logins(&self, world: &World) -> usize {
        world.read("server/log").matches("Accepted publickey").count()
    }

    /// How often somebody knocked.
    pub fn connections(&self, world: &World) -> usize {
        world.read("server/log").lines().filter(|line| line.contains("Connection from") && !line.contains("probe")).count()
    }
}

fn listen(world: &World, port: u16) -> Option<Child> {
    let path = |name: &str| world.path(name).display().to_string();
    let text = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel VERBOSE\n",
        path("server/host_key"),
        path("server/authorized_keys"),
    );
    let config = world.write("server/sshd_config", text);
    if nix::unistd::geteuid().is_root() {
        fs::create_dir_all("/run/sshd").expect("sshd's privilege separation directory");
    }
    let _ = fs::remove_file(world.path("server/log"));
    let mut child = Command::new(SSHD)
        .args(["-D", "-f"])
        .arg(config)
        .arg("-E")
        .arg(world.path("server/log"))
        .stdin(Stdio::null())
        .spawn()
        .expect("sshd starts");
    // It says so in its log when it listens; a connection would count as one.
    let patience = Instant::now();
    while patience.elapsed() < Duration::from_secs(20) {
        if world.read("server/log").contains("Server listening on") {
            return Some(child);
        }
        if child.try_wait().expect("waitable").is_some() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// Pins a host key in the world's known_hosts, for the agent and for the stand-in of the caller's own ssh.
pub fn pin(world: &World, port: u16, public: &str) {
    let key = world.read(public);
    let fields: Vec<&str> = key.split_whitespace().take(2).collect();
    world.write("known_hosts", format!("[127.0.0.1]:{port} {}\n", fields.join(" ")));
}

/// Puts an `ssh` on PATH that reads a configuration of its own first: OpenSSH takes the home from passwd and not from
/// HOME, so this is how a test has a "caller's own ssh configuration".
pub fn callers_ssh(world: &World) {
    let config = world.write(
        "ssh_config",
        format!("Host *\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile none\n", world.path("known_hosts").display()),
    );
    let wrapper = world.write("bin/ssh", format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", config.display()));
    fs::set_permissions(wrapper, fs::Permissions::from_mode(0o755)).expect("set");
}
