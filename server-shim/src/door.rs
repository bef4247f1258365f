//! The shim's side of the door to the runner: one line in sudoers, a systemd unit, or the same account.

use std::io;
use std::process::Command;
use std::time::Duration;

use wire::AbortCode;

use crate::authorise::Refusal;
use crate::child;
use crate::config::{Config, Door};
use crate::lock;
use crate::runner::start::argv;

/// How long the door may take to open: sudo asks whatever name service this machine has.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tells whether a runner is alive.
pub fn runner_is_alive(config: &Config) -> io::Result<bool> {
    Ok(lock::ask(&config.layout().runner_lock())? != lock::State::Free)
}

/// Makes sure that a runner is there or coming. Called after a ticket is on disk: a runner that is about to end looks once
/// more after it has let its lock go.
pub fn open(config: &Config, now: i64) -> Result<(), Refusal> {
    let failed = |why: String| Refusal {
        code: AbortCode::Config,
        message: format!("the server could not start its runner: {why}"),
        hint: "your ticket is kept and is served as soon as the operator has mended this (asyncamanda-shim check says how)".to_owned(),
    };
    let layout = config.layout();
    // Of many sessions that come at once, one opens the door; the runner that comes sees everybody's ticket.
    let guard = match lock::try_take(&layout.door_lock(), "", now) {
        Ok(Some(guard)) => guard,
        Ok(None) => return Ok(()),
        Err(error) => return Err(failed(format!("{}: {error}", layout.door_lock().display()))),
    };
    if config.runner.door == Door::Systemd || runner_is_alive(config).unwrap_or(false) {
        return Ok(());
    }
    let argv = argv(config).map_err(|error| failed(error.to_string()))?;
    let mut command = match config.runner.door {
        Door::Sudo if !nix::unistd::geteuid().is_root() => {
            let mut command = Command::new("/usr/bin/sudo");
            command.args(["-n", "-u", &config.dump_user, "--"]).args(&argv);
            command
        }
        _ => {
            let mut command = Command::new(&argv[0]);
            command.args(&argv[1..]);
            command
        }
    };
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/");
    let output = child::finish(&mut command, PATIENCE).map_err(|error| failed(error.to_string()))?;
    drop(guard);
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let words: Vec<&str> = words.lines().map(str::trim).filter(|line| !line.is_empty()).take(4).collect();
    Err(failed(if words.is_empty() { format!("it ended with {}", output.status) } else { words.join("; ") }))
}
