//! A throw-away sshd on a loopback port, with keys of its own.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::child::{self, Background};
use crate::office;
use crate::procs;
use crate::system;
use crate::wait::until;

/// One sshd and where its things lie.
#[derive(Debug)]
pub struct Sshd {
    dir: PathBuf,
    addresses: Vec<Ipv4Addr>,
    /// The port that it listens on.
    pub port: u16,
    daemon: Option<Background>,
    /// An empty directory that hides Amanda from it and from all that it starts.
    office: Option<PathBuf>,
}

impl Sshd {
    /// Starts an sshd on these loopback addresses, on a port that is free on all of them.
    ///
    /// # Panics
    /// When sshd does not come up.
    pub fn start(dir: &Path, addresses: &[Ipv4Addr]) -> Self {
        Self::start_where(dir, addresses, None)
    }

    /// Starts one where there is no Amanda ([`office`]).
    ///
    /// # Panics
    /// When sshd does not come up.
    pub fn start_in_an_office(dir: &Path, addresses: &[Ipv4Addr], empty: &Path) -> Self {
        Self::start_where(dir, addresses, Some(empty))
    }

    fn start_where(dir: &Path, addresses: &[Ipv4Addr], office: Option<&Path>) -> Self {
        system::directory(dir, "root", "root", 0o755);
        keypair(&dir.join("host_key"));
        fs::write(dir.join("log"), "").expect("a directory of our own");
        let mut sshd =
            Self { dir: dir.to_owned(), addresses: addresses.to_vec(), port: 0, daemon: None, office: office.map(Path::to_owned) };
        // Between asking for a free port and sshd's bind somebody else may take it: try again.
        for _ in 0..5 {
            sshd.port = free_port(addresses);
            sshd.configure();
            if sshd.up() {
                return sshd;
            }
        }
        panic!("sshd does not come up: {}", sshd.log());
    }

    fn configure(&self) {
        let listen: String = self.addresses.iter().map(|address| format!("ListenAddress {address}:{}\n", self.port)).collect();
        let base = format!(
            "{listen}HostKey {dir}/host_key\nPidFile none\nAuthorizedKeysFile {dir}/keys-%u\n\
             # The directories above are /tmp and ours, and accounts have no PAM here.\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             # Hundreds of laptops at once, all from one address.\n\
             MaxStartups 1000\nLogLevel VERBOSE\nUseDNS no\nPrintMotd no\n",
            dir = self.dir.display()
        );
        // Since OpenSSH 9.8 clients that look hostile are shut out for a while; older ones do not know the word.
        let modern = format!("{base}PerSourcePenalties no\n");
        fs::write(self.dir.join("config"), modern).expect("a directory of our own");
        let mut test = child::program("/usr/sbin/sshd");
        test.arg("-t").arg("-f").arg(self.dir.join("config"));
        if child::run(test, Duration::from_secs(20)).code != Some(0) {
            fs::write(self.dir.join("config"), base).expect("a directory of our own");
        }
    }

    /// Starts the daemon; tells whether it listens.
    pub fn up(&mut self) -> bool {
        let program = "/usr/sbin/sshd";
        let mut command = self.office.as_ref().map_or_else(|| child::program(program), |empty| office::without_amanda(program, empty));
        command.arg("-D").arg("-E").arg(self.dir.join("log")).arg("-f").arg(self.dir.join("config"));
        let before = self.log().len();
        let mut daemon = Background::start(command);
        // Its own word, not a connection of ours: that would be logged when the tests already count those of the laptop.
        let answers = until("sshd to listen or to give up", Duration::from_secs(20), || {
            let gave_up = !daemon.is_running();
            let log = self.log();
            let said = log.get(before..).unwrap_or_default();
            let listens = |address: &Ipv4Addr| said.contains(&format!("Server listening on {address} port {}.", self.port));
            if self.addresses.iter().all(listens) {
                return Some(true);
            }
            (gave_up || said.contains("Bind to port")).then_some(false)
        });
        self.daemon = Some(daemon);
        answers
    }

    /// Starts it again where Amanda is.
    ///
    /// # Panics
    /// When sshd does not come up.
    pub fn leave_the_office(&mut self) {
        self.down();
        self.office = None;
        assert!(self.up(), "sshd does not come up: {}", self.log());
    }

    /// Returns the daemon's process; none while it is down.
    pub fn pid(&self) -> Option<i32> {
        self.daemon.as_ref().map(Background::pid)
    }

    /// Ends the daemon and every session of it.
    pub fn down(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            for process in procs::with_descendants(&procs::all(), &[daemon.pid()]) {
                process.kill_9();
            }
        }
    }

    /// Lets a key in as an account, for one forced command and nothing else.
    pub fn allow(&self, account: &str, public_key: &str, command: &str) {
        let path = self.dir.join(format!("keys-{account}"));
        let before = fs::read_to_string(&path).unwrap_or_default();
        let quoted = command.replace('"', "\\\"");
        system::file(&path, &format!("{before}restrict,command=\"{quoted}\" {public_key}\n"), "root", "root", 0o644);
    }

    /// Lets a key in as an account, for whatever it asks for: the Perl script's users have it so.
    pub fn allow_anything(&self, account: &str, public_key: &str) {
        let path = self.dir.join(format!("keys-{account}"));
        let before = fs::read_to_string(&path).unwrap_or_default();
        system::file(&path, &format!("{before}{public_key}\n"), "root", "root", 0o644);
    }

    /// Returns the lines for a known_hosts file.
    pub fn known_hosts(&self) -> Vec<String> {
        let key = public_key(&self.dir.join("host_key"));
        self.addresses.iter().map(|address| format!("[{address}]:{} {key}", self.port)).collect()
    }

    /// Gives the server another host key, as a machine in the middle would have. Takes effect with [`Sshd::up`].
    pub fn change_host_key(&self) {
        fs::remove_file(self.dir.join("host_key")).expect("it has one");
        keypair(&self.dir.join("host_key"));
    }

    /// Returns what sshd has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Returns how many sessions were begun: keys accepted and commands started.
    pub fn sessions(&self) -> usize {
        self.log().matches("Starting session:").count()
    }

    /// Returns how many connections were opened, successful or not.
    pub fn connections(&self) -> usize {
        self.log().matches("Connection from ").count()
    }
}

/// Makes a key pair without a passphrase.
pub fn keypair(path: &Path) {
    let mut keygen = child::program("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "asyncamanda-test", "-f"]).arg(path);
    child::must(keygen);
}

/// Returns the public half of a key, kind and key without the comment.
pub fn public_key(private: &Path) -> String {
    let text = fs::read_to_string(private.with_extension("pub")).expect("the key was made with it");
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// Returns a port that is free on all of these addresses, now.
pub fn free_port(addresses: &[Ipv4Addr]) -> u16 {
    until("a free port", Duration::from_secs(20), || {
        let first = TcpListener::bind((*addresses.first()?, 0)).ok()?;
        let port = first.local_addr().ok()?.port();
        addresses[1..].iter().all(|address| TcpListener::bind((*address, port)).is_ok()).then_some(port)
    })
}
