//! Amanda's client inside a session: who answers when the server's Amanda comes through, and what becomes of its incremental state
//! when the receipts are there. What a person sees of it is in `watching`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wire::{ConfigName, DiskName, HostName, Receipt};

use super::watching::Seen;
use crate::client::state::{Fate, State, fate, proof};
use crate::client::{self, Client, Disk, Kind, Out, Rules, Watch, allow};
use crate::config::{ClientKind, Config, Destination};
use crate::history::store::file_name;
use crate::report::progress::Reading;
use crate::report::show;
use crate::session::tunnel::Answer;

/// Stands for all vaults among the destinations of incremental state; no server's name begins like this.
const VAULTS: &str = "/vault";

/// The client of one visit.
pub struct Served {
    client: Arc<Client>,
    seen: Arc<Seen>,
    amandates: Option<PathBuf>,
}

impl Served {
    /// Prepares the client for this server's config; nothing is opened yet.
    pub fn new(config: &Config, host: &HostName, server_config: &ConfigName) -> Self {
        let is_vault = matches!(config.destination.value, Destination::Directory(_));
        let seen = Arc::new(if is_vault { Seen::of_vault() } else { Seen::default() });
        let rules = Rules { config: Some(server_config.clone()), ..rules(config, Some(host.clone())) };
        let (destination, amandates) = match &config.destination.value {
            Destination::Ssh(ssh) => {
                let there = config.amandates.value.parent().is_some_and(Path::is_dir);
                (ssh.to_string(), there.then(|| config.amandates.value.clone()))
            }
            // A vault is known by its config's name, which no other has, from wherever it is mounted. amandates is left alone: what it
            // says is taken for what a server has.
            Destination::Directory(_) => (VAULTS.to_owned(), None),
        };
        let directory = config.state.value.join("client").join(file_name(destination.as_bytes()));
        let directory = directory.join(file_name(server_config.as_str().as_bytes()));
        let watch: Arc<dyn Watch> = seen.clone();
        Self { client: Arc::new(Client { rules, state: State::at(&directory), watch }), seen, amandates }
    }

    /// Returns what is being read now.
    pub fn readings(&self) -> Vec<Reading> {
        self.seen.readings()
    }

    /// Takes the sentences for people that have come up: refusals, and what went wrong on a connection.
    pub fn words(&self) -> Vec<String> {
        self.seen.words()
    }

    /// Takes in all that the server has restated, and what it can restore now: nothing builds on a dump that it has no more.
    pub fn restated(&self, receipts: &[Receipt], in_flight: bool) {
        self.settle(receipts, in_flight, |_| true);
        if !in_flight && let Err(error) = self.client.state.restated(receipts) {
            self.seen.say(&format!("what the server cannot restore any more is still built on here: {error}"));
        }
    }

    /// Moves the incremental state of every attempt whose fate these receipts decide; `concerns` says whose.
    ///
    /// What fails here is said, and tried again at the next contact: the server restates its receipts.
    pub fn settle(&self, receipts: &[Receipt], in_flight: bool, concerns: impl Fn(&DiskName) -> bool) {
        for attempt in self.client.state.pending().iter().filter(|attempt| concerns(&attempt.disk)) {
            let moved = match fate(attempt, receipts, in_flight) {
                Fate::Promote => {
                    let datestamp = proof(attempt, receipts).map_or("", |receipt| receipt.datestamp.as_str());
                    self.client.state.promote(attempt, datestamp, self.amandates.as_deref())
                }
                Fate::Discard => self.client.state.discard(attempt).map(|()| None),
                Fate::Keep => continue,
            };
            match moved {
                Ok(None) => {}
                Ok(Some(words)) => self.seen.say(&words),
                Err(error) => {
                    let disk = show(attempt.disk.as_bytes());
                    self.seen.say(&format!("what the next dump of {disk} builds on stays as it was, and it will be larger: {error}"));
                }
            }
        }
    }
}

impl Answer for Served {
    fn answer(&self, input: Box<dyn Read + Send>, output: Arc<dyn Out>) {
        if let Err(error) = client::serve(input, output, Arc::clone(&self.client)) {
            self.seen.say(&error.to_string());
        }
    }

    /// What applications of the installed client keep of their own cannot be put back.
    fn holds_back(&self) -> bool {
        self.client.rules.kind == Kind::Native
    }
}

/// Returns what agent.toml lets a server ask for.
pub fn rules(config: &Config, host: Option<HostName>) -> Rules {
    let disks = config.disks.iter().map(|disk| Disk {
        name: disk.value.name.clone(),
        device: disk.value.device.clone(),
        exclude: disk.value.exclude.clone(),
    });
    Rules {
        host,
        config: None,
        disks: disks.collect(),
        programs: config.programs.value.iter().filter(|program| is_there(program)).cloned().collect(),
        // The installed client has one state for all destinations, so that a vault's dump would advance a server's chain.
        kind: match config.client.value {
            _ if matches!(config.destination.value, Destination::Directory(_)) => Kind::Native,
            ClientKind::Native => Kind::Native,
            ClientKind::Amandad => Kind::Amandad {
                program: config.amandad.value.clone(),
                gnutar_lists: config.gnutar_lists.value.clone(),
                amandates: config.amandates.value.clone(),
                user: owner(&config.gnutar_lists.value),
            },
        },
    }
}

/// The defaults name both homes of a program, of which one may be there. A machine without zstd makes dumps with it all the same.
pub(super) fn is_there(program: &Path) -> bool {
    program.exists() || allow::is_built_in(program)
}

/// Whom the installed amandad runs as: the owner of its lists.
fn owner(gnutar_lists: &Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let uid = std::fs::metadata(gnutar_lists).map(|meta| nix::unistd::Uid::from_raw(meta.uid())).ok();
    uid.and_then(|uid| nix::unistd::User::from_uid(uid).ok().flatten()).map_or_else(|| "backup".to_owned(), |user| user.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Base, Outcome};

    fn served(dir: &Path, kind: Kind) -> Served {
        let rules = Rules { host: None, config: None, disks: Vec::new(), programs: Vec::new(), kind };
        let seen = Arc::new(Seen::default());
        Served { client: Arc::new(Client { rules, state: State::at(dir), watch: seen.clone() }), seen, amandates: None }
    }

    #[test]
    fn only_the_client_in_this_program_holds_its_state_back() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(served(dir.path(), Kind::Native).holds_back());
        let stock = Kind::Amandad {
            program: "/usr/lib/amanda/amandad".into(),
            gnutar_lists: "/lists".into(),
            amandates: "/amandates".into(),
            user: "backup".to_owned(),
        };
        assert!(!served(dir.path(), stock).holds_back());
    }

    #[test]
    fn programs_are_there_or_built_in() {
        for (program, expected) in [
            ("/usr/bin/tar", true),
            ("/none/tar", false),
            ("/none/gzip", false),
            ("/none/zstd", true),
            ("none/zstd", false),
            ("/none/zstd-1.5", false),
        ] {
            assert_eq!(is_there(Path::new(program)), expected, "{program}");
        }
    }

    #[test]
    fn what_the_server_restates_decides_what_is_built_on_unless_a_run_goes_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let served = served(dir.path(), Kind::Native);
        let (state, disk) = (&served.client.state, DiskName::new("/home").expect("a name"));
        let attempt = state.begin(&disk, 0, 1000).expect("begun");
        std::fs::write(attempt.snapshot(), "GNU tar-1.35-2\n1000\x000\0").expect("ours");
        attempt.keep(amanda::crc::Crc { crc: 0xab, bytes: 9 }, 0).expect("kept");
        let crc = Some("000000ab".to_owned());
        let has = |datestamp: &str| Receipt {
            run: "run".to_owned(),
            host: "laptop1".parse().expect("a host"),
            config: "daily".parse().expect("a config"),
            disk: disk.clone(),
            outcome: Outcome::Ok,
            level: Some(0),
            datestamp: datestamp.to_owned(),
            started: 1000,
            finished: 2000,
            bytes: Some(9),
            crc32c: crc.clone(),
            sent_crc32c: crc.clone(),
            orig_kb: None,
            reason: String::new(),
            chain: vec![Base { level: 0, datestamp: datestamp.to_owned(), places: Vec::new() }],
        };
        served.restated(&[has("20261122003709")], false);
        assert_eq!(state.levels(&disk), [0], "promoted, with its datestamp");
        served.restated(&[has("20261101000000")], true);
        assert_eq!(state.levels(&disk), [0], "a run goes on");
        served.restated(&[has("20261122003709")], false);
        assert_eq!(state.levels(&disk), [0]);
        served.restated(&[has("20261101000000")], false);
        assert_eq!(state.levels(&disk), [0; 0], "an older image");
        assert_eq!(served.words(), [""; 0]);
    }
}
