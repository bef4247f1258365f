//! What each subcommand does: load, read the record, decide, act, tell.
//!
//! [`backup`] is `run` and `now`, [`look`] is `status`, `why` and `show-config`, [`check`] tries everything up to the
//! backup; [`visit`] is the caller that a session talks to, [`served`] the client that answers when Amanda
//! comes through it, `answers` what `check` says of it; [`first_full`] says how long a first dump takes.

mod answers;
pub mod backup;
pub mod check;
pub mod first_full;
pub mod look;
pub mod served;
pub mod visit;
mod watching;

use wire::{DiskName, Exit};

use crate::cli::{Cli, Command};
use crate::config::{Config, load};
use crate::history::{self, History, Store};
use crate::report::{Problem, Voice};
use crate::session::{Login, Way};

/// Does what was asked for and returns the exit status.
pub fn dispatch(cli: &Cli, voice: &Voice) -> Result<u8, Problem> {
    let Some(command) = &cli.command else {
        let line = cli.perl_line().expect("the parser lets no other line through");
        return crate::dropin::run(&line, cli.state.as_deref(), voice);
    };
    let config = load::load(cli)?;
    let exit = match command {
        Command::Run => backup::run(&config, voice)?,
        Command::Now { disks } => {
            let disks = disks.iter().map(DiskName::new).collect::<Result<Vec<_>, _>>();
            let disks = disks.map_err(|error| Problem::new(Exit::Usage, error.to_string()))?;
            if disks.len() > wire::message::MAX_DISKS {
                return Err(Problem::new(Exit::Usage, format!("at most {} disks can be named", wire::message::MAX_DISKS)));
            }
            backup::now(&config, disks, voice)?
        }
        Command::Status => look::status(&config, voice)?,
        Command::Why => look::why(&config, voice)?,
        Command::Check => check::check(&config, voice)?,
        Command::ShowConfig => look::show_config(&config, voice),
    };
    Ok(exit.code())
}

/// Returns the disks that the configuration names.
fn disks(config: &Config) -> Vec<DiskName> {
    config.disks.iter().map(|disk| disk.value.name.clone()).collect()
}

/// Returns the store of the configured destination.
fn store(config: &Config) -> Store {
    Store::at(&config.state.value, &config.destination.value.to_string())
}

/// Returns the way to the configured server.
fn way(config: &Config) -> Way {
    Way {
        destination: config.destination.value.clone(),
        login: Login::Own { identity: config.identity.value.clone(), known_hosts: config.known_hosts.value.clone() },
        timeout: config.connect_timeout.value,
    }
}

/// Reads the record, and tells what was odd in it.
fn history(config: &Config, store: &Store, voice: &Voice) -> Result<History, Problem> {
    let history = history::read(store, &disks(config), &config.amandates.value)?;
    history.warnings.iter().for_each(|warning| voice.warn(warning));
    Ok(history)
}
