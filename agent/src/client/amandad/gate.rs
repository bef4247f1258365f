//! Which requests reach amandad, and what is kept before one of them.

use std::time::SystemTime;

use amanda::protocol::features::Features;
use amanda::protocol::packet::Kind as Packets;
use amanda::protocol::reply::{self, CheckLine, Selfcheck, Sendbackup, Sendsize, Size, SizeLine};
use amanda::protocol::request::{DleRequest, Options, Program, Request, RequestError, Service};

use super::{Dump, excludes};
use crate::client::allow::{self, Refusal};
use crate::client::broken::Asked;
use crate::client::connection::words;
use crate::client::state::stock;
use crate::client::{Client, Kind};

/// What becomes of a request.
pub enum Passed {
    /// It does not get further: this is the answer.
    Answer(Packets, Vec<u8>),
    /// amandad gets it, in these words.
    On {
        asked: Asked,
        body: Vec<u8>,
        /// The dump that it begins.
        dump: Option<Box<Wanted>>,
    },
}

/// A dump that was allowed.
pub struct Wanted {
    host: Vec<u8>,
    dle: DleRequest,
}

/// Decides about the body of a REQ.
pub fn pass(client: &Client, body: &[u8]) -> Passed {
    let mut request = match Request::parse(body) {
        Ok(request) => request,
        Err(RequestError::UnknownService(name)) => {
            client.watch.refused(&format!("service {name}: a server gets noop, selfcheck, sendsize and sendbackup here"));
            return Passed::Answer(Packets::Nak, reply::unknown_service(&name));
        }
        Err(error) => {
            client.watch.refused(&words(&error));
            return Passed::Answer(Packets::Nak, reply::error(words(&error).as_bytes()));
        }
    };
    let mut refusals = Vec::new();
    let (rules, options) = (&client.rules, &request.options);
    if let Err(refusal) = allow::host(rules, options).and_then(|()| allow::config(rules, request.service, options)) {
        client.watch.refused(&refusal.to_string());
        return Passed::Answer(Packets::Rep, reply::error(format!("[{refusal}]").as_bytes()));
    }
    request.dles.retain_mut(|dle| match allow::dle(&client.rules, dle).and_then(|grant| excludes::add(grant.disk, dle)) {
        Ok(()) => true,
        Err(refusal) => {
            client.watch.refused(&refusal.to_string());
            refusals.push((dle.clone(), refusal));
            false
        }
    });
    match (request.service, refusals.is_empty()) {
        (_, true) => {}
        // The others are estimated; the server notes that these have no size.
        (Service::Sendsize, false) if !request.dles.is_empty() => {}
        (service, false) => return Passed::Answer(Packets::Rep, refused(service, &request.options, &refusals)),
    }
    let host = request.options.hostname.clone().unwrap_or_default();
    let dump =
        (request.service == Service::Sendbackup).then(|| request.dles.first().cloned().map(|dle| Box::new(Wanted { host, dle }))).flatten();
    Passed::On { asked: Asked::of(&request), body: request.print(), dump }
}

fn refused(service: Service, asked: &Options, refusals: &[(DleRequest, Refusal)]) -> Vec<u8> {
    let options = Options { features: Some(Features::ours()), ..Options::default() };
    let text = |refusal: &Refusal| refusal.to_string().into_bytes();
    match service {
        Service::Selfcheck => {
            let lines = refusals.iter().map(|(_, refusal)| CheckLine::Error(text(refusal))).collect();
            Selfcheck { options: Options { hostname: asked.hostname.clone(), ..options }, lines }.print()
        }
        Service::Sendsize => {
            let sizes = |(dle, refusal): &(DleRequest, Refusal)| {
                let size = |level: u16, size| SizeLine { disk: dle.disk.clone(), level, size };
                dle.levels
                    .iter()
                    .flat_map(|level| [size(level.level, Size::Impossible), size(level.level, Size::Error(text(refusal)))])
                    .collect::<Vec<_>>()
            };
            Sendsize { options, lines: refusals.iter().flat_map(sizes).collect() }.print()
        }
        Service::Noop | Service::Sendbackup => {
            let sentence = refusals.first().map(|(_, refusal)| format!("[{refusal}]")).unwrap_or_default();
            Sendbackup::Error(sentence.into_bytes()).print()
        }
    }
}

/// Keeps what amandad's dump is about to change.
pub fn keep(client: &Client, wanted: &Wanted) -> Result<Dump, Refusal> {
    let Kind::Amandad { gnutar_lists, amandates, .. } = &client.rules.kind else {
        return Err(Refusal::new("no amandad is configured"));
    };
    let disk = allow::dle(&client.rules, &wanted.dle)?.disk.name.clone();
    let level = wanted.dle.levels.first().map_or(0, |level| level.level);
    let level = u8::try_from(level).map_err(|_| Refusal::new(format!("there is no level {level}")))?;
    // GNUTAR and amgtar keep such lists; what other applications keep is theirs, and only amandates is put back.
    let keeps_state = wanted.dle.record && matches!(wanted.dle.program, Program::Gnutar | Program::Application | Program::Dump);
    let (pending, living) = if keeps_state {
        // Refused, since nothing of what Amanda's client would then leave out could be brought back; a level 0 builds on none.
        let future = stock::base_of_the_future(gnutar_lists, &wanted.host, &disk, level, SystemTime::now());
        let cannot = |error| Refusal::new(format!("what the next dump builds on cannot be read in {}: {error}", gnutar_lists.display()));
        if let Some(list) = future.map_err(cannot)? {
            return Err(Refusal::new(format!(
                "{} is of the future: this laptop's clock was ahead when that dump was made. Ask the server for a full dump (amadmin force)",
                list.display()
            )));
        }
        let started = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0));
        let list = stock::list_of(gnutar_lists, &wanted.host, &disk, level);
        let kept = client.state.before_stock(&disk, level, started, list, amandates);
        let (pending, living) = kept.map_err(|error| Refusal::new(words(&error)))?;
        (Some(pending), Some(living))
    } else {
        (None, None)
    };
    Ok(Dump { disk, level, pending, living, lines: amanda::lines::Lines::default(), sent: 0, files: 0, ended: None })
}
