//! What becomes of an attempt, once the server has had the last word: a function of values.

use wire::Receipt;

use super::Pending;

/// What becomes of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The server has it: the next level builds on it.
    Promote,
    /// The server does not have it, and will not: as if it had never been made.
    Discard,
    /// Nobody knows yet.
    Keep,
}

/// Decides by the receipts of its destination and config, and by whether the run that it belongs to still goes on.
///
/// As long as the run goes on an attempt is kept, whatever older receipts say: two dumps of a disk on which nothing
/// happened may be the same to the byte.
pub fn fate(pending: &Pending, receipts: &[Receipt], in_flight: bool) -> Fate {
    if in_flight {
        Fate::Keep
    } else if proof(pending, receipts).is_some() {
        Fate::Promote
    } else {
        Fate::Discard
    }
}

/// Returns the receipt that proves that the server has an attempt.
pub fn proof<'a>(pending: &Pending, receipts: &'a [Receipt]) -> Option<&'a Receipt> {
    receipts.iter().find(|receipt| proves(receipt, pending))
}

/// Tells whether the server has just this attempt. The checksum is the one that the client sent along, which names the
/// attempt also where the server compresses or encrypts afterwards; its count of bytes can be compared only where it
/// did neither.
fn proves(receipt: &Receipt, pending: &Pending) -> bool {
    let sent = receipt.sent_crc32c.as_deref().and_then(checksum);
    let same_bytes = match (receipt.bytes, pending.bytes) {
        (Some(stored), Some(sent_bytes)) if receipt.crc32c.as_deref().and_then(checksum) == sent => stored == sent_bytes,
        _ => true,
    };
    receipt.disk == pending.disk
        && receipt.is_backup()
        && receipt.level == Some(pending.level)
        && sent.is_some()
        && sent == pending.client_crc
        && same_bytes
}

/// Zero is Amanda's word for "not known".
fn checksum(hex: &str) -> Option<u32> {
    u32::from_str_radix(hex, 16).ok().filter(|crc| *crc != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::state::tests::{pending, receipt};
    use wire::{DiskName, Outcome};

    #[test]
    fn only_a_proven_backup_of_just_this_attempt_is_promoted() {
        let good = receipt("/home", 1, 0xabcd, 10);
        let with = |change: fn(&mut Receipt)| {
            let mut receipt = good.clone();
            change(&mut receipt);
            vec![receipt]
        };
        for (case, receipts, expected) in [
            ("the same in everything", with(|_| {}), Fate::Promote),
            ("strange is a backup", with(|r| r.outcome = Outcome::Strange), Fate::Promote),
            ("no receipt at all", vec![], Fate::Discard),
            ("failed", with(|r| r.outcome = Outcome::Failed), Fate::Discard),
            ("partial", with(|r| r.outcome = Outcome::Partial), Fate::Discard),
            ("nothing to restore from", with(|r| r.chain.clear()), Fate::Discard),
            ("another disk", with(|r| r.disk = DiskName::new("/srv").expect("a name")), Fate::Discard),
            ("another level", with(|r| r.level = Some(0)), Fate::Discard),
            ("no level", with(|r| r.level = None), Fate::Discard),
            ("another attempt", with(|r| r.sent_crc32c = Some("0000abce".to_owned())), Fate::Discard),
            ("no checksum sent", with(|r| r.sent_crc32c = None), Fate::Discard),
            ("a checksum of zero", with(|r| r.sent_crc32c = Some("00000000".to_owned())), Fate::Discard),
            ("no checksum at all", with(|r| r.sent_crc32c = Some("xyz".to_owned())), Fate::Discard),
            ("other bytes", with(|r| r.bytes = Some(11)), Fate::Discard),
            ("bytes not known", with(|r| r.bytes = None), Fate::Promote),
            (
                "the server compressed it",
                with(|r| {
                    r.bytes = Some(4);
                    r.crc32c = Some("00001234".to_owned());
                }),
                Fate::Promote,
            ),
        ] {
            assert_eq!(fate(&pending("/home", 1, 0xabcd, 10), &receipts, false), expected, "{case}");
            assert_eq!(fate(&pending("/home", 1, 0xabcd, 10), &receipts, true), Fate::Keep, "{case}, in flight");
        }
    }

    #[test]
    fn of_two_attempts_the_one_that_the_server_has_is_promoted() {
        let receipts = [receipt("/home", 1, 0xbbbb, 20), receipt("/srv", 1, 0xaaaa, 10)];
        assert_eq!(fate(&pending("/home", 1, 0xaaaa, 10), &receipts, false), Fate::Discard);
        assert_eq!(fate(&pending("/home", 1, 0xbbbb, 20), &receipts, false), Fate::Promote);
    }

    #[test]
    fn an_attempt_whose_checksum_was_never_seen_is_discarded() {
        let mut unknown = pending("/home", 1, 0, 10);
        unknown.client_crc = None;
        assert_eq!(fate(&unknown, &[receipt("/home", 1, 0, 10)], false), Fate::Discard);
    }
}
