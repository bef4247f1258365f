//! For everybody who is not the session: does shim.toml know this host, is its laptop there, and what to say if not.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use wire::{Exit, HostName};

use super::{listener, mux};
use crate::config::{Config, Reach};
use crate::report::Words;

/// How long the session may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells whether Amanda can reach this host's laptop through a session now.
///
/// The session says so only while it has heard of the laptop within the last seconds. For the dump user and root.
pub fn alive(config: &Config, host: &HostName) -> bool {
    question(config, host).unwrap_or(false)
}

fn question(config: &Config, host: &HostName) -> io::Result<bool> {
    let until = Instant::now() + PATIENCE;
    let mut socket = reach(config, host)?;
    socket.write_all(&[mux::hello(), mux::alive_check(1)].concat())?;
    let mut answer = Vec::new();
    // Its hello, and the answer.
    while answer.len() < 12 + 16 {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        socket.set_read_timeout(Some(left))?;
        let mut bytes = [0; 64];
        let read = socket.read(&mut bytes)?;
        if read == 0 {
            return Ok(false);
        }
        answer.extend_from_slice(&bytes[..read]);
    }
    Ok(answer.starts_with(&mux::hello()) && mux::is_alive(&answer[12..], 1))
}

/// Connects to a host's control socket, whoever is behind it; links on the way to it are not followed.
pub(super) fn reach(config: &Config, host: &HostName) -> io::Result<UnixStream> {
    let path = config.layout().mux(host);
    let directory = path.parent().ok_or(io::ErrorKind::NotFound)?;
    let directory = File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW).open(directory)?;
    // Not to wait for a place in the queue of one that accepts nothing.
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
    connect(&socket, &SocketAddrUnix::new(listener::beside(&directory, "mux"))?)?;
    let socket = UnixStream::from(socket);
    socket.set_nonblocking(false)?;
    Ok(socket)
}

/// Tells whether a host is reached through its session: what ssh_config's `Match exec` asks about every host there is.
pub fn knows(config: &Config, host: &str) -> bool {
    host.parse().ok().and_then(|host: HostName| config.hosts.get(&host)).is_some_and(|rule| rule.reach == Reach::Tunnel)
}

/// Says why Amanda's ssh finds nobody: it has tried the control socket, and this is its ProxyCommand.
pub fn absent(config: &Config, host: &str) -> Words {
    let Ok(name) = host.parse::<HostName>() else {
        return Words::new(Exit::Failed, format!("{host} is no host's name"));
    };
    if !knows(config, host) {
        return Words::new(Exit::Failed, format!("{name} is not reached through a session of its own"))
            .because(format!("{} has no {} with reach = \"tunnel\"", config.file.display(), Config::heading(&name)))
            .hint(format!("take {name} out of the ssh drop-in that led here, or set reach = \"tunnel\" for it"));
    }
    if alive(config, &name) {
        return Words::new(Exit::Failed, format!("{name} is connected, and its session did not take this connection"))
            .hint("ssh has said why, in a line of its own");
    }
    Words::new(Exit::Failed, format!("{name} is not connected"))
        .because("a laptop is backed up through its own session, and there is none now, or it has been silent")
        .hint(format!("nothing need be done: it is backed up when it calls; run `asyncamanda now` on {name} to have it call at once"))
}
