//! `status`, `why` and `show-config`: looks at what this laptop has, without a connection.

use serde_json::json;
use wire::Exit;

use super::job::Job;
use super::place::Place;
use super::{first_vault, history_as_it_is};
use crate::clock;
use crate::config::{Config, Destination};
use crate::due;
use crate::report::tables::bytes;
use crate::report::{Problem, Voice, out, problems, tables, verdicts};
use crate::session::vault::{self, VaultError};

/// `status`.
pub fn status(job: &Job, voice: &Voice) -> Result<Exit, Problem> {
    let (config, store) = (&job.config, &job.store);
    let history = history_as_it_is(job, voice)?;
    let verdict = due::decide(clock::now(), &history.records, config.interval.value);
    let vault = match &job.place {
        Place::Server(_) => None,
        Place::Vault(way) => Some(standing(job, way)),
    };
    if voice.json {
        let disks: Vec<_> = history
            .records
            .iter()
            .zip(&verdict.disks)
            .map(|(record, disk)| json!({ "verdict": disk, "record": known(&record.known) }))
            .collect();
        voice.json(&json!({
            "now": verdict.now,
            "destination": config.destination.value.to_string(),
            "interval_seconds": verdict.interval.seconds(),
            "due": verdict.is_due(),
            "next": verdict.next(),
            "peer": store.peer(),
            "disks": disks,
            "vault": vault.map(|vault| vault.json),
        }));
        return Ok(Exit::Done);
    }
    if let Some(vault) = vault {
        out(&format!("{}; a backup stays fresh for {}.", vault.words, verdict.interval));
        out(&tables::status(&history.records, &verdict));
        tables::read_back(&vault.read_back, verdict.now).iter().for_each(|line| out(line));
        if voice.verbose
            && let Place::Vault(way) = &job.place
        {
            let last = history.records.iter().filter_map(|record| match &record.known {
                due::Known::Receipts { last_backup, .. } => last_backup.as_deref(),
                _ => None,
            });
            first_vault::ways_back(way, last).iter().for_each(|line| out(line));
        }
        return Ok(Exit::Done);
    }
    let peer = store.peer().map_or_else(String::new, |peer| format!(", host {} in config {}", peer.host, peer.config));
    out(&format!("Server {}{peer}; a backup stays fresh for {}.", config.destination.value, verdict.interval));
    out(&tables::status(&history.records, &verdict));
    Ok(Exit::Done)
}

/// What is said of a vault beside its disks.
struct Standing {
    words: String,
    json: serde_json::Value,
    read_back: Vec<vault::ReadBack>,
}

fn standing(job: &Job, way: &vault::Way) -> Standing {
    let path = way.directory.display().to_string();
    let before = job.store.peer().map(|peer| peer.config);
    match (&job.vault, &vault::room(&way.directory)) {
        (Some(Ok(look)), Ok(room)) => {
            // Without it there is still all the rest to say.
            let read_back = vault::verified(&way.directory, &way.host).unwrap_or_default();
            let verified: Vec<_> = read_back.iter().map(verified).collect();
            let another = before.filter(|before| *before != look.name);
            let another = another.map_or_else(String::new, |before| format!(", another one than the last backup went to, {before}"));
            Standing {
                words: format!(
                    "Vault {path} ({}{another}): {} on {}, {} free",
                    look.name,
                    bytes(Some(room.used)),
                    tables::volumes(room.volumes),
                    bytes(Some(room.free))
                ),
                json: json!({
                    "path": path, "name": look.name, "host": way.host, "present": true, "volumes": room.volumes, "used": room.used,
                    "free": room.free, "retention_days": look.retention_days, "read_back": verified,
                }),
                read_back,
            }
        }
        (Some(Err(error)), _) | (_, Err(error)) => {
            let problem = problems::of_vault(error);
            let what = if matches!(error, VaultError::NotThere { .. }) { "not there now".to_owned() } else { problem.what.clone() };
            Standing {
                words: format!("Vault {path} ({what})"),
                json: json!({ "path": path, "name": before, "host": way.host, "present": false, "problem": problem }),
                read_back: Vec::new(),
            }
        }
        (None, Ok(_)) => Standing { words: format!("Vault {path}"), json: json!({ "path": path }), read_back: Vec::new() },
    }
}

fn verified(disk: &vault::ReadBack) -> serde_json::Value {
    let vault::ReadBack { disk, dumps, never, damaged, oldest } = disk;
    json!({ "disk": disk, "dumps": dumps, "never": never, "damaged": damaged, "oldest": oldest })
}

fn known(known: &due::Known) -> serde_json::Value {
    match known {
        due::Known::Receipts { last, last_backup } => json!({ "last": last, "last_backup": last_backup }),
        due::Known::Belief { level, epoch } => json!({ "amandates": { "level": level, "epoch": epoch } }),
        due::Known::Nothing | due::Known::Unreadable { .. } => serde_json::Value::Null,
    }
}

/// `why`.
pub fn why(job: &Job, voice: &Voice) -> Result<Exit, Problem> {
    let history = history_as_it_is(job, voice)?;
    let verdict = due::decide(clock::now(), &history.records, job.config.interval.value);
    let words = verdicts::paragraph(&verdict, &job.config.destination.value, instead(job).as_deref());
    if voice.json {
        voice.json(&json!({ "due": verdict.is_due(), "next": verdict.next(), "why": words, "disks": verdict.disks }));
    } else {
        out(&words);
    }
    Ok(Exit::Done)
}

/// What `run` would do in the place of a backup, since the vault is not there or cannot be read.
fn instead(job: &Job) -> Option<String> {
    let Some(Err(error)) = &job.vault else { return None };
    let problem = problems::of_vault(error);
    let later = if problem.exit == Exit::Later { ", which is \"later\"" } else { "" };
    Some(format!("end with status {}{later}: {}", problem.exit.code(), problem.what))
}

/// `show-config`.
pub fn show_config(config: &Config, voice: &Voice) -> Exit {
    let nobody = match config.destination.value {
        Destination::Ssh(_) => "(whatever the key stands for)",
        Destination::Directory(_) => "(the name that the vault knows this machine by, or its own)",
    };
    let host = config
        .host
        .as_ref()
        .map_or((nobody.to_owned(), "default".to_owned()), |host| (format!("{:?}", host.value.as_str()), host.from.to_string()));
    let path = |setting: &crate::config::Setting<std::path::PathBuf>| (format!("{:?}", setting.value), setting.from.to_string());
    let mut rows = vec![
        ("host".to_owned(), host),
        ("interval".to_owned(), (format!("\"{}\"", config.interval.value), config.interval.from.to_string())),
        ("state".to_owned(), path(&config.state)),
        ("amandates".to_owned(), path(&config.amandates)),
        ("server.destination".to_owned(), (format!("\"{}\"", config.destination.value), config.destination.from.to_string())),
    ];
    if matches!(config.destination.value, Destination::Ssh(_)) {
        let timeout = &config.connect_timeout;
        rows.extend([
            ("server.identity".to_owned(), path(&config.identity)),
            ("server.known_hosts".to_owned(), path(&config.known_hosts)),
            ("server.connect_timeout".to_owned(), (format!("\"{}\"", humantime::format_duration(timeout.value)), timeout.from.to_string())),
        ]);
    }
    let kind = match config.client.value {
        crate::config::ClientKind::Native => "\"native\"",
        crate::config::ClientKind::Amandad => "\"amandad\"",
    };
    rows.push(("client".to_owned(), (kind.to_owned(), config.client.from.to_string())));
    rows.push(("programs".to_owned(), (format!("{:?}", config.programs.value), config.programs.from.to_string())));
    if config.client.value == crate::config::ClientKind::Amandad {
        rows.extend([("amandad".to_owned(), path(&config.amandad)), ("gnutar_lists".to_owned(), path(&config.gnutar_lists))]);
    }
    for disk in &config.disks {
        let name = format!("{:?}", disk.value.name.as_os_str());
        let elsewhere = disk.value.device.as_os_str() != disk.value.name.as_os_str();
        let device = if elsewhere { format!(", device {:?}", disk.value.device) } else { String::new() };
        let exclude = if disk.value.exclude.is_empty() { String::new() } else { format!(", exclude {:?}", disk.value.exclude) };
        rows.push(("disk".to_owned(), (format!("{name}{device}{exclude}"), disk.from.to_string())));
    }
    if voice.json {
        let rows: Vec<_> = rows.iter().map(|(key, (value, from))| json!({ "key": key, "value": value, "from": from })).collect();
        voice.json(&json!(rows));
        return Exit::Done;
    }
    let longest = rows.iter().map(|(key, (value, _))| key.len() + value.len()).max().unwrap_or(0);
    for (key, (value, from)) in rows {
        let pad = longest - key.len() - value.len();
        out(&format!("{key} = {value}{:pad$}  # {from}", ""));
    }
    Exit::Done
}
