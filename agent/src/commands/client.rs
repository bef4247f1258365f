//! `client`: Amanda's client on standard input and output, for the server on this very machine.
//!
//! It is what `amandad -auth=ssh` is behind an ssh. The server's engine starts it, usually through sudo, since the disks are read as root;
//! agent.toml says what it may have. There are no receipts here: incremental state is where Amanda's own client keeps it and moves as that
//! one moves it.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, PoisonError};

use wire::Exit;
use wire::frame::HEADER;

use super::served::is_there;
use super::watching::Seen;
use crate::client::state::State;
use crate::client::state::lists::Lists;
use crate::client::{self, Client, Disk, Kind, Out, Rules};
use crate::config::local::Local;
use crate::report;

/// Serves one connection, from the first byte of standard input to its end.
pub fn run(local: &Local) -> Exit {
    let seen = Arc::new(Seen::default());
    let lists = Lists { directory: local.lists.clone(), host: local.host.clone(), amandates: local.amandates.clone() };
    let state = State::with_lists(&local.state.join("client").join("local"), lists);
    let client = Arc::new(Client { rules: rules(local), state, watch: seen.clone() });
    let served = ToStdout::open()
        .map_err(|error| error.to_string())
        .and_then(|out| client::serve(io::stdin(), Arc::new(out), client).map_err(|error| error.to_string()));
    // Whoever started this reads it when the connection ends before it should.
    seen.words().iter().for_each(|words| report::err(&format!("asyncamanda: {words}")));
    match served {
        Ok(()) => Exit::Done,
        Err(why) => {
            report::err(&format!("asyncamanda: {why}"));
            Exit::Protocol
        }
    }
}

fn rules(local: &Local) -> Rules {
    let disk = |disk: &crate::config::Disk| Disk { name: disk.name.clone(), device: disk.device.clone(), exclude: disk.exclude.clone() };
    Rules {
        host: Some(local.host.clone()),
        config: None,
        disks: local.disks.iter().map(disk).collect(),
        programs: local.programs.iter().filter(|program| is_there(program)).cloned().collect(),
        kind: Kind::Native,
    }
}

/// The way back, without a buffer of its own.
struct ToStdout(Mutex<File>);

impl ToStdout {
    fn open() -> io::Result<Self> {
        Ok(Self(Mutex::new(io::stdout().as_fd().try_clone_to_owned()?.into())))
    }
}

impl Out for ToStdout {
    fn send(&self, frame: Vec<u8>) -> io::Result<()> {
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(frame.get(HEADER..).unwrap_or_default())
    }
}
