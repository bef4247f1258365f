//! The engine's locks, all of them open-file-description locks, which go with their holder and exclude Amanda's own.
//!
//! - Amanda's lock of the tapelist: whoever changes volumes, log or history. It is held for as long as it takes to read a catalog,
//!   or to put dumps on volumes.
//! - One for each disk, held from the moment its level is chosen until its dump is on a volume.
//! - One for a run's directory on the holding disk, the file `pid` in it: while it is held, what is unfinished there is being made.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use amanda::dle::Dle;
use amanda::holding::PID_FILE;
use amanda::quoting::sanitise;
use amanda::tapelist::LOCK_SUFFIX;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use super::files;
use super::site::Site;
use crate::lock::{self, Guard};
use crate::processes;

/// Amanda's programs that mark a directory.
const AMANDAS: [&str; 4] = ["driver", "planner", "dumper", "amdump"];

/// A lock on a file that is open.
#[derive(Debug)]
pub struct Held {
    file: File,
}

impl Drop for Held {
    fn drop(&mut self) {
        lock::release(&self.file);
    }
}

fn whole_file() -> libc::flock {
    libc::flock { l_type: libc::F_WRLCK as libc::c_short, l_whence: libc::SEEK_SET as libc::c_short, l_start: 0, l_len: 0, l_pid: 0 }
}

fn open(path: &Path, create: bool) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;
    OpenOptions::new().read(true).write(true).create(create).truncate(false).mode(0o600).custom_flags(flags).open(path)
}

fn tapelists(site: &Site) -> PathBuf {
    beside(site.config().tapelist())
}

fn beside(tapelist: PathBuf) -> PathBuf {
    let mut path = tapelist.into_os_string();
    path.push(LOCK_SUFFIX);
    path.into()
}

/// Takes Amanda's lock of any config's tapelist, and makes its file.
pub fn of_list(tapelist: PathBuf) -> io::Result<Held> {
    let path = beside(tapelist);
    wait(open(&path, true)?)
}

/// Makes the file of Amanda's lock of the tapelist.
pub fn prepare(site: &Site) -> io::Result<()> {
    open(&tapelists(site), true).map(drop)
}

/// Takes Amanda's lock of the tapelist; waits for whoever has it. It is not made here: where it is missing, a drive has been pulled
/// out, and nothing is to be written to where it was.
pub fn tapelist(site: &Site) -> io::Result<Held> {
    wait(open(&tapelists(site), false)?)
}

fn wait(file: File) -> io::Result<Held> {
    loop {
        match fcntl(&file, FcntlArg::F_OFD_SETLKW(&whole_file())) {
            Ok(_) => return Ok(Held { file }),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Takes the lock of a disk; `None` while another run dumps it.
pub fn disk(site: &Site, dle: &Dle) -> io::Result<Option<Guard>> {
    let directory = site.own().join("disks");
    files::make_below(&site.own(), &directory)?;
    // Two disks that Amanda takes for the same file share a lock, too.
    let path = directory.join(short_name(dle, ".lock"));
    lock::try_take(&path, "", 0)
}

/// Names a file of a disk. Disks' names are as long as paths, and a file's may not be.
pub fn short_name(dle: &Dle, suffix: &str) -> OsString {
    let name = sanitise(&[dle.host.as_bytes(), b".", dle.disk_bytes()].concat());
    let name = name.as_bytes();
    let mut short =
        if name.len() <= 200 { name.to_vec() } else { [&name[..180], format!(".{:08x}", crc32c::crc32c(name)).as_bytes()].concat() };
    short.extend(suffix.as_bytes());
    OsString::from_vec(short)
}

/// Marks a run's directory as its own. Nobody else may look for dead runs meanwhile: hold the tapelist's lock.
pub fn own_run(directory: &Path) -> io::Result<Held> {
    let mut file = open(&directory.join(PID_FILE), true)?;
    match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file())) {
        Ok(_) => {}
        Err(errno) => return Err(errno.into()),
    }
    file.write_all(std::process::id().to_string().as_bytes())?;
    Ok(Held { file })
}

/// Says whether the run that made a directory is gone. A process of Amanda's that lives counts, too: it has no lock, only its id.
pub fn is_dead(directory: &Path) -> io::Result<bool> {
    let file = match open(&directory.join(PID_FILE), false) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file())) {
        Ok(_) => {
            let mut id = String::new();
            file.take(20).read_to_string(&mut id).ok();
            let process = id.trim().parse().ok().and_then(processes::read);
            Ok(!process.is_some_and(|process| AMANDAS.contains(&process.comm.as_str())))
        }
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}
