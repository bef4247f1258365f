//! What each subcommand does: load, read the record, decide, act, tell.
//!
//! [`job`] is what a command is about, and [`place`] whom it asks: a server, or a vault with its [`vault_disks`].
//! [`backup`] is `run` and `now`, [`look`] is `status`, `why` and `show-config`, [`check`] tries everything up to the
//! backup; [`visit`] is the caller that a session talks to, [`served`] the client that answers when Amanda
//! comes through it, `answers` what `check` says of it; [`first_full`] says how long a first dump takes, [`first_vault`] what a new
//! vault is and how files come back from it.

mod answers;
pub mod backup;
pub mod check;
mod check_vault;
pub mod first_full;
pub mod first_vault;
pub mod job;
pub mod look;
pub mod place;
pub mod served;
pub mod vault_disks;
pub mod visit;
mod watching;

use crate::cli::{Cli, Command};
use crate::config::{Config, SshDestination, load};
use crate::history::{self, History};
use crate::report::{Problem, Voice};
use crate::session::vault::May;
use crate::session::{Login, Way};
use job::Job;

/// Does what was asked for and returns the exit status.
pub fn dispatch(cli: &Cli, voice: &Voice) -> Result<u8, Problem> {
    let Some(command) = &cli.command else {
        let line = cli.perl_line().expect("the parser lets no other line through");
        return crate::dropin::run(&line, cli.state.as_deref(), voice);
    };
    let config = load::load(cli)?;
    let job = |named, may| Job::new(config.clone(), named, may);
    let exit = match command {
        Command::Run => backup::run(&job(&[], May::Write)?, voice)?,
        Command::Now { disks, .. } => backup::now(&job(disks, May::Make)?, voice)?,
        Command::Status => look::status(&job(&[], May::Look)?, voice)?,
        Command::Why => look::why(&job(&[], May::Look)?, voice)?,
        Command::Check => check::check(&job(&[], May::Look)?, voice)?,
        Command::ShowConfig => look::show_config(&config, voice),
    };
    Ok(exit.code())
}

/// Returns the way to a configured server.
fn way(config: &Config, ssh: &SshDestination) -> Way {
    Way {
        destination: ssh.clone(),
        login: Login::Own { identity: config.identity.value.clone(), known_hosts: config.known_hosts.value.clone() },
        timeout: config.connect_timeout.value,
    }
}

/// Reads the record, and tells what was odd in it.
fn history(job: &Job, voice: &Voice) -> Result<History, Problem> {
    let history = history::read(&job.store, &job.ours, job.amandates())?;
    history.warnings.iter().for_each(|warning| voice.warn(warning));
    Ok(history)
}
