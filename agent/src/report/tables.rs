//! Tables: receipts after `now`, and the record for `status`.

use comfy_table::{Table, presets};
use wire::{DiskName, Outcome, Receipt};

use super::when::{ago, local};
use super::{show, verdicts};
use crate::due::{DiskRecord, Known, Reason, Verdict};
use crate::session::vault::ReadBack;

/// One disk that was asked for, and the receipt that came; none came for a disk that the server does not have.
pub type Answered<'a> = (&'a DiskName, Option<&'a Receipt>);

/// What is said of a disk that the server is silent about.
pub const NO_SUCH_DISK: &str = "the server's disklist has no such disk";

pub(super) fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(head.iter().copied());
    table
}

pub(super) fn finish(table: &Table) -> String {
    // The preset pads the last column too.
    table.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n")
}

fn place(receipt: &Receipt) -> String {
    let this = receipt.chain.iter().rfind(|base| base.datestamp == receipt.datestamp);
    this.map_or_else(|| "-".to_owned(), |base| show(base.places.join(", ")))
}

fn level(level: Option<u8>) -> String {
    level.map_or_else(|| "-".to_owned(), |level| level.to_string())
}

/// Returns bytes for people.
pub fn bytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "-".to_owned(), |bytes| indicatif::HumanBytes(bytes).to_string())
}

/// Returns a number of disks for people.
pub fn disks(disks: usize) -> String {
    format!("{disks} disk{}", if disks == 1 { "" } else { "s" })
}

/// Returns a number of volumes for people.
pub fn volumes(volumes: usize) -> String {
    format!("{volumes} volume{}", if volumes == 1 { "" } else { "s" })
}

/// Returns what came of a backup.
pub fn receipts(answers: &[Answered<'_>]) -> String {
    let mut table = table(&["disk", "outcome", "level", "bytes", "where", "when"]);
    for (disk, receipt) in answers {
        let disk = show(disk.as_bytes());
        table.add_row(match receipt {
            Some(receipt) => {
                [disk, receipt.outcome.to_string(), level(receipt.level), bytes(receipt.bytes), place(receipt), local(receipt.finished)]
            }
            None => [disk, "none".to_owned(), "-".to_owned(), "-".to_owned(), "-".to_owned(), "-".to_owned()],
        });
    }
    finish(&table)
}

/// Returns a sentence for each disk that has no backup now; `silent` is said of one without a receipt.
pub fn failures(answers: &[Answered<'_>], silent: &str) -> Vec<String> {
    let sentence = |(disk, receipt): &Answered<'_>| {
        let disk = show(disk.as_bytes());
        match receipt {
            None => Some(format!("{disk}: {silent}")),
            Some(receipt) if receipt.is_backup() => None,
            Some(receipt) if receipt.reason.is_empty() && receipt.chain.is_empty() => {
                Some(format!("{disk}: {}, nothing to restore from", receipt.outcome))
            }
            Some(receipt) => Some(format!("{disk}: {}, {}", receipt.outcome, show(&receipt.reason))),
        }
    };
    answers.iter().filter_map(sentence).collect()
}

/// Returns what is strange about a backup, in words; none about one that is not, or of which nothing was said.
pub fn strange(receipt: &Receipt) -> Option<String> {
    let told = receipt.is_backup() && receipt.outcome == Outcome::Strange && !receipt.reason.is_empty();
    told.then(|| format!("{}: {}, {}", show(receipt.disk.as_bytes()), receipt.outcome, show(&receipt.reason)))
}

/// Returns the record of all disks.
pub fn status(records: &[DiskRecord], verdict: &Verdict) -> String {
    if records.is_empty() {
        return "No disk is known yet; the disklist will tell with the first backup.".to_owned();
    }
    let mut table = table(&["disk", "last backup", "level", "outcome", "next due"]);
    for (record, disk) in records.iter().zip(&verdict.disks) {
        let last = disk.reason.last_backup().map_or_else(|| "never".to_owned(), |since| ago(verdict.now, since));
        let next = match &disk.reason {
            Reason::Fresh { next, .. } => format!("{} ({})", local(*next), ago(verdict.now, *next)),
            _ => "now".to_owned(),
        };
        let (at, outcome) = match &record.known {
            Known::Nothing => ("-".to_owned(), "-".to_owned()),
            Known::Belief { level, .. } => (level.to_string(), "no receipt (amandates)".to_owned()),
            Known::Receipts { last, last_backup } => {
                let backup = last_backup.as_ref().unwrap_or(last);
                let note = if last.is_backup() { "" } else { ", not a backup" };
                (level(backup.level), format!("{}{note}", last.outcome))
            }
            Known::Unreadable { .. } => ("-".to_owned(), "unreadable record".to_owned()),
        };
        table.add_row([show(record.disk.as_bytes()), last, at, outcome, next]);
    }
    let mut text = finish(&table);
    for disk in verdict
        .disks
        .iter()
        .filter(|disk| matches!(disk.reason, Reason::NotABackup { .. } | Reason::Future { .. } | Reason::Unreadable { .. }))
    {
        text.push_str(&format!("\n{} {}.", show(disk.disk.as_bytes()), verdicts::reason(verdict.now, &disk.reason)));
    }
    for record in records {
        if let Known::Receipts { last, .. } = &record.known
            && let Some(strange) = strange(last)
        {
            text.push_str(&format!("\n{strange}"));
        }
    }
    text
}

/// Returns a sentence for each disk: when its dumps in a vault were last read back.
pub fn read_back(disks: &[ReadBack], now: i64) -> Vec<String> {
    let sentence = |disk: &ReadBack| {
        let ReadBack { disk: name, dumps, never, damaged, oldest } = disk;
        let all = if *dumps == 1 { "its one dump was".to_owned() } else { format!("all of its {dumps} dumps were") };
        let is = |count: usize| if count == 1 { "is" } else { "are" };
        let was = |count: usize| if count == 1 { "was" } else { "were" };
        let what = match (never, damaged, oldest) {
            (_, 1.., _) => format!("{damaged} of {dumps} dumps {} damaged", is(*damaged)),
            (0, 0, Some(oldest)) if *dumps == 1 => format!("{all} read back {}", ago(now, *oldest)),
            (0, 0, Some(oldest)) => format!("{all} read back, the first of them {}", ago(now, *oldest)),
            _ if *dumps == 1 => "its one dump was not read back yet".to_owned(),
            (never, ..) => format!("{never} of {dumps} dumps {} not read back yet", was(*never)),
        };
        format!("{}: {what}.", show(name.as_bytes()))
    };
    disks.iter().map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::tests::receipt;

    #[test]
    fn what_was_read_back_is_one_sentence_for_a_disk() {
        for ((dumps, never, damaged, oldest), words) in [
            ((1, 0, 0, Some(40)), "/: its one dump was read back 1 min ago."),
            ((3, 0, 0, Some(40)), "/: all of its 3 dumps were read back, the first of them 1 min ago."),
            ((3, 1, 0, None), "/: 1 of 3 dumps was not read back yet."),
            ((1, 1, 0, None), "/: its one dump was not read back yet."),
            ((3, 2, 1, None), "/: 1 of 3 dumps is damaged."),
        ] {
            let disk = ReadBack { disk: DiskName::new("/").expect("a name"), dumps, never, damaged, oldest };
            assert_eq!(read_back(&[disk], 100), [words]);
        }
    }

    #[test]
    fn a_table_names_every_disk_and_nothing_a_terminal_would_act_upon() {
        let mut good = receipt("/ho\u{1b}[2Jme", Outcome::Ok, 1000);
        good.chain[0].places = vec!["V-1:\u{7}3".into()];
        let silent = DiskName::new("/srv").expect("a name");
        let text = receipts(&[(&good.disk, Some(&good)), (&silent, None)]);
        for part in ["/ho\\x1b[2Jme", "OK", "1.18 MiB", "V-1:\\x073", "/srv", "none"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'));
    }

    #[test]
    fn what_is_strange_is_told_and_a_failure_is_none() {
        let mut odd = receipt("/home", Outcome::Strange, 1000);
        odd.reason = "secret: Cannot open\u{1b}".into();
        assert_eq!(strange(&odd).as_deref(), Some("/home: STRANGE, secret: Cannot open\\x1b"));
        assert_eq!(strange(&receipt("/home", Outcome::Strange, 1000)), None);
        assert_eq!(strange(&receipt("/home", Outcome::Failed, 1000)), None);
    }

    #[test]
    fn every_disk_without_a_backup_is_named_with_its_reason() {
        let good = receipt("/home", Outcome::Ok, 1000);
        let mut bad = receipt("/etc", Outcome::Partial, 1000);
        bad.reason = "data timeout".into();
        let silent = DiskName::new("/srv").expect("a name");
        let sentences = failures(&[(&good.disk, Some(&good)), (&bad.disk, Some(&bad)), (&silent, None)], NO_SUCH_DISK);
        assert_eq!(sentences, ["/etc: PARTIAL, data timeout", "/srv: the server's disklist has no such disk"]);
    }
}
