//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use wire::{ConfigName, HostName};

use crate::vault::make::{NewDisk, Order};

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
        /// Only these hosts, or these disks of the host before them, as the disklist has them
        #[arg(value_name = "HOST [DISK…]")]
        only: Vec<OsString>,
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
        /// Mail what must be mended to whom the configs name (mailto); when that is nothing, no mail is sent
        #[arg(long, short)]
        mail: bool,
    },
    /// Tell what a run did: in plain words, then with every figure, as amreport does
    ///
    /// Exit status 1 when something went wrong in the run.
    Report {
        /// A config of the installed Amanda or in shim.toml's config_dir, or the directory of a vault
        #[arg(value_name = "CONFIG|VAULT")]
        name: String,
        /// The run of this log; the newest one when neither this nor --date is given
        #[arg(long, value_name = "FILE")]
        log: Option<PathBuf>,
        /// The run of this datestamp: 20261122023901, or its beginning
        #[arg(long, value_name = "STAMP", conflicts_with = "log")]
        date: Option<String>,
        /// Print the plain words only: what went wrong comes first, with what it means and what to do
        #[arg(long)]
        plain: bool,
        /// Print JSON
        #[arg(long, conflicts_with = "plain")]
        json: bool,
        /// Mail it to whom amanda.conf names (mailto), after such a run as it names (send-amreport-on)
        #[arg(long, short, conflicts_with_all = ["plain", "json"])]
        mail: bool,
    },
    /// List where the dumps are, as `amadmin CONFIG find` does
    Find {
        /// A config of the installed Amanda or in shim.toml's config_dir, or the directory of a vault
        #[arg(value_name = "CONFIG|VAULT")]
        name: String,
        /// Only those of this host, or of these disks of it, as the disklist has them
        #[arg(value_name = "HOST [DISK…]")]
        only: Vec<OsString>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show which volume the next run wants, what is in the slots, and when each may be overwritten
    Tape {
        /// A config of the installed Amanda or in shim.toml's config_dir, or the directory of a vault
        #[arg(value_name = "CONFIG|VAULT")]
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give the volume in a slot a label, so that runs may write to it
    ///
    /// The label has to match labelstr. A volume that has one already, or cannot be read, is overwritten only with --force.
    Label {
        /// A config in shim.toml's config_dir, or the directory of a vault
        #[arg(value_name = "CONFIG|VAULT")]
        name: String,
        /// The label
        #[arg(value_name = "LABEL")]
        label: String,
        /// The slot; the one where the changer stands when none is named
        #[arg(long, value_name = "N")]
        slot: Option<u32>,
        /// Overwrite what is on the volume
        #[arg(long)]
        force: bool,
    },
    /// Show what is remembered of disks: levels, sizes, dates, rates
    History {
        /// A config of the installed Amanda or in shim.toml's config_dir, or the directory of a vault
        #[arg(value_name = "CONFIG|VAULT")]
        name: String,
        /// Only of this host, or of these disks of it, as the disklist has them
        #[arg(value_name = "HOST [DISK…]")]
        only: Vec<OsString>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a config with volumes for engine = "embedded", or add disks to one
    Vault {
        /// The config: a directory of this name is made in shim.toml's config_dir
        #[arg(id = "CONFIG", value_name = "CONFIG")]
        name: ConfigName,
        /// What it is to be like
        #[command(flatten)]
        order: VaultOrder,
    },
    /// Read dumps back and compare them with what was stored and what was dumped
    ///
    /// All of them, or those whose turn it is: what was longest not verified comes first.
    Verify {
        /// A config of the installed Amanda or in shim.toml's config_dir, or the directory of a vault
        #[arg(value_name = "CONFIG|VAULT")]
        name: String,
        /// Only what was not verified for so long: "30 days"
        #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
        older_than: Option<Duration>,
        /// Not more than this at once, but one dump at least: "50 GiB"
        #[arg(long, value_name = "SIZE", value_parser = size)]
        budget: Option<u64>,
    },
    /// Make the catalog of a config that has lost it: index, logs, tapelist and history, from its volumes alone
    ///
    /// What is there stays as it is. Of a vault that has lost its amanda.conf, too, a new one is made.
    Reindex {
        /// A config in shim.toml's config_dir, or the directory of a vault
        #[arg(value_name = "CONFIG|VAULT")]
        name: String,
    },
    /// Get files out of dumps that no catalog knows: as they lie on volumes, on a holding disk or anywhere
    ///
    /// The headers of the dumps tell which belong together. Without --to what was found is listed.
    Restore {
        /// What has dumps: a file, a volume's directory, the directory of the slots, a vault, a holding disk; may be given several times
        #[arg(long, value_name = "PATH", required = true)]
        from: Vec<PathBuf>,
        /// Which files
        #[command(flatten)]
        order: LooseOrder,
    },
    /// Hand a vault to the installed Amanda, whose config it then is
    ///
    /// Its dumps and its history stay where they are. Nothing is changed before all of it is known to work; a call that was cut off is
    /// made again.
    Adopt {
        /// The vault's directory
        #[arg(value_name = "VAULT")]
        directory: PathBuf,
        /// The name of the new config
        #[arg(id = "CONFIG", value_name = "CONFIG")]
        name: ConfigName,
        /// Where the agent keeps what its incremental dumps build on; found by itself when it is where it usually is
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
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
    /// Read dumps for a session: started by the runner
    #[command(hide = true)]
    Reader {
        /// The session's request, HOST@ID
        request: String,
    },
    /// Answer ssh's questions: for ssh_config on this server
    Tunnel {
        /// The question
        #[command(subcommand)]
        command: TunnelCommand,
    },
}

fn size(text: &str) -> Result<u64, &'static str> {
    crate::config::parse_bytes(text).ok_or("write a size like \"20 GiB\" or \"500 MB\"")
}

/// What a vault is to be like.
#[derive(Debug, clap::Args)]
pub struct VaultOrder {
    /// A disk to be in it, for a name that is not its directory as HOST:NAME=PATH; may be given several times
    #[arg(long = "disk", value_name = "HOST:PATH")]
    disks: Vec<NewDisk>,
    /// Days within which every disk wants a full dump, in a new one
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    dumpcycle: Option<u32>,
    /// Days for which a dump is kept, in a new one
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36500))]
    retention: Option<u32>,
    /// A pattern of what is left out, in a new one; may be given several times
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<OsString>,
}

/// What is to be restored of loose dumps.
#[derive(Debug, clap::Args)]
pub struct LooseOrder {
    /// Of this disk, when there are several
    #[arg(long, value_name = "HOST:DISK")]
    disk: Option<String>,
    /// As it was then: 2026-11-20 (the end of that day), "2026-11-20 14:00", yesterday, "3 days ago", or a datestamp
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Take what is in the newest dump by itself, without those it builds on
    #[arg(long)]
    alone: bool,
    /// Write below this directory
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long)]
    overwrite: bool,
    /// Files and directories, as they were called on their machine or below the disk's directory; all of the disk when none is named
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

impl LooseOrder {
    /// Completes what was typed.
    pub fn from(self, from: Vec<PathBuf>) -> crate::restore::loose::from::Order {
        let Self { disk, at, alone, to, overwrite, paths } = self;
        crate::restore::loose::from::Order { from, disk, at, alone, paths, to, overwrite }
    }
}

impl From<VaultOrder> for Order {
    fn from(typed: VaultOrder) -> Self {
        Self { disks: typed.disks, dumpcycle: typed.dumpcycle, retention: typed.retention, exclude: typed.exclude }
    }
}

impl Command {
    /// Tells whether it may do without a shim.toml.
    pub fn needs_no_server(&self) -> bool {
        matches!(
            self,
            Self::Adopt { .. }
                | Self::Vault { .. }
                | Self::Verify { .. }
                | Self::Report { .. }
                | Self::Find { .. }
                | Self::Tape { .. }
                | Self::History { .. }
                | Self::Label { .. }
                | Self::Reindex { .. }
                | Self::Restore { .. }
                | Self::Dumper { command: DumperCommand::HandOver { .. } }
        )
    }
}

/// What the runner starts.
#[derive(Debug, Subcommand)]
pub enum DumperCommand {
    /// Make the dumps of a run
    Run {
        /// The run
        id: String,
    },
    /// Put a vault right and mark it as a config of Amanda's: started by adopt, as the vault's account
    HandOver {
        /// The vault
        directory: PathBuf,
        /// The config
        #[arg(id = "CONFIG", value_name = "CONFIG")]
        name: ConfigName,
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
