//! Whom a backup is asked of: a server over ssh, or a vault in a directory.

use super::way;
use crate::config::{Config, SshDestination};
use crate::report::{Problem, problems};
use crate::session::{self, Caller, SessionError, vault};

/// A server or a vault, and the way to it.
#[derive(Debug, Clone)]
pub enum Place {
    /// Over ssh.
    Server(session::Way),
    /// In this process.
    Vault(vault::Way),
}

impl Place {
    /// Returns the way to a server.
    pub fn server(config: &Config, ssh: &SshDestination) -> Self {
        Self::Server(way(config, ssh))
    }

    /// Calls it, and lets the caller talk to it.
    pub fn call(&self, caller: &mut dyn Caller) -> Result<(), SessionError> {
        match self {
            Self::Server(way) => session::call(way, caller),
            Self::Vault(way) => vault::call(way, caller),
        }
    }

    /// Tells what a call ended in.
    pub fn problem(&self, error: SessionError) -> Problem {
        match self {
            Self::Server(way) => problems::session(error, way),
            Self::Vault(_) => problems::vault(error),
        }
    }

    /// Returns the word for it.
    pub fn word(&self) -> &'static str {
        if self.is_vault() { "vault" } else { "server" }
    }

    /// Tells whether it is a vault.
    pub fn is_vault(&self) -> bool {
        matches!(self, Self::Vault(_))
    }
}
