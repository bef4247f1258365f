//! The conversation with a vault, in the order of the one over ssh: a place in the queue, greeting, what there is, and if the caller
//! still wants a backup, a run.
//!
//! The place comes first and not last: what there is must not change, and nobody else's dump be under way, while it is decided what the
//! next dump builds on. A look takes no place and changes nothing.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use amanda::dle::Dle;
use asyncamanda_shim::engine::Trouble;
use asyncamanda_shim::engine::embedded::site::Site;
use asyncamanda_shim::engine::embedded::{Order, machine, make, restate, run};
use nix::fcntl::{Flock, FlockArg};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, timeout};
use wire::{DiskName, Exit, PROTOCOL_VERSION, Receipt};

use super::follow::Follow;
use super::link::InProcess;
use super::queue::{Ahead, Ticket, Who, Writing};
use super::standing::{self, Act, May};
use super::{VaultError, Way};
use crate::clock;
use crate::report::when;
use crate::session::{Caller, News, Next, Server, SessionError, Stop, block_on};

/// How often the caller may look at what goes on.
const LOOK: Duration = Duration::from_millis(250);

impl From<Trouble> for VaultError {
    fn from(trouble: Trouble) -> Self {
        Self::Engine { code: trouble.code, message: trouble.message, hint: trouble.hint }
    }
}

impl From<Trouble> for SessionError {
    fn from(trouble: Trouble) -> Self {
        VaultError::from(trouble).into()
    }
}

/// Calls a vault, and lets the caller talk to it.
pub fn call(way: &Way, caller: &mut dyn Caller) -> Result<(), SessionError> {
    block_on(async {
        let mut stop = Stop::listen()?;
        let site = enter(way)?;
        if way.may == May::Look {
            known_as(&site, way)?;
            greet(&site, way, caller)?;
            return match caller.restated(restate::restate(&site, &way.host, clock::now())?, None)? {
                // The dumps of a vault are read without a session.
                Next::Done | Next::Trigger(_) | Next::Restore => Ok(()),
                Next::Check => super::look::check(&site, way, caller),
            };
        }
        site.for_writing()?;
        let place = turn(&site, way, caller, &mut stop).await?;
        // What was read before the wait may have changed.
        let mut site = if place.waited { Site::open(&way.directory, None)? } else { site };
        known_as(&site, way)?;
        greet(&site, way, caller)?;
        match caller.restated(restate::restate(&site, &way.host, clock::now())?, None)? {
            Next::Done | Next::Restore => Ok(()),
            Next::Check => super::look::check(&site, way, caller),
            Next::Trigger(disks) => {
                way.machine.as_ref().map_or(Ok(()), |machine| machine::claim(&site, &way.host, machine))?;
                enlist(&mut site, way, &disks)?;
                back_up(site, way, disks, caller, &mut stop).await
            }
        }
    })
}

/// What another machine of our name has in the vault is no backup of ours.
fn known_as(site: &Site, way: &Way) -> Result<(), SessionError> {
    Ok(way.machine.as_ref().map_or(Ok(()), |machine| machine::check(site, &way.host, machine))?)
}

/// Opens the vault, or makes it.
fn enter(way: &Way) -> Result<Site, SessionError> {
    let found = standing::look(&way.directory, Site::is_vault, is_half_made)?;
    Ok(match standing::decide(&way.directory, &found, way.known, way.may)? {
        Act::Open => Site::open(&way.directory, None)?,
        Act::Make => {
            let _alone = alone(&way.directory)?;
            // Somebody else may have made it in the meantime.
            match Site::is_vault(&way.directory) {
                true => Site::open(&way.directory, None)?,
                false => make::make(&way.directory, &make::Plan::default())?,
            }
        }
    })
}

/// Keeps others from making the same vault: what is made is locked by nothing of its own yet, so its parent is.
fn alone(directory: &Path) -> Result<Flock<File>, VaultError> {
    let failed = |source| VaultError::Locked { path: directory.to_path_buf(), source };
    let parent = File::open(directory.parent().unwrap_or(directory)).map_err(failed)?;
    Flock::lock(parent, FlockArg::LockExclusive).map_err(|(_, errno)| failed(errno.into()))
}

/// Tells what a killed call left of a vault in the making.
pub fn is_half_made(directory: &Path) -> bool {
    directory.join(".asyncamanda").is_dir()
}

fn greet(site: &Site, way: &Way, caller: &mut dyn Caller) -> Result<(), SessionError> {
    caller.greeted(&Server {
        version: PROTOCOL_VERSION,
        program: concat!("asyncamanda ", env!("CARGO_PKG_VERSION")).to_owned(),
        host: way.host.clone(),
        config: site.name().clone(),
    })
}

/// Our turn, as long as it lasts.
struct Place {
    waited: bool,
    _writing: Writing,
    _ticket: Ticket,
}

/// Waits for our turn, and says what for.
async fn turn(site: &Site, way: &Way, caller: &mut dyn Caller, stop: &mut Stop) -> Result<Place, SessionError> {
    let own = site.own();
    let locked = |source| VaultError::Locked { path: way.directory.clone(), source };
    let who = Who { host: way.host.to_string(), pid: std::process::id(), since: clock::now() };
    let ticket = Ticket::draw(&own, &who).map_err(locked)?;
    let mut told: Option<(u32, String)> = None;
    // Who is right before us, none for a holder of the lock without a number; and what hears of his going.
    let mut waiting: Option<(Option<Ahead>, oneshot::Receiver<()>)> = None;
    loop {
        let ahead = ticket.ahead().map_err(locked)?;
        let news = match ahead.first() {
            Some(first) => (u32::try_from(ahead.len()).unwrap_or(u32::MAX), writer(first)),
            None => match Writing::take(&own).map_err(locked)? {
                Some(writing) => return Ok(Place { waited: told.is_some(), _writing: writing, _ticket: ticket }),
                None => (1, "another program that works on this vault".to_owned()),
            },
        };
        if told.as_ref() != Some(&news) {
            let (position, waits_for) = news.clone();
            caller.heard(News::Queued { ticket: ticket.name(), joined: false, position, waits_for })?;
            told = Some(news);
        }
        let before = ahead.last().cloned();
        if waiting.as_ref().is_none_or(|(of, _)| *of != before) {
            let gone = before.as_ref().map_or_else(|| Writing::free(&own), Ahead::gone);
            waiting = Some((before, gone));
        }
        let Some((_, gone)) = &mut waiting else { continue };
        // Our place changes with each that goes, and not only with the one before us.
        let heard = tokio::select! {
            heard = timeout(LOOK, gone) => heard,
            () = stop.wanted() => return Err(SessionError::Interrupted { queued: false }),
        };
        match heard {
            Ok(Ok(())) => waiting = None,
            // It cannot be waited for; so it is looked at.
            Ok(Err(_)) => {
                waiting = None;
                tokio::time::sleep(LOOK).await;
            }
            Err(_) => {}
        }
    }
}

fn writer(ahead: &Ahead) -> String {
    match &ahead.who {
        Some(Who { host, pid, since }) => format!("the backup of {host} that came at {} (process {pid})", when::local(*since)),
        None => "another backup into this vault".to_owned(),
    }
}

/// Adds what was asked for and is not in the disklist yet.
fn enlist(site: &mut Site, way: &Way, asked: &[DiskName]) -> Result<(), SessionError> {
    for (disk, device) in way.disks.iter().filter(|(disk, _)| asked.contains(disk)) {
        let dle = Dle::new(way.host.as_str(), disk.as_os_str());
        if site.disk(&dle).is_none() {
            site.add_disk(&dle, (device.as_os_str() != disk.as_os_str()).then_some(device))?;
        }
    }
    Ok(())
}

/// Has the engine make a run in a thread of its own, and tells the caller how it goes.
async fn back_up(site: Site, way: &Way, disks: Vec<DiskName>, caller: &mut dyn Caller, stop: &mut Stop) -> Result<(), SessionError> {
    let Some(client) = caller.client() else { return Err(SessionError::OutOfTurn("a backup without a client")) };
    let id = format!("{}-{}", clock::now(), std::process::id());
    let link = Arc::new(InProcess::new(way.host.clone(), client));
    let follow = Arc::new(Follow::new(&id));
    let order = Order { host: way.host.clone(), disks };
    let (tell, mut told) = oneshot::channel();
    let thread = {
        let (link, follow) = (Arc::clone(&link), Arc::clone(&follow));
        std::thread::spawn(move || {
            let ran = run::run(&site, &id, &[order], &*link, &*follow, &clock::now);
            // What a dump leaves behind here is written before a receipt decides about it.
            link.settle();
            let _ = tell.send(ran);
        })
    };
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopped = false;
    let mut unheard = Ok(());
    let ran = loop {
        tokio::select! {
            biased;
            ran = &mut told => break ran,
            () = stop.wanted() => {
                if std::mem::replace(&mut stopped, true) {
                    // Twice: nobody wants to wait for what is being put on the volume. The next run goes on with it.
                    std::process::exit(i32::from(Exit::Later.code()));
                }
                link.hang_up();
            }
            _ = look.tick() => {
                caller.look();
                if let Some(progress) = follow.progress()
                    && unheard.is_ok()
                {
                    unheard = caller.heard(News::Progress(progress));
                    if unheard.is_err() {
                        link.hang_up();
                    }
                }
            }
        }
    };
    let _ = thread.join();
    follow.notes().iter().for_each(|note| caller.noted(note));
    unheard?;
    let receipts = match ran {
        Ok(Ok(receipts)) => receipts,
        Ok(Err(_)) if stopped => Vec::new(),
        Ok(Err(trouble)) => return Err(trouble.into()),
        Err(_) => {
            return Err(
                VaultError::Engine { code: wire::AbortCode::Failed, message: "the run broke off".to_owned(), hint: String::new() }.into()
            );
        }
    };
    // What was stopped is no failure of the disk's: the next call tries again.
    for receipt in receipts.into_iter().filter(|receipt| !stopped || Receipt::is_backup(receipt)) {
        caller.heard(News::Receipt(Box::new(receipt)))?;
    }
    if stopped {
        return Err(SessionError::Interrupted { queued: false });
    }
    caller.heard(News::End)
}
