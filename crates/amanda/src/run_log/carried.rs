//! What a log says of a volume, for the log of a later run that adds to it.

use std::collections::HashSet;

use crate::dle::Dle;
use crate::quoting::split_words;

/// Returns the lines of a log that tell which dumps are on a volume: its PART lines, and the DONE, PARTIAL and FAIL lines
/// of the taper that go with them, in their order. A dump whose parts are on several volumes has its PART lines of the
/// others with it, since Amanda takes it for a failure without them.
///
/// A run that adds to the volume puts them into its own log, behind a [`Entry::Volume`](super::write::Entry::Volume) for every label that they name.
#[must_use]
pub fn carried_over<'a>(log: &'a [u8], label: &str) -> Vec<&'a [u8]> {
    carried_over_if(log, label, |_, _, _| true)
}

/// The same, for dumps that are still there: `keeps` is given each one's disk, datestamp and level.
#[must_use]
pub fn carried_over_if<'a>(log: &'a [u8], label: &str, mut keeps: impl FnMut(&Dle, &str, u8) -> bool) -> Vec<&'a [u8]> {
    let lines: Vec<_> = log.split(|&byte| byte == b'\n').filter_map(|line| Some((line, told(line)?))).collect();
    let here = lines.iter().filter(|(_, told)| told.label.as_deref() == Some(label.as_bytes())).map(|(_, told)| told.dump.clone());
    let mut on_volume: HashSet<_> = here.collect();
    on_volume.retain(|dump| named(dump).is_some_and(|(dle, datestamp, level)| keeps(&dle, datestamp, level)));
    lines.into_iter().filter(|(_, told)| on_volume.contains(&told.dump)).map(|(line, _)| line).collect()
}

fn named(dump: &[Vec<u8>; 4]) -> Option<(Dle, &str, u8)> {
    let [host, disk, datestamp, level] = dump;
    let text = |bytes| std::str::from_utf8(bytes).ok();
    Some((Dle::from_names(host, disk.clone())?, text(datestamp)?, text(level)?.parse().ok()?))
}

struct Told {
    label: Option<Vec<u8>>,
    /// Host, disk, datestamp and level.
    dump: [Vec<u8>; 4],
}

fn told(line: &[u8]) -> Option<Told> {
    let mut words = split_words(line);
    let (kind, program) = (words.next()?, words.next()?);
    let is_part = matches!(kind, b"PART" | b"PARTPARTIAL");
    if program != b"taper" || !(is_part || matches!(kind, b"DONE" | b"PARTIAL" | b"FAIL")) {
        return None;
    }
    let mut next = words.next_name()?;
    while next == b"VAULT" || next.starts_with(b"ST:") || next.starts_with(b"POOL:") {
        next = words.next_name()?;
    }
    let mut label = None;
    if is_part {
        label = Some(next);
        words.next()?;
        next = words.next_name()?;
    }
    let (disk, datestamp) = (words.next_name()?, words.next_name()?);
    if kind != b"FAIL" {
        // The part, or the number of parts.
        words.next()?;
    }
    Some(Told { label, dump: [next, disk, datestamp, words.next_name()?] })
}
