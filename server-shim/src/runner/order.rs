//! Orders: what an administrator asks the runner for. They lie in a directory that only the dump user can write, so nobody
//! else can have the nightly run or a flush.

use std::ffi::OsString;
use std::fs;
use std::io;

use serde::{Deserialize, Serialize};
use wire::{ConfigName, DiskName, HostName};

use crate::durable;
use crate::engine::Survey;
use crate::layout::Layout;
use crate::queue::order::Kind;
use crate::queue::ticket::TicketId;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// The nightly run.
    Nightly,
    /// The holding disk to tape.
    Flush,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its name.
    pub id: TicketId,
    /// What.
    pub what: What,
    /// Of which config.
    pub config: ConfigName,
    /// Hosts, each with disks of its behind it, as they were typed; everything when there are none.
    #[serde(default)]
    pub only: Vec<OsString>,
}

/// What was typed after a config, and is not in its disklist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// A word that is no host.
    #[error("the disklist has no host {0:?} that a nightly run may dump")]
    Host(String),
    /// A word that is neither a disk of the host before it nor a host.
    #[error("the disklist has neither a host {1:?} nor such a disk of {0} that a nightly run may dump")]
    Disk(HostName, String),
}

/// Takes hosts and disks apart as amdump does: a word behind a host is a disk of it when it has such a one, else it is the next host
/// (`match_disklist` in server-src/diskfile.c). Names are compared as they are, without patterns. A host without disks has them all.
///
/// # Errors
/// At the first word that is neither.
pub fn parts(only: &[OsString], survey: &Survey) -> Result<Vec<(HostName, Vec<DiskName>)>, Unknown> {
    let shown = |word: &OsString| amanda::escape::printable(word.as_encoded_bytes());
    let mut parts: Vec<(HostName, Vec<DiskName>)> = Vec::new();
    // Where the words are now.
    let mut at: Option<usize> = None;
    for word in only {
        if let Some((host, disks)) = at.and_then(|at| parts.get_mut(at))
            && let Some(disk) = survey.disks_in(Kind::Nightly, host, &[]).into_iter().find(|disk| disk.as_os_str() == word)
        {
            if !disks.contains(&disk) {
                disks.push(disk);
            }
            continue;
        }
        let host = word.to_str().and_then(|word| word.parse::<HostName>().ok());
        let host = host.filter(|host| !survey.disks_in(Kind::Nightly, host, &[]).is_empty());
        let Some(host) = host else {
            return Err(match at {
                Some(at) => Unknown::Disk(parts[at].0.clone(), shown(word)),
                None => Unknown::Host(shown(word)),
            });
        };
        at = Some(parts.iter().position(|(other, _)| *other == host).unwrap_or_else(|| {
            parts.push((host, Vec::new()));
            parts.len() - 1
        }));
    }
    Ok(parts)
}

/// Places an order; it is on disk when this returns. `now` in seconds since the epoch.
pub fn place(layout: &Layout, what: What, config: &ConfigName, only: &[OsString], now: f64) -> io::Result<Order> {
    let id = TicketId::new((now * 1e9) as u128, std::process::id());
    let order = Order { id, what, config: config.clone(), only: only.to_vec() };
    durable::write_json(&layout.orders().join(format!("{}.json", order.id.as_str())), &order, 0o640)?;
    Ok(order)
}

/// Lists the orders, oldest first.
pub fn list(layout: &Layout) -> io::Result<Vec<Order>> {
    let mut orders: Vec<Order> = Vec::new();
    for entry in fs::read_dir(layout.orders())? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with('.') || !name.ends_with(".json") {
            continue;
        }
        match durable::read_json(&path) {
            Ok(order) => orders.extend(order),
            Err(error) => super::log(&format!("event=order_unreadable file={name} why=\"{error}\"")),
        }
    }
    orders.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(orders)
}

/// Removes an order that has been settled.
pub fn remove(layout: &Layout, id: &TicketId) -> io::Result<()> {
    durable::discard(&layout.orders().join(format!("{}.json", id.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::survey;

    #[test]
    fn hosts_and_disks_are_taken_apart_as_amdump_does() {
        let mut survey = survey(&[("a", "/home"), ("a", "/etc"), ("b", "/home"), ("c", "/laptop")]);
        survey.disks[3].by_server = false;
        let told = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let parts = parts(&words, &survey).map_err(|unknown| unknown.to_string())?;
            let shown = parts.iter().map(|(host, disks)| {
                let disks: Vec<_> = disks.iter().map(|disk| disk.as_os_str().to_string_lossy().into_owned()).collect();
                format!("{host}:{}", disks.join(","))
            });
            Ok::<_, String>(shown.collect::<Vec<_>>().join(" "))
        };
        for (words, expected) in [
            (&[][..], ""),
            (&["a"], "a:"),
            (&["a", "/etc", "b", "/home"], "a:/etc b:/home"),
            (&["a", "b"], "a: b:"),
            (&["a", "/etc", "b", "a", "/home", "/etc"], "a:/etc,/home b:"),
        ] {
            assert_eq!(told(words), Ok(expected.to_owned()), "{words:?}");
        }
        for (words, part) in [(&["/etc"][..], "no host \"/etc\""), (&["b", "/etc"], "disk of b"), (&["c"], "no host \"c\"")] {
            assert!(told(words).is_err_and(|words| words.contains(part)), "{words:?}");
        }
    }
}
