//! A socket of one session that its reader of dumps connects to: `RUNTIME/hosts/HOST/reader.ID`.

use std::fs::{self, File};
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::net::sockopt::socket_peercred;
use wire::HostName;

use crate::config::Config;
use crate::layout::Layout;
use crate::queue::ticket::Ticket;
use crate::tunnel::listener::{Account, beside, make_directory, prepare};

/// What its name begins with; the ticket's follows, which ends in the session's process.
const NAME: &str = "reader.";

/// A socket for one connection.
#[derive(Debug)]
pub struct Private {
    socket: UnixListener,
    directory: File,
    name: String,
    dump: Account,
}

fn directory_of(layout: &Layout, host: &HostName) -> std::path::PathBuf {
    layout.hosts().join(host.as_str())
}

impl Private {
    /// Makes the socket.
    ///
    /// # Errors
    /// When it cannot be made, or could not be connected to by Amanda's account.
    pub fn open(config: &Config, ticket: &Ticket) -> io::Result<Self> {
        let dump = config.dump_account().map(|(uid, gid)| Account { uid, gid });
        let dump = dump.ok_or_else(|| io::Error::other(format!("there is no user \"{}\"", config.dump_user)))?;
        let path = directory_of(&config.layout(), &ticket.host);
        make_directory(&path)?;
        let directory = File::open(path)?;
        forget_the_dead(&directory);
        let name = format!("{NAME}{}", ticket.id.as_str());
        // Short whatever the directory is called: a socket's path has 107 bytes.
        let at = beside(&directory, &name);
        let socket = UnixListener::bind(&at)?;
        let private = Self { socket, directory, name, dump };
        prepare(&private.socket, &at, dump)?;
        Ok(private)
    }

    /// The socket, for poll.
    pub fn socket(&self) -> &UnixListener {
        &self.socket
    }

    /// Takes the connection of Amanda's account, or of root; nobody else's.
    ///
    /// # Errors
    /// When nobody can be let in.
    pub fn accept(&self) -> io::Result<Option<UnixStream>> {
        let stream = match self.socket.accept() {
            Ok((stream, _)) => stream,
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let uid = socket_peercred(&stream)?.uid.as_raw();
        Ok((uid == 0 || uid == self.dump.uid).then_some(stream))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // One that stays behind refuses connections.
        let _ = fs::remove_file(beside(&self.directory, &self.name));
    }
}

/// Connects to the socket of the session that has this ticket.
///
/// # Errors
/// When nobody is there.
pub fn connect(layout: &Layout, ticket: &Ticket) -> io::Result<UnixStream> {
    let directory = File::open(directory_of(layout, &ticket.host))?;
    UnixStream::connect(beside(&directory, &format!("{NAME}{}", ticket.id.as_str())))
}

/// Removes the sockets of sessions that were killed.
fn forget_the_dead(directory: &File) {
    let Ok(entries) = fs::read_dir(beside(directory, ".")) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let process =
            name.to_str().and_then(|name| name.strip_prefix(NAME)?.rsplit_once('-')).and_then(|(_, process)| process.parse::<u32>().ok());
        if process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
