//! Who may read whose dumps: a pure decision from the administrator's rules and the day.
//!
//! A key reads the dumps of its own host, of the disks that it may back up. shim.toml may let it read another host's, to the end of a day:
//!
//! ```toml
//! [host.newlaptop]
//! config = "laptops"
//! restore = [{ host = "oldlaptop", until = "2026-12-31" }]
//! ```

use chrono::NaiveDate;
use serde::{Deserialize, Deserializer, de};
use wire::{ConfigName, DiskName, HostName};

use crate::config::Config;
use crate::engine::Trouble;

/// Lets a host read the dumps of another one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Whose.
    pub host: HostName,
    /// The last day, by this server's local time.
    #[serde(deserialize_with = "day")]
    pub until: NaiveDate,
}

fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveDate, D::Error> {
    let text = String::deserialize(deserializer)?;
    NaiveDate::parse_from_str(&text, "%Y-%m-%d")
        .map_err(|_| de::Error::custom(format!("\"{text}\" is not a day; write it like \"2026-12-31\", with the quotes")))
}

/// What may be read of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The config that its dumps belong to.
    pub config: ConfigName,
    /// These disks; all of them when none is named.
    pub only: Vec<DiskName>,
}

/// Decides whether `own`, whose key it is, may read the dumps of `asked`.
///
/// # Errors
/// When it may not, in words for the laptop.
pub fn may_read(config: &Config, own: &HostName, asked: &HostName, today: NaiveDate) -> Result<Reading, Trouble> {
    let heading = Config::heading(own);
    let Some(rule) = config.hosts.get(own) else {
        return Err(Trouble::refused(
            format!("the server has no rule for the host \"{own}\""),
            format!("ask the operator to add {heading} to {}", config.file.display()),
        ));
    };
    if own == asked {
        return Ok(Reading { config: rule.config.clone(), only: rule.disks.clone() });
    }
    let day = today + chrono::Days::new(30);
    let hint = format!(
        "the operator can add to {heading} of {}: restore = [{{ host = \"{asked}\", until = \"{}\" }}]",
        config.file.display(),
        day.format("%Y-%m-%d")
    );
    let Some(until) = rule.restore.iter().filter(|grant| grant.host == *asked).map(|grant| grant.until).max() else {
        return Err(Trouble::refused(format!("this key reads the dumps of {own}, and not those of {asked}"), hint));
    };
    if until < today {
        return Err(Trouble::refused(format!("this key could read the dumps of {asked} until {until}, and that day is over"), hint));
    }
    // A laptop that is gone may have no rule any more; then its dumps are where its successor's are.
    let theirs = config.hosts.get(asked);
    Ok(Reading {
        config: theirs.map_or(&rule.config, |rule| &rule.config).clone(),
        only: theirs.map(|rule| rule.disks.clone()).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    const TEXT: &str = "[host.new]\nconfig = \"laptops\"\nrestore = [{ host = \"old\", until = \"2026-12-31\" }, { host = \"gone\", until = \"2027-01-01\" }]\n\
                        [host.old]\nconfig = \"office\"\ndisks = [\"/home\"]\n";

    #[test]
    fn a_grant_holds_to_the_end_of_its_day_and_for_nobody_else() {
        let config = parse(TEXT).expect("valid");
        let host = |name: &str| name.parse::<HostName>().expect("a name");
        let read = |own: &str, asked: &str, day: &str| {
            may_read(&config, &host(own), &host(asked), day.parse().expect("a day")).map(|may| (may.config.to_string(), may.only.len()))
        };
        for (own, asked, day, expected) in [
            ("new", "new", "2030-01-01", Some(("laptops", 0))),
            ("old", "old", "2030-01-01", Some(("office", 1))),
            ("new", "old", "2026-12-31", Some(("office", 1))),
            ("new", "gone", "2026-12-31", Some(("laptops", 0))),
            ("new", "old", "2027-01-01", None),
            ("old", "new", "2026-12-31", None),
            ("new", "third", "2026-12-31", None),
            ("third", "third", "2026-12-31", None),
        ] {
            let found = read(own, asked, day);
            assert_eq!(found.as_ref().ok().map(|(config, disks)| (config.as_str(), *disks)), expected, "{own} {asked} {day}");
        }
        assert!(read("new", "old", "2027-01-01").expect_err("over").message.contains("until 2026-12-31"));
        assert!(read("old", "new", "2026-12-01").expect_err("no").hint.contains("until = \"2026-12-31\""));
    }

    #[test]
    fn a_day_that_is_none_is_named_with_its_place() {
        for (until, part) in [("\"31.12.2026\"", "is not a day"), ("\"2026-02-30\"", "is not a day"), ("2026-12-31", "line 3")] {
            let text = format!("[host.a]\nconfig = \"a\"\nrestore = [{{ host = \"b\", until = {until} }}]");
            let message = parse(&text).expect_err(until);
            assert!(message.contains(part), "{message}");
        }
        let unknown = parse("[host.a]\nconfig = \"a\"\nrestore = [{ host = \"b\", untill = \"2026-12-31\" }]").expect_err("a typo");
        assert!(unknown.contains("did you mean `until`?"), "{unknown}");
    }
}
