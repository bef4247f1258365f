//! What a reason in a log means, and what to do about it: for somebody who has never read one.
//!
//! The words are those of Amanda's programs and of our own engine; the first line of the table that is found in a reason counts.

/// What a reason means, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// What it means.
    pub means: &'static str,
    /// What to do.
    pub to_do: &'static str,
}

const fn advice(means: &'static str, to_do: &'static str) -> Advice {
    Advice { means, to_do }
}

/// Words of a reason, in small letters, and what they mean.
const DUMPS: &[(&[&str], Advice)] = &[
    (
        &["said nothing about it", "was not finished"],
        advice(
            "its dump was never begun, or never ended",
            "a program of the run was stopped; run it again, or let the next run make up for it",
        ),
    ),
    (
        &[
            "timeout waiting for ack",
            "timeout waiting for rep",
            "connection refused",
            "no route to host",
            "could not resolve",
            "connection timed out",
        ],
        advice(
            "the machine did not answer",
            "see that it is switched on and on the network, then `asyncamanda-shim check HOST`; the next run tries again",
        ),
    ),
    (
        &[
            "data timeout",
            "estimate timeout",
            "mesg read",
            "data read",
            "eof on",
            "connection reset",
            "hung up",
            "was cut off",
            "nothing came from the client",
            "ended the connection before",
            "connection to the client failed",
        ],
        advice(
            "the machine began to send and stopped",
            "see whether it was switched off, went to sleep or lost the network meanwhile; the next run tries again",
        ),
    ),
    (
        &["degraded mode", "can't switch to incremental", "there is no volume, and no room"],
        advice(
            "there was no volume to write to, and full dumps do not wait on the holding disk then",
            "put in the volume that is wanted, and run it again; `reserve` in amanda.conf says how much of the holding disk full dumps may use",
        ),
    ),
    (
        &["larger than available tape space", "dump larger than", "too large for", "does not fit"],
        advice(
            "it is larger than the volumes that a run may write",
            "raise `runtapes`, take larger volumes, split the disk in the disklist, or exclude what need not be kept",
        ),
    ),
    (
        &["no space left", "disk full", "no room", "not enough holding"],
        advice(
            "a disk of the server is full",
            "make room on the holding disk: `asyncamanda-shim flush CONFIG` writes to volumes what lies there",
        ),
    ),
    (
        &["permission denied", "access denied", "access as", "not allowed", "no key", "host key", "authentication", "client refuses"],
        advice("the machine does not let the backup in", "`asyncamanda-shim check HOST` says what must be put right on it"),
    ),
    (
        &["no such file or directory", "does not exist", "cannot find disk"],
        advice("the disk is not there", "correct the disklist, or mount it"),
    ),
    (
        &["died", "killed", "signal", "fault of"],
        advice("a program was killed", "run it again; when it happens again, the system's log says why (memory, a restart)"),
    ),
    (
        &["checksum", "crc", "differ"],
        advice(
            "what arrived is not what was sent",
            "run it again; when it happens again, look at the network and at the disks of the server",
        ),
    ),
    (
        &["exited", "failed to", "returned", "error ["],
        advice(
            "the backup program on the machine failed",
            "its own words are below, under FAILED DUMP DETAILS, or in the file that is named here",
        ),
    ),
];

/// The same for volumes.
const VOLUMES: &[(&[&str], Advice)] = &[
    (
        &["is not in the tapelist"],
        advice(
            "a volume with a label of this config is in a slot, and the list of volumes does not have it",
            "take it out, or `asyncamanda-shim reindex CONFIG` if it is yours: that puts it and its dumps into the list again",
        ),
    ),
    (
        &["do not match labelstr", "does not match labelstr"],
        advice(
            "a volume is in a slot that is not one of this config's",
            "take it out; or, when nothing on it is needed any more, label it: \
             `asyncamanda-shim label CONFIG LABEL --slot N --force` overwrites what is on it",
        ),
    ),
    (&["use by config", "is in pool"], advice("a volume of another config is in a slot", "take it out and put in the one that is wanted")),
    (
        &["read-only", "write-protected", "write protected", "permission denied"],
        advice("a volume cannot be written to", "take off its write protection, or give its directory to the dump user"),
    ),
    (
        &["both a volume", "more than one volume", "twice"],
        advice("two volumes have the same label", "find out which is the right one, and take the other one out"),
    ),
    (
        &["volume in error", "cannot be read", "input/output"],
        advice("a volume cannot be read", "look at it; when it is broken, take it out and put in another one"),
    ),
    (
        &["needed for"],
        advice(
            "the volume whose turn it is has dumps that a restore still needs",
            "add a volume, or have the disk that needs it dumped in full",
        ),
    ),
    (
        &["runtapes", "no more volumes", "more than"],
        advice("a run may not write more volumes than that", "raise `runtapes` in amanda.conf, or let the next run write the rest"),
    ),
    (&["label '", "not found"], advice("the volume whose turn it is is in no slot", "put it in")),
    (
        &["no acceptable volumes", "no usable volumes", "no volume", "no tape"],
        advice(
            "there was no volume that may be overwritten",
            "`asyncamanda-shim tape CONFIG` says which one is wanted; put it in, or a new one, then `asyncamanda-shim flush CONFIG`",
        ),
    ),
    (
        &["no space left", "volume is full", "end of"],
        advice("the volume was full", "the rest waits on the holding disk and goes to the next volume"),
    ),
];

fn find(table: &[(&[&str], Advice)], reason: &str) -> Option<Advice> {
    let reason = reason.to_lowercase();
    table.iter().find(|(words, _)| words.iter().any(|word| reason.contains(word))).map(|(_, advice)| *advice)
}

/// Returns what a dump's failure means; `None` when nothing is known of it.
pub fn of_dump(reason: &str) -> Option<Advice> {
    find(DUMPS, reason)
}

/// Returns what is the matter with a volume; `None` when nothing is.
pub fn of_volume(said: &str) -> Option<Advice> {
    find(VOLUMES, said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_reasons_are_understood() {
        for (reason, means) in [
            ("Request to laptop1 failed: timeout waiting for ACK", "the machine did not answer"),
            ("data timeout", "the machine began to send and stopped"),
            (
                "Skipping: new disk can't be dumped in degraded mode",
                "there was no volume to write to, and full dumps do not wait on the holding disk then",
            ),
            ("dumper0 died", "a program was killed"),
            ("nothing came from the client for 30s: the dump is missing", "the machine began to send and stopped"),
            (
                "dump larger than available tape space, 1 KB, but cannot incremental dump new disk",
                "it is larger than the volumes that a run may write",
            ),
        ] {
            assert_eq!(of_dump(reason).map(|advice| advice.means), Some(means), "{reason}");
        }
        for (said, means) in [
            ("Slot 3 with label X do not match labelstr", "a volume is in a slot that is not one of this config's"),
            ("Label 'daily-01' not found", "the volume whose turn it is is in no slot"),
            ("Slot 1 is a volume in error: slots 1 and 3 have both a volume ifh01", "two volumes have the same label"),
            ("while labeling new volume: cannot write: Read-only file system", "a volume cannot be written to"),
            ("No acceptable volumes found", "there was no volume that may be overwritten"),
        ] {
            assert_eq!(of_volume(said).map(|advice| advice.means), Some(means), "{said}");
        }
        let unlisted = of_volume("Slot 3 with label ifh03 is not in the tapelist").expect("known");
        assert!(unlisted.to_do.contains("reindex") && !unlisted.to_do.contains("--force"), "its dumps may be all that there is");
        assert_eq!((of_dump("?"), of_volume("tape daily-01 kb 3907 fm 3 [OK]")), (None, None));
    }
}
