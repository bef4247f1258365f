//! The server's door: lets laptops in, queues what they ask for, has Amanda back them up, and hands out receipts.
//!
//! Two accounts, two processes. The **shim** (forced command, the account laptops log in to) reads a request, decides, and
//! writes a ticket. The **runner** (the dump user) takes tickets, starts Amanda, follows it, and publishes receipts. They
//! meet in files only.
//!
//! In reading order:
//!
//! - [`invocation`]: what ssh carried · [`authorise`]: who may have what · [`serve`]: one laptop's session
//! - [`tunnel`]: how Amanda reaches a laptop through that session
//! - [`queue`]: tickets, and whose turn it is · [`lock`]: locks that can be asked about · [`door`]: how the runner is started
//! - [`runner`]: the one that starts runs and settles them · [`processes`]: what still lives
//! - [`restore`]: what is read of dumps, for whom · [`engine`]: ways of making dumps · [`latest`], [`standing`]: what the runner publishes
//! - [`status`], [`admin`], [`office`]: what an administrator sees and does · [`vault`]: vaults, as a whole · [`report`]: words
//! - [`config`], [`layout`], [`durable`], [`child`], [`sys`]: shim.toml, paths, small files, programs, one system call

pub mod admin;
pub mod authorise;
pub mod child;
pub mod cli;
pub mod config;
pub mod door;
pub mod durable;
pub mod engine;
pub mod invocation;
pub mod latest;
pub mod layout;
pub mod lock;
pub mod office;
pub mod processes;
pub mod queue;
pub mod report;
pub mod restore;
pub mod runner;
pub mod serve;
pub mod standing;
pub mod status;
pub mod status_words;
pub mod sys;
pub mod tunnel;
pub mod vault;
pub mod verified;

use std::io::{self, Write as _};
use std::path::Path;

use cli::{Cli, Command, DumperCommand, TunnelCommand};
use config::Config;
use engine::dumper;
use engine::embedded::verify::Turn;
use report::Words;
use runner::order::What;
use wire::Exit;

/// Does what the command line says; errors are words with an exit status.
pub fn run(cli: Cli) -> Result<Exit, Words> {
    let config = match config::load(&cli.config) {
        // A vault needs no server.
        Err(config::ConfigError::Read { .. }) if cli.config == Path::new(config::DEFAULT_FILE) && cli.command.needs_no_server() => {
            config::usual()
        }
        // ssh asks this about every host that Amanda's account connects to, and nobody wants to hear of it each time.
        Err(_) if matches!(cli.command, Command::Tunnel { command: TunnelCommand::Knows { .. } }) => return Ok(Exit::Failed),
        config => config?,
    };
    match cli.command {
        Command::Serve { host } => {
            let original = std::env::var_os("SSH_ORIGINAL_COMMAND").map(|command| command.to_string_lossy().into_owned());
            serve::serve(&config, &host, original.as_deref())
        }
        Command::Status { json, watch } => show_status(&config, json, watch),
        Command::Run { name, only } => print_order(&config, What::Nightly, &name, &only),
        Command::Flush { name } => {
            let name = name.or_else(|| config.flush.as_ref().map(|flush| flush.config.clone())).ok_or_else(|| {
                Words::new(Exit::Usage, "no config to flush")
                    .because("none was named, and shim.toml has no [flush]")
                    .hint("name the shared config: asyncamanda-shim flush CONFIG")
            })?;
            print_order(&config, What::Flush, &name, &[])
        }
        Command::Check { host, json, mail } => show_check(&config, host.as_ref(), json, mail),
        Command::Report { name, log, date, plain, json, mail } => {
            let wish = office::Wish { log, date, plain, json, mail };
            show(json, office::report(&office::place::open(&config, &name)?, &wish, clock())?)
        }
        Command::Find { name, only, json } => show(json, office::find::command(&office::place::open(&config, &name)?, &only, json)?),
        Command::Tape { name, json } => show(json, office::tape::command(&office::place::open(&config, &name)?, json, clock())?),
        Command::Label { name, label, slot, force } => {
            let ask = engine::embedded::label::Ask { label, slot, force };
            show(false, office::label::command(&office::place::open(&config, &name)?, &ask, clock())?)
        }
        Command::History { name, only, json } => show(json, office::history::command(&office::place::open(&config, &name)?, &only, json)?),
        Command::Vault { name, order } => {
            vault::make::vault(&config, &name, &order.into())?.iter().for_each(|line| say(line));
            Ok(Exit::Done)
        }
        Command::Verify { name, older_than, budget } => {
            let turn = Turn { older_than, budget };
            let (exit, lines) = vault::verify::command(&config, &name, &turn)?;
            lines.iter().for_each(|line| say(line));
            Ok(exit)
        }
        Command::Reindex { name } => {
            let (exit, lines) = restore::reindex::command(&config, &name)?;
            lines.iter().for_each(|line| say(line));
            Ok(exit)
        }
        Command::Restore { from, order } => {
            let (exit, lines) = restore::loose::from::command(&order.from(from))?;
            lines.iter().for_each(|line| say(line));
            Ok(exit)
        }
        Command::Adopt { directory, name, state } => {
            vault::adopt::adopt(&config, &vault::adopt::Wish { directory, name, state })?.iter().for_each(|line| say(line));
            Ok(Exit::Done)
        }
        Command::Runner => be_the_runner(&config),
        Command::Dumper { command: DumperCommand::Run { id } } => dumper::process::work(&config, &id),
        Command::Dumper { command: DumperCommand::HandOver { directory, name } } => {
            vault::adopt::as_owner(&directory, &name).map(|()| Exit::Done)
        }
        Command::Dumper { command: DumperCommand::Check { name, host } } => {
            runner::start::become_dump_user(&config)?;
            let looked = dumper::check::look(&config, &name, &host);
            looked.lines.iter().for_each(|line| say(line));
            Ok(looked.exit)
        }
        Command::Reader { request } => restore::reader::work(&config, &request),
        Command::Tunnel { command: TunnelCommand::Knows { host } } => {
            Ok(if tunnel::ask::knows(&config, &host) { Exit::Done } else { Exit::Failed })
        }
        Command::Tunnel { command: TunnelCommand::Absent { host } } => Err(tunnel::ask::absent(&config, &host)),
    }
}

fn be_the_runner(config: &Config) -> Result<Exit, Words> {
    runner::start::become_dump_user(config)?;
    if runner::start::is_background() {
        runner::start::leave_session();
        let done = runner::work(config);
        return done.map(|()| Exit::Done).map_err(|error| {
            runner::log(&format!("event=runner_failed why=\"{error}\""));
            Words::new(Exit::Failed, "the runner failed").because(error.to_string())
        });
    }
    let layout = config.layout();
    runner::start::spawn_background(config).map(|()| Exit::Done).map_err(|error| {
        Words::new(Exit::Config, "the runner cannot be started")
            .because(format!("{} or {}: {error}", layout.runner().display(), layout.locks().display()))
            .hint("asyncamanda-shim check says what they must be like")
    })
}

fn print(text: &str) {
    // A reader that went away (a pager that was left) is no failure of ours.
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Prints a line that may have names in it.
fn say(line: &str) {
    print(&format!("{}\n", amanda::escape::printable(line.as_bytes())));
}

fn clock() -> i64 {
    runner::clock() as i64
}

/// Prints lines that may have names in them; JSON has its own way of spelling those.
fn show(json: bool, (exit, text): (Exit, String)) -> Result<Exit, Words> {
    if json {
        print(&text);
    } else {
        text.lines().for_each(say);
    }
    Ok(exit)
}

fn show_status(config: &Config, json: bool, watch: bool) -> Result<Exit, Words> {
    // Root looks as the dump user does, whose logs tell how far a run is that was typed by hand.
    if nix::unistd::geteuid().is_root() {
        runner::start::become_dump_user(config)?;
    }
    loop {
        let status = status::look(config);
        if json {
            print(&format!("{}\n", serde_json::to_string(&status).map_err(|error| Words::new(Exit::Failed, error.to_string()))?));
        } else {
            let home = if watch { "\u{1b}[2J\u{1b}[H" } else { "" };
            print(&format!("{home}{}", status_words::words(&status, runner::clock() as i64)));
        }
        if !watch {
            return Ok(Exit::Done);
        }
        std::thread::sleep(status::WATCH);
    }
}

fn print_order(config: &Config, what: What, name: &wire::ConfigName, only: &[std::ffi::OsString]) -> Result<Exit, Words> {
    let (exit, lines) = admin::order(config, what, name, only)?;
    lines.iter().for_each(|line| say(line));
    Ok(exit)
}

fn show_check(config: &Config, host: Option<&wire::HostName>, json: bool, mail: bool) -> Result<Exit, Words> {
    let found = admin::check(config, host)?;
    let serious = office::check::serious(&found);
    let text = office::check::words(&found);
    if json {
        print(&format!("{}\n", serde_json::to_string(&found).map_err(|error| Words::new(Exit::Failed, error.to_string()))?));
    } else {
        // cron mails what is printed; there only what is wrong is told.
        if !mail {
            dumper::explain::all(config, host).iter().for_each(|text| print(text));
        }
        print(&text);
    }
    if mail && serious > 0 {
        office::check::mail(config, host, &text)?.iter().filter(|_| !json).for_each(|line| say(line));
    }
    Ok(if serious == 0 { Exit::Done } else { Exit::Config })
}
