//! One laptop's session: the forced command. It lets the host in, places its ticket, waits with it, and hands out the
//! receipts. It may die at any moment; the ticket does not.
//!
//! [`session`] is the conversation with an agent, [`plain`] the answer for an old client that reads text, [`follow`] what
//! both know of a ticket and [`place`] how they get one, [`peer`] the laptop at the other end of the pipe and Amanda beside it, [`output`] what waits to be
//! read by the laptop, [`allowance`] how much it may say. When it restores, a reader of dumps comes to a socket of this session ([`private`]), and
//! [`relay`] passes on what the two say.

pub mod allowance;
pub mod follow;
pub mod output;
pub mod peer;
pub mod place;
pub mod plain;
pub mod private;
pub mod relay;
pub mod session;

use std::io;

use wire::{Exit, HostName};

use crate::authorise::{Grant, Refusal, authorise};
use crate::config::Config;
use crate::invocation::{self, Request};
use crate::report::Words;

/// Serves one session; `original` is `SSH_ORIGINAL_COMMAND`.
pub fn serve(config: &Config, host: &HostName, original: Option<&str>) -> Result<Exit, Words> {
    let request = invocation::parse(original);
    audit(host, original, request.as_ref().err().map(ToString::to_string).as_deref());
    let request = request.map_err(|error| {
        Words::new(Exit::Refused, "the request was refused")
            .because(error.to_string())
            .hint("a laptop asks with `asyncamanda run`; anything else needs another key")
    })?;
    let granted = authorise(config, host, &request);
    match &request {
        Request::Agent => session::converse(config, host, granted, false),
        Request::Amdump { frames: true, .. } => session::converse(config, host, granted, true),
        Request::Amdump { config: named, .. } => plain::answer(config, &granted?, named),
    }
}

/// Tells the system's log who asked for what; standard error would go to the laptop.
fn audit(host: &HostName, original: Option<&str>, refused: Option<&str>) {
    let from = std::env::var("SSH_CONNECTION").unwrap_or_default();
    let peer = from.split(' ').next().unwrap_or_default();
    let asked = amanda::escape::printable(original.unwrap_or_default().as_bytes());
    let line = match refused {
        None => format!("event=session host={host} peer={peer} asked=\"{asked}\""),
        Some(why) => format!("event=refused host={host} peer={peer} asked=\"{asked}\" why=\"{why}\""),
    };
    syslog(&line);
}

/// Sends one line to the system's log socket (RFC 3164, facility auth); a machine without one has no such log.
pub fn syslog(line: &str) {
    const AUTH_NOTICE: u8 = 4 * 8 + 5;
    if let Ok(socket) = std::os::unix::net::UnixDatagram::unbound() {
        let text: String = line.chars().take(1500).collect();
        let _ = socket.send_to(format!("<{AUTH_NOTICE}>asyncamanda-shim[{}]: {text}", std::process::id()).as_bytes(), "/dev/log");
    }
}

impl From<Refusal> for Words {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code.exit(), refusal.message).hint(refusal.hint)
    }
}

/// What a session needs to know to place a trigger.
pub type Granted = Result<Grant, Refusal>;

/// Turns a failure of this machine into words for the laptop; the ticket, if there is one, is safe.
pub fn trouble_here(what: &str, error: &io::Error, config: &Config) -> Refusal {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let read_only = matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound);
    let code = if read_only { wire::AbortCode::Config } else { wire::AbortCode::Later };
    let hint = if full {
        format!("the operator must free some room where {} is", config.state.display())
    } else {
        format!("the operator should look at {} (asyncamanda-shim check says what it must be like)", config.state.display())
    };
    Refusal { code, message: format!("the server {what}: {error}"), hint }
}
