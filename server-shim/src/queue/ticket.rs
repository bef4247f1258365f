//! A ticket: a trigger that was let in, as a small file.
//!
//! Written by the shim's account and read by the dump user's runner, which treats it as hostile: it names a host (that
//! shim.toml must know) and disks (that the disklist must know), and nothing in it becomes an option of any program.

use serde::{Deserialize, Serialize};
use wire::{DiskName, HostName, message::MAX_DISKS};

/// A ticket's name: digits and dashes, so that it is a file name, and sorts by age.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TicketId(String);

impl TicketId {
    /// Makes a new one from the time (nanoseconds since the epoch) and this process, unique on this machine.
    pub fn new(nanoseconds: u128, pid: u32) -> Self {
        Self(format!("{nanoseconds:020}-{pid}"))
    }
    /// Returns it as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Returns the time it was made, in seconds since the epoch.
    pub fn placed(&self) -> i64 {
        self.nanoseconds().map_or(0, |nanoseconds| (nanoseconds / 1_000_000_000) as i64)
    }
    /// Returns the time it was made, in nanoseconds since the epoch.
    pub fn nanoseconds(&self) -> Option<u128> {
        self.0.split('-').next().and_then(|digits| digits.parse().ok())
    }
}

impl TryFrom<String> for TicketId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let (time, pid) = text.split_once('-').unwrap_or(("", ""));
        let digits = |part: &str, longest| !part.is_empty() && part.len() <= longest && part.bytes().all(|byte| byte.is_ascii_digit());
        if digits(time, 20) && time.len() == 20 && digits(pid, 10) { Ok(Self(text)) } else { Err("not a ticket's name".to_owned()) }
    }
}

impl From<TicketId> for String {
    fn from(id: TicketId) -> Self {
        id.0
    }
}

/// A trigger that was let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    /// Its name.
    pub id: TicketId,
    /// Who asks.
    pub host: HostName,
    /// Which disks; all that the disklist has for the host when none is named.
    pub disks: Vec<DiskName>,
    /// The laptop's client moves its incremental state only with a receipt that is OK.
    #[serde(default)]
    pub holds_back: bool,
}

impl Ticket {
    /// Returns the name of its file.
    pub fn file_name(&self) -> String {
        format!("{}@{}.json", self.host, self.id.as_str())
    }

    /// Takes a file's name apart; none when it is not a ticket's.
    pub fn parse_file_name(name: &str) -> Option<(HostName, TicketId)> {
        let (host, id) = name.strip_suffix(".json")?.split_once('@')?;
        Some((host.parse().ok()?, TicketId::try_from(id.to_owned()).ok()?))
    }

    /// Reads a ticket's text; it must say what its file's name says.
    pub fn parse(name: &str, text: &[u8]) -> Result<Self, String> {
        let (host, id) = Self::parse_file_name(name).ok_or("its name is not a ticket's")?;
        let ticket: Self = serde_json::from_slice(text).map_err(|error| format!("it cannot be read as a ticket: {error}"))?;
        if ticket.host != host || ticket.id != id {
            return Err("it says something else than its name".to_owned());
        }
        if ticket.disks.len() > MAX_DISKS {
            return Err(format!("it names {} disks, at most {MAX_DISKS} are allowed", ticket.disks.len()));
        }
        Ok(ticket)
    }

    /// Tells whether this ticket's run will answer a trigger for `asked` as well.
    pub fn covers(&self, asked: &[DiskName]) -> bool {
        self.disks.is_empty() || (!asked.is_empty() && asked.iter().all(|disk| self.disks.contains(disk)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ticket(disks: &[&str]) -> Ticket {
        Ticket {
            id: TicketId::new(1_795_314_179_000_000_007, 42),
            host: "laptop1".parse().expect("name"),
            disks: disks.iter().map(|disk| DiskName::new(*disk).expect("name")).collect(),
            holds_back: false,
        }
    }

    #[test]
    fn a_ticket_is_read_back_and_its_name_sorts_by_age() {
        let ticket = ticket(&["/home"]);
        let text = serde_json::to_vec(&ticket).expect("serialises");
        assert_eq!(Ticket::parse(&ticket.file_name(), &text), Ok(ticket.clone()));
        assert_eq!(ticket.id.placed(), 1_795_314_179);
        assert!(TicketId::new(9, 1) < TicketId::new(10, 1));
    }

    #[test]
    fn forged_tickets_are_not_tickets() {
        let good = ticket(&[]);
        let text = serde_json::to_string(&good).expect("serialises");
        let name = good.file_name();
        for (name, text) in [
            ("laptop1.json", text.clone()),
            ("laptop2@01795314179000000007-42.json", text.clone()),
            (name.as_str(), text.replace("laptop1", "../../etc")),
            (name.as_str(), text.replace("laptop1", "laptop2")),
            (name.as_str(), text.replace("\"disks\":[]", "\"disks\":[\"/a\\u0000\"]")),
            (name.as_str(), text.replace("\"disks\":[]", "\"disks\":[],\"config\":\"evil\"")),
            (name.as_str(), text.replace("\"disks\":[]", &format!("\"disks\":[{}\"/x\"]", "\"/x\",".repeat(300)))),
            (name.as_str(), text[..text.len() / 2].to_owned()),
            (name.as_str(), String::new()),
        ] {
            assert!(Ticket::parse(name, text.as_bytes()).is_err(), "{name} {text} was taken for a ticket");
        }
    }

    #[test]
    fn a_trigger_joins_only_what_answers_it() {
        let disk = |name: &str| DiskName::new(name).expect("name");
        for (have, asked, joins) in [
            (&[][..], vec![], true),
            (&[], vec![disk("/a")], true),
            (&["/a", "/b"], vec![disk("/a")], true),
            (&["/a"], vec![disk("/b")], false),
            (&["/a"], vec![], false),
        ] {
            assert_eq!(ticket(have).covers(&asked), joins, "{have:?} {asked:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(name in ".{0,60}", text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Ticket::parse(&name, &text);
        }
    }
}
