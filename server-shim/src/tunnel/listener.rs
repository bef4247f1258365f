//! The control socket of one host, `RUNTIME/hosts/HOST/mux`: made, handed over to a newer session, taken away.
//!
//! The newest session owns the path: it binds a name of its own and renames it over. An older one sees that the socket at the
//! path is not its own any more, and leaves it alone until nobody is behind it: then it takes the path back, or the newer one
//! that left would have cut it off for good. Who compares and removes, or renames, holds the directory's lock.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::stat::{Mode, umask};
use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use wire::{AbortCode, HostName};

use crate::authorise::Refusal;
use crate::config::Config;

/// The longest path that ssh can connect to (`sun_path`, with its NUL).
pub const MAX_PATH: usize = 107;

/// How long nobody is let in when that fails, and how often one without a socket looks whether the path is free.
const PAUSE: Duration = Duration::from_secs(1);

/// The account that connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub uid: u32,
    /// Its group's.
    pub gid: u32,
}

/// A socket at the path, as long as it is ours.
#[derive(Debug)]
struct Bound {
    socket: UnixListener,
    inode: (u64, u64),
}

/// A session's claim to the socket that Amanda's ssh connects to.
#[derive(Debug)]
pub struct Listener {
    /// None while a newer session has the path.
    bound: Option<Bound>,
    directory: File,
    dump: Account,
    /// Until then nobody is let in, or the path is not looked at.
    paused: Option<Instant>,
}

/// Returns a path to a name in an open directory that is short whatever the directory is called.
pub fn beside(directory: &File, name: &str) -> PathBuf {
    format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()).into()
}

impl Listener {
    /// Takes the host's socket over.
    pub fn open(config: &Config, host: &HostName) -> Result<Self, Refusal> {
        let path = config.layout().mux(host);
        let refuse = |why: String| Refusal {
            code: AbortCode::Config,
            message: format!("the server cannot offer this laptop's connection to Amanda: {why}"),
            hint: "the operator should look at `runtime` of shim.toml (asyncamanda-shim check says what its hosts directory must be like)"
                .to_owned(),
        };
        if path.as_os_str().len() > MAX_PATH {
            return Err(refuse(format!("{} is longer than the {MAX_PATH} bytes that ssh allows for a ControlPath", path.display())));
        }
        let dump = config.dump_account().map(|(uid, gid)| Account { uid, gid });
        let dump = dump.ok_or_else(|| refuse(format!("there is no user \"{}\"", config.dump_user)))?;
        let directory = path.parent().unwrap_or(Path::new("/"));
        make_directory(directory).map_err(|error| refuse(format!("{}: {error}", directory.display())))?;
        let here = |error: io::Error| refuse(format!("{}: {error}", path.display()));
        let directory = File::open(directory).map_err(here)?;
        directory.lock().map_err(here)?;
        let bound = bind(&directory, dump).map_err(here);
        directory.unlock().map_err(here)?;
        Ok(Self { bound: Some(bound?), directory, dump, paused: None })
    }

    /// The socket, for poll; none while nobody is to be let in.
    pub fn socket(&self) -> Option<&UnixListener> {
        self.bound.as_ref().filter(|_| self.paused.is_none()).map(|bound| &bound.socket)
    }

    /// Tells whether a newer session has taken the path over since it was ours.
    pub fn is_lost(&self) -> bool {
        self.bound.as_ref().is_some_and(|bound| !self.is_at_path(bound))
    }

    fn is_at_path(&self, bound: &Bound) -> bool {
        inode(&beside(&self.directory, "mux")).is_ok_and(|inode| inode == bound.inode)
    }

    /// Gives up a socket that is not at the path any more.
    pub fn give_up(&mut self) {
        self.bound = None;
        self.paused = None;
    }

    /// Looks after what changes with time: lets in again after a pause and, with `back`, takes the path back when nobody is
    /// behind it.
    pub fn tick(&mut self, now: Instant, back: bool) {
        if self.paused.is_some_and(|until| now < until) {
            return;
        }
        self.paused = None;
        if self.bound.is_none() && back && self.take_back().is_err() {
            // Somebody else is there, or looks at this moment; or there are no descriptors.
            self.paused = Some(now + PAUSE);
        }
    }

    fn take_back(&mut self) -> io::Result<()> {
        self.directory.try_lock()?;
        let bound = if somebody_listens(&self.directory) { Err(io::ErrorKind::AddrInUse.into()) } else { bind(&self.directory, self.dump) };
        self.directory.unlock()?;
        self.bound = Some(bound?);
        Ok(())
    }

    /// Takes the next connection; none when nobody waits. One that may not come in is closed at once.
    pub fn accept(&mut self, now: Instant) -> Option<UnixStream> {
        match self.try_accept() {
            Ok(socket) => socket,
            // Out of descriptors, say. Whoever waits goes on waiting.
            Err(_) => {
                self.paused = Some(now + PAUSE);
                None
            }
        }
    }

    fn try_accept(&self) -> io::Result<Option<UnixStream>> {
        let Some(socket) = self.socket() else { return Ok(None) };
        loop {
            let stream = match socket.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => continue,
                Err(error) => return Err(error),
            };
            let uid = socket_peercred(&stream)?.uid.as_raw();
            if uid == 0 || uid == self.dump.uid {
                stream.set_nonblocking(true)?;
                return Ok(Some(stream));
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A socket that stays behind refuses connections; that is as good as none.
        if self.directory.lock().is_ok() {
            if self.bound.as_ref().is_some_and(|bound| self.is_at_path(bound)) {
                let _ = fs::remove_file(beside(&self.directory, "mux"));
            }
            let _ = self.directory.unlock();
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|data| (data.dev(), data.ino()))
}

/// Makes the host's directory: its group is inherited from the one above, which is set-gid.
pub fn make_directory(path: &Path) -> io::Result<()> {
    // A later chmod by somebody who is not in the group would take the set-gid bit away.
    let before = umask(Mode::from_bits_truncate(0o027));
    let made = DirBuilder::new().recursive(true).mode(0o750).create(path);
    umask(before);
    made
}

/// Tells whether a session is behind the socket at the path. One that was killed leaves a socket that refuses.
fn somebody_listens(directory: &File) -> bool {
    let path = beside(directory, "mux");
    if inode(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return false;
    }
    let connected = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)
        .and_then(|socket| connect(&socket, &SocketAddrUnix::new(path)?));
    connected != Err(rustix::io::Errno::CONNREFUSED)
}

fn bind(directory: &File, dump: Account) -> io::Result<Bound> {
    forget_the_dead(directory);
    let name = beside(directory, &format!(".mux.{}", std::process::id()));
    match fs::remove_file(&name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = UnixListener::bind(&name)?;
    let ready = prepare(&socket, &name, dump).and_then(|inode| fs::rename(&name, beside(directory, "mux")).map(|()| inode));
    if ready.is_err() {
        let _ = fs::remove_file(&name);
    }
    Ok(Bound { socket, inode: ready? })
}

/// Lets the dump user connect to a socket that was just made.
pub fn prepare(socket: &UnixListener, name: &Path, dump: Account) -> io::Result<(u64, u64)> {
    socket.set_nonblocking(true)?;
    fs::set_permissions(name, fs::Permissions::from_mode(0o660))?;
    let data = fs::symlink_metadata(name)?;
    if data.uid() != dump.uid && data.gid() != dump.gid {
        // Root may; others only if the group is one of theirs.
        std::os::unix::fs::chown(name, None, Some(dump.gid)).map_err(|_| {
            io::Error::other(format!(
                "its group is {}, and Amanda's account has the group {}: the directory above must be set-gid",
                data.gid(),
                dump.gid
            ))
        })?;
    }
    inode(name)
}

/// Removes what sessions left that were killed between bind and rename.
fn forget_the_dead(directory: &File) {
    let Ok(entries) = fs::read_dir(beside(directory, ".")) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(".mux.")).and_then(|process| process.parse::<u32>().ok());
        if process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
