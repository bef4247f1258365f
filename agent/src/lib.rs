//! The laptop's side of asyncamanda: looks at its own record, and when a backup is overdue opens one ssh session and
//! asks the server to make one. A receipt from the server is the only proof; amandates is a hint.
//!
//! Reading order, as the data flows: [`cli`] (what was typed), [`config`] (what holds), [`history`] (what is known),
//! [`due`] (is it time?), [`session`] (the conversation over ssh), [`commands`] (what each subcommand does with these),
//! [`dropin`] (the Perl script's own command line), [`report`] (words for people, made once).

pub mod cli;
pub mod client;
pub mod clock;
pub mod commands;
pub mod config;
pub mod dropin;
pub mod due;
pub mod history;
pub mod inhibit;
mod machine;
pub mod report;
pub mod session;

pub use restore::when as restore_time;

use std::ffi::OsString;

/// Parses a command line, does what it says and returns its exit status: a [`wire::Exit`], or what a server's own
/// command ended with on the Perl script's line.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match cli::parse(arguments) {
        Ok(cli) => cli,
        Err(exit) => return exit.code(),
    };
    let voice = report::Voice { verbose: cli.verbose, json: cli.json };
    commands::dispatch(&cli, &voice).unwrap_or_else(|problem| voice.problem(&problem))
}
