//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use wire::{ConfigName, HostName};

/// Let laptops ask this Amanda server to back them up
#[derive(Debug, Parser)]
#[command(name = "asyncamanda-shim", version, disable_help_subcommand = true)]
pub struct Cli {
    /// Read this configuration
    #[arg(long, global = true, value_name = "FILE", default_value = crate::config::DEFAULT_FILE)]
    pub config: PathBuf,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve one laptop: the forced command of its key
    ///
    /// In authorized_keys: restrict,command="/usr/bin/asyncamanda-shim serve --host laptop1" ssh-ed25519 …
    Serve {
        /// The host that this key stands for, as in the disklist
        #[arg(long)]
        host: HostName,
    },
    /// Show what runs, who waits and who holds which lock
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Look again every two seconds
        #[arg(long)]
        watch: bool,
    },
    /// Run a config as amdump does, in turn with the laptops: for the nightly cron line
    Run {
        /// The config
        #[arg(id = "CONFIG", value_name = "CONFIG")]
        name: ConfigName,
    },
    /// Write what lies on the holding disks to the config's tapes
    Flush {
        /// The shared config; the one under `flush` in shim.toml when none is named
        #[arg(id = "CONFIG", value_name = "CONFIG")]
        name: Option<ConfigName>,
    },
    /// Find what would make a backup fail or wait, and how to mend it
    Check {
        /// Look at this host only
        host: Option<HostName>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Start runs for the tickets that wait: the door's other side
    Runner,
    /// Be a run of the embedded engine: started by the runner
    #[command(hide = true)]
    Dumper {
        /// What to do
        #[command(subcommand)]
        command: DumperCommand,
    },
    /// Answer ssh's questions: for ssh_config on this server
    Tunnel {
        /// The question
        #[command(subcommand)]
        command: TunnelCommand,
    },
}

/// What the runner starts.
#[derive(Debug, Subcommand)]
pub enum DumperCommand {
    /// Make the dumps of a run
    Run {
        /// The run
        id: String,
    },
    /// Look at a laptop on the way a dump would take
    Check {
        /// The config
        #[arg(id = "CONFIG", value_name = "CONFIG")]
        name: ConfigName,
        /// The laptop
        host: HostName,
    },
}

/// What ssh_config asks.
#[derive(Debug, Subcommand)]
pub enum TunnelCommand {
    /// Exit with 0 if the host is reached through its own session: for `Match exec`
    Knows {
        /// The host, as Amanda calls it
        host: String,
    },
    /// Say why the host is not there, and fail: the ProxyCommand
    Absent {
        /// The host, as Amanda calls it
        host: String,
    },
}
