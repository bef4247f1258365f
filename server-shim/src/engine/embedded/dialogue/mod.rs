//! The server's side of Amanda's client protocol: what Amanda's planner, dumper and amcheck are to a client's `amandad`.
//!
//! ```text
//! talk ── peer ───────────────────── REQ ──────────> client
//!  │       │  noop, ask: one answer  <── ACK, PREP, REP
//!  │       └  next: tokens of streams <── DATA, MESG, INDEX
//!  └ patience: a client that is silent is given up
//! ```
//!
//! The client is not believed: lengths are checked before memory is taken, what belongs nowhere ends the connection, and
//! everything ends at last. Bytes of a stream go from the connection's own buffer to whoever takes them.

mod broken;
mod peer;
mod pulse;
#[cfg(test)]
pub(super) mod scripted;
#[cfg(test)]
mod tests;
mod wish;

use std::time::Duration;

use amanda::conf::Config;
use amanda::protocol::features::Feature;
use amanda::protocol::request::{DleRequest, Options, Request, Service};
use wire::{ConfigName, HostName};

pub use broken::{Broken, clients_words};
pub use peer::{Peer, Token};
pub use pulse::talk;
pub use wish::{Unserved, Wish, understood};

/// How long Amanda's dumper waits for the answer to a request for a dump (`STARTUP_TIMEOUT` in server-src/dumper.c).
const STARTUP: Duration = Duration::from_secs(60);

/// How long a client may be silent, as amanda.conf says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// `ctimeout`: for the answer to a noop and to a check.
    pub check: Duration,
    /// `etimeout`: for one estimate; `None` when it is for all of a host together, and then `estimates` says how long.
    pub estimate: Option<Duration>,
    /// The time for all estimates of a host, where it does not go by their number.
    pub estimates: Duration,
    /// For the answer to a request for a dump.
    pub startup: Duration,
    /// `dtimeout`: between two pieces of a dump.
    pub data: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { check: seconds(30), estimate: Some(seconds(300)), estimates: seconds(300), startup: STARTUP, data: seconds(1800) }
    }
}

impl Patience {
    /// Returns what a config says, and Amanda's defaults for the rest.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let said = |name| config.settings().int(name).filter(|seconds| *seconds != 0);
        let seconds = |number: i64| Duration::from_secs(number.unsigned_abs());
        let mut patience = Self::default();
        if let Some(check) = said("ctimeout") {
            patience.check = seconds(check);
        }
        if let Some(data) = said("dtimeout") {
            patience.data = seconds(data);
        }
        if let Some(estimate) = said("etimeout") {
            // A negative number is for the whole host.
            patience.estimate = Some(seconds(estimate)).filter(|_| estimate > 0);
            patience.estimates = seconds(estimate);
        }
        patience
    }

    /// Returns the time for so many estimates.
    #[must_use]
    pub fn for_estimates(&self, number: usize) -> Duration {
        let number = u32::try_from(number.max(1)).unwrap_or(u32::MAX);
        self.estimate.map_or(self.estimates, |each| each.saturating_mul(number))
    }
}

/// Who asks a client, and for which run.
#[derive(Debug, Clone)]
pub struct Asker {
    /// The client's name in the disklist.
    pub host: HostName,
    /// The config.
    pub config: ConfigName,
    /// The run's datestamp; none for a check.
    pub stamp: Option<String>,
}

impl Asker {
    /// Returns the request as this client understands it: what its features do not have is left out, as Amanda leaves it
    /// out.
    fn request(&self, peer: &Peer, service: Service, dles: Vec<DleRequest>) -> Request {
        let theirs = peer.features();
        let known = |feature: Feature, value: &[u8]| theirs.has(feature).then(|| value.to_vec());
        let options = Options {
            features: Some(peer::offered()),
            hostname: known(Feature::ReqOptionsHostname, self.host.as_str().as_bytes()),
            maxdumps: theirs.has(Feature::ReqOptionsMaxdumps).then_some(1),
            config: known(Feature::ReqOptionsConfig, self.config.as_str().as_bytes()),
            timestamp: self.stamp.as_ref().and_then(|stamp| known(Feature::ReqOptionsTimestamp, stamp.as_bytes())),
            auth: None,
            unknown: Vec::new(),
        };
        Request { service, options, dles }
    }

    /// Asks for a service and returns the answer.
    ///
    /// # Errors
    /// When there is none, or the client refuses.
    pub fn ask(&self, peer: &mut Peer, service: Service, dles: Vec<DleRequest>, patience: Duration) -> Result<Vec<u8>, Broken> {
        let request = self.request(peer, service, dles);
        peer.ask(&request, patience)
    }
}
