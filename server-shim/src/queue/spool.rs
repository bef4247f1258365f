//! The directory of tickets: at most one waits for each host, and nothing that is not a ticket is believed.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use wire::HostName;

use super::ticket::{Ticket, TicketId};
use crate::durable;
use crate::layout::Layout;
use crate::lock;

/// What became of a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// It has a ticket of its own.
    New(Ticket),
    /// An earlier ticket of the same host answers it.
    Joined(Ticket),
    /// An earlier ticket of the same host is about other disks and has to be settled first.
    After(Ticket),
    /// The queue is full.
    Full,
}

/// A file in the queue that is not a ticket: its name, and why not.
pub type Strange = (String, String);

/// The queue directory.
#[derive(Debug, Clone)]
pub struct Spool {
    layout: Layout,
}

impl Spool {
    /// Takes the queue of an installation; nothing is read yet.
    pub fn new(layout: Layout) -> Self {
        Self { layout }
    }

    /// Lists the tickets that wait or run, oldest first, and the names of files that are not tickets, with the reason.
    pub fn list(&self) -> io::Result<(Vec<Ticket>, Vec<Strange>)> {
        let mut tickets = Vec::new();
        let mut strange = Vec::new();
        for name in self.names()? {
            match self.read(&name) {
                Ok(Some(ticket)) => tickets.push(ticket),
                Ok(None) => {}
                Err(why) => strange.push((name, why)),
            }
        }
        tickets.sort_by(|a, b| a.id.cmp(&b.id));
        Ok((tickets, strange))
    }

    /// Lists hosts and ticket names without opening a file, oldest first: enough to tell a place in the queue.
    pub fn glance(&self) -> io::Result<Vec<(TicketId, HostName)>> {
        let mut pending: Vec<_> =
            self.names()?.iter().filter_map(|name| Ticket::parse_file_name(name)).map(|(host, id)| (id, host)).collect();
        pending.sort();
        Ok(pending)
    }

    /// Places a trigger, as a ticket: on disk before this returns, or the one that is there already.
    pub fn place(&self, ticket: Ticket, most: usize, now: i64) -> io::Result<Placed> {
        let _guard = self.lock(now)?;
        let names = self.names()?;
        let mut count = 0;
        for name in &names {
            let Some((other, _)) = Ticket::parse_file_name(name) else { continue };
            count += 1;
            if other != ticket.host {
                continue;
            }
            // A file under this host's name that is no ticket would block the host for ever; it is the shim's own directory.
            let Ok(Some(earlier)) = self.read(name) else {
                // A directory stays, and status names it.
                let _ = durable::discard(&self.layout.queue().join(name));
                continue;
            };
            if self.layout.result(&earlier).exists() {
                continue;
            }
            return Ok(if earlier.covers(&ticket.disks) { Placed::Joined(earlier) } else { Placed::After(earlier) });
        }
        if count >= most {
            return Ok(Placed::Full);
        }
        // The dump user's group reads it.
        durable::write_json(&self.layout.queue().join(ticket.file_name()), &ticket, 0o640)?;
        Ok(Placed::New(ticket))
    }

    /// Removes a ticket that has been settled. Its answer is on disk, so one that a power cut brings back is passed over.
    pub fn remove(&self, ticket: &Ticket) -> io::Result<()> {
        durable::discard(&self.path(ticket))
    }

    fn path(&self, ticket: &Ticket) -> PathBuf {
        self.layout.queue().join(ticket.file_name())
    }

    /// Waits a moment for other shims that are writing at this instant; they hold the lock for one small write.
    fn lock(&self, now: i64) -> io::Result<lock::Guard> {
        let patience = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(guard) = lock::try_take(&self.layout.queue_lock(), "", now)? {
                return Ok(guard);
            }
            if Instant::now() > patience {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the queue's lock is held by another process"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.layout.queue())? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            // Temporary files and locks begin with a dot.
            if !name.starts_with('.') {
                names.push(name.into_owned());
            }
        }
        Ok(names)
    }

    fn read(&self, name: &str) -> Result<Option<Ticket>, String> {
        match durable::read_small(&self.layout.queue().join(name)) {
            Ok(text) => Ticket::parse(name, &text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("it cannot be read: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::DiskName;

    fn world() -> (tempfile::TempDir, Layout, Spool) {
        let directory = tempfile::tempdir().expect("temporary directory");
        let layout = Layout::new(directory.path(), directory.path());
        fs::create_dir_all(layout.queue()).expect("queue");
        fs::create_dir_all(layout.results()).expect("results");
        (directory, layout.clone(), Spool::new(layout))
    }
    fn host(name: &str) -> HostName {
        name.parse().expect("name")
    }
    fn id(time: u128) -> TicketId {
        TicketId::new(time, 1)
    }
    fn ticket(name: &str, disks: Vec<DiskName>, time: u128) -> Ticket {
        Ticket { id: id(time), host: host(name), disks, holds_back: false }
    }
    fn disk(name: &str) -> Vec<DiskName> {
        vec![DiskName::new(name).expect("name")]
    }

    #[test]
    fn a_second_trigger_of_a_host_joins_and_another_host_queues() {
        let (_keep, _, spool) = world();
        let Placed::New(first) = spool.place(ticket("a", vec![], 1), 9, 0).expect("place") else { panic!("not new") };
        assert_eq!(spool.place(ticket("a", vec![], 2), 9, 0).expect("place"), Placed::Joined(first.clone()));
        assert!(matches!(spool.place(ticket("b", disk("/x"), 3), 9, 0).expect("place"), Placed::New(_)));
        assert!(matches!(spool.place(ticket("b", disk("/y"), 4), 9, 0).expect("place"), Placed::After(_)));
        let (tickets, strange) = spool.list().expect("list");
        assert_eq!((tickets.len(), tickets[0].clone(), strange.len()), (2, first, 0));
    }

    #[test]
    fn a_settled_ticket_is_not_joined() {
        let (_keep, layout, spool) = world();
        let Placed::New(first) = spool.place(ticket("a", vec![], 1), 9, 0).expect("place") else { panic!("not new") };
        fs::write(layout.result(&first), "{}").expect("result");
        assert!(matches!(spool.place(ticket("a", vec![], 2), 9, 0).expect("place"), Placed::New(_)));
    }

    #[test]
    fn a_full_queue_says_so() {
        let (_keep, _, spool) = world();
        spool.place(ticket("a", vec![], 1), 1, 0).expect("place");
        assert_eq!(spool.place(ticket("b", vec![], 2), 1, 0).expect("place"), Placed::Full);
    }

    #[test]
    fn symlinks_garbage_and_directories_are_named_and_do_not_block_a_host() {
        let (_keep, layout, spool) = world();
        let victim = layout.results().join("victim");
        fs::write(&victim, "precious").expect("write");
        std::os::unix::fs::symlink(&victim, layout.queue().join("a@00000000000000000001-1.json")).expect("symlink");
        fs::write(layout.queue().join("b@00000000000000000001-1.json"), "{\"id\":").expect("write");
        fs::write(layout.queue().join("\u{1b}[2Jx"), "").expect("write");
        let (tickets, strange) = spool.list().expect("list");
        assert_eq!((tickets.len(), strange.len()), (0, 3));
        for name in ["a", "b"] {
            assert!(matches!(spool.place(ticket(name, vec![], 7), 9, 0).expect("place"), Placed::New(_)));
        }
        assert_eq!(fs::read(&victim).expect("still there"), b"precious");
    }
}
