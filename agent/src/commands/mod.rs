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
mod client;
pub mod first_full;
pub mod first_vault;
pub mod job;
pub mod locate;
pub mod look;
pub mod ls;
pub mod place;
pub mod reach;
pub mod recover;
pub mod restore;
pub mod served;
pub mod tasks;
pub mod vault_disks;
pub mod visit;
mod watching;

use wire::DiskName;

use crate::cli::{Cli, Command};
use crate::config::{Config, SshDestination, load};
use crate::due::Known;
use crate::history::store::known_after;
use crate::history::{self, History};
use crate::report::{Problem, Voice};
use crate::session::vault::{self, May};
use crate::session::{Login, Way};

use job::Job;
use place::Place;
use reach::Reach;

/// Does what was asked for and returns the exit status.
pub fn dispatch(cli: &Cli, voice: &Voice) -> Result<u8, Problem> {
    let Some(command) = &cli.command else {
        let line = cli.perl_line().expect("the parser lets no other line through");
        return crate::dropin::run(&line, cli.state.as_deref(), voice);
    };
    let config = || load::load(cli);
    let job = |named, may| Job::new(config()?, named, may);
    let exit = match command {
        Command::Run => backup::run(&job(&[], May::Write)?, voice)?,
        Command::Now { disks, .. } => backup::now(&job(disks, May::Make)?, voice)?,
        Command::Status => look::status(&job(&[], May::Look)?, voice)?,
        Command::Why => look::why(&job(&[], May::Look)?, voice)?,
        Command::Check => check::check(&job(&[], May::Look)?, voice)?,
        Command::ShowConfig => look::show_config(&config()?, voice),
        Command::Ls { path, look } => ls::run(&Reach::new(&config()?, look)?, path.as_deref(), voice)?,
        Command::Restore { paths, to, overwrite, look } => {
            restore::run(&Reach::new(&config()?, look)?, paths, to.as_deref(), *overwrite, voice)?
        }
        Command::Client => client::run(&load::load_local(cli)?),
        Command::Recover { overwrite, look } => recover::run(&Reach::new(&config()?, look)?, *overwrite, voice)?,
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

/// Reads the record, and what a vault has by now when it is there: less than the record says, when a volume was lost or a verification
/// found damage. Nothing is stored; that is done by a call that finds a disk due.
fn history_as_it_is(job: &Job, voice: &Voice) -> Result<History, Problem> {
    let mut history = history(job, voice)?;
    if job.is_new_vault() {
        // What the record speaks of went with a vault that was removed.
        history.records.iter_mut().for_each(|record| record.known = Known::Nothing);
    }
    let (Place::Vault(way), Some(Ok(look))) = (&job.place, &job.vault) else { return Ok(history) };
    // A vault that cannot be read tells so when it is called.
    let Ok(receipts) = vault::restated(&way.directory, &way.host) else { return Ok(history) };
    let now = crate::clock::now();
    // What is as it was says nothing new: a run that failed since has the last word.
    let is_less = |disk: &DiskName| receipts.iter().any(|receipt| receipt.disk == *disk && !receipt.is_backup());
    let ours = receipts.iter().filter(|receipt| receipt.config == look.name && receipt.host == way.host);
    for receipt in ours.filter(|receipt| is_less(&receipt.disk)) {
        if let Some(record) = history.records.iter_mut().find(|record| record.disk == receipt.disk) {
            record.known = known_after(std::mem::replace(&mut record.known, Known::Nothing), receipt, now);
        }
    }
    Ok(history)
}

/// Reads the record, and tells what was odd in it.
fn history(job: &Job, voice: &Voice) -> Result<History, Problem> {
    let history = history::read(&job.store, &job.ours, job.amandates())?;
    history.warnings.iter().for_each(|warning| voice.warn(warning));
    Ok(history)
}
