//! Asks a client whether dumps would work, as amcheck does.

use amanda::conf::Dumptype;
use amanda::conf::disklist::Disk;
use amanda::protocol::reply::{CheckLine, Selfcheck};
use amanda::protocol::request::Service;
use wire::{ConfigName, HostName};

use super::Connection;
use super::dialogue::{self, Asker, Broken, Patience, Wish, clients_words, understood};

/// Returns what was found about a host's disks: whether it is as it should be, and words, printable. A disk whose dumptype this engine does
/// not serve, or this client does not understand, is among what is not.
///
/// # Errors
/// When there is no answer.
pub fn selfcheck(
    connection: Connection,
    host: &HostName,
    config: &ConfigName,
    disks: &[(&Disk, Dumptype<'_>)],
    patience: Patience,
) -> Result<Vec<(bool, String)>, Broken> {
    let asker = Asker { host: host.clone(), config: config.clone(), stamp: None };
    let mut found = Vec::new();
    let mut asked = Vec::new();
    for (disk, how) in disks {
        // amcheck sends the ways of estimating along, since the client looks for their programs.
        match (Wish { disk, how: *how }).estimate(&[]) {
            Ok(dle) => asked.push((disk.dle.to_string(), dle)),
            Err(unserved) => found.push((false, format!("{}: {unserved}", disk.dle))),
        }
    }
    let lines = dialogue::talk(connection, &|_| {}, move |peer| {
        let theirs = peer.noop(patience.check)?;
        let mut lines = Vec::new();
        let mut dles = Vec::new();
        for (name, dle) in asked {
            match understood(theirs, &dle) {
                Ok(()) => dles.push(dle),
                Err(unserved) => lines.push((false, format!("{name}: {unserved}"))),
            }
        }
        let body = asker.ask(peer, Service::Selfcheck, dles, patience.check)?;
        let answer = Selfcheck::parse(&body).map_err(|why| Broken::Answer { service: Service::Selfcheck.name(), why })?;
        lines.extend(answer.lines.into_iter().map(|line| match line {
            CheckLine::Ok(text) => (true, clients_words(&text)),
            CheckLine::Error(text) => (false, clients_words(&text)),
        }));
        Ok::<_, Broken>(lines)
    })?;
    found.extend(lines);
    Ok(found)
}
