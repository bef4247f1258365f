//! Sizes of dumps to come, as Amanda's client finds them (client-src/sendsize.c): tar, writing to /dev/null, reads no file's content.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::thread;

use amanda::protocol::features::Features;
use amanda::protocol::reply::{Sendsize, Size, SizeLine};
use amanda::protocol::request::{DleRequest, Estimate, Level, Options, Request};
use amanda::protocol::tar_words::{Class, classify};

use super::allow::{self, Refusal};
use super::children::Children;
use super::sendbackup::speech;
use super::tar::{Run, Tar};
use super::{Client, connection, patterns};

/// Disks that are looked at together, whatever the server thinks.
const MAX_TOGETHER: usize = 4;

/// Returns the answer to a request for sizes.
pub fn estimate(client: &Client, request: &Request, children: &Children) -> Sendsize {
    let chains = Mutex::new(chains(&request.dles).into_iter());
    let lines = Mutex::new(BTreeMap::new());
    let together = usize::try_from(request.options.maxdumps.unwrap_or(1)).unwrap_or(1).clamp(1, MAX_TOGETHER);
    thread::scope(|scope| {
        for _ in 0..together {
            scope.spawn(|| {
                while let Some(chain) = lock(&chains).next() {
                    for number in chain {
                        let found = disk(client, &request.dles[number], children);
                        lock(&lines).insert(number, found);
                    }
                }
            });
        }
    });
    let lines = lines.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().flatten().collect();
    Sendsize { options: Options { features: Some(Features::ours()), ..Options::default() }, lines }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the disks' numbers in groups: those on one spindle are looked at one after the other.
fn chains(dles: &[DleRequest]) -> Vec<Vec<usize>> {
    let mut spindles: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    let mut chains = Vec::new();
    for (number, dle) in dles.iter().enumerate() {
        match dle.spindle {
            Some(spindle) if spindle != -1 => spindles.entry(spindle).or_default().push(number),
            _ => chains.push(vec![number]),
        }
    }
    chains.extend(spindles.into_values());
    chains
}

/// How one level is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Tar,
    Server,
    Nobody,
}

/// The first way in the server's list that there is. What Amanda calls calcsize, a faster guess, is tar here.
fn method(estimates: &[Estimate], level: Level) -> Method {
    let ours = estimates.iter().any(|estimate| matches!(estimate, Estimate::Client | Estimate::Calcsize));
    match estimates.first() {
        None => Method::Tar,
        Some(Estimate::Server) if level.server || !ours => Method::Server,
        _ if ours => Method::Tar,
        _ => Method::Nobody,
    }
}

fn disk(client: &Client, request: &DleRequest, children: &Children) -> Vec<SizeLine> {
    let line = |level: u16, size| SizeLine { disk: request.disk.clone(), level, size };
    let mut lines = Vec::new();
    let levels: BTreeSet<u16> = request.levels.iter().map(|level| level.level).collect();
    let allowed = allow::dle(&client.rules, request);
    for level in levels {
        let asked = request.levels.iter().find(|asked| asked.level == level).copied().unwrap_or(Level { level, server: false });
        let found = allowed.as_ref().map_err(Clone::clone).and_then(|grant| match method(&request.estimates, asked) {
            Method::Server => Ok(Size::Unknown),
            Method::Nobody => Ok(Size::Impossible),
            Method::Tar => {
                let size = size(client, grant.disk, request, level, children).map(Size::Kib);
                client.watch.estimated(&grant.disk.name);
                size
            }
        });
        match found {
            Ok(size) => lines.push(line(level, size)),
            Err(refusal) => lines.extend([line(level, Size::Impossible), line(level, Size::Error(refusal.to_string().into_bytes()))]),
        }
    }
    if let Err(refusal) = allowed {
        client.watch.refused(&refusal.to_string());
    }
    lines
}

/// Asks tar, with a copy of the list that the dump would build on.
fn size(client: &Client, disk: &super::Disk, request: &DleRequest, level: u16, children: &Children) -> Result<u64, Refusal> {
    let level = u8::try_from(level).map_err(|_| Refusal::new(format!("there is no level {level}")))?;
    client.watch.estimating(&disk.name, level);
    let tar = Tar::probe(allow::tar(&client.rules)?).map_err(Refusal::new)?;
    let attempt = client.state.begin(&disk.name, level, 0).map_err(|error| Refusal::new(connection::words(&error)))?;
    let files = patterns::write(attempt.dir(), disk, request)?;
    let run = Run { device: &disk.device, snapshot: &attempt.snapshot(), files: &files, estimate: true, numbered: false };
    let failed = |error| Refusal::new(format!("{}: {error}", tar.program().display()));
    let mut child = children.spawn(tar.command(&run).stdout(Stdio::null()).stderr(Stdio::piped())).map_err(failed)?;
    let mut bytes = None;
    let mut last = Vec::new();
    let stderr = child.stderr.take().expect("it was asked for");
    let heard = speech::lines(stderr, |line| {
        if let Class::Size { bytes: said } = classify(line) {
            bytes = Some(said);
        }
        last = line.to_vec();
    });
    let status = children.wait(&mut child).map_err(failed)?;
    heard.map_err(failed)?;
    match bytes {
        // Amanda's client tells the size all the same when tar ends with an error; the dump will say what is wrong.
        Some(bytes) => Ok(bytes.div_ceil(1024)),
        None => Err(Refusal::new(format!(
            "{} said no size and ended with {status}: {}",
            tar.program().display(),
            amanda::escape::printable(&last)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amanda::protocol::request::Program;

    #[test]
    fn the_first_way_that_there_is_is_taken() {
        use Estimate::{Calcsize, Client, Server};
        let (may, must) = (Level { level: 0, server: true }, Level { level: 0, server: false });
        for (case, estimates, level, expected) in [
            ("no word", &[][..], must, Method::Tar),
            ("client", &[Client], must, Method::Tar),
            ("calcsize", &[Calcsize], must, Method::Tar),
            ("server", &[Server], must, Method::Server),
            ("server first, and it can", &[Server, Client], may, Method::Server),
            ("server first, and it cannot", &[Server, Client], must, Method::Tar),
            ("client first", &[Client, Server], may, Method::Tar),
        ] {
            assert_eq!(method(estimates, level), expected, "{case}");
        }
    }

    #[test]
    fn disks_on_one_spindle_stand_in_line() {
        let dle = |spindle| DleRequest { spindle, ..DleRequest::of(Program::Gnutar, "/x") };
        let dles = [dle(None), dle(Some(1)), dle(Some(-1)), dle(Some(1)), dle(Some(2))];
        assert_eq!(chains(&dles), [vec![0], vec![2], vec![1, 3], vec![4]]);
    }
}
