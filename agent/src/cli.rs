//! The command line, by clap. Says what was typed; what holds in the end is for [`crate::config`].
//!
//! `-h` is the Perl script's host, so help is `--help` only. The Perl script's line has no subcommand; both ways share
//! one parser, and [`Cli::perl_line`] tells them apart.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use wire::Exit;

/// Back up this laptop through an Amanda server or into a local vault, whenever a backup is due
#[derive(Debug, Parser)]
#[command(name = "asyncamanda", version, disable_help_flag = true, disable_version_flag = true, disable_help_subcommand = true)]
#[command(after_help = "The Perl script's own line works as it did: -i 24 -h [USER@]HOST[:PORT] [-k KEY] -c COMMAND -a AMANDATES")]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Read this configuration file
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print JSON on standard output, for programs
    #[arg(long, global = true)]
    pub json: bool,

    /// Say more on standard error
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// Consider a backup due after this long: "24" (hours), "36h", "1 day", "2 weeks"
    #[arg(short, long, global = true, value_name = "INTERVAL", allow_hyphen_values = true)]
    pub interval: Option<OsString>,

    /// Take dates of backups that have no receipt from this file of Amanda's client
    #[arg(short, long, global = true, value_name = "FILE")]
    pub amandates: Option<PathBuf>,

    /// Keep receipts in this directory
    #[arg(long, global = true, value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// Call this server, `[user@]host[:port]`, or take this directory as the vault: `/path`, `./path`, `~/path`
    #[arg(long, global = true, value_name = "DESTINATION")]
    pub destination: Option<OsString>,

    /// The rest of the Perl script's line
    #[command(flatten)]
    pub perl: Perl,

    /// Print help
    #[arg(long, global = true, action = ArgAction::Help, help_heading = "Options")]
    pub help: Option<bool>,

    /// Print version
    #[arg(long, short = 'V', action = ArgAction::Version, help_heading = "Options")]
    pub version: Option<bool>,
}

/// The options that only the Perl script's line has.
#[derive(Debug, Args)]
#[command(next_help_heading = "The Perl script's line")]
pub struct Perl {
    /// Run the command on this server: `[user@]host[:port]`
    #[arg(short = 'h', long = "host", value_name = "HOST")]
    pub host: Option<OsString>,

    /// Log in with this private key
    #[arg(short, long, value_name = "PATH")]
    pub key: Option<PathBuf>,

    /// Run this command there when a backup is due
    #[arg(short, long, value_name = "COMMAND")]
    pub command: Option<OsString>,
}

impl Perl {
    fn is_given(&self) -> bool {
        self.host.is_some() || self.key.is_some() || self.command.is_some()
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Back up if a backup is due; for schedulers: silent when there is nothing to tell
    Run,
    /// Back up now and show how it goes
    Now {
        /// Disks as the disklist names them, with a vault also directories; all when none is given
        #[arg(value_name = "DISK|DIR")]
        disks: Vec<OsString>,

        /// Back up into this directory, a vault; the first time makes it
        #[arg(long, value_name = "VAULT", conflicts_with = "destination")]
        to: Option<PathBuf>,
    },
    /// Show what this laptop has receipts for
    Status,
    /// Explain whether a backup is due, since when and what would happen
    Why,
    /// Try everything up to the backup itself, and do nothing else
    Check,
    /// List the dumps of each disk, or what was in a directory
    Ls {
        /// A file or directory as it was called; the dumps are listed when none is given
        #[arg(value_name = "PATH")]
        path: Option<PathBuf>,

        /// Which dumps
        #[command(flatten)]
        look: Back,
    },
    /// Get files and directories back; those that are there are kept
    Restore {
        /// Files and directories as they were called
        #[arg(value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,

        /// Write below this directory, and not where they came from
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,

        /// Replace files that are there
        #[arg(long)]
        overwrite: bool,

        /// Which dumps
        #[command(flatten)]
        look: Back,
    },
    /// Find and get files back in a shell with amrecover's commands; standard input may be a script
    Recover {
        /// Let extract replace files that are there
        #[arg(long)]
        overwrite: bool,

        /// Which dumps
        #[command(flatten)]
        look: Back,
    },
    /// Print each setting and where it came from
    ShowConfig,
    /// Be Amanda's client on standard input and output, as amandad is: started by the server on its own machine
    #[command(hide = true)]
    Client,
}

/// Which dumps something is looked for in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct Back {
    /// As it was then: 2026-11-20 (the end of that day), "2026-11-20 14:00", yesterday, "3 days ago", or a datestamp
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,

    /// Look into this directory, a vault
    #[arg(long, value_name = "VAULT", conflicts_with = "destination")]
    pub from: Option<PathBuf>,

    /// Look for the dumps of this host; on a server the operator must have allowed it
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
}

/// The Perl script's line, complete.
#[derive(Debug)]
pub struct PerlLine<'a> {
    /// `-i`.
    pub interval: &'a OsString,
    /// `-h`.
    pub host: &'a OsString,
    /// `-k`.
    pub key: Option<&'a PathBuf>,
    /// `-c`.
    pub command: &'a OsString,
    /// `-a`.
    pub amandates: &'a PathBuf,
}

impl Cli {
    /// Returns the Perl script's line when it was typed and is complete.
    pub fn perl_line(&self) -> Option<PerlLine<'_>> {
        Some(PerlLine {
            interval: self.interval.as_ref()?,
            host: self.perl.host.as_ref()?,
            key: self.perl.key.as_ref(),
            command: self.perl.command.as_ref()?,
            amandates: self.amandates.as_ref()?,
        })
    }

    /// Returns the directory that this command names as its vault.
    pub fn vault(&self) -> Option<(&'static str, &PathBuf)> {
        match self.command.as_ref()? {
            Command::Now { to, .. } => to.as_ref().map(|to| ("--to", to)),
            Command::Ls { look, .. } | Command::Restore { look, .. } | Command::Recover { look, .. } => {
                look.from.as_ref().map(|from| ("--from", from))
            }
            Command::Run | Command::Status | Command::Why | Command::Check | Command::ShowConfig | Command::Client => None,
        }
    }

    /// Names what is wrong with a combination that clap cannot judge.
    fn fault(&self) -> Option<String> {
        if self.command.is_some() {
            return self.perl.is_given().then(|| {
                "-h, -k and -c belong to the Perl script's line, which has no subcommand\n  hint: with a subcommand the server stands in the configuration file, or in --destination".to_owned()
            });
        }
        if self.perl_line().is_some() {
            return None;
        }
        if !self.perl.is_given() && self.interval.is_none() && self.amandates.is_none() {
            return Some(
                "a subcommand is missing: run, now, status, why, check, ls, restore, recover or show-config\n  hint: asyncamanda --help"
                    .to_owned(),
            );
        }
        let missing: Vec<&str> = [
            ("-i INTERVAL", self.interval.is_none()),
            ("-h HOST", self.perl.host.is_none()),
            ("-c COMMAND", self.perl.command.is_none()),
            ("-a AMANDATES", self.amandates.is_none()),
        ]
        .into_iter()
        .filter_map(|(name, missing)| missing.then_some(name))
        .collect();
        Some(format!(
            "without a subcommand this is the Perl script's line, and it lacks {}\n  hint: asyncamanda --help",
            missing.join(", ")
        ))
    }
}

/// Parses; an error is the exit status after the help, the version or the fault was printed.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Exit> {
    let cli = Cli::try_parse_from(arguments).map_err(|stop| {
        // A closed standard output is no reason to fail.
        let _ = stop.print();
        if stop.use_stderr() { Exit::Usage } else { Exit::Done }
    })?;
    match cli.fault() {
        None => Ok(cli),
        Some(fault) => {
            crate::report::err(&format!("asyncamanda: {fault}"));
            Err(Exit::Usage)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn cli(words: &[&str]) -> Cli {
        Cli::try_parse_from(std::iter::once("asyncamanda").chain(words.iter().copied())).expect("a good line")
    }

    #[test]
    fn the_parser_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_perl_scripts_own_example_is_understood() {
        let line = ["-i", "24", "-h", "amanda.example.com", "-k", "/k", "-c", "/usr/sbin/amdump daily", "-a", "/var/lib/amanda/amandates"];
        let cli = cli(&line);
        let perl = cli.perl_line().expect("complete");
        assert_eq!((perl.interval.to_str(), perl.command.to_str()), (Some("24"), Some("/usr/sbin/amdump daily")));
        assert_eq!(cli.fault(), None);
    }

    #[test]
    fn its_long_forms_are_understood() {
        let cli = cli(&["--interval", "1 day", "--host", "h", "--key", "/k", "--command", "c", "--amandates", "/a"]);
        assert!(cli.perl_line().is_some_and(|perl| perl.key.is_some()));
    }

    #[test]
    fn a_mixed_or_incomplete_line_is_a_fault_that_names_the_reason() {
        for (words, part) in [
            (&["-c", "amdump daily", "run"][..], "belong to the Perl script's line"),
            (&["-i", "24", "-h", "server"], "lacks -c COMMAND, -a AMANDATES"),
            (&[], "a subcommand is missing"),
            (&["-v"], "a subcommand is missing"),
        ] {
            assert!(cli(words).fault().is_some_and(|fault| fault.contains(part)), "{words:?}");
        }
    }

    #[test]
    fn dash_h_is_a_host_and_never_help() {
        assert_eq!(cli(&["-h", "server"]).perl.host, Some("server".into()));
        assert!(Cli::try_parse_from(["asyncamanda", "-h"]).is_err_and(|stop| stop.use_stderr()));
        assert!(Cli::try_parse_from(["asyncamanda", "run", "-h"]).is_err_and(|stop| stop.use_stderr()));
    }
}
