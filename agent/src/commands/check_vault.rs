//! `check`'s look at a vault: whether it is there, and whether it has room for what comes.

use indicatif::HumanBytes;
use wire::Exit;

use super::answers::Found;
use super::first_full;
use super::job::Job;
use crate::config::Config;
use crate::due::{DiskRecord, Known};
use crate::report::{Problem, problems, tables};
use crate::session::vault::{self, Way};

/// One thing that was tried, and what was found.
pub type Look = (&'static str, Result<Found, Problem>);

/// Looks at the vault itself; its client is asked later, by the engine.
pub fn look(job: &Job, way: &Way, records: &[DiskRecord]) -> Vec<Look> {
    let path = way.directory.display();
    let room = match (&job.vault, &vault::room(&way.directory)) {
        (Some(Err(error)), _) | (_, Err(error)) => return vec![("vault", Err(problems::of_vault(error)))],
        (_, Ok(room)) => *room,
    };
    if let Err(error) = vault::may_write(&way.directory) {
        return vec![("vault", Err(problems::of_vault(&error)))];
    }
    let detail = format!("{path} has {} on {}", HumanBytes(room.used), tables::volumes(room.volumes));
    vec![("vault", Ok(Found { detail, hint: String::new() })), ("room", space(room.free, next(&job.config, records)))]
}

/// What the next backup takes: as much as the last one where there is one, and otherwise everything, before compression.
fn next(config: &Config, records: &[DiskRecord]) -> u64 {
    let of = |disk: &crate::config::Disk| {
        let record = records.iter().find(|record| record.disk == disk.name);
        match record.map(|record| &record.known) {
            Some(Known::Receipts { last_backup: Some(last), .. }) => last.bytes.unwrap_or(0),
            _ => first_full::measure(&disk.device).bytes,
        }
    };
    let asked = config.disks.iter().filter(|disk| records.iter().any(|record| record.disk == disk.value.name));
    asked.map(|disk| of(&disk.value)).sum()
}

fn space(free: u64, next: u64) -> Result<Found, Problem> {
    let detail = format!("{} are free, and the next backup takes about {}", HumanBytes(free), HumanBytes(next));
    if next < free {
        return Ok(Found { detail, hint: String::new() });
    }
    Err(Problem::new(Exit::Failed, detail).because("what does not fit is not kept, and nothing younger than the retention is given up for it").hint(
        "make room, or leave more out with exclude in agent.toml; it may fit all the same when much of it can be compressed, or volumes are \
         older than the retention",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_room_is_a_fault() {
        assert_eq!(space(10 << 30, 1 << 30).expect("it fits").hint, "");
        let found = space(1 << 30, 10 << 30).expect_err("it does not");
        assert_eq!(found.what, "1.00 GiB are free, and the next backup takes about 10.00 GiB");
        assert!(found.exit == Exit::Failed && found.hint.contains("make room"));
    }
}
