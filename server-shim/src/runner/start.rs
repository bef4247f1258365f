//! How a runner comes to life: through its door, out of the session that opened it, as the dump user.
//!
//! `asyncamanda-shim runner` is the front: it becomes the dump user if root called it, reads the configuration so that a
//! mistake in it is told to the caller, starts itself again in the background and ends. The background process has a
//! session of its own, no inherited descriptor, no inherited environment, and writes its words into a log of its own.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::stat::Mode;
use nix::unistd::{User, geteuid, setsid};
use wire::Exit;

use crate::config::{Config, DEFAULT_FILE};
use crate::layout::Layout;
use crate::report::Words;
use crate::sys;

/// The size at which the runner's log begins anew, in bytes.
const MAX_LOG: u64 = 4 * 1024 * 1024;

/// Set in the environment of the background process.
const BACKGROUND: &str = "ASYNCAMANDA_RUNNER_BACKGROUND";

/// Becomes the dump user when called by root; anybody else must be the dump user.
pub fn become_dump_user(config: &Config) -> Result<(), Words> {
    let user = User::from_name(&config.dump_user).ok().flatten().ok_or_else(|| {
        Words::new(Exit::Config, format!("there is no user \"{}\" on this machine", config.dump_user))
            .because("shim.toml names it as Amanda's account (dump_user)")
            .hint("install Amanda, or set dump_user to what `amgetconf build.client_login` prints")
    })?;
    if geteuid() == user.uid {
        return Ok(());
    }
    if !geteuid().is_root() {
        return Err(Words::new(Exit::Refused, format!("only root and {} may do this", config.dump_user))
            .because("it writes Amanda's files")
            .hint(format!("try: sudo -u {} asyncamanda-shim …", config.dump_user)));
    }
    let name = std::ffi::CString::new(config.dump_user.as_str()).map_err(|_| Words::new(Exit::Config, "dump_user has a NUL byte"))?;
    let steps =
        nix::unistd::initgroups(&name, user.gid).and_then(|()| nix::unistd::setgid(user.gid)).and_then(|()| nix::unistd::setuid(user.uid));
    steps.map_err(|errno| Words::new(Exit::Failed, format!("cannot become {}", config.dump_user)).because(errno.to_string()))
}

/// Returns the command line of this program's runner.
pub fn argv(config: &Config) -> io::Result<Vec<std::ffi::OsString>> {
    let exe = std::env::current_exe()?;
    // After an upgrade the kernel says where the old file was; the new one is there.
    let exe = exe.to_str().and_then(|path| path.strip_suffix(" (deleted)")).map_or(exe.clone(), Into::into);
    let mut argv = vec![exe.into_os_string()];
    if config.file != *DEFAULT_FILE && !config.file.as_os_str().is_empty() {
        argv.extend(["--config".into(), config.file.clone().into_os_string()]);
    }
    argv.push("runner".into());
    Ok(argv)
}

/// Tells whether this process is the background one.
pub fn is_background() -> bool {
    std::env::var_os(BACKGROUND).is_some()
}

/// Starts the background process; the caller is the dump user (or root, and then so is the background process, at first).
pub fn spawn_background(config: &Config) -> io::Result<()> {
    sys::forget_inherited_descriptors()?;
    // A limit that cannot be raised would cut every dump.
    if getrlimit(Resource::RLIMIT_FSIZE)?.1 != RLIM_INFINITY {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "whoever starts the runner limits the size of files (ulimit -f)"));
    }
    let layout = config.layout();
    make_directories(&layout)?;
    // Two files of this size are enough to see what went wrong, and never fill a disk.
    if std::fs::metadata(layout.runner_log()).is_ok_and(|data| data.len() > MAX_LOG) {
        std::fs::rename(layout.runner_log(), layout.runner_log().with_extension("log.1"))?;
    }
    let log = OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(libc::O_NOFOLLOW).open(layout.runner_log())?;
    let argv = argv(config)?;
    // Whoever opened the door chose a umask and may have had signals ignored; neither is Amanda's.
    nix::sys::stat::umask(Mode::from_bits_truncate(0o027));
    let mut command = Command::new("/usr/bin/env");
    command
        .arg("--default-signal")
        .args(&argv)
        .env_clear()
        .env(BACKGROUND, "1")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LANG", "C.UTF-8");
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
    Ok(())
}

/// Makes the directories below the runner's own.
pub fn make_directories(layout: &Layout) -> io::Result<()> {
    layout.runner_directories().iter().try_for_each(|directory| make_directory(directory))
}

fn make_directory(path: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    // The shim's group reads what lies here; set-gid comes from the parent.
    match std::fs::DirBuilder::new().mode(0o750).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Leaves the session of whoever opened the door.
pub fn leave_session() {
    // Fails only for a process group's leader, which a spawned process is not.
    let _ = setsid();
}
