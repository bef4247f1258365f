//! What was lost, and why.

use std::fmt;

/// How many names are kept of one damage.
const MAX_NAMES: usize = 1000;
/// How many of them are said.
const SAID: usize = 3;

/// A part of the archive that is missing or has no sense.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Damage {
    /// Why, a sentence without a full stop.
    pub why: String,
    /// So many bytes of the archive are missing, as far as that is known.
    pub bytes: Option<u64>,
    /// Members that are not whole, or cannot be used, as far as their names are known (at most 1000).
    pub names: Vec<Vec<u8>>,
    /// Others may be missing, of which nothing is known. Otherwise it is those and no others.
    pub others: bool,
}

impl Damage {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), ..Self::default() }
    }

    pub(super) fn name(&mut self, name: &[u8]) {
        if self.names.len() < MAX_NAMES && self.names.last().is_none_or(|last| last != name) {
            self.names.push(name.to_vec());
        }
    }

    /// Takes another damage into this one, which happened behind it.
    pub(super) fn add(&mut self, other: &Self) {
        self.bytes = match (self.bytes, other.bytes) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        other.names.iter().for_each(|name| self.name(name));
        self.others |= other.others;
    }
}

impl fmt::Display for Damage {
    /// Says it in one or two sentences. Names are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why.trim_end_matches('.'))?;
        match self.bytes {
            Some(bytes) if bytes > 0 => write!(f, "; {bytes} bytes of the archive are missing.")?,
            _ => f.write_str(".")?,
        }
        let mut said = self.names.iter().take(SAID).map(|name| String::from_utf8_lossy(name).escape_debug().to_string());
        if let Some(first) = said.next() {
            write!(f, " Lost with it: {first}")?;
            said.try_for_each(|name| write!(f, ", {name}"))?;
            match (self.names.len().saturating_sub(SAID), self.others) {
                (0, false) => f.write_str("."),
                (0, true) => f.write_str(", and perhaps others whose names are not known."),
                (more, false) => write!(f, ", and {more} more."),
                (more, true) => write!(f, ", {more} more, and perhaps others whose names are not known."),
            }
        } else if self.others {
            f.write_str(" The names of what was there are not known.")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damage_is_said_in_sentences() {
        let names = |count: usize| (0..count).map(|at| format!("./{at}\x1b").into_bytes()).collect::<Vec<_>>();
        for (bytes, names, others, said) in [
            (Some(512), names(1), false, "a frame is damaged; 512 bytes of the archive are missing. Lost with it: ./0\\u{1b}."),
            (
                None,
                names(3),
                true,
                "a frame is damaged. Lost with it: ./0\\u{1b}, ./1\\u{1b}, ./2\\u{1b}, and perhaps others whose names are not known.",
            ),
            (None, names(5), false, "a frame is damaged. Lost with it: ./0\\u{1b}, ./1\\u{1b}, ./2\\u{1b}, and 2 more."),
            (None, Vec::new(), true, "a frame is damaged. The names of what was there are not known."),
        ] {
            assert_eq!(Damage { why: "a frame is damaged".into(), bytes, names, others }.to_string(), said);
        }
    }
}
