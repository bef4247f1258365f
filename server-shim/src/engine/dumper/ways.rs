//! The ways to the hosts of shim.toml: through a laptop's own session, or to a client on this machine.

use std::io;

use wire::HostName;

use super::local;
use crate::config::{Config, Reach};
use crate::engine::embedded::{Connection, Link};
use crate::tunnel::dial::Sessions;

/// All of them.
#[derive(Debug)]
pub struct Ways<'a> {
    config: &'a Config,
    sessions: Sessions<'a>,
}

impl<'a> Ways<'a> {
    /// Takes shim.toml, which knows the hosts.
    pub fn new(config: &'a Config) -> Self {
        Self { config, sessions: Sessions::new(config) }
    }

    fn is_local(&self, host: &HostName) -> bool {
        self.config.hosts.get(host).is_some_and(|rule| rule.reach == Reach::Local)
    }
}

impl Link for Ways<'_> {
    fn connect(&self, host: &HostName) -> io::Result<Connection> {
        if self.is_local(host) { local::open(&self.config.local.client, host) } else { self.sessions.connect(host) }
    }

    fn absent(&self, host: &HostName) -> Option<String> {
        self.sessions.absent(host)
    }

    fn moves_by_itself(&self, host: &HostName) -> bool {
        self.is_local(host)
    }
}
