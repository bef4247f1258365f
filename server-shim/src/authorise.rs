//! Who may have what: a pure decision from the key's host, the administrator's rules and what the host used lately.
//!
//! Only this module makes a [`Grant`], so nothing that wants one can be called without the decision.

use std::time::Duration;

use wire::{AbortCode, ConfigName, DiskName, HostName};

use crate::config::Config;
use crate::invocation::Request;
use crate::latest::Spent;

/// What a host may do: made here and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    host: HostName,
    config: ConfigName,
    only: Vec<DiskName>,
}

impl Grant {
    /// The host.
    pub fn host(&self) -> &HostName {
        &self.host
    }
    /// Its config.
    pub fn config(&self) -> &ConfigName {
        &self.config
    }
    /// Checks the disks that were asked for; an empty request means all that this host may have.
    pub fn disks(&self, asked: Vec<DiskName>) -> Result<Vec<DiskName>, Refusal> {
        if self.only.is_empty() {
            return Ok(asked);
        }
        if asked.is_empty() {
            return Ok(self.only.clone());
        }
        match asked.iter().find(|disk| !self.only.contains(disk)) {
            None => Ok(asked),
            Some(disk) => Err(Refusal {
                code: AbortCode::Refused,
                message: format!("this server does not back up the disk {} of {}", amanda::escape::printable(disk.as_bytes()), self.host),
                hint: format!("ask the operator to add it to `disks` in {} of shim.toml", Config::heading(&self.host)),
            }),
        }
    }
}

/// A no, with its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of no.
    pub code: AbortCode,
    /// What happened and why.
    pub message: String,
    /// What to do next.
    pub hint: String,
}

/// Decides whether the key's host may come in with this request.
pub fn authorise(config: &Config, host: &HostName, request: &Request) -> Result<Grant, Refusal> {
    let Some(rule) = config.hosts.get(host) else {
        return Err(Refusal {
            code: AbortCode::Refused,
            message: format!("the server has no rule for the host \"{host}\""),
            hint: format!("ask the operator to add {} to {}", Config::heading(host), config.file.display()),
        });
    };
    if let Request::Amdump { hosts, .. } = request
        && let Some(other) = hosts.iter().find(|named| *named != host)
    {
        return Err(Refusal {
            code: AbortCode::Refused,
            message: format!("this key stands for {host}, and the request names {other}"),
            hint: "a laptop can ask for its own backup only; leave the host out".to_owned(),
        });
    }
    Ok(Grant { host: host.clone(), config: rule.config.clone(), only: rule.disks.clone() })
}

/// Decides whether a host has something left of its daily budget.
pub fn within_budget(config: &Config, host: &HostName, spent: &Spent) -> Result<(), Refusal> {
    let over = |what: String| {
        Err(Refusal {
            code: AbortCode::Later,
            message: format!("{host} has had {what} within 24 hours, which is its budget"),
            hint: "the next backup is possible when the oldest of them is a day old; the operator can raise the limit in [limits] of shim.toml".to_owned(),
        })
    };
    let limits = &config.limits;
    if spent.runs >= limits.runs_per_day {
        return over(format!("{} runs", spent.runs));
    }
    match limits.bytes_per_day {
        Some(limit) if spent.bytes >= limit => over(format!("{} MiB", spent.bytes >> 20)),
        _ => Ok(()),
    }
}

/// What a host has had of checks lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// One is asked for and not answered yet.
    pub waiting: bool,
    /// So many were answered within [`CHECKS_WINDOW`]; the answers to its triggers count as well.
    pub done: usize,
}

/// The time that [`may_check`] looks back.
pub const CHECKS_WINDOW: Duration = Duration::from_secs(60 * 60);

/// As many checks may a host have within that time: each starts an amcheck.
const CHECKS: usize = 30;

/// Decides whether a host may have itself checked now.
pub fn may_check(host: &HostName, lately: &Checked) -> Result<(), Refusal> {
    let later = |message: String, hint: &str| Err(Refusal { code: AbortCode::Later, message, hint: hint.to_owned() });
    if lately.waiting {
        return later(format!("a check of {host} goes on already"), "wait for its answer, three minutes at most, and ask again");
    }
    if lately.done >= CHECKS {
        return later(
            format!("{host} has had {} checks and backups within an hour, which is its budget", lately.done),
            "ask again in an hour",
        );
    }
    Ok(())
}

/// The time that a budget looks back.
pub const BUDGET_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn rules() -> Config {
        config::parse("[limits]\nruns_per_day = 3\nbytes_per_day = \"1 MiB\"\n[host.a]\nconfig = \"daily\"\n[host.b]\nconfig = \"daily\"\ndisks = [\"/home\"]\n").expect("valid")
    }
    fn host(name: &str) -> HostName {
        name.parse().expect("name")
    }
    fn amdump(hosts: &[&str]) -> Request {
        Request::Amdump { config: "other".parse().expect("name"), hosts: hosts.iter().map(|name| host(name)).collect(), frames: false }
    }

    #[test]
    fn a_known_host_gets_its_own_config_whatever_it_names() {
        for request in [Request::Agent, amdump(&[]), amdump(&["a"])] {
            let grant = authorise(&rules(), &host("a"), &request).expect("known");
            assert_eq!((grant.host().as_str(), grant.config().as_str()), ("a", "daily"));
        }
    }

    #[test]
    fn an_unknown_host_and_another_hosts_name_are_refused() {
        for (who, request) in [("x", Request::Agent), ("a", amdump(&["b"])), ("a", amdump(&["a", "b"]))] {
            assert_eq!(authorise(&rules(), &host(who), &request).expect_err("no").code, AbortCode::Refused);
        }
    }

    #[test]
    fn disks_are_limited_to_the_rule() {
        let disk = |name: &str| DiskName::new(name).expect("name");
        let grant = authorise(&rules(), &host("b"), &Request::Agent).expect("known");
        assert_eq!(grant.disks(vec![]), Ok(vec![disk("/home")]));
        assert_eq!(grant.disks(vec![disk("/home")]), Ok(vec![disk("/home")]));
        assert!(grant.disks(vec![disk("/etc")]).is_err());
    }

    #[test]
    fn checks_come_one_at_a_time_and_thirty_within_an_hour() {
        for (waiting, done, code) in
            [(false, 0, None), (false, CHECKS - 1, None), (false, CHECKS, Some(AbortCode::Later)), (true, 0, Some(AbortCode::Later))]
        {
            let refused = may_check(&host("a"), &Checked { waiting, done }).err();
            assert_eq!(refused.map(|refusal| refusal.code), code, "{waiting} {done}");
        }
    }

    #[test]
    fn the_budget_ends_at_its_limit() {
        for (runs, bytes, fine) in [(0, 0, true), (2, 0, true), (3, 0, false), (0, 1 << 20, false)] {
            assert_eq!(within_budget(&rules(), &host("a"), &Spent { runs, bytes }).is_ok(), fine, "{runs} runs, {bytes} bytes");
        }
    }
}
