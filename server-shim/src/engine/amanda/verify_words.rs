//! What was found when the dumps of an installed Amanda were read back, in words.

use amanda::escape::printable;
use wire::restore::DumpId;
use wire::{ConfigName, Exit};

use super::verify::Found;
use crate::engine::embedded::verify::Turn;
use crate::vault::verify::{dumps, passed_over, was};

/// Returns the exit status and the lines.
pub fn words(found: &Found, config: &ConfigName, turn: &Turn) -> (Exit, Vec<String>) {
    let line = |what: &str, (id, why): &(DumpId, String)| {
        let disk = printable(id.disk.as_bytes());
        format!("{what}: {}:{disk} level {} of {}: {}", id.host, id.level, id.datestamp, printable(why.as_bytes()))
    };
    let mut lines: Vec<String> = found.damaged.iter().map(|damaged| line("damaged", damaged)).collect();
    lines.extend(found.unread.iter().map(|unread| line("not read", unread)));
    lines.extend(found.due.iter().map(|dle| {
        let shown = printable(dle.to_string().as_bytes());
        format!("{shown}: its last backup needs a dump that is damaged or gone; its next dump is a full one, and its laptop hears of it.")
    }));
    let exit = match (found.damaged.is_empty(), found.unread.is_empty()) {
        (true, true) => Exit::Done,
        (false, _) => Exit::Failed,
        // The volumes are not there: another time.
        (true, false) => Exit::Later,
    };
    let read = format!("{} of {} bytes", dumps(found.dumps), found.bytes);
    lines.push(match (exit, found.dumps, turn.is_all()) {
        (Exit::Done, 0, true) => format!("There is no dump in {config}: nothing was read."),
        (Exit::Done, 0, false) => format!("It is no dump's turn in {config}: nothing was read."),
        (Exit::Done, ..) => format!("Read back in {config} and found to be what was stored: {read}."),
        (_, count, _) => {
            format!("Besides, {read} {} read back and {} what was stored.", was(count, "was", "were"), was(count, "is", "are"))
        }
    });
    lines.extend(passed_over(&found.passed_over, turn));
    (exit, lines)
}

#[cfg(test)]
mod tests {
    use amanda::dle::Dle;
    use wire::DiskName;

    use super::*;

    #[test]
    fn damage_is_a_failure_and_a_volume_that_is_not_there_is_later() {
        let config: ConfigName = "daily".parse().expect("a name");
        let id = DumpId {
            host: "a".parse().expect("a name"),
            disk: DiskName::new("/home").expect("a name"),
            datestamp: "20261101010101".to_owned(),
            level: 1,
        };
        let said = |found: &Found| words(found, &config, &Turn::default());
        let (exit, lines) = said(&Found { dumps: 2, bytes: 10, ..Found::default() });
        assert_eq!(
            (exit, lines.join("\n").as_str()),
            (Exit::Done, "Read back in daily and found to be what was stored: 2 dumps of 10 bytes.")
        );
        let unread = vec![(id.clone(), "no volume".to_owned())];
        let (exit, lines) = said(&Found { unread: unread.clone(), ..Found::default() });
        assert_eq!((exit, lines[0].as_str()), (Exit::Later, "not read: a:/home level 1 of 20261101010101: no volume"));
        let due = vec![Dle::new("a", "/home")];
        let (exit, lines) = said(&Found { damaged: vec![(id, "bad".to_owned())], unread, due, dumps: 1, ..Found::default() });
        assert_eq!((exit, lines.len()), (Exit::Failed, 4));
        assert_eq!(said(&Found::default()).1, ["There is no dump in daily: nothing was read."]);
    }
}
