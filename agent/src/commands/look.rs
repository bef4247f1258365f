//! `status`, `why` and `show-config`: looks at what this laptop has, without a connection.

use serde_json::json;
use wire::Exit;

use super::{history, store};
use crate::clock;
use crate::config::Config;
use crate::due;
use crate::report::{Problem, Voice, out, tables, verdicts};

/// `status`.
pub fn status(config: &Config, voice: &Voice) -> Result<Exit, Problem> {
    let store = store(config);
    let history = history(config, &store, voice)?;
    let verdict = due::decide(clock::now(), &history.records, config.interval.value);
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
        }));
        return Ok(Exit::Done);
    }
    let peer = store.peer().map_or_else(String::new, |peer| format!(", host {} in config {}", peer.host, peer.config));
    out(&format!("Server {}{peer}; a backup stays fresh for {}.", config.destination.value, verdict.interval));
    out(&tables::status(&history.records, &verdict));
    Ok(Exit::Done)
}

fn known(known: &due::Known) -> serde_json::Value {
    match known {
        due::Known::Receipts { last, last_backup } => json!({ "last": last, "last_backup": last_backup }),
        due::Known::Belief { level, epoch } => json!({ "amandates": { "level": level, "epoch": epoch } }),
        due::Known::Nothing | due::Known::Unreadable { .. } => serde_json::Value::Null,
    }
}

/// `why`.
pub fn why(config: &Config, voice: &Voice) -> Result<Exit, Problem> {
    let history = history(config, &store(config), voice)?;
    let verdict = due::decide(clock::now(), &history.records, config.interval.value);
    let words = verdicts::paragraph(&verdict, &config.destination.value.to_string());
    if voice.json {
        voice.json(&json!({ "due": verdict.is_due(), "next": verdict.next(), "why": words, "disks": verdict.disks }));
    } else {
        out(&words);
    }
    Ok(Exit::Done)
}

/// `show-config`.
pub fn show_config(config: &Config, voice: &Voice) -> Exit {
    let host = config.host.as_ref().map_or(("(whatever the key stands for)".to_owned(), "default".to_owned()), |host| {
        (format!("{:?}", host.value.as_str()), host.from.to_string())
    });
    let path = |setting: &crate::config::Setting<std::path::PathBuf>| (format!("{:?}", setting.value), setting.from.to_string());
    let mut rows = vec![
        ("host".to_owned(), host),
        ("interval".to_owned(), (format!("\"{}\"", config.interval.value), config.interval.from.to_string())),
        ("state".to_owned(), path(&config.state)),
        ("amandates".to_owned(), path(&config.amandates)),
        ("server.destination".to_owned(), (format!("\"{}\"", config.destination.value), config.destination.from.to_string())),
        ("server.identity".to_owned(), path(&config.identity)),
        ("server.known_hosts".to_owned(), path(&config.known_hosts)),
        (
            "server.connect_timeout".to_owned(),
            (format!("\"{}\"", humantime::format_duration(config.connect_timeout.value)), config.connect_timeout.from.to_string()),
        ),
    ];
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
